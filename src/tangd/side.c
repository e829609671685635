/* SPDX-License-Identifier: Apache-2.0 */
#include "tangd/side.h"

#include "base/file.h"
#include "base/json.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/* A thousand keys, each with an advertisement of a thousand, would be more; nobody has them. */
enum { SIDE_MAX = 512 * 1024 * 1024 };

static json_t *key_to_json(const struct public_key *key)
{
	json_t *thumbprints = json_array();

	for (int hash = 0; hash < JOSE_HASHES; hash++)
		(void)json_array_append_new(thumbprints, json_string(key->thumbprint[hash]));
	return json_pack("{s:o, s:b, s:b, s:i, s:s*}", "thumbprints", thumbprints, "exchange",
			 key->is_exchange, "advertised", key->is_advertised, "curve",
			 (int)key->curve, "advertisement", key->advertisement);
}

static json_t *to_json(const struct public_keys *side)
{
	json_t *keys = json_array();

	for (size_t i = 0; i < side->count; i++)
		(void)json_array_append_new(keys, key_to_json(&side->key[i]));
	if (json_array_size(keys) != side->count)
		json_drop(&keys);
	return keys ? json_pack("{s:o, s:s*}", "keys", keys, "advertisement", side->advertisement)
		    : NULL;
}

int side_write(const struct public_keys *side, struct error *err)
{
	const int seals = F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE;
	JSON_AUTO json_t *json = to_json(side);
	FREE_AUTO char *text = json ? json_dump_public(json) : NULL;
	int fd = text ? memfd_create("tangd-keys", MFD_CLOEXEC | MFD_ALLOW_SEALING) : -1;
	int rc;

	if (!text)
		return error_nomem(err);
	if (fd < 0)
		return error_set(err, -errno, "no memory file to be had: %s", strerror(errno));
	rc = fd_write_all(fd, "a memory file", text, strlen(text), err);
	if (rc == 0 && fcntl(fd, F_ADD_SEALS, seals) != 0)
		rc = error_set(err, -errno, "cannot seal a memory file: %s", strerror(errno));
	if (rc < 0)
		fd_close(&fd);
	return rc < 0 ? rc : fd;
}

static int key_from_json(const json_t *json, struct public_key *key)
{
	const json_t *thumbprints = json_object_get(json, "thumbprints");
	const char *advertisement = json_string_value(json_object_get(json, "advertisement"));
	json_int_t curve = json_integer_value(json_object_get(json, "curve"));

	for (int hash = 0; hash < JOSE_HASHES; hash++) {
		const char *text = json_string_value(json_array_get(thumbprints, (size_t)hash));

		if (!text || strlen(text) >= JOSE_THUMBPRINT_MAX)
			return -EBADMSG;
		memcpy(key->thumbprint[hash], text, strlen(text) + 1);
	}
	key->is_exchange = json_is_true(json_object_get(json, "exchange"));
	key->is_advertised = json_is_true(json_object_get(json, "advertised"));
	if (key->is_exchange && !jose_curve((int)curve))
		return -EBADMSG;
	key->curve = (enum jose_curve_id)curve;
	key->advertisement = advertisement ? strdup(advertisement) : NULL;
	return advertisement && !key->advertisement ? -ENOMEM : 0;
}

static int from_json(const json_t *json, struct public_keys *side)
{
	const json_t *keys = json_object_get(json, "keys");
	const char *advertisement = json_string_value(json_object_get(json, "advertisement"));
	int rc = json_is_array(keys) ? 0 : -EBADMSG;

	side->key = calloc(json_array_size(keys) + 1, sizeof(*side->key));
	if (!side->key)
		return -ENOMEM;
	for (; rc == 0 && side->count < json_array_size(keys); side->count++)
		rc = key_from_json(json_array_get(keys, side->count), &side->key[side->count]);
	side->advertisement = advertisement ? strdup(advertisement) : NULL;
	return rc == 0 && advertisement && !side->advertisement ? -ENOMEM : rc;
}

int side_read(int fd, struct public_keys *side, struct error *err)
{
	struct public_keys read = {0};
	JSON_AUTO json_t *json = NULL;
	/* In the sandbox no other call tells it. */
	off_t size = lseek(fd, 0, SEEK_END);
	char *text;
	int rc;

	if (size <= 0 || size > SIDE_MAX)
		return error_set(err, -EBADMSG, "the keys' public side is malformed");
	text = mmap(NULL, (size_t)size, PROT_READ, MAP_PRIVATE, fd, 0);
	if (text == MAP_FAILED)
		return error_set(err, -errno, "cannot read the keys' public side: %s",
				 strerror(errno));
	rc = json_parse(text, (size_t)size, "the keys' public side", &json, err);
	(void)munmap(text, (size_t)size);
	if (rc == 0 && from_json(json, &read) < 0)
		rc = error_set(err, -EBADMSG, "the keys' public side is malformed");
	if (rc < 0)
		side_free(&read);
	else
		*side = read;
	return rc;
}

void side_free(struct public_keys *side)
{
	for (size_t i = 0; i < side->count; i++)
		free(side->key[i].advertisement);
	free(side->key);
	free(side->advertisement);
	*side = (struct public_keys){0};
}
