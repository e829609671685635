/* SPDX-License-Identifier: Apache-2.0 */
#include "luks/luks2.h"

#include "base/file.h"
#include "base/json.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A token as JSON is smaller than the largest header. */
enum { TOKEN_TEXT_MAX = 4 * 1024 * 1024 };

/* What a new keyslot adds to the JSON beyond a copy of an existing one: its number and the digest's mention of it. */
enum { KEYSLOT_OVERHEAD = 64 };

int token_max(void)
{
	return crypt_token_max(CRYPT_LUKS2);
}

/* "keyslots":["N"]; of several, which nobody writes, the first counts. */
static int read_keyslot(const struct luks_device *device, const json_t *parsed)
{
	const char *text = json_string_value(
		json_array_get(json_object_get(parsed, "keyslots"), 0));
	char *end = NULL;
	long number;

	if (!text || !*text)
		return -1;
	number = strtol(text, &end, 10);
	return *end == '\0' && number >= 0 && number < device_keyslots(device) ? (int)number : -1;
}

static int read_mark(const struct luks_device *device, const json_t *parsed, const char *name)
{
	const json_t *mark = json_object_get(json_object_get(parsed, "nbde"), name);
	json_int_t number = json_integer_value(mark);

	return mark && number >= 0 && number < device_keyslots(device) ? (int)number : -1;
}

int token_read(struct luks_device *device, int token, struct luks_binding *binding,
	       struct error *err)
{
	JSON_AUTO json_t *parsed = NULL;
	struct error why = {0};
	const char *type = NULL;
	const char *text = NULL;
	json_t *jwe;
	crypt_token_info info = crypt_token_status(device->crypt, token, &type);

	if (info == CRYPT_TOKEN_INVALID || info == CRYPT_TOKEN_INACTIVE || !type ||
	    strcmp(type, "clevis") != 0)
		return -ENOENT;
	if (crypt_token_json_get(device->crypt, token, &text) < 0)
		return device_error(device, -EBADMSG, "cannot read a token", err);
	if (strlen(text) > TOKEN_TEXT_MAX ||
	    json_parse(text, strlen(text), "token", &parsed, &why) < 0)
		return error_set(err, -EBADMSG, "luks: %s: token %d is damaged: %s", device->path,
				 token, why.text);
	jwe = json_object_get(parsed, "jwe");
	if (!json_is_object(jwe))
		return error_set(err, -EBADMSG, "luks: %s: token %d is damaged: it holds no JWE",
				 device->path, token);
	binding->token = token;
	binding->keyslot = read_keyslot(device, parsed);
	binding->jwe = json_incref(jwe);
	binding->intended = read_mark(device, parsed, "intended");
	binding->replaces = read_mark(device, parsed, "replaces");
	binding->left = read_mark(device, parsed, "left");
	/* Nothing takes its own place: what damage or somebody made of the mark must not cost the keyslot. */
	if (binding->replaces == binding->keyslot)
		binding->replaces = -1;
	return 0;
}

int token_list(struct luks_device *device, struct luks_bindings *bindings, struct error *err)
{
	LUKS_BINDINGS_AUTO struct luks_bindings found = {0};

	found.binding = calloc((size_t)token_max(), sizeof(*found.binding));
	if (!found.binding)
		return error_nomem(err);
	for (int token = 0; token < token_max(); token++) {
		struct luks_binding *next = &found.binding[found.count];

		if (token_read(device, token, next, err) < 0)
			continue;
		if (next->keyslot >= 0)
			found.count++;
		else
			luks_binding_free(next);
	}
	*bindings = found;
	found = (struct luks_bindings){0};
	return 0;
}

/* The keyslot that was left comes second: while it is there it is ours, since the library takes it out together with its key. */
static json_t *format_keyslots(const struct luks_binding *binding)
{
	json_t *keyslots = json_array();
	const int numbers[] = {binding->keyslot, binding->left};

	for (size_t i = 0; i < sizeof(numbers) / sizeof(*numbers); i++) {
		char text[16];

		if (numbers[i] < 0)
			continue;
		(void)snprintf(text, sizeof(text), "%d", numbers[i]);
		(void)json_array_append_new(keyslots, json_string(text));
	}
	return keyslots;
}

static json_t *format_marks(const struct luks_binding *binding)
{
	json_t *marks = json_object();

	if (binding->intended >= 0)
		(void)json_object_set_new(marks, "intended", json_integer(binding->intended));
	if (binding->replaces >= 0)
		(void)json_object_set_new(marks, "replaces", json_integer(binding->replaces));
	if (binding->left >= 0)
		(void)json_object_set_new(marks, "left", json_integer(binding->left));
	if (json_object_size(marks) == 0)
		json_drop(&marks);
	return marks;
}

char *token_format(const struct luks_binding *binding)
{
	JSON_AUTO json_t *flat = json_copy(binding->jwe);
	JSON_AUTO json_t *token = NULL;

	if (!flat || (!json_object_get(flat, "encrypted_key") &&
		      json_object_set_new(flat, "encrypted_key", json_string("")) < 0))
		return NULL;
	token = json_pack("{s:s, s:o, s:O, s:o*}", "type", "clevis", "keyslots",
			  format_keyslots(binding), "jwe", flat, "nbde", format_marks(binding));
	return token ? json_dump_public(token) : NULL;
}

static size_t compact_size(const json_t *json)
{
	return json_dumpb(json, NULL, 0, JSON_COMPACT);
}

/* The size that one more keyslot takes: that of the largest there is. */
static size_t keyslot_size(const json_t *metadata)
{
	const char *number;
	const json_t *keyslot;
	size_t largest = 0;

	json_object_foreach((json_t *)json_object_get(metadata, "keyslots"), number, keyslot) {
		size_t size = compact_size(keyslot);

		if (size > largest)
			largest = size;
	}
	return largest + KEYSLOT_OVERHEAD;
}

int token_check_room(struct luks_device *device, const char *text, struct error *err)
{
	JSON_AUTO json_t *metadata = NULL;
	const char *dump = NULL;
	const char *room;
	size_t area;
	size_t needed;
	int rc = crypt_dump_json(device->crypt, &dump, 0);

	if (rc < 0)
		return device_error(device, rc, "cannot read the header", err);
	if (json_parse(dump, strlen(dump), "header", &metadata, err) < 0)
		return -EBADMSG;
	room = json_string_value(json_object_get(json_object_get(metadata, "config"), "json_size"));
	area = room ? strtoul(room, NULL, 10) : 0;
	needed = compact_size(metadata) + keyslot_size(metadata) + strlen(text) +
		 sizeof("\"31\":,");
	if (needed >= area)
		return error_set(
			err, -ENOSPC,
			"luks: %s: no room in the header: %zu of %zu bytes would be needed; "
			"remove a binding with 'clevis luks unbind'",
			device->path, needed, area);
	return 0;
}

json_t *token_list_damaged(struct luks_device *device)
{
	json_t *damaged = json_array();

	for (int token = 0; token < token_max(); token++) {
		LUKS_BINDING_AUTO struct luks_binding binding = LUKS_BINDING_NONE;
		struct error why = {0};

		if (token_read(device, token, &binding, &why) == -EBADMSG &&
		    json_array_append_new(damaged, json_pack("{s:i, s:s}", "token", token, "reason",
							     why.text)) < 0)
			json_drop(&damaged);
	}
	return damaged;
}
