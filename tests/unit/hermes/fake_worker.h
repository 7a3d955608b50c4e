/* A stand-in for vx11-engine, for tests: it speaks the real contract over a real socket and loads nothing.
 * The test program runs itself again as this; how it behaves is the beginning of --name. */
#ifndef VX11_TEST_HERMES_FAKE_WORKER_H
#define VX11_TEST_HERMES_FAKE_WORKER_H

#include <stdbool.h>

/* Whether this process was started as a worker. */
bool fake_worker_asked(int argc, char **argv);
/*   ok…       ready at once                       slow…   loads for 400 ms, with progress
 *   fail…     exits 3 while loading, with a reason on fd 3
 *   mumble…   exits 1 with a last line on stderr   hang…   never listens
 *   busy…     ready, and always has a request      deaf…   ready, ignores SIGTERM
 *   mute…     ready, then never answers again (it stops itself)
 *   starved…  fails for want of memory: it says that it needs a petabyte
 *   work…     ready at once; busy for 200 ms after each request   …large…  says that it needs 100 MiB
 *   clean…    as ok, but exits 9 when its environment is not clean */
int fake_worker_main(int argc, char **argv);

#endif
