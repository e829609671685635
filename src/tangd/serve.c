/* SPDX-License-Identifier: Apache-2.0 */
#include "tangd/serve.h"

#include "base/file.h"
#include "tangd/http.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

enum { PUMP_BUFFER = 16 * 1024 };

static volatile sig_atomic_t stop_asked;

static void ask_stop(int signal_number)
{
	(void)signal_number;
	stop_asked = 1;
}

/* Signals are open only while we wait, so that none slips in between the check and the wait. */
static void prepare_signals(sigset_t *while_waiting)
{
	struct sigaction action = {.sa_handler = ask_stop};
	sigset_t blocked;

	(void)sigemptyset(&blocked);
	(void)sigaddset(&blocked, SIGTERM);
	(void)sigaddset(&blocked, SIGINT);
	(void)sigprocmask(SIG_BLOCK, &blocked, while_waiting);
	(void)sigaction(SIGTERM, &action, NULL);
	(void)sigaction(SIGINT, &action, NULL);
	action.sa_handler = SIG_IGN;
	(void)sigaction(SIGPIPE, &action, NULL);
}

static int wait_for(struct pollfd *polled, nfds_t count, int timeout_ms, const sigset_t *mask)
{
	struct timespec timeout = {timeout_ms / 1000, (long)(timeout_ms % 1000) * 1000000};

	if (ppoll(polled, count, timeout_ms < 0 ? NULL : &timeout, mask) >= 0 || errno == EINTR)
		return 0;
	return -errno;
}

/* One direction between a pipe and our end of the socket pair. */
struct pump {
	int from;
	int to;
	bool to_is_socket;
	bool done;
	size_t filled;
	char buffer[PUMP_BUFFER];
};

static void pump_end(struct pump *pump)
{
	pump->done = true;
	if (pump->to_is_socket)
		(void)shutdown(pump->to, SHUT_WR);
}

/* Moves what is there. Called when `from` can be read (buffer empty) or `to` can be written (buffer filled). */
static void pump_step(struct pump *pump, short events)
{
	if (pump->done || !events)
		return;
	if (pump->filled == 0) {
		ssize_t got = read(pump->from, pump->buffer, sizeof(pump->buffer));

		if (got > 0)
			pump->filled = (size_t)got;
		else if (got == 0 || (errno != EAGAIN && errno != EINTR))
			pump_end(pump);
	}
	if (pump->filled > 0) {
		/* A pipe that polls writable takes PIPE_BUF bytes without waiting, and no more is promised. */
		size_t most = pump->filled < PIPE_BUF ? pump->filled : PIPE_BUF;
		ssize_t put = write(pump->to, pump->buffer, most);

		if (put > 0) {
			pump->filled -= (size_t)put;
			memmove(pump->buffer, pump->buffer + put, pump->filled);
		} else if (put < 0 && errno != EAGAIN && errno != EINTR) {
			pump->filled = 0;
			pump_end(pump);
		}
	}
}

static struct pollfd pump_poll(const struct pump *pump)
{
	if (pump->done)
		return (struct pollfd){-1, 0, 0};
	if (pump->filled > 0)
		return (struct pollfd){pump->to, POLLOUT, 0};
	return (struct pollfd){pump->from, POLLIN, 0};
}

/*
 * Serves the only connection to its end. With pipes, `in` and `out` are the pumps beside it: then the end is when all that
 * was answered has gone out.
 */
static int serve_one(struct http_server *server, const sigset_t *while_waiting, struct pump *in,
		     struct pump *out)
{
	int rc = 0;

	while (rc == 0 && !stop_asked &&
	       (http_server_connections(server) > 0 || (out && !out->done))) {
		struct pollfd polled[3] = {
			{http_server_fd(server), POLLIN, 0}, {-1, 0, 0}, {-1, 0, 0}};

		if (in && out) {
			polled[1] = pump_poll(in);
			polled[2] = pump_poll(out);
		}
		rc = wait_for(polled, 3, http_server_timeout(server), while_waiting);
		if (in && out) {
			pump_step(in, polled[1].revents);
			pump_step(out, polled[2].revents);
		}
		http_server_run(server);
	}
	return rc;
}

/* Whether standard input and output are one socket, as inetd and systemd pass it. */
static bool is_one_socket(void)
{
	struct stat in;
	struct stat out;

	return fstat(STDIN_FILENO, &in) == 0 && fstat(STDOUT_FILENO, &out) == 0 &&
	       S_ISSOCK(in.st_mode) && in.st_dev == out.st_dev && in.st_ino == out.st_ino;
}

static int set_nonblocking(int fd)
{
	int flags = fcntl(fd, F_GETFL);

	return flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0 ? -errno : 0;
}

static int serve_pipes(struct http_server *server, const sigset_t *while_waiting, struct error *err)
{
	struct pump in = {.from = STDIN_FILENO, .to_is_socket = true};
	struct pump out = {.to = STDOUT_FILENO};
	int pair[2];
	int rc;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) != 0)
		return error_set(err, -errno, "no socket to be had: %s", strerror(errno));
	in.to = pair[0];
	out.from = pair[0];
	rc = http_server_add(server, pair[1], err);
	if (rc == 0)
		rc = serve_one(server, while_waiting, &in, &out);
	fd_close(&pair[0]);
	return rc;
}

static int serve_socket(struct http_server *server, const sigset_t *while_waiting,
			struct error *err)
{
	int fd = fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 3);

	if (fd < 0 || set_nonblocking(fd) < 0) {
		fd_close(&fd);
		return error_set(err, -errno, "standard input: %s", strerror(errno));
	}
	if (http_server_add(server, fd, err) < 0)
		return -EIO;
	/* The peer must see the end when the library closes its copy. */
	(void)close(STDIN_FILENO);
	(void)close(STDOUT_FILENO);
	return serve_one(server, while_waiting, NULL, NULL);
}

int serve_stdio(const struct front *front, struct error *err)
{
	struct http_server *server = NULL;
	const char *address = getenv("REMOTE_ADDR"); /* set by systemd and inetd */
	bool is_socket = is_one_socket();
	sigset_t while_waiting;
	int rc;

	/* Before the server has a connection: it may write to it as soon as it does. */
	prepare_signals(&while_waiting);
	/* Behind pipes there is a socket of ours, which says nothing of the peer. */
	if (!address && !is_socket)
		address = "<unknown>";
	rc = http_server_new(front, -1, address, &server, err);
	if (rc == 0)
		rc = is_socket ? serve_socket(server, &while_waiting, err)
			       : serve_pipes(server, &while_waiting, err);
	http_server_free(&server);
	return rc;
}
