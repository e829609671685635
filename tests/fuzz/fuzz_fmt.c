/* SPDX-License-Identifier: Apache-2.0 */
/* jose fmt: arguments, one a line up to an empty line, and behind that its standard input. */
#include "fuzz.h"

#include "cmd/jose/command.h"

#include <stdlib.h>
#include <string.h>

enum { WORDS_MAX = 64 };

/* Splits the lines off. Returns how many there are; `*rest` is what stands behind them. */
static int split(char *text, char *words[], char **rest)
{
	int count = 0;

	words[count++] = text; /* no option: the program's name */
	while (count < WORDS_MAX - 1 && *text && *text != '\n') {
		size_t length = strcspn(text, "\n");

		words[count++] = text;
		text += length;
		if (*text)
			*text++ = '\0';
	}
	*rest = *text == '\n' ? text + 1 : text;
	words[count] = NULL;
	return count;
}

/* No file is written or read, but for one that swallows all. */
static void keep_off_files(struct call *call)
{
	for (size_t i = 0; i < call->count; i++) {
		struct given *given = &call->given[i];

		if (strchr("ouf", given->letter) ||
		    (given->letter == 'j' && (strchr(given->value, '/') || *given->value == '.')))
			given->value = "/dev/null";
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct call call = {.input = {.at_end = true}};
	struct error err = {0};
	char *words[WORDS_MAX] = {NULL};
	char *text = malloc(size + 1);
	char *rest;
	int count;
	int rc;

	if (!text)
		return 0;
	memcpy(text, data, size);
	text[size] = '\0';
	count = split(text, words, &rest);
	call.input.end = size - (size_t)(rest - text);
	rc = secret_copy(&call.input.buffer, rest, call.input.end, &err);
	optind = 0; /* anew */
	if (rc == 0)
		rc = call_parse(&call, &fmt_command, count, words, &err);
	if (rc == 0 && !call.asked) {
		keep_off_files(&call);
		rc = fmt_command.run(&call, &err);
		FUZZ_CHECK(rc <= 255 && (rc <= (int)call.count || rc < 0));
		FUZZ_CHECK(call.input.start <= call.input.end);
		FUZZ_CHECK(rc >= 0 || call.complaint[0] || err.code < 0);
	}
	call_free(&call);
	free(text);
	return 0;
}
