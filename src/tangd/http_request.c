/* SPDX-License-Identifier: Apache-2.0 */
#include "base/log.h"
#include "tangd/http_private.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

/* When those who find no room are to come again, seconds. */
#define SURPLUS_RETRY "3"

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

struct connection *http_connection_of(struct MHD_Connection *connection)
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

void *http_begin_request(void *arg, const char *target, struct MHD_Connection *connection)
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
	connections_begin(server->connections, http_connection_of(connection));
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

void http_end_request(void *arg, struct MHD_Connection *connection, void **context,
		      enum MHD_RequestTerminationCode code)
{
	struct http_server *server = arg;
	struct request *request = *context;

	(void)code;
	connections_end(server->connections, http_connection_of(connection));
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

enum MHD_Result http_handle_request(void *arg, struct MHD_Connection *connection, const char *url,
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
		if (connections_is_surplus(http_connection_of(connection)))
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
	connections_whole(http_connection_of(connection));
	if (!find_answer(server, method, request, &answer))
		return MHD_YES;
	if (answer.vouched_by > 0 && server->front->channels)
		channels_count_use(server->front->channels, answer.vouched_by - 1);
	finish_request(server, request, method, answer.kind, answer.status);
	return send_answer(connection, server->ends, &answer);
}
