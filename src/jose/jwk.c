/* SPDX-License-Identifier: Apache-2.0 */
#include "jose/jwk.h"

#include "base/json.h"
#include "jose/b64.h"
#include "jose/ec.h"

#include <errno.h>
#include <string.h>
#include <sys/random.h>

/* What a key made for an algorithm looks like. */
struct kind {
	const char *alg;
	const char *kty;
	const char *crv;     /* EC: the curve */
	bool crv_is_default; /* EC: the template may name another one */
	size_t bytes;	     /* oct: the size, 0 where the template must say */
	const char *key_ops[2];
};

static const struct kind kinds[] = {
	{"ES256", "EC", "P-256", false, 0, {"sign", "verify"}},
	{"ES384", "EC", "P-384", false, 0, {"sign", "verify"}},
	{"ES512", "EC", "P-521", false, 0, {"sign", "verify"}},
	{"ECMR", "EC", "P-521", true, 0, {"deriveKey"}},
	{"A256GCM", "oct", NULL, false, 32, {"encrypt", "decrypt"}},
};

static const struct kind kinds_by_type[] = {
	{NULL, "EC", "P-256", true, 0, {NULL}},
	{NULL, "oct", NULL, false, 0, {NULL}},
};

static const struct {
	const char *name;
	enum jose_operation operation;
	bool is_private; /* for an EC key: not for its public part */
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

enum { OPERATIONS = sizeof(operations_by_name) / sizeof(*operations_by_name), OCT_MAX = 1024 };

static const char *text_member(const json_t *object, const char *name)
{
	return json_string_value(json_object_get(object, name));
}

static bool same_text(const char *a, const char *b)
{
	return a && b && strcmp(a, b) == 0;
}

static const struct kind *find_kind(const json_t *jwk_template)
{
	const char *alg = text_member(jwk_template, "alg");
	const char *kty = text_member(jwk_template, "kty");

	for (size_t i = 0; alg && i < sizeof(kinds) / sizeof(*kinds); i++)
		if (same_text(kinds[i].alg, alg))
			return &kinds[i];
	for (size_t i = 0; !alg && i < sizeof(kinds_by_type) / sizeof(*kinds_by_type); i++)
		if (same_text(kinds_by_type[i].kty, kty))
			return &kinds_by_type[i];
	return NULL;
}

static int check_template(const json_t *jwk_template, const struct kind **kind, struct error *err)
{
	static const char *const private_members[] = {"d", "k", "x", "y"};
	const char *kty = text_member(jwk_template, "kty");

	*kind = find_kind(jwk_template);
	if (!*kind)
		return error_set(err, -EINVAL,
				 "JWK generation failed: unknown 'alg' or 'kty' in the template");
	if (json_object_get(jwk_template, "kty") && !same_text(kty, (*kind)->kty))
		return error_set(err, -EINVAL, "JWK generation failed: 'kty' does not fit 'alg'");
	for (size_t i = 0; i < sizeof(private_members) / sizeof(*private_members); i++)
		if (json_object_get(jwk_template, private_members[i]))
			return error_set(err, -EINVAL, "JWK generation failed: '%s' in a template",
					 private_members[i]);
	return 0;
}

static int generate_ec(const struct kind *kind, json_t *jwk, struct error *err)
{
	const char *crv = text_member(jwk, "crv");
	const struct jose_curve *curve = jose_curve_named(crv ? crv : kind->crv);
	SECRET_AUTO struct secret scalar = {0};
	JSON_AUTO json_t *public_part = NULL;
	struct jose_point point;
	int rc;

	if (!curve || (json_object_get(jwk, "crv") && !crv) ||
	    (!kind->crv_is_default && strcmp(curve->name, kind->crv) != 0))
		return error_set(err, -EINVAL, "JWK generation failed: 'crv' does not fit");
	rc = jose_point_generate(curve, &scalar, &point, err);
	if (rc < 0)
		return rc;
	public_part = jose_point_to_jwk(&point);
	if (!public_part || json_object_update(jwk, public_part) < 0 ||
	    json_object_set_new(jwk, "d", jose_b64_json(scalar.data, scalar.size)) < 0)
		return error_nomem(err);
	return 0;
}

static int generate_oct(const struct kind *kind, json_t *jwk, struct error *err)
{
	const json_t *bytes = json_object_get(jwk, "bytes");
	json_int_t wanted = bytes ? json_integer_value(bytes) : (json_int_t)kind->bytes;
	SECRET_AUTO struct secret key = {0};
	int rc;

	if (wanted < 1 || wanted > OCT_MAX || (kind->bytes > 0 && (size_t)wanted != kind->bytes))
		return error_set(err, -EINVAL, "JWK generation failed: 'bytes' does not fit");
	rc = secret_new(&key, (size_t)wanted, err);
	if (rc < 0)
		return rc;
	for (size_t got = 0; got < key.size;) {
		ssize_t n = getrandom(key.data + got, key.size - got, 0);

		if (n < 0 && errno != EINTR)
			return error_set(err, -EIO, "no random numbers to be had: %s",
					 strerror(errno));
		got += n > 0 ? (size_t)n : 0;
	}
	(void)json_object_del(jwk, "bytes");
	if (json_object_set_new(jwk, "kty", json_string("oct")) < 0 ||
	    json_object_set_new(jwk, "k", jose_b64_json(key.data, key.size)) < 0)
		return error_nomem(err);
	return 0;
}

static int add_operations(const struct kind *kind, json_t *jwk, struct error *err)
{
	json_t *key_ops;

	if (!kind->alg || json_object_get(jwk, "use") || json_object_get(jwk, "key_ops"))
		return 0;
	key_ops = json_array();
	for (size_t i = 0; i < 2 && kind->key_ops[i]; i++)
		if (json_array_append_new(key_ops, json_string(kind->key_ops[i])) < 0) {
			json_decref(key_ops);
			return error_nomem(err);
		}
	return json_object_set_new(jwk, "key_ops", key_ops) < 0 ? error_nomem(err) : 0;
}

int jose_jwk_generate(const json_t *jwk_template, json_t **jwk, struct error *err)
{
	JSON_AUTO json_t *made = json_deep_copy(jwk_template);
	const struct kind *kind = NULL;
	int rc;

	if (!made)
		return error_nomem(err);
	rc = check_template(jwk_template, &kind, err);
	if (rc == 0)
		rc = strcmp(kind->kty, "EC") == 0 ? generate_ec(kind, made, err)
						  : generate_oct(kind, made, err);
	if (rc == 0)
		rc = add_operations(kind, made, err);
	if (rc < 0)
		return rc;
	*jwk = made;
	made = NULL;
	return 0;
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

int jose_jwk_public(const json_t *jwk, json_t **public_jwk, struct error *err)
{
	const char *kty = text_member(jwk, "kty");
	bool symmetric = same_text(kty, "oct");
	JSON_AUTO json_t *copy = NULL;

	if (!symmetric && !same_text(kty, "EC"))
		return error_set(err, -EINVAL, "a key of unknown type has no public part");
	copy = json_deep_copy(jwk);
	if (!copy)
		return error_nomem(err);
	(void)json_object_del(copy, symmetric ? "k" : "d");
	drop_private_operations(copy, symmetric);
	*public_jwk = copy;
	copy = NULL;
	return 0;
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
