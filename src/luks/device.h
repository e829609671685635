/* SPDX-License-Identifier: Apache-2.0 */
/* A device as libcryptsetup holds it. Private to luks/. */
#pragma once

#include "luks/cryptsetup.h"
#include "luks/luks.h"

enum { DEVICE_MESSAGE_MAX = 512 };

struct luks_format;

struct luks_device {
	struct crypt_device *crypt;
	const struct luks_format *format;
	char *path;
	char message[DEVICE_MESSAGE_MAX]; /* the library's last error message */
};

/*
 * Records a failure of libcryptsetup: "luks: DEV: WHAT: REASON", where the reason is the library's own message or else the
 * code's. Returns `code`.
 */
int device_error(struct luks_device *device, int code, const char *what, struct error *err);

/* How many keyslots the device's format has: 8 or 32. */
int device_keyslots(const struct luks_device *device);

/* Says with 0 or -EPERM (and `err`) whether this is the device's volume key. */
int device_check_key(struct luks_device *device, const struct secret *volume_key,
		     struct error *err);

/* Says whether a keyslot holds a key. */
bool device_keyslot_in_use(struct luks_device *device, int keyslot);
