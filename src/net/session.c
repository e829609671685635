/* SPDX-License-Identifier: Apache-2.0 */
#include "net/session.h"

#include "base/file.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

/* One that waits; no name: none. */
struct idle {
	char *name;
	struct net_connection connection;
};

/* The one that has waited longest stands first. */
struct net_session {
	struct idle idle[SESSION_IDLE_MAX];
	struct courier courier;
};

struct net_session *net_session_new(void)
{
	struct net_session *session = calloc(1, sizeof(*session));

	if (session)
		session->courier = COURIER_NONE;
	return session;
}

static void end(struct idle *idle)
{
	if (!idle->name)
		return;
	net_close(&idle->connection);
	free(idle->name);
	idle->name = NULL;
}

void net_session_free(struct net_session **session)
{
	if (!session || !*session)
		return;
	for (size_t i = 0; i < SESSION_IDLE_MAX; i++)
		end(&(*session)->idle[i]);
	courier_stop(&(*session)->courier);
	free(*session);
	*session = NULL;
}

struct net_session *net_session_in_child(struct net_session *session)
{
	if (!session)
		return NULL;
	for (size_t i = 0; i < SESSION_IDLE_MAX; i++) {
		/* A child of the parent as we are: not ours to end. */
		session->idle[i].connection.helper = 0;
		end(&session->idle[i]);
	}
	session->courier.pid = 0;
	return session->courier.fd >= 0 ? session : NULL;
}

void net_session_share(struct net_session *session)
{
	if (session && session->courier.fd < 0)
		courier_start(&session->courier);
}

const struct courier *session_courier(const struct net_session *session)
{
	return &session->courier;
}

/* Removes the place, so that the others close up; what it held is the caller's. */
static void remove_at(struct net_session *session, size_t at)
{
	size_t behind = SESSION_IDLE_MAX - at - 1;

	memmove(&session->idle[at], &session->idle[at + 1], behind * sizeof(struct idle));
	session->idle[SESSION_IDLE_MAX - 1].name = NULL;
}

/* Silence is what a connection between two requests has to offer. */
static bool is_quiet(const struct net_connection *connection)
{
	char byte;

	return recv(connection->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) < 0 &&
	       (errno == EAGAIN || errno == EINTR);
}

bool session_take(struct net_session *session, const char *name, struct net_connection *connection)
{
	size_t at = 0;

	while (session && at < SESSION_IDLE_MAX && session->idle[at].name) {
		struct idle *idle = &session->idle[at];

		if (strcmp(idle->name, name) != 0) {
			at++;
			continue;
		}
		if (is_quiet(&idle->connection)) {
			*connection = idle->connection;
			free(idle->name);
			remove_at(session, at);
			return true;
		}
		end(idle);
		remove_at(session, at);
	}
	return false;
}

void session_put(struct net_session *session, const char *name, struct net_connection *connection)
{
	char *copy = session ? strdup(name) : NULL;
	size_t at = 0;

	if (copy) {
		while (at < SESSION_IDLE_MAX && session->idle[at].name)
			at++;
		if (at == SESSION_IDLE_MAX) {
			end(&session->idle[0]);
			remove_at(session, 0);
			at--;
		}
		session->idle[at] = (struct idle){copy, *connection};
		*connection = NET_CONNECTION_NONE;
	}
	net_close(connection);
}
