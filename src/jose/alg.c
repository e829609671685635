/* SPDX-License-Identifier: Apache-2.0 */
#include "jose/alg.h"

#include "jose/b64.h"

#include <stdint.h>
#include <string.h>

#define SIGN(name, family, kty, crv, size, hash)                         \
	{                                                                \
		name, JOSE_KIND_SIGN, family, kty, crv, size, hash, NULL \
	}
#define WRAP(name, family, kty, crv, size, hash, enc)                   \
	{                                                               \
		name, JOSE_KIND_WRAP, family, kty, crv, size, hash, enc \
	}
#define ENCR(name, family, size, hash)                                      \
	{                                                                   \
		name, JOSE_KIND_ENCR, family, "oct", NULL, size, hash, NULL \
	}
#define HASH(name, hash)                                                     \
	{                                                                    \
		name, JOSE_KIND_HASH, JOSE_DIGEST, NULL, NULL, 0, hash, NULL \
	}
#define EXCH(name, family)                                                 \
	{                                                                  \
		name, JOSE_KIND_EXCH, family, "EC", "P-521", 0, NULL, NULL \
	}

#define CBC128 "A128CBC-HS256"
#define CBC192 "A192CBC-HS384"
#define CBC256 "A256CBC-HS512"

static const struct jose_alg algorithms[] = {
	ENCR("A128CBC-HS256", JOSE_CBC_HMAC, 32, "SHA256"),
	ENCR("A128GCM", JOSE_GCM, 16, NULL),
	WRAP("A128GCMKW", JOSE_GCM_KW, "oct", NULL, 16, NULL, "A128GCM"),
	WRAP("A128KW", JOSE_AES_KW, "oct", NULL, 16, NULL, CBC128),
	ENCR("A192CBC-HS384", JOSE_CBC_HMAC, 48, "SHA384"),
	ENCR("A192GCM", JOSE_GCM, 24, NULL),
	WRAP("A192GCMKW", JOSE_GCM_KW, "oct", NULL, 24, NULL, "A192GCM"),
	WRAP("A192KW", JOSE_AES_KW, "oct", NULL, 24, NULL, CBC192),
	ENCR("A256CBC-HS512", JOSE_CBC_HMAC, 64, "SHA512"),
	ENCR("A256GCM", JOSE_GCM, 32, NULL),
	WRAP("A256GCMKW", JOSE_GCM_KW, "oct", NULL, 32, NULL, "A256GCM"),
	WRAP("A256KW", JOSE_AES_KW, "oct", NULL, 32, NULL, CBC256),
	{"DEF", JOSE_KIND_COMP, JOSE_DEFLATE, NULL, NULL, 0, NULL, NULL},
	WRAP("dir", JOSE_DIRECT, "oct", NULL, 0, NULL, NULL),
	EXCH("ECDH", JOSE_ECDH),
	WRAP("ECDH-ES", JOSE_ECDH_ES, "EC", "P-521", 0, "SHA256", NULL),
	WRAP("ECDH-ES+A128KW", JOSE_ECDH_ES, "EC", "P-256", 16, "SHA256", CBC128),
	WRAP("ECDH-ES+A192KW", JOSE_ECDH_ES, "EC", "P-384", 24, "SHA256", CBC192),
	WRAP("ECDH-ES+A256KW", JOSE_ECDH_ES, "EC", "P-521", 32, "SHA256", CBC256),
	EXCH("ECMR", JOSE_ECMR),
	SIGN("EdDSA", JOSE_EDDSA, "OKP", "Ed25519", 0, NULL),
	SIGN("ES256", JOSE_ECDSA, "EC", "P-256", 0, "SHA256"),
	SIGN("ES256K", JOSE_ECDSA, "EC", "secp256k1", 0, "SHA256"),
	SIGN("ES384", JOSE_ECDSA, "EC", "P-384", 0, "SHA384"),
	SIGN("ES512", JOSE_ECDSA, "EC", "P-521", 0, "SHA512"),
	SIGN("HS256", JOSE_HMAC, "oct", NULL, 32, "SHA256"),
	SIGN("HS384", JOSE_HMAC, "oct", NULL, 48, "SHA384"),
	SIGN("HS512", JOSE_HMAC, "oct", NULL, 64, "SHA512"),
	WRAP("PBES2-HS256+A128KW", JOSE_PBES2, "oct", NULL, 16, "SHA256", CBC128),
	WRAP("PBES2-HS384+A192KW", JOSE_PBES2, "oct", NULL, 24, "SHA384", CBC192),
	WRAP("PBES2-HS512+A256KW", JOSE_PBES2, "oct", NULL, 32, "SHA512", CBC256),
	SIGN("PS256", JOSE_RSA_PSS, "RSA", NULL, 0, "SHA256"),
	SIGN("PS384", JOSE_RSA_PSS, "RSA", NULL, 0, "SHA384"),
	SIGN("PS512", JOSE_RSA_PSS, "RSA", NULL, 0, "SHA512"),
	SIGN("RS256", JOSE_RSA_PKCS1, "RSA", NULL, 0, "SHA256"),
	SIGN("RS384", JOSE_RSA_PKCS1, "RSA", NULL, 0, "SHA384"),
	SIGN("RS512", JOSE_RSA_PKCS1, "RSA", NULL, 0, "SHA512"),
	WRAP("RSA-OAEP", JOSE_RSA_OAEP, "RSA", NULL, 0, "SHA1", CBC128),
	WRAP("RSA-OAEP-224", JOSE_RSA_OAEP, "RSA", NULL, 0, "SHA224", CBC128),
	WRAP("RSA-OAEP-256", JOSE_RSA_OAEP, "RSA", NULL, 0, "SHA256", CBC128),
	WRAP("RSA-OAEP-384", JOSE_RSA_OAEP, "RSA", NULL, 0, "SHA384", CBC128),
	WRAP("RSA-OAEP-512", JOSE_RSA_OAEP, "RSA", NULL, 0, "SHA512", CBC128),
	WRAP("RSA1_5", JOSE_RSA_1_5, "RSA", NULL, 0, NULL, CBC128),
	HASH("S1", "SHA1"),
	HASH("S224", "SHA224"),
	HASH("S256", "SHA256"),
	HASH("S384", "SHA384"),
	HASH("S512", "SHA512"),
};

enum { ALGORITHMS = sizeof(algorithms) / sizeof(*algorithms) };

static const struct {
	const char *name;
	const char *operations[2];
} kinds[JOSE_KINDS] = {
	[JOSE_KIND_HASH] = {"hash", {NULL}},
	[JOSE_KIND_SIGN] = {"sign", {"sign", "verify"}},
	[JOSE_KIND_WRAP] = {"wrap", {"wrapKey", "unwrapKey"}},
	[JOSE_KIND_ENCR] = {"encr", {"encrypt", "decrypt"}},
	[JOSE_KIND_COMP] = {"comp", {NULL}},
	[JOSE_KIND_EXCH] = {"exch", {"deriveKey"}},
};

/* What a key that names no algorithm is used with. */
static const struct by_key {
	const char *kty;
	const char *crv;
	size_t least, most; /* oct: bytes of the key; RSA: bits */
	const char *alg;
} to_sign[] = {
	{"EC", "P-256", 0, 0, "ES256"},	      {"EC", "P-384", 0, 0, "ES384"},
	{"EC", "P-521", 0, 0, "ES512"},	      {"EC", "secp256k1", 0, 0, "ES256K"},
	{"OKP", "Ed25519", 0, 0, "EdDSA"},    {"OKP", "Ed448", 0, 0, "EdDSA"},
	{"oct", NULL, 32, 47, "HS256"},	      {"oct", NULL, 48, 63, "HS384"},
	{"oct", NULL, 64, SIZE_MAX, "HS512"}, {"RSA", NULL, 4096, SIZE_MAX, "RS512"},
	{"RSA", NULL, 3072, 4095, "RS384"},   {"RSA", NULL, 0, 3071, "RS256"},
};

static const struct by_key to_wrap[] = {
	{"EC", "P-256", 0, 0, "ECDH-ES+A128KW"}, {"EC", "P-384", 0, 0, "ECDH-ES+A192KW"},
	{"EC", "P-521", 0, 0, "ECDH-ES+A256KW"}, {"OKP", "X25519", 0, 0, "ECDH-ES+A128KW"},
	{"OKP", "X448", 0, 0, "ECDH-ES+A256KW"}, {"RSA", NULL, 0, SIZE_MAX, "RSA-OAEP"},
	{"oct", NULL, 16, 16, "A128KW"},	 {"oct", NULL, 24, 24, "A192KW"},
	{"oct", NULL, 32, 32, "A256KW"},
};

const struct jose_alg *jose_alg(size_t index)
{
	return index < ALGORITHMS ? &algorithms[index] : NULL;
}

const struct jose_alg *jose_alg_named(const char *name, enum jose_kind kind)
{
	for (size_t i = 0; name && i < ALGORITHMS; i++)
		if (strcmp(algorithms[i].name, name) == 0)
			return kind == JOSE_KINDS || algorithms[i].kind == kind ? &algorithms[i]
										: NULL;
	return NULL;
}

const char *jose_kind_name(int kind)
{
	return kind >= 0 && kind < JOSE_KINDS ? kinds[kind].name : NULL;
}

const char *const *jose_kind_operations(enum jose_kind kind)
{
	return kinds[kind].operations;
}

static const char *text_member(const json_t *object, const char *name)
{
	return json_string_value(json_object_get(object, name));
}

static bool same_text(const char *a, const char *b)
{
	return a && b && strcmp(a, b) == 0;
}

/* Bytes of an oct key, bits of an RSA key, as the text's length says; a first digit is not looked at. */
static size_t size_of_key(const json_t *jwk)
{
	const json_t *k = json_object_get(jwk, "k");
	const json_t *n = json_object_get(jwk, "n");

	return same_text(text_member(jwk, "kty"), "RSA") ? JOSE_B64_SIZE(json_string_length(n)) * 8
							 : JOSE_B64_SIZE(json_string_length(k));
}

static const struct jose_alg *by_key(const struct by_key *rows, size_t count, const json_t *jwk)
{
	const char *kty = text_member(jwk, "kty");
	const char *crv = text_member(jwk, "crv");
	size_t size = size_of_key(jwk);

	for (size_t i = 0; i < count; i++)
		if (same_text(rows[i].kty, kty) &&
		    (rows[i].crv ? same_text(rows[i].crv, crv)
				 : size >= rows[i].least && size <= rows[i].most))
			return jose_alg_named(rows[i].alg, JOSE_KINDS);
	return NULL;
}

const struct jose_alg *jose_alg_to_sign(const json_t *jwk)
{
	if (json_object_get(jwk, "alg"))
		return jose_alg_named(text_member(jwk, "alg"), JOSE_KIND_SIGN);
	return by_key(to_sign, sizeof(to_sign) / sizeof(*to_sign), jwk);
}

const struct jose_alg *jose_alg_to_wrap(const json_t *jwk)
{
	const struct jose_alg *own;

	if (!json_object_get(jwk, "alg"))
		return by_key(to_wrap, sizeof(to_wrap) / sizeof(*to_wrap), jwk);
	own = jose_alg_named(text_member(jwk, "alg"), JOSE_KINDS);
	if (own && own->kind == JOSE_KIND_ENCR)
		return jose_alg_named("dir", JOSE_KIND_WRAP);
	return own && own->kind == JOSE_KIND_WRAP ? own : NULL;
}

/* By the size of a content key that is used as it is, the AES-CBC of that size: what the class of the key says. */
static const char *enc_of_oct(const json_t *jwk)
{
	size_t size = JOSE_B64_SIZE(json_string_length(json_object_get(jwk, "k")));
	static const struct {
		size_t size;
		const char *enc;
	} rows[] = {{16, "A128GCM"}, {24, "A192GCM"}, {48, CBC192}, {64, CBC256}};

	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++)
		if (rows[i].size == size)
			return rows[i].enc;
	return CBC128;
}

const struct jose_alg *jose_alg_to_encrypt(const struct jose_alg *wrap, const json_t *jwk)
{
	const struct jose_alg *own = jose_alg_named(text_member(jwk, "alg"), JOSE_KIND_ENCR);
	const struct jose_alg *same = NULL;

	if (own)
		return own;
	if (wrap->enc)
		return jose_alg_named(wrap->enc, JOSE_KIND_ENCR);
	if (wrap->family == JOSE_DIRECT)
		return jose_alg_named(enc_of_oct(jwk), JOSE_KIND_ENCR);
	/* ECDH-ES alone: as its form that wraps on the same curve. */
	same = by_key(to_wrap, sizeof(to_wrap) / sizeof(*to_wrap), jwk);
	return jose_alg_named(same && same->enc ? same->enc : CBC128, JOSE_KIND_ENCR);
}

bool jose_alg_takes(const struct jose_alg *alg, const json_t *jwk)
{
	static const char *const agreeing[] = {"P-256", "P-384", "P-521", "X25519", "X448"};
	const char *kty = text_member(jwk, "kty");
	const char *crv = text_member(jwk, "crv");
	bool agrees = false;

	if (alg->family == JOSE_ECDSA)
		return same_text(kty, "EC") && same_text(crv, alg->crv);
	if (alg->family == JOSE_EDDSA)
		return same_text(kty, "OKP") &&
		       (same_text(crv, "Ed25519") || same_text(crv, "Ed448"));
	if (alg->family != JOSE_ECDH_ES)
		return same_text(kty, alg->kty);
	for (size_t i = 0; i < sizeof(agreeing) / sizeof(*agreeing); i++)
		agrees = agrees || same_text(crv, agreeing[i]);
	return agrees && same_text(kty, crv[0] == 'P' ? "EC" : "OKP");
}
