/* SPDX-License-Identifier: Apache-2.0 */
/* Serving one connection on standard input and output, by one process. */
#pragma once

#include "base/error.h"
#include "tangd/front.h"

/*
 * Serves the connection on stdin and stdout, a socket or a pair of pipes, until the peer closes it or SIGTERM comes.
 * Returns 0, or -errno with `err` filled.
 */
int serve_stdio(const struct front *front, struct error *err);
