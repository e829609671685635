/* SPDX-License-Identifier: Apache-2.0 */
/* luks/find_locked.c: which devices wait to be opened, on machines that are made up in a folder. */
#include "unit.h"

#include "luks/luks.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static struct folder folder;
static struct error err;

static int begin(void **state)
{
	(void)state;
	err = (struct error){0};
	folder_make(&folder);
	return 0;
}

static int end(void **state)
{
	(void)state;
	folder_remove(&folder);
	return 0;
}

#define UUID "0123abcd-4567-89ef-0123-456789abcdef"
#define DIGITS_OF_UUID "0123abcd456789ef0123456789abcdef"
#define OTHER_UUID "ffffffff-4567-89ef-0123-456789abcdef"

static void make_folder(const char *name)
{
	char path[256];

	(void)snprintf(path, sizeof(path), "%s/%s", folder.path, name);
	assert_int_equal(mkdir(path, 0700), 0);
}

static void write_file(const char *name, const void *data, size_t size)
{
	char path[256];
	int fd;

	(void)snprintf(path, sizeof(path), "%s/%s", folder.path, name);
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, data, size), (ssize_t)size);
	(void)close(fd);
}

/* A block device of the machine; `uuid` of its LUKS header, NULL: it holds something else. */
static void make_device(const char *name, const char *uuid)
{
	static const unsigned char magic[] = {'L', 'U', 'K', 'S', 0xba, 0xbe, 0, 2};
	char path[128];
	char head[512] = "no LUKS";

	(void)snprintf(path, sizeof(path), "sys/class/block/%s", name);
	make_folder(path);
	(void)snprintf(path, sizeof(path), "sys/class/block/%s/holders", name);
	make_folder(path);
	(void)snprintf(path, sizeof(path), "dev/%s", name);
	for (char *c = path; *c; c++)
		if (*c == '!')
			*c = '/';
	if (uuid) {
		memcpy(head, magic, sizeof(magic));
		(void)snprintf(head + 168, 40, "%s", uuid);
	}
	write_file(path, head, sizeof(head));
}

static void make_machine(void)
{
	make_folder("sys");
	make_folder("sys/class");
	make_folder("sys/class/block");
	make_folder("dev");
}

/* Finds, and prints the names behind one another. */
static int find(char names[static 256])
{
	LUKS_PATHS_AUTO struct luks_paths paths = {0};
	char sysfs[128];
	char dev[128];
	int rc;

	(void)snprintf(sysfs, sizeof(sysfs), "%s/sys", folder.path);
	(void)snprintf(dev, sizeof(dev), "%s/dev", folder.path);
	rc = luks_find_locked(sysfs, dev, &paths, &err);
	*names = '\0';
	for (size_t i = 0; i < paths.count; i++)
		(void)snprintf(names + strlen(names), 256 - strlen(names), "%s ",
			       paths.path[i] + strlen(dev) + 1);
	return rc;
}

static void test_devices_that_hold_luks_are_found_in_order(void **state)
{
	char names[256];

	(void)state;
	make_machine();
	make_folder("dev/cciss");
	make_device("sda", NULL);
	make_device("sda10", "10");
	make_device("sda2", "2");
	make_device("loop0", "0");
	make_device("cciss!c0d0", "1");
	make_folder("sys/class/block/fd0"); /* no node, no medium */
	assert_int_equal(find(names), 0);
	assert_string_equal(names, "cciss/c0d0 loop0 sda2 sda10 ");
}

static void test_device_with_a_holder_is_left_out(void **state)
{
	char names[256];

	(void)state;
	make_machine();
	make_device("sda", UUID);
	make_device("sdb", OTHER_UUID);
	make_folder("sys/class/block/sda/holders/md0");
	assert_int_equal(find(names), 0);
	assert_string_equal(names, "sdb ");
}

static void test_device_whose_uuid_is_mapped_is_left_out(void **state)
{
	static const struct {
		const char *uuid; /* of the mapped device */
		const char *found;
	} rows[] = {
		{"CRYPT-LUKS2-" DIGITS_OF_UUID "-data\n", "sdb "},
		{"CRYPT-LUKS1-" DIGITS_OF_UUID "-data\n", "sdb "},
		{"CRYPT-PLAIN-" DIGITS_OF_UUID "-data\n", "sda sdb "},
		{"LVM-" DIGITS_OF_UUID "\n", "sda sdb "},
		{"CRYPT-LUKS2-0123\n", "sda sdb "},
		{"", "sda sdb "},
	};
	char names[256];

	(void)state;
	make_machine();
	make_device("sda", UUID);
	make_device("sdb", OTHER_UUID);
	make_device("dm-0", NULL);
	make_folder("sys/class/block/dm-0/dm");
	for (size_t i = 0; i < COUNT(rows); i++) {
		write_file("sys/class/block/dm-0/dm/uuid", rows[i].uuid, strlen(rows[i].uuid));
		assert_int_equal(find(names), 0);
		unit_check(strcmp(names, rows[i].found) == 0, rows[i].uuid);
	}
}

static void test_device_that_may_not_be_read_is_told_of(void **state)
{
	char path[160];
	char names[256];

	(void)state;
	if (geteuid() == 0)
		unit_skip("root may read all");
	make_machine();
	make_device("sda", UUID);
	(void)snprintf(path, sizeof(path), "%s/dev/sda", folder.path);
	assert_int_equal(chmod(path, 0), 0);
	assert_int_equal(find(names), -EACCES);
	assert_non_null(strstr(err.text, path));
}

static void test_machine_without_a_list_is_told_of(void **state)
{
	char names[256];

	(void)state;
	assert_int_equal(find(names), -ENOENT);
	assert_non_null(strstr(err.text, "/sys/class/block"));
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(int argc, char *argv[])
{
	static const struct CMUnitTest tests[] = {
		CASE(test_devices_that_hold_luks_are_found_in_order),
		CASE(test_device_with_a_holder_is_left_out),
		CASE(test_device_whose_uuid_is_mapped_is_left_out),
		CASE(test_device_that_may_not_be_read_is_told_of),
		CASE(test_machine_without_a_list_is_told_of),
	};

	unit_begin(argc, argv);
	return cmocka_run_group_tests_name("luks/find", tests, NULL, NULL);
}
