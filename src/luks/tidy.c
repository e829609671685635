/* SPDX-License-Identifier: Apache-2.0 */
#include "luks/tidy.h"

#include "base/file.h"
#include "luks/draft.h"
#include "luks/token.h"

#include <errno.h>
#include <stdio.h>

static void warn(struct pin_context *context, const struct luks_device *device, int keyslot,
		 const char *why)
{
	char text[ERROR_TEXT_MAX];

	(void)snprintf(
		text, sizeof(text),
		"%.200s: keyslot %d was left by a command that was cut short, and is kept: %.700s",
		device->path, keyslot, why);
	if (context->warn)
		context->warn(text);
}

/* Whether a token names the keyslot. */
static bool is_bound(struct luks_device *device, int keyslot)
{
	LUKS_BINDING_AUTO struct luks_binding binding = TOKEN_NONE;

	return luks_find(device, keyslot, &binding, NULL) == 0;
}

/* Removes a keyslot that a mark names, if it is of ours. Returns whether nothing is left of it. */
static bool remove_left(struct luks_device *device, struct pin_context *context,
			const struct luks_binding *binding, int keyslot)
{
	SECRET_AUTO struct secret passphrase = {0};
	struct pin_context own = *context;
	struct error why = {0};

	if (!device_keyslot_in_use(device, keyslot) || is_bound(device, keyslot))
		return true;
	own.err = &why;
	if (luks_recover(binding, &own, &passphrase) < 0) {
		warn(context, device, keyslot, why.text);
		return false;
	}
	if (!tidy_is_still_there(device, binding))
		return false;
	if (!device_keyslot_in_use(device, keyslot) || is_bound(device, keyslot))
		return true;
	/* Somebody else's that has taken the number since: not ours to touch. */
	if (luks_test_passphrase(device, keyslot, &passphrase, NULL) < 0)
		return true;
	return crypt_keyslot_destroy(device->crypt, keyslot) == 0;
}

static void tidy_token(struct luks_device *device, struct pin_context *context,
		       struct luks_binding *binding)
{
	FREE_AUTO char *text = NULL;

	if (binding->keyslot < 0) {
		if (binding->intended < 0 ||
		    remove_left(device, context, binding, binding->intended))
			(void)crypt_token_json_set(device->crypt, binding->token, NULL);
		return;
	}
	if (binding->left < 0 || !remove_left(device, context, binding, binding->left))
		return;
	binding->left = -1;
	text = token_format(binding);
	if (text)
		(void)draft_write_token(device, binding->token, text, NULL);
}

void tidy(struct luks_device *device, struct pin_context *context)
{
	for (int token = 0; token < token_max(); token++) {
		LUKS_BINDING_AUTO struct luks_binding binding = TOKEN_NONE;

		if (token_read(device, token, &binding, NULL) == 0)
			tidy_token(device, context, &binding);
	}
}
