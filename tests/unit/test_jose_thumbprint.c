/* SPDX-License-Identifier: Apache-2.0 */
/* jose/thumbprint.c: RFC 7638, against its example, the reference command, and SHA-256 by hand. */
#include "unit.h"

#include "base/json.h"
#include "jose/b64.h"
#include "jose/thumbprint.h"

#include <errno.h>
#include <string.h>

#include <openssl/sha.h>

static const char *const hash_names[JOSE_HASHES] = {"S1", "S224", "S256", "S384", "S512"};

static void test_example_of_rfc_7638(void **state)
{
	JSON_AUTO json_t *vector = vector_read("rfc7638.json");
	char thumbprint[JOSE_THUMBPRINT_MAX];

	(void)state;
	assert_int_equal(jose_thumbprint(json_at(vector, "jwk"), JOSE_S256, thumbprint, NULL), 0);
	assert_string_equal(thumbprint, text_at(vector, "s256"));
}

static void test_agrees_with_the_reference_in_every_hash(void **state)
{
	JSON_AUTO json_t *vector = vector_read("jose-11-jws.json");
	const json_t *item;
	size_t i;

	(void)state;
	json_array_foreach(json_at(vector, "items"), i, item) {
		for (int hash = 0; hash < JOSE_HASHES; hash++) {
			const char *expected = text_at(json_at(item, "thumbprints"),
						       hash_names[hash]);
			char thumbprint[JOSE_THUMBPRINT_MAX];
			enum jose_hash found = JOSE_HASHES;

			assert_int_equal(jose_thumbprint(json_at(item, "jwk"), (enum jose_hash)hash,
							 thumbprint, NULL),
					 0);
			assert_string_equal(thumbprint, expected);
			assert_true(
				jose_thumbprint_matches(json_at(item, "jwk"), expected, &found));
			assert_int_equal(found, hash);
			assert_true(jose_thumbprint_matches(json_at(item, "jwk"), expected, NULL));
		}
	}
	assert_true(i > 0);
}

static void test_hashes_only_the_required_members_in_order(void **state)
{
	static const struct {
		const char *jwk;
		const char *hashed;
	} rows[] = {
		{"{'y':'Bb','x':'Aa','kty':'EC','crv':'P-256','d':'secret','alg':'ES256','kid':'k'}",
		 "{\"crv\":\"P-256\",\"kty\":\"EC\",\"x\":\"Aa\",\"y\":\"Bb\"}"},
		{"{'k':'AAAA','kty':'oct','use':'enc'}", "{\"k\":\"AAAA\",\"kty\":\"oct\"}"},
		{"{'n':'AQ','kty':'RSA','e':'AQAB','d':'x','p':'y'}",
		 "{\"e\":\"AQAB\",\"kty\":\"RSA\",\"n\":\"AQ\"}"},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		JSON_AUTO json_t *jwk = json_of(rows[i].jwk);
		unsigned char digest[SHA256_DIGEST_LENGTH];
		char expected[JOSE_THUMBPRINT_MAX] = "";
		char thumbprint[JOSE_THUMBPRINT_MAX];

		(void)SHA256((const unsigned char *)rows[i].hashed, strlen(rows[i].hashed), digest);
		jose_b64_encode(digest, sizeof(digest), expected);
		assert_int_equal(jose_thumbprint(jwk, JOSE_S256, thumbprint, NULL), 0);
		assert_string_equal(thumbprint, expected);
	}
}

/* The reference prints memory that nobody wrote, and calls it success. */
static void test_key_without_a_member_is_an_error(void **state)
{
	static const char *const rows[] = {
		"{}",
		"[]",
		"{'kty':'OKP','x':'AA'}",
		"{'kty':1}",
		"{'kty':'EC','crv':'P-256','x':'AA'}",
		"{'kty':'EC','crv':'P-256','y':'AA'}",
		"{'kty':'EC','x':'AA','y':'AA'}",
		"{'kty':'EC','crv':'P-256','x':'AA','y':1}",
		"{'kty':'oct'}",
		"{'kty':'oct','k':null}",
		"{'kty':'RSA','n':'AA'}",
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		JSON_AUTO json_t *jwk = json_of(rows[i]);
		char thumbprint[JOSE_THUMBPRINT_MAX] = "";
		struct error err = {0};

		unit_check(jose_thumbprint(jwk, JOSE_S256, thumbprint, &err) == -EINVAL, rows[i]);
		unit_check(!*thumbprint && err.code == -EINVAL, rows[i]);
		unit_check(!jose_thumbprint_matches(jwk, "", NULL), rows[i]);
	}
}

static void test_matches_nothing_but_the_whole_thumbprint(void **state)
{
	JSON_AUTO json_t *vector = vector_read("rfc7638.json");
	const json_t *jwk = json_at(vector, "jwk");
	static const char *const rows[] = {
		"",
		"NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9X",
		"NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xt",
		"NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs=",
		"nzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs",
		"NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9XsNzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs",
	};
	enum jose_hash hash = JOSE_HASHES;

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++)
		unit_check(!jose_thumbprint_matches(jwk, rows[i], &hash), rows[i]);
	assert_int_equal(hash, JOSE_HASHES);
	assert_true(jose_thumbprint_matches(jwk, text_at(vector, "s256"), &hash));
	assert_int_equal(hash, JOSE_S256);
}

int main(int argc, char *argv[])
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_example_of_rfc_7638),
		cmocka_unit_test(test_agrees_with_the_reference_in_every_hash),
		cmocka_unit_test(test_hashes_only_the_required_members_in_order),
		cmocka_unit_test(test_key_without_a_member_is_an_error),
		cmocka_unit_test(test_matches_nothing_but_the_whole_thumbprint),
	};

	unit_begin(argc, argv);
	return cmocka_run_group_tests_name("jose/thumbprint", tests, NULL, NULL);
}
