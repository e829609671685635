/* SPDX-License-Identifier: Apache-2.0 */
/* What differs between LUKS1, whose bindings luksmeta keeps, and LUKS2, whose bindings are tokens. Private to luks/. */
#pragma once

#include "luks/draft.h"

/* All functions but `list` want the device's lock to be held and its header to be read under it. */
struct luks_format {
	const char *type; /* libcryptsetup's name of it */

	/* As luks_list(). */
	int (*list)(struct luks_device *device, struct luks_bindings *bindings, struct error *err);

	/* As luks_list_damaged(). */
	json_t *(*list_damaged)(struct luks_device *device);

	/*
	 * Finds where a new binding is to stand: the keyslot and the token wanted, or (-1) the first that are free. Nothing is
	 * written. Returns 0 with both in `draft`; -EINVAL, -EEXIST, -ENOSPC with `err` filled.
	 */
	int (*find_room)(struct luks_device *device, const struct luks_bind *wanted,
			 struct draft *draft, struct error *err);

	/*
	 * Writes the sealed draft in the order that survives a power cut, and proves it on the disk; what was written is undone
	 * when a step fails. Returns 0; -ENOSPC before anything is written when there is no room; -errno, `err` filled.
	 */
	int (*write)(struct luks_device *device, const struct secret *volume_key,
		     const struct draft *draft, struct error *err);

	/* As luks_rebind(). */
	int (*rebind)(struct luks_device *device, struct pin_context *context,
		      const struct luks_rebind *wanted, struct error *unproved);

	/* As luks_check_bound(). */
	int (*check_bound)(struct luks_device *device, int keyslot, struct error *err);

	/* Of what stands in token or slot of luksmeta `number`, of 0 … orphans_max() - 1; see luks_count_orphans(). */
	int (*orphans_max)(void);
	bool (*is_orphan)(struct luks_device *device, int number);
	int (*remove_orphan)(struct luks_device *device, int number, struct error *err);

	/* As luks_unbind(). */
	int (*unbind)(struct luks_device *device, int keyslot, struct error *err);

	/*
	 * Removes, finishes or takes back what a command that was cut short has left, where it can be proved to be ours: by the
	 * passphrase that the binding's JWE gives. What cannot be proved (a server that does not answer) is left alone and told
	 * to the context's `warn`. Never fails.
	 */
	void (*tidy)(struct luks_device *device, struct pin_context *context);
};

extern const struct luks_format luks1_format;
extern const struct luks_format luks2_format;

/* Tells the context's `warn` of a keyslot that a command left and that cannot be proved to be ours. */
void format_warn_left(const struct pin_context *context, const struct luks_device *device,
		      int keyslot, const char *why);

/* Says whether the binding of a keyslot is whole: its pin gives a passphrase that opens the keyslot. */
bool format_still_opens(struct luks_device *device, const struct pin_context *context, int keyslot);

/* Says with 0 or -EBUSY (and `err`) whether no rebinding of the keyslot is under way. */
int format_check_settled(struct luks_device *device, int keyslot, struct error *err);
