/* SPDX-License-Identifier: Apache-2.0 */
/* Rotating a server's keys: a new pair, and then every other advertised key hidden. */
#pragma once

#include "base/error.h"
#include "tang/folder.h"
#include "tangd/pair.h"

/* What was done, to be freed by rotation_free(). Zero-initialise it. */
struct rotation {
	struct tang_names hidden; /* the names that they had */
	struct pair pair;	  /* in service */
};

void rotation_free(struct rotation *rotation);

/*
 * Makes a new pair on `curve` (NULL: P-521), puts it into service and syncs it, and only then gives each key that was advertised
 * before a leading dot, and syncs that. So at each moment, after a power cut too, a signing and an exchange key are advertised,
 * if they were before. The folder should be locked: tang_folder_lock().
 * Returns 0 with `rotation`. With `err` filled: -EEXIST when the hidden name of a key is taken, and -errno: nothing was changed;
 * where it fails later, the text says that the new keys are in service, and to try again is all there is to do.
 */
int rotate_keys(int folder_fd, const char *curve, struct rotation *rotation, struct error *err);

/* The command tangd-rotate-keys. */
int rotate_main(int argc, char *argv[]);
