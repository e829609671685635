/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whether a configuration of the pin `sss` says what a JWE holds: the same threshold, and a partner for each that stands inside.
 * Order counts on neither side, nor whether one configuration stands alone or in an array. A configuration that names no trusted key
 * may agree with several that do, so that who takes whom is a matching of two sets (Kuhn's algorithm).
 */
#include "base/json.h"
#include "pin/pins.h"
#include "pin/shamir.h"

#include <string.h>

enum { FREE = -1 };

struct matching {
	size_t count; /* on either side */
	const json_t *jwes;
	const char *name[SHAMIR_SHARES_MAX]; /* the configurations */
	const json_t *config[SHAMIR_SHARES_MAX];
	int taken_by[SHAMIR_SHARES_MAX]; /* which configuration has that JWE, FREE for none */
	bool seen[SHAMIR_SHARES_MAX]; /* JWEs that were looked at for the configuration at hand */
};

static void add(struct matching *matching, const char *name, const json_t *config)
{
	matching->name[matching->count] = name;
	matching->config[matching->count++] = config;
}

/* sss_read_config() has counted them. */
static void add_all(struct matching *matching, const json_t *pins)
{
	const char *name;
	const json_t *value;
	const json_t *config;
	size_t i;

	json_object_foreach((json_t *)pins, name, value) {
		if (json_is_object(value))
			add(matching, name, value);
		json_array_foreach(value, i, config) {
			add(matching, name, config);
		}
	}
}

/* Finds a JWE for a configuration: one that is free, or one whose holder finds another. */
static bool find_partner(struct matching *matching, int config)
{
	for (size_t i = 0; i < matching->count; i++) {
		if (matching->seen[i] ||
		    !pin_agrees(json_array_get(matching->jwes, i), matching->name[config],
				matching->config[config]))
			continue;
		matching->seen[i] = true;
		if (matching->taken_by[i] == FREE ||
		    find_partner(matching, matching->taken_by[i])) {
			matching->taken_by[i] = config;
			return true;
		}
	}
	return false;
}

static bool everybody_has_a_partner(struct matching *matching)
{
	for (size_t i = 0; i < matching->count; i++)
		matching->taken_by[i] = FREE;
	for (size_t i = 0; i < matching->count; i++) {
		memset(matching->seen, 0, sizeof(matching->seen));
		if (!find_partner(matching, (int)i))
			return false;
	}
	return true;
}

static json_int_t sealed_threshold(const json_t *jwe)
{
	JSON_AUTO json_t *header = NULL;
	const json_t *node = NULL;

	return pin_read_node(jwe, "sss", &header, &node, NULL) == 0
		       ? json_integer_value(json_object_get(node, "t"))
		       : 0;
}

bool sss_agrees(const json_t *jwe, const json_t *config)
{
	JSON_AUTO json_t *jwes = NULL;
	struct matching matching = {0};
	size_t threshold = 0;
	size_t total = 0;

	if (sss_read_config(config, &threshold, &total, NULL) < 0 ||
	    (json_int_t)threshold != sealed_threshold(jwe) ||
	    pin_sss.children(jwe, &jwes, NULL) < 0 || json_array_size(jwes) != total)
		return false;
	matching.jwes = jwes;
	add_all(&matching, json_object_get(config, "pins"));
	return everybody_has_a_partner(&matching);
}
