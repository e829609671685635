/* SPDX-License-Identifier: Apache-2.0 */
#include "tangd/admin_process.h"

#include "base/log.h"
#include "tangd/admin.h"
#include "tangd/connections.h"
#include "tangd/listen.h"
#include "tangd/sandbox.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <microhttpd.h>

/* Few ask, and briefly. */
enum { CONNECTIONS_MOST = 64, IDLE_S = 10, MEMORY_PER_CONNECTION = 8 * 1024 };

/* More that are let in while others give way. */
enum { SURPLUS_MOST = 16 };

/* How often to look for connections whose time is over. */
enum { SWEEP_MS = 1000 };

struct admin {
	const struct admin_process *process;
	struct sandbox sandbox;
	struct MHD_Daemon *daemon[LISTEN_SOCKETS_MAX];
	struct connections *connections; /* of all of them */
	struct report report;		 /* too large for the stack */
};

struct page {
	unsigned status;
	const char *type;
	char *body; /* malloc'd; NULL: none */
};

static struct page health(const struct admin *admin)
{
	const char *complaint = admin_complaint(&admin->report);
	char *body = strdup(complaint ? complaint : "ok");

	return (struct page){complaint ? MHD_HTTP_SERVICE_UNAVAILABLE : MHD_HTTP_OK, "text/plain",
			     body};
}

static struct page metrics(const struct admin *admin)
{
	return (struct page){MHD_HTTP_OK, "text/plain; version=0.0.4",
			     admin_metrics(&admin->report, admin->process->fronts)};
}

static struct page status(const struct admin *admin)
{
	return (struct page){MHD_HTTP_OK, "application/json",
			     admin_status(&admin->report, admin->process->fronts, &admin->sandbox)};
}

static struct page find_page(struct admin *admin, const char *method, const char *path)
{
	static const struct {
		const char *path;
		struct page (*make)(const struct admin *admin);
	} pages[] = {{"/healthz", health}, {"/metrics", metrics}, {"/status", status}};

	for (size_t i = 0; i < sizeof(pages) / sizeof(*pages); i++) {
		struct page page;

		if (strcmp(path, pages[i].path) != 0)
			continue;
		if (strcmp(method, "GET") != 0 && strcmp(method, "HEAD") != 0)
			return (struct page){.status = MHD_HTTP_METHOD_NOT_ALLOWED};
		if (!board_read(admin->process->board, &admin->report))
			return (struct page){.status = MHD_HTTP_SERVICE_UNAVAILABLE};
		page = pages[i].make(admin);
		if (!page.body)
			page.status = MHD_HTTP_INTERNAL_SERVER_ERROR;
		return page;
	}
	return (struct page){.status = MHD_HTTP_NOT_FOUND};
}

static enum MHD_Result send_page(struct MHD_Connection *connection, const struct page *page)
{
	struct MHD_Response *response = MHD_create_response_from_buffer(
		page->body ? strlen(page->body) : 0, page->body, MHD_RESPMEM_MUST_FREE);
	enum MHD_Result result;

	if (!response) {
		free(page->body);
		return MHD_NO;
	}
	if (page->body)
		(void)MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, page->type);
	result = MHD_queue_response(connection, page->status, response);
	MHD_destroy_response(response);
	return result;
}

static enum MHD_Result handle(void *arg, struct MHD_Connection *connection, const char *url,
			      const char *method, const char *version, const char *data,
			      size_t *size, void **context)
{
	static int seen;
	struct page page;

	(void)version;
	(void)data;
	/* The first call is for the head, before a body; whatever that holds is read and forgotten. */
	if (!*context) {
		*context = &seen;
		return MHD_YES;
	}
	if (*size > 0) {
		*size = 0;
		return MHD_YES;
	}
	page = find_page(arg, method, url);
	return send_page(connection, &page);
}

/* Whoever holds all connections keeps nobody out: an answer takes a moment, and the oldest gives way. */
static void watch_connection(void *arg, struct MHD_Connection *connection, void **context,
			     enum MHD_ConnectionNotificationCode code)
{
	struct admin *admin = arg;
	const union MHD_ConnectionInfo *info;

	if (code != MHD_CONNECTION_NOTIFY_STARTED) {
		connections_remove(admin->connections, *context);
		*context = NULL;
		return;
	}
	info = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);
	if (info)
		*context = connections_add(admin->connections, info->connect_fd, NULL);
}

static int start(struct admin *admin)
{
	const struct admin_process *process = admin->process;
	struct error err = {0};
	int rc = privileges_drop(process->privileges, &err);

	if (rc < 0) {
		log_error("%s", err.text);
		return rc;
	}
	admin->connections = connections_new(CONNECTIONS_MOST);
	if (!admin->connections)
		return -ENOMEM;
	for (int i = 0; i < process->count && i < LISTEN_SOCKETS_MAX; i++) {
		admin->daemon[i] = MHD_start_daemon(
			MHD_USE_EPOLL, 0, NULL, NULL, handle, admin, MHD_OPTION_LISTEN_SOCKET,
			process->listening[i], MHD_OPTION_CONNECTION_LIMIT,
			(unsigned)(CONNECTIONS_MOST + SURPLUS_MOST), MHD_OPTION_NOTIFY_CONNECTION,
			watch_connection, admin, MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)IDLE_S,
			MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)MEMORY_PER_CONNECTION,
			MHD_OPTION_END);
		if (!admin->daemon[i]) {
			log_error("the HTTP library does not start");
			return -EIO;
		}
	}
	return 0;
}

static int epoll_of(struct MHD_Daemon *daemon)
{
	return MHD_get_daemon_info(daemon, MHD_DAEMON_INFO_EPOLL_FD)->epoll_fd;
}

static void run(struct admin *admin)
{
	int count = admin->process->count;
	struct pollfd polled[LISTEN_SOCKETS_MAX + 1];

	for (int i = 0; i < count; i++)
		polled[i] = (struct pollfd){epoll_of(admin->daemon[i]), POLLIN, 0};
	polled[count] = (struct pollfd){admin->process->orders, POLLIN, 0};
	while (polled[count].revents == 0) {
		(void)poll(polled, (nfds_t)count + 1, SWEEP_MS);
		for (int i = 0; i < count; i++)
			(void)MHD_run(admin->daemon[i]);
		connections_sweep(admin->connections);
	}
}

static int lock_in(const struct admin_process *process, struct sandbox *sandbox)
{
	struct error err = {0};
	int rc;

	(void)sandbox_guard(process->listening, process->count);
	rc = admin_sandbox(sandbox, &err);
	if (rc < 0)
		log_error("%s", err.text);
	else if (*sandbox->missing)
		log_warning("the admin process goes without part of its sandbox: %s",
			    sandbox->missing);
	return rc;
}

int admin_process_run(const struct admin_process *process)
{
	struct admin *admin = calloc(1, sizeof(*admin));
	int rc = admin ? 0 : -ENOMEM;

	(void)signal(SIGPIPE, SIG_IGN);
	if (rc == 0) {
		admin->process = process;
		rc = start(admin);
	}
	if (rc == 0)
		rc = lock_in(process, &admin->sandbox);
	if (rc == 0)
		run(admin);
	for (int i = 0; admin && i < LISTEN_SOCKETS_MAX; i++)
		if (admin->daemon[i])
			MHD_stop_daemon(admin->daemon[i]);
	if (admin)
		connections_free(&admin->connections);
	free(admin);
	return rc == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
