/* SPDX-License-Identifier: Apache-2.0 */
/* Making a pair of server keys at once. */
#pragma once

#include "base/error.h"

/*
 * Makes a new pair on P-521 and puts it into service: pair_draft() and pair_publish(). That it cannot be given to the server's
 * user is a warning in the log. `signing_name` and `exchange_name` are file names without `.jwk`; NULL: their S256 thumbprints.
 * Returns 0; -EEXIST when a name is taken (nothing is overwritten), -errno with `err` filled and nothing left behind.
 */
int keygen_pair(int folder_fd, const char *signing_name, const char *exchange_name,
		struct error *err);

/* The command tangd-keygen. */
int keygen_main(int argc, char *argv[]);
