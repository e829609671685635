/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Writing a binding: the token first, which names no keyslot yet but says which one is intended; then the keyslot; and the token
 * again, now naming it. Cut short anywhere, what is left says whose it is.
 */
#include "luks/luks2.h"

#include "base/file.h"

#include <errno.h>
#include <string.h>

int token_write(struct luks_device *device, const struct luks_binding *binding, struct error *err)
{
	FREE_AUTO char *text = token_format(binding);
	int rc;

	if (!text)
		return error_nomem(err);
	rc = crypt_token_json_set(device->crypt, binding->token, text);
	return rc < 0 ? device_error(device, rc, "cannot write the token", err) : 0;
}

int token_prove(const struct luks_device *device, const struct luks_binding *binding,
		const struct secret *passphrase, struct error *err)
{
	LUKS_BINDING_AUTO struct luks_binding found = LUKS_BINDING_NONE;
	struct luks_device *fresh = NULL;
	FREE_AUTO char *wanted = token_format(binding);
	FREE_AUTO char *read = NULL;
	int rc = luks_open(device->path, &fresh, err);

	if (rc == 0)
		rc = luks_find(fresh, binding->keyslot, &found, err);
	if (rc == 0)
		read = token_format(&found);
	if (rc == 0 &&
	    (!read || !wanted || found.token != binding->token || strcmp(read, wanted) != 0))
		rc = error_set(err, -EIO, "luks: %s: the token reads back differently than written",
			       device->path);
	if (rc == 0)
		rc = luks_test_passphrase(fresh, binding->keyslot, passphrase, err);
	luks_close(&fresh);
	return rc < 0 ? rc : 0;
}

/* The keyslot, and then the token, which names none any more. In this order, so that a cut leaves a token that says whose the keyslot is. */
static void undo(const struct luks_device *device, const struct draft *draft)
{
	LUKS_BINDING_AUTO struct luks_binding found = LUKS_BINDING_NONE;
	struct luks_device *fresh = draft_undo_keyslot(device, draft);

	if (!fresh)
		return;
	if (token_read(fresh, draft->token, &found, NULL) == 0 && found.keyslot < 0)
		(void)crypt_token_json_set(fresh->crypt, draft->token, NULL);
	luks_close(&fresh);
}

int luks2_write(struct luks_device *device, const struct secret *volume_key,
		const struct draft *draft, struct error *err)
{
	struct luks_binding intent = LUKS_BINDING_NONE;
	struct luks_binding final = LUKS_BINDING_NONE;
	FREE_AUTO char *text = NULL;
	int rc;

	final.jwe = intent.jwe = draft->jwe;
	final.token = intent.token = draft->token;
	final.keyslot = intent.intended = draft->keyslot;
	final.replaces = draft->replaces;
	text = token_format(&final);
	rc = text ? token_check_room(device, text, err) : error_nomem(err);
	if (rc < 0)
		return rc;
	rc = token_write(device, &intent, err);
	if (rc == 0)
		rc = draft_write_keyslot(device, volume_key, draft->keyslot, draft->iterations,
					 &draft->passphrase, err);
	if (rc == 0)
		rc = token_write(device, &final, err);
	if (rc == 0)
		rc = token_prove(device, &final, &draft->passphrase, err);
	if (rc < 0)
		undo(device, draft);
	return rc;
}
