/* SPDX-License-Identifier: Apache-2.0 */
/* net/proxy.c: which proxy the environment means, whom it leaves out, and what goes over the wire to it. */
#include "server.h"

#include "net/net.h"
#include "net/proxy.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static const char *const variables[] = {"http_proxy", "HTTP_PROXY", "https_proxy", "HTTPS_PROXY",
					"all_proxy",  "ALL_PROXY",  "no_proxy",	   "NO_PROXY"};

static int clear_environment(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(variables); i++)
		(void)unsetenv(variables[i]);
	return 0;
}

static int find(const char *text, struct net_proxy *proxy, struct error *err)
{
	struct net_url url;

	assert_int_equal(net_url_parse(text, &url, NULL), 0);
	memset(proxy, 0xee, sizeof(*proxy));
	return net_proxy_find(&url, proxy, err);
}

static void test_variables_mean_what_they_mean_to_curl(void **state)
{
	static const struct {
		const char *name;
		const char *url;
		bool used;
	} rows[] = {
		{"http_proxy", "http://h/", true},   {"http_proxy", "https://h/", false},
		{"HTTP_PROXY", "http://h/", false}, /* from whoever asks a CGI program */
		{"https_proxy", "https://h/", true}, {"HTTPS_PROXY", "https://h/", true},
		{"https_proxy", "http://h/", false}, {"all_proxy", "http://h/", true},
		{"all_proxy", "https://h/", true},   {"ALL_PROXY", "http://h/", true},
		{"ALL_PROXY", "https://h/", true},
	};

	for (size_t i = 0; i < COUNT(rows); i++) {
		struct net_proxy proxy;

		clear_environment(state);
		assert_int_equal(setenv(rows[i].name, "http://p:3128/", 1), 0);
		unit_check(find(rows[i].url, &proxy, NULL) == 0, rows[i].name);
		unit_check((*proxy.host != '\0') == rows[i].used, rows[i].name);
		(void)setenv(rows[i].name, "", 1);
		unit_check(find(rows[i].url, &proxy, NULL) == 0 && !*proxy.host, rows[i].name);
	}
	(void)setenv("http_proxy", "p1", 1);
	(void)setenv("all_proxy", "p2", 1);
	(void)setenv("no_proxy", "h", 1);
	{
		struct net_proxy proxy;

		assert_int_equal(find("http://h/", &proxy, NULL), 0);
		assert_string_equal(proxy.host, "");
		assert_int_equal(find("http://other/", &proxy, NULL), 0);
		assert_string_equal(proxy.host, "p1");
	}
}

static void test_values_are_taken_apart_or_refused(void **state)
{
	static const struct {
		const char *value;
		const char *host; /* NULL: refused */
		const char *port;
	} rows[] = {
		{"http://p:3128", "p", "3128"},
		{"http://p:3128/", "p", "3128"},
		{"HTTP://p", "p", "1080"},
		{"p", "p", "1080"},
		{"p:8080", "p", "8080"},
		{"[fd00::1]:8080", "fd00::1", "8080"},
		{"http://[fd00::1]", "fd00::1", "1080"},
		{"https://p:3128", NULL, NULL},
		{"socks5://p:1080", NULL, NULL},
		{"http://user:password@p:3128", NULL, NULL},
		{"user:password@p", NULL, NULL},
		{"http://", NULL, NULL},
		{"http://p:0", NULL, NULL},
		{"http://p:3128/path", NULL, NULL},
		{"http://p q", NULL, NULL},
		{"http://p\r\nX: y", NULL, NULL},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct net_proxy proxy = {0};
		struct error err = {0};
		int rc = net_proxy_parse("http_proxy", rows[i].value, &proxy, &err);

		unit_check(rc == (rows[i].host ? 0 : -ENOTSUP), rows[i].value);
		unit_check(strcmp(proxy.host, rows[i].host ? rows[i].host : "") == 0,
			   rows[i].value);
		unit_check(strcmp(proxy.port, rows[i].host ? rows[i].port : "") == 0,
			   rows[i].value);
		unit_check(rc == 0 || strncmp(err.text, "http_proxy: ", 12) == 0, rows[i].value);
		unit_check(!strstr(err.text, "password"), rows[i].value);
	}
}

static void test_no_proxy_names_hosts(void **state)
{
	static const struct {
		const char *list;
		const char *host;
		bool excluded;
	} rows[] = {
		{"", "h", false},
		{" , ,", "h", false},
		{"*", "h", true},
		{"a,*", "10.0.0.1", true},
		{"h", "h", true},
		{"H", "h", true},
		{"h", "x.h", true},
		{".h", "x.h", true},
		{".h", "h", true},
		{"h", "xh", false},
		{"x.h", "h", false},
		{"h.", "h", true},
		{"h", "h.", true},
		{".", "h", false},
		{"a, tang.example b", "tang.example", true},
		{"a tang.example,b", "x.tang.example", true},
		{"tang.example.evil", "tang.example", false},
		{"10.0.0.1", "10.0.0.1", true},
		{"10.0.0.1", "10.0.0.10", false},
		{"0.0.1", "10.0.0.1", false},
		{"10.0.0.0/8", "10.255.0.1", true},
		{"10.0.0.0/8", "11.0.0.1", false},
		{"10.0.0.0/9", "10.128.0.1", false},
		{"10.0.0.0/9", "10.127.0.1", true},
		{"0.0.0.0/0", "192.0.2.1", true},
		{"0.0.0.0/0", "fd00::1", false},
		{"10.0.0.0/33", "10.0.0.0", false},
		{"10.0.0.0/", "10.0.0.0", false},
		{"10.0.0.0/8x", "10.0.0.0", false},
		{"10.0.0.0/-1", "10.0.0.0", false},
		{"10.0.0.0/99999999999999999999999", "10.0.0.0", false},
		{"10.0.0.1/32", "10.0.0.1", true},
		{"fd00::/8", "fd12::1", true},
		{"fd00::/8", "fe12::1", false},
		{"[fd00::1]", "fd00::1", true},
		{"fd00::0001", "fd00::1", true},
		{"fd00::1/128", "fd00::1", true},
		{"fd00::1/128", "fd00::2", false},
		{"fe80::/10", "fe80::1%eth0", true},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++)
		unit_check(net_proxy_excludes(rows[i].list, rows[i].host) == rows[i].excluded,
			   rows[i].list);
}

/* Keeps what it read where the parent sees it. */
static void talk_record(int fd, void *arg)
{
	struct talk_request *seen = arg;

	if (talk_read_request(fd, seen))
		talk_answer(fd, 200, "ok");
}

static void test_http_goes_to_the_proxy_with_the_whole_url(void **state)
{
	struct talk_request *seen = unit_map(sizeof(*seen));
	struct net_request request = {
		.method = "GET", .url = "http://tang.invalid:81/adv/", .reply_max = 100};
	SERVER_AUTO struct server server = {0};
	struct net_reply reply = {0};

	(void)state;
	server_start(&server, talk_record, seen);
	(void)setenv("http_proxy", server.url, 1);
	assert_int_equal(net_http(NULL, &request, deadline_in_ms(5000), &reply, NULL), 0);
	free(reply.body);
	assert_string_equal(seen->target, "http://tang.invalid:81/adv/");
	assert_non_null(strstr(seen->text, "\r\nHost: tang.invalid:81\r\n"));
	unit_unmap(seen, sizeof(*seen));
}

static void test_proxy_that_is_away_is_named(void **state)
{
	struct net_request request = {
		.method = "GET", .url = "http://tang.invalid/", .reply_max = 100};
	struct net_reply reply = {0};
	struct error err = {0};
	char url[64];
	int fd = -1;

	(void)state;
	server_refusing(&fd, url);
	(void)setenv("http_proxy", url, 1);
	assert_int_equal(net_http(NULL, &request, deadline_in_ms(5000), &reply, &err),
			 -ECONNREFUSED);
	assert_int_equal(strncmp(err.text, "the proxy 127.0.0.1:", 20), 0);
	assert_true(net_is_unreachable(-ECONNREFUSED));
}

static void talk_tunnel(int fd, void *arg)
{
	char head[1000];

	if (!talk_read_until(fd, "\r\n\r\n", head, sizeof(head)))
		return;
	talk_text(fd, arg);
	if (strncmp(head, "CONNECT tang.invalid:443 HTTP/1.1\r\nHost: tang.invalid:443\r\n", 59) ==
	    0)
		talk_text(fd, "behind");
}

static int open_tunnel(const char *answer, char behind[7], struct error *err)
{
	SERVER_AUTO struct server server = {0};
	struct net_connection connection = NET_CONNECTION_NONE;
	struct deadline deadline = deadline_in_ms(5000);
	char port[8];
	int rc;

	server_start(&server, talk_tunnel, (void *)answer);
	(void)snprintf(port, sizeof(port), "%d", server.port);
	assert_int_equal(net_connect("127.0.0.1", port, deadline, &connection, NULL), 0);
	rc = net_proxy_tunnel(&connection, "tang.invalid", "443", deadline, err);
	for (size_t i = 0; rc == 0 && i < 6; i++)
		assert_int_equal(net_receive(&connection, behind + i, 1, deadline, NULL), 1);
	behind[6] = '\0';
	net_close(&connection);
	return rc;
}

static void test_tunnel_is_asked_for_and_leaves_what_follows(void **state)
{
	static const struct {
		const char *answer;
		int rc;
	} rows[] = {
		{"HTTP/1.1 200 Connection established\r\n\r\n", 0},
		{"HTTP/1.0 200 OK\r\nContent-Length: 50\r\n\r\n", 0},
		{"HTTP/1.1 100 Wait\r\n\r\nHTTP/1.1 204 OK\r\n\r\n", 0},
		{"HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno", -EACCES},
		{"HTTP/1.1 407 Who?\r\n\r\n", -EACCES},
		{"HTTP/1.1 502 Bad Gateway\r\n\r\n", -EHOSTUNREACH},
		{"HTTP/1.1 301 Elsewhere\r\nLocation: http://h/\r\n\r\n", -EHOSTUNREACH},
		{"SSH-2.0-OpenSSH\r\n", -EBADMSG},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		char behind[7] = "";
		struct error err = {0};

		unit_check(open_tunnel(rows[i].answer, behind, &err) == rows[i].rc, rows[i].answer);
		unit_check(rows[i].rc < 0 || strcmp(behind, "behind") == 0, rows[i].answer);
		unit_check(rows[i].rc == 0 || strstr(err.text, "127.0.0.1:"), rows[i].answer);
	}
}

int main(int argc, char *argv[])
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_variables_mean_what_they_mean_to_curl,
				       clear_environment),
		cmocka_unit_test(test_values_are_taken_apart_or_refused),
		cmocka_unit_test(test_no_proxy_names_hosts),
		cmocka_unit_test_setup(test_http_goes_to_the_proxy_with_the_whole_url,
				       clear_environment),
		cmocka_unit_test_setup(test_proxy_that_is_away_is_named, clear_environment),
		cmocka_unit_test(test_tunnel_is_asked_for_and_leaves_what_follows),
	};

	unit_begin(argc, argv);
	return cmocka_run_group_tests_name("net/proxy", tests, NULL, NULL);
}
