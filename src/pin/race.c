/* SPDX-License-Identifier: Apache-2.0 */
#include "pin/race.h"

#include "base/file.h"
#include "base/program.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <openssl/crypto.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

/* What a child sends, in one write, smaller than PIPE_BUF so that it arrives whole. */
struct verdict {
	struct error err; /* its code: 0 when `plain` holds something */
	unsigned retry_after_s;
	unsigned size;
	unsigned char plain[RACE_PLAIN_MAX];
};

_Static_assert(sizeof(struct verdict) <= PIPE_BUF, "a verdict must fit one write to a pipe");

/*
 * How much longer than the deadline a verdict is waited for, milliseconds: a child ends by the deadline itself, and can tell what
 * it waited for.
 */
enum { GRACE_MS = 500 };

struct runner {
	pid_t pid;
	int fd; /* the verdict comes here; -1: ended */
};

struct race {
	struct pin_context *context;
	const json_t *const *jwes;
	size_t count;
	const struct race_rules *rules;
	size_t taken;
	size_t running;
	size_t started;
	size_t allowed; /* how many may have been started by now */
	struct deadline hedge;
	struct deadline end; /* of waiting for verdicts */
	struct error failures;
	unsigned char order[RACE_MAX];
	struct runner runner[RACE_MAX];
};

void race_add_failure(struct error *all, const struct error *one)
{
	char before[ERROR_TEXT_MAX];
	int code = one->code;

	if (all->code == 0) {
		*all = *one;
		return;
	}
	if (net_is_unreachable(code) || code == -EAGAIN)
		code = all->code;
	memcpy(before, all->text, sizeof(before));
	(void)error_set(all, code, "%s; %s", before, one->text);
}

/* A die for the order only: it needs no more quality than a shuffled deck. */
static void shuffle(struct race *race)
{
	unsigned char random[RACE_MAX * 2];

	if (getrandom(random, sizeof(random), 0) != (ssize_t)sizeof(random))
		return;
	for (size_t i = race->count; i-- > 1;) {
		size_t j = (random[2 * i] * 256U + random[2 * i + 1]) % (i + 1);
		unsigned char kept = race->order[i];

		race->order[i] = race->order[j];
		race->order[j] = kept;
	}
}

static void open_for(struct pin_context *context, const json_t *jwe, struct verdict *verdict)
{
	SECRET_AUTO struct secret plain = {0};

	context->err = &verdict->err;
	if (pin_open(context, jwe, &plain) == 0 && plain.size > sizeof(verdict->plain))
		(void)error_set(&verdict->err, -EBADMSG, "what is sealed inside is too long");
	else if (verdict->err.code == 0)
		verdict->size = (unsigned)plain.size;
	if (verdict->size > 0)
		memcpy(verdict->plain, plain.data, plain.size);
	verdict->retry_after_s = context->retry_after_s;
}

static void child_main(const struct race *race, const json_t *jwe, int fd)
{
	struct pin_context context = *race->context;
	struct secret place = {0};

	secret_after_fork();
	context.session = net_session_in_child(context.session);
	context.retry_after_s = 0;
	if (secret_new(&place, sizeof(struct verdict), NULL) < 0)
		_exit(EXIT_FAILURE);
	open_for(&context, jwe, (struct verdict *)place.data);
	(void)fd_write_all(fd, "pipe", place.data, place.size, NULL);
	secret_free(&place);
	_exit(EXIT_SUCCESS);
}

/* In a child: what others have to say is none of its business. */
static void close_others(struct race *race, const struct runner *own)
{
	for (struct runner *runner = race->runner; runner < own; runner++)
		fd_close(&runner->fd);
}

static void note_failure(struct race *race, size_t which, const struct error *why)
{
	if (race->rules->fail)
		race->rules->fail(race->rules->arg, which, why);
	race_add_failure(&race->failures, why);
}

static void start_one(struct race *race)
{
	struct runner *runner = &race->runner[race->started];
	size_t which = race->order[race->started];
	struct error err = {0};
	int ends[2] = {-1, -1};

	race->started++;
	race->hedge = deadline_in_ms(RACE_HEDGE_MS);
	*runner = (struct runner){.fd = -1};
	if (pipe2(ends, O_CLOEXEC) == 0)
		runner->pid = program_fork();
	if (ends[1] >= 0 && runner->pid == 0) {
		close_others(race, runner);
		fd_close(&ends[0]);
		child_main(race, race->jwes[which], ends[1]);
	}
	if (runner->pid > 0) {
		runner->fd = ends[0];
		ends[0] = -1;
		race->running++;
	} else {
		(void)error_set(&err, -errno, "cannot start a process: %s", strerror(errno));
		note_failure(race, which, &err);
	}
	fd_close(&ends[0]);
	fd_close(&ends[1]);
}

/* Waits for the end of one that has said what it had to say, or has ended. */
static void reap(struct race *race, struct runner *runner)
{
	(void)program_reap(runner->pid);
	fd_close(&runner->fd);
	race->running--;
}

static void end_one(struct race *race, struct runner *runner)
{
	(void)kill(runner->pid, SIGKILL);
	reap(race, runner);
}

static void take_verdict(struct race *race, size_t which, const struct verdict *verdict)
{
	struct error err = {0};
	SECRET_AUTO struct secret plain = {0};
	int rc = verdict->err.code;

	if (rc < 0)
		err = verdict->err;
	else if (verdict->size > RACE_PLAIN_MAX)
		rc = error_set(&err, -EBADMSG, "a child process gave nonsense");
	else
		rc = secret_copy(&plain, verdict->plain, verdict->size, &err);
	if (rc == 0)
		rc = race->rules->take(race->rules->arg, which, &plain, &err);
	if (rc == 0) {
		race->taken++;
		return;
	}
	note_failure(race, which, &err);
	if (verdict->retry_after_s > race->context->retry_after_s)
		race->context->retry_after_s = verdict->retry_after_s;
	race->allowed++;
}

static void read_one(struct race *race, size_t at)
{
	struct runner *runner = &race->runner[at];
	struct error err = {0};
	SECRET_AUTO struct secret place = {0};

	if (secret_new(&place, sizeof(struct verdict), &err) == 0 &&
	    read(runner->fd, place.data, place.size) != (ssize_t)place.size)
		(void)error_set(&err, -EIO, "a child process ended without a word");
	if (err.code == 0)
		reap(race, runner); /* it wipes what it knows, and ends */
	else
		end_one(race, runner);
	if (err.code == 0) {
		take_verdict(race, race->order[at], (const struct verdict *)place.data);
		return;
	}
	note_failure(race, race->order[at], &err);
	race->allowed++;
}

/* Waits until a child has something to say, or it is time for one more. */
static int wait_for_one(struct race *race)
{
	struct pollfd polled[RACE_MAX];
	bool may_start = race->started < race->count && !deadline_passed(race->context->deadline);
	struct deadline until = may_start ? deadline_earlier(race->end, race->hedge) : race->end;
	int rc;

	for (size_t i = 0; i < race->started; i++)
		polled[i] = (struct pollfd){race->runner[i].fd, POLLIN, 0};
	rc = poll(polled, race->started, deadline_left_ms(until));
	if (rc < 0 && errno != EINTR)
		return error_set(&race->failures, -errno, "poll: %s", strerror(errno));
	for (size_t i = 0; rc > 0 && i < race->started; i++)
		if (polled[i].revents && race->taken < race->rules->needed)
			read_one(race, i);
	if (rc == 0 && may_start && deadline_passed(race->hedge))
		race->allowed++;
	return 0;
}

static bool can_still_succeed(const struct race *race)
{
	return race->taken + race->running + (race->count - race->started) >= race->rules->needed;
}

/* Who is to be told of each is; else a number says enough. */
static void note_deadline(struct race *race)
{
	struct error err = {0};

	if (race->rules->fail) {
		(void)error_set(&err, -ETIMEDOUT, "no answer in time");
		for (size_t i = 0; i < race->count; i++)
			if (i >= race->started || race->runner[i].fd >= 0)
				note_failure(race, race->order[i], &err);
	} else if (race->running > 0) {
		(void)error_set(&err, -ETIMEDOUT, "no answer in time from %zu more", race->running);
		race_add_failure(&race->failures, &err);
	}
}

static void start_allowed(struct race *race)
{
	while (race->started < race->count && race->started < race->allowed &&
	       !deadline_passed(race->context->deadline))
		start_one(race);
}

static int run(struct race *race)
{
	struct deadline deadline = race->context->deadline;
	int rc = 0;

	while (rc == 0 && race->taken < race->rules->needed && can_still_succeed(race) &&
	       !deadline_passed(race->end)) {
		start_allowed(race);
		if (race->running > 0)
			rc = wait_for_one(race);
		else if (deadline_passed(deadline))
			break;
		else
			race->allowed++;
	}
	if (race->taken < race->rules->needed && rc == 0 && deadline_passed(deadline))
		note_deadline(race);
	return rc;
}

int race_run(struct pin_context *context, const json_t *const jwes[], size_t count,
	     const struct race_rules *rules)
{
	struct race race = {
		.context = context,
		.jwes = jwes,
		.count = count,
		.rules = rules,
		.allowed = rules->needed,
		.end = deadline_in_ms((int64_t)deadline_left_ms(context->deadline) + GRACE_MS),
	};

	for (size_t i = 0; i < count; i++)
		race.order[i] = (unsigned char)i;
	if (!rules->in_order)
		shuffle(&race);
	/* Done once here, it need not be done by each child. */
	(void)OPENSSL_init_crypto(OPENSSL_INIT_LOAD_CONFIG, NULL);
	(void)run(&race);
	for (size_t i = 0; i < race.started; i++)
		if (race.runner[i].fd >= 0)
			end_one(&race, &race.runner[i]);
	if (race.taken >= rules->needed)
		return 0;
	if (race.failures.code == 0)
		return error_set(context->err, -ETIMEDOUT, "no time is left");
	*context->err = race.failures;
	return race.failures.code;
}
