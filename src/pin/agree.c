/* SPDX-License-Identifier: Apache-2.0 */
/* Whether a configuration that a person has written says what a JWE was sealed by. */
#include "base/json.h"
#include "pin/pins.h"

#include <string.h>

/* What a program made of its configuration only the program knows: what it left as it was given is compared. */
static bool program_agrees(const json_t *jwe, const char *name, const json_t *config)
{
	JSON_AUTO json_t *header = NULL;
	const json_t *node = NULL;
	const char *member;
	const json_t *value;

	if (pin_read_node(jwe, name, &header, &node, NULL) < 0)
		return json_object_size(config) == 0;
	json_object_foreach((json_t *)config, member, value) {
		if (!json_equal(value, json_object_get(node, member)))
			return false;
	}
	return true;
}

static bool describes_alike(const json_t *jwe, const json_t *config)
{
	JSON_AUTO json_t *described = NULL;

	return pin_describe(jwe, &described, NULL) == 0 && json_equal(described, config);
}

bool pin_agrees(const json_t *jwe, const char *name, const json_t *config)
{
	const struct pin *pin = pin_find(name);
	char sealed_by[PIN_NAME_MAX];

	if (!json_is_object(config) || pin_name(jwe, sealed_by, NULL) < 0 ||
	    strcmp(sealed_by, name) != 0)
		return false;
	if (!pin)
		return program_agrees(jwe, name, config);
	return pin->agrees ? pin->agrees(jwe, config) : describes_alike(jwe, config);
}
