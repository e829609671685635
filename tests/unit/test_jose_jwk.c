/* SPDX-License-Identifier: Apache-2.0 */
/* jose/jwk.c: keys made from templates, their public part, and what they may be used for (contract of José). */
#include "unit.h"

#include "base/json.h"
#include "jose/b64.h"
#include "jose/ec.h"
#include "jose/jwk.h"

#include <errno.h>
#include <string.h>

static size_t size_of_member(const json_t *jwk, const char *member)
{
	const json_t *value = json_object_get(jwk, member);

	return value ? JOSE_B64_SIZE(json_string_length(value)) : 0;
}

static void test_generates_what_the_template_asks(void **state)
{
	static const struct {
		const char *wanted;
		const char *crv;     /* NULL: an oct key */
		size_t bytes;	     /* of the private member */
		const char *key_ops; /* NULL: none added */
	} rows[] = {
		{"{'alg':'ES256'}", "P-256", 32, "['sign','verify']"},
		{"{'alg':'ES384'}", "P-384", 48, "['sign','verify']"},
		{"{'alg':'ES512'}", "P-521", 66, "['sign','verify']"},
		{"{'alg':'ES256','kty':'EC','crv':'P-256'}", "P-256", 32, "['sign','verify']"},
		{"{'alg':'ECMR'}", "P-521", 66, "['deriveKey']"},
		{"{'alg':'ECMR','crv':'P-384'}", "P-384", 48, "['deriveKey']"},
		{"{'alg':'ECMR','key_ops':['deriveBits']}", "P-521", 66, "['deriveBits']"},
		{"{'alg':'ES256','use':'sig'}", "P-256", 32, NULL},
		{"{'alg':'A256GCM'}", NULL, 32, "['encrypt','decrypt']"},
		{"{'alg':'A256GCM','bytes':32}", NULL, 32, "['encrypt','decrypt']"},
		{"{'kty':'EC'}", "P-256", 32, NULL},
		{"{'kty':'EC','crv':'P-521'}", "P-521", 66, NULL},
		{"{'kty':'oct','bytes':1}", NULL, 1, NULL},
		{"{'kty':'oct','bytes':1024}", NULL, 1024, NULL},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		JSON_AUTO json_t *wanted = json_of(rows[i].wanted);
		JSON_AUTO json_t *key_ops = rows[i].key_ops ? json_of(rows[i].key_ops) : NULL;
		JSON_AUTO json_t *jwk = NULL;

		unit_check(jose_jwk_generate(wanted, &jwk, NULL) == 0, rows[i].wanted);
		assert_string_equal(text_at(jwk, "kty"), rows[i].crv ? "EC" : "oct");
		if (rows[i].crv)
			assert_string_equal(text_at(jwk, "crv"), rows[i].crv);
		unit_check(size_of_member(jwk, rows[i].crv ? "d" : "k") == rows[i].bytes,
			   rows[i].wanted);
		unit_check(json_equal(json_object_get(jwk, "key_ops"), key_ops) ||
				   (!key_ops && !json_object_get(jwk, "key_ops")),
			   rows[i].wanted);
		assert_null(json_object_get(jwk, "bytes"));
	}
}

static void test_generated_ec_key_is_one(void **state)
{
	JSON_AUTO json_t *wanted = json_of("{'alg':'ECMR','kid':'mine','x-note':{'a':[1]}}");
	JSON_AUTO json_t *jwk = NULL;
	SECRET_AUTO struct secret scalar = {0};
	struct jose_point point;

	(void)state;
	assert_int_equal(jose_jwk_generate(wanted, &jwk, NULL), 0);
	assert_int_equal(jose_point_from_jwk(jwk, &point, NULL), 0);
	assert_int_equal(jose_scalar_from_jwk(jwk, jose_curve(JOSE_P521), &scalar, NULL), 0);
	/* other members are kept, the template is as before */
	assert_string_equal(text_at(jwk, "kid"), "mine");
	assert_true(json_equal(json_at(jwk, "x-note"), json_at(wanted, "x-note")));
	assert_int_equal(json_object_size(wanted), 3);
}

static void test_refuses_templates_that_ask_the_impossible(void **state)
{
	static const char *const rows[] = {
		"{}",
		"[]",
		"{'alg':1}",
		"{'alg':'nope'}",
		"{'alg':'dir'}",
		"{'alg':'S256'}",
		"{'alg':'DEF'}",
		"{'kty':'nope'}",
		"{'kty':'RSA','alg':'ES256'}",
		"{'alg':'ES256','crv':'P-384'}",
		"{'alg':'ES512','crv':'P-256'}",
		"{'alg':'ECMR','crv':'secp256k1'}",
		"{'alg':'ECMR','crv':1}",
		"{'alg':'ECMR','kty':'oct'}",
		"{'alg':'A256GCM','bytes':16}",
		"{'kty':'oct'}",
		"{'kty':'oct','bytes':0}",
		"{'kty':'oct','bytes':-1}",
		"{'kty':'oct','bytes':1025}",
		"{'kty':'oct','bytes':'16'}",
		"{'kty':'EC','crv':'nope'}",
		"{'alg':'ES256','d':'AA'}",
		"{'kty':'EC','x':'AA'}",
		"{'alg':'A256GCM','k':'AA'}",
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		JSON_AUTO json_t *wanted = json_of(rows[i]);
		json_t *jwk = NULL;
		struct error err = {0};

		unit_check(jose_jwk_generate(wanted, &jwk, &err) == -EINVAL, rows[i]);
		unit_check(jwk == NULL && err.code == -EINVAL, rows[i]);
		unit_check(strstr(err.text, "JWK generation failed") != NULL, rows[i]);
	}
}

static void test_public_part_has_no_private_member_or_operation(void **state)
{
	static const struct {
		const char *jwk;
		const char *expected;
	} rows[] = {
		{"{'kty':'EC','crv':'P-256','x':'a','y':'b','d':'c'}",
		 "{'kty':'EC','crv':'P-256','x':'a','y':'b'}"},
		{"{'kty':'EC','d':'c','key_ops':['sign','verify'],'alg':'ES256','kid':'k'}",
		 "{'kty':'EC','key_ops':['verify'],'alg':'ES256','kid':'k'}"},
		{"{'kty':'EC','d':'c','key_ops':['deriveKey','deriveBits','else']}",
		 "{'kty':'EC','key_ops':['deriveKey','deriveBits','else']}"},
		{"{'kty':'EC','key_ops':['encrypt','decrypt','wrapKey','unwrapKey']}",
		 "{'kty':'EC','key_ops':['encrypt','wrapKey']}"},
		{"{'kty':'EC','key_ops':['sign','sign']}", "{'kty':'EC','key_ops':[]}"},
		{"{'kty':'oct','k':'AA','key_ops':['encrypt','decrypt','else'],'kid':'k'}",
		 "{'kty':'oct','key_ops':['else'],'kid':'k'}"},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		JSON_AUTO json_t *jwk = json_of(rows[i].jwk);
		JSON_AUTO json_t *before = json_deep_copy(jwk);
		JSON_AUTO json_t *expected = json_of(rows[i].expected);
		JSON_AUTO json_t *made = NULL;

		assert_int_equal(jose_jwk_public(jwk, &made, NULL), 0);
		unit_check(json_equal(made, expected), rows[i].jwk);
		unit_check(json_equal(jwk, before), rows[i].jwk);
	}
}

static void test_key_of_unknown_type_has_no_public_part(void **state)
{
	static const char *const rows[] = {"{}", "{'kty':'else','d':'x'}", "{'kty':1}",
					   "{'d':'x'}"};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		JSON_AUTO json_t *jwk = json_of(rows[i]);
		json_t *made = NULL;

		unit_check(jose_jwk_public(jwk, &made, NULL) == -EINVAL && !made, rows[i]);
	}
}

static void test_use_and_key_ops_grant_operations(void **state)
{
	static const struct {
		const char *jwk;
		unsigned operations;
		bool allowed;
		bool allowed_when_stated;
	} rows[] = {
		{"{}", JOSE_SIGN, true, false},
		{"{}", JOSE_DERIVE_KEY, true, false},
		{"{'use':'sig'}", JOSE_SIGN, true, true},
		{"{'use':'sig'}", JOSE_VERIFY, true, true},
		{"{'use':'sig'}", JOSE_DERIVE_KEY | JOSE_ENCRYPT, false, false},
		{"{'use':'enc'}", JOSE_ENCRYPT, true, true},
		{"{'use':'enc'}", JOSE_DECRYPT, true, true},
		{"{'use':'enc'}", JOSE_WRAP_KEY, true, true},
		{"{'use':'enc'}", JOSE_UNWRAP_KEY, true, true},
		{"{'use':'enc'}", JOSE_DERIVE_KEY, false, false},
		{"{'use':'enc'}", JOSE_DERIVE_BITS, false, false},
		{"{'use':'enc'}", JOSE_VERIFY, false, false},
		{"{'use':'else'}", JOSE_SIGN, false, false},
		{"{'use':1}", JOSE_SIGN, false, false},
		{"{'key_ops':['sign','verify']}", JOSE_VERIFY, true, true},
		{"{'key_ops':['verify']}", JOSE_SIGN, false, false},
		{"{'key_ops':['verify']}", JOSE_SIGN | JOSE_VERIFY, true, true},
		{"{'key_ops':['deriveKey']}", JOSE_DERIVE_KEY, true, true},
		{"{'key_ops':['deriveKey']}", JOSE_DERIVE_BITS, false, false},
		{"{'key_ops':[]}", JOSE_SIGN, false, false},
		{"{'key_ops':[1,null]}", JOSE_SIGN, false, false},
		{"{'key_ops':'sign'}", JOSE_SIGN, false, false},
		{"{'use':'sig','key_ops':['deriveKey']}", JOSE_DERIVE_KEY, true, true},
		{"{'use':'sig','key_ops':['deriveKey']}", JOSE_VERIFY, true, true},
		{"{'use':'sig','key_ops':['deriveKey']}", JOSE_ENCRYPT, false, false},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		JSON_AUTO json_t *jwk = json_of(rows[i].jwk);

		unit_check(jose_jwk_allows(jwk, rows[i].operations, false) == rows[i].allowed,
			   rows[i].jwk);
		unit_check(jose_jwk_allows(jwk, rows[i].operations, true) ==
				   rows[i].allowed_when_stated,
			   rows[i].jwk);
	}
}

static void test_alg_must_be_the_same_where_there_is_one(void **state)
{
	static const struct {
		const char *jwk;
		bool fits;
	} rows[] = {
		{"{}", true},
		{"{'alg':'ECMR'}", true},
		{"{'alg':'ECDH'}", false},
		{"{'alg':'ecmr'}", false},
		{"{'alg':1}", false},
		{"{'alg':null}", false},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		JSON_AUTO json_t *jwk = json_of(rows[i].jwk);

		unit_check(jose_jwk_fits(jwk, "ECMR") == rows[i].fits, rows[i].jwk);
	}
}

int main(int argc, char *argv[])
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_generates_what_the_template_asks),
		cmocka_unit_test(test_generated_ec_key_is_one),
		cmocka_unit_test(test_refuses_templates_that_ask_the_impossible),
		cmocka_unit_test(test_public_part_has_no_private_member_or_operation),
		cmocka_unit_test(test_key_of_unknown_type_has_no_public_part),
		cmocka_unit_test(test_use_and_key_ops_grant_operations),
		cmocka_unit_test(test_alg_must_be_the_same_where_there_is_one),
	};

	unit_begin(argc, argv);
	return cmocka_run_group_tests_name("jose/jwk", tests, NULL, NULL);
}
