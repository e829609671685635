/* SPDX-License-Identifier: Apache-2.0 */
#include "tangd/manager.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

/* The first descriptor that is handed over. */
enum { FIRST_FD = 3 };

/* A number of the environment, if it is one; else 0. */
static long number_of(const char *name)
{
	const char *text = getenv(name);
	char *end = NULL;
	long number = text && *text ? strtol(text, &end, 10) : 0;

	return end && *end == '\0' && number > 0 ? number : 0;
}

static int take_socket(int fd, struct error *err)
{
	struct stat st;
	int flags;

	if (fstat(fd, &st) != 0 || !S_ISSOCK(st.st_mode))
		return error_set(err, -ENOTSOCK,
				 "what was handed over as descriptor %d is no socket", fd);
	flags = fcntl(fd, F_GETFL);
	if (fcntl(fd, F_SETFD, FD_CLOEXEC) < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0)
		return error_set(err, -errno, "descriptor %d: %s", fd, strerror(errno));
	return 0;
}

static long handed_over(void)
{
	return number_of("LISTEN_PID") == getpid() ? number_of("LISTEN_FDS") : 0;
}

void manager_close_others(void)
{
	long count = handed_over();

	(void)close_range(FIRST_FD + (unsigned)(count < INT_MAX - FIRST_FD ? count : 0), ~0U, 0);
}

int manager_sockets(int fds[static LISTEN_SOCKETS_MAX], struct error *err)
{
	long count = handed_over();
	int rc = 0;

	(void)unsetenv("LISTEN_PID");
	(void)unsetenv("LISTEN_FDS");
	(void)unsetenv("LISTEN_FDNAMES");
	if (count > LISTEN_SOCKETS_MAX)
		return error_set(err, -E2BIG, "%ld sockets were handed over; %d at most are served",
				 count, LISTEN_SOCKETS_MAX);
	for (int i = 0; rc == 0 && i < count; i++) {
		fds[i] = FIRST_FD + i;
		rc = take_socket(fds[i], err);
	}
	return rc < 0 ? rc : (int)count;
}

void manager_tell(const char *text)
{
	const char *path = getenv("NOTIFY_SOCKET");
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	socklen_t size;
	int fd;

	if (!path || (*path != '/' && *path != '@') || strlen(path) >= sizeof(address.sun_path))
		return;
	memcpy(address.sun_path, path, strlen(path));
	/* '@' stands for the NUL of a name that is in no file system. */
	if (*path == '@')
		address.sun_path[0] = '\0';
	size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(path));
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return;
	(void)sendto(fd, text, strlen(text), MSG_NOSIGNAL | MSG_DONTWAIT,
		     (const struct sockaddr *)&address, size);
	(void)close(fd);
}

int manager_watchdog_ms(void)
{
	long usec = number_of("WATCHDOG_USEC");
	long pid = number_of("WATCHDOG_PID");

	if (usec == 0 || (pid != 0 && pid != getpid()))
		return 0;
	return usec / 2000 < INT_MAX ? (int)(usec / 2000) : INT_MAX;
}
