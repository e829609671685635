/* SPDX-License-Identifier: Apache-2.0 */
#include "tangd/keys.h"

#include "base/file.h"
#include "base/json.h"
#include "base/log.h"
#include "jose/jwk.h"
#include "tang/advertisement.h"
#include "tang/exchange.h"
#include "tang/folder.h"
#include "tangd/keygen.h"
#include "tangd/modes.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* How often a folder that changes while it is read is read anew. */
enum { READINGS_MAX = 20 };

struct private_key {
	json_t *jwk; /* while the folder is being read */
	bool is_signing;
	struct secret scalar; /* exchange keys only */
};

struct keys {
	char *path;
	int folder_fd;
	uint64_t fingerprint; /* of the folder when it was read; 0: not yet */
	bool quiet;	      /* another process tells of files that are of no use */
	struct private_key *key;
	struct public_keys side; /* same count and order as `key` */
};

static void drop_all(struct keys *keys)
{
	for (size_t i = 0; i < keys->side.count; i++) {
		json_decref(keys->key[i].jwk);
		secret_free(&keys->key[i].scalar);
		free(keys->side.key[i].advertisement);
	}
	free(keys->key);
	free(keys->side.key);
	free(keys->side.advertisement);
	keys->key = NULL;
	keys->side = (struct public_keys){0};
}

int keys_open(const char *path, struct keys **keys, struct error *err)
{
	struct keys *made = calloc(1, sizeof(*made));

	if (!made || !(made->path = strdup(path))) {
		free(made);
		return error_nomem(err);
	}
	made->folder_fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (made->folder_fd < 0) {
		int code = -errno;

		(void)error_set(err, code,
				code == -ENOTDIR ? "Path is not a directory: %s"
						 : "Error calling stat() on path: %s: %s",
				path, strerror(-code));
		keys_free(&made);
		return code;
	}
	*keys = made;
	return 0;
}

void keys_free(struct keys **keys)
{
	if (!*keys)
		return;
	drop_all(*keys);
	fd_close(&(*keys)->folder_fd);
	free((*keys)->path);
	free(*keys);
	*keys = NULL;
}

static DIR *open_listing(int folder_fd)
{
	int fd = openat(folder_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *listing = fd < 0 ? NULL : fdopendir(fd);

	if (!listing && fd >= 0)
		(void)close(fd);
	return listing;
}

/* Closes the listing. An error is not an end: a folder that cannot be read to its end must not count as empty. */
static int end_listing(const char *path, DIR *listing, struct error *err)
{
	int failure = errno;

	(void)closedir(listing);
	if (failure == 0)
		return 0;
	return error_set(err, -failure, "cannot read the folder '%s': %s", path, strerror(failure));
}

#define FNV_OFFSET 0xcbf29ce484222325

/* FNV-1a: two states of a folder are told apart, nobody is kept from anything by it. */
static uint64_t mix(uint64_t hash, const void *data, size_t size)
{
	const unsigned char *bytes = data;

	for (size_t i = 0; i < size; i++)
		hash = (hash ^ bytes[i]) * 0x100000001b3;
	return hash;
}

int keys_fingerprint(int folder_fd, const char *path, uint64_t *fingerprint, struct error *err)
{
	DIR *listing = open_listing(folder_fd);
	uint64_t sum = 1;
	const struct dirent *entry;
	struct stat st;
	int rc;

	if (!listing)
		return error_set(err, -errno, "cannot read the folder '%s': %s", path,
				 strerror(errno));
	while ((errno = 0, entry = readdir(listing))) {
		uint64_t hash = FNV_OFFSET;

		if (!tang_is_key_file(entry->d_name) ||
		    fstatat(folder_fd, entry->d_name, &st, 0) != 0)
			continue;
		hash = mix(hash, entry->d_name, strlen(entry->d_name));
		hash = mix(hash, &st.st_ino, sizeof(st.st_ino));
		hash = mix(hash, &st.st_size, sizeof(st.st_size));
		hash = mix(hash, &st.st_mtim, sizeof(st.st_mtim));
		hash = mix(hash, &st.st_ctim, sizeof(st.st_ctim));
		sum += hash;
	}
	rc = end_listing(path, listing, err);
	*fingerprint = sum ? sum : 1;
	return rc;
}

/* Makes room for one more key. */
static int grow(struct keys *keys, struct error *err)
{
	size_t count = keys->side.count + 1;
	struct private_key *key = reallocarray(keys->key, count, sizeof(*key));
	struct public_key *side;

	if (key)
		keys->key = key;
	side = reallocarray(keys->side.key, count, sizeof(*side));
	if (side)
		keys->side.key = side;
	if (!key || !side)
		return error_nomem(err);
	memset(&key[count - 1], 0, sizeof(*key));
	memset(&side[count - 1], 0, sizeof(*side));
	return 0;
}

/* Finds out what the key can do here. The private part must be there, and the point on its curve. */
static int take_use(const json_t *jwk, struct private_key *key, struct public_key *side,
		    struct error *err)
{
	bool is_signing = tang_is_signing_key(jwk);
	bool is_exchange = tang_is_exchange_key(jwk);
	struct jose_point point;
	int rc;

	if (!is_signing && !is_exchange)
		return error_set(err, -EINVAL, "it is neither for signing nor for the exchange");
	rc = jose_point_from_jwk(jwk, &point, err);
	if (rc == 0)
		rc = jose_scalar_from_jwk(jwk, jose_curve((int)point.curve), &key->scalar, err);
	if (rc != 0)
		return rc;
	key->is_signing = is_signing;
	side->is_exchange = is_exchange;
	side->curve = point.curve;
	return 0;
}

/* Takes a key into the list. One without use here is known by its thumbprints all the same: it is "forbidden", not "unknown". */
static int take_key(struct keys *keys, json_t *jwk, bool is_hidden, struct error *err)
{
	struct private_key *key = &keys->key[keys->side.count];
	struct public_key *side = &keys->side.key[keys->side.count];
	int rc = 0;

	for (int hash = 0; rc == 0 && hash < JOSE_HASHES; hash++)
		rc = jose_thumbprint(jwk, hash, side->thumbprint[hash], err);
	if (rc < 0)
		return rc;
	rc = take_use(jwk, key, side, err);
	key->jwk = json_incref(jwk);
	side->is_advertised = rc == 0 && !is_hidden;
	keys->side.count++;
	return rc;
}

/* Returns 0, or negative with `err` filled when the file's key is of no use. */
static int load_file(struct keys *keys, const char *name, struct error *err)
{
	JSON_AUTO json_t *jwk = NULL;
	int rc = tang_folder_read(keys->folder_fd, name, &jwk, err);

	if (rc == 0)
		rc = grow(keys, err);
	return rc != 0 ? rc : take_key(keys, jwk, name[0] == '.', err);
}

/* Failures that say nothing of the file: to go on without its key would last until the folder changes. */
static bool is_passing(int code)
{
	return code == -EMFILE || code == -ENFILE || code == -ENOMEM || code == -EIO ||
	       code == -EINTR;
}

/* Reads one key file of the folder. One that is of no use is left out, with a warning. */
static int load_name(struct keys *keys, const char *name, struct error *err)
{
	struct error why = {0};
	int rc = load_file(keys, name, &why);

	if (is_passing(rc))
		return error_set(err, rc, "cannot read '%s/%s': %s", keys->path, name, why.text);
	/* Gone since the names were read: whoever looks at the folder again will see. */
	if (rc == -ENOENT && faccessat(keys->folder_fd, name, F_OK, AT_SYMLINK_NOFOLLOW) != 0)
		return 0;
	if (rc < 0 && !keys->quiet)
		log_warning("Cannot load JSON file (%s/%s); skipping: %s", keys->path, name,
			    why.text);
	return 0;
}

/* Reads the key files, in the order of their names; `*advertised` counts those that are not hidden, the unusable ones too. */
static int load_folder(struct keys *keys, size_t *advertised, struct error *err)
{
	TANG_NAMES_AUTO struct tang_names names = {0};
	int rc = tang_folder_list(keys->folder_fd, &names, err);

	*advertised = 0;
	if (rc < 0)
		error_prefix(err, "the folder '%s': ", keys->path);
	for (size_t i = 0; rc == 0 && i < names.count; i++) {
		*advertised += !tang_is_hidden(names.name[i]);
		rc = load_name(keys, names.name[i], err);
	}
	return rc;
}

/*
 * Reads the folder as it stood at one moment: a key that gets another name while the names are read may be seen under both or
 * neither.
 */
static int load_settled(struct keys *keys, size_t *advertised, struct error *err)
{
	uint64_t before = 0;
	uint64_t after = 0;
	int rc = keys_fingerprint(keys->folder_fd, keys->path, &after, err);

	for (int i = 0; rc == 0 && before != after && i < READINGS_MAX; i++) {
		before = after;
		drop_all(keys);
		rc = load_folder(keys, advertised, err);
		if (rc == 0)
			rc = keys_fingerprint(keys->folder_fd, keys->path, &after, err);
	}
	if (rc == 0 && before != after)
		rc = error_set(err, -EAGAIN, "the folder '%s' does not stop changing", keys->path);
	return rc;
}

static int collect(const struct keys *keys, json_t **advertised, json_t **signers)
{
	*advertised = json_array();
	*signers = json_array();
	for (size_t i = 0; i < keys->side.count; i++) {
		const struct private_key *key = &keys->key[i];

		if (!keys->side.key[i].is_advertised)
			continue;
		if (json_array_append(*advertised, key->jwk) < 0 ||
		    (key->is_signing && json_array_append(*signers, key->jwk) < 0))
			return -ENOMEM;
	}
	return 0;
}

static int sign(const json_t *advertised, const json_t *signers, char **text, struct error *err)
{
	JSON_AUTO json_t *jws = NULL;
	int rc = tang_advertisement_sign(advertised, signers, &jws, err);

	if (rc < 0)
		return rc;
	*text = json_dump_public(jws);
	return *text ? 0 : error_nomem(err);
}

/* The advertisement for those who ask by the thumbprint of key `i`: signed by that one too, also when it is rotated. */
static int sign_for(struct keys *keys, size_t i, const json_t *advertised, const json_t *signers,
		    struct error *err)
{
	JSON_AUTO json_t *with = json_copy((json_t *)signers);

	if (!keys->side.key[i].is_advertised && json_array_append(with, keys->key[i].jwk) < 0)
		return error_nomem(err);
	return sign(advertised, with, &keys->side.key[i].advertisement, err);
}

static int sign_all(struct keys *keys, struct error *err)
{
	JSON_AUTO json_t *advertised = NULL;
	JSON_AUTO json_t *signers = NULL;
	int rc = collect(keys, &advertised, &signers);

	if (rc < 0)
		return error_nomem(err);
	if (json_array_size(signers) > 0)
		rc = sign(advertised, signers, &keys->side.advertisement, err);
	for (size_t i = 0; rc == 0 && keys->side.advertisement && i < keys->side.count; i++)
		if (keys->key[i].is_signing)
			rc = sign_for(keys, i, advertised, signers, err);
	return rc;
}

/* Once all is signed, what stays is the scalars of the exchange keys, in the arena. */
static void forget_jwks(struct keys *keys)
{
	for (size_t i = 0; i < keys->side.count; i++) {
		json_drop(&keys->key[i].jwk);
		if (!keys->side.key[i].is_exchange)
			secret_free(&keys->key[i].scalar);
	}
}

/* Makes the first pair, unless somebody else has: only where there is none. A pair made because a file is broken would be a new
 * identity that nobody asked for. */
static int make_first_pair(struct keys *keys, struct error *err)
{
	/* Two servers that start at once, as inetd starts them, must not make a pair each. */
	FD_AUTO int folder_fd = tang_folder_open(keys->path, err);
	size_t advertised = 0;
	int rc = folder_fd < 0 ? folder_fd
			       : tang_folder_lock(folder_fd, deadline_in_ms(TANG_LOCK_MS), err);

	drop_all(keys);
	if (rc == 0)
		rc = load_folder(keys, &advertised, err);
	if (rc < 0 || advertised > 0)
		return rc;
	drop_all(keys);
	rc = keygen_pair(keys->folder_fd, NULL, NULL, err);
	if (rc < 0)
		error_prefix(err, "the folder '%s': ", keys->path);
	return rc < 0 ? rc : load_folder(keys, &advertised, err);
}

int keys_are_lost(const char *path, struct error *err)
{
	return error_set(err, -ENOKEY,
			 "the folder '%s' has lost its keys: bring them back ('tangctl restore'), "
			 "or make a new pair, to which nothing is bound, with tangd-keygen",
			 path);
}

/* No key is advertised. Whoever rotates by hand is about to make one. */
static bool may_make_pair(const struct keys *keys, unsigned flags, struct error *err)
{
	if (keys->side.count == 0 && (flags & KEYS_SERVED))
		(void)keys_are_lost(keys->path, err);
	else if (!(flags & KEYS_CREATE))
		(void)error_set(
			err, -ENOKEY,
			"no key of the folder '%s' is advertised; the last ones stay in service",
			keys->path);
	else
		return true;
	return false;
}

static int reload(struct keys *keys, unsigned flags, struct error *err)
{
	size_t advertised = 0;
	int rc;

	rc = load_settled(keys, &advertised, err);
	if (rc == 0 && advertised == 0)
		rc = may_make_pair(keys, flags, err) ? make_first_pair(keys, err) : -ENOKEY;
	if (rc == 0 && (flags & KEYS_SIGN)) {
		modes_warn(keys->folder_fd, keys->path);
		rc = sign_all(keys, err);
	}
	forget_jwks(keys);
	return rc;
}

static uint64_t digest(const struct public_keys *side)
{
	uint64_t hash = FNV_OFFSET;

	for (size_t i = 0; i < side->count; i++) {
		const char *thumbprint = side->key[i].thumbprint[JOSE_S256];

		hash = mix(hash, thumbprint, strlen(thumbprint));
		hash = mix(hash, &side->key[i].is_exchange, sizeof(side->key[i].is_exchange));
	}
	return hash;
}

int keys_load(struct keys *keys, unsigned flags, const struct public_keys **public_keys,
	      uint64_t *set, struct error *err)
{
	int rc;

	keys->quiet = !(flags & KEYS_SIGN);
	rc = reload(keys, flags, err);
	fd_close(&keys->folder_fd);
	if (rc < 0)
		return rc;
	*public_keys = &keys->side;
	*set = digest(&keys->side);
	return 0;
}

int keys_refresh(struct keys *keys, const struct public_keys **public_keys, struct error *err)
{
	uint64_t now = 0;
	int rc = keys_fingerprint(keys->folder_fd, keys->path, &now, err);

	/* Taken before the files are read: a change in between, our own new pair too, makes the next call read again. */
	if (rc == 0 && now != keys->fingerprint) {
		rc = reload(keys, KEYS_SIGN | KEYS_CREATE, err);
		keys->fingerprint = rc == 0 ? now : 0;
	}
	if (rc < 0)
		return rc;
	*public_keys = &keys->side;
	return 0;
}

void keys_answer(const struct keys *keys, const struct key_request *request,
		 struct key_reply *reply)
{
	const struct public_key *side;

	memset(reply, 0, sizeof(*reply));
	reply->version = MESSAGE_VERSION;
	reply->id = request->id;
	reply->status = -ENOENT;
	if (request->version != MESSAGE_VERSION || request->key >= keys->side.count)
		return;
	side = &keys->side.key[request->key];
	if (!side->is_exchange)
		return;
	reply->status = -EINVAL;
	if (request->x.curve == side->curve)
		reply->status = tang_recover(&keys->key[request->key].scalar, &request->x,
					     &reply->y, NULL);
}
