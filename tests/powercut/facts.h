/* SPDX-License-Identifier: Apache-2.0 */
/* What the header of a disk says: its keyslots, its bindings, and the marks of a command at work. */
#pragma once

#include "image.h"

#include "base/secret.h"

#include <jansson.h>
#include <libcryptsetup.h>
#include <stdbool.h>

enum { KEYSLOTS_MAX = 32, BOUND_MAX = 64, PARTS_MAX = 2 };

/* A binding, or what is left of one. */
struct bound {
	int keyslot;	/* -1: none */
	int mark;	/* another keyslot that its metadata names; -1: none */
	bool owns_mark; /* what the metadata says of that keyslot proves it to be the binding's */
	bool preferred;
	json_t *jwe;			 /* flattened */
	const struct secret *passphrase; /* that it holds; NULL: none is recovered */
};

struct facts {
	uint32_t active; /* keyslots, a bit each */
	uint64_t keyslot
		[KEYSLOTS_MAX]; /* hash of what is said of each, and of how its key is told to be the right one */
	size_t area[KEYSLOTS_MAX]; /* where its key material is, bytes */
	size_t area_size[KEYSLOTS_MAX];
	size_t count;
	struct bound bound[BOUND_MAX];
	uint64_t others; /* hash of what belongs to other tools, and of where the data is */
	uint64_t id;	 /* of `identify` */
};

/* A part of the image, bytes. */
struct part {
	size_t at;
	size_t size;
};

/* A format of header, LUKS1 or LUKS2. */
struct format {
	const char *name; /* as for cryptsetup --type */
	const char *type; /* as for crypt_load() */
	/* Where the header is, all but key material: what is read to load it, and may be repaired then. */
	void (*find_parts)(const struct image *image, struct part parts[static PARTS_MAX]);
	/* A hash of all that a loaded header says; 0 when it makes no sense. */
	uint64_t (*identify)(struct crypt_device *cd, const struct image *image);
	/* Reads a loaded header. Returns a value the caller's; NULL when it makes no sense. */
	struct facts *(*read)(struct crypt_device *cd, const struct image *image);
};

extern const struct format format_luks1;
extern const struct format format_luks2;

/* NULL when there is none of that name. */
const struct format *format_find(const char *name);

void facts_free(struct facts *facts);

/* For `read`: takes from the library which keyslots are active and where their areas are. */
void facts_read_areas(struct crypt_device *cd, struct facts *facts);
