/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reading the header again after the servers were waited for, and before anything is written. libcryptsetup refuses to write over a
 * header that was written since it read it, but takes one with a lower number for an older one of its own: over a device that was
 * formatted anew, or whose header was restored, it would write the header that it remembers, and all data were lost.
 */
#include "luks/draft.h"

#include <errno.h>

int draft_look_again(struct luks_device *device, const struct secret *volume_key, struct error *err)
{
	int rc = luks_reload(device, err);

	if (rc == 0 && volume_key && device_check_key(device, volume_key, NULL) < 0)
		rc = error_set(err, -ESTALE, "luks: %s: it was formatted anew meanwhile",
			       device->path);
	return rc;
}

int draft_look_again_at(struct luks_device *device, const struct secret *volume_key,
			const struct luks_binding *binding, struct error *err)
{
	LUKS_BINDING_AUTO struct luks_binding now = {0};
	int rc = draft_look_again(device, volume_key, err);

	if (rc == 0)
		rc = luks_find(device, binding->keyslot, &now, err);
	if (rc == 0 && (now.token != binding->token || !json_equal(now.jwe, binding->jwe)))
		rc = error_set(err, -ESTALE,
			       "luks: %s: the binding in keyslot %d was changed meanwhile",
			       device->path, binding->keyslot);
	return rc;
}
