/* SPDX-License-Identifier: Apache-2.0 */
/* tangd/privileges.c: as whom to serve, and that root is left for good. Only root can leave it: the rest is skipped, counted. */
#include "unit.h"

#include "tangd/privileges.h"

#include <errno.h>
#include <grp.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <linux/capability.h>
#include <linux/securebits.h>

enum { USER = 12345, GROUP = 23456 };

static const struct privileges stranger = {.is_root = true, .uid = USER, .gid = GROUP};

/* What a child found, as its exit status. */
enum {
	AS_IT_SHOULD,
	NOT_DROPPED,
	NOT_THE_USER,
	NOT_THE_GROUP,
	HAS_GROUPS,
	IS_DUMPABLE,
	LIVES_ON,
	IS_CAPABLE,
	NOT_NOTICED
};

static void need_root(void)
{
	if (geteuid() != 0)
		unit_skip("only root can leave root");
}

static int check_ids(void)
{
	uid_t uid[3];
	gid_t gid[3];

	if (getresuid(&uid[0], &uid[1], &uid[2]) != 0 || uid[0] != USER || uid[1] != USER ||
	    uid[2] != USER || setuid(0) == 0)
		return NOT_THE_USER;
	if (getresgid(&gid[0], &gid[1], &gid[2]) != 0 || gid[0] != GROUP || gid[1] != GROUP ||
	    gid[2] != GROUP || setgid(0) == 0)
		return NOT_THE_GROUP;
	return getgroups(0, NULL) == 0 ? AS_IT_SHOULD : HAS_GROUPS;
}

static int check_capabilities(void)
{
	struct __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
	struct __user_cap_data_struct have[_LINUX_CAPABILITY_U32S_3] = {0};

	if (syscall(SYS_capget, &header, have) != 0 ||
	    prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_IS_SET, CAP_CHOWN, 0, 0) == 1 ||
	    prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) != 1)
		return IS_CAPABLE;
	for (size_t i = 0; i < COUNT(have); i++)
		if (have[i].effective || have[i].permitted || have[i].inheritable)
			return IS_CAPABLE;
	return AS_IT_SHOULD;
}

/* As the daemon and each of its children does it, after what the kernel or an odd container may have set. */
static int leave(void *arg)
{
	const gid_t groups[] = {0, 6};
	int signal_number = 0;
	int found;

	(void)arg;
	if (setgroups(COUNT(groups), groups) != 0 || prctl(PR_SET_PDEATHSIG, SIGKILL) != 0 ||
	    secret_harden_process(NULL) < 0)
		return NOT_DROPPED;
	if (privileges_drop(&stranger, NULL) < 0)
		return NOT_DROPPED;
	found = check_ids();
	if (found == AS_IT_SHOULD)
		found = check_capabilities();
	if (found == AS_IT_SHOULD && prctl(PR_GET_DUMPABLE) != 0)
		found = IS_DUMPABLE;
	if (found == AS_IT_SHOULD &&
	    (prctl(PR_GET_PDEATHSIG, &signal_number) != 0 || signal_number != SIGKILL))
		found = LIVES_ON;
	return found;
}

static void test_leaves_root_for_good(void **state)
{
	(void)state;
	need_root();
	assert_int_equal(unit_in_child(leave, NULL), AS_IT_SHOULD);
}

/* Told not to, the kernel leaves the capabilities where the user changes. */
static int leave_with_kept_capabilities(void *arg)
{
	(void)arg;
	if (prctl(PR_SET_SECUREBITS, SECBIT_NO_SETUID_FIXUP) != 0)
		return AS_IT_SHOULD; /* nobody could */
	if (privileges_drop(&stranger, NULL) < 0)
		return NOT_DROPPED;
	return check_capabilities();
}

static void test_capabilities_go_whatever_the_secure_bits_say(void **state)
{
	(void)state;
	need_root();
	assert_int_equal(unit_in_child(leave_with_kept_capabilities, NULL), AS_IT_SHOULD);
}

/* A process without the right to change its user, as in a container without capabilities. */
static int cannot_leave(void *arg)
{
	struct __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
	const struct __user_cap_data_struct none[_LINUX_CAPABILITY_U32S_3] = {0};

	struct privileges found;

	if (syscall(SYS_capset, &header, none) != 0)
		return NOT_DROPPED;
	/* Known at once, not only when a process has opened the sockets and is to drop it. */
	if (privileges_find(NULL, arg, &found, NULL) != -EPERM)
		return NOT_NOTICED;
	return privileges_drop(&stranger, NULL) == -EPERM ? AS_IT_SHOULD : NOT_DROPPED;
}

static void test_root_that_cannot_be_left_is_an_error(void **state)
{
	struct folder folder;

	(void)state;
	need_root();
	folder_make(&folder);
	assert_int_equal(unit_in_child(cannot_leave, folder.path), AS_IT_SHOULD);
	assert_int_equal(chown(folder.path, USER, GROUP), 0);
	assert_int_equal(unit_in_child(cannot_leave, folder.path), AS_IT_SHOULD);
	folder_remove(&folder);
}

static void test_nothing_is_done_where_root_did_not_start_us(void **state)
{
	const struct privileges none = {.uid = USER, .gid = GROUP};

	(void)state;
	assert_int_equal(privileges_drop(NULL, NULL), 0);
	assert_int_equal(privileges_drop(&none, NULL), 0);
	assert_int_not_equal(geteuid(), USER);
}

static void test_the_owner_of_the_folder_counts(void **state)
{
	static const struct {
		uid_t owner;
		gid_t group;
		gid_t wanted;
	} rows[] = {{USER, GROUP, GROUP}, {USER, 0, USER}};
	struct folder folder;
	struct privileges found;

	(void)state;
	need_root();
	folder_make(&folder);
	for (size_t i = 0; i < COUNT(rows); i++) {
		assert_int_equal(chown(folder.path, rows[i].owner, rows[i].group), 0);
		assert_int_equal(privileges_find(NULL, folder.path, &found, NULL), 0);
		assert_true(found.is_root);
		assert_false(found.keeps_root);
		assert_int_equal(found.uid, rows[i].owner);
		assert_int_equal(found.gid, rows[i].wanted);
		assert_string_equal(found.name, "");
	}
	folder_remove(&folder);
}

static void test_a_folder_of_root_is_read_by_root_and_served_by_nobody_like_that(void **state)
{
	struct folder folder;
	struct privileges found;

	(void)state;
	need_root();
	folder_make(&folder);
	assert_int_equal(privileges_find(NULL, folder.path, &found, NULL), 0);
	assert_true(found.is_root);
	assert_true(found.keeps_root);
	assert_int_not_equal(found.uid, 0);
	assert_int_not_equal(found.gid, 0);
	folder_remove(&folder);
}

static void test_an_owner_who_cannot_get_there_leaves_the_reading_to_root(void **state)
{
	struct folder folder;
	struct privileges found;
	char inner[80];

	(void)state;
	need_root();
	folder_make(&folder);
	(void)snprintf(inner, sizeof(inner), "%s/inner", folder.path);
	assert_int_equal(mkdir(inner, 0700), 0);
	assert_int_equal(chown(inner, USER, GROUP), 0);
	for (mode_t mode = 0700; mode <= 0701; mode++) {
		assert_int_equal(chmod(folder.path, mode), 0);
		assert_int_equal(privileges_find(NULL, inner, &found, NULL), 0);
		assert_int_equal(found.is_barred, mode == 0700);
		assert_int_equal(found.keeps_root, mode == 0700);
		assert_int_equal(found.uid, USER);
	}
	assert_int_equal(rmdir(inner), 0);
	folder_remove(&folder);
}

static void test_users_that_cannot_be(void **state)
{
	struct folder folder;
	struct privileges found;
	struct error err = {0};

	(void)state;
	need_root();
	folder_make(&folder);
	assert_int_equal(privileges_find("no such user", folder.path, &found, &err), -ENOENT);
	assert_string_equal(err.text, "there is no user 'no such user'");
	assert_int_equal(privileges_find("root", folder.path, &found, &err), -EINVAL);
	folder_remove(&folder);
	assert_int_equal(privileges_find(NULL, folder.path, &found, &err), -ENOENT);
}

int main(int argc, char *argv[])
{
	const struct CMUnitTest cases[] = {
		cmocka_unit_test(test_leaves_root_for_good),
		cmocka_unit_test(test_capabilities_go_whatever_the_secure_bits_say),
		cmocka_unit_test(test_root_that_cannot_be_left_is_an_error),
		cmocka_unit_test(test_nothing_is_done_where_root_did_not_start_us),
		cmocka_unit_test(test_the_owner_of_the_folder_counts),
		cmocka_unit_test(
			test_a_folder_of_root_is_read_by_root_and_served_by_nobody_like_that),
		cmocka_unit_test(test_an_owner_who_cannot_get_there_leaves_the_reading_to_root),
		cmocka_unit_test(test_users_that_cannot_be),
	};

	unit_begin(argc, argv);
	return cmocka_run_group_tests_name("tangd_privileges", cases, NULL, NULL);
}
