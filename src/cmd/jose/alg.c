/* SPDX-License-Identifier: Apache-2.0 */
/* jose alg: lists the algorithms. */
#include "jose/alg.h"

#include "cmd/jose/command.h"

#include <stdio.h>
#include <string.h>

static bool is_kind(const char *name)
{
	for (int kind = 0; jose_kind_name(kind); kind++)
		if (strcmp(jose_kind_name(kind), name) == 0)
			return true;
	return false;
}

/* Whether the kind was asked for; without any, all are. */
static bool is_wanted(const struct call *call, const char *kind)
{
	for (size_t i = 0; i < call->count; i++)
		if (strcmp(call->given[i].value, kind) == 0)
			return true;
	return call->count == 0;
}

static int run(struct call *call, struct error *err)
{
	(void)err;
	for (size_t i = 0; i < call->count; i++) {
		if (strcmp(call->given[i].value, "?") == 0) {
			for (int kind = 0; jose_kind_name(kind); kind++)
				(void)puts(jose_kind_name(kind));
			return 0;
		}
		if (!is_kind(call->given[i].value))
			return call_invalid(call, 'k');
	}
	for (size_t i = 0; jose_alg(i); i++)
		if (is_wanted(call, jose_kind_name((int)jose_alg(i)->kind)))
			(void)puts(jose_alg(i)->name);
	return 0;
}

static const struct option options[] = {{"kind", required_argument, NULL, 'k'}, {0}};

const struct command alg_command = {
	.name = "alg",
	.summary = "Lists the algorithms",
	.run = run,
	.options = options,
	.usage = "Usage: jose alg [-k KIND]...\n\n"
		 "Lists the algorithms, one a line.\n\n"
		 "  -k, --kind KIND  only those of this kind; may be given several times\n"
		 "  -k, --kind ?     list the kinds\n",
	.examples = "  jose alg\n"
		    "  jose alg -k sign\n",
	.failure_status = 1,
};
