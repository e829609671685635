/* SPDX-License-Identifier: Apache-2.0 */
/* The table of algorithms, and keys of the types beside EC on P-256 … P-521: made, checked, named, stripped. */
#include "unit.h"

#include "base/json.h"
#include "jose/alg.h"
#include "jose/b64.h"
#include "jose/jwk.h"
#include "jose/thumbprint.h"

#include <errno.h>
#include <string.h>
#include <strings.h>

static json_t *keys;

static int load_vectors(void **state)
{
	(void)state;
	keys = vector_read("jose-keys.json");
	return 0;
}

static int drop_vectors(void **state)
{
	(void)state;
	json_drop(&keys);
	return 0;
}

static void test_table_is_sorted_and_whole(void **state)
{
	size_t of_kind[JOSE_KINDS] = {0};
	size_t count = 0;

	(void)state;
	for (; jose_alg(count); count++) {
		const struct jose_alg *alg = jose_alg(count);

		of_kind[alg->kind]++;
		assert_ptr_equal(jose_alg_named(alg->name, alg->kind), alg);
		assert_ptr_equal(jose_alg_named(alg->name, JOSE_KINDS), alg);
		assert_null(jose_alg_named(
			alg->name, alg->kind == JOSE_KIND_COMP ? JOSE_KIND_HASH : JOSE_KIND_COMP));
		if (count > 0)
			unit_check(strcasecmp(jose_alg(count - 1)->name, alg->name) < 0, alg->name);
	}
	/* the contract's 47, and EdDSA */
	assert_int_equal(count, 48);
	assert_int_equal(of_kind[JOSE_KIND_HASH], 5);
	assert_int_equal(of_kind[JOSE_KIND_SIGN], 14);
	assert_int_equal(of_kind[JOSE_KIND_WRAP], 20);
	assert_int_equal(of_kind[JOSE_KIND_ENCR], 6);
	assert_int_equal(of_kind[JOSE_KIND_EXCH], 2);
	assert_int_equal(of_kind[JOSE_KIND_COMP], 1);
	assert_string_equal(jose_kind_name(JOSE_KIND_HASH), "hash");
	assert_null(jose_kind_name(JOSE_KINDS));
	assert_null(jose_alg_named("none", JOSE_KINDS));
	assert_null(jose_alg_named("es256", JOSE_KINDS));
	assert_null(jose_alg_named(NULL, JOSE_KINDS));
}

static void test_generates_what_every_algorithm_needs(void **state)
{
	static const struct {
		const char *wanted;
		const char *kty;
		const char *crv; /* NULL: oct */
		size_t bytes;
		const char *key_ops;
	} rows[] = {
		{"{'alg':'ES256K'}", "EC", "secp256k1", 32, "['sign','verify']"},
		{"{'kty':'EC','crv':'secp256k1'}", "EC", "secp256k1", 32, NULL},
		{"{'alg':'EdDSA'}", "OKP", "Ed25519", 32, "['sign','verify']"},
		{"{'alg':'EdDSA','crv':'Ed448'}", "OKP", "Ed448", 57, "['sign','verify']"},
		{"{'kty':'OKP'}", "OKP", "Ed25519", 32, NULL},
		{"{'kty':'OKP','crv':'X448'}", "OKP", "X448", 56, NULL},
		{"{'alg':'ECDH-ES'}", "EC", "P-521", 66, "['wrapKey','unwrapKey']"},
		{"{'alg':'ECDH-ES','kty':'OKP'}", "OKP", "X25519", 32, "['wrapKey','unwrapKey']"},
		{"{'alg':'ECDH-ES','crv':'X448'}", "OKP", "X448", 56, "['wrapKey','unwrapKey']"},
		{"{'alg':'ECDH-ES+A128KW'}", "EC", "P-256", 32, "['wrapKey','unwrapKey']"},
		{"{'alg':'ECDH-ES+A192KW'}", "EC", "P-384", 48, "['wrapKey','unwrapKey']"},
		{"{'alg':'ECDH-ES+A256KW'}", "EC", "P-521", 66, "['wrapKey','unwrapKey']"},
		{"{'alg':'ECDH'}", "EC", "P-521", 66, "['deriveKey']"},
		{"{'alg':'ECDH','crv':'P-256'}", "EC", "P-256", 32, "['deriveKey']"},
		{"{'alg':'HS256'}", "oct", NULL, 32, "['sign','verify']"},
		{"{'alg':'HS384'}", "oct", NULL, 48, "['sign','verify']"},
		{"{'alg':'HS512','bytes':64}", "oct", NULL, 64, "['sign','verify']"},
		{"{'alg':'A128KW'}", "oct", NULL, 16, "['wrapKey','unwrapKey']"},
		{"{'alg':'A192GCMKW'}", "oct", NULL, 24, "['wrapKey','unwrapKey']"},
		{"{'alg':'A256KW'}", "oct", NULL, 32, "['wrapKey','unwrapKey']"},
		{"{'alg':'PBES2-HS256+A128KW'}", "oct", NULL, 16, "['wrapKey','unwrapKey']"},
		{"{'alg':'PBES2-HS384+A192KW'}", "oct", NULL, 24, "['wrapKey','unwrapKey']"},
		{"{'alg':'PBES2-HS512+A256KW'}", "oct", NULL, 32, "['wrapKey','unwrapKey']"},
		{"{'alg':'A128GCM'}", "oct", NULL, 16, "['encrypt','decrypt']"},
		{"{'alg':'A128CBC-HS256'}", "oct", NULL, 32, "['encrypt','decrypt']"},
		{"{'alg':'A192CBC-HS384'}", "oct", NULL, 48, "['encrypt','decrypt']"},
		{"{'alg':'A256CBC-HS512'}", "oct", NULL, 64, "['encrypt','decrypt']"},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		JSON_AUTO json_t *wanted = json_of(rows[i].wanted);
		JSON_AUTO json_t *key_ops = rows[i].key_ops ? json_of(rows[i].key_ops) : NULL;
		JSON_AUTO json_t *jwk = NULL;

		unit_check(jose_jwk_generate(wanted, &jwk, NULL) == 0, rows[i].wanted);
		unit_check(strcmp(text_at(jwk, "kty"), rows[i].kty) == 0, rows[i].wanted);
		if (rows[i].crv)
			unit_check(strcmp(text_at(jwk, "crv"), rows[i].crv) == 0, rows[i].wanted);
		unit_check(JOSE_B64_SIZE(strlen(text_at(jwk, rows[i].crv ? "d" : "k"))) ==
				   rows[i].bytes,
			   rows[i].wanted);
		unit_check(key_ops ? json_equal(json_object_get(jwk, "key_ops"), key_ops)
				   : !json_object_get(jwk, "key_ops"),
			   rows[i].wanted);
		assert_null(json_object_get(jwk, "bytes"));
		unit_check(jose_jwk_check(jwk, NULL) == 0, rows[i].wanted);
	}
}

static void test_generates_rsa_keys_by_size_and_exponent(void **state)
{
	static const char *const rows[][2] = {
		{"{'alg':'PS256','kid':'k'}", "AQAB"},
		{"{'kty':'RSA','bits':2056,'e':65539}", "AQAD"},
		{"{'alg':'RSA-OAEP','e':'AQAD'}", "AQAD"},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		JSON_AUTO json_t *wanted = json_of(rows[i][0]);
		JSON_AUTO json_t *jwk = NULL;
		size_t bits = json_object_get(wanted, "bits") ? 2056 : 2048;

		assert_int_equal(jose_jwk_generate(wanted, &jwk, NULL), 0);
		unit_check(jose_jwk_check(jwk, NULL) == 0, rows[i][0]);
		assert_string_equal(text_at(jwk, "e"), rows[i][1]);
		assert_int_equal(JOSE_B64_SIZE(strlen(text_at(jwk, "n"))) * 8, bits);
		assert_null(json_object_get(jwk, "bits"));
	}
}

static void test_refuses_templates_that_ask_the_impossible(void **state)
{
	static const char *const rows[] = {
		"{'alg':'none'}",
		"{'alg':'ES256K','crv':'P-256'}",
		"{'alg':'ES256','crv':'secp256k1'}",
		"{'alg':'ECDH','crv':'secp256k1'}",
		"{'alg':'ECDH','crv':'X25519'}",
		"{'alg':'ECDH-ES','crv':'P-256'}",
		"{'alg':'ECDH-ES','crv':'Ed25519'}",
		"{'alg':'ECDH-ES+A128KW','crv':'P-521'}",
		"{'alg':'ECDH-ES','kty':'EC','crv':'X25519'}",
		"{'alg':'EdDSA','crv':'X25519'}",
		"{'alg':'EdDSA','kty':'EC'}",
		"{'kty':'OKP','crv':'P-256'}",
		"{'kty':'OKP','crv':1}",
		"{'kty':'EC','crv':'Ed25519'}",
		"{'alg':'HS256','bytes':64}",
		"{'alg':'RS256','kty':'oct'}",
		"{'kty':'RSA','bits':2047}",
		"{'kty':'RSA','bits':1024}",
		"{'kty':'RSA','bits':16385}",
		"{'kty':'RSA','bits':'2048'}",
		"{'kty':'RSA','bits':-1}",
		"{'kty':'RSA','e':65536}",
		"{'kty':'RSA','e':3}",
		"{'kty':'RSA','e':1}",
		"{'kty':'RSA','e':-65537}",
		"{'kty':'RSA','e':65537.0}",
		"{'kty':'RSA','e':'Aw'}",
		"{'kty':'RSA','e':'AAEAAQ'}",
		"{'kty':'RSA','e':'AQABAQABAQABAQAB'}",
		"{'kty':'RSA','e':'*'}",
		"{'kty':'RSA','n':'AQAB'}",
		"{'kty':'RSA','p':'AQAB'}",
		"{'kty':'OKP','x':'AQAB'}",
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		JSON_AUTO json_t *wanted = json_of(rows[i]);
		json_t *jwk = NULL;
		struct error err = {0};

		unit_check(jose_jwk_generate(wanted, &jwk, &err) == -EINVAL, rows[i]);
		unit_check(jwk == NULL && err.code == -EINVAL, rows[i]);
	}
}

static void test_names_the_algorithm_that_it_does_not_know(void **state)
{
	static const char *const rows[] = {"dir", "S256", "DEF", "nope"};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		JSON_AUTO json_t *wanted = json_pack("{s:s}", "alg", rows[i]);
		json_t *jwk = NULL;
		struct error err = {0};

		assert_int_equal(jose_jwk_generate(wanted, &jwk, &err), -EINVAL);
		unit_check(strstr(err.text, "unknown algorithm:") &&
				   strcmp(strchr(err.text, ':') + 1, rows[i]) == 0,
			   err.text);
	}
}

static void test_keys_of_another_implementation_are_good(void **state)
{
	const char *name;
	json_t *jwk;

	(void)state;
	json_object_foreach(keys, name, jwk) {
		JSON_AUTO json_t *public_jwk = NULL;

		if (strcmp(name, "source") == 0)
			continue;
		unit_check(jose_jwk_check(jwk, NULL) == 0, name);
		assert_int_equal(jose_jwk_public(jwk, &public_jwk, NULL), 0);
		if (strncmp(name, "oct", 3) != 0)
			unit_check(jose_jwk_check(public_jwk, NULL) == 0, name);
	}
}

/* One key of each type with one member changed; NULL: taken away. */
static void test_refuses_keys_that_are_not_whole(void **state)
{
	static const struct {
		const char *key;
		const char *member;
		const char *value;
	} rows[] = {
		{"RSA-2048", "n", NULL},
		{"RSA-2048", "e", NULL},
		{"RSA-2048", "n", "'AQAB'"},
		{"RSA-2048", "n", "7"},
		{"RSA-2048", "n", "''"},
		{"RSA-2048", "e", "'AQ'"},
		{"RSA-2048", "e", "'Ag'"},
		{"RSA-2048", "e", "'AQAA'"},
		{"RSA-2048", "e", "'AAEAAQ'"},
		{"RSA-2048", "e", "'AQAAAAAAAAAB'"},
		{"RSA-2048", "p", NULL},
		{"RSA-2048", "qi", NULL},
		{"RSA-2048", "p", "'AQ'"},
		{"RSA-2048", "p", "'AQAB'"},
		{"RSA-2048", "d", "'AQAA'"},
		{"RSA-2048", "d", "''"},
		{"RSA-2048", "oth", "[]"},
		{"secp256k1", "x", "'AAAA'"},
		{"secp256k1", "y", NULL},
		{"secp256k1", "y", "'AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA'"},
		{"secp256k1", "d", "'AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA'"},
		{"secp256k1", "d", "'__________________________________________8'"},
		{"secp256k1", "crv", "'P-256'"},
		{"secp256k1", "kty", "'OKP'"},
		{"Ed25519", "x", NULL},
		{"Ed25519", "x", "'AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA'"},
		{"Ed25519", "x", "'AAAA'"},
		{"Ed25519", "d", "'AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA'"},
		{"Ed25519", "d", "'AAAA'"},
		{"Ed25519", "crv", "'Ed448'"},
		{"Ed25519", "crv", "'secp256k1'"},
		{"Ed25519", "crv", NULL},
		{"X448", "d", "''"},
		{"X448", "kty", "'EC'"},
		{"oct-16", "k", NULL},
		{"oct-16", "k", "'*'"},
		{"oct-16", "kty", "'else'"},
		{"oct-16", "kty", NULL},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		JSON_AUTO json_t *jwk = json_deep_copy(json_at(keys, rows[i].key));
		struct error err = {0};

		if (rows[i].value)
			(void)json_object_set_new(jwk, rows[i].member, json_of(rows[i].value));
		else
			(void)json_object_del(jwk, rows[i].member);
		unit_check(jose_jwk_check(jwk, &err) == -EINVAL && err.code == -EINVAL,
			   rows[i].member);
	}
}

/* An exponent of 3 is taken from others; a modulus below 2048 bits or beyond 16384 is not. */
static void test_bounds_of_rsa_keys(void **state)
{
	static const struct {
		size_t bytes;
		const char *e;
		int rc;
	} rows[] = {{256, "Aw", 0},	    {256, "AQAB", 0},	    {2048, "Aw", 0},
		    {255, "AQAB", -EINVAL}, {128, "AQAB", -EINVAL}, {2049, "Aw", -EINVAL}};
	static unsigned char n[2049];

	(void)state;
	memset(n, 0xff, sizeof(n));
	for (size_t i = 0; i < COUNT(rows); i++) {
		JSON_AUTO json_t *jwk = json_pack("{s:s, s:o, s:s}", "kty", "RSA", "n",
						  jose_b64_json(n, rows[i].bytes), "e", rows[i].e);

		assert_int_equal(jose_jwk_check(jwk, NULL), rows[i].rc);
	}
}

static void test_public_part_has_no_private_member(void **state)
{
	static const char *const names[] = {"RSA-2048", "secp256k1", "Ed25519", "X448"};
	static const char *const private_members[] = {"d", "p", "q", "dp", "dq", "qi", "oth", "k"};

	(void)state;
	for (size_t i = 0; i < COUNT(names); i++) {
		JSON_AUTO json_t *jwk = json_deep_copy(json_at(keys, names[i]));
		JSON_AUTO json_t *public_jwk = NULL;
		char own[JOSE_THUMBPRINT_MAX];
		char of_public[JOSE_THUMBPRINT_MAX];

		(void)json_object_set_new(jwk, "key_ops", json_of("['sign','verify','unwrapKey']"));
		if (strcmp(names[i], "RSA-2048") == 0)
			(void)json_object_set_new(jwk, "oth", json_of("[{'r':'AQ'}]"));
		assert_int_equal(jose_jwk_public(jwk, &public_jwk, NULL), 0);
		for (size_t j = 0; j < COUNT(private_members); j++)
			unit_check(!json_object_get(public_jwk, private_members[j]),
				   private_members[j]);
		assert_int_equal(json_array_size(json_at(public_jwk, "key_ops")), 1);
		assert_int_equal(jose_thumbprint(jwk, JOSE_S256, own, NULL), 0);
		assert_int_equal(jose_thumbprint(public_jwk, JOSE_S256, of_public, NULL), 0);
		assert_string_equal(own, of_public);
	}
}

static void test_thumbprint_of_rfc_8037(void **state)
{
	JSON_AUTO json_t *vector = vector_read("rfc8037.json");
	char thumbprint[JOSE_THUMBPRINT_MAX];

	(void)state;
	assert_int_equal(jose_thumbprint(json_at(vector, "jwk"), JOSE_S256, thumbprint, NULL), 0);
	assert_string_equal(thumbprint, text_at(vector, "s256"));
}

static void test_infers_the_algorithm_from_the_key(void **state)
{
	static const struct {
		const char *key;
		const char *sign, *wrap;
	} rows[] = {
		{"P-256", "ES256", "ECDH-ES+A128KW"},
		{"P-384", "ES384", "ECDH-ES+A192KW"},
		{"P-521", "ES512", "ECDH-ES+A256KW"},
		{"secp256k1", "ES256K", NULL},
		{"Ed25519", "EdDSA", NULL},
		{"Ed448", "EdDSA", NULL},
		{"X25519", NULL, "ECDH-ES+A128KW"},
		{"X448", NULL, "ECDH-ES+A256KW"},
		{"RSA-2048", "RS256", "RSA-OAEP"},
		{"RSA-3072", "RS384", "RSA-OAEP"},
		{"oct-16", NULL, "A128KW"},
		{"oct-24", NULL, "A192KW"},
		{"oct-32", "HS256", "A256KW"},
		{"oct-48", "HS384", NULL},
		{"oct-64", "HS512", NULL},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		const struct jose_alg *sign = jose_alg_to_sign(json_at(keys, rows[i].key));
		const struct jose_alg *wrap = jose_alg_to_wrap(json_at(keys, rows[i].key));

		unit_check(sign ? rows[i].sign && strcmp(sign->name, rows[i].sign) == 0
				: !rows[i].sign,
			   rows[i].key);
		unit_check(wrap ? rows[i].wrap && strcmp(wrap->name, rows[i].wrap) == 0
				: !rows[i].wrap,
			   rows[i].key);
		if (sign)
			unit_check(jose_alg_takes(sign, json_at(keys, rows[i].key)), rows[i].key);
		if (wrap)
			unit_check(jose_alg_takes(wrap, json_at(keys, rows[i].key)), rows[i].key);
	}
}

int main(int argc, char *argv[])
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_table_is_sorted_and_whole),
		cmocka_unit_test(test_generates_what_every_algorithm_needs),
		cmocka_unit_test(test_generates_rsa_keys_by_size_and_exponent),
		cmocka_unit_test(test_refuses_templates_that_ask_the_impossible),
		cmocka_unit_test(test_names_the_algorithm_that_it_does_not_know),
		cmocka_unit_test(test_keys_of_another_implementation_are_good),
		cmocka_unit_test(test_refuses_keys_that_are_not_whole),
		cmocka_unit_test(test_bounds_of_rsa_keys),
		cmocka_unit_test(test_public_part_has_no_private_member),
		cmocka_unit_test(test_thumbprint_of_rfc_8037),
		cmocka_unit_test(test_infers_the_algorithm_from_the_key),
	};

	unit_begin(argc, argv);
	return cmocka_run_group_tests_name("jose/keys", tests, load_vectors, drop_vectors);
}
