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

/* Copies the members that are shown. */
static int copy_listed(const struct pin *pin, const json_t *whole, json_t *listed)
{
	for (const char *const *name = pin->listed; *name; name++) {
		json_t *value = json_object_get(whole, *name);

		if (value && json_object_set(listed, *name, value) < 0)
			return -ENOMEM;
	}
	return 0;
}

static int list_config(const json_t *jwe, json_t **config, int depth, struct error *err);

/* Adds the configuration of one that is sealed inside to `kinds`, {NAME: [configuration, …]}. */
static int list_child(const json_t *jwe, json_t *kinds, int depth, struct error *err)
{
	json_t *config = NULL;
	json_t *kind;
	char name[PIN_NAME_MAX];
	int rc = pin_name(jwe, name, err);

	if (rc == 0)
		rc = list_config(jwe, &config, depth, err);
	if (rc == -ENOENT) { /* what we cannot describe is there all the same */
		config = json_object();
		rc = 0;
	}
	if (rc < 0)
		return rc;
	kind = json_object_get(kinds, name);
	if (!kind) {
		kind = json_array();
		if (json_object_set_new(kinds, name, kind) < 0)
			kind = NULL;
	}
	return json_array_append_new(kind, config) < 0 ? error_nomem(err) : 0;
}

/* The kinds in the order of all pins, then those that are none of ours. */
static json_t *in_order(const json_t *kinds)
{
	json_t *ordered = json_object();

	for (const struct pin *const *pin = pin_all(); *pin; pin++) {
		json_t *kind = json_object_get(kinds, (*pin)->name);

		if (kind)
			(void)json_object_set(ordered, (*pin)->name, kind);
	}
	(void)json_object_update_missing(ordered, (json_t *)kinds);
	return ordered;
}

static int list_children(const struct pin *pin, const json_t *jwe, json_t *listed, int depth,
			 struct error *err)
{
	JSON_AUTO json_t *jwes = NULL;
	JSON_AUTO json_t *kinds = json_object();
	const json_t *child;
	size_t i;
	int rc = pin->children(jwe, &jwes, err);

	json_array_foreach(jwes, i, child) {
		if (rc == 0)
			rc = list_child(child, kinds, depth + 1, err);
	}
	if (rc < 0)
		return rc;
	return json_object_set_new(listed, "pins", in_order(kinds)) < 0 ? error_nomem(err) : 0;
}

/* The configuration. Of a pin that has others inside only its own part, for theirs may be known to their programs alone. */
static int read_whole(const struct pin *pin, const json_t *jwe, json_t **holder,
		      const json_t **whole, struct error *err)
{
	int rc = pin->children ? pin_read_node(jwe, pin->name, holder, whole, err)
			       : pin->describe(jwe, holder, err);

	if (rc == 0 && !pin->children)
		*whole = *holder;
	return rc;
}

static int list_config(const json_t *jwe, json_t **config, int depth, struct error *err)
{
	const struct pin *pin = NULL;
	JSON_AUTO json_t *holder = NULL;
	JSON_AUTO json_t *listed = json_object();
	const json_t *whole = NULL;
	int rc = pin_of(jwe, &pin, err);

	if (rc == 0 && !pin->listed)
		rc = error_set(err, -ENOENT, "the pin '%s' is not listed", pin->name);
	if (rc == 0 && depth > PIN_DEPTH_MAX)
		rc = error_set(err, -EBADMSG, "pins nested deeper than %d levels", PIN_DEPTH_MAX);
	if (rc == 0)
		rc = read_whole(pin, jwe, &holder, &whole, err);
	if (rc == 0 && copy_listed(pin, whole, listed) < 0)
		rc = error_nomem(err);
	if (rc == 0 && pin->children)
		rc = list_children(pin, jwe, listed, depth, err);
	if (rc < 0)
		return rc;
	*config = listed;
	listed = NULL;
	return 0;
}

int pin_list_config(const json_t *jwe, json_t **config, struct error *err)
{
	return list_config(jwe, config, 1, err);
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
