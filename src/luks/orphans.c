/* SPDX-License-Identifier: Apache-2.0 */
/* What bound a keyslot that somebody else has removed. */
#include "luks/format.h"

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

int luks_count_orphans(struct luks_device *device)
{
	int count = 0;

	for (int number = 0; number < device->format->orphans_max(); number++)
		count += device->format->is_orphan(device, number);
	return count;
}

int luks_remove_orphans(struct luks_device *device, struct deadline deadline, struct error *err)
{
	FD_AUTO int lock = lock_device(device->path, deadline, err);
	int removed = 0;
	int rc = lock < 0 ? lock : luks_reload(device, err);

	for (int number = 0; rc >= 0 && number < device->format->orphans_max(); number++) {
		if (!device->format->is_orphan(device, number))
			continue;
		rc = device->format->remove_orphan(device, number, err);
		removed++;
	}
	return rc < 0 ? rc : removed;
}
