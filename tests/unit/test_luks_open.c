/* SPDX-License-Identifier: Apache-2.0 */
/*
 * luks/open.c and pin/any.c: which binding opens a device when some do not, and what is tried on which keyslot. Servers that
 * are silent or gone; libcryptsetup's activation is watched, and maps nothing.
 */
#include "keyfile.h"
#include "server.h"

#include "luks/cryptsetup.h"
#include "luks/luks.h"
#include "tang/tang.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { IMAGE_SIZE = 18 * 1024 * 1024, ITERATIONS = 1000, SERVERS = 3, ACTIVATIONS_MAX = 16 };

static const char passphrase_text[] = "a person's own";

/* What was asked of libcryptsetup. */
static struct {
	int count;
	int keyslot[ACTIVATIONS_MAX];
	char name[64];	  /* of the last mapping; "" for a test */
	char device[160]; /* of the last: where the data is */
	uint32_t flags;	  /* of the last */
	int fail;	  /* the next one fails with this code */
	int forks;
} watch;

/* NOLINTBEGIN(*-reserved-identifier,cert-dcl*,readability-identifier-naming): the names of the linker's --wrap */
int __real_crypt_activate_by_passphrase(struct crypt_device *cd, const char *name, int keyslot,
					const char *pass, size_t pass_size, uint32_t flags);
int __wrap_crypt_activate_by_passphrase(struct crypt_device *cd, const char *name, int keyslot,
					const char *pass, size_t pass_size, uint32_t flags);
pid_t __real_fork(void);
pid_t __wrap_fork(void);

/* Tests in place of mapping: there may be no device-mapper. */
int __wrap_crypt_activate_by_passphrase(struct crypt_device *cd, const char *name, int keyslot,
					const char *pass, size_t pass_size, uint32_t flags)
{
	int fail = watch.fail;

	if (watch.count < ACTIVATIONS_MAX)
		watch.keyslot[watch.count++] = keyslot;
	watch.flags = flags;
	(void)snprintf(watch.device, sizeof(watch.device), "%s", crypt_get_device_name(cd));
	(void)snprintf(watch.name, sizeof(watch.name), "%s", name ? name : "");
	watch.fail = 0;
	return fail ? fail
		    : __real_crypt_activate_by_passphrase(cd, NULL, keyslot, pass, pass_size, 0);
}

pid_t __wrap_fork(void)
{
	watch.forks++;
	return __real_fork();
}
/* NOLINTEND(*-reserved-identifier,cert-dcl*,readability-identifier-naming) */

enum behaviour { GOOD, SILENT, GONE };

/* A server: what it does in recoveries, and how many it was asked for; shared with its process. */
struct book {
	enum behaviour behaviour;
	int recoveries;
};

static struct folder folder;
static char image[128];
static struct server servers[SERVERS];
static struct book *books;
static json_t *exchange;
static char *advertisement;
static struct error err;

static void wait_for_the_end(int fd)
{
	char byte;

	while (read(fd, &byte, 1) > 0)
		;
}

/* The server's part of the exchange, as text; the caller's. */
static char *answer_to(const char *body)
{
	JSON_AUTO json_t *sent = json_loads(body, 0, NULL);
	JSON_AUTO json_t *answered = NULL;
	SECRET_AUTO struct secret s = {0};
	struct jose_point x;
	struct jose_point y;

	if (jose_point_from_jwk(sent, &x, NULL) < 0 ||
	    jose_scalar_from_jwk(exchange, jose_curve(x.curve), &s, NULL) < 0 ||
	    tang_recover(&s, &x, &y, NULL) < 0)
		return NULL;
	answered = tang_point_to_json(&y);
	return json_dump_public(answered);
}

static void talk(int fd, void *arg)
{
	static struct talk_request request;
	struct book *book = arg;
	char *answer;

	if (!talk_read_request(fd, &request))
		return;
	if (strcmp(request.method, "GET") == 0) {
		talk_answer(fd, 200, advertisement);
		return;
	}
	__atomic_add_fetch(&book->recoveries, 1, __ATOMIC_SEQ_CST);
	if (book->behaviour == SILENT)
		wait_for_the_end(fd);
	if (book->behaviour != GOOD)
		return;
	answer = answer_to(request.body);
	talk_answer(fd, 200, answer ? answer : "{");
	free(answer);
}

static int start_servers(void **state)
{
	JSON_AUTO json_t *signing = key_generate("{'alg':'ES512'}");
	JSON_AUTO json_t *keys = NULL;
	JSON_AUTO json_t *signers = json_pack("[O]", signing);
	JSON_AUTO json_t *jws = NULL;

	(void)state;
	books = unit_map(SERVERS * sizeof(*books));
	exchange = key_generate("{'alg':'ECMR'}");
	keys = json_pack("[O, O]", signing, exchange);
	assert_int_equal(tang_advertisement_sign(keys, signers, &jws, NULL), 0);
	advertisement = json_dump_public(jws);
	for (size_t i = 0; i < SERVERS; i++)
		server_start(&servers[i], talk, &books[i]);
	return cryptsetup_load(NULL);
}

static int stop_servers(void **state)
{
	(void)state;
	for (size_t i = 0; i < SERVERS; i++)
		server_stop(&servers[i]);
	json_drop(&exchange);
	free(advertisement);
	unit_unmap(books, SERVERS * sizeof(*books));
	return 0;
}

/* Formats the image: cheap PBKDF, the person's passphrase in keyslot 0. */
static void format(const char *type)
{
	const struct crypt_pbkdf_type pbkdf = {.type = CRYPT_KDF_PBKDF2,
					       .hash = "sha256",
					       .iterations = ITERATIONS,
					       .flags = CRYPT_PBKDF_NO_BENCHMARK};
	struct crypt_device *cd = NULL;
	int fd = open(image, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, IMAGE_SIZE), 0);
	(void)close(fd);
	crypt_set_log_callback(NULL, NULL, NULL);
	assert_int_equal(crypt_init(&cd, image), 0);
	assert_int_equal(crypt_set_pbkdf_type(cd, &pbkdf), 0);
	assert_int_equal(crypt_format(cd, type, "aes", "xts-plain64", NULL, NULL, 64, NULL), 0);
	assert_int_equal(crypt_keyslot_add_by_volume_key(cd, 0, NULL, 0, passphrase_text,
							 strlen(passphrase_text)),
			 0);
	crypt_free(cd);
}

static int begin(void **state)
{
	(void)state;
	memset(&watch, 0, sizeof(watch));
	memset(books, 0, SERVERS * sizeof(*books));
	err = (struct error){0};
	folder_make(&folder);
	(void)snprintf(image, sizeof(image), "%s/disk", folder.path);
	format(CRYPT_LUKS2);
	return 0;
}

/* No test may leave a process behind; the servers are none of the client's. */
static int end(void **state)
{
	(void)state;
	folder_remove(&folder);
	for (pid_t pid; (pid = waitpid(-1, NULL, WNOHANG)) != 0;)
		if (pid < 0)
			return -1;
	return 0;
}

static struct luks_device *open_image(void)
{
	struct luks_device *device = NULL;

	if (luks_open(image, &device, &err) < 0)
		fail_msg("%s", err.text);
	return device;
}

static struct pin_context context_in(int ms)
{
	err = (struct error){0};
	return (struct pin_context){
		.deadline = deadline_in_ms(ms), .trust = PIN_TRUST_YES, .err = &err};
}

/* Binds the next free keyslot; it must be `keyslot`. Then what was watched so far is forgotten. */
static void bind_pin(const char *pin, const json_t *config, int keyslot)
{
	struct luks_device *device = open_image();
	struct pin_context context = context_in(10000);
	SECRET_AUTO struct secret passphrase = {0};
	SECRET_AUTO struct secret key = {0};
	const struct luks_bind wanted = {pin, config, &key, -1, -1};
	struct error unproved = {0};

	assert_int_equal(secret_copy(&passphrase, passphrase_text, strlen(passphrase_text), NULL),
			 0);
	assert_int_equal(luks_volume_key(device, -1, &passphrase, &key, &err), 0);
	if (luks_bind(device, &context, &wanted, &unproved) != keyslot)
		fail_msg("%s", err.text);
	luks_close(&device);
	memset(&watch, 0, sizeof(watch));
	memset(books, 0, SERVERS * sizeof(*books));
}

static void bind_server(size_t server, int keyslot)
{
	JSON_AUTO json_t *config = json_pack("{s:s}", "url", servers[server].url);

	bind_pin("tang", config, keyslot);
}

static void bind_local(int keyslot)
{
	JSON_AUTO json_t *config = json_object();

	bind_pin("null", config, keyslot);
}

/* Lets a token claim another keyslot. */
static void move_token(int token, int keyslot)
{
	struct crypt_device *cd = NULL;
	const char *text = NULL;
	json_t *json;
	char *changed;
	char number[16];

	(void)snprintf(number, sizeof(number), "%d", keyslot);
	assert_int_equal(crypt_init(&cd, image), 0);
	assert_int_equal(crypt_load(cd, CRYPT_LUKS2, NULL), 0);
	assert_int_equal(crypt_token_json_get(cd, token, &text), token);
	json = json_loads(text, 0, NULL);
	assert_int_equal(json_object_set_new(json, "keyslots", json_pack("[s]", number)), 0);
	changed = json_dumps(json, 0);
	assert_int_equal(crypt_token_json_set(cd, token, changed), token);
	free(changed);
	json_decref(json);
	crypt_free(cd);
}

static struct {
	int count;
	char last[ERROR_TEXT_MAX];
} reports;

static void keep_report(const struct error *why)
{
	assert_true(why->code < 0);
	reports.count++;
	(void)snprintf(reports.last, sizeof(reports.last), "%s", why->text);
}

static int unlock_in(int ms, const struct luks_mapping *mapping)
{
	struct luks_device *device = open_image();
	struct pin_context context = context_in(ms);
	int rc;

	memset(&reports, 0, sizeof(reports));
	rc = luks_unlock(device, &context, mapping, -1, keep_report);
	luks_close(&device);
	return rc;
}

static void test_silent_server_does_not_keep_another_binding_from_opening(void **state)
{
	int64_t before;

	(void)state;
	bind_server(0, 1);
	bind_server(1, 2);
	books[0].behaviour = SILENT;
	before = unit_now_ms();
	assert_int_equal(unlock_in(8000, NULL), 2);
	assert_true(unit_now_ms() - before < 3000);
	assert_int_equal(watch.count, 1);
	assert_int_equal(reports.count, 0);
}

static void test_first_keyslots_binding_is_enough_when_it_opens(void **state)
{
	(void)state;
	bind_server(0, 1);
	bind_server(1, 2);
	assert_int_equal(unlock_in(8000, NULL), 1);
	assert_int_equal(books[0].recoveries, 1);
	assert_int_equal(books[1].recoveries, 0);
	assert_int_equal(watch.forks, 1);
}

static void test_passphrase_that_does_not_open_its_keyslot_does_not_end_the_search(void **state)
{
	(void)state;
	bind_server(0, 1);
	bind_server(1, 2);
	bind_server(2, 3);
	move_token(0, 0); /* what it gives does not open the person's */
	assert_int_equal(unlock_in(8000, NULL), 2);
	assert_int_equal(reports.count, 1);
	assert_non_null(strstr(reports.last, "slot 0: the recovered passphrase does not open"));
	assert_int_equal(books[2].recoveries, 0);
}

static void test_each_passphrase_is_tried_on_its_own_keyslot_only(void **state)
{
	(void)state;
	bind_server(0, 1);
	bind_local(2);
	bind_server(1, 3);
	move_token(1, 0);
	books[0].behaviour = GONE;
	/* First the local one, in vain; then of those at servers the second, the third of all. */
	assert_int_equal(unlock_in(8000, NULL), 3);
	assert_int_equal(watch.count, 2);
	assert_int_equal(watch.keyslot[0], 0);
	assert_int_equal(watch.keyslot[1], 3);
	assert_int_equal(reports.count, 2);
	assert_non_null(strstr(reports.last, "slot 1: tang: "));
}

static void test_local_binding_opens_without_asking_a_server(void **state)
{
	(void)state;
	bind_server(0, 1);
	bind_server(1, 2);
	bind_local(3);
	assert_int_equal(unlock_in(8000, NULL), 3);
	assert_int_equal(books[0].recoveries + books[1].recoveries, 0);
	assert_int_equal(watch.forks, 0);
}

static void test_one_binding_takes_no_process(void **state)
{
	(void)state;
	bind_server(0, 1);
	assert_int_equal(unlock_in(8000, NULL), 1);
	assert_int_equal(watch.forks, 0);
}

static void test_trouble_with_the_device_ends_the_search(void **state)
{
	(void)state;
	bind_server(0, 1);
	bind_server(1, 2);
	watch.fail = -EIO;
	assert_int_equal(unlock_in(8000, NULL), -EIO);
	assert_int_equal(watch.count, 1);
	assert_non_null(strstr(err.text, image));
}

static void test_when_time_is_up_each_binding_is_told_of(void **state)
{
	char told[2 * ERROR_TEXT_MAX];
	int64_t before;

	(void)state;
	bind_server(0, 1);
	bind_server(1, 2);
	books[0].behaviour = SILENT;
	books[1].behaviour = SILENT;
	before = unit_now_ms();
	assert_int_equal(unlock_in(1000, NULL), -ETIMEDOUT);
	assert_true(unit_now_ms() - before < 2000);
	assert_int_equal(reports.count, 1);
	/* Both at the same moment: one is reported, one the error. */
	(void)snprintf(told, sizeof(told), "%s %s", reports.last, err.text);
	assert_non_null(strstr(told, "slot 1: "));
	assert_non_null(strstr(told, servers[0].url));
	assert_non_null(strstr(told, "slot 2: "));
	assert_non_null(strstr(told, servers[1].url));
}

static void test_volume_key_comes_by_any_binding_that_opens(void **state)
{
	struct luks_device *device;
	struct pin_context context;
	SECRET_AUTO struct secret passphrase = {0};
	SECRET_AUTO struct secret wanted = {0};
	SECRET_AUTO struct secret key = {0};

	(void)state;
	bind_server(0, 1);
	bind_server(1, 2);
	move_token(0, 0);
	device = open_image();
	context = context_in(8000);
	assert_int_equal(luks_volume_key_by_binding(device, &context, &key), 2);
	assert_int_equal(secret_copy(&passphrase, passphrase_text, strlen(passphrase_text), NULL),
			 0);
	assert_int_equal(luks_volume_key(device, 0, &passphrase, &wanted, &err), 0);
	assert_true(secret_equal(&key, &wanted));
	luks_close(&device);
}

static uint32_t stored_flags(void)
{
	struct crypt_device *cd = NULL;
	uint32_t flags = 0;

	assert_int_equal(crypt_init(&cd, image), 0);
	assert_int_equal(crypt_load(cd, CRYPT_LUKS2, NULL), 0);
	assert_int_equal(crypt_persistent_flags_get(cd, CRYPT_FLAGS_ACTIVATION, &flags), 0);
	crypt_free(cd);
	return flags;
}

static void test_mapping_has_its_name_and_the_options_asked_for(void **state)
{
	static const struct {
		unsigned flag;
		uint32_t activation;
	} rows[] = {
		{0, 0},
		{LUKS_MAP_DISCARDS, CRYPT_ACTIVATE_ALLOW_DISCARDS},
		{LUKS_MAP_READONLY, CRYPT_ACTIVATE_READONLY},
		{LUKS_MAP_SAME_CPU, CRYPT_ACTIVATE_SAME_CPU_CRYPT},
		{LUKS_MAP_SUBMIT_FROM_CPUS, CRYPT_ACTIVATE_SUBMIT_FROM_CRYPT_CPUS},
		{LUKS_MAP_NO_READ_WORKQUEUE, CRYPT_ACTIVATE_NO_READ_WORKQUEUE},
		{LUKS_MAP_NO_WRITE_WORKQUEUE, CRYPT_ACTIVATE_NO_WRITE_WORKQUEUE},
	};

	(void)state;
	bind_local(1);
	for (size_t i = 0; i < COUNT(rows); i++) {
		const struct luks_mapping mapping = {"mapped", rows[i].flag, false, NULL};

		assert_int_equal(unlock_in(8000, &mapping), 1);
		assert_string_equal(watch.name, "mapped");
		assert_int_equal(watch.flags, rows[i].activation);
		assert_int_equal(stored_flags(), 0);
	}
}

static void test_options_are_stored_when_the_device_is_open_and_not_else(void **state)
{
	struct luks_mapping mapping = {"mapped", LUKS_MAP_DISCARDS, true, NULL};

	(void)state;
	bind_local(1);
	watch.fail = -EBUSY;
	assert_int_equal(unlock_in(8000, &mapping), -EBUSY);
	assert_int_equal(stored_flags(), 0);
	assert_int_equal(unlock_in(8000, &mapping), 1);
	assert_int_equal(stored_flags(), CRYPT_ACTIVATE_ALLOW_DISCARDS);
	/* Those that are there give way. */
	mapping.flags = LUKS_MAP_NO_READ_WORKQUEUE;
	assert_int_equal(unlock_in(8000, &mapping), 1);
	assert_int_equal(stored_flags(), CRYPT_ACTIVATE_NO_READ_WORKQUEUE);
	/* That a device is to be read-only is not kept there. */
	mapping.flags = LUKS_MAP_SAME_CPU | LUKS_MAP_READONLY;
	assert_int_equal(unlock_in(8000, &mapping), 1);
	assert_int_equal(watch.flags, CRYPT_ACTIVATE_SAME_CPU_CRYPT | CRYPT_ACTIVATE_READONLY);
	assert_int_equal(stored_flags(), CRYPT_ACTIVATE_SAME_CPU_CRYPT);
}

static void test_data_elsewhere_is_mapped_by_the_header_that_was_opened(void **state)
{
	char data[160];
	const struct luks_mapping mapping = {.name = "mapped", .device = data};

	(void)state;
	bind_server(0, 1);
	(void)snprintf(data, sizeof(data), "%s/data", folder.path);
	assert_true(unlock_in(8000, &mapping) < 0);
	assert_non_null(strstr(err.text, data));
	assert_int_equal(books[0].recoveries, 0);
	folder_write(&folder, "data", "");
	assert_int_equal(truncate(data, IMAGE_SIZE), 0);
	assert_int_equal(unlock_in(8000, &mapping), 1);
	assert_string_equal(watch.device, data);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(int argc, char *argv[])
{
	static const struct CMUnitTest tests[] = {
		CASE(test_silent_server_does_not_keep_another_binding_from_opening),
		CASE(test_first_keyslots_binding_is_enough_when_it_opens),
		CASE(test_passphrase_that_does_not_open_its_keyslot_does_not_end_the_search),
		CASE(test_each_passphrase_is_tried_on_its_own_keyslot_only),
		CASE(test_local_binding_opens_without_asking_a_server),
		CASE(test_one_binding_takes_no_process),
		CASE(test_trouble_with_the_device_ends_the_search),
		CASE(test_when_time_is_up_each_binding_is_told_of),
		CASE(test_volume_key_comes_by_any_binding_that_opens),
		CASE(test_mapping_has_its_name_and_the_options_asked_for),
		CASE(test_options_are_stored_when_the_device_is_open_and_not_else),
		CASE(test_data_elsewhere_is_mapped_by_the_header_that_was_opened),
	};

	unit_begin(argc, argv);
	return cmocka_run_group_tests_name("luks/open", tests, start_servers, stop_servers);
}
