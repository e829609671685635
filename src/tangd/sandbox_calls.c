/* SPDX-License-Identifier: Apache-2.0 */
#include "tangd/sandbox_calls.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include <seccomp.h>

#ifdef SANDBOX_KILLS
#define UNKNOWN_CALL SCMP_ACT_KILL_PROCESS
#else
#define UNKNOWN_CALL SCMP_ACT_ERRNO(ENOSYS)
#endif

enum { ALL = SANDBOX_FRONT | SANDBOX_KEYS | SANDBOX_ADMIN, HTTP = SANDBOX_FRONT | SANDBOX_ADMIN };

/* A condition on an argument: all of a row's must hold. */
#define LACKS(argument, bits)                                       \
	{                                                           \
		(argument), SCMP_CMP_MASKED_EQ, (uint64_t)(bits), 0 \
	}
#define IS(argument, value)                                       \
	{                                                         \
		(argument), SCMP_CMP_EQ, (scmp_datum_t)(value), 0 \
	}

enum { CONDITIONS_MAX = 2 };

/* A call that may be made, by the roles named. Rows of the same call add up; one that an architecture lacks is passed over. */
static const struct allowed {
	int call;
	unsigned roles;
	unsigned count;
	struct scmp_arg_cmp condition[CONDITIONS_MAX];
} allowed[] = {
	/* Memory, never executable; mlock and madvise are those of secrets. */
	{SCMP_SYS(brk), ALL},
	{SCMP_SYS(mmap), ALL, 1, {LACKS(2, PROT_EXEC)}},
	{SCMP_SYS(mmap2), ALL, 1, {LACKS(2, PROT_EXEC)}},
	{SCMP_SYS(mprotect), ALL, 1, {LACKS(2, PROT_EXEC)}},
	{SCMP_SYS(mremap), ALL},
	{SCMP_SYS(munmap), ALL},
	{SCMP_SYS(madvise), ALL},
	{SCMP_SYS(mlock), ALL},
	{SCMP_SYS(munlock), ALL},
	/* The process itself: its time, its signals, its end. */
	{SCMP_SYS(exit), ALL},
	{SCMP_SYS(exit_group), ALL},
	{SCMP_SYS(getpid), ALL},
	{SCMP_SYS(gettid), ALL},
	{SCMP_SYS(getppid), ALL},
	{SCMP_SYS(getrusage), ALL},
	{SCMP_SYS(sysinfo), ALL}, /* by qsort(3) */
	{SCMP_SYS(getrandom), ALL},
	{SCMP_SYS(clock_gettime), ALL},
	{SCMP_SYS(clock_gettime64), ALL},
	{SCMP_SYS(gettimeofday), ALL},
	{SCMP_SYS(time), ALL},
	{SCMP_SYS(nanosleep), ALL},
	{SCMP_SYS(clock_nanosleep), ALL},
	{SCMP_SYS(clock_nanosleep_time64), ALL},
	{SCMP_SYS(restart_syscall), ALL},
	{SCMP_SYS(futex), ALL},
	{SCMP_SYS(futex_time64), ALL},
	{SCMP_SYS(sched_yield), ALL},
	{SCMP_SYS(rt_sigaction), ALL},
	{SCMP_SYS(rt_sigprocmask), ALL},
	{SCMP_SYS(rt_sigreturn), ALL},
	{SCMP_SYS(sigreturn), ALL},
	{SCMP_SYS(sigaltstack), ALL},
	/* Descriptors that are there. */
	{SCMP_SYS(read), ALL},
	{SCMP_SYS(write), ALL},
	{SCMP_SYS(close), ALL},
	{SCMP_SYS(poll), ALL},
	{SCMP_SYS(ppoll), ALL},
	{SCMP_SYS(ppoll_time64), ALL},
	{SCMP_SYS(fstat), ALL},
	{SCMP_SYS(fstat64), ALL},
	{SCMP_SYS(recv), ALL},
	{SCMP_SYS(recvfrom), ALL},
	/* No address to send to, and no connecting by sending either, which Landlock may not see. */
	{SCMP_SYS(send), ALL, 1, {LACKS(3, MSG_FASTOPEN)}},
	{SCMP_SYS(sendto), ALL, 2, {LACKS(3, MSG_FASTOPEN), IS(4, 0)}},
	/* Serving HTTP. */
	{SCMP_SYS(accept), HTTP},
	{SCMP_SYS(accept4), HTTP},
	{SCMP_SYS(sendmsg), HTTP, 1, {LACKS(2, MSG_FASTOPEN)}},
	{SCMP_SYS(writev), HTTP},
	{SCMP_SYS(shutdown), HTTP},
	{SCMP_SYS(getsockname), HTTP},
	{SCMP_SYS(getpeername), HTTP},
	{SCMP_SYS(getsockopt), HTTP, 1, {IS(1, SOL_SOCKET)}},
	{SCMP_SYS(getsockopt), HTTP, 1, {IS(1, IPPROTO_TCP)}},
	{SCMP_SYS(setsockopt), HTTP, 2, {IS(1, IPPROTO_TCP), IS(2, TCP_NODELAY)}},
	{SCMP_SYS(setsockopt), HTTP, 2, {IS(1, IPPROTO_TCP), IS(2, TCP_CORK)}},
	{SCMP_SYS(setsockopt), HTTP, 2, {IS(1, SOL_SOCKET), IS(2, SO_LINGER)}},
	{SCMP_SYS(fcntl), HTTP, 1, {IS(1, F_GETFD)}},
	{SCMP_SYS(fcntl), HTTP, 1, {IS(1, F_SETFD)}},
	{SCMP_SYS(fcntl), HTTP, 1, {IS(1, F_GETFL)}},
	{SCMP_SYS(fcntl), HTTP, 1, {IS(1, F_SETFL)}},
	{SCMP_SYS(fcntl64), HTTP, 1, {IS(1, F_GETFD)}},
	{SCMP_SYS(fcntl64), HTTP, 1, {IS(1, F_SETFD)}},
	{SCMP_SYS(fcntl64), HTTP, 1, {IS(1, F_GETFL)}},
	{SCMP_SYS(fcntl64), HTTP, 1, {IS(1, F_SETFL)}},
	{SCMP_SYS(epoll_create1), HTTP},
	{SCMP_SYS(epoll_ctl), HTTP},
	{SCMP_SYS(epoll_wait), HTTP},
	{SCMP_SYS(epoll_pwait), HTTP},
	{SCMP_SYS(epoll_pwait2), HTTP},
	/* A new generation: the public side as sealed memory, and the channel to its workers. */
	{SCMP_SYS(recvmsg), SANDBOX_FRONT},
	{SCMP_SYS(lseek), SANDBOX_FRONT},
	{SCMP_SYS(_llseek), SANDBOX_FRONT},
	{SCMP_SYS(fcntl), SANDBOX_FRONT, 1, {IS(1, F_GET_SEALS)}},
	{SCMP_SYS(fcntl64), SANDBOX_FRONT, 1, {IS(1, F_GET_SEALS)}},
	{SCMP_SYS(eventfd2), SANDBOX_FRONT},
	{SCMP_SYS(timerfd_create), SANDBOX_FRONT},
	{SCMP_SYS(timerfd_settime), SANDBOX_FRONT},
	{SCMP_SYS(timerfd_settime64), SANDBOX_FRONT},
};

/*
 * Calls that libraries make by themselves and bear the refusal of, with the error that they expect: GnuTLS looks after its
 * configuration for each connection, getnameinfo(3) wants a socket for the name of an interface. For them no file exists.
 */
static const struct refused {
	int call;
	uint16_t code;
} refused[] = {
	{SCMP_SYS(open), ENOENT},	{SCMP_SYS(openat), ENOENT},
	{SCMP_SYS(stat), ENOENT},	{SCMP_SYS(stat64), ENOENT},
	{SCMP_SYS(newfstatat), ENOENT}, {SCMP_SYS(fstatat64), ENOENT},
	{SCMP_SYS(statx), ENOENT},	{SCMP_SYS(access), ENOENT},
	{SCMP_SYS(faccessat), ENOENT},	{SCMP_SYS(faccessat2), ENOENT},
	{SCMP_SYS(readlink), ENOENT},	{SCMP_SYS(readlinkat), ENOENT},
	{SCMP_SYS(socket), EACCES},	{SCMP_SYS(ioctl), ENOTTY},
};

static int allow_calls(scmp_filter_ctx filter, enum sandbox_role role)
{
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < sizeof(allowed) / sizeof(*allowed); i++) {
		if (allowed[i].roles & role)
			rc = seccomp_rule_add_array(filter, SCMP_ACT_ALLOW, allowed[i].call,
						    allowed[i].count, allowed[i].condition);
	}
	return rc;
}

static int refuse_calls(scmp_filter_ctx filter)
{
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < sizeof(refused) / sizeof(*refused); i++)
		rc = seccomp_rule_add(filter, SCMP_ACT_ERRNO(refused[i].code), refused[i].call, 0);
	return rc;
}

/* abort(3) signals its own process, and nobody else does. */
static int allow_abort(scmp_filter_ctx filter)
{
	const struct scmp_arg_cmp own = IS(0, getpid());

	return seccomp_rule_add_array(filter, SCMP_ACT_ALLOW, SCMP_SYS(tgkill), 1, &own);
}

/* Descriptors and commands are 32 bits to the kernel: it passes over what stands above them. */
#define IS_32(argument, value)                                                              \
	{                                                                                   \
		(argument), SCMP_CMP_MASKED_EQ, UINT32_MAX, (scmp_datum_t)(uint32_t)(value) \
	}

static int keep_socket(scmp_filter_ctx filter, int fd)
{
	const uint32_t refuse = SCMP_ACT_ERRNO(EPERM);
	const struct scmp_arg_cmp own[] = {IS_32(0, fd), IS_32(1, F_SETFL)};
	int rc = seccomp_rule_add_array(filter, refuse, SCMP_SYS(shutdown), 1, own);

	if (rc == 0)
		rc = seccomp_rule_add_array(filter, refuse, SCMP_SYS(setsockopt), 1, own);
	if (rc == 0)
		rc = seccomp_rule_add_array(filter, refuse, SCMP_SYS(fcntl), 2, own);
	if (rc == 0)
		rc = seccomp_rule_add_array(filter, refuse, SCMP_SYS(fcntl64), 2, own);
	return rc;
}

int sandbox_filter_sockets(const int *sockets, int count)
{
	scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ALLOW);
	int rc = filter ? 0 : -ENOMEM;

	for (int i = 0; rc == 0 && i < count; i++)
		rc = keep_socket(filter, sockets[i]);
	if (rc == 0)
		rc = seccomp_load(filter);
	seccomp_release(filter);
	return rc;
}

int sandbox_filter_calls(enum sandbox_role role)
{
	scmp_filter_ctx filter = seccomp_init(UNKNOWN_CALL);
	int rc;

	if (!filter)
		return -ENOMEM;
	rc = seccomp_attr_set(filter, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS);
	if (rc == 0)
		rc = allow_calls(filter, role);
	if (rc == 0)
		rc = allow_abort(filter);
	if (rc == 0)
		rc = refuse_calls(filter);
	if (rc == 0)
		rc = seccomp_load(filter);
	seccomp_release(filter);
	return rc;
}
