/* SPDX-License-Identifier: Apache-2.0 */
#include "table.h"

#include <stdlib.h>
#include <string.h>

enum { FIRST_SIZE = 1024 };

uint64_t hash_number(uint64_t number, uint64_t seed)
{
	uint64_t mixed = (seed ^ number) * 0x9e3779b97f4a7c15U;

	mixed = (mixed ^ (mixed >> 32)) * 0xd6e8feb86659fd93U;
	return mixed ^ (mixed >> 32);
}

uint64_t hash_bytes(const void *data, size_t size, uint64_t seed)
{
	const unsigned char *bytes = data;
	uint64_t hash = hash_number(size, seed);
	uint64_t word;

	for (size_t at = 0; at + sizeof(word) <= size; at += sizeof(word)) {
		memcpy(&word, bytes + at, sizeof(word));
		hash = (hash ^ word) * 0x9e3779b97f4a7c15U;
		hash ^= hash >> 29;
	}
	return hash_number(hash, seed);
}

uint64_t hash_text(const char *text, uint64_t seed)
{
	for (; *text; text++)
		seed = hash_number((unsigned char)*text, seed);
	return seed;
}

static struct table_entry *find(const struct table *table, uint64_t key)
{
	size_t at = key & (table->size - 1);

	while (table->entries[at].key && table->entries[at].key != key)
		at = (at + 1) & (table->size - 1);
	return &table->entries[at];
}

static void grow(struct table *table)
{
	struct table larger = {.size = table->size ? 2 * table->size : FIRST_SIZE};

	larger.entries = calloc(larger.size, sizeof(*larger.entries));
	if (!larger.entries)
		abort();
	for (size_t i = 0; i < table->size; i++)
		if (table->entries[i].key)
			*find(&larger, table->entries[i].key) = table->entries[i];
	larger.count = table->count;
	free(table->entries);
	*table = larger;
}

intptr_t *table_at(struct table *table, uint64_t key, bool *is_new)
{
	struct table_entry *entry;

	if (2 * (table->count + 1) > table->size)
		grow(table);
	key |= 1; /* 0 stands for no entry */
	entry = find(table, key);
	*is_new = entry->key == 0;
	table->count += *is_new;
	entry->key = key;
	return &entry->value;
}

void table_free(struct table *table)
{
	free(table->entries);
	*table = (struct table){0};
}
