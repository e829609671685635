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

/* Returns the length of the scheme, its :// included, or a negative code. */
static int take_scheme(const char *text, struct net_url *url, struct error *err)
{
	/* Without any scheme http is meant, as curl has it and disks that are bound already rely on. */
	if (!strstr(text, ":/") && *text != '/')
		return 0;
	if (strncasecmp(text, "http://", 7) == 0)
		return 7;
	if (strncasecmp(text, "https://", 8) != 0)
		return error_set(err, -ENOTSUP, "not a URL that begins with http:// or https://");
	url->secure = true;
	return 8;
}

static int take_port(const char *digits, size_t length, struct net_url *url)
{
	unsigned number = 0;

	if (length > 5)
		return -EINVAL;
	for (size_t i = 0; i < length; i++) {
		if (digits[i] < '0' || digits[i] > '9')
			return -EINVAL;
		number = number * 10 + (unsigned)(digits[i] - '0');
	}
	if (number < 1 || number > 65535)
		return -EINVAL;
	return snprintf(url->port, sizeof(url->port), "%u", number) < 0 ? -EINVAL : 0;
}

int net_url_parse_authority(const char *text, size_t length, const char *default_port,
			    struct net_url *url)
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
	url->host[host_end - text] = '\0';
	if (end - after > 1)
		return take_port(after + 1, (size_t)(end - after - 1), url);
	/* No port, or a colon with nothing behind it. */
	return snprintf(url->port, sizeof(url->port), "%s", default_port) < 0 ? -EINVAL : 0;
}

int net_url_parse(const char *text, struct net_url *url, struct error *err)
{
	struct net_url parsed = {0};
	const char *authority;
	size_t length;
	int scheme;

	if (strlen(text) >= NET_URL_MAX || !is_printable(text) || strchr(text, '#'))
		return error_set(err, -EINVAL,
				 "the URL is too long or has characters that do not belong there");
	scheme = take_scheme(text, &parsed, err);
	if (scheme < 0)
		return scheme;
	authority = text + scheme;
	length = strcspn(authority, "/?");
	if (net_url_parse_authority(authority, length, parsed.secure ? "443" : "80", &parsed) < 0)
		return error_set(err, -EINVAL, "no valid host and port in the URL");
	(void)snprintf(parsed.target, sizeof(parsed.target), "%s%s",
		       authority[length] == '/' ? "" : "/", authority + length);
	*url = parsed;
	return 0;
}

static bool has_scheme(const char *text)
{
	size_t length = strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
				     "0123456789+-.");

	return length > 0 && text[length] == ':';
}

/* How much of the base's target stands before a relative reference. */
static size_t kept_length(const struct net_url *base, const char *reference, size_t length)
{
	size_t path = strcspn(base->target, "?");

	if (length > 0 && *reference == '/')
		return 0;
	if (length == 0 || *reference == '?')
		return path;
	while (path > 0 && base->target[path - 1] != '/')
		path--;
	return path;
}

/* Takes `.` and `..` out of the path, RFC 3986 §5.2.4. */
static void remove_dots(char *target)
{
	const char *end = target + strcspn(target, "?");
	const char *in = target;
	char *out = target;

	while (in < end) {
		size_t length = 1 + strcspn(in + 1, "/?");
		bool one_up = length == 3 && strncmp(in, "/..", 3) == 0;

		if (one_up)
			while (out > target && *--out != '/')
				;
		if (!one_up && !(length == 2 && in[1] == '.')) {
			memmove(out, in, length);
			out += length;
		} else if (in + length == end) {
			*out++ = '/';
		}
		in += length;
	}
	memmove(out, end, strlen(end) + 1);
}

int net_url_follow(const struct net_url *base, const char *location, struct net_url *url,
		   struct error *err)
{
	int length = (int)strcspn(location, "#");
	const char *scheme = base->secure ? "https:" : "http:";
	char text[NET_URL_MAX + 1];
	char origin[NET_ORIGIN_MAX];
	int rc;

	if (has_scheme(location)) {
		rc = snprintf(text, sizeof(text), "%.*s", length, location);
	} else if (strncmp(location, "//", 2) == 0) {
		rc = snprintf(text, sizeof(text), "%s%.*s", scheme, length, location);
	} else {
		net_print_origin(base->host, base->port, origin);
		rc = snprintf(text, sizeof(text), "%s//%s%.*s%.*s", scheme, origin,
			      (int)kept_length(base, location, (size_t)length), base->target,
			      length, location);
	}
	if (rc < 0 || (size_t)rc >= sizeof(text))
		return error_set(err, -EINVAL, "the URL is too long");
	rc = net_url_parse(text, url, err);
	if (rc == 0)
		remove_dots(url->target);
	return rc;
}

bool net_url_same_origin(const struct net_url *a, const struct net_url *b)
{
	return a->secure == b->secure && strcasecmp(a->host, b->host) == 0 &&
	       strcmp(a->port, b->port) == 0;
}

void net_print_origin(const char *host, const char *port, char origin[static NET_ORIGIN_MAX])
{
	(void)snprintf(origin, NET_ORIGIN_MAX, strchr(host, ':') ? "[%s]:%s" : "%s:%s", host, port);
}
