/* SPDX-License-Identifier: Apache-2.0 */
/* What a LUKS1 command that was cut short has left: a rebinding under way, and slots of luksmeta without a keyslot. */
#include "luks/luks1.h"

#include <errno.h>

int luks1_remove_spare(struct luks_device *device, int spare, const struct pending *pending,
		       struct error *err)
{
	struct keyslot_sign sign;
	int rc = luks1_read_sign(device, spare, &sign, err);

	if (rc == 0 && sign.iterations == pending->iterations && draft_is_cheap(device, spare))
		rc = draft_kill_keyslot(device, spare, err);
	return rc < 0 ? rc : metadata_wipe(device, spare, err);
}

/* Takes back what was only begun, or else goes on to the end. */
static int resume(struct luks_device *device, struct pin_context *context, int spare,
		  const struct pending *pending)
{
	SECRET_AUTO struct secret passphrase = {0};
	SECRET_AUTO struct secret key = {0};
	struct luks_binding binding = LUKS_BINDING_NONE;
	bool still_opens;
	int rc;

	binding.keyslot = spare;
	binding.jwe = pending->jwe;
	rc = luks_recover(&binding, context, &passphrase);
	still_opens = rc == 0 && format_still_opens(device, context, pending->replaces);
	if (rc == 0)
		rc = draft_look_again_at(device, NULL, &binding, context->err);
	if (rc == 0)
		rc = luks_volume_key(device, spare, &passphrase, &key, context->err);
	/* The cut killed it by half, or somebody has added one of that number since, which is left. */
	if (rc == -EPERM)
		return luks1_remove_spare(device, spare, pending, context->err);
	if (rc < 0)
		return rc;
	if (!still_opens && !luks1_may_replace(device, pending, &passphrase))
		return error_set(context->err, -EBUSY,
				 "luks: %s: keyslot %d, which it was to replace, may be a "
				 "person's; remove one of them",
				 device->path, pending->replaces);
	if (!still_opens)
		return luks1_take_the_place(device, spare, pending, &passphrase, &key,
					    context->err);
	rc = draft_kill_keyslot(device, spare, context->err);
	return rc < 0 ? rc : metadata_wipe(device, spare, context->err);
}

/* Returns the slot whose place a pending one, with a keyslot, still waits for, -1 for none. */
static int tidy_pending(struct luks_device *device, struct pin_context *context, int slot)
{
	METADATA_AUTO struct metadata found = {0};
	PENDING_AUTO struct pending pending = {0};
	struct pin_context own = *context;
	struct error why = {0};

	own.err = &why;
	if (!device_keyslot_in_use(device, slot) || metadata_read(device, slot, &found, NULL) < 0 ||
	    found.kind != METADATA_PENDING || !found.text ||
	    pending_parse(device, found.text, &pending, NULL) < 0 || pending.replaces == slot)
		return -1;
	if (resume(device, &own, slot, &pending) == 0)
		return -1;
	format_warn_left(context, device, slot, why.text);
	return pending.replaces;
}

void luks1_tidy(struct luks_device *device, struct pin_context *context)
{
	unsigned waited_for = 0; /* a bit a slot */

	if (metadata_exists(device, NULL) != 1)
		return;
	for (int slot = 0; slot < device_keyslots(device); slot++) {
		int place = tidy_pending(device, context, slot);

		if (place >= 0)
			waited_for |= 1U << place;
	}
	/* Servers were waited for: a keyslot may have been added since. */
	if (luks_reload(device, NULL) < 0)
		return;
	for (int slot = 0; slot < device_keyslots(device); slot++)
		if (!device_keyslot_in_use(device, slot) && (waited_for & 1U << slot) == 0)
			(void)metadata_wipe(device, slot, NULL);
}
