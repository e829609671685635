/* SPDX-License-Identifier: Apache-2.0 */
/* An image file that is made to hold one state of the disk after another. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What a disk writes whole or not at all, bytes. */
enum { SECTOR = 512 };

struct image {
	int fd;
	const char *path;
	size_t size;
	unsigned char *content; /* what we have put there */
	uint64_t *changes;	/* of each piece, how often something was put there */
	bool is_foreign; /* others may have written anywhere, since we put all that is there */
};

/* Makes `path` a copy of the file `from`. Ends the process with a message when it cannot. */
void image_open(struct image *image, const char *path, const char *from);

/* Makes a sector of the file be that, unless it is already. */
void image_put(struct image *image, uint64_t sector, const unsigned char *bytes);

/* Puts a part again that a program may have changed. */
void image_renew(struct image *image, size_t at, size_t size);

/* The same for the whole file. */
void image_renew_all(struct image *image);

/* A number that is larger whenever something was put into that part since; 0 while others may have written there. */
uint64_t image_changes(const struct image *image, size_t at, size_t size);

/* Reads a whole file: malloc'd, the caller's. Ends the process when it cannot. */
unsigned char *image_read_file(const char *path, size_t *size);

/* Ends the process with a message. */
void die(const char *what, const char *name) __attribute__((noreturn));
