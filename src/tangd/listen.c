/* SPDX-License-Identifier: Apache-2.0 */
#include "tangd/listen.h"

#include "base/file.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

/* Whoever may reach the folder of a public socket may use it; the admin's is for its user and group. */
enum { FILE_MODE = 0666, ADMIN_FILE_MODE = 0660 };

/* Longest HOST:PORT, bytes, the NUL included. */
enum { ADMIN_ADDRESS_MAX = NI_MAXHOST + 16 };

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

static void announce(int fd, const char *what)
{
	union {
		struct sockaddr any;
		struct sockaddr_un un;
		struct sockaddr_storage room;
	} address = {0};
	socklen_t length = sizeof(address);
	char host[NI_MAXHOST];
	char port[NI_MAXSERV];
	bool ipv6;

	if (getsockname(fd, &address.any, &length) != 0)
		return;
	if (address.any.sa_family == AF_UNIX) {
		(void)fprintf(stderr, "%s %s\n", what, address.un.sun_path);
		return;
	}
	if (getnameinfo(&address.any, length, host, sizeof(host), port, sizeof(port),
			NI_NUMERICHOST | NI_NUMERICSERV) != 0)
		return;
	ipv6 = address.any.sa_family == AF_INET6;
	(void)fprintf(stderr, "%s %s%s%s:%s\n", what, ipv6 ? "[" : "", host, ipv6 ? "]" : "", port);
}

/* A family the kernel does not have is passed over, as long as another one is there. */
static int open_each(const struct addrinfo *addresses, struct listening *listening)
{
	int before = listening->count;
	int failure = -EADDRNOTAVAIL;

	for (const struct addrinfo *a = addresses; a; a = a->ai_next) {
		int fd = listening->count < LISTEN_SOCKETS_MAX ? open_one(a) : -E2BIG;

		if (fd >= 0)
			listening->fd[listening->count++] = fd;
		else if (fd == -EAFNOSUPPORT || fd == -EADDRNOTAVAIL)
			failure = fd;
		else
			return fd;
	}
	return listening->count > before ? 0 : failure;
}

static int too_many(struct error *err)
{
	return error_set(err, -E2BIG, "cannot listen on more than %d sockets", LISTEN_SOCKETS_MAX);
}

static int open_host(const char *host, const char *port, struct listening *listening,
		     struct error *err)
{
	const struct addrinfo hints = {
		.ai_family = AF_UNSPEC,
		.ai_socktype = SOCK_STREAM,
		.ai_flags = AI_PASSIVE | AI_NUMERICSERV,
	};
	struct addrinfo *addresses = NULL;
	int rc = getaddrinfo(host, port, &hints, &addresses);

	if (rc != 0)
		return error_set(err, -EINVAL, "cannot listen on '%s' port '%s': %s",
				 host ? host : "*", port, gai_strerror(rc));
	rc = open_each(addresses, listening);
	freeaddrinfo(addresses);
	if (rc == -E2BIG)
		return too_many(err);
	if (rc < 0)
		return error_set(err, rc, "cannot listen on port %s%s%s: %s", port,
				 host ? " of " : "", host ? host : "", strerror(-rc));
	return 0;
}

static int take_file(const char *path, mode_t mode, const struct sockaddr_un *address)
{
	/* The mode is there from the first moment on, and no chmod(2) can be led to another file. */
	mode_t before = umask(0777 & ~mode);
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	int code = 0;

	if (fd < 0 || bind(fd, (const struct sockaddr *)address, sizeof(*address)) != 0)
		code = -errno;
	(void)umask(before);
	if (code == 0 && listen(fd, SOMAXCONN) != 0) {
		code = -errno;
		(void)unlink(path);
	}
	if (code < 0)
		fd_close(&fd);
	return code < 0 ? code : fd;
}

/* What stands where a socket file shall: gone when nobody listens there any more. Returns 0, or the code of the reason why it stays. */
static int clear_file(const char *path, const struct sockaddr_un *address)
{
	FD_AUTO int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	struct stat st;

	if (fd < 0 || lstat(path, &st) != 0)
		return -errno;
	if (!S_ISSOCK(st.st_mode))
		return -EEXIST;
	if (connect(fd, (const struct sockaddr *)address, sizeof(*address)) == 0 || errno == EAGAIN)
		return -EADDRINUSE;
	if (errno != ECONNREFUSED)
		return -errno;
	return unlink(path) == 0 ? 0 : -errno;
}

static int refuse_file(const char *path, int code, struct error *err)
{
	const char *why = strerror(-code);

	if (code == -EEXIST)
		why = "it is there, and no socket";
	else if (code == -EADDRINUSE || code == -EPROTOTYPE)
		why = "another process listens there";
	return error_set(err, code, "cannot listen on '%s': %s", path, why);
}

static int open_file(const char *path, mode_t mode, struct listening *listening, struct error *err)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	struct stat st;
	int fd;

	if (listening->count == LISTEN_SOCKETS_MAX)
		return too_many(err);
	if (!*path)
		return error_set(err, -EINVAL, "cannot listen on 'unix:': it names no file");
	if (strlen(path) >= sizeof(address.sun_path))
		return error_set(
			err, -ENAMETOOLONG,
			"cannot listen on '%s': the path of a socket has %zu bytes at most", path,
			sizeof(address.sun_path) - 1);
	memcpy(address.sun_path, path, strlen(path));
	fd = take_file(path, mode, &address);
	if (fd == -EADDRINUSE) {
		fd = clear_file(path, &address);
		if (fd == 0)
			fd = take_file(path, mode, &address);
	}
	if (fd < 0)
		return refuse_file(path, fd, err);
	listening->fd[listening->count++] = fd;
	if (lstat(path, &st) == 0)
		listening->file[listening->files++] = (struct listen_file){path, st.st_dev,
									   st.st_ino};
	return 0;
}

static const char *path_of(const char *host)
{
	static const char prefix[] = "unix:";

	if (!host || *host == '/')
		return host;
	return strncmp(host, prefix, sizeof(prefix) - 1) == 0 ? host + sizeof(prefix) - 1 : NULL;
}

static void close_all(struct listening *listening)
{
	(void)listen_remove_files(listening, NULL);
	while (listening->count > 0)
		fd_close(&listening->fd[--listening->count]);
}

int listen_open(const char *const *host, int hosts, const char *port, struct listening *listening,
		struct error *err)
{
	struct listening made = {0};
	int rc = hosts == 0 ? open_host(NULL, port, &made, err) : 0;

	for (int i = 0; rc == 0 && i < hosts; i++) {
		const char *path = path_of(host[i]);

		rc = path ? open_file(path, FILE_MODE, &made, err)
			  : open_host(host[i], port, &made, err);
	}
	if (rc < 0) {
		close_all(&made);
		return rc;
	}
	*listening = made;
	return 0;
}

/* getaddrinfo(3) takes a number that is too large for another one. */
static bool is_port(const char *text)
{
	return *text && text[strspn(text, "0123456789")] == '\0' &&
	       strtoul(text, NULL, 10) <= UINT16_MAX;
}

/* HOST:PORT, an IPv6 host in brackets. */
static int split(char *address, const char **host, const char **port)
{
	char *colon = strrchr(address, ':');
	size_t length = colon ? (size_t)(colon - address) : 0;

	if (length == 0 || !is_port(colon + 1))
		return -EINVAL;
	*colon = '\0';
	*port = colon + 1;
	*host = address;
	if (*address == '[' && address[length - 1] == ']') {
		address[length - 1] = '\0';
		*host = address + 1;
	}
	return 0;
}

int listen_open_admin(const char *address, struct listening *listening, struct error *err)
{
	struct listening made = {0};
	const char *path = path_of(address);
	char text[ADMIN_ADDRESS_MAX];
	const char *host = NULL;
	const char *port = NULL;
	int rc;

	if (path)
		rc = open_file(path, ADMIN_FILE_MODE, &made, err);
	else if (snprintf(text, sizeof(text), "%s", address) >= (int)sizeof(text) ||
		 split(text, &host, &port) < 0)
		rc = error_set(
			err, -EINVAL,
			"'%s' is no address for the admin process: it is /PATH, unix:PATH or "
			"HOST:PORT (0 … 65535)",
			address);
	else
		rc = open_host(host, port, &made, err);
	if (rc < 0)
		close_all(&made);
	else
		*listening = made;
	return rc;
}

void listen_announce(const struct listening *listening, const char *what)
{
	for (int i = 0; i < listening->count; i++)
		announce(listening->fd[i], what);
}

static bool is_private(int fd)
{
	union {
		struct sockaddr any;
		struct sockaddr_in in;
		struct sockaddr_in6 in6;
		struct sockaddr_storage room;
	} address = {0};
	socklen_t length = sizeof(address);

	if (getsockname(fd, &address.any, &length) != 0)
		return false;
	if (address.any.sa_family == AF_INET)
		return ntohl(address.in.sin_addr.s_addr) >> 24 == IN_LOOPBACKNET;
	if (address.any.sa_family == AF_INET6)
		return IN6_IS_ADDR_LOOPBACK(&address.in6.sin6_addr);
	return address.any.sa_family == AF_UNIX;
}

bool listen_is_private(const struct listening *listening)
{
	for (int i = 0; i < listening->count; i++)
		if (!is_private(listening->fd[i]))
			return false;
	return true;
}

int listen_remove_files(struct listening *listening, struct error *err)
{
	int rc = 0;

	while (listening->files > 0) {
		const struct listen_file *file = &listening->file[--listening->files];
		struct stat st;

		if (lstat(file->path, &st) != 0 || st.st_dev != file->device ||
		    st.st_ino != file->inode)
			continue;
		if (unlink(file->path) != 0)
			rc = error_set(err, -errno, "cannot remove '%s': %s", file->path,
				       strerror(errno));
	}
	return rc;
}
