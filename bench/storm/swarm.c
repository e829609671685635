/* SPDX-License-Identifier: Apache-2.0 */
#include "swarm.h"

#include "base/file.h"
#include "net/reply.h"
#include "node.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { EVENTS_MAX = 512, LOOK_MS = 10, DESCRIPTORS_SPARE = 32, HTTP_OK = 200 };
enum { BACKOFF_FIRST_MS = 250, BACKOFF_MAX_MS = 5000, BACKOFF_DOUBLINGS = 5 };

struct swarm {
	const struct swarm_plan *plan;
	struct node *node;
	int epoll_fd;
	size_t next_question;
	int64_t began_us;
	int64_t look_at_us; /* when the clocks of all nodes are looked at again */
	unsigned busy;	    /* nodes that are neither done nor resting */
	struct tally *tally;
};

int64_t swarm_wait_ms(unsigned retry_after_s, unsigned failures, double part)
{
	int64_t most = (int64_t)BACKOFF_FIRST_MS
		       << (failures < BACKOFF_DOUBLINGS ? failures : BACKOFF_DOUBLINGS);

	if (retry_after_s > SWARM_RETRY_AFTER_MAX)
		retry_after_s = SWARM_RETRY_AFTER_MAX;
	if (retry_after_s > 0)
		return (int64_t)retry_after_s * 1000 + (int64_t)(part * retry_after_s * 1000);
	return (int64_t)(part * (double)(most < BACKOFF_MAX_MS ? most : BACKOFF_MAX_MS));
}

static int64_t now_us(void)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

/* As many descriptors as the hard limit allows. */
static int raise_limit(unsigned wanted, struct error *err)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
		return error_set(err, -errno, "limit of descriptors: %s", strerror(errno));
	limit.rlim_cur = limit.rlim_max;
	(void)setrlimit(RLIMIT_NOFILE, &limit);
	if (limit.rlim_cur < wanted)
		return error_set(err, -EMFILE, "%u descriptors are needed, the limit is %llu",
				 wanted, (unsigned long long)limit.rlim_cur);
	return 0;
}

int swarm_new(const struct swarm_plan *plan, struct swarm **swarm, struct error *err)
{
	struct swarm *made;
	int rc = raise_limit(plan->nodes + DESCRIPTORS_SPARE, err);

	if (rc < 0)
		return rc;
	made = calloc(1, sizeof(*made));
	if (!made)
		return error_nomem(err);
	made->plan = plan;
	made->node = calloc(plan->nodes, sizeof(*made->node));
	made->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (!made->node || made->epoll_fd < 0) {
		rc = made->node ? -errno : -ENOMEM;
		swarm_free(&made);
		return error_set(err, rc, "nodes: %s", strerror(-rc));
	}
	for (unsigned i = 0; i < plan->nodes; i++)
		node_init(&made->node[i], &plan->server, i);
	*swarm = made;
	return 0;
}

void swarm_free(struct swarm **swarm)
{
	if (!*swarm)
		return;
	for (unsigned i = 0; (*swarm)->node && i < (*swarm)->plan->nodes; i++)
		node_close(&(*swarm)->node[i]);
	fd_close(&(*swarm)->epoll_fd);
	free((*swarm)->node);
	free(*swarm);
	*swarm = NULL;
}

static int64_t limit_of(const struct swarm *swarm)
{
	return swarm->began_us + swarm->plan->limit_ms * 1000;
}

static void finish(struct swarm *swarm, struct node *node)
{
	node_close(node);
	node->state = NODE_DONE;
	swarm->busy--;
}

/* What went wrong was counted; the node tries again later, if there is a later. */
static void wait_after_failure(struct swarm *swarm, struct node *node, unsigned retry_after_s)
{
	int64_t wait_ms = swarm_wait_ms(retry_after_s, node->failures++, drand48());

	node->wake_us = now_us() + wait_ms * 1000;
	node->state = NODE_WAITING;
	if (node->wake_us < limit_of(swarm))
		return;
	if (swarm->plan->goal != SWARM_ASK_ON)
		swarm->tally->unanswered++;
	finish(swarm, node);
}

static void fail(struct swarm *swarm, struct node *node, enum tally_failure failure)
{
	swarm->tally->failure[failure]++;
	node_close(node);
	wait_after_failure(swarm, node, 0);
}

static const struct {
	int code;
	enum tally_failure failure;
} failures[] = {
	{-ECONNREFUSED, TALLY_REFUSED}, {-ECONNRESET, TALLY_RESET},  {-EPIPE, TALLY_RESET},
	{-ENODATA, TALLY_CLOSED},	{-EBADMSG, TALLY_MALFORMED}, {-EFBIG, TALLY_MALFORMED},
	{-ETIMEDOUT, TALLY_TIMED_OUT},
};

/* What the network or the server did is counted; what is wrong on this side (no port, no memory) ends the run. */
static int fail_by_code(struct swarm *swarm, struct node *node, int code, struct error *err)
{
	for (size_t i = 0; i < sizeof(failures) / sizeof(*failures); i++) {
		if (failures[i].code == code) {
			fail(swarm, node, failures[i].failure);
			return 0;
		}
	}
	return error_set(err, code, "a node fails: %s", strerror(-code));
}

/* Sends the next question, over a new connection where there is none. */
static int ask(struct swarm *swarm, struct node *node, struct error *err)
{
	struct questions *questions = swarm->plan->questions;
	int rc;

	node->question = &questions->question[swarm->next_question++ % questions->count];
	node->asked_us = now_us();
	node->wake_us = node->asked_us + swarm->plan->attempt_ms * 1000;
	rc = node_ask(node, &swarm->plan->server, swarm->epoll_fd);
	return rc < 0 ? fail_by_code(swarm, node, rc, err) : 0;
}

static int take_right_answer(struct swarm *swarm, struct node *node, struct error *err)
{
	int64_t now = now_us();
	bool leaves = swarm->plan->fresh || !reply_allows_another(&node->reply);

	/* In a storm a node counts from its begin, whatever it was told on the way. */
	if (tally_answer(swarm->tally,
			 now - (swarm->plan->goal == SWARM_ASK_ON ? node->asked_us
								  : swarm->began_us)) < 0)
		return error_nomem(err);
	swarm->tally->last_us = now - swarm->began_us;
	node->failures = 0;
	if (swarm->plan->goal == SWARM_ONE_STAY && !leaves) {
		node->state = NODE_RESTING;
		swarm->busy--;
		return 0;
	}
	if (swarm->plan->goal != SWARM_ASK_ON || now >= limit_of(swarm)) {
		finish(swarm, node);
		return 0;
	}
	if (leaves)
		node_close(node);
	return ask(swarm, node, err);
}

static int take_reply(struct swarm *swarm, struct node *node, struct error *err)
{
	const struct reply *reply = &node->reply;

	swarm->tally->status[reply->status % TALLY_STATUSES]++;
	if (reply->status == HTTP_OK) {
		if (question_accepts(swarm->plan->questions, node->question, reply->body,
				     reply->body_size))
			return take_right_answer(swarm, node, err);
		fail(swarm, node, TALLY_WRONG);
		return 0;
	}
	if (reply->retry_after_s > 0 && !node->told) {
		node->told = true;
		swarm->tally->nodes_told++;
	}
	node_close(node);
	wait_after_failure(swarm, node, reply->retry_after_s);
	return 0;
}

static int take_event(struct swarm *swarm, struct node *node, uint32_t events, struct error *err)
{
	int rc;

	if (node->state == NODE_RESTING || node->state == NODE_DONE)
		return 0;
	rc = node_step(node, events);
	if (rc < 0)
		return fail_by_code(swarm, node, rc, err);
	return rc > 0 ? take_reply(swarm, node, err) : 0;
}

static int look_at_clocks(struct swarm *swarm, struct error *err)
{
	int64_t now = now_us();
	int rc = 0;

	if (now < swarm->look_at_us)
		return 0;
	swarm->look_at_us = now + (int64_t)LOOK_MS * 1000;
	for (unsigned i = 0; rc == 0 && i < swarm->plan->nodes; i++) {
		struct node *node = &swarm->node[i];

		if (node->wake_us > now)
			continue;
		if (node->state == NODE_WAITING)
			rc = ask(swarm, node, err);
		else if (node->state == NODE_ASKING)
			fail(swarm, node, TALLY_TIMED_OUT);
	}
	return rc;
}

int swarm_run(struct swarm *swarm, struct tally *tally, struct error *err)
{
	struct epoll_event events[EVENTS_MAX];
	int rc = 0;

	swarm->tally = tally;
	swarm->began_us = now_us();
	swarm->busy = swarm->plan->nodes;
	while (rc == 0 && swarm->busy > 0) {
		int count;

		rc = look_at_clocks(swarm, err);
		count = rc == 0 ? epoll_wait(swarm->epoll_fd, events, EVENTS_MAX, LOOK_MS) : 0;
		for (int i = 0; rc == 0 && i < count; i++)
			rc = take_event(swarm, events[i].data.ptr, events[i].events, err);
	}
	return rc;
}

unsigned swarm_open(struct swarm *swarm)
{
	unsigned open = 0;

	for (unsigned i = 0; i < swarm->plan->nodes; i++)
		open += node_is_open(&swarm->node[i]);
	return open;
}
