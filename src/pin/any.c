/* SPDX-License-Identifier: Apache-2.0 */
/* Opening any one of several JWEs: what is at hand first, then the others side by side. */
#include "pin/pin.h"
#include "pin/race.h"

#include <errno.h>

_Static_assert((int)PIN_CHOICE_MAX <= (int)RACE_MAX, "all may have to race");

/* What is tried one at a time, and what was found. */
struct search {
	struct pin_context *context;
	const json_t *const *jwes;
	const struct pin_choice *choice;
	struct error failures;
	size_t far[PIN_CHOICE_MAX]; /* the numbers of those that race */
	size_t far_count;
};

static void note_failure(struct search *search, size_t which, const struct error *why)
{
	if (search->choice->fail)
		search->choice->fail(search->choice->arg, which, why);
	race_add_failure(&search->failures, why);
}

/* Returns whether it was taken. */
static bool open_here(struct search *search, size_t which)
{
	SECRET_AUTO struct secret plain = {0};
	struct error err = {0};
	struct pin_context own = *search->context;
	int rc;

	own.err = &err;
	rc = pin_open(&own, search->jwes[which], &plain);
	search->context->retry_after_s = own.retry_after_s;
	if (rc == 0)
		rc = search->choice->take(search->choice->arg, which, &plain, &err);
	if (rc < 0)
		note_failure(search, which, &err);
	return rc == 0;
}

static int take_far(void *arg, size_t which, const struct secret *plain, struct error *err)
{
	const struct search *search = arg;

	return search->choice->take(search->choice->arg, search->far[which], plain, err);
}

static void fail_far(void *arg, size_t which, const struct error *why)
{
	struct search *search = arg;

	note_failure(search, search->far[which], why);
}

/* Returns whether one was taken. */
static bool race_far(struct search *search)
{
	const struct race_rules rules = {
		.needed = 1, .in_order = true, .take = take_far, .fail = fail_far, .arg = search};
	const json_t *far[PIN_CHOICE_MAX];

	for (size_t i = 0; i < search->far_count; i++)
		far[i] = search->jwes[search->far[i]];
	return race_run(search->context, far, search->far_count, &rules) == 0;
}

int pin_open_any(struct pin_context *context, const json_t *const jwes[], size_t count,
		 const struct pin_choice *choice)
{
	struct search search = {.context = context, .jwes = jwes, .choice = choice};
	bool taken = false;

	if (count > PIN_CHOICE_MAX)
		return error_set(context->err, -E2BIG, "more than %d to choose from",
				 PIN_CHOICE_MAX);
	for (size_t i = 0; !taken && i < count; i++) {
		if (pin_needs(jwes[i]) & (PIN_NETWORK | PIN_EXTERNAL))
			search.far[search.far_count++] = i;
		else
			taken = open_here(&search, i);
	}
	if (!taken && search.far_count == 1)
		taken = open_here(&search, search.far[0]); /* nobody to race against */
	else if (!taken && search.far_count > 1)
		taken = race_far(&search);
	if (taken)
		return 0;
	*context->err = search.failures;
	return search.failures.code;
}
