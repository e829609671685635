/* SPDX-License-Identifier: Apache-2.0 */
#include "luks/draft.h"

#include "base/file.h"
#include "base/json.h"
#include "jose/b64.h"
#include "luks/format.h"
#include "net/net.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

/* The bound passphrase: that many random bytes, as base64url (contract of Clevis §3). */
enum { PASSPHRASE_BYTES = 40 };

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

int draft_find_keyslot(struct luks_device *device, int wanted, int *keyslot, struct error *err)
{
	int most = device_keyslots(device);

	if (wanted >= most)
		return error_set(err, -EINVAL, "luks: %s: there is no keyslot %d (0 … %d)",
				 device->path, wanted, most - 1);
	if (wanted >= 0 && device_keyslot_in_use(device, wanted))
		return error_set(err, -EEXIST, "luks: %s: keyslot %d is in use", device->path,
				 wanted);
	for (*keyslot = wanted >= 0 ? wanted : 0; *keyslot < most; ++*keyslot)
		if (!device_keyslot_in_use(device, *keyslot))
			return 0;
	return error_set(err, -ENOSPC,
			 "luks: %s: no free keyslot (%d of %d used); remove one with "
			 "'clevis luks unbind'",
			 device->path, most, most);
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

int draft_prefer_keyslot(struct luks_device *device, int keyslot, struct error *err)
{
	int rc = crypt_keyslot_set_priority(device->crypt, keyslot, CRYPT_SLOT_PRIORITY_PREFER);

	return rc < 0 ? device_error(device, rc, "cannot prefer the keyslot", err) : 0;
}

/* LUKS1 has one hash for the whole device, and no priorities. */
int draft_write_keyslot(struct luks_device *device, const struct secret *volume_key, int keyslot,
			unsigned iterations, const struct secret *passphrase, struct error *err)
{
	bool is_luks1 = device->format == &luks1_format;
	FREE_AUTO char *hash = is_luks1 ? NULL : device_hash(device);
	const struct crypt_pbkdf_type pbkdf = {
		.type = CRYPT_KDF_PBKDF2,
		.hash = hash ? hash : "sha256",
		.iterations = iterations,
		.flags = CRYPT_PBKDF_NO_BENCHMARK,
	};
	int rc = crypt_set_pbkdf_type(device->crypt, &pbkdf);

	if (rc == 0)
		rc = crypt_keyslot_add_by_volume_key(
			device->crypt, keyslot, (const char *)volume_key->data, volume_key->size,
			(const char *)passphrase->data, passphrase->size);
	if (rc < 0)
		return device_error(device, rc, "cannot add the keyslot", err);
	return is_luks1 ? 0 : draft_prefer_keyslot(device, keyslot, err);
}

bool draft_is_cheap(struct luks_device *device, int keyslot)
{
	struct crypt_pbkdf_type pbkdf = {0};

	return crypt_keyslot_get_pbkdf(device->crypt, keyslot, &pbkdf) == 0 && pbkdf.type &&
	       strcmp(pbkdf.type, CRYPT_KDF_PBKDF2) == 0 &&
	       pbkdf.iterations <= DRAFT_ITERATIONS + DRAFT_SPARE_ITERATIONS;
}

int draft_kill_keyslot(struct luks_device *device, int keyslot, struct error *err)
{
	int rc = device_keyslot_in_use(device, keyslot)
			 ? crypt_keyslot_destroy(device->crypt, keyslot)
			 : 0;

	return rc < 0 ? device_error(device, rc, "cannot remove the keyslot", err) : 0;
}

struct luks_device *draft_undo_keyslot(const struct luks_device *device, const struct draft *draft)
{
	struct luks_device *fresh = NULL;

	if (luks_open(device->path, &fresh, NULL) < 0)
		return NULL;
	if (device_keyslot_in_use(fresh, draft->keyslot) &&
	    luks_test_passphrase(fresh, draft->keyslot, &draft->passphrase, NULL) >= 0)
		(void)crypt_keyslot_destroy(fresh->crypt, draft->keyslot);
	return fresh;
}
