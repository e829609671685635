/* SPDX-License-Identifier: Apache-2.0 */
#include "tangd/passing.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

int passing_pair(int pair[static 2])
{
	return socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) == 0
		       ? 0
		       : -errno;
}

/* Room for the descriptors, aligned as the kernel wants it. */
union control {
	char bytes[CMSG_SPACE(sizeof(int) * PASSING_FDS_MAX)];
	struct cmsghdr header;
};

int passing_send(int fd, const void *data, size_t size, const int *fds, size_t count)
{
	struct iovec part = {(void *)data, size};
	union control control = {0};
	struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
	struct cmsghdr *header;

	if (count > 0) {
		message.msg_control = control.bytes;
		message.msg_controllen = CMSG_SPACE(sizeof(int) * count);
		header = CMSG_FIRSTHDR(&message);
		header->cmsg_level = SOL_SOCKET;
		header->cmsg_type = SCM_RIGHTS;
		header->cmsg_len = CMSG_LEN(sizeof(int) * count);
		memcpy(CMSG_DATA(header), fds, sizeof(int) * count);
	}
	return sendmsg(fd, &message, MSG_NOSIGNAL) == (ssize_t)size ? 0 : -errno;
}

/* Takes what descriptors came. Returns how many. */
static size_t take_fds(struct msghdr *message, int fds[static PASSING_FDS_MAX])
{
	struct cmsghdr *header = CMSG_FIRSTHDR(message);
	size_t count;

	if (!header || header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_RIGHTS)
		return 0;
	count = (header->cmsg_len - CMSG_LEN(0)) / sizeof(int);
	memcpy(fds, CMSG_DATA(header), count * sizeof(int));
	return count;
}

/* With as many descriptors as `least` to `most`. */
static int receive(int fd, void *data, size_t size, int *fds, size_t least, size_t most)
{
	struct iovec part = {data, size};
	union control control = {0};
	struct msghdr message = {.msg_iov = &part,
				 .msg_iovlen = 1,
				 .msg_control = control.bytes,
				 .msg_controllen = sizeof(control.bytes)};
	int came[PASSING_FDS_MAX];
	ssize_t got = recvmsg(fd, &message, MSG_CMSG_CLOEXEC);
	size_t taken;

	if (got < 0)
		return -errno;
	taken = take_fds(&message, came);
	if (got == (ssize_t)size && taken >= least && taken <= most &&
	    !(message.msg_flags & (MSG_TRUNC | MSG_CTRUNC))) {
		if (taken > 0)
			memcpy(fds, came, taken * sizeof(int));
		return 1;
	}
	for (size_t i = 0; i < taken; i++)
		(void)close(came[i]);
	return got == 0 ? 0 : -EBADMSG;
}

int passing_receive(int fd, void *data, size_t size, int *fds, size_t count)
{
	return receive(fd, data, size, fds, count, count);
}

int passing_receive_some(int fd, void *data, size_t size, int *one)
{
	return receive(fd, data, size, one, 0, 1);
}
