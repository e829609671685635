/* SPDX-License-Identifier: Apache-2.0 */
/* base/error.c, base/log.c and base/deadline.c: what is said to people, and until when is waited. */
#include "unit.h"

#include "base/deadline.h"
#include "base/log.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

/* While set, the clock stands here. */
static struct timespec frozen;

/* NOLINTBEGIN(*-reserved-identifier,cert-dcl*,readability-identifier-naming): the names of the linker's --wrap */
int __real_clock_gettime(clockid_t id, struct timespec *now);
int __wrap_clock_gettime(clockid_t id, struct timespec *now);

int __wrap_clock_gettime(clockid_t id, struct timespec *now)
{
	if (frozen.tv_sec == 0)
		return __real_clock_gettime(id, now);
	*now = frozen;
	return 0;
}
/* NOLINTEND(*-reserved-identifier,cert-dcl*,readability-identifier-naming) */

static void test_error_records_code_and_reason(void **state)
{
	struct error err = {0};

	(void)state;
	assert_int_equal(error_set(&err, -EINVAL, "%s: %d", "slot", 3), -EINVAL);
	assert_int_equal(err.code, -EINVAL);
	assert_string_equal(err.text, "slot: 3");
	assert_int_equal(error_set(&err, -EIO, "new"), -EIO);
	assert_string_equal(err.text, "new");
	assert_int_equal(error_nomem(&err), -ENOMEM);
	assert_int_equal(err.code, -ENOMEM);
}

static void test_error_prefix_keeps_the_code(void **state)
{
	struct error err = {0};

	(void)state;
	(void)error_set(&err, -EPERM, "refused");
	error_prefix(&err, "%s: slot %d: ", "/dev/sda5", 1);
	assert_int_equal(err.code, -EPERM);
	assert_string_equal(err.text, "/dev/sda5: slot 1: refused");
}

static void test_error_may_be_null(void **state)
{
	(void)state;
	assert_int_equal(error_set(NULL, -EIO, "x"), -EIO);
	error_prefix(NULL, "x");
	assert_int_equal(error_nomem(NULL), -ENOMEM);
}

static void test_error_may_take_its_own_text(void **state)
{
	struct error err = {0};

	(void)state;
	(void)error_set(&err, -EIO, "inner");
	(void)error_set(&err, -EIO, "outer: %s", err.text);
	assert_string_equal(err.text, "outer: inner");
}

static void test_error_is_cut_at_its_end(void **state)
{
	struct error err = {0};
	char text[2 * ERROR_TEXT_MAX];

	(void)state;
	memset(text, 'x', sizeof(text));
	text[sizeof(text) - 1] = '\0';
	(void)error_set(&err, -EIO, "%s", text);
	assert_int_equal(strlen(err.text), ERROR_TEXT_MAX - 1);
	(void)error_prefix(&err, "%s", text);
	assert_int_equal(strlen(err.text), ERROR_TEXT_MAX - 1);
}

static void test_control_characters_become_question_marks(void **state)
{
	static const struct {
		const char *given;
		const char *expected;
	} rows[] = {
		{"two\nlines\r\n", "two?lines??"},
		{"\033[2J\a\b\t\x7f", "?[2J????"},
		{"Grüße – 鍵", "Grüße – 鍵"},
		{"", ""},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct error err = {0};
		char *copy = strdup(rows[i].given);

		assert_non_null(copy);
		(void)error_set(&err, -EIO, "%s", rows[i].given);
		assert_string_equal(err.text, rows[i].expected);
		error_sanitise(copy);
		assert_string_equal(copy, rows[i].expected);
		free(copy);
	}
}

/* U+009B is the one-character form of ESC [, which terminals obey too, in UTF-8 as in Latin-1. */
static void test_c1_control_characters_become_question_marks(void **state)
{
	char in_utf8[] = "a\xc2\x9b"
			 "2Jb";
	char in_latin1[] = "a\x9b"
			   "2Jb";

	(void)state;
	error_sanitise(in_utf8);
	error_sanitise(in_latin1);
	assert_null(memchr(in_utf8, 0x9b, strlen(in_utf8)));
	assert_null(memchr(in_latin1, 0x9b, strlen(in_latin1)));
}

/* Logs one line, as `say` does it, and gives back what came out. */
static char *said(void (*say)(void))
{
	struct capture capture;

	capture_begin(&capture);
	say();
	return capture_end(&capture);
}

static void say_all_levels(void)
{
	log_open("clevis");
	log_error("no %s", "server");
	log_warning("old");
	log_info("plain");
}

static void test_log_begins_errors_and_warnings_with_the_name(void **state)
{
	char *text = said(say_all_levels);

	(void)state;
	assert_string_equal(text, "clevis: no server\nclevis: warning: old\nplain\n");
	free(text);
}

static void say_to_journal(void)
{
	char stream[64];
	struct stat st;

	assert_int_equal(fstat(STDERR_FILENO, &st), 0);
	(void)snprintf(stream, sizeof(stream), "%llu:%llu", (unsigned long long)st.st_dev,
		       (unsigned long long)st.st_ino);
	assert_int_equal(setenv("JOURNAL_STREAM", stream, 1), 0);
	say_all_levels();
	assert_int_equal(unsetenv("JOURNAL_STREAM"), 0);
	log_open("unit");
}

static void test_log_gives_the_journal_priorities(void **state)
{
	char *text = said(say_to_journal);

	(void)state;
	assert_string_equal(text, "<3>no server\n<4>old\n<6>plain\n");
	free(text);
}

static void say_beside_a_journal(void)
{
	assert_int_equal(setenv("JOURNAL_STREAM", "1:1", 1), 0);
	say_all_levels();
	assert_int_equal(unsetenv("JOURNAL_STREAM"), 0);
}

static void test_log_knows_when_it_is_not_the_journal(void **state)
{
	char *text = said(say_beside_a_journal);

	(void)state;
	assert_int_equal(strncmp(text, "clevis: ", 8), 0);
	free(text);
}

static void say_nasty(void)
{
	log_info("GET /\n<3>forged\033[0m");
}

static void test_log_line_cannot_be_forged(void **state)
{
	char *text = said(say_nasty);

	(void)state;
	assert_string_equal(text, "GET /?<3>forged?[0m\n");
	free(text);
}

static void say_much(void)
{
	char text[5000];

	memset(text, 'x', sizeof(text));
	text[sizeof(text) - 1] = '\0';
	log_error("%s", text);
}

static void test_long_log_line_is_cut_and_ends_with_newline(void **state)
{
	char *text = said(say_much);
	size_t length = strlen(text);

	(void)state;
	assert_in_range(length, 1900, 2001);
	assert_int_equal(text[length - 1], '\n');
	free(text);
}

static void say_with_errno(void)
{
	errno = ENOTTY;
	log_error("x");
	assert_int_equal(errno, ENOTTY);
}

static void test_log_keeps_errno(void **state)
{
	char *text = said(say_with_errno);

	(void)state;
	free(text);
}

static void test_deadline_lies_ahead_by_what_was_asked(void **state)
{
	struct deadline deadline = deadline_in_ms(60000);

	(void)state;
	assert_in_range(deadline_left_ms(deadline), 55000, 60000);
	assert_false(deadline_passed(deadline));
}

static void test_deadline_in_the_past_has_passed(void **state)
{
	static const int64_t rows[] = {0, -1, INT64_MIN};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct deadline deadline = deadline_in_ms(rows[i]);

		assert_int_equal(deadline_left_ms(deadline), 0);
		assert_true(deadline_passed(deadline));
	}
}

static void test_far_deadline_does_not_overflow(void **state)
{
	(void)state;
	assert_int_equal(deadline_left_ms(deadline_in_ms(INT64_MAX)), INT_MAX);
	assert_false(deadline_passed(deadline_in_ms(INT64_MAX)));
}

/* poll() with 0 would spin through the last millisecond. */
static void test_time_left_is_rounded_up(void **state)
{
	static const struct {
		int64_t left_ns;
		int left_ms;
	} rows[] = {
		{-1, 0},
		{0, 0},
		{1, 1},
		{999999, 1},
		{1000000, 1},
		{1000001, 2},
		{999000001, 1000},
		{1000000000, 1000},
	};

	(void)state;
	frozen = (struct timespec){5, 999999999};
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct deadline deadline = {5999999999 + rows[i].left_ns};

		assert_int_equal(deadline_left_ms(deadline), rows[i].left_ms);
		assert_int_equal(deadline_passed(deadline), rows[i].left_ms == 0);
	}
	frozen = (struct timespec){0};
}

static void test_earlier_of_two_deadlines(void **state)
{
	struct deadline soon = {100};
	struct deadline late = {200};

	(void)state;
	assert_int_equal(deadline_earlier(soon, late).at, 100);
	assert_int_equal(deadline_earlier(late, soon).at, 100);
}

int main(int argc, char *argv[])
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_error_records_code_and_reason),
		cmocka_unit_test(test_error_prefix_keeps_the_code),
		cmocka_unit_test(test_error_may_be_null),
		cmocka_unit_test(test_error_may_take_its_own_text),
		cmocka_unit_test(test_error_is_cut_at_its_end),
		cmocka_unit_test(test_control_characters_become_question_marks),
		cmocka_unit_test(test_c1_control_characters_become_question_marks),
		cmocka_unit_test(test_log_begins_errors_and_warnings_with_the_name),
		cmocka_unit_test(test_log_gives_the_journal_priorities),
		cmocka_unit_test(test_log_knows_when_it_is_not_the_journal),
		cmocka_unit_test(test_log_line_cannot_be_forged),
		cmocka_unit_test(test_long_log_line_is_cut_and_ends_with_newline),
		cmocka_unit_test(test_log_keeps_errno),
		cmocka_unit_test(test_deadline_lies_ahead_by_what_was_asked),
		cmocka_unit_test(test_deadline_in_the_past_has_passed),
		cmocka_unit_test(test_far_deadline_does_not_overflow),
		cmocka_unit_test(test_time_left_is_rounded_up),
		cmocka_unit_test(test_earlier_of_two_deadlines),
	};

	unit_begin(argc, argv);
	return cmocka_run_group_tests_name("base/error, log, deadline", tests, NULL, NULL);
}
