/* SPDX-License-Identifier: Apache-2.0 */
/* net/url.c and net/resolve.c: URLs of key servers, and the addresses behind their names. */
#include "unit.h"

#include "net/net.h"
#include "net/resolve.h"
#include "net/url.h"

#include <arpa/inet.h>
#include <errno.h>
#include <ifaddrs.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/wait.h>
#include <unistd.h>

/* Set: looking up names takes for ever. Numeric addresses are not concerned. */
static bool names_hang;

/* NOLINTBEGIN(*-reserved-identifier,cert-dcl*,readability-identifier-naming): the names of the linker's --wrap */
int __real_getaddrinfo(const char *host, const char *port, const struct addrinfo *hints,
		       struct addrinfo **list);
int __wrap_getaddrinfo(const char *host, const char *port, const struct addrinfo *hints,
		       struct addrinfo **list);

int __wrap_getaddrinfo(const char *host, const char *port, const struct addrinfo *hints,
		       struct addrinfo **list)
{
	while (names_hang && !(hints->ai_flags & AI_NUMERICHOST))
		(void)pause();
	if (strcmp(host, "this.example") == 0)
		host = "192.0.2.7";
	return __real_getaddrinfo(host, port, hints, list);
}

/* This machine has the addresses 192.0.2.7 and 2001:db8::7, and an interface without any. */
int __wrap_getifaddrs(struct ifaddrs **list);
void __wrap_freeifaddrs(struct ifaddrs *list);

int __wrap_getifaddrs(struct ifaddrs **list)
{
	static struct sockaddr_in ipv4 = {.sin_family = AF_INET};
	static struct sockaddr_in6 ipv6 = {.sin6_family = AF_INET6};
	static struct ifaddrs interfaces[] = {
		{.ifa_next = &interfaces[1]},
		{.ifa_next = &interfaces[2], .ifa_addr = (struct sockaddr *)&ipv6},
		{.ifa_addr = (struct sockaddr *)&ipv4}};

	(void)inet_pton(AF_INET, "192.0.2.7", &ipv4.sin_addr);
	(void)inet_pton(AF_INET6, "2001:db8::7", &ipv6.sin6_addr);
	*list = interfaces;
	return 0;
}

void __wrap_freeifaddrs(struct ifaddrs *list)
{
	(void)list;
}
/* NOLINTEND(*-reserved-identifier,cert-dcl*,readability-identifier-naming) */

static void test_takes_a_url_apart(void **state)
{
	static const struct {
		const char *text;
		const char *host;
		const char *port;
		const char *target;
		bool ipv6;
	} rows[] = {
		{"http://tang.example", "tang.example", "80", "/", false},
		{"tang.example", "tang.example", "80", "/", false},
		{"tang.example:8080/x", "tang.example", "8080", "/x", false},
		{"[::1]:8080", "::1", "8080", "/", true},
		{"http://tang.example/", "tang.example", "80", "/", false},
		{"HTTP://tang.example:8080", "tang.example", "8080", "/", false},
		{"http://10.7.8.68:1080/adv/", "10.7.8.68", "1080", "/adv/", false},
		{"http://h:65535/a//b/c", "h", "65535", "/a//b/c", false},
		{"http://h:00080/", "h", "80", "/", false},
		{"http://h:/x", "h", "80", "/x", false},
		{"http://h?q=1", "h", "80", "/?q=1", false},
		{"http://h/a?q=/&r=%20", "h", "80", "/a?q=/&r=%20", false},
		{"http://[::1]", "::1", "80", "/", true},
		{"http://[fd00::1]:1080/adv", "fd00::1", "1080", "/adv", true},
		{"http://[fe80::1%eth0]:80/", "fe80::1%eth0", "80", "/", true},
		{"http://h/a@b:c", "h", "80", "/a@b:c", false},
		{"https://h", "h", "443", "/", false},
		{"HTTPS://h:80/x", "h", "80", "/x", false},
		{"https://[::1]:/x", "::1", "443", "/x", true},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct net_url url;

		memset(&url, 0xee, sizeof(url));
		unit_check(net_url_parse(rows[i].text, &url, NULL) == 0, rows[i].text);
		assert_string_equal(url.host, rows[i].host);
		assert_string_equal(url.port, rows[i].port);
		assert_string_equal(url.target, rows[i].target);
		assert_int_equal(url.host_is_ipv6, rows[i].ipv6);
		assert_int_equal(url.secure, strncasecmp(rows[i].text, "https", 5) == 0);
	}
}

static void test_refuses_what_is_no_url_of_a_key_server(void **state)
{
	static const struct {
		const char *text;
		int rc;
	} rows[] = {
		{"", -EINVAL},
		{"//tang.example", -ENOTSUP},
		{"tang.example:x", -EINVAL},
		{"http:/h", -ENOTSUP},
		{"ftp://h/", -ENOTSUP},
		{"httpss://h/", -ENOTSUP},
		{"file:///etc/passwd", -ENOTSUP},
		{"http://", -EINVAL},
		{"http:///adv", -EINVAL},
		{"http://?x", -EINVAL},
		{"http://:80/", -EINVAL},
		{"http://h:0/", -EINVAL},
		{"http://h:65536/", -EINVAL},
		{"http://h:99999999999/", -EINVAL},
		{"http://h:-1/", -EINVAL},
		{"http://h:+80/", -EINVAL},
		{"http://h:8x/", -EINVAL},
		{"http://h:80:80/", -EINVAL},
		{"http://[::1/", -EINVAL},
		{"http://[]/", -EINVAL},
		{"http://[::1]x/", -EINVAL},
		{"http://[::1]80/", -EINVAL},
		{"http://user@h/", -EINVAL},
		{"http://user:pass@h/", -EINVAL},
		{"http://h/#fragment", -EINVAL},
		{"http://h/a b", -EINVAL},
		{" http://h/", -EINVAL},
		{"http://h/ ", -EINVAL},
		{"http://h/\r\nX-Forged: 1", -EINVAL},
		{"http://h\t/", -EINVAL},
		{"http://h/\x7f", -EINVAL},
		{"http://\xc3\xa4.example/", -EINVAL},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct net_url url = {0};
		struct error err = {0};

		unit_check(net_url_parse(rows[i].text, &url, &err) == rows[i].rc, rows[i].text);
		unit_check(err.code == rows[i].rc && !*url.host, rows[i].text);
	}
}

static void test_length_is_bounded(void **state)
{
	char text[NET_URL_MAX + 10] = "http://";
	struct net_url url;

	(void)state;
	memset(text + 7, 'h', NET_HOST_MAX - 1);
	assert_int_equal(net_url_parse(text, &url, NULL), 0);
	assert_int_equal(strlen(url.host), NET_HOST_MAX - 1);
	text[7 + NET_HOST_MAX - 1] = 'h';
	assert_int_equal(net_url_parse(text, &url, NULL), -EINVAL);
	memset(text + 8, '/', sizeof(text) - 8);
	text[NET_URL_MAX - 1] = '\0';
	assert_int_equal(net_url_parse(text, &url, NULL), 0);
	assert_int_equal(strlen(url.target), NET_URL_MAX - 1 - 8);
	text[NET_URL_MAX - 1] = '/';
	text[NET_URL_MAX] = '\0';
	assert_int_equal(net_url_parse(text, &url, NULL), -EINVAL);
}

/* Against http://h:81/a/b?q=1, but for the last ones. */
static void test_redirects_lead_where_rfc_3986_says(void **state)
{
	static const struct {
		const char *location;
		const char *origin; /* NULL: refused */
		const char *target;
	} rows[] = {
		{"http://other/x#y", "other:80", "/x"},
		{"HTTPS://other", "other:443", "/"},
		{"https://h:81/", "h:81", "/"},
		{"//other:8/x?y", "other:8", "/x?y"},
		{"//[fd00::1]/x", "[fd00::1]:80", "/x"},
		{"/x", "h:81", "/x"},
		{"/x/../y/./z?a=..", "h:81", "/y/z?a=.."},
		{"x", "h:81", "/a/x"},
		{"x/y?z", "h:81", "/a/x/y?z"},
		{"../x", "h:81", "/x"},
		{"../../../x", "h:81", "/x"},
		{".", "h:81", "/a/"},
		{"..", "h:81", "/"},
		{"./x/..", "h:81", "/a/"},
		{"...", "h:81", "/a/..."},
		{"?r=2", "h:81", "/a/b?r=2"},
		{"#fragment", "h:81", "/a/b"},
		{"", "h:81", "/a/b"},
		{"ftp://h/", NULL, NULL},
		{"data:x", NULL, NULL},
		{"//", NULL, NULL},
		{"//user@other/", NULL, NULL},
		{"///x", NULL, NULL},
		{"/a b", NULL, NULL},
		{"/a\r\nX: y", NULL, NULL},
		{"http://other:0/", NULL, NULL},
	};
	struct net_url base;

	(void)state;
	assert_int_equal(net_url_parse("http://h:81/a/b?q=1", &base, NULL), 0);
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct net_url url = {0};
		char origin[NET_ORIGIN_MAX] = "";
		int rc = net_url_follow(&base, rows[i].location, &url, NULL);

		unit_check((rc == 0) == (rows[i].origin != NULL), rows[i].location);
		if (rc < 0)
			continue;
		net_print_origin(url.host, url.port, origin);
		unit_check(strcmp(origin, rows[i].origin) == 0, rows[i].location);
		unit_check(strcmp(url.target, rows[i].target) == 0, rows[i].location);
	}
	assert_int_equal(net_url_parse("https://h/", &base, NULL), 0);
	{
		struct net_url url;

		assert_int_equal(net_url_follow(&base, "//other/x", &url, NULL), 0);
		assert_true(url.secure);
		assert_string_equal(url.port, "443");
	}
}

static void test_a_redirects_length_is_bounded(void **state)
{
	static char location[2 * NET_URL_MAX];
	struct net_url base;
	struct net_url url;

	(void)state;
	memset(location, 'x', sizeof(location) - 1);
	assert_int_equal(net_url_parse("http://h/", &base, NULL), 0);
	assert_int_equal(net_url_follow(&base, location, &url, NULL), -EINVAL);
	location[NET_URL_MAX - strlen("http://h:80/") - 1] = '\0';
	assert_int_equal(net_url_follow(&base, location, &url, NULL), 0);
	assert_int_equal(strlen(url.target), strlen(location) + 1);
}

static void test_same_origin_is_scheme_host_and_port(void **state)
{
	static const struct {
		const char *a;
		const char *b;
		bool same;
	} rows[] = {
		{"http://h/a", "http://H:80/b", true},	{"http://h/", "https://h/", false},
		{"http://h:443/", "https://h/", false}, {"https://h/", "https://h:443", true},
		{"http://h/", "http://h:81/", false},	{"http://h/", "http://hh/", false},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct net_url a;
		struct net_url b;

		assert_int_equal(net_url_parse(rows[i].a, &a, NULL), 0);
		assert_int_equal(net_url_parse(rows[i].b, &b, NULL), 0);
		unit_check(net_url_same_origin(&a, &b) == rows[i].same, rows[i].b);
	}
}

static void test_numeric_addresses_need_no_resolver(void **state)
{
	static const struct {
		const char *host;
		int family;
	} rows[] = {{"127.0.0.1", AF_INET}, {"::1", AF_INET6}, {"fd00::1", AF_INET6}};

	(void)state;
	names_hang = true;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct net_addresses found = {0};

		assert_int_equal(
			net_resolve(rows[i].host, "80", deadline_in_ms(1000), &found, NULL), 0);
		assert_int_equal(found.count, 1);
		assert_int_equal(found.address[0].storage.ss_family, rows[i].family);
	}
	names_hang = false;
}

static void test_port_stands_in_the_address(void **state)
{
	struct net_addresses found = {0};
	struct sockaddr_in address;

	(void)state;
	assert_int_equal(net_resolve("127.0.0.1", "1080", deadline_in_ms(1000), &found, NULL), 0);
	memcpy(&address, &found.address[0].storage, sizeof(address));
	assert_int_equal(ntohs(address.sin_port), 1080);
	assert_int_equal(ntohl(address.sin_addr.s_addr), INADDR_LOOPBACK);
}

static void test_silent_name_server_ends_at_the_deadline(void **state)
{
	struct net_addresses found = {0};
	struct error err = {0};
	int64_t start = unit_now_ms();

	(void)state;
	names_hang = true;
	assert_int_equal(net_resolve("tang.example", "80", deadline_in_ms(100), &found, &err),
			 -ETIMEDOUT);
	names_hang = false;
	assert_in_range(unit_now_ms() - start, 90, 3000);
	assert_string_equal(err.text, "tang.example: no answer from the name servers in 0.1 s");
	assert_int_equal(found.count, 0);
	/* The process that waited is gone. */
	assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
	assert_int_equal(errno, ECHILD);
}

static void test_localhost_is_found(void **state)
{
	struct net_addresses found = {0};
	const struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
	struct addrinfo *known = NULL;

	(void)state;
	if (__real_getaddrinfo("localhost", "80", &hints, &known) != 0)
		unit_skip("this machine does not know localhost");
	freeaddrinfo(known);
	assert_int_equal(net_resolve("localhost", "80", deadline_in_ms(5000), &found, NULL), 0);
	assert_in_range(found.count, 1, NET_ADDRESSES_MAX);
}

static void test_unknown_name_is_an_error_that_names_it(void **state)
{
	struct net_addresses found = {0};
	struct error err = {0};
	int rc;

	(void)state;
	/* No label is longer than 63 characters, so that nobody needs to be asked. */
	rc = net_resolve(
		"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa.invalid",
		"80", deadline_in_ms(2000), &found, &err);
	assert_true(rc == -EHOSTUNREACH || rc == -ETIMEDOUT);
	assert_non_null(strstr(err.text, "aaaa.invalid"));
	assert_int_equal(found.count, 0);
}

static void test_this_machine_is_known_by_name_and_address(void **state)
{
	static const struct {
		const char *url;
		bool here;
	} rows[] = {
		{"http://127.0.0.1", true},
		{"http://127.1.2.3:8080/x", true},
		{"https://[::1]", true},
		{"http://[::ffff:127.0.0.1]", true},
		{"http://0.0.0.0", true},
		{"http://[::]", true},
		{"192.0.2.7", true},
		{"http://[::ffff:192.0.2.7]:1", true},
		{"http://[2001:db8::7]", true},
		{"http://this.example/tang", true},
		{"http://192.0.2.8", false},
		{"http://128.0.0.1", false},
		{"http://[2001:db8::8]", false},
		{"http://[fe80::1]", false},
		{"ftp://127.0.0.1", false},
		{"", false},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++)
		unit_check(net_is_this_machine(rows[i].url, deadline_in_ms(5000)) == rows[i].here,
			   rows[i].url);
}

static void test_a_server_behind_a_proxy_is_not_this_machine(void **state)
{
	(void)state;
	assert_int_equal(setenv("http_proxy", "http://192.0.2.9:3128", 1), 0);
	assert_false(net_is_this_machine("http://127.0.0.1", deadline_in_ms(1000)));
	assert_true(net_is_this_machine("https://127.0.0.1", deadline_in_ms(1000)));
	assert_int_equal(setenv("no_proxy", "127.0.0.1", 1), 0);
	assert_true(net_is_this_machine("http://127.0.0.1", deadline_in_ms(1000)));
	(void)unsetenv("http_proxy");
	(void)unsetenv("no_proxy");
}

static void test_a_silent_name_server_is_waited_for_until_the_deadline(void **state)
{
	struct deadline enough = deadline_in_ms(5000);

	(void)state;
	names_hang = true;
	assert_false(net_is_this_machine("http://tang.example", deadline_in_ms(50)));
	names_hang = false;
	assert_false(deadline_passed(enough));
}

int main(int argc, char *argv[])
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_takes_a_url_apart),
		cmocka_unit_test(test_refuses_what_is_no_url_of_a_key_server),
		cmocka_unit_test(test_length_is_bounded),
		cmocka_unit_test(test_redirects_lead_where_rfc_3986_says),
		cmocka_unit_test(test_a_redirects_length_is_bounded),
		cmocka_unit_test(test_same_origin_is_scheme_host_and_port),
		cmocka_unit_test(test_numeric_addresses_need_no_resolver),
		cmocka_unit_test(test_port_stands_in_the_address),
		cmocka_unit_test(test_silent_name_server_ends_at_the_deadline),
		cmocka_unit_test(test_localhost_is_found),
		cmocka_unit_test(test_unknown_name_is_an_error_that_names_it),
		cmocka_unit_test(test_this_machine_is_known_by_name_and_address),
		cmocka_unit_test(test_a_server_behind_a_proxy_is_not_this_machine),
		cmocka_unit_test(test_a_silent_name_server_is_waited_for_until_the_deadline),
	};

	unit_begin(argc, argv);
	return cmocka_run_group_tests_name("net/url, resolve", tests, NULL, NULL);
}
