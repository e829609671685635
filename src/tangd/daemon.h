/* SPDX-License-Identifier: Apache-2.0 */
/* `tangd -l`: what is done once, by whoever has started it, before the server runs as who it shall be. */
#pragma once

#include "base/error.h"
#include "tangd/options.h"

enum { EXIT_CANNOT_LISTEN = 255 };

/*
 * Opens the sockets, reads the TLS files, leaves root, and serves until SIGTERM or SIGINT. Returns the exit status: 0; with `err` filled,
 * EXIT_CANNOT_LISTEN or 1.
 */
int daemon_run(const struct options *options, struct error *err);
