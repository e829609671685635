/* SPDX-License-Identifier: Apache-2.0 */
#include "cmd/jose/command.h"

#include "base/json.h"
#include "cmd/jose/output.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { OPTIONS_MAX = 64, OPTION_HELP = 'h', OPTION_VERSION = 'v' };

static int complain(struct call *call, const char *before, const char *name, const char *after)
{
	(void)snprintf(call->complaint, sizeof(call->complaint), "%s%s%s", before, name, after);
	error_sanitise(call->complaint);
	return -EINVAL;
}

int call_invalid(struct call *call, int letter)
{
	const struct option *option = call->command->options;

	while (option->name && option->val != letter)
		option++;
	return complain(call, "Invalid ", option->name ? option->name : "", "!");
}

/* What getopt_long() wants: the long options with those that every command has, and the letters. */
struct wanted {
	struct option options[OPTIONS_MAX + 3];
	char letters[2 * (OPTIONS_MAX + 2) + 2];
};

static void prepare(const struct option *options, struct wanted *wanted)
{
	static const struct option common[] = {{"help", no_argument, NULL, OPTION_HELP},
					       {"version", no_argument, NULL, OPTION_VERSION}};
	char *letter = wanted->letters;
	size_t count = 0;

	*letter++ = ':';
	while (count < OPTIONS_MAX && options[count].name) {
		wanted->options[count] = options[count];
		count++;
	}
	memcpy(&wanted->options[count], common, sizeof(common));
	for (size_t i = 0; i < count + 2; i++) {
		*letter++ = (char)wanted->options[i].val;
		if (wanted->options[i].has_arg == required_argument)
			*letter++ = ':';
	}
}

static int complain_of_option(struct call *call, int found, const char *word)
{
	char letter[] = {'-', (char)optopt, '\0'};
	const char *name = strncmp(word, "--", 2) == 0 ? word : letter;

	return found == ':' ? complain(call, "Option ", name, " needs an argument!")
			    : complain(call, "Unknown option: ", name, "!");
}

int call_parse(struct call *call, const struct command *command, int argc, char *argv[],
	       struct error *err)
{
	struct wanted wanted = {0};
	size_t room = 0;
	int found;

	call->command = command;
	/* Letters can be joined in a word. */
	for (int i = 1; i < argc; i++)
		room += strlen(argv[i]) + 1;
	call->given = calloc(room + 1, sizeof(*call->given));
	if (!call->given)
		return error_nomem(err);
	prepare(command->options, &wanted);
	opterr = 0;
	while ((found = getopt_long(argc, argv, wanted.letters, wanted.options, NULL)) != -1) {
		if (found == '?' || found == ':')
			return complain_of_option(call, found, argv[optind - 1]);
		if (found == OPTION_HELP)
			call->asked = command->usage;
		else if (found == OPTION_VERSION)
			call->asked = call->asked ? call->asked : "jose (nbde) " NBDE_VERSION "\n";
		else if (call->count < room)
			call->given[call->count++] = (struct given){found, optarg};
	}
	return 0;
}

void call_free(struct call *call)
{
	free(call->given);
	call->given = NULL;
	input_free(&call->input);
}

const char *call_value(const struct call *call, int letter, const char *otherwise)
{
	for (size_t i = call->count; i > 0; i--)
		if (call->given[i - 1].letter == letter)
			return call->given[i - 1].value;
	return otherwise;
}

bool call_has(const struct call *call, int letter)
{
	for (size_t i = 0; i < call->count; i++)
		if (call->given[i].letter == letter)
			return true;
	return false;
}

static int add_key(json_t *keys, json_t *key, struct error *err)
{
	if (!json_is_object(key))
		return error_set(err, -EINVAL, "a key that is not a JSON object");
	return json_array_append(keys, key) < 0 ? error_nomem(err) : 0;
}

static int add_keys(json_t *keys, json_t *value, struct error *err)
{
	json_t *members = json_object_get(value, "keys");
	json_t *key;
	size_t i;
	int rc = 0;

	if (!members)
		return add_key(keys, value, err);
	if (json_array_size(members) == 0)
		return error_set(err, -EINVAL, "a JWKSet without keys");
	json_array_foreach(members, i, key) {
		rc = add_key(keys, key, err);
		if (rc < 0)
			return rc;
	}
	return 0;
}

int call_keys(struct call *call, int letter, bool literal, const char *none, json_t **keys,
	      struct error *err)
{
	JSON_AUTO json_t *found = json_array();

	if (!found)
		return error_nomem(err);
	for (size_t i = 0; i < call->count; i++) {
		JSON_AUTO json_t *value = NULL;
		int rc;

		if (call->given[i].letter != letter)
			continue;
		rc = input_json(&call->input, call->given[i].value,
				literal ? INPUT_TEMPLATE : INPUT_KEY, &value, err);
		if (rc == 0)
			rc = add_keys(found, value, err);
		if (rc < 0)
			return call_invalid(call, letter);
	}
	if (json_array_size(found) == 0)
		return error_set(err, -EINVAL, "%s", none);
	*keys = found;
	found = NULL;
	return 0;
}

int write_keys(struct call *call, json_t *keys, struct error *err)
{
	const char *path = call_value(call, 'o', "-");
	JSON_AUTO json_t *set = NULL;

	if (json_array_size(keys) == 1 && !call_has(call, 's'))
		return output_json(path, json_array_get(keys, 0), false, err);
	set = json_pack("{s:O}", "keys", keys);
	return set ? output_json(path, set, false, err) : error_nomem(err);
}
