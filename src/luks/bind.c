/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Adding a binding. Everything that can fail without writing comes first. Then the token, which names no keyslot yet but says
 * which one is intended; the keyslot; and the token again, now naming it. Cut short anywhere, what is left says whose it is.
 */
#include "luks/draft.h"

#include "base/file.h"
#include "luks/lock.h"
#include "luks/tidy.h"
#include "luks/token.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static int find_room(struct luks_device *device, const struct luks_bind *wanted,
		     struct draft *draft, struct error *err)
{
	int rc = draft_find_keyslot(device, wanted->keyslot, &draft->keyslot, err);

	if (rc == 0)
		rc = draft_find_token(device, wanted->token, &draft->token, err);
	return rc;
}

/*
 * On a handle of its own: had somebody else changed the header meanwhile, ours would be refused. Only what is ours goes: the
 * keyslot that our passphrase opens, and then the token, which names none any more. In this order, so that a cut leaves a
 * token that says whose the keyslot is.
 */
static void undo(const struct luks_device *device, const struct draft *draft)
{
	LUKS_BINDING_AUTO struct luks_binding found = TOKEN_NONE;
	struct luks_device *fresh = NULL;

	if (luks_open(device->path, &fresh, NULL) < 0)
		return;
	if (device_keyslot_in_use(fresh, draft->keyslot) &&
	    luks_test_passphrase(fresh, draft->keyslot, &draft->passphrase, NULL) >= 0)
		(void)crypt_keyslot_destroy(fresh->crypt, draft->keyslot);
	if (token_read(fresh, draft->token, &found, NULL) == 0 && found.keyslot < 0)
		(void)crypt_token_json_set(fresh->crypt, draft->token, NULL);
	luks_close(&fresh);
}

int draft_write(struct luks_device *device, const struct secret *volume_key,
		const struct draft *draft, int replaces, struct error *err)
{
	struct luks_binding binding = TOKEN_NONE;
	FREE_AUTO char *intent = NULL;
	FREE_AUTO char *final = NULL;
	int rc;

	binding.jwe = draft->jwe;
	binding.intended = draft->keyslot;
	intent = token_format(&binding);
	binding.intended = -1;
	binding.keyslot = draft->keyslot;
	binding.replaces = replaces;
	final = token_format(&binding);
	if (!intent || !final)
		return error_nomem(err);
	rc = token_check_room(device, final, err);
	if (rc == 0)
		rc = device_check_key(device, volume_key, err);
	if (rc < 0)
		return rc;
	rc = draft_write_token(device, draft->token, intent, err);
	if (rc == 0)
		rc = draft_write_keyslot(device, volume_key, draft->keyslot, &draft->passphrase,
					 err);
	if (rc == 0)
		rc = draft_write_token(device, draft->token, final, err);
	if (rc == 0)
		rc = draft_prove_on_disk(device, draft, final, err);
	if (rc < 0)
		undo(device, draft);
	return rc;
}

static int bind_draft(struct luks_device *device, struct pin_context *context,
		      const struct luks_bind *wanted, struct draft *draft, struct error *unproved)
{
	int rc = find_room(device, wanted, draft, context->err);

	if (rc == 0)
		rc = draft_passphrase(draft, context->err);
	if (rc == 0)
		rc = draft_seal(context, wanted->pin, wanted->config, draft, unproved);
	if (rc == 0)
		rc = draft_look_again(device, wanted->volume_key, context->err);
	if (rc == 0)
		rc = find_room(device, wanted, draft, context->err);
	return rc < 0 ? rc : draft_write(device, wanted->volume_key, draft, -1, context->err);
}

int luks_bind(struct luks_device *device, struct pin_context *context,
	      const struct luks_bind *wanted, struct error *unproved)
{
	DRAFT_AUTO struct draft draft = {0};
	FD_AUTO int lock = lock_device(device->path, context->deadline, context->err);
	int rc = lock < 0 ? lock : luks_reload(device, context->err);

	if (rc == 0 && wanted->unless_bound)
		rc = luks_check_unbound(device, wanted, context->err);
	if (rc < 0)
		return rc;
	rc = bind_draft(device, context, wanted, &draft, unproved);
	if (rc < 0 && draft.jwe)
		pin_discard(draft.jwe);
	if (rc < 0)
		return rc;
	tidy(device, context);
	return draft.keyslot;
}
