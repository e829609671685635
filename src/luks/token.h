/* SPDX-License-Identifier: Apache-2.0 */
/* Tokens of type `clevis` in a LUKS2 header (contract of Clevis §3). Private to luks/. */
#pragma once

#include "luks/device.h"

/*
 * Reads a token. Returns 0 with `binding` (the caller's), its keyslot -1 for an orphan, which has none; -ENOENT when the
 * token is not there or of another type; -EBADMSG with `err` filled when it is damaged.
 */
int token_read(struct luks_device *device, int token, struct luks_binding *binding,
	       struct error *err);

/* A binding without keyslot, token, JWE and marks. */
#define TOKEN_NONE ((struct luks_binding){-1, -1, NULL, -1, -1, -1})

/* The JSON of the binding's token, NUL-terminated, malloc'd, the caller's; NULL when out of memory. */
char *token_format(const struct luks_binding *binding);

/* How many tokens the format has: 32. */
int token_max(void);

/*
 * Says with 0 or -ENOSPC (and `err`) whether the header's JSON area has room for a new keyslot and for the token `text`.
 */
int token_check_room(struct luks_device *device, const char *text, struct error *err);
