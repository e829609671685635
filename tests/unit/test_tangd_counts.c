/* SPDX-License-Identifier: Apache-2.0 */
/* tangd/counts.c, board.c, state.c and what the supervisor makes of them: numbers that others write are believed no further than numbers. */
#include "unit.h"

#include "tangd/admin.h"
#include "tangd/board.h"
#include "tangd/counts.h"
#include "tangd/generation.h"
#include "tangd/state.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static struct front_counts *counts;

static int share_counts(void **state)
{
	(void)state;
	counts = counts_share(sizeof(*counts));
	assert_non_null(counts);
	return 0;
}

static int unshare_counts(void **state)
{
	(void)state;
	counts_unshare(counts, sizeof(*counts));
	return 0;
}

static void test_requests_are_counted_where_they_belong(void **state)
{
	(void)state;
	counts_request(counts, COUNTS_RECOVERY, 200, 250);
	counts_request(counts, COUNTS_RECOVERY, 200, 251);
	counts_request(counts, COUNTS_RECOVERY, 418, 60000000);
	counts_request(counts, COUNTS_OTHER, 503, -5);
	counts_request(NULL, COUNTS_OTHER, 503, 0);
	assert_int_equal(counts->requests[COUNTS_RECOVERY][0], 2);
	assert_int_equal(counts->requests[COUNTS_RECOVERY][COUNTS_STATUS_OTHER], 1);
	assert_int_equal(counts->requests[COUNTS_OTHER][COUNTS_STATUS_OTHER - 1], 1);
	assert_int_equal(counts->latency[COUNTS_RECOVERY][0], 1);
	assert_int_equal(counts->latency[COUNTS_RECOVERY][1], 1);
	assert_int_equal(counts->latency[COUNTS_RECOVERY][COUNTS_BUCKETS], 1);
	assert_int_equal(counts->latency_us[COUNTS_RECOVERY], 60000501);
	assert_int_equal(counts->latency_us[COUNTS_OTHER], 0);
}

static void test_what_a_child_counts_is_seen(void **state)
{
	pid_t child = fork();

	(void)state;
	if (child == 0) {
		counts_request(counts, COUNTS_ADVERTISEMENT, 200, 1);
		_exit(0);
	}
	assert_int_equal(waitpid(child, NULL, 0), child);
	assert_int_equal(counts->requests[COUNTS_ADVERTISEMENT][0], 1);
}

static void test_memory_behind_a_descriptor_keeps_its_size(void **state)
{
	struct key_uses *one = NULL;
	struct key_uses *two;
	void *memory = NULL;
	int fd = counts_share_file(sizeof(*one), &memory, NULL);

	(void)state;
	assert_true(fd >= 0);
	one = memory;
	/* Whoever could make it smaller would end those who read it. */
	assert_int_equal(ftruncate(fd, 0), -1);
	assert_int_equal(ftruncate(fd, (off_t)sizeof(*one) * 2), -1);
	assert_null(counts_map(fd, sizeof(*one) - 1));
	assert_null(counts_map(fd, sizeof(*one) + 4096));
	two = counts_map(fd, sizeof(*two));
	assert_non_null(two);
	counts_use(two, 3);
	assert_int_equal(one->key[3].times, 1);
	counts_use(two, TANG_KEY_FILES_MAX);
	counts_use(NULL, 0);
	counts_unshare(one, sizeof(*one));
	counts_unshare(two, sizeof(*two));
	(void)close(fd);
}

static void write_without_end(struct board *board)
{
	struct report *report = calloc(1, sizeof(*report));

	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (!report)
		_exit(1);
	for (uint64_t i = 1; i > 0; i++) {
		report->keys = TANG_KEY_FILES_MAX;
		report->generations = i;
		for (size_t k = 0; k < report->keys; k++)
			report->key[k].times = i;
		board_write(board, report);
	}
	_exit(1);
}

static void test_a_board_is_read_as_it_stood_at_one_moment(void **state)
{
	struct board *board = counts_share(sizeof(*board));
	struct report *report = calloc(1, sizeof(*report));
	size_t read = 0;
	pid_t writing;

	(void)state;
	assert_true(board && report);
	writing = fork();
	if (writing == 0)
		write_without_end(board);
	for (int i = 0; i < 3000; i++) {
		if (!board_read(board, report))
			continue;
		read++;
		for (size_t k = 0; k < report->keys; k++)
			assert_int_equal(report->key[k].times, report->generations);
	}
	(void)kill(writing, SIGKILL);
	(void)waitpid(writing, NULL, 0);
	assert_true(read > 0);
	counts_unshare(board, sizeof(*board));
	free(report);
}

static struct state *opened(const char *path)
{
	struct state *made = NULL;
	struct error err = {0};

	if (state_open(path, &made, &err) < 0)
		fail_msg("%s", err.text);
	return made;
}

static struct public_key signing = {.thumbprint = {[JOSE_S256] = "signing"}, .is_advertised = true};
static struct public_key both[2] = {
	{.thumbprint = {[JOSE_S256] = "signing"}, .is_advertised = true},
	{.thumbprint = {[JOSE_S256] = "exchange"}, .is_exchange = true},
};

static void test_a_front_that_lies_makes_uses_neither_fewer_nor_of_tomorrow(void **arg)
{
	static uint64_t added[2];
	struct state *state = opened(NULL);
	struct generation generation = {.keys = {.count = 2, .key = both}, .added = added};
	int64_t before = time(NULL);
	const struct state_key *key;

	(void)arg;
	generation.by_fronts = counts_share(sizeof(*generation.by_fronts));
	generation.by_keys = counts_share(sizeof(*generation.by_keys));
	assert_int_equal(state_set_keys(state, &generation.keys), 0);
	key = state_key(state, 0);
	assert_string_equal(key->thumbprint, "signing");
	/* Of an exchange key, what a front says counts nothing. */
	generation.by_fronts->key[1].times = 1000;
	generation.by_fronts->key[0].times = 5;
	generation.by_fronts->key[0].last = INT64_MAX;
	generation_add_uses(&generation, state);
	assert_int_equal(key->times, 5);
	assert_true(key->last >= before && key->last <= time(NULL));
	assert_int_equal(state_key(state, 1)->times, 0);
	generation.by_fronts->key[0].times = 2;
	generation_add_uses(&generation, state);
	assert_int_equal(key->times, 5);
	generation.by_fronts->key[0].times = 7;
	generation_add_uses(&generation, state);
	assert_int_equal(key->times, 7);
	/* What wraps around would be fewer, or a number that no state holds. */
	generation.by_fronts->key[0].times = UINT64_MAX;
	generation_add_uses(&generation, state);
	assert_int_equal(key->times, INT64_MAX);
	generation.by_keys->key[1].times = 3;
	generation_add_uses(&generation, state);
	assert_int_equal(state_key(state, 1)->times, 3);
	counts_unshare(generation.by_fronts, sizeof(*generation.by_fronts));
	counts_unshare(generation.by_keys, sizeof(*generation.by_keys));
	state_free(&state);
}

static void test_a_front_that_writes_anything_leaves_the_status_readable(void **arg)
{
	struct report *report = calloc(1, sizeof(*report));
	struct sandbox own = {0};
	char *text;
	json_t *json;
	const char *missing;

	(void)arg;
	assert_non_null(report);
	report->fronts = 1;
	memset(counts, 0xff, sizeof(*counts));
	text = admin_status(report, &counts, &own);
	assert_non_null(text);
	json = json_loads(text, JSON_REJECT_DUPLICATES, NULL);
	assert_non_null(json);
	missing = json_string_value(json_object_get(
		json_object_get(json_object_get(json, "sandbox"), "front"), "missing"));
	assert_non_null(missing);
	assert_true(strlen(missing) <= SANDBOX_TEXT_MAX);
	assert_true(json_integer_value(json_object_get(json, "shed")) > 0);
	json_decref(json);
	free(text);
	memcpy(counts->sandbox.missing, "\x1b[2J\xc2\x9b", 7);
	text = admin_status(report, &counts, &own);
	assert_non_null(text);
	assert_null(strstr(text, "u001"));
	free(text);
	free(report);
}

static void test_state_outlives_the_process_and_keys_that_went_away(void **arg)
{
	FOLDER_AUTO struct folder folder = {0};
	const struct public_keys all = {.count = 2, .key = both};
	const struct public_keys one = {.count = 1, .key = &signing};
	struct state *state;

	(void)arg;
	folder_make(&folder);
	state = opened(folder.path);
	assert_false(state_served(state));
	assert_int_equal(state_set_keys(state, &all), 0);
	state_add_uses(state, "exchange", 4, 1000);
	state_add_uses(state, "exchange", 1, 900);
	state_set_served(state);
	assert_int_equal(state_write(state, NULL), 0);
	state_free(&state);

	state = opened(folder.path);
	assert_true(state_served(state));
	assert_int_equal(state_set_keys(state, &one), 0);
	assert_int_equal(state_count(state), 2);
	for (size_t i = 0; i < 2; i++) {
		const struct state_key *key = state_key(state, i);

		assert_int_equal(key->is_there, strcmp(key->thumbprint, "signing") == 0);
		if (key->is_there)
			continue;
		assert_true(key->is_exchange);
		assert_int_equal(key->times, 5);
		assert_int_equal(key->last, 1000);
	}
	state_free(&state);
}

static void test_state_is_of_one_server(void **arg)
{
	FOLDER_AUTO struct folder folder = {0};
	struct state *state;
	struct state *other = NULL;
	struct error err = {0};

	(void)arg;
	folder_make(&folder);
	state = opened(folder.path);
	assert_int_equal(state_open(folder.path, &other, &err), -EBUSY);
	assert_non_null(strstr(err.text, "another server's"));
	state_free(&state);
	state = opened(folder.path);
	state_free(&state);
}

/* A pair made in place of keys that were lost would be another server. */
static void test_damaged_state_counts_as_served(void **arg)
{
	FOLDER_AUTO struct folder folder = {0};
	struct capture capture;
	struct state *state;
	char *said;

	(void)arg;
	folder_make(&folder);
	folder_write(&folder, STATE_FILE,
		     "{\"format\":\"nbde-tangd-state\",\"version\":1,\"keys\":[]}");
	capture_begin(&capture);
	state = opened(folder.path);
	said = capture_end(&capture);
	assert_non_null(strstr(said, "is damaged"));
	assert_true(state_served(state));
	assert_int_equal(state_count(state), 0);
	state_free(&state);
	free(said);
}

#define CASE(test) cmocka_unit_test_setup_teardown(test, share_counts, unshare_counts)

int main(int argc, char *argv[])
{
	static const struct CMUnitTest tests[] = {
		CASE(test_requests_are_counted_where_they_belong),
		CASE(test_what_a_child_counts_is_seen),
		cmocka_unit_test(test_memory_behind_a_descriptor_keeps_its_size),
		cmocka_unit_test(test_a_board_is_read_as_it_stood_at_one_moment),
		cmocka_unit_test(test_a_front_that_lies_makes_uses_neither_fewer_nor_of_tomorrow),
		CASE(test_a_front_that_writes_anything_leaves_the_status_readable),
		cmocka_unit_test(test_state_outlives_the_process_and_keys_that_went_away),
		cmocka_unit_test(test_state_is_of_one_server),
		cmocka_unit_test(test_damaged_state_counts_as_served),
	};

	unit_begin(argc, argv);
	return cmocka_run_group_tests_name("tangd/counts, board, state", tests, NULL, NULL);
}
