/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Preloaded into a command: appends what it and its children write to the image $NBDE_RECORD_IMAGE, and when they flush, to the file
 * $NBDE_RECORD (see record.h).
 *
 * A flush is what makes the kernel empty the disk's cache: fsync, fdatasync, syncfs, sync. A write through a descriptor that was
 * opened with O_SYNC or O_DSYNC is durable by itself, and promises nothing of other writes. O_DIRECT alone promises nothing, nor
 * does sync_file_range, which starts writing and leaves the disk's cache alone. What cannot be recorded (a writable mapping, a change
 * of size) ends the command; and the simulator makes sure that the record leads to the very image that the command left.
 */

/* Both names of each call are to be defined, on machines where they are the same. */
#undef _FILE_OFFSET_BITS

#include "record.h"

#include <dlfcn.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

/* The library's own may be called before a constructor of ours. */
#define REAL(name) ((__typeof__(&(name)))dlsym(RTLD_NEXT, #name))

/* NOLINTBEGIN(readability-inconsistent-declaration-parameter-name): the names are the library's */
static bool is_image(int fd)
{
	const char *path = getenv("NBDE_RECORD_IMAGE");
	struct stat image;
	struct stat st;

	return path && stat(path, &image) == 0 && fstat(fd, &st) == 0 && S_ISREG(st.st_mode) &&
	       st.st_dev == image.st_dev && st.st_ino == image.st_ino;
}

/* Opened for each entry, since a program may close descriptors that it does not know. */
static void append(const struct record_entry *entry, const void *data)
{
	const struct iovec parts[] = {{(void *)entry, sizeof(*entry)},
				      {(void *)data, (size_t)entry->size}};
	const char *path = getenv("NBDE_RECORD");
	int fd = path ? open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600) : -1;
	ssize_t whole = (ssize_t)(sizeof(*entry) + entry->size);

	if (fd < 0 || syscall(SYS_writev, fd, parts, 2) != whole)
		abort();
	(void)close(fd);
}

static void record_write(int fd, const void *data, ssize_t written, off_t at)
{
	struct record_entry entry = {
		.kind = RECORD_WRITE, .offset = (uint64_t)at, .size = (uint64_t)written};

	if (written <= 0)
		return;
	if (fcntl(fd, F_GETFL) & (O_SYNC | O_DSYNC))
		entry.kind = RECORD_DURABLE;
	append(&entry, data);
}

static void record_vector(int fd, const struct iovec *parts, int count, ssize_t written, off_t at)
{
	for (int i = 0; i < count && written > 0; i++) {
		ssize_t size = (ssize_t)parts[i].iov_len < written ? (ssize_t)parts[i].iov_len
								   : written;

		record_write(fd, parts[i].iov_base, size, at);
		at += size;
		written -= size;
	}
}

static void record_flush(void)
{
	const struct record_entry entry = {.kind = RECORD_FLUSH};

	append(&entry, "");
}

ssize_t write(int fd, const void *data, size_t size)
{
	bool ours = is_image(fd);
	off_t at = ours ? lseek(fd, 0, SEEK_CUR) : 0;
	ssize_t written = REAL(write)(fd, data, size);

	if (ours)
		record_write(fd, data, written, at);
	return written;
}

ssize_t writev(int fd, const struct iovec *parts, int count)
{
	bool ours = is_image(fd);
	off_t at = ours ? lseek(fd, 0, SEEK_CUR) : 0;
	ssize_t written = REAL(writev)(fd, parts, count);

	if (ours)
		record_vector(fd, parts, count, written, at);
	return written;
}

ssize_t pwrite(int fd, const void *data, size_t size, off_t at)
{
	ssize_t written = REAL(pwrite)(fd, data, size, at);

	if (is_image(fd))
		record_write(fd, data, written, at);
	return written;
}

ssize_t pwrite64(int fd, const void *data, size_t size, off64_t at)
{
	return pwrite(fd, data, size, at);
}

ssize_t pwritev(int fd, const struct iovec *parts, int count, off_t at)
{
	ssize_t written = REAL(pwritev)(fd, parts, count, at);

	if (is_image(fd))
		record_vector(fd, parts, count, written, at);
	return written;
}

ssize_t pwritev64(int fd, const struct iovec *parts, int count, off64_t at)
{
	return pwritev(fd, parts, count, at);
}

/* Only when it is done: what the kernel refuses has flushed nothing. */
static int flush(int fd, int (*real)(int))
{
	int rc = real(fd);

	if (rc == 0 && is_image(fd))
		record_flush();
	return rc;
}

int fsync(int fd)
{
	return flush(fd, REAL(fsync));
}

int fdatasync(int fd)
{
	return flush(fd, REAL(fdatasync));
}

int syncfs(int fd)
{
	int rc = REAL(syncfs)(fd);

	if (rc == 0)
		record_flush();
	return rc;
}

void sync(void)
{
	REAL(sync)();
	record_flush();
}

void *mmap(void *address, size_t size, int protection, int flags, int fd, off_t at)
{
	if (fd >= 0 && (flags & MAP_SHARED) && (protection & PROT_WRITE) && is_image(fd))
		abort();
	return REAL(mmap)(address, size, protection, flags, fd, at);
}

int ftruncate(int fd, off_t size)
{
	if (is_image(fd))
		abort();
	return REAL(ftruncate)(fd, size);
}

int fallocate(int fd, int mode, off_t at, off_t size)
{
	if (is_image(fd))
		abort();
	return REAL(fallocate)(fd, mode, at, size);
}

void *mmap64(void *address, size_t size, int protection, int flags, int fd, off64_t at)
{
	return mmap(address, size, protection, flags, fd, at);
}

int ftruncate64(int fd, off64_t size)
{
	return ftruncate(fd, size);
}

int fallocate64(int fd, int mode, off64_t at, off64_t size)
{
	return fallocate(fd, mode, at, size);
}
/* NOLINTEND(readability-inconsistent-declaration-parameter-name) */
