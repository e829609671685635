/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Giving a LUKS1 binding a new passphrase in its own slot N, so that a power cut between any two writes leaves a device that still
 * opens by itself (T is a slot that is free):
 *
 *   1. slot T of luksmeta, as pending: the new JWE, "replaces N", the salt of keyslot N, and how many iterations keyslot T is to
 *      have; then keyslot T; proved
 *   2. slot N of luksmeta gets the new JWE: it is emptied and written, or, where that does not fit, put back
 *   3. keyslot N is killed, and added again with the new passphrase; proved
 *   4. keyslot T is killed, and slot T of luksmeta emptied
 *
 * From 1 to 4 T opens. Whoever comes after a cut finds the pending slot, and the passphrase in its JWE proves keyslot T to be ours.
 */
#include "luks/luks1.h"

#include "base/file.h"
#include "jose/jose.h"

#include <errno.h>
#include <stdio.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

/* Slot 6 of the header stands across two sectors: one cut may leave half of it. It comes last. */
static const int slots_in_order[] = {0, 1, 2, 3, 4, 5, 7, 6};

static int find_spare(struct luks_device *device, int *slot)
{
	const struct luks_bind anywhere = {.keyslot = -1, .token = -1};
	struct draft draft = DRAFT_NONE;

	for (size_t i = 0; i < sizeof(slots_in_order) / sizeof(*slots_in_order); i++) {
		struct luks_bind wanted = anywhere;

		wanted.keyslot = slots_in_order[i];
		if (luks1_format.find_room(device, &wanted, &draft, NULL) == 0) {
			*slot = draft.keyslot;
			return 0;
		}
	}
	return -ENOSPC;
}

static int no_spare(struct luks_device *device, struct error *err)
{
	return error_set(err, -ENOSPC,
			 "luks: %s: all %d keyslots are in use, and LUKS1 needs a free one to bind "
			 "anew; remove one with 'clevis luks unbind' or 'cryptsetup luksKillSlot'",
			 device->path, device_keyslots(device));
}

/* Step 2. */
static int move_metadata(struct luks_device *device, int place, const char *text, struct error *err)
{
	METADATA_AUTO struct metadata old = {0};
	int rc = metadata_read(device, place, &old, err);

	if (rc < 0 || (old.kind == METADATA_BOUND && old.text && strcmp(old.text, text) == 0))
		return rc;
	if (old.kind == METADATA_FOREIGN)
		return error_set(err, -EBUSY,
				 "luks: %s: somebody else keeps something in luksmeta's slot %d",
				 device->path, place);
	rc = metadata_wipe(device, place, err);
	if (rc == 0)
		rc = metadata_write(device, place, METADATA_BOUND, text, err);
	if (rc < 0 && old.text)
		(void)metadata_write(device, place, old.kind, old.text, NULL);
	return rc;
}

/* A keyslot of another salt than the one that was to go is somebody's who has added it since: its metadata, too, is not ours to touch. */
static int check_place(struct luks_device *device, const struct pending *pending,
		       const struct secret *passphrase, struct error *err)
{
	struct keyslot_sign sign;
	int place = pending->replaces;
	int rc;

	if (!device_keyslot_in_use(device, place) ||
	    luks_test_passphrase(device, place, passphrase, NULL) >= 0)
		return 0;
	rc = luks1_read_sign(device, place, &sign, err);
	if (rc == 0 && memcmp(sign.salt, pending->salt, SALT_SIZE) != 0)
		rc = error_set(err, -EBUSY, "luks: %s: keyslot %d is in use by something else",
			       device->path, place);
	return rc;
}

bool luks1_may_replace(struct luks_device *device, const struct pending *pending,
		       const struct secret *passphrase)
{
	int place = pending->replaces;

	return !device_keyslot_in_use(device, place) || draft_is_cheap(device, place) ||
	       luks_test_passphrase(device, place, passphrase, NULL) >= 0;
}

/* Step 3. */
static int move_keyslot(struct luks_device *device, const struct pending *pending,
			const struct secret *passphrase, const struct secret *volume_key,
			struct error *err)
{
	int place = pending->replaces;
	int rc;

	if (device_keyslot_in_use(device, place) &&
	    luks_test_passphrase(device, place, passphrase, NULL) >= 0)
		return 0;
	rc = draft_kill_keyslot(device, place, err);
	return rc < 0 ? rc
		      : draft_write_keyslot(device, volume_key, place, DRAFT_ITERATIONS, passphrase,
					    err);
}

int luks1_take_the_place(struct luks_device *device, int spare, const struct pending *pending,
			 const struct secret *passphrase, const struct secret *volume_key,
			 struct error *err)
{
	FREE_AUTO char *text = NULL;
	int rc = jose_jwe_format_compact(pending->jwe, &text, err);

	if (rc == 0)
		rc = check_place(device, pending, passphrase, err);
	if (rc == 0)
		rc = move_metadata(device, pending->replaces, text, err);
	if (rc == 0)
		rc = move_keyslot(device, pending, passphrase, volume_key, err);
	if (rc == 0)
		rc = luks1_prove(device, pending->replaces, METADATA_BOUND, text, passphrase, err);
	if (rc == 0)
		rc = draft_kill_keyslot(device, spare, err);
	return rc < 0 ? rc : metadata_wipe(device, spare, err);
}

/* Draws the spare's iterations, and reads the salt of the keyslot that is to go. */
static int sign_spare(const struct luks_device *device, struct draft *draft,
		      struct pending *pending, struct error *err)
{
	struct keyslot_sign old;
	uint16_t drawn;

	if (getrandom(&drawn, sizeof(drawn), 0) != (ssize_t)sizeof(drawn))
		return error_set(err, -EIO, "no random numbers to be had: %s", strerror(errno));
	draft->iterations = DRAFT_ITERATIONS + 1U + drawn % DRAFT_SPARE_ITERATIONS;
	pending->iterations = draft->iterations;
	if (luks1_read_sign(device, draft->replaces, &old, err) < 0)
		return -EIO;
	memcpy(pending->salt, old.salt, SALT_SIZE);
	return 0;
}

/* Steps 1 to 4. */
static int replace(struct luks_device *device, struct pin_context *context,
		   const struct luks_rebind *wanted, const struct luks_binding *old,
		   struct draft *draft, struct error *unproved)
{
	struct pending pending = {.replaces = wanted->keyslot};
	int rc = draft_passphrase(draft, context->err);

	if (rc == 0)
		rc = draft_seal(context, wanted->pin, wanted->config, draft, unproved);
	if (rc == 0 && unproved->code < 0 && !wanted->unproved)
		rc = error_set(context->err, unproved->code, "%s", unproved->text);
	if (rc == 0)
		rc = draft_look_again_at(device, wanted->volume_key, old, context->err);
	if (rc == 0 && find_spare(device, &draft->keyslot) < 0)
		rc = no_spare(device, context->err);
	if (rc == 0)
		rc = sign_spare(device, draft, &pending, context->err);
	if (rc == 0)
		rc = luks1_write(device, wanted->volume_key, draft, context->err);
	if (rc < 0) {
		if (draft->jwe)
			pin_discard(draft->jwe);
		return rc;
	}
	pending.jwe = draft->jwe;
	rc = luks1_take_the_place(device, draft->keyslot, &pending, &draft->passphrase,
				  wanted->volume_key, context->err);
	/* Where nothing was taken from the old binding yet, it stays as it was. */
	if (rc == -ENOSPC)
		luks1_tidy(device, context);
	return rc;
}

int luks1_rebind(struct luks_device *device, struct pin_context *context,
		 const struct luks_rebind *wanted, struct error *unproved)
{
	LUKS_BINDING_AUTO struct luks_binding old = LUKS_BINDING_NONE;
	DRAFT_AUTO struct draft draft = DRAFT_NONE;
	int rc;

	luks1_tidy(device, context);
	rc = luks_find(device, wanted->keyslot, &old, context->err);
	if (rc == 0)
		rc = format_check_settled(device, wanted->keyslot, context->err);
	if (rc < 0)
		return rc;
	draft.replaces = wanted->keyslot;
	return find_spare(device, &draft.keyslot) < 0
		       ? no_spare(device, context->err)
		       : replace(device, context, wanted, &old, &draft, unproved);
}
