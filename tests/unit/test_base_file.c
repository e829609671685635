/* SPDX-License-Identifier: Apache-2.0 */
/* base/file.c: bounded reads, and files that are whole or not there. Linked with fsync and the renaming calls watched. */
#include "unit.h"

#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

/* The calls that make a file last, in their order: f fsync of a file, d of a folder, r rename, l link. */
static struct {
	char calls[32];
	char failing; /* the one that is to fail; 0: none */
	int with;     /* the error it fails with; 0: EIO */
} watch;

/* NOLINTBEGIN(*-reserved-identifier,cert-dcl*,readability-identifier-naming): the names of the linker's --wrap */
int __real_fsync(int fd);
int __real_renameat(int from_fd, const char *from, int to_fd, const char *to);
int __real_linkat(int from_fd, const char *from, int to_fd, const char *to, int flags);
int __wrap_fsync(int fd);
int __wrap_renameat(int from_fd, const char *from, int to_fd, const char *to);
int __wrap_linkat(int from_fd, const char *from, int to_fd, const char *to, int flags);

/* Notes a call; says whether it is to fail. */
static bool note(char call)
{
	size_t length = strlen(watch.calls);

	if (length + 1 < sizeof(watch.calls))
		watch.calls[length] = call;
	if (call != watch.failing)
		return false;
	errno = watch.with ? watch.with : EIO;
	return true;
}

int __wrap_fsync(int fd)
{
	struct stat st;

	if (fstat(fd, &st) != 0)
		return -1;
	return note(S_ISDIR(st.st_mode) ? 'd' : 'f') ? -1 : __real_fsync(fd);
}

int __wrap_renameat(int from_fd, const char *from, int to_fd, const char *to)
{
	return note('r') ? -1 : __real_renameat(from_fd, from, to_fd, to);
}

int __wrap_linkat(int from_fd, const char *from, int to_fd, const char *to, int flags)
{
	return note('l') ? -1 : __real_linkat(from_fd, from, to_fd, to, flags);
}
/* NOLINTEND(*-reserved-identifier,cert-dcl*,readability-identifier-naming) */

static int set_up(void **state)
{
	(void)state;
	memset(&watch, 0, sizeof(watch));
	return 0;
}

static int write_text(const struct folder *folder, const char *name, mode_t mode,
		      enum file_write_flags flags, const char *text, struct error *err)
{
	return file_write_atomic(folder->fd, name, mode, flags, text, strlen(text), err);
}

static void assert_content(const struct folder *folder, const char *name, const char *expected)
{
	FREE_AUTO char *text = NULL;
	char path[128];
	size_t size = 0;

	(void)snprintf(path, sizeof(path), "%s/%s", folder->path, name);
	assert_int_equal(file_read(path, 1000000, &text, &size, NULL), 0);
	assert_int_equal(size, strlen(expected));
	assert_string_equal(text, expected);
}

/* A pipe with `text` in it, its write end closed. */
static int piped(const char *text)
{
	int ends[2];

	assert_int_equal(pipe(ends), 0);
	assert_int_equal(write(ends[1], text, strlen(text)), strlen(text));
	(void)close(ends[1]);
	return ends[0];
}

static void test_atomic_write_has_the_exact_mode_whatever_the_umask(void **state)
{
	static const mode_t modes[] = {0600, 0440, 0644, 0400, 0666};
	static const mode_t masks[] = {0, 022, 077, 0777};
	FOLDER_AUTO struct folder folder = {0};
	struct stat st;

	(void)state;
	folder_make(&folder);
	for (size_t i = 0; i < COUNT(modes); i++) {
		for (size_t j = 0; j < COUNT(masks); j++) {
			mode_t before = umask(masks[j]);
			int rc = write_text(&folder, "key", modes[i], FILE_REPLACE, "k", NULL);

			(void)umask(before);
			assert_int_equal(rc, 0);
			assert_int_equal(fstatat(folder.fd, "key", &st, 0), 0);
			assert_int_equal(st.st_mode & 07777, modes[i]);
		}
	}
	assert_int_equal(folder_count(&folder), 1);
}

static void test_atomic_write_syncs_the_file_before_and_the_folder_after_the_rename(void **state)
{
	FOLDER_AUTO struct folder folder = {0};

	(void)state;
	folder_make(&folder);
	assert_int_equal(write_text(&folder, "a", 0600, FILE_REPLACE, "one", NULL), 0);
	assert_string_equal(watch.calls, "frd");
	assert_content(&folder, "a", "one");
}

static void test_new_file_is_synced_before_and_its_folder_after_the_link(void **state)
{
	FOLDER_AUTO struct folder folder = {0};

	(void)state;
	folder_make(&folder);
	assert_int_equal(write_text(&folder, "a", 0600, FILE_NEW, "one", NULL), 0);
	assert_string_equal(watch.calls, "fld");
	assert_content(&folder, "a", "one");
	assert_int_equal(folder_count(&folder), 1);
}

static void test_replace_gives_the_new_content(void **state)
{
	FOLDER_AUTO struct folder folder = {0};

	(void)state;
	folder_make(&folder);
	folder_write(&folder, "a", "old and long");
	assert_int_equal(write_text(&folder, "a", 0600, FILE_REPLACE, "new", NULL), 0);
	assert_content(&folder, "a", "new");
	assert_int_equal(folder_count(&folder), 1);
}

static void test_new_refuses_an_existing_file_and_leaves_it(void **state)
{
	FOLDER_AUTO struct folder folder = {0};
	struct error err = {0};

	(void)state;
	folder_make(&folder);
	folder_write(&folder, "a", "old");
	assert_int_equal(write_text(&folder, "a", 0600, FILE_NEW, "new", &err), -EEXIST);
	assert_non_null(strstr(err.text, "'a'"));
	assert_content(&folder, "a", "old");
	assert_int_equal(folder_count(&folder), 1);
}

/* As on a stick with FAT, which has no links. */
static void test_new_file_is_made_where_there_are_no_links(void **state)
{
	FOLDER_AUTO struct folder folder;

	(void)state;
	folder_make(&folder);
	watch.failing = 'l';
	watch.with = EPERM;
	assert_int_equal(write_text(&folder, "a", 0400, FILE_NEW, "key", NULL), 0);
	assert_string_equal(watch.calls, "fld");
	assert_int_equal(write_text(&folder, "a", 0400, FILE_NEW, "other", NULL), -EEXIST);
	assert_int_equal(folder_count(&folder), 1);
	assert_content(&folder, "a", "key");
}

static void test_new_refuses_a_dangling_link(void **state)
{
	FOLDER_AUTO struct folder folder = {0};

	(void)state;
	folder_make(&folder);
	assert_int_equal(symlinkat("nowhere", folder.fd, "a"), 0);
	assert_int_equal(write_text(&folder, "a", 0600, FILE_NEW, "new", NULL), -EEXIST);
	assert_false(folder_has(&folder, "nowhere"));
	assert_int_equal(folder_count(&folder), 1);
}

static void test_replace_replaces_a_link_and_not_what_it_points_to(void **state)
{
	FOLDER_AUTO struct folder folder = {0};
	struct stat st;

	(void)state;
	folder_make(&folder);
	folder_write(&folder, "target", "old");
	assert_int_equal(symlinkat("target", folder.fd, "a"), 0);
	assert_int_equal(write_text(&folder, "a", 0600, FILE_REPLACE, "new", NULL), 0);
	assert_content(&folder, "target", "old");
	assert_int_equal(fstatat(folder.fd, "a", &st, AT_SYMLINK_NOFOLLOW), 0);
	assert_true(S_ISREG(st.st_mode));
}

static void test_failed_write_leaves_the_old_file_and_nothing_else(void **state)
{
	static const char failing[] = {'f', 'r'};

	(void)state;
	for (size_t i = 0; i < COUNT(failing); i++) {
		FOLDER_AUTO struct folder folder = {0};

		folder_make(&folder);
		folder_write(&folder, "a", "old");
		watch.failing = failing[i];
		assert_int_equal(write_text(&folder, "a", 0600, FILE_REPLACE, "new", NULL), -EIO);
		watch.failing = 0;
		assert_content(&folder, "a", "old");
		assert_int_equal(folder_count(&folder), 1);
	}
}

/* "On failure nothing is left behind": also when the last step, the folder's fsync, is the one that fails. */
static void test_failed_new_file_is_not_there(void **state)
{
	static const char failing[] = {'f', 'l', 'd'};

	(void)state;
	for (size_t i = 0; i < COUNT(failing); i++) {
		FOLDER_AUTO struct folder folder = {0};
		char row[] = {failing[i], '\0'};

		folder_make(&folder);
		watch.failing = failing[i];
		assert_int_equal(write_text(&folder, "a", 0600, FILE_NEW, "new", NULL), -EIO);
		watch.failing = 0;
		unit_check(folder_count(&folder) == 0, row);
	}
}

static void test_full_disk_leaves_no_temporary_file(void **state)
{
	static const char big[65536];
	FOLDER_AUTO struct folder folder = {0};
	struct error err = {0};
	struct rlimit before;
	struct rlimit small;
	int rc;

	(void)state;
	folder_make(&folder);
	folder_write(&folder, "a", "old");
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
	small = (struct rlimit){4096, before.rlim_max};
	(void)signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
	rc = file_write_atomic(folder.fd, "a", 0600, FILE_REPLACE, big, sizeof(big), &err);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
	(void)signal(SIGXFSZ, SIG_DFL);
	assert_int_equal(rc, -EFBIG);
	assert_int_equal(err.code, -EFBIG);
	assert_content(&folder, "a", "old");
	assert_int_equal(folder_count(&folder), 1);
}

static void test_folder_without_write_permission_is_an_error(void **state)
{
	FOLDER_AUTO struct folder folder = {0};

	(void)state;
	if (geteuid() == 0)
		unit_skip("root may write everywhere");
	folder_make(&folder);
	assert_int_equal(fchmod(folder.fd, 0500), 0);
	assert_int_equal(write_text(&folder, "a", 0600, FILE_REPLACE, "x", NULL), -EACCES);
	assert_int_equal(folder_count(&folder), 0);
}

static void test_name_that_is_too_long_is_an_error(void **state)
{
	FOLDER_AUTO struct folder folder = {0};
	char name[400];

	(void)state;
	folder_make(&folder);
	memset(name, 'n', sizeof(name));
	name[sizeof(name) - 1] = '\0';
	assert_int_equal(write_text(&folder, name, 0600, FILE_REPLACE, "x", NULL), -ENAMETOOLONG);
	name[250] = '\0';
	assert_int_equal(write_text(&folder, name, 0600, FILE_REPLACE, "x", NULL), -ENAMETOOLONG);
	assert_int_equal(folder_count(&folder), 0);
}

static void test_empty_file_can_be_written_and_read(void **state)
{
	FOLDER_AUTO struct folder folder = {0};

	(void)state;
	folder_make(&folder);
	assert_int_equal(write_text(&folder, "a", 0600, FILE_NEW, "", NULL), 0);
	assert_content(&folder, "a", "");
}

static void test_reading_is_bounded_to_the_byte(void **state)
{
	static const struct {
		size_t size;
		size_t max;
		int rc;
	} rows[] = {
		{0, 0, 0},	 {1, 0, -EFBIG},       {10, 10, 0},	  {11, 10, -EFBIG},
		{4096, 4096, 0}, {4097, 4096, -EFBIG}, {40000, 50000, 0}, {40000, 39999, -EFBIG},
	};
	static char content[50000];

	(void)state;
	memset(content, 'x', sizeof(content));
	for (size_t i = 0; i < COUNT(rows); i++) {
		FREE_AUTO char *text = NULL;
		SECRET_AUTO struct secret secret = {0};
		int ends[2];
		size_t size = 12345;

		for (int kind = 0; kind < 2; kind++) {
			int rc;

			assert_int_equal(pipe(ends), 0);
			assert_int_equal(write(ends[1], content, rows[i].size), rows[i].size);
			(void)close(ends[1]);
			rc = kind == 0 ? fd_read_all(ends[0], "it", rows[i].max, &text, &size, NULL)
				       : fd_read_secret(ends[0], "it", rows[i].max, &secret, NULL);
			(void)close(ends[0]);
			assert_int_equal(rc, rows[i].rc);
		}
		assert_int_equal(size, rows[i].rc == 0 ? rows[i].size : 12345);
		assert_int_equal(secret.size, rows[i].rc == 0 ? rows[i].size : 0);
		if (rows[i].rc == 0)
			assert_int_equal(text[size], '\0');
	}
}

static void test_missing_file_is_told_by_name(void **state)
{
	SECRET_AUTO struct secret secret = {0};
	FREE_AUTO char *text = NULL;
	struct error err = {0};
	size_t size = 0;

	(void)state;
	assert_int_equal(file_read("/nonexistent/file", 10, &text, &size, &err), -ENOENT);
	assert_non_null(strstr(err.text, "/nonexistent/file"));
	assert_null(text);
	assert_int_equal(file_read_secret("/nonexistent/file", 10, &secret, &err), -ENOENT);
	assert_null(secret.data);
}

static void test_reading_a_folder_is_an_error(void **state)
{
	FREE_AUTO char *text = NULL;
	size_t size = 0;

	(void)state;
	assert_int_equal(file_read("/tmp", 10, &text, &size, NULL), -EISDIR);
}

static void test_secret_line_leaves_what_follows(void **state)
{
	SECRET_AUTO struct secret line = {0};
	SECRET_AUTO struct secret rest = {0};
	int fd = piped("first\nsecond\nrest");

	(void)state;
	assert_int_equal(fd_read_secret_line(fd, "it", 100, &line, NULL), 0);
	assert_int_equal(line.size, 5);
	assert_memory_equal(line.data, "first", 5);
	assert_int_equal(fd_read_secret(fd, "it", 100, &rest, NULL), 0);
	assert_int_equal(rest.size, 11);
	assert_memory_equal(rest.data, "second\nrest", 11);
	(void)close(fd);
}

static void test_secret_line_ends_at_newline_or_end_and_is_bounded(void **state)
{
	static const struct {
		const char *input;
		size_t max;
		int rc;
		const char *line;
	} rows[] = {
		{"pass word \\\"'\n", 100, 0, "pass word \\\"'"},
		{"no newline", 100, 0, "no newline"},
		{"\n", 100, 0, ""},
		{"crlf\r\n", 100, 0, "crlf\r"},
		{"exact\n", 5, 0, "exact"},
		{"exact", 5, 0, "exact"},
		{"toolong\n", 6, -EFBIG, NULL},
		{"", 100, -ENODATA, NULL},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		SECRET_AUTO struct secret line = {0};
		struct error err = {0};
		int fd = piped(rows[i].input);

		assert_int_equal(fd_read_secret_line(fd, "it", rows[i].max, &line, &err),
				 rows[i].rc);
		(void)close(fd);
		assert_int_equal(err.code, rows[i].rc);
		assert_int_equal(line.size, rows[i].line ? strlen(rows[i].line) : 0);
		if (rows[i].line)
			assert_memory_equal(line.data, rows[i].line, line.size);
	}
}

static void test_writing_to_a_closed_pipe_is_an_error(void **state)
{
	struct error err = {0};
	int ends[2];

	(void)state;
	(void)signal(SIGPIPE, SIG_IGN);
	assert_int_equal(pipe(ends), 0);
	(void)close(ends[0]);
	assert_int_equal(fd_write_all(ends[1], "the pipe", "x", 1, &err), -EPIPE);
	assert_non_null(strstr(err.text, "the pipe"));
	(void)close(ends[1]);
	(void)signal(SIGPIPE, SIG_DFL);
}

static void test_a_draft_is_given_away_and_nothing_that_took_its_place(void **state)
{
	FOLDER_AUTO struct folder folder = {0};
	struct file_draft draft = {0};
	struct error err = {0};

	(void)state;
	folder_make(&folder);
	assert_int_equal(file_draft_write(folder.fd, "key", 0440, "x", 1, &draft, NULL), 0);
	assert_int_equal(file_draft_give(folder.fd, &draft, geteuid(), getegid(), NULL), 0);
	/* Whoever owns the folder can do that. */
	folder_write(&folder, "other", "another's");
	assert_int_equal(renameat(folder.fd, "other", folder.fd, draft.temp), 0);
	assert_int_equal(file_draft_give(folder.fd, &draft, geteuid(), getegid(), &err), -ESTALE);
	assert_non_null(strstr(err.text, "cannot give 'key' away"));
	file_draft_drop(folder.fd, &draft);
	assert_int_equal(file_draft_give(folder.fd, &draft, geteuid(), getegid(), NULL), -ENOENT);
}

#define CASE(test) cmocka_unit_test_setup(test, set_up)

int main(int argc, char *argv[])
{
	static const struct CMUnitTest tests[] = {
		CASE(test_atomic_write_has_the_exact_mode_whatever_the_umask),
		CASE(test_atomic_write_syncs_the_file_before_and_the_folder_after_the_rename),
		CASE(test_new_file_is_synced_before_and_its_folder_after_the_link),
		CASE(test_replace_gives_the_new_content),
		CASE(test_new_refuses_an_existing_file_and_leaves_it),
		CASE(test_new_file_is_made_where_there_are_no_links),
		CASE(test_new_refuses_a_dangling_link),
		CASE(test_replace_replaces_a_link_and_not_what_it_points_to),
		CASE(test_failed_write_leaves_the_old_file_and_nothing_else),
		CASE(test_failed_new_file_is_not_there),
		CASE(test_a_draft_is_given_away_and_nothing_that_took_its_place),
		CASE(test_full_disk_leaves_no_temporary_file),
		CASE(test_folder_without_write_permission_is_an_error),
		CASE(test_name_that_is_too_long_is_an_error),
		CASE(test_empty_file_can_be_written_and_read),
		CASE(test_reading_is_bounded_to_the_byte),
		CASE(test_missing_file_is_told_by_name),
		CASE(test_reading_a_folder_is_an_error),
		CASE(test_secret_line_leaves_what_follows),
		CASE(test_secret_line_ends_at_newline_or_end_and_is_bounded),
		CASE(test_writing_to_a_closed_pipe_is_an_error),
	};

	unit_begin(argc, argv);
	return cmocka_run_group_tests_name("base/file", tests, NULL, NULL);
}
