/* SPDX-License-Identifier: Apache-2.0 */
/* The side of who asks a courier. */
#include "net/courier.h"

#include "base/file.h"
#include "base/program.h"
#include "net/stream.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

void courier_start(struct courier *courier)
{
	int ends[2];
	pid_t pid;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0)
		return;
	pid = program_fork();
	if (pid == 0) {
		/* Its end tells that nobody asks any more. */
		(void)close(ends[0]);
		courier_serve(ends[1]);
	}
	(void)close(ends[1]);
	if (pid > 0)
		*courier = (struct courier){ends[0], pid};
	else
		(void)close(ends[0]);
}

void courier_stop(struct courier *courier)
{
	fd_close(&courier->fd);
	if (courier->pid > 0) {
		(void)kill(courier->pid, SIGKILL);
		(void)program_reap(courier->pid);
	}
	*courier = COURIER_NONE;
}

/* Leaves the way for the answer in `*answer`. Returns whether the request is on its way. */
static bool send_request(const struct courier *courier, const struct net_request *request,
			 struct deadline deadline, int *answer)
{
	FREE_AUTO char *message = NULL;
	size_t size = 0;
	int ends[2];
	int rc;

	if (courier_pack(request, deadline, &message, &size) < 0 ||
	    socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends) != 0)
		return false;
	rc = courier_send(courier->fd, message, size, ends[1]);
	(void)close(ends[1]);
	*answer = ends[0];
	return rc == 0;
}

/* Reads exactly that much: an end before it means that the courier is gone. */
static bool receive_whole(int fd, void *data, size_t size, struct deadline deadline)
{
	const struct net_connection connection = {.fd = fd};
	char *next = data;

	while (size > 0) {
		ssize_t got = net_receive(&connection, next, size, deadline, NULL);

		if (got <= 0)
			return false;
		next += got;
		size -= (size_t)got;
	}
	return true;
}

static bool receive_answer(int fd, const struct net_request *request, struct deadline deadline,
			   struct courier_reply *answer, char **body)
{
	char *made;

	if (!receive_whole(fd, answer, sizeof(*answer), deadline) || answer->code > 0)
		return false;
	answer->text[sizeof(answer->text) - 1] = '\0';
	/* Its time was shorter than ours: not its word, but another attempt has to decide. */
	if (answer->code == -ETIMEDOUT)
		return false;
	if (answer->code < 0)
		return true;
	if (answer->body_size > request->reply_max || !(made = malloc(answer->body_size + 1)))
		return false;
	made[answer->body_size] = '\0';
	if (!receive_whole(fd, made, answer->body_size, deadline)) {
		free(made);
		return false;
	}
	*body = made;
	return true;
}

bool courier_ask(const struct courier *courier, const struct net_request *request,
		 struct deadline deadline, struct net_reply *reply, int *rc, struct error *err)
{
	struct deadline patience = deadline_earlier(deadline_in_ms(COURIER_PATIENCE_MS),
						    deadline_in_ms(deadline_left_ms(deadline) / 2));
	struct courier_reply answer;
	FD_AUTO int fd = -1;
	char *body = NULL;

	if (courier->fd < 0 || !send_request(courier, request, patience, &fd) ||
	    !receive_answer(fd, request, patience, &answer, &body))
		return false;
	if (answer.code < 0) {
		*rc = error_set(err, answer.code, "%s", answer.text);
		return true;
	}
	*reply = (struct net_reply){.status = answer.status,
				    .body = body,
				    .body_size = answer.body_size,
				    .retry_after_s = answer.retry_after_s};
	*rc = 0;
	return true;
}
