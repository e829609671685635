/* SPDX-License-Identifier: Apache-2.0 */
/* net/connect.c: of a name's addresses the one that answers first is taken, and those that are dead hold nobody up. */
#include "server.h"

#include "net/connect.h"
#include "net/net.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { PLACES_MAX = 4, PROMPT_MS = 200, FILLERS = 4 };

/* What stands behind the name many.example, in the resolver's order. */
struct place {
	const char *host;
	int port;
};

static struct place places[PLACES_MAX];
static size_t place_count;

/* NOLINTBEGIN(*-reserved-identifier,cert-dcl*,readability-identifier-naming): the names of the linker's --wrap */
int __real_getaddrinfo(const char *host, const char *port, const struct addrinfo *hints,
		       struct addrinfo **list);
int __wrap_getaddrinfo(const char *host, const char *port, const struct addrinfo *hints,
		       struct addrinfo **list);

int __wrap_getaddrinfo(const char *host, const char *port, const struct addrinfo *hints,
		       struct addrinfo **list)
{
	struct addrinfo numeric = *hints;
	struct addrinfo **end = list;

	if (strcmp(host, "many.example") != 0)
		return __real_getaddrinfo(host, port, hints, list);
	if (hints->ai_flags & AI_NUMERICHOST)
		return EAI_NONAME;
	numeric.ai_flags = AI_NUMERICHOST;
	for (size_t i = 0; i < place_count; i++, end = &(*end)->ai_next) {
		char digits[8];

		(void)snprintf(digits, sizeof(digits), "%d", places[i].port);
		if (__real_getaddrinfo(places[i].host, digits, &numeric, end) != 0)
			return EAI_FAIL;
	}
	return 0;
}
/* NOLINTEND(*-reserved-identifier,cert-dcl*,readability-identifier-naming) */

/* A port of a loopback address, and what keeps it as it is. */
struct port {
	int fd;
	int number;
	int fillers[FILLERS];
};

static void port_close(struct port *port)
{
	(void)close(port->fd);
	for (size_t i = 0; i < FILLERS; i++)
		if (port->fillers[i] > 0)
			(void)close(port->fillers[i]);
}

#define PORT_AUTO __attribute__((cleanup(port_close)))

static socklen_t loopback(int family, struct sockaddr_storage *storage)
{
	struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_addr = in6addr_loopback};
	socklen_t length = family == AF_INET ? sizeof(v4) : sizeof(v6);

	memcpy(storage, family == AF_INET ? (void *)&v4 : (void *)&v6, length);
	return length;
}

/* A port that refuses. */
static struct port port_closed(int family)
{
	struct port port = {.fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0)};
	struct sockaddr_storage storage;
	socklen_t length = loopback(family, &storage);

	if (port.fd < 0 || bind(port.fd, (struct sockaddr *)&storage, length) != 0)
		unit_skip("no loopback address of this family");
	assert_int_equal(getsockname(port.fd, (struct sockaddr *)&storage, &length), 0);
	port.number = ntohs(((struct sockaddr_in *)&storage)->sin_port);
	return port;
}

static struct port port_open(int family)
{
	struct port port = port_closed(family);

	assert_int_equal(listen(port.fd, 16), 0);
	return port;
}

/* A port that says nothing at all: nobody accepts, and its queue is full. */
static struct port port_silent(int family)
{
	struct port port = port_closed(family);
	struct sockaddr_storage storage;
	socklen_t length = sizeof(storage);

	assert_int_equal(listen(port.fd, 0), 0);
	assert_int_equal(getsockname(port.fd, (struct sockaddr *)&storage, &length), 0);
	for (size_t i = 0; i < FILLERS; i++) {
		port.fillers[i] = socket(family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
		(void)connect(port.fillers[i], (struct sockaddr *)&storage, length);
	}
	(void)poll(NULL, 0, 20);
	return port;
}

static void behind_the_name(size_t count, ...)
{
	va_list list;

	va_start(list, count);
	for (place_count = 0; place_count < count; place_count++) {
		places[place_count].host = va_arg(list, const char *);
		places[place_count].port = va_arg(list, const struct port *)->number;
	}
	va_end(list);
}

/* Returns how long it took, milliseconds. */
static int64_t connect_to_many(int ms, int *rc, struct net_connection *connection,
			       struct error *err)
{
	int64_t start = unit_now_ms();

	*connection = NET_CONNECTION_NONE;
	*rc = net_connect("many.example", "80", deadline_in_ms(ms), connection, err);
	return unit_now_ms() - start;
}

static bool is_connected_to(const struct net_connection *connection, const struct port *port)
{
	const char *colon = strrchr(connection->peer, ':');

	return connection->fd >= 0 && colon && strtol(colon + 1, NULL, 10) == port->number;
}

static void test_dead_first_address_holds_up_for_a_moment_only(void **state)
{
	PORT_AUTO struct port dead = port_silent(AF_INET);
	PORT_AUTO struct port good = port_open(AF_INET);
	struct net_connection connection;
	int64_t took;
	int rc;

	(void)state;
	behind_the_name(2, "127.0.0.1", &dead, "127.0.0.1", &good);
	took = connect_to_many(5000, &rc, &connection, NULL);
	assert_int_equal(rc, 0);
	assert_true(is_connected_to(&connection, &good));
	assert_in_range(took, NET_NEXT_ATTEMPT_MS - 10, NET_NEXT_ATTEMPT_MS + PROMPT_MS);
	net_close(&connection);
}

static void test_refused_address_holds_up_not_at_all(void **state)
{
	PORT_AUTO struct port closed = port_closed(AF_INET);
	PORT_AUTO struct port good = port_open(AF_INET);
	struct net_connection connection;
	int64_t took;
	int rc;

	(void)state;
	behind_the_name(3, "127.0.0.1", &closed, "127.0.0.1", &closed, "127.0.0.1", &good);
	took = connect_to_many(5000, &rc, &connection, NULL);
	assert_int_equal(rc, 0);
	assert_true(is_connected_to(&connection, &good));
	assert_true(took < PROMPT_MS);
	net_close(&connection);
}

static void test_families_take_turns(void **state)
{
	PORT_AUTO struct port dead = port_silent(AF_INET6);
	PORT_AUTO struct port good = port_open(AF_INET);
	struct net_connection connection;
	int64_t took;
	int rc;

	(void)state;
	behind_the_name(4, "::1", &dead, "::1", &dead, "::1", &dead, "127.0.0.1", &good);
	took = connect_to_many(5000, &rc, &connection, NULL);
	assert_int_equal(rc, 0);
	assert_true(is_connected_to(&connection, &good));
	assert_in_range(took, NET_NEXT_ATTEMPT_MS - 10, 2 * NET_NEXT_ATTEMPT_MS - 20);
	net_close(&connection);
}

static void test_resolvers_first_family_leads(void **state)
{
	PORT_AUTO struct port six = port_open(AF_INET6);
	PORT_AUTO struct port four = port_open(AF_INET);
	struct net_connection connection;
	int rc;

	(void)state;
	behind_the_name(2, "::1", &six, "127.0.0.1", &four);
	(void)connect_to_many(5000, &rc, &connection, NULL);
	assert_int_equal(rc, 0);
	assert_true(is_connected_to(&connection, &six));
	assert_int_equal(strncmp(connection.peer, "[::1]:", 6), 0);
	net_close(&connection);
	behind_the_name(2, "127.0.0.1", &four, "::1", &six);
	(void)connect_to_many(5000, &rc, &connection, NULL);
	assert_int_equal(rc, 0);
	assert_true(is_connected_to(&connection, &four));
	net_close(&connection);
}

static void test_when_all_refuse_each_is_named(void **state)
{
	PORT_AUTO struct port six = port_closed(AF_INET6);
	PORT_AUTO struct port four = port_closed(AF_INET);
	struct net_connection connection;
	struct error err = {0};
	char expected[200];
	int rc;

	(void)state;
	behind_the_name(2, "127.0.0.1", &four, "::1", &six);
	assert_true(connect_to_many(5000, &rc, &connection, &err) < PROMPT_MS);
	assert_int_equal(rc, -ECONNREFUSED);
	(void)snprintf(expected, sizeof(expected),
		       "127.0.0.1:%d: connection refused; [::1]:%d: connection refused",
		       four.number, six.number);
	assert_string_equal(err.text, expected);
	assert_int_equal(connection.fd, -1);
}

/* The time that is named is the one each of them had. */
static void test_deadline_ends_all_and_the_time_named_is_true(void **state)
{
	PORT_AUTO struct port dead = port_silent(AF_INET);
	PORT_AUTO struct port closed = port_closed(AF_INET);
	struct net_connection connection;
	struct error err = {0};
	char expected[200];
	int64_t took;
	int rc;

	(void)state;
	behind_the_name(3, "127.0.0.1", &dead, "127.0.0.1", &dead, "127.0.0.1", &closed);
	took = connect_to_many(650, &rc, &connection, &err);
	assert_int_equal(rc, -ECONNREFUSED); /* somebody is there, which says more than silence */
	assert_in_range(took, 640, 1200);
	(void)snprintf(expected, sizeof(expected), "127.0.0.1:%d: no answer in 0.", dead.number);
	assert_int_equal(strncmp(err.text, expected, strlen(expected)), 0);
	(void)snprintf(expected, sizeof(expected), "; 127.0.0.1:%d: no answer in 0.4 s; ",
		       dead.number);
	assert_non_null(strstr(err.text, expected));
}

static void test_silent_address_has_three_seconds(void **state)
{
	PORT_AUTO struct port dead = port_silent(AF_INET);
	struct net_connection connection;
	struct error err = {0};
	char expected[200];
	int64_t took;
	int rc;

	(void)state;
	behind_the_name(1, "127.0.0.1", &dead);
	took = connect_to_many(9000, &rc, &connection, &err);
	assert_int_equal(rc, -ETIMEDOUT);
	assert_in_range(took, NET_CONNECT_MS - 20, NET_CONNECT_MS + 1000);
	(void)snprintf(expected, sizeof(expected), "127.0.0.1:%d: no answer in 3 s", dead.number);
	assert_string_equal(err.text, expected);
}

static int lowest_free(void)
{
	int fd = dup(STDERR_FILENO);
	int number = fd;

	(void)close(fd);
	return number;
}

static void test_losers_are_closed_and_the_winner_does_not_delay(void **state)
{
	PORT_AUTO struct port dead = port_silent(AF_INET);
	PORT_AUTO struct port good = port_open(AF_INET);
	struct net_connection connection;
	int free_before = lowest_free();
	int no_delay = 0;
	socklen_t length = sizeof(no_delay);
	int rc;

	(void)state;
	behind_the_name(3, "127.0.0.1", &dead, "127.0.0.1", &dead, "127.0.0.1", &good);
	(void)connect_to_many(5000, &rc, &connection, NULL);
	assert_int_equal(rc, 0);
	assert_int_equal(getsockopt(connection.fd, IPPROTO_TCP, TCP_NODELAY, &no_delay, &length),
			 0);
	assert_true(no_delay);
	net_close(&connection);
	assert_int_equal(connection.fd, -1);
	assert_int_equal(lowest_free(), free_before);
}

int main(int argc, char *argv[])
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_dead_first_address_holds_up_for_a_moment_only),
		cmocka_unit_test(test_refused_address_holds_up_not_at_all),
		cmocka_unit_test(test_families_take_turns),
		cmocka_unit_test(test_resolvers_first_family_leads),
		cmocka_unit_test(test_when_all_refuse_each_is_named),
		cmocka_unit_test(test_deadline_ends_all_and_the_time_named_is_true),
		cmocka_unit_test(test_silent_address_has_three_seconds),
		cmocka_unit_test(test_losers_are_closed_and_the_winner_does_not_delay),
	};

	unit_begin(argc, argv);
	return cmocka_run_group_tests_name("net/connect", tests, NULL, NULL);
}
