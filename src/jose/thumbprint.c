/* SPDX-License-Identifier: Apache-2.0 */
#include "jose/thumbprint.h"

#include "base/json.h"
#include "jose/b64.h"

#include <errno.h>
#include <string.h>

#include <openssl/evp.h>

static const struct {
	const char *name; /* in OpenSSL */
	size_t size;	  /* bytes */
} hashes[JOSE_HASHES] = {
	[JOSE_S1] = {"SHA1", 20},     [JOSE_S224] = {"SHA224", 28}, [JOSE_S256] = {"SHA256", 32},
	[JOSE_S384] = {"SHA384", 48}, [JOSE_S512] = {"SHA512", 64},
};

/* The members that take part, RFC 7638 §3.2. */
static const struct {
	const char *kty;
	const char *members[4];
} identities[] = {
	{"EC", {"kty", "crv", "x", "y"}},
	{"OKP", {"kty", "crv", "x"}}, /* RFC 8037 §2 */
	{"oct", {"kty", "k"}},
	{"RSA", {"kty", "n", "e"}},
};

static const char *const *identity_of(const json_t *jwk)
{
	const char *kty = json_string_value(json_object_get(jwk, "kty"));

	for (size_t i = 0; kty && i < sizeof(identities) / sizeof(*identities); i++)
		if (strcmp(identities[i].kty, kty) == 0)
			return identities[i].members;
	return NULL;
}

static int pick_identity(const json_t *jwk, json_t *picked, struct error *err)
{
	const char *const *members = identity_of(jwk);

	if (!members)
		return error_set(err, -EINVAL, "a key of unknown type has no thumbprint");
	for (size_t i = 0; i < 4 && members[i]; i++) {
		json_t *value = json_object_get(jwk, members[i]);

		if (!json_is_string(value))
			return error_set(err, -EINVAL, "the key's '%s' is missing or not a string",
					 members[i]);
		if (json_object_set(picked, members[i], value) < 0)
			return error_nomem(err);
	}
	return 0;
}

int jose_thumbprint(const json_t *jwk, enum jose_hash hash, char out[static JOSE_THUMBPRINT_MAX],
		    struct error *err)
{
	JSON_AUTO json_t *picked = json_object();
	SECRET_AUTO struct secret text = {0};
	unsigned char digest[EVP_MAX_MD_SIZE];
	size_t size = 0;
	int rc;

	if (!picked)
		return error_nomem(err);
	rc = pick_identity(jwk, picked, err);
	if (rc == 0)
		rc = json_dump_secret(picked, &text, err);
	if (rc < 0)
		return rc;
	if (EVP_Q_digest(NULL, hashes[hash].name, NULL, text.data, text.size, digest, &size) != 1 ||
	    size != hashes[hash].size)
		return error_set(err, -EIO, "%s is not to be had", hashes[hash].name);
	jose_b64_encode(digest, size, out);
	out[JOSE_B64_LENGTH(size)] = '\0';
	return 0;
}

bool jose_thumbprint_matches(const json_t *jwk, const char *text, enum jose_hash *hash)
{
	static const enum jose_hash order[JOSE_HASHES] = {JOSE_S256, JOSE_S1, JOSE_S224, JOSE_S384,
							  JOSE_S512};
	char thumbprint[JOSE_THUMBPRINT_MAX];

	for (size_t i = 0; i < JOSE_HASHES; i++) {
		if (strlen(text) != JOSE_B64_LENGTH(hashes[order[i]].size) ||
		    jose_thumbprint(jwk, order[i], thumbprint, NULL) < 0 ||
		    strcmp(thumbprint, text) != 0)
			continue;
		if (hash)
			*hash = order[i];
		return true;
	}
	return false;
}
