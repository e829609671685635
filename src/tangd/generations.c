/* SPDX-License-Identifier: Apache-2.0 */
#include "tangd/generations.h"

#include "base/log.h"

#include <stddef.h>

/* How long those that were replaced may take to answer what they were sent, and after how long they give way where there are too many. */
enum { DRAIN_MS = 10000, GIVE_WAY_MS = 1000 };

void generations_add(struct generations *generations, struct generation *generation)
{
	if (generations->newest)
		generations->newest->deadline = deadline_in_ms(DRAIN_MS);
	generation->next = generations->newest;
	generations->newest = generation;
}

void generations_free(struct generations *generations)
{
	while (generations->newest) {
		struct generation *next = generations->newest->next;

		generation_free(&generations->newest);
		generations->newest = next;
	}
}

int generations_alive(const struct generations *generations)
{
	int count = 0;

	for (const struct generation *g = generations->newest; g; g = g->next)
		count += generation_alive(g);
	return count;
}

void generations_kill(const struct generations *generations)
{
	for (const struct generation *g = generations->newest; g; g = g->next)
		generation_kill(g);
}

void generations_add_uses(const struct generations *generations, struct state *state)
{
	for (struct generation *g = generations->newest; g; g = g->next)
		generation_add_uses(g, state);
}

struct generation *generations_bury(const struct generations *generations, pid_t pid)
{
	for (struct generation *g = generations->newest; g; g = g->next)
		if (generation_bury(g, pid))
			return g;
	return NULL;
}

void generations_drop_ended(struct generations *generations, struct state *state)
{
	struct generation **link = generations->newest ? &generations->newest->next : NULL;

	while (link && *link) {
		struct generation *generation = *link;

		if (generation_alive(generation) > 0) {
			link = &generation->next;
			continue;
		}
		generation_add_uses(generation, state);
		*link = generation->next;
		generation_free(&generation);
	}
}

static void dismiss(struct generation *generation)
{
	if (generation->dismissed)
		return;
	log_warning("keys processes that were replaced do not end; they are killed");
	generation->dismissed = true;
	generation_kill(generation);
}

static struct generation *replaced(const struct generations *generations)
{
	return generations->newest ? generations->newest->next : NULL;
}

void generations_end_late(const struct generations *generations)
{
	for (struct generation *g = replaced(generations); g; g = g->next)
		if (deadline_passed(g->deadline))
			dismiss(g);
}

void generations_make_room(const struct generations *generations)
{
	struct generation *oldest = NULL;

	for (struct generation *g = replaced(generations); g; g = g->next)
		if (!g->dismissed)
			oldest = g;
	if (oldest && deadline_left_ms(oldest->deadline) < DRAIN_MS - GIVE_WAY_MS)
		dismiss(oldest);
}
