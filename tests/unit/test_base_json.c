/* SPDX-License-Identifier: Apache-2.0 */
/* base/json.c: bounded before it is parsed, strict, and wiped when freed. Linked with free() watched. */
#include "unit.h"

#include "base/json.h"

#include <errno.h>
#include <malloc.h>
#include <stdlib.h>
#include <string.h>

/* What went through free() since watching began. */
static struct {
	bool on;
	size_t freed;
	size_t not_zero; /* blocks that still held something */
} watch;

/* NOLINTBEGIN(*-reserved-identifier,cert-dcl*,readability-identifier-naming): the names of the linker's --wrap */
void __real_free(void *block);
void __wrap_free(void *block);

/* Reached from wipe_and_free() in base/json.c, and from this file. */
void __wrap_free(void *block)
{
	const unsigned char *bytes = block;

	if (watch.on && block) {
		watch.freed++;
		for (size_t i = 0; i < malloc_usable_size(block); i++) {
			if (bytes[i] == 0)
				continue;
			watch.not_zero++;
			break;
		}
	}
	__real_free(block);
}
/* NOLINTEND(*-reserved-identifier,cert-dcl*,readability-identifier-naming) */

static int parse(const char *text, json_t **json, struct error *err)
{
	return json_parse(text, strlen(text), "it", json, err);
}

static void test_accepts_one_value_with_white_space_around(void **state)
{
	static const char *const rows[] = {"{}",
					   " \t\r\n{\"a\":[1,true,null]} \n",
					   "[]",
					   "null",
					   "1",
					   "\"text\"",
					   "{\"a\":{\"a\":1}}"};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		JSON_AUTO json_t *json = NULL;

		unit_check(parse(rows[i], &json, NULL) == 0 && json != NULL, rows[i]);
	}
}

static void test_refuses_what_is_not_one_value(void **state)
{
	static const char *const rows[] = {
		"",
		" ",
		"{",
		"}",
		"{}{}",
		"{} x",
		"[1,]",
		"{'a':1}",
		"{\"a\":1,\"a\":2}",
		"nul",
		"[\"\\\"]",
		"\"\xff\xfe\"",
		"{\"a\":1,\"b\":{\"c\":1,\"c\":1}}",
		"[\"\\u0000\"]",
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		json_t *json = NULL;
		struct error err = {0};

		unit_check(parse(rows[i], &json, &err) == -EBADMSG, rows[i]);
		assert_null(json);
		assert_int_equal(err.code, -EBADMSG);
		assert_int_equal(strncmp(err.text, "it: ", 4), 0);
	}
}

static void test_refuses_a_nul_byte_inside(void **state)
{
	static const char text[] = "{\"a\":1}\0{}";
	json_t *json = NULL;

	(void)state;
	assert_int_equal(json_parse(text, sizeof(text) - 1, "it", &json, NULL), -EBADMSG);
	assert_null(json);
}

static void put_two(char *to, const char *two)
{
	to[0] = two[0];
	to[1] = two[1];
}

static void test_reads_no_byte_beyond_the_size(void **state)
{
	char *text = malloc(2); /* so that a sanitizer sees a third byte read */
	json_t *json = NULL;

	(void)state;
	assert_non_null(text);
	put_two(text, "[1");
	assert_int_equal(json_parse(text, 2, "it", &json, NULL), -EBADMSG);
	put_two(text, "\"\\");
	assert_int_equal(json_parse(text, 2, "it", &json, NULL), -EBADMSG);
	put_two(text, "12");
	assert_int_equal(json_parse(text, 2, "it", &json, NULL), 0);
	assert_int_equal(json_integer_value(json), 12);
	json_decref(json);
	free(text);
}

/* `depth` brackets around nothing. */
static int parse_nested(size_t depth, char open, char close)
{
	char *text = malloc(2 * depth);
	json_t *json = NULL;
	int rc;

	assert_non_null(text);
	memset(text, open, depth);
	memset(text + depth, close, depth);
	rc = json_parse(text, 2 * depth, "it", &json, NULL);
	free(text);
	json_decref(json);
	return rc;
}

static void test_nesting_is_bounded(void **state)
{
	struct error err = {0};
	json_t *json = NULL;

	(void)state;
	assert_int_equal(parse_nested(JSON_DEPTH_MAX, '[', ']'), 0);
	assert_int_equal(parse_nested(JSON_DEPTH_MAX + 1, '[', ']'), -EBADMSG);
	assert_int_equal(parse_nested(1000000, '[', ']'), -EBADMSG);
	assert_int_equal(parse_nested(1000000, '{', '}'), -EBADMSG);
	assert_int_equal(
		parse("[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[", &json,
		      &err),
		-EBADMSG);
	assert_non_null(strstr(err.text, "nested deeper than 64"));
}

static void test_brackets_in_strings_do_not_count(void **state)
{
	char text[300];
	char brackets[201] = "";
	JSON_AUTO json_t *json = NULL;

	(void)state;
	memset(brackets, '[', sizeof(brackets) - 1);
	(void)snprintf(text, sizeof(text), "[\"\\\"%s\\\\\"]", brackets);
	assert_int_equal(parse(text, &json, NULL), 0);
	assert_int_equal(json_string_length(json_array_get(json, 0)), 202);
}

static void test_closing_brackets_do_not_hide_depth(void **state)
{
	char text[200] = "";
	json_t *json = NULL;

	(void)state;
	memset(text, ']', 100);
	memset(text + 100, '[', 70);
	assert_int_equal(json_parse(text, 170, "it", &json, NULL), -EBADMSG);
}

static void test_dumps_are_compact_and_sorted(void **state)
{
	JSON_AUTO json_t *json = json_of(
		"{'kty':'EC', 'crv':'P-256', 'a':[1, 2], 'B':{'y':1,'x':2}}");
	SECRET_AUTO struct secret text = {0};
	const char *expected =
		"{\"B\":{\"x\":2,\"y\":1},\"a\":[1,2],\"crv\":\"P-256\",\"kty\":\"EC\"}";
	char *plain = json_dump_public(json);

	(void)state;
	assert_string_equal(plain, expected);
	free(plain);
	assert_int_equal(json_dump_secret(json, &text, NULL), 0);
	assert_int_equal(text.size, strlen(expected));
	assert_memory_equal(text.data, expected, text.size);
}

static void test_freed_json_is_wiped(void **state)
{
	JSON_AUTO json_t *json = NULL;

	(void)state;
	json_wipe_on_free();
	assert_int_equal(
		parse("{\"k\":\"a key that must not stay in memory\",\"n\":[\"x\"]}", &json, NULL),
		0);
	watch.on = true;
	json_drop(&json);
	watch.on = false;
	json_set_alloc_funcs(malloc, free);
	/* At least the object, its table, two strings with their text, the array. */
	assert_true(watch.freed >= 5);
	assert_int_equal(watch.not_zero, 0);
}

static void test_drop_accepts_nothing(void **state)
{
	json_t *none = NULL;

	(void)state;
	json_drop(&none);
	assert_null(none);
}

int main(int argc, char *argv[])
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_accepts_one_value_with_white_space_around),
		cmocka_unit_test(test_refuses_what_is_not_one_value),
		cmocka_unit_test(test_refuses_a_nul_byte_inside),
		cmocka_unit_test(test_reads_no_byte_beyond_the_size),
		cmocka_unit_test(test_nesting_is_bounded),
		cmocka_unit_test(test_brackets_in_strings_do_not_count),
		cmocka_unit_test(test_closing_brackets_do_not_hide_depth),
		cmocka_unit_test(test_dumps_are_compact_and_sorted),
		cmocka_unit_test(test_freed_json_is_wiped),
		cmocka_unit_test(test_drop_accepts_nothing),
	};

	unit_begin(argc, argv);
	return cmocka_run_group_tests_name("base/json", tests, NULL, NULL);
}
