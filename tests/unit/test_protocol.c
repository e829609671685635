/* SPDX-License-Identifier: Apache-2.0 */
/* docs/protocol.md: the numbers of its example, made without our code, come out of our code, and stand in the document. */
#include "unit.h"

#include "base/json.h"
#include "jose/jose.h"
#include "tang/tang.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { THUMBPRINT_LENGTH = 43 };

static const char base64url[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

static json_t *example(void)
{
	return vector_read("protocol.json");
}

static struct jose_point point_of(const json_t *json, const char *name)
{
	struct jose_point point = {0};

	assert_int_equal(jose_point_from_jwk(json_at(json, name), &point, NULL), 0);
	return point;
}

static void assert_same_point(const struct jose_point *a, const struct jose_point *b)
{
	assert_memory_equal(a, b, sizeof(*a));
}

/* G itself, from other vectors. */
static struct jose_point generator(void)
{
	JSON_AUTO json_t *multiples = vector_read("ec-multiples.json");
	const json_t *one = json_at(multiples, "curves/P-256/multiples/0");
	JSON_AUTO json_t *jwk = json_pack("{s:s, s:s, s:O, s:O}", "kty", "EC", "crv", "P-256", "x",
					  json_at(one, "x"), "y", json_at(one, "y"));
	struct jose_point point = {0};

	assert_int_equal(jose_point_from_jwk(jwk, &point, NULL), 0);
	return point;
}

static void assert_is_multiple_of_generator(const char *scalar, const struct jose_point *point)
{
	SECRET_AUTO struct secret d = {0};
	struct jose_point base = generator();
	struct jose_point made = {0};

	secret_of_b64(scalar, &d);
	assert_int_equal(jose_point_multiply(&d, &base, &made, NULL), 0);
	assert_same_point(&made, point);
}

static void test_each_point_is_its_scalar_times_the_generator(void **state)
{
	static const char *const pairs[][2] = {{"signing/d", "signing"},
					       {"rotated/d", "rotated"},
					       {"exchange/d", "exchange"},
					       {"c", "C"},
					       {"e", "E"}};
	JSON_AUTO json_t *json = example();

	(void)state;
	for (size_t i = 0; i < COUNT(pairs); i++) {
		struct jose_point point = point_of(json, pairs[i][1]);

		assert_is_multiple_of_generator(text_at(json, pairs[i][0]), &point);
	}
}

static void test_thumbprints_are_those_of_the_keys(void **state)
{
	static const char *const names[] = {"signing", "rotated", "exchange"};
	JSON_AUTO json_t *json = example();

	(void)state;
	for (size_t i = 0; i < COUNT(names); i++) {
		char thumbprint[JOSE_THUMBPRINT_MAX];
		const json_t *key = json_at(json, names[i]);

		assert_int_equal(jose_thumbprint(key, JOSE_S256, thumbprint, NULL), 0);
		assert_string_equal(thumbprint, text_at(key, "thumbprint"));
	}
}

static void test_advertisements_verify_and_name_the_signing_key_alone(void **state)
{
	static const char *const names[] = {"adv", "adv_of_rotated"};
	JSON_AUTO json_t *json = example();

	(void)state;
	for (size_t i = 0; i < COUNT(names); i++) {
		JSON_AUTO json_t *set = NULL;

		assert_int_equal(tang_advertisement_verify(json_at(json, names[i]), &set, NULL), 0);
		assert_true(tang_advertisement_names(set, text_at(json, "signing/thumbprint")));
		assert_false(tang_advertisement_names(set, text_at(json, "rotated/thumbprint")));
		assert_false(tang_advertisement_names(set, text_at(json, "exchange/thumbprint")));
	}
	/* The rotated key vouches for the second one only. */
	assert_int_equal(jose_jws_verify(json_at(json, "adv"), json_at(json, "rotated"), NULL),
			 -EBADMSG);
	assert_int_equal(
		jose_jws_verify(json_at(json, "adv_of_rotated"), json_at(json, "rotated"), NULL),
		0);
}

static void test_client_blinds_as_the_document_says(void **state)
{
	JSON_AUTO json_t *json = example();
	struct jose_point c = point_of(json, "C");
	struct jose_point e = point_of(json, "E");
	struct jose_point expected = point_of(json, "X");
	struct jose_point x = {0};
	JSON_AUTO json_t *sent = NULL;
	char *text;

	(void)state;
	assert_int_equal(jose_point_add(&c, &e, &x, NULL), 0);
	assert_same_point(&x, &expected);
	sent = tang_point_to_json(&x);
	text = json_dump_public(sent);
	assert_string_equal(text, text_at(json, "request"));
	free(text);
}

static void test_server_answers_as_the_document_says(void **state)
{
	JSON_AUTO json_t *json = example();
	SECRET_AUTO struct secret s = {0};
	struct jose_point x = point_of(json, "X");
	struct jose_point expected = point_of(json, "Y");
	const char *answer = text_at(json, "answer");
	struct jose_point y = {0};
	struct jose_point read = {0};
	JSON_AUTO json_t *sent = NULL;
	char *text;

	(void)state;
	secret_of_b64(text_at(json, "exchange/d"), &s);
	assert_int_equal(tang_recover(&s, &x, &y, NULL), 0);
	assert_same_point(&y, &expected);
	sent = tang_point_to_json(&y);
	text = json_dump_public(sent);
	assert_string_equal(text, answer);
	free(text);
	assert_int_equal(tang_read_answer(answer, strlen(answer), JOSE_P256, &read, NULL), 0);
	assert_same_point(&read, &expected);
}

/* The client's last two steps, with whatever point the server is said to have answered. */
static int open_with(const json_t *json, const char *answer, struct secret *plain)
{
	SECRET_AUTO struct secret e = {0};
	SECRET_AUTO struct secret z = {0};
	struct jose_point y = point_of(json, answer);
	struct jose_point server_key = point_of(json, "exchange");

	secret_of_b64(text_at(json, "e"), &e);
	assert_int_equal(tang_unblind(&y, &e, &server_key, &z, NULL), 0);
	return jose_jwe_decrypt_shared(json_at(json, "jwe"), &z, plain, NULL);
}

static void test_client_opens_as_the_document_says(void **state)
{
	JSON_AUTO json_t *json = example();
	SECRET_AUTO struct secret plain = {0};
	const char *expected = text_at(json, "plain");

	(void)state;
	assert_int_equal(open_with(json, "Y", &plain), 0);
	assert_int_equal(plain.size, strlen(expected));
	assert_memory_equal(plain.data, expected, plain.size);
}

/* Any other point of the curve, and the tag says no. */
static void test_false_answers_do_not_open(void **state)
{
	static const char *const lies[] = {"X", "C", "K", "exchange"};
	JSON_AUTO json_t *json = example();

	(void)state;
	for (size_t i = 0; i < COUNT(lies); i++) {
		SECRET_AUTO struct secret plain = {0};

		unit_check(open_with(json, lies[i], &plain) == -EBADMSG, lies[i]);
	}
}

/* What makes a backup of the server's keys as good as the server. */
static void test_who_has_the_private_key_opens_without_an_exchange(void **state)
{
	JSON_AUTO json_t *json = example();
	JSON_AUTO json_t *key = json_copy(json_at(json, "exchange"));
	SECRET_AUTO struct secret plain = {0};
	const char *expected = text_at(json, "plain");

	(void)state;
	assert_int_equal(jose_jwe_decrypt(json_at(json, "jwe"), key, &plain, NULL), 0);
	assert_int_equal(plain.size, strlen(expected));
	assert_memory_equal(plain.data, expected, plain.size);
}

static void test_steps_between_are_those_of_the_document(void **state)
{
	JSON_AUTO json_t *json = example();
	SECRET_AUTO struct secret e = {0};
	SECRET_AUTO struct secret c = {0};
	struct jose_point server_key = point_of(json, "exchange");
	struct jose_point mask = point_of(json, "eS");
	struct jose_point key = point_of(json, "K");
	struct jose_point y = point_of(json, "Y");
	struct jose_point made = {0};

	(void)state;
	secret_of_b64(text_at(json, "e"), &e);
	assert_int_equal(jose_point_multiply(&e, &server_key, &made, NULL), 0);
	assert_same_point(&made, &mask);
	assert_int_equal(jose_point_subtract(&y, &mask, &made, NULL), 0);
	assert_same_point(&made, &key);
	/* What was done at sealing came to the same. */
	secret_of_b64(text_at(json, "c"), &c);
	assert_int_equal(jose_point_multiply(&c, &server_key, &made, NULL), 0);
	assert_same_point(&made, &key);
}

static void test_document_quotes_the_numbers(void **state)
{
	static const char *const quoted[] = {
		"signing/x",
		"signing/y",
		"signing/thumbprint",
		"rotated/thumbprint",
		"exchange/d",
		"exchange/x",
		"exchange/y",
		"exchange/thumbprint",
		"c",
		"C/x",
		"C/y",
		"e",
		"E/x",
		"E/y",
		"X/x",
		"X/y",
		"eS/x",
		"eS/y",
		"Y/x",
		"Y/y",
		"K/x",
		"K/y",
		"other_info",
		"cek",
		"request",
		"answer",
		"adv/protected",
		"adv/signature",
		"jwe/iv",
		"jwe/tag",
		"jwe/ciphertext",
		"plain",
	};
	JSON_AUTO json_t *json = example();
	char *document = document_read("protocol.md");

	(void)state;
	for (size_t i = 0; i < COUNT(quoted); i++)
		unit_check(strstr(document, text_at(json, quoted[i])) != NULL, quoted[i]);
	free(document);
}

/* Nothing that looks like a number of the example is of another one. */
static void test_document_quotes_no_other_numbers(void **state)
{
	JSON_AUTO json_t *json = example();
	char *document = document_read("protocol.md");
	char *all = json_dumps(json, 0);
	size_t seen = 0;

	(void)state;
	for (char *at = document; *at;) {
		size_t length = strspn(at, base64url);
		char after = at[length];

		at[length] = '\0';
		/* Names of tests and files are words with underscores. */
		if (length == THUMBPRINT_LENGTH && strncmp(at, "test_", 5) != 0) {
			unit_check(strstr(all, at) != NULL, at);
			seen++;
		}
		at[length] = after;
		at += length + (after != '\0');
	}
	assert_in_range(seen, 20, 1000);
	free(document);
	free(all);
}

int main(int argc, char *argv[])
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_each_point_is_its_scalar_times_the_generator),
		cmocka_unit_test(test_thumbprints_are_those_of_the_keys),
		cmocka_unit_test(test_advertisements_verify_and_name_the_signing_key_alone),
		cmocka_unit_test(test_client_blinds_as_the_document_says),
		cmocka_unit_test(test_server_answers_as_the_document_says),
		cmocka_unit_test(test_client_opens_as_the_document_says),
		cmocka_unit_test(test_false_answers_do_not_open),
		cmocka_unit_test(test_who_has_the_private_key_opens_without_an_exchange),
		cmocka_unit_test(test_steps_between_are_those_of_the_document),
		cmocka_unit_test(test_document_quotes_the_numbers),
		cmocka_unit_test(test_document_quotes_no_other_numbers),
	};

	unit_begin(argc, argv);
	return cmocka_run_group_tests_name("protocol", tests, NULL, NULL);
}
