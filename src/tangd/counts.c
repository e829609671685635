/* SPDX-License-Identifier: Apache-2.0 */
#include "tangd/counts.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

const unsigned counts_status[COUNTS_STATUS_OTHER] = {200, 400, 403, 404, 405,
						     413, 414, 431, 500, 503};

const unsigned counts_bucket_us[COUNTS_BUCKETS] = {250,	   500,	    1000,    2500,    5000,
						   10000,  25000,   50000,   100000,  250000,
						   500000, 1000000, 2500000, 10000000};

static void add(_Atomic uint64_t *number, uint64_t more)
{
	(void)atomic_fetch_add_explicit(number, more, memory_order_relaxed);
}

void counts_request(struct front_counts *counts, enum counts_kind kind, unsigned status,
		    int64_t latency_us)
{
	size_t place = 0;
	size_t bucket = 0;

	if (!counts)
		return;
	while (place < COUNTS_STATUS_OTHER && counts_status[place] != status)
		place++;
	while (bucket < COUNTS_BUCKETS && latency_us > counts_bucket_us[bucket])
		bucket++;
	add(&counts->requests[kind][place], 1);
	add(&counts->latency[kind][bucket], 1);
	add(&counts->latency_us[kind], latency_us > 0 ? (uint64_t)latency_us : 0);
}

void counts_use(struct key_uses *uses, size_t key)
{
	if (!uses || key >= TANG_KEY_FILES_MAX)
		return;
	add(&uses->key[key].times, 1);
	atomic_store_explicit(&uses->key[key].last, time(NULL), memory_order_relaxed);
}

void *counts_share(size_t size)
{
	void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	return memory == MAP_FAILED ? NULL : memory;
}

void counts_unshare(void *memory, size_t size)
{
	if (memory)
		(void)munmap(memory, size);
}

int counts_share_file(size_t size, void **memory, struct error *err)
{
	const int seals = F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW;
	int fd = memfd_create("tangd-counts", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	void *mapped = NULL;
	int rc = 0;

	if (fd < 0 || ftruncate(fd, (off_t)size) != 0 || fcntl(fd, F_ADD_SEALS, seals) != 0)
		rc = -errno;
	if (rc == 0 && !(mapped = counts_map(fd, size)))
		rc = -ENOMEM;
	if (rc < 0) {
		if (fd >= 0)
			(void)close(fd);
		return error_set(err, rc, "no memory to count in: %s", strerror(-rc));
	}
	*memory = mapped;
	return fd;
}

void *counts_map(int fd, size_t size)
{
	void *memory;

	/* In the sandbox no other call tells it. */
	if (lseek(fd, 0, SEEK_END) != (off_t)size)
		return NULL;
	memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	return memory == MAP_FAILED ? NULL : memory;
}
