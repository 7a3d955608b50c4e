"""Ask a running OpenAI-compatible server fresh questions from the corpus; print the share answered
exactly, by kind.

Usage: eval.py BASE_URL [N] [TOKEN]
"""
import collections
import json
import os
import random
import sys
import urllib.request

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import corpus

WRONG_SHOWN = 12


def kind(question, answer):
    if answer in corpus.FALL_EN + corpus.FALL_ES:
        return "does not know, says so"
    if answer.isdigit():
        return "sum"
    if answer[0].isdigit():
        return "count"
    if question.startswith(("Repeat", "repeat", "Say", "Repite", "Di ")):
        return "copy"
    return "VX11 fact"


def ask(base, headers, question, system):
    messages = [{"role": "system", "content": system}] if system else []
    messages.append({"role": "user", "content": question})
    body = {"model": "vx11-guide", "messages": messages, "temperature": 0, "max_tokens": 120}
    request = urllib.request.Request(
        base + "/v1/chat/completions", json.dumps(body).encode(), headers
    )
    with urllib.request.urlopen(request, timeout=60) as reply:
        return json.load(reply)["choices"][0]["message"]["content"].strip()


def right_answers():
    """Answer -> the set that it belongs to: several answers are right for small talk."""
    return {a: set(answers) for _, answers in corpus.CHAT for a in answers}


def main():
    base, n = sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 300
    headers = {"Content-Type": "application/json"}
    if len(sys.argv) > 3:
        headers["Authorization"] = "Bearer " + sys.argv[3]
    rng = random.Random(20261122)
    words = corpus.load_words()
    right = right_answers()
    good, asked, wrong = collections.Counter(), collections.Counter(), []
    for _ in range(n):
        question, answer = corpus.exercise(rng, words)
        k = kind(question, answer)
        asked[k] += 1
        system = rng.choice(corpus.SYSTEMS) if rng.random() < 0.5 else None
        got = ask(base, headers, question, system)
        if got == answer or got in right.get(answer, ()):
            good[k] += 1
        elif len(wrong) < WRONG_SHOWN:
            wrong.append((question, answer, got))
    for k in sorted(asked):
        print(f"{k}: {good[k]}/{asked[k]}")
    print(f"all: {sum(good.values())}/{n}")
    for question, answer, got in wrong:
        print(f"  {question!r}\n    wanted {answer!r}\n    got    {got!r}")


if __name__ == "__main__":
    main()
