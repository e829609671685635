/* SPDX-License-Identifier: Apache-2.0 */
#include "tangd/sandbox.h"

#include "base/secret.h"
#include "tangd/sandbox_calls.h"

#include <errno.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <openssl/crypto.h>
#include <openssl/rand.h>

/*
 * Landlock as of Linux 6.18, landlock(7): a distribution's header may know less of it than its kernel. How many rights of each
 * kind an ABI has; a right is a bit, counted from the lowest.
 */
static const struct landlock_abi {
	unsigned files;	 /* from ABI 3 on truncating, from 5 on ioctl of devices */
	unsigned tcp;	 /* bind, connect */
	unsigned scopes; /* abstract UNIX sockets, signals */
} landlock_abis[] = {
	{0, 0, 0},  {13, 0, 0}, {14, 0, 0}, {15, 0, 0},
	{15, 2, 0}, {16, 2, 0}, {16, 2, 2}, {16, 2, 2},
};

enum { NEWEST_ABI = sizeof(landlock_abis) / sizeof(*landlock_abis) - 1, ASK_FOR_ABI = 1 };

/* struct landlock_ruleset_attr of the kernel; older ones take it as long as what they do not know is 0. */
struct landlock_ruleset {
	uint64_t files;
	uint64_t tcp;
	uint64_t scopes;
};

static uint64_t lowest(unsigned count)
{
	return ((uint64_t)1 << count) - 1;
}

/* Takes on a set of rules that handles every right and grants none. Returns the ABI or a negative code. */
static int restrict_by_landlock(void)
{
	long abi = syscall(SYS_landlock_create_ruleset, NULL, (size_t)0, ASK_FOR_ABI);
	struct landlock_ruleset rules;
	long fd;
	int rc = 0;

	if (abi <= 0)
		return abi == 0 ? -ENOSYS : -errno;
	if (abi > NEWEST_ABI)
		abi = NEWEST_ABI;
	rules = (struct landlock_ruleset){lowest(landlock_abis[abi].files),
					  lowest(landlock_abis[abi].tcp),
					  lowest(landlock_abis[abi].scopes)};
	fd = syscall(SYS_landlock_create_ruleset, &rules, sizeof(rules), 0);
	if (fd < 0)
		return -errno;
	if (syscall(SYS_landlock_restrict_self, (int)fd, 0) != 0)
		rc = -errno;
	(void)close((int)fd);
	return rc < 0 ? rc : (int)abi;
}

static void add_text(char text[static SANDBOX_TEXT_MAX], const char *name, const char *reason)
{
	size_t used = strlen(text);

	(void)snprintf(text + used, SANDBOX_TEXT_MAX - used, "%s%s%s%s%s", used ? ", " : "", name,
		       reason ? " (" : "", reason ? reason : "", reason ? ")" : "");
}

static void add_missing(struct sandbox *sandbox, const char *name, int code)
{
	add_text(sandbox->missing, name,
		 code == -ENOSYS || code == -EOPNOTSUPP ? "not in this kernel, or switched off"
							: strerror(-code));
}

/* What libraries read from files when they are first used, the time zone for the date in an answer for one. */
static void wake_libraries(void)
{
	unsigned char byte;

	tzset();
	(void)OPENSSL_init_crypto(OPENSSL_INIT_LOAD_CONFIG, NULL);
	(void)RAND_priv_bytes(&byte, 1);
}

#ifdef SANDBOX_SANITIZED
/*
 * The sanitizers look into /proc, and start a process for their last look at the memory. Nobody serves by such a build, so that nothing
 * is said to be missing.
 */
static void close_doors(struct sandbox *sandbox, enum sandbox_role role)
{
	(void)sandbox;
	(void)role;
	(void)restrict_by_landlock;
	(void)add_text;
}
#else
/* No process can be made, no message queue, and no file can grow, unless the log is one. */
static void set_limits(struct sandbox *sandbox)
{
	const struct rlimit none = {0};
	struct stat log;
	bool log_is_file = fstat(STDERR_FILENO, &log) == 0 && S_ISREG(log.st_mode);

	if (setrlimit(RLIMIT_NPROC, &none) != 0 || setrlimit(RLIMIT_MSGQUEUE, &none) != 0 ||
	    (!log_is_file && setrlimit(RLIMIT_FSIZE, &none) != 0))
		add_missing(sandbox, "limits", -errno);
}

static void close_doors(struct sandbox *sandbox, enum sandbox_role role)
{
	int rc;

	set_limits(sandbox);
	rc = restrict_by_landlock();
	if (rc > 0)
		sandbox->landlock = rc;
	else
		add_missing(sandbox, "landlock", rc);
	rc = sandbox_filter_calls(role);
	sandbox->seccomp = rc == 0;
	if (rc < 0)
		add_missing(sandbox, "seccomp", rc);
}
#endif

static int enter(struct sandbox *sandbox, enum sandbox_role role, struct error *err)
{
	struct sandbox made = {.no_new_privs = true};
	int rc;

	wake_libraries();
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
		return error_set(err, -errno, "no_new_privs is refused: %s", strerror(errno));
	rc = secret_harden_process(NULL);
	made.not_dumpable = rc == 0;
	if (rc < 0)
		add_missing(&made, "not dumpable", rc);
	close_doors(&made, role);
	*sandbox = made;
	return 0;
}

int sandbox_guard(const int *sockets, int count)
{
#ifdef SANDBOX_SANITIZED
	(void)sockets;
	(void)count;
	return 0;
#else
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
		return -errno;
	return sandbox_filter_sockets(sockets, count);
#endif
}

int front_sandbox(struct sandbox *sandbox, struct error *err)
{
	return enter(sandbox, SANDBOX_FRONT, err);
}

int keys_sandbox(struct sandbox *sandbox, struct error *err)
{
	return enter(sandbox, SANDBOX_KEYS, err);
}

int admin_sandbox(struct sandbox *sandbox, struct error *err)
{
	return enter(sandbox, SANDBOX_ADMIN, err);
}

void sandbox_describe(const struct sandbox *sandbox, char text[static SANDBOX_TEXT_MAX])
{
	char landlock[32];

	text[0] = '\0';
	(void)snprintf(landlock, sizeof(landlock), "landlock %d", sandbox->landlock);
	if (sandbox->seccomp)
		add_text(text, "seccomp", NULL);
	if (sandbox->landlock > 0)
		add_text(text, landlock, NULL);
	if (sandbox->no_new_privs)
		add_text(text, "no_new_privs", NULL);
	if (sandbox->not_dumpable)
		add_text(text, "not dumpable", NULL);
	if (!*text)
		add_text(text, "nothing yet", NULL);
}
