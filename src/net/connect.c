/* SPDX-License-Identifier: Apache-2.0 */
#include "net/connect.h"

#include "base/file.h"
#include "net/resolve.h"

#include <errno.h>
#include <netdb.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static void print_peer(const struct net_address *address, char peer[static NET_PEER_MAX])
{
	char host[NI_MAXHOST];
	char port[NI_MAXSERV];
	bool ipv6 = address->storage.ss_family == AF_INET6;

	if (getnameinfo((const struct sockaddr *)&address->storage, address->length, host,
			sizeof(host), port, sizeof(port), NI_NUMERICHOST | NI_NUMERICSERV) != 0)
		(void)snprintf(peer, NET_PEER_MAX, "unknown address");
	else
		(void)snprintf(peer, NET_PEER_MAX, ipv6 ? "[%.55s]:%.7s" : "%.55s:%.7s", host,
			       port);
}

/* Waits for the descriptor. Returns 0; -ETIMEDOUT, or -errno. */
static int wait_for(int fd, short events, struct deadline deadline)
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

/* Returns a connected descriptor or a negative code. */
static int connect_one(const struct net_address *address, struct deadline deadline)
{
	int fd = socket(address->storage.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	int failure = 0;
	socklen_t length = sizeof(failure);

	if (fd < 0)
		return -errno;
	if (connect(fd, (const struct sockaddr *)&address->storage, address->length) != 0) {
		failure = errno;
		if (failure == EINPROGRESS) {
			failure = -wait_for(fd, POLLOUT, deadline);
			if (failure == 0 &&
			    getsockopt(fd, SOL_SOCKET, SO_ERROR, &failure, &length) != 0)
				failure = errno;
		}
	}
	if (failure == 0)
		return fd;
	fd_close(&fd);
	return -failure;
}

static int explain(int code, const char *peer, int ms, struct error *err)
{
	if (code == -ETIMEDOUT)
		return error_set(err, code, "%s: no answer in %d.%d s", peer, ms / 1000,
				 ms % 1000 / 100);
	if (code == -ECONNREFUSED)
		return error_set(err, code, "%s: connection refused", peer);
	return error_set(err, code, "%s: %s", peer, strerror(-code));
}

int net_connect(const struct net_url *url, struct deadline deadline,
		struct net_connection *connection, struct error *err)
{
	struct net_addresses addresses = {0};
	int rc = net_resolve(url->host, url->port, deadline, &addresses, err);

	if (rc < 0)
		return rc;
	for (size_t i = 0; i < addresses.count; i++) {
		struct deadline own = deadline_earlier(deadline, deadline_in_ms(NET_CONNECT_MS));
		int allowed = deadline_left_ms(own);
		int fd = connect_one(&addresses.address[i], own);

		print_peer(&addresses.address[i], connection->peer);
		connection->fd = fd;
		if (fd >= 0)
			return 0;
		rc = explain(fd, connection->peer, allowed, err);
		if (deadline_passed(deadline))
			break;
	}
	return rc;
}

int net_send(const struct net_connection *connection, const void *data, size_t size,
	     struct deadline deadline, struct error *err)
{
	const char *next = data;
	int allowed = deadline_left_ms(deadline);

	while (size > 0) {
		ssize_t sent = send(connection->fd, next, size, MSG_NOSIGNAL);
		int rc = 0;

		if (sent < 0 && errno != EAGAIN && errno != EINTR)
			rc = -errno;
		else if (sent < 0)
			rc = wait_for(connection->fd, POLLOUT, deadline);
		if (rc < 0)
			return explain(rc, connection->peer, allowed, err);
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
	int allowed = deadline_left_ms(deadline);

	for (;;) {
		/* Asked first: where data keeps flowing, waiting would never find the time passed. */
		int rc = deadline_passed(deadline) ? -ETIMEDOUT
						   : wait_for(connection->fd, POLLIN, deadline);
		ssize_t got;

		if (rc < 0)
			return explain(rc, connection->peer, allowed, err);
		got = recv(connection->fd, data, size, 0);
		if (got >= 0)
			return got;
		if (errno != EAGAIN && errno != EINTR)
			return explain(-errno, connection->peer, allowed, err);
	}
}
