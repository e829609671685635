/* SPDX-License-Identifier: Apache-2.0 */
/* cmd/tangctl: archives from outside, and what a restore does to a folder. Linked with linkat watched. */
#include "keyfile.h"

#include "base/file.h"
#include "cmd/tangctl/archive.h"
#include "cmd/tangctl/restore.h"
#include "tang/folder.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { DONE_MAX = 8, NAME_SIZE = 300 };

static struct folder folder;
static enum restored done[DONE_MAX];

static struct {
	char order[DONE_MAX * NAME_SIZE]; /* names in the order in which files got them */
	size_t drafts;	      /* files of any name that were there when the first got its name */
	const char *intruder; /* made by somebody else right before */
	int failing;	      /* number of the call that fails with EIO; 0: none */
	int calls;
} watch;

/* NOLINTBEGIN(*-reserved-identifier,cert-dcl*,readability-identifier-naming): the names of the linker's --wrap */
int __real_linkat(int from_fd, const char *from, int to_fd, const char *to, int flags);
int __wrap_linkat(int from_fd, const char *from, int to_fd, const char *to, int flags);

int __wrap_linkat(int from_fd, const char *from, int to_fd, const char *to, int flags)
{
	size_t length = strlen(watch.order);

	if (watch.calls == 0)
		watch.drafts = folder_count(&folder);
	if (watch.intruder)
		folder_write(&folder, watch.intruder, "precious");
	watch.intruder = NULL;
	if (++watch.calls == watch.failing) {
		errno = EIO;
		return -1;
	}
	(void)snprintf(watch.order + length, sizeof(watch.order) - length, "%s ", to);
	return __real_linkat(from_fd, from, to_fd, to, flags);
}
/* NOLINTEND(*-reserved-identifier,cert-dcl*,readability-identifier-naming) */

static int make_folder(void **state)
{
	(void)state;
	folder_make(&folder);
	memset(&watch, 0, sizeof(watch));
	return 0;
}

static int remove_folder(void **state)
{
	(void)state;
	folder_remove(&folder);
	return 0;
}

/* Fills a folder with a pair and a rotated one, and makes its archive (the caller's); the folder is empty then. */
static json_t *make_archive(void)
{
	static const char *const names[] = {"a-sig.jwk", "b-exc.jwk", ".old-sig.jwk",
					    ".old-exc.jwk"};
	struct error err = {0};
	json_t *archive = NULL;

	for (size_t i = 0; i < COUNT(names); i++)
		json_decref(key_make(&folder, names[i],
				     i % 2 ? "{'alg':'ECMR','crv':'P-256'}" : "{'alg':'ES256'}"));
	if (archive_make(folder.fd, &archive, &err) < 0)
		fail_msg("%s", err.text);
	for (size_t i = 0; i < COUNT(names); i++)
		assert_int_equal(unlinkat(folder.fd, names[i], 0), 0);
	return archive;
}

static void assert_mode(const char *name, mode_t mode)
{
	struct stat st;

	assert_int_equal(fstatat(folder.fd, name, &st, 0), 0);
	assert_int_equal(st.st_mode & 07777, mode);
}

/* Every key of the archive is in the folder, as it was. */
static void assert_restored(const json_t *archive)
{
	for (size_t i = 0; i < archive_count(archive); i++) {
		JSON_AUTO json_t *jwk = NULL;

		assert_int_equal(tang_folder_read(folder.fd, archive_name(archive, i), &jwk, NULL),
				 0);
		assert_true(json_equal(jwk, archive_jwk(archive, i)));
		assert_mode(archive_name(archive, i), 0440);
	}
}

static void test_what_was_lost_comes_back_hidden_ones_too(void **state)
{
	JSON_AUTO json_t *archive = make_archive();

	(void)state;
	assert_int_equal(archive_count(archive), 4);
	assert_int_equal(restore_keys(folder.fd, archive, done, NULL), 0);
	assert_restored(archive);
	assert_int_equal(folder_count(&folder), 4);
	for (size_t i = 0; i < 4; i++)
		assert_int_equal(done[i], RESTORED);
	/* once more changes nothing */
	assert_int_equal(restore_keys(folder.fd, archive, done, NULL), 0);
	assert_restored(archive);
	assert_int_equal(folder_count(&folder), 4);
	for (size_t i = 0; i < 4; i++)
		assert_int_equal(done[i], RESTORE_THERE);
}

static void test_all_are_written_before_one_is_in_service_and_signing_keys_come_last(void **state)
{
	JSON_AUTO json_t *archive = make_archive();

	(void)state;
	assert_int_equal(restore_keys(folder.fd, archive, done, NULL), 0);
	assert_int_equal(watch.drafts, 4);
	assert_string_equal(watch.order, ".old-exc.jwk .old-sig.jwk b-exc.jwk a-sig.jwk ");
}

static void test_file_that_is_there_gets_mode_and_owner(void **state)
{
	JSON_AUTO json_t *archive = make_archive();

	(void)state;
	key_write(&folder, archive_name(archive, 0), archive_jwk(archive, 0));
	assert_int_equal(fchmodat(folder.fd, archive_name(archive, 0), 0644, 0), 0);
	assert_int_equal(restore_keys(folder.fd, archive, done, NULL), 0);
	assert_restored(archive);
	assert_int_equal(done[0], RESTORE_THERE);
}

static void assert_content(const char *name, const char *expected)
{
	FREE_AUTO char *text = NULL;
	char path[NAME_SIZE * 2];
	size_t size = 0;

	(void)snprintf(path, sizeof(path), "%s/%s", folder.path, name);
	assert_int_equal(file_read(path, 100000, &text, &size, NULL), 0);
	assert_string_equal(text, expected);
}

static void test_another_key_of_that_name_stops_it_before_anything_is_written(void **state)
{
	JSON_AUTO json_t *archive = make_archive();
	JSON_AUTO json_t *other = NULL;
	struct error err = {0};

	(void)state;
	/* the last by name, so that those before it would be written */
	folder_write(&folder, "b-exc.jwk", "precious");
	assert_int_equal(restore_keys(folder.fd, archive, done, &err), -EEXIST);
	assert_non_null(strstr(err.text, "'b-exc.jwk' is there already"));
	assert_content("b-exc.jwk", "precious");
	assert_int_equal(folder_count(&folder), 1);
	other = key_make(&folder, "b-exc.jwk", "{'alg':'ECMR','crv':'P-256'}");
	assert_int_equal(restore_keys(folder.fd, archive, done, &err), -EEXIST);
	assert_int_equal(folder_count(&folder), 1);
}

static void test_file_that_comes_meanwhile_is_not_overwritten(void **state)
{
	JSON_AUTO json_t *archive = make_archive();
	struct error err = {0};

	(void)state;
	watch.intruder = "a-sig.jwk";
	assert_int_equal(restore_keys(folder.fd, archive, done, &err), -EEXIST);
	assert_non_null(strstr(err.text, "3 keys were restored, then: "));
	assert_content("a-sig.jwk", "precious");
	assert_int_equal(folder_count(&folder), 4); /* and no draft */
}

static void test_failure_leaves_no_draft(void **state)
{
	JSON_AUTO json_t *archive = make_archive();

	(void)state;
	watch.failing = 2;
	assert_int_equal(restore_keys(folder.fd, archive, done, NULL), -EIO);
	assert_int_equal(folder_count(&folder), 1);
}

static void test_key_rotated_since_is_not_advertised_again(void **state)
{
	JSON_AUTO json_t *archive = make_archive();

	(void)state;
	assert_int_equal(restore_keys(folder.fd, archive, done, NULL), 0);
	assert_int_equal(renameat(folder.fd, "a-sig.jwk", folder.fd, ".a-sig.jwk"), 0);
	assert_int_equal(restore_keys(folder.fd, archive, done, NULL), 0);
	assert_false(folder_has(&folder, "a-sig.jwk"));
	assert_int_equal(folder_count(&folder), 4);
	for (size_t i = 0; i < 4; i++)
		assert_int_equal(done[i], strcmp(archive_name(archive, i), "a-sig.jwk") == 0
						  ? RESTORE_TOGGLED
						  : RESTORE_THERE);
}

static void test_backup_without_every_key_is_none(void **state)
{
	static const char *const texts[] = {"{", "[]", "{'kty':'EC'}",
					    "{'kty':'EC','crv':'P-256'}"};
	json_t *archive = NULL;
	struct error err = {0};

	(void)state;
	assert_int_equal(archive_make(folder.fd, &archive, &err), -ENOENT);
	json_decref(key_make(&folder, "good.jwk", "{'alg':'ES256'}"));
	for (size_t i = 0; i < COUNT(texts); i++) {
		JSON_AUTO json_t *json = strlen(texts[i]) > 1 ? json_of(texts[i]) : NULL;

		if (json)
			key_write(&folder, ".bad.jwk", json);
		else
			folder_write(&folder, ".bad.jwk", texts[i]);
		unit_check(archive_make(folder.fd, &archive, &err) < 0, texts[i]);
		unit_check(strstr(err.text, ".bad.jwk") != NULL, texts[i]);
	}
	assert_int_equal(unlinkat(folder.fd, ".bad.jwk", 0), 0);
	assert_int_equal(mkdirat(folder.fd, "folder.jwk", 0700), 0);
	assert_true(archive_make(folder.fd, &archive, &err) < 0);
	assert_int_equal(unlinkat(folder.fd, "folder.jwk", AT_REMOVEDIR), 0);
	assert_int_equal(archive_make(folder.fd, &archive, &err), 0);
	json_decref(archive);
}

static void test_names_that_leave_the_folder_are_refused(void **state)
{
	static const char *const names[] = {"../x.jwk",	 "/x.jwk", "a/x.jwk", "x",
					    "x.jwk.bak", ".jwk",   "",	      "a/../x.jwk"};
	char longest[NAME_SIZE];

	(void)state;
	memset(longest, 'n', sizeof(longest));
	memcpy(longest + sizeof(longest) - 5, ".jwk", 5);
	for (size_t i = 0; i <= COUNT(names); i++) {
		const char *name = i < COUNT(names) ? names[i] : longest;
		json_t *jwk = key_generate("{'alg':'ECMR','crv':'P-256'}");
		JSON_AUTO json_t *archive = json_pack("{s:s, s:i, s:[{s:s, s:o}]}", "format",
						      "nbde-tang-backup", "version", 1, "keys",
						      "name", name, "jwk", jwk);

		assert_non_null(archive);
		unit_check(archive_check(archive, NULL) == -EBADMSG, name);
	}
}

static void test_archives_that_are_none_are_refused(void **state)
{
	static const char *const rows[] = {
		"[]",
		"{}",
		"7",
		"null",
		"{'format':'nbde-tang-backup','keys':[]}",
		"{'format':'nbde-tang-backup','version':1,'keys':[]}",
		"{'format':'nbde-tang-backup','version':1,'keys':{}}",
		"{'format':'nbde-tang-backup','version':1}",
		"{'format':'nbde-tang-backup','version':1,'keys':[7]}",
		"{'format':'nbde-tang-backup','version':1,'keys':[{}]}",
		"{'format':'nbde-tang-backup','version':1,'keys':[{'name':'x.jwk'}]}",
		"{'format':'nbde-tang-backup','version':1,'keys':[{'name':7,'jwk':{'kty':'oct','k':'AA'}}]}",
		"{'format':'nbde-tang-backup','version':2,'keys':[{'name':'x.jwk','jwk':{'kty':'oct','k':'AA'}}]}",
		"{'format':'nbde-tang-backup','version':'1','keys':[{'name':'x.jwk','jwk':{'kty':'oct','k':'AA'}}]}",
		"{'format':'other','version':1,'keys':[{'name':'x.jwk','jwk':{'kty':'oct','k':'AA'}}]}",
		"{'format':'nbde-tang-backup','version':1,'keys':[{'name':'x.jwk','jwk':{'kty':'oct'}}]}",
		("{'format':'nbde-tang-backup','version':1,'keys':[{'name':'x.jwk','jwk':{'kty':'oct','k':'AA'}},"
		 "{'name':'x.jwk','jwk':{'kty':'oct','k':'AA'}}]}"),
	};
	JSON_AUTO json_t *good = json_of("{'format':'nbde-tang-backup','version':1,'keys':["
					 "{'name':'x.jwk','jwk':{'kty':'oct','k':'AA'}}]}");

	(void)state;
	assert_int_equal(archive_check(good, NULL), 0);
	for (size_t i = 0; i < COUNT(rows); i++) {
		JSON_AUTO json_t *archive = json_loads(rows[i], JSON_DECODE_ANY, NULL);

		if (!archive)
			archive = json_of(rows[i]);
		unit_check(archive_check(archive, NULL) == -EBADMSG, rows[i]);
	}
}

static void test_damaged_private_part_is_noticed(void **state)
{
	JSON_AUTO json_t *archive = make_archive();
	struct error err = {0};

	(void)state;
	json_tamper(archive_jwk(archive, 1), "d");
	assert_int_equal(archive_check(archive, &err), -EBADMSG);
	assert_non_null(strstr(err.text, archive_name(archive, 1)));
}

#define CASE(test) cmocka_unit_test_setup_teardown(test, make_folder, remove_folder)

int main(int argc, char *argv[])
{
	static const struct CMUnitTest tests[] = {
		CASE(test_what_was_lost_comes_back_hidden_ones_too),
		CASE(test_all_are_written_before_one_is_in_service_and_signing_keys_come_last),
		CASE(test_file_that_is_there_gets_mode_and_owner),
		CASE(test_another_key_of_that_name_stops_it_before_anything_is_written),
		CASE(test_file_that_comes_meanwhile_is_not_overwritten),
		CASE(test_failure_leaves_no_draft),
		CASE(test_key_rotated_since_is_not_advertised_again),
		CASE(test_backup_without_every_key_is_none),
		CASE(test_names_that_leave_the_folder_are_refused),
		CASE(test_archives_that_are_none_are_refused),
		CASE(test_damaged_private_part_is_noticed),
	};

	unit_begin(argc, argv);
	return cmocka_run_group_tests_name("tangctl", tests, NULL, NULL);
}
