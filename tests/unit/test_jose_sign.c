/* SPDX-License-Identifier: Apache-2.0 */
/* Every algorithm that signs (jose/sign.c) by way of jose/jws.c: another implementation's signatures, and what must not verify. */
#include "unit.h"

#include "base/json.h"
#include "jose/alg.h"
#include "jose/b64.h"
#include "jose/jwk.h"
#include "jose/jws.h"
#include "jose/sign.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static json_t *keys;
static json_t *signed_by_other;

static int load_vectors(void **state)
{
	(void)state;
	keys = vector_read("jose-keys.json");
	signed_by_other = vector_read("jwcrypto-jws.json");
	return 0;
}

static int drop_vectors(void **state)
{
	(void)state;
	json_drop(&keys);
	json_drop(&signed_by_other);
	return 0;
}

/* {"payload": "hello"} signed by `jwk` as `signature_template` says. */
static int sign_hello(const char *signature_template, const json_t *jwk, json_t **jws)
{
	JSON_AUTO json_t *parsed = json_of(signature_template);

	*jws = json_of("{'payload':'aGVsbG8'}");
	return jose_jws_sign_as(*jws, parsed, jwk, NULL);
}

static void test_verifies_rfc_7515_and_8037(void **state)
{
	JSON_AUTO json_t *rfc7515 = vector_read("rfc7515.json");
	JSON_AUTO json_t *rfc8037 = vector_read("rfc8037.json");
	const struct {
		const json_t *of;
	} examples[] = {{json_at(rfc7515, "a1")}, {json_at(rfc7515, "a2")}, {rfc8037}};

	(void)state;
	for (size_t i = 0; i < COUNT(examples); i++)
		unit_check(jose_jws_verify(json_at(examples[i].of, "jws"),
					   json_at(examples[i].of, "jwk"), NULL) == 0,
			   text_at(examples[i].of, "jwk/kty"));
}

/* The algorithm in either header, and none protected at all; several signatures. */
static void test_verifies_rfc_7520(void **state)
{
	JSON_AUTO json_t *vector = vector_read("rfc7520-jws.json");
	const json_t *item;
	const json_t *jwk;
	size_t i;
	size_t j;

	(void)state;
	json_array_foreach(json_at(vector, "items"), i, item) {
		json_array_foreach(json_at(item, "keys"), j, jwk) {
			JSON_AUTO json_t *changed = json_deep_copy(json_at(item, "jws"));

			unit_check(jose_jws_verify(json_at(item, "jws"), jwk, NULL) == 0,
				   text_at(item, "section"));
			json_tamper(changed, "payload");
			unit_check(jose_jws_verify(changed, jwk, NULL) == -EBADMSG,
				   text_at(item, "section"));
		}
	}
	assert_int_equal(i, 4);
}

static void test_verifies_what_another_implementation_signed(void **state)
{
	const json_t *item;
	size_t i;

	(void)state;
	json_array_foreach(json_at(signed_by_other, "items"), i, item) {
		unit_check(jose_jws_verify(json_at(item, "jws"),
					   json_at(keys, text_at(item, "key")), NULL) == 0,
			   text_at(item, "alg"));
	}
	assert_int_equal(i, 15);
}

static void test_rejects_what_was_changed(void **state)
{
	static const char *const members[] = {"payload", "protected", "signature"};
	const json_t *item;
	size_t i;

	(void)state;
	json_array_foreach(json_at(signed_by_other, "items"), i, item) {
		for (size_t j = 0; j < COUNT(members); j++) {
			JSON_AUTO json_t *jws = json_deep_copy(json_at(item, "jws"));

			json_tamper(jws, members[j]);
			unit_check(jose_jws_verify(jws, json_at(keys, text_at(item, "key")),
						   NULL) == -EBADMSG,
				   text_at(item, "alg"));
		}
	}
}

/* Cut, with a zero in front, with a zero behind: one signature has one spelling. */
static void test_rejects_signatures_of_another_size(void **state)
{
	const json_t *item;
	size_t i;

	(void)state;
	json_array_foreach(json_at(signed_by_other, "items"), i, item) {
		for (int how = 0; how < 4; how++) {
			JSON_AUTO json_t *jws = json_deep_copy(json_at(item, "jws"));
			SECRET_AUTO struct secret raw = {0};
			unsigned char other[1024] = {0};

			secret_of_b64(text_at(jws, "signature"), &raw);
			memcpy(other + (how == 1), raw.data, raw.size);
			(void)json_object_set_new(
				jws, "signature",
				jose_b64_json(other,
					      how == 3 ? 0 : raw.size + (how > 0) - (how == 0)));
			unit_check(jose_jws_verify(jws, json_at(keys, text_at(item, "key")),
						   NULL) == -EBADMSG,
				   text_at(item, "alg"));
		}
	}
}

static void test_signs_with_every_algorithm_so_that_it_verifies(void **state)
{
	const json_t *item;
	size_t i;

	(void)state;
	json_array_foreach(json_at(signed_by_other, "items"), i, item) {
		const json_t *jwk = json_at(keys, text_at(item, "key"));
		JSON_AUTO json_t *wanted = json_pack("{s:{s:s}}", "protected", "alg",
						     text_at(item, "alg"));
		JSON_AUTO json_t *public_jwk = NULL;
		JSON_AUTO json_t *jws = json_of("{'payload':'aGVsbG8'}");

		unit_check(jose_jws_sign_as(jws, wanted, jwk, NULL) == 0, text_at(item, "alg"));
		assert_int_equal(jose_jwk_public(jwk, &public_jwk, NULL), 0);
		unit_check(jose_jws_verify(
				   jws, strcmp(text_at(jwk, "kty"), "oct") == 0 ? jwk : public_jwk,
				   NULL) == 0,
			   text_at(item, "alg"));
	}
}

/* A salt of another length than the hash has is no PS256 (RFC 7518 §3.5): here it has 20 bytes. */
static void test_rejects_pss_with_another_salt(void **state)
{
	JSON_AUTO json_t *vector = vector_read("pss-salt.json");

	(void)state;
	assert_int_equal(jose_jws_verify(json_at(vector, "right"), json_at(keys, "RSA-2048"), NULL),
			 0);
	assert_int_equal(jose_jws_verify(json_at(vector, "wrong"), json_at(keys, "RSA-2048"), NULL),
			 -EBADMSG);
}

static void test_algorithm_must_be_one_for_the_key(void **state)
{
	static const struct {
		const char *key;
		const char *wanted;
		int rc;
	} rows[] = {
		{"RSA-2048", "{'protected':{'alg':'PS384'}}", 0},
		{"RSA-2048", "{'header':{'alg':'PS384'}}", 0},
		{"RSA-2048", "{'protected':{'alg':'HS256'}}", -EINVAL},
		{"RSA-2048", "{'protected':{'alg':'ES256'}}", -EINVAL},
		{"RSA-2048", "{'protected':{'alg':'none'}}", -EINVAL},
		{"RSA-2048", "{'protected':{'alg':'RSA-OAEP'}}", -EINVAL},
		{"RSA-2048", "{'protected':{'alg':1}}", -EINVAL},
		{"RSA-2048", "{'protected':{'alg':'PS384'},'header':{'alg':'PS384'}}", -EINVAL},
		{"RSA-2048", "{'protected':[]}", -EINVAL},
		{"RSA-2048", "{'protected':'*'}", -EINVAL},
		{"RSA-2048", "{'protected':'eyJhbGciOiJSUzI1NiJ9'}", 0},
		{"RSA-2048", "{'header':1}", -EINVAL},
		{"secp256k1", "{'protected':{'alg':'ES256'}}", -EINVAL},
		{"P-256", "{'protected':{'alg':'ES256K'}}", -EINVAL},
		{"X25519", "{'protected':{'alg':'EdDSA'}}", -EINVAL},
		{"X25519", "{}", -EINVAL},
		{"oct-32", "{'protected':{'alg':'HS256'}}", 0},
		{"oct-64", "{'protected':{'alg':'HS256'}}", 0},
		{"oct-32", "{'protected':{'alg':'HS384'}}", -EINVAL},
		{"oct-48", "{'protected':{'alg':'HS512'}}", -EINVAL},
		{"oct-24", "{'protected':{'alg':'HS256'}}", -EINVAL},
		{"oct-24", "{}", -EINVAL},
		{"oct-32", "{'protected':{'alg':'A256KW'}}", -EINVAL},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		JSON_AUTO json_t *jws = NULL;

		unit_check(sign_hello(rows[i].wanted, json_at(keys, rows[i].key), &jws) ==
				   rows[i].rc,
			   rows[i].wanted);
		if (rows[i].rc == 0)
			unit_check(jose_jws_verify(jws, json_at(keys, rows[i].key), NULL) == 0,
				   rows[i].wanted);
		else
			assert_int_equal(json_object_size(jws), 1);
	}
}

/* RFC 7518 §6.3.2: the factors are not required. */
static void test_rsa_key_without_its_factors_signs(void **state)
{
	static const char *const factors[] = {"p", "q", "dp", "dq", "qi"};
	JSON_AUTO json_t *jwk = json_deep_copy(json_at(keys, "RSA-2048"));
	JSON_AUTO json_t *jws = NULL;

	(void)state;
	for (size_t i = 0; i < COUNT(factors); i++)
		(void)json_object_del(jwk, factors[i]);
	assert_int_equal(sign_hello("{}", jwk, &jws), 0);
	assert_int_equal(jose_jws_verify(jws, json_at(keys, "RSA-2048"), NULL), 0);
}

/* The text of a public key as the key of HMAC: the type of the key says what may be. */
static void test_public_key_is_no_key_of_hmac(void **state)
{
	JSON_AUTO json_t *public_jwk = NULL;
	JSON_AUTO json_t *stolen = NULL;
	JSON_AUTO json_t *jws = NULL;

	(void)state;
	assert_int_equal(jose_jwk_public(json_at(keys, "RSA-2048"), &public_jwk, NULL), 0);
	stolen = json_pack("{s:s, s:O}", "kty", "oct", "k", json_at(public_jwk, "n"));
	assert_int_equal(sign_hello("{'protected':{'alg':'HS256'}}", stolen, &jws), 0);
	assert_int_equal(jose_jws_verify(jws, public_jwk, NULL), -EBADMSG);
	(void)json_object_set(public_jwk, "k", json_at(public_jwk, "n"));
	assert_int_equal(jose_jws_verify(jws, public_jwk, NULL), -EBADMSG);
}

static void test_key_too_small_verifies_nothing(void **state)
{
	JSON_AUTO json_t *jws = NULL;
	JSON_AUTO json_t *small = json_of("{'kty':'oct','k':'AAAA'}");

	(void)state;
	assert_int_equal(sign_hello("{}", json_at(keys, "oct-32"), &jws), 0);
	assert_int_equal(jose_jws_verify(jws, small, NULL), -EINVAL);
}

static void test_rejects_crit_and_names_in_both_headers(void **state)
{
	static const char *const headers[] = {"{'crit':['alg']}", "{'crit':[]}", "{'alg':'HS256'}",
					      "[]", "1"};
	JSON_AUTO json_t *jws = NULL;

	(void)state;
	assert_int_equal(sign_hello("{}", json_at(keys, "oct-32"), &jws), 0);
	for (size_t i = 0; i < COUNT(headers); i++) {
		assert_int_equal(json_object_set_new(jws, "header", json_of(headers[i])), 0);
		unit_check(jose_jws_verify(jws, json_at(keys, "oct-32"), NULL) == -EBADMSG,
			   headers[i]);
	}
}

static void test_any_or_all_keys(void **state)
{
	JSON_AUTO json_t *jws = NULL;
	const json_t *known[] = {json_at(keys, "oct-32"), json_at(keys, "Ed448")};
	const json_t *mixed[] = {json_at(keys, "P-521"), json_at(keys, "Ed448")};

	(void)state;
	assert_int_equal(sign_hello("{}", known[0], &jws), 0);
	assert_int_equal(jose_jws_sign_as(jws, NULL, known[1], NULL), 0);
	assert_int_equal(json_array_size(json_at(jws, "signatures")), 2);
	assert_int_equal(jose_jws_verify_keys(jws, known, 2, true, NULL), 0);
	assert_int_equal(jose_jws_verify_keys(jws, mixed, 2, false, NULL), 0);
	assert_int_equal(jose_jws_verify_keys(jws, mixed, 2, true, NULL), -EBADMSG);
	assert_int_equal(jose_jws_verify_keys(jws, mixed, 1, false, NULL), -EBADMSG);
	assert_int_equal(jose_jws_verify_keys(jws, NULL, 0, true, NULL), -EINVAL);
}

static void test_compact_form_goes_and_comes(void **state)
{
	static const char *const good[] = {"e30.aGVsbG8.AAAA", "e30..AAAA", "..", "_-.A.A"};
	static const char *const bad[] = {
		"",	      "e30",	     "e30.AA",	    "e30.AA.AA.AA",
		"e30.AA.AA.", "e30.A=.AAAA", "e30.AA.AA\n", " e30.AA.AA"};

	(void)state;
	for (size_t i = 0; i < COUNT(good); i++) {
		JSON_AUTO json_t *jws = NULL;
		char *text = NULL;

		assert_int_equal(jose_jws_parse_compact(good[i], strlen(good[i]), &jws, NULL), 0);
		assert_int_equal(json_object_size(jws), 3);
		assert_int_equal(jose_jws_format_compact(jws, &text, NULL), 0);
		assert_string_equal(text, good[i]);
		free(text);
	}
	for (size_t i = 0; i < COUNT(bad); i++) {
		json_t *jws = NULL;

		unit_check(jose_jws_parse_compact(bad[i], strlen(bad[i]), &jws, NULL) == -EBADMSG &&
				   !jws,
			   bad[i]);
	}
}

static void test_compact_form_loses_nothing(void **state)
{
	static const struct {
		const char *jws;
		int rc;
	} rows[] = {
		{"{'protected':'e30','payload':'AA','signature':'AA'}", 0},
		{"{'protected':'e30','signature':'AA'}", 0},
		{"{'protected':'e30','payload':'AA','signature':'AA','header':{}}", -EINVAL},
		{"{'payload':'AA','signatures':[]}", -EINVAL},
		{"{'payload':'AA','signature':'AA'}", -EBADMSG},
		{"{'protected':'e30','payload':'AA'}", -EBADMSG},
		{"{'protected':'e30','payload':1,'signature':'AA'}", -EBADMSG},
		{"{'protected':'e30','payload':'A.A','signature':'AA'}", -EBADMSG},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		JSON_AUTO json_t *jws = json_of(rows[i].jws);
		char *text = NULL;

		unit_check(jose_jws_format_compact(jws, &text, NULL) == rows[i].rc, rows[i].jws);
		assert_int_equal(text != NULL, rows[i].rc == 0);
		free(text);
	}
}

int main(int argc, char *argv[])
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_verifies_rfc_7515_and_8037),
		cmocka_unit_test(test_verifies_rfc_7520),
		cmocka_unit_test(test_verifies_what_another_implementation_signed),
		cmocka_unit_test(test_rejects_what_was_changed),
		cmocka_unit_test(test_rejects_signatures_of_another_size),
		cmocka_unit_test(test_signs_with_every_algorithm_so_that_it_verifies),
		cmocka_unit_test(test_rejects_pss_with_another_salt),
		cmocka_unit_test(test_algorithm_must_be_one_for_the_key),
		cmocka_unit_test(test_rsa_key_without_its_factors_signs),
		cmocka_unit_test(test_public_key_is_no_key_of_hmac),
		cmocka_unit_test(test_key_too_small_verifies_nothing),
		cmocka_unit_test(test_rejects_crit_and_names_in_both_headers),
		cmocka_unit_test(test_any_or_all_keys),
		cmocka_unit_test(test_compact_form_goes_and_comes),
		cmocka_unit_test(test_compact_form_loses_nothing),
	};

	unit_begin(argc, argv);
	return cmocka_run_group_tests_name("jose/sign", tests, load_vectors, drop_vectors);
}
