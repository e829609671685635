/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What jose writes, to standard output ("-") or a file. A regular file is there whole, or as it was: what is written gets its name when it
 * is complete. It keeps its mode, and a new one is created by the umask; with a private key in it, only the owner may read it.
 */
#pragma once

#include "base/error.h"
#include "base/file.h"
#include "base/secret.h"

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

/* An output that is open. Zero-initialise it. */
struct output {
	const char *name;
	int fd;
	int folder_fd; /* -1: it is no regular file, and written to at once */
	mode_t mode;
	struct file_draft draft;
	struct secret buffer; /* what is written next */
	size_t filled;	      /* bytes of it */
};

/* Opens the output at `path`. `is_private`: a new file is for the owner alone. Returns 0, or -errno with `err` filled. */
int output_open(const char *path, bool is_private, struct output *output, struct error *err);

/* Writes `size` bytes to it, some of them not before it is closed. Returns 0, or -errno with `err` filled. */
int output_write(struct output *output, const void *data, size_t size, struct error *err);

/* Ends a text with a newline where its reader is a person: on a terminal. */
int output_end_line(struct output *output, struct error *err);

/* Writes JSON to it, compact, members sorted. Returns 0; -ENOMEM, -errno with `err` filled. */
int output_write_json(struct output *output, const json_t *json, struct error *err);

/*
 * Closes it. With `rc` 0 a file gets its name, else it is dropped.
 * Returns `rc`, or -errno with `err` filled where that failed.
 */
int output_close(struct output *output, int rc, struct error *err);

/* Writes bytes as a whole; with `is_text`, a newline behind them on a terminal. Returns 0, or -errno with `err` filled. */
int output_bytes(const char *path, const void *data, size_t size, bool is_text, bool is_private,
		 struct error *err);

/*
 * Writes JSON, compact, members sorted, a newline behind it on a terminal. A private key makes it private, too.
 * Returns 0; -ENOMEM, -errno with `err` filled.
 */
int output_json(const char *path, json_t *json, bool is_private, struct error *err);

/* Says whether there is a private key in it, at whatever depth. */
bool holds_private_key(json_t *json);
