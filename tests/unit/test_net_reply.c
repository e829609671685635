/* SPDX-License-Identifier: Apache-2.0 */
/* net/reply.c: the parser of HTTP replies, fed whole and byte by byte; what is malformed or too large is refused early. */
#include "unit.h"

#include "net/reply.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { BODY_MAX = 100 };

#define OK_HEAD "HTTP/1.1 200 OK\r\n"

/* Feeds `text` in pieces and then the end. Returns the first code that is not 0. */
static int feed(const char *text, size_t piece, struct reply *reply)
{
	size_t length = strlen(text);
	int rc = 0;

	memset(reply, 0, sizeof(*reply));
	reply->body_max = BODY_MAX;
	for (size_t at = 0; rc == 0 && at < length; at += piece)
		rc = reply_feed(reply, text + at, length - at < piece ? length - at : piece, NULL);
	return rc == 0 ? reply_end(reply, NULL) : rc;
}

static const size_t pieces[] = {1, 2, 7, 100000};

static void test_reads_good_replies_in_any_pieces(void **state)
{
	static const struct {
		const char *text;
		unsigned status;
		const char *body; /* NULL: none */
	} rows[] = {
		{OK_HEAD "Content-Length: 5\r\n\r\nhello", 200, "hello"},
		{OK_HEAD "content-LENGTH:5  \r\n\r\nhello", 200, "hello"},
		{OK_HEAD "Content-Length: 5\r\nContent-Length: 5\r\n\r\nhello", 200, "hello"},
		{OK_HEAD "Content-Length: 0\r\n\r\n", 200, NULL},
		{OK_HEAD "Content-Length: 2\r\n\r\nhello", 200, "he"},
		{OK_HEAD "\r\nto the end", 200, "to the end"},
		{OK_HEAD "\r\n", 200, NULL},
		{"HTTP/1.0 200\r\n\r\nold", 200, "old"},
		{"HTTP/1.1 404 \r\nContent-Length: 0\r\n\r\n", 404, NULL},
		{"HTTP/1.1 404 NOT_FOUND\nContent-Length: 1\n\nx", 404, "x"},
		{"HTTP/1.1 503 Busy\r\nRetry-After: 5\r\nContent-Length: 0\r\n\r\n", 503, NULL},
		{"HTTP/1.1 204 No\r\nContent-Length: 5\r\n\r\n", 204, NULL},
		{"HTTP/1.1 304 No\r\n\r\nignored", 304, NULL},
		{"HTTP/1.1 100 Continue\r\n\r\n" OK_HEAD "Content-Length: 2\r\n\r\nok", 200, "ok"},
		{"HTTP/1.1 103 Hints\r\nContent-Length: 9\r\n\r\n" OK_HEAD "\r\nok", 200, "ok"},
		{OK_HEAD "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n", 200, "hello"},
		{OK_HEAD
		 "Transfer-Encoding: Chunked \r\n\r\n3;ext=1\r\nhel\r\n02 \r\nlo\r\n0\r\nT: x\r\n\r\n",
		 200, "hello"},
		{OK_HEAD "Transfer-Encoding: chunked\r\n\r\nA\r\n0123456789\r\n0\r\n\r\nmore", 200,
		 "0123456789"},
		{OK_HEAD "Transfer-Encoding: chunked\n\n1\nx\n0\n\n", 200, "x"},
		{OK_HEAD "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 200, NULL},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		for (size_t j = 0; j < COUNT(pieces); j++) {
			struct reply reply;
			const char *body = rows[i].body ? rows[i].body : "";

			unit_check(feed(rows[i].text, pieces[j], &reply) == 0, rows[i].text);
			unit_check(reply.status == rows[i].status, rows[i].text);
			unit_check(reply.body_size == strlen(body), rows[i].text);
			unit_check(strcmp(reply.body ? reply.body : "", body) == 0, rows[i].text);
			unit_check(reply.state == REPLY_DONE, rows[i].text);
			reply_free(&reply);
		}
	}
}

static void test_refuses_malformed_replies_in_any_pieces(void **state)
{
	static const char *const rows[] = {
		"",
		"\r\n\r\n",
		"HTTP/1.1 200 OK",
		"HTTP/1.1 200 OK\r\n",
		"HTTP/2 200 OK\r\n\r\n",
		"HTTP/1.1200 OK\r\n\r\n",
		"HTTP/1.x 200 OK\r\n\r\n",
		"HTTP/1.1 20 OK\r\n\r\n",
		"HTTP/1.1 2000 OK\r\n\r\n",
		"HTTP/1.1 abc OK\r\n\r\n",
		"http/1.1 200 OK\r\n\r\n",
		"ICY 200 OK\r\n\r\n",
		"<html>not http at all</html>\r\n\r\n",
		OK_HEAD "no colon\r\n\r\n",
		OK_HEAD ": no name\r\n\r\n",
		OK_HEAD "Content-Length: 5\r\n\r\nhell",
		OK_HEAD "Content-Length: \r\n\r\n",
		OK_HEAD "Content-Length: x\r\n\r\n",
		OK_HEAD "Content-Length: -5\r\n\r\n",
		OK_HEAD "Content-Length: +5\r\n\r\nhello",
		OK_HEAD "Content-Length: 5,5\r\n\r\nhello",
		OK_HEAD "Content-Length: 5 5\r\n\r\nhello",
		OK_HEAD "Content-Length: 0x5\r\n\r\nhello",
		OK_HEAD "Content-Length: 5;x\r\n\r\nhello",
		OK_HEAD "Content-Length: 99999999999999999999\r\n\r\n",
		OK_HEAD "Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
		OK_HEAD "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
		OK_HEAD "Transfer-Encoding: gzip\r\n\r\n",
		OK_HEAD "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
		OK_HEAD "Transfer-Encoding: chunkedx\r\n\r\n0\r\n\r\n",
		OK_HEAD "Transfer-Encoding: chunked\r\n\r\n",
		OK_HEAD "Transfer-Encoding: chunked\r\n\r\nx\r\n",
		OK_HEAD "Transfer-Encoding: chunked\r\n\r\n\r\n",
		OK_HEAD "Transfer-Encoding: chunked\r\n\r\n-1\r\n",
		OK_HEAD "Transfer-Encoding: chunked\r\n\r\n0x1\r\nx\r\n0\r\n\r\n",
		OK_HEAD "Transfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\nx",
		OK_HEAD "Transfer-Encoding: chunked\r\n\r\n1\r\nxy\r\n0\r\n\r\n",
		OK_HEAD "Transfer-Encoding: chunked\r\n\r\n1\r\nx\r\n",
		OK_HEAD "Transfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n",
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		for (size_t j = 0; j < COUNT(pieces); j++) {
			struct reply reply;

			unit_check(feed(rows[i], pieces[j], &reply) == -EBADMSG, rows[i]);
			reply_free(&reply);
		}
	}
}

static void test_refuses_a_nul_byte_in_the_head(void **state)
{
	static const char text[] = "HTTP/1.1 200 OK\r\nX: a\0b\r\n\r\n";
	struct reply reply = {.body_max = BODY_MAX};

	(void)state;
	assert_int_equal(reply_feed(&reply, text, sizeof(text) - 1, NULL), -EBADMSG);
	reply_free(&reply);
}

static void test_nul_bytes_in_the_body_are_kept(void **state)
{
	static const char text[] = "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\na\0b";
	struct reply reply = {.body_max = BODY_MAX};

	(void)state;
	assert_int_equal(reply_feed(&reply, text, sizeof(text) - 1, NULL), 0);
	assert_int_equal(reply.body_size, 3);
	assert_memory_equal(reply.body, "a\0b", 4);
	reply_free(&reply);
}

enum { BY_LENGTH, TO_END, CHUNKED, FRAMINGS };

static void print_head(int framing, size_t size, char *head, size_t head_size)
{
	if (framing == BY_LENGTH)
		(void)snprintf(head, head_size, OK_HEAD "Content-Length: %zu\r\n\r\n", size);
	else if (framing == TO_END)
		(void)snprintf(head, head_size, OK_HEAD "\r\n");
	else
		(void)snprintf(head, head_size, OK_HEAD "Transfer-Encoding: chunked\r\n\r\n%zx\r\n",
			       size);
}

static void test_body_is_bounded_to_the_byte(void **state)
{
	(void)state;
	for (int framing = 0; framing < FRAMINGS; framing++) {
		for (size_t size = BODY_MAX - 1; size <= BODY_MAX + 1; size++) {
			struct reply reply = {.body_max = BODY_MAX};
			char body[BODY_MAX + 1];
			char head[200];
			int rc;

			memset(body, 'x', sizeof(body));
			print_head(framing, size, head, sizeof(head));
			rc = reply_feed(&reply, head, strlen(head), NULL);
			if (rc == 0)
				rc = reply_feed(&reply, body, size, NULL);
			unit_check(rc == (size <= BODY_MAX ? 0 : -EFBIG), head);
			unit_check(reply.body_size <= BODY_MAX, head);
			reply_free(&reply);
		}
	}
}

static void test_large_length_is_refused_before_the_body_comes(void **state)
{
	static const char head[] = OK_HEAD "Content-Length: 101\r\n\r\n";
	struct reply reply = {.body_max = BODY_MAX};

	(void)state;
	assert_int_equal(reply_feed(&reply, head, sizeof(head) - 1, NULL), -EFBIG);
	assert_null(reply.body);
	reply_free(&reply);
}

/* Many small chunks make a large body. */
static void test_body_of_many_chunks_is_bounded(void **state)
{
	static const char head[] = OK_HEAD "Transfer-Encoding: chunked\r\n\r\n";
	static const char chunk[] = "1\r\nx\r\n";
	struct reply reply = {.body_max = BODY_MAX};
	int rc = reply_feed(&reply, head, sizeof(head) - 1, NULL);
	size_t count = 0;

	(void)state;
	while (rc == 0 && ++count < 10000)
		rc = reply_feed(&reply, chunk, sizeof(chunk) - 1, NULL);
	assert_int_equal(rc, -EFBIG);
	assert_int_equal(count, BODY_MAX + 1);
	reply_free(&reply);
}

/* Feeds `piece` again and again after `head`, until it is refused. Returns the bytes that were taken. */
static size_t feed_endlessly(const char *head, const char *piece, int *rc)
{
	struct reply reply = {.body_max = BODY_MAX};
	size_t taken = strlen(head);

	*rc = reply_feed(&reply, head, strlen(head), NULL);
	while (*rc == 0 && taken < (size_t)10 * 1024 * 1024) {
		*rc = reply_feed(&reply, piece, strlen(piece), NULL);
		taken += strlen(piece);
	}
	reply_free(&reply);
	return taken;
}

static void test_endless_heads_are_refused(void **state)
{
	static const struct {
		const char *head;
		const char *piece;
		size_t most; /* bytes taken before the refusal */
	} rows[] = {
		{OK_HEAD, "X: y\r\n", REPLY_HEAD_MAX + 100},
		{OK_HEAD, "x", REPLY_LINE_MAX + 100},
		{"", "H", REPLY_LINE_MAX + 100},
		{"", "HTTP/1.1 100 Continue\r\n\r\n", REPLY_HEAD_MAX + 100},
		{OK_HEAD "Transfer-Encoding: chunked\r\n\r\n", "0", REPLY_LINE_MAX + 100},
		{OK_HEAD "Transfer-Encoding: chunked\r\n\r\n1;", "x", REPLY_LINE_MAX + 100},
		{OK_HEAD "Transfer-Encoding: chunked\r\n\r\n0\r\n", "X: y\r\n",
		 REPLY_HEAD_MAX + 100},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		int rc = 0;
		size_t taken = feed_endlessly(rows[i].head, rows[i].piece, &rc);

		unit_check(rc == -EFBIG || rc == -EBADMSG, rows[i].piece);
		unit_check(taken <= rows[i].most, rows[i].piece);
	}
}

static void test_bytes_after_the_end_change_nothing(void **state)
{
	static const char text[] = OK_HEAD "Content-Length: 1\r\n\r\nx";
	struct reply reply = {.body_max = BODY_MAX};

	(void)state;
	assert_int_equal(reply_feed(&reply, text, sizeof(text) - 1, NULL), 0);
	assert_int_equal(reply.state, REPLY_DONE);
	assert_int_equal(reply_feed(&reply, "garbage\r\n\r\n", 11, NULL), 0);
	assert_int_equal(reply.status, 200);
	assert_string_equal(reply.body, "x");
	assert_int_equal(reply_end(&reply, NULL), 0);
	reply_free(&reply);
}

static void test_says_whether_another_request_may_follow(void **state)
{
	static const struct {
		const char *text;
		bool another;
	} rows[] = {
		{OK_HEAD "Content-Length: 1\r\n\r\nx", true},
		{OK_HEAD "Content-Length: 0\r\n\r\n", true},
		{OK_HEAD "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n", true},
		{"HTTP/1.1 204 No\r\n\r\n", true},
		{OK_HEAD "Content-Length: 1\r\nConnection: keep-alive\r\n\r\nx", true},
		{OK_HEAD "Content-Length: 1\r\nConnection: close\r\n\r\nx", false},
		{OK_HEAD "Content-Length: 1\r\nConnection: a ,CLOSE\r\n\r\nx", false},
		{OK_HEAD "Connection: close\r\nConnection: keep-alive\r\nContent-Length: 0\r\n\r\n",
		 false},
		{OK_HEAD "Content-Length: 1\r\nConnection: closer\r\n\r\nx", true},
		{"HTTP/1.0 200 OK\r\nContent-Length: 1\r\n\r\nx", false},
		{"HTTP/1.0 200 OK\r\nContent-Length: 1\r\nConnection: Keep-Alive\r\n\r\nx", true},
		{OK_HEAD "\r\nto the end", false},
		{OK_HEAD "Content-Length: 1\r\n\r\nxy", false},
		{"HTTP/1.1 204 No\r\nContent-Length: 1\r\n\r\nx", false},
		{OK_HEAD "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n\r\n", false},
		{"HTTP/1.1 100 Go\r\nConnection: close\r\n\r\n" OK_HEAD "Content-Length: 0\r\n\r\n",
		 true},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		for (size_t j = 0; j < COUNT(pieces); j++) {
			struct reply reply;

			unit_check(feed(rows[i].text, pieces[j], &reply) == 0, rows[i].text);
			unit_check(reply_allows_another(&reply) == rows[i].another, rows[i].text);
			reply_free(&reply);
		}
	}
}

static void test_half_a_reply_allows_no_other(void **state)
{
	static const char text[] = OK_HEAD "Content-Length: 2\r\n\r\nx";
	struct reply reply = {.body_max = BODY_MAX};

	(void)state;
	assert_int_equal(reply_feed(&reply, text, sizeof(text) - 1, NULL), 0);
	assert_false(reply_allows_another(&reply));
	reply_free(&reply);
}

static void test_reads_where_else_and_when_again(void **state)
{
	static const struct {
		const char *fields;
		const char *location; /* NULL: none */
		unsigned retry_after_s;
	} rows[] = {
		{"", NULL, 0},
		{"Location: /x\r\n", "/x", 0},
		{"location:http://h/ \t\r\n", "http://h/", 0},
		{"Retry-After: 5\r\n", NULL, 5},
		{"Retry-After: 0\r\n", NULL, 0},
		{"Retry-After:\t120 \r\n", NULL, 120},
		{"Retry-After: 86400\r\n", NULL, 86400},
		{"Retry-After: 86401\r\n", NULL, 86400},
		{"Retry-After: 99999999999999999999999999\r\n", NULL, 86400},
		{"Retry-After: -5\r\n", NULL, 0},
		{"Retry-After: 5x\r\n", NULL, 0},
		{"Retry-After: soon\r\n", NULL, 0},
		{"Retry-After:\r\n", NULL, 0},
		/* The server's clock counts, wherever it stands among the fields. */
		{"Date: Sun, 06 Nov 1994 08:49:37 GMT\r\nRetry-After: Sun, 06 Nov 1994 08:50:07 GMT\r\n",
		 NULL, 30},
		{"Retry-After: Mon, 07 Nov 1994 00:00:00 GMT\r\nDate: Sun, 06 Nov 1994 23:59:59 GMT\r\n",
		 NULL, 1},
		{"Retry-After: Sun, 06 Nov 1994 08:49:37 GMT\r\n", NULL, 0},
		{"Retry-After: Fri, 31 Dec 9999 23:59:59 GMT\r\n", NULL, 86400},
		{"Retry-After: Fri, 31 Dec 9999 23:59:61 GMT\r\n", NULL, 0},
		{"Retry-After: Fri, 31 Foo 9999 23:59:59 GMT\r\n", NULL, 0},
		{"Retry-After: Fri, 31 Dec 9999 23:59:59 CET\r\n", NULL, 0},
		{"Retry-After: Friday, 31-Dec-99 23:59:59 GMT\r\n", NULL, 0},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		char text[300];
		struct reply reply;

		(void)snprintf(text, sizeof(text), OK_HEAD "%sContent-Length: 0\r\n\r\n",
			       rows[i].fields);
		unit_check(feed(text, 7, &reply) == 0, rows[i].fields);
		unit_check(reply.retry_after_s == rows[i].retry_after_s, rows[i].fields);
		unit_check(!reply.location == !rows[i].location, rows[i].fields);
		if (reply.location && rows[i].location)
			unit_check(strcmp(reply.location, rows[i].location) == 0, rows[i].fields);
		reply_free(&reply);
	}
}

int main(int argc, char *argv[])
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_reads_good_replies_in_any_pieces),
		cmocka_unit_test(test_refuses_malformed_replies_in_any_pieces),
		cmocka_unit_test(test_refuses_a_nul_byte_in_the_head),
		cmocka_unit_test(test_nul_bytes_in_the_body_are_kept),
		cmocka_unit_test(test_body_is_bounded_to_the_byte),
		cmocka_unit_test(test_large_length_is_refused_before_the_body_comes),
		cmocka_unit_test(test_body_of_many_chunks_is_bounded),
		cmocka_unit_test(test_endless_heads_are_refused),
		cmocka_unit_test(test_bytes_after_the_end_change_nothing),
		cmocka_unit_test(test_says_whether_another_request_may_follow),
		cmocka_unit_test(test_half_a_reply_allows_no_other),
		cmocka_unit_test(test_reads_where_else_and_when_again),
	};

	unit_begin(argc, argv);
	return cmocka_run_group_tests_name("net/reply", tests, NULL, NULL);
}
