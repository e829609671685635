/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tangd/rotate.c, pair.c and tang/folder.c: what is advertised when a rotation is cut anywhere, and that no key is lost. Linked
 * with the calls watched that change a folder and make it last.
 */
#include "keyfile.h"

#include "tang/folder.h"
#include "tangd/keygen.h"
#include "tangd/rotate.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

enum { EVENTS_MAX = 64, NAMES_MAX = 16, SYNCED_MAX = 16, NAME_SIZE = 300 };

/* What was done to the folder, in its order: l link, r rename, u unlink, d sync of the folder. */
struct event {
	char what;
	char from[NAME_SIZE];
	char to[NAME_SIZE];
};

static struct {
	struct event event[EVENTS_MAX];
	size_t count;
	ino_t synced[SYNCED_MAX]; /* files whose content was synced */
	size_t synced_count;
	bool unsynced; /* one got its name before that */
	char failing;  /* o chown, r rename, d sync of the folder; 0: none */
	int with;
	const char *intruder; /* made by somebody else right before the first rename */
} watch;

static struct folder folder;

/* NOLINTBEGIN(*-reserved-identifier,cert-dcl*,readability-identifier-naming): the names of the linker's --wrap */
int __real_fsync(int fd);
int __real_linkat(int from_fd, const char *from, int to_fd, const char *to, int flags);
int __real_renameat2(int from_fd, const char *from, int to_fd, const char *to, unsigned flags);
int __real_unlinkat(int fd, const char *name, int flags);
int __real_fchownat(int fd, const char *name, uid_t uid, gid_t gid, int flags);
int __wrap_fsync(int fd);
int __wrap_linkat(int from_fd, const char *from, int to_fd, const char *to, int flags);
int __wrap_renameat2(int from_fd, const char *from, int to_fd, const char *to, unsigned flags);
int __wrap_unlinkat(int fd, const char *name, int flags);
int __wrap_fchownat(int fd, const char *name, uid_t uid, gid_t gid, int flags);

static bool is_to_fail(char what)
{
	errno = watch.with;
	return watch.failing == what;
}

static int note(int result, char what, const char *from, const char *to)
{
	struct event *event = &watch.event[watch.count];

	if (result != 0 || watch.count == EVENTS_MAX)
		return result;
	event->what = what;
	(void)snprintf(event->from, sizeof(event->from), "%s", from);
	(void)snprintf(event->to, sizeof(event->to), "%s", to);
	watch.count++;
	return 0;
}

int __wrap_fsync(int fd)
{
	struct stat st;

	if (fstat(fd, &st) != 0)
		return -1;
	if (S_ISDIR(st.st_mode))
		return is_to_fail('d') ? -1 : note(__real_fsync(fd), 'd', "", "");
	if (watch.synced_count < SYNCED_MAX)
		watch.synced[watch.synced_count++] = st.st_ino;
	return __real_fsync(fd);
}

int __wrap_linkat(int from_fd, const char *from, int to_fd, const char *to, int flags)
{
	bool synced = false;
	struct stat st;

	if (fstatat(from_fd, from, &st, 0) != 0)
		return -1;
	for (size_t i = 0; i < watch.synced_count; i++)
		synced = synced || watch.synced[i] == st.st_ino;
	watch.unsynced = watch.unsynced || !synced;
	return note(__real_linkat(from_fd, from, to_fd, to, flags), 'l', from, to);
}

int __wrap_renameat2(int from_fd, const char *from, int to_fd, const char *to, unsigned flags)
{
	if (watch.intruder)
		folder_write(&folder, watch.intruder, "precious");
	watch.intruder = NULL;
	if (is_to_fail('r'))
		return -1;
	return note(__real_renameat2(from_fd, from, to_fd, to, flags), 'r', from, to);
}

int __wrap_unlinkat(int fd, const char *name, int flags)
{
	return note(__real_unlinkat(fd, name, flags), 'u', name, "");
}

int __wrap_fchownat(int fd, const char *name, uid_t uid, gid_t gid, int flags)
{
	return is_to_fail('o') ? -1 : __real_fchownat(fd, name, uid, gid, flags);
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
	memset(&watch, 0, sizeof(watch));
	folder_remove(&folder);
	return 0;
}

static void make_old_pair(void)
{
	assert_int_equal(keygen_pair(folder.fd, "sig", "exc", NULL), 0);
	memset(&watch, 0, sizeof(watch));
}

/* Rotates; must work. The names of the new pair are in `rotation`. */
static void rotate(struct rotation *rotation)
{
	struct error err = {0};

	if (rotate_keys(folder.fd, NULL, rotation, &err) < 0)
		fail_msg("%s", err.text);
}

/* --- A folder as it may be after a power cut --------------------------------------------------------------------------- */

struct listing {
	char name[NAMES_MAX][NAME_SIZE];
	size_t count;
};

static bool lists(const struct listing *listing, const char *name)
{
	for (size_t i = 0; i < listing->count; i++) {
		if (strcmp(listing->name[i], name) == 0)
			return true;
	}
	return false;
}

static void list_add(struct listing *listing, const char *name)
{
	if (lists(listing, name))
		return;
	assert_true(listing->count < NAMES_MAX);
	(void)snprintf(listing->name[listing->count++], NAME_SIZE, "%s", name);
}

static void list_remove(struct listing *listing, const char *name)
{
	size_t kept = 0;

	for (size_t i = 0; i < listing->count; i++) {
		if (strcmp(listing->name[i], name) != 0)
			memmove(listing->name[kept++], listing->name[i], NAME_SIZE);
	}
	listing->count = kept;
}

static void apply(struct listing *listing, const struct event *event)
{
	if (event->what == 'l' || event->what == 'r')
		list_add(listing, event->to);
	if (event->what == 'r' || event->what == 'u')
		list_remove(listing, event->from);
}

typedef void (*check_listing)(const struct listing *listing, const struct rotation *rotation);

/* Checks what may be on the disk: what was synced, and of what came after any part, in whatever order it was written. */
static void check_after_power_cuts(const struct listing *before, const struct rotation *rotation,
				   check_listing check)
{
	struct listing durable = *before;
	size_t first = 0; /* event not synced */

	for (size_t end = 0; end <= watch.count; end++) {
		assert_true(end - first < 12);
		for (unsigned part = 0; part < 1U << (end - first); part++) {
			struct listing now = durable;

			for (size_t i = first; i < end; i++) {
				if (part & 1U << (i - first))
					apply(&now, &watch.event[i]);
			}
			check(&now, rotation);
		}
		if (end == watch.count || watch.event[end].what != 'd')
			continue;
		for (; first < end; first++)
			apply(&durable, &watch.event[first]);
		first++;
	}
}

/* Checks what a process may leave that is killed: some of its steps, from the first on. */
static void check_after_kills(const struct listing *before, const struct rotation *rotation,
			      check_listing check)
{
	struct listing now = *before;

	check(&now, rotation);
	for (size_t i = 0; i < watch.count; i++) {
		apply(&now, &watch.event[i]);
		check(&now, rotation);
	}
}

static void check_advertises_and_lost_nothing(const struct listing *listing,
					      const struct rotation *rotation)
{
	assert_true(lists(listing, "sig.jwk") || lists(listing, rotation->pair.signing.name));
	assert_true(lists(listing, "exc.jwk") || lists(listing, rotation->pair.exchange.name));
	assert_true(lists(listing, "sig.jwk") || lists(listing, ".sig.jwk"));
	assert_true(lists(listing, "exc.jwk") || lists(listing, ".exc.jwk"));
}

static void check_signs_nothing_without_exchange(const struct listing *listing,
						 const struct rotation *rotation)
{
	(void)rotation;
	assert_true(!lists(listing, "sig.jwk") || lists(listing, "exc.jwk"));
}

/* --- The cases --------------------------------------------------------------------------------------------------------- */

static void test_rotation_cut_anywhere_advertises_a_whole_pair(void **state)
{
	static const struct listing before = {{"sig.jwk", "exc.jwk"}, 2};
	struct rotation rotation = {0};

	(void)state;
	make_old_pair();
	rotate(&rotation);
	check_after_power_cuts(&before, &rotation, check_advertises_and_lost_nothing);
	check_after_kills(&before, &rotation, check_advertises_and_lost_nothing);
	assert_false(watch.unsynced);
	rotation_free(&rotation);
}

static void test_rotation_is_synced_at_its_end(void **state)
{
	struct rotation rotation = {0};

	(void)state;
	make_old_pair();
	rotate(&rotation);
	assert_int_equal(watch.event[watch.count - 1].what, 'd');
	rotation_free(&rotation);
}

static void test_new_pair_cut_anywhere_is_no_signing_key_alone(void **state)
{
	static const struct listing before = {{""}, 0};

	(void)state;
	assert_int_equal(keygen_pair(folder.fd, "sig", "exc", NULL), 0);
	check_after_kills(&before, NULL, check_signs_nothing_without_exchange);
	assert_int_equal(watch.event[watch.count - 1].what, 'd');
	assert_false(watch.unsynced);
}

static void test_rotation_hides_all_that_was_advertised_and_nothing_else(void **state)
{
	struct rotation rotation = {0};
	const char *signing = rotation.pair.signing.name;
	const char *exchange = rotation.pair.exchange.name;

	(void)state;
	make_old_pair();
	folder_write(&folder, ".older.jwk", "older");
	folder_write(&folder, "broken.jwk", "{");
	folder_write(&folder, "README", "text");
	rotate(&rotation);
	assert_int_equal(rotation.hidden.count, 3);
	assert_true(folder_has(&folder, ".sig.jwk") && folder_has(&folder, ".exc.jwk"));
	assert_true(folder_has(&folder, ".broken.jwk") && folder_has(&folder, ".older.jwk"));
	assert_true(folder_has(&folder, "README"));
	assert_true(folder_has(&folder, signing) && folder_has(&folder, exchange));
	assert_int_equal(folder_count(&folder), 7);
	rotation_free(&rotation);
}

static void assert_untouched(size_t files)
{
	assert_true(folder_has(&folder, "sig.jwk") && folder_has(&folder, "exc.jwk"));
	assert_int_equal(folder_count(&folder), files);
}

static void test_taken_hidden_name_stops_it_before_anything_is_done(void **state)
{
	struct rotation rotation = {0};
	struct error err = {0};

	(void)state;
	make_old_pair();
	folder_write(&folder, ".sig.jwk", "precious");
	assert_int_equal(rotate_keys(folder.fd, NULL, &rotation, &err), -EEXIST);
	assert_non_null(strstr(err.text, "'.sig.jwk' is there already"));
	assert_untouched(3);
}

/* The text of a file; the caller's. */
static char *read_file(const char *name)
{
	char path[NAME_SIZE * 2];
	char *text = NULL;
	size_t size = 0;

	(void)snprintf(path, sizeof(path), "%s/%s", folder.path, name);
	assert_int_equal(file_read(path, 100000, &text, &size, NULL), 0);
	return text;
}

static void test_hidden_name_taken_meanwhile_is_not_overwritten(void **state)
{
	FREE_AUTO char *text = NULL;
	struct rotation rotation = {0};
	struct error err = {0};

	(void)state;
	make_old_pair();
	watch.intruder = ".exc.jwk"; /* names are hidden in their order */
	assert_int_equal(rotate_keys(folder.fd, NULL, &rotation, &err), -EEXIST);
	assert_non_null(strstr(err.text, ".exc.jwk"));
	assert_non_null(strstr(err.text, "the new keys are in service"));
	text = read_file(".exc.jwk");
	assert_string_equal(text, "precious");
	assert_untouched(5);
}

static void test_keys_that_the_server_cannot_read_replace_none(void **state)
{
	struct rotation rotation = {0};
	struct error err = {0};

	(void)state;
	make_old_pair();
	watch.failing = 'o';
	watch.with = EPERM;
	assert_int_equal(rotate_keys(folder.fd, NULL, &rotation, &err), -EPERM);
	assert_non_null(strstr(err.text, "to the server's user"));
	assert_untouched(2);
}

static void test_new_pair_that_cannot_be_synced_replaces_none(void **state)
{
	struct rotation rotation = {0};
	struct error err = {0};

	(void)state;
	make_old_pair();
	watch.failing = 'd';
	watch.with = EIO;
	assert_int_equal(rotate_keys(folder.fd, NULL, &rotation, &err), -EIO);
	assert_untouched(2);
}

static void test_file_system_without_that_rename_hides_by_link(void **state)
{
	static const struct listing before = {{"sig.jwk", "exc.jwk"}, 2};
	struct rotation rotation = {0};

	(void)state;
	make_old_pair();
	watch.failing = 'r';
	watch.with = EINVAL;
	rotate(&rotation);
	assert_true(folder_has(&folder, ".sig.jwk") && folder_has(&folder, ".exc.jwk"));
	assert_false(folder_has(&folder, "sig.jwk") || folder_has(&folder, "exc.jwk"));
	check_after_kills(&before, &rotation, check_advertises_and_lost_nothing);
	rotation_free(&rotation);
}

static void test_hiding_by_link_that_was_cut_is_finished(void **state)
{
	struct rotation rotation = {0};

	(void)state;
	make_old_pair();
	assert_int_equal(__real_linkat(folder.fd, "sig.jwk", folder.fd, ".sig.jwk", 0), 0);
	rotate(&rotation);
	assert_true(folder_has(&folder, ".sig.jwk") && folder_has(&folder, ".exc.jwk"));
	assert_false(folder_has(&folder, "sig.jwk") || folder_has(&folder, "exc.jwk"));
	rotation_free(&rotation);
}

/* With one file too many the server would read none of them. */
static void test_folder_without_room_for_a_pair_stays_as_it_is(void **state)
{
	struct rotation rotation = {0};
	struct error err = {0};
	char name[NAME_SIZE];

	(void)state;
	make_old_pair();
	for (int i = 0; i < TANG_KEY_FILES_MAX - 3; i++) {
		(void)snprintf(name, sizeof(name), ".%d.jwk", i);
		folder_write(&folder, name, "{}");
	}
	assert_int_equal(rotate_keys(folder.fd, NULL, &rotation, &err), -E2BIG);
	assert_untouched(TANG_KEY_FILES_MAX - 1);
	assert_int_equal(unlinkat(folder.fd, ".0.jwk", 0), 0);
	rotate(&rotation);
	assert_int_equal(folder_count(&folder), TANG_KEY_FILES_MAX);
	rotation_free(&rotation);
}

static void test_folder_is_one_programs_at_a_time(void **state)
{
	int other = open(folder.path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct error err = {0};

	(void)state;
	assert_true(other >= 0);
	assert_int_equal(flock(other, LOCK_EX | LOCK_NB), 0);
	assert_int_equal(tang_folder_lock(folder.fd, deadline_in_ms(50), &err), -EBUSY);
	assert_string_equal(err.text, "another program is changing the keys");
	(void)close(other);
	assert_int_equal(tang_folder_lock(folder.fd, deadline_in_ms(50), &err), 0);
}

static void test_curve_decides_the_algorithm(void **state)
{
	static const char *const rows[][2] = {
		{"P-256", "ES256"}, {"P-384", "ES384"}, {"P-521", "ES512"}};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		const struct pair_wish wish = {rows[i][0], rows[i][0], rows[i][1]};
		JSON_AUTO json_t *signing = NULL;
		JSON_AUTO json_t *exchange = NULL;
		struct pair pair;

		assert_int_equal(pair_draft(folder.fd, &wish, &pair, NULL), 0);
		assert_int_equal(pair_publish(folder.fd, &pair, NULL), 0);
		assert_int_equal(tang_folder_read(folder.fd, pair.signing.name, &signing, NULL), 0);
		assert_int_equal(tang_folder_read(folder.fd, pair.exchange.name, &exchange, NULL),
				 0);
		assert_string_equal(text_at(signing, "crv"), rows[i][0]);
		assert_string_equal(text_at(signing, "alg"), rows[i][1]);
		assert_string_equal(text_at(exchange, "crv"), rows[i][0]);
		assert_string_equal(text_at(exchange, "alg"), "ECMR");
		assert_int_equal(tang_check_key(signing, NULL), 0);
		assert_int_equal(tang_check_key(exchange, NULL), 0);
	}
}

static void test_other_curves_are_refused(void **state)
{
	static const char *const curves[] = {"", "p-256", "P-192", "secp256k1"};

	(void)state;
	for (size_t i = 0; i < COUNT(curves); i++) {
		const struct pair_wish wish = {.curve = curves[i]};
		struct pair pair;

		unit_check(pair_draft(folder.fd, &wish, &pair, NULL) == -EINVAL, curves[i]);
		unit_check(!pair_knows_curve(curves[i]), curves[i]);
	}
	assert_int_equal(folder_count(&folder), 0);
}

static void test_key_whose_parts_do_not_belong_together_is_not_whole(void **state)
{
	JSON_AUTO json_t *jwk = key_generate("{'alg':'ECMR'}");
	JSON_AUTO json_t *other = key_generate("{'alg':'ECMR'}");
	JSON_AUTO json_t *empty = json_of("{}");
	struct error err = {0};

	(void)state;
	assert_int_equal(tang_check_key(jwk, NULL), 0);
	assert_int_equal(json_object_set(jwk, "d", json_object_get(other, "d")), 0);
	assert_int_equal(tang_check_key(jwk, &err), -EINVAL);
	assert_non_null(strstr(err.text, "does not belong"));
	json_tamper(other, "x");
	assert_int_equal(tang_check_key(other, NULL), -EINVAL);
	assert_int_equal(tang_check_key(empty, NULL), -EINVAL);
}

#define CASE(test) cmocka_unit_test_setup_teardown(test, make_folder, remove_folder)

int main(int argc, char *argv[])
{
	static const struct CMUnitTest tests[] = {
		CASE(test_rotation_cut_anywhere_advertises_a_whole_pair),
		CASE(test_rotation_is_synced_at_its_end),
		CASE(test_new_pair_cut_anywhere_is_no_signing_key_alone),
		CASE(test_rotation_hides_all_that_was_advertised_and_nothing_else),
		CASE(test_taken_hidden_name_stops_it_before_anything_is_done),
		CASE(test_hidden_name_taken_meanwhile_is_not_overwritten),
		CASE(test_keys_that_the_server_cannot_read_replace_none),
		CASE(test_new_pair_that_cannot_be_synced_replaces_none),
		CASE(test_file_system_without_that_rename_hides_by_link),
		CASE(test_hiding_by_link_that_was_cut_is_finished),
		CASE(test_folder_without_room_for_a_pair_stays_as_it_is),
		CASE(test_folder_is_one_programs_at_a_time),
		CASE(test_curve_decides_the_algorithm),
		CASE(test_other_curves_are_refused),
		CASE(test_key_whose_parts_do_not_belong_together_is_not_whole),
	};

	unit_begin(argc, argv);
	return cmocka_run_group_tests_name("tangd/rotate, pair, tang/folder", tests, NULL, NULL);
}
