/* SPDX-License-Identifier: Apache-2.0 */
/* What a JWE was sealed by, to be shown: in short, as `clevis luks list` does, or with all that is known of it. */
#include "base/json.h"
#include "pin/pins.h"

#include <errno.h>
#include <string.h>

/* How much is shown of a pin that has no others inside. */
struct view {
	/* Its configuration, a new object; -ENOENT with `err` filled for a pin that this view does not show. */
	int (*leaf)(const struct pin *pin, const json_t *jwe, json_t **config, struct error *err);
	/* What stands inside another pin for one that cannot be shown: a new value. */
	json_t *(*unknown)(void);
};

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

static int list_config(const struct view *view, const json_t *jwe, json_t **config, int depth,
		       struct error *err);

/* Adds the configuration of one that is sealed inside to `kinds`, {NAME: [configuration, …]}. */
static int list_child(const struct view *view, const json_t *jwe, json_t *kinds, int depth,
		      struct error *err)
{
	json_t *config = NULL;
	json_t *kind;
	char name[PIN_NAME_MAX];
	int rc = pin_name(jwe, name, err);

	if (rc == 0)
		rc = list_config(view, jwe, &config, depth, err);
	if (rc == -ENOENT) { /* what we cannot describe is there all the same */
		config = view->unknown();
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

static int list_children(const struct view *view, const struct pin *pin, const json_t *jwe,
			 json_t *listed, int depth, struct error *err)
{
	JSON_AUTO json_t *jwes = NULL;
	JSON_AUTO json_t *kinds = json_object();
	const json_t *child;
	size_t i;
	int rc = pin->children(jwe, &jwes, err);

	json_array_foreach(jwes, i, child) {
		if (rc == 0)
			rc = list_child(view, child, kinds, depth + 1, err);
	}
	if (rc < 0)
		return rc;
	return json_object_set_new(listed, "pins", in_order(kinds)) < 0 ? error_nomem(err) : 0;
}

/* Of a pin that has others inside only its own part, for theirs may be known to their programs alone. */
static int list_parent(const struct view *view, const struct pin *pin, const json_t *jwe,
		       json_t **config, int depth, struct error *err)
{
	JSON_AUTO json_t *header = NULL;
	JSON_AUTO json_t *listed = json_object();
	const json_t *node = NULL;
	int rc = depth > PIN_DEPTH_MAX
			 ? error_set(err, -EBADMSG, "pins nested deeper than %d levels",
				     PIN_DEPTH_MAX)
			 : pin_read_node(jwe, pin->name, &header, &node, err);

	if (rc == 0 && copy_listed(pin, node, listed) < 0)
		rc = error_nomem(err);
	if (rc == 0)
		rc = list_children(view, pin, jwe, listed, depth, err);
	if (rc < 0)
		return rc;
	*config = listed;
	listed = NULL;
	return 0;
}

static int list_config(const struct view *view, const json_t *jwe, json_t **config, int depth,
		       struct error *err)
{
	const struct pin *pin = NULL;
	int rc = pin_of(jwe, &pin, err);

	if (rc < 0)
		return rc;
	return pin->children ? list_parent(view, pin, jwe, config, depth, err)
			     : view->leaf(pin, jwe, config, err);
}

static int listed_leaf(const struct pin *pin, const json_t *jwe, json_t **config, struct error *err)
{
	JSON_AUTO json_t *whole = NULL;
	JSON_AUTO json_t *listed = json_object();
	int rc = pin->listed ? pin->describe(jwe, &whole, err)
			     : error_set(err, -ENOENT, "the pin '%s' is not listed", pin->name);

	if (rc == 0 && copy_listed(pin, whole, listed) < 0)
		rc = error_nomem(err);
	if (rc < 0)
		return rc;
	*config = listed;
	listed = NULL;
	return 0;
}

int pin_list_config(const json_t *jwe, json_t **config, struct error *err)
{
	static const struct view view = {listed_leaf, json_object};

	return list_config(&view, jwe, config, 1, err);
}

static int whole_leaf(const struct pin *pin, const json_t *jwe, json_t **config, struct error *err)
{
	JSON_AUTO json_t *whole = NULL;
	int rc = pin->describe(jwe, &whole, err);

	if (rc == 0 && pin->detail)
		rc = pin->detail(jwe, whole, err);
	if (rc < 0)
		return rc;
	*config = whole;
	whole = NULL;
	return 0;
}

int pin_details(const json_t *jwe, json_t **config, struct error *err)
{
	static const struct view view = {whole_leaf, json_null};

	return list_config(&view, jwe, config, 1, err);
}

/* Adds a name to a sorted array, unless it is there. */
static int add_name(const struct pin *pin, const json_t *jwe, void *arg, struct error *err)
{
	json_t *names = arg;
	char name[PIN_NAME_MAX];
	size_t at = 0;
	int order = 1;
	int rc = pin_name(jwe, name, err);

	(void)pin;
	if (rc < 0)
		return rc;
	while (at < json_array_size(names) &&
	       (order = strcmp(json_string_value(json_array_get(names, at)), name)) < 0)
		at++;
	if (at < json_array_size(names) && order == 0)
		return 0;
	return json_array_insert_new(names, at, json_string(name)) < 0 ? error_nomem(err) : 0;
}

int pin_names(const json_t *jwe, json_t **names, struct error *err)
{
	JSON_AUTO json_t *found = json_array();
	int rc = pin_walk(jwe, add_name, found, err);

	if (rc < 0)
		return rc;
	*names = found;
	found = NULL;
	return 0;
}
