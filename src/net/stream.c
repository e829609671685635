/* SPDX-License-Identifier: Apache-2.0 */
#include "net/stream.h"

#include "base/file.h"
#include "net/tls.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>

/* A helper takes leave of the server when its socket closes. It has a moment for that, and no more. */
enum { LEAVE_MS = 50 };

void net_close(struct net_connection *connection)
{
	fd_close(&connection->fd);
	if (connection->helper > 0) {
		(void)net_wait(connection->report, POLLIN, deadline_in_ms(LEAVE_MS));
		(void)kill(connection->helper, SIGKILL);
		while (waitpid(connection->helper, NULL, 0) < 0 && errno == EINTR)
			;
	}
	connection->helper = 0;
	fd_close(&connection->report);
}

int net_wait(int fd, short events, struct deadline deadline)
{
	struct pollfd polled = {fd, events, 0};
	int rc;

	do
		rc = poll(&polled, 1, deadline_left_ms(deadline));
	while (rc < 0 && errno == EINTR);
	if (rc == 0)
		return -ETIMEDOUT;
	return rc < 0 ? -errno : 0;
}

void net_print_seconds(int ms, char text[static NET_SECONDS_MAX])
{
	/* Rounded: of three seconds, a few milliseconds are gone before anybody looks. */
	long tenths = ((long)ms + 50) / 100;

	if (tenths % 10 == 0)
		(void)snprintf(text, NET_SECONDS_MAX, "%ld", tenths / 10);
	else
		(void)snprintf(text, NET_SECONDS_MAX, "%ld.%ld", tenths / 10, tenths % 10);
}

int net_explain(int code, const char *peer, int ms, struct error *err)
{
	char seconds[NET_SECONDS_MAX];

	net_print_seconds(ms, seconds);
	if (code == -ETIMEDOUT)
		return error_set(err, code, "%s: no answer in %s s", peer, seconds);
	if (code == -ECONNREFUSED)
		return error_set(err, code, "%s: connection refused", peer);
	return error_set(err, code, "%s: %s", peer, strerror(-code));
}

/* A helper knows better than the socket to it why a connection ended. */
static int explain_end(const struct net_connection *connection, int code, struct error *err)
{
	int reported = net_tls_report(connection, err);

	if (reported < 0 || code == 0)
		return reported;
	return net_explain(code, connection->peer, connection->allowed_ms, err);
}

int net_send(const struct net_connection *connection, const void *data, size_t size,
	     struct deadline deadline, struct error *err)
{
	const char *next = data;

	while (size > 0) {
		ssize_t sent = send(connection->fd, next, size, MSG_NOSIGNAL);
		int rc = 0;

		if (sent < 0 && errno != EAGAIN && errno != EINTR)
			rc = -errno;
		else if (sent < 0)
			rc = net_wait(connection->fd, POLLOUT, deadline);
		if (rc < 0)
			return explain_end(connection, rc, err);
		if (sent > 0) {
			next += sent;
			size -= (size_t)sent;
		}
	}
	return 0;
}

ssize_t net_receive(const struct net_connection *connection, void *data, size_t size,
		    struct deadline deadline, struct error *err)
{
	for (;;) {
		/* Asked first: where data keeps flowing, waiting would never find the time passed. */
		int rc = deadline_passed(deadline) ? -ETIMEDOUT
						   : net_wait(connection->fd, POLLIN, deadline);
		ssize_t got;

		if (rc < 0)
			return explain_end(connection, rc, err);
		got = recv(connection->fd, data, size, 0);
		if (got > 0)
			return got;
		if (got == 0)
			return explain_end(connection, 0, err);
		if (errno != EAGAIN && errno != EINTR)
			return explain_end(connection, -errno, err);
	}
}
