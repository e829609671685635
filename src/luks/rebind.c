/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Giving a binding a new passphrase, sealed to new keys or by another configuration, in its own keyslot N, so that a power cut
 * between any two writes leaves a device that still opens by itself (T is a keyslot that is free):
 *
 *   1. T with the new passphrase, bound, marked "replaces N", and proved; the old binding still works
 *   2. keyslot N is killed, and the token that named it goes
 *   3. N again, with the same new passphrase
 *   4. the token moves from T to N, marked "left T": one atomic update; proved
 *   5. T is killed, and the mark goes
 *
 * Whoever comes after a cut finds the marks, and the passphrase in the token's JWE, which proves whose the keyslots are.
 */
#include "luks/draft.h"

#include "base/file.h"
#include "luks/lock.h"
#include "luks/tidy.h"
#include "luks/token.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static int write_binding(struct luks_device *device, const struct luks_binding *binding,
			 struct error *err)
{
	FREE_AUTO char *text = token_format(binding);

	return text ? draft_write_token(device, binding->token, text, err) : error_nomem(err);
}

static int prove(struct luks_device *device, const struct luks_binding *binding,
		 const struct secret *passphrase, struct error *err)
{
	FREE_AUTO char *text = token_format(binding);
	const struct draft draft = {*passphrase, binding->jwe, binding->keyslot, binding->token};

	return text ? draft_prove_on_disk(device, &draft, text, err) : error_nomem(err);
}

static int kill_keyslot(struct luks_device *device, int keyslot, struct error *err)
{
	int rc = device_keyslot_in_use(device, keyslot)
			 ? crypt_keyslot_destroy(device->crypt, keyslot)
			 : 0;

	return rc < 0 ? device_error(device, rc, "cannot remove the keyslot", err) : 0;
}

/* Step 2. The token is killed after its keyslot: a cut between leaves one without a keyslot, which says nothing false. */
static int remove_old(struct luks_device *device, int keyslot, struct error *err)
{
	LUKS_BINDING_AUTO struct luks_binding old = TOKEN_NONE;
	int rc = luks_find(device, keyslot, &old, NULL);

	if (rc < 0) /* a keyslot that no token names: not the one we were to replace */
		return error_set(err, -EBUSY, "luks: %s: keyslot %d is in use by something else",
				 device->path, keyslot);
	rc = kill_keyslot(device, keyslot, err);
	if (rc == 0 && crypt_token_json_set(device->crypt, old.token, NULL) < 0)
		rc = device_error(device, -EIO, "cannot remove the token", err);
	return rc;
}

/* Steps 2 to 5, or those of them that are not done yet. `now` is the new binding, in T. */
static int take_the_place(struct luks_device *device, struct luks_binding *now,
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
			rc = draft_write_keyslot(device, volume_key, place, passphrase, err);
	}
	if (rc < 0)
		return rc;
	now->left = now->keyslot;
	now->keyslot = place;
	now->replaces = -1;
	rc = write_binding(device, now, err);
	if (rc == 0)
		rc = prove(device, now, passphrase, err);
	if (rc == 0)
		rc = kill_keyslot(device, now->left, err);
	now->left = -1;
	return rc < 0 ? rc : write_binding(device, now, err);
}

/* No room for a second binding beside the old one: the same passphrase, sealed anew; one atomic update of its token. */
static int rewrap(struct luks_device *device, struct pin_context *context,
		  const struct luks_rebind *wanted, struct luks_binding *old,
		  struct error *unproved)
{
	DRAFT_AUTO struct draft draft = {.keyslot = old->keyslot, .token = old->token};
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
	rc = write_binding(device, &now, context->err);
	if (rc < 0)
		return rc;
	rc = prove(device, &now, &draft.passphrase, context->err);
	if (rc < 0)
		(void)write_binding(device, old, NULL);
	return rc;
}

/* A binding that a command before us made to take the keyslot's place, and did not come to do. */
static bool find_unfinished(struct luks_device *device, int keyslot, struct luks_binding *found)
{
	for (int token = 0; token < token_max(); token++) {
		if (token_read(device, token, found, NULL) < 0)
			continue;
		if (found->keyslot >= 0 && found->replaces == keyslot)
			return true;
		luks_binding_free(found);
		*found = TOKEN_NONE;
	}
	return false;
}

/* Goes on where it was cut short; its own passphrase proves that it is what its mark says. */
static int finish(struct luks_device *device, struct pin_context *context,
		  const struct luks_rebind *wanted, struct luks_binding *unfinished)
{
	SECRET_AUTO struct secret passphrase = {0};
	int rc = luks_recover(unfinished, context, &passphrase);

	if (rc == 0)
		rc = draft_look_again_at(device, wanted->volume_key, unfinished, context->err);
	if (rc == 0)
		rc = luks_test_passphrase(device, unfinished->keyslot, &passphrase, context->err);
	return rc < 0 ? rc
		      : take_the_place(device, unfinished, &passphrase, wanted->volume_key,
				       context->err);
}

static int find_room(struct luks_device *device, struct draft *draft, struct error *full)
{
	int rc = draft_find_keyslot(device, -1, &draft->keyslot, full);

	return rc < 0 ? rc : draft_find_token(device, -1, &draft->token, full);
}

/* Steps 1 to 5. Returns 1 when there is no room for step 1, before anything is written. */
static int replace(struct luks_device *device, struct pin_context *context,
		   const struct luks_rebind *wanted, const struct luks_binding *old,
		   struct error *unproved)
{
	DRAFT_AUTO struct draft draft = {0};
	LUKS_BINDING_AUTO struct luks_binding now = TOKEN_NONE;
	struct error full = {0};
	int rc = find_room(device, &draft, &full);

	if (rc == -ENOSPC)
		return 1;
	rc = draft_passphrase(&draft, context->err);
	if (rc == 0)
		rc = draft_seal(context, wanted->pin, wanted->config, &draft, unproved);
	if (rc == 0 && unproved->code < 0 && !wanted->unproved)
		rc = error_set(context->err, unproved->code, "%s", unproved->text);
	if (rc == 0)
		rc = draft_look_again_at(device, wanted->volume_key, old, context->err);
	if (rc == 0) {
		rc = find_room(device, &draft, &full);
		if (rc == 0)
			rc = draft_write(device, wanted->volume_key, &draft, wanted->keyslot,
					 &full);
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
	return take_the_place(device, &now, &draft.passphrase, wanted->volume_key, context->err);
}

static int rebind(struct luks_device *device, struct pin_context *context,
		  const struct luks_rebind *wanted, struct error *unproved)
{
	LUKS_BINDING_AUTO struct luks_binding old = TOKEN_NONE;
	LUKS_BINDING_AUTO struct luks_binding unfinished = TOKEN_NONE;
	int rc = device_check_key(device, wanted->volume_key, context->err);

	if (rc < 0)
		return rc;
	if (find_unfinished(device, wanted->keyslot, &unfinished)) {
		rc = finish(device, context, wanted, &unfinished);
		if (rc < 0)
			return rc;
	}
	/* The old token goes, and with it the marks that only it bears. */
	tidy(device, context);
	rc = luks_find(device, wanted->keyslot, &old, context->err);
	if (rc == 0 && old.left >= 0)
		rc = error_set(context->err, -EBUSY,
			       "luks: %s: keyslot %d was left by a command that was cut short; try "
			       "again when the binding's servers answer",
			       device->path, old.left);
	if (rc == 0)
		rc = replace(device, context, wanted, &old, unproved);
	if (rc <= 0)
		return rc;
	rc = rewrap(device, context, wanted, &old, unproved);
	return rc < 0 ? rc : LUKS_REWRAPPED;
}

int luks_rebind(struct luks_device *device, struct pin_context *context,
		const struct luks_rebind *wanted, struct error *unproved)
{
	FD_AUTO int lock = lock_device(device->path, context->deadline, context->err);
	int rc = lock < 0 ? lock : luks_reload(device, context->err);

	if (rc == 0)
		rc = rebind(device, context, wanted, unproved);
	if (rc >= 0)
		tidy(device, context);
	return rc;
}
