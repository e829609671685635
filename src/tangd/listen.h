/* SPDX-License-Identifier: Apache-2.0 */
/* Listening sockets of `tangd -l`. */
#pragma once

#include "base/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

enum { LISTEN_SOCKETS_MAX = 8 };

/* A socket file that this process has made: it is to be removed at the end, unless another server has put its own there. */
struct listen_file {
	const char *path;
	dev_t device;
	ino_t inode;
};

struct listening {
	int fd[LISTEN_SOCKETS_MAX];
	int count;
	struct listen_file file[LISTEN_SOCKETS_MAX];
	int files;
};

/*
 * Opens the listening sockets of `hosts` addresses. An address is
 * - `/PATH` or `unix:PATH`: a UNIX socket, of mode 0666 whatever the umask: the keys' public side is for everybody, and whoever has
 *   reason to keep some away does so by the folder. A socket file where nobody listens is replaced, nothing else is touched;
 * - else a numeric address or a name, each of whose addresses is listened on at `port` ("0": the kernel chooses).
 * No address at all: all of IPv4 and all of IPv6.
 * Returns 0 with `listening`, whose descriptors are the caller's, and whose files go with listen_remove_files(); -E2BIG for more
 * than LISTEN_SOCKETS_MAX, -EADDRINUSE and others with `err` filled and nothing left behind. The strings must stay.
 */
int listen_open(const char *const *host, int hosts, const char *port, struct listening *listening,
		struct error *err);

/*
 * The same for the admin process: `address` is a path, of a UNIX socket for its owner and group (mode 0660), or HOST:PORT. The string must
 * stay. Returns as listen_open(), and -EINVAL.
 */
int listen_open_admin(const char *address, struct listening *listening, struct error *err);

/* Prints `WHAT ADDRESS:PORT`, or `WHAT PATH`, on standard error for each. */
void listen_announce(const struct listening *listening, const char *what);

/* Says whether none of them can be reached from another machine. */
bool listen_is_private(const struct listening *listening);

/* Removes the socket files that are still ours. The process may have lost the right to: returns 0, or -errno with `err` filled. */
int listen_remove_files(struct listening *listening, struct error *err);
