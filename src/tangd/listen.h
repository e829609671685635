/* SPDX-License-Identifier: Apache-2.0 */
/* Listening sockets of `tangd -l`. */
#pragma once

#include "base/error.h"

#include <stddef.h>

enum { LISTEN_SOCKETS_MAX = 8 };

/*
 * Opens a listening socket on each address of `host` (numeric or a name; NULL: all of IPv4 and all of IPv6) at `port`
 * ("0": the kernel chooses) and prints `Listening on ADDRESS:PORT` for each.
 * Returns how many `fds` were filled (the caller's); -errno with `err` filled, with none open.
 */
int listen_open(const char *host, const char *port, int fds[static LISTEN_SOCKETS_MAX],
		struct error *err);
