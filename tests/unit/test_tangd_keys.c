/* SPDX-License-Identifier: Apache-2.0 */
/* tangd/keys.c and keygen.c: the folder as it is read, pairs made when none is advertised, and messages from outside. */
#include "keyfile.h"

#include "tang/tang.h"
#include "tangd/keygen.h"
#include "tangd/keys.h"
#include "tangd/keys_process.h"
#include "tangd/passing.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static struct folder folder;
static struct keys *keys;

static int open_folder(void **state)
{
	(void)state;
	folder_make(&folder);
	assert_int_equal(keys_open(folder.path, &keys, NULL), 0);
	return 0;
}

static int close_folder(void **state)
{
	(void)state;
	keys_free(&keys);
	assert_null(keys);
	folder_remove(&folder);
	return 0;
}

static const struct public_keys *refresh(void)
{
	const struct public_keys *side = NULL;
	struct error err = {0};

	if (keys_refresh(keys, &side, &err) < 0)
		fail_msg("%s", err.text);
	return side;
}

/* Refreshes, and gives back what was said on standard error (the caller's). */
static char *refresh_loudly(const struct public_keys **side)
{
	struct capture capture;
	char *text;
	int rc;

	capture_begin(&capture);
	rc = keys_refresh(keys, side, NULL);
	text = capture_end(&capture);
	assert_int_equal(rc, 0);
	return text;
}

static const struct public_key *find(const struct public_keys *side, const json_t *jwk,
				     size_t *index)
{
	char thumbprint[JOSE_THUMBPRINT_MAX];

	(void)key_thumbprint(jwk, JOSE_S256, thumbprint);
	for (size_t i = 0; i < side->count; i++) {
		if (strcmp(side->key[i].thumbprint[JOSE_S256], thumbprint) != 0)
			continue;
		if (index)
			*index = i;
		return &side->key[i];
	}
	return NULL;
}

/* The keys of an advertisement, verified. The caller's. */
static json_t *advertised_keys(const char *advertisement)
{
	JSON_AUTO json_t *jws = json_loads(advertisement, 0, NULL);
	JSON_AUTO json_t *set = NULL;

	assert_non_null(jws);
	assert_int_equal(tang_advertisement_verify(jws, &set, NULL), 0);
	return json_incref(json_at(set, "keys"));
}

static bool advertises(const char *advertisement, const json_t *jwk)
{
	JSON_AUTO json_t *list = advertised_keys(advertisement);
	char wanted[JOSE_THUMBPRINT_MAX];
	const json_t *one;
	size_t i;

	(void)key_thumbprint(jwk, JOSE_S256, wanted);
	json_array_foreach(list, i, one) {
		if (jose_thumbprint_matches(one, wanted, NULL))
			return true;
	}
	return false;
}

static void test_missing_folder_and_file_are_refused(void **state)
{
	struct keys *none = NULL;
	struct error err = {0};
	char path[128];

	(void)state;
	assert_int_equal(keys_open("/nonexistent/keys", &none, &err), -ENOENT);
	assert_non_null(strstr(err.text, "Error calling stat() on path: /nonexistent/keys"));
	folder_write(&folder, "file", "");
	(void)snprintf(path, sizeof(path), "%s/file", folder.path);
	assert_int_equal(keys_open(path, &none, &err), -ENOTDIR);
	assert_non_null(strstr(err.text, "Path is not a directory: "));
	assert_null(none);
}

/* The files of a new pair: whole, 0440, named after their thumbprints. */
static void assert_generated_pair(void)
{
	DIR *listing = opendir(folder.path);
	const struct dirent *entry;
	size_t count = 0;

	assert_non_null(listing);
	while ((entry = readdir(listing))) {
		JSON_AUTO json_t *jwk = NULL;
		char path[512];
		char name[JOSE_THUMBPRINT_MAX + 4];
		char thumbprint[JOSE_THUMBPRINT_MAX];
		struct stat st;

		if (entry->d_name[0] == '.')
			continue;
		(void)snprintf(path, sizeof(path), "%s/%s", folder.path, entry->d_name);
		jwk = json_load_file(path, 0, NULL);
		assert_non_null(jwk);
		(void)snprintf(name, sizeof(name), "%s.jwk",
			       key_thumbprint(jwk, JOSE_S256, thumbprint));
		assert_string_equal(entry->d_name, name);
		assert_int_equal(stat(path, &st), 0);
		assert_int_equal(st.st_mode & 07777, 0440);
		assert_string_equal(text_at(jwk, "crv"), "P-521");
		count++;
	}
	(void)closedir(listing);
	assert_int_equal(count, 2);
}

static void test_empty_folder_gets_a_pair(void **state)
{
	const struct public_keys *side = refresh();
	JSON_AUTO json_t *list = advertised_keys(side->advertisement);

	(void)state;
	assert_int_equal(side->count, 2);
	assert_int_equal(json_array_size(list), 2);
	assert_int_equal(side->key[0].is_exchange + side->key[1].is_exchange, 1);
	assert_generated_pair();
	/* and only one */
	side = refresh();
	assert_int_equal(side->count, 2);
	assert_int_equal(folder_count(&folder), 2);
}

static void test_rotated_keys_alone_get_a_pair_beside_them(void **state)
{
	JSON_AUTO json_t *signing = key_make(&folder, ".old-sig.jwk", "{'alg':'ES512'}");
	JSON_AUTO json_t *exchange = key_make(&folder, ".old-exc.jwk", "{'alg':'ECMR'}");
	const struct public_keys *side = refresh();
	const struct public_key *old;

	(void)state;
	assert_int_equal(side->count, 4);
	assert_int_equal(folder_count(&folder), 4);
	assert_false(advertises(side->advertisement, signing));
	assert_false(advertises(side->advertisement, exchange));
	/* but the old ones still serve */
	old = find(side, exchange, NULL);
	assert_true(old && old->is_exchange && !old->advertisement);
	old = find(side, signing, NULL);
	assert_non_null(old->advertisement);
}

static void test_one_advertised_key_of_either_sort_is_enough(void **state)
{
	static const char *const wanted[] = {"{'alg':'ES512'}", "{'alg':'ECMR'}"};

	(void)state;
	for (size_t i = 0; i < COUNT(wanted); i++) {
		JSON_AUTO json_t *jwk = key_make(&folder, "a.jwk", wanted[i]);
		const struct public_keys *side = refresh();

		assert_int_equal(side->count, 1);
		assert_int_equal(folder_count(&folder), 1);
		assert_int_equal(side->advertisement != NULL, i == 0);
		if (i == 0)
			assert_true(advertises(side->advertisement, jwk));
	}
}

static void test_broken_file_makes_no_new_identity(void **state)
{
	const struct public_keys *side = NULL;
	char *said;

	(void)state;
	folder_write(&folder, "a.jwk", "{broken");
	said = refresh_loudly(&side);
	assert_int_equal(side->count, 0);
	assert_null(side->advertisement);
	assert_int_equal(folder_count(&folder), 1);
	assert_non_null(strstr(said, "Cannot load JSON file ("));
	assert_non_null(strstr(said, "/a.jwk); skipping"));
	free(said);
}

static void test_unusable_files_are_left_out_loudly_and_the_rest_serves(void **state)
{
	static const struct {
		const char *name;
		const char *text;
	} rows[] = {
		{"broken.jwk", "{'kty':"},
		{"empty.jwk", ""},
		{"array.jwk", "[]"},
		{"oct.jwk", "{'kty':'oct','k':'AAAA','alg':'HS256','key_ops':['sign','verify']}"},
		{"rsa.jwk", "{'kty':'RSA','n':'AQAB','e':'AQAB','key_ops':['sign','verify']}"},
		{"offcurve.jwk",
		 "{'kty':'EC','crv':'P-256','x':'AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA',"
		 "'y':'AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA','alg':'ECMR',"
		 "'d':'AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAE'}"},
		{"curve.jwk", "{'kty':'EC','crv':'secp256k1','x':'AA','y':'AA','d':'AA'}"},
	};
	JSON_AUTO json_t *signing = key_make(&folder, "sig.jwk", "{'alg':'ES512'}");
	JSON_AUTO json_t *exchange = key_make(&folder, "exc.jwk", "{'alg':'ECMR'}");
	const struct public_keys *side = NULL;
	JSON_AUTO json_t *list = NULL;
	char *said;

	(void)state;
	json_decref(key_make(&folder, "wrap.jwk", "{'alg':'ES512','key_ops':['verify']}"));
	for (size_t i = 0; i < COUNT(rows); i++)
		folder_write(&folder, rows[i].name, rows[i].text);
	said = refresh_loudly(&side);
	for (size_t i = 0; i < COUNT(rows); i++)
		unit_check(strstr(said, rows[i].name) != NULL, rows[i].name);
	assert_null(strstr(said, "sig.jwk"));
	free(said);
	list = advertised_keys(side->advertisement);
	assert_int_equal(json_array_size(list), 2);
	assert_true(advertises(side->advertisement, signing));
	assert_true(advertises(side->advertisement, exchange));
	/* A warning is said when a file is first seen, not at every request. */
	said = refresh_loudly(&side);
	assert_string_equal(said, "");
	free(said);
}

static void test_other_names_are_ignored(void **state)
{
	static const char *const names[] = {"key.json",	 "jwk",	  ".jwk",
					    "a.jwk.bak", "a.JWK", "ajwk"};
	JSON_AUTO json_t *other = key_generate("{'alg':'ES256'}");

	(void)state;
	json_decref(key_make(&folder, "sig.jwk", "{'alg':'ES512'}"));
	for (size_t i = 0; i < COUNT(names); i++)
		key_write(&folder, names[i], other);
	assert_int_equal(refresh()->count, 1);
}

static void test_huge_file_is_left_out(void **state)
{
	JSON_AUTO json_t *huge = key_generate("{'alg':'ECMR'}");
	char *padding = malloc(JOSE_JWK_MAX + 1);
	const struct public_keys *side = NULL;
	char *said;

	(void)state;
	json_decref(key_make(&folder, "sig.jwk", "{'alg':'ES512'}"));
	assert_non_null(padding);
	memset(padding, 'x', JOSE_JWK_MAX);
	padding[JOSE_JWK_MAX] = '\0';
	assert_int_equal(json_object_set_new(huge, "x-note", json_string(padding)), 0);
	free(padding);
	key_write(&folder, "huge.jwk", huge);
	said = refresh_loudly(&side);
	assert_int_equal(side->count, 1);
	assert_non_null(strstr(said, "huge.jwk"));
	free(said);
}

static void test_changed_folder_is_noticed(void **state)
{
	JSON_AUTO json_t *first = key_make(&folder, "a.jwk", "{'alg':'ES512'}");
	JSON_AUTO json_t *second = NULL;
	JSON_AUTO json_t *third = NULL;

	(void)state;
	assert_true(advertises(refresh()->advertisement, first));
	second = key_make(&folder, "b.jwk", "{'alg':'ES256'}");
	assert_true(advertises(refresh()->advertisement, second));
	/* rotated: the same file by another name */
	assert_int_equal(renameat(folder.fd, "a.jwk", folder.fd, ".a.jwk"), 0);
	assert_false(advertises(refresh()->advertisement, first));
	assert_non_null(find(refresh(), first, NULL));
	/* replaced: the same name for another file */
	third = key_make(&folder, "new", "{'alg':'ES256'}");
	assert_int_equal(renameat(folder.fd, "new", folder.fd, "b.jwk"), 0);
	assert_true(advertises(refresh()->advertisement, third));
	assert_false(advertises(refresh()->advertisement, second));
	/* removed */
	assert_int_equal(unlinkat(folder.fd, ".a.jwk", 0), 0);
	assert_null(find(refresh(), first, NULL));
}

static void test_unchanged_folder_is_not_read_again(void **state)
{
	const char *before;

	(void)state;
	json_decref(key_make(&folder, "a.jwk", "{'alg':'ES512'}"));
	before = refresh()->advertisement;
	/* ECDSA signatures are random, so an advertisement signed anew would differ. */
	for (int i = 0; i < 3; i++)
		assert_ptr_equal(refresh()->advertisement, before);
}

static void test_folder_that_went_away_is_an_error(void **state)
{
	const struct public_keys *side = NULL;
	struct error err = {0};

	(void)state;
	assert_int_equal(rmdir(folder.path), 0);
	assert_true(keys_refresh(keys, &side, &err) < 0);
	assert_true(err.code < 0);
	assert_null(side);
	assert_int_equal(mkdir(folder.path, 0700), 0);
}

static void test_rotated_signing_key_vouches_for_the_new_ones(void **state)
{
	JSON_AUTO json_t *old = key_make(&folder, ".old.jwk", "{'alg':'ES256'}");
	JSON_AUTO json_t *new = key_make(&folder, "new.jwk", "{'alg':'ES512'}");
	JSON_AUTO json_t *exchange = key_make(&folder, "exc.jwk", "{'alg':'ECMR'}");
	const struct public_keys *side = refresh();
	JSON_AUTO json_t *jws = json_loads(find(side, old, NULL)->advertisement, 0, NULL);
	JSON_AUTO json_t *plain = json_loads(side->advertisement, 0, NULL);

	(void)state;
	assert_int_equal(jose_jws_verify(jws, old, NULL), 0);
	assert_int_equal(jose_jws_verify(jws, new, NULL), 0);
	assert_int_equal(jose_jws_verify(plain, old, NULL), -EBADMSG);
	assert_false(advertises(find(side, old, NULL)->advertisement, old));
	assert_true(advertises(find(side, old, NULL)->advertisement, exchange));
	assert_null(find(side, exchange, NULL)->advertisement);
}

static void test_public_side_holds_no_private_member(void **state)
{
	const struct public_keys *side = refresh();
	JSON_AUTO json_t *list = advertised_keys(side->advertisement);
	const json_t *jwk;
	size_t i;

	(void)state;
	json_array_foreach(list, i, jwk) {
		assert_null(json_object_get(jwk, "d"));
	}
}

/* Asks key `index` to multiply the generator-made point `x`. */
static int32_t answer(uint32_t version, uint32_t index, const struct jose_point *x,
		      struct key_reply *reply)
{
	struct key_request request = {.version = version, .key = index, .x = *x};

	memset(reply, 0xee, sizeof(*reply));
	keys_answer(keys, &request, reply);
	assert_int_equal(reply->version, MESSAGE_VERSION);
	return reply->status;
}

static bool is_blank(const struct jose_point *point)
{
	static const struct jose_point blank;

	return memcmp(point, &blank, sizeof(blank)) == 0;
}

static void test_exchange_multiplies_by_the_key_that_is_named(void **state)
{
	static const char *const wanted[] = {"{'alg':'ECMR'}", "{'alg':'ECMR','crv':'P-256'}",
					     "{'kty':'EC','crv':'P-384','key_ops':['deriveKey']}"};
	json_t *jwk[COUNT(wanted)] = {NULL};

	(void)state;
	for (size_t i = 0; i < COUNT(wanted); i++) {
		char name[16];

		/* the second is rotated, and still answers */
		(void)snprintf(name, sizeof(name), "%s%zu.jwk", i == 1 ? "." : "", i);
		jwk[i] = key_make(&folder, name, wanted[i]);
	}
	for (size_t i = 0; i < COUNT(wanted); i++) {
		const struct jose_curve *curve = jose_curve_named(text_at(jwk[i], "crv"));
		SECRET_AUTO struct secret d = {0};
		SECRET_AUTO struct secret e = {0};
		struct jose_point x;
		struct jose_point expected;
		struct key_reply reply;
		size_t index = 0;

		assert_non_null(find(refresh(), jwk[i], &index));
		assert_int_equal(jose_point_generate(curve, &e, &x, NULL), 0);
		assert_int_equal(jose_scalar_from_jwk(jwk[i], curve, &d, NULL), 0);
		assert_int_equal(jose_point_multiply(&d, &x, &expected, NULL), 0);
		assert_int_equal(answer(MESSAGE_VERSION, (uint32_t)index, &x, &reply), 0);
		assert_memory_equal(&reply.y, &expected, sizeof(expected));
		json_drop(&jwk[i]);
	}
}

static void test_messages_that_are_wrong_are_refused(void **state)
{
	JSON_AUTO json_t *signing = key_make(&folder, "sig.jwk", "{'alg':'ES512'}");
	JSON_AUTO json_t *exchange = key_make(&folder, "exc.jwk", "{'alg':'ECMR'}");
	const struct public_keys *side = refresh();
	SECRET_AUTO struct secret e = {0};
	SECRET_AUTO struct secret f = {0};
	struct jose_point x;
	struct jose_point off;
	struct jose_point p256;
	struct jose_point wild;
	struct jose_point zero = {.curve = JOSE_P521};
	struct key_reply reply;
	size_t exc = 0;
	size_t sig = 0;
	const int none = 77;

	(void)state;
	assert_non_null(find(side, exchange, &exc));
	assert_non_null(find(side, signing, &sig));
	assert_int_equal(jose_point_generate(jose_curve(JOSE_P521), &e, &x, NULL), 0);
	assert_int_equal(jose_point_generate(jose_curve(JOSE_P256), &f, &p256, NULL), 0);
	off = x;
	off.y[65] ^= 1;
	wild = x;
	memcpy(&wild.curve, &none, sizeof(wild.curve));
	{
		const struct {
			const char *name;
			uint32_t version;
			uint32_t key;
			const struct jose_point *x;
			int32_t status;
		} rows[] = {
			{"good", MESSAGE_VERSION, (uint32_t)exc, &x, 0},
			{"version 0", 0, (uint32_t)exc, &x, -ENOENT},
			{"version 2", MESSAGE_VERSION + 1, (uint32_t)exc, &x, -ENOENT},
			{"index beyond", MESSAGE_VERSION, 2, &x, -ENOENT},
			{"index far beyond", MESSAGE_VERSION, UINT32_MAX, &x, -ENOENT},
			{"signing key", MESSAGE_VERSION, (uint32_t)sig, &x, -ENOENT},
			{"other curve", MESSAGE_VERSION, (uint32_t)exc, &p256, -EINVAL},
			{"no curve", MESSAGE_VERSION, (uint32_t)exc, &wild, -EINVAL},
			{"off the curve", MESSAGE_VERSION, (uint32_t)exc, &off, -EINVAL},
			{"zeros", MESSAGE_VERSION, (uint32_t)exc, &zero, -EINVAL},
		};

		for (size_t i = 0; i < COUNT(rows); i++) {
			unit_check(answer(rows[i].version, rows[i].key, rows[i].x, &reply) ==
					   rows[i].status,
				   rows[i].name);
			unit_check(is_blank(&reply.y) == (rows[i].status != 0), rows[i].name);
		}
	}
}

static void test_keygen_takes_names_and_overwrites_nothing(void **state)
{
	struct error err = {0};

	(void)state;
	assert_int_equal(keygen_pair(folder.fd, "sig", "exc", NULL), 0);
	assert_true(folder_has(&folder, "sig.jwk") && folder_has(&folder, "exc.jwk"));
	assert_int_equal(folder_count(&folder), 2);
	/* the second name is taken: the first, which was free, is not left behind */
	assert_int_equal(keygen_pair(folder.fd, "other", "exc", &err), -EEXIST);
	assert_int_equal(folder_count(&folder), 2);
	assert_int_equal(keygen_pair(folder.fd, "sig", "other", &err), -EEXIST);
	assert_int_equal(folder_count(&folder), 2);
}

static void test_keygen_refuses_names_that_are_no_file_of_the_folder(void **state)
{
	static const char *const names[] = {"", ".hidden", "../out", "a/b", "/abs"};
	char longest[300];

	(void)state;
	for (size_t i = 0; i < COUNT(names); i++) {
		unit_check(keygen_pair(folder.fd, names[i], "exc", NULL) == -EINVAL, names[i]);
		unit_check(keygen_pair(folder.fd, "sig", names[i], NULL) == -EINVAL, names[i]);
	}
	memset(longest, 'n', sizeof(longest));
	longest[sizeof(longest) - 1] = '\0';
	assert_int_equal(keygen_pair(folder.fd, longest, "exc", NULL), -ENAMETOOLONG);
	assert_int_equal(folder_count(&folder), 0);
}

static void test_keygen_keeps_the_mode_whatever_the_umask(void **state)
{
	static const mode_t masks[] = {0, 0777};
	struct stat st;

	(void)state;
	for (size_t i = 0; i < COUNT(masks); i++) {
		mode_t before = umask(masks[i]);
		int rc = keygen_pair(folder.fd, i ? "a" : "b", i ? "c" : "d", NULL);

		(void)umask(before);
		assert_int_equal(rc, 0);
		assert_int_equal(fstatat(folder.fd, i ? "a.jwk" : "b.jwk", &st, 0), 0);
		assert_int_equal(st.st_mode & 07777, 0440);
	}
}

/* One rotation after another, as tangd-rotate-keys makes them: the other pair is shown, then this one hidden. */
static void rotate_until_ended(void)
{
	static const char *const names[] = {"a.jwk", "b.jwk", "c.jwk", "d.jwk"};
	static const char *const hidden[] = {".a.jwk", ".b.jwk", ".c.jwk", ".d.jwk"};

	struct timespec delay = {0};

	for (size_t shown = 2;; shown = 2 - shown) {
		for (size_t i = shown; i < shown + 2; i++)
			(void)renameat(folder.fd, hidden[i], folder.fd, names[i]);
		for (size_t i = 2 - shown; i < 4 - shown; i++)
			(void)renameat(folder.fd, names[i], folder.fd, hidden[i]);
		delay.tv_nsec = (delay.tv_nsec + 70000) % 1000000;
		(void)nanosleep(&delay, NULL);
	}
}

/* A moment without an advertised key, which never was, would be 500 for the clients. */
static void test_folder_that_changes_while_it_is_read_is_seen_as_it_was_at_one_moment(void **state)
{
	size_t whole = 0;
	pid_t rotating;

	(void)state;
	json_decref(key_make(&folder, "a.jwk", "{'alg':'ES256'}"));
	json_decref(key_make(&folder, "b.jwk", "{'alg':'ECMR','crv':'P-256'}"));
	json_decref(key_make(&folder, ".c.jwk", "{'alg':'ES256'}"));
	json_decref(key_make(&folder, ".d.jwk", "{'alg':'ECMR','crv':'P-256'}"));
	rotating = fork();
	if (rotating == 0) {
		(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
		rotate_until_ended();
	}
	assert_true(rotating > 0);
	for (int i = 0; i < 30000; i++) {
		const struct public_keys *side = NULL;
		int rc = keys_refresh(keys, &side, NULL);

		if (rc == -EAGAIN)
			continue;
		assert_int_equal(rc, 0);
		assert_int_equal(side->count, 4);
		assert_non_null(side->advertisement);
		whole++;
	}
	(void)kill(rotating, SIGKILL);
	(void)waitpid(rotating, NULL, 0);
	assert_true(whole > 0);
}

static size_t lines_with(const char *text, const char *part)
{
	size_t count = 0;

	for (const char *at = text; (at = strstr(at, part)); at++)
		count++;
	return count;
}

/* Each key that is open to everybody is told with what to type; those that are not, are not. */
static void test_modes_that_are_too_open_are_told(void **state)
{
	static const struct {
		const char *name;
		mode_t mode;
		const char *said; /* NULL: nothing */
	} rows[] = {
		{"closed.jwk", 0440, NULL},
		{".hidden.jwk", 0640, NULL},
		{"read.jwk", 0444, "read.jwk' is open to everybody (mode 0444): chmod o-rwx '"},
		{"written.jwk", 0602,
		 "written.jwk' is open to everybody (mode 0602): chmod o-rwx '"},
		{".rotated.jwk", 0644, ".rotated.jwk' is open to everybody (mode 0644): "},
		{"no-key", 0666, NULL},
	};
	const struct public_keys *side = NULL;
	char *text;

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		json_decref(key_make(&folder, rows[i].name, "{'alg':'ES256'}"));
		assert_int_equal(fchmodat(folder.fd, rows[i].name, rows[i].mode, 0), 0);
	}
	/* A link is as open as what it leads to, as the files of a mounted Secret are. */
	assert_int_equal(symlinkat("no-key", folder.fd, "link.jwk"), 0);
	assert_int_equal(symlinkat("closed.jwk", folder.fd, "other.jwk"), 0);
	text = refresh_loudly(&side);
	for (size_t i = 0; i < COUNT(rows); i++)
		unit_check(!rows[i].said || lines_with(text, rows[i].said) == 1, rows[i].name);
	assert_int_equal(lines_with(text, "link.jwk' is open to everybody (mode 0666)"), 1);
	assert_int_equal(lines_with(text, "warning: "), 4);
	free(text);
}

static void test_a_folder_that_everybody_can_write_is_told(void **state)
{
	const struct public_keys *side = NULL;
	char *text;

	(void)state;
	assert_int_equal(fchmod(folder.fd, 0757), 0);
	text = refresh_loudly(&side);
	assert_non_null(strstr(text, "everybody can write to the folder '"));
	assert_non_null(strstr(text, "(mode 0757): chmod o-w '"));
	assert_int_equal(lines_with(text, "warning: "), 1);
	free(text);
}

/* Starts a keys process for two fronts, and waits until it has read the folder. */
static pid_t start_process(int ours[static 2], struct key_uses *uses)
{
	pid_t self = getpid();
	int theirs[2];
	int reports[2];
	int pair[2];
	struct keys_report report;
	pid_t child;

	assert_int_equal(passing_pair(reports), 0);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(passing_pair(pair), 0);
		ours[i] = pair[0];
		theirs[i] = pair[1];
	}
	child = fork();
	assert_true(child >= 0);
	if (child == 0) {
		const struct keys_process process = {.folder = folder.path,
						     .channels = theirs,
						     .count = 2,
						     .report = reports[1],
						     .uses = uses};

		unit_child_begin(self);
		for (int i = 0; i < 2; i++)
			(void)close(ours[i]);
		_exit(keys_process_run(&process));
	}
	assert_int_equal(poll(&(struct pollfd){reports[0], POLLIN, 0}, 1, 20000), 1);
	assert_int_equal(recv(reports[0], &report, sizeof(report), 0), sizeof(report));
	assert_int_equal(report.status, 0);
	for (int i = 0; i < 2; i++) {
		(void)close(theirs[i]);
		(void)close(reports[i]);
	}
	return child;
}

/* As a front does that somebody has taken over: it asks, until nobody takes more, and reads nothing. */
static void ask_and_never_read(int channel)
{
	struct key_request request = {.version = MESSAGE_VERSION};
	struct pollfd room = {channel, POLLOUT, 0};

	while (poll(&room, 1, 500) == 1)
		(void)send(channel, &request, sizeof(request), MSG_DONTWAIT | MSG_NOSIGNAL);
}

static void test_a_front_that_reads_no_answers_holds_up_no_other(void **state)
{
	struct key_uses *uses = unit_map(sizeof(*uses));
	struct key_request request = {.version = MESSAGE_VERSION, .id = 7};
	struct key_reply reply;
	int channels[2];
	int status = -1;
	pid_t child;

	(void)state;
	json_decref(key_make(&folder, "exc.jwk", "{'alg':'ECMR'}"));
	json_decref(key_make(&folder, "sig.jwk", "{'alg':'ES256'}"));
	child = start_process(channels, uses);
	ask_and_never_read(channels[0]);
	for (int i = 0; i < 3; i++) {
		struct pollfd polled = {channels[1], POLLIN, 0};

		assert_int_equal(send(channels[1], &request, sizeof(request), MSG_NOSIGNAL),
				 sizeof(request));
		assert_int_equal(poll(&polled, 1, 20000), 1);
		assert_int_equal(recv(channels[1], &reply, sizeof(reply), 0), sizeof(reply));
		assert_int_equal(reply.id, 7);
	}
	/* Once it reads, it is answered again. */
	while (poll(&(struct pollfd){channels[0], POLLIN, 0}, 1, 1000) == 1)
		assert_int_equal(recv(channels[0], &reply, sizeof(reply), 0), sizeof(reply));
	request.id = 8;
	assert_int_equal(send(channels[0], &request, sizeof(request), MSG_NOSIGNAL),
			 sizeof(request));
	assert_int_equal(poll(&(struct pollfd){channels[0], POLLIN, 0}, 1, 20000), 1);
	assert_int_equal(recv(channels[0], &reply, sizeof(reply), 0), sizeof(reply));
	assert_int_equal(reply.id, 8);
	for (int i = 0; i < 2; i++)
		(void)close(channels[i]);
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
	unit_unmap(uses, sizeof(*uses));
}

#define CASE(test) cmocka_unit_test_setup_teardown(test, open_folder, close_folder)

int main(int argc, char *argv[])
{
	static const struct CMUnitTest tests[] = {
		CASE(test_missing_folder_and_file_are_refused),
		CASE(test_empty_folder_gets_a_pair),
		CASE(test_rotated_keys_alone_get_a_pair_beside_them),
		CASE(test_one_advertised_key_of_either_sort_is_enough),
		CASE(test_broken_file_makes_no_new_identity),
		CASE(test_unusable_files_are_left_out_loudly_and_the_rest_serves),
		CASE(test_other_names_are_ignored),
		CASE(test_huge_file_is_left_out),
		CASE(test_changed_folder_is_noticed),
		CASE(test_folder_that_changes_while_it_is_read_is_seen_as_it_was_at_one_moment),
		CASE(test_unchanged_folder_is_not_read_again),
		CASE(test_folder_that_went_away_is_an_error),
		CASE(test_rotated_signing_key_vouches_for_the_new_ones),
		CASE(test_public_side_holds_no_private_member),
		CASE(test_exchange_multiplies_by_the_key_that_is_named),
		CASE(test_messages_that_are_wrong_are_refused),
		CASE(test_keygen_takes_names_and_overwrites_nothing),
		CASE(test_keygen_refuses_names_that_are_no_file_of_the_folder),
		CASE(test_keygen_keeps_the_mode_whatever_the_umask),
		CASE(test_modes_that_are_too_open_are_told),
		CASE(test_a_folder_that_everybody_can_write_is_told),
		CASE(test_a_front_that_reads_no_answers_holds_up_no_other),
	};

	unit_begin(argc, argv);
	return cmocka_run_group_tests_name("tangd/keys, keygen", tests, NULL, NULL);
}
