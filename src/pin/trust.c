/* SPDX-License-Identifier: Apache-2.0 */
#include "pin/trust.h"

#include "jose/thumbprint.h"
#include "tang/tang.h"

#include <errno.h>
#include <stdio.h>

enum { SHOWN_MAX = 32 };

struct shown {
	size_t count;
	char text[SHOWN_MAX][JOSE_THUMBPRINT_MAX];
};

static void collect(const char *thumbprint, void *arg)
{
	struct shown *shown = arg;

	if (shown->count < SHOWN_MAX)
		(void)snprintf(shown->text[shown->count], JOSE_THUMBPRINT_MAX, "%s", thumbprint);
	shown->count++;
}

static int ask(struct pin_context *context, const json_t *key_set)
{
	const char *thumbprints[SHOWN_MAX];
	struct shown shown = {0};
	int left;
	int rc;

	if (!context->ask)
		return error_set(context->err, -EACCES,
				 "the server's keys are not trusted: nobody can be asked; "
				 "pin one with 'thp' or trust them with -y");
	tang_each_signing_thumbprint(key_set, collect, &shown);
	if (shown.count > SHOWN_MAX)
		return error_set(context->err, -EACCES, "the server has %zu signing keys: too many",
				 shown.count);
	for (size_t i = 0; i < shown.count; i++)
		thumbprints[i] = shown.text[i];
	/* The time that a person takes to answer is not the servers'. */
	left = deadline_left_ms(context->deadline);
	rc = context->ask(context->ask_arg, thumbprints, shown.count, context->err);
	context->deadline = deadline_in_ms(left);
	return rc;
}

int pin_decide_trust(struct pin_context *context, const json_t *key_set, const char *thp,
		     bool given)
{
	if (context->trust == PIN_TRUST_YES)
		return 0;
	if (thp && tang_advertisement_names(key_set, thp))
		return 0;
	if (thp)
		return error_set(context->err, -EACCES,
				 "Trusted JWK '%s' did not sign the advertisement", thp);
	if (given)
		return 0;
	if (context->trust == PIN_TRUST_PINNED)
		return error_set(context->err, -EACCES,
				 "the server's keys are not trusted: no thumbprint is pinned");
	return ask(context, key_set);
}
