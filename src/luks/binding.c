/* SPDX-License-Identifier: Apache-2.0 */
/* A device's bindings, whatever format they are kept in. */
#include "luks/format.h"

#include "base/json.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

void luks_binding_free(struct luks_binding *binding)
{
	json_drop(&binding->jwe);
}

void luks_bindings_free(struct luks_bindings *bindings)
{
	for (size_t i = 0; i < bindings->count; i++)
		luks_binding_free(&bindings->binding[i]);
	free(bindings->binding);
	bindings->binding = NULL;
	bindings->count = 0;
}

static int by_keyslot(const void *a, const void *b)
{
	const struct luks_binding *left = a;
	const struct luks_binding *right = b;

	return left->keyslot - right->keyslot;
}

int luks_list(struct luks_device *device, struct luks_bindings *bindings, struct error *err)
{
	int rc = device->format->list(device, bindings, err);

	if (rc == 0)
		qsort(bindings->binding, bindings->count, sizeof(*bindings->binding), by_keyslot);
	return rc;
}

json_t *luks_list_damaged(struct luks_device *device)
{
	return device->format->list_damaged(device);
}

int luks_find(struct luks_device *device, int keyslot, struct luks_binding *binding,
	      struct error *err)
{
	LUKS_BINDINGS_AUTO struct luks_bindings all = {0};
	struct error why = {0};
	int rc = luks_list(device, &all, &why);

	if (rc < 0)
		return error_set(err, rc, "%s", why.text);
	for (size_t i = 0; i < all.count; i++) {
		if (all.binding[i].keyslot != keyslot)
			continue;
		*binding = all.binding[i];
		(void)json_incref(binding->jwe);
		return 0;
	}
	/* A damaged one may be the one that was meant. */
	if (why.code < 0)
		return error_set(err, -ENOENT, "%s", why.text);
	return error_set(err, -ENOENT, "luks: %s: no Clevis binding in keyslot %d", device->path,
			 keyslot);
}

int luks_find_for_rebind(struct luks_device *device, int keyslot, struct luks_binding *binding,
			 struct error *err)
{
	LUKS_BINDINGS_AUTO struct luks_bindings all = {0};
	struct error why = {0};
	int rc = luks_find(device, keyslot, binding, &why);

	if (rc < 0 && luks_list(device, &all, NULL) == 0) {
		for (size_t i = 0; i < all.count; i++) {
			if (all.binding[i].replaces != keyslot)
				continue;
			*binding = all.binding[i];
			(void)json_incref(binding->jwe);
			return 0;
		}
	}
	return rc < 0 ? error_set(err, rc, "%s", why.text) : 0;
}

void format_warn_left(const struct pin_context *context, const struct luks_device *device,
		      int keyslot, const char *why)
{
	char text[ERROR_TEXT_MAX];

	(void)snprintf(
		text, sizeof(text),
		"%.200s: keyslot %d was left by a command that was cut short, and is kept: %.700s",
		device->path, keyslot, why);
	if (context->warn)
		context->warn(text);
}

bool format_still_opens(struct luks_device *device, const struct pin_context *context, int keyslot)
{
	LUKS_BINDING_AUTO struct luks_binding binding = LUKS_BINDING_NONE;
	SECRET_AUTO struct secret passphrase = {0};
	struct pin_context own = *context;
	struct error why = {0};

	own.err = &why;
	return luks_find(device, keyslot, &binding, &why) == 0 &&
	       luks_recover(&binding, &own, &passphrase) == 0 &&
	       luks_test_passphrase(device, keyslot, &passphrase, NULL) >= 0;
}

int format_check_settled(struct luks_device *device, int keyslot, struct error *err)
{
	LUKS_BINDINGS_AUTO struct luks_bindings all = {0};
	int rc = luks_list(device, &all, err);

	for (size_t i = 0; rc == 0 && i < all.count; i++) {
		const struct luks_binding *binding = &all.binding[i];
		bool is_it = binding->keyslot == keyslot;

		if ((is_it && (binding->replaces >= 0 || binding->left >= 0)) ||
		    binding->replaces == keyslot)
			rc = error_set(err, -EBUSY,
				       "luks: %s: a rebinding of keyslot %d was cut short; try "
				       "again when the binding's servers answer",
				       device->path, keyslot);
	}
	return rc;
}
