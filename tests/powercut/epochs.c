/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The disk that is modelled: it writes sectors of 512 bytes, each of them whole or not at all. What was written since the last flush
 * (an epoch) may have reached it in any selection and order: of each sector that was written, any version since then may be there, or what
 * was there before. What was written before the last flush is there. A durable write (O_DSYNC, FUA) is there when the next write
 * begins, and says nothing of the others. LUKS2 keeps two copies of its header under checksums, so that it could do without whole
 * sectors; luksmeta's header, 272 bytes that are rewritten in place, could not.
 *
 * An epoch with few enough states is visited whole. Of a larger one: the first n sector writes, for each n; all but one sector; one sector
 * alone; whole write calls, in any selection if there are few; and random selections, from thin to thick. Versions that are equal count once, and a
 * state that was visited before is not visited again.
 */
#include "epochs.h"

#include "record.h"
#include "table.h"

#include <stdlib.h>
#include <string.h>

enum { VERSIONS_MAX = 64, CALLS_ENUMERATED = 10 };

/*
 * An epoch of so many sectors is key material, of which each sector counts as much as the next: fewer states are drawn there, in which
 * a key derivation is paid for each.
 */
enum { MATERIAL = 64, MATERIAL_SHARE = 16, MATERIAL_REGULAR = 32 };

/* A sector that was written in this epoch. */
struct touched {
	uint64_t number;
	size_t count;
	const unsigned char *version[VERSIONS_MAX]; /* [0]: what is on the disk */
	uint64_t hash[VERSIONS_MAX];
	unsigned char last; /* the newest version */
	unsigned char chosen;
};

/* A sector's part of a write call. */
struct step {
	uint64_t number;
	const unsigned char *bytes;
	size_t call;
	size_t touched; /* of the epoch that is visited */
	unsigned char version;
};

struct walk {
	struct image *image;
	const struct epochs_limits *limits;
	struct epochs_counts *counts;
	epochs_visitor visit;
	void *arg;
	unsigned char *durable; /* the disk as it is for sure */
	struct step *steps;	/* what was written since */
	size_t step_count;
	size_t calls;
	struct touched *touched;
	size_t count;
	struct table visited;
	uint64_t base_hash; /* XOR over all sectors that ever changed */
	uint64_t random;
};

static uint64_t draw(struct walk *walk)
{
	walk->random ^= walk->random << 13;
	walk->random ^= walk->random >> 7;
	walk->random ^= walk->random << 17;
	return walk->random;
}

/* The image file as chosen, unless that was visited before. */
static void visit_chosen(struct walk *walk)
{
	uint64_t hash = walk->base_hash;
	bool is_new = true;

	for (size_t i = 0; i < walk->count; i++)
		hash ^= walk->touched[i].hash[0] ^ walk->touched[i].hash[walk->touched[i].chosen];
	(void)table_at(&walk->visited, hash, &is_new);
	if (!is_new)
		return;
	for (size_t i = 0; i < walk->count; i++)
		image_put(walk->image, walk->touched[i].number,
			  walk->touched[i].version[walk->touched[i].chosen]);
	walk->counts->states++;
	walk->visit(walk->arg, walk->counts->epochs);
}

static void choose_none(struct walk *walk)
{
	for (size_t i = 0; i < walk->count; i++)
		walk->touched[i].chosen = 0;
}

static void choose_last(struct walk *walk)
{
	for (size_t i = 0; i < walk->count; i++)
		walk->touched[i].chosen = walk->touched[i].last;
}

/* How many states there are; SIZE_MAX for more than `most`. */
static size_t count_states(const struct walk *walk, size_t most)
{
	size_t states = 1;

	for (size_t i = 0; i < walk->count; i++) {
		states *= walk->touched[i].count;
		if (states > most)
			return SIZE_MAX;
	}
	return states;
}

static void visit_all(struct walk *walk, size_t states)
{
	for (size_t state = 0; state < states; state++) {
		size_t rest = state;

		for (size_t i = 0; i < walk->count; i++) {
			walk->touched[i].chosen = (unsigned char)(rest % walk->touched[i].count);
			rest /= walk->touched[i].count;
		}
		visit_chosen(walk);
	}
}

/* Of so many regular states, each nth is visited. */
static size_t stride(const struct walk *walk, size_t states)
{
	return walk->count < MATERIAL ? 1 : states / MATERIAL_REGULAR + 1;
}

static size_t random_states(const struct walk *walk)
{
	return walk->limits->sampled / (walk->count < MATERIAL ? 1 : MATERIAL_SHARE);
}

/* As if the disk had kept to the order. */
static void visit_prefixes(struct walk *walk)
{
	size_t step = stride(walk, walk->step_count);

	choose_none(walk);
	for (size_t i = 0; i < walk->step_count; i++) {
		walk->touched[walk->steps[i].touched].chosen = walk->steps[i].version;
		if (i % step == 0 || i + step > walk->step_count)
			visit_chosen(walk);
	}
}

/* One sector missing, one alone: of all, or of as many as are enough. */
static void visit_singles(struct walk *walk)
{
	size_t step = stride(walk, walk->count);

	for (size_t i = draw(walk) % step; i < walk->count; i += step) {
		choose_last(walk);
		walk->touched[i].chosen = 0;
		visit_chosen(walk);
		choose_none(walk);
		walk->touched[i].chosen = walk->touched[i].last;
		visit_chosen(walk);
	}
}

/* Whole write calls: in each selection when they are few, else in random ones. */
static void visit_calls(struct walk *walk)
{
	bool few = walk->calls <= CALLS_ENUMERATED;
	size_t selections = few ? (size_t)1 << walk->calls : random_states(walk) / 2;

	for (size_t selection = 0; selection < selections; selection++) {
		uint64_t seed = draw(walk);

		choose_none(walk);
		for (size_t i = 0; i < walk->step_count; i++) {
			const struct step *at = &walk->steps[i];
			uint64_t bit = few ? selection >> at->call : hash_number(at->call, seed);

			if (bit & 1)
				walk->touched[at->touched].chosen = at->version;
		}
		visit_chosen(walk);
	}
}

/* Each sector with a chance of its old content that differs from state to state: 1/64, 1/16, 1/4, 1/2, and the other way. */
static void visit_random(struct walk *walk)
{
	static const unsigned chances[] = {1, 4, 16, 32, 48, 60, 63};

	for (size_t n = 0; n < random_states(walk); n++) {
		unsigned chance = chances[draw(walk) % (sizeof(chances) / sizeof(*chances))];

		for (size_t i = 0; i < walk->count; i++) {
			struct touched *at = &walk->touched[i];
			uint64_t drawn = draw(walk);

			at->chosen = 0;
			if (at->count > 1 && drawn % 64 >= chance)
				at->chosen = (unsigned char)(1 + (drawn >> 8) % (at->count - 1));
		}
		visit_chosen(walk);
	}
}

static uint64_t hash_sector(uint64_t number, const unsigned char *bytes)
{
	return hash_bytes(bytes, SECTOR, number + 1);
}

/* The version's number. Should there be more than a table holds, the newest take the last place in turn. */
static unsigned char add_version(struct touched *at, const unsigned char *bytes)
{
	size_t i;

	for (i = 0; i < at->count; i++)
		if (memcmp(at->version[i], bytes, SECTOR) == 0)
			return (unsigned char)i;
	if (at->count == VERSIONS_MAX)
		i = VERSIONS_MAX - 1;
	else
		at->count++;
	at->version[i] = bytes;
	at->hash[i] = hash_sector(at->number, bytes);
	return (unsigned char)i;
}

/* Sorts what was written since the last flush by sectors. */
static void gather(struct walk *walk)
{
	struct table places = {0};
	bool is_new = true;

	walk->count = 0;
	for (size_t i = 0; i < walk->step_count; i++) {
		struct step *step = &walk->steps[i];
		intptr_t *place = table_at(&places, hash_number(step->number + 1, 0), &is_new);
		struct touched *at;

		if (is_new)
			*place = (intptr_t)walk->count++;
		step->touched = (size_t)*place;
		at = &walk->touched[step->touched];
		if (is_new) {
			*at = (struct touched){.number = step->number, .count = 1};
			at->version[0] = walk->durable + step->number * SECTOR;
			at->hash[0] = hash_sector(step->number, at->version[0]);
		}
		step->version = add_version(at, step->bytes);
		at->last = step->version;
	}
	table_free(&places);
}

static void visit_epoch(struct walk *walk)
{
	size_t states;

	gather(walk);
	if (walk->count == 0)
		return;
	walk->counts->epochs++;
	states = count_states(walk, walk->limits->enumerated);
	if (states != SIZE_MAX) {
		visit_all(walk, states);
	} else {
		walk->counts->sampled++;
		visit_prefixes(walk);
		visit_singles(walk);
		visit_calls(walk);
		visit_random(walk);
	}
	choose_last(walk);
	visit_chosen(walk);
}

static void settle_sector(struct walk *walk, const struct step *step)
{
	unsigned char *disk = walk->durable + step->number * SECTOR;

	walk->base_hash ^= hash_sector(step->number, disk) ^ hash_sector(step->number, step->bytes);
	memcpy(disk, step->bytes, SECTOR);
	image_put(walk->image, step->number, disk);
}

/* All that was written is on the disk now. */
static void settle(struct walk *walk)
{
	for (size_t i = 0; i < walk->step_count; i++)
		settle_sector(walk, &walk->steps[i]);
	walk->step_count = 0;
	walk->calls = 0;
}

/* Only what the last call wrote is: older versions of its sectors can no longer come. */
static void settle_last_call(struct walk *walk)
{
	size_t kept = 0;
	size_t first = walk->step_count;

	while (first > 0 && walk->steps[first - 1].call == walk->calls - 1)
		first--;
	for (size_t i = first; i < walk->step_count; i++)
		settle_sector(walk, &walk->steps[i]);
	for (size_t i = 0; i < first; i++) {
		bool replaced = false;

		for (size_t j = first; j < walk->step_count && !replaced; j++)
			replaced = walk->steps[j].number == walk->steps[i].number;
		if (!replaced)
			walk->steps[kept++] = walk->steps[i];
	}
	walk->step_count = kept;
}

/* A part of a sector is that part of the newest version there is. The copy lives as long as the process. */
static const unsigned char *whole_sector(struct walk *walk, uint64_t number, size_t at,
					 const unsigned char *bytes, size_t size)
{
	const unsigned char *newest = walk->durable + number * SECTOR;
	unsigned char *sector = malloc(SECTOR);

	if (!sector)
		abort();
	for (size_t i = 0; i < walk->step_count; i++)
		if (walk->steps[i].number == number)
			newest = walk->steps[i].bytes;
	memcpy(sector, newest, SECTOR);
	memcpy(sector + at, bytes, size);
	return sector;
}

static void write_sector(struct walk *walk, uint64_t number, const unsigned char *bytes)
{
	walk->steps = realloc(walk->steps, (walk->step_count + 1) * sizeof(*walk->steps));
	walk->touched = realloc(walk->touched, (walk->step_count + 1) * sizeof(*walk->touched));
	if (!walk->steps || !walk->touched)
		abort();
	walk->touched[walk->step_count] = (struct touched){0};
	walk->steps[walk->step_count++] = (struct step){number, bytes, walk->calls, 0, 0};
}

static void write_bytes(struct walk *walk, uint64_t offset, const unsigned char *bytes, size_t size)
{
	if (offset > walk->image->size || size > walk->image->size - offset)
		die("a record of another image", walk->image->path);
	while (size > 0) {
		size_t at = offset % SECTOR;
		size_t piece = size < SECTOR - at ? size : SECTOR - at;

		write_sector(walk, offset / SECTOR,
			     piece == SECTOR
				     ? bytes
				     : whole_sector(walk, offset / SECTOR, at, bytes, piece));
		offset += piece;
		bytes += piece;
		size -= piece;
	}
	walk->calls++;
	walk->counts->writes++;
}

static void replay(struct walk *walk, const struct record_entry *entry, const unsigned char *bytes)
{
	if (entry->kind == RECORD_FLUSH && !walk->limits->drop_flushes) {
		visit_epoch(walk);
		settle(walk);
	}
	if (entry->kind == RECORD_WRITE || entry->kind == RECORD_DURABLE)
		write_bytes(walk, entry->offset, bytes, entry->size);
	if (entry->kind == RECORD_DURABLE) {
		visit_epoch(walk);
		settle_last_call(walk);
	}
}

void epochs_visit(struct image *image, const char *path, const struct epochs_limits *limits,
		  epochs_visitor visit, void *arg, struct epochs_counts *counts)
{
	struct walk walk = {.image = image,
			    .limits = limits,
			    .counts = counts,
			    .visit = visit,
			    .arg = arg,
			    .random = limits->seed};
	struct record_entry entry;
	size_t size = 0;
	unsigned char *record = image_read_file(path, &size);

	walk.durable = malloc(image->size);
	if (!walk.durable)
		abort();
	memcpy(walk.durable, image->content, image->size);
	for (size_t at = 0; at < size; at += sizeof(entry) + entry.size) {
		if (limits->stop > 0 && counts->epochs == limits->stop)
			break;
		if (size - at < sizeof(entry))
			die("a damaged record", path);
		memcpy(&entry, record + at, sizeof(entry));
		if (entry.size > size - at - sizeof(entry))
			die("a damaged record", path);
		replay(&walk, &entry, record + at + sizeof(entry));
	}
	/* What was never flushed may get there or not. */
	visit_epoch(&walk);
	settle(&walk);
	table_free(&walk.visited);
	free(walk.steps);
	free(walk.touched);
	free(walk.durable);
	free(record);
}
