/* SPDX-License-Identifier: Apache-2.0 */
/* A request as one message between processes of one command, and a descriptor for the answer beside it. */
#include "net/courier.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

enum { METHOD, URL, CACERT, CERT, KEY, CONTENT_TYPE, BODY, FIELDS };

/* The size of a field that is NULL. */
#define ABSENT UINT32_MAX

/* The fields stand behind it, one after another; each but the body ends with a NUL, which its size counts. */
struct head {
	int64_t deadline;
	uint64_t reply_max;
	uint32_t size[FIELDS];
};

struct fields {
	const void *data[FIELDS];
	size_t size[FIELDS];
};

static struct fields fields_of(const struct net_request *request)
{
	struct fields fields = {
		.data = {[METHOD] = request->method,
			 [URL] = request->url,
			 [CACERT] = request->tls.cacert,
			 [CERT] = request->tls.cert,
			 [KEY] = request->tls.key,
			 [CONTENT_TYPE] = request->content_type,
			 [BODY] = request->body},
	};

	for (size_t i = 0; i < BODY; i++)
		fields.size[i] = fields.data[i] ? strlen(fields.data[i]) + 1 : 0;
	fields.size[BODY] = request->body ? request->body_size : 0;
	return fields;
}

int courier_pack(const struct net_request *request, struct deadline deadline, char **message,
		 size_t *size)
{
	const struct fields fields = fields_of(request);
	struct head head = {.deadline = deadline.at, .reply_max = request->reply_max};
	size_t total = sizeof(head);
	char *next;

	for (size_t i = 0; i < FIELDS; i++) {
		if (fields.size[i] > COURIER_MESSAGE_MAX - total)
			return -EMSGSIZE;
		total += fields.size[i];
		head.size[i] = fields.data[i] ? (uint32_t)fields.size[i] : ABSENT;
	}
	next = malloc(total);
	if (!next)
		return -ENOMEM;
	*message = next;
	*size = total;
	memcpy(next, &head, sizeof(head));
	next += sizeof(head);
	for (size_t i = 0; i < FIELDS; i++) {
		if (fields.size[i] > 0)
			memcpy(next, fields.data[i], fields.size[i]);
		next += fields.size[i];
	}
	return 0;
}

static void fill(const struct fields *fields, const struct head *head, struct net_request *request,
		 struct deadline *deadline)
{
	*request = (struct net_request){
		.method = fields->data[METHOD],
		.url = fields->data[URL],
		.tls = {fields->data[CACERT], fields->data[CERT], fields->data[KEY]},
		.content_type = fields->data[CONTENT_TYPE],
		.body = fields->data[BODY],
		.body_size = fields->size[BODY],
		.reply_max = head->reply_max,
	};
	*deadline = (struct deadline){head->deadline};
}

int courier_unpack(const char *message, size_t size, struct net_request *request,
		   struct deadline *deadline)
{
	struct fields fields = {0};
	struct head head;
	size_t at = sizeof(head);

	if (size < sizeof(head))
		return -EBADMSG;
	memcpy(&head, message, sizeof(head));
	for (size_t i = 0; i < FIELDS; i++) {
		if (head.size[i] == ABSENT)
			continue;
		if (head.size[i] > size - at)
			return -EBADMSG;
		fields.data[i] = message + at;
		fields.size[i] = head.size[i];
		at += head.size[i];
		if (i != BODY && (fields.size[i] == 0 || message[at - 1] != '\0'))
			return -EBADMSG;
	}
	if (at != size || !fields.data[METHOD] || !fields.data[URL])
		return -EBADMSG;
	fill(&fields, &head, request, deadline);
	return 0;
}

/* Room for one descriptor, aligned as the kernel wants it. */
union control {
	struct cmsghdr head;
	char room[CMSG_SPACE(sizeof(int))];
};

int courier_send(int fd, const char *message, size_t size, int with)
{
	union control control = {0};
	struct iovec part = {(void *)message, size};
	struct msghdr whole = {.msg_iov = &part,
			       .msg_iovlen = 1,
			       .msg_control = &control,
			       .msg_controllen = sizeof(control)};
	struct cmsghdr *head = CMSG_FIRSTHDR(&whole);
	ssize_t sent;

	head->cmsg_level = SOL_SOCKET;
	head->cmsg_type = SCM_RIGHTS;
	head->cmsg_len = CMSG_LEN(sizeof(with));
	memcpy(CMSG_DATA(head), &with, sizeof(with));
	do
		sent = sendmsg(fd, &whole, MSG_DONTWAIT | MSG_NOSIGNAL);
	while (sent < 0 && errno == EINTR);
	return sent < 0 ? -errno : 0;
}

ssize_t courier_receive(int fd, void *buffer, int *with)
{
	union control control = {0};
	struct iovec part = {buffer, COURIER_MESSAGE_MAX};
	struct msghdr whole = {.msg_iov = &part,
			       .msg_iovlen = 1,
			       .msg_control = &control,
			       .msg_controllen = sizeof(control)};
	const struct cmsghdr *head;
	ssize_t got;

	do
		got = recvmsg(fd, &whole, MSG_CMSG_CLOEXEC);
	while (got < 0 && errno == EINTR);
	if (got < 0)
		return -errno;
	head = CMSG_FIRSTHDR(&whole);
	*with = -1;
	if (head && head->cmsg_type == SCM_RIGHTS && head->cmsg_len == CMSG_LEN(sizeof(*with)))
		memcpy(with, CMSG_DATA(head), sizeof(*with));
	return got;
}
