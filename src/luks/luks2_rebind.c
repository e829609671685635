/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Giving a binding a new passphrase, sealed to new keys or by another configuration, in its own keyslot N, so that a power cut
 * between any two writes leaves a device that still opens by itself (T is a keyslot that is free):
 *
 *   1. T with the new passphrase, bound, marked "replaces N", and proved; the old binding still works
 *   2. keyslot N is killed, and the token that named it goes
 *   3. N again, with the same new passphrase
 *   4. the token moves from T to N, names T as well and is marked "left T": one atomic update; proved
 *   5. T is killed, which takes it out of the token, and the mark goes
 *
 * Whoever comes after a cut finds the marks; that the token names a keyslot, or that the passphrase in its JWE opens it, proves
 * whose that is.
 */
#include "luks/luks2.h"

#include <errno.h>

/* Step 2. The token is killed after its keyslot: a cut between leaves one without a keyslot, which says nothing false. */
static int remove_old(struct luks_device *device, int keyslot, struct error *err)
{
	LUKS_BINDING_AUTO struct luks_binding old = LUKS_BINDING_NONE;
	int rc = luks_find(device, keyslot, &old, NULL);

	if (rc < 0) /* a keyslot that no token names: not the one we were to replace */
		return error_set(err, -EBUSY, "luks: %s: keyslot %d is in use by something else",
				 device->path, keyslot);
	rc = draft_kill_keyslot(device, keyslot, err);
	if (rc == 0 && crypt_token_json_set(device->crypt, old.token, NULL) < 0)
		rc = device_error(device, -EIO, "cannot remove the token", err);
	return rc;
}

/* Steps 2 to 5, or those of them that are not done yet. `now` is the new binding, in T. */
int luks2_take_the_place(struct luks_device *device, struct luks_binding *now,
			 const struct secret *passphrase, const struct secret *volume_key,
			 struct error *err)
{
	int place = now->replaces;
	int rc = 0;

	if (!device_keyslot_in_use(device, place) ||
	    luks_test_passphrase(device, place, passphrase, NULL) < 0) {
		if (device_keyslot_in_use(device, place))
			rc = remove_old(device, place, err);
		if (rc == 0)
			rc = draft_write_keyslot(device, volume_key, place, DRAFT_ITERATIONS,
						 passphrase, err);
	}
	if (rc < 0)
		return rc;
	now->left = now->keyslot;
	now->keyslot = place;
	now->replaces = -1;
	rc = token_write(device, now, err);
	if (rc == 0)
		rc = token_prove(device, now, passphrase, err);
	if (rc == 0)
		rc = draft_kill_keyslot(device, now->left, err);
	now->left = -1;
	return rc < 0 ? rc : token_write(device, now, err);
}

/* No room for a second binding beside the old one: the same passphrase, sealed anew; one atomic update of its token. */
static int rewrap(struct luks_device *device, struct pin_context *context,
		  const struct luks_rebind *wanted, struct luks_binding *old,
		  struct error *unproved)
{
	DRAFT_AUTO struct draft draft = DRAFT_NONE;
	struct luks_binding now = *old;
	int rc = luks_recover(old, context, &draft.passphrase);

	if (rc == 0)
		rc = luks_test_passphrase(device, old->keyslot, &draft.passphrase, context->err);
	if (rc >= 0)
		rc = draft_seal(context, wanted->pin, wanted->config, &draft, unproved);
	if (rc == 0 && unproved->code < 0 && !wanted->unproved)
		rc = error_set(context->err, unproved->code, "%s", unproved->text);
	if (rc == 0)
		rc = draft_look_again_at(device, wanted->volume_key, old, context->err);
	if (rc < 0)
		return rc;
	now.jwe = draft.jwe;
	rc = token_write(device, &now, context->err);
	if (rc < 0)
		return rc;
	rc = token_prove(device, &now, &draft.passphrase, context->err);
	if (rc < 0)
		(void)token_write(device, old, NULL);
	return rc;
}

/* Steps 1 to 5. Returns 1 when there is no room for step 1, before anything is written. */
static int replace(struct luks_device *device, struct pin_context *context,
		   const struct luks_rebind *wanted, const struct luks_binding *old,
		   struct error *unproved)
{
	const struct luks_bind anywhere = {.keyslot = -1, .token = -1};
	DRAFT_AUTO struct draft draft = DRAFT_NONE;
	LUKS_BINDING_AUTO struct luks_binding now = LUKS_BINDING_NONE;
	struct error full = {0};
	int rc = luks2_format.find_room(device, &anywhere, &draft, &full);

	if (rc == -ENOSPC)
		return 1;
	draft.replaces = wanted->keyslot;
	rc = draft_passphrase(&draft, context->err);
	if (rc == 0)
		rc = draft_seal(context, wanted->pin, wanted->config, &draft, unproved);
	if (rc == 0 && unproved->code < 0 && !wanted->unproved)
		rc = error_set(context->err, unproved->code, "%s", unproved->text);
	if (rc == 0)
		rc = draft_look_again_at(device, wanted->volume_key, old, context->err);
	if (rc == 0) {
		rc = luks2_format.find_room(device, &anywhere, &draft, &full);
		if (rc == 0)
			rc = luks2_write(device, wanted->volume_key, &draft, &full);
		if (rc < 0 && rc != -ENOSPC)
			(void)error_set(context->err, rc, "%s", full.text);
	}
	if (rc < 0 && draft.jwe)
		pin_discard(draft.jwe);
	if (rc < 0)
		return rc == -ENOSPC ? 1 : rc;
	now.jwe = json_incref(draft.jwe);
	now.keyslot = draft.keyslot;
	now.token = draft.token;
	now.replaces = wanted->keyslot;
	return luks2_take_the_place(device, &now, &draft.passphrase, wanted->volume_key,
				    context->err);
}

int luks2_rebind(struct luks_device *device, struct pin_context *context,
		 const struct luks_rebind *wanted, struct error *unproved)
{
	LUKS_BINDING_AUTO struct luks_binding old = LUKS_BINDING_NONE;
	int rc;

	luks2_tidy(device, context);
	rc = luks_find(device, wanted->keyslot, &old, context->err);
	if (rc == 0)
		rc = format_check_settled(device, wanted->keyslot, context->err);
	if (rc == 0)
		rc = replace(device, context, wanted, &old, unproved);
	if (rc <= 0)
		return rc;
	rc = rewrap(device, context, wanted, &old, unproved);
	return rc < 0 ? rc : LUKS_REWRAPPED;
}
