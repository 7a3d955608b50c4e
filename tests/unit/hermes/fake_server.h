/* Fake server: a program that speaks as much of OpenAI's API as an engine of hermes.engines must, well or
 * badly. A test program that begins with fake_server_asked() can be named in such an engine's command:
 *
 *   PROGRAM serve [--port N | --socket PATH] [--model FILE] [--name NAME] [--ready-ms N] [--exit-ms N]
 * [--deaf]
 *           [--answer-ms N] [--child FILE] [--say TEXT] [--quiet] [--want-env NAME] [--offers A,B]
 *
 * --ready-ms: /health is 503 until then. --exit-ms: exits with status 7. --deaf: heeds no SIGTERM. --child:
 * starts a process of its own and writes its id there. --quiet: answers requests with no token. --want-env:
 * exits with 9 unless that variable is set, and if SECRET_OF_THE_PARENT is. GET /seen tells how many requests
 * there were and what they asked for. */
#ifndef VX11_TEST_HERMES_FAKE_SERVER_H
#define VX11_TEST_HERMES_FAKE_SERVER_H

#include <stdbool.h>

bool fake_server_asked(int argc, char **argv);
int fake_server_main(int argc, char **argv);

#endif
