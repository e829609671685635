/* SPDX-License-Identifier: Apache-2.0 */
/*
 * luks/ on LUKS1: commands that are cut short before each of their writes to header and luksmeta. The person's passphrase must open, a
 * binding must open by itself if one did before; and one more run of the command must leave nothing stray.
 */
#include "cut.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static int make_disk(void **state)
{
	(void)state;
	cut_make(CRYPT_LUKS1);
	return 0;
}

static int remove_disk(void **state)
{
	(void)state;
	cut_remove();
	return 0;
}

static void test_bind_cut_short_leaves_nothing_that_the_next_one_does_not_remove(void **state)
{
	(void)state;
	assert_int_equal(cut_everywhere(cut_bind, 0, 2, 1), 2);
}

static void test_bind_beside_another_binding_never_loses_it(void **state)
{
	(void)state;
	assert_int_equal(cut_run(cut_bind), 1);
	assert_int_equal(cut_everywhere(cut_bind, 1, 3, 2), 2);
}

static void test_rebind_cut_short_always_opens_and_is_finished_by_the_next_one(void **state)
{
	(void)state;
	assert_int_equal(cut_run(cut_bind), 1);
	assert_int_equal(cut_everywhere(cut_rebind, 1, 2, 1), 8);
}

static void test_rebind_cut_short_is_finished_or_taken_back_by_a_bind(void **state)
{
	(void)state;
	assert_int_equal(cut_run(cut_bind), 1);
	cut_keep();
	for (int nth = 1; nth < CUT_MOST_WRITES && cut_run_short(cut_rebind, nth); nth++) {
		assert_true(cut_run(cut_bind) > 0);
		cut_check_person();
		assert_int_equal(cut_count_opening(), 2);
		cut_check_clean(3, 2);
		cut_restore();
	}
}

static void test_unbind_cut_short_leaves_no_keyslot_that_nobody_knows(void **state)
{
	(void)state;
	assert_int_equal(cut_run(cut_bind), 1);
	cut_keep();
	for (int nth = 1; nth < CUT_MOST_WRITES && cut_run_short(cut_unbind, nth); nth++) {
		cut_check_person();
		assert_int_equal(cut_run(cut_unbind), 0);
		cut_check_clean(1, 0);
		cut_restore();
	}
}

/* What has another salt than the mark says is somebody's who has added it since. */
static void test_keyslot_of_somebody_else_is_never_removed(void **state)
{
	struct crypt_device *cd = NULL;

	(void)state;
	assert_int_equal(cut_run(cut_bind), 1);
	assert_true(cut_run_short(cut_rebind, 6)); /* keyslot 1 is gone, and not there again */
	assert_int_equal(crypt_init(&cd, cut_image), 0);
	assert_int_equal(crypt_load(cd, CRYPT_LUKS1, NULL), 0);
	assert_int_equal(crypt_set_pbkdf_type(cd, &cut_cheap), 0);
	assert_int_equal(crypt_keyslot_add_by_passphrase(cd, 1, cut_passphrase,
							 strlen(cut_passphrase), "second person",
							 strlen("second person")),
			 1);
	crypt_free(cd);
	assert_int_equal(cut_run(cut_rebind), -EBUSY);
	assert_true(cut_run(cut_bind) > 0);
	assert_int_equal(crypt_init(&cd, cut_image), 0);
	assert_int_equal(crypt_load(cd, CRYPT_LUKS1, NULL), 0);
	assert_int_equal(crypt_activate_by_passphrase(cd, NULL, 1, "second person",
						      strlen("second person"), 0),
			 1);
	crypt_free(cd);
	assert_true(cut_count_opening() >= 2);
}

#define CASE(test) cmocka_unit_test_setup_teardown(test, make_disk, remove_disk)

int main(int argc, char *argv[])
{
	static const struct CMUnitTest tests[] = {
		CASE(test_bind_cut_short_leaves_nothing_that_the_next_one_does_not_remove),
		CASE(test_bind_beside_another_binding_never_loses_it),
		CASE(test_rebind_cut_short_always_opens_and_is_finished_by_the_next_one),
		CASE(test_rebind_cut_short_is_finished_or_taken_back_by_a_bind),
		CASE(test_unbind_cut_short_leaves_no_keyslot_that_nobody_knows),
		CASE(test_keyslot_of_somebody_else_is_never_removed),
	};

	unit_begin(argc, argv);
	if (cryptsetup_load(NULL) < 0)
		return EXIT_FAILURE;
	return cmocka_run_group_tests_name("luks1_cut", tests, NULL, NULL);
}
