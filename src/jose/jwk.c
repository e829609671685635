/* SPDX-License-Identifier: Apache-2.0 */
#include "jose/jwk.h"

#include "jose/b64.h"
#include "jose/pkey.h"

#include <errno.h>
#include <string.h>

static const struct {
	const char *name;
	enum jose_operation operation;
	bool is_private; /* for a key of two parts: not for its public one */
} operations_by_name[] = {
	{"sign", JOSE_SIGN, true},
	{"verify", JOSE_VERIFY, false},
	{"encrypt", JOSE_ENCRYPT, false},
	{"decrypt", JOSE_DECRYPT, true},
	{"wrapKey", JOSE_WRAP_KEY, false},
	{"unwrapKey", JOSE_UNWRAP_KEY, true},
	{"deriveKey", JOSE_DERIVE_KEY, false},
	{"deriveBits", JOSE_DERIVE_BITS, false},
};

enum { OPERATIONS = sizeof(operations_by_name) / sizeof(*operations_by_name) };

static const char *text_member(const json_t *object, const char *name)
{
	return json_string_value(json_object_get(object, name));
}

static bool same_text(const char *a, const char *b)
{
	return a && b && strcmp(a, b) == 0;
}

static size_t operation_index(const json_t *name)
{
	size_t i = 0;

	while (i < OPERATIONS && !same_text(json_string_value(name), operations_by_name[i].name))
		i++;
	return i;
}

static void drop_private_operations(json_t *jwk, bool symmetric)
{
	json_t *key_ops = json_object_get(jwk, "key_ops");
	size_t i = 0;

	while (i < json_array_size(key_ops)) {
		size_t index = operation_index(json_array_get(key_ops, i));

		if (index < OPERATIONS && (symmetric || operations_by_name[index].is_private))
			(void)json_array_remove(key_ops, i);
		else
			i++;
	}
}

/* RFC 7518 §6.2.2, §6.3.2, §6.4.1, RFC 8037 §2. */
static const struct {
	const char *kty;
	const char *members[9];
} private_members[] = {
	{"EC", {"d"}},
	{"OKP", {"d"}},
	{"RSA", {"d", "p", "q", "dp", "dq", "qi", "oth"}},
	{"oct", {"k"}},
};

int jose_jwk_public(const json_t *jwk, json_t **public_jwk, struct error *err)
{
	const char *kty = text_member(jwk, "kty");
	const char *const *members = NULL;
	json_t *copy;

	for (size_t i = 0; i < sizeof(private_members) / sizeof(*private_members); i++)
		if (same_text(kty, private_members[i].kty))
			members = private_members[i].members;
	if (!members)
		return error_set(err, -EINVAL, "a key of unknown type has no public part");
	copy = json_deep_copy(jwk);
	if (!copy)
		return error_nomem(err);
	for (size_t i = 0; members[i]; i++)
		(void)json_object_del(copy, members[i]);
	drop_private_operations(copy, same_text(kty, "oct"));
	*public_jwk = copy;
	return 0;
}

int jose_jwk_check(const json_t *jwk, struct error *err)
{
	const char *kty = text_member(jwk, "kty");
	PKEY_AUTO EVP_PKEY *pkey = NULL;
	SECRET_AUTO struct secret bytes = {0};

	if (same_text(kty, "oct"))
		return jose_b64_member(jwk, "k", &bytes, err);
	if (!same_text(kty, "EC") && !same_text(kty, "OKP") && !same_text(kty, "RSA"))
		return error_set(err, -EINVAL, "a key of unknown type ('kty' is %s)",
				 kty ? kty : "missing");
	return jose_pkey_read(jwk, json_object_get(jwk, "d") != NULL, &pkey, err);
}

static bool use_grants(const char *use, unsigned operations)
{
	const unsigned sig = JOSE_SIGN | JOSE_VERIFY;
	const unsigned enc = JOSE_ENCRYPT | JOSE_DECRYPT | JOSE_WRAP_KEY | JOSE_UNWRAP_KEY;

	return (same_text(use, "sig") && (operations & sig)) ||
	       (same_text(use, "enc") && (operations & enc));
}

static bool key_ops_grant(const json_t *key_ops, unsigned operations)
{
	const json_t *name;
	size_t i;

	json_array_foreach(key_ops, i, name) {
		size_t index = operation_index(name);

		if (index < OPERATIONS && (operations_by_name[index].operation & operations))
			return true;
	}
	return false;
}

bool jose_jwk_allows(const json_t *jwk, unsigned operations, bool stated)
{
	const json_t *use = json_object_get(jwk, "use");
	const json_t *key_ops = json_object_get(jwk, "key_ops");

	if (!use && !key_ops)
		return !stated;
	return use_grants(json_string_value(use), operations) || key_ops_grant(key_ops, operations);
}

bool jose_jwk_fits(const json_t *jwk, const char *alg)
{
	const json_t *own = json_object_get(jwk, "alg");

	return !own || same_text(json_string_value(own), alg);
}
