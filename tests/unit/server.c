/* SPDX-License-Identifier: Apache-2.0 */
#include "server.h"

#include "tangd/supervisor.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

static int bind_loopback(int *port)
{
	struct sockaddr_in address = {.sin_family = AF_INET,
				      .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t length = sizeof(address);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&address, length), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &length), 0);
	*port = ntohs(address.sin_port);
	return fd;
}

int server_listen(int *port)
{
	int fd = bind_loopback(port);

	assert_int_equal(listen(fd, 16), 0);
	return fd;
}

void server_refusing(int *fd, char url[64])
{
	int port = 0;

	*fd = bind_loopback(&port);
	(void)snprintf(url, 64, "http://127.0.0.1:%d", port);
}

static void serve_each(int listener, server_talk talk, void *arg)
{
	(void)signal(SIGPIPE, SIG_IGN);
	for (;;) {
		int fd = accept(listener, NULL, NULL);

		if (fd < 0)
			_exit(EXIT_FAILURE);
		talk(fd, arg);
		(void)close(fd);
	}
}

static void quiet(void)
{
	int null = open("/dev/null", O_WRONLY | O_CLOEXEC);

	if (null >= 0)
		(void)dup2(null, STDERR_FILENO);
}

/* Forks; the parent is told the port. Returns true in the child. */
static bool become_server(struct server *server, int *listener)
{
	pid_t self = getpid();

	*listener = server_listen(&server->port);
	(void)snprintf(server->url, sizeof(server->url), "http://127.0.0.1:%d", server->port);
	server->pid = fork();
	assert_true(server->pid >= 0);
	if (server->pid == 0) {
		unit_child_begin(self);
		return true;
	}
	(void)close(*listener);
	return false;
}

void server_start(struct server *server, server_talk talk, void *arg)
{
	int listener = -1;

	if (become_server(server, &listener))
		serve_each(listener, talk, arg);
}

static void serve_folder(const char *folder, int listener)
{
	const struct supervisor_options options = {.folder = folder, .endpoint = "", .workers = 1};
	struct error err = {0};

	quiet();
	if (fcntl(listener, F_SETFL, O_NONBLOCK) < 0)
		_exit(EXIT_FAILURE);
	_exit(supervisor_run(&options, &listener, 1, &err) == 0 ? EXIT_SUCCESS : EXIT_FAILURE);
}

void server_start_tang(struct server *server, const char *folder)
{
	int listener = -1;

	if (become_server(server, &listener))
		serve_folder(folder, listener);
}

void server_stop(struct server *server)
{
	if (server->pid <= 0)
		return;
	(void)kill(server->pid, SIGKILL);
	(void)waitpid(server->pid, NULL, 0);
	server->pid = 0;
}

void talk_send(int fd, const void *data, size_t size)
{
	const char *next = data;

	while (size > 0) {
		ssize_t sent = write(fd, next, size);

		if (sent <= 0)
			return;
		next += sent;
		size -= (size_t)sent;
	}
}

void talk_text(int fd, const char *text)
{
	talk_send(fd, text, strlen(text));
}

bool talk_read_until(int fd, const char *until, char *buffer, size_t size)
{
	size_t filled = 0;

	while (filled + 1 < size) {
		ssize_t got = read(fd, buffer + filled, size - 1 - filled);

		if (got <= 0)
			return false;
		filled += (size_t)got;
		buffer[filled] = '\0';
		if (strstr(buffer, until))
			return true;
	}
	return false;
}

static size_t length_of(const char *head)
{
	const char *field = strcasestr(head, "\r\nContent-Length:");

	return field ? strtoul(field + strlen("\r\nContent-Length:"), NULL, 10) : 0;
}

bool talk_read_request(int fd, struct talk_request *request)
{
	size_t wanted;
	size_t got;

	memset(request, 0, sizeof(*request));
	if (!talk_read_until(fd, "\r\n\r\n", request->text, sizeof(request->text)) ||
	    sscanf(request->text, "%15s %4095s", request->method, request->target) != 2)
		return false;
	request->body = strstr(request->text, "\r\n\r\n") + 4;
	wanted = length_of(request->text);
	got = strlen(request->body);
	while (got < wanted) {
		ssize_t more = read(fd, request->body + got, wanted - got);

		if (more <= 0)
			return false;
		got += (size_t)more;
	}
	request->body_size = wanted;
	return true;
}

void talk_answer(int fd, unsigned status, const char *body)
{
	char head[128];

	(void)snprintf(head, sizeof(head), "HTTP/1.1 %u X\r\nContent-Length: %zu\r\n\r\n", status,
		       strlen(body));
	talk_text(fd, head);
	talk_text(fd, body);
}
