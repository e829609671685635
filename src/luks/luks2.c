/* SPDX-License-Identifier: Apache-2.0 */
#include "luks/luks2.h"

#include "base/json.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* How libcryptsetup lays a keyslot out: the key in so many stripes, in units of so many bytes. */
enum { STRIPES = 4000, AREA_UNIT = 4096 };

/* What the JSON of the header says as text, numbers being too large for JSON's own. */
static uint64_t number_at(const json_t *object, const char *name)
{
	const char *text = json_string_value(json_object_get(object, name));

	return text ? strtoull(text, NULL, 10) : 0;
}

/* Where the first keyslot's area ends that reaches into [at, at + size); 0: none does. */
static uint64_t end_of_area_in(const json_t *keyslots, uint64_t at, uint64_t size)
{
	const char *number;
	const json_t *keyslot;

	json_object_foreach((json_t *)keyslots, number, keyslot) {
		const json_t *area = json_object_get(keyslot, "area");
		uint64_t begin = number_at(area, "offset");
		uint64_t end = begin + number_at(area, "size");

		if (begin < at + size && at < end)
			return end;
	}
	return 0;
}

/* Says with 0 or -ENOSPC whether the area of keyslots has room for one more: numbers may be free when it has not. */
static int check_area(struct luks_device *device, struct error *err)
{
	JSON_AUTO json_t *metadata = NULL;
	const char *dump = NULL;
	const json_t *config;
	uint64_t size = (uint64_t)crypt_get_volume_key_size(device->crypt) * STRIPES;
	uint64_t at;
	uint64_t end;
	uint64_t taken;

	if (crypt_dump_json(device->crypt, &dump, 0) < 0 ||
	    json_parse(dump, strlen(dump), "header", &metadata, NULL) < 0)
		return error_set(err, -EBADMSG, "luks: %s: cannot read the header", device->path);
	config = json_object_get(metadata, "config");
	/* Two copies of the binary header and the JSON stand before the area. */
	at = 2 * (number_at(config, "json_size") + AREA_UNIT);
	end = at + number_at(config, "keyslots_size");
	size = (size + AREA_UNIT - 1) / AREA_UNIT * AREA_UNIT;
	while ((taken = end_of_area_in(json_object_get(metadata, "keyslots"), at, size)) > 0)
		at = taken;
	if (at + size <= end)
		return 0;
	return error_set(err, -ENOSPC,
			 "luks: %s: no room for one more keyslot; remove one with "
			 "'clevis luks unbind'",
			 device->path);
}

static int find_token(struct luks_device *device, int wanted, int *token, struct error *err)
{
	int most = token_max();

	if (wanted >= most)
		return error_set(err, -EINVAL, "luks: %s: there is no token %d (0 … %d)",
				 device->path, wanted, most - 1);
	for (*token = wanted >= 0 ? wanted : 0; *token < most; ++*token) {
		if (crypt_token_status(device->crypt, *token, NULL) == CRYPT_TOKEN_INACTIVE)
			return 0;
		if (wanted >= 0)
			return error_set(err, -EEXIST, "luks: %s: token %d is in use", device->path,
					 wanted);
	}
	return error_set(err, -ENOSPC, "luks: %s: no free token (%d of %d used)", device->path,
			 most, most);
}

static int find_room(struct luks_device *device, const struct luks_bind *wanted,
		     struct draft *draft, struct error *err)
{
	int rc = draft_find_keyslot(device, wanted->keyslot, &draft->keyslot, err);

	if (rc == 0)
		rc = check_area(device, err);
	return rc < 0 ? rc : find_token(device, wanted->token, &draft->token, err);
}

static int check_bound(struct luks_device *device, int keyslot, struct error *err)
{
	LUKS_BINDING_AUTO struct luks_binding binding = LUKS_BINDING_NONE;

	return luks_find_for_rebind(device, keyslot, &binding, err);
}

/* Removes each binding that is, or (`spares`) was to take the place of, the keyslot's; and what a cut has left of one. */
static int unbind_each(struct luks_device *device, int keyslot, bool spares, struct error *err)
{
	int rc = 0;

	for (int token = 0; rc == 0 && token < token_max(); token++) {
		LUKS_BINDING_AUTO struct luks_binding binding = LUKS_BINDING_NONE;

		if (token_read(device, token, &binding, NULL) < 0 ||
		    (spares ? binding.replaces : binding.keyslot) != keyslot)
			continue;
		/* Nobody has asked for another keyslot to go than this one, but a mark. */
		if (binding.keyslot < 0)
			binding.intended = -1;
		if (binding.keyslot == keyslot || binding.keyslot < 0 ||
		    token_may_kill(device, token, binding.keyslot))
			rc = token_unbind(device, &binding, err);
	}
	return rc;
}

/* The one that was to take the keyslot's place goes first: left alone, it would take it. */
static int unbind(struct luks_device *device, int keyslot, struct error *err)
{
	int rc = check_bound(device, keyslot, err);

	if (rc == 0)
		rc = unbind_each(device, keyslot, true, err);
	return rc < 0 ? rc : unbind_each(device, keyslot, false, err);
}

static bool is_orphan(struct luks_device *device, int token)
{
	LUKS_BINDING_AUTO struct luks_binding binding = LUKS_BINDING_NONE;

	return token_read(device, token, &binding, NULL) == 0 && binding.keyslot < 0 &&
	       (binding.intended < 0 || !device_keyslot_in_use(device, binding.intended));
}

static int remove_orphan(struct luks_device *device, int token, struct error *err)
{
	int rc = crypt_token_json_set(device->crypt, token, NULL);

	return rc < 0 ? device_error(device, rc, "cannot remove a token", err) : 0;
}

const struct luks_format luks2_format = {
	.type = CRYPT_LUKS2,
	.list = token_list,
	.list_damaged = token_list_damaged,
	.find_room = find_room,
	.write = luks2_write,
	.rebind = luks2_rebind,
	.check_bound = check_bound,
	.orphans_max = token_max,
	.is_orphan = is_orphan,
	.remove_orphan = remove_orphan,
	.unbind = unbind,
	.tidy = luks2_tidy,
};
