/* SPDX-License-Identifier: Apache-2.0 */
/* A binding on its way to the disk: the steps that binding and rebinding have in common. Private to luks/. */
#pragma once

#include "luks/device.h"

struct draft {
	struct secret passphrase;
	json_t *jwe;
	int keyslot;
	int token;	     /* LUKS2 */
	unsigned iterations; /* of the keyslot's key derivation */
	int replaces;	     /* the keyslot whose place it is to take, -1 for none */
	bool initialise;     /* LUKS1: make the area of luksmeta where there is none */
};

/* The passphrase is random, so a costly key derivation would protect nothing. */
enum { DRAFT_ITERATIONS = 1000 };

/* How many more a spare keyslot of LUKS1 may have: enough to tell it from a person's, and a matter of milliseconds. */
enum { DRAFT_SPARE_ITERATIONS = 16384 };

#define DRAFT_NONE \
	((struct draft){.keyslot = -1, .token = -1, .iterations = DRAFT_ITERATIONS, .replaces = -1})
#define DRAFT_AUTO __attribute__((cleanup(draft_free)))
void draft_free(struct draft *draft);

/* Draws the passphrase (contract of Clevis §3). Returns 0, -ENOMEM or -EIO with `err` filled. */
int draft_passphrase(struct draft *draft, struct error *err);

/*
 * Seals the draft's passphrase and proves through the network that its servers give it back; nothing is written. With a
 * configuration that is sealed offline, servers that do not answer are no failure: `*unproved` then tells why.
 * Returns 0 or the codes of pin_seal() and pin_open(), -EBADMSG when another passphrase came back; the context's error filled.
 */
int draft_seal(struct pin_context *context, const char *pin, const json_t *config,
	       struct draft *draft, struct error *unproved);

/*
 * Reads the header again: to be called when something was waited for, before keyslot and token are found and written.
 * Returns 0; -ESTALE with `err` filled when the volume key is no longer the device's, and the codes of luks_open().
 */
int draft_look_again(struct luks_device *device, const struct secret *volume_key,
		     struct error *err);

/*
 * The same where a binding is to be changed, which must be as it was: else -ENOENT or -ESTALE with `err` filled. Without a volume key
 * (NULL), that it is there says that the device is the same.
 */
int draft_look_again_at(struct luks_device *device, const struct secret *volume_key,
			const struct luks_binding *binding, struct error *err);

/* Finds the keyslot: the one wanted, or (-1) the first that is free. Returns 0; -EINVAL, -EEXIST, -ENOSPC with `err` filled. */
int draft_find_keyslot(struct luks_device *device, int wanted, int *keyslot, struct error *err);

/* Adds a keyslot with that passphrase, cheap to open and, where the format has priorities, preferred. Returns 0, -errno with `err` filled. */
int draft_write_keyslot(struct luks_device *device, const struct secret *volume_key, int keyslot,
			unsigned iterations, const struct secret *passphrase, struct error *err);

/* Gives a LUKS2 keyslot its priority. Returns 0, -errno with `err` filled. */
int draft_prefer_keyslot(struct luks_device *device, int keyslot, struct error *err);

/*
 * Says whether a keyslot costs no more to open than those that we write. What a mark in the header says of a keyslot anybody may have
 * written; one that protects a person's passphrase costs more, and goes on no mark's word.
 */
bool draft_is_cheap(struct luks_device *device, int keyslot);

/* Removes a keyslot that is in use. Returns 0, also where it is not; -errno with `err` filled. */
int draft_kill_keyslot(struct luks_device *device, int keyslot, struct error *err);

/*
 * Undoes what was written of a draft, on a handle of its own: had somebody else changed the header meanwhile, ours would be
 * refused. Only the keyslot that the draft's passphrase opens goes. Returns the handle, for its format to go on with, or NULL.
 */
struct luks_device *draft_undo_keyslot(const struct luks_device *device, const struct draft *draft);
