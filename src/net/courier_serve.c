/* SPDX-License-Identifier: Apache-2.0 */
/* The porter, which knows one courier for each server, and the couriers, which ask. */
#include "base/file.h"
#include "base/program.h"
#include "net/courier.h"
#include "net/http.h"
#include "net/stream.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* --- A courier ------------------------------------------------------------------------------------------------------- */

/* Whether who asked has gone, so that nobody wants an answer. */
static bool is_gone(int fd)
{
	struct pollfd polled = {fd, 0, 0};

	return poll(&polled, 1, 0) > 0;
}

static void answer(int fd, const struct courier_reply *head, const char *body,
		   struct deadline deadline)
{
	const struct net_connection connection = {.fd = fd};

	if (net_send(&connection, head, sizeof(*head), deadline, NULL) == 0 && head->code == 0)
		(void)net_send(&connection, body, head->body_size, deadline, NULL);
}

static void carry(struct net_session *session, const struct net_request *request,
		  struct deadline deadline, int fd)
{
	struct courier_reply head = {0};
	struct net_reply reply = {0};
	struct error err = {0};

	head.code = http_direct(session, request, deadline, &reply, &err);
	head.status = reply.status;
	head.retry_after_s = reply.retry_after_s;
	head.body_size = reply.body_size;
	memcpy(head.text, err.text, sizeof(head.text));
	answer(fd, &head, reply.body, deadline);
	free(reply.body);
}

static void courier_main(int requests, char *buffer) __attribute__((noreturn));
static void courier_main(int requests, char *buffer)
{
	struct net_session *session = net_session_new();
	ssize_t size;
	int fd = -1;

	while ((size = courier_receive(requests, buffer, &fd)) > 0) {
		struct net_request request;
		struct deadline deadline;

		if (courier_unpack(buffer, (size_t)size, &request, &deadline) == 0 &&
		    !deadline_passed(deadline) && !is_gone(fd))
			carry(session, &request, deadline, fd);
		fd_close(&fd);
	}
	net_session_free(&session);
	_exit(EXIT_SUCCESS);
}

/* --- The porter ------------------------------------------------------------------------------------------------------ */

/* One courier, as the porter knows it. */
struct route {
	char *name; /* of the server, as http_name() has it */
	pid_t pid;
	int fd; /* its requests go in here */
};

struct porter {
	int fd;	    /* requests come from here */
	int answer; /* the way for the answer to the one at hand; -1: none */
	size_t count;
	struct route route[COURIERS_MAX];
	char buffer[COURIER_MESSAGE_MAX];
};

/* In a courier: what others ask is none of its business, and they wait for the end of what it would keep open. */
static void close_all(struct porter *porter)
{
	fd_close(&porter->fd);
	fd_close(&porter->answer);
	for (size_t i = 0; i < porter->count; i++)
		fd_close(&porter->route[i].fd);
}

/* Starts a courier for the server of that name, which becomes the route's. */
static struct route *add_route(struct porter *porter, char *name)
{
	struct route *route = &porter->route[porter->count];
	int ends[2];

	if (porter->count == COURIERS_MAX ||
	    socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0)
		return NULL;
	*route = (struct route){.fd = ends[0], .pid = program_fork()};
	route->name = name;
	if (route->pid == 0) {
		(void)close(ends[0]);
		close_all(porter);
		courier_main(ends[1], porter->buffer);
	}
	(void)close(ends[1]);
	if (route->pid < 0) {
		(void)close(ends[0]);
		return NULL;
	}
	porter->count++;
	return route;
}

/* The next request to that server starts another. */
static void remove_route(struct porter *porter, struct route *route)
{
	(void)kill(route->pid, SIGKILL);
	(void)program_reap(route->pid);
	fd_close(&route->fd);
	free(route->name);
	*route = porter->route[--porter->count];
}

static struct route *find_route(struct porter *porter, const struct net_request *request)
{
	char *name = NULL;
	struct route *route;

	if (http_name(request, &name, NULL) < 0)
		return NULL;
	for (size_t i = 0; i < porter->count; i++) {
		if (strcmp(porter->route[i].name, name) == 0) {
			free(name);
			return &porter->route[i];
		}
	}
	route = add_route(porter, name);
	if (!route)
		free(name);
	return route;
}

/* One that cannot be passed on is dropped: who asked sees its way for the answer closed. */
static void pass_on(struct porter *porter, size_t size)
{
	struct net_request request;
	struct deadline deadline;
	struct route *route = NULL;
	int rc = courier_unpack(porter->buffer, size, &request, &deadline);

	if (rc == 0)
		route = find_route(porter, &request);
	if (!route)
		return;
	rc = courier_send(route->fd, porter->buffer, size, porter->answer);
	if (rc < 0 && rc != -EAGAIN)
		remove_route(porter, route);
}

void courier_serve(int fd)
{
	static struct porter porter;
	ssize_t size;

	porter.fd = fd;
	while ((size = courier_receive(fd, porter.buffer, &porter.answer)) > 0) {
		pass_on(&porter, (size_t)size);
		fd_close(&porter.answer);
	}
	_exit(EXIT_SUCCESS);
}
