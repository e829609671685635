/* SPDX-License-Identifier: Apache-2.0 */
/* What a LUKS2 command that was cut short has left: tokens without a keyslot, and keyslots that a token's mark names. */
#include "luks/luks2.h"

/* Whether a token names the keyslot. */
static bool is_bound(struct luks_device *device, int keyslot)
{
	LUKS_BINDING_AUTO struct luks_binding binding = LUKS_BINDING_NONE;

	return luks_find(device, keyslot, &binding, NULL) == 0;
}

/* Says, by the header read again when something was waited for, whether the token of a binding is as it was. */
static bool is_still_there(struct luks_device *device, const struct luks_binding *binding)
{
	LUKS_BINDING_AUTO struct luks_binding now = LUKS_BINDING_NONE;

	return luks_reload(device, NULL) == 0 &&
	       token_read(device, binding->token, &now, NULL) == 0 && now.keyslot < 0 &&
	       now.intended == binding->intended && json_equal(now.jwe, binding->jwe);
}

/* Whether the keyslot that was intended is there, and may be ours. */
static bool is_in_doubt(struct luks_device *device, const struct luks_binding *binding)
{
	return binding->intended >= 0 && device_keyslot_in_use(device, binding->intended) &&
	       !is_bound(device, binding->intended);
}

/* Of a token without a keyslot: removes it, and the keyslot that was intended if that is of ours. */
static void remove_intended(struct luks_device *device, struct pin_context *context,
			    struct luks_binding *binding)
{
	SECRET_AUTO struct secret passphrase = {0};
	struct pin_context own = *context;
	struct error why = {0};

	own.err = &why;
	if (is_in_doubt(device, binding)) {
		if (luks_recover(binding, &own, &passphrase) < 0) {
			format_warn_left(context, device, binding->intended, why.text);
			return;
		}
		if (!is_still_there(device, binding))
			return;
	}
	/* Somebody else's that has taken the number since is not ours to touch. */
	if (!is_in_doubt(device, binding) ||
	    luks_test_passphrase(device, binding->intended, &passphrase, NULL) < 0)
		binding->intended = -1;
	(void)token_unbind(device, binding, NULL);
}

/* Removes the keyslot that a binding has left, as long as its token names it, too: killed by half or not, it is ours. */
static bool remove_left(struct luks_device *device, const struct luks_binding *binding)
{
	return crypt_token_is_assigned(device->crypt, binding->token, binding->left) != 0 ||
	       !token_may_kill(device, binding->token, binding->left) ||
	       draft_kill_keyslot(device, binding->left, NULL) == 0;
}

/*
 * Whether the keyslot that a binding replaces may go by what the marks alone say: there is none, or the passphrase opens it, or it is
 * as cheap as ours and bound by one token of ours alone.
 */
static bool may_replace(struct luks_device *device, int place, const struct secret *passphrase)
{
	LUKS_BINDING_AUTO struct luks_binding old = LUKS_BINDING_NONE;

	return !device_keyslot_in_use(device, place) ||
	       luks_test_passphrase(device, place, passphrase, NULL) >= 0 ||
	       (luks_find(device, place, &old, NULL) == 0 &&
		token_may_kill(device, old.token, place));
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
	if (rc < 0 && !token_may_kill(device, spare->token, spare->keyslot))
		return rc;
	if (rc >= 0 && !still_opens && !may_replace(device, spare->replaces, &passphrase))
		return error_set(context->err, -EBUSY,
				 "luks: %s: keyslot %d, which it was to replace, may be a "
				 "person's; remove one of them",
				 device->path, spare->replaces);
	if (rc >= 0 && !still_opens)
		return luks2_take_the_place(device, spare, &passphrase, &key, context->err);
	return token_unbind(device, spare, context->err);
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
		remove_intended(device, context, binding);
		return;
	}
	/* It was found to be ours, and to be removed. */
	if (binding->keyslot == binding->intended) {
		if (token_may_kill(device, binding->token, binding->keyslot))
			(void)token_unbind(device, binding, NULL);
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

		if (token_read(device, token, &binding, NULL) < 0)
			continue;
		tidy_token(device, context, &binding);
		/* Servers were waited for: the next must not write over what somebody has written since. */
		if (luks_reload(device, NULL) < 0)
			return;
	}
}
