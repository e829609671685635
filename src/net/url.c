/* SPDX-License-Identifier: Apache-2.0 */
#include "net/url.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

static bool is_printable(const char *text)
{
	for (; *text; text++)
		if ((unsigned char)*text <= 0x20 || (unsigned char)*text >= 0x7f)
			return false;
	return true;
}

static int check_scheme(const char *text, struct error *err)
{
	if (strncasecmp(text, "http://", 7) == 0)
		return 0;
	if (strncasecmp(text, "https://", 8) == 0)
		return error_set(err, -ENOTSUP, "https is not supported by this version");
	return error_set(err, -ENOTSUP, "not a URL that begins with http://");
}

static int take_port(const char *colon, size_t length, struct net_url *url)
{
	unsigned number = 0;

	if (length == 0) /* no port, or a colon with nothing behind it */
		return snprintf(url->port, sizeof(url->port), "80") < 0 ? -EINVAL : 0;
	if (length > 5)
		return -EINVAL;
	for (size_t i = 0; i < length; i++) {
		if (colon[i] < '0' || colon[i] > '9')
			return -EINVAL;
		number = number * 10 + (unsigned)(colon[i] - '0');
	}
	if (number < 1 || number > 65535)
		return -EINVAL;
	return snprintf(url->port, sizeof(url->port), "%u", number) < 0 ? -EINVAL : 0;
}

/* HOST, HOST:PORT, [IPV6] or [IPV6]:PORT. */
static int take_authority(const char *text, size_t length, struct net_url *url)
{
	const char *end = text + length;
	const char *host_end;
	const char *after;

	url->host_is_ipv6 = length > 0 && *text == '[';
	if (url->host_is_ipv6)
		text++;
	host_end = memchr(text, url->host_is_ipv6 ? ']' : ':', (size_t)(end - text));
	if (!host_end && url->host_is_ipv6)
		return -EINVAL;
	if (!host_end)
		host_end = end;
	after = url->host_is_ipv6 ? host_end + 1 : host_end;
	if (host_end == text || (size_t)(host_end - text) >= sizeof(url->host) ||
	    memchr(text, '@', (size_t)(end - text)) || (after < end && *after != ':'))
		return -EINVAL;
	memcpy(url->host, text, (size_t)(host_end - text));
	return after < end ? take_port(after + 1, (size_t)(end - after - 1), url)
			   : take_port(after, 0, url);
}

int net_url_parse(const char *text, struct net_url *url, struct error *err)
{
	struct net_url parsed = {0};
	const char *authority;
	size_t length;
	int rc;

	if (strlen(text) >= NET_URL_MAX || !is_printable(text) || strchr(text, '#'))
		return error_set(err, -EINVAL,
				 "the URL is too long or has characters that do not belong there");
	rc = check_scheme(text, err);
	if (rc < 0)
		return rc;
	authority = text + strlen("http://");
	length = strcspn(authority, "/?");
	if (take_authority(authority, length, &parsed) < 0)
		return error_set(err, -EINVAL, "no valid host and port in the URL");
	(void)snprintf(parsed.target, sizeof(parsed.target), "%s%s",
		       authority[length] == '/' ? "" : "/", authority + length);
	*url = parsed;
	return 0;
}
