/* SPDX-License-Identifier: Apache-2.0 */
/* jose/jws.c: the examples of RFC 7515, the reference's signatures, and everything that must not verify. */
#include "unit.h"

#include "base/json.h"
#include "jose/b64.h"
#include "jose/jwk.h"
#include "jose/jws.h"

#include <errno.h>
#include <string.h>

static json_t *rfc7515;

static int load_vectors(void **state)
{
	(void)state;
	rfc7515 = vector_read("rfc7515.json");
	return 0;
}

static int drop_vectors(void **state)
{
	(void)state;
	json_drop(&rfc7515);
	return 0;
}

static json_t *generate(const char *text)
{
	json_t *wanted = json_of(text);
	json_t *jwk = NULL;

	assert_int_equal(jose_jwk_generate(wanted, &jwk, NULL), 0);
	json_decref(wanted);
	return jwk;
}

/* {"payload": "hello"} signed by `jwk`, with the protected header `header` (a literal, or NULL). */
static json_t *sign_hello(const char *header, const json_t *jwk)
{
	json_t *jws = json_of("{'payload':'aGVsbG8'}");
	json_t *protected_part = header ? json_of(header) : NULL;

	assert_int_equal(jose_jws_sign(jws, protected_part, jwk, NULL), 0);
	json_decref(protected_part);
	return jws;
}

/* The protected header of a signature, parsed. */
static json_t *header_of(const json_t *signature)
{
	SECRET_AUTO struct secret text = {0};
	json_t *header = NULL;

	assert_int_equal(jose_b64_member(signature, "protected", &text, NULL), 0);
	assert_int_equal(json_parse((const char *)text.data, text.size, "header", &header, NULL),
			 0);
	return header;
}

static void test_verifies_the_examples_of_rfc_7515(void **state)
{
	static const char *const rows[][2] = {{"a3/jws", "a3/jwk"},
					      {"a4/jws", "a4/jwk"},
					      {"a6/jws", "a3/jwk"},
					      {"a7/jws", "a3/jwk"}};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++)
		unit_check(jose_jws_verify(json_at(rfc7515, rows[i][0]),
					   json_at(rfc7515, rows[i][1]), NULL) == 0,
			   rows[i][0]);
}

static void test_verifies_what_the_reference_signed(void **state)
{
	JSON_AUTO json_t *vector = vector_read("jose-11-jws.json");
	const json_t *item;
	size_t i;

	(void)state;
	json_array_foreach(json_at(vector, "items"), i, item) {
		assert_int_equal(jose_jws_verify(json_at(item, "jws"), json_at(item, "jwk"), NULL),
				 0);
	}
	assert_true(i > 0);
}

static void test_rejects_a_changed_character_anywhere(void **state)
{
	static const char *const examples[] = {"a3", "a4"};
	static const char *const members[] = {"payload", "protected", "signature"};

	(void)state;
	for (size_t i = 0; i < COUNT(examples); i++) {
		const json_t *example = json_at(rfc7515, examples[i]);

		for (size_t j = 0; j < COUNT(members); j++) {
			JSON_AUTO json_t *jws = json_deep_copy(json_at(example, "jws"));
			struct error err = {0};

			json_tamper(jws, members[j]);
			unit_check(jose_jws_verify(jws, json_at(example, "jwk"), &err) == -EBADMSG,
				   members[j]);
			assert_int_equal(err.code, -EBADMSG);
		}
	}
}

static void test_rejects_a_changed_general_signature(void **state)
{
	JSON_AUTO json_t *jws = json_deep_copy(json_at(rfc7515, "a6/jws"));

	(void)state;
	json_tamper(json_at(jws, "signatures/1"), "signature");
	assert_int_equal(jose_jws_verify(jws, json_at(rfc7515, "a3/jwk"), NULL), -EBADMSG);
}

static void test_rejects_another_key(void **state)
{
	JSON_AUTO json_t *other = generate("{'alg':'ES256'}");

	(void)state;
	assert_int_equal(jose_jws_verify(json_at(rfc7515, "a3/jws"), other, NULL), -EBADMSG);
	assert_int_equal(
		jose_jws_verify(json_at(rfc7515, "a3/jws"), json_at(rfc7515, "a4/jwk"), NULL),
		-EBADMSG);
	assert_int_equal(jose_jws_verify(json_at(rfc7515, "a6/jws"), other, NULL), -EBADMSG);
}

static void test_rejects_signatures_of_the_wrong_size_and_zeros(void **state)
{
	static const size_t sizes[] = {0, 1, 63, 64, 65, 66, 96, 132};
	static const unsigned char zeros[132];

	(void)state;
	for (size_t i = 0; i < COUNT(sizes); i++) {
		JSON_AUTO json_t *jws = json_deep_copy(json_at(rfc7515, "a3/jws"));

		assert_int_equal(
			json_object_set_new(jws, "signature", jose_b64_json(zeros, sizes[i])), 0);
		assert_int_equal(jose_jws_verify(jws, json_at(rfc7515, "a3/jwk"), NULL), -EBADMSG);
	}
}

static void test_rejects_malformed_jws(void **state)
{
	static const char *const rows[] = {
		"{}",
		"[]",
		"{'payload':'aGVsbG8'}",
		"{'payload':1,'protected':'eyJhbGciOiJFUzI1NiJ9','signature':'AA'}",
		"{'payload':'aGVsbG8','signatures':[]}",
		"{'payload':'aGVsbG8','signatures':'x'}",
		"{'payload':'aGVsbG8','signatures':[1,null,{}]}",
		"{'payload':'aGVsbG8','signature':'AA'}",
		"{'payload':'aGVsbG8','protected':'e30','signature':'AA'}",
		"{'payload':'aGVsbG8','protected':'*','signature':'AA'}",
		"{'payload':'aGVsbG8','protected':'W10','signature':'AA'}",
		"{'payload':'aGVsbG8','header':{'alg':'ES256'},'signature':'AA'}",
		"{'payload':'aGVsbG8','protected':'eyJhbGciOiJFUzI1NiJ9'}",
		"{'payload':'aGVsbG8','protected':'eyJhbGciOiJFUzI1NiJ9','signature':1}",
		"{'payload':'aGVsbG8','protected':'eyJhbGciOiJFUzI1NiJ9','signature':'*'}",
		"{'payload':'aGVsbG8','protected':'eyJhbGciOiJub25lIn0','signature':''}",
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		JSON_AUTO json_t *jws = json_of(rows[i]);

		unit_check(jose_jws_verify(jws, json_at(rfc7515, "a3/jwk"), NULL) == -EBADMSG,
			   rows[i]);
	}
}

static void test_rejects_jws_that_is_flattened_and_general(void **state)
{
	JSON_AUTO json_t *jws = json_deep_copy(json_at(rfc7515, "a3/jws"));

	(void)state;
	assert_int_equal(json_object_set(jws, "signatures", json_at(rfc7515, "a6/jws/signatures")),
			 0);
	assert_int_equal(jose_jws_verify(jws, json_at(rfc7515, "a3/jwk"), NULL), -EBADMSG);
}

static void test_rejects_critical_headers(void **state)
{
	JSON_AUTO json_t *jwk = generate("{'alg':'ES256'}");
	JSON_AUTO json_t *jws = sign_hello("{'crit':['b64'],'b64':false}", jwk);

	(void)state;
	assert_int_equal(jose_jws_verify(jws, jwk, NULL), -EBADMSG);
}

/* RFC 7515 §4.1.11: in the protected header only. Elsewhere it makes the signature invalid too. */
static void test_rejects_critical_header_outside_the_protected_one(void **state)
{
	JSON_AUTO json_t *jwk = generate("{'alg':'ES256'}");
	JSON_AUTO json_t *jws = sign_hello(NULL, jwk);

	(void)state;
	assert_int_equal(json_object_set_new(jws, "header", json_of("{'crit':['exp']}")), 0);
	assert_int_equal(jose_jws_verify(jws, jwk, NULL), -EBADMSG);
}

/* The public part of a P-256 key with another `alg`, or without the permission, verifies nothing. */
static void test_key_must_be_fit_to_verify(void **state)
{
	static const struct {
		const char *member;
		const char *value;
		int rc;
	} rows[] = {
		{"alg", "'ES256'", 0},
		{"alg", "'ES384'", -EBADMSG},
		{"alg", "'ECMR'", -EBADMSG},
		{"use", "'sig'", 0},
		{"use", "'enc'", -EINVAL},
		{"key_ops", "['verify']", 0},
		{"key_ops", "['sign']", -EINVAL},
		{"key_ops", "['deriveKey']", -EINVAL},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		JSON_AUTO json_t *jwk = NULL;

		assert_int_equal(jose_jwk_public(json_at(rfc7515, "a3/jwk"), &jwk, NULL), 0);
		assert_int_equal(json_object_set_new(jwk, rows[i].member, json_of(rows[i].value)),
				 0);
		unit_check(jose_jws_verify(json_at(rfc7515, "a3/jws"), jwk, NULL) == rows[i].rc,
			   rows[i].value);
	}
}

static void test_key_off_the_curve_is_not_fit_to_verify(void **state)
{
	JSON_AUTO json_t *jwk = json_deep_copy(json_at(rfc7515, "a3/jwk"));

	(void)state;
	json_tamper(jwk, "y");
	assert_int_equal(jose_jws_verify(json_at(rfc7515, "a3/jws"), jwk, NULL), -EINVAL);
}

static void test_signs_on_every_curve_so_that_it_verifies(void **state)
{
	static const char *const rows[][2] = {{"{'alg':'ES256'}", "ES256"},
					      {"{'alg':'ES384'}", "ES384"},
					      {"{'alg':'ES512'}", "ES512"},
					      {"{'kty':'EC','crv':'P-384'}", "ES384"}};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		JSON_AUTO json_t *jwk = generate(rows[i][0]);
		JSON_AUTO json_t *public_jwk = NULL;
		JSON_AUTO json_t *jws = sign_hello("{'cty':'text'}", jwk);
		JSON_AUTO json_t *header = header_of(jws);

		assert_int_equal(jose_jwk_public(jwk, &public_jwk, NULL), 0);
		assert_int_equal(jose_jws_verify(jws, public_jwk, NULL), 0);
		assert_string_equal(text_at(header, "alg"), rows[i][1]);
		assert_string_equal(text_at(header, "cty"), "text");
		/* flattened */
		assert_int_equal(json_object_size(jws), 3);
		assert_non_null(json_object_get(jws, "signature"));
	}
}

static void test_second_signature_makes_it_general(void **state)
{
	JSON_AUTO json_t *first = generate("{'alg':'ES256'}");
	JSON_AUTO json_t *second = generate("{'alg':'ES512'}");
	JSON_AUTO json_t *third = generate("{'alg':'ES384'}");
	JSON_AUTO json_t *stranger = generate("{'alg':'ES256'}");
	JSON_AUTO json_t *jws = sign_hello(NULL, first);

	(void)state;
	assert_int_equal(jose_jws_sign(jws, NULL, second, NULL), 0);
	assert_int_equal(json_array_size(json_at(jws, "signatures")), 2);
	assert_null(json_object_get(jws, "signature"));
	assert_null(json_object_get(jws, "protected"));
	assert_int_equal(jose_jws_sign(jws, NULL, third, NULL), 0);
	assert_int_equal(json_array_size(json_at(jws, "signatures")), 3);
	assert_int_equal(jose_jws_verify(jws, first, NULL), 0);
	assert_int_equal(jose_jws_verify(jws, second, NULL), 0);
	assert_int_equal(jose_jws_verify(jws, third, NULL), 0);
	assert_int_equal(jose_jws_verify(jws, stranger, NULL), -EBADMSG);
}

static void test_refused_signing_leaves_the_jws_as_it_was(void **state)
{
	static const struct {
		const char *jwk;
		const char *header;
	} rows[] = {
		{"{'alg':'ES256','use':'enc'}", NULL},
		{"{'alg':'ES256','key_ops':['verify']}", NULL},
		{"{'alg':'ECMR','crv':'P-256','key_ops':['sign']}", NULL},
		{"{'alg':'ES256'}", "{'alg':'ES512'}"},
		{"{'alg':'ES256'}", "{'alg':1}"},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		JSON_AUTO json_t *jwk = generate(rows[i].jwk);
		JSON_AUTO json_t *header = rows[i].header ? json_of(rows[i].header) : NULL;
		JSON_AUTO json_t *jws = json_of("{'payload':'aGVsbG8'}");
		JSON_AUTO json_t *before = json_deep_copy(jws);
		struct error err = {0};

		unit_check(jose_jws_sign(jws, header, jwk, &err) == -EINVAL, rows[i].jwk);
		assert_int_equal(err.code, -EINVAL);
		assert_true(json_equal(jws, before));
	}
}

static void test_public_oct_and_broken_keys_do_not_sign(void **state)
{
	static const char *const rows[] = {
		"{}",
		"{'kty':'oct','k':'AAAA'}",
		"{'kty':'EC','crv':'secp256k1','x':'AA','y':'AA','d':'AA'}",
		"{'kty':'EC','crv':'P-256','x':'f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU',"
		"'y':'x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0'}",
		"{'kty':'oct','crv':'P-256','x':'f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU',"
		"'y':'x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0','d':'jpsQnnGQmL-YBIffH1136cspYG6-0iY7X1fCE9-"
		"E9LI'}",
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		JSON_AUTO json_t *jwk = json_of(rows[i]);
		JSON_AUTO json_t *jws = json_of("{'payload':'aGVsbG8'}");

		unit_check(jose_jws_sign(jws, NULL, jwk, NULL) == -EINVAL, rows[i]);
		assert_int_equal(json_object_size(jws), 1);
	}
}

static void test_jws_without_payload_is_not_signed(void **state)
{
	JSON_AUTO json_t *jwk = generate("{'alg':'ES256'}");
	JSON_AUTO json_t *jws = json_object();

	(void)state;
	assert_int_equal(jose_jws_sign(jws, NULL, jwk, NULL), -EINVAL);
	assert_int_equal(json_object_size(jws), 0);
}

static void test_payload_is_read_as_json(void **state)
{
	JSON_AUTO json_t *good = json_of("{'payload':'eyJrZXlzIjpbXX0'}");
	JSON_AUTO json_t *payload = NULL;
	static const char *const bad[] = {"{}", "{'payload':'*'}", "{'payload':1}",
					  "{'payload':'aGVsbG8'}", "{'payload':''}"};

	(void)state;
	assert_int_equal(jose_jws_payload_json(good, &payload, NULL), 0);
	assert_true(json_is_array(json_at(payload, "keys")));
	for (size_t i = 0; i < COUNT(bad); i++) {
		JSON_AUTO json_t *jws = json_of(bad[i]);
		json_t *none = NULL;

		unit_check(jose_jws_payload_json(jws, &none, NULL) == -EBADMSG && !none, bad[i]);
	}
}

int main(int argc, char *argv[])
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_verifies_the_examples_of_rfc_7515),
		cmocka_unit_test(test_verifies_what_the_reference_signed),
		cmocka_unit_test(test_rejects_a_changed_character_anywhere),
		cmocka_unit_test(test_rejects_a_changed_general_signature),
		cmocka_unit_test(test_rejects_another_key),
		cmocka_unit_test(test_rejects_signatures_of_the_wrong_size_and_zeros),
		cmocka_unit_test(test_rejects_malformed_jws),
		cmocka_unit_test(test_rejects_jws_that_is_flattened_and_general),
		cmocka_unit_test(test_rejects_critical_headers),
		cmocka_unit_test(test_rejects_critical_header_outside_the_protected_one),
		cmocka_unit_test(test_key_must_be_fit_to_verify),
		cmocka_unit_test(test_key_off_the_curve_is_not_fit_to_verify),
		cmocka_unit_test(test_signs_on_every_curve_so_that_it_verifies),
		cmocka_unit_test(test_second_signature_makes_it_general),
		cmocka_unit_test(test_refused_signing_leaves_the_jws_as_it_was),
		cmocka_unit_test(test_public_oct_and_broken_keys_do_not_sign),
		cmocka_unit_test(test_jws_without_payload_is_not_signed),
		cmocka_unit_test(test_payload_is_read_as_json),
	};

	unit_begin(argc, argv);
	return cmocka_run_group_tests_name("jose/jws", tests, load_vectors, drop_vectors);
}
