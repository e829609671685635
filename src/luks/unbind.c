/* SPDX-License-Identifier: Apache-2.0 */
/* Removing a binding. */
#include "luks/device.h"

#include "base/file.h"
#include "luks/lock.h"
#include "luks/token.h"

/* The keyslot goes first: cut short after it, a harmless token is left, never a keyslot that nobody knows of. */
int luks_unbind(struct luks_device *device, int keyslot, struct deadline deadline,
		struct error *err)
{
	LUKS_BINDING_AUTO struct luks_binding binding = {0};
	FD_AUTO int lock = lock_device(device->path, deadline, err);
	int rc = lock < 0 ? lock : luks_reload(device, err);

	if (rc == 0)
		rc = luks_find(device, keyslot, &binding, err);

	if (rc < 0)
		return rc;
	if (device_keyslot_in_use(device, keyslot)) {
		rc = crypt_keyslot_destroy(device->crypt, keyslot);
		if (rc < 0)
			return device_error(device, rc, "cannot remove the keyslot", err);
	}
	rc = crypt_token_json_set(device->crypt, binding.token, NULL);
	return rc < 0 ? device_error(device, rc, "cannot remove the token", err) : 0;
}
