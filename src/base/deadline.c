/* SPDX-License-Identifier: Apache-2.0 */
#include "base/deadline.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { NS_PER_MS = 1000000 };

static int64_t now(void)
{
	struct timespec ts = {0};

	(void)clock_gettime(CLOCK_BOOTTIME, &ts);
	return (int64_t)ts.tv_sec * 1000 * NS_PER_MS + ts.tv_nsec;
}

struct deadline deadline_in_ms(int64_t ms)
{
	const int64_t most = INT64_MAX / 4 / NS_PER_MS;

	if (ms < 0)
		ms = 0;
	return (struct deadline){now() + (ms < most ? ms : most) * NS_PER_MS};
}

struct deadline deadline_earlier(struct deadline a, struct deadline b)
{
	return a.at < b.at ? a : b;
}

int deadline_left_ms(struct deadline deadline)
{
	int64_t left = deadline.at - now();

	if (left <= 0)
		return 0;
	left = (left + NS_PER_MS - 1) / NS_PER_MS;
	return left < INT_MAX ? (int)left : INT_MAX;
}

bool deadline_passed(struct deadline deadline)
{
	return deadline_left_ms(deadline) == 0;
}

int deadline_parse_seconds(const char *text, unsigned most_s, int64_t *ms)
{
	char *end = NULL;
	double seconds;

	if (!*text || text[strspn(text, "0123456789.")])
		return -EINVAL;
	seconds = strtod(text, &end);
	if (*end != '\0' || seconds < 0.001 || seconds > most_s)
		return -EINVAL;
	*ms = (int64_t)(seconds * 1000 + 0.999);
	return 0;
}
