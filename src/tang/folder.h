/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A server's key folder on disk: which of its files are keys, whose they are, who changes them now. For the programs that keep
 * the keys; what serves them is tangd/keys.h.
 */
#pragma once

#include "base/deadline.h"
#include "base/error.h"
#include "base/file.h"

#include <jansson.h>
#include <pwd.h>
#include <stdbool.h>
#include <stddef.h>

/* Where the keys are when nothing else is said. */
#define TANG_FOLDER "/var/lib/tang"

/* Most key files of a folder, and the mode of those that we write. */
enum { TANG_KEY_FILES_MAX = 1000, TANG_KEY_MODE = 0440 };

/* How long to wait for another program that is changing the keys. */
enum { TANG_LOCK_MS = 10000 };

/* Says whether a file of that name is a key: NAME.jwk. */
bool tang_is_key_file(const char *name);

/* Says whether the key of that file name is rotated: it still answers, and is not advertised. */
bool tang_is_hidden(const char *name);

/* Opens the folder. Returns the descriptor, the caller's, or -errno with `err` filled. */
int tang_folder_open(const char *path, struct error *err);

/*
 * Keeps others from changing the folder until `folder_fd` is closed: rotations, restores, and a server that would make its first
 * pair. A file system that has no locks is no error: each of them keeps keys in service by the order of its steps.
 * Returns 0; -EBUSY with `err` filled when the deadline passes.
 */
int tang_folder_lock(int folder_fd, struct deadline deadline, struct error *err);

/* Names of key files, sorted by bytes: hidden ones come first. Zero-initialise it. */
struct tang_names {
	char **name;
	size_t count;
};

#define TANG_NAMES_AUTO __attribute__((cleanup(tang_names_free)))
void tang_names_free(struct tang_names *names);

/*
 * Lists the key files of the folder, hidden ones included. Returns 0 with `names` (the caller's); -E2BIG for more than
 * TANG_KEY_FILES_MAX, -errno, -ENOMEM, with `err` filled.
 */
int tang_folder_list(int folder_fd, struct tang_names *names, struct error *err);

/*
 * Checks that the folder has room for `more` key files: with more than TANG_KEY_FILES_MAX a server reads none. Returns 0; -E2BIG
 * and those of tang_folder_list() with `err` filled.
 */
int tang_folder_check_room(int folder_fd, size_t more, struct error *err);

/*
 * Reads one key of the folder: a regular file, not larger than JOSE_JWK_MAX, whatever JSON is in it. Returns 0 with `*jwk` (the
 * caller's); -ENOENT, -EINVAL, -EBADMSG and others with `err` filled, the name in it.
 */
int tang_folder_read(int folder_fd, const char *name, json_t **jwk, struct error *err);

/* The server's user: `_tang` or `tang`; NULL where there is none. Valid until the next call of getpwnam(3) and the like. */
const struct passwd *tang_server_user(void);

/*
 * Gives a file of the folder to whom the server runs as, who must read it: the folder's owner and group or, where that is root,
 * the user `_tang` or `tang`. `what` names the file in messages. Who is not root and has the file already may not be able to
 * change its group, which is no error. Returns 0, or -errno with `err` filled.
 */
int tang_folder_give(int folder_fd, const char *name, const char *what, struct error *err);

/* The same for a draft of a file in the folder, and for no other file that has taken its place. */
int tang_folder_give_draft(int folder_fd, const struct file_draft *draft, struct error *err);

/*
 * Checks that a JWK is whole: it has a thumbprint; the point of an EC key is on its curve, and `d`, if there, belongs to it. Says
 * nothing of what it is for. Returns 0; -EINVAL with `err` filled, -ENOMEM.
 */
int tang_check_key(const json_t *jwk, struct error *err);
