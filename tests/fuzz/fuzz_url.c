/* SPDX-License-Identifier: Apache-2.0 */
/* URLs: what is accepted has a host, a port in range and a target that cannot break a request's line. */
#include "fuzz.h"

#include "net/url.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char text[2 * NET_URL_MAX];
	struct net_url url;
	long port;

	if (size >= sizeof(text))
		return 0;
	memcpy(text, data, size);
	text[size] = '\0';
	if (net_url_parse(text, &url, NULL) < 0)
		return 0;
	port = strtol(url.port, NULL, 10);
	FUZZ_CHECK(*url.host && port >= 1 && port <= 65535 && url.target[0] == '/');
	FUZZ_CHECK(!strpbrk(url.target, " \r\n\t#") && !strpbrk(url.host, " \r\n\t@/"));
	return 0;
}
