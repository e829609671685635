/* SPDX-License-Identifier: Apache-2.0 */
/* Opening by a binding. */
#include "luks/device.h"

#include <errno.h>

int luks_recover(const struct luks_binding *binding, struct pin_context *context,
		 struct secret *passphrase)
{
	return pin_open(context, binding->jwe, passphrase);
}

static int activate(struct luks_device *device, const char *name, int keyslot,
		    const struct secret *passphrase, struct error *err)
{
	int rc;

	if (!name)
		return luks_test_passphrase(device, keyslot, passphrase, err);
	rc = crypt_activate_by_passphrase(device->crypt, name, keyslot,
					  (const char *)passphrase->data, passphrase->size, 0);
	if (rc == -ENOTSUP || rc == -ENODEV)
		return error_set(
			err, rc,
			"luks: %s: cannot map it: this kernel has no device-mapper (dm_mod, "
			"dm_crypt)",
			device->path);
	if (rc == -EEXIST || rc == -EBUSY)
		return device_error(device, rc, "cannot map it: it is already unlocked", err);
	if (rc == -EPERM || rc == -ENOENT) {
		*device->message = '\0';
		return error_set(err, -EPERM,
				 "luks: %s: the recovered passphrase does not open keyslot %d",
				 device->path, keyslot);
	}
	return rc < 0 ? device_error(device, rc, "cannot map it", err) : rc;
}

/* Recovers within this binding's share of the time, so that one silent server leaves some to the `others` behind it. */
static int recover_in_turn(const struct luks_binding *binding, struct pin_context *context,
			   size_t others, struct secret *passphrase)
{
	struct deadline whole = context->deadline;
	int share = deadline_left_ms(whole) / (int)(others + 1);
	int rc;

	context->deadline = deadline_in_ms(share);
	rc = luks_recover(binding, context, passphrase);
	context->deadline = whole;
	return rc;
}

/* What is the matter: with this binding, so that another may do better, or with the device. */
enum outcome { OPENED, NEXT, GIVE_UP };

static enum outcome try_binding(struct luks_device *device, const struct luks_binding *binding,
				struct pin_context *context, const char *name, size_t others)
{
	SECRET_AUTO struct secret passphrase = {0};
	int rc = recover_in_turn(binding, context, others, &passphrase);

	if (rc < 0) {
		error_prefix(context->err, "luks: %s: slot %d: ", device->path, binding->keyslot);
		return NEXT;
	}
	rc = activate(device, name, binding->keyslot, &passphrase, context->err);
	if (rc >= 0)
		return OPENED;
	return rc == -EPERM ? NEXT : GIVE_UP;
}

/* Keeps only the binding of that keyslot, if there is one. */
static void keep_only(struct luks_bindings *bindings, int keyslot)
{
	size_t kept = 0;

	for (size_t i = 0; i < bindings->count; i++) {
		if (bindings->binding[i].keyslot == keyslot)
			bindings->binding[kept++] = bindings->binding[i];
		else
			luks_binding_free(&bindings->binding[i]);
	}
	bindings->count = kept;
}

int luks_unlock(struct luks_device *device, struct pin_context *context, const char *name, int only,
		void (*report)(const struct error *))
{
	LUKS_BINDINGS_AUTO struct luks_bindings all = {0};
	struct error why = {0};
	int rc = luks_list(device, &all, &why);
	enum outcome outcome = NEXT;

	if (rc < 0)
		return error_set(context->err, rc, "%s", why.text);
	if (only >= 0)
		keep_only(&all, only);
	if (all.count == 0 && why.code < 0)
		return error_set(context->err, -ENOENT, "%s", why.text);
	if (all.count == 0)
		return error_set(context->err, -ENOENT, "luks: %s: no Clevis binding%s",
				 device->path, only >= 0 ? " in that slot" : "");
	for (size_t i = 0; outcome == NEXT && i < all.count; i++) {
		if (i > 0 && report)
			report(context->err);
		outcome = try_binding(device, &all.binding[i], context, name, all.count - i - 1);
		if (outcome == OPENED)
			return all.binding[i].keyslot;
	}
	return context->err->code;
}

int luks_volume_key_by_binding(struct luks_device *device, struct pin_context *context,
			       struct secret *key)
{
	LUKS_BINDINGS_AUTO struct luks_bindings all = {0};
	int rc = luks_list(device, &all, context->err);

	if (rc == 0 && all.count == 0 && context->err->code == 0)
		rc = error_set(context->err, -ENOENT, "luks: %s: no Clevis binding", device->path);
	for (size_t i = 0; rc == 0 && i < all.count; i++) {
		SECRET_AUTO struct secret passphrase = {0};

		if (recover_in_turn(&all.binding[i], context, all.count - i - 1, &passphrase) < 0)
			continue;
		rc = luks_volume_key(device, all.binding[i].keyslot, &passphrase, key,
				     context->err);
		if (rc >= 0)
			return rc;
		rc = 0;
	}
	return rc < 0 ? rc : context->err->code < 0 ? context->err->code : -ENOENT;
}
