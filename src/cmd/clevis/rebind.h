/* SPDX-License-Identifier: Apache-2.0 */
/* Binding a slot anew: what `luks regen`, `luks edit` and `luks report -r` have in common. */
#pragma once

#include "base/error.h"
#include "luks/luks.h"

#include <jansson.h>
#include <stdbool.h>

struct rebinding {
	const char *device;
	int slot;
	bool quiet;    /* nobody is asked anything, about trust either */
	bool yes;      /* keys that nothing vouches for are trusted */
	bool unproved; /* go on though the servers do not answer */
};

/* The binding of a slot as it is now. `config` is whole, trust included. */
struct bound {
	char pin[PIN_NAME_MAX];
	json_t *jwe;
	json_t *config; /* NULL for a pin that only its own program knows */
};

void bound_free(struct bound *bound);

/* Reads it. Returns 0 with `bound` (the caller's); -ENOENT when the slot has none, with `err` filled, …. */
int rebind_read(const struct rebinding *rebinding, struct bound *bound, struct error *err);

/* Prints `Pin: PIN, Config: 'CONFIG'`, as `luks list` shows it. */
void rebind_print(const struct bound *bound);

/* Asks on standard input. Returns 1 for yes, 0 for no, -ENODATA at the end of the input. */
int rebind_ask(const char *question);

/*
 * Binds the slot anew by `config`, trusting what `bound` trusted. The volume key comes from any binding that opens, or a
 * passphrase is asked for. What is left to say is said as a warning. Returns 0, negative with `err` filled.
 */
int rebind_apply(const struct rebinding *rebinding, const struct bound *bound, json_t *config,
		 struct error *err);

/* The whole of `luks regen`: prints, asks unless quiet, binds anew. Returns 0, also for a no; negative with `err` filled. */
int luks_regen(const struct rebinding *rebinding, struct error *err);
