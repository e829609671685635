/* SPDX-License-Identifier: Apache-2.0 */
/* Unlocking many devices side by side. */
#include "base/file.h"
#include "base/log.h"
#include "base/program.h"
#include "base/secret.h"
#include "cmd/clevis/unlock.h"
#include "luks/luks.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/* How many devices are at work at a time: each has a process of a few megabytes. */
enum { AT_ONCE = 32 };

/* How a child ends that found no binding on its device. */
enum { EXIT_UNBOUND = 3 };

/* The child at work on a device. */
struct child {
	pid_t pid; /* 0: none */
	int fd;	   /* a pipe whose other end only the child holds: its end is seen here; -1: none */
	const char *path;
};

struct many {
	const struct unlocking *unlocking;
	struct pin_context *context;
	size_t failed;
	size_t *unbound;
	struct child child[AT_ONCE];
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

static void start(struct many *many, struct child *child, const char *path)
{
	struct error err = {0};
	int ends[2] = {-1, -1};

	*child = (struct child){-1, -1, path};
	if (pipe2(ends, O_CLOEXEC) == 0)
		child->pid = program_fork();
	if (child->pid == 0) {
		fd_close(&ends[0]);
		child_main(many, path);
	}
	if (child->pid > 0) {
		child->fd = ends[0];
		ends[0] = -1;
	} else {
		(void)error_set(&err, -errno, "cannot start a process: %s", strerror(errno));
		unlock_complain(many->unlocking, path, &err);
		many->failed++;
		child->pid = 0;
	}
	fd_close(&ends[0]);
	fd_close(&ends[1]);
}

/* Waits for a child. One that could not say how it went is spoken for. */
static void finish(struct many *many, struct child *child)
{
	struct error err = {0};
	int status = program_reap(child->pid);

	child->pid = 0;
	fd_close(&child->fd);
	if (WIFEXITED(status) && WEXITSTATUS(status) == EXIT_SUCCESS)
		return;
	if (many->unbound && WIFEXITED(status) && WEXITSTATUS(status) == EXIT_UNBOUND) {
		++*many->unbound;
		return;
	}
	many->failed++;
	if (WIFEXITED(status))
		return;
	(void)error_set(&err, -ECHILD, "%s: its process ended without a word", child->path);
	unlock_complain(many->unlocking, child->path, &err);
}

/* Waits until a place is free: that of any child that has ended, lest one slow device keep others waiting. NULL: none was taken. */
static struct child *finish_any(struct many *many)
{
	struct pollfd polled[AT_ONCE];
	int rc;

	for (size_t i = 0; i < AT_ONCE; i++)
		polled[i] = (struct pollfd){many->child[i].pid > 0 ? many->child[i].fd : -1, POLLIN,
					    0};
	do
		rc = poll(polled, AT_ONCE, -1);
	while (rc < 0 && errno == EINTR);
	for (size_t i = 0; i < AT_ONCE; i++) {
		if (many->child[i].pid <= 0 || (rc > 0 && !polled[i].revents))
			continue;
		finish(many, &many->child[i]);
		return &many->child[i];
	}
	return NULL;
}

static struct child *find_free(struct many *many)
{
	for (size_t i = 0; i < AT_ONCE; i++)
		if (many->child[i].pid == 0)
			return &many->child[i];
	return NULL;
}

static bool is_any_at_work(const struct many *many)
{
	for (size_t i = 0; i < AT_ONCE; i++)
		if (many->child[i].pid > 0)
			return true;
	return false;
}

size_t unlock_many(const struct unlocking *unlocking, const char *const paths[], size_t count,
		   struct pin_context *context, size_t *unbound)
{
	struct many many = {.unlocking = unlocking, .context = context};

	many.unbound = unbound;
	net_session_share(context->session);
	luks_prepare();
	for (size_t i = 0; i < count; i++) {
		struct child *place = find_free(&many);

		start(&many, place ? place : finish_any(&many), paths[i]);
	}
	while (is_any_at_work(&many))
		(void)finish_any(&many);
	return many.failed;
}
