/* SPDX-License-Identifier: Apache-2.0 */
/* Giving a binding a new passphrase, sealed to new keys or by another configuration, in its own keyslot. */
#include "luks/format.h"

#include "base/file.h"
#include "luks/lock.h"

int luks_rebind(struct luks_device *device, struct pin_context *context,
		const struct luks_rebind *wanted, struct error *unproved)
{
	FD_AUTO int lock = lock_device(device->path, context->deadline, context->err);
	int rc = lock < 0 ? lock : luks_reload(device, context->err);

	if (rc == 0)
		rc = device_check_key(device, wanted->volume_key, context->err);
	if (rc == 0)
		rc = device->format->rebind(device, context, wanted, unproved);
	if (rc >= 0)
		device->format->tidy(device, context);
	return rc;
}
