/* SPDX-License-Identifier: Apache-2.0 */
/* Facts of both formats, and those of LUKS2, which are all in one JSON object. */
#include "facts.h"

#include "base/json.h"
#include "table.h"

#include <endian.h>
#include <stdlib.h>
#include <string.h>

/* In the binary header: "hdr_size", 64 bits, big-endian; two copies stand one behind the other. */
enum { HEADER_SIZE_AT = 8, COPIES = 2 };

const struct format *format_find(const char *name)
{
	if (strcmp(name, format_luks2.name) == 0)
		return &format_luks2;
	if (strcmp(name, format_luks1.name) == 0)
		return &format_luks1;
	return NULL;
}

void facts_free(struct facts *facts)
{
	for (size_t i = 0; facts && i < facts->count; i++)
		json_decref(facts->bound[i].jwe);
	free(facts);
}

void facts_read_areas(struct crypt_device *cd, struct facts *facts)
{
	int most = crypt_keyslot_max(crypt_get_type(cd));

	for (int i = 0; i < most && i < KEYSLOTS_MAX; i++) {
		uint64_t at = 0;
		uint64_t size = 0;

		if (crypt_keyslot_status(cd, i) <= CRYPT_SLOT_INACTIVE)
			continue;
		facts->active |= 1U << i;
		if (crypt_keyslot_area(cd, i, &at, &size) == 0) {
			facts->area[i] = at;
			facts->area_size[i] = size;
		}
	}
}

static void find_parts(const struct image *image, struct part parts[static PARTS_MAX])
{
	uint64_t size;

	memcpy(&size, image->content + HEADER_SIZE_AT, sizeof(size));
	parts[0] = (struct part){0, COPIES * be64toh(size)};
	parts[1] = (struct part){0, 0};
}

static uint64_t hash_json(const json_t *json, uint64_t seed)
{
	char *text = json ? json_dumps(json, JSON_COMPACT | JSON_SORT_KEYS | JSON_ENCODE_ANY)
			  : NULL;
	uint64_t hash = hash_text(text ? text : "-", seed);

	free(text);
	return hash;
}

/* What opening a keyslot takes besides its area: its own description, and the digest without its list of keyslots. */
static void read_keyslots(const json_t *metadata, struct facts *facts)
{
	json_t *digest = json_copy(json_object_get(json_object_get(metadata, "digests"), "0"));
	const char *name;
	const json_t *keyslot;

	if (digest)
		(void)json_object_del(digest, "keyslots");
	json_object_foreach(json_object_get(metadata, "keyslots"), name, keyslot) {
		long number = strtol(name, NULL, 10);

		if (number >= 0 && number < KEYSLOTS_MAX)
			facts->keyslot[number] = hash_json(keyslot, hash_json(digest, 0));
	}
	json_decref(digest);
}

/* A second keyslot is one that the binding is about to leave. */
static int read_mark(const json_t *token)
{
	const char *second = json_string_value(
		json_array_get(json_object_get(token, "keyslots"), 1));
	const char *name;
	json_t *mark;

	if (second)
		return (int)strtol(second, NULL, 10);
	json_object_foreach(json_object_get(token, "nbde"), name, mark)
		return (int)json_integer_value(mark);
	return -1;
}

static bool is_preferred(const json_t *metadata, const char *keyslot)
{
	const json_t *found = json_object_get(json_object_get(metadata, "keyslots"), keyslot);

	return json_integer_value(json_object_get(found, "priority")) == CRYPT_SLOT_PRIORITY_PREFER;
}

static bool read_token(const json_t *metadata, json_t *token, struct facts *facts)
{
	const char *keyslot = json_string_value(
		json_array_get(json_object_get(token, "keyslots"), 0));
	json_t *jwe = json_object_get(token, "jwe");
	struct bound *bound = &facts->bound[facts->count];

	if (facts->count == BOUND_MAX || !json_is_object(jwe))
		return false;
	facts->count++;
	bound->keyslot = keyslot ? (int)strtol(keyslot, NULL, 10) : -1;
	bound->mark = read_mark(token);
	bound->preferred = keyslot && is_preferred(metadata, keyslot);
	bound->jwe = json_incref(jwe);
	return bound->keyslot < KEYSLOTS_MAX && bound->mark < KEYSLOTS_MAX;
}

static bool read_tokens(const json_t *metadata, struct facts *facts)
{
	const char *name;
	json_t *token;
	bool good = true;

	facts->others = hash_json(json_object_get(metadata, "segments"), 0);
	json_object_foreach(json_object_get(metadata, "tokens"), name, token) {
		const char *type = json_string_value(json_object_get(token, "type"));

		if (type && strcmp(type, "clevis") == 0)
			good = read_token(metadata, token, facts) && good;
		else
			facts->others ^= hash_json(token, hash_text(name, 0));
	}
	return good;
}

static uint64_t identify(struct crypt_device *cd, const struct image *image)
{
	const char *text = NULL;

	(void)image;
	if (crypt_dump_json(cd, &text, 0) < 0)
		return 0;
	return hash_bytes(text, strlen(text), 0);
}

static struct facts *read_facts(struct crypt_device *cd, const struct image *image)
{
	struct facts *facts = calloc(1, sizeof(*facts));
	const char *text = NULL;
	json_t *metadata;
	bool good;

	(void)image;
	if (!facts || crypt_dump_json(cd, &text, 0) < 0) {
		free(facts);
		return NULL;
	}
	metadata = json_loads(text, 0, NULL);
	facts_read_areas(cd, facts);
	read_keyslots(metadata, facts);
	good = read_tokens(metadata, facts);
	json_decref(metadata);
	if (good)
		return facts;
	facts_free(facts);
	return NULL;
}

const struct format format_luks2 = {"luks2", CRYPT_LUKS2, find_parts, identify, read_facts};
