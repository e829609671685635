/* SPDX-License-Identifier: Apache-2.0 */
/* tangd/connections.c: who goes when there are too many, and whose time is over. The clock is ours. */
#include "unit.h"

#include "tangd/connections.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { MOST = 8, CLIENTS = 16 };

static struct timespec now;

/* NOLINTBEGIN(*-reserved-identifier,cert-dcl*,readability-identifier-naming): the names of the linker's --wrap */
int __real_clock_gettime(clockid_t clock, struct timespec *time);
int __wrap_clock_gettime(clockid_t clock, struct timespec *time);

int __wrap_clock_gettime(clockid_t clock, struct timespec *time)
{
	(void)clock;
	*time = now;
	return 0;
}
/* NOLINTEND(*-reserved-identifier,cert-dcl*,readability-identifier-naming) */

static void pass_ms(int ms)
{
	now.tv_nsec += (long)(ms % 1000) * 1000000;
	now.tv_sec += ms / 1000 + now.tv_nsec / 1000000000;
	now.tv_nsec %= 1000000000;
}

/* A connection, and its peer, which notices when it is shut down. */
struct client {
	struct connection *connection;
	int fd;
	int peer;
};

static struct connections *connections;
static struct client clients[CLIENTS];

static struct client *connect_from(int number, const char *address)
{
	struct sockaddr_in from = {.sin_family = AF_INET};
	struct client *client = &clients[number];
	int pair[2];

	assert_int_equal(inet_pton(AF_INET, address, &from.sin_addr), 1);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	client->fd = pair[0];
	client->peer = pair[1];
	client->connection = connections_add(connections, pair[0], (struct sockaddr *)&from);
	assert_non_null(client->connection);
	pass_ms(1);
	return client;
}

static bool is_shut(const struct client *client)
{
	struct pollfd polled = {client->peer, POLLIN, 0};

	return poll(&polled, 1, 0) > 0;
}

static int begin(void **state)
{
	(void)state;
	memset(clients, 0, sizeof(clients));
	connections = connections_new(MOST);
	return connections ? 0 : -1;
}

static int end(void **state)
{
	(void)state;
	for (size_t i = 0; i < CLIENTS; i++) {
		if (!clients[i].connection)
			continue;
		connections_remove(connections, clients[i].connection);
		(void)close(clients[i].fd);
		(void)close(clients[i].peer);
	}
	assert_int_equal(connections_count(connections), 0);
	connections_free(&connections);
	return 0;
}

static void test_the_busiest_address_gives_way_with_its_oldest_idle_one(void **state)
{
	(void)state;
	(void)connect_from(0, "10.0.0.1");
	for (int i = 1; i < MOST; i++)
		(void)connect_from(i, "10.0.0.2");
	connections_begin(connections, clients[1].connection); /* at work */
	assert_false(connections_is_surplus(connect_from(MOST, "10.0.0.3")->connection));
	assert_false(is_shut(&clients[0]));
	assert_false(is_shut(&clients[1]));
	assert_true(is_shut(&clients[2]));
	assert_false(is_shut(&clients[3]));
	/* The next one: one that gave way already is not asked twice. */
	(void)connect_from(MOST + 1, "10.0.0.3");
	assert_true(is_shut(&clients[3]));
}

static void test_where_all_are_at_work_the_new_one_is_told_to_come_again(void **state)
{
	(void)state;
	for (int i = 0; i < MOST; i++)
		connections_begin(connections, connect_from(i, "10.0.0.2")->connection);
	assert_true(connections_is_surplus(connect_from(MOST, "10.0.0.3")->connection));
	for (int i = 0; i < MOST; i++)
		assert_false(is_shut(&clients[i]));
	assert_false(connections_is_surplus(NULL));
}

/* Half a request on each of all connections would else keep everybody out. */
static void test_a_request_that_does_not_go_on_gives_way_when_all_are_at_work(void **state)
{
	(void)state;
	for (int i = 0; i < MOST; i++)
		connections_begin(connections,
				  connect_from(i, i == 0 ? "10.0.0.1" : "10.0.0.2")->connection);
	connections_whole(clients[1].connection);
	connections_whole(NULL);
	assert_int_equal(send(clients[2].peer, "x", 1, 0), 1); /* not read yet */
	assert_true(connections_is_surplus(connect_from(MOST, "10.0.0.3")->connection));
	connections_begin(connections, clients[MOST].connection);
	pass_ms(1000);
	assert_false(connections_is_surplus(connect_from(MOST + 1, "10.0.0.3")->connection));
	for (int i = 0; i < MOST; i++)
		assert_int_equal(is_shut(&clients[i]), i == 3);
	assert_int_equal(connections_gave_way(connections), 1);
}

/* Where many come at once, that somebody has asked is not known before he is read. */
static void test_one_that_has_asked_is_at_work_before_it_is_read(void **state)
{
	(void)state;
	for (int i = 0; i < MOST; i++)
		(void)connect_from(i, "10.0.0.2");
	for (int i = 0; i < MOST - 1; i++)
		assert_int_equal(send(clients[i].peer, "G", 1, 0), 1);
	assert_false(connections_is_surplus(connect_from(MOST, "10.0.0.3")->connection));
	for (int i = 0; i < MOST - 1; i++)
		assert_false(is_shut(&clients[i]));
	assert_true(is_shut(&clients[MOST - 1]));
	assert_int_equal(send(clients[MOST].peer, "G", 1, 0), 1);
	assert_true(connections_is_surplus(connect_from(MOST + 1, "10.0.0.3")->connection));
	assert_false(is_shut(&clients[MOST]));
}

static void test_a_request_has_an_absolute_time(void **state)
{
	(void)state;
	connections_begin(connections, connect_from(0, "10.0.0.1")->connection);
	for (int ms = 0; ms < CONNECTIONS_REQUEST_MS - 1000; ms += 1000) {
		/* A byte a second is no new beginning. */
		connections_begin(connections, clients[0].connection);
		connections_sweep(connections);
		assert_false(is_shut(&clients[0]));
		pass_ms(1000);
	}
	pass_ms(1000);
	connections_sweep(connections);
	assert_true(is_shut(&clients[0]));
}

static void test_an_idle_connection_has_another_time_that_each_answer_begins_anew(void **state)
{
	(void)state;
	(void)connect_from(0, "10.0.0.1");
	(void)connect_from(1, "10.0.0.1");
	pass_ms(CONNECTIONS_IDLE_MS - 1000);
	connections_begin(connections, clients[1].connection);
	connections_end(connections, clients[1].connection);
	connections_sweep(connections);
	assert_false(is_shut(&clients[0]));
	pass_ms(1000);
	connections_sweep(connections);
	assert_true(is_shut(&clients[0]));
	assert_false(is_shut(&clients[1]));
	pass_ms(CONNECTIONS_IDLE_MS);
	connections_sweep(connections);
	assert_true(is_shut(&clients[1]));
}

/* How many sockets are told of, by what tells of changes only. */
static int count_told(int epoll_fd)
{
	struct epoll_event events[CLIENTS];

	return epoll_wait(epoll_fd, events, CLIENTS, 0);
}

/* The end came with the last bytes, so that there is one change; what was read is still to be answered. */
static void test_an_end_that_came_with_the_last_bytes_is_told_once_more(void **state)
{
	const struct client *ended = connect_from(0, "10.0.0.1");
	const struct client *goes_on = connect_from(1, "10.0.0.1");
	struct epoll_event event = {.events = EPOLLIN | EPOLLET};
	int epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	char byte = 'x';

	(void)state;
	for (int i = 0; i < 2; i++) {
		assert_int_equal(epoll_ctl(epoll_fd, EPOLL_CTL_ADD, clients[i].fd, &event), 0);
		assert_int_equal(send(clients[i].peer, &byte, 1, 0), 1);
	}
	assert_int_equal(shutdown(ended->peer, SHUT_WR), 0);
	assert_int_equal(count_told(epoll_fd), 2);
	connections_sweep(connections);
	/* There is something to be read first. */
	assert_int_equal(count_told(epoll_fd), 0);
	assert_int_equal(recv(ended->fd, &byte, 1, 0), 1);
	assert_int_equal(recv(goes_on->fd, &byte, 1, 0), 1);
	assert_int_equal(count_told(epoll_fd), 0);
	connections_sweep(connections);
	assert_int_equal(count_told(epoll_fd), 1);
	assert_int_equal(send(ended->fd, &byte, 1, MSG_NOSIGNAL), 1);
	(void)close(epoll_fd);
}

#define CASE(test) cmocka_unit_test_setup_teardown(test, begin, end)

int main(int argc, char *argv[])
{
	static const struct CMUnitTest tests[] = {
		CASE(test_the_busiest_address_gives_way_with_its_oldest_idle_one),
		CASE(test_where_all_are_at_work_the_new_one_is_told_to_come_again),
		CASE(test_a_request_that_does_not_go_on_gives_way_when_all_are_at_work),
		CASE(test_one_that_has_asked_is_at_work_before_it_is_read),
		CASE(test_a_request_has_an_absolute_time),
		CASE(test_an_idle_connection_has_another_time_that_each_answer_begins_anew),
		CASE(test_an_end_that_came_with_the_last_bytes_is_told_once_more),
	};

	unit_begin(argc, argv);
	now.tv_sec = 1000;
	return cmocka_run_group_tests_name("tangd/connections", tests, NULL, NULL);
}
