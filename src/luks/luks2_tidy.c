/* SPDX-License-Identifier: Apache-2.0 */
/* What a LUKS2 command that was cut short has left: tokens without a keyslot, and keyslots that a token's mark names. */
#include "luks/luks2.h"

/* Whether a token names the keyslot. */
static bool is_bound(struct luks_device *device, int keyslot)
{
	LUKS_BINDING_AUTO struct luks_binding binding = LUKS_BINDING_NONE;

	return luks_find(device, keyslot, &binding, NULL) == 0;
}

/* Removes a keyslot that was intended, if it is of ours. Returns whether nothing is left of it. */
static bool remove_intended(struct luks_device *device, struct pin_context *context,
			    const struct luks_binding *binding)
{
	SECRET_AUTO struct secret passphrase = {0};
	struct pin_context own = *context;
	struct error why = {0};
	int keyslot = binding->intended;

	if (!device_keyslot_in_use(device, keyslot) || is_bound(device, keyslot))
		return true;
	own.err = &why;
	if (luks_recover(binding, &own, &passphrase) < 0) {
		format_warn_left(context, device, keyslot, why.text);
		return false;
	}
	/* Somebody else's that has taken the number since: not ours to touch. */
	if (luks_test_passphrase(device, keyslot, &passphrase, NULL) < 0)
		return true;
	return crypt_keyslot_destroy(device->crypt, keyslot) == 0;
}

/* Removes the keyslot that a binding has left, as long as its token names it, too: killed by half or not, it is ours. */
static bool remove_left(struct luks_device *device, const struct luks_binding *binding)
{
	return crypt_token_is_assigned(device->crypt, binding->token, binding->left) != 0 ||
	       draft_kill_keyslot(device, binding->left, NULL) == 0;
}

/* Of a binding that was to take another's place: takes back what was only begun, or else goes on to the end. */
static int resume(struct luks_device *device, struct pin_context *context,
		  struct luks_binding *spare)
{
	SECRET_AUTO struct secret passphrase = {0};
	SECRET_AUTO struct secret key = {0};
	int rc = luks_recover(spare, context, &passphrase);
	bool still_opens = rc == 0 && format_still_opens(device, context, spare->replaces);

	if (rc == 0)
		rc = draft_look_again_at(device, NULL, spare, context->err);
	if (rc == 0)
		rc = luks_volume_key(device, spare->keyslot, &passphrase, &key, context->err);
	/* A spare that does not open was killed by half: its token would not name it any more, were it somebody else's. */
	if (rc < 0 && rc != -EPERM)
		return rc;
	if (rc >= 0 && !still_opens)
		return luks2_take_the_place(device, spare, &passphrase, &key, context->err);
	rc = draft_kill_keyslot(device, spare->keyslot, context->err);
	if (rc == 0)
		(void)crypt_token_json_set(device->crypt, spare->token, NULL);
	return rc;
}

static void tidy_token(struct luks_device *device, struct pin_context *context,
		       struct luks_binding *binding)
{
	struct pin_context own = *context;
	struct error why = {0};

	own.err = &why;
	if (binding->keyslot >= 0 && binding->replaces >= 0) {
		int keyslot = binding->keyslot;

		if (resume(device, &own, binding) < 0)
			format_warn_left(context, device, keyslot, why.text);
		return;
	}
	if (binding->keyslot < 0) {
		if (binding->intended < 0 || remove_intended(device, context, binding))
			(void)crypt_token_json_set(device->crypt, binding->token, NULL);
		return;
	}
	if (binding->left < 0 || !remove_left(device, binding))
		return;
	binding->left = -1;
	(void)token_write(device, binding, NULL);
}

void luks2_tidy(struct luks_device *device, struct pin_context *context)
{
	for (int token = 0; token < token_max(); token++) {
		LUKS_BINDING_AUTO struct luks_binding binding = LUKS_BINDING_NONE;

		if (token_read(device, token, &binding, NULL) == 0)
			tidy_token(device, context, &binding);
	}
}
