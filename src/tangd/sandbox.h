/* SPDX-License-Identifier: Apache-2.0 */
/* What each process of the server gives up before it reads a byte from outside: files, new sockets, other processes. */
#pragma once

#include "base/error.h"

#include <stdbool.h>

/* Longest text about a sandbox, bytes, the NUL included. */
enum { SANDBOX_TEXT_MAX = 256 };

/* What is in force. Holds no pointers: it may lie in memory that processes share. */
struct sandbox {
	bool no_new_privs; /* true whenever a call below returned 0 */
	bool not_dumpable;
	bool seccomp;
	int landlock; /* the kernel's ABI as far as we know it; 0: not in force */
	char missing
		[SANDBOX_TEXT_MAX]; /* for a warning: what this kernel could not give, and why; "" for nothing */
};

/*
 * Locks the calling process in, for good; it must have one thread only. From then on, whatever happens in it:
 * no file can be opened or looked at, no program started, no process made, traced or signalled, no socket made, bound or
 * connected, no memory made executable, no privilege gained. What stays is named by each function. Descriptors that are open
 * stay so: close what the process shall not have (and lseek(2), not fstat(2), tells the size of one).
 *
 * Libraries read their configuration when they start (OpenSSL, the time zone): that is done here, before the doors close.
 * Have the HTTP library's daemon started before, and every key read.
 *
 * A layer that the kernel has not is no error: `sandbox->missing` says so. Returns 0 with `*sandbox`, or a negative code with
 * `err` filled when even no_new_privs cannot be had; then the process must not serve.
 */

/*
 * Before one of these: keeps the process from changing `count` sockets that it shares with others, and with those that come after it. To
 * shut down a listening socket would end it for all of them, and for a service manager that handed it over; no other process could serve
 * it again. Its flags and options stay as they are, too. Returns 0, or a negative code where it cannot be had: a kernel without filters
 * of calls, which the call that follows tells of.
 */
int sandbox_guard(const int *sockets, int count);

/*
 * For front: accepts from, reads and writes the sockets it was given, takes descriptors (SCM_RIGHTS) and maps them, and makes
 * epoll, event and timer descriptors. It can hand a descriptor on to whom it is connected to: the HTTP library needs sendmsg(2),
 * and no filter sees what a message carries.
 */
int front_sandbox(struct sandbox *sandbox, struct error *err);

/* For keys: send(2) and recv(2) on the sockets it was given, poll(2); no new descriptor of any kind, none handed on. */
int keys_sandbox(struct sandbox *sandbox, struct error *err);

/* For admin: as front, but it takes no descriptors and makes only those of epoll. */
int admin_sandbox(struct sandbox *sandbox, struct error *err);

/* Writes what is in force for a person: "seccomp, landlock 7, no_new_privs, not dumpable"; "nothing yet" for one of zeros. */
void sandbox_describe(const struct sandbox *sandbox, char text[static SANDBOX_TEXT_MAX]);
