/* SPDX-License-Identifier: Apache-2.0 */
/* LUKS2: bindings as tokens of type `clevis` (contract of Clevis §3). Private to the luks2 files. */
#pragma once

#include "luks/format.h"

/*
 * Reads a token. Returns 0 with `binding` (the caller's), its keyslot -1 for an orphan, which has none; -ENOENT when the
 * token is not there or of another type; -EBADMSG with `err` filled when it is damaged.
 */
int token_read(struct luks_device *device, int token, struct luks_binding *binding,
	       struct error *err);

/* As luks_list(). */
int token_list(struct luks_device *device, struct luks_bindings *bindings, struct error *err);

/* As luks_list_damaged(). */
json_t *token_list_damaged(struct luks_device *device);

/* The JSON of the binding's token, NUL-terminated, malloc'd, the caller's; NULL when out of memory. */
char *token_format(const struct luks_binding *binding);

/* How many tokens the format has: 32. */
int token_max(void);

/*
 * Says with 0 or -ENOSPC (and `err`) whether the header's JSON area has room for a new keyslot and for the token `text`.
 */
int token_check_room(struct luks_device *device, const char *text, struct error *err);

/* Writes the binding's token. Returns 0, -errno with `err` filled. */
int token_write(struct luks_device *device, const struct luks_binding *binding, struct error *err);

/*
 * Says whether a keyslot may be killed because `token` names it, though its passphrase is not at hand: it is as cheap as ours, and
 * no other token names it, of whatever type.
 */
bool token_may_kill(struct luks_device *device, int token, int keyslot);

/*
 * Removes a binding that is known to be ours: the keyslots that its token names, and then the token. One whose keyslot was only intended
 * must be proved to be ours first; its token then names it, so that a cut in the middle of killing it leaves no doubt. Returns 0,
 * -errno with `err` filled.
 */
int token_unbind(struct luks_device *device, struct luks_binding *binding, struct error *err);

/*
 * Proof on the disk, read afresh: the token reads as it would be written, and the passphrase opens the keyslot. Returns 0; -EIO,
 * -EPERM, … with `err` filled.
 */
int token_prove(const struct luks_device *device, const struct luks_binding *binding,
		const struct secret *passphrase, struct error *err);

/*
 * Goes on with a rebinding whose new binding `now` is proved, in a keyslot of its own: it takes the place of the one that it
 * replaces. What is done already is left as it is. Returns 0; -EBUSY when somebody has taken the place since, -errno; `err`.
 */
int luks2_take_the_place(struct luks_device *device, struct luks_binding *now,
			 const struct secret *passphrase, const struct secret *volume_key,
			 struct error *err);

/* The functions of luks2_format that have files of their own. */
int luks2_write(struct luks_device *device, const struct secret *volume_key,
		const struct draft *draft, struct error *err);
int luks2_rebind(struct luks_device *device, struct pin_context *context,
		 const struct luks_rebind *wanted, struct error *unproved);
void luks2_tidy(struct luks_device *device, struct pin_context *context);
