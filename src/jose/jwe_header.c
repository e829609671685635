/* SPDX-License-Identifier: Apache-2.0 */
#include "jose/jwe_parts.h"

#include "base/json.h"
#include "jose/b64.h"
#include "jose/jwe.h"

#include <errno.h>
#include <stdio.h>

static int merge(json_t *header, const json_t *part, struct error *err)
{
	const char *name;
	json_t *value;

	if (part && !json_is_object(part))
		return error_set(err, -EBADMSG, "a JWE header that is not an object");
	json_object_foreach((json_t *)part, name, value) {
		if (json_object_get(header, name))
			return error_set(err, -EBADMSG, "the JWE header has '%s' twice", name);
		if (json_object_set(header, name, value) < 0)
			return error_nomem(err);
	}
	return 0;
}

int jose_jwe_protected(const json_t *jwe, json_t **header, struct error *err)
{
	SECRET_AUTO struct secret text = {0};
	JSON_AUTO json_t *parsed = NULL;
	int rc;

	if (!json_object_get(jwe, "protected")) {
		*header = json_object();
		return *header ? 0 : error_nomem(err);
	}
	if (jose_b64_member(jwe, "protected", &text, err) < 0)
		return error_set(err, -EBADMSG, "the JWE's protected header is malformed");
	rc = json_parse((const char *)text.data, text.size, "the JWE's protected header", &parsed,
			err);
	if (rc < 0)
		return rc;
	if (!json_is_object(parsed))
		return error_set(err, -EBADMSG, "a JWE header that is not an object");
	*header = parsed;
	parsed = NULL;
	return 0;
}

int jose_jwe_join(const json_t *protected_part, const json_t *unprotected, const json_t *header,
		  json_t **whole, struct error *err)
{
	JSON_AUTO json_t *joined = json_object();
	int rc;

	if (!joined)
		return error_nomem(err);
	rc = merge(joined, protected_part, err);
	if (rc == 0)
		rc = merge(joined, unprotected, err);
	if (rc == 0)
		rc = merge(joined, header, err);
	if (rc < 0)
		return rc;
	*whole = joined;
	joined = NULL;
	return 0;
}

int jose_jwe_header(const json_t *jwe, json_t **header, struct error *err)
{
	JSON_AUTO json_t *protected_part = NULL;
	int rc = jose_jwe_protected(jwe, &protected_part, err);

	return rc < 0 ? rc
		      : jose_jwe_join(protected_part, json_object_get(jwe, "unprotected"),
				      json_object_get(jwe, "header"), header, err);
}

char *jose_jwe_authenticated(const json_t *jwe)
{
	const char *protected_b64 = json_string_value(json_object_get(jwe, "protected"));
	const char *aad = json_string_value(json_object_get(jwe, "aad"));
	char *text = NULL;

	if (asprintf(&text, "%s%s%s", protected_b64 ? protected_b64 : "", aad ? "." : "",
		     aad ? aad : "") < 0)
		return NULL;
	return text;
}
