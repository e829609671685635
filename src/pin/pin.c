/* SPDX-License-Identifier: Apache-2.0 */
#include "pin/pin.h"

#include "base/json.h"
#include "jose/jose.h"
#include "pin/pins.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

/* How deep pins may stand inside pins. */
enum { PIN_DEPTH_MAX = 8 };

static const struct pin *const pins[] = {&pin_tang, NULL};

const struct pin *const *pin_all(void)
{
	return pins;
}

const struct pin *pin_find(const char *name)
{
	for (size_t i = 0; pins[i]; i++)
		if (strcmp(pins[i]->name, name) == 0)
			return pins[i];
	return NULL;
}

int pin_name(const json_t *jwe, char name[static PIN_NAME_MAX], struct error *err)
{
	JSON_AUTO json_t *header = NULL;
	const char *read;
	int rc = jose_jwe_header(jwe, &header, err);

	if (rc < 0)
		return rc;
	read = json_string_value(json_object_get(json_object_get(header, "clevis"), "pin"));
	if (!read)
		return error_set(err, -EBADMSG,
				 "JWE is missing the required 'clevis.pin' header property");
	if (!*read || strlen(read) >= PIN_NAME_MAX ||
	    read[strspn(read, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_")])
		return error_set(err, -EBADMSG, "Unable to locate pin '%.64s': no pin's name",
				 read);
	(void)snprintf(name, PIN_NAME_MAX, "%s", read);
	return 0;
}

int pin_of(const json_t *jwe, const struct pin **pin, struct error *err)
{
	char name[PIN_NAME_MAX];
	int rc = pin_name(jwe, name, err);

	if (rc < 0)
		return rc;
	*pin = pin_find(name);
	return *pin ? 0 : error_set(err, -ENOENT, "Unable to locate pin '%s'", name);
}

int pin_read_node(const json_t *jwe, const char *name, json_t **header, const json_t **node,
		  struct error *err)
{
	JSON_AUTO json_t *read = NULL;
	const json_t *found;
	int rc = jose_jwe_header(jwe, &read, err);

	if (rc < 0)
		return rc;
	found = json_object_get(json_object_get(read, "clevis"), name);
	if (!json_is_object(found))
		return error_set(err, -EBADMSG,
				 "JWE is missing the required 'clevis.%s' header property", name);
	*node = found;
	*header = read;
	read = NULL;
	return 0;
}

int pin_seal(struct pin_context *context, const char *name, const json_t *config,
	     const struct secret *plain, json_t **jwe)
{
	const struct pin *pin = pin_find(name);

	if (!pin)
		return error_set(context->err, -ENOENT, "Unable to locate pin '%s'", name);
	if (!json_is_object(config))
		return error_set(context->err, -EINVAL,
				 "Configuration is malformed; it should be valid JSON (an object)");
	return pin->seal(context, config, plain, jwe);
}

int pin_open(struct pin_context *context, const json_t *jwe, struct secret *plain)
{
	const struct pin *pin = NULL;
	int rc = pin_of(jwe, &pin, context->err);

	return rc < 0 ? rc : pin->open(context, jwe, plain);
}

int pin_list_config(const json_t *jwe, const struct pin **pin, json_t **config, struct error *err)
{
	JSON_AUTO json_t *whole = NULL;
	JSON_AUTO json_t *listed = json_object();
	int rc = pin_of(jwe, pin, err);

	if (rc == 0)
		rc = (*pin)->describe(jwe, &whole, err);
	if (rc < 0)
		return rc;
	for (const char *const *name = (*pin)->listed; *name; name++) {
		json_t *value = json_object_get(whole, *name);

		if (value && json_object_set(listed, *name, value) < 0)
			return error_nomem(err);
	}
	*config = listed;
	listed = NULL;
	return 0;
}

static int walk(const json_t *jwe, pin_visitor visit, void *arg, int depth, struct error *err)
{
	const struct pin *pin = NULL;
	JSON_AUTO json_t *inside = NULL;
	const json_t *child;
	size_t i;
	int rc = pin_of(jwe, &pin, err);

	if (rc < 0 && rc != -ENOENT)
		return rc;
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
	if (pin)
		*needs |= pin->needs(jwe);
	return 0;
}

unsigned pin_needs(const json_t *jwe)
{
	unsigned needs = 0;

	(void)pin_walk(jwe, add_needs, &needs, NULL);
	return needs;
}
