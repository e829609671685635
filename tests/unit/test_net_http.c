/* SPDX-License-Identifier: Apache-2.0 */
/* net/http.c against servers that behave, and against all the ways in which they do not: every call ends in time. */
#include "server.h"

#include "net/net.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { REPLY_MAX = 1000, SHORT_MS = 300, TOO_LONG_MS = 3000 };

static int get(const char *url, int ms, struct net_reply *reply, struct error *err)
{
	struct net_request request = {.method = "GET", .url = url, .reply_max = REPLY_MAX};

	return net_http(NULL, &request, deadline_in_ms(ms), reply, err);
}

/* Serves one request with `talk` and gives back what net_http() said. */
static int ask(server_talk talk, void *arg, int ms, struct net_reply *reply, struct error *err)
{
	SERVER_AUTO struct server server = {0};

	server_start(&server, talk, arg);
	return get(server.url, ms, reply, err);
}

static void talk_canned(int fd, void *arg)
{
	struct talk_request request;

	if (talk_read_request(fd, &request))
		talk_text(fd, arg);
}

static void talk_bytewise(int fd, void *arg)
{
	struct talk_request request;

	if (!talk_read_request(fd, &request))
		return;
	for (const char *next = arg; *next; next++)
		talk_send(fd, next, 1);
}

static void test_replies_arrive_whatever_their_framing(void **state)
{
	static const struct {
		const char *text;
		unsigned status;
		const char *body;
	} rows[] = {
		{"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", 200, "hello"},
		{"HTTP/1.1 200 OK\r\n\r\nto the end", 200, "to the end"},
		{"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n",
		 200, "hello"},
		{"HTTP/1.0 404 Not Found\r\nContent-Length: 0\r\n\r\n", 404, ""},
		{"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 500 No\r\nContent-Length: 1\r\n\r\nx", 500,
		 "x"},
	};
	static const server_talk talks[] = {talk_canned, talk_bytewise};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		for (size_t j = 0; j < COUNT(talks); j++) {
			struct net_reply reply = {0};

			unit_check(ask(talks[j], (void *)rows[i].text, 5000, &reply, NULL) == 0,
				   rows[i].text);
			unit_check(reply.status == rows[i].status, rows[i].text);
			assert_string_equal(reply.body, rows[i].body);
			assert_int_equal(reply.body_size, strlen(rows[i].body));
			free(reply.body);
		}
	}
}

static void talk_nothing(int fd, void *arg)
{
	char byte;

	(void)arg;
	while (read(fd, &byte, 1) > 0)
		;
}

static void talk_canned_and_stay(int fd, void *arg)
{
	talk_canned(fd, arg);
	talk_nothing(fd, NULL);
}

static void test_a_server_that_stays_open_after_the_reply_is_not_waited_for(void **state)
{
	static const char text[] = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
	struct net_reply reply = {0};

	(void)state;
	assert_int_equal(ask(talk_canned_and_stay, (void *)text, 60000, &reply, NULL), 0);
	assert_string_equal(reply.body, "ok");
	free(reply.body);
}

/* One byte now and then: each read succeeds, but the whole must end at the deadline. */
static void talk_drip(int fd, void *arg)
{
	struct talk_request request;

	(void)arg;
	if (!talk_read_request(fd, &request))
		return;
	talk_text(fd, "HTTP/1.1 200 OK\r\nX: ");
	for (;;) {
		if (write(fd, "x", 1) != 1)
			return;
		(void)poll(NULL, 0, 20);
	}
}

static void test_slow_and_silent_servers_end_at_the_deadline(void **state)
{
	static const struct {
		const char *name;
		server_talk talk;
		const char *text;
	} rows[] = {
		{"silent after accept", talk_nothing, NULL},
		{"silent in the head", talk_canned_and_stay, "HTTP/1.1 200 OK\r\nContent-Le"},
		{"silent in the body", talk_canned_and_stay,
		 "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhel"},
		{"one byte now and then", talk_drip, NULL},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct net_reply reply = {0};
		struct error err = {0};
		int64_t start = unit_now_ms();
		int rc = ask(rows[i].talk, (void *)rows[i].text, SHORT_MS, &reply, &err);
		int64_t took = unit_now_ms() - start;

		unit_check(rc == -ETIMEDOUT, rows[i].name);
		unit_check(took >= SHORT_MS - 10 && took < TOO_LONG_MS, rows[i].name);
		unit_check(strstr(err.text, "127.0.0.1:") != NULL, rows[i].name);
		unit_check(net_is_unreachable(rc), rows[i].name);
		assert_null(reply.body);
	}
}

static void test_deadline_that_has_passed_asks_nobody_for_long(void **state)
{
	struct net_reply reply = {0};
	int64_t start = unit_now_ms();

	(void)state;
	assert_int_equal(ask(talk_nothing, NULL, 0, &reply, NULL), -ETIMEDOUT);
	assert_true(unit_now_ms() - start < TOO_LONG_MS);
}

static void test_refused_connection_is_told_with_its_address(void **state)
{
	struct net_reply reply = {0};
	struct error err = {0};
	char url[64];
	int fd = -1;
	int rc;

	(void)state;
	server_refusing(&fd, url);
	rc = get(url, 5000, &reply, &err);
	(void)close(fd);
	assert_int_equal(rc, -ECONNREFUSED);
	assert_true(net_is_unreachable(rc));
	assert_non_null(strstr(err.text, url + strlen("http://")));
	assert_non_null(strstr(err.text, "refused"));
}

static void talk_close(int fd, void *arg)
{
	struct talk_request request;

	(void)arg;
	(void)talk_read_request(fd, &request);
}

static void talk_reset(int fd, void *arg)
{
	const struct linger hard = {1, 0};

	(void)arg;
	(void)setsockopt(fd, SOL_SOCKET, SO_LINGER, &hard, sizeof(hard));
}

static void test_replies_cut_short_are_malformed(void **state)
{
	static const char *const rows[] = {
		"",
		"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhel",
		"HTTP/1.1 200 OK\r\nX",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhel",
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct net_reply reply = {0};
		struct error err = {0};

		unit_check(ask(talk_canned, (void *)rows[i], 5000, &reply, &err) == -EBADMSG,
			   rows[i]);
		unit_check(strstr(err.text, "127.0.0.1:") != NULL, rows[i]);
		assert_null(reply.body);
	}
}

static void test_reset_connection_counts_as_unreachable(void **state)
{
	struct net_reply reply = {0};
	int rc = ask(talk_reset, NULL, 5000, &reply, NULL);

	(void)state;
	assert_true(rc < 0);
	assert_true(net_is_unreachable(rc) || rc == -EBADMSG);
	assert_true(ask(talk_close, NULL, 5000, &reply, NULL) == -EBADMSG);
}

static void talk_huge(int fd, void *arg)
{
	static char block[65536];
	struct talk_request request;

	if (!talk_read_request(fd, &request))
		return;
	memset(block, 'x', sizeof(block));
	talk_text(fd, arg);
	for (;;)
		if (write(fd, block, sizeof(block)) <= 0)
			return;
}

static void talk_endless_headers(int fd, void *arg)
{
	struct talk_request request;

	(void)arg;
	if (!talk_read_request(fd, &request))
		return;
	talk_text(fd, "HTTP/1.1 200 OK\r\n");
	for (;;)
		if (write(fd, "X-More: and more\r\n", 18) <= 0)
			return;
}

static void test_endless_replies_are_cut_off(void **state)
{
	static const struct {
		const char *name;
		server_talk talk;
		const char *text;
	} rows[] = {
		{"to the end", talk_huge, "HTTP/1.1 200 OK\r\n\r\n"},
		{"length", talk_huge, "HTTP/1.1 200 OK\r\nContent-Length: 99999999\r\n\r\n"},
		{"chunk", talk_huge,
		 "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nfffffff\r\n"},
		{"line", talk_huge, "HTTP/1.1 200 OK\r\nX: "},
		{"headers", talk_endless_headers, NULL},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct net_reply reply = {0};
		struct error err = {0};

		unit_check(ask(rows[i].talk, (void *)rows[i].text, 5000, &reply, &err) == -EFBIG,
			   rows[i].name);
		assert_null(reply.body);
	}
}

static void test_body_of_exactly_the_bound_is_taken(void **state)
{
	char text[REPLY_MAX + 100] = "HTTP/1.1 200 OK\r\n\r\n";
	size_t head = strlen(text);
	struct net_reply reply = {0};

	(void)state;
	memset(text + head, 'x', REPLY_MAX);
	assert_int_equal(ask(talk_canned, text, 5000, &reply, NULL), 0);
	assert_int_equal(reply.body_size, REPLY_MAX);
	free(reply.body);
	reply.body = NULL;
	text[head + REPLY_MAX] = 'x';
	assert_int_equal(ask(talk_canned, text, 5000, &reply, NULL), -EFBIG);
}

/* Keeps what it read where the parent sees it. */
static void talk_record(int fd, void *arg)
{
	struct talk_request *seen = arg;

	if (talk_read_request(fd, seen))
		talk_answer(fd, 200, "ok");
}

static struct talk_request *record_request(const char *method, const char *path, const char *body)
{
	struct talk_request *seen = unit_map(sizeof(*seen));
	SERVER_AUTO struct server server = {0};
	struct net_request request = {.method = method,
				      .content_type = "application/jwk+json",
				      .body = body,
				      .body_size = body ? strlen(body) : 0,
				      .reply_max = REPLY_MAX};
	struct net_reply reply = {0};
	char url[256];

	server_start(&server, talk_record, seen);
	(void)snprintf(url, sizeof(url), "%s%s", server.url, path);
	request.url = url;
	assert_int_equal(net_http(NULL, &request, deadline_in_ms(5000), &reply, NULL), 0);
	assert_string_equal(reply.body, "ok");
	free(reply.body);
	return seen;
}

static void test_get_has_host_and_no_body(void **state)
{
	struct talk_request *seen = record_request("GET", "/adv/", NULL);

	(void)state;
	assert_string_equal(seen->method, "GET");
	assert_string_equal(seen->target, "/adv/");
	assert_non_null(strstr(seen->text, " HTTP/1.1\r\n"));
	assert_non_null(strstr(seen->text, "\r\nHost: 127.0.0.1:"));
	assert_non_null(strstr(seen->text, "\r\nConnection: close\r\n"));
	assert_null(strstr(seen->text, "Content-"));
	unit_unmap(seen, sizeof(*seen));
}

static void test_post_has_length_type_and_body(void **state)
{
	struct talk_request *seen = record_request("POST", "/rec/x", "{\"kty\":\"EC\"}");

	(void)state;
	assert_string_equal(seen->method, "POST");
	assert_string_equal(seen->target, "/rec/x");
	assert_non_null(strstr(seen->text, "\r\nContent-Type: application/jwk+json\r\n"));
	assert_non_null(strstr(seen->text, "\r\nContent-Length: 12\r\n"));
	assert_non_null(strstr(seen->text, "\r\n\r\n{\"kty\":\"EC\"}"));
	unit_unmap(seen, sizeof(*seen));
}

static void test_url_that_is_none_asks_nobody(void **state)
{
	struct net_reply reply = {0};

	(void)state;
	assert_int_equal(get("ftp://127.0.0.1/", 5000, &reply, NULL), -ENOTSUP);
	assert_int_equal(get("http://127.0.0.1:0/", 5000, &reply, NULL), -EINVAL);
}

static void test_codes_that_mean_unreachable(void **state)
{
	static const struct {
		int code;
		bool unreachable;
	} rows[] = {
		{-ECONNREFUSED, true}, {-ETIMEDOUT, true},  {-EHOSTUNREACH, true},
		{-ENETUNREACH, true},  {-ECONNRESET, true}, {-EBADMSG, false},
		{-EFBIG, false},       {-EINVAL, false},    {-EACCES, false},
		{ECONNREFUSED, false}, {0, false},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++)
		assert_int_equal(net_is_unreachable(rows[i].code), rows[i].unreachable);
}

int main(int argc, char *argv[])
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_replies_arrive_whatever_their_framing),
		cmocka_unit_test(test_a_server_that_stays_open_after_the_reply_is_not_waited_for),
		cmocka_unit_test(test_slow_and_silent_servers_end_at_the_deadline),
		cmocka_unit_test(test_deadline_that_has_passed_asks_nobody_for_long),
		cmocka_unit_test(test_refused_connection_is_told_with_its_address),
		cmocka_unit_test(test_replies_cut_short_are_malformed),
		cmocka_unit_test(test_reset_connection_counts_as_unreachable),
		cmocka_unit_test(test_endless_replies_are_cut_off),
		cmocka_unit_test(test_body_of_exactly_the_bound_is_taken),
		cmocka_unit_test(test_get_has_host_and_no_body),
		cmocka_unit_test(test_post_has_length_type_and_body),
		cmocka_unit_test(test_url_that_is_none_asks_nobody),
		cmocka_unit_test(test_codes_that_mean_unreachable),
	};

	unit_begin(argc, argv);
	return cmocka_run_group_tests_name("net/http", tests, NULL, NULL);
}
