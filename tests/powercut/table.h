/* SPDX-License-Identifier: Apache-2.0 */
/* Hashes of bytes, and a table from a hash to a number. With 64 bits, a million states meet once in ten million runs. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Hashes `size` bytes on top of `seed`. */
uint64_t hash_bytes(const void *data, size_t size, uint64_t seed);

/* The same of a text, and of one number. */
uint64_t hash_text(const char *text, uint64_t seed);
uint64_t hash_number(uint64_t number, uint64_t seed);

struct table {
	size_t size; /* a power of two; 0 before the first entry */
	size_t count;
	struct table_entry {
		uint64_t key; /* 0: none */
		intptr_t value;
	} * entries;
};

/* The value's place, made (with 0) when there is none; valid until the next call. `*is_new` says which. Ends the process without memory. */
intptr_t *table_at(struct table *table, uint64_t key, bool *is_new);

void table_free(struct table *table);
