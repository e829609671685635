/* SPDX-License-Identifier: Apache-2.0 */
#include "cmd/clevis-tls/helper.h"

#include "base/file.h"
#include "base/log.h"
#include "base/secret.h"
#include "cmd/clevis-tls/relay.h"
#include "net/connect.h"
#include "net/proxy.h"
#include "net/tls.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { EXIT_USAGE = 2 };

struct task {
	struct net_url url;
	struct net_tls tls;
	struct net_proxy proxy;
	struct deadline deadline;
};

static int read_options(int argc, char *argv[], struct net_tls *tls)
{
	static const struct option options[] = {
		{"cacert", required_argument, NULL, 'a'},
		{"cert", required_argument, NULL, 'c'},
		{"key", required_argument, NULL, 'k'},
		{0},
	};
	int option;

	while ((option = getopt_long(argc, argv, "+", options, NULL)) != -1) {
		if (option == 'a')
			tls->cacert = optarg;
		else if (option == 'c')
			tls->cert = optarg;
		else if (option == 'k')
			tls->key = optarg;
		else
			return -EINVAL;
	}
	return 0;
}

static int read_task(int argc, char *argv[], struct task *task)
{
	char *end = NULL;
	long ms;

	if (read_options(argc, argv, &task->tls) < 0 || argc - optind != 3)
		return -EINVAL;
	if (strlen(argv[optind]) >= sizeof(task->url.host) ||
	    strlen(argv[optind + 1]) >= sizeof(task->url.port))
		return -EINVAL;
	task->url.secure = true;
	(void)snprintf(task->url.host, sizeof(task->url.host), "%s", argv[optind]);
	(void)snprintf(task->url.port, sizeof(task->url.port), "%s", argv[optind + 1]);
	ms = strtol(argv[optind + 2], &end, 10);
	if (*end || ms < 0)
		return -EINVAL;
	task->deadline = deadline_in_ms(ms);
	return 0;
}

static int connect_to(const struct task *task, struct net_connection *connection, struct error *err)
{
	const struct net_proxy *proxy = &task->proxy;
	int rc;

	if (!*proxy->host)
		return net_connect(task->url.host, task->url.port, task->deadline, connection, err);
	rc = net_connect(proxy->host, proxy->port, task->deadline, connection, err);
	if (rc < 0) {
		error_prefix(err, "the proxy ");
		return rc;
	}
	connection->allowed_ms = deadline_left_ms(task->deadline);
	return net_proxy_tunnel(connection, task->url.host, task->url.port, task->deadline, err);
}

/* `tang.example:443 (192.0.2.7:443): `, and `127.0.0.1:443: ` where there was nothing to look up. */
static void name_the_server(const struct task *task, const char *peer, struct error *err)
{
	char origin[NET_ORIGIN_MAX];

	net_print_origin(task->url.host, task->url.port, origin);
	if (strcmp(origin, peer) == 0)
		error_prefix(err, "%s: ", origin);
	else
		error_prefix(err, "%s (%s%s): ", origin, *task->proxy.host ? "proxy " : "", peer);
}

static int open_link(struct task *task, struct tls_link *link, struct error *err)
{
	int rc = tls_prepare(link, &task->tls, err);

	if (rc == 0)
		rc = net_proxy_find(&task->url, &task->proxy, err);
	if (rc == 0)
		rc = connect_to(task, &link->connection, err);
	if (rc < 0)
		return rc;
	rc = tls_handshake(link, task->url.host, task->deadline, err);
	if (rc < 0)
		name_the_server(task, link->connection.peer, err);
	return rc;
}

static int report(int code, const struct tls_link *link, const struct error *err)
{
	struct net_tls_report report = {.code = code};

	(void)snprintf(report.peer, sizeof(report.peer), "%s", link->connection.peer);
	(void)snprintf(report.text, sizeof(report.text), "%s", err->text);
	return fd_write_all(NET_TLS_REPORT, "pipe", &report, sizeof(report), NULL);
}

/* The parent says nothing any more once it is gone; in a folder of build results somebody may start us by hand. */
static bool is_started_rightly(void)
{
	return fcntl(NET_TLS_SOCKET, F_GETFD) >= 0 && fcntl(NET_TLS_REPORT, F_GETFD) >= 0;
}

static int serve(struct task *task)
{
	struct tls_link link = TLS_LINK_NONE;
	struct error err = {0};
	int rc = open_link(task, &link, &err);

	if (report(rc, &link, &err) < 0)
		rc = -EPIPE;
	if (rc == 0) {
		rc = tls_relay(&link, NET_TLS_SOCKET, &err);
		if (rc < 0) {
			name_the_server(task, link.connection.peer, &err);
			/* Before the socket closes, so that who sees it closed finds the reason. */
			(void)report(rc, &link, &err);
		}
	}
	tls_close(&link);
	return rc < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}

int tls_helper_main(int argc, char *argv[])
{
	struct task task = {0};

	fd_take_standard();
	log_open("clevis-tls");
	(void)signal(SIGPIPE, SIG_IGN);
	(void)signal(SIGCHLD, SIG_DFL);
	if (!is_started_rightly()) {
		log_error("this program speaks TLS for clevis, which starts it");
		return EXIT_USAGE;
	}
	if (read_task(argc, argv, &task) < 0) {
		log_error("not called as clevis calls it");
		return EXIT_USAGE;
	}
	/* It holds the client's private key and what is said inside TLS. */
	(void)secret_harden_process(NULL);
	return serve(&task);
}
