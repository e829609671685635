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
	if (rc == -EPERM || rc == -ENOENT)
		return error_set(err, -EPERM,
				 "luks: %s: the recovered passphrase does not open keyslot %d",
				 device->path, keyslot);
	return rc < 0 ? device_error(device, rc, "cannot map it", err) : rc;
}

static int try_binding(struct luks_device *device, const struct luks_binding *binding,
		       struct pin_context *context, const char *name)
{
	SECRET_AUTO struct secret passphrase = {0};
	int rc = luks_recover(binding, context, &passphrase);

	if (rc < 0) {
		error_prefix(context->err, "luks: %s: slot %d: ", device->path, binding->keyslot);
		return rc;
	}
	return activate(device, name, binding->keyslot, &passphrase, context->err);
}

int luks_unlock(struct luks_device *device, struct pin_context *context, const char *name, int only,
		void (*report)(const struct error *))
{
	LUKS_BINDINGS_AUTO struct luks_bindings all = {0};
	struct error why = {0};
	int rc = luks_list(device, &all, &why);
	bool tried = false;

	if (rc < 0)
		return error_set(context->err, rc, "%s", why.text);
	for (size_t i = 0; i < all.count; i++) {
		if (only >= 0 && all.binding[i].keyslot != only)
			continue;
		if (tried && report)
			report(context->err);
		tried = true;
		rc = try_binding(device, &all.binding[i], context, name);
		if (rc >= 0)
			return rc;
	}
	if (tried)
		return rc;
	if (why.code < 0)
		return error_set(context->err, -ENOENT, "%s", why.text);
	return error_set(context->err, -ENOENT, "luks: %s: no Clevis binding%s", device->path,
			 only >= 0 ? " in that slot" : "");
}
