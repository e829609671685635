/* SPDX-License-Identifier: Apache-2.0 */
#include "image.h"

#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Changes are counted by so many bytes. */
enum { COUNTED = 16384 };

enum { PIECE = 1024 * 1024, EXIT_TROUBLE = 2 };

void die(const char *what, const char *name)
{
	(void)fprintf(stderr, "# powercut: %s: %s (%s)\n", what, name, strerror(errno));
	exit(EXIT_TROUBLE);
}

unsigned char *image_read_file(const char *path, size_t *size)
{
	struct error err = {0};
	char *data = NULL;

	if (file_read(path, INT_MAX, &data, size, &err) < 0)
		die("cannot read", err.text);
	return (unsigned char *)data;
}

static void write_at(const struct image *image, const unsigned char *bytes, size_t size, size_t at)
{
	if (pwrite(image->fd, bytes, size, (off_t)at) != (ssize_t)size)
		die("cannot write", image->path);
}

void image_open(struct image *image, const char *path, const char *from)
{
	image->path = path;
	image->content = image_read_file(from, &image->size);
	image->changes = calloc(image->size / COUNTED + 1, sizeof(*image->changes));
	image->fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (image->fd < 0 || !image->changes || ftruncate(image->fd, (off_t)image->size) != 0)
		die("cannot make", path);
	image_renew_all(image);
}

void image_put(struct image *image, uint64_t sector, const unsigned char *bytes)
{
	unsigned char *at = image->content + sector * SECTOR;

	if (memcmp(at, bytes, SECTOR) == 0)
		return;
	memcpy(at, bytes, SECTOR);
	image->changes[sector * SECTOR / COUNTED]++;
	write_at(image, at, SECTOR, sector * SECTOR);
}

void image_renew(struct image *image, size_t at, size_t size)
{
	write_at(image, image->content + at, size, at);
}

/* Only where it differs, so that holes stay holes. */
void image_renew_all(struct image *image)
{
	static unsigned char found[PIECE];

	for (size_t at = 0; at < image->size; at += PIECE) {
		size_t size = image->size - at < PIECE ? image->size - at : PIECE;

		if (pread(image->fd, found, size, (off_t)at) != (ssize_t)size)
			die("cannot read", image->path);
		if (memcmp(found, image->content + at, size) != 0)
			image_renew(image, at, size);
	}
	image->is_foreign = false;
}

uint64_t image_changes(const struct image *image, size_t at, size_t size)
{
	uint64_t sum = 1;

	if (image->is_foreign)
		return 0;
	for (size_t piece = at / COUNTED; piece * COUNTED < at + size; piece++)
		sum += image->changes[piece];
	return sum;
}
