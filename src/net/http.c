/* SPDX-License-Identifier: Apache-2.0 */
#include "net/net.h"

#include "base/file.h"
#include "net/connect.h"
#include "net/reply.h"
#include "net/url.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { RECEIVE_SIZE = 4096 };

static int make_head(const struct net_request *request, const struct net_url *url, char **head)
{
	bool default_port = strcmp(url->port, "80") == 0;
	char length[64] = "";

	if (request->body)
		(void)snprintf(length, sizeof(length), "\r\nContent-Length: %zu",
			       request->body_size);
	return asprintf(head,
			"%s %s HTTP/1.1\r\nHost: %s%s%s%s%s\r\nUser-Agent: nbde/" NBDE_VERSION
			"\r\nAccept: */*\r\nConnection: close%s%s%s\r\n\r\n",
			request->method, url->target, url->host_is_ipv6 ? "[" : "", url->host,
			url->host_is_ipv6 ? "]" : "", default_port ? "" : ":",
			default_port ? "" : url->port, request->body ? "\r\nContent-Type: " : "",
			request->body ? request->content_type : "", length);
}

static int send_request(const struct net_request *request, const struct net_url *url,
			const struct net_connection *connection, struct deadline deadline,
			struct error *err)
{
	FREE_AUTO char *head = NULL;
	int rc;

	if (make_head(request, url, &head) < 0) {
		head = NULL;
		return error_nomem(err);
	}
	rc = net_send(connection, head, strlen(head), deadline, err);
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

static int hand_over(struct reply *parsed, struct net_reply *reply, struct error *err)
{
	if (!parsed->body && !(parsed->body = strdup("")))
		return error_nomem(err);
	reply->status = parsed->status;
	reply->body = parsed->body;
	reply->body_size = parsed->body_size;
	parsed->body = NULL;
	return 0;
}

struct net_session *net_session_new(void)
{
	return NULL;
}

void net_session_free(struct net_session **session)
{
	*session = NULL;
}

void net_session_forget(struct net_session *session)
{
	(void)session;
}

int net_http(struct net_session *session, const struct net_request *request,
	     struct deadline deadline, struct net_reply *reply, struct error *err)
{
	__attribute__((cleanup(reply_free))) struct reply parsed = {.body_max = request->reply_max};
	struct net_connection connection = {.fd = -1};
	struct net_url url;
	int rc = net_url_parse(request->url, &url, err);

	(void)session;
	if (rc < 0)
		return rc;
	deadline = deadline_earlier(deadline, deadline_in_ms(NET_REQUEST_MS));
	rc = net_connect(&url, deadline, &connection, err);
	if (rc == 0)
		rc = send_request(request, &url, &connection, deadline, err);
	if (rc == 0)
		rc = receive_reply(&connection, deadline, &parsed, err);
	fd_close(&connection.fd);
	return rc < 0 ? rc : hand_over(&parsed, reply, err);
}

bool net_is_unreachable(int code)
{
	static const int codes[] = {ECONNREFUSED,  ETIMEDOUT,  EHOSTUNREACH, ENETUNREACH,
				    ENETDOWN,	   ECONNRESET, ECONNABORTED, EPIPE,
				    EADDRNOTAVAIL, EHOSTDOWN};

	for (size_t i = 0; i < sizeof(codes) / sizeof(*codes); i++)
		if (code == -codes[i])
			return true;
	return false;
}
