/* SPDX-License-Identifier: Apache-2.0 */
/* A new pair of server keys, one for signing and one for the exchange: both get into service, or neither. */
#pragma once

#include "base/error.h"
#include "base/file.h"

struct pair_wish {
	const char *curve;	   /* P-256, P-384 or P-521; NULL: P-521 */
	const char *signing_name;  /* file names without `.jwk`; NULL: their S256 thumbprints */
	const char *exchange_name; /* likewise */
};

struct pair {
	struct file_draft signing;
	struct file_draft exchange;
	struct error not_given; /* `code` negative: why they do not belong to the server's user */
};

/* Says whether the curve is one that keys are made on. */
bool pair_knows_curve(const char *curve);

/*
 * Makes the two keys and writes them into the folder as drafts: synced, mode 0440, given to the server's user, not in service.
 * Returns 0 with `pair`, which is to be given to pair_publish() or pair_drop(); -EINVAL for a curve or a name, -E2BIG
 * where the folder has no room for two more, -errno, with `err` filled and nothing left behind.
 */
int pair_draft(int folder_fd, const struct pair_wish *wish, struct pair *pair, struct error *err);

/*
 * Puts both into service, the exchange key first, and syncs the folder. A cut in between leaves the exchange key alone: beside
 * older keys it is one more of its sort; with none it makes the server refuse to advertise (500). A signing key alone would
 * be advertised as if all were well, and trusted, with nothing to seal to.
 * Returns 0; -EEXIST when a name is taken, -errno, with `err` filled and neither of them left behind.
 */
int pair_publish(int folder_fd, struct pair *pair, struct error *err);

void pair_drop(int folder_fd, struct pair *pair);
