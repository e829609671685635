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
#include <sys/wait.h>
#include <unistd.h>

/* What a child sends, in one write, smaller than PIPE_BUF so that it arrives whole. */
struct verdict {
	struct error err; /* its code: 0 when `plain` holds something */
	unsigned retry_after_s;
	unsigned size;
	unsigned char plain[RACE_PLAIN_MAX];
};

_Static_assert(sizeof(struct verdict) <= PIPE_BUF, "a verdict must fit one write to a pipe");

struct runner {
	pid_t pid;
	int fd; /* the verdict comes here; -1: ended */
};

struct race {
	struct pin_context *context;
	const json_t *const *jwes;
	size_t count;
	size_t needed;
	race_taker take;
	void *arg;
	size_t taken;
	size_t running;
	size_t started;
	size_t allowed; /* how many may have been started by now */
	struct deadline hedge;
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

	for (size_t i = 0; i < race->count; i++)
		race->order[i] = (unsigned char)i;
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
		(void)error_set(&verdict->err, -EBADMSG, "what is sealed inside is no share");
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
	net_session_forget(context.session);
	context.session = NULL;
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

static void start_one(struct race *race)
{
	struct runner *runner = &race->runner[race->started];
	const json_t *jwe = race->jwes[race->order[race->started]];
	struct error err = {0};
	pid_t parent = getpid();
	int ends[2] = {-1, -1};

	race->started++;
	race->hedge = deadline_in_ms(RACE_HEDGE_MS);
	*runner = (struct runner){.fd = -1};
	if (pipe2(ends, O_CLOEXEC) == 0)
		runner->pid = fork();
	if (ends[1] >= 0 && runner->pid == 0) {
		program_die_with(parent);
		program_lead_group();
		close_others(race, runner);
		fd_close(&ends[0]);
		child_main(race, jwe, ends[1]);
	}
	if (runner->pid > 0) {
		program_track(runner->pid);
		runner->fd = ends[0];
		ends[0] = -1;
		race->running++;
	} else {
		(void)error_set(&err, -errno, "cannot start a process: %s", strerror(errno));
		race_add_failure(&race->failures, &err);
	}
	fd_close(&ends[0]);
	fd_close(&ends[1]);
}

/* Waits for the end of one that has said what it had to say, or has ended; and ends what its programs left. */
static void reap(struct race *race, struct runner *runner)
{
	siginfo_t ended;

	/* Until it is waited for its id is nobody else's, as a process and as a group. */
	while (waitid(P_PID, (id_t)runner->pid, &ended, WEXITED | WNOWAIT) < 0 && errno == EINTR)
		;
	(void)kill(-runner->pid, SIGKILL);
	program_untrack(runner->pid);
	while (waitpid(runner->pid, NULL, 0) < 0 && errno == EINTR)
		;
	fd_close(&runner->fd);
	race->running--;
}

static void end_one(struct race *race, struct runner *runner)
{
	(void)kill(runner->pid, SIGKILL);
	reap(race, runner);
}

static void take_verdict(struct race *race, const struct verdict *verdict)
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
		rc = race->take(race->arg, &plain, &err);
	if (rc == 0) {
		race->taken++;
		return;
	}
	race_add_failure(&race->failures, &err);
	if (verdict->retry_after_s > race->context->retry_after_s)
		race->context->retry_after_s = verdict->retry_after_s;
	race->allowed++;
}

static void read_one(struct race *race, struct runner *runner)
{
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
		take_verdict(race, (const struct verdict *)place.data);
		return;
	}
	race_add_failure(&race->failures, &err);
	race->allowed++;
}

/* Waits until a child has something to say, or it is time for one more. */
static int wait_for_one(struct race *race)
{
	struct pollfd polled[RACE_MAX];
	struct deadline until = race->context->deadline;
	int rc;

	if (race->started < race->count)
		until = deadline_earlier(until, race->hedge);
	for (size_t i = 0; i < race->started; i++)
		polled[i] = (struct pollfd){race->runner[i].fd, POLLIN, 0};
	rc = poll(polled, race->started, deadline_left_ms(until));
	if (rc < 0 && errno != EINTR)
		return error_set(&race->failures, -errno, "poll: %s", strerror(errno));
	for (size_t i = 0; rc > 0 && i < race->started; i++)
		if (polled[i].revents && race->taken < race->needed)
			read_one(race, &race->runner[i]);
	if (rc == 0 && deadline_passed(race->hedge))
		race->allowed++;
	return 0;
}

static bool can_still_succeed(const struct race *race)
{
	return race->taken + race->running + (race->count - race->started) >= race->needed;
}

static void note_deadline(struct race *race)
{
	struct error err = {0};

	if (race->running == 0)
		return;
	(void)error_set(&err, -ETIMEDOUT, "no answer in time from %zu more", race->running);
	race_add_failure(&race->failures, &err);
}

int race_run(struct pin_context *context, const json_t *const jwes[], size_t count, size_t needed,
	     race_taker take, void *arg)
{
	struct race race = {.context = context,
			    .jwes = jwes,
			    .count = count,
			    .needed = needed,
			    .take = take,
			    .arg = arg,
			    .allowed = needed};
	int rc = 0;

	shuffle(&race);
	/* Done once here, it need not be done by each child. */
	(void)OPENSSL_init_crypto(OPENSSL_INIT_LOAD_CONFIG, NULL);
	while (rc == 0 && race.taken < needed && can_still_succeed(&race)) {
		while (race.started < count && race.started < race.allowed)
			start_one(&race);
		if (race.running > 0)
			rc = wait_for_one(&race);
		else if (race.started < count)
			race.allowed++;
		if (deadline_passed(context->deadline))
			break;
	}
	if (race.taken < needed && rc == 0 && deadline_passed(context->deadline))
		note_deadline(&race);
	for (size_t i = 0; i < race.started; i++)
		if (race.runner[i].fd >= 0)
			end_one(&race, &race.runner[i]);
	if (race.taken >= needed)
		return 0;
	*context->err = race.failures;
	return race.failures.code;
}
