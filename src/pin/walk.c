/* SPDX-License-Identifier: Apache-2.0 */
/* What a JWE says of itself and of what is sealed inside, without opening anything. */
#include "base/json.h"
#include "pin/pins.h"

#include <errno.h>
#include <string.h>

static int walk(const json_t *jwe, pin_visitor visit, void *arg, int depth, struct error *err)
{
	const struct pin *pin;
	JSON_AUTO json_t *inside = NULL;
	const json_t *child;
	char name[PIN_NAME_MAX];
	size_t i;
	int rc = pin_name(jwe, name, err);

	if (rc < 0)
		return rc;
	pin = pin_find(name);
	if (depth > PIN_DEPTH_MAX)
		return error_set(err, -EBADMSG, "pins nested deeper than %d levels", PIN_DEPTH_MAX);
	rc = visit(pin, jwe, arg, err);
	if (rc != 0 || !pin || !pin->children)
		return rc;
	rc = pin->children(jwe, &inside, err);
	json_array_foreach(inside, i, child) {
		if (rc == 0)
			rc = walk(child, visit, arg, depth + 1, err);
	}
	return rc;
}

int pin_walk(const json_t *jwe, pin_visitor visit, void *arg, struct error *err)
{
	return walk(jwe, visit, arg, 1, err);
}

static int add_needs(const struct pin *pin, const json_t *jwe, void *arg, struct error *err)
{
	unsigned *needs = arg;

	(void)err;
	*needs |= pin ? pin->needs(jwe) : (unsigned)PIN_EXTERNAL;
	return 0;
}

unsigned pin_needs(const json_t *jwe)
{
	unsigned needs = 0;

	(void)pin_walk(jwe, add_needs, &needs, NULL);
	return needs;
}

struct rotation {
	struct pin_context *context;
	json_t *leaves;
};

static int add_rotated(const struct pin *pin, const json_t *jwe, void *arg, struct error *err)
{
	struct rotation *rotation = arg;
	JSON_AUTO json_t *missing = NULL;
	JSON_AUTO json_t *config = NULL;
	int rc;

	if (!pin || !pin->rotated)
		return 0;
	missing = json_array();
	rc = pin->rotated(rotation->context, jwe, missing);
	if (rc == 0)
		rc = pin_list_config(jwe, &config, err);
	if (rc < 0)
		return rc;
	if (json_object_set(config, "missing", missing) < 0 ||
	    json_array_append(rotation->leaves, config) < 0)
		return error_nomem(err);
	return 0;
}

int pin_rotated(struct pin_context *context, const json_t *jwe, json_t **leaves)
{
	struct rotation rotation = {context, json_array()};
	int rc = pin_walk(jwe, add_rotated, &rotation, context->err);

	if (rc < 0)
		json_drop(&rotation.leaves);
	else
		*leaves = rotation.leaves;
	return rc;
}
