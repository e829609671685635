/* SPDX-License-Identifier: Apache-2.0 */
#include "tangd/http_private.h"

#include <errno.h>
#include <limits.h>
#include <malloc.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

/* How many connections there may be, as far as there are descriptors; and how many more are let in to be told to come again. */
enum { CONNECTIONS_MOST = 20000, SURPLUS_MOST = 256 };

/*
 * Bytes for each, idle ones too, in which the head of a request and that of its answer must fit: the longest target with the headers that
 * curl sends (what the library remembers of a header is 64 bytes more), or 4 KiB of headers beside a short one. Ten thousand are to stay below 64 MiB.
 */
enum { MEMORY_PER_CONNECTION = FRONT_TARGET_MAX + 465 };

/* Descriptors that are none of a connection. */
enum { DESCRIPTORS_KEPT = 64 };

/* What is older than TLS 1.2 is not spoken. */
#define TLS_VERSIONS "NORMAL:-VERS-ALL:+VERS-TLS1.3:+VERS-TLS1.2"

/* How often to look for connections whose time is over. */
enum { SWEEP_MS = 1000 };

/* After how many requests and connections that have ended memory is given back to the system: a storm's is wanted no more. */
enum { GIVE_BACK_AFTER = 1000 };

/* A connection has come or gone. */
static void watch_connection(void *arg, struct MHD_Connection *connection, void **context,
			     enum MHD_ConnectionNotificationCode code)
{
	const union MHD_ConnectionInfo *info;
	const int on = 1;
	struct http_server *server = arg;
	const struct sockaddr *address;

	if (code != MHD_CONNECTION_NOTIFY_STARTED) {
		server->ended++;
		connections_remove(server->connections, *context);
		*context = NULL;
		return;
	}
	info = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
	address = info ? info->client_addr : NULL;
	info = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);
	if (!info)
		return;
	/* An answer is one write: nothing is gained by waiting for more. */
	(void)setsockopt(info->connect_fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	*context = connections_add(server->connections, info->connect_fd, address);
}

/* What is not kept is read on and forgotten, so that the connection can go on after the answer. */
/* The target is taken as it comes: nothing is decoded. */
static size_t keep_escapes(void *arg, struct MHD_Connection *connection, char *text)
{
	(void)arg;
	(void)connection;
	return strlen(text);
}

static rlim_t smaller(rlim_t a, rlim_t b)
{
	return a < b ? a : b;
}

/* As many as there are descriptors for, and `*surplus` more: the library must meet this limit before the system's. */
static size_t most_connections(const struct front *front, size_t *surplus)
{
	struct rlimit limit;
	rlim_t left;

	if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
		limit.rlim_cur = DESCRIPTORS_KEPT + 2 * SURPLUS_MOST;
	left = limit.rlim_cur - smaller(DESCRIPTORS_KEPT, limit.rlim_cur / 2);
	if (front->servers > 1)
		left /= (rlim_t)front->servers;
	*surplus = smaller(SURPLUS_MOST, left / 2);
	return smaller(CONNECTIONS_MOST, left - *surplus);
}

static struct MHD_Daemon *start_daemon(struct http_server *server, int listen_fd,
				       const struct tls *tls)
{
	size_t surplus = 0;
	size_t most = most_connections(server->front, &surplus);
	/* Without the library's own log: a line for each strange request would be for the sender to write. */
	unsigned flags = MHD_USE_EPOLL | MHD_ALLOW_SUSPEND_RESUME;
	struct MHD_OptionItem options[] = {
		{MHD_OPTION_URI_LOG_CALLBACK, (intptr_t)http_begin_request, server},
		{MHD_OPTION_UNESCAPE_CALLBACK, (intptr_t)keep_escapes, NULL},
		{MHD_OPTION_NOTIFY_COMPLETED, (intptr_t)http_end_request, server},
		{MHD_OPTION_NOTIFY_CONNECTION, (intptr_t)watch_connection, server},
		{MHD_OPTION_CONNECTION_LIMIT, (intptr_t)(most + surplus), NULL},
		{MHD_OPTION_CONNECTION_MEMORY_LIMIT, MEMORY_PER_CONNECTION, NULL},
		/* The contract's clients may leave out Host and the like; what is dangerous stays refused. */
		{MHD_OPTION_STRICT_FOR_CLIENT, -1, NULL},
		{MHD_OPTION_END, 0, NULL}, /* places of the listening socket and of TLS */
		{MHD_OPTION_END, 0, NULL},
		{MHD_OPTION_END, 0, NULL},
		{MHD_OPTION_END, 0, NULL},
		{MHD_OPTION_END, 0, NULL},
	};
	struct MHD_OptionItem *next = &options[sizeof(options) / sizeof(*options) - 5];

	if (listen_fd < 0)
		flags |= MHD_USE_NO_LISTEN_SOCKET;
	else
		*next++ = (struct MHD_OptionItem){MHD_OPTION_LISTEN_SOCKET, listen_fd, NULL};
	if (tls) {
		flags |= MHD_USE_TLS;
		*next++ = (struct MHD_OptionItem){MHD_OPTION_HTTPS_MEM_KEY, 0, tls->key.data};
		*next++ = (struct MHD_OptionItem){MHD_OPTION_HTTPS_MEM_CERT, 0,
						  tls->certificate.data};
		*next = (struct MHD_OptionItem){MHD_OPTION_HTTPS_PRIORITIES, 0, TLS_VERSIONS};
	}
	return MHD_start_daemon(flags, 0, NULL, NULL, http_handle_request, server, MHD_OPTION_ARRAY,
				options, MHD_OPTION_END);
}

static int make_server(const struct front *front, int listen_fd, const char *log_address,
		       const struct tls *tls, struct http_server **server, struct error *err)
{
	struct http_server *made = calloc(1, sizeof(*made));
	const union MHD_DaemonInfo *info;
	size_t surplus = 0;

	if (!made)
		return error_nomem(err);
	made->front = front;
	made->log_address = log_address;
	made->listens = listen_fd >= 0;
	made->connections = connections_new(most_connections(front, &surplus));
	made->daemon = made->connections ? start_daemon(made, listen_fd, tls) : NULL;
	info = made->daemon ? MHD_get_daemon_info(made->daemon, MHD_DAEMON_INFO_EPOLL_FD) : NULL;
	if (!info) {
		http_server_free(&made);
		return error_set(err, -EIO, "the HTTP library does not start");
	}
	made->epoll_fd = info->epoll_fd;
	*server = made;
	return 0;
}

int http_server_new(const struct front *front, int listen_fd, const char *log_address,
		    struct http_server **server, struct error *err)
{
	return make_server(front, listen_fd, log_address, NULL, server, err);
}

int http_server_new_tls(const struct front *front, int listen_fd, const struct tls *tls,
			struct http_server **server, struct error *err)
{
	return make_server(front, listen_fd, NULL, tls, server, err);
}

void http_server_free(struct http_server **server)
{
	if (!*server)
		return;
	if ((*server)->daemon)
		MHD_stop_daemon((*server)->daemon);
	connections_free(&(*server)->connections);
	free(*server);
	*server = NULL;
}

int http_server_add(struct http_server *server, int fd, struct error *err)
{
	struct sockaddr_storage address = {0};
	socklen_t length = sizeof(address);

	if (getpeername(fd, (struct sockaddr *)&address, &length) != 0)
		length = sizeof(address.ss_family);
	/* On failure, too, the library closes the descriptor. */
	if (MHD_add_connection(server->daemon, fd, (struct sockaddr *)&address, length) != MHD_YES)
		return error_set(err, -EIO, "the HTTP library refuses the connection");
	/* Newer versions only queue it: from the next run on it counts as a connection. */
	http_server_run(server);
	return 0;
}

int http_server_fd(const struct http_server *server)
{
	return server->epoll_fd;
}

int http_server_timeout(const struct http_server *server)
{
	MHD_UNSIGNED_LONG_LONG ms = 0;
	bool sweeps = connections_count(server->connections) > 0 || server->ended > GIVE_BACK_AFTER;
	int most = sweeps ? SWEEP_MS : -1;

	if (MHD_get_timeout(server->daemon, &ms) != MHD_YES)
		return most;
	return most < 0 || ms < SWEEP_MS ? (ms < INT_MAX ? (int)ms : INT_MAX) : most;
}

static void sweep(struct http_server *server)
{
	connections_sweep(server->connections);
	server->sweep = deadline_in_ms(SWEEP_MS);
	if (server->ended <= GIVE_BACK_AFTER || server->requests > server->ended / 8)
		return;
	(void)malloc_trim(0);
	server->ended = 0;
}

void http_server_run(struct http_server *server)
{
	size_t before;

	if (deadline_passed(server->sweep))
		sweep(server);
	/* At a limit the library stops accepting, and goes on only in the run after one that ended connections; nothing else
	 * would wake us for it. */
	do {
		before = connections_count(server->connections);
		(void)MHD_run(server->daemon);
	} while (connections_count(server->connections) < before);
	/* The only connection: whoever waits for its end is not to wait for the next sweep. */
	if (!server->listens)
		connections_sweep(server->connections);
}

void http_server_stop_accepting(struct http_server *server)
{
	int fd = MHD_quiesce_daemon(server->daemon);

	server->ends = true;
	if (fd >= 0)
		(void)close(fd);
}

uint64_t http_server_gave_way(const struct http_server *server)
{
	return connections_gave_way(server->connections);
}

unsigned http_server_connections(const struct http_server *server)
{
	return (unsigned)connections_count(server->connections);
}
