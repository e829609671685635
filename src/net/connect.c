/* SPDX-License-Identifier: Apache-2.0 */
#include "net/connect.h"

#include "base/file.h"
#include "net/resolve.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

enum { NO_WINNER = -1 };

/* One address being tried: under way while `code` is -EINPROGRESS, else failed with it. */
struct attempt {
	int fd;
	int code;
	int allowed_ms;
	struct deadline end;
};

struct race {
	const struct net_addresses *addresses;
	struct deadline deadline;
	struct deadline next; /* when the next attempt begins */
	size_t begun;
	struct attempt attempts[NET_ADDRESSES_MAX];
};

static void print_peer(const struct net_address *address, char peer[static NET_PEER_MAX])
{
	char host[NI_MAXHOST];
	char port[NI_MAXSERV];
	bool ipv6 = address->storage.ss_family == AF_INET6;

	if (getnameinfo((const struct sockaddr *)&address->storage, address->length, host,
			sizeof(host), port, sizeof(port), NI_NUMERICHOST | NI_NUMERICSERV) != 0)
		(void)snprintf(peer, NET_PEER_MAX, "unknown address");
	else
		(void)snprintf(peer, NET_PEER_MAX, ipv6 ? "[%.55s]:%.7s" : "%.55s:%.7s", host,
			       port);
}

/* The first of `family` (or of another than that) from `*at` on; moves `*at` behind it. NULL: no more. */
static const struct net_address *next_of(const struct net_addresses *all, sa_family_t family,
					 bool same, size_t *at)
{
	while (*at < all->count) {
		const struct net_address *address = &all->address[(*at)++];

		if ((address->storage.ss_family == family) == same)
			return address;
	}
	return NULL;
}

/* Lets the families take turns, RFC 8305 §4. */
static void interleave(struct net_addresses *addresses)
{
	const struct net_addresses all = *addresses;
	sa_family_t first = all.address[0].storage.ss_family;
	size_t at[2] = {0, 0};
	bool same = true;

	for (size_t i = 0; i < all.count; i++, same = !same) {
		const struct net_address *next = next_of(&all, first, same, &at[same]);

		if (!next) {
			same = !same;
			next = next_of(&all, first, same, &at[same]);
		}
		if (next)
			addresses->address[i] = *next;
	}
}

static void fail(struct race *race, struct attempt *attempt, int code)
{
	fd_close(&attempt->fd);
	attempt->code = code;
	race->next = deadline_in_ms(0);
}

static void begin_attempt(struct race *race)
{
	const struct net_address *address = &race->addresses->address[race->begun];
	struct attempt *attempt = &race->attempts[race->begun++];

	race->next = deadline_in_ms(NET_NEXT_ATTEMPT_MS);
	attempt->end = deadline_earlier(race->deadline, deadline_in_ms(NET_CONNECT_MS));
	attempt->allowed_ms = deadline_left_ms(attempt->end);
	attempt->code = -EINPROGRESS;
	attempt->fd = socket(address->storage.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK,
			     0);
	if (attempt->fd < 0 || (connect(attempt->fd, (const struct sockaddr *)&address->storage,
					address->length) != 0 &&
				errno != EINPROGRESS && errno != EINTR))
		fail(race, attempt, -errno);
}

static size_t count_under_way(const struct race *race)
{
	size_t count = 0;

	for (size_t i = 0; i < race->begun; i++)
		count += race->attempts[i].code == -EINPROGRESS;
	return count;
}

/* One attempt is made whatever the deadline says, so that there is something to tell. */
static bool wants_next(const struct race *race)
{
	if (race->begun == race->addresses->count)
		return false;
	if (race->begun == 0)
		return true;
	return !deadline_passed(race->deadline) && deadline_passed(race->next);
}

/* Looks at one that poll() named. Returns whether it is connected. */
static bool has_won(struct race *race, struct attempt *attempt)
{
	int failure = 0;
	socklen_t length = sizeof(failure);

	if (getsockopt(attempt->fd, SOL_SOCKET, SO_ERROR, &failure, &length) != 0)
		failure = errno;
	if (failure == 0)
		return true;
	fail(race, attempt, -failure);
	return false;
}

/* Waits until something happens to one of them or is to be done. Returns the one that is connected, or NO_WINNER. */
static int wait_for_one(struct race *race)
{
	struct pollfd polled[NET_ADDRESSES_MAX];
	struct deadline until = race->deadline;
	int rc;

	if (race->begun < race->addresses->count)
		until = deadline_earlier(until, race->next);
	for (size_t i = 0; i < race->begun; i++) {
		/* poll(2) passes over the negative ones of those that failed. */
		polled[i] = (struct pollfd){race->attempts[i].fd, POLLOUT, 0};
		if (race->attempts[i].code == -EINPROGRESS)
			until = deadline_earlier(until, race->attempts[i].end);
	}
	rc = poll(polled, race->begun, deadline_left_ms(until));
	for (size_t i = 0; i < race->begun; i++) {
		struct attempt *attempt = &race->attempts[i];

		if (attempt->code != -EINPROGRESS)
			continue;
		if (rc > 0 && polled[i].revents != 0) {
			if (has_won(race, attempt))
				return (int)i;
		} else if (deadline_passed(attempt->end)) {
			fail(race, attempt, -ETIMEDOUT);
		}
	}
	return NO_WINNER;
}

static int run(struct race *race)
{
	int winner = NO_WINNER;

	do {
		while (wants_next(race))
			begin_attempt(race);
		if (count_under_way(race) > 0)
			winner = wait_for_one(race);
	} while (winner == NO_WINNER && (count_under_way(race) > 0 || wants_next(race)));
	return winner;
}

/* Who refuses is there; who is silent may be; a network that is not is the least that can be said. */
static int rank(int code)
{
	switch (code) {
	case -ECONNREFUSED:
		return 4;
	case -ETIMEDOUT:
		return 2;
	case -ENETUNREACH:
	case -EAFNOSUPPORT:
	case -EADDRNOTAVAIL:
		return 1;
	default:
		return 3;
	}
}

static int explain_all(const struct race *race, struct error *err)
{
	char text[ERROR_TEXT_MAX] = "";
	size_t length = 0;
	int code = 0;

	for (size_t i = 0; i < race->begun && length < sizeof(text); i++) {
		const struct attempt *attempt = &race->attempts[i];
		struct error one = {0};
		char peer[NET_PEER_MAX];
		int rc;

		print_peer(&race->addresses->address[i], peer);
		(void)net_explain(attempt->code, peer, attempt->allowed_ms, &one);
		rc = snprintf(text + length, sizeof(text) - length, "%s%s", i > 0 ? "; " : "",
			      one.text);
		length += rc > 0 ? (size_t)rc : 0;
		if (code == 0 || rank(attempt->code) > rank(code))
			code = attempt->code;
	}
	return error_set(err, code, "%s", text);
}

static void close_all(struct race *race)
{
	for (size_t i = 0; i < race->begun; i++)
		fd_close(&race->attempts[i].fd);
}

int net_connect(const char *host, const char *port, struct deadline deadline,
		struct net_connection *connection, struct error *err)
{
	struct net_addresses addresses = {0};
	struct race race = {.addresses = &addresses, .deadline = deadline};
	const int on = 1;
	int rc = net_resolve(host, port, deadline, &addresses, err);

	if (rc < 0)
		return rc;
	interleave(&addresses);
	rc = run(&race);
	if (rc == NO_WINNER)
		return explain_all(&race, err);
	*connection = NET_CONNECTION_NONE;
	connection->fd = race.attempts[rc].fd;
	race.attempts[rc].fd = -1;
	print_peer(&addresses.address[rc], connection->peer);
	close_all(&race);
	/* A request is two writes at most, and must not wait for an acknowledgement between them. */
	(void)setsockopt(connection->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	return 0;
}

int net_connect_unix(const char *path, struct net_connection *connection, struct error *err)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd;
	int code;

	if (strlen(path) >= sizeof(address.sun_path))
		return error_set(err, -ENAMETOOLONG,
				 "%s: the path of a socket has %zu bytes at most", path,
				 sizeof(address.sun_path) - 1);
	memcpy(address.sun_path, path, strlen(path));
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	/* A UNIX socket connects at once or, when its queue is full, not at all. */
	if (fd < 0 || connect(fd, (const struct sockaddr *)&address, sizeof(address)) != 0) {
		code = -errno;
		fd_close(&fd);
		return error_set(err, code, "%s: %s", path, strerror(-code));
	}
	*connection = NET_CONNECTION_NONE;
	connection->fd = fd;
	(void)snprintf(connection->peer, sizeof(connection->peer), "%s", path);
	return 0;
}
