/* SPDX-License-Identifier: Apache-2.0 */
#include "tangd/crew.h"

#include "base/file.h"
#include "base/log.h"
#include "tangd/admin_process.h"
#include "tangd/front_process.h"
#include "tangd/passing.h"
#include "tangd/watch.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

int crew_prepare(struct crew *crew, struct error *err)
{
	bool is_there = true;

	crew->admin.orders = -1;
	for (int i = 0; i < FRONTS_MAX; i++)
		crew->front[i].orders = -1;
	crew->board = counts_share(sizeof(*crew->board));
	for (int i = 0; i < crew->fronts; i++) {
		crew->counts[i] = counts_share(sizeof(*crew->counts[i]));
		is_there = is_there && crew->counts[i];
	}
	return crew->board && is_there ? 0 : error_nomem(err);
}

static void close_orders(struct crew *crew)
{
	for (int i = 0; i < crew->fronts; i++)
		fd_close(&crew->front[i].orders);
	fd_close(&crew->admin.orders);
}

static void unshare(struct crew *crew, int but)
{
	for (int i = 0; i < crew->fronts; i++) {
		if (i == but)
			continue;
		counts_unshare(crew->counts[i], sizeof(*crew->counts[i]));
		crew->counts[i] = NULL;
	}
	counts_unshare(crew->board, sizeof(*crew->board));
	crew->board = NULL;
}

void crew_release(struct crew *crew)
{
	close_orders(crew);
	unshare(crew, -1);
}

static void close_listening(const int *fds, int count)
{
	for (int i = 0; i < count; i++)
		(void)close(fds[i]);
}

void crew_let_go(struct crew *crew)
{
	close_listening(crew->listening, crew->listening_count);
	close_listening(crew->admin_listening, crew->admin_count);
	crew_release(crew);
}

/* In the child: `orders` is its end of the socket. */
static int run_front(struct crew *crew, int index, int orders)
{
	const struct front_process process = {.endpoint = crew->endpoint,
					      .listening = crew->listening,
					      .count = crew->listening_count,
					      .orders = orders,
					      .counts = crew->counts[index],
					      .privileges = crew->privileges,
					      .has_tls = crew->tls != NULL,
					      .watch = watch_open(crew->folder)};

	(void)prctl(PR_SET_NAME, "tangd-front");
	close_listening(crew->admin_listening, crew->admin_count);
	unshare(crew, index);
	return front_process_run(&process);
}

static int run_admin(struct crew *crew, int index, int orders)
{
	const struct admin_process process = {.listening = crew->admin_listening,
					      .count = crew->admin_count,
					      .orders = orders,
					      .privileges = crew->privileges,
					      .board = crew->board,
					      .fronts = crew->counts};

	(void)index;
	(void)prctl(PR_SET_NAME, "tangd-admin");
	close_listening(crew->listening, crew->listening_count);
	return admin_process_run(&process);
}

/* Starts a process that is not there. */
static void start(struct crew *crew, struct crew_member *member, int index, const struct tls *tls,
		  int (*run)(struct crew *crew, int index, int orders))
{
	int pair[2] = {-1, -1};
	int rc;

	if (member->pid > 0)
		return;
	rc = passing_pair(pair);
	/* What is sent waits in the socket. */
	if (rc == 0 && tls)
		rc = tls_send(tls, pair[0]);
	if (rc == 0)
		member->pid = fork();
	if (rc == 0 && member->pid == 0) {
		(void)close(pair[0]);
		crew->become(crew->arg);
		close_orders(crew);
		_exit(run(crew, index, pair[1]));
	}
	if (rc == 0 && member->pid < 0)
		rc = -errno;
	fd_close(&pair[1]);
	if (rc == 0) {
		member->orders = pair[0];
		return;
	}
	member->pid = 0;
	fd_close(&pair[0]);
	log_error("cannot start a process: %s", strerror(-rc));
}

void crew_start(struct crew *crew)
{
	for (int i = 0; i < crew->fronts; i++)
		start(crew, &crew->front[i], i, crew->tls, run_front);
	if (crew->admin_count > 0)
		start(crew, &crew->admin, 0, NULL, run_admin);
}

void crew_hand_over(const struct crew *crew, const struct generation *generation)
{
	for (int i = 0; i < crew->fronts; i++)
		if (crew->front[i].pid > 0)
			(void)generation_hand_to(generation, i, crew->front[i].orders);
}

static bool bury(struct crew_member *member, pid_t pid)
{
	if (member->pid != pid)
		return false;
	member->pid = 0;
	fd_close(&member->orders);
	return true;
}

const char *crew_bury(struct crew *crew, pid_t pid)
{
	for (int i = 0; i < crew->fronts; i++) {
		if (!bury(&crew->front[i], pid))
			continue;
		crew->fronts_died++;
		return "a front";
	}
	if (!bury(&crew->admin, pid))
		return NULL;
	crew->admin_died++;
	return "the admin process";
}

int crew_fronts_alive(const struct crew *crew)
{
	int count = 0;

	for (int i = 0; i < crew->fronts; i++)
		count += crew->front[i].pid > 0;
	return count;
}

bool crew_is_gone(const struct crew *crew)
{
	return crew_fronts_alive(crew) == 0 && crew->admin.pid == 0;
}

void crew_dismiss(struct crew *crew)
{
	close_listening(crew->listening, crew->listening_count);
	close_listening(crew->admin_listening, crew->admin_count);
	close_orders(crew);
}

void crew_kill(const struct crew *crew)
{
	for (int i = 0; i < crew->fronts; i++)
		if (crew->front[i].pid > 0)
			(void)kill(crew->front[i].pid, SIGKILL);
	if (crew->admin.pid > 0)
		(void)kill(crew->admin.pid, SIGKILL);
}
