/* SPDX-License-Identifier: Apache-2.0 */
#include "tangd/connections.h"

#include <netinet/in.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* Addresses are counted by this many hashes: two that share one count as one. */
enum { ADDRESSES = 4096 };

/* How long after it came to be what it is a connection is looked at for its peer's end, milliseconds: two sweeps. */
enum { YOUNG_MS = 2000 };

/* How long a request may be on its way when others want the place, milliseconds. */
enum { DAWDLE_MS = 1000 };

struct connection {
	struct connection *before; /* in the order in which they came to be what they are */
	struct connection *behind;
	struct deadline until;
	int fd;
	uint16_t address; /* its hash */
	bool at_work : 1;
	bool whole : 1; /* its request is here */
	bool surplus : 1;
	bool ended : 1; /* shut down; its owner has not noticed yet */
};

/* Two rings, each with its oldest first: a deadline passes in that order. */
struct connections {
	struct connection idle;
	struct connection at_work;
	size_t count;
	size_t most;
	uint64_t gave_way;
	unsigned of_address[ADDRESSES];
};

static void unlink_one(struct connection *connection)
{
	connection->before->behind = connection->behind;
	connection->behind->before = connection->before;
}

static void link_last(struct connection *ring, struct connection *connection)
{
	connection->before = ring->before;
	connection->behind = ring;
	ring->before->behind = connection;
	ring->before = connection;
}

static void set(struct connections *connections, struct connection *connection, bool at_work)
{
	connection->at_work = at_work;
	connection->whole = false;
	connection->until = deadline_in_ms(at_work ? CONNECTIONS_REQUEST_MS : CONNECTIONS_IDLE_MS);
	link_last(at_work ? &connections->at_work : &connections->idle, connection);
}

struct connections *connections_new(size_t most)
{
	struct connections *made = calloc(1, sizeof(*made));

	if (!made)
		return NULL;
	made->most = most;
	made->idle.before = made->idle.behind = &made->idle;
	made->at_work.before = made->at_work.behind = &made->at_work;
	return made;
}

static void free_ring(struct connection *ring)
{
	struct connection *next;

	for (struct connection *c = ring->behind; c != ring; c = next) {
		next = c->behind;
		free(c);
	}
}

void connections_free(struct connections **connections)
{
	if (!*connections)
		return;
	free_ring(&(*connections)->idle);
	free_ring(&(*connections)->at_work);
	free(*connections);
	*connections = NULL;
}

/* Of an IPv6 address the network counts: whoever has one has all of its addresses. */
static uint16_t hash_address(const struct sockaddr *address)
{
	unsigned char bytes[8] = {0};
	uint32_t hash = 2166136261;

	if (address && address->sa_family == AF_INET)
		memcpy(bytes, &((const struct sockaddr_in *)address)->sin_addr, 4);
	else if (address && address->sa_family == AF_INET6)
		memcpy(bytes, &((const struct sockaddr_in6 *)address)->sin6_addr, sizeof(bytes));
	for (size_t i = 0; i < sizeof(bytes); i++)
		hash = (hash ^ bytes[i]) * 16777619;
	return (uint16_t)(hash % ADDRESSES);
}

static void end(struct connection *connection)
{
	connection->ended = true;
	(void)shutdown(connection->fd, SHUT_RDWR);
}

/* What the peer has sent and nobody has read yet: 0 for its end, negative for nothing. */
static ssize_t look_at_unread(const struct connection *connection)
{
	char byte;

	return recv(connection->fd, &byte, sizeof(byte), MSG_PEEK | MSG_DONTWAIT);
}

/*
 * The address that has most of those that are idle, and of these the one that has been so longest. Where many come at once, most have asked
 * already, and only their turn to be read has not come: they are at work.
 */
static struct connection *find_victim(struct connections *connections)
{
	struct connection *found = NULL;
	struct connection *next;

	for (struct connection *c = connections->idle.behind; c != &connections->idle; c = next) {
		next = c->behind;
		if (c->ended || (found && connections->of_address[c->address] <=
						  connections->of_address[found->address]))
			continue;
		if (look_at_unread(c) > 0)
			connections_begin(connections, c);
		else
			found = c;
	}
	return found;
}

/*
 * Where all are at work: those that have begun to ask and do not go on hold a place that a whole request could have. Again the oldest
 * of the address that has most.
 */
static struct connection *find_dawdler(const struct connections *connections)
{
	const struct deadline late = deadline_in_ms(CONNECTIONS_REQUEST_MS - DAWDLE_MS);
	struct connection *found = NULL;

	for (struct connection *c = connections->at_work.behind;
	     c != &connections->at_work && c->until.at <= late.at; c = c->behind) {
		if (c->ended || c->whole ||
		    (found && connections->of_address[c->address] <=
				      connections->of_address[found->address]))
			continue;
		/* What has come and was not read yet is our delay. */
		if (look_at_unread(c) <= 0)
			found = c;
	}
	return found;
}

struct connection *connections_add(struct connections *connections, int fd,
				   const struct sockaddr *address)
{
	struct connection *made = calloc(1, sizeof(*made));
	struct connection *victim;

	if (!made)
		return NULL;
	if (connections->count >= connections->most) {
		victim = find_victim(connections);
		if (!victim)
			victim = find_dawdler(connections);
		if (victim) {
			end(victim);
			connections->gave_way++;
		}
		made->surplus = !victim;
	}
	made->fd = fd;
	made->address = hash_address(address);
	connections->of_address[made->address]++;
	connections->count++;
	set(connections, made, false);
	return made;
}

void connections_remove(struct connections *connections, struct connection *connection)
{
	if (!connection)
		return;
	unlink_one(connection);
	connections->of_address[connection->address]--;
	connections->count--;
	free(connection);
}

void connections_begin(struct connections *connections, struct connection *connection)
{
	if (!connection || connection->at_work)
		return;
	unlink_one(connection);
	set(connections, connection, true);
}

void connections_whole(struct connection *connection)
{
	if (connection)
		connection->whole = true;
}

void connections_end(struct connections *connections, struct connection *connection)
{
	if (!connection || !connection->at_work)
		return;
	unlink_one(connection);
	set(connections, connection, false);
}

bool connections_is_surplus(const struct connection *connection)
{
	return connection && connection->surplus;
}

size_t connections_count(const struct connections *connections)
{
	return connections->count;
}

uint64_t connections_gave_way(const struct connections *connections)
{
	return connections->gave_way;
}

static void sweep_ring(struct connection *ring)
{
	for (struct connection *c = ring->behind; c != ring && deadline_passed(c->until);
	     c = c->behind)
		if (!c->ended)
			end(c);
}

/*
 * Where the end came together with the last bytes, the HTTP library, which is told of changes only, has taken both for one: it is told
 * again. What it has read is still answered.
 */
static void tell_ends(const struct connection *ring, int64_t time_ms)
{
	for (struct connection *c = ring->before;
	     c != ring && deadline_left_ms(c->until) > time_ms - YOUNG_MS; c = c->before)
		if (!c->ended && look_at_unread(c) == 0)
			(void)shutdown(c->fd, SHUT_RD);
}

void connections_sweep(struct connections *connections)
{
	sweep_ring(&connections->idle);
	sweep_ring(&connections->at_work);
	tell_ends(&connections->idle, CONNECTIONS_IDLE_MS);
	tell_ends(&connections->at_work, CONNECTIONS_REQUEST_MS);
}
