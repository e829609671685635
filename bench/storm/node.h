/* SPDX-License-Identifier: Apache-2.0 */
/* One node: its connection, and the question it waits for an answer to. Private to the swarm. */
#pragma once

#include "questions.h"

#include "net/reply.h"

#include <netinet/in.h>
#include <stdint.h>

enum node_state {
	NODE_WAITING, /* until `wake_us`, then it asks */
	NODE_ASKING,  /* until `wake_us`, then it gives up the attempt */
	NODE_RESTING, /* connected, wants nothing more */
	NODE_DONE,
};

struct node {
	enum node_state state;
	int fd; /* -1: not connected */
	bool connected;
	bool has_address;
	bool told; /* was told Retry-After */
	struct sockaddr_in address;
	unsigned failures; /* since the last answer */
	int64_t asked_us;
	int64_t wake_us;
	struct question *question;
	struct reply reply;
};

/* Node number `number`, with an address of its own where the server is on loopback; not connected. */
void node_init(struct node *node, const struct sockaddr_in *server, unsigned number);

/* Asks `question`, over a new connection, watched by `epoll_fd`, where there is none. Returns 0, or -errno. */
int node_ask(struct node *node, const struct sockaddr_in *server, int epoll_fd);

/*
 * Goes on after `events` of epoll. Returns 1 when the reply is complete, 0 when it is not; -ENODATA when the connection ended
 * before, -EBADMSG or -EFBIG when it is not HTTP, -errno.
 */
int node_step(struct node *node, uint32_t events);

/* Says whether there is a connection that the server has not closed. */
bool node_is_open(const struct node *node);

void node_close(struct node *node);
