/* SPDX-License-Identifier: Apache-2.0 */
/* Commands of luks/ that are cut short before one of their writes to the header, on an image file that is made here. */
#pragma once

#include "unit.h"

#include "luks/cryptsetup.h"
#include "luks/luks.h"

enum { CUT_MOST_WRITES = 40 };

/* The image, and a passphrase of a person, in keyslot 0, cheap. */
extern char cut_image[128];
extern const char cut_passphrase[];
extern const struct crypt_pbkdf_type cut_cheap;

/* Makes the image: CRYPT_LUKS1 or CRYPT_LUKS2. Removes it. */
void cut_make(const char *type);
void cut_remove(void);

/* What a command does; the same in the process that is cut short and in the one that runs after it. Returns its result. */
typedef int (*cut_command)(struct luks_device *device, struct pin_context *context,
			   const struct secret *key);

/* Binds by the pin null; binds keyslot 1 anew by an sss of two; unbinds keyslot 1. */
int cut_bind(struct luks_device *device, struct pin_context *context, const struct secret *key);
int cut_rebind(struct luks_device *device, struct pin_context *context, const struct secret *key);
int cut_unbind(struct luks_device *device, struct pin_context *context, const struct secret *key);

/* Runs it, with the volume key. */
int cut_run(cut_command what);

/* Runs it in a child that ends before its `nth` write. Returns whether there was such a write. */
bool cut_run_short(cut_command what, int nth);

/*
 * Cuts the command before each of its writes. Each time the person's passphrase must open, at least `least` bindings must, and after
 * one more run there must be that many keyslots and bindings and no mark. Returns before how many writes.
 */
int cut_everywhere(cut_command what, size_t least, size_t keyslots, size_t bindings);

/* How many bindings give a passphrase that opens their keyslot. */
size_t cut_count_opening(void);

void cut_check_person(void);

/* Keyslots, and tokens or slots of luksmeta, in use; and no mark on any of them. */
void cut_check_clean(size_t keyslots, size_t bindings);

struct luks_device *cut_open(void);

/* Keeps the image as it is now, and brings it back. */
void cut_keep(void);
void cut_restore(void);
