/* SPDX-License-Identifier: Apache-2.0 */
/* What may keep a JWE from opening at boot, though it opens now. */
#include "base/json.h"
#include "pin/pins.h"

#include <stdio.h>
#include <string.h>

struct advice {
	const struct pin_context *context;
	json_t *given; /* an object whose members are the lines */
};

static void say(const struct advice *advice, const char *line)
{
	if (json_object_get(advice->given, line))
		return;
	(void)json_object_set_new(advice->given, line, json_true());
	advice->context->warn(line);
}

static void look_at_server(const struct advice *advice, const char *url)
{
	char line[ERROR_TEXT_MAX];

	if (!net_is_this_machine(url, advice->context->deadline))
		return;
	(void)snprintf(line, sizeof(line),
		       "%.500s is this very machine: at boot it would wait for itself", url);
	say(advice, line);
}

static void look_at_file(const struct advice *advice, const char *member, const char *path)
{
	char line[ERROR_TEXT_MAX];

	if (*path == '/')
		return;
	(void)snprintf(
		line, sizeof(line),
		"'%s' is a relative path, %.500s: at boot it is looked for from another folder",
		member, path);
	say(advice, line);
}

static int look_at(const struct pin *pin, const json_t *jwe, void *arg, struct error *err)
{
	JSON_AUTO json_t *config = NULL;
	const struct advice *advice = arg;
	const char *url;

	(void)err;
	if (!pin || pin->children || pin->describe(jwe, &config, NULL) < 0)
		return 0;
	url = json_string_value(json_object_get(config, "url"));
	if (url && (pin->needs(jwe) & PIN_NETWORK))
		look_at_server(advice, url);
	for (const char *const *member = pin->files; member && *member; member++) {
		const char *path = json_string_value(json_object_get(config, *member));

		if (path)
			look_at_file(advice, *member, path);
	}
	return 0;
}

void pin_advise(const struct pin_context *context, const json_t *jwe)
{
	JSON_AUTO json_t *given = json_object();
	struct advice advice = {context, given};

	if (context->warn && given)
		(void)pin_walk(jwe, look_at, &advice, NULL);
}
