/* SPDX-License-Identifier: Apache-2.0 */
/* Making a pair of server keys: one signing key (ES512), one exchange key (ECMR on P-521). */
#pragma once

#include "base/error.h"

/*
 * Writes a new pair into the folder, whole files of mode 0440 (or none: a failure removes what was written).
 * `signing_name` and `exchange_name` are file names without `.jwk`; NULL: their S256 thumbprints.
 * Returns 0; -EEXIST when a name is taken (nothing is overwritten), -errno with `err` filled.
 */
int keygen_pair(int folder_fd, const char *signing_name, const char *exchange_name,
		struct error *err);

/* The command tangd-keygen. */
int keygen_main(int argc, char *argv[]);
