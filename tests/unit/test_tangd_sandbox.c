/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tangd/sandbox.c: what each process of the server cannot do any more. Each attempt is made once without the sandbox, where it
 * must succeed: an attempt that always fails proves nothing. Then inside, and with one layer of the sandbox left out.
 */
#include "attempts.h"

#include "tangd/sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <seccomp.h>

enum { SIGNALLED = 200, NOT_LOCKED_IN = 255 };

/* The layers of the sandbox, so that each can be missing from the kernel. */
static bool without_seccomp;
static bool without_landlock;

/* NOLINTBEGIN(*-reserved-identifier,cert-dcl*,readability-identifier-naming): the names of the linker's --wrap */
int __wrap_seccomp_load(scmp_filter_ctx filter);
int __real_seccomp_load(scmp_filter_ctx filter);
long __wrap_syscall(long number, long a, long b, long c, long d, long e, long f);
long __real_syscall(long number, long a, long b, long c, long d, long e, long f);

int __wrap_seccomp_load(scmp_filter_ctx filter)
{
	return without_seccomp ? -EINVAL : __real_seccomp_load(filter);
}

long __wrap_syscall(long number, long a, long b, long c, long d, long e, long f)
{
	if (number == SYS_landlock_create_ruleset && without_landlock) {
		errno = ENOSYS;
		return -1;
	}
	return __real_syscall(number, a, b, c, d, e, f);
}
/* NOLINTEND(*-reserved-identifier,cert-dcl*,readability-identifier-naming) */

static int (*const enter[])(struct sandbox *, struct error *) = {
	[FRONT] = front_sandbox, [KEYS] = keys_sandbox, [ADMIN] = admin_sandbox};
static const char *const names[] = {[FRONT] = "front", [KEYS] = "keys", [ADMIN] = "admin"};

/* Runs one in a child of its own, locked in as `role` (0: not at all). Returns 0, an errno number, or SIGNALLED + its signal. */
static int outcome(int role, int (*make)(void))
{
	pid_t self = getpid();
	pid_t child;
	int status = 0;

	attempts_refresh();
	child = fork();
	assert_true(child >= 0);
	if (child == 0) {
		struct sandbox sandbox;

		unit_child_begin(self);
		if (role && enter[role](&sandbox, NULL) < 0)
			_exit(NOT_LOCKED_IN);
		_exit(-make());
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	return WIFSIGNALED(status) ? SIGNALLED + WTERMSIG(status) : WEXITSTATUS(status);
}

static bool is_refusal(int code)
{
	return code == SIGNALLED + SIGSYS || (code > 0 && code < SIGNALLED);
}

/* An attempt that this machine refuses without a sandbox says nothing. */
static bool is_real(const struct attempt *attempt)
{
	int code = outcome(0, attempt->make);

	if (code == 0)
		return true;
	if (code != ENOSYS && code != EPERM && code != EOPNOTSUPP)
		fail_msg("%s: fails without a sandbox: %s", attempt->name, strerror(code));
	print_message("%s: not possible on this machine: %s\n", attempt->name, strerror(code));
	return false;
}

static void check_role(int role)
{
	for (size_t i = 0; i < attempts_count; i++) {
		int code;

		if (!(attempts[i].forbidden & role) || !is_real(&attempts[i]))
			continue;
		code = outcome(role, attempts[i].make);
		if (!is_refusal(code))
			fail_msg("%s can %s (%d)", names[role], attempts[i].name, code);
	}
}

static struct sandbox enter_and_tell(int role)
{
	struct sandbox *shared = unit_map(sizeof(*shared));
	struct sandbox told;
	pid_t self = getpid();
	pid_t child = fork();
	int status = 0;

	assert_true(child >= 0);
	if (child == 0) {
		unit_child_begin(self);
		_exit(enter[role](shared, NULL) < 0 ? EXIT_FAILURE : EXIT_SUCCESS);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
	told = *shared;
	unit_unmap(shared, sizeof(*shared));
	return told;
}

static void test_front_can_do_nothing_forbidden(void **state)
{
	(void)state;
	check_role(FRONT);
}

static void test_keys_can_do_nothing_forbidden(void **state)
{
	(void)state;
	check_role(KEYS);
}

static void test_admin_can_do_nothing_forbidden(void **state)
{
	(void)state;
	check_role(ADMIN);
}

static void test_the_call_filter_alone_refuses(void **state)
{
	(void)state;
	if (!enter_and_tell(KEYS).seccomp)
		unit_skip("no seccomp in this kernel");
	without_landlock = true;
	for (int role = FRONT; role <= ADMIN; role *= 2)
		check_role(role);
}

static void test_landlock_alone_refuses(void **state)
{
	int abi = enter_and_tell(KEYS).landlock;

	(void)state;
	if (abi == 0)
		unit_skip("no Landlock in this kernel");
	without_seccomp = true;
	for (size_t i = 0; i < attempts_count; i++) {
		if (attempts[i].landlock == 0 || attempts[i].landlock > abi ||
		    !is_real(&attempts[i]))
			continue;
		for (int role = FRONT; role <= ADMIN; role *= 2)
			if (!is_refusal(outcome(role, attempts[i].make)))
				fail_msg("%s can %s", names[role], attempts[i].name);
	}
}

/* What stands without either: looked at from inside, with calls that the filter would refuse. */
static int lacks_the_rest(void)
{
	static const int resources[] = {RLIMIT_CORE, RLIMIT_NPROC, RLIMIT_MSGQUEUE, RLIMIT_FSIZE};

	if (prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) != 1 || prctl(PR_GET_DUMPABLE) != 0)
		return -1;
	for (size_t i = 0; i < COUNT(resources); i++) {
		struct rlimit limit;

		if (getrlimit(resources[i], &limit) != 0 || limit.rlim_max != 0)
			return -2;
	}
	return 0;
}

static void test_privileges_dumps_and_limits_go_without_the_kernels_help(void **state)
{
	int saved = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 3);
	int null = open("/dev/null", O_WRONLY | O_CLOEXEC);
	int code[ADMIN + 1];

	(void)state;
	without_seccomp = without_landlock = true;
	/* Files may grow where the log is one. */
	assert_true(dup2(null, STDERR_FILENO) >= 0);
	for (int role = FRONT; role <= ADMIN; role *= 2)
		code[role] = outcome(role, lacks_the_rest);
	assert_true(dup2(saved, STDERR_FILENO) >= 0);
	(void)close(saved);
	(void)close(null);
	for (int role = FRONT; role <= ADMIN; role *= 2)
		assert_int_equal(code[role], 0);
}

static int logs(void)
{
	return write(STDERR_FILENO, "logged\n", 7) == 7 ? 0 : -EIO;
}

static void test_log_that_is_a_file_goes_on(void **state)
{
	struct capture capture;
	char *text;
	int code;

	(void)state;
	for (int role = FRONT; role <= ADMIN; role *= 2) {
		capture_begin(&capture);
		code = outcome(role, logs);
		text = capture_end(&capture);
		assert_int_equal(code, 0);
		assert_string_equal(text, "logged\n");
		free(text);
	}
}

static void test_what_is_missing_is_told_and_no_failure(void **state)
{
	struct sandbox sandbox;
	char text[SANDBOX_TEXT_MAX];

	(void)state;
	without_seccomp = without_landlock = true;
	sandbox = enter_and_tell(FRONT);
	assert_string_equal(
		sandbox.missing,
		"landlock (not in this kernel, or switched off), seccomp (Invalid argument)");
	sandbox_describe(&sandbox, text);
	assert_string_equal(text, "no_new_privs, not dumpable");
	without_seccomp = false;
	sandbox = enter_and_tell(FRONT);
	sandbox_describe(&sandbox, text);
	assert_string_equal(text, "seccomp, no_new_privs, not dumpable");
}

static void test_what_is_in_force_is_told(void **state)
{
	struct sandbox all = {true, true, true, 7, ""};
	struct sandbox none = {0};
	struct sandbox sandbox = enter_and_tell(FRONT);
	char text[SANDBOX_TEXT_MAX];

	(void)state;
	sandbox_describe(&all, text);
	assert_string_equal(text, "seccomp, landlock 7, no_new_privs, not dumpable");
	sandbox_describe(&none, text);
	assert_string_equal(text, "nothing yet");
	assert_true(sandbox.no_new_privs && sandbox.not_dumpable);
	assert_int_equal(*sandbox.missing == '\0', sandbox.seccomp && sandbox.landlock > 0);
}

/* A newer library must be able to fall back; a test run must find it. */
static void test_unknown_call_is_not_there_or_ends_the_process(void **state)
{
	(void)state;
	if (!enter_and_tell(KEYS).seccomp)
		unit_skip("no seccomp in this kernel");
	for (int role = FRONT; role <= ADMIN; role *= 2) {
#ifdef SANDBOX_KILLS
		assert_int_equal(outcome(role, makes_an_unknown_call), SIGNALLED + SIGSYS);
#else
		assert_int_equal(outcome(role, makes_an_unknown_call), ENOSYS);
#endif
		/* What libraries do by themselves is answered kindly in both. */
		assert_int_equal(outcome(role, opens_a_file), ENOENT);
		assert_int_equal(outcome(role, looks_at_a_file), ENOENT);
		assert_int_equal(outcome(role, makes_a_socket), EACCES);
	}
}

/* A socket that others serve after this process. */
static int listening = -1;

static int harms_the_listening_socket(void)
{
	const struct linger linger = {1, 0};
	/* What stands above the 32 bits of a descriptor is none of the kernel's business. */
	const long above = (long)((unsigned long)listening | 1UL << 40);

	if (shutdown(listening, SHUT_RDWR) == 0 || errno != EPERM)
		return -1;
	if (sizeof(long) > sizeof(int) &&
	    (syscall(SYS_shutdown, above, SHUT_RDWR) == 0 || errno != EPERM))
		return -2;
	if (setsockopt(listening, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger)) == 0)
		return -3;
	return fcntl(listening, F_SETFL, 0) == 0 ? -4 : 0;
}

static int guard_and_harm(int role)
{
	pid_t self = getpid();
	pid_t child = fork();
	int status = 0;

	assert_true(child >= 0);
	if (child == 0) {
		struct sandbox sandbox;

		unit_child_begin(self);
		if (sandbox_guard(&listening, 1) < 0 || enter[role](&sandbox, NULL) < 0)
			_exit(NOT_LOCKED_IN);
		_exit(-harms_the_listening_socket());
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	return WIFSIGNALED(status) ? SIGNALLED + WTERMSIG(status) : WEXITSTATUS(status);
}

/* Else the next front would have nothing to accept from. */
static void test_a_listening_socket_outlives_who_serves_it(void **state)
{
	struct sockaddr_in address = {.sin_family = AF_INET,
				      .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t length = sizeof(address);
	int client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	(void)state;
	if (!enter_and_tell(FRONT).seccomp)
		unit_skip("no seccomp in this kernel");
	listening = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	assert_int_equal(bind(listening, (struct sockaddr *)&address, sizeof(address)), 0);
	assert_int_equal(listen(listening, 5), 0);
	assert_int_equal(getsockname(listening, (struct sockaddr *)&address, &length), 0);
	assert_int_equal(guard_and_harm(FRONT), 0);
	assert_int_equal(guard_and_harm(ADMIN), 0);
	assert_int_equal(connect(client, (struct sockaddr *)&address, sizeof(address)), 0);
	(void)close(client);
	(void)close(listening);
}

static int begin(void **state)
{
	without_seccomp = without_landlock = false;
	return attempts_begin(state);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, begin, attempts_end)

int main(int argc, char *argv[])
{
	const struct CMUnitTest cases[] = {
		CASE(test_front_can_do_nothing_forbidden),
		CASE(test_keys_can_do_nothing_forbidden),
		CASE(test_admin_can_do_nothing_forbidden),
		CASE(test_the_call_filter_alone_refuses),
		CASE(test_landlock_alone_refuses),
		CASE(test_privileges_dumps_and_limits_go_without_the_kernels_help),
		CASE(test_log_that_is_a_file_goes_on),
		CASE(test_what_is_missing_is_told_and_no_failure),
		CASE(test_what_is_in_force_is_told),
		CASE(test_a_listening_socket_outlives_who_serves_it),
		CASE(test_unknown_call_is_not_there_or_ends_the_process),
	};

	unit_begin(argc, argv);
	return cmocka_run_group_tests_name("tangd_sandbox", cases, NULL, NULL);
}
