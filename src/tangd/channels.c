/* SPDX-License-Identifier: Apache-2.0 */
#include "tangd/channels.h"

#include "base/deadline.h"
#include "tangd/counts.h"
#include "tangd/passing.h"
#include "tangd/side.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/*
 * After how long a request is sent again, milliseconds: a process that died has taken it along; and how often in all. Its answer is the
 * same whoever works it out.
 */
enum { ANSWER_MS = 1500, TRIES = 3 };

enum { NOBODY = -1 };

/* A generation. */
struct channel {
	int fd; /* -1: none here */
	struct public_keys side;
	struct key_uses *uses;
	size_t owed; /* requests that it was sent and has not answered */
};

/* A request that waits. They form a queue, in the order in which they are to be sent or were sent. */
struct waiting {
	void *request; /* NULL: the place is free */
	struct key_request *message;
	int channel; /* which it was sent to, NOBODY: not yet */
	int tries;
	struct deadline until; /* when it was sent */
	int next;	       /* in its queue, NOBODY: the last */
};

struct queue {
	int first;
	int last;
};

struct channels {
	channels_answered answered;
	struct channel channel[CHANNELS_MAX];
	int newest; /* NOBODY: none */
	struct waiting *waiting;
	size_t count;
	uint64_t
		number; /* of the last request: the high part of an id, the low one being its place */
	struct queue free;    /* places */
	struct queue unsent;  /* requests that the newest channel had no room for */
	struct deadline look; /* when to look for those that were not answered */
};

static void push(struct channels *channels, struct queue *queue, int place)
{
	channels->waiting[place].next = NOBODY;
	if (queue->first == NOBODY)
		queue->first = place;
	else
		channels->waiting[queue->last].next = place;
	queue->last = place;
}

static int pop(struct channels *channels, struct queue *queue)
{
	int place = queue->first;

	if (place != NOBODY)
		queue->first = channels->waiting[place].next;
	return place;
}

struct channels *channels_new(channels_answered answered)
{
	struct channels *made = calloc(1, sizeof(*made));

	if (made)
		made->waiting = calloc(CHANNELS_WAITING_MAX, sizeof(*made->waiting));
	if (!made || !made->waiting) {
		free(made);
		return NULL;
	}
	made->answered = answered;
	made->newest = NOBODY;
	made->free = made->unsent = (struct queue){NOBODY, NOBODY};
	for (int i = 0; i < CHANNELS_MAX; i++)
		made->channel[i].fd = -1;
	for (int i = 0; i < CHANNELS_WAITING_MAX; i++)
		push(made, &made->free, i);
	return made;
}

/* The request leaves its place. */
static void settle(struct channels *channels, int place, const struct key_reply *reply)
{
	struct waiting *waiting = &channels->waiting[place];
	void *request = waiting->request;

	if (waiting->channel != NOBODY)
		channels->channel[waiting->channel].owed--;
	waiting->request = NULL;
	channels->count--;
	push(channels, &channels->free, place);
	channels->answered(request, reply);
}

static void end_channel(struct channel *channel)
{
	(void)close(channel->fd);
	channel->fd = -1;
	side_free(&channel->side);
	counts_unshare(channel->uses, sizeof(*channel->uses));
}

void channels_free(struct channels **channels)
{
	struct channels *own = *channels;

	if (!own)
		return;
	for (int i = 0; i < CHANNELS_WAITING_MAX; i++)
		if (own->waiting[i].request)
			settle(own, i, NULL);
	for (int i = 0; i < CHANNELS_MAX; i++)
		if (own->channel[i].fd >= 0)
			end_channel(&own->channel[i]);
	free(own->waiting);
	free(own);
	*channels = NULL;
}

/* Requests of an older generation name a key by its number there: they are found anew by whoever asked. */
static void give_up_on(struct channels *channels, int index)
{
	for (int i = 0; i < CHANNELS_WAITING_MAX; i++)
		if (channels->waiting[i].request && channels->waiting[i].channel == index)
			settle(channels, i, NULL);
}

/* A place for one more generation; the oldest that is about to end gives way when there is none. */
static int find_room(struct channels *channels)
{
	for (int i = 0; i < CHANNELS_MAX; i++)
		if (channels->channel[i].fd < 0)
			return i;
	for (int i = 0; i < CHANNELS_MAX; i++) {
		if (i == channels->newest)
			continue;
		give_up_on(channels, i);
		end_channel(&channels->channel[i]);
		return i;
	}
	return NOBODY;
}

int channels_add(struct channels *channels, int side, int channel, int uses, struct error *err)
{
	struct channel made = {.fd = channel, .uses = counts_map(uses, sizeof(*made.uses))};
	int rc = made.uses ? side_read(side, &made.side, err) : error_nomem(err);
	int index;

	(void)close(side);
	(void)close(uses);
	if (rc < 0) {
		end_channel(&made);
		return rc;
	}
	index = find_room(channels);
	channels->channel[index] = made;
	/* What was not sent yet names keys of the older generation. */
	while (channels->unsent.first != NOBODY)
		settle(channels, pop(channels, &channels->unsent), NULL);
	channels->newest = index;
	return 0;
}

const struct public_keys *channels_side(const struct channels *channels)
{
	return channels->newest == NOBODY ? NULL : &channels->channel[channels->newest].side;
}

void channels_count_use(struct channels *channels, size_t key)
{
	if (channels->newest != NOBODY)
		counts_use(channels->channel[channels->newest].uses, key);
}

/* Returns 0, or -EAGAIN when the channel is full. One that is broken counts as having taken it: it is sent again in time. */
static int send_now(struct channels *channels, int place)
{
	struct waiting *waiting = &channels->waiting[place];
	struct channel *channel = &channels->channel[channels->newest];
	int rc = passing_send(channel->fd, waiting->message, sizeof(*waiting->message), NULL, 0);

	if (rc == -EAGAIN)
		return rc;
	if (waiting->channel == NOBODY)
		channel->owed++;
	waiting->channel = channels->newest;
	waiting->tries++;
	waiting->until = deadline_in_ms(ANSWER_MS);
	return 0;
}

int channels_send(struct channels *channels, struct key_request *message, void *request)
{
	struct waiting *waiting;
	int place;

	if (channels->newest == NOBODY)
		return -ENOENT;
	place = pop(channels, &channels->free);
	if (place == NOBODY)
		return -EBUSY;
	waiting = &channels->waiting[place];
	*waiting = (struct waiting){.request = request, .message = message, .channel = NOBODY};
	message->id = ++channels->number * CHANNELS_WAITING_MAX + (unsigned)place;
	channels->count++;
	if (channels->unsent.first != NOBODY || send_now(channels, place) < 0)
		push(channels, &channels->unsent, place);
	return 0;
}

size_t channels_waiting(const struct channels *channels)
{
	return channels->count;
}

size_t channels_poll(const struct channels *channels, struct pollfd polled[static CHANNELS_MAX])
{
	size_t count = 0;

	for (int i = 0; i < CHANNELS_MAX; i++) {
		bool is_full = i == channels->newest && channels->unsent.first != NOBODY;

		if (channels->channel[i].fd >= 0)
			polled[count++] = (struct pollfd){channels->channel[i].fd,
							  (short)(POLLIN | (is_full ? POLLOUT : 0)),
							  0};
	}
	return count;
}

int channels_timeout(const struct channels *channels)
{
	return channels->count > 0 ? ANSWER_MS / 4 : -1;
}

/* Takes what a generation has answered. Returns whether it is still there. */
static bool take_replies(struct channels *channels, int index)
{
	struct key_reply reply;
	int rc;

	while ((rc = passing_receive(channels->channel[index].fd, &reply, sizeof(reply), NULL,
				     0)) == 1) {
		int place = (int)(reply.id % CHANNELS_WAITING_MAX);
		const struct waiting *waiting = &channels->waiting[place];

		/* Two may answer what was sent twice. */
		if (waiting->request && waiting->message->id == reply.id)
			settle(channels, place, &reply);
	}
	return rc == -EAGAIN || rc == -EINTR || rc == -EBADMSG;
}

static void send_unsent(struct channels *channels)
{
	while (channels->unsent.first != NOBODY) {
		if (send_now(channels, channels->unsent.first) < 0)
			return;
		(void)pop(channels, &channels->unsent);
	}
}

/* What was sent long ago and is not answered: whoever had it may be gone. */
static void send_again(struct channels *channels)
{
	if (channels->count == 0 || !deadline_passed(channels->look))
		return;
	channels->look = deadline_in_ms(ANSWER_MS / 4);
	for (int i = 0; i < CHANNELS_WAITING_MAX; i++) {
		struct waiting *waiting = &channels->waiting[i];

		if (!waiting->request || waiting->channel == NOBODY ||
		    !deadline_passed(waiting->until))
			continue;
		if (waiting->tries >= TRIES || waiting->channel != channels->newest)
			settle(channels, i, NULL);
		else
			(void)send_now(channels, i);
	}
}

void channels_run(struct channels *channels)
{
	for (int i = 0; i < CHANNELS_MAX; i++) {
		struct channel *channel = &channels->channel[i];
		bool is_there = channel->fd < 0 || take_replies(channels, i);

		if (channel->fd < 0 || (is_there && (i == channels->newest || channel->owed > 0)))
			continue;
		give_up_on(channels, i);
		end_channel(channel);
		if (i == channels->newest)
			channels->newest = NOBODY;
	}
	if (channels->newest != NOBODY)
		send_unsent(channels);
	send_again(channels);
}
