/* SPDX-License-Identifier: Apache-2.0 */
/* jose alg: lists the algorithms. */
#include "cmd/jose/alg.h"

#include "cmd/jose/command.h"

#include <stdio.h>
#include <string.h>

/* In the order in which they are listed. */
static const char *const kinds[] = {"hash", "sign", "wrap", "encr", "comp", "exch"};

/* Sorted without regard to case. */
static const struct {
	const char *name;
	const char *kind;
} algorithms[] = {
	{"A256GCM", "encr"}, {"dir", "wrap"},	{"ECDH", "exch"},  {"ECDH-ES", "wrap"},
	{"ECMR", "exch"},    {"ES256", "sign"}, {"ES384", "sign"}, {"ES512", "sign"},
	{"S1", "hash"},	     {"S224", "hash"},	{"S256", "hash"},  {"S384", "hash"},
	{"S512", "hash"},
};

enum {
	KINDS = sizeof(kinds) / sizeof(*kinds),
	ALGORITHMS = sizeof(algorithms) / sizeof(*algorithms)
};

bool alg_is_known(const char *name)
{
	for (size_t i = 0; i < ALGORITHMS; i++)
		if (strcmp(algorithms[i].name, name) == 0)
			return true;
	return false;
}

static bool is_kind(const char *name)
{
	for (size_t i = 0; i < KINDS; i++)
		if (strcmp(kinds[i], name) == 0)
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
			for (size_t k = 0; k < KINDS; k++)
				(void)puts(kinds[k]);
			return 0;
		}
		if (!is_kind(call->given[i].value))
			return call_invalid(call, 'k');
	}
	for (size_t i = 0; i < ALGORITHMS; i++)
		if (is_wanted(call, algorithms[i].kind))
			(void)puts(algorithms[i].name);
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
