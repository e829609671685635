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
