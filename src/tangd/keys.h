/* SPDX-License-Identifier: Apache-2.0 */
/* The server's private keys: reads the folder, signs the advertisement, answers exchanges. Knows nothing of HTTP. */
#pragma once

#include "base/error.h"
#include "jose/thumbprint.h"
#include "tangd/message.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What front may know of a key. */
struct public_key {
	char thumbprint[JOSE_HASHES][JOSE_THUMBPRINT_MAX];
	bool is_exchange;	  /* for deriveKey by ECMR, private part at hand */
	bool is_advertised;	  /* not rotated, and of use */
	enum jose_curve_id curve; /* counts when is_exchange */
	char *advertisement; /* of a signing key: the advertisement signed by it too; else NULL */
};

/* The public side of the folder's keys, rotated ones included. Owned by struct keys, valid until the next refresh. */
struct public_keys {
	size_t count;
	struct public_key *key;
	char *advertisement; /* NULL while there is no signing key */
};

struct keys;

/*
 * Opens a key folder; nothing is read yet. Returns 0 with `*keys` (to be freed by keys_free()); -ENOENT, -ENOTDIR and others
 * with `err` filled.
 */
int keys_open(const char *path, struct keys **keys, struct error *err);

void keys_free(struct keys **keys);

/*
 * Reads the folder if it changed since the last time, makes a pair of keys if none is advertised, and hands out the public
 * side. Key files that cannot be used are left out, each with a warning in the log when it is first seen.
 * Returns 0 with `*public_keys`; -errno with `err` filled when the folder cannot be read or written, -ENOMEM.
 */
int keys_refresh(struct keys *keys, const struct public_keys **public_keys, struct error *err);

enum keys_flags {
	KEYS_SIGN = 1 << 0,   /* sign the advertisements, and tell what is wrong with files */
	KEYS_CREATE = 1 << 1, /* make a pair of keys if none is advertised; else that is -ENOKEY */
	KEYS_SERVED =
		1
		<< 2, /* but not where none is left at all: keys were served before, and a new pair would be another server */
	KEYS_TOLD = 1 << 3, /* that is known: nothing is said of it */
};

/*
 * Reads the folder, once, and closes it, for a process that is to hold these keys to its end. `*set` tells this set of keys from another: processes
 * that read the same have the same keys under the same numbers. Returns as keys_refresh(), and -ENOKEY.
 */
int keys_load(struct keys *keys, unsigned flags, const struct public_keys **public_keys,
	      uint64_t *set, struct error *err);

/* Records that the folder has lost its keys, and what to do. Returns -ENOKEY. */
int keys_are_lost(const char *path, struct error *err);

/*
 * A number that changes when a key file of the folder comes, goes or changes, be it behind a link; the order of the listing does
 * not count. Returns 0; -errno with `err` filled.
 */
int keys_fingerprint(int folder_fd, const char *path, uint64_t *fingerprint, struct error *err);

/* Answers one exchange; always fills `reply`. The request is checked whole: it came from the side that reads the network. */
void keys_answer(const struct keys *keys, const struct key_request *request,
		 struct key_reply *reply);
