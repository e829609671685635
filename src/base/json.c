/* SPDX-License-Identifier: Apache-2.0 */
#include "base/json.h"

#include <errno.h>
#include <malloc.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

void json_drop(json_t **json)
{
	json_decref(*json);
	*json = NULL;
}

static void wipe_and_free(void *block)
{
	if (block)
		secret_wipe(block, malloc_usable_size(block));
	free(block);
}

void json_wipe_on_free(void)
{
	json_set_alloc_funcs(malloc, wipe_and_free);
}

/* Counts brackets outside strings; whether they match is for the parser to say. */
static bool too_deep(const char *text, size_t size)
{
	size_t depth = 0;
	bool in_string = false;

	for (size_t i = 0; i < size; i++) {
		if (in_string && text[i] == '\\')
			i++;
		else if (text[i] == '"')
			in_string = !in_string;
		else if (!in_string && (text[i] == '{' || text[i] == '['))
			depth++;
		else if (!in_string && (text[i] == '}' || text[i] == ']') && depth > 0)
			depth--;
		if (depth > JSON_DEPTH_MAX)
			return true;
	}
	return false;
}

int json_parse(const char *text, size_t size, const char *what, json_t **json, struct error *err)
{
	json_error_t why;
	json_t *value;

	if (too_deep(text, size))
		return error_set(err, -EBADMSG, "%s: JSON nested deeper than %d levels", what,
				 JSON_DEPTH_MAX);
	value = json_loadb(text, size, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &why);
	if (!value)
		return error_set(err, -EBADMSG, "%s: not valid JSON (at byte %d)", what,
				 why.position);
	*json = value;
	return 0;
}

enum { DUMP_FLAGS = JSON_COMPACT | JSON_SORT_KEYS | JSON_ENCODE_ANY };

int json_dump_secret(const json_t *json, struct secret *text, struct error *err)
{
	size_t size = json_dumpb(json, NULL, 0, DUMP_FLAGS);
	int rc;

	if (size == 0)
		return error_nomem(err);
	rc = secret_new(text, size, err);
	if (rc < 0)
		return rc;
	if (json_dumpb(json, (char *)text->data, size, DUMP_FLAGS) != size) {
		secret_free(text);
		return error_nomem(err);
	}
	return 0;
}

char *json_dump_public(const json_t *json)
{
	return json_dumps(json, DUMP_FLAGS);
}

char *json_dump_in_order(const json_t *json)
{
	return json_dumps(json, DUMP_FLAGS & ~(size_t)JSON_SORT_KEYS);
}
