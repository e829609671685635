/* SPDX-License-Identifier: Apache-2.0 */
/* The compact serialisations (RFC 7515 §3.1, RFC 7516 §3.1): parts with dots between. */
#include "base/json.h"
#include "jose/jwe.h"
#include "jose/jws.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { PARTS_MAX = 5 };

struct form {
	const char *name;
	size_t count;
	const char *parts[PARTS_MAX];
	const char *may_lack; /* the part that may be missing, and is empty then */
	const char *lost[4];  /* members that there is no place for */
};

static const struct form jwe_form = {
	"JWE (five parts",
	5,
	{"protected", "encrypted_key", "iv", "ciphertext", "tag"},
	"encrypted_key",
	{"header", "unprotected", "aad", "recipients"},
};

static const struct form jws_form = {
	"JWS (three parts",	  3, {"protected", "payload", "signature"}, "payload",
	{"header", "signatures"},
};

/* Whether every character is of the alphabet; a NUL in a part would end it for some readers and not for others. */
static bool is_base64url(const char *text, size_t length)
{
	for (size_t i = 0; i < length; i++)
		if (text[i] == '\0' ||
		    !strchr("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
			    "0123456789-_",
			    text[i]))
			return false;
	return true;
}

static int parse(const struct form *form, const char *text, size_t length, json_t **made,
		 struct error *err)
{
	JSON_AUTO json_t *parsed = json_object();
	const char *end = text + length;

	if (!parsed)
		return error_nomem(err);
	for (size_t i = 0; i < form->count; i++) {
		const char *dot = memchr(text, '.', (size_t)(end - text));
		const char *stop = dot ? dot : end;
		json_t *part;

		if ((dot != NULL) != (i + 1 < form->count))
			return error_set(err, -EBADMSG, "not a compact %s with dots)", form->name);
		if (!is_base64url(text, (size_t)(stop - text)))
			return error_set(err, -EBADMSG, "not a compact %s of base64url)",
					 form->name);
		part = json_stringn(text, (size_t)(stop - text));
		if (!part || json_object_set_new(parsed, form->parts[i], part) < 0)
			return error_nomem(err);
		text = dot ? dot + 1 : end;
	}
	*made = parsed;
	parsed = NULL;
	return 0;
}

static const char *part_of(const struct form *form, const json_t *json, size_t i)
{
	const json_t *part = json_object_get(json, form->parts[i]);

	return !part && strcmp(form->parts[i], form->may_lack) == 0 ? "" : json_string_value(part);
}

static int check(const struct form *form, const json_t *json, struct error *err)
{
	for (size_t i = 0; i < sizeof(form->lost) / sizeof(*form->lost) && form->lost[i]; i++)
		if (json_object_get(json, form->lost[i]))
			return error_set(err, -EINVAL, "the compact form has no place for '%s'",
					 form->lost[i]);
	for (size_t i = 0; i < form->count; i++) {
		const char *part = part_of(form, json, i);

		if (!part || !is_base64url(part, strlen(part)))
			return error_set(err, -EBADMSG,
					 "malformed: '%s' is missing or not base64url",
					 form->parts[i]);
	}
	return 0;
}

static int format(const struct form *form, const json_t *json, char **text, struct error *err)
{
	size_t size = 0;
	char *made;
	char *end;
	int rc = check(form, json, err);

	if (rc < 0)
		return rc;
	for (size_t i = 0; i < form->count; i++)
		size += strlen(part_of(form, json, i)) + 1;
	made = malloc(size);
	if (!made)
		return error_nomem(err);
	end = made;
	for (size_t i = 0; i < form->count; i++) {
		end = stpcpy(end, part_of(form, json, i));
		*end++ = '.';
	}
	end[-1] = '\0';
	*text = made;
	return 0;
}

int jose_jwe_parse_compact(const char *text, size_t length, json_t **jwe, struct error *err)
{
	return parse(&jwe_form, text, length, jwe, err);
}

int jose_jwe_format_compact(const json_t *jwe, char **text, struct error *err)
{
	return format(&jwe_form, jwe, text, err);
}

int jose_jws_parse_compact(const char *text, size_t length, json_t **jws, struct error *err)
{
	return parse(&jws_form, text, length, jws, err);
}

int jose_jws_format_compact(const json_t *jws, char **text, struct error *err)
{
	return format(&jws_form, jws, text, err);
}
