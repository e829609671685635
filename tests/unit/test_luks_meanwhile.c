/* SPDX-License-Identifier: Apache-2.0 */
/*
 * luks/ when somebody else writes the header while we seal: what happens meanwhile is done by the question about trust, which comes
 * between the first look at the header and the first write.
 */
#include "server.h"
#include "unit.h"

#include "luks/cryptsetup.h"
#include "luks/luks.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { IMAGE_SIZE = 18 * 1024 * 1024, ITERATIONS = 1000, HEADER_SIZE = 1024 * 1024 };

static const char passphrase_text[] = "a person's own";

static struct folder folder;
static char image[128];
static struct server server;
static json_t *config;
static struct secret key; /* of the image that make_disk() formats */
static struct luks_device *device;
static struct error err;

static const struct crypt_pbkdf_type pbkdf = {.type = CRYPT_KDF_PBKDF2,
					      .hash = "sha256",
					      .iterations = ITERATIONS,
					      .flags = CRYPT_PBKDF_NO_BENCHMARK};

static struct crypt_device *load(void)
{
	struct crypt_device *cd = NULL;

	assert_int_equal(crypt_init(&cd, image), 0);
	assert_int_equal(crypt_load(cd, CRYPT_LUKS2, NULL), 0);
	assert_int_equal(crypt_set_pbkdf_type(cd, &pbkdf), 0);
	return cd;
}

static void format(void)
{
	struct crypt_params_luks2 params = {.pbkdf = &pbkdf, .sector_size = 512};
	struct crypt_device *cd = NULL;

	crypt_set_log_callback(NULL, NULL, NULL);
	assert_int_equal(crypt_init(&cd, image), 0);
	assert_int_equal(
		crypt_format(cd, CRYPT_LUKS2, "aes", "xts-plain64", NULL, NULL, 64, &params), 0);
	assert_int_equal(crypt_keyslot_add_by_volume_key(cd, 0, NULL, 0, passphrase_text,
							 strlen(passphrase_text)),
			 0);
	crypt_free(cd);
}

static int no_question(void *arg, const char *const *thumbprints, size_t count, struct error *why)
{
	(void)arg;
	(void)thumbprints;
	(void)count;
	(void)why;
	return 0;
}

typedef int (*meanwhile)(void *, const char *const *, size_t, struct error *);

static int bind_tang(meanwhile happens, int keyslot, int token)
{
	struct pin_context context = {
		.deadline = deadline_in_ms(10000), .ask = happens, .err = &err};
	const struct luks_bind wanted = {"tang", config, &key, keyslot, token, false};
	struct error unproved = {0};

	err = (struct error){0};
	return luks_bind(device, &context, &wanted, &unproved);
}

/* Of keyslot 1. */
static int rebind(meanwhile happens)
{
	struct pin_context context = {
		.deadline = deadline_in_ms(10000), .ask = happens, .err = &err};
	const struct luks_rebind wanted = {1, "tang", config, &key, false};
	struct error unproved = {0};

	err = (struct error){0};
	return luks_rebind(device, &context, &wanted, &unproved);
}

static int make_disk(void **state)
{
	SECRET_AUTO struct secret passphrase = {0};
	char keys[128];
	int fd;

	(void)state;
	folder_make(&folder);
	(void)snprintf(image, sizeof(image), "%s/disk", folder.path);
	(void)snprintf(keys, sizeof(keys), "%s/keys", folder.path);
	assert_int_equal(mkdir(keys, 0700), 0);
	server_start_tang(&server, keys);
	config = json_pack("{s:s}", "url", server.url);
	fd = open(image, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	assert_true(fd >= 0 && ftruncate(fd, IMAGE_SIZE) == 0 && close(fd) == 0);
	format();
	assert_int_equal(secret_copy(&passphrase, passphrase_text, strlen(passphrase_text), NULL),
			 0);
	assert_int_equal(luks_open(image, &device, &err), 0);
	assert_int_equal(luks_volume_key(device, -1, &passphrase, &key, &err), 0);
	assert_int_equal(bind_tang(no_question, 1, 0), 1);
	return 0;
}

static int remove_disk(void **state)
{
	(void)state;
	luks_close(&device);
	secret_free(&key);
	server_stop(&server);
	json_decref(config);
	folder_remove(&folder);
	return 0;
}

static void read_header(unsigned char header[static HEADER_SIZE])
{
	int fd = open(image, O_RDONLY | O_CLOEXEC);

	assert_true(fd >= 0 && read(fd, header, HEADER_SIZE) == HEADER_SIZE && close(fd) == 0);
}

static unsigned char header_then[HEADER_SIZE];

static void check_header_is_as_then(void)
{
	static unsigned char now[HEADER_SIZE];

	read_header(now);
	assert_memory_equal(now, header_then, HEADER_SIZE);
}

/* Formatted anew the header's number begins again: to libcryptsetup it is older than the one it remembers. */
static int format_meanwhile(void *arg, const char *const *thumbprints, size_t count,
			    struct error *why)
{
	format();
	read_header(header_then);
	return no_question(arg, thumbprints, count, why);
}

static void test_bind_does_not_write_to_a_device_that_was_formatted_meanwhile(void **state)
{
	(void)state;
	assert_int_equal(bind_tang(format_meanwhile, -1, -1), -ESTALE);
	assert_non_null(strstr(err.text, "it was formatted anew meanwhile"));
	check_header_is_as_then();
}

static void test_rebind_does_not_write_to_a_device_that_was_formatted_meanwhile(void **state)
{
	(void)state;
	assert_int_equal(rebind(format_meanwhile), -ESTALE);
	check_header_is_as_then();
}

static int take_keyslot_and_token_2(void *arg, const char *const *thumbprints, size_t count,
				    struct error *why)
{
	struct crypt_device *cd = load();

	assert_int_equal(crypt_keyslot_add_by_volume_key(cd, 2, (const char *)key.data, key.size,
							 "other", 5),
			 2);
	assert_int_equal(crypt_token_json_set(cd, 2, "{\"type\":\"other\",\"keyslots\":[\"2\"]}"),
			 2);
	crypt_free(cd);
	read_header(header_then);
	return no_question(arg, thumbprints, count, why);
}

static void test_bind_takes_what_is_still_free(void **state)
{
	(void)state;
	assert_int_equal(bind_tang(take_keyslot_and_token_2, -1, -1), 3);
}

static void test_bind_does_not_take_what_somebody_has_taken_meanwhile(void **state)
{
	(void)state;
	assert_int_equal(bind_tang(take_keyslot_and_token_2, 2, -1), -EEXIST);
	check_header_is_as_then();
}

static void test_bind_does_not_take_a_token_that_somebody_has_written_meanwhile(void **state)
{
	(void)state;
	assert_int_equal(bind_tang(take_keyslot_and_token_2, -1, 2), -EEXIST);
	check_header_is_as_then();
}

static int change_binding(void *arg, const char *const *thumbprints, size_t count,
			  struct error *why)
{
	struct crypt_device *cd = load();

	assert_int_equal(crypt_token_json_set(
				 cd, 0, "{\"type\":\"clevis\",\"keyslots\":[\"1\"],\"jwe\":{}}"),
			 0);
	crypt_free(cd);
	read_header(header_then);
	return no_question(arg, thumbprints, count, why);
}

static void test_rebind_does_not_replace_a_binding_that_was_changed_meanwhile(void **state)
{
	(void)state;
	assert_int_equal(rebind(change_binding), -ESTALE);
	assert_non_null(strstr(err.text, "the binding in keyslot 1 was changed meanwhile"));
	check_header_is_as_then();
}

int main(int argc, char *argv[])
{
#define WITH_DISK(test) cmocka_unit_test_setup_teardown(test, make_disk, remove_disk)
	static const struct CMUnitTest tests[] = {
		WITH_DISK(test_bind_does_not_write_to_a_device_that_was_formatted_meanwhile),
		WITH_DISK(test_rebind_does_not_write_to_a_device_that_was_formatted_meanwhile),
		WITH_DISK(test_bind_takes_what_is_still_free),
		WITH_DISK(test_bind_does_not_take_what_somebody_has_taken_meanwhile),
		WITH_DISK(test_bind_does_not_take_a_token_that_somebody_has_written_meanwhile),
		WITH_DISK(test_rebind_does_not_replace_a_binding_that_was_changed_meanwhile),
	};

	unit_begin(argc, argv);
	if (cryptsetup_load(NULL) < 0)
		return EXIT_FAILURE;
	return cmocka_run_group_tests_name("luks, others at work", tests, NULL, NULL);
}
