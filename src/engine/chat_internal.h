/* Inside of chat_format.cpp (templates) and chat_parser.cpp (answers). C++, for these two alone. */
#ifndef VX11_ENGINE_CHAT_INTERNAL_H
#define VX11_ENGINE_CHAT_INTERNAL_H

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wconversion"
#pragma GCC diagnostic ignored "-Wshadow"
#pragma GCC diagnostic ignored "-Wpedantic"
#include <llama-common/chat.h>
#include <llama-common/chat-auto-parser.h>
#include <llama-common/chat-peg-parser.h>
#include <llama-common/json-schema-to-grammar.h>
#include <llama-common/log.h>
#pragma GCC diagnostic pop

#include "engine/chat_format.h"

struct chat_rules {
    common_chat_parser_params params;
    std::string thought_end; /* "": not known */
};

#endif
