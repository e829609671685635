/* SPDX-License-Identifier: Apache-2.0 */
#include "tangd/front_process.h"

#include "base/deadline.h"
#include "base/log.h"
#include "tangd/http.h"
#include "tangd/listen.h"
#include "tangd/passing.h"
#include "tangd/sandbox.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

/* How long requests that were begun may take when the process is to end, milliseconds. */
enum { DRAIN_MS = 3000 };

/* How long a request waits for new keys when something happened in their folder: longer than they take to be read. */
enum { CHANGE_MS = 1000 };

/* How long to wait for keys before the first connection is accepted; and how long a request does where those that held them have died. */
enum { NO_KEYS_MS = 3000 };

struct state {
	struct front front;
	struct http_server *servers[LISTEN_SOCKETS_MAX];
	int count;
	int orders;
	int watch;
	bool changing; /* something happened in the folder: new keys may be on their way … */
	struct deadline change; /* … and are waited for until then */
	bool served;		/* there were keys */
	uint64_t gave_way;	/* of the connections, as far as it is counted */
	uint64_t lost_lines;	/* of the log, the same */
	bool draining;
	struct deadline drained;
};

/* Until the supervisor has some there are none; and none for a while where the processes that held them have died. */
static int current_side(void *arg, const struct public_keys **side, struct error *err)
{
	const struct state *state = arg;

	*side = state->front.channels ? channels_side(state->front.channels) : NULL;
	return *side ? 0
		     : error_set(err, state->served ? -EAGAIN : -ENOENT,
				 "there are no keys to serve yet");
}

static void begin_change(struct state *state, int most_ms)
{
	if (!state->changing)
		state->change = deadline_in_ms(most_ms);
	state->changing = true;
}

/* Looked at before each request: what was done to the folder before it came counts for it. */
static bool is_changing(void *arg)
{
	struct state *state = arg;
	char events[4096];

	/* Nobody would release it. */
	if (state->draining)
		return false;
	if (state->watch >= 0 && read(state->watch, events, sizeof(events)) > 0)
		begin_change(state, CHANGE_MS);
	if (state->served && !channels_side(state->front.channels))
		begin_change(state, NO_KEYS_MS);
	return state->changing;
}

/* The keys have changed, or it was something else. */
static void end_change(struct state *state)
{
	state->changing = false;
	for (int i = 0; i < state->count; i++)
		http_release(state->servers[i]);
}

/* Takes orders. The end of them is one, too. */
static void take_orders(struct state *state)
{
	struct front_order order;
	struct error err = {0};
	int fds[FRONT_ORDER_FDS];
	int rc;

	while ((rc = passing_receive(state->orders, &order, sizeof(order), fds, FRONT_ORDER_FDS)) ==
	       1) {
		if (channels_add(state->front.channels, fds[0], fds[1], fds[2], &err) < 0)
			log_error("%s", err.text);
		else
			state->served = true;
		end_change(state);
	}
	if (rc == -EAGAIN || rc == -EINTR)
		return;
	state->draining = true;
	state->drained = deadline_in_ms(DRAIN_MS);
	for (int i = 0; i < state->count; i++)
		http_server_stop_accepting(state->servers[i]);
}

static int earlier(int a, int b)
{
	return a < 0 || (b >= 0 && b < a) ? b : a;
}

static void wait_for_work(const struct state *state)
{
	struct pollfd polled[LISTEN_SOCKETS_MAX + CHANNELS_MAX + 2];
	nfds_t count = 0;
	int timeout = channels_timeout(state->front.channels);

	for (int i = 0; i < state->count; i++) {
		polled[count++] = (struct pollfd){http_server_fd(state->servers[i]), POLLIN, 0};
		timeout = earlier(timeout, http_server_timeout(state->servers[i]));
	}
	count += channels_poll(state->front.channels, &polled[count]);
	polled[count++] = (struct pollfd){state->watch, POLLIN, 0};
	if (state->changing)
		timeout = earlier(timeout, deadline_left_ms(state->change));
	if (state->draining)
		timeout = earlier(timeout, deadline_left_ms(state->drained));
	else
		polled[count++] = (struct pollfd){state->orders, POLLIN, 0};
	(void)poll(polled, count, timeout);
}

/* What is so now, for whoever looks. */
static void publish(struct state *state)
{
	struct front_counts *counts = state->front.counts;
	uint32_t connections = 0;
	uint64_t gave_way = 0;

	for (int i = 0; i < state->count; i++) {
		connections += http_server_connections(state->servers[i]);
		gave_way += http_server_gave_way(state->servers[i]);
	}
	atomic_store_explicit(&counts->connections, connections, memory_order_relaxed);
	(void)atomic_fetch_add_explicit(&counts->gave_way, gave_way - state->gave_way,
					memory_order_relaxed);
	state->gave_way = gave_way;
	(void)atomic_fetch_add_explicit(&counts->lost_lines, log_lost() - state->lost_lines,
					memory_order_relaxed);
	state->lost_lines = log_lost();
	atomic_store_explicit(&counts->waiting, (uint32_t)channels_waiting(state->front.channels),
			      memory_order_relaxed);
}

static void run(struct state *state)
{
	while (!state->draining ||
	       (channels_waiting(state->front.channels) > 0 && !deadline_passed(state->drained))) {
		wait_for_work(state);
		if (!state->draining)
			take_orders(state);
		/* As soon as it happens: the first request long after a change need not wait. */
		(void)is_changing(state);
		if (state->changing && (state->draining || deadline_passed(state->change)))
			end_change(state);
		channels_run(state->front.channels);
		for (int i = 0; i < state->count; i++)
			http_server_run(state->servers[i]);
		publish(state);
	}
}

/* TLS is for the network: what comes by a UNIX socket comes from this machine. */
static bool is_of_network(int fd)
{
	struct sockaddr_storage address = {0};
	socklen_t length = sizeof(address);

	return getsockname(fd, (struct sockaddr *)&address, &length) != 0 ||
	       address.ss_family != AF_UNIX;
}

static int start_server(struct state *state, int fd, const struct tls *tls, struct error *err)
{
	struct http_server **server = &state->servers[state->count];

	if (tls->key.data && is_of_network(fd))
		return http_server_new_tls(&state->front, fd, tls, server, err);
	return http_server_new(&state->front, fd, NULL, server, err);
}

static int start(struct state *state, const struct front_process *process, const struct tls *tls)
{
	struct error err = {0};
	int rc = 0;

	state->front.channels = channels_new(http_answered);
	state->front.keys = state;
	state->front.servers = process->count;
	if (!state->front.channels)
		rc = error_nomem(&err);
	for (; rc == 0 && state->count < process->count; state->count++)
		rc = start_server(state, process->listening[state->count], tls, &err);
	if (rc < 0)
		log_error("%s", err.text);
	return rc;
}

/* First of all root is left: nothing here needs it. */
static int begin(const struct front_process *process, struct tls *tls)
{
	struct error err = {0};
	int rc = privileges_drop(process->privileges, &err);

	if (rc == 0 && process->has_tls)
		rc = tls_receive(process->orders, tls, &err);
	if (rc < 0)
		log_error("%s", err.text);
	return rc;
}

/* From here on, whatever somebody makes of us reaches no file and no key. */
static int lock_in(const struct front_process *process)
{
	struct sandbox sandbox;
	struct error err = {0};
	int rc;

	(void)sandbox_guard(process->listening, process->count);
	rc = front_sandbox(&sandbox, &err);
	if (rc < 0)
		log_error("%s", err.text);
	else if (*sandbox.missing)
		log_warning("a front goes without part of its sandbox: %s", sandbox.missing);
	if (rc == 0)
		process->counts->sandbox = sandbox;
	return rc;
}

/* Who waits for the keys still is told to come again. Where nobody does, nothing more is read: it would be answered with 503, too. */
static void end(struct state *state)
{
	bool somebody_waits = state->front.channels && channels_waiting(state->front.channels) > 0;

	end_change(state);
	channels_free(&state->front.channels);
	for (int i = 0; i < state->count; i++)
		if (somebody_waits && state->servers[i])
			http_server_run(state->servers[i]);
	for (int i = 0; i < state->count; i++)
		http_server_free(&state->servers[i]);
}

int front_process_run(const struct front_process *process)
{
	struct state state = {.front = {.endpoint = process->endpoint,
					.refresh = current_side,
					.counts = process->counts,
					.is_changing = is_changing},
			      .orders = process->orders,
			      .watch = process->watch};

	struct pollfd first = {process->orders, POLLIN, 0};
	struct tls tls = {0};
	int rc;

	(void)signal(SIGPIPE, SIG_IGN);
	if (begin(process, &tls) < 0)
		return EXIT_FAILURE;
	/* Those who connect meanwhile wait for the first keys with us. */
	(void)poll(&first, 1, NO_KEYS_MS);
	rc = start(&state, process, &tls);
	tls_free(&tls);
	if (rc == 0 && lock_in(process) == 0)
		run(&state);
	end(&state);
	return state.draining ? EXIT_SUCCESS : EXIT_FAILURE;
}
