/* SPDX-License-Identifier: Apache-2.0 */
#include "node.h"

#include "base/file.h"
#include "tang/advertisement.h"

#include <arpa/inet.h>
#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum { READ_MAX = 16 * 1024, LOOPBACK_NET = 127 };

void node_init(struct node *node, const struct sockaddr_in *server, unsigned number)
{
	*node = (struct node){.fd = -1, .address = {.sin_family = AF_INET}};
	node->has_address = ntohl(server->sin_addr.s_addr) >> 24 == LOOPBACK_NET;
	node->address.sin_addr.s_addr = htonl(0x7f010001U + number); /* 127.1.0.1 … */
}

static void forget_reply(struct node *node)
{
	reply_free(&node->reply);
	memset(&node->reply, 0, sizeof(node->reply));
	node->reply.body_max = TANG_ADVERTISEMENT_MAX;
}

void node_close(struct node *node)
{
	reply_free(&node->reply);
	fd_close(&node->fd);
	node->fd = -1;
	node->connected = false;
}

/* The kernel chooses the port when it knows the server, so that a port can serve many addresses. */
static int bind_own_address(const struct node *node)
{
	int one = 1;

	if (!node->has_address)
		return 0;
	if (setsockopt(node->fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &one, sizeof(one)) != 0 ||
	    bind(node->fd, (const struct sockaddr *)&node->address, sizeof(node->address)) != 0)
		return -errno;
	return 0;
}

static int begin_connection(struct node *node, const struct sockaddr_in *server, int epoll_fd)
{
	struct epoll_event event = {EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET, {.ptr = node}};
	int rc;

	node->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (node->fd < 0)
		return -errno;
	rc = bind_own_address(node);
	if (rc < 0)
		return rc;
	node->connected = connect(node->fd, (const struct sockaddr *)server, sizeof(*server)) == 0;
	if (!node->connected && errno != EINPROGRESS)
		return -errno;
	return epoll_ctl(epoll_fd, EPOLL_CTL_ADD, node->fd, &event) == 0 ? 0 : -errno;
}

/* A request is smaller than any socket's buffer: it goes out whole. */
static int send_question(const struct node *node)
{
	ssize_t sent = send(node->fd, node->question->request, node->question->request_size,
			    MSG_NOSIGNAL);

	if (sent < 0)
		return -errno;
	return (size_t)sent == node->question->request_size ? 0 : -ENOBUFS;
}

int node_ask(struct node *node, const struct sockaddr_in *server, int epoll_fd)
{
	int rc = 0;

	forget_reply(node);
	node->state = NODE_ASKING;
	if (node->fd < 0)
		rc = begin_connection(node, server, epoll_fd);
	return rc == 0 && node->connected ? send_question(node) : rc;
}

static int end_connecting(struct node *node)
{
	int code = 0;
	socklen_t size = sizeof(code);

	if (getsockopt(node->fd, SOL_SOCKET, SO_ERROR, &code, &size) != 0)
		return -errno;
	if (code != 0)
		return -code;
	node->connected = true;
	return send_question(node);
}

/* Reads what is there. Returns 1 when the reply is complete. */
static int read_reply(struct node *node)
{
	char data[READ_MAX];

	for (;;) {
		ssize_t got = recv(node->fd, data, sizeof(data), 0);
		int rc;

		if (got < 0)
			return errno == EAGAIN || errno == EINTR ? 0 : -errno;
		if (got == 0)
			return reply_end(&node->reply, NULL) == 0 ? 1 : -ENODATA;
		rc = reply_feed(&node->reply, data, (size_t)got, NULL);
		if (rc < 0)
			return rc;
		if (node->reply.state == REPLY_DONE)
			return 1;
	}
}

int node_step(struct node *node, uint32_t events)
{
	int rc = 0;

	if (node->fd < 0 || node->state != NODE_ASKING)
		return 0;
	if (!node->connected && (events & (EPOLLOUT | EPOLLERR | EPOLLHUP)))
		rc = end_connecting(node);
	return rc == 0 && node->connected ? read_reply(node) : rc;
}

bool node_is_open(const struct node *node)
{
	char byte;

	return node->fd >= 0 && node->connected &&
	       recv(node->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) < 0 && errno == EAGAIN;
}
