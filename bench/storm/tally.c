/* SPDX-License-Identifier: Apache-2.0 */
#include "tally.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

enum { ROOM_FIRST = 4096, US_PER_MS = 1000 };

static const char *const failure_names[TALLY_FAILURES] = {
	[TALLY_REFUSED] = "refused",	 [TALLY_RESET] = "reset",	  [TALLY_CLOSED] = "closed",
	[TALLY_TIMED_OUT] = "timed_out", [TALLY_MALFORMED] = "malformed", [TALLY_WRONG] = "wrong",
};

void tally_free(struct tally *tally)
{
	free(tally->took_us);
	tally->took_us = NULL;
	tally->count = 0;
	tally->room = 0;
}

int tally_answer(struct tally *tally, int64_t took_us)
{
	if (tally->count == tally->room) {
		size_t room = tally->room > 0 ? tally->room * 2 : ROOM_FIRST;
		uint32_t *grown = realloc(tally->took_us, room * sizeof(*grown));

		if (!grown)
			return -ENOMEM;
		tally->took_us = grown;
		tally->room = room;
	}
	tally->took_us[tally->count++] = took_us < UINT32_MAX ? (uint32_t)took_us : UINT32_MAX;
	return 0;
}

static int compare(const void *a, const void *b)
{
	uint32_t first = *(const uint32_t *)a;
	uint32_t second = *(const uint32_t *)b;

	return (first > second) - (first < second);
}

uint32_t tally_percentile(struct tally *tally, double percent)
{
	size_t rank = (size_t)ceil(percent / 100 * (double)tally->count);

	if (tally->count == 0)
		return 0;
	qsort(tally->took_us, tally->count, sizeof(*tally->took_us), compare);
	return tally->took_us[rank > 0 ? rank - 1 : 0];
}

void tally_print(struct tally *tally)
{
	static const int percents[] = {50, 90, 99};

	(void)printf("answers %zu\n", tally->count);
	for (size_t i = 0; i < sizeof(percents) / sizeof(*percents); i++)
		(void)printf("p%d_ms %.3f\n", percents[i],
			     (double)tally_percentile(tally, percents[i]) / US_PER_MS);
	(void)printf("max_ms %.3f\n", (double)tally_percentile(tally, 100) / US_PER_MS);
	(void)printf("last_s %.3f\n", (double)tally->last_us / 1e6);
	for (size_t i = 0; i < TALLY_STATUSES; i++)
		if (tally->status[i] > 0)
			(void)printf("status_%zu %lu\n", i, tally->status[i]);
	for (size_t i = 0; i < TALLY_FAILURES; i++)
		(void)printf("%s %lu\n", failure_names[i], tally->failure[i]);
	(void)printf("nodes_told %lu\nunanswered %lu\n", tally->nodes_told, tally->unanswered);
}
