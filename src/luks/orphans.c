/* SPDX-License-Identifier: Apache-2.0 */
/* Tokens of ours whose keyslot somebody else has removed. */
#include "luks/luks2.h"

#include "base/file.h"
#include "luks/lock.h"

bool luks_is_last_keyslot(struct luks_device *device, int keyslot)
{
	return crypt_keyslot_status(device->crypt, keyslot) == CRYPT_SLOT_ACTIVE_LAST;
}

bool luks_is_free_keyslot(struct luks_device *device, int keyslot)
{
	return crypt_keyslot_status(device->crypt, keyslot) == CRYPT_SLOT_INACTIVE;
}

static bool is_orphan(struct luks_device *device, int token)
{
	LUKS_BINDING_AUTO struct luks_binding binding = LUKS_BINDING_NONE;

	return token_read(device, token, &binding, NULL) == 0 && binding.keyslot < 0 &&
	       (binding.intended < 0 || !device_keyslot_in_use(device, binding.intended));
}

int luks_count_orphans(struct luks_device *device)
{
	int count = 0;

	for (int token = 0; token < token_max(); token++)
		count += is_orphan(device, token);
	return count;
}

int luks_remove_orphans(struct luks_device *device, struct deadline deadline, struct error *err)
{
	FD_AUTO int lock = lock_device(device->path, deadline, err);
	int removed = 0;
	int rc = lock < 0 ? lock : luks_reload(device, err);

	for (int token = 0; rc >= 0 && token < token_max(); token++) {
		if (!is_orphan(device, token))
			continue;
		rc = crypt_token_json_set(device->crypt, token, NULL);
		if (rc < 0)
			return device_error(device, rc, "cannot remove a token", err);
		removed++;
	}
	return rc < 0 ? rc : removed;
}
