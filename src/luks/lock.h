/* SPDX-License-Identifier: Apache-2.0 */
/* Two writers exclude each other. Private to luks/. */
#pragma once

#include "base/deadline.h"
#include "luks/luks.h"

/*
 * Waits for the lock of the device, which all of our commands that write to it take; a lock on the device itself would make
 * libcryptsetup wait for ever. It lies in the run-time folder: for root /run/nbde, else $XDG_RUNTIME_DIR/nbde or /tmp/nbde-UID.
 * Returns a descriptor, whose closing (or whose process's end) lets go; -ETIMEDOUT by the deadline, -errno, with `err` filled.
 */
int lock_device(const char *path, struct deadline deadline, struct error *err);
