/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Facts of LUKS1: the header is one block of 592 bytes, and a binding's JWE is in luksmeta, which stands in the gap between the last
 * keyslot and the data. The keyslot is the binding's whose metadata slot has its number.
 */
#include "facts.h"

#include "base/file.h"
#include "jose/b64.h"
#include "jose/jwe.h"
#include "table.h"

#include <errno.h>
#include <luksmeta.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Bytes: the block with the header, and in it the descriptions of keyslots, behind what tells the right key. */
enum { BLOCK = 4096, HEADER = 592, SLOTS_AT = 208, SLOT_SIZE = 48, SLOTS = 8 };
enum { JWE_MAX = 64 * 1024 };

static const luksmeta_uuid_t clevis_uuid = {0xcb, 0x6e, 0x89, 0x04, 0x81, 0xff, 0x40, 0xda,
					    0xa8, 0x4a, 0x07, 0xab, 0x9a, 0xb5, 0x71, 0x5e};
/* Of a binding that is to take another's place. */
static const luksmeta_uuid_t pending_uuid = {0xf1, 0x9d, 0x6d, 0x99, 0x1f, 0x90, 0x42, 0x6f,
					     0x9e, 0xdc, 0xd8, 0xed, 0x57, 0x60, 0x9c, 0x2c};

static uint32_t number_at(const unsigned char *bytes)
{
	return (uint32_t)bytes[0] << 24 | (uint32_t)bytes[1] << 16 | (uint32_t)bytes[2] << 8 |
	       bytes[3];
}

/* A keyslot's description ends with where its area is, in sectors, and its stripes; the header says before where the data is. */
static void find_parts(const struct image *image, struct part parts[static PARTS_MAX])
{
	enum { DATA_AT = 104, KEY_SIZE_AT = 108, AREA_AT = 40, STRIPES_AT = 44 };
	const unsigned char *header = image->content;
	size_t data = (size_t)number_at(header + DATA_AT) * SECTOR;
	size_t end = BLOCK;

	for (size_t i = 0; i < SLOTS; i++) {
		const unsigned char *slot = header + SLOTS_AT + i * SLOT_SIZE;
		size_t size = (size_t)number_at(slot + STRIPES_AT) *
			      number_at(header + KEY_SIZE_AT);
		size_t at = (size_t)number_at(slot + AREA_AT) * SECTOR;

		if (at + size > end)
			end = (at + size + BLOCK - 1) / BLOCK * BLOCK;
	}
	parts[0] = (struct part){0, BLOCK};
	parts[1] = end < data ? (struct part){end, data - end} : (struct part){0, 0};
}

/* What a slot of ours binds; what makes no sense is an empty object, which nothing opens. */
static json_t *read_jwe(const char *text, size_t size)
{
	json_t *jwe = NULL;

	if (!text || jose_jwe_parse_compact(text, size, &jwe, NULL) < 0)
		jwe = json_object();
	return jwe;
}

/* One that is to take another's place; the salt that it has noted tells whether the keyslot there is still the old one. */
static void read_pending(const unsigned char *header, const char *text, size_t size,
			 struct bound *bound)
{
	enum { SALT_AT = 8, SALT_SIZE = 8, SALT_TEXT = 11 };
	json_t *pending = json_loadb(text, size, 0, NULL);
	const char *compact = json_string_value(json_object_get(pending, "jwe"));
	const char *salt = json_string_value(json_object_get(pending, "salt"));
	const json_t *replaces = json_object_get(pending, "replaces");
	unsigned char noted[SALT_SIZE];

	bound->jwe = read_jwe(compact, compact ? strlen(compact) : 0);
	if (replaces && salt && strlen(salt) == SALT_TEXT &&
	    jose_b64_decode(salt, SALT_TEXT, noted) == 0) {
		bound->mark = (int)json_integer_value(replaces);
		bound->owns_mark = memcmp(header + SLOTS_AT + (size_t)bound->mark * SLOT_SIZE +
						  SALT_AT,
					  noted, SALT_SIZE) == 0;
	}
	json_decref(pending);
}

/* Returns the size of whatever the metadata slot holds, 0 when that is damaged; negative when there is nothing. */
static int load_slot(struct crypt_device *cd, int slot, luksmeta_uuid_t uuid,
		     char text[static JWE_MAX])
{
	int size = luksmeta_load(cd, slot, uuid, text, JWE_MAX);

	/* Whose it was is known all the same. */
	return size == -EINVAL && luksmeta_load(cd, slot, uuid, NULL, 0) >= 0 ? 0 : size;
}

static uint64_t identify(struct crypt_device *cd, const struct image *image)
{
	static char text[JWE_MAX];
	unsigned char header[BLOCK];
	luksmeta_uuid_t uuid = {0};
	uint64_t id;

	if (pread(image->fd, header, sizeof(header), 0) != (ssize_t)sizeof(header))
		return 0;
	id = hash_bytes(header, HEADER, 0);
	for (int i = 0; i < SLOTS; i++) {
		int size = load_slot(cd, i, uuid, text);

		if (size >= 0)
			id = hash_bytes(text, (size_t)size,
					hash_bytes(uuid, sizeof(uuid), hash_number(i, id)));
	}
	return id;
}

static void read_slot(struct crypt_device *cd, int slot, const unsigned char *header,
		      struct facts *facts)
{
	static char text[JWE_MAX];
	struct bound *bound = &facts->bound[facts->count];
	bool active = facts->active >> slot & 1;
	luksmeta_uuid_t uuid = {0};
	int size = load_slot(cd, slot, uuid, text);
	bool is_pending = memcmp(uuid, pending_uuid, sizeof(uuid)) == 0;

	if (size < 0)
		return;
	if (!is_pending && memcmp(uuid, clevis_uuid, sizeof(uuid)) != 0) {
		facts->others ^= hash_bytes(text, (size_t)size,
					    hash_bytes(uuid, sizeof(uuid), slot));
		return;
	}
	*bound = (struct bound){
		.keyslot = active ? slot : -1, .mark = active ? -1 : slot, .preferred = true};
	if (is_pending)
		read_pending(header, text, (size_t)size, bound);
	else
		bound->jwe = read_jwe(text, (size_t)size);
	facts->count++;
}

static struct facts *read_facts(struct crypt_device *cd, const struct image *image)
{
	unsigned char header[BLOCK];
	struct facts *facts = calloc(1, sizeof(*facts));

	if (!facts || pread(image->fd, header, sizeof(header), 0) != (ssize_t)sizeof(header)) {
		free(facts);
		return NULL;
	}
	facts_read_areas(cd, facts);
	for (size_t i = 0; i < SLOTS; i++)
		facts->keyslot[i] = hash_bytes(header + SLOTS_AT + i * SLOT_SIZE, SLOT_SIZE,
					       hash_bytes(header, SLOTS_AT, 0));
	for (int i = 0; i < SLOTS; i++)
		read_slot(cd, i, header, facts);
	return facts;
}

const struct format format_luks1 = {"luks1", CRYPT_LUKS1, find_parts, identify, read_facts};
