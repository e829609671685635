/* SPDX-License-Identifier: Apache-2.0 */
/* jose fmt: reads its options, all of them first, and has the stack machine act on them one by one. */
#include "cmd/jose/command.h"
#include "cmd/jose/machine.h"

#include "base/json.h"

#include <stdlib.h>

enum { NOT = 'X' };

/* Reads what stands behind an option. Returns 0; -EINVAL with a complaint, and `err` filled where there is more to say. */
static int read_operand(struct call *call, const struct given *given,
			const struct operation *operation, struct operand *operand,
			struct error *err)
{
	char *end;

	operand->text = given->value;
	switch (operation->takes) {
	case TAKES_NUMBER:
		/* Too large a number is the largest. */
		operand->number = strtoll(given->value, &end, 10);
		return end == given->value ? call_invalid(call, given->letter) : 0;
	case TAKES_STRING:
		operand->value = json_string(given->value);
		return operand->value ? 0 : call_invalid(call, given->letter);
	case TAKES_JSON:
		if (input_json(&call->input, given->value, INPUT_ANY, &operand->value, err) < 0)
			return call_invalid(call, given->letter);
		return 0;
	case TAKES_NOTHING:
	case TAKES_TEXT:
		break;
	}
	return 0;
}

static int read_operands(struct call *call, struct operand *operands, struct error *err)
{
	for (size_t i = 0; i < call->count; i++) {
		const struct operation *operation = operation_of(call->given[i].letter);
		int rc = operation
				 ? read_operand(call, &call->given[i], operation, &operands[i], err)
				 : 0;

		if (rc < 0)
			return rc;
	}
	return 0;
}

/* Returns how many options were done; what succeeds all has done all. */
static size_t act(struct call *call, const struct operand *operands, struct machine *machine,
		  struct error *err)
{
	for (size_t i = 0; i < call->count; i++) {
		const struct operation *operation = operation_of(call->given[i].letter);
		bool inverted = call->given[i].letter == NOT;

		if (inverted) {
			operation = i + 1 < call->count ? operation_of(call->given[i + 1].letter)
							: NULL;
			if (!operation || !operation->is_assertion)
				return i;
			i++;
		}
		if (operation->act(machine, &operands[i], err) == inverted)
			return i;
	}
	return call->count;
}

static int run(struct call *call, struct error *err)
{
	struct operand *operands = calloc(call->count + 1, sizeof(*operands));
	struct machine machine = {0};
	size_t done = call->count;
	int rc = operands ? read_operands(call, operands, err) : error_nomem(err);

	if (rc == 0)
		done = act(call, operands, &machine, err);
	machine_free(&machine);
	for (size_t i = 0; operands && i < call->count; i++)
		json_decref(operands[i].value);
	free(operands);
	if (rc < 0 || done == call->count)
		return rc;
	return (int)((done + 1) % 256);
}

static const struct option options[] = {
	{"not", no_argument, NULL, NOT},
	{"object", no_argument, NULL, 'O'},
	{"array", no_argument, NULL, 'A'},
	{"string", no_argument, NULL, 'S'},
	{"integer", no_argument, NULL, 'I'},
	{"real", no_argument, NULL, 'R'},
	{"number", no_argument, NULL, 'N'},
	{"true", no_argument, NULL, 'T'},
	{"false", no_argument, NULL, 'F'},
	{"boolean", no_argument, NULL, 'B'},
	{"null", no_argument, NULL, '0'},
	{"equal", no_argument, NULL, 'E'},
	{"query", no_argument, NULL, 'Q'},
	{"move", required_argument, NULL, 'M'},
	{"unwind", no_argument, NULL, 'U'},
	{"json", required_argument, NULL, 'j'},
	{"copy", no_argument, NULL, 'c'},
	{"quote", required_argument, NULL, 'q'},
	{"output", required_argument, NULL, 'o'},
	{"foreach", required_argument, NULL, 'f'},
	{"unquote", required_argument, NULL, 'u'},
	{"truncate", required_argument, NULL, 't'},
	{"insert", required_argument, NULL, 'i'},
	{"append", no_argument, NULL, 'a'},
	{"extend", no_argument, NULL, 'x'},
	{"delete", required_argument, NULL, 'd'},
	{"length", no_argument, NULL, 'l'},
	{"empty", no_argument, NULL, 'e'},
	{"get", required_argument, NULL, 'g'},
	{"set", required_argument, NULL, 's'},
	{"b64load", no_argument, NULL, 'y'},
	{"b64dump", no_argument, NULL, 'Y'},
	{0},
};

const struct command fmt_command = {
	.name = "fmt",
	.summary = "Reads, changes and writes JSON",
	.run = run,
	.options = options,
	.usage =
		"Usage: jose fmt OPTION...\n\n"
		"Works on a stack of JSON values: each option acts on the newest, TOP, and the one below\n"
		"it, PREV. Exits with the number of the option that fails, the first being 1.\n\n"
		"  -j, --json JSON|FILE   push a value\n"
		"  -q, --quote TEXT       push it as a string\n"
		"  -c, --copy             push a copy of TOP\n"
		"  -Q, --query            push an array of all values, TOP first\n"
		"  -M, --move N           move TOP back N places\n"
		"  -U, --unwind           drop TOP\n\n"
		"  -o, --output FILE      write TOP\n"
		"  -u, --unquote FILE     write TOP, a string, without quotes\n"
		"  -f, --foreach FILE     write TOP, an array or object, one item a line\n\n"
		"  -g, --get NAME|N       push the member of TOP; -N counts from the end\n"
		"  -s, --set NAME|N       set TOP into PREV\n"
		"  -d, --delete NAME|N    delete the member of TOP\n"
		"  -i, --insert N         insert TOP into PREV, an array\n"
		"  -a, --append           append TOP to PREV, an array; set what PREV, an object, lacks\n"
		"  -x, --extend           append the items of TOP to PREV; set all members of TOP in PREV\n"
		"  -t, --truncate N       shorten TOP, an array, to N items; -N: by N items\n"
		"  -e, --empty            remove all items of TOP\n"
		"  -l, --length           push the length of TOP\n"
		"  -y, --b64load          decode TOP, base64url of JSON, and push that\n"
		"  -Y, --b64dump          push the base64url of TOP, an array or object\n\n"
		"  -O, --object           fail unless TOP is an object\n"
		"  -A, --array            an array\n"
		"  -S, --string           a string\n"
		"  -I, --integer          an integer\n"
		"  -R, --real             a real number\n"
		"  -N, --number           a number\n"
		"  -T, --true             true\n"
		"  -F, --false            false\n"
		"  -B, --boolean          true or false\n"
		"  -0, --null             null\n"
		"  -E, --equal            equal to PREV\n"
		"  -X, --not              have the next of these fail where it would not\n",
	.examples = "  jose fmt -j '{\"a\":1}' -j 2 -s b -U -o -\n"
		    "  jose fmt -j key.jwk -Og kty -u -\n"
		    "  jose fmt -j - -g keys -Af -\n",
	.failure_status = 255,
};
