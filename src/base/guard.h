/* Guard: a small process between us and a program of someone else's, so that the program and all that it
 * started end when we do, even if we are killed.
 *
 *   we ──spawn, new session──> vx11 guard PARENT -- PROGRAM ARG… ──fork──> PROGRAM
 *
 * The guard ends as the program did: with its status, or by its signal. Signals to its process group reach
 * the program; the guard itself heeds only its parent's death: SIGTERM to the group, SIGKILL two seconds
 * later. */
#ifndef VX11_BASE_GUARD_H
#define VX11_BASE_GUARD_H

#define GUARD_COMMAND "guard"

/* argv: "guard", the parent's pid, "--", the program's absolute path and its arguments. Standard output of
 * the program goes where its standard error goes. Returns only when it cannot start, with an exit status. */
int guard_main(int argc, char **argv);

#endif
