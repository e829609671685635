/* SPDX-License-Identifier: Apache-2.0 */
/* bench/storm: what is measured there is believed, so that its judgement of answers and its sums are checked. */
#include "unit.h"

#include "multiply.h"
#include "questions.h"
#include "swarm.h"
#include "tally.h"
#include "usage.h"

#include "base/file.h"
#include "base/json.h"
#include "tang/exchange.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { QUESTIONS = 3, BURN_MS = 100 };

/* A server that holds a key of its own, and what storm asks it. */
struct fixture {
	struct secret s;
	struct questions questions;
};

static void begin_on(enum jose_curve_id curve, struct fixture *fixture)
{
	JSON_AUTO json_t *key = NULL;
	struct jose_point point;
	struct error err = {0};

	*fixture = (struct fixture){0};
	assert_int_equal(jose_point_generate(jose_curve((int)curve), &fixture->s, &point, &err), 0);
	key = jose_point_to_jwk(&point);
	assert_int_equal(questions_recoveries("http://127.0.0.1:81/end", key, QUESTIONS,
					      &fixture->questions, &err),
			 0);
}

static void end(struct fixture *fixture)
{
	questions_free(&fixture->questions);
	secret_free(&fixture->s);
}

/* What the server answers to the request, as it came. The caller's. */
static char *answer_to(const struct fixture *fixture, const struct question *question)
{
	const char *body = strstr(question->request, "\r\n\r\n");
	JSON_AUTO json_t *answer = NULL;
	JSON_AUTO json_t *jwk = NULL;
	struct jose_point x;
	struct jose_point y;
	char *text;

	assert_non_null(body);
	assert_int_equal(json_parse(body, strlen(body), "body", &jwk, NULL), 0);
	assert_int_equal(jose_point_from_jwk(jwk, &x, NULL), 0);
	assert_int_equal(tang_recover(&fixture->s, &x, &y, NULL), 0);
	answer = tang_point_to_json(&y);
	text = json_dump_public(answer);
	assert_non_null(text);
	return text;
}

static void test_right_answers_are_accepted_again_and_again(void **state)
{
	static const enum jose_curve_id curves[] = {JOSE_P256, JOSE_P521};

	(void)state;
	for (size_t i = 0; i < COUNT(curves); i++) {
		struct fixture fixture;

		begin_on(curves[i], &fixture);
		assert_int_equal(fixture.questions.curve, curves[i]);
		for (size_t j = 0; j < (size_t)2 * QUESTIONS; j++) {
			struct question *question = &fixture.questions.question[j % QUESTIONS];
			FREE_AUTO char *answer = answer_to(&fixture, question);

			assert_true(question_accepts(&fixture.questions, question, answer,
						     strlen(answer)));
		}
		end(&fixture);
	}
}

static void test_wrong_answers_are_refused_also_after_right_ones(void **state)
{
	struct fixture fixture;
	struct question *question;
	FREE_AUTO char *right = NULL;
	FREE_AUTO char *of_another = NULL;

	(void)state;
	begin_on(JOSE_P521, &fixture);
	question = &fixture.questions.question[0];
	right = answer_to(&fixture, question);
	of_another = answer_to(&fixture, &fixture.questions.question[1]);
	for (int i = 0; i < 2; i++) {
		assert_false(question_accepts(&fixture.questions, question, NULL, 0));
		assert_false(question_accepts(&fixture.questions, question, "{}", 2));
		assert_false(question_accepts(&fixture.questions, question, of_another,
					      strlen(of_another)));
		assert_true(question_accepts(&fixture.questions, question, right, strlen(right)));
	}
	end(&fixture);
}

static void test_coordinates_in_the_wrong_places_are_refused(void **state)
{
	struct fixture fixture;
	struct question *question;
	FREE_AUTO char *answer = NULL;

	(void)state;
	begin_on(JOSE_P521, &fixture);
	question = &fixture.questions.question[0];
	answer = answer_to(&fixture, question);
	*strstr(answer, "\"x\"") = ' '; /* no longer JSON, with all the right texts in it */
	assert_false(question_accepts(&fixture.questions, question, answer, strlen(answer)));
	end(&fixture);
}

static void test_requests_are_those_of_the_contract(void **state)
{
	JSON_AUTO json_t *jws = json_of("{'payload':'e30'}");
	struct questions advertisement = {0};
	struct fixture fixture;

	(void)state;
	begin_on(JOSE_P521, &fixture);
	for (size_t i = 0; i < QUESTIONS; i++) {
		const struct question *question = &fixture.questions.question[i];

		assert_ptr_equal(strstr(question->request, "POST /end/rec/"), question->request);
		assert_non_null(strstr(question->request, " HTTP/1.1\r\nHost: 127.0.0.1:81\r\n"));
		assert_int_equal(strlen(question->request), question->request_size);
	}
	end(&fixture);
	assert_int_equal(questions_advertisement("http://[::1]", jws, &advertisement, NULL), 0);
	assert_string_equal(advertisement.question->request,
			    "GET /adv HTTP/1.1\r\nHost: [::1]:80\r\nAccept: */*\r\n\r\n");
	assert_true(question_accepts(&advertisement, advertisement.question,
				     "{ \"payload\": \"e30\" }", 20));
	assert_false(question_accepts(&advertisement, advertisement.question,
				      "{ \"payload\": \"e31\" }", 20));
	questions_free(&advertisement);
}

static void test_percentiles_are_of_the_nearest_rank(void **state)
{
	struct tally tally = {0};

	(void)state;
	assert_int_equal(tally_percentile(&tally, 50), 0);
	for (int i = 10000; i >= 1; i--)
		assert_int_equal(tally_answer(&tally, i), 0);
	assert_int_equal(tally_percentile(&tally, 50), 5000);
	assert_int_equal(tally_percentile(&tally, 99), 9900);
	assert_int_equal(tally_percentile(&tally, 100), 10000);
	assert_int_equal(tally_percentile(&tally, 0), 1);
	assert_int_equal(tally.count, 10000);
	tally_free(&tally);
}

static void test_a_node_waits_as_the_server_says_and_a_part_more(void **state)
{
	static const struct {
		unsigned retry_after_s;
		unsigned failures;
		double part;
		int64_t ms;
	} rows[] = {{5, 0, 0, 5000},	  {5, 3, 0.5, 7500}, {1, 0, 0.25, 1250}, {600, 0, 0, 60000},
		    {600, 0, 0.5, 90000}, {0, 0, 0, 0},	     {0, 0, 0.5, 125},	 {0, 2, 0.5, 500},
		    {0, 5, 0.5, 2500},	  {0, 99, 0.5, 2500}};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++)
		assert_int_equal(
			swarm_wait_ms(rows[i].retry_after_s, rows[i].failures, rows[i].part),
			rows[i].ms);
}

static void burn(void)
{
	struct timespec used;

	do
		(void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used);
	while (used.tv_sec * 1000 + used.tv_nsec / 1000000 < BURN_MS);
}

/* A child that has taken its time, and then lives on or ends. */
static pid_t burning_child(bool lives)
{
	pid_t parent = getpid();
	int ready[2];
	char byte;
	pid_t child;

	assert_int_equal(pipe(ready), 0);
	child = fork();
	assert_true(child >= 0);
	if (child == 0) {
		unit_child_begin(parent);
		burn();
		(void)!write(ready[1], "", 1);
		if (lives)
			(void)pause();
		_exit(0);
	}
	assert_int_equal(read(ready[0], &byte, 1), 1);
	(void)close(ready[0]);
	(void)close(ready[1]);
	return child;
}

static void test_processor_time_is_that_of_all_children_ended_ones_too(void **state)
{
	struct usage before;
	struct usage living;
	struct usage ended;
	pid_t child;

	(void)state;
	assert_int_equal(usage_of(getpid(), &before, NULL), 0);
	assert_int_equal(before.processes, 1);
	child = burning_child(true);
	assert_int_equal(usage_of(getpid(), &living, NULL), 0);
	assert_int_equal(living.processes, 2);
	assert_true(living.cpu_ms - before.cpu_ms >= BURN_MS - 20);
	assert_true(living.memory_kb > 0);
	assert_int_equal(kill(child, SIGKILL), 0);
	assert_int_equal(waitpid(child, NULL, 0), child);
	assert_int_equal(waitpid(burning_child(false), NULL, 0) > 0, 1);
	assert_int_equal(usage_of(getpid(), &ended, NULL), 0);
	assert_int_equal(ended.processes, 1);
	assert_true(ended.cpu_ms - before.cpu_ms >= 2 * BURN_MS - 20);
	assert_int_equal(usage_of(child, &ended, NULL), -ESRCH);
}

static void test_a_multiplication_takes_time(void **state)
{
	double small = 0;
	double large = 0;

	(void)state;
	assert_int_equal(multiply_cost(JOSE_P256, 5, &small, NULL), 0);
	assert_int_equal(multiply_cost(JOSE_P521, 20, &large, NULL), 0);
	assert_true(small > 1 && large > small);
}

int main(int argc, char *argv[])
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_right_answers_are_accepted_again_and_again),
		cmocka_unit_test(test_wrong_answers_are_refused_also_after_right_ones),
		cmocka_unit_test(test_coordinates_in_the_wrong_places_are_refused),
		cmocka_unit_test(test_requests_are_those_of_the_contract),
		cmocka_unit_test(test_percentiles_are_of_the_nearest_rank),
		cmocka_unit_test(test_a_node_waits_as_the_server_says_and_a_part_more),
		cmocka_unit_test(test_processor_time_is_that_of_all_children_ended_ones_too),
		cmocka_unit_test(test_a_multiplication_takes_time),
	};

	unit_begin(argc, argv);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
