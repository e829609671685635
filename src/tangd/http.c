/* SPDX-License-Identifier: Apache-2.0 */
#include "tangd/http.h"

#include "base/deadline.h"
#include "base/log.h"
#include "tangd/connections.h"

#include <errno.h>
#include <limits.h>
#include <malloc.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <microhttpd.h>

/* How many connections there may be, as far as there are descriptors; and how many more are let in to be told to come again. */
enum { CONNECTIONS_MOST = 20000, SURPLUS_MOST = 256 };

/*
 * Bytes for each, idle ones too, in which the head of a request and that of its answer must fit: the longest target with the headers that
 * curl sends (what the library remembers of a header is 64 bytes more), or 4 KiB of headers beside a short one. Ten thousand are to stay below 64 MiB.
 */
enum { MEMORY_PER_CONNECTION = FRONT_TARGET_MAX + 465 };

/* Descriptors that are none of a connection. */
enum { DESCRIPTORS_KEPT = 64 };

/* When those who find no room are to come again, seconds. */
#define SURPLUS_RETRY "3"

/* What is older than TLS 1.2 is not spoken. */
#define TLS_VERSIONS "NORMAL:-VERS-ALL:+VERS-TLS1.3:+VERS-TLS1.2"

/* How often to look for connections whose time is over. */
enum { SWEEP_MS = 1000 };

/* After how many requests and connections that have ended memory is given back to the system: a storm's is wanted no more. */
enum { GIVE_BACK_AFTER = 1000 };

struct http_server {
	const struct front *front;
	const char *log_address;
	struct MHD_Daemon *daemon;
	int epoll_fd;
	bool listens;
	bool ends; /* accepts nothing more, and each answer ends its connection */
	struct connections *connections;
	struct deadline sweep;
	size_t requests;      /* that have begun and not ended */
	size_t ended;	      /* requests and connections, since memory was given back */
	size_t bodies;	      /* bytes of them */
	struct request *held; /* those that wait for the keys to change, the last one first */
};

/*
 * Bytes of all bodies that are being read; and what each may have whatever there is of others. Nobody with a point to multiply needs more
 * than that, so that whoever sends large ones on thousands of connections takes no memory without bound, and no place of theirs.
 */
enum { BODIES_MOST = 64 * 1024 * 1024, BODY_ALWAYS = 4096 };

/* How often a request is begun anew whose answer was lost with the process that worked it out. */
enum { BEGINNINGS_MAX = 4 };

/* Where a request is whose answer comes from another process. */
enum progress { BEGUN, HELD, WAITING, ANSWERED, LOST };

/* One request, from its first line to the answer. */
struct request {
	struct MHD_Connection *connection;
	enum progress progress;
	int64_t begun_us; /* CLOCK_MONOTONIC */
	struct request *next_held;
	bool was_held; /* once is enough: keys may change without end */
	int beginnings;
	union {
		struct key_request message; /* when WAITING or LOST */
		struct key_reply reply;	    /* when ANSWERED */
	};
	char *target; /* as it came */
	char *body;   /* until it is read */
	size_t body_size;
	bool seen; /* the handler was called once, for the head */
	bool logged;
	bool body_too_large;
	bool body_shed; /* there is no room for it now */
};

static struct connection *connection_of(struct MHD_Connection *connection)
{
	const union MHD_ConnectionInfo *info = MHD_get_connection_info(
		connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT);

	return info ? info->socket_context : NULL;
}

static int64_t now_us(void)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

static void *begin_request(void *arg, const char *target, struct MHD_Connection *connection)
{
	struct http_server *server = arg;
	struct request *request = calloc(1, sizeof(*request));

	if (request && !(request->target = strdup(target))) {
		free(request);
		return NULL;
	}
	if (!request)
		return NULL;
	request->connection = connection;
	request->begun_us = now_us();
	server->requests++;
	connections_begin(server->connections, connection_of(connection));
	return request;
}

static void print_address(const struct sockaddr *address, char *text, size_t size)
{
	char host[NI_MAXHOST] = "<unknown>";

	if (address && address->sa_family == AF_UNIX)
		(void)snprintf(host, sizeof(host), "unix");
	if (address && (address->sa_family == AF_INET || address->sa_family == AF_INET6))
		(void)getnameinfo(address,
				  address->sa_family == AF_INET ? sizeof(struct sockaddr_in)
								: sizeof(struct sockaddr_in6),
				  host, sizeof(host), NULL, 0, NI_NUMERICHOST);
	(void)snprintf(text, size, "%s", strncmp(host, "::ffff:", 7) == 0 ? host + 7 : host);
}

/* `ADDRESS METHOD PATH => STATUS` (contract of Tang). What was too large to be read is not repeated. */
static void log_request(const struct http_server *server, struct request *request,
			const char *method, unsigned status)
{
	bool too_large = status == MHD_HTTP_CONTENT_TOO_LARGE || status == MHD_HTTP_URI_TOO_LONG;
	const union MHD_ConnectionInfo *info = MHD_get_connection_info(
		request->connection, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
	char address[NI_MAXHOST];

	print_address(info ? info->client_addr : NULL, address, sizeof(address));
	log_info("%s %s %s => %u", server->log_address ? server->log_address : address,
		 too_large ? "" : method, too_large ? "" : request->target, status);
	request->logged = true;
}

/* The request has its answer: it is written down and counted. */
static void finish_request(const struct http_server *server, struct request *request,
			   const char *method, enum counts_kind kind, unsigned status)
{
	log_request(server, request, method, status);
	counts_request(server->front->counts, kind, status, now_us() - request->begun_us);
}

/* The library has refused it by itself: what was wrong with it, its headers or its chunks, is not repeated. */
static void log_refused(const struct http_server *server, struct request *request)
{
	const union MHD_ConnectionInfo *info = MHD_get_connection_info(
		request->connection, MHD_CONNECTION_INFO_HTTP_STATUS);

	if (!info || request->logged)
		return;
	*request->target = '\0';
	finish_request(server, request, "", COUNTS_OTHER, info->http_status);
}

static void forget_body(struct http_server *server, struct request *request)
{
	if (request->body)
		server->bodies -= request->body_size;
	free(request->body);
	request->body = NULL;
}

static void end_request(void *arg, struct MHD_Connection *connection, void **context,
			enum MHD_RequestTerminationCode code)
{
	struct http_server *server = arg;
	struct request *request = *context;

	(void)code;
	connections_end(server->connections, connection_of(connection));
	if (!request)
		return;
	server->requests--;
	server->ended++;
	log_refused(server, request);
	free(request->target);
	forget_body(server, request);
	free(request);
	*context = NULL;
}

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
static enum MHD_Result take_body(struct http_server *server, struct request *request,
				 const char *data, size_t size)
{
	size_t whole = request->body_size + size;
	char *grown;

	if (whole > FRONT_BODY_MAX)
		request->body_too_large = true;
	else if (whole > BODY_ALWAYS && server->bodies + size > BODIES_MOST)
		request->body_shed = true;
	if (request->body_too_large || request->body_shed) {
		forget_body(server, request);
		return MHD_YES;
	}
	grown = realloc(request->body, whole);
	if (!grown)
		return MHD_NO;
	memcpy(grown + request->body_size, data, size);
	request->body = grown;
	request->body_size = whole;
	server->bodies += size;
	return MHD_YES;
}

static enum MHD_Result send_answer(struct MHD_Connection *connection, bool ends,
				   struct answer *answer)
{
	struct MHD_Response *response = MHD_create_response_from_buffer(
		answer->body ? strlen(answer->body) : 0, answer->body, MHD_RESPMEM_MUST_FREE);
	enum MHD_Result result;

	if (!response) {
		free(answer->body);
		return MHD_NO;
	}
	if (ends)
		(void)MHD_add_response_header(response, MHD_HTTP_HEADER_CONNECTION, "close");
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
	if (strcasecmp(name, MHD_HTTP_HEADER_CONTENT_LENGTH) == 0)
		*count += 1;
	if (strcasecmp(name, MHD_HTTP_HEADER_TRANSFER_ENCODING) == 0)
		*count += strcasecmp(value, "chunked") == 0 ? 1 : 2;
	return MHD_YES;
}

/* Where two headers say how long the body is, a proxy before us may believe the other one (RFC 9112 §6.3); other codings than chunks count as
 * two, for nobody can tell where they end. */
static bool length_is_clear(struct MHD_Connection *connection)
{
	unsigned count = 0;

	(void)MHD_get_connection_values(connection, MHD_HEADER_KIND, count_lengths, &count);
	return count <= 1;
}

/* Those of RFC 9110 §9 and RFC 5789. Another one is no HTTP that we know, and what follows it may be anything. */
static bool is_method(const char *method)
{
	static const char *const methods[] = {
		MHD_HTTP_METHOD_GET,	 MHD_HTTP_METHOD_HEAD,	 MHD_HTTP_METHOD_POST,
		MHD_HTTP_METHOD_PUT,	 MHD_HTTP_METHOD_DELETE, MHD_HTTP_METHOD_CONNECT,
		MHD_HTTP_METHOD_OPTIONS, MHD_HTTP_METHOD_TRACE,	 MHD_HTTP_METHOD_PATCH,
	};

	for (size_t i = 0; i < sizeof(methods) / sizeof(*methods); i++)
		if (strcmp(method, methods[i]) == 0)
			return true;
	return false;
}

/* Older versions of the library let white space stand in a target. There is none in a URL, and in the log it would be for the sender to write. */
static bool target_is_clear(const char *target)
{
	while ((unsigned char)*target > ' ')
		target++;
	return *target == '\0';
}

/* Answers and ends the connection: nobody knows where the next request would begin, or there is no room for it. */
static enum MHD_Result refuse(const struct http_server *server, struct request *request,
			      const char *method, unsigned status)
{
	static char nothing[] = "";
	struct MHD_Response *response = MHD_create_response_from_buffer(0, nothing,
									MHD_RESPMEM_PERSISTENT);
	enum MHD_Result result;

	if (!response)
		return MHD_NO;
	(void)MHD_add_response_header(response, MHD_HTTP_HEADER_CONNECTION, "close");
	if (status == MHD_HTTP_SERVICE_UNAVAILABLE)
		(void)MHD_add_response_header(response, MHD_HTTP_HEADER_RETRY_AFTER, SURPLUS_RETRY);
	finish_request(server, request, method, COUNTS_OTHER, status);
	result = MHD_queue_response(request->connection, status, response);
	MHD_destroy_response(response);
	return result;
}

/* Asks the private keys, which are in another process. Returns whether there is an answer already: that it cannot be. */
static bool ask_keys(const struct http_server *server, struct request *request,
		     struct answer *answer)
{
	if (++request->beginnings > BEGINNINGS_MAX ||
	    channels_send(server->front->channels, &request->message, request) < 0) {
		front_shed(answer);
		return true;
	}
	request->progress = WAITING;
	MHD_suspend_connection(request->connection);
	return false;
}

void http_answered(void *request, const struct key_reply *reply)
{
	struct request *own = request;

	own->progress = reply ? ANSWERED : LOST;
	if (reply)
		own->reply = *reply;
	MHD_resume_connection(own->connection);
}

static void hold(struct http_server *server, struct request *request)
{
	request->progress = HELD;
	request->was_held = true;
	request->next_held = server->held;
	server->held = request;
	MHD_suspend_connection(request->connection);
}

void http_release(struct http_server *server)
{
	struct request *next;

	for (struct request *request = server->held; request; request = next) {
		next = request->next_held;
		request->progress = BEGUN;
		MHD_resume_connection(request->connection);
	}
	server->held = NULL;
}

static size_t body_size(const struct request *request)
{
	return request->body_too_large ? SIZE_MAX : request->body_size;
}

/* Reads the request, or what was read of it before it was lost. Returns whether there is an answer already. */
static bool begin_answer(struct http_server *server, const char *method, struct request *request,
			 struct answer *answer)
{
	const struct front *front = server->front;
	bool done;

	if (request->progress == LOST)
		return front_begin_again(front, request->target, answer, &request->message);
	done = front_begin(front, method, request->target, request->body, body_size(request),
			   answer, &request->message);
	/* Thousands may wait. */
	forget_body(server, request);
	return done;
}

/* Works the answer out, as far as it can be now. Returns whether it is there. */
static bool find_answer(struct http_server *server, const char *method, struct request *request,
			struct answer *answer)
{
	const struct front *front = server->front;

	if (request->progress == WAITING || request->progress == HELD)
		return false;
	if (request->progress != ANSWERED && !request->was_held && front->is_changing &&
	    front->is_changing(front->keys)) {
		hold(server, request);
		return false;
	}
	if (request->progress == ANSWERED) {
		front_finish(&request->reply, answer);
		return true;
	}
	if (request->body_shed && !request->body_too_large) {
		front_shed(answer);
		return true;
	}
	if (front->exchange) {
		front_answer(front, method, request->target, request->body, body_size(request),
			     answer);
		return true;
	}
	return begin_answer(server, method, request, answer) || ask_keys(server, request, answer);
}

static enum MHD_Result handle(void *arg, struct MHD_Connection *connection, const char *url,
			      const char *method, const char *version, const char *data,
			      size_t *size, void **context)
{
	struct http_server *server = arg;
	struct request *request = *context;
	struct answer answer;

	(void)url;
	(void)version;
	if (!request)
		return MHD_NO;
	if (!request->seen) {
		request->seen = true;
		if (!target_is_clear(request->target)) {
			*request->target = '\0';
			return refuse(server, request, "", MHD_HTTP_BAD_REQUEST);
		}
		if (connections_is_surplus(connection_of(connection)))
			return refuse(server, request, method, MHD_HTTP_SERVICE_UNAVAILABLE);
		return is_method(method) && length_is_clear(connection)
			       ? MHD_YES
			       : refuse(server, request, method, MHD_HTTP_BAD_REQUEST);
	}
	if (*size > 0) {
		enum MHD_Result result = take_body(server, request, data, *size);

		*size = 0;
		return result;
	}
	connections_whole(connection_of(connection));
	if (!find_answer(server, method, request, &answer))
		return MHD_YES;
	if (answer.vouched_by > 0 && server->front->channels)
		channels_count_use(server->front->channels, answer.vouched_by - 1);
	finish_request(server, request, method, answer.kind, answer.status);
	return send_answer(connection, server->ends, &answer);
}

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
		{MHD_OPTION_URI_LOG_CALLBACK, (intptr_t)begin_request, server},
		{MHD_OPTION_UNESCAPE_CALLBACK, (intptr_t)keep_escapes, NULL},
		{MHD_OPTION_NOTIFY_COMPLETED, (intptr_t)end_request, server},
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
	return MHD_start_daemon(flags, 0, NULL, NULL, handle, server, MHD_OPTION_ARRAY, options,
				MHD_OPTION_END);
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
