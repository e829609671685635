/* SPDX-License-Identifier: Apache-2.0 */
/* What the unit tests share: cmocka, JSON from literals and vectors, temporary folders, child processes, standard error. */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/types.h>

#include "base/error.h"
#include "base/secret.h"

#define COUNT(array) (sizeof(array) / sizeof(*(array)))

/* To be called first in main(): `PROGRAM NAME` runs the one case of that name. */
void unit_begin(int argc, char *argv[]);

/* Leaves the running case as skipped, and prints why. */
void unit_skip(const char *why) __attribute__((noreturn));

/* Says in which row of a table a check failed: prints it when `holds` is false, and fails. */
void unit_check(bool holds, const char *row);

/* JSON from a literal in which ' stands for ", so that it can be read. The caller's. */
json_t *json_of(const char *text);

/* The file of tests/vectors/. The caller's. */
json_t *vector_read(const char *name);

/* The text of a file of docs/. malloc'd, the caller's. */
char *document_read(const char *name);

/* The value at a path of member names and array indices ("curves/P-256/order", "items/0"), inside `json`; it must be there. */
json_t *json_at(const json_t *json, const char *path);
const char *text_at(const json_t *json, const char *path);

/* Decodes base64url into a secret that must hold nothing; fails the case when it is not. */
void secret_of_b64(const char *text, struct secret *secret);

/* Changes one character of a string member, so that it stays base64url. */
void json_tamper(json_t *object, const char *member);

/* A temporary folder. */
struct folder {
	char path[64];
	int fd;
};

#define FOLDER_AUTO __attribute__((cleanup(folder_remove)))
void folder_make(struct folder *folder);
void folder_remove(struct folder *folder);
void folder_write(const struct folder *folder, const char *name, const char *text);
size_t folder_count(const struct folder *folder); /* entries, . and .. left out */
bool folder_has(const struct folder *folder, const char *name);

/* Standard error, kept from being seen between the two calls. The text is malloc'd, the caller's. */
struct capture {
	int saved;
	int file;
};

void capture_begin(struct capture *capture);
char *capture_end(struct capture *capture);

/*
 * Runs `run` in a child process and returns what it returned (0 … 255), or -1 when it ended in another way. No cmocka
 * assertion may stand in it: it would jump into the parent's case.
 */
int unit_in_child(int (*run)(void *arg), void *arg);

/* For a child that a test forked: gives signals their defaults back, and ends with its parent. */
void unit_child_begin(pid_t parent);

/* `size` bytes of zeroed memory that child processes share; to be given back by unit_unmap(). */
void *unit_map(size_t size);
void unit_unmap(void *memory, size_t size);

/* Milliseconds on a clock that only goes forward. */
int64_t unit_now_ms(void);
