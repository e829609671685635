/* SPDX-License-Identifier: Apache-2.0 */
/* net/session.c and net/http.c: connections that serve again, those that must not, and where redirects lead. */
#include "server.h"

#include "net/net.h"
#include "net/session.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

enum { REPLY_MAX = 1000, ANSWERS_MAX = 4 };

/* What the server says to each request of a connection, and what it saw; shared with it. */
struct script {
	const char *answers[ANSWERS_MAX]; /* NULL: closes in place of answering */
	int closes_after;		  /* so many requests; 0: does not */
	int connections;
	int requests;
	volatile int late;   /* answers that nobody asked for, sent */
	volatile bool taken; /* the reply is the client's */
	struct talk_request last;
};

#define OK_REPLY "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"

/* Reads a request into script->last, which keeps the one before when there is none. */
static bool read_into(int fd, struct script *script)
{
	struct talk_request request;

	if (!talk_read_request(fd, &request))
		return false;
	script->last = request;
	script->last.body = NULL; /* it points elsewhere */
	return true;
}

static void talk_script(int fd, void *arg)
{
	struct script *script = arg;
	script->connections++;
	while (read_into(fd, script)) {
		int at = script->requests++;
		const char *answer = at < ANSWERS_MAX ? script->answers[at] : NULL;

		if (!answer)
			return;
		talk_text(fd, answer);
		if (script->requests == script->closes_after)
			return;
	}
}

static struct script *script_new(const char *first, const char *second, const char *third)
{
	struct script *script = unit_map(sizeof(*script));

	script->answers[0] = first;
	script->answers[1] = second;
	script->answers[2] = third;
	return script;
}

static int ask(struct net_session *session, const char *method, const char *url, struct error *err)
{
	struct net_request request = {.method = method,
				      .url = url,
				      .content_type = "text/plain",
				      .body = strcmp(method, "POST") == 0 ? "body" : NULL,
				      .body_size = strcmp(method, "POST") == 0 ? 4 : 0,
				      .reply_max = REPLY_MAX};
	struct net_reply reply = {0};
	int rc = net_http(session, &request, deadline_in_ms(5000), &reply, err);

	free(reply.body);
	return rc < 0 ? rc : (int)reply.status;
}

/* Asks twice. */
static void ask_twice(struct script *script, bool with_session, int codes[2])
{
	struct net_session *session = with_session ? net_session_new() : NULL;
	SERVER_AUTO struct server server = {0};

	server_start(&server, talk_script, script);
	codes[0] = ask(session, "POST", server.url, NULL);
	(void)poll(NULL, 0, 20); /* a server that closes has closed by now */
	codes[1] = ask(session, "POST", server.url, NULL);
	net_session_free(&session);
	assert_null(session);
}

static void test_second_request_goes_over_the_first_ones_connection(void **state)
{
	struct script *script = script_new(OK_REPLY, OK_REPLY, NULL);
	int codes[2];

	(void)state;
	ask_twice(script, true, codes);
	assert_int_equal(codes[0], 200);
	assert_int_equal(codes[1], 200);
	assert_int_equal(script->connections, 1);
	assert_int_equal(script->requests, 2);
	assert_null(strcasestr(script->last.text, "\r\nConnection:"));
	unit_unmap(script, sizeof(*script));
}

static void test_without_a_session_each_has_its_own(void **state)
{
	struct script *script = script_new(OK_REPLY, OK_REPLY, NULL);
	int codes[2];

	(void)state;
	ask_twice(script, false, codes);
	assert_int_equal(codes[1], 200);
	assert_int_equal(script->connections, 2);
	assert_non_null(strstr(script->last.text, "\r\nConnection: close\r\n"));
	unit_unmap(script, sizeof(*script));
}

static void test_connections_that_must_not_serve_again(void **state)
{
	static const char *const rows[] = {
		"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok",
		"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nconnection: X, Close\r\n\r\nok",
		"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok",
		OK_REPLY "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nforged",
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct script *script = script_new(rows[i], OK_REPLY, OK_REPLY);
		int codes[2];

		ask_twice(script, true, codes);
		unit_check(codes[0] == 200 && codes[1] == 200, rows[i]);
		unit_check(script->connections == 2 && script->requests == 2, rows[i]);
		unit_unmap(script, sizeof(*script));
	}
}

/* Late bytes that nobody asked for must not be taken for the reply to what is asked next. */
static void talk_forged_late(int fd, void *arg)
{
	struct script *script = arg;

	script->connections++;
	while (read_into(fd, script)) {
		script->requests++;
		talk_text(fd, OK_REPLY);
		/* Not with the reply, which would be another matter. */
		for (int ms = 0; !script->taken && ms < 5000; ms++)
			(void)poll(NULL, 0, 1);
		talk_text(fd, "HTTP/1.1 404 Forged\r\nContent-Length: 0\r\n\r\n");
		script->late++;
	}
}

static void test_what_nobody_asked_for_is_no_reply(void **state)
{
	struct script *script = script_new(NULL, NULL, NULL);
	struct net_session *session = net_session_new();
	SERVER_AUTO struct server server = {0};

	(void)state;
	server_start(&server, talk_forged_late, script);
	assert_int_equal(ask(session, "GET", server.url, NULL), 200);
	script->taken = true;
	for (int ms = 0; script->late == 0 && ms < 5000; ms++)
		(void)poll(NULL, 0, 1);
	assert_int_equal(script->late, 1);
	assert_int_equal(ask(session, "GET", server.url, NULL), 200);
	assert_int_equal(script->connections, 2);
	net_session_free(&session);
	unit_unmap(script, sizeof(*script));
}

static void talk_once(int fd, void *arg)
{
	struct script *script = arg;

	script->connections++;
	if (read_into(fd, script))
		talk_text(fd, OK_REPLY);
}

static void test_connection_closed_while_it_waited_is_replaced(void **state)
{
	struct script *script = script_new(NULL, NULL, NULL);
	struct net_session *session = net_session_new();
	SERVER_AUTO struct server server = {0};

	(void)state;
	server_start(&server, talk_once, script);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(ask(session, "POST", server.url, NULL), 200);
		(void)poll(NULL, 0, 20);
	}
	assert_int_equal(script->connections, 3);
	net_session_free(&session);
	unit_unmap(script, sizeof(*script));
}

static void test_connection_closed_as_the_request_comes_is_tried_anew_once(void **state)
{
	struct script *script = script_new(OK_REPLY, NULL, OK_REPLY);
	int codes[2];

	(void)state;
	ask_twice(script, true, codes);
	assert_int_equal(codes[1], 200);
	assert_int_equal(script->connections, 2);
	assert_int_equal(script->requests, 3);
	unit_unmap(script, sizeof(*script));

	script = script_new(OK_REPLY, NULL, NULL);
	ask_twice(script, true, codes);
	assert_int_equal(codes[1], -EBADMSG);
	assert_int_equal(script->requests, 3);
	unit_unmap(script, sizeof(*script));
}

static void test_reply_that_has_begun_is_not_asked_for_again(void **state)
{
	struct script *script = script_new(OK_REPLY, "HTTP/1.1 503 Half", OK_REPLY);
	int codes[2];

	(void)state;
	script->closes_after = 2;
	ask_twice(script, true, codes);
	assert_int_equal(codes[1], -EBADMSG);
	assert_int_equal(script->requests, 2);
	unit_unmap(script, sizeof(*script));
}

/* Puts one end of a socket pair into the session, and returns the other. */
static int put_pair(struct net_session *session, const char *name, pid_t helper)
{
	struct net_connection connection = NET_CONNECTION_NONE;
	int ends[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
	connection.fd = ends[0];
	connection.helper = helper;
	session_put(session, name, &connection);
	assert_int_equal(connection.fd, -1);
	return ends[1];
}

static bool is_closed(int fd)
{
	char byte;

	return recv(fd, &byte, 1, MSG_DONTWAIT) == 0;
}

static void test_a_few_connections_wait_and_the_oldest_gives_way(void **state)
{
	struct net_session *session = net_session_new();
	struct net_connection connection;
	int ends[SESSION_IDLE_MAX + 1];

	(void)state;
	for (int i = 0; i <= SESSION_IDLE_MAX; i++) {
		char name[2] = {(char)('a' + i), '\0'};

		ends[i] = put_pair(session, name, 0);
	}
	assert_true(is_closed(ends[0]));
	assert_false(is_closed(ends[1]));
	assert_false(session_take(session, "a", &connection));
	assert_true(session_take(session, "c", &connection));
	assert_false(session_take(session, "c", &connection));
	net_close(&connection);
	assert_true(is_closed(ends[2]));
	net_session_free(&session);
	for (int i = 0; i <= SESSION_IDLE_MAX; i++) {
		assert_true(is_closed(ends[i]));
		(void)close(ends[i]);
	}
}

/* What a child sees of the session: nothing any more, and what it had inherited is closed. */
static int forget_and_look(void *arg)
{
	struct net_session *session = arg;
	struct net_connection connection;
	int before = dup(STDERR_FILENO);
	int after;

	(void)close(before);
	(void)net_session_in_child(session);
	after = dup(STDERR_FILENO);
	return session_take(session, "name", &connection) ? 1 : after < before ? 0 : 2;
}

static void test_child_forgets_and_the_parent_keeps(void **state)
{
	struct net_session *session = net_session_new();
	struct net_connection connection = NET_CONNECTION_NONE;
	pid_t self = getpid();
	pid_t helper = fork();
	int end;

	(void)state;
	if (helper == 0) {
		unit_child_begin(self);
		(void)pause();
		_exit(EXIT_SUCCESS);
	}
	end = put_pair(session, "name", helper);
	assert_int_equal(unit_in_child(forget_and_look, session), 0);
	for (int i = 0; i < 30; i++) { /* it lives, also when a signal has had time to arrive */
		assert_int_equal(waitpid(helper, NULL, WNOHANG), 0);
		(void)poll(NULL, 0, 10);
	}
	assert_true(session_take(session, "name", &connection));
	net_close(&connection);
	assert_int_equal(waitpid(helper, NULL, 0), -1); /* ended, and reaped */
	net_session_free(&session);
	(void)close(end);
}

/* A server of redirects: /NNN answers with that status and the location `/final`, /to/X with the location X. */
static void talk_redirect(int fd, void *arg)
{
	struct script *script = arg;
	struct talk_request *request = &script->last;
	char answer[512];

	while (read_into(fd, script)) {
		const char *place = "/final";
		int status = (int)strtol(request->target + 1, NULL, 10);

		script->requests++;
		if (strncmp(request->target, "/to/", 4) == 0)
			place = request->target + 4;
		if (status == 0 && place[0] == '/' && strcmp(request->target, "/final") == 0) {
			talk_text(fd, OK_REPLY);
			continue;
		}
		(void)snprintf(answer, sizeof(answer),
			       "HTTP/1.1 %d X\r\nLocation: %s\r\nContent-Length: 0\r\n\r\n",
			       status ? status : 302, place);
		talk_text(fd, answer);
	}
}

static void test_redirects_keep_method_and_body(void **state)
{
	static const struct {
		const char *method;
		int status;
		int result;
	} rows[] = {
		{"GET", 301, 200},  {"GET", 302, 200},	{"GET", 303, 200},  {"GET", 307, 200},
		{"GET", 308, 200},  {"POST", 301, 200}, {"POST", 302, 200}, {"POST", 307, 200},
		{"POST", 308, 200}, {"POST", 303, 303}, {"GET", 300, 300},  {"GET", 304, 304},
		{"GET", 305, 305},  {"POST", 201, 201},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct script *script = script_new(NULL, NULL, NULL);
		SERVER_AUTO struct server server = {0};
		char url[128];

		server_start(&server, talk_redirect, script);
		(void)snprintf(url, sizeof(url), "%s/%d", server.url, rows[i].status);
		unit_check(ask(NULL, rows[i].method, url, NULL) == rows[i].result, url);
		if (rows[i].result == 200) {
			unit_check(strcmp(script->last.method, rows[i].method) == 0, url);
			unit_check(script->last.body_size == (*rows[i].method == 'P' ? 4 : 0), url);
		}
		unit_unmap(script, sizeof(*script));
	}
}

static void test_redirects_without_end_are_given_up(void **state)
{
	struct script *script = script_new(NULL, NULL, NULL);
	SERVER_AUTO struct server server = {0};
	struct error err = {0};
	char url[256];

	(void)state;
	server_start(&server, talk_redirect, script);
	/* Each step takes one `/to/` away. */
	(void)snprintf(url, sizeof(url), "%s/to//to//to//to//to//final", server.url);
	assert_int_equal(ask(NULL, "GET", url, NULL), 200);
	assert_int_equal(script->requests, 6);
	(void)snprintf(url, sizeof(url), "%s/to//to//to//to//to//to//final", server.url);
	assert_int_equal(ask(NULL, "GET", url, &err), -EBADMSG);
	assert_non_null(strstr(err.text, "127.0.0.1:"));
	assert_non_null(strstr(err.text, "redirects"));
	assert_int_equal(script->requests, 12);
	unit_unmap(script, sizeof(*script));
}

static void test_redirect_to_what_is_no_place_is_an_error(void **state)
{
	static const char *const rows[] = {"ftp://h/", "file:///etc/passwd", "http://u@h/",
					   "http://"};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct script *script = script_new(NULL, NULL, NULL);
		SERVER_AUTO struct server server = {0};
		struct error err = {0};
		char url[256];

		server_start(&server, talk_redirect, script);
		(void)snprintf(url, sizeof(url), "%s/to/%s", server.url, rows[i]);
		unit_check(ask(NULL, "GET", url, &err) == -EBADMSG, rows[i]);
		unit_check(strstr(err.text, "redirects to a place") != NULL, rows[i]);
		unit_unmap(script, sizeof(*script));
	}
}

static void test_retry_after_is_handed_on(void **state)
{
	struct script *script = script_new(
		"HTTP/1.1 503 Busy\r\nRetry-After: 7\r\nContent-Length: 0\r\n\r\n", NULL, NULL);
	SERVER_AUTO struct server server = {0};
	struct net_request request = {.method = "GET", .reply_max = REPLY_MAX};
	struct net_reply reply = {0};

	(void)state;
	server_start(&server, talk_script, script);
	request.url = server.url;
	assert_int_equal(net_http(NULL, &request, deadline_in_ms(5000), &reply, NULL), 0);
	assert_int_equal(reply.status, 503);
	assert_int_equal(reply.retry_after_s, 7);
	free(reply.body);
	unit_unmap(script, sizeof(*script));
}

int main(int argc, char *argv[])
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_second_request_goes_over_the_first_ones_connection),
		cmocka_unit_test(test_without_a_session_each_has_its_own),
		cmocka_unit_test(test_connections_that_must_not_serve_again),
		cmocka_unit_test(test_what_nobody_asked_for_is_no_reply),
		cmocka_unit_test(test_connection_closed_while_it_waited_is_replaced),
		cmocka_unit_test(test_connection_closed_as_the_request_comes_is_tried_anew_once),
		cmocka_unit_test(test_reply_that_has_begun_is_not_asked_for_again),
		cmocka_unit_test(test_a_few_connections_wait_and_the_oldest_gives_way),
		cmocka_unit_test(test_child_forgets_and_the_parent_keeps),
		cmocka_unit_test(test_redirects_keep_method_and_body),
		cmocka_unit_test(test_redirects_without_end_are_given_up),
		cmocka_unit_test(test_redirect_to_what_is_no_place_is_an_error),
		cmocka_unit_test(test_retry_after_is_handed_on),
	};

	unit_begin(argc, argv);
	return cmocka_run_group_tests_name("net/session", tests, NULL, NULL);
}
