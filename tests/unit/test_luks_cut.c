/* SPDX-License-Identifier: Apache-2.0 */
/*
 * luks/: commands that are cut short before each of their writes to the header. The header must load, the person's passphrase must
 * open, a binding must open by itself if one did before; and one more run of the command must leave nothing stray.
 */
#include "keyfile.h"
#include "unit.h"

#include "base/file.h"
#include "luks/cryptsetup.h"
#include "luks/luks.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum { IMAGE_SIZE = 3 * 1024 * 1024, KEYSLOT_AREA = 2 * 1024 * 1024, METADATA = 16 * 1024 };
enum { ITERATIONS = 1000, CUT = 77, MOST_WRITES = 40 };

static const char passphrase_text[] = "a person's own";

/* Before which write the process ends; 0: none. Counts down. */
static int cut_at;

static void count_down(void)
{
	if (cut_at > 0 && --cut_at == 0)
		_exit(CUT);
}

/* NOLINTBEGIN(*-reserved-identifier,cert-dcl*,readability-identifier-naming): the names of the linker's --wrap */
int __real_crypt_token_json_set(struct crypt_device *cd, int token, const char *json);
int __wrap_crypt_token_json_set(struct crypt_device *cd, int token, const char *json);
int __real_crypt_keyslot_add_by_volume_key(struct crypt_device *cd, int keyslot, const char *key,
					   size_t key_size, const char *pass, size_t pass_size);
int __wrap_crypt_keyslot_add_by_volume_key(struct crypt_device *cd, int keyslot, const char *key,
					   size_t key_size, const char *pass, size_t pass_size);
int __real_crypt_keyslot_set_priority(struct crypt_device *cd, int keyslot,
				      crypt_keyslot_priority priority);
int __wrap_crypt_keyslot_set_priority(struct crypt_device *cd, int keyslot,
				      crypt_keyslot_priority priority);
int __real_crypt_keyslot_destroy(struct crypt_device *cd, int keyslot);
int __wrap_crypt_keyslot_destroy(struct crypt_device *cd, int keyslot);

int __wrap_crypt_token_json_set(struct crypt_device *cd, int token, const char *json)
{
	count_down();
	return __real_crypt_token_json_set(cd, token, json);
}

int __wrap_crypt_keyslot_add_by_volume_key(struct crypt_device *cd, int keyslot, const char *key,
					   size_t key_size, const char *pass, size_t pass_size)
{
	count_down();
	return __real_crypt_keyslot_add_by_volume_key(cd, keyslot, key, key_size, pass, pass_size);
}

int __wrap_crypt_keyslot_set_priority(struct crypt_device *cd, int keyslot,
				      crypt_keyslot_priority priority)
{
	count_down();
	return __real_crypt_keyslot_set_priority(cd, keyslot, priority);
}

int __wrap_crypt_keyslot_destroy(struct crypt_device *cd, int keyslot)
{
	count_down();
	return __real_crypt_keyslot_destroy(cd, keyslot);
}
/* NOLINTEND(*-reserved-identifier,cert-dcl*,readability-identifier-naming) */

static struct folder folder;
static char image[128];
static char kept[128];
static struct secret passphrase;

static const struct crypt_pbkdf_type cheap = {.type = CRYPT_KDF_PBKDF2,
					      .hash = "sha256",
					      .iterations = ITERATIONS,
					      .flags = CRYPT_PBKDF_NO_BENCHMARK};

static void say_nothing(int level, const char *text, void *arg)
{
	(void)level;
	(void)text;
	(void)arg;
}

static void format_image(void)
{
	struct crypt_params_luks2 params = {.pbkdf = &cheap, .sector_size = 512};
	struct crypt_device *cd = NULL;
	int fd = open(image, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, IMAGE_SIZE), 0);
	(void)close(fd);
	crypt_set_log_callback(NULL, say_nothing, NULL);
	assert_int_equal(crypt_init(&cd, image), 0);
	assert_int_equal(crypt_set_metadata_size(cd, METADATA, KEYSLOT_AREA), 0);
	assert_int_equal(
		crypt_format(cd, CRYPT_LUKS2, "aes", "xts-plain64", NULL, NULL, 64, &params), 0);
	assert_int_equal(__real_crypt_keyslot_add_by_volume_key(cd, 0, NULL, 0, passphrase_text,
								strlen(passphrase_text)),
			 0);
	crypt_free(cd);
}

static void copy_file(const char *from, const char *to)
{
	FD_AUTO int in = open(from, O_RDONLY | O_CLOEXEC);
	FD_AUTO int out = open(to, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	assert_int_equal(sendfile(out, in, NULL, IMAGE_SIZE), IMAGE_SIZE);
}

static struct luks_device *open_image(void)
{
	struct luks_device *device = NULL;
	struct error err = {0};

	if (luks_open(image, &device, &err) < 0)
		fail_msg("%s", err.text);
	return device;
}

/* What a command does; the same in the process that is cut short and in the one that runs after it. Returns its result. */
typedef int (*command)(struct luks_device *device, struct pin_context *context,
		       const struct secret *key);

static int bind_once(struct luks_device *device, struct pin_context *context,
		     const struct secret *key)
{
	JSON_AUTO json_t *config = json_object();
	struct luks_bind wanted = {"null", config, key, -1, -1};
	struct error unproved = {0};

	return luks_bind(device, context, &wanted, &unproved);
}

static int rebind_once(struct luks_device *device, struct pin_context *context,
		       const struct secret *key)
{
	JSON_AUTO json_t *config = json_of("{'t':1,'pins':{'null':[{},{}]}}");
	struct luks_rebind wanted = {1, "sss", config, key, false};
	struct error unproved = {0};

	return luks_rebind(device, context, &wanted, &unproved);
}

static int unbind_once(struct luks_device *device, struct pin_context *context,
		       const struct secret *key)
{
	(void)key;
	return luks_unbind(device, 1, context->deadline, context->err);
}

static int run(command what)
{
	struct error err = {0};
	struct pin_context context = {
		.deadline = deadline_in_ms(20000), .trust = PIN_TRUST_YES, .err = &err};
	SECRET_AUTO struct secret own = {0}; /* a child process finds zeros in the parent's */
	SECRET_AUTO struct secret key = {0};
	struct luks_device *device = NULL;
	int rc = secret_copy(&own, passphrase_text, strlen(passphrase_text), &err);

	if (rc == 0)
		rc = luks_open(image, &device, &err);
	if (rc == 0)
		rc = luks_volume_key(device, -1, &own, &key, &err);
	if (rc >= 0)
		rc = what(device, &context, &key);
	luks_close(&device);
	if (rc < 0)
		(void)fprintf(stderr, "# %s\n", err.text);
	return rc;
}

/* Runs it in a child that ends before its `nth` write. Returns whether there was such a write. */
static bool run_cut(command what, int nth)
{
	int status = 0;
	pid_t child = fork();

	if (child == 0) {
		cut_at = nth;
		_exit(run(what) < 0 ? EXIT_FAILURE : EXIT_SUCCESS);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) != EXIT_FAILURE);
	return WEXITSTATUS(status) == CUT;
}

/* How many bindings give a passphrase that opens their keyslot. */
static size_t count_opening(void)
{
	LUKS_BINDINGS_AUTO struct luks_bindings all = {0};
	struct luks_device *device = open_image();
	struct error err = {0};
	size_t count = 0;

	assert_int_equal(luks_list(device, &all, &err), 0);
	for (size_t i = 0; i < all.count; i++) {
		struct pin_context context = {.deadline = deadline_in_ms(5000), .err = &err};
		SECRET_AUTO struct secret recovered = {0};

		if (luks_recover(&all.binding[i], &context, &recovered) == 0 &&
		    luks_test_passphrase(device, all.binding[i].keyslot, &recovered, NULL) >= 0)
			count++;
	}
	luks_close(&device);
	return count;
}

static void check_person(void)
{
	struct luks_device *device = open_image();

	assert_int_equal(luks_test_passphrase(device, 0, &passphrase, NULL), 0);
	luks_close(&device);
}

/* Keyslots and tokens in use, and no mark on any of them. */
static void check_clean(size_t keyslots, size_t tokens)
{
	struct crypt_device *cd = NULL;
	const char *dump = NULL;
	JSON_AUTO json_t *json = NULL;

	assert_int_equal(crypt_init(&cd, image), 0);
	assert_int_equal(crypt_load(cd, CRYPT_LUKS2, NULL), 0);
	assert_int_equal(crypt_dump_json(cd, &dump, 0), 0);
	json = json_loads(dump, 0, NULL);
	assert_null(strstr(dump, "nbde"));
	assert_int_equal(json_object_size(json_at(json, "keyslots")), keyslots);
	assert_int_equal(json_object_size(json_at(json, "tokens")), tokens);
	crypt_free(cd);
}

/* Cuts the command before each write. Returns before how many. */
static int cut_everywhere(command what, size_t least_opening, size_t keyslots, size_t tokens)
{
	int nth = 1;

	copy_file(image, kept);
	for (; nth < MOST_WRITES; nth++) {
		bool cut;

		copy_file(kept, image);
		cut = run_cut(what, nth);
		check_person();
		assert_true(count_opening() >= least_opening);
		if (!cut)
			break;
		assert_true(run(what) >= 0 || what == unbind_once);
		check_person();
		assert_true(count_opening() >= least_opening);
		check_clean(keyslots, tokens);
	}
	assert_true(nth < MOST_WRITES);
	return nth - 1;
}

static int make_disk(void **state)
{
	(void)state;
	cut_at = 0;
	folder_make(&folder);
	(void)snprintf(image, sizeof(image), "%s/disk", folder.path);
	(void)snprintf(kept, sizeof(kept), "%s/kept", folder.path);
	assert_int_equal(secret_copy(&passphrase, passphrase_text, strlen(passphrase_text), NULL),
			 0);
	format_image();
	return 0;
}

static int remove_disk(void **state)
{
	(void)state;
	secret_free(&passphrase);
	folder_remove(&folder);
	return 0;
}

static void test_bind_cut_short_leaves_nothing_that_the_next_one_does_not_remove(void **state)
{
	(void)state;
	assert_int_equal(cut_everywhere(bind_once, 0, 2, 1), 4);
}

static void test_bind_beside_another_binding_never_loses_it(void **state)
{
	(void)state;
	assert_int_equal(run(bind_once), 1);
	assert_int_equal(cut_everywhere(bind_once, 1, 3, 2), 4);
}

static void test_rebind_cut_short_always_opens_and_is_finished_by_the_next_one(void **state)
{
	(void)state;
	assert_int_equal(run(bind_once), 1);
	assert_int_equal(cut_everywhere(rebind_once, 1, 2, 1), 11);
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
	assert_int_equal(run(bind_once), 1);
	device = open_image();
	assert_int_equal(luks_find(device, 1, &before, &err), 0);
	assert_int_equal(luks_recover(&before, &context, &old), 0);
	luks_close(&device);
	assert_int_equal(run(rebind_once), 0);
	check_clean(2, 1);
	assert_int_equal(count_opening(), 1);
	device = open_image();
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
	assert_int_equal(run(bind_once), 1);
	assert_int_equal(crypt_init(&cd, image), 0);
	assert_int_equal(crypt_load(cd, CRYPT_LUKS2, NULL), 0);
	assert_int_equal(crypt_set_pbkdf_type(cd, &cheap), 0);
	while (crypt_keyslot_add_by_passphrase(cd, CRYPT_ANY_SLOT, passphrase_text,
					       strlen(passphrase_text), "x", 1) >= 0)
		keyslots++;
	crypt_free(cd);
	check_clean(keyslots, 1);
	assert_int_equal(run(rebind_once), LUKS_REWRAPPED);
	check_clean(keyslots, 1);
	assert_int_equal(count_opening(), 1);
	assert_int_equal(cut_everywhere(rebind_once, 1, keyslots, 1), 1);
}

static void test_rebind_that_fails_changes_nothing(void **state)
{
	LUKS_BINDING_AUTO struct luks_binding before = {0};
	LUKS_BINDING_AUTO struct luks_binding after = {0};
	JSON_AUTO json_t *failing = json_of("{'fail':true}");
	SECRET_AUTO struct secret key = {0};
	struct error err = {0};
	struct error unproved = {0};
	struct pin_context context = {
		.deadline = deadline_in_ms(5000), .trust = PIN_TRUST_YES, .err = &err};
	struct luks_rebind wanted = {1, "null", failing, &key, false};
	struct luks_device *device;

	(void)state;
	assert_int_equal(run(bind_once), 1);
	device = open_image();
	assert_int_equal(luks_find(device, 1, &before, &err), 0);
	assert_true(luks_volume_key(device, -1, &passphrase, &key, &err) >= 0);
	assert_true(luks_rebind(device, &context, &wanted, &unproved) < 0);
	assert_int_equal(luks_find(device, 1, &after, &err), 0);
	assert_true(json_equal(before.jwe, after.jwe));
	wanted.keyslot = 0; /* the person's: no binding */
	assert_int_equal(luks_rebind(device, &context, &wanted, &unproved), -ENOENT);
	luks_close(&device);
	check_clean(2, 1);
	assert_int_equal(count_opening(), 1);
}

static void test_unbind_cut_short_leaves_no_keyslot_that_nobody_knows(void **state)
{
	(void)state;
	assert_int_equal(run(bind_once), 1);
	copy_file(image, kept);
	for (int nth = 1; nth < MOST_WRITES && run_cut(unbind_once, nth); nth++) {
		check_person();
		/* what is left of it the next binding removes */
		(void)run(unbind_once);
		assert_int_equal(run(bind_once), 1);
		check_clean(2, 1);
		copy_file(kept, image);
	}
}

/* A keyslot that the mark of an interrupted bind names, but that somebody else has taken since, is not ours to touch. */
static void test_keyslot_of_somebody_else_is_never_removed(void **state)
{
	struct crypt_device *cd = NULL;

	(void)state;
	assert_true(run_cut(bind_once, 2)); /* the token is there, the keyslot is not */
	assert_int_equal(crypt_init(&cd, image), 0);
	assert_int_equal(crypt_load(cd, CRYPT_LUKS2, NULL), 0);
	assert_int_equal(crypt_set_pbkdf_type(cd, &cheap), 0);
	assert_int_equal(crypt_keyslot_add_by_passphrase(cd, 1, passphrase_text,
							 strlen(passphrase_text), "second person",
							 strlen("second person")),
			 1);
	crypt_free(cd);
	assert_int_equal(run(bind_once), 2);
	assert_int_equal(crypt_init(&cd, image), 0);
	assert_int_equal(crypt_load(cd, CRYPT_LUKS2, NULL), 0);
	assert_int_equal(crypt_activate_by_passphrase(cd, NULL, 1, "second person",
						      strlen("second person"), 0),
			 1);
	crypt_free(cd);
	check_clean(3, 1);
}

/* Marks come from the header, which damage or somebody may have changed. */
static void test_binding_that_says_it_replaces_itself_is_not_lost(void **state)
{
	struct crypt_device *cd = NULL;
	const char *text = NULL;
	json_t *token;
	char *marked;

	(void)state;
	assert_int_equal(run(bind_once), 1);
	assert_int_equal(crypt_init(&cd, image), 0);
	assert_int_equal(crypt_load(cd, CRYPT_LUKS2, NULL), 0);
	assert_int_equal(crypt_token_json_get(cd, 0, &text), 0);
	token = json_loads(text, 0, NULL);
	assert_int_equal(json_object_set_new(token, "nbde", json_pack("{s:i}", "replaces", 1)), 0);
	marked = json_dumps(token, JSON_COMPACT);
	assert_int_equal(__real_crypt_token_json_set(cd, 0, marked), 0);
	crypt_free(cd);
	free(marked);
	json_decref(token);
	assert_int_equal(run(rebind_once), 0);
	check_clean(2, 1);
	assert_int_equal(count_opening(), 1);
}

#define CASE(test) cmocka_unit_test_setup_teardown(test, make_disk, remove_disk)

int main(int argc, char *argv[])
{
	static const struct CMUnitTest tests[] = {
		CASE(test_bind_cut_short_leaves_nothing_that_the_next_one_does_not_remove),
		CASE(test_bind_beside_another_binding_never_loses_it),
		CASE(test_rebind_cut_short_always_opens_and_is_finished_by_the_next_one),
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
