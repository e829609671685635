/* SPDX-License-Identifier: Apache-2.0 */
/* A binding on its way to the disk: the steps that binding and rebinding have in common. Private to luks/. */
#pragma once

#include "luks/device.h"

struct draft {
	struct secret passphrase;
	json_t *jwe;
	int keyslot;
	int token;
};

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

/* The same where a binding is to be changed, which must be as it was: else -ENOENT or -ESTALE with `err` filled. */
int draft_look_again_at(struct luks_device *device, const struct secret *volume_key,
			const struct luks_binding *binding, struct error *err);

/* Finds keyslot and token: those wanted, or (-1) the first that are free. Returns 0; -EINVAL, -EEXIST, -ENOSPC with `err`. */
int draft_find_keyslot(struct luks_device *device, int wanted, int *keyslot, struct error *err);
int draft_find_token(struct luks_device *device, int wanted, int *token, struct error *err);

/* Adds a keyslot with that passphrase, cheap to open and preferred. Returns 0, -errno with `err` filled. */
int draft_write_keyslot(struct luks_device *device, const struct secret *volume_key, int keyslot,
			const struct secret *passphrase, struct error *err);

/* Writes `text` as the token. Returns 0, -errno with `err` filled. */
int draft_write_token(struct luks_device *device, int token, const char *text, struct error *err);

/*
 * Writes the draft: token, keyslot, token, in the order that survives a power cut, and proves it; what was written is undone when
 * a step fails. `replaces` is the mark of a binding that is to take another's place, -1 for none.
 * Returns 0; -ENOSPC before anything is written when the header has no room; -errno, with `err` filled.
 */
int draft_write(struct luks_device *device, const struct secret *volume_key,
		const struct draft *draft, int replaces, struct error *err);

/*
 * Proof on the disk, read afresh: the token reads as `text`, and the passphrase opens the keyslot. Returns 0; -EIO, -EPERM, …
 * with `err` filled.
 */
int draft_prove_on_disk(const struct luks_device *device, const struct draft *draft,
			const char *text, struct error *err);
