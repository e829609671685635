/* SPDX-License-Identifier: Apache-2.0 */
#include "tangd/keys_process.h"

#include "base/log.h"
#include "base/secret.h"
#include "tangd/keys.h"
#include "tangd/passing.h"
#include "tangd/sandbox.h"
#include "tangd/side.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

/* More fronts than that nobody starts. */
enum { CHANNELS_MAX = 64 };

static int report(const struct keys_process *process, int status, uint64_t set,
		  const struct public_keys *side)
{
	const struct keys_report text = {KEYS_REPORT_VERSION, status, set};
	struct error err = {0};
	int fd = -1;
	int rc;

	if (side) {
		fd = side_write(side, &err);
		if (fd < 0) {
			log_error("%s", err.text);
			(void)report(process, fd, 0, NULL);
			return fd;
		}
	}
	rc = passing_send(process->report, &text, sizeof(text), &fd, side ? 1 : 0);
	if (side)
		(void)close(fd);
	return rc;
}

static int load(const struct keys_process *process, struct keys *keys)
{
	const struct public_keys *side = NULL;
	struct error err = {0};
	uint64_t set = 0;
	int rc = keys_load(keys, process->flags, &side, &set, &err);

	if (rc == 0)
		rc = privileges_drop(process->privileges, &err);
	if (rc < 0 && (process->flags & KEYS_SIGN) &&
	    !(rc == -ENOKEY && (process->flags & KEYS_TOLD)))
		log_error("%s", err.text);
	if (rc < 0) {
		(void)report(process, rc, 0, NULL);
		return rc;
	}
	return report(process, 0, set, process->flags & KEYS_SIGN ? side : NULL);
}

/* Answers one request of a channel, if there is one; an answer that finds no room is asked for again. Returns 0 at the channel's end, else 1. */
static int answer_one(const struct keys *keys, struct key_uses *uses, int fd, int flags)
{
	struct key_request request;
	struct key_reply reply;
	ssize_t got = recv(fd, &request, sizeof(request), flags);

	if (got == 0)
		return 0;
	/* A packet of another size comes from nobody we know; another process of the generation may have been quicker. */
	if (got != (ssize_t)sizeof(request))
		return got > 0 || errno == EAGAIN || errno == EINTR;
	keys_answer(keys, &request, &reply);
	if (reply.status == 0)
		counts_use(uses, request.key);
	return send(fd, &reply, sizeof(reply), flags | MSG_NOSIGNAL) == (ssize_t)sizeof(reply) ||
	       errno == EINTR || errno == EAGAIN;
}

/* One front needs no poll: the call waits where the work is. */
static void serve_one(const struct keys *keys, struct key_uses *uses, int fd)
{
	while (answer_one(keys, uses, fd, 0))
		;
}

/* Whether there is something to do. A front that reads no answers is asked nothing more until it does: it holds up nobody else. */
static bool is_due(struct pollfd *polled)
{
	struct pollfd room = {polled->fd, POLLOUT, 0};

	if (polled->fd < 0 || !polled->revents)
		return false;
	(void)poll(&room, 1, 0);
	polled->events = (room.revents & POLLOUT) ? POLLIN : POLLOUT;
	return room.revents & (POLLOUT | POLLHUP);
}

static void serve_several(const struct keys *keys, struct key_uses *uses, const int *channels,
			  size_t count)
{
	struct pollfd polled[CHANNELS_MAX];
	size_t open = count;

	for (size_t i = 0; i < count; i++)
		polled[i] = (struct pollfd){channels[i], POLLIN, 0};
	while (open > 0) {
		if (poll(polled, count, -1) < 0 && errno != EINTR)
			return;
		for (size_t i = 0; i < count; i++) {
			if (!is_due(&polled[i]))
				continue;
			if (answer_one(keys, uses, polled[i].fd, MSG_DONTWAIT))
				continue;
			polled[i].fd = -1;
			open--;
		}
	}
}

/* The other end does not wait; this one does. */
static void wait_on(const int *channels, size_t count)
{
	for (size_t i = 0; i < count; i++)
		(void)fcntl(channels[i], F_SETFL, 0);
}

/* From here on: no file, no network, no new descriptor. One of a generation tells what is missing. */
static int lock_in(struct key_uses *uses, bool tell)
{
	struct sandbox sandbox;
	struct error err = {0};
	int rc = keys_sandbox(&sandbox, &err);

	if (rc < 0)
		log_error("%s", err.text);
	else if (*sandbox.missing && tell)
		log_warning("keys processes go without part of their sandbox: %s", sandbox.missing);
	if (rc == 0 && tell)
		uses->sandbox = sandbox;
	return rc;
}

int keys_process_run(const struct keys_process *process)
{
	struct keys *keys = NULL;
	struct error err = {0};
	int rc;

	/* The supervisor has secrets of its own where it speaks TLS. */
	secret_after_fork();
	rc = process->count <= CHANNELS_MAX ? keys_open(process->folder, &keys, &err) : -E2BIG;

	if (rc < 0 && (process->flags & KEYS_SIGN))
		log_error("%s", err.text);
	if (rc < 0)
		(void)report(process, rc, 0, NULL);
	else
		rc = load(process, keys);
	(void)close(process->report);
	wait_on(process->channels, process->count);
	if (rc == 0)
		rc = lock_in(process->uses, process->flags & KEYS_SIGN);
	if (rc == 0) {
		if (process->count == 1)
			serve_one(keys, process->uses, process->channels[0]);
		else
			serve_several(keys, process->uses, process->channels, process->count);
	}
	keys_free(&keys);
	return rc < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}
