/* SPDX-License-Identifier: Apache-2.0 */
/* base/error.c, base/log.c and base/deadline.c: what is said to people, and until when is waited. */
#include "unit.h"

#include "base/deadline.h"
#include "base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
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

enum { LINES = 20000, NOBODY = 65534 };

/* Steps of a child process; what it returns says which one failed. */
#define STEP(condition)                            \
	do {                                       \
		if (!(condition))                  \
			return __LINE__ % 255 + 1; \
	} while (0)

/* What came out of a log. */
struct seen {
	unsigned long lines;
	unsigned long lost; /* as it was told */
	bool other;
};

static void see_line(const char *line, struct seen *seen)
{
	static const char before[] = "unit: warning: ";
	char *behind;

	if (strncmp(line, before, strlen(before)) == 0) {
		seen->lost += strtoul(line + strlen(before), &behind, 10);
		seen->other = seen->other || strcmp(behind, " log lines were lost") != 0;
	} else {
		seen->lines++;
		seen->other = seen->other || strncmp(line, "line ", 5) != 0 || strlen(line) != 10;
	}
}

/* Reads what is there, whole lines. */
static int see_log(int fd, struct seen *seen)
{
	static char text[1024 * 1024];
	ssize_t size = 0;
	ssize_t got;
	char *place = NULL;

	while ((got = read(fd, text + size, sizeof(text) - 1 - (size_t)size)) > 0)
		size += got;
	STEP(got < 0 && errno == EAGAIN);
	STEP(size > 0 && text[size - 1] == '\n');
	text[size] = '\0';
	for (char *line = strtok_r(text, "\n", &place); line; line = strtok_r(NULL, "\n", &place))
		see_line(line, seen);
	STEP(!seen->other);
	return 0;
}

static void say_lines(int count)
{
	for (int i = 0; i < count; i++)
		log_info("line %05d", i);
}

/* The lost lines are told once, with the next one. */
static int tells_what_was_lost(int reader, unsigned long lost, struct seen *seen)
{
	say_lines(1);
	STEP(see_log(reader, seen) == 0);
	STEP(seen->lost == lost && seen->lines + lost == LINES + 1);
	say_lines(1);
	STEP(see_log(reader, seen) == 0);
	STEP(seen->lost == lost && log_lost() == lost);
	return 0;
}

/* `reader` is the other end of standard error, and does not read until the log is full. */
static int fills_the_log(int reader)
{
	struct seen seen = {0};
	unsigned long lost;

	STEP(fcntl(reader, F_SETFL, O_NONBLOCK) == 0);
	log_open("unit");
	log_never_wait();
	say_lines(LINES);
	lost = log_lost();
	STEP(lost > 0 && lost < LINES);
	STEP(see_log(reader, &seen) == 0);
	STEP(seen.lines + lost == LINES && seen.lost == 0);
	return tells_what_was_lost(reader, lost, &seen);
}

/* With an end of its own, so that a line that waits is a failure of this case and no more. */
static int with_ends(const int ends[2])
{
	(void)alarm(10);
	STEP(dup2(ends[1], STDERR_FILENO) == STDERR_FILENO);
	return fills_the_log(ends[0]);
}

static int on_a_pipe(void *arg)
{
	int ends[2];
	int line;

	(void)arg;
	STEP(pipe2(ends, O_CLOEXEC) == 0);
	line = with_ends(ends);
	/* Whoever shares the description, a shell for one, did not ask for that. */
	STEP(line != 0 || !(fcntl(STDERR_FILENO, F_GETFL) & O_NONBLOCK));
	return line;
}

/* Such as a container's: made by root, and the server is not. */
static int on_a_pipe_of_another_user(void *arg)
{
	int ends[2];

	(void)arg;
	STEP(pipe2(ends, O_CLOEXEC) == 0);
	STEP(fchmod(ends[1], 0) == 0);
	STEP(geteuid() != 0 || setresuid(NOBODY, NOBODY, NOBODY) == 0);
	STEP(dup2(ends[1], STDERR_FILENO) == STDERR_FILENO);
	STEP(access("/proc/self/fd/2", W_OK) != 0 && errno == EACCES);
	return with_ends(ends);
}

static int on_a_socket(void *arg)
{
	int ends[2];

	(void)arg;
	STEP(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) == 0);
	return with_ends(ends);
}

static void test_full_log_is_not_waited_for(void **state)
{
	(void)state;
	assert_int_equal(unit_in_child(on_a_pipe, NULL), 0);
	assert_int_equal(unit_in_child(on_a_pipe_of_another_user, NULL), 0);
	assert_int_equal(unit_in_child(on_a_socket, NULL), 0);
}

static int goes_on_without_reader(void *arg)
{
	int ends[2];
	int pid;
	int status = 0;

	(void)arg;
	STEP(pipe2(ends, O_CLOEXEC) == 0);
	STEP(dup2(ends[1], STDERR_FILENO) == STDERR_FILENO);
	log_never_wait();
	(void)close(ends[0]);
	say_lines(3);
	STEP(log_lost() == 3);
	/* A process of its own counts its own. */
	pid = fork();
	if (pid == 0) {
		say_lines(1);
		_exit(log_lost() == 1 ? 0 : 1);
	}
	STEP(waitpid(pid, &status, 0) == pid && status == 0);
	return log_lost() == 3 ? 0 : 1;
}

static void test_log_without_reader_ends_nobody(void **state)
{
	(void)state;
	assert_int_equal(unit_in_child(goes_on_without_reader, NULL), 0);
}

static int on_a_file(void *arg)
{
	int fd = memfd_create("log", MFD_CLOEXEC);
	struct stat st;

	(void)arg;
	STEP(fd >= 0 && dup2(fd, STDERR_FILENO) == STDERR_FILENO);
	log_never_wait();
	say_lines(LINES);
	STEP(fstat(fd, &st) == 0 && st.st_size == (off_t)LINES * 11);
	return log_lost() == 0 ? 0 : 1;
}

static void test_log_file_gets_every_line(void **state)
{
	(void)state;
	assert_int_equal(unit_in_child(on_a_file, NULL), 0);
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
		cmocka_unit_test(test_full_log_is_not_waited_for),
		cmocka_unit_test(test_log_without_reader_ends_nobody),
		cmocka_unit_test(test_log_file_gets_every_line),
		cmocka_unit_test(test_deadline_lies_ahead_by_what_was_asked),
		cmocka_unit_test(test_deadline_in_the_past_has_passed),
		cmocka_unit_test(test_far_deadline_does_not_overflow),
		cmocka_unit_test(test_time_left_is_rounded_up),
		cmocka_unit_test(test_earlier_of_two_deadlines),
	};

	unit_begin(argc, argv);
	return cmocka_run_group_tests_name("base/error, log, deadline", tests, NULL, NULL);
}
