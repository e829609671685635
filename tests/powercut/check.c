/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The header loads, the person's passphrase opens (no token is asked), the keyslots that are no binding's and the tokens of other
 * tools are what they were, and as many bindings open as must.
 *
 * libcryptsetup itself loads the header and tries each passphrase: nothing here knows better than it does. What it said of the same
 * bytes before is remembered: loading depends on the header alone, and opening on the keyslot's description, its area, and the
 * passphrase.
 */
#include "check.h"

#include "base/file.h"
#include "sealed.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { PASSPHRASE_MAX = 1024 };

/* A state while it is looked at; the device is opened only when something new is to be found out. */
struct look {
	struct checker *checker;
	const struct facts *facts;
	struct crypt_device *cd;
	uint64_t area[KEYSLOTS_MAX]; /* hashes of the active keyslots' areas */
};

static void say_nothing(int level, const char *text, void *arg)
{
	(void)level;
	(void)text;
	(void)arg;
}

static struct crypt_device *load(const struct checker *checker)
{
	struct crypt_device *cd = NULL;

	if (crypt_init(&cd, checker->image->path) < 0)
		return NULL;
	if (crypt_load(cd, checker->format->type, NULL) == 0)
		return cd;
	crypt_free(cd);
	return NULL;
}

static uint64_t hash_part(const struct image *image, size_t at, size_t size, uint64_t seed)
{
	static unsigned char bytes[1024 * 1024];
	uint64_t hash = seed;

	for (size_t done = 0; done < size;) {
		size_t piece = size - done < sizeof(bytes) ? size - done : sizeof(bytes);

		if (pread(image->fd, bytes, piece, (off_t)(at + done)) != (ssize_t)piece)
			die("cannot read", image->path);
		hash = hash_bytes(bytes, piece, hash);
		done += piece;
	}
	return hash;
}

/* One value for all headers that say the same: there are few of those. */
static const struct facts *read_once(struct checker *checker, struct crypt_device *cd)
{
	uint64_t id = checker->format->identify(cd, checker->image);
	bool is_new = true;
	intptr_t *known = table_at(&checker->facts, id, &is_new);
	struct facts *facts;

	if (!is_new || id == 0)
		return (const struct facts *)*known;
	facts = checker->format->read(cd, checker->image);
	*known = (intptr_t)facts;
	if (!facts)
		return NULL;
	facts->id = id;
	for (size_t i = 0; i < facts->count; i++)
		facts->bound[i].passphrase = sealed_passphrase(facts->bound[i].jwe);
	return facts;
}

static const struct facts *find_facts(struct look *look)
{
	struct checker *checker = look->checker;
	uint64_t hash = 0;
	bool is_new = true;
	intptr_t *known;

	for (int i = 0; i < PARTS_MAX; i++)
		hash = hash_part(checker->image, checker->parts[i].at, checker->parts[i].size,
				 hash);
	known = table_at(&checker->headers, hash, &is_new);
	if (is_new) {
		look->cd = load(checker);
		if (look->cd)
			*known = (intptr_t)read_once(checker, look->cd);
	}
	return (const struct facts *)*known;
}

static bool opens(struct look *look, int keyslot, const struct secret *passphrase)
{
	uint64_t key = hash_number(look->area[keyslot], look->facts->keyslot[keyslot]);
	bool is_new = true;
	intptr_t *known;

	for (size_t i = 0; i < passphrase->size; i++)
		key = hash_number(passphrase->data[i], key);
	known = table_at(&look->checker->opens, key, &is_new);
	if (!is_new)
		return *known;
	if (!look->cd)
		look->cd = load(look->checker);
	*known = look->cd && crypt_activate_by_passphrase(look->cd, NULL, keyslot,
							  (const char *)passphrase->data,
							  passphrase->size, 0) == keyslot;
	return *known;
}

static bool is_active(const struct facts *facts, int keyslot)
{
	return keyslot >= 0 && (facts->active >> keyslot & 1);
}

static bool person_opens(struct look *look)
{
	for (int i = 0; i < KEYSLOTS_MAX; i++)
		if (is_active(look->checker->base, i) && is_active(look->facts, i) &&
		    opens(look, i, &look->checker->person))
			return true;
	return false;
}

/* Whether what names the keyslot by a mark stands beside a binding of it, and is none more: it is to take its place. */
static bool stands_beside(const struct facts *facts, int mark)
{
	for (size_t i = 0; mark >= 0 && i < facts->count; i++)
		if (facts->bound[i].keyslot == mark)
			return true;
	return false;
}

/* Counts bindings, and looks for what a finished command does not leave. */
static void look_at_bindings(struct look *look, struct verdict *verdict)
{
	uint32_t bound = 0;

	verdict->behaviour = look->facts->id;
	for (size_t i = 0; i < look->facts->count; i++) {
		const struct bound *found = &look->facts->bound[i];
		const struct secret *passphrase = found->passphrase;
		bool good = passphrase && is_active(look->facts, found->keyslot) &&
			    opens(look, found->keyslot, passphrase);
		bool marked = passphrase && is_active(look->facts, found->mark) &&
			      opens(look, found->mark, passphrase);

		verdict->bindings += is_active(look->facts, found->keyslot) &&
				     !stands_beside(look->facts, found->mark);
		verdict->opening += good;
		verdict->settled += good && found->mark < 0;
		verdict->behaviour = hash_number(2U * good + marked, verdict->behaviour);
		bound |= found->keyslot >= 0 ? 1U << found->keyslot : 0;
		if (found->keyslot < 0)
			verdict->stray = "metadata of a binding without a keyslot";
		else if (found->mark >= 0)
			verdict->stray = "a mark";
		else if (!good)
			verdict->stray = "a binding that does not open";
		else if (!found->preferred)
			verdict->stray = "a binding whose keyslot is not preferred";
	}
	if (look->facts->active & ~bound & ~look->checker->base_unbound)
		verdict->stray = "a keyslot that nothing names";
}

static bool unbound_are_as_before(const struct look *look)
{
	const struct checker *checker = look->checker;

	for (int i = 0; i < KEYSLOTS_MAX; i++)
		if ((checker->base_unbound >> i & 1) &&
		    (!is_active(look->facts, i) ||
		     look->facts->keyslot[i] != checker->base->keyslot[i] ||
		     look->area[i] != checker->base_area[i]))
			return false;
	return look->facts->others == checker->base->others;
}

/* Read again only when something was put there since: areas are large, and most states change none. */
static uint64_t hash_area(struct checker *checker, int keyslot, size_t at, size_t size)
{
	struct known_area *known = &checker->areas[keyslot];
	uint64_t changes = image_changes(checker->image, at, size);

	if (changes == 0 || known->at != at || known->size != size || known->changes != changes)
		*known = (struct known_area){at, size, changes,
					     hash_part(checker->image, at, size, 0)};
	return known->hash;
}

static void look_at_areas(struct look *look)
{
	for (int i = 0; i < KEYSLOTS_MAX; i++)
		if (is_active(look->facts, i))
			look->area[i] = hash_area(look->checker, i, look->facts->area[i],
						  look->facts->area_size[i]);
}

static void judge(struct look *look, unsigned least, struct verdict *verdict)
{
	look->facts = find_facts(look);
	if (!look->facts) {
		verdict->loss = "the header does not load";
		return;
	}
	look_at_areas(look);
	look_at_bindings(look, verdict);
	if (!person_opens(look))
		verdict->loss = "the person's passphrase does not open";
	else if (verdict->opening < least)
		verdict->loss = "a binding that opened does not";
	else if (!unbound_are_as_before(look))
		verdict->loss = "what belongs to others is changed";
}

struct verdict check_state(struct checker *checker, unsigned least)
{
	struct verdict verdict = {0};
	struct look look = {.checker = checker};

	judge(&look, least, &verdict);
	crypt_free(look.cd);
	return verdict;
}

/* The keyslots of a binding: that which it names, and that which a mark names if it is proved to be the binding's. */
static uint32_t owned(struct look *look, const struct bound *bound)
{
	const struct secret *passphrase = bound->passphrase;
	uint32_t keyslots = bound->keyslot >= 0 ? 1U << bound->keyslot : 0;

	if (is_active(look->facts, bound->mark) &&
	    (bound->owns_mark || (passphrase && opens(look, bound->mark, passphrase))))
		keyslots |= 1U << bound->mark;
	return keyslots;
}

static void read_person(struct checker *checker, const char *pass)
{
	struct error err = {0};

	if (file_read_secret(pass, PASSPHRASE_MAX, &checker->person, &err) < 0)
		die("cannot read", err.text);
}

void check_base(struct checker *checker, const struct format *format, struct image *image,
		const char *pass)
{
	struct look look = {.checker = checker};
	struct verdict verdict = {0};

	crypt_set_log_callback(NULL, say_nothing, NULL);
	checker->format = format;
	checker->image = image;
	read_person(checker, pass);
	format->find_parts(image, checker->parts);
	look.facts = find_facts(&look);
	if (!look.facts)
		die("not a disk to begin with", image->path);
	checker->base = (struct facts *)look.facts;
	look_at_areas(&look);
	memcpy(checker->base_area, look.area, sizeof(look.area));
	checker->base_unbound = look.facts->active;
	for (size_t i = 0; i < look.facts->count; i++)
		checker->base_unbound &= ~owned(&look, &look.facts->bound[i]);
	judge(&look, 0, &verdict);
	if (verdict.loss)
		die("not a disk to begin with", verdict.loss);
	/* One that is to take another's place is none beside it. */
	checker->base_opening = verdict.settled > 0 ? verdict.settled : verdict.opening;
	crypt_free(look.cd);
}
