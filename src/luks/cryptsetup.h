/* SPDX-License-Identifier: Apache-2.0 */
/*
 * libcryptsetup, loaded when the first device is opened. It brings nine libraries along, which take more time to load than a
 * whole `clevis decrypt` needs for all else; so the program is not linked with it, but defines its functions (those that we
 * call), which pass each call on. Private to luks/.
 */
#pragma once

#include "base/error.h"

#include <libcryptsetup.h>

/* Loads it, unless it is loaded. Returns 0; -ENOPKG with `err` filled when it is not installed. */
int cryptsetup_load(struct error *err);

/*
 * The volume key, into `key_size` bytes at `key`, by the library's plugin for a token. Returns the keyslot; -ENOSYS when the library is older than 2.6,
 * -ENOENT when there is no plugin for it, -ENOANO when the token wants a PIN, …; the library's message says more.
 */
int cryptsetup_volume_key_by_token(struct crypt_device *cd, int token, char *key, size_t *key_size);
