/* SPDX-License-Identifier: Apache-2.0 */
#include "pin/pin.h"

#include "base/json.h"
#include "jose/jose.h"
#include "pin/pins.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

/* In the order of `clevis luks list` (contract of Clevis §3). */
static const struct pin *const pins[] = {&pin_null, &pin_tang, &pin_sss, &pin_file, NULL};

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

bool pin_is_name(const char *text)
{
	return *text && strlen(text) < PIN_NAME_MAX &&
	       !text[strspn(text,
			    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_")];
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
	if (!pin_is_name(read))
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

/* The levels are counted down here, at the door, so that no pin has to. */
static int enter(struct pin_context *context)
{
	if (deadline_passed(context->deadline))
		return error_set(context->err, -ETIMEDOUT, "no time is left");
	if (context->depth >= PIN_DEPTH_MAX)
		return error_set(context->err, -EINVAL, "pins nested deeper than %d levels",
				 PIN_DEPTH_MAX);
	context->depth++;
	return 0;
}

static int count_pin(const struct pin *pin, const json_t *jwe, void *arg, struct error *err)
{
	(void)pin;
	(void)jwe;
	return ++*(size_t *)arg <= PIN_TREE_MAX
		       ? 0
		       : error_set(err, -EBADMSG, "more than %d pins inside one another",
				   PIN_TREE_MAX);
}

/* Each may take processes and connections: how many there are is not left to whoever wrote the JWE. */
static int check_tree(const struct pin_context *context, const struct pin *pin, const json_t *jwe)
{
	size_t count = 0;

	return pin && pin->children && context->depth == 0
		       ? pin_walk(jwe, count_pin, &count, context->err)
		       : 0;
}

int pin_seal(struct pin_context *context, const char *name, const json_t *config,
	     const struct secret *plain, json_t **jwe)
{
	const struct pin *pin = pin_find(name);
	int rc;

	if (!json_is_object(config))
		return error_set(context->err, -EINVAL,
				 "Configuration is malformed; it should be valid JSON (an object)");
	rc = enter(context);
	if (rc < 0)
		return rc;
	rc = pin ? pin->seal(context, config, plain, jwe)
		 : external_seal(context, name, config, plain, jwe);
	context->depth--;
	if (rc == 0 && check_tree(context, pin, *jwe) < 0) {
		pin_discard(*jwe);
		json_drop(jwe);
		rc = -EINVAL;
	}
	return rc;
}

int pin_open(struct pin_context *context, const json_t *jwe, struct secret *plain)
{
	const struct pin *pin;
	char name[PIN_NAME_MAX];
	int rc = pin_name(jwe, name, context->err);

	if (rc < 0)
		return rc;
	pin = pin_find(name);
	rc = check_tree(context, pin, jwe);
	if (rc == 0)
		rc = enter(context);
	if (rc < 0)
		return rc;
	rc = pin ? pin->open(context, jwe, plain) : external_open(context, name, jwe, plain);
	context->depth--;
	return rc;
}

int pin_describe(const json_t *jwe, json_t **config, struct error *err)
{
	const struct pin *pin = NULL;
	int rc = pin_of(jwe, &pin, err);

	return rc < 0 ? rc : pin->describe(jwe, config, err);
}

void pin_discard(const json_t *jwe)
{
	const struct pin *pin = NULL;

	if (pin_of(jwe, &pin, NULL) == 0 && pin->discard)
		pin->discard(jwe);
}
