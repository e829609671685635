/* SPDX-License-Identifier: Apache-2.0 */
/*
 * luks/ on an image file, formatted here through libcryptsetup: what bind writes, that it writes nothing when it cannot
 * finish, and that it undoes what it wrote. No device-mapper and no root are needed. Linked with the writes watched.
 */
#include "keyfile.h"
#include "server.h"

#include "luks/cryptsetup.h"
#include "luks/luks.h"
#include "net/net.h"
#include "tang/tang.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <openssl/evp.h>

enum { IMAGE_SIZE = 18 * 1024 * 1024, ZEROS_SIZE = 1024 * 1024, ITERATIONS = 1000, KEYSLOTS = 32 };

static const char passphrase_text[] = "a person's own";

/* Which write fails, with EIO; 0: none. Counts down to the one that is meant. */
static struct {
	int fail_token;	   /* the n-th setting of a token */
	int fail_keyslot;  /* the n-th adding of a keyslot */
	int fail_priority; /* the n-th setting of a priority */
	int fail_test;	   /* the n-th test of a passphrase */
	int flip_token;	   /* the n-th token is written other than asked */
} watch;

static bool is_due(int *counter)
{
	return *counter > 0 && --*counter == 0;
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
int __real_crypt_activate_by_passphrase(struct crypt_device *cd, const char *name, int keyslot,
					const char *pass, size_t pass_size, uint32_t flags);
int __wrap_crypt_activate_by_passphrase(struct crypt_device *cd, const char *name, int keyslot,
					const char *pass, size_t pass_size, uint32_t flags);

int __wrap_crypt_token_json_set(struct crypt_device *cd, int token, const char *json)
{
	if (json && is_due(&watch.fail_token))
		return -EIO;
	if (json && is_due(&watch.flip_token))
		return __real_crypt_token_json_set(
			cd, token,
			"{\"type\":\"clevis\",\"keyslots\":[\"1\"],\"jwe\":{\"tag\":\"x\"}}");
	return __real_crypt_token_json_set(cd, token, json);
}

int __wrap_crypt_keyslot_add_by_volume_key(struct crypt_device *cd, int keyslot, const char *key,
					   size_t key_size, const char *pass, size_t pass_size)
{
	if (is_due(&watch.fail_keyslot))
		return -EIO;
	return __real_crypt_keyslot_add_by_volume_key(cd, keyslot, key, key_size, pass, pass_size);
}

int __wrap_crypt_keyslot_set_priority(struct crypt_device *cd, int keyslot,
				      crypt_keyslot_priority priority)
{
	if (is_due(&watch.fail_priority))
		return -EIO;
	return __real_crypt_keyslot_set_priority(cd, keyslot, priority);
}

int __wrap_crypt_activate_by_passphrase(struct crypt_device *cd, const char *name, int keyslot,
					const char *pass, size_t pass_size, uint32_t flags)
{
	if (is_due(&watch.fail_test))
		return -EPERM;
	return __real_crypt_activate_by_passphrase(cd, name, keyslot, pass, pass_size, flags);
}
/* NOLINTEND(*-reserved-identifier,cert-dcl*,readability-identifier-naming) */

static struct folder folder; /* the image and, below it, the keys */
static char image[128];
static char key_folder[128];
static struct server server;
static struct secret passphrase;
static struct error err;

/* Formats the image: cheap PBKDF, the person's passphrase in keyslot 0. */
static void format(const char *hash)
{
	const struct crypt_pbkdf_type pbkdf = {.type = CRYPT_KDF_PBKDF2,
					       .hash = hash,
					       .iterations = ITERATIONS,
					       .flags = CRYPT_PBKDF_NO_BENCHMARK};
	struct crypt_params_luks2 params = {.pbkdf = &pbkdf, .sector_size = 512};
	struct crypt_device *cd = NULL;
	int fd = open(image, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, IMAGE_SIZE), 0);
	(void)close(fd);
	crypt_set_log_callback(NULL, NULL, NULL);
	assert_int_equal(crypt_init(&cd, image), 0);
	assert_int_equal(
		crypt_format(cd, CRYPT_LUKS2, "aes", "xts-plain64", NULL, NULL, 64, &params), 0);
	assert_int_equal(__real_crypt_keyslot_add_by_volume_key(cd, 0, NULL, 0, passphrase_text,
								strlen(passphrase_text)),
			 0);
	crypt_free(cd);
}

static int make_disk(void **state)
{
	(void)state;
	memset(&watch, 0, sizeof(watch));
	err = (struct error){0};
	folder_make(&folder);
	(void)snprintf(image, sizeof(image), "%s/disk", folder.path);
	(void)snprintf(key_folder, sizeof(key_folder), "%s/keys", folder.path);
	assert_int_equal(mkdir(key_folder, 0700), 0);
	assert_int_equal(secret_copy(&passphrase, passphrase_text, strlen(passphrase_text), NULL),
			 0);
	format("sha256");
	return 0;
}

static int remove_disk(void **state)
{
	(void)state;
	server_stop(&server);
	secret_free(&passphrase);
	folder_remove(&folder);
	return 0;
}

/* SHA-256 of the whole image. */
static void digest_image(unsigned char digest[32])
{
	static unsigned char block[1024 * 1024];
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	int fd = open(image, O_RDONLY | O_CLOEXEC);
	ssize_t got;

	assert_true(fd >= 0 && ctx && EVP_DigestInit_ex(ctx, EVP_sha256(), NULL) == 1);
	while ((got = read(fd, block, sizeof(block))) > 0)
		assert_int_equal(EVP_DigestUpdate(ctx, block, (size_t)got), 1);
	assert_int_equal(EVP_DigestFinal_ex(ctx, digest, NULL), 1);
	EVP_MD_CTX_free(ctx);
	(void)close(fd);
}

/* The header's JSON as it is on the disk now. The caller's. */
static json_t *metadata(void)
{
	struct crypt_device *cd = NULL;
	const char *dump = NULL;
	json_t *json;

	assert_int_equal(crypt_init(&cd, image), 0);
	assert_int_equal(crypt_load(cd, CRYPT_LUKS2, NULL), 0);
	assert_int_equal(crypt_dump_json(cd, &dump, 0), 0);
	json = json_loads(dump, 0, NULL);
	crypt_free(cd);
	assert_non_null(json);
	return json;
}

static size_t count_in(const char *part)
{
	JSON_AUTO json_t *json = metadata();

	return json_object_size(json_at(json, part));
}

static struct luks_device *open_image(void)
{
	struct luks_device *device = NULL;

	if (luks_open(image, &device, &err) < 0)
		fail_msg("%s", err.text);
	return device;
}

/* Sets a token behind our back; NULL removes. */
static void set_token(int token, const char *text)
{
	struct crypt_device *cd = NULL;
	char *json = text ? strdup(text) : NULL;

	for (char *c = json; c && *c; c++)
		if (*c == '\'')
			*c = '"';
	assert_int_equal(crypt_init(&cd, image), 0);
	assert_int_equal(crypt_load(cd, CRYPT_LUKS2, NULL), 0);
	assert_int_equal(__real_crypt_token_json_set(cd, token, json), token);
	crypt_free(cd);
	free(json);
}

static struct pin_context context_of(enum pin_trust trust)
{
	err = (struct error){0};
	return (struct pin_context){.deadline = deadline_in_ms(10000), .trust = trust, .err = &err};
}

/* Binds with the person's passphrase. */
static int bind_pin(const char *pin, const json_t *config, int keyslot, int token,
		    struct error *unproved)
{
	struct luks_device *device = open_image();
	struct pin_context context = context_of(PIN_TRUST_YES);
	SECRET_AUTO struct secret key = {0};
	struct luks_bind wanted = {pin, config, &key, keyslot, token};
	int rc;

	assert_int_equal(luks_volume_key(device, -1, &passphrase, &key, &err), 0);
	rc = luks_bind(device, &context, &wanted, unproved);
	luks_close(&device);
	return rc;
}

static int bind_config(const json_t *config, int keyslot, int token, struct error *unproved)
{
	return bind_pin("tang", config, keyslot, token, unproved);
}

static json_t *online_config(void)
{
	if (server.pid <= 0)
		server_start_tang(&server, key_folder);
	return json_pack("{s:s}", "url", server.url);
}

static int bind_online(int keyslot, int token)
{
	JSON_AUTO json_t *config = online_config();
	struct error unproved = {0};
	int rc = bind_config(config, keyslot, token, &unproved);

	assert_int_equal(unproved.code, 0);
	return rc;
}

/* A configuration with the advertisement given, for a server that refuses connections while `*fd` is open. */
static json_t *offline_config(int *fd)
{
	JSON_AUTO json_t *signing = key_generate("{'alg':'ES512'}");
	JSON_AUTO json_t *exchange = key_generate("{'alg':'ECMR'}");
	JSON_AUTO json_t *keys = json_pack("[O, O]", signing, exchange);
	JSON_AUTO json_t *signers = json_pack("[O]", signing);
	JSON_AUTO json_t *adv = NULL;
	char url[64];

	server_refusing(fd, url);
	assert_int_equal(tang_advertisement_sign(keys, signers, &adv, NULL), 0);
	return json_pack("{s:s, s:O}", "url", url, "adv", adv);
}

/* Recovers the passphrase of a binding and tests it on the disk. */
static int open_by_binding(int keyslot)
{
	struct luks_device *device = open_image();
	LUKS_BINDING_AUTO struct luks_binding binding = {0};
	SECRET_AUTO struct secret recovered = {0};
	struct pin_context context = context_of(PIN_TRUST_PINNED);
	int rc = luks_find(device, keyslot, &binding, &err);

	if (rc == 0)
		rc = luks_recover(&binding, &context, &recovered);
	if (rc == 0) {
		/* 40 bytes in base64url, without a newline */
		assert_int_equal(recovered.size, 54);
		rc = luks_test_passphrase(device, keyslot, &recovered, &err);
	}
	luks_close(&device);
	return rc;
}

static int open_by_person(void)
{
	struct luks_device *device = open_image();
	int rc = luks_test_passphrase(device, -1, &passphrase, &err);

	luks_close(&device);
	return rc;
}

static void test_bind_writes_keyslot_and_token_that_open(void **state)
{
	JSON_AUTO json_t *json = NULL;
	const json_t *token;

	(void)state;
	assert_int_equal(bind_online(-1, -1), 1);
	assert_int_equal(open_by_binding(1), 1);
	assert_int_equal(open_by_person(), 0);
	json = metadata();
	assert_int_equal(json_object_size(json_at(json, "keyslots")), 2);
	assert_int_equal(json_object_size(json_at(json, "tokens")), 1);
	token = json_at(json, "tokens/0");
	assert_int_equal(json_object_size(token), 3);
	assert_string_equal(text_at(token, "type"), "clevis");
	assert_int_equal(json_array_size(json_at(token, "keyslots")), 1);
	assert_string_equal(text_at(token, "keyslots/0"), "1");
	assert_int_equal(json_object_size(json_at(token, "jwe")), 5);
	assert_string_equal(text_at(token, "jwe/encrypted_key"), "");
}

static void test_bound_keyslot_is_cheap_and_preferred(void **state)
{
	static const char *const hashes[] = {"sha256", "sha512"};

	(void)state;
	for (size_t i = 0; i < COUNT(hashes); i++) {
		JSON_AUTO json_t *json = NULL;

		format(hashes[i]);
		assert_int_equal(bind_online(-1, -1), 1);
		json = metadata();
		assert_string_equal(text_at(json, "keyslots/1/kdf/type"), "pbkdf2");
		assert_int_equal(json_integer_value(json_at(json, "keyslots/1/kdf/iterations")),
				 ITERATIONS);
		/* the hash that the device's first keyslot uses */
		assert_string_equal(text_at(json, "keyslots/1/kdf/hash"), hashes[i]);
		assert_string_equal(text_at(json, "keyslots/1/af/hash"), hashes[i]);
		/* 2 is prefer; normal priority is not written */
		assert_int_equal(json_integer_value(json_at(json, "keyslots/1/priority")),
				 CRYPT_SLOT_PRIORITY_PREFER);
		assert_null(json_object_get(json_at(json, "keyslots/0"), "priority"));
	}
}

static void test_bind_takes_the_keyslot_and_token_asked_for(void **state)
{
	JSON_AUTO json_t *json = NULL;

	(void)state;
	assert_int_equal(bind_online(7, 9), 7);
	json = metadata();
	assert_non_null(json_at(json, "keyslots/7"));
	assert_string_equal(text_at(json, "tokens/9/keyslots/0"), "7");
	assert_int_equal(open_by_binding(7), 7);
}

static void test_each_binding_has_its_own_passphrase(void **state)
{
	LUKS_BINDINGS_AUTO struct luks_bindings all = {0};
	SECRET_AUTO struct secret first = {0};
	SECRET_AUTO struct secret second = {0};
	struct luks_device *device;
	struct pin_context context;

	(void)state;
	assert_int_equal(bind_online(5, -1), 5);
	assert_int_equal(bind_online(-1, -1), 1);
	device = open_image();
	assert_int_equal(luks_list(device, &all, &err), 0);
	luks_close(&device);
	assert_int_equal(all.count, 2);
	/* by keyslot */
	assert_int_equal(all.binding[0].keyslot, 1);
	assert_int_equal(all.binding[1].keyslot, 5);
	context = context_of(PIN_TRUST_PINNED);
	assert_int_equal(luks_recover(&all.binding[0], &context, &first), 0);
	assert_int_equal(luks_recover(&all.binding[1], &context, &second), 0);
	assert_false(secret_equal(&first, &second));
}

static void test_binding_again_and_again_keeps_the_others(void **state)
{
	(void)state;
	for (int i = 1; i <= 3; i++)
		assert_int_equal(bind_online(-1, -1), i);
	for (int i = 1; i <= 3; i++)
		assert_int_equal(open_by_binding(i), i);
	assert_int_equal(open_by_person(), 0);
}

static void test_unbind_removes_keyslot_and_token_and_nothing_else(void **state)
{
	struct luks_device *device;

	(void)state;
	assert_int_equal(bind_online(-1, -1), 1);
	assert_int_equal(bind_online(-1, -1), 2);
	device = open_image();
	assert_int_equal(luks_unbind(device, 1, deadline_in_ms(10000), &err), 0);
	luks_close(&device);
	assert_int_equal(count_in("keyslots"), 2);
	assert_int_equal(count_in("tokens"), 1);
	assert_int_equal(open_by_binding(1), -ENOENT);
	assert_int_equal(open_by_binding(2), 2);
	assert_int_equal(open_by_person(), 0);
}

static void test_unbind_of_what_is_no_binding_changes_nothing(void **state)
{
	static const int keyslots[] = {0, 1, 5, 31, 32, -1};
	unsigned char before[32];
	unsigned char after[32];

	(void)state;
	set_token(3, "{'type':'other','keyslots':['0'],'note':1}");
	digest_image(before);
	for (size_t i = 0; i < COUNT(keyslots); i++) {
		struct luks_device *device = open_image();

		err = (struct error){0};
		assert_int_equal(luks_unbind(device, keyslots[i], deadline_in_ms(10000), &err),
				 -ENOENT);
		assert_int_equal(err.code, -ENOENT);
		luks_close(&device);
	}
	digest_image(after);
	assert_memory_equal(after, before, sizeof(after));
}

static void test_tokens_of_other_types_are_never_touched(void **state)
{
	JSON_AUTO json_t *before = NULL;
	JSON_AUTO json_t *bound = NULL;
	JSON_AUTO json_t *after = NULL;
	struct luks_device *device;

	(void)state;
	set_token(0, "{'type':'luks2-keyring','keyslots':['0'],'key_description':'nbde-test'}");
	set_token(4, "{'type':'clevis-other','keyslots':[],'jwe':{}}");
	set_token(31, "{'type':'nbde-test','keyslots':['0'],'note':{'a':[1,2]}}");
	before = metadata();
	assert_int_equal(bind_online(-1, -1), 1);
	bound = metadata();
	assert_int_equal(json_object_size(json_at(bound, "tokens")), 4);
	assert_string_equal(text_at(bound, "tokens/1/type"), "clevis");
	device = open_image();
	assert_int_equal(luks_unbind(device, 1, deadline_in_ms(10000), &err), 0);
	luks_close(&device);
	after = metadata();
	assert_true(json_equal(json_at(after, "tokens"), json_at(before, "tokens")));
}

static void test_bind_removes_orphans_and_only_those(void **state)
{
	JSON_AUTO json_t *json = NULL;

	(void)state;
	set_token(0, "{'type':'clevis','keyslots':[],'jwe':{'tag':'x'}}");
	set_token(1, "{'type':'clevis','keyslots':['0'],'jwe':{'tag':'y'}}");
	set_token(5, "{'type':'clevis','keyslots':[],'jwe':{'tag':'z'}}");
	set_token(6, "{'type':'other','keyslots':[],'jwe':{'tag':'z'}}");
	assert_int_equal(bind_online(-1, -1), 1);
	json = metadata();
	assert_int_equal(json_object_size(json_at(json, "tokens")), 3);
	assert_string_equal(text_at(json, "tokens/1/jwe/tag"), "y");
	assert_string_equal(text_at(json, "tokens/6/type"), "other");
	assert_string_equal(text_at(json, "tokens/0/keyslots/0"), "1");
}

/* cryptsetup luksKillSlot takes the keyslot out of the token: an orphan, which is no binding. */
static void test_orphan_is_not_listed(void **state)
{
	LUKS_BINDINGS_AUTO struct luks_bindings all = {0};
	struct luks_device *device;

	(void)state;
	set_token(0, "{'type':'clevis','keyslots':[],'jwe':{'tag':'x'}}");
	device = open_image();
	assert_int_equal(luks_list(device, &all, &err), 0);
	luks_close(&device);
	assert_int_equal(all.count, 0);
	assert_int_equal(err.code, 0);
}

static void test_damaged_tokens_are_left_out_and_explained(void **state)
{
	static const char *const rows[] = {
		"{'type':'clevis','keyslots':['0']}",
		"{'type':'clevis','keyslots':['0'],'jwe':'text'}",
		"{'type':'clevis','keyslots':['0'],'jwe':[]}",
		"{'type':'clevis','keyslots':['0'],'jwe':null}",
	};

	(void)state;
	assert_int_equal(bind_online(-1, 8), 1);
	for (size_t i = 0; i < COUNT(rows); i++) {
		LUKS_BINDINGS_AUTO struct luks_bindings all = {0};
		LUKS_BINDING_AUTO struct luks_binding binding = {0};
		struct luks_device *device;

		set_token(2, rows[i]);
		err = (struct error){0};
		device = open_image();
		assert_int_equal(luks_list(device, &all, &err), 0);
		unit_check(all.count == 1 && all.binding[0].keyslot == 1, rows[i]);
		unit_check(strstr(err.text, "token 2 is damaged") != NULL, rows[i]);
		/* who asks for the damaged one is told why it is not there */
		unit_check(luks_find(device, 0, &binding, &err) == -ENOENT, rows[i]);
		unit_check(strstr(err.text, "token 2 is damaged") != NULL, rows[i]);
		luks_close(&device);
	}
	assert_int_equal(open_by_binding(1), 1);
}

static void test_tampered_token_does_not_open(void **state)
{
	JSON_AUTO json_t *json = NULL;
	char *text;

	(void)state;
	assert_int_equal(bind_online(-1, 0), 1);
	json = metadata();
	json_tamper(json_at(json, "tokens/0/jwe"), "ciphertext");
	text = json_dump_public(json_at(json, "tokens/0"));
	set_token(0, text);
	free(text);
	assert_int_equal(open_by_binding(1), -EBADMSG);
	assert_int_equal(open_by_person(), 0);
}

/* Fails as it should and leaves the image as it was, byte for byte. */
static void assert_refused(const json_t *config, int keyslot, int token, int rc, const char *words)
{
	unsigned char before[32];
	unsigned char after[32];
	struct error unproved = {0};

	digest_image(before);
	assert_int_equal(bind_config(config, keyslot, token, &unproved), rc);
	assert_int_equal(err.code, rc);
	unit_check(strstr(err.text, words) != NULL, err.text);
	digest_image(after);
	assert_memory_equal(after, before, sizeof(after));
}

static void test_bind_refuses_keyslots_and_tokens_in_use(void **state)
{
	JSON_AUTO json_t *config = online_config();

	(void)state;
	set_token(3, "{'type':'other','keyslots':[]}");
	assert_refused(config, 0, -1, -EEXIST, "keyslot 0 is in use");
	assert_refused(config, 32, -1, -EINVAL, "there is no keyslot 32");
	assert_refused(config, -1, 3, -EEXIST, "token 3 is in use");
	assert_refused(config, -1, 32, -EINVAL, "there is no token 32");
}

static void test_bind_without_free_keyslot_changes_nothing(void **state)
{
	struct crypt_device *cd = NULL;
	JSON_AUTO json_t *config = online_config();
	const struct crypt_pbkdf_type pbkdf = {.type = CRYPT_KDF_PBKDF2,
					       .hash = "sha256",
					       .iterations = ITERATIONS,
					       .flags = CRYPT_PBKDF_NO_BENCHMARK};

	(void)state;
	assert_int_equal(crypt_init(&cd, image), 0);
	assert_int_equal(crypt_load(cd, CRYPT_LUKS2, NULL), 0);
	assert_int_equal(crypt_set_pbkdf_type(cd, &pbkdf), 0);
	for (int i = 1; i < KEYSLOTS; i++)
		assert_int_equal(crypt_keyslot_add_by_passphrase(cd, i, passphrase_text,
								 strlen(passphrase_text), "x", 1),
				 i);
	crypt_free(cd);
	assert_refused(config, -1, -1, -ENOSPC, "no free keyslot (32 of 32 used)");
}

static void test_bind_without_free_token_changes_nothing(void **state)
{
	JSON_AUTO json_t *config = online_config();

	(void)state;
	for (int i = 0; i < 32; i++)
		set_token(i, "{'type':'other','keyslots':[]}");
	assert_refused(config, -1, -1, -ENOSPC, "no free token");
}

/* A header whose JSON area has some room left, but not enough for a token: found before the keyslot is written. */
static void test_bind_without_room_for_the_token_changes_nothing(void **state)
{
	static const size_t fillings[] = {8000, 9000, 9500, 10000, 10500, 11000};
	JSON_AUTO json_t *config = online_config();
	size_t refused = 0;

	(void)state;
	for (size_t i = 0; i < COUNT(fillings); i++) {
		char text[12000];
		unsigned char before[32];
		unsigned char after[32];
		struct error unproved = {0};
		struct luks_device *device;
		int rc;

		(void)snprintf(text, sizeof(text),
			       "{\"type\":\"filler\",\"keyslots\":[],\"x\":\"%0*d\"}",
			       (int)fillings[i], 0);
		set_token(31, text);
		digest_image(before);
		rc = bind_config(config, -1, -1, &unproved);
		if (rc >= 0) {
			/* there was room: it must have been used whole */
			assert_int_equal(open_by_binding(rc), rc);
			device = open_image();
			assert_int_equal(luks_unbind(device, rc, deadline_in_ms(10000), &err), 0);
			luks_close(&device);
			continue;
		}
		assert_int_equal(rc, -ENOSPC);
		unit_check(strstr(err.text, "no room in the header") != NULL, err.text);
		digest_image(after);
		assert_memory_equal(after, before, sizeof(after));
		refused++;
	}
	/* both happened */
	assert_in_range(refused, 1, COUNT(fillings) - 1);
}

/* A key file that nothing needs would only stand in the way of the next try. */
static void test_bind_that_fails_leaves_no_key_file(void **state)
{
	JSON_AUTO json_t *config = json_pack("{s:s+}", "name", folder.path, "/stick.jwk");
	char text[12000];

	(void)state;
	(void)snprintf(text, sizeof(text), "{\"type\":\"filler\",\"keyslots\":[],\"x\":\"%0*d\"}",
		       11000, 0);
	set_token(31, text);
	assert_int_equal(bind_pin("file", config, -1, -1, NULL), -ENOSPC);
	assert_false(folder_has(&folder, "stick.jwk"));
	set_token(31, NULL);
	assert_int_equal(bind_pin("file", config, -1, -1, NULL), 1);
	assert_true(folder_has(&folder, "stick.jwk"));
	assert_int_equal(open_by_binding(1), 1);
}

static void test_bind_to_a_server_that_is_down_changes_nothing(void **state)
{
	JSON_AUTO json_t *config = online_config();

	(void)state;
	server_stop(&server);
	assert_refused(config, -1, -1, -ECONNREFUSED, "Unable to fetch advertisement");
}

static void test_bind_with_a_bad_configuration_changes_nothing(void **state)
{
	JSON_AUTO json_t *config = json_of("{'thp':'x'}");

	(void)state;
	assert_refused(config, -1, -1, -EINVAL, "Missing the required 'url' property");
}

static void test_offline_bind_succeeds_and_says_that_it_is_unproved(void **state)
{
	int fd = -1;
	JSON_AUTO json_t *config = offline_config(&fd);
	struct error unproved = {0};

	(void)state;
	assert_int_equal(bind_config(config, -1, -1, &unproved), 1);
	assert_true(net_is_unreachable(unproved.code));
	assert_non_null(strstr(unproved.text, "Error communicating with server"));
	assert_int_equal(err.code, 0);
	assert_int_equal(count_in("tokens"), 1);
	assert_true(net_is_unreachable(open_by_binding(1)));
	(void)close(fd);
}

/* The server is there, but does not have the key: that is no failure of the network, and nothing may be written. */
static void test_offline_bind_that_the_server_disproves_changes_nothing(void **state)
{
	int fd = -1;
	JSON_AUTO json_t *config = offline_config(&fd);
	JSON_AUTO json_t *online = online_config();

	(void)state;
	(void)close(fd);
	assert_int_equal(json_object_set(config, "url", json_at(online, "url")), 0);
	assert_refused(config, -1, -1, -EBADMSG, "no longer has the key");
}

static void test_wrong_volume_key_changes_nothing(void **state)
{
	struct luks_device *device = open_image();
	struct pin_context context = context_of(PIN_TRUST_YES);
	JSON_AUTO json_t *config = online_config();
	SECRET_AUTO struct secret key = {0};
	struct luks_bind wanted = {"tang", config, &key, -1, -1};
	struct error unproved = {0};
	unsigned char before[32];
	unsigned char after[32];

	(void)state;
	digest_image(before);
	assert_int_equal(secret_new(&key, 64, NULL), 0);
	assert_true(luks_bind(device, &context, &wanted, &unproved) < 0);
	assert_true(err.code < 0);
	luks_close(&device);
	digest_image(after);
	assert_memory_equal(after, before, sizeof(after));
}

static void test_failing_writes_are_undone(void **state)
{
	static const struct {
		const char *name;
		size_t offset; /* of the counter in `watch` */
		int nth;       /* call */
		int rc;
	} rows[] = {
		{"token before the keyslot", offsetof(__typeof__(watch), fail_token), 1, -EIO},
		{"keyslot", offsetof(__typeof__(watch), fail_keyslot), 1, -EIO},
		{"priority", offsetof(__typeof__(watch), fail_priority), 1, -EIO},
		{"token with the keyslot", offsetof(__typeof__(watch), fail_token), 2, -EIO},
		{"proof on disk", offsetof(__typeof__(watch), fail_test), 1, -EPERM},
		{"token reads back differently", offsetof(__typeof__(watch), flip_token), 2, -EIO},
	};
	JSON_AUTO json_t *config = online_config();

	(void)state;
	set_token(3, "{'type':'other','keyslots':['0']}");
	for (size_t i = 0; i < COUNT(rows); i++) {
		JSON_AUTO json_t *before = metadata();
		JSON_AUTO json_t *after = NULL;
		struct error unproved = {0};

		memset(&watch, 0, sizeof(watch));
		memcpy((char *)&watch + rows[i].offset, &rows[i].nth, sizeof(rows[i].nth));
		unit_check(bind_config(config, -1, -1, &unproved) == rows[i].rc, rows[i].name);
		unit_check(err.code == rows[i].rc && strstr(err.text, image), err.text);
		memset(&watch, 0, sizeof(watch));
		after = metadata();
		unit_check(json_equal(json_at(after, "keyslots"), json_at(before, "keyslots")),
			   rows[i].name);
		unit_check(json_equal(json_at(after, "tokens"), json_at(before, "tokens")),
			   rows[i].name);
		assert_int_equal(open_by_person(), 0);
	}
	/* and the next one succeeds */
	assert_int_equal(bind_online(-1, -1), 1);
}

static size_t reports;

static void count_report(const struct error *why)
{
	assert_true(why->code < 0);
	reports++;
}

static void test_unlock_tries_bindings_in_order_and_tells_why_one_failed(void **state)
{
	int fd = -1;
	JSON_AUTO json_t *away = offline_config(&fd);
	struct error unproved = {0};
	struct luks_device *device;
	struct pin_context context;

	(void)state;
	assert_int_equal(bind_config(away, -1, -1, &unproved), 1);
	assert_int_equal(bind_online(-1, -1), 2);
	device = open_image();
	context = context_of(PIN_TRUST_PINNED);
	reports = 0;
	assert_int_equal(luks_unlock(device, &context, NULL, -1, count_report), 2);
	assert_int_equal(reports, 1);
	assert_int_equal(luks_unlock(device, &context, NULL, 2, count_report), 2);
	assert_int_equal(reports, 1);
	assert_true(net_is_unreachable(luks_unlock(device, &context, NULL, 1, NULL)));
	assert_non_null(strstr(err.text, "slot 1"));
	assert_int_equal(luks_unlock(device, &context, NULL, 0, NULL), -ENOENT);
	assert_non_null(strstr(err.text, "no Clevis binding"));
	server_stop(&server);
	assert_true(net_is_unreachable(luks_unlock(device, &context, NULL, -1, NULL)));
	assert_non_null(strstr(err.text, image));
	luks_close(&device);
	(void)close(fd);
}

static void test_unlock_without_bindings_says_so(void **state)
{
	struct luks_device *device = open_image();
	struct pin_context context = context_of(PIN_TRUST_PINNED);

	(void)state;
	assert_int_equal(luks_unlock(device, &context, NULL, -1, NULL), -ENOENT);
	assert_non_null(strstr(err.text, "no Clevis binding"));
	luks_close(&device);
}

static void test_wrong_passphrase_is_told_without_a_code(void **state)
{
	struct luks_device *device = open_image();
	SECRET_AUTO struct secret wrong = {0};
	SECRET_AUTO struct secret empty = {0};
	SECRET_AUTO struct secret key = {0};

	(void)state;
	assert_int_equal(secret_copy(&wrong, "wrong", 5, NULL), 0);
	assert_int_equal(secret_new(&empty, 0, NULL), 0);
	assert_int_equal(luks_test_passphrase(device, -1, &wrong, &err), -EPERM);
	assert_non_null(strstr(err.text, "the passphrase opens no keyslot"));
	assert_int_equal(luks_test_passphrase(device, 0, &wrong, &err), -EPERM);
	assert_int_equal(luks_test_passphrase(device, 3, &passphrase, &err), -EPERM);
	assert_int_equal(luks_test_passphrase(device, -1, &empty, &err), -EPERM);
	assert_int_equal(luks_volume_key(device, -1, &wrong, &key, &err), -EPERM);
	assert_null(key.data);
	assert_int_equal(luks_test_passphrase(device, 0, &passphrase, &err), 0);
	assert_int_equal(luks_volume_key(device, 0, &passphrase, &key, &err), 0);
	assert_int_equal(key.size, 64);
	luks_close(&device);
}

static void test_what_is_no_luks2_device_is_refused_by_name(void **state)
{
	struct luks_device *device = NULL;
	char path[160];

	(void)state;
	(void)snprintf(path, sizeof(path), "%s/zeros", folder.path);
	folder_write(&folder, "zeros", "");
	assert_int_equal(truncate(path, ZEROS_SIZE), 0);
	assert_int_equal(luks_open(path, &device, &err), -EINVAL);
	assert_non_null(strstr(err.text, "zeros is not a supported LUKS device"));
	folder_write(&folder, "zeros", "short");
	assert_true(luks_open(path, &device, &err) < 0);
	assert_true(luks_open(folder.path, &device, &err) < 0);
	assert_null(device);
}

static void test_missing_device_is_told_as_missing(void **state)
{
	struct luks_device *device = NULL;

	(void)state;
	assert_int_equal(luks_open("/nonexistent/disk", &device, &err), -ENOENT);
	assert_non_null(strstr(err.text, "/nonexistent/disk"));
	assert_null(device);
}

/* No function both prints and returns: libcryptsetup's own messages are kept, not shown. */
static void test_failures_print_nothing(void **state)
{
	struct luks_device *device = NULL;
	struct capture capture;
	char *said;

	(void)state;
	capture_begin(&capture);
	(void)luks_open("/nonexistent/disk", &device, &err);
	(void)luks_open("/dev/null", &device, &err);
	(void)luks_open(key_folder, &device, &err);
	said = capture_end(&capture);
	assert_string_equal(said, "");
	free(said);
}

static void test_header_that_is_damaged_twice_is_refused(void **state)
{
	struct luks_device *device = NULL;
	int fd = open(image, O_WRONLY | O_CLOEXEC);
	static const char zeros[32768];

	(void)state;
	assert_true(fd >= 0);
	assert_int_equal(pwrite(fd, zeros, sizeof(zeros), 0), sizeof(zeros));
	(void)close(fd);
	assert_true(luks_open(image, &device, &err) < 0);
	assert_null(device);
}

static void test_opening_and_listing_write_nothing(void **state)
{
	LUKS_BINDINGS_AUTO struct luks_bindings all = {0};
	unsigned char before[32];
	unsigned char after[32];
	struct luks_device *device;

	(void)state;
	assert_int_equal(bind_online(-1, -1), 1);
	digest_image(before);
	device = open_image();
	assert_string_equal(luks_path(device), image);
	assert_int_equal(strlen(luks_uuid(device)), 36);
	assert_int_equal(luks_list(device, &all, &err), 0);
	luks_close(&device);
	luks_close(&device);
	assert_int_equal(open_by_binding(1), 1);
	digest_image(after);
	assert_memory_equal(after, before, sizeof(after));
}

#define CASE(test) cmocka_unit_test_setup_teardown(test, make_disk, remove_disk)

int main(int argc, char *argv[])
{
	static const struct CMUnitTest tests[] = {
		CASE(test_bind_writes_keyslot_and_token_that_open),
		CASE(test_bound_keyslot_is_cheap_and_preferred),
		CASE(test_bind_takes_the_keyslot_and_token_asked_for),
		CASE(test_each_binding_has_its_own_passphrase),
		CASE(test_binding_again_and_again_keeps_the_others),
		CASE(test_unbind_removes_keyslot_and_token_and_nothing_else),
		CASE(test_unbind_of_what_is_no_binding_changes_nothing),
		CASE(test_tokens_of_other_types_are_never_touched),
		CASE(test_bind_removes_orphans_and_only_those),
		CASE(test_orphan_is_not_listed),
		CASE(test_damaged_tokens_are_left_out_and_explained),
		CASE(test_tampered_token_does_not_open),
		CASE(test_bind_refuses_keyslots_and_tokens_in_use),
		CASE(test_bind_without_free_keyslot_changes_nothing),
		CASE(test_bind_without_free_token_changes_nothing),
		CASE(test_bind_without_room_for_the_token_changes_nothing),
		CASE(test_bind_that_fails_leaves_no_key_file),
		CASE(test_bind_to_a_server_that_is_down_changes_nothing),
		CASE(test_bind_with_a_bad_configuration_changes_nothing),
		CASE(test_offline_bind_succeeds_and_says_that_it_is_unproved),
		CASE(test_offline_bind_that_the_server_disproves_changes_nothing),
		CASE(test_wrong_volume_key_changes_nothing),
		CASE(test_failing_writes_are_undone),
		CASE(test_unlock_tries_bindings_in_order_and_tells_why_one_failed),
		CASE(test_unlock_without_bindings_says_so),
		CASE(test_wrong_passphrase_is_told_without_a_code),
		CASE(test_what_is_no_luks2_device_is_refused_by_name),
		CASE(test_missing_device_is_told_as_missing),
		CASE(test_failures_print_nothing),
		CASE(test_header_that_is_damaged_twice_is_refused),
		CASE(test_opening_and_listing_write_nothing),
	};

	unit_begin(argc, argv);
	if (cryptsetup_load(NULL) < 0)
		return EXIT_FAILURE;
	return cmocka_run_group_tests_name("luks", tests, NULL, NULL);
}
