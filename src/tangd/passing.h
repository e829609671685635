/* SPDX-License-Identifier: Apache-2.0 */
/* Packets between the server's processes, with descriptors. */
#pragma once

#include <stddef.h>
#include <sys/types.h>

enum { PASSING_FDS_MAX = 4 };

/* A pair of packet sockets that do not wait and are closed on exec. Returns 0, or -errno. */
int passing_pair(int pair[static 2]);

/* Sends a packet with `count` descriptors. Returns 0, or -errno; -EAGAIN when the socket is full. */
int passing_send(int fd, const void *data, size_t size, const int *fds, size_t count);

/*
 * Receives a packet of exactly `size` bytes with exactly `count` descriptors (the caller's). Returns 1; 0 at the end; -EAGAIN when
 * there is none, -EBADMSG for another packet, whose descriptors are closed; -errno.
 */
int passing_receive(int fd, void *data, size_t size, int *fds, size_t count);

/* The same with one descriptor or none: then `*one` stays as it is. */
int passing_receive_some(int fd, void *data, size_t size, int *one);
