/* SPDX-License-Identifier: Apache-2.0 */
/* Unlocking many devices side by side. */
#include "base/log.h"
#include "base/program.h"
#include "base/secret.h"
#include "cmd/clevis/unlock.h"
#include "luks/luks.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/* How many devices are at work at a time: each has a process of a few megabytes. */
enum { AT_ONCE = 32 };

/* How a child ends that found no binding on its device. */
enum { EXIT_UNBOUND = 3 };

struct many {
	const struct unlocking *unlocking;
	struct pin_context *context;
	size_t failed;
	size_t *unbound;
};

static void child_main(const struct many *many, const char *path)
{
	struct error err = {0};
	struct pin_context context = *many->context;
	bool unbound = false;

	secret_after_fork();
	context.err = &err;
	context.session = net_session_in_child(context.session);
	if (unlock_device(many->unlocking, path, &context, many->unbound ? &unbound : NULL) < 0) {
		unlock_complain(many->unlocking, path, &err);
		_exit(EXIT_FAILURE);
	}
	_exit(unbound ? EXIT_UNBOUND : EXIT_SUCCESS);
}

/* Returns the child's id, or -1 when there is none: then it has been said. */
static pid_t start(struct many *many, const char *path)
{
	struct error err = {0};
	pid_t pid = program_fork();

	if (pid == 0)
		child_main(many, path);
	if (pid > 0)
		return pid;
	(void)error_set(&err, -errno, "cannot start a process: %s", strerror(errno));
	unlock_complain(many->unlocking, path, &err);
	many->failed++;
	return -1;
}

/* Waits for a child. One that could not say how it went is spoken for. */
static void finish(struct many *many, pid_t pid, const char *path)
{
	struct error err = {0};
	int status;

	if (pid < 0)
		return;
	status = program_reap(pid);
	if (WIFEXITED(status) && WEXITSTATUS(status) == EXIT_SUCCESS)
		return;
	if (many->unbound && WIFEXITED(status) && WEXITSTATUS(status) == EXIT_UNBOUND) {
		++*many->unbound;
		return;
	}
	many->failed++;
	if (WIFEXITED(status))
		return;
	(void)error_set(&err, -ECHILD, "%s: its process ended without a word", path);
	unlock_complain(many->unlocking, path, &err);
}

size_t unlock_many(const struct unlocking *unlocking, const char *const paths[], size_t count,
		   struct pin_context *context, size_t *unbound)
{
	struct many many = {.unlocking = unlocking, .context = context};
	pid_t pids[AT_ONCE];

	many.unbound = unbound;
	net_session_share(context->session);
	luks_prepare();
	/* Whose turn it is takes the place of the one that has been there longest. */
	for (size_t i = 0; i < count; i++) {
		if (i >= AT_ONCE)
			finish(&many, pids[i % AT_ONCE], paths[i - AT_ONCE]);
		pids[i % AT_ONCE] = start(&many, paths[i]);
	}
	for (size_t i = count > AT_ONCE ? count - AT_ONCE : 0; i < count; i++)
		finish(&many, pids[i % AT_ONCE], paths[i]);
	return many.failed;
}
