/* SPDX-License-Identifier: Apache-2.0 */
#include "luks/luks1.h"

#include "base/file.h"
#include "base/json.h"
#include "jose/jose.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* The units that luksmeta and libcryptsetup lay things out in, bytes. */
enum { AREA_UNIT = 4096, SECTOR = 512 };

/* What a slot binds. Returns 0 with `binding`; -ENOENT for no binding, -EBADMSG with `err` filled for a damaged one. */
static int read_binding(struct luks_device *device, int slot, struct luks_binding *binding,
			struct error *err)
{
	METADATA_AUTO struct metadata found = {0};
	PENDING_AUTO struct pending pending = {.replaces = -1};
	struct error why = {0};
	json_t *jwe = NULL;
	int rc = metadata_read(device, slot, &found, err);

	if (rc < 0 || found.kind == METADATA_NONE || found.kind == METADATA_FOREIGN)
		return rc < 0 ? rc : -ENOENT;
	if (found.damaged)
		rc = error_set(&why, -EBADMSG, "its checksum is wrong");
	else if (found.kind == METADATA_PENDING)
		rc = pending_parse(device, found.text, &pending, &why);
	else
		rc = jose_jwe_parse_compact(found.text, strlen(found.text), &jwe, &why);
	if (rc < 0)
		return error_set(err, -EBADMSG, "luks: %s: the binding of slot %d is damaged: %s",
				 device->path, slot, why.text);
	*binding = LUKS_BINDING_NONE;
	binding->keyslot = slot;
	binding->jwe = jwe ? jwe : json_incref(pending.jwe);
	/* Nothing takes its own place, whatever damage or somebody made of the mark. */
	binding->replaces = pending.replaces == slot ? -1 : pending.replaces;
	return 0;
}

int luks_is_initialised(struct luks_device *device, struct error *err)
{
	return device->format == &luks1_format ? metadata_exists(device, err) : 1;
}

/* A slot whose keyslot is not in use is left over, and binds nothing. */
static int list(struct luks_device *device, struct luks_bindings *bindings, struct error *err)
{
	LUKS_BINDINGS_AUTO struct luks_bindings found = {0};
	int rc = metadata_exists(device, err);

	if (rc == 0)
		return error_set(err, -ENODATA,
				 "The %s device is not valid! It is LUKS1 and has no area of "
				 "luksmeta, so nothing is bound",
				 device->path);
	if (rc < 0)
		return rc;
	found.binding = calloc((size_t)device_keyslots(device), sizeof(*found.binding));
	if (!found.binding)
		return error_nomem(err);
	for (int slot = 0; slot < device_keyslots(device); slot++)
		if (device_keyslot_in_use(device, slot) &&
		    read_binding(device, slot, &found.binding[found.count], err) == 0)
			found.count++;
	*bindings = found;
	found = (struct luks_bindings){0};
	return 0;
}

static json_t *list_damaged(struct luks_device *device)
{
	json_t *damaged = json_array();

	for (int slot = 0; slot < device_keyslots(device); slot++) {
		LUKS_BINDING_AUTO struct luks_binding binding = LUKS_BINDING_NONE;
		struct error why = {0};

		if (device_keyslot_in_use(device, slot) &&
		    read_binding(device, slot, &binding, &why) == -EBADMSG &&
		    json_array_append_new(
			    damaged, json_pack("{s:i, s:s}", "slot", slot, "reason", why.text)) < 0)
			json_drop(&damaged);
	}
	return damaged;
}

/* Says with 0 or -ENOSPC whether `size` bytes would fit into an area that is yet to be made, behind the keyslots. */
static int check_gap(struct luks_device *device, size_t size, struct error *err)
{
	uint64_t end = crypt_get_data_offset(device->crypt) * SECTOR;
	uint64_t at = 0;

	for (int slot = 0; slot < device_keyslots(device); slot++) {
		uint64_t offset = 0;
		uint64_t length = 0;

		if (crypt_keyslot_area(device->crypt, slot, &offset, &length) == 0 &&
		    offset + length > at)
			at = offset + length;
	}
	at = (at + AREA_UNIT - 1) / AREA_UNIT * AREA_UNIT + AREA_UNIT;
	if (at + size <= end)
		return 0;
	return error_set(err, -ENOSPC,
			 "luks: %s: there is no room between keyslots and data for luksmeta, which "
			 "keeps the bindings of LUKS1%s",
			 device->path, end == 0 ? " (a detached header has none)" : "");
}

static bool is_free(struct luks_device *device, int slot)
{
	METADATA_AUTO struct metadata found = {0};

	return !device_keyslot_in_use(device, slot) &&
	       (metadata_exists(device, NULL) != 1 ||
		(metadata_read(device, slot, &found, NULL) == 0 && found.kind != METADATA_FOREIGN));
}

/* A slot that somebody else keeps something in is passed over. */
static int find_slot(struct luks_device *device, int wanted, int *slot, struct error *err)
{
	int rc = draft_find_keyslot(device, wanted, slot, err);

	if (rc < 0)
		return rc;
	if (wanted >= 0)
		return is_free(device, wanted)
			       ? 0
			       : error_set(err, -EEXIST,
					   "luks: %s: somebody else keeps something in luksmeta's "
					   "slot %d",
					   device->path, wanted);
	while (*slot < device_keyslots(device) && !is_free(device, *slot))
		++*slot;
	return *slot < device_keyslots(device)
		       ? 0
		       : error_set(err, -ENOSPC,
				   "luks: %s: no slot is free both of a key and of what somebody "
				   "else keeps in luksmeta",
				   device->path);
}

static int find_room(struct luks_device *device, const struct luks_bind *wanted,
		     struct draft *draft, struct error *err)
{
	int rc;

	if (wanted->token >= 0)
		return error_set(err, -EINVAL,
				 "luks: %s: it is LUKS1, which has no tokens: -t is for LUKS2",
				 device->path);
	rc = metadata_exists(device, err);
	if (rc == 0 && !draft->initialise)
		rc = error_set(err, -EPERM,
			       "luks: %s: it is LUKS1 and has no area of luksmeta yet; -f makes it",
			       device->path);
	if (rc == 0)
		rc = check_gap(device, 1, err);
	return rc < 0 ? rc : find_slot(device, wanted->keyslot, &draft->keyslot, err);
}

int luks1_prove(const struct luks_device *device, int slot, enum metadata_kind kind,
		const char *text, const struct secret *passphrase, struct error *err)
{
	METADATA_AUTO struct metadata found = {0};
	struct luks_device *fresh = NULL;
	int rc = luks_open(device->path, &fresh, err);

	if (rc == 0)
		rc = metadata_read(fresh, slot, &found, err);
	if (rc == 0 && (found.kind != kind || !found.text || strcmp(found.text, text) != 0))
		rc = error_set(err, -EIO,
			       "luks: %s: the binding reads back differently than written",
			       device->path);
	if (rc == 0)
		rc = luks_test_passphrase(fresh, slot, passphrase, err);
	luks_close(&fresh);
	return rc < 0 ? rc : 0;
}

/* What is to be written. Returns 0 with `*text` (malloc'd, the caller's); negative with `err` filled. */
static int format_draft(const struct luks_device *device, const struct draft *draft, char **text,
			struct error *err)
{
	struct pending pending = {
		.replaces = draft->replaces, .iterations = draft->iterations, .jwe = draft->jwe};
	struct keyslot_sign old;
	int rc;

	if (draft->replaces < 0)
		return jose_jwe_format_compact(draft->jwe, text, err);
	rc = luks1_read_sign(device, draft->replaces, &old, err);
	if (rc < 0)
		return rc;
	memcpy(pending.salt, old.salt, SALT_SIZE);
	*text = pending_format(&pending);
	return *text ? 0 : error_nomem(err);
}

/* The keyslot, and then what said whose it was. */
static void undo(const struct luks_device *device, const struct draft *draft)
{
	struct luks_device *fresh = draft_undo_keyslot(device, draft);

	if (fresh && !device_keyslot_in_use(fresh, draft->keyslot))
		(void)metadata_wipe(fresh, draft->keyslot, NULL);
	luks_close(&fresh);
}

/* The slot of luksmeta first: without its keyslot it is a leftover, which anybody may remove. */
int luks1_write(struct luks_device *device, const struct secret *volume_key,
		const struct draft *draft, struct error *err)
{
	enum metadata_kind kind = draft->replaces < 0 ? METADATA_BOUND : METADATA_PENDING;
	FREE_AUTO char *text = NULL;
	int rc = format_draft(device, draft, &text, err);

	if (rc == 0)
		rc = metadata_exists(device, err);
	if (rc == 0)
		rc = check_gap(device, strlen(text), err);
	if (rc == 0)
		rc = metadata_init(device, err);
	if (rc >= 0)
		rc = metadata_wipe(device, draft->keyslot, err);
	if (rc == 0)
		rc = metadata_write(device, draft->keyslot, kind, text, err);
	if (rc < 0)
		return rc;
	rc = draft_write_keyslot(device, volume_key, draft->keyslot, draft->iterations,
				 &draft->passphrase, err);
	if (rc == 0)
		rc = luks1_prove(device, draft->keyslot, kind, text, &draft->passphrase, err);
	if (rc < 0)
		undo(device, draft);
	return rc;
}

/* The slot of the one that was to take the keyslot's place, -1 for none. */
static int find_spare_of(struct luks_device *device, int keyslot)
{
	for (int slot = 0; slot < device_keyslots(device); slot++) {
		METADATA_AUTO struct metadata found = {0};
		PENDING_AUTO struct pending pending = {0};

		if (metadata_read(device, slot, &found, NULL) == 0 &&
		    found.kind == METADATA_PENDING && found.text &&
		    pending_parse(device, found.text, &pending, NULL) == 0 &&
		    pending.replaces == keyslot && slot != keyslot)
			return slot;
	}
	return -1;
}

static int check_bound(struct luks_device *device, int keyslot, struct error *err)
{
	METADATA_AUTO struct metadata found = {0};
	int rc = keyslot < device_keyslots(device) ? metadata_exists(device, err) : 0;

	if (rc > 0)
		rc = metadata_read(device, keyslot, &found, err);
	if (rc < 0 || found.kind == METADATA_BOUND || found.kind == METADATA_PENDING ||
	    find_spare_of(device, keyslot) >= 0)
		return rc;
	return error_set(err, -ENOENT, "The LUKSMeta slot %d on device %s is already empty.",
			 keyslot, device->path);
}

/* With what it was to replace, where that has lost its metadata already: the salt tells whether the keyslot is the old one still. */
static int remove_spare(struct luks_device *device, int spare, struct error *err)
{
	METADATA_AUTO struct metadata found = {0};
	METADATA_AUTO struct metadata replaced = {0};
	PENDING_AUTO struct pending pending = {0};
	struct keyslot_sign sign = {0};
	int rc = metadata_read(device, spare, &found, err);

	if (rc == 0)
		rc = pending_parse(device, found.text, &pending, err);
	if (rc == 0)
		rc = metadata_read(device, pending.replaces, &replaced, err);
	if (rc == 0)
		rc = luks1_read_sign(device, pending.replaces, &sign, err);
	if (rc == 0 && replaced.kind == METADATA_NONE &&
	    memcmp(sign.salt, pending.salt, SALT_SIZE) == 0)
		rc = draft_kill_keyslot(device, pending.replaces, err);
	return rc < 0 ? rc : luks1_remove_spare(device, spare, &pending, err);
}

/* A cut may have damaged what it said of itself: without a keyslot it is nobody's. */
static int wipe_what_was_pending(struct luks_device *device, struct error *err)
{
	int rc = 0;

	for (int slot = 0; rc == 0 && slot < device_keyslots(device); slot++) {
		METADATA_AUTO struct metadata found = {0};

		rc = metadata_read(device, slot, &found, err);
		if (rc == 0 && found.kind == METADATA_PENDING && found.damaged &&
		    !device_keyslot_in_use(device, slot))
			rc = metadata_wipe(device, slot, err);
	}
	return rc;
}

/* The one that was to take the keyslot's place goes first: left alone, it would take it. */
static int unbind(struct luks_device *device, int keyslot, struct error *err)
{
	METADATA_AUTO struct metadata found = {0};
	int rc = check_bound(device, keyslot, err);
	int spare = rc == 0 ? find_spare_of(device, keyslot) : -1;

	if (spare >= 0)
		rc = remove_spare(device, spare, err);
	if (rc == 0)
		rc = metadata_read(device, keyslot, &found, err);
	/* Without metadata, what is in the keyslot is not ours. */
	if (rc == 0 && (found.kind == METADATA_BOUND || found.kind == METADATA_PENDING)) {
		rc = draft_kill_keyslot(device, keyslot, err);
		if (rc == 0)
			rc = metadata_wipe(device, keyslot, err);
	}
	return rc < 0 ? rc : wipe_what_was_pending(device, err);
}

static int orphans_max(void)
{
	return crypt_keyslot_max(CRYPT_LUKS1);
}

/* What is left of a binding says by its number whose it was; what was to take a place does not. */
static bool is_orphan(struct luks_device *device, int slot)
{
	METADATA_AUTO struct metadata found = {0};

	return !device_keyslot_in_use(device, slot) &&
	       metadata_read(device, slot, &found, NULL) == 0 && found.kind == METADATA_PENDING;
}

const struct luks_format luks1_format = {
	.type = CRYPT_LUKS1,
	.list = list,
	.list_damaged = list_damaged,
	.find_room = find_room,
	.write = luks1_write,
	.rebind = luks1_rebind,
	.check_bound = check_bound,
	.orphans_max = orphans_max,
	.is_orphan = is_orphan,
	.remove_orphan = metadata_wipe,
	.unbind = unbind,
	.tidy = luks1_tidy,
};
