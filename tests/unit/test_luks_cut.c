/* SPDX-License-Identifier: Apache-2.0 */
/*
 * luks/ on LUKS2: commands that are cut short before each of their writes to the header. The header must load, the person's passphrase must
 * open, a binding must open by itself if one did before; and one more run of the command must leave nothing stray.
 */
#include "cut.h"

#include "base/json.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static int make_disk(void **state)
{
	(void)state;
	cut_make(CRYPT_LUKS2);
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
	assert_int_equal(cut_everywhere(cut_bind, 0, 2, 1), 4);
}

static void test_bind_beside_another_binding_never_loses_it(void **state)
{
	(void)state;
	assert_int_equal(cut_run(cut_bind), 1);
	assert_int_equal(cut_everywhere(cut_bind, 1, 3, 2), 4);
}

static void test_rebind_cut_short_always_opens_and_is_finished_by_the_next_one(void **state)
{
	(void)state;
	assert_int_equal(cut_run(cut_bind), 1);
	assert_int_equal(cut_everywhere(cut_rebind, 1, 2, 1), 11);
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

static void test_rebind_keeps_its_keyslot_and_gives_it_another_passphrase(void **state)
{
	LUKS_BINDING_AUTO struct luks_binding before = {0};
	LUKS_BINDING_AUTO struct luks_binding after = {0};
	SECRET_AUTO struct secret old = {0};
	struct error err = {0};
	struct pin_context context = {.deadline = deadline_in_ms(5000), .err = &err};
	struct luks_device *device;

	(void)state;
	assert_int_equal(cut_run(cut_bind), 1);
	device = cut_open();
	assert_int_equal(luks_find(device, 1, &before, &err), 0);
	assert_int_equal(luks_recover(&before, &context, &old), 0);
	luks_close(&device);
	assert_int_equal(cut_run(cut_rebind), 0);
	cut_check_clean(2, 1);
	assert_int_equal(cut_count_opening(), 1);
	device = cut_open();
	assert_int_equal(luks_find(device, 1, &after, &err), 0);
	assert_false(json_equal(before.jwe, after.jwe));
	assert_int_equal(luks_test_passphrase(device, -1, &old, NULL), -EPERM);
	luks_close(&device);
}

/* All keyslots taken: the same passphrase, sealed anew, in one write. */
static void test_rebind_without_a_free_keyslot_seals_the_same_passphrase(void **state)
{
	struct crypt_device *cd = NULL;
	size_t keyslots = 2;

	(void)state;
	assert_int_equal(cut_run(cut_bind), 1);
	assert_int_equal(crypt_init(&cd, cut_image), 0);
	assert_int_equal(crypt_load(cd, CRYPT_LUKS2, NULL), 0);
	assert_int_equal(crypt_set_pbkdf_type(cd, &cut_cheap), 0);
	while (crypt_keyslot_add_by_passphrase(cd, CRYPT_ANY_SLOT, cut_passphrase,
					       strlen(cut_passphrase), "x", 1) >= 0)
		keyslots++;
	crypt_free(cd);
	cut_check_clean(keyslots, 1);
	assert_int_equal(cut_run(cut_rebind), LUKS_REWRAPPED);
	cut_check_clean(keyslots, 1);
	assert_int_equal(cut_count_opening(), 1);
	assert_int_equal(cut_everywhere(cut_rebind, 1, keyslots, 1), 1);
}

static void test_rebind_that_fails_changes_nothing(void **state)
{
	LUKS_BINDING_AUTO struct luks_binding before = {0};
	LUKS_BINDING_AUTO struct luks_binding after = {0};
	JSON_AUTO json_t *failing = json_of("{'fail':true}");
	SECRET_AUTO struct secret person = {0};
	SECRET_AUTO struct secret key = {0};
	struct error err = {0};
	struct error unproved = {0};
	struct pin_context context = {
		.deadline = deadline_in_ms(5000), .trust = PIN_TRUST_YES, .err = &err};
	struct luks_rebind wanted = {1, "null", failing, &key, false};
	struct luks_device *device;

	(void)state;
	assert_int_equal(cut_run(cut_bind), 1);
	device = cut_open();
	assert_int_equal(luks_find(device, 1, &before, &err), 0);
	assert_int_equal(secret_copy(&person, cut_passphrase, strlen(cut_passphrase), &err), 0);
	assert_true(luks_volume_key(device, -1, &person, &key, &err) >= 0);
	assert_true(luks_rebind(device, &context, &wanted, &unproved) < 0);
	assert_int_equal(luks_find(device, 1, &after, &err), 0);
	assert_true(json_equal(before.jwe, after.jwe));
	wanted.keyslot = 0; /* the person's: no binding */
	assert_int_equal(luks_rebind(device, &context, &wanted, &unproved), -ENOENT);
	luks_close(&device);
	cut_check_clean(2, 1);
	assert_int_equal(cut_count_opening(), 1);
}

static void test_unbind_cut_short_leaves_no_keyslot_that_nobody_knows(void **state)
{
	(void)state;
	assert_int_equal(cut_run(cut_bind), 1);
	cut_keep();
	for (int nth = 1; nth < CUT_MOST_WRITES && cut_run_short(cut_unbind, nth); nth++) {
		cut_check_person();
		/* what is left of it the next binding removes */
		(void)cut_run(cut_unbind);
		assert_int_equal(cut_run(cut_bind), 1);
		cut_check_clean(2, 1);
		cut_restore();
	}
}

/* A keyslot that the mark of an interrupted bind names, but that somebody else has taken since, is not ours to touch. */
static void test_keyslot_of_somebody_else_is_never_removed(void **state)
{
	struct crypt_device *cd = NULL;

	(void)state;
	assert_true(cut_run_short(cut_bind, 2)); /* the token is there, the keyslot is not */
	assert_int_equal(crypt_init(&cd, cut_image), 0);
	assert_int_equal(crypt_load(cd, CRYPT_LUKS2, NULL), 0);
	assert_int_equal(crypt_set_pbkdf_type(cd, &cut_cheap), 0);
	assert_int_equal(crypt_keyslot_add_by_passphrase(cd, 1, cut_passphrase,
							 strlen(cut_passphrase), "second person",
							 strlen("second person")),
			 1);
	crypt_free(cd);
	assert_int_equal(cut_run(cut_bind), 2);
	assert_int_equal(crypt_init(&cd, cut_image), 0);
	assert_int_equal(crypt_load(cd, CRYPT_LUKS2, NULL), 0);
	assert_int_equal(crypt_activate_by_passphrase(cd, NULL, 1, "second person",
						      strlen("second person"), 0),
			 1);
	crypt_free(cd);
	cut_check_clean(3, 1);
}

/* Marks come from the header, which damage or somebody may have changed. */
static void test_binding_that_says_it_replaces_itself_is_not_lost(void **state)
{
	struct crypt_device *cd = NULL;
	const char *text = NULL;
	json_t *token;
	char *marked;

	(void)state;
	assert_int_equal(cut_run(cut_bind), 1);
	assert_int_equal(crypt_init(&cd, cut_image), 0);
	assert_int_equal(crypt_load(cd, CRYPT_LUKS2, NULL), 0);
	assert_int_equal(crypt_token_json_get(cd, 0, &text), 0);
	token = json_loads(text, 0, NULL);
	assert_int_equal(json_object_set_new(token, "nbde", json_pack("{s:i}", "replaces", 1)), 0);
	marked = json_dumps(token, JSON_COMPACT);
	assert_int_equal(crypt_token_json_set(cd, 0, marked), 0);
	crypt_free(cd);
	free(marked);
	json_decref(token);
	assert_int_equal(cut_run(cut_rebind), 0);
	cut_check_clean(2, 1);
	assert_int_equal(cut_count_opening(), 1);
}

#define CASE(test) cmocka_unit_test_setup_teardown(test, make_disk, remove_disk)

int main(int argc, char *argv[])
{
	static const struct CMUnitTest tests[] = {
		CASE(test_bind_cut_short_leaves_nothing_that_the_next_one_does_not_remove),
		CASE(test_bind_beside_another_binding_never_loses_it),
		CASE(test_rebind_cut_short_always_opens_and_is_finished_by_the_next_one),
		CASE(test_rebind_cut_short_is_finished_or_taken_back_by_a_bind),
		CASE(test_rebind_keeps_its_keyslot_and_gives_it_another_passphrase),
		CASE(test_rebind_without_a_free_keyslot_seals_the_same_passphrase),
		CASE(test_rebind_that_fails_changes_nothing),
		CASE(test_unbind_cut_short_leaves_no_keyslot_that_nobody_knows),
		CASE(test_keyslot_of_somebody_else_is_never_removed),
		CASE(test_binding_that_says_it_replaces_itself_is_not_lost),
	};

	unit_begin(argc, argv);
	if (cryptsetup_load(NULL) < 0)
		return EXIT_FAILURE;
	return cmocka_run_group_tests_name("luks_cut", tests, NULL, NULL);
}
