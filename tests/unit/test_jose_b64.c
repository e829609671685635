/* SPDX-License-Identifier: Apache-2.0 */
/* jose/b64.c: base64url, canonical only. */
#include "unit.h"

#include "base/json.h"
#include "jose/b64.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/* RFC 4648 §10, without padding, and bytes that use the two characters of the URL alphabet. */
static const struct {
	const char *bytes;
	const char *text;
} vectors[] = {
	{"", ""},	    {"f", "Zg"},	  {"fo", "Zm8"},	  {"foo", "Zm9v"},
	{"foob", "Zm9vYg"}, {"fooba", "Zm9vYmE"}, {"foobar", "Zm9vYmFy"}, {"\xfb\xff\xbf", "-_-_"},
};

static void test_encodes_the_examples_of_rfc_4648(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(vectors); i++) {
		size_t size = strlen(vectors[i].bytes);
		char text[16] = "";

		assert_int_equal(JOSE_B64_LENGTH(size), strlen(vectors[i].text));
		jose_b64_encode(vectors[i].bytes, size, text);
		assert_string_equal(text, vectors[i].text);
	}
}

static void test_decodes_the_examples_of_rfc_4648(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(vectors); i++) {
		size_t length = strlen(vectors[i].text);
		char bytes[16] = "";

		assert_int_equal(JOSE_B64_SIZE(length), strlen(vectors[i].bytes));
		assert_int_equal(jose_b64_decode(vectors[i].text, length, bytes), 0);
		assert_string_equal(bytes, vectors[i].bytes);
	}
}

static void test_every_size_comes_back(void **state)
{
	unsigned char bytes[200];

	(void)state;
	for (size_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = (unsigned char)(i * 37 + 11);
	for (size_t size = 0; size <= sizeof(bytes); size++) {
		/* Of exact size, so that a sanitizer sees a byte too many. */
		char *text = malloc(JOSE_B64_LENGTH(size) + (size == 0));
		unsigned char *back = malloc(size + (size == 0));

		assert_true(text && back);
		jose_b64_encode(bytes, size, text);
		assert_int_equal(JOSE_B64_SIZE(JOSE_B64_LENGTH(size)), size);
		assert_int_equal(jose_b64_decode(text, JOSE_B64_LENGTH(size), back), 0);
		assert_memory_equal(back, bytes, size);
		free(text);
		free(back);
	}
}

/* All 65,536 texts of two characters: valid when both are of the alphabet and the four spare bits are zero. */
static void test_accepts_exactly_the_canonical_texts_of_two_characters(void **state)
{
	(void)state;
	for (unsigned a = 0; a < 256; a++) {
		for (unsigned b = 0; b < 256; b++) {
			const char *first = a ? strchr(alphabet, (int)a) : NULL;
			const char *second = b ? strchr(alphabet, (int)b) : NULL;
			bool valid = first && second && (second - alphabet) % 16 == 0;
			char text[2] = {(char)a, (char)b};
			unsigned char byte = 0xee;

			assert_int_equal(jose_b64_decode(text, 2, &byte), valid ? 0 : -EINVAL);
			if (valid)
				assert_int_equal(byte, (first - alphabet) << 2 |
							       (second - alphabet) >> 4);
			else
				assert_int_equal(byte, 0);
		}
	}
}

static void test_refuses_what_is_not_canonical(void **state)
{
	static const char *const rows[] = {
		"Zg==",
		"Zm8=",
		"Zm9v\n",
		" Zm9v",
		"Zm9v ",
		"Z",
		"Zm9vY",
		"Zh",
		"Zm9",
		"Zm+v",
		"Zm/v",
		"Zm.v",
		"Zm9v\t",
		"Z g",
		"\xc3\xbc",
		"=",
		"Zm9vZg=",
		"////",
		/* lone characters whose bits are all zero */
		"A",
		"AAAAA",
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		char bytes[16];

		unit_check(jose_b64_decode(rows[i], strlen(rows[i]), bytes) == -EINVAL, rows[i]);
	}
}

static void test_refuses_a_nul_byte(void **state)
{
	char bytes[4];

	(void)state;
	assert_int_equal(jose_b64_decode("Zm\0v", 4, bytes), -EINVAL);
}

static void test_a_refused_text_leaves_no_bytes(void **state)
{
	static const char text[] =
		"c2VjcmV0IGtleSBieXRlcw*"; /* "secret key bytes", then what is none */
	unsigned char bytes[sizeof(text)];

	(void)state;
	memset(bytes, 0xee, sizeof(bytes));
	assert_int_equal(jose_b64_decode(text, sizeof(text) - 1, bytes), -EINVAL);
	for (size_t i = 0; i < JOSE_B64_SIZE(sizeof(text) - 1); i++)
		assert_int_equal(bytes[i], 0);
}

static void test_json_string_holds_the_text(void **state)
{
	JSON_AUTO json_t *json = jose_b64_json("foobar", 6);
	JSON_AUTO json_t *empty = jose_b64_json("", 0);

	(void)state;
	assert_string_equal(json_string_value(json), "Zm9vYmFy");
	assert_string_equal(json_string_value(empty), "");
}

static void test_member_is_decoded_or_named_in_the_error(void **state)
{
	static const struct {
		const char *object;
		int rc;
	} rows[] = {
		{"{'k':'Zm9v'}", 0},	     {"{'k':''}", 0},	      {"{}", -EINVAL},
		{"{'k':1}", -EINVAL},	     {"{'k':null}", -EINVAL}, {"{'k':'Zm9v='}", -EINVAL},
		{"{'k':['Zm9v']}", -EINVAL}, {"[]", -EINVAL},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		JSON_AUTO json_t *object = json_of(rows[i].object);
		SECRET_AUTO struct secret bytes = {0};
		struct error err = {0};

		unit_check(jose_b64_member(object, "k", &bytes, &err) == rows[i].rc,
			   rows[i].object);
		unit_check(rows[i].rc == 0 || strstr(err.text, "'k'"), rows[i].object);
		unit_check((bytes.data != NULL) == (rows[i].rc == 0), rows[i].object);
	}
}

int main(int argc, char *argv[])
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_encodes_the_examples_of_rfc_4648),
		cmocka_unit_test(test_decodes_the_examples_of_rfc_4648),
		cmocka_unit_test(test_every_size_comes_back),
		cmocka_unit_test(test_accepts_exactly_the_canonical_texts_of_two_characters),
		cmocka_unit_test(test_refuses_what_is_not_canonical),
		cmocka_unit_test(test_refuses_a_nul_byte),
		cmocka_unit_test(test_a_refused_text_leaves_no_bytes),
		cmocka_unit_test(test_json_string_holds_the_text),
		cmocka_unit_test(test_member_is_decoded_or_named_in_the_error),
	};

	unit_begin(argc, argv);
	return cmocka_run_group_tests_name("jose/b64", tests, NULL, NULL);
}
