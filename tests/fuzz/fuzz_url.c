/* SPDX-License-Identifier: Apache-2.0 */
/*
 * URLs, redirects from them and proxies: what is accepted has a host, a port in range and a target that cannot break a request's
 * line. The first line is a URL; the second a Location, a proxy and a list of no_proxy at once.
 */
#include "fuzz.h"

#include "net/proxy.h"
#include "net/url.h"

#include <stdlib.h>
#include <string.h>

static void check_host(const char *host, const char *port)
{
	long number = strtol(port, NULL, 10);

	FUZZ_CHECK(*host && number >= 1 && number <= 65535 && !strpbrk(host, " \r\n\t@/"));
}

static void check_url(const struct net_url *url)
{
	check_host(url->host, url->port);
	FUZZ_CHECK(url->target[0] == '/' && !strpbrk(url->target, " \r\n\t#"));
}

static void check_redirect(const struct net_url *base, const char *location)
{
	struct net_url url;

	if (net_url_follow(base, location, &url, NULL) < 0)
		return;
	check_url(&url);
	FUZZ_CHECK(net_url_same_origin(&url, &url));
	FUZZ_CHECK(!strstr(url.target, "/../") || strchr(url.target, '?'));
}

static void check_proxy(const char *value, const char *host)
{
	struct net_proxy proxy;

	if (net_proxy_parse("http_proxy", value, &proxy, NULL) == 0)
		check_host(proxy.host, proxy.port);
	(void)net_proxy_excludes(value, host);
	FUZZ_CHECK(net_proxy_excludes("*", host));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char text[3 * NET_URL_MAX];
	struct net_url url;
	char *second;

	if (size >= sizeof(text))
		return 0;
	memcpy(text, data, size);
	text[size] = '\0';
	second = strchr(text, '\n');
	if (second)
		*second++ = '\0';
	if (net_url_parse(text, &url, NULL) < 0)
		return 0;
	check_url(&url);
	if (second) {
		check_redirect(&url, second);
		check_proxy(second, url.host);
	}
	return 0;
}
