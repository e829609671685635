/* SPDX-License-Identifier: Apache-2.0 */
#include "net/tls.h"

#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

_Static_assert(sizeof(struct net_tls_report) <= 4096, "a report must fit one write to a pipe");

/* The helper obeys the deadline itself and says more about it; it is waited for this much longer. */
enum { GRACE_MS = 500, ABOVE_THE_HELPERS = 10, ARGUMENTS_MAX = 16 };

static const char *helper_for_tests;

void net_tls_set_helper(const char *path)
{
	helper_for_tests = path;
}

/* Writes `relative`, as seen from the folder of this program. Returns whether a program is there. */
static bool is_beside_us(const char *relative, char path[static PATH_MAX])
{
	char own[PATH_MAX];
	ssize_t length = readlink("/proc/self/exe", own, sizeof(own) - 1);
	int printed;

	if (length <= 0)
		return false;
	own[length] = '\0';
	printed = snprintf(path, PATH_MAX, "%.*s/%s", (int)(strrchr(own, '/') - own), own,
			   relative);
	return printed > 0 && printed < PATH_MAX && access(path, X_OK) == 0;
}

/* Beside us in a build folder; else where it is installed, also when all of that was moved elsewhere. */
static int find_helper(char path[static PATH_MAX], struct error *err)
{
	static const char installed[] = NBDE_LIBEXECDIR "/clevis-tls";

	if (helper_for_tests) {
		(void)snprintf(path, PATH_MAX, "%s", helper_for_tests);
		return 0;
	}
	if (is_beside_us("clevis-tls", path) ||
	    (*NBDE_LIBEXECDIR_FROM_BINDIR &&
	     is_beside_us(NBDE_LIBEXECDIR_FROM_BINDIR "/clevis-tls", path)))
		return 0;
	(void)snprintf(path, PATH_MAX, "%s", installed);
	if (access(path, X_OK) != 0)
		return error_set(err, -ENOTSUP,
				 "https needs the helper clevis-tls, which is not installed (%s)",
				 path);
	return 0;
}

struct arguments {
	size_t count;
	const char *list[ARGUMENTS_MAX];
};

static void add(struct arguments *arguments, const char *option, const char *value)
{
	if (!value)
		return;
	if (option)
		arguments->list[arguments->count++] = option;
	arguments->list[arguments->count++] = value;
	arguments->list[arguments->count] = NULL;
}

/* Descriptors that the two processes share, child's ends first. */
struct ends {
	int socket[2];
	int report[2];
};

static void close_ends(struct ends *ends)
{
	for (size_t i = 0; i < 2; i++) {
		fd_close(&ends->socket[i]);
		fd_close(&ends->report[i]);
	}
}

static int make_ends(struct ends *ends, struct error *err)
{
	int report[2];

	*ends = (struct ends){{-1, -1}, {-1, -1}};
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends->socket) != 0)
		return error_set(err, -errno, "no socket to be had: %s", strerror(errno));
	if (pipe2(report, O_CLOEXEC | O_NONBLOCK) != 0) {
		(void)error_set(err, -errno, "no pipe to be had: %s", strerror(errno));
		close_ends(ends);
		return err ? err->code : -EMFILE;
	}
	ends->report[0] = report[1];
	ends->report[1] = report[0];
	return 0;
}

/* Puts the descriptors where the helper looks for them, standard input and output out of its reach, and closes all else. */
static bool place_descriptors(const struct ends *ends)
{
	int socket_fd = fcntl(ends->socket[0], F_DUPFD_CLOEXEC, ABOVE_THE_HELPERS);
	int report_fd = fcntl(ends->report[0], F_DUPFD_CLOEXEC, ABOVE_THE_HELPERS);
	int null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);

	if (socket_fd < 0 || report_fd < 0 || null_fd < 0 || dup2(null_fd, STDIN_FILENO) < 0 ||
	    dup2(null_fd, STDOUT_FILENO) < 0 || dup2(socket_fd, NET_TLS_SOCKET) < 0 ||
	    dup2(report_fd, NET_TLS_REPORT) < 0)
		return false;
	/* Messages must not go where the next descriptor to be opened leads. */
	if (fcntl(STDERR_FILENO, F_GETFD) < 0)
		(void)dup2(null_fd, STDERR_FILENO);
	/* What somebody left open for us is not for it either; a kernel too old to know the call loses nothing of ours. */
	(void)close_range(NET_TLS_REPORT + 1, ~0U, 0);
	return true;
}

static void become_helper(const struct ends *ends, pid_t parent, const char *path,
			  const struct arguments *arguments)
{
	struct net_tls_report report = {.code = -ENOEXEC};

	if (prctl(PR_SET_PDEATHSIG, SIGKILL) != 0 || getppid() != parent ||
	    !place_descriptors(ends))
		_exit(EXIT_FAILURE);
	(void)execv(path, (char *const *)arguments->list);
	(void)snprintf(report.text, sizeof(report.text), "cannot start %.900s: %s", path,
		       strerror(errno));
	(void)fd_write_all(NET_TLS_REPORT, "pipe", &report, sizeof(report), NULL);
	_exit(EXIT_FAILURE);
}

static int start(const char *path, const struct arguments *arguments,
		 struct net_connection *connection, struct error *err)
{
	pid_t parent = getpid();
	struct ends ends;
	int rc = make_ends(&ends, err);

	if (rc < 0)
		return rc;
	connection->helper = fork();
	if (connection->helper == 0)
		become_helper(&ends, parent, path, arguments);
	if (connection->helper < 0) {
		rc = error_set(err, -errno, "cannot fork: %s", strerror(errno));
		connection->helper = 0;
	} else {
		connection->fd = ends.socket[1];
		connection->report = ends.report[1];
		ends.socket[1] = -1;
		ends.report[1] = -1;
	}
	close_ends(&ends);
	return rc;
}

/* Returns whether a report was there. */
static bool read_report(const struct net_connection *connection, struct net_tls_report *report)
{
	ssize_t got;

	do
		got = read(connection->report, report, sizeof(*report));
	while (got < 0 && errno == EINTR);
	if (got != (ssize_t)sizeof(*report) || report->code > 0)
		return false;
	report->peer[sizeof(report->peer) - 1] = '\0';
	report->text[sizeof(report->text) - 1] = '\0';
	return true;
}

static int wait_for_verdict(const char *path, struct net_connection *connection,
			    struct deadline deadline, struct error *err)
{
	struct deadline late = deadline_in_ms((int64_t)deadline_left_ms(deadline) + GRACE_MS);
	struct net_tls_report report;
	int allowed = deadline_left_ms(late);
	int rc = net_wait(connection->report, POLLIN, late);

	if (rc < 0)
		return net_explain(rc, connection->peer, allowed, err);
	if (!read_report(connection, &report))
		return error_set(err, -EIO, "%s ended without a word", path);
	if (report.code < 0)
		return error_set(err, report.code, "%s", report.text);
	(void)snprintf(connection->peer, sizeof(connection->peer), "%s", report.peer);
	return 0;
}

int net_tls_open(const struct net_url *url, const struct net_tls *tls, struct deadline deadline,
		 struct net_connection *connection, struct error *err)
{
	struct net_connection opened = NET_CONNECTION_NONE;
	struct arguments arguments = {0};
	char path[PATH_MAX];
	char ms[16];
	int rc = find_helper(path, err);

	if (rc < 0)
		return rc;
	(void)snprintf(ms, sizeof(ms), "%d", deadline_left_ms(deadline));
	(void)snprintf(opened.peer, sizeof(opened.peer), "%.70s:%s", url->host, url->port);
	add(&arguments, NULL, "clevis-tls");
	add(&arguments, "--cacert", tls->cacert);
	add(&arguments, "--cert", tls->cert);
	add(&arguments, "--key", tls->key);
	add(&arguments, "--", url->host);
	add(&arguments, NULL, url->port);
	add(&arguments, NULL, ms);
	rc = start(path, &arguments, &opened, err);
	if (rc == 0)
		rc = wait_for_verdict(path, &opened, deadline, err);
	if (rc < 0)
		net_close(&opened);
	else
		*connection = opened;
	return rc;
}

int net_tls_report(const struct net_connection *connection, struct error *err)
{
	struct net_tls_report report;

	if (connection->helper == 0 || !read_report(connection, &report) || report.code == 0)
		return 0;
	return error_set(err, report.code, "%s", report.text);
}
