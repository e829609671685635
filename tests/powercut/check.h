/* SPDX-License-Identifier: Apache-2.0 */
/* Whether a state of the disk is one that nobody has to be afraid of. */
#pragma once

#include "facts.h"
#include "table.h"

#include "base/secret.h"

struct checker {
	const struct format *format;
	struct image *image;
	struct secret person;  /* a passphrase that opens the disk in each state */
	struct facts *base;    /* of the disk before the command */
	unsigned base_opening; /* bindings that opened it then */
	uint32_t base_unbound; /* keyslots without a binding: the person's and those of others */
	uint64_t base_area[KEYSLOTS_MAX];
	struct part parts[PARTS_MAX];
	struct known_area {
		size_t at;
		size_t size;
		uint64_t changes; /* of image_changes() */
		uint64_t hash;
	} areas[KEYSLOTS_MAX];
	/* What was found out before: header → facts, keyslot with area and passphrase → whether it opens. */
	struct table headers;
	struct table facts;
	struct table opens;
};

/* What is found of a state. */
struct verdict {
	const char *loss;  /* what is lost; NULL: nothing */
	const char *stray; /* what a command left behind; NULL: nothing */
	unsigned bindings; /* with a keyslot and without a mark */
	unsigned opening;  /* those whose passphrase opens it */
	uint64_t
		behaviour; /* equal for states that every program takes for the same, but for keyslots that nothing names */
};

/* Looks at the image as it is before the command. `pass` is the file of the person's passphrase. Ends the process when it is not fit. */
void check_base(struct checker *checker, const struct format *format, struct image *image,
		const char *pass);

/* Looks at the image file, of which at least `least` bindings must open. */
struct verdict check_state(struct checker *checker, unsigned least);
