/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A backup of a key folder: {"format":"nbde-tang-backup","version":1,"keys":[{"name":"X.jwk","jwk":{…}}, …]}, described in
 * tangctl(8). It is as secret as the keys.
 */
#pragma once

#include "base/error.h"

#include <jansson.h>
#include <stddef.h>

/* Largest backup that is written or read, bytes. */
enum { ARCHIVE_MAX = 16 * 1024 * 1024 };

/*
 * Puts every key file of the folder, hidden ones included, into a new archive. Returns 0 with `*archive` (the caller's), which
 * archive_check() accepts; -ENOENT when there is none, -EINVAL, -EBADMSG and others with `err` filled when one cannot be read or
 * is not whole: a backup that lacks a key must not look like one.
 */
int archive_make(int folder_fd, json_t **archive, struct error *err);

/*
 * Checks an archive from outside: format and version, names that are key files of a folder and none twice, keys that are whole
 * (tang_check_key()). Returns 0; -EBADMSG with `err` filled, -ENOMEM.
 */
int archive_check(const json_t *archive, struct error *err);

/* How many keys there are, and the name and the JWK of one, in a checked archive; they belong to it. */
size_t archive_count(const json_t *archive);
const char *archive_name(const json_t *archive, size_t i);
json_t *archive_jwk(const json_t *archive, size_t i);
