/* SPDX-License-Identifier: Apache-2.0 */
#include "cut.h"

#include "base/json.h"

#include "base/file.h"
#include "luks/luks1.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum { IMAGE_SIZE = 3 * 1024 * 1024, KEYSLOT_AREA = 2 * 1024 * 1024, METADATA = 16 * 1024 };
enum { ITERATIONS = 1000, CUT = 77 };

const char cut_passphrase[] = "a person's own";

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
int __real_metadata_write(struct luks_device *device, int slot, enum metadata_kind kind,
			  const char *text, struct error *err);
int __wrap_metadata_write(struct luks_device *device, int slot, enum metadata_kind kind,
			  const char *text, struct error *err);
int __real_metadata_wipe(struct luks_device *device, int slot, struct error *err);
int __wrap_metadata_wipe(struct luks_device *device, int slot, struct error *err);
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

int __wrap_metadata_write(struct luks_device *device, int slot, enum metadata_kind kind,
			  const char *text, struct error *err)
{
	count_down();
	return __real_metadata_write(device, slot, kind, text, err);
}

int __wrap_metadata_wipe(struct luks_device *device, int slot, struct error *err)
{
	METADATA_AUTO struct metadata found = {0};

	/* Wiping an empty slot writes nothing. */
	if (metadata_read(device, slot, &found, NULL) == 0 && found.kind != METADATA_NONE)
		count_down();
	return __real_metadata_wipe(device, slot, err);
}
/* NOLINTEND(*-reserved-identifier,cert-dcl*,readability-identifier-naming) */

static struct folder folder;
char cut_image[128];
static char kept[128];
static struct secret passphrase;

const struct crypt_pbkdf_type cut_cheap = {.type = CRYPT_KDF_PBKDF2,
					   .hash = "sha256",
					   .iterations = ITERATIONS,
					   .flags = CRYPT_PBKDF_NO_BENCHMARK};

static void say_nothing(int level, const char *text, void *arg)
{
	(void)level;
	(void)text;
	(void)arg;
}

static void format_image(const char *type)
{
	struct crypt_params_luks1 luks1 = {.hash = "sha256"};
	struct crypt_params_luks2 luks2 = {.pbkdf = &cut_cheap, .sector_size = 512};
	bool is_luks1 = strcmp(type, CRYPT_LUKS1) == 0;
	struct crypt_device *cd = NULL;
	int fd = open(cut_image, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, IMAGE_SIZE), 0);
	(void)close(fd);
	crypt_set_log_callback(NULL, say_nothing, NULL);
	assert_int_equal(crypt_init(&cd, cut_image), 0);
	if (!is_luks1)
		assert_int_equal(crypt_set_metadata_size(cd, METADATA, KEYSLOT_AREA), 0);
	assert_int_equal(crypt_set_pbkdf_type(cd, &cut_cheap), 0);
	assert_int_equal(crypt_format(cd, type, "aes", "xts-plain64", NULL, NULL, 64,
				      is_luks1 ? (void *)&luks1 : (void *)&luks2),
			 0);
	assert_int_equal(__real_crypt_keyslot_add_by_volume_key(cd, 0, NULL, 0, cut_passphrase,
								strlen(cut_passphrase)),
			 0);
	crypt_free(cd);
}

void cut_make(const char *type)
{
	cut_at = 0;
	folder_make(&folder);
	(void)snprintf(cut_image, sizeof(cut_image), "%s/disk", folder.path);
	(void)snprintf(kept, sizeof(kept), "%s/kept", folder.path);
	assert_int_equal(secret_copy(&passphrase, cut_passphrase, strlen(cut_passphrase), NULL), 0);
	format_image(type);
}

void cut_remove(void)
{
	secret_free(&passphrase);
	folder_remove(&folder);
}

static void copy_file(const char *from, const char *to)
{
	FD_AUTO int in = open(from, O_RDONLY | O_CLOEXEC);
	FD_AUTO int out = open(to, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	assert_int_equal(sendfile(out, in, NULL, IMAGE_SIZE), IMAGE_SIZE);
}

void cut_keep(void)
{
	copy_file(cut_image, kept);
}

void cut_restore(void)
{
	copy_file(kept, cut_image);
}

struct luks_device *cut_open(void)
{
	struct luks_device *device = NULL;
	struct error err = {0};

	if (luks_open(cut_image, &device, &err) < 0)
		fail_msg("%s", err.text);
	return device;
}

int cut_bind(struct luks_device *device, struct pin_context *context, const struct secret *key)
{
	JSON_AUTO json_t *config = json_object();
	struct luks_bind wanted = {.pin = "null",
				   .config = config,
				   .volume_key = key,
				   .keyslot = -1,
				   .token = -1,
				   .initialise = true};
	struct error unproved = {0};

	return luks_bind(device, context, &wanted, &unproved);
}

int cut_rebind(struct luks_device *device, struct pin_context *context, const struct secret *key)
{
	JSON_AUTO json_t *config = json_of("{'t':1,'pins':{'null':[{},{}]}}");
	struct luks_rebind wanted = {1, "sss", config, key, false};
	struct error unproved = {0};

	return luks_rebind(device, context, &wanted, &unproved);
}

int cut_unbind(struct luks_device *device, struct pin_context *context, const struct secret *key)
{
	(void)key;
	return luks_unbind(device, 1, context->deadline, context->err);
}

int cut_run(cut_command what)
{
	struct error err = {0};
	struct pin_context context = {
		.deadline = deadline_in_ms(20000), .trust = PIN_TRUST_YES, .err = &err};
	SECRET_AUTO struct secret own = {0}; /* a child process finds zeros in the parent's */
	SECRET_AUTO struct secret key = {0};
	struct luks_device *device = NULL;
	int rc = secret_copy(&own, cut_passphrase, strlen(cut_passphrase), &err);

	if (rc == 0)
		rc = luks_open(cut_image, &device, &err);
	if (rc == 0)
		rc = luks_volume_key(device, -1, &own, &key, &err);
	if (rc >= 0)
		rc = what(device, &context, &key);
	luks_close(&device);
	if (rc < 0)
		(void)fprintf(stderr, "# %s\n", err.text);
	return rc;
}

bool cut_run_short(cut_command what, int nth)
{
	int status = 0;
	pid_t child = fork();

	if (child == 0) {
		cut_at = nth;
		_exit(cut_run(what) < 0 ? EXIT_FAILURE : EXIT_SUCCESS);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) != EXIT_FAILURE);
	return WEXITSTATUS(status) == CUT;
}

size_t cut_count_opening(void)
{
	LUKS_BINDINGS_AUTO struct luks_bindings all = {0};
	struct luks_device *device = cut_open();
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

void cut_check_person(void)
{
	struct luks_device *device = cut_open();

	assert_int_equal(luks_test_passphrase(device, 0, &passphrase, NULL), 0);
	luks_close(&device);
}

static void check_luks2(struct crypt_device *cd, size_t keyslots, size_t bindings)
{
	const char *dump = NULL;
	JSON_AUTO json_t *json = NULL;

	assert_int_equal(crypt_dump_json(cd, &dump, 0), 0);
	json = json_loads(dump, 0, NULL);
	assert_null(strstr(dump, "nbde"));
	assert_int_equal(json_object_size(json_at(json, "keyslots")), keyslots);
	assert_int_equal(json_object_size(json_at(json, "tokens")), bindings);
}

static void check_luks1(size_t keyslots, size_t bindings)
{
	struct luks_device *device = cut_open();

	for (int slot = 0; slot < 8; slot++) {
		METADATA_AUTO struct metadata found = {0};

		assert_int_equal(metadata_read(device, slot, &found, NULL), 0);
		assert_true(found.kind == METADATA_NONE || found.kind == METADATA_BOUND);
		keyslots -= device_keyslot_in_use(device, slot);
		bindings -= found.kind == METADATA_BOUND;
	}
	assert_int_equal(keyslots, 0);
	assert_int_equal(bindings, 0);
	luks_close(&device);
}

void cut_check_clean(size_t keyslots, size_t bindings)
{
	struct crypt_device *cd = NULL;

	assert_int_equal(crypt_init(&cd, cut_image), 0);
	assert_int_equal(crypt_load(cd, CRYPT_LUKS, NULL), 0);
	if (strcmp(crypt_get_type(cd), CRYPT_LUKS2) == 0)
		check_luks2(cd, keyslots, bindings);
	else
		check_luks1(keyslots, bindings);
	crypt_free(cd);
}

int cut_everywhere(cut_command what, size_t least, size_t keyslots, size_t bindings)
{
	int nth = 1;

	cut_keep();
	for (; nth < CUT_MOST_WRITES; nth++) {
		bool cut;

		cut_restore();
		cut = cut_run_short(what, nth);
		cut_check_person();
		assert_true(cut_count_opening() >= least);
		if (!cut)
			break;
		assert_true(cut_run(what) >= 0 || what == cut_unbind);
		cut_check_person();
		assert_true(cut_count_opening() >= least);
		cut_check_clean(keyslots, bindings);
	}
	assert_true(nth < CUT_MOST_WRITES);
	return nth - 1;
}
