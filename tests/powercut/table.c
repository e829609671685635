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
	word = 0;
	memcpy(&word, bytes + size / sizeof(word) * sizeof(word), size % sizeof(word));
	return hash_number(hash ^ word, seed);
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
	struct table_entry *old = table->entries;
	size_t old_size = table->size;

	table->size = old_size ? 2 * old_size : FIRST_SIZE;
	table->entries = calloc(table->size, sizeof(*table->entries));
	if (!table->entries)
		abort();
	for (size_t i = 0; i < old_size; i++)
		if (old[i].key)
			*find(table, old[i].key) = old[i];
	free(old);
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
