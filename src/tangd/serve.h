/* SPDX-License-Identifier: Apache-2.0 */
/* The two ways tangd serves: one connection on standard input and output, or listening sockets. */
#pragma once

#include "base/error.h"
#include "tangd/front.h"

/*
 * Serves the connection on stdin and stdout, a socket or a pair of pipes, until the peer closes it or SIGTERM comes.
 * Returns 0, or -errno with `err` filled.
 */
int serve_stdio(const struct front *front, struct error *err);

/* Serves `count` listening sockets, which it owns, until SIGTERM or SIGINT. Returns 0, or -errno with `err` filled. */
int serve_sockets(const struct front *front, const int *fds, int count, struct error *err);
