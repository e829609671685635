/* SPDX-License-Identifier: Apache-2.0 */
#include "tangd/listen.h"

#include "base/file.h"

#include <errno.h>
#include <netdb.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

static int open_one(const struct addrinfo *address)
{
	const int on = 1;
	int fd = socket(address->ai_family, address->ai_socktype | SOCK_CLOEXEC | SOCK_NONBLOCK,
			address->ai_protocol);

	if (fd < 0)
		return -errno;
	if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) != 0 ||
	    (address->ai_family == AF_INET6 &&
	     setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on)) != 0) ||
	    bind(fd, address->ai_addr, address->ai_addrlen) != 0 || listen(fd, SOMAXCONN) != 0) {
		int code = -errno;

		fd_close(&fd);
		return code;
	}
	return fd;
}

static void announce(int fd)
{
	struct sockaddr_storage address = {0};
	socklen_t length = sizeof(address);
	char host[NI_MAXHOST];
	char port[NI_MAXSERV];
	bool ipv6;

	if (getsockname(fd, (struct sockaddr *)&address, &length) != 0 ||
	    getnameinfo((struct sockaddr *)&address, length, host, sizeof(host), port, sizeof(port),
			NI_NUMERICHOST | NI_NUMERICSERV) != 0)
		return;
	ipv6 = address.ss_family == AF_INET6;
	(void)fprintf(stderr, "Listening on %s%s%s:%s\n", ipv6 ? "[" : "", host, ipv6 ? "]" : "",
		      port);
}

/* A family the kernel does not have is passed over, as long as another one is there. */
static int open_each(const struct addrinfo *addresses, int fds[static LISTEN_SOCKETS_MAX])
{
	int count = 0;
	int failure = -EADDRNOTAVAIL;

	for (const struct addrinfo *a = addresses; a && count < LISTEN_SOCKETS_MAX;
	     a = a->ai_next) {
		int fd = open_one(a);

		if (fd >= 0) {
			fds[count++] = fd;
		} else if (fd == -EAFNOSUPPORT || fd == -EADDRNOTAVAIL) {
			failure = fd;
		} else {
			while (count > 0)
				fd_close(&fds[--count]);
			return fd;
		}
	}
	return count > 0 ? count : failure;
}

int listen_open(const char *host, const char *port, int fds[static LISTEN_SOCKETS_MAX],
		struct error *err)
{
	const struct addrinfo hints = {
		.ai_family = AF_UNSPEC,
		.ai_socktype = SOCK_STREAM,
		.ai_flags = AI_PASSIVE | AI_NUMERICSERV,
	};
	struct addrinfo *addresses = NULL;
	int rc = getaddrinfo(host, port, &hints, &addresses);
	int count;

	if (rc != 0)
		return error_set(err, -EINVAL, "cannot listen on '%s' port '%s': %s",
				 host ? host : "*", port, gai_strerror(rc));
	count = open_each(addresses, fds);
	freeaddrinfo(addresses);
	if (count < 0)
		return error_set(err, count, "cannot listen on port %s: %s", port,
				 strerror(-count));
	for (int i = 0; i < count; i++)
		announce(fds[i]);
	return count;
}
