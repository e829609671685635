/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the service manager hands us, and what we tell it: sd_listen_fds(3) and sd_notify(3), by their protocols, which are an environment
 * and a datagram; the library would be a third of the server.
 */
#pragma once

#include "base/error.h"
#include "tangd/listen.h"

/*
 * Closes what this process has inherited and was not handed, but for descriptors 0 to 2: root's files are not for those that read the
 * network. To be called before anything is opened.
 */
void manager_close_others(void);

/*
 * Takes the listening sockets that were handed to this process, if any, and keeps them from programs that it starts. Returns how many
 * `fds` were filled (the caller's); -E2BIG, -ENOTSOCK with `err` filled.
 */
int manager_sockets(int fds[static LISTEN_SOCKETS_MAX], struct error *err);

/* Tells the manager, if there is one: "READY=1", "STOPPING=1", "WATCHDOG=1", "STATUS=…". Nothing is waited for. */
void manager_tell(const char *text);

/* How often it wants to hear WATCHDOG=1, milliseconds, with half of its time to spare; 0: it does not. */
int manager_watchdog_ms(void);
