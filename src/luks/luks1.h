/* SPDX-License-Identifier: Apache-2.0 */
/*
 * LUKS1: bindings as compact JWEs in the slots of luksmeta, each with the number of its keyslot (contract of Clevis §3). Private to
 * the luks1 files.
 *
 * luksmeta keeps one header of 272 bytes, rewritten in place within one sector; what a slot holds is written before it. So a
 * power cut leaves a slot as it was or as it is to be, as far as the disk writes a sector whole or not at all.
 */
#pragma once

#include "luks/format.h"

/* What a slot of luksmeta holds. */
enum metadata_kind {
	METADATA_NONE,
	METADATA_BOUND, /* a JWE */
	METADATA_PENDING, /* of ours: a JWE that is to take another slot's place, see struct pending */
	METADATA_FOREIGN, /* of somebody else: never touched */
};

/* A slot of luksmeta. */
struct metadata {
	enum metadata_kind kind;
	bool damaged; /* there is no text, since what the slot holds was not written or has changed */
	char *text;   /* NUL-terminated, NULL for none */
};

#define METADATA_AUTO __attribute__((cleanup(metadata_free)))
void metadata_free(struct metadata *metadata);

/*
 * Says whether the device has the area of luksmeta: 1; 0 for no; -EBADMSG with `err` filled when it is damaged, -ENOPKG when
 * libluksmeta is not installed, -errno.
 */
int metadata_exists(struct luks_device *device, struct error *err);

/* Makes the area, where there is none. Returns 0; -ENOSPC, -errno with `err` filled. */
int metadata_init(struct luks_device *device, struct error *err);

/* Reads a slot. Returns 0 with `metadata` (the caller's); negative with `err` filled. */
int metadata_read(struct luks_device *device, int slot, struct metadata *metadata,
		  struct error *err);

/* Writes an empty slot. Returns 0; -ENOSPC before anything is written, -errno, with `err` filled. */
int metadata_write(struct luks_device *device, int slot, enum metadata_kind kind, const char *text,
		   struct error *err);

/* Empties a slot that is of ours; one that is empty or somebody else's stays as it is. Returns 0, -errno with `err` filled. */
int metadata_wipe(struct luks_device *device, int slot, struct error *err);

/* How many bytes of the salt tell a keyslot from another: those that share a sector with the mark that it is in use. */
enum { SALT_SIZE = 8 };

/* What the header says of a keyslot, in the sector that says whether it is in use. */
struct keyslot_sign {
	unsigned iterations;
	unsigned char salt[SALT_SIZE];
};

/*
 * A binding on its way from a spare keyslot to the one that it `replaces`. The salt is that of the old keyslot there, and the spare
 * has a number of iterations of its own, drawn before it is written: while they are the same, a keyslot is the one that was meant,
 * or what a cut left of it, and not one that somebody has added since.
 */
struct pending {
	int replaces;
	unsigned char salt[SALT_SIZE];
	unsigned iterations;
	json_t *jwe; /* flattened */
};

#define PENDING_AUTO __attribute__((cleanup(pending_free)))
void pending_free(struct pending *pending);

/* Its text for METADATA_PENDING, malloc'd, the caller's; NULL when out of memory. */
char *pending_format(const struct pending *pending);

/* Returns 0 with `pending` (the caller's); -EBADMSG with `err` filled, -ENOMEM. */
int pending_parse(const struct luks_device *device, const char *text, struct pending *pending,
		  struct error *err);

/* Reads it from the header. Returns 0, -errno with `err` filled. */
int luks1_read_sign(const struct luks_device *device, int keyslot, struct keyslot_sign *sign,
		    struct error *err);

/* The functions of luks1_format that have files of their own. */
int luks1_write(struct luks_device *device, const struct secret *volume_key,
		const struct draft *draft, struct error *err);
int luks1_rebind(struct luks_device *device, struct pin_context *context,
		 const struct luks_rebind *wanted, struct error *unproved);
void luks1_tidy(struct luks_device *device, struct pin_context *context);

/*
 * Says whether the keyslot that a pending binding replaces may go by what the mark alone says: there is none, or the passphrase opens
 * it, or it is as cheap as ours.
 */
bool luks1_may_replace(struct luks_device *device, const struct pending *pending,
		       const struct secret *passphrase);

/*
 * Goes on with a rebinding whose pending binding stands, proved, in slot `spare`: it takes the place of the one that it replaces,
 * and the spare goes. What is done already is left as it is. Returns 0; -ENOSPC with nothing changed when the JWE does not fit
 * into its place; -EBUSY when somebody has taken the place since, -errno; `err` filled.
 */
int luks1_take_the_place(struct luks_device *device, int spare, const struct pending *pending,
			 const struct secret *passphrase, const struct secret *volume_key,
			 struct error *err);

/*
 * Removes a pending binding and its spare keyslot, unless that has another number of iterations than the pending one says: then it
 * is somebody's who has added it since. Returns 0, -errno with `err` filled.
 */
int luks1_remove_spare(struct luks_device *device, int spare, const struct pending *pending,
		       struct error *err);

/*
 * Proof on the disk, read afresh: the slot holds `text`, and the passphrase opens the keyslot. Returns 0; -EIO, -EPERM, … with
 * `err` filled.
 */
int luks1_prove(const struct luks_device *device, int slot, enum metadata_kind kind,
		const char *text, const struct secret *passphrase, struct error *err);
