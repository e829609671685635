/* SPDX-License-Identifier: Apache-2.0 */
/* net/courier*.c: processes that share connections, and what becomes of requests when a courier is slow or gone. */
#include "server.h"

#include "base/program.h"
#include "net/courier.h"
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

enum { REPLY_MAX = 200000, ASKERS = 16, SERVERS = 2, LARGE = 150000 };

/* What a server does, and what it saw; shared with all its processes. */
struct book {
	int connections;
	int ended; /* of them */
	int requests;
	int late;    /* so many of the first requests are answered late_ms later than the others */
	int late_ms; /* -1: never */
};

static struct server servers[SERVERS];
static struct book *books;

static int count(int *counter) /* NOLINT(readability-non-const-parameter): it is written to */
{
	return __atomic_add_fetch(counter, 1, __ATOMIC_SEQ_CST);
}

static int value(const int *counter)
{
	return __atomic_load_n(counter, __ATOMIC_SEQ_CST);
}

/* Answers each request with its own target, or, for /large, with many bytes. */
static void answer(int fd, const struct talk_request *request)
{
	static char large[LARGE + 1];

	if (strcmp(request->target, "/large") == 0)
		talk_answer(fd, 200, memset(large, 'x', LARGE));
	else if (strcmp(request->target, "/busy") == 0)
		talk_text(fd, "HTTP/1.1 503 Busy\r\nRetry-After: 7\r\nContent-Length: 0\r\n\r\n");
	else
		talk_answer(fd, 200, request->body_size > 0 ? request->body : request->target);
}

static void serve(int fd, struct book *book)
{
	static struct talk_request request;

	count(&book->connections);
	while (talk_read_request(fd, &request)) {
		if (count(&book->requests) <= book->late)
			(void)poll(NULL, 0, book->late_ms);
		answer(fd, &request);
	}
	count(&book->ended);
}

/* Each connection has a process, so that a late answer keeps nobody else waiting. */
static void talk_beside(int fd, void *arg)
{
	pid_t self = getpid();

	(void)signal(SIGCHLD, SIG_IGN);
	if (fork() == 0) {
		unit_child_begin(self);
		serve(fd, arg);
		_exit(EXIT_SUCCESS);
	}
}

static int start_servers(void **state)
{
	(void)state;
	books = unit_map(SERVERS * sizeof(*books));
	for (size_t i = 0; i < SERVERS; i++)
		server_start(&servers[i], talk_beside, &books[i]);
	return 0;
}

static int stop_servers(void **state)
{
	(void)state;
	for (size_t i = 0; i < SERVERS; i++)
		server_stop(&servers[i]);
	unit_unmap(books, SERVERS * sizeof(*books));
	return 0;
}

static struct net_session *shared_session(void)
{
	struct net_session *session = net_session_new();

	assert_non_null(session);
	net_session_share(session);
	assert_true(session_courier(session)->fd >= 0);
	return session;
}

/* Asks a server for /NUMBER. Returns whether that is what came back. */
static bool ask(struct net_session *session, size_t server, int number, int ms, struct error *err)
{
	struct net_request request = {.method = "GET", .reply_max = REPLY_MAX};
	struct net_reply reply = {0};
	char url[128];
	char target[16];
	bool right;

	(void)snprintf(target, sizeof(target), "/%d", number);
	(void)snprintf(url, sizeof(url), "%s%s", servers[server].url, target);
	request.url = url;
	if (net_http(session, &request, deadline_in_ms(ms), &reply, err) < 0)
		return false;
	right = reply.status == 200 && strcmp(reply.body, target) == 0;
	free(reply.body);
	return right;
}

/* Starts a process that asks; it ends well when it got its own answer. */
static pid_t start_asker(struct net_session *session, size_t server, int number, int ms)
{
	pid_t self = getpid();
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid > 0)
		return pid;
	unit_child_begin(self);
	session = net_session_in_child(session);
	_exit(session && ask(session, server, number, ms, NULL) ? EXIT_SUCCESS : EXIT_FAILURE);
}

static bool ended_well(pid_t pid)
{
	int status = -1;

	return waitpid(pid, &status, 0) == pid && WIFEXITED(status) &&
	       WEXITSTATUS(status) == EXIT_SUCCESS;
}

static void wait_until(const int *counter, int wanted)
{
	for (int i = 0; i < 500 && value(counter) < wanted; i++)
		(void)poll(NULL, 0, 10);
	assert_int_equal(value(counter), wanted);
}

static void test_many_processes_share_one_connection_a_server(void **state)
{
	struct net_session *session = shared_session();
	pid_t askers[ASKERS];

	(void)state;
	for (int i = 0; i < ASKERS; i++)
		askers[i] = start_asker(session, (size_t)i % SERVERS, i, 10000);
	for (int i = 0; i < ASKERS; i++)
		assert_true(ended_well(askers[i]));
	for (size_t i = 0; i < SERVERS; i++) {
		assert_int_equal(value(&books[i].connections), 1);
		assert_int_equal(value(&books[i].requests), ASKERS / SERVERS);
	}
	net_session_free(&session);
}

static void test_the_command_itself_and_its_children_share_too(void **state)
{
	struct net_session *session = shared_session();

	(void)state;
	assert_true(ask(session, 0, 1, 5000, NULL));
	assert_true(ended_well(start_asker(session, 0, 2, 5000)));
	assert_true(ask(session, 0, 3, 5000, NULL));
	assert_int_equal(value(&books[0].connections), 1);
	net_session_free(&session);
}

static void test_without_couriers_a_child_has_no_session(void **state)
{
	struct net_session *session = net_session_new();

	(void)state;
	assert_null(net_session_in_child(session));
	assert_null(net_session_in_child(NULL));
	net_session_free(&session);
}

static void test_silent_server_holds_up_only_who_asks_it(void **state)
{
	struct net_session *session = shared_session();
	pid_t waiting;
	int64_t before;

	(void)state;
	books[0].late = 1000;
	books[0].late_ms = -1;
	waiting = start_asker(session, 0, 1, 20000);
	wait_until(&books[0].requests, 1);
	before = unit_now_ms();
	assert_true(ended_well(start_asker(session, 1, 2, 10000)));
	assert_true(unit_now_ms() - before < COURIER_PATIENCE_MS / 2);
	(void)kill(waiting, SIGKILL);
	assert_false(ended_well(waiting));
	net_session_free(&session);
}

static void test_who_stands_behind_a_slow_answer_goes_its_own_way(void **state)
{
	struct net_session *session = shared_session();
	pid_t first;
	pid_t second;

	(void)state;
	books[0].late = 1;
	books[0].late_ms = 4000;
	first = start_asker(session, 0, 1, 3000);
	wait_until(&books[0].requests, 1);
	second = start_asker(session, 0, 2, 3000);
	assert_true(ended_well(second));
	/* The first one, too: the server answers the second attempt at once. */
	assert_true(ended_well(first));
	assert_int_equal(value(&books[0].connections), 3);
	net_session_free(&session);
}

static void test_nobody_is_asked_for_who_waits_no_longer(void **state)
{
	struct net_session *session = shared_session();
	pid_t first;
	pid_t second;

	(void)state;
	books[0].late = 1;
	books[0].late_ms = 600;
	first = start_asker(session, 0, 1, 10000);
	wait_until(&books[0].requests, 1);
	second = start_asker(session, 0, 2, 10000);
	(void)poll(NULL, 0, 100);
	(void)kill(second, SIGKILL);
	assert_false(ended_well(second));
	assert_true(ended_well(first));
	assert_true(ended_well(start_asker(session, 0, 3, 10000)));
	assert_int_equal(value(&books[0].requests), 2);
	net_session_free(&session);
}

static void test_request_that_is_late_in_the_queue_is_dropped(void **state)
{
	struct net_session *session = shared_session();
	struct net_request request = {.method = "GET", .url = servers[0].url, .reply_max = 10};
	struct courier_reply reply;
	struct pollfd end = {.events = POLLIN};
	char *message = NULL;
	size_t size = 0;
	int ends[2];

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
	assert_int_equal(courier_pack(&request, deadline_in_ms(0), &message, &size), 0);
	assert_int_equal(courier_send(session_courier(session)->fd, message, size, ends[1]), 0);
	(void)close(ends[1]);
	end.fd = ends[0];
	assert_int_equal(poll(&end, 1, 5000), 1);
	assert_int_equal(read(ends[0], &reply, sizeof(reply)), 0);
	assert_int_equal(value(&books[0].requests), 0);
	free(message);
	(void)close(ends[0]);
	net_session_free(&session);
}

/* It has the request already when it ends, and then it is not there when the next one comes. */
static void test_when_the_porter_is_gone_a_request_goes_its_own_way(void **state)
{
	struct net_session *session = shared_session();
	pid_t porter = session_courier(session)->pid;
	pid_t killer;

	(void)state;
	assert_int_equal(kill(porter, SIGSTOP), 0);
	killer = fork();
	if (killer == 0) {
		(void)poll(NULL, 0, 200);
		_exit(kill(porter, SIGKILL));
	}
	assert_true(killer > 0);
	assert_true(ask(session, 0, 1, 5000, NULL));
	assert_int_equal(waitpid(killer, NULL, 0), killer);
	assert_true(ended_well(start_asker(session, 0, 2, 5000)));
	net_session_free(&session);
}

/* The one child of a process; 0 for none. */
static pid_t child_of(pid_t pid)
{
	char path[64];
	char text[32] = "";
	int fd;

	(void)snprintf(path, sizeof(path), "/proc/%d/task/%d/children", pid, pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		unit_skip("this kernel does not list the children of a process");
	(void)!read(fd, text, sizeof(text) - 1);
	(void)close(fd);
	return (pid_t)strtol(text, NULL, 10);
}

static void test_when_a_courier_is_gone_another_takes_its_place(void **state)
{
	struct net_session *session = shared_session();
	pid_t courier;

	(void)state;
	assert_true(ask(session, 0, 1, 5000, NULL));
	courier = child_of(session_courier(session)->pid);
	assert_true(courier > 0);
	assert_int_equal(kill(courier, SIGKILL), 0);
	wait_until(&books[0].ended, 1);
	for (int i = 2; i < 6; i++)
		assert_true(ask(session, 0, i, 5000, NULL));
	assert_true(child_of(session_courier(session)->pid) > 0);
	assert_int_not_equal(child_of(session_courier(session)->pid), courier);
	net_session_free(&session);
}

static void test_courier_that_is_ended_while_it_asks_is_no_failure(void **state)
{
	struct net_session *session = shared_session();
	pid_t asker;

	(void)state;
	books[0].late = 1;
	books[0].late_ms = -1;
	asker = start_asker(session, 0, 1, 20000);
	wait_until(&books[0].requests, 1);
	assert_int_equal(kill(child_of(session_courier(session)->pid), SIGKILL), 0);
	assert_true(ended_well(asker));
	net_session_free(&session);
}

/* What is asked for through a courier, and what comes back, is the same as without. */
static void test_replies_and_failures_come_through_as_they_are(void **state)
{
	struct net_session *session = shared_session();
	struct net_request request = {.method = "GET", .reply_max = REPLY_MAX};
	struct net_reply reply = {0};
	struct error err = {0};
	char url[128];
	int fd;

	(void)state;
	(void)snprintf(url, sizeof(url), "%s/large", servers[0].url);
	request.url = url;
	assert_int_equal(net_http(session, &request, deadline_in_ms(5000), &reply, NULL), 0);
	assert_int_equal(reply.body_size, LARGE);
	assert_int_equal(strlen(reply.body), LARGE);
	free(reply.body);
	request.reply_max = LARGE - 1;
	assert_int_equal(net_http(session, &request, deadline_in_ms(5000), &reply, &err), -EFBIG);
	assert_non_null(strstr(err.text, "127.0.0.1"));
	(void)snprintf(url, sizeof(url), "%s/busy", servers[0].url);
	assert_int_equal(net_http(session, &request, deadline_in_ms(5000), &reply, NULL), 0);
	assert_int_equal(reply.status, 503);
	assert_int_equal(reply.retry_after_s, 7);
	free(reply.body);
	request = (struct net_request){"POST", servers[0].url, {0}, "text/plain", "abc", 3, 10};
	assert_int_equal(net_http(session, &request, deadline_in_ms(5000), &reply, NULL), 0);
	assert_string_equal(reply.body, "abc");
	free(reply.body);
	server_refusing(&fd, url);
	request.url = url;
	assert_int_equal(net_http(session, &request, deadline_in_ms(5000), &reply, &err),
			 -ECONNREFUSED);
	assert_non_null(strstr(err.text, "connection refused"));
	(void)close(fd);
	request.url = "nonsense:///";
	assert_true(net_http(session, &request, deadline_in_ms(5000), &reply, &err) < 0);
	net_session_free(&session);
}

static void test_they_end_with_the_session(void **state)
{
	struct net_session *session = shared_session();

	(void)state;
	assert_true(ask(session, 0, 1, 5000, NULL));
	net_session_free(&session);
	wait_until(&books[0].ended, 1);
}

static void test_they_end_with_a_command_that_is_killed(void **state)
{
	pid_t self = getpid();
	pid_t command = fork();

	(void)state;
	assert_true(command >= 0);
	if (command == 0) {
		struct net_session *session = net_session_new();

		unit_child_begin(self);
		net_session_share(session);
		(void)ask(session, 0, 1, 5000, NULL);
		(void)raise(SIGKILL);
	}
	assert_false(ended_well(command));
	wait_until(&books[0].ended, 1);
	assert_int_equal(value(&books[0].connections), 1);
}

static bool same_text(const char *a, const char *b)
{
	return a && b ? strcmp(a, b) == 0 : a == b;
}

static void test_message_carries_the_whole_request(void **state)
{
	static const struct net_request rows[] = {
		{.method = "GET", .url = "http://h/", .reply_max = 1},
		{"POST", "https://h/", {"/ca", "/cert", "/key"}, "text/plain", "a\0b", 3, 70000},
		{"POST", "https://h/", {NULL, "", NULL}, "", "", 0, 0},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct net_request request;
		struct deadline deadline = {0};
		char *message = NULL;
		char *longer;
		size_t size = 0;

		assert_int_equal(courier_pack(&rows[i], (struct deadline){42}, &message, &size), 0);
		assert_int_equal(courier_unpack(message, size, &request, &deadline), 0);
		assert_int_equal(deadline.at, 42);
		assert_string_equal(request.method, rows[i].method);
		assert_string_equal(request.url, rows[i].url);
		assert_true(same_text(request.tls.cacert, rows[i].tls.cacert));
		assert_true(same_text(request.tls.cert, rows[i].tls.cert));
		assert_true(same_text(request.tls.key, rows[i].tls.key));
		assert_true(same_text(request.content_type, rows[i].content_type));
		assert_true(!request.body == !rows[i].body);
		assert_int_equal(request.body_size, rows[i].body_size);
		if (request.body)
			assert_memory_equal(request.body, rows[i].body, rows[i].body_size);
		assert_int_equal(request.reply_max, rows[i].reply_max);
		/* Each shorter one is refused, and so is each with a byte too much. */
		for (size_t less = 0; less < size; less++)
			assert_int_equal(courier_unpack(message, less, &request, &deadline),
					 -EBADMSG);
		longer = calloc(1, size + 1);
		assert_non_null(longer);
		memcpy(longer, message, size);
		assert_int_equal(courier_unpack(longer, size + 1, &request, &deadline), -EBADMSG);
		free(longer);
		free(message);
	}
}

static void test_request_that_is_too_long_goes_its_own_way(void **state)
{
	static char body[COURIER_MESSAGE_MAX];
	struct net_request request = {"POST", servers[0].url, {0}, "a/b", body, sizeof(body), 10};
	char *message = NULL;
	size_t size = 0;

	(void)state;
	assert_int_equal(courier_pack(&request, deadline_in_ms(0), &message, &size), -EMSGSIZE);
	assert_null(message);
	request.body_size = SIZE_MAX;
	assert_int_equal(courier_pack(&request, deadline_in_ms(0), &message, &size), -EMSGSIZE);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, start_servers, stop_servers)

int main(int argc, char *argv[])
{
	static const struct CMUnitTest tests[] = {
		CASE(test_many_processes_share_one_connection_a_server),
		CASE(test_the_command_itself_and_its_children_share_too),
		CASE(test_without_couriers_a_child_has_no_session),
		CASE(test_silent_server_holds_up_only_who_asks_it),
		CASE(test_who_stands_behind_a_slow_answer_goes_its_own_way),
		CASE(test_nobody_is_asked_for_who_waits_no_longer),
		CASE(test_request_that_is_late_in_the_queue_is_dropped),
		CASE(test_when_the_porter_is_gone_a_request_goes_its_own_way),
		CASE(test_when_a_courier_is_gone_another_takes_its_place),
		CASE(test_courier_that_is_ended_while_it_asks_is_no_failure),
		CASE(test_replies_and_failures_come_through_as_they_are),
		CASE(test_they_end_with_the_session),
		CASE(test_they_end_with_a_command_that_is_killed),
		CASE(test_message_carries_the_whole_request),
		CASE(test_request_that_is_too_long_goes_its_own_way),
	};

	unit_begin(argc, argv);
	return cmocka_run_group_tests_name("net/courier", tests, NULL, NULL);
}
