/* SPDX-License-Identifier: Apache-2.0 */
/* Trust that is carried over when a binding is sealed anew. */
#include "pin/pin.h"

#include <string.h>

/* The first object inside `described` that names this server and the keys that were trusted. */
static const json_t *find_server(const json_t *described, const char *url)
{
	const char *name;
	const json_t *inside;
	const json_t *found;
	size_t i;

	if (json_is_object(described)) {
		const char *own = json_string_value(json_object_get(described, "url"));

		if (own && strcmp(own, url) == 0 && json_object_get(described, "trusted"))
			return described;
		json_object_foreach((json_t *)described, name, inside) {
			found = find_server(inside, url);
			if (found)
				return found;
		}
	}
	json_array_foreach(described, i, inside) {
		found = find_server(inside, url);
		if (found)
			return found;
	}
	return NULL;
}

static bool says_nothing_of_trust(const json_t *config)
{
	return !json_object_get(config, "thp") && !json_object_get(config, "adv") &&
	       !json_object_get(config, "trusted");
}

static int keep(const json_t *described, json_t *config)
{
	const char *url = json_string_value(json_object_get(config, "url"));
	const json_t *known = url ? find_server(described, url) : NULL;
	json_t *thp = json_object_get(known, "thp");

	if (!known || !says_nothing_of_trust(config))
		return 0;
	return json_object_set(config, "trusted", json_object_get(known, "trusted")) < 0 ||
			       (thp && json_object_set(config, "thp", thp) < 0)
		       ? -1
		       : 0;
}

int pin_keep_trust(const json_t *described, json_t *config)
{
	const char *name;
	json_t *inside;
	size_t i;
	int rc = json_is_object(config) ? keep(described, config) : 0;

	json_object_foreach(config, name, inside) {
		if (rc == 0 && strcmp(name, "trusted") != 0)
			rc = pin_keep_trust(described, inside);
	}
	json_array_foreach(config, i, inside) {
		if (rc == 0)
			rc = pin_keep_trust(described, inside);
	}
	return rc;
}

static void strip(json_t *config)
{
	const char *name;
	json_t *inside;
	size_t i;

	if (json_object_get(config, "trusted")) {
		(void)json_object_del(config, "trusted");
		(void)json_object_del(config, "thp");
	}
	json_object_foreach(config, name, inside) {
		strip(inside);
	}
	json_array_foreach(config, i, inside) {
		strip(inside);
	}
}

json_t *pin_without_trust(const json_t *described)
{
	json_t *copy = json_deep_copy(described);

	strip(copy);
	return copy;
}
