/* SPDX-License-Identifier: Apache-2.0 */
/* Devices whose header is elsewhere. */
#include "luks/device.h"

#include <errno.h>

int luks_open_detached(const char *device, const char *header, struct luks_device **opened,
		       struct error *err)
{
	struct luks_device *made = NULL;
	int rc = luks_open(header, &made, err);

	if (rc < 0)
		return rc;
	rc = crypt_set_data_device(made->crypt, device);
	if (rc < 0) {
		(void)device_error(made, rc, device, err);
		luks_close(&made);
		return rc;
	}
	*opened = made;
	return 0;
}
