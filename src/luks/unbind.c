/* SPDX-License-Identifier: Apache-2.0 */
/* Removing a binding. */
#include "luks/format.h"

#include "base/file.h"
#include "luks/lock.h"

int luks_check_bound(struct luks_device *device, int keyslot, struct error *err)
{
	return device->format->check_bound(device, keyslot, err);
}

int luks_unbind(struct luks_device *device, int keyslot, struct deadline deadline,
		struct error *err)
{
	FD_AUTO int lock = lock_device(device->path, deadline, err);
	int rc = lock < 0 ? lock : luks_reload(device, err);

	return rc < 0 ? rc : device->format->unbind(device, keyslot, err);
}
