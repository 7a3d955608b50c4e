/* Intent: something that a person wants, told from the words, and who does it.
 *
 *   text ──detect──> mode, ops, words, confidence, language      detect.c: a pure function
 *        ──target──> switch:  POST /switch/chat
 *                    browser: a task (202)
 *                    madre, shub …: POST /NAME/intent on run/NAME.sock; 501 target_missing while there is
 * none ──row─────> operator_intent, also of those that failed */
#ifndef VX11_OPERATOR_INTENT_H
#define VX11_OPERATOR_INTENT_H

#include "base/audio_task.h"
#include "operator/operator_internal.h"

#define DETECT_WORDS 12

struct detected {
    enum operator_intent_mode mode;
    const char *ops[AUDIO_OPERATIONS]; /* literals */
    size_t op_count;
    const char *words[DETECT_WORDS]; /* literals */
    size_t word_count;
    double confidence; /* 0: no word said anything */
    enum operator_detected_language language;
    size_t url_at, url_len; /* the first http(s) address in the text; url_len 0: none */
};

/* By whole words of both languages. What base/task_type.h says of the text decides, with these beside it:
 *
 *   spawn, task   phrases of their own ("launch a process", "crea una tarea"), before anything else
 *   mix           the text is about sound and says mix; or it says mix and then nothing, or "this", "it",
 * "esto" …: "fix the mixer schema" and "mix flour and eggs" are none audio         the text is about sound
 * otherwise browse        it says so, or holds an address and nothing else that is clear system        it
 * says so, or is little more than "status", "estado" analysis      data, or "analyse", "analiza" where
 * nothing else is clear code, chat    code; all that is left
 *
 * ops: those that the text names; of a mix that names none normalize, eq, limiter. Confidence: w / (w + a +
 * 1), w what speaks for the mode and a what speaks for others: 3 for a phrase of our own and for an address,
 * 2 for a word of our own; else task_guess's. Language: the one with more small words ("the", "el") in the
 * text. */
void intent_detect(const char *text, size_t len, struct detected *out);

void intent_on_post(struct request *r, void *module);
void intent_on_chat(struct request *r, void *module);
void intent_on_list(struct request *r, void *module);

#endif
