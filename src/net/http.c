/* SPDX-License-Identifier: Apache-2.0 */
#include "net/http.h"

#include "base/file.h"
#include "net/connect.h"
#include "net/courier.h"
#include "net/proxy.h"
#include "net/reply.h"
#include "net/session.h"
#include "net/tls.h"
#include "net/url.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { RECEIVE_SIZE = 4096, REDIRECTS_MAX = 5 };

enum {
	HTTP_MOVED_PERMANENTLY = 301,
	HTTP_FOUND = 302,
	HTTP_SEE_OTHER = 303,
	HTTP_TEMPORARY_REDIRECT = 307,
	HTTP_PERMANENT_REDIRECT = 308,
};

/* Where a request goes, and how. */
struct hop {
	struct net_url url;
	struct net_proxy proxy;
	struct net_tls tls;
	const char *socket; /* in place of all that; NULL: none */
};

/* The host as the field Host has it, without the port where it goes without saying. */
static void print_host(const struct net_url *url, char out[static NET_ORIGIN_MAX])
{
	char host[NET_HOST_MAX];

	/* The zone of an address means nothing beyond this machine (RFC 6874 §1). */
	(void)snprintf(host, sizeof(host), "%.*s",
		       (int)(url->host_is_ipv6 ? strcspn(url->host, "%") : strlen(url->host)),
		       url->host);
	net_print_origin(host, url->port, out);
	if (strcmp(url->port, url->secure ? "443" : "80") == 0)
		*strrchr(out, ':') = '\0';
}

static int make_head(const struct net_request *request, const struct hop *hop, bool stay_open,
		     char **head)
{
	char host[NET_ORIGIN_MAX];
	char length[64] = "";
	/* What a proxy passes on, it is told whole (RFC 9112 §3.2.2). */
	bool whole = *hop->proxy.host && !hop->url.secure;

	print_host(&hop->url, host);
	if (request->body)
		(void)snprintf(length, sizeof(length), "\r\nContent-Length: %zu",
			       request->body_size);
	return asprintf(head,
			"%s %s%s%s HTTP/1.1\r\nHost: %s\r\nUser-Agent: nbde/" NBDE_VERSION
			"\r\nAccept: */*%s%s%s%s\r\n\r\n",
			request->method, whole ? "http://" : "", whole ? host : "", hop->url.target,
			host, stay_open ? "" : "\r\nConnection: close",
			request->body ? "\r\nContent-Type: " : "",
			request->body ? request->content_type : "", length);
}

static int send_request(const struct net_request *request, const char *head,
			const struct net_connection *connection, struct deadline deadline,
			struct error *err)
{
	int rc = net_send(connection, head, strlen(head), deadline, err);

	if (rc == 0 && request->body)
		rc = net_send(connection, request->body, request->body_size, deadline, err);
	return rc;
}

static int receive_reply(const struct net_connection *connection, struct deadline deadline,
			 struct reply *reply, struct error *err)
{
	char buffer[RECEIVE_SIZE];
	int rc = 0;

	while (rc == 0 && reply->state != REPLY_DONE) {
		ssize_t got = net_receive(connection, buffer, sizeof(buffer), deadline, err);

		if (got < 0)
			return (int)got;
		rc = got > 0 ? reply_feed(reply, buffer, (size_t)got, err) : reply_end(reply, err);
		if (rc < 0)
			error_prefix(err, "%s: ", connection->peer);
	}
	return rc;
}

static int open_connection(const struct hop *hop, struct deadline deadline,
			   struct net_connection *connection, struct error *err)
{
	int rc;

	if (hop->socket)
		return net_connect_unix(hop->socket, connection, err);
	if (hop->url.secure)
		return net_tls_open(&hop->url, &hop->tls, deadline, connection, err);
	if (!*hop->proxy.host)
		return net_connect(hop->url.host, hop->url.port, deadline, connection, err);
	rc = net_connect(hop->proxy.host, hop->proxy.port, deadline, connection, err);
	if (rc < 0)
		error_prefix(err, "the proxy ");
	return rc;
}

static int talk(const struct net_request *request, const char *head,
		struct net_connection *connection, struct deadline deadline, struct reply *reply,
		struct error *err)
{
	int rc;

	connection->allowed_ms = deadline_left_ms(deadline);
	rc = send_request(request, head, connection, deadline, err);
	return rc < 0 ? rc : receive_reply(connection, deadline, reply, err);
}

/* Whether a connection that waited was closed meanwhile: then no byte came back, and asking again is right. */
static bool was_stale(int code, const struct reply *reply)
{
	return !reply->begun &&
	       (code == -EPIPE || code == -ECONNRESET || code == -ECONNABORTED || code == -EBADMSG);
}

/* Each with its length, so that no name can pass for two. */
static int make_name(const struct hop *hop, char **name, struct error *err)
{
	const char *const parts[] = {
		hop->url.host,	 hop->url.port, hop->proxy.host, hop->proxy.port,
		hop->tls.cacert, hop->tls.cert, hop->tls.key,	 hop->socket,
	};
	size_t size = 0;
	FILE *out = open_memstream(name, &size);

	if (!out)
		return error_nomem(err);
	(void)fputs(hop->url.secure ? "https" : "http", out);
	for (size_t i = 0; i < sizeof(parts) / sizeof(*parts); i++)
		(void)fprintf(out, " %zu:%s", parts[i] ? strlen(parts[i]) : 0,
			      parts[i] ? parts[i] : "");
	return fclose(out) == 0 ? 0 : error_nomem(err);
}

static int exchange(struct net_session *session, const struct net_request *request,
		    const struct hop *hop, struct deadline deadline, struct reply *reply,
		    struct error *err)
{
	struct net_connection connection = NET_CONNECTION_NONE;
	FREE_AUTO char *head = NULL;
	FREE_AUTO char *name = NULL;
	bool reused;
	int rc;

	if (make_head(request, hop, session != NULL, &head) < 0) {
		head = NULL;
		return error_nomem(err);
	}
	rc = make_name(hop, &name, err);
	if (rc < 0)
		return rc;
	reused = session_take(session, name, &connection);
	rc = reused ? talk(request, head, &connection, deadline, reply, err) : 0;
	if (!reused || was_stale(rc, reply)) {
		net_close(&connection);
		rc = open_connection(hop, deadline, &connection, err);
		if (rc == 0)
			rc = talk(request, head, &connection, deadline, reply, err);
	}
	if (rc == 0 && reply_allows_another(reply))
		session_put(session, name, &connection);
	net_close(&connection);
	return rc;
}

static bool is_redirect(const struct net_request *request, const struct reply *reply)
{
	/* Whoever asks a socket of this machine means nobody else. */
	if (request->socket)
		return false;
	switch (reply->status) {
	case HTTP_MOVED_PERMANENTLY:
	case HTTP_FOUND:
	case HTTP_TEMPORARY_REDIRECT:
	case HTTP_PERMANENT_REDIRECT:
		return reply->location != NULL;
	case HTTP_SEE_OTHER: /* it turns what is not GET into GET, which no request of ours means */
		return reply->location != NULL && strcmp(request->method, "GET") == 0;
	default:
		return false;
	}
}

/* Moves `hop` to where `location` leads. The client's certificate is shown to nobody but whom the request names. */
static int follow(const struct net_request *request, const char *location, struct hop *hop,
		  struct error *err)
{
	struct net_url first = {0};
	struct net_url next = {0};
	char origin[NET_ORIGIN_MAX];
	int rc = net_url_parse(request->url, &first, err);

	if (rc == 0)
		rc = net_url_follow(&hop->url, location, &next, err);
	net_print_origin(hop->url.host, hop->url.port, origin);
	if (rc < 0) {
		error_prefix(err, "%s redirects to a place that cannot be followed: ", origin);
		return -EBADMSG;
	}
	if (hop->url.secure && !next.secure)
		return error_set(err, -EBADMSG, "%s redirects from https to http: refused", origin);
	hop->url = next;
	hop->tls = request->tls;
	if (!net_url_same_origin(&first, &next)) {
		hop->tls.cert = NULL;
		hop->tls.key = NULL;
	}
	return 0;
}

static int hand_over(struct reply *parsed, struct net_reply *reply, struct error *err)
{
	if (!parsed->body && !(parsed->body = strdup("")))
		return error_nomem(err);
	reply->status = parsed->status;
	reply->body = parsed->body;
	reply->body_size = parsed->body_size;
	reply->retry_after_s = parsed->retry_after_s;
	parsed->body = NULL;
	return 0;
}

/* One request and its reply. Returns 1 when the reply was a redirect and `hop` has moved on. */
static int make_hop(struct net_session *session, const struct net_request *request, struct hop *hop,
		    struct deadline deadline, struct net_reply *reply, struct error *err)
{
	__attribute__((cleanup(reply_free))) struct reply parsed = {.body_max = request->reply_max};
	int rc = hop->socket ? 0 : net_proxy_find(&hop->url, &hop->proxy, err);

	if (rc == 0)
		rc = exchange(session, request, hop, deadline, &parsed, err);
	if (rc < 0)
		return rc;
	if (!is_redirect(request, &parsed))
		return hand_over(&parsed, reply, err);
	rc = follow(request, parsed.location, hop, err);
	return rc < 0 ? rc : 1;
}

int http_name(const struct net_request *request, char **name, struct error *err)
{
	struct hop hop = {.tls = request->tls};
	int rc = net_url_parse(request->url, &hop.url, err);

	if (rc == 0)
		rc = net_proxy_find(&hop.url, &hop.proxy, err);
	return rc < 0 ? rc : make_name(&hop, name, err);
}

int http_direct(struct net_session *session, const struct net_request *request,
		struct deadline deadline, struct net_reply *reply, struct error *err)
{
	struct hop hop = {.tls = request->tls, .socket = request->socket};
	char origin[NET_ORIGIN_MAX];
	int rc = net_url_parse(request->url, &hop.url, err);

	if (rc < 0)
		return rc;
	for (int i = 0; i <= REDIRECTS_MAX; i++) {
		net_print_origin(hop.url.host, hop.url.port, origin);
		rc = make_hop(session, request, &hop, deadline, reply, err);
		if (rc <= 0)
			return rc;
	}
	return error_set(err, -EBADMSG, "%s redirects again: given up after %d redirects", origin,
			 REDIRECTS_MAX);
}

int net_http(struct net_session *session, const struct net_request *request,
	     struct deadline deadline, struct net_reply *reply, struct error *err)
{
	int rc = 0;

	deadline = deadline_earlier(deadline, deadline_in_ms(NET_REQUEST_MS));
	if (session && !request->socket &&
	    courier_ask(session_courier(session), request, deadline, reply, &rc, err))
		return rc;
	return http_direct(session, request, deadline, reply, err);
}

bool net_is_unreachable(int code)
{
	static const int codes[] = {ECONNREFUSED,  ETIMEDOUT,  EHOSTUNREACH, ENETUNREACH,
				    ENETDOWN,	   ECONNRESET, ECONNABORTED, EPIPE,
				    EADDRNOTAVAIL, EHOSTDOWN,  EAFNOSUPPORT};

	for (size_t i = 0; i < sizeof(codes) / sizeof(*codes); i++)
		if (code == -codes[i])
			return true;
	return false;
}
