/* SPDX-License-Identifier: Apache-2.0 */
/* What the commands of clevis share: arguments, the terminal, the context that pins work in. */
#pragma once

#include "base/error.h"
#include "base/secret.h"
#include "pin/pin.h"

#include <jansson.h>
#include <stdbool.h>

/* Longest passphrase that is read, bytes: libcryptsetup's own limit for a line, and for a key file. */
enum { PASSPHRASE_LINE_MAX = 512, PASSPHRASE_FILE_MAX = 8 * 1024 * 1024 };

/*
 * Takes `--timeout SECONDS` and `--timeout=SECONDS` out of the arguments, wherever they stand before a `--`; without them
 * $CLEVIS_TIMEOUT counts, and without that 30 s. Seconds may have decimals. Returns 0; -EINVAL with `err` filled.
 */
int args_take_timeout(int *argc, char *argv[], struct error *err);

/* The time allowed from now on. */
struct deadline args_deadline(void);

/*
 * A context for pins: the time allowed from now on, the trust question on the terminal or, with `yes`, no question, and the
 * connections that this command keeps.
 */
struct pin_context args_context(bool yes, struct error *err);

/* Ends what args_context() keeps. */
void args_end(void);

/* Parses a configuration argument: a JSON object. Returns 0 with `*config` (the caller's); -EINVAL with `err` filled. */
int args_config(const char *text, json_t **config, struct error *err);

/* Parses a number from 0 on. Returns it, or -EINVAL with `err` filled; `what` names it. */
int args_number(const char *text, const char *what, struct error *err);

/*
 * Reads the passphrase that authorises: the whole file `path`; "-" or NULL: a line of standard input, prompted for and
 * without echo when that is a terminal. Returns 0 with `passphrase` (the caller's); -errno with `err` filled.
 */
int args_passphrase(const char *path, struct secret *passphrase, struct error *err);

/* Asks a yes-or-no question on the terminal. Returns 1 for yes, 0 for no; -ENOTTY with `err` filled where there is none. */
int args_confirm(const char *question, struct error *err);
