/* SPDX-License-Identifier: Apache-2.0 */
#include "luks/draft.h"

#include "base/file.h"
#include "base/json.h"
#include "jose/b64.h"
#include "luks/token.h"
#include "net/net.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

/* The bound passphrase: that many random bytes, as base64url (contract of Clevis §3). */
enum { PASSPHRASE_BYTES = 40 };

/* The passphrase is random, so a costly key derivation would protect nothing. */
enum { PBKDF_ITERATIONS = 1000 };

/* How libcryptsetup lays a keyslot out: the key in so many stripes, in units of so many bytes. */
enum { STRIPES = 4000, AREA_UNIT = 4096 };

void draft_free(struct draft *draft)
{
	secret_free(&draft->passphrase);
	json_drop(&draft->jwe);
}

int draft_passphrase(struct draft *draft, struct error *err)
{
	SECRET_AUTO struct secret random = {0};
	int rc = secret_new(&random, PASSPHRASE_BYTES, err);

	if (rc == 0)
		rc = secret_new(&draft->passphrase, JOSE_B64_LENGTH(PASSPHRASE_BYTES), err);
	if (rc < 0)
		return rc;
	if (getrandom(random.data, random.size, 0) != (ssize_t)random.size)
		return error_set(err, -EIO, "no random numbers to be had: %s", strerror(errno));
	jose_b64_encode(random.data, random.size, (char *)draft->passphrase.data);
	return 0;
}

/* Proof through the network: the servers give the passphrase back. Nothing is written yet. */
static int prove_by_network(struct pin_context *context, const struct draft *draft,
			    struct error *unproved)
{
	SECRET_AUTO struct secret recovered = {0};
	int rc = pin_open(context, draft->jwe, &recovered);

	if (rc == 0 && !secret_equal(&recovered, &draft->passphrase))
		return error_set(context->err, -EBADMSG,
				 "the new binding gives back another passphrase than was sealed");
	if (rc < 0 && context->sealed_offline && net_is_unreachable(rc)) {
		*unproved = *context->err;
		*context->err = (struct error){0};
		return 0;
	}
	return rc;
}

int draft_seal(struct pin_context *context, const char *pin, const json_t *config,
	       struct draft *draft, struct error *unproved)
{
	int rc = pin_seal(context, pin, config, &draft->passphrase, &draft->jwe);

	return rc < 0 ? rc : prove_by_network(context, draft, unproved);
}

/* What the JSON of the header says as text, numbers being too large for JSON's own. */
static uint64_t number_at(const json_t *object, const char *name)
{
	const char *text = json_string_value(json_object_get(object, name));

	return text ? strtoull(text, NULL, 10) : 0;
}

/* Where the first keyslot's area ends that reaches into [at, at + size); 0: none does. */
static uint64_t end_of_area_in(const json_t *keyslots, uint64_t at, uint64_t size)
{
	const char *number;
	const json_t *keyslot;

	json_object_foreach((json_t *)keyslots, number, keyslot) {
		const json_t *area = json_object_get(keyslot, "area");
		uint64_t begin = number_at(area, "offset");
		uint64_t end = begin + number_at(area, "size");

		if (begin < at + size && at < end)
			return end;
	}
	return 0;
}

/* Says with 0 or -ENOSPC whether the area of keyslots has room for one more: numbers may be free when it has not. */
static int check_area(struct luks_device *device, struct error *err)
{
	JSON_AUTO json_t *metadata = NULL;
	const char *dump = NULL;
	const json_t *config;
	uint64_t size = (uint64_t)crypt_get_volume_key_size(device->crypt) * STRIPES;
	uint64_t at;
	uint64_t end;
	uint64_t taken;

	if (crypt_dump_json(device->crypt, &dump, 0) < 0 ||
	    json_parse(dump, strlen(dump), "header", &metadata, NULL) < 0)
		return error_set(err, -EBADMSG, "luks: %s: cannot read the header", device->path);
	config = json_object_get(metadata, "config");
	/* Two copies of the binary header and the JSON stand before the area. */
	at = 2 * (number_at(config, "json_size") + AREA_UNIT);
	end = at + number_at(config, "keyslots_size");
	size = (size + AREA_UNIT - 1) / AREA_UNIT * AREA_UNIT;
	while ((taken = end_of_area_in(json_object_get(metadata, "keyslots"), at, size)) > 0)
		at = taken;
	if (at + size <= end)
		return 0;
	return error_set(err, -ENOSPC,
			 "luks: %s: no room for one more keyslot; remove one with "
			 "'clevis luks unbind'",
			 device->path);
}

int draft_find_keyslot(struct luks_device *device, int wanted, int *keyslot, struct error *err)
{
	int most = device_keyslots();

	if (wanted >= most)
		return error_set(err, -EINVAL, "luks: %s: there is no keyslot %d (0 … %d)",
				 device->path, wanted, most - 1);
	if (wanted >= 0 && device_keyslot_in_use(device, wanted))
		return error_set(err, -EEXIST, "luks: %s: keyslot %d is in use", device->path,
				 wanted);
	for (*keyslot = wanted >= 0 ? wanted : 0; *keyslot < most; ++*keyslot)
		if (!device_keyslot_in_use(device, *keyslot))
			return check_area(device, err);
	return error_set(err, -ENOSPC,
			 "luks: %s: no free keyslot (%d of %d used); remove one with "
			 "'clevis luks unbind'",
			 device->path, most, most);
}

int draft_find_token(struct luks_device *device, int wanted, int *token, struct error *err)
{
	int most = token_max();

	if (wanted >= most)
		return error_set(err, -EINVAL, "luks: %s: there is no token %d (0 … %d)",
				 device->path, wanted, most - 1);
	for (*token = wanted >= 0 ? wanted : 0; *token < most; ++*token) {
		if (crypt_token_status(device->crypt, *token, NULL) == CRYPT_TOKEN_INACTIVE)
			return 0;
		if (wanted >= 0)
			return error_set(err, -EEXIST, "luks: %s: token %d is in use", device->path,
					 wanted);
	}
	return error_set(err, -ENOSPC, "luks: %s: no free token (%d of %d used)", device->path,
			 most, most);
}

/* The hash that the device's first keyslot splits its key with, malloc'd; NULL when there is none to be found. */
static char *device_hash(struct luks_device *device)
{
	JSON_AUTO json_t *metadata = NULL;
	const char *dump = NULL;
	const char *number;
	json_t *keyslot;

	if (crypt_dump_json(device->crypt, &dump, 0) < 0 ||
	    json_parse(dump, strlen(dump), "header", &metadata, NULL) < 0)
		return NULL;
	json_object_foreach(json_object_get(metadata, "keyslots"), number, keyslot) {
		const char *hash = json_string_value(
			json_object_get(json_object_get(keyslot, "af"), "hash"));

		if (hash)
			return strdup(hash);
	}
	return NULL;
}

int draft_write_keyslot(struct luks_device *device, const struct secret *volume_key, int keyslot,
			const struct secret *passphrase, struct error *err)
{
	FREE_AUTO char *hash = device_hash(device);
	const struct crypt_pbkdf_type pbkdf = {
		.type = CRYPT_KDF_PBKDF2,
		.hash = hash ? hash : "sha256",
		.iterations = PBKDF_ITERATIONS,
		.flags = CRYPT_PBKDF_NO_BENCHMARK,
	};
	int rc = crypt_set_pbkdf_type(device->crypt, &pbkdf);

	if (rc == 0)
		rc = crypt_keyslot_add_by_volume_key(
			device->crypt, keyslot, (const char *)volume_key->data, volume_key->size,
			(const char *)passphrase->data, passphrase->size);
	if (rc < 0)
		return device_error(device, rc, "cannot add the keyslot", err);
	rc = crypt_keyslot_set_priority(device->crypt, keyslot, CRYPT_SLOT_PRIORITY_PREFER);
	return rc < 0 ? device_error(device, rc, "cannot prefer the keyslot", err) : 0;
}

int draft_write_token(struct luks_device *device, int token, const char *text, struct error *err)
{
	int rc = crypt_token_json_set(device->crypt, token, text);

	return rc < 0 ? device_error(device, rc, "cannot write the token", err) : 0;
}

int draft_prove_on_disk(const struct luks_device *device, const struct draft *draft,
			const char *text, struct error *err)
{
	LUKS_BINDING_AUTO struct luks_binding binding = {0};
	struct luks_device *fresh = NULL;
	FREE_AUTO char *read = NULL;
	int rc = luks_open(device->path, &fresh, err);

	if (rc == 0)
		rc = luks_find(fresh, draft->keyslot, &binding, err);
	if (rc == 0)
		read = token_format(&binding);
	if (rc == 0 && (!read || binding.token != draft->token || strcmp(read, text) != 0))
		rc = error_set(err, -EIO, "luks: %s: the token reads back differently than written",
			       device->path);
	if (rc == 0)
		rc = luks_test_passphrase(fresh, draft->keyslot, &draft->passphrase, err);
	luks_close(&fresh);
	return rc < 0 ? rc : 0;
}
