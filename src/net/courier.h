/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Couriers: of the processes of one command, one for each server that asks it on behalf of all, so that they share a connection. The
 * command starts a porter, which starts a courier when a request for a new server comes, and passes requests on; a courier
 * answers them one after another. What it is given is no secret: blinded points, and names. Private to net/.
 */
#pragma once

#include "base/deadline.h"
#include "base/error.h"
#include "net/net.h"

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/* Longest message of a request; a longer one goes its own way. */
enum { COURIER_MESSAGE_MAX = 64 * 1024 };

/* How many couriers there are at most; requests to one server more go their own way. */
enum { COURIERS_MAX = 64 };

/*
 * How long a courier is waited for, milliseconds, and never more than half of the time that is left; then the request goes its own way: it must
 * not fail for standing in a queue.
 */
enum { COURIER_PATIENCE_MS = 2000 };

/* What a courier answers; `body_size` bytes of the body follow. */
struct courier_reply {
	int code; /* of net_http() */
	unsigned status;
	unsigned retry_after_s;
	size_t body_size;
	char text[ERROR_TEXT_MAX]; /* why it failed */
};

struct courier {
	int fd;	   /* requests go in here; -1: none */
	pid_t pid; /* the porter; 0: not ours to end */
};

#define COURIER_NONE ((struct courier){.fd = -1})

/* Starts the porter. Where that is not possible `courier` stays none. */
void courier_start(struct courier *courier);

/* Ends the porter and its couriers, if they are ours, and closes the way to them. None is accepted. */
void courier_stop(struct courier *courier);

/*
 * Has a request answered. Returns whether it was: then `*rc` is what net_http() is to return, and `reply` or `err` is filled; false when
 * there is no courier, it is gone, or took too long.
 */
bool courier_ask(const struct courier *courier, const struct net_request *request,
		 struct deadline deadline, struct net_reply *reply, int *rc, struct error *err);

/* The porter's work; never returns. Requests come from `fd`. */
void courier_serve(int fd) __attribute__((noreturn));

/* Packs a request into one message: malloc'd, the caller's. Returns 0; -EMSGSIZE when it is too long, -ENOMEM. */
int courier_pack(const struct net_request *request, struct deadline deadline, char **message,
		 size_t *size);

/* Reads a message; `request` points into it. Returns 0, or -EBADMSG. */
int courier_unpack(const char *message, size_t size, struct net_request *request,
		   struct deadline *deadline);

/* Sends a message and with it a descriptor, without waiting. Returns 0 or -errno. */
int courier_send(int fd, const char *message, size_t size, int with);

/*
 * Receives a message into `buffer` (COURIER_MESSAGE_MAX bytes). Returns its size and in `*with` the descriptor that came with it, the
 * caller's, or -1; 0 when nobody can send any more, -errno.
 */
ssize_t courier_receive(int fd, void *buffer, int *with);
