/* SPDX-License-Identifier: Apache-2.0 */
/* base/secret.c: what is freed is zero, what lives is locked and kept out of core dumps, and places never overlap. */
#include "unit.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

enum { MARK = 0xa5, ARENA_BYTES = 256 * 1024, LARGE = 100 * 1024 };

static void fill(struct secret *secret, size_t size)
{
	assert_int_equal(secret_new(secret, size, NULL), 0);
	memset(secret->data, MARK, size);
}

/* The arena stays mapped, so its bytes can be looked at after a secret left them. */
static bool is_zero(const unsigned char *data, size_t size)
{
	for (size_t i = 0; i < size; i++)
		if (data[i] != 0)
			return false;
	return true;
}

static void test_new_secret_is_zero(void **state)
{
	static const size_t sizes[] = {0, 1, 63, 64, 65, 4096, 65536, 65537, LARGE};

	(void)state;
	for (int round = 0; round < 2; round++) {
		for (size_t i = 0; i < COUNT(sizes); i++) {
			struct secret secret = {0};

			assert_int_equal(secret_new(&secret, sizes[i], NULL), 0);
			assert_non_null(secret.data);
			assert_int_equal(secret.size, sizes[i]);
			assert_true(is_zero(secret.data, secret.size));
			memset(secret.data, MARK, secret.size);
			secret_free(&secret);
		}
	}
}

static void test_free_wipes_the_old_place(void **state)
{
	static const size_t sizes[] = {1, 32, 64, 65, 1000, 65536};

	(void)state;
	for (size_t i = 0; i < COUNT(sizes); i++) {
		struct secret secret = {0};
		const unsigned char *place;

		fill(&secret, sizes[i]);
		place = secret.data;
		secret_free(&secret);
		assert_null(secret.data);
		assert_int_equal(secret.size, 0);
		assert_true(is_zero(place, sizes[i]));
	}
}

static void test_free_leaves_the_neighbours_alone(void **state)
{
	struct secret secrets[3] = {0};

	(void)state;
	for (size_t i = 0; i < COUNT(secrets); i++)
		fill(&secrets[i], 64);
	secret_free(&secrets[1]);
	for (size_t i = 0; i < COUNT(secrets); i += 2) {
		for (size_t byte = 0; byte < 64; byte++)
			assert_int_equal(secrets[i].data[byte], MARK);
		secret_free(&secrets[i]);
	}
}

static void test_free_accepts_nothing(void **state)
{
	struct secret empty = {0};

	(void)state;
	secret_free(NULL);
	secret_free(&empty);
	secret_free(&empty);
	assert_null(empty.data);
}

static void test_growing_keeps_the_content_and_wipes_the_left_place(void **state)
{
	SECRET_AUTO struct secret secret = {0};
	const unsigned char *place;

	(void)state;
	fill(&secret, 48);
	place = secret.data;
	assert_int_equal(secret_resize(&secret, 5000, NULL), 0);
	assert_int_equal(secret.size, 5000);
	assert_ptr_not_equal(secret.data, place);
	for (size_t i = 0; i < 48; i++)
		assert_int_equal(secret.data[i], MARK);
	assert_true(is_zero(secret.data + 48, 5000 - 48));
	assert_true(is_zero(place, 48));
}

static void test_shrinking_wipes_what_is_dropped(void **state)
{
	SECRET_AUTO struct secret secret = {0};
	const unsigned char *place;

	(void)state;
	fill(&secret, 1000);
	place = secret.data;
	assert_int_equal(secret_resize(&secret, 10, NULL), 0);
	assert_int_equal(secret.size, 10);
	for (size_t i = 0; i < 10; i++)
		assert_int_equal(secret.data[i], MARK);
	assert_true(is_zero(secret.data + 10, 54));
	if (secret.data != place)
		assert_true(is_zero(place, 1000));
	else
		assert_true(is_zero(place + 10, 990));
}

static void test_resize_of_nothing_makes_a_secret(void **state)
{
	SECRET_AUTO struct secret secret = {0};

	(void)state;
	assert_int_equal(secret_resize(&secret, 7, NULL), 0);
	assert_non_null(secret.data);
	assert_true(is_zero(secret.data, 7));
}

static void test_impossible_size_is_refused_and_the_secret_kept(void **state)
{
	struct error err = {0};
	SECRET_AUTO struct secret secret = {0};
	struct secret none = {0};

	(void)state;
	fill(&secret, 16);
	assert_int_equal(secret_resize(&secret, SIZE_MAX, &err), -ENOMEM);
	assert_int_equal(err.code, -ENOMEM);
	assert_int_equal(secret.size, 16);
	assert_int_equal(secret.data[15], MARK);
	assert_int_equal(secret_new(&none, SIZE_MAX - 1, &err), -ENOMEM);
	assert_null(none.data);
}

static void test_many_secrets_fill_the_arena_and_fall_back(void **state)
{
	enum { EACH = 4096, MANY = ARENA_BYTES / EACH + 16 };
	static struct secret secrets[MANY];

	(void)state;
	for (size_t i = 0; i < MANY; i++) {
		assert_int_equal(secret_new(&secrets[i], EACH, NULL), 0);
		memset(secrets[i].data, (int)(i + 1), EACH);
	}
	for (size_t i = 0; i < MANY; i++)
		for (size_t byte = 0; byte < EACH; byte++)
			assert_int_equal(secrets[i].data[byte], (i + 1) & 0xff);
	for (size_t i = 0; i < MANY; i++)
		secret_free(&secrets[i]);
}

static void test_freed_places_are_used_again(void **state)
{
	const unsigned char *first = NULL;

	(void)state;
	for (int i = 0; i < 10000; i++) {
		struct secret secret = {0};

		assert_int_equal(secret_new(&secret, 100, NULL), 0);
		if (!first)
			first = secret.data;
		assert_ptr_equal(secret.data, first);
		secret_free(&secret);
	}
}

/* mincore(2) answers ENOMEM for pages that are not mapped. */
static bool is_mapped(void *address)
{
	unsigned char in_core;

	return mincore(address, 1, &in_core) == 0;
}

static void test_a_large_secret_has_pages_of_its_own_and_gives_them_back(void **state)
{
	struct secret large = {0};
	void *place;

	(void)state;
	fill(&large, LARGE);
	place = large.data;
	assert_int_equal((uintptr_t)place % (uintptr_t)sysconf(_SC_PAGESIZE), 0);
	assert_true(is_mapped(place));
	secret_free(&large);
	assert_false(is_mapped(place));
}

static void test_move_leaves_the_source_empty(void **state)
{
	struct secret from = {0};
	SECRET_AUTO struct secret to = {0};
	const unsigned char *place;

	(void)state;
	fill(&from, 5);
	place = from.data;
	secret_move(&to, &from);
	assert_ptr_equal(to.data, place);
	assert_int_equal(to.size, 5);
	assert_null(from.data);
	assert_int_equal(from.size, 0);
}

static void test_equal_looks_at_every_byte_and_the_size(void **state)
{
	static const struct {
		const char *a;
		const char *b;
		bool equal;
	} rows[] = {
		{"", "", true},	       {"key", "key", true},   {"key", "kez", false},
		{"key", "aey", false}, {"key", "keys", false}, {"", "k", false},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct secret a = {0};
		struct secret b = {0};

		assert_int_equal(secret_copy(&a, rows[i].a, strlen(rows[i].a), NULL), 0);
		assert_int_equal(secret_copy(&b, rows[i].b, strlen(rows[i].b), NULL), 0);
		unit_check(secret_equal(&a, &b) == rows[i].equal, rows[i].b);
		secret_free(&a);
		secret_free(&b);
	}
}

/* The VmFlags of the mapping that holds an address: "rd wr … dd …". */
static void read_flags(const void *address, char *flags, size_t size)
{
	FILE *smaps = fopen("/proc/self/smaps", "re");
	char line[4096];
	bool inside = false;

	assert_non_null(smaps);
	flags[0] = '\0';
	while (fgets(line, sizeof(line), smaps)) {
		char *dash = strchr(line, '-');

		/* "LOW-HIGH rw-p …" begins a mapping; the lines about it begin with a word and a colon. */
		if (dash && dash < strchr(line, ' '))
			inside = (uintptr_t)address >= strtoul(line, NULL, 16) &&
				 (uintptr_t)address < strtoul(dash + 1, NULL, 16);
		else if (inside && strncmp(line, "VmFlags:", 8) == 0)
			(void)snprintf(flags, size, "%.*s", (int)size - 1, line + 8);
	}
	(void)fclose(smaps);
	if (!*flags)
		unit_skip("this kernel shows no VmFlags in /proc/self/smaps");
}

static void test_secrets_are_kept_out_of_core_dumps(void **state)
{
	static const size_t sizes[] = {32, LARGE};
	char flags[512];

	(void)state;
	for (size_t i = 0; i < COUNT(sizes); i++) {
		struct secret secret = {0};

		fill(&secret, sizes[i]);
		read_flags(secret.data, flags, sizeof(flags));
		secret_free(&secret);
		assert_non_null(strstr(flags, " dd"));
	}
}

static void skip_without_locking(void)
{
	void *probe;
	bool locked;

#ifdef __SANITIZE_ADDRESS__
	unit_skip("the address sanitizer switches mlock(2) off");
#endif
	probe = unit_map(2 * (size_t)ARENA_BYTES);
	locked = mlock(probe, 2 * (size_t)ARENA_BYTES) == 0;
	unit_unmap(probe, 2 * (size_t)ARENA_BYTES);
	if (!locked)
		unit_skip("RLIMIT_MEMLOCK is too low to lock memory");
}

static void test_secrets_are_locked_into_memory(void **state)
{
	static const size_t sizes[] = {32, LARGE};
	char flags[512];

	(void)state;
	skip_without_locking();
	for (size_t i = 0; i < COUNT(sizes); i++) {
		struct secret secret = {0};

		fill(&secret, sizes[i]);
		read_flags(secret.data, flags, sizeof(flags));
		secret_free(&secret);
		assert_non_null(strstr(flags, " lo"));
	}
	assert_true(secret_is_locked());
}

static void test_freeing_one_secret_unlocks_no_neighbour(void **state)
{
	SECRET_AUTO struct secret neighbour = {0};
	struct secret secret = {0};
	char flags[512];

	(void)state;
	skip_without_locking();
	fill(&neighbour, 32);
	fill(&secret, 32);
	secret_free(&secret);
	read_flags(neighbour.data, flags, sizeof(flags));
	assert_non_null(strstr(flags, " lo"));
}

/* In a child, as the rights that are given up here do not come back. */
static int lock_beyond_the_limit(void *arg)
{
	const struct rlimit none = {0};
	struct secret secret = {0};

	(void)arg;
	if (setrlimit(RLIMIT_MEMLOCK, &none) != 0 ||
	    (geteuid() == 0 && setresuid(65534, 65534, 65534) != 0))
		return 2;
	if (secret_new(&secret, LARGE, NULL) < 0)
		return 3; /* a lock that is refused is no error */
	secret_free(&secret);
	return secret_is_locked() ? 4 : 0;
}

static void test_a_refused_lock_is_told_and_no_error(void **state)
{
	(void)state;
#ifdef __SANITIZE_ADDRESS__
	unit_skip("the address sanitizer switches mlock(2) off");
#endif
	assert_int_equal(unit_in_child(lock_beyond_the_limit, NULL), 0);
}

static int harden(void *arg)
{
	struct error err = {0};
	struct rlimit core = {1, 1};

	(void)arg;
	if (secret_harden_process(&err) < 0)
		return 1;
	if (getrlimit(RLIMIT_CORE, &core) != 0 || core.rlim_cur != 0 || core.rlim_max != 0)
		return 2;
	return prctl(PR_GET_DUMPABLE) == 0 ? 0 : 3;
}

static void test_hardened_process_leaves_no_core_and_is_not_dumpable(void **state)
{
	(void)state;
	assert_int_equal(unit_in_child(harden, NULL), 0);
}

static void test_wipe_of_zero_bytes_touches_nothing(void **state)
{
	unsigned char byte = MARK;

	(void)state;
	secret_wipe(&byte, 0);
	assert_int_equal(byte, MARK);
	secret_wipe(NULL, 0);
	secret_wipe(&byte, 1);
	assert_int_equal(byte, 0);
}

int main(int argc, char *argv[])
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_new_secret_is_zero),
		cmocka_unit_test(test_free_wipes_the_old_place),
		cmocka_unit_test(test_free_leaves_the_neighbours_alone),
		cmocka_unit_test(test_free_accepts_nothing),
		cmocka_unit_test(test_growing_keeps_the_content_and_wipes_the_left_place),
		cmocka_unit_test(test_shrinking_wipes_what_is_dropped),
		cmocka_unit_test(test_resize_of_nothing_makes_a_secret),
		cmocka_unit_test(test_impossible_size_is_refused_and_the_secret_kept),
		cmocka_unit_test(test_many_secrets_fill_the_arena_and_fall_back),
		cmocka_unit_test(test_freed_places_are_used_again),
		cmocka_unit_test(test_a_large_secret_has_pages_of_its_own_and_gives_them_back),
		cmocka_unit_test(test_move_leaves_the_source_empty),
		cmocka_unit_test(test_equal_looks_at_every_byte_and_the_size),
		cmocka_unit_test(test_secrets_are_kept_out_of_core_dumps),
		cmocka_unit_test(test_secrets_are_locked_into_memory),
		cmocka_unit_test(test_freeing_one_secret_unlocks_no_neighbour),
		cmocka_unit_test(test_a_refused_lock_is_told_and_no_error),
		cmocka_unit_test(test_hardened_process_leaves_no_core_and_is_not_dumpable),
		cmocka_unit_test(test_wipe_of_zero_bytes_touches_nothing),
	};

	unit_begin(argc, argv);
	return cmocka_run_group_tests_name("base/secret", tests, NULL, NULL);
}
