/* SPDX-License-Identifier: Apache-2.0 */
#include "tangd/http.h"

#include "base/log.h"

#include <errno.h>
#include <limits.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <microhttpd.h>

enum { CONNECTIONS_MAX = 1000, IDLE_SECONDS = 60, MEMORY_PER_CONNECTION = 32 * 1024 };

struct http_server {
	const struct front *front;
	const char *log_address;
	struct MHD_Daemon *daemon;
	int epoll_fd;
	unsigned connections;
};

/* How often a request is begun anew whose answer was lost with the process that worked it out. */
enum { BEGINNINGS_MAX = 4 };

/* Where a request is whose answer comes from another process. */
enum progress { BEGUN, WAITING, ANSWERED, LOST };

/* One request, from its first line to the answer. */
struct request {
	struct MHD_Connection *connection;
	enum progress progress;
	int beginnings;
	struct key_reply reply; /* when ANSWERED */
	char *target;		/* as it came */
	char *body;
	size_t body_size;
	bool seen; /* the handler was called once, for the head */
	bool body_too_large;
};

static void *begin_request(void *arg, const char *target, struct MHD_Connection *connection)
{
	struct request *request = calloc(1, sizeof(*request));

	(void)arg;
	if (request && !(request->target = strdup(target))) {
		free(request);
		return NULL;
	}
	if (request)
		request->connection = connection;
	return request;
}

static void end_request(void *arg, struct MHD_Connection *connection, void **context,
			enum MHD_RequestTerminationCode code)
{
	struct request *request = *context;

	(void)arg;
	(void)connection;
	(void)code;
	if (!request)
		return;
	free(request->target);
	free(request->body);
	free(request);
	*context = NULL;
}

static void count_connection(void *arg, struct MHD_Connection *connection, void **context,
			     enum MHD_ConnectionNotificationCode code)
{
	struct http_server *server = arg;

	(void)connection;
	(void)context;
	server->connections += code == MHD_CONNECTION_NOTIFY_STARTED ? 1U : -1U;
}

static enum MHD_Result take_body(struct request *request, const char *data, size_t size)
{
	char *grown;

	if (request->body_size + size > FRONT_BODY_MAX)
		request->body_too_large = true;
	if (request->body_too_large)
		return MHD_YES; /* read on and forget, so that the connection can go on after the 413 */
	grown = realloc(request->body, request->body_size + size);
	if (!grown)
		return MHD_NO;
	memcpy(grown + request->body_size, data, size);
	request->body = grown;
	request->body_size += size;
	return MHD_YES;
}

static void print_address(const struct sockaddr *address, char *text, size_t size)
{
	char host[NI_MAXHOST] = "<unknown>";

	if (address && (address->sa_family == AF_INET || address->sa_family == AF_INET6))
		(void)getnameinfo(address,
				  address->sa_family == AF_INET ? sizeof(struct sockaddr_in)
								: sizeof(struct sockaddr_in6),
				  host, sizeof(host), NULL, 0, NI_NUMERICHOST);
	(void)snprintf(text, size, "%s", strncmp(host, "::ffff:", 7) == 0 ? host + 7 : host);
}

/* `ADDRESS METHOD PATH => STATUS` (contract of Tang). What was too large to be read is not repeated. */
static void log_request(const struct http_server *server, struct MHD_Connection *connection,
			const char *method, const char *target, unsigned status)
{
	bool too_large = status == MHD_HTTP_CONTENT_TOO_LARGE || status == MHD_HTTP_URI_TOO_LONG;
	const union MHD_ConnectionInfo *info = MHD_get_connection_info(
		connection, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
	char address[NI_MAXHOST];

	print_address(info ? info->client_addr : NULL, address, sizeof(address));
	log_info("%s %s %s => %u", server->log_address ? server->log_address : address,
		 too_large ? "" : method, too_large ? "" : target, status);
}

static enum MHD_Result send_answer(struct MHD_Connection *connection, struct answer *answer)
{
	struct MHD_Response *response = MHD_create_response_from_buffer(
		answer->body ? strlen(answer->body) : 0, answer->body, MHD_RESPMEM_MUST_FREE);
	enum MHD_Result result;

	if (!response) {
		free(answer->body);
		return MHD_NO;
	}
	if (answer->content_type)
		(void)MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE,
					      answer->content_type);
	if (answer->retry_after > 0) {
		char seconds[16];

		(void)snprintf(seconds, sizeof(seconds), "%u", answer->retry_after);
		(void)MHD_add_response_header(response, MHD_HTTP_HEADER_RETRY_AFTER, seconds);
	}
	result = MHD_queue_response(connection, answer->status, response);
	MHD_destroy_response(response);
	return result;
}

static enum MHD_Result count_lengths(void *arg, enum MHD_ValueKind kind, const char *name,
				     const char *value)
{
	unsigned *count = arg;

	(void)kind;
	(void)value;
	*count += strcasecmp(name, MHD_HTTP_HEADER_CONTENT_LENGTH) == 0 ||
		  strcasecmp(name, MHD_HTTP_HEADER_TRANSFER_ENCODING) == 0;
	return MHD_YES;
}

/* Where two headers say how long the body is, a proxy before us may believe the other one (RFC 9112 §6.3). */
static bool length_is_clear(struct MHD_Connection *connection)
{
	unsigned count = 0;

	(void)MHD_get_connection_values(connection, MHD_HEADER_KIND, count_lengths, &count);
	return count <= 1;
}

/* Answers 400 and ends the connection: nobody knows where the next request would begin. */
static enum MHD_Result refuse(const struct http_server *server, struct MHD_Connection *connection,
			      const char *method, const struct request *request)
{
	static char nothing[] = "";
	struct MHD_Response *response = MHD_create_response_from_buffer(0, nothing,
									MHD_RESPMEM_PERSISTENT);
	enum MHD_Result result;

	if (!response)
		return MHD_NO;
	(void)MHD_add_response_header(response, MHD_HTTP_HEADER_CONNECTION, "close");
	log_request(server, connection, method, request->target, MHD_HTTP_BAD_REQUEST);
	result = MHD_queue_response(connection, MHD_HTTP_BAD_REQUEST, response);
	MHD_destroy_response(response);
	return result;
}

/* Asks the private keys, which are in another process. Returns whether there is an answer already: that it cannot be. */
static bool ask_keys(const struct http_server *server, struct request *request,
		     const struct key_request *message, struct answer *answer)
{
	if (++request->beginnings > BEGINNINGS_MAX ||
	    channels_send(server->front->channels, message, request) < 0) {
		front_shed(answer);
		return true;
	}
	request->progress = WAITING;
	MHD_suspend_connection(request->connection);
	return false;
}

void http_answered(void *arg, const struct key_reply *reply)
{
	struct request *request = arg;

	request->progress = reply ? ANSWERED : LOST;
	if (reply)
		request->reply = *reply;
	MHD_resume_connection(request->connection);
}

/* Works the answer out, as far as it can be now. Returns whether it is there. */
static bool find_answer(const struct http_server *server, const char *method,
			struct request *request, struct answer *answer)
{
	const struct front *front = server->front;
	size_t size = request->body_too_large ? SIZE_MAX : request->body_size;
	struct key_request message;

	if (request->progress == WAITING)
		return false;
	if (request->progress == ANSWERED) {
		front_finish(&request->reply, answer);
		return true;
	}
	if (front->exchange) {
		front_answer(front, method, request->target, request->body, size, answer);
		return true;
	}
	/* Also when it was lost: the key may have another number now. */
	return front_begin(front, method, request->target, request->body, size, answer, &message) ||
	       ask_keys(server, request, &message, answer);
}

static enum MHD_Result handle(void *arg, struct MHD_Connection *connection, const char *url,
			      const char *method, const char *version, const char *data,
			      size_t *size, void **context)
{
	const struct http_server *server = arg;
	struct request *request = *context;
	struct answer answer;

	(void)url;
	(void)version;
	if (!request)
		return MHD_NO;
	if (!request->seen) {
		request->seen = true;
		return length_is_clear(connection) ? MHD_YES
						   : refuse(server, connection, method, request);
	}
	if (*size > 0) {
		enum MHD_Result result = take_body(request, data, *size);

		*size = 0;
		return result;
	}
	if (!find_answer(server, method, request, &answer))
		return MHD_YES;
	log_request(server, connection, method, request->target, answer.status);
	return send_answer(connection, &answer);
}

/* The target is taken as it comes: nothing is decoded. */
static size_t keep_escapes(void *arg, struct MHD_Connection *connection, char *text)
{
	(void)arg;
	(void)connection;
	return strlen(text);
}

static struct MHD_Daemon *start_daemon(struct http_server *server, int listen_fd)
{
	/* Without the library's own log: a line for each strange request would be for the sender to write. */
	unsigned flags = MHD_USE_EPOLL | MHD_ALLOW_SUSPEND_RESUME;
	struct MHD_OptionItem options[] = {
		{MHD_OPTION_URI_LOG_CALLBACK, (intptr_t)begin_request, NULL},
		{MHD_OPTION_UNESCAPE_CALLBACK, (intptr_t)keep_escapes, NULL},
		{MHD_OPTION_NOTIFY_COMPLETED, (intptr_t)end_request, NULL},
		{MHD_OPTION_NOTIFY_CONNECTION, (intptr_t)count_connection, server},
		{MHD_OPTION_CONNECTION_LIMIT, CONNECTIONS_MAX, NULL},
		{MHD_OPTION_CONNECTION_TIMEOUT, IDLE_SECONDS, NULL},
		{MHD_OPTION_CONNECTION_MEMORY_LIMIT, MEMORY_PER_CONNECTION, NULL},
		/* The contract's clients may leave out Host and the like; what is dangerous stays refused. */
		{MHD_OPTION_STRICT_FOR_CLIENT, -1, NULL},
		{MHD_OPTION_END, 0, NULL},
		{MHD_OPTION_END, 0, NULL},
	};

	if (listen_fd < 0)
		flags |= MHD_USE_NO_LISTEN_SOCKET;
	else
		options[8] = (struct MHD_OptionItem){MHD_OPTION_LISTEN_SOCKET, listen_fd, NULL};
	return MHD_start_daemon(flags, 0, NULL, NULL, handle, server, MHD_OPTION_ARRAY, options,
				MHD_OPTION_END);
}

int http_server_new(const struct front *front, int listen_fd, const char *log_address,
		    struct http_server **server, struct error *err)
{
	struct http_server *made = calloc(1, sizeof(*made));
	const union MHD_DaemonInfo *info;

	if (!made)
		return error_nomem(err);
	made->front = front;
	made->log_address = log_address;
	made->daemon = start_daemon(made, listen_fd);
	info = made->daemon ? MHD_get_daemon_info(made->daemon, MHD_DAEMON_INFO_EPOLL_FD) : NULL;
	if (!info) {
		http_server_free(&made);
		return error_set(err, -EIO, "the HTTP library does not start");
	}
	made->epoll_fd = info->epoll_fd;
	*server = made;
	return 0;
}

void http_server_free(struct http_server **server)
{
	if (!*server)
		return;
	if ((*server)->daemon)
		MHD_stop_daemon((*server)->daemon);
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
	(void)MHD_run(server->daemon);
	return 0;
}

int http_server_fd(const struct http_server *server)
{
	return server->epoll_fd;
}

int http_server_timeout(const struct http_server *server)
{
	MHD_UNSIGNED_LONG_LONG ms = 0;

	if (MHD_get_timeout(server->daemon, &ms) != MHD_YES)
		return -1;
	return ms < INT_MAX ? (int)ms : INT_MAX;
}

void http_server_run(struct http_server *server)
{
	unsigned before;

	/* At a limit the library stops accepting, and goes on only in the run after one that ended connections; nothing else
	 * would wake us for it. */
	do {
		before = server->connections;
		(void)MHD_run(server->daemon);
	} while (server->connections < before);
}

void http_server_stop_accepting(struct http_server *server)
{
	int fd = MHD_quiesce_daemon(server->daemon);

	if (fd >= 0)
		(void)close(fd);
}

unsigned http_server_connections(const struct http_server *server)
{
	return server->connections;
}
