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

bool token_may_kill(struct luks_device *device, int token, int keyslot)
{
	for (int other = 0; other < token_max(); other++)
		if (other != token && crypt_token_is_assigned(device->crypt, other, keyslot) == 0)
			return false;
	return draft_is_cheap(device, keyslot);
}

/* The library takes a keyslot out of the token together with its key. */
int token_unbind(struct luks_device *device, struct luks_binding *binding, struct error *err)
{
	const bool is_left = binding->left >= 0 &&
			     crypt_token_is_assigned(device->crypt, binding->token,
						     binding->left) == 0 &&
			     token_may_kill(device, binding->token, binding->left);
	int rc = 0;

	if (binding->keyslot < 0 && binding->intended >= 0) {
		binding->keyslot = binding->intended;
		rc = token_write(device, binding, err);
	}
	if (rc == 0 && is_left)
		rc = draft_kill_keyslot(device, binding->left, err);
	if (rc == 0 && binding->keyslot >= 0)
		rc = draft_kill_keyslot(device, binding->keyslot, err);
	if (rc < 0)
		return rc;
	rc = crypt_token_json_set(device->crypt, binding->token, NULL);
	return rc < 0 ? device_error(device, rc, "cannot remove the token", err) : 0;
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

/*
 * On a handle of its own: had somebody else changed the header meanwhile, ours would be refused. Only what is ours goes: the keyslot that
 * our passphrase opens, and the token.
 */
static void undo(const struct luks_device *device, const struct draft *draft)
{
	LUKS_BINDING_AUTO struct luks_binding found = LUKS_BINDING_NONE;
	struct luks_device *fresh = NULL;
	bool is_ours;

	if (luks_open(device->path, &fresh, NULL) < 0)
		return;
	is_ours = device_keyslot_in_use(fresh, draft->keyslot) &&
		  luks_test_passphrase(fresh, draft->keyslot, &draft->passphrase, NULL) >= 0;
	if (token_read(fresh, draft->token, &found, NULL) == 0) {
		if (!is_ours)
			found.intended = -1;
		if (is_ours || found.keyslot < 0)
			(void)token_unbind(fresh, &found, NULL);
	} else if (is_ours) {
		(void)draft_kill_keyslot(fresh, draft->keyslot, NULL);
	}
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
