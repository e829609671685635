/* SPDX-License-Identifier: Apache-2.0 */
/* Bringing the keys of a backup back into a folder. */
#pragma once

#include "base/error.h"
#include "base/file.h"

#include <jansson.h>
#include <stddef.h>

enum restored {
	RESTORED,      /* it was not there, and is now */
	RESTORE_THERE, /* it was there, by that name */
	RESTORE_TOGGLED /* it was there, but rotated since, or not rotated then and now: it stays so */
};

/*
 * Brings the keys of a checked archive into the folder, which should be locked. Files that are there with another content are
 * never touched: one of them, and nothing is restored. All are written and synced before the first gets its name; each is there
 * whole or not at all, mode 0440, the server's user's. Hidden ones come first, signing keys last.
 * `done` has room for archive_count() values. Returns 0; -EEXIST for a file that differs, -E2BIG where there
 * would be too many, -errno, with `err` filled.
 */
int restore_keys(int folder_fd, const json_t *archive, enum restored *done, struct error *err);
