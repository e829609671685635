/* SPDX-License-Identifier: Apache-2.0 */
/* Keys made from templates (contract of José, "jwk gen"). */
#include "jose/jwk.h"

#include "base/json.h"
#include "jose/alg.h"
#include "jose/b64.h"
#include "jose/ec.h"
#include "jose/pkey.h"

#include <errno.h>
#include <string.h>
#include <sys/random.h>

enum { OCT_MAX = 1024 };

/* What a template asks for. */
struct wish {
	const struct jose_alg *alg; /* NULL: by type */
	const char *kty;
	const char *crv; /* EC, OKP */
	size_t bytes;	 /* oct; 0: the template must say */
};

static const struct wish by_type[] = {
	{NULL, "EC", "P-256", 0},
	{NULL, "OKP", "Ed25519", 0},
	{NULL, "RSA", NULL, 0},
	{NULL, "oct", NULL, 0},
};

static const char *text_member(const json_t *object, const char *name)
{
	return json_string_value(json_object_get(object, name));
}

static bool same_text(const char *a, const char *b)
{
	return a && b && strcmp(a, b) == 0;
}

static bool makes_keys(const struct jose_alg *alg)
{
	return alg && alg->kty && alg->family != JOSE_DIRECT;
}

static int wish_by_type(const json_t *jwk_template, struct wish *wish, struct error *err)
{
	const char *kty = text_member(jwk_template, "kty");
	const char *first = json_object_iter_key(json_object_iter((json_t *)jwk_template));

	for (size_t i = 0; i < sizeof(by_type) / sizeof(*by_type); i++)
		if (same_text(by_type[i].kty, kty)) {
			*wish = by_type[i];
			return 0;
		}
	if (kty)
		return error_set(err, -EINVAL, "JWK generation failed, unknown key type:%s", kty);
	return error_set(err, -EINVAL, "JWK generation failed, unknown json key:%s",
			 first ? first : "none");
}

static int find_wish(const json_t *jwk_template, struct wish *wish, struct error *err)
{
	const json_t *named = json_object_get(jwk_template, "alg");
	const struct jose_alg *alg = jose_alg_named(json_string_value(named), JOSE_KINDS);

	if (!named)
		return wish_by_type(jwk_template, wish, err);
	if (!makes_keys(alg))
		return error_set(err, -EINVAL, "JWK generation failed, unknown algorithm:%s",
				 json_is_string(named) ? json_string_value(named)
						       : "(not a string)");
	*wish = (struct wish){alg, alg->kty, alg->crv, alg->key_size};
	return 0;
}

/* The curves that are made for an algorithm beside its own: those of RFC 8037, and any for the two exchanges. */
static bool curve_is_free(const struct wish *wish, const char *crv)
{
	const struct jose_pair_curve *pair = jose_pair_curve_named(crv);
	bool okp = pair && strcmp(pair->kty, "OKP") == 0;

	if (!wish->alg)
		return (pair && same_text(pair->kty, wish->kty)) ||
		       (jose_curve_named(crv) && same_text(wish->kty, "EC"));
	switch (wish->alg->family) {
	case JOSE_ECDH:
	case JOSE_ECMR:
		return jose_curve_named(crv) != NULL;
	case JOSE_EDDSA:
	case JOSE_ECDH_ES:
		return okp && (crv[0] == 'E') == (wish->alg->family == JOSE_EDDSA);
	default:
		return false;
	}
}

/* Puts the template's own `crv` and `kty` in, where they fit. */
static int narrow(const json_t *jwk_template, struct wish *wish, struct error *err)
{
	const json_t *kty = json_object_get(jwk_template, "kty");
	const json_t *crv = json_object_get(jwk_template, "crv");
	const char *name = json_string_value(crv);

	if (wish->alg && wish->alg->family == JOSE_ECDH_ES && !crv &&
	    same_text(json_string_value(kty), "OKP"))
		name = "X25519";
	if (wish->crv && (crv || name) && !same_text(name, wish->crv)) {
		if (!name || !curve_is_free(wish, name))
			return error_set(err, -EINVAL, "JWK generation failed: 'crv' does not fit");
		wish->crv = name;
		wish->kty = jose_curve_named(name) ? "EC" : jose_pair_curve_named(name)->kty;
	}
	if (kty && !same_text(json_string_value(kty), wish->kty))
		return error_set(err, -EINVAL, "JWK generation failed: 'kty' does not fit 'alg'");
	return 0;
}

static int check_template(const json_t *jwk_template, struct error *err)
{
	static const char *const private_members[] = {"d", "k",	 "x",  "y",  "n",  "p",
						      "q", "dp", "dq", "qi", "oth"};

	for (size_t i = 0; i < sizeof(private_members) / sizeof(*private_members); i++)
		if (json_object_get(jwk_template, private_members[i]))
			return error_set(err, -EINVAL, "JWK generation failed: '%s' in a template",
					 private_members[i]);
	return 0;
}

static int generate_pair(const struct wish *wish, json_t *jwk, struct error *err)
{
	const struct jose_curve *curve = jose_curve_named(wish->crv);
	SECRET_AUTO struct secret scalar = {0};
	JSON_AUTO json_t *public_part = NULL;
	struct jose_point point;
	int rc;

	if (!curve)
		return jose_pair_generate(jose_pair_curve_named(wish->crv), jwk, err);
	rc = jose_point_generate(curve, &scalar, &point, err);
	if (rc < 0)
		return rc;
	public_part = jose_point_to_jwk(&point);
	if (!public_part || json_object_update(jwk, public_part) < 0 ||
	    json_object_set_new(jwk, "d", jose_b64_json(scalar.data, scalar.size)) < 0)
		return error_nomem(err);
	return 0;
}

static int generate_oct(const struct wish *wish, json_t *jwk, struct error *err)
{
	const json_t *bytes = json_object_get(jwk, "bytes");
	json_int_t wanted = bytes ? json_integer_value(bytes) : (json_int_t)wish->bytes;
	SECRET_AUTO struct secret key = {0};
	int rc;

	if (wanted < 1 || wanted > OCT_MAX || (wish->bytes > 0 && (size_t)wanted != wish->bytes))
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

static int add_operations(const struct wish *wish, json_t *jwk, struct error *err)
{
	const char *const *names;
	json_t *key_ops;

	if (!wish->alg || json_object_get(jwk, "use") || json_object_get(jwk, "key_ops"))
		return 0;
	names = jose_kind_operations(wish->alg->kind);
	key_ops = json_array();
	for (size_t i = 0; i < 2 && names[i]; i++)
		if (json_array_append_new(key_ops, json_string(names[i])) < 0) {
			json_decref(key_ops);
			return error_nomem(err);
		}
	return json_object_set_new(jwk, "key_ops", key_ops) < 0 ? error_nomem(err) : 0;
}

int jose_jwk_generate(const json_t *jwk_template, json_t **jwk, struct error *err)
{
	JSON_AUTO json_t *made = json_deep_copy(jwk_template);
	struct wish wish = {0};
	int rc;

	if (!made)
		return error_nomem(err);
	rc = find_wish(jwk_template, &wish, err);
	if (rc == 0)
		rc = narrow(jwk_template, &wish, err);
	if (rc == 0)
		rc = check_template(jwk_template, err);
	if (rc < 0)
		return rc;
	if (wish.crv)
		rc = generate_pair(&wish, made, err);
	else if (strcmp(wish.kty, "RSA") == 0)
		rc = jose_rsa_generate(made, err);
	else
		rc = generate_oct(&wish, made, err);
	if (rc == 0)
		rc = add_operations(&wish, made, err);
	if (rc < 0)
		return rc;
	*jwk = made;
	made = NULL;
	return 0;
}
