/* SPDX-License-Identifier: Apache-2.0 */
/* Adding a binding: everything that can fail without writing comes first, then keyslot, token and proof. */
#include "luks/device.h"

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

/* A binding on its way to the disk. */
struct draft {
	struct secret passphrase;
	json_t *jwe;
	char *token_text;
	int keyslot;
	int token;
	bool keyslot_written;
	bool token_written;
};

static void draft_free(struct draft *draft)
{
	secret_free(&draft->passphrase);
	json_drop(&draft->jwe);
	free(draft->token_text);
}

static int make_passphrase(struct secret *passphrase, struct error *err)
{
	SECRET_AUTO struct secret random = {0};
	int rc = secret_new(&random, PASSPHRASE_BYTES, err);

	if (rc == 0)
		rc = secret_new(passphrase, JOSE_B64_LENGTH(PASSPHRASE_BYTES), err);
	if (rc < 0)
		return rc;
	if (getrandom(random.data, random.size, 0) != (ssize_t)random.size)
		return error_set(err, -EIO, "no random numbers to be had: %s", strerror(errno));
	jose_b64_encode(random.data, random.size, (char *)passphrase->data);
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

static int seal(struct pin_context *context, const struct luks_bind *wanted, struct draft *draft,
		struct error *unproved)
{
	int rc = make_passphrase(&draft->passphrase, context->err);

	if (rc == 0)
		rc = pin_seal(context, wanted->pin, wanted->config, &draft->passphrase,
			      &draft->jwe);
	return rc < 0 ? rc : prove_by_network(context, draft, unproved);
}

static int find_keyslot(struct luks_device *device, int wanted, int *keyslot, struct error *err)
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
			return 0;
	return error_set(err, -ENOSPC,
			 "luks: %s: no free keyslot (%d of %d used); remove one with "
			 "'clevis luks unbind'",
			 device->path, most, most);
}

static int find_token(struct luks_device *device, int wanted, int *token, struct error *err)
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

static int find_room(struct luks_device *device, const struct luks_bind *wanted,
		     struct draft *draft, struct error *err)
{
	int rc = find_keyslot(device, wanted->keyslot, &draft->keyslot, err);

	if (rc == 0)
		rc = find_token(device, wanted->token, &draft->token, err);
	return rc;
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

static int write_keyslot(struct luks_device *device, const struct secret *volume_key,
			 struct draft *draft, struct error *err)
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
			device->crypt, draft->keyslot, (const char *)volume_key->data,
			volume_key->size, (const char *)draft->passphrase.data,
			draft->passphrase.size);
	if (rc < 0)
		return device_error(device, rc, "cannot add the keyslot", err);
	draft->keyslot_written = true;
	rc = crypt_keyslot_set_priority(device->crypt, draft->keyslot, CRYPT_SLOT_PRIORITY_PREFER);
	return rc < 0 ? device_error(device, rc, "cannot prefer the keyslot", err) : 0;
}

static int write_token(struct luks_device *device, struct draft *draft, struct error *err)
{
	int rc = crypt_token_json_set(device->crypt, draft->token, draft->token_text);

	if (rc < 0)
		return device_error(device, rc, "cannot write the token", err);
	draft->token_written = true;
	return 0;
}

/* Proof on the disk, read afresh: the token is the one that was sealed, and the passphrase opens the keyslot. */
static int prove_on_disk(const struct luks_device *device, const struct draft *draft,
			 struct error *err)
{
	LUKS_BINDING_AUTO struct luks_binding binding = {0};
	FREE_AUTO char *text = NULL;
	struct luks_device *fresh = NULL;
	int rc = luks_open(device->path, &fresh, err);

	if (rc == 0)
		rc = luks_find(fresh, draft->keyslot, &binding, err);
	if (rc == 0) {
		text = token_format(binding.keyslot, binding.jwe);
		if (!text || binding.token != draft->token || strcmp(text, draft->token_text) != 0)
			rc = error_set(err, -EIO,
				       "luks: %s: the token reads back differently than written",
				       device->path);
	}
	if (rc == 0)
		rc = luks_test_passphrase(fresh, draft->keyslot, &draft->passphrase, err);
	luks_close(&fresh);
	return rc < 0 ? rc : 0;
}

/* The keyslot first, as in luks_unbind(): cut short after it, the token left is an orphan, which the next bind removes. */
static void undo(struct luks_device *device, const struct draft *draft)
{
	if (draft->keyslot_written)
		(void)crypt_keyslot_destroy(device->crypt, draft->keyslot);
	if (draft->token_written)
		(void)crypt_token_json_set(device->crypt, draft->token, NULL);
}

static int write_all(struct luks_device *device, const struct secret *volume_key,
		     struct draft *draft, struct error *err)
{
	int rc = write_keyslot(device, volume_key, draft, err);

	if (rc == 0)
		rc = write_token(device, draft, err);
	if (rc == 0)
		rc = prove_on_disk(device, draft, err);
	if (rc < 0)
		undo(device, draft);
	return rc;
}

/* Clevis tokens whose keyslot was removed by other means serve nobody. One that cannot be removed does no harm. */
static void remove_orphans(struct luks_device *device)
{
	for (int token = 0; token < token_max(); token++) {
		LUKS_BINDING_AUTO struct luks_binding binding = {0};

		if (token_read(device, token, &binding, NULL) == 0 && binding.keyslot < 0)
			(void)crypt_token_json_set(device->crypt, token, NULL);
	}
}

static int bind_draft(struct luks_device *device, struct pin_context *context,
		      const struct luks_bind *wanted, struct draft *draft, struct error *unproved)
{
	int rc = find_room(device, wanted, draft, context->err);

	if (rc == 0)
		rc = seal(context, wanted, draft, unproved);
	if (rc < 0)
		return rc;
	draft->token_text = token_format(draft->keyslot, draft->jwe);
	if (!draft->token_text)
		return error_nomem(context->err);
	rc = token_check_room(device, draft->token_text, context->err);
	return rc < 0 ? rc : write_all(device, wanted->volume_key, draft, context->err);
}

int luks_bind(struct luks_device *device, struct pin_context *context,
	      const struct luks_bind *wanted, struct error *unproved)
{
	__attribute__((cleanup(draft_free))) struct draft draft = {0};
	int rc = bind_draft(device, context, wanted, &draft, unproved);

	if (rc == 0)
		remove_orphans(device);
	else if (draft.jwe)
		pin_discard(draft.jwe);
	return rc < 0 ? rc : draft.keyslot;
}
