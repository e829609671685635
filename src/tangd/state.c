/* SPDX-License-Identifier: Apache-2.0 */
#include "tangd/state.h"

#include "base/file.h"
#include "base/json.h"
#include "base/log.h"
#include "tang/folder.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define STATE_FORMAT "nbde-tangd-state"

/* How long to wait for a server that is about to end, milliseconds. */
enum { LOCK_MS = 1000 };

enum { STATE_VERSION = 1, STATE_MODE = 0640, STATE_MAX = 4 * 1024 * 1024 };

/* Keys that were removed are remembered, in case they come back: as many as this in all. */
enum { STATE_KEYS_MAX = 4 * TANG_KEY_FILES_MAX };

struct state {
	char *path;    /* NULL: in memory only */
	int folder_fd; /* locked */
	bool served;
	bool changed; /* since it was written */
	struct state_key *key;
	size_t count;
};

/* Takes the folder for this process alone. */
static int take_folder(struct state *state, struct error *err)
{
	state->folder_fd = open(state->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (state->folder_fd < 0)
		return error_set(err, -errno, "cannot open the state folder '%s': %s", state->path,
				 strerror(errno));
	/* One that was killed may have a child yet that is being made. */
	if (tang_folder_lock(state->folder_fd, deadline_in_ms(LOCK_MS), NULL) == -EBUSY)
		return error_set(err, -EBUSY,
				 "the state folder '%s' is another server's; name one for this one "
				 "with --state",
				 state->path);
	return 0;
}

/* Finds a key, or a place for it: one that is free, else that of a removed key which was not used for the longest time. */
static struct state_key *find_place(struct state *state, const char *thumbprint)
{
	struct state_key *oldest = NULL;

	for (size_t i = 0; i < state->count; i++) {
		struct state_key *key = &state->key[i];

		if (strcmp(key->thumbprint, thumbprint) == 0)
			return key;
		if (!key->is_there && (!oldest || key->last < oldest->last))
			oldest = key;
	}
	if (state->count == STATE_KEYS_MAX) {
		if (oldest)
			*oldest = (struct state_key){0};
		return oldest;
	}
	state->key[state->count] = (struct state_key){0};
	return &state->key[state->count++];
}

/* The same, with its name in it; NULL when there is no place, or it is no thumbprint. */
static struct state_key *take_place(struct state *state, const char *thumbprint)
{
	size_t length = strlen(thumbprint);
	struct state_key *key = length > 0 && length < JOSE_THUMBPRINT_MAX
					? find_place(state, thumbprint)
					: NULL;

	if (key)
		memcpy(key->thumbprint, thumbprint, length + 1);
	return key;
}

static int read_key(struct state *state, const char *thumbprint, const json_t *json)
{
	const char *use = json_string_value(json_object_get(json, "use"));
	json_int_t times = json_integer_value(json_object_get(json, "times"));
	json_int_t last = json_integer_value(json_object_get(json, "last"));
	struct state_key *key;

	if (!use || times < 0 || last < 0)
		return -EBADMSG;
	key = take_place(state, thumbprint);
	if (!key)
		return -EBADMSG;
	key->is_exchange = strcmp(use, "exchange") == 0;
	key->times = (uint64_t)times;
	key->last = last;
	return 0;
}

static int take_json(struct state *state, json_t *json)
{
	const char *format = json_string_value(json_object_get(json, "format"));
	json_t *keys = json_object_get(json, "keys");
	const char *thumbprint;
	json_t *key;

	if (!format || strcmp(format, STATE_FORMAT) != 0 || !json_is_object(keys) ||
	    json_integer_value(json_object_get(json, "version")) != STATE_VERSION)
		return -EBADMSG;
	state->served = json_is_true(json_object_get(json, "served"));
	json_object_foreach(keys, thumbprint, key) {
		if (read_key(state, thumbprint, key) < 0)
			return -EBADMSG;
	}
	return 0;
}

/* Returns 0, -EBADMSG for a file that is damaged, or another code: that it cannot be read. */
static int read_file(struct state *state, struct error *err)
{
	FD_AUTO int fd = openat(state->folder_fd, STATE_FILE,
				O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	FREE_AUTO char *text = NULL;
	JSON_AUTO json_t *json = NULL;
	size_t size = 0;
	int rc;

	if (fd < 0 && errno == ENOENT)
		return 0;
	if (fd < 0)
		return error_set(err, -errno, "cannot open '%s/%s': %s", state->path, STATE_FILE,
				 strerror(errno));
	rc = fd_read_all(fd, STATE_FILE, STATE_MAX, &text, &size, err);
	if (rc < 0)
		return rc == -EFBIG ? -EBADMSG : rc;
	rc = json_parse(text, size, STATE_FILE, &json, NULL);
	return rc == 0 ? take_json(state, json) : rc;
}

static int read_state(struct state *state, struct error *err)
{
	int rc = read_file(state, err);

	if (rc != -EBADMSG)
		return rc;
	log_warning("%s/%s is damaged: the keys' uses are counted anew", state->path, STATE_FILE);
	state->count = 0;
	/* A new pair in place of lost keys is what must not happen. */
	state->served = true;
	state->changed = true;
	return 0;
}

int state_open(const char *path, struct state **state, struct error *err)
{
	struct state *made = calloc(1, sizeof(*made));
	int rc = 0;

	if (!made)
		return error_nomem(err);
	made->folder_fd = -1;
	made->key = calloc(STATE_KEYS_MAX, sizeof(*made->key));
	made->path = path ? strdup(path) : NULL;
	if (!made->key || (path && !made->path))
		rc = error_nomem(err);
	if (rc == 0 && path)
		rc = take_folder(made, err);
	if (rc == 0 && path)
		rc = read_state(made, err);
	if (rc < 0)
		state_free(&made);
	else
		*state = made;
	return rc;
}

void state_free(struct state **state)
{
	if (!*state)
		return;
	fd_close(&(*state)->folder_fd);
	free((*state)->path);
	free((*state)->key);
	free(*state);
	*state = NULL;
}

bool state_served(const struct state *state)
{
	return state->served;
}

void state_set_served(struct state *state)
{
	state->changed |= !state->served;
	state->served = true;
}

int state_set_keys(struct state *state, const struct public_keys *keys)
{
	for (size_t i = 0; i < state->count; i++)
		state->key[i].is_there = false;
	for (size_t i = 0; i < keys->count; i++) {
		const struct public_key *now = &keys->key[i];
		struct state_key *key = take_place(state, now->thumbprint[JOSE_S256]);

		if (!key)
			return -ENOMEM;
		key->is_exchange = now->is_exchange;
		/* Two files may hold the same key. */
		key->is_advertised = now->is_advertised || (key->is_there && key->is_advertised);
		key->is_there = true;
	}
	state->changed = true;
	return 0;
}

void state_add_uses(struct state *state, const char *thumbprint, uint64_t times, int64_t last)
{
	struct state_key *key = times > 0 ? take_place(state, thumbprint) : NULL;

	if (!key)
		return;
	/* As far as the file can hold it: a front that lies must not make them fewer, nor the file unreadable. */
	key->times = times < INT64_MAX - key->times ? key->times + times : INT64_MAX;
	if (last > key->last)
		key->last = last;
	state->changed = true;
}

size_t state_count(const struct state *state)
{
	return state->count;
}

const struct state_key *state_key(const struct state *state, size_t index)
{
	return &state->key[index];
}

static json_t *to_json(const struct state *state)
{
	json_t *keys = json_object();

	for (size_t i = 0; i < state->count; i++) {
		const struct state_key *key = &state->key[i];

		(void)json_object_set_new(keys, key->thumbprint,
					  json_pack("{s:s, s:I, s:I}", "use",
						    key->is_exchange ? "exchange" : "signing",
						    "times", (json_int_t)key->times, "last",
						    (json_int_t)key->last));
	}
	if (json_object_size(keys) != state->count)
		json_drop(&keys);
	return keys ? json_pack("{s:s, s:i, s:b, s:o}", "format", STATE_FORMAT, "version",
				STATE_VERSION, "served", state->served, "keys", keys)
		    : NULL;
}

int state_write(struct state *state, struct error *err)
{
	JSON_AUTO json_t *json = NULL;
	FREE_AUTO char *text = NULL;
	int rc;

	if (!state->changed || !state->path)
		return 0;
	json = to_json(state);
	text = json ? json_dump_public(json) : NULL;
	if (!text)
		return error_nomem(err);
	rc = file_write_atomic(state->folder_fd, STATE_FILE, STATE_MODE, FILE_REPLACE, text,
			       strlen(text), err);
	if (rc < 0)
		error_prefix(err, "%s: ", state->path);
	else
		state->changed = false;
	return rc;
}
