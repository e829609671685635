/* SPDX-License-Identifier: Apache-2.0 */
#include "base/secret.h"

#include <errno.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

/*
 * The arena is ARENA_SIZE bytes in blocks of BLOCK_SIZE. `used[i]` holds, for the first block of a secret, how many blocks
 * it has; for the others and for free blocks 0 (`busy` tells them apart). First fit: there are few secrets, all short-lived.
 */
enum { BLOCK_SIZE = 64, ARENA_SIZE = 256 * 1024, BLOCKS = ARENA_SIZE / BLOCK_SIZE };

/* A secret that would take more than this of the arena has pages of its own. */
enum { ARENA_LARGEST = ARENA_SIZE / 4 };

static struct {
	unsigned char *base;
	uint16_t used[BLOCKS];
	bool busy[BLOCKS];
	bool lock_failed;
} arena;

void secret_wipe(void *data, size_t size)
{
	if (size > 0)
		explicit_bzero(data, size);
}

static unsigned char *map_pages(size_t size)
{
	unsigned char *base = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
				   -1, 0);

	if (base == MAP_FAILED)
		return NULL;
	if (mlock(base, size) != 0)
		arena.lock_failed = true;
	(void)madvise(base, size, MADV_DONTDUMP);
	(void)madvise(base, size, MADV_WIPEONFORK);
	return base;
}

void secret_after_fork(void)
{
	if (arena.base && mlock(arena.base, ARENA_SIZE) != 0)
		arena.lock_failed = true;
}

static size_t round_up(size_t size, size_t unit)
{
	return (size + unit - 1) / unit * unit;
}

static bool in_arena(const unsigned char *data)
{
	return arena.base && data >= arena.base && data < arena.base + ARENA_SIZE;
}

static unsigned char *arena_take(size_t size)
{
	size_t wanted = size > 0 ? round_up(size, BLOCK_SIZE) / BLOCK_SIZE : 1;
	size_t run = 0;

	if (!arena.base && !(arena.base = map_pages(ARENA_SIZE)))
		return NULL;
	for (size_t i = 0; i < BLOCKS; i++) {
		run = arena.busy[i] ? 0 : run + 1;
		if (run < wanted)
			continue;
		i -= wanted - 1;
		arena.used[i] = (uint16_t)wanted;
		memset(&arena.busy[i], true, wanted);
		return arena.base + i * BLOCK_SIZE;
	}
	return NULL;
}

static void arena_give(unsigned char *data)
{
	size_t first = (size_t)(data - arena.base) / BLOCK_SIZE;
	size_t count = arena.used[first];

	secret_wipe(data, count * BLOCK_SIZE);
	memset(&arena.busy[first], false, count);
	arena.used[first] = 0;
}

static size_t own_pages_size(size_t size)
{
	return round_up(size > 0 ? size : 1, (size_t)sysconf(_SC_PAGESIZE));
}

int secret_new(struct secret *secret, size_t size, struct error *err)
{
	unsigned char *data = NULL;

	if (size > SIZE_MAX / 2)
		return error_nomem(err);
	if (size <= ARENA_LARGEST)
		data = arena_take(size);
	if (!data)
		data = map_pages(own_pages_size(size));
	if (!data)
		return error_set(err, -ENOMEM, "no memory for a secret of %zu bytes", size);
	secret->data = data;
	secret->size = size;
	return 0;
}

int secret_copy(struct secret *secret, const void *data, size_t size, struct error *err)
{
	int rc = secret_new(secret, size, err);

	if (rc == 0 && size > 0)
		memcpy(secret->data, data, size);
	return rc;
}

int secret_resize(struct secret *secret, size_t size, struct error *err)
{
	struct secret fresh = {0};
	int rc = secret_new(&fresh, size, err);

	if (rc < 0)
		return rc;
	if (secret->data)
		memcpy(fresh.data, secret->data, size < secret->size ? size : secret->size);
	secret_free(secret);
	*secret = fresh;
	return 0;
}

void secret_free(struct secret *secret)
{
	if (!secret || !secret->data)
		return;
	if (in_arena(secret->data)) {
		arena_give(secret->data);
	} else {
		secret_wipe(secret->data, secret->size);
		(void)munmap(secret->data, own_pages_size(secret->size));
	}
	secret->data = NULL;
	secret->size = 0;
}

void secret_move(struct secret *to, struct secret *from)
{
	*to = *from;
	from->data = NULL;
	from->size = 0;
}

bool secret_equal(const struct secret *a, const struct secret *b)
{
	unsigned char difference = 0;

	if (a->size != b->size)
		return false;
	for (size_t i = 0; i < a->size; i++)
		difference |= a->data[i] ^ b->data[i];
	return difference == 0;
}

bool secret_is_locked(void)
{
	return !arena.lock_failed;
}

int secret_harden_process(struct error *err)
{
	const struct rlimit no_core = {0};

	if (setrlimit(RLIMIT_CORE, &no_core) != 0 || prctl(PR_SET_DUMPABLE, 0) != 0)
		return error_set(err, -errno, "cannot switch core dumps off: %s", strerror(errno));
	return 0;
}
