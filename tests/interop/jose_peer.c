/* SPDX-License-Identifier: Apache-2.0 */
/* The library of José as a peer: one request in JSON a line on standard input, one answer a line. Driven by jose-algorithms. */
#include "base/file.h"
#include "base/json.h"
#include "jose/jose.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int seal(const json_t *request, json_t **answer, struct error *err)
{
	struct jose_recipient recipients[JOSE_RECIPIENTS_MAX] = {0};
	const json_t *keys = json_object_get(request, "keys");
	bool compact = json_is_true(json_object_get(request, "compact"));
	size_t count = json_array_size(keys);
	SECRET_AUTO struct secret plain = {0};
	JSON_AUTO json_t *jwe = NULL;
	FREE_AUTO char *text = NULL;
	int rc = jose_b64_member(request, "plain", &plain, err);

	for (size_t i = 0; i < count && i < JOSE_RECIPIENTS_MAX; i++)
		recipients[i].jwk = json_array_get(keys, i);
	if (rc == 0)
		rc = jose_jwe_seal(json_object_get(request, "template"), recipients, count, compact,
				   &plain, &jwe, err);
	if (rc == 0 && compact)
		rc = jose_jwe_format_compact(jwe, &text, err);
	if (rc == 0)
		*answer = compact ? json_string(text) : json_incref(jwe);
	return rc;
}

static int open_jwe(const json_t *request, json_t **answer, struct error *err)
{
	const json_t *sealed = json_object_get(request, "jwe");
	const struct jose_recipient key = {json_object_get(request, "key"), NULL, NULL};
	SECRET_AUTO struct secret plain = {0};
	JSON_AUTO json_t *jwe = NULL;
	int rc = 0;

	if (json_is_string(sealed))
		rc = jose_jwe_parse_compact(json_string_value(sealed), json_string_length(sealed),
					    &jwe, err);
	if (rc == 0)
		rc = jose_jwe_open(jwe ? jwe : sealed, &key, 1, NULL, &plain, err);
	if (rc == 0)
		*answer = jose_b64_json(plain.data, plain.size);
	return rc;
}

static int sign(const json_t *request, json_t **answer, struct error *err)
{
	JSON_AUTO json_t *jws = json_pack("{s:O}", "payload", json_object_get(request, "payload"));
	int rc = jose_jws_sign_as(jws, json_object_get(request, "template"),
				  json_object_get(request, "key"), err);

	if (rc == 0)
		*answer = json_incref(jws);
	return rc;
}

static int verify(const json_t *request, json_t **answer, struct error *err)
{
	int rc = jose_jws_verify(json_object_get(request, "jws"), json_object_get(request, "key"),
				 err);

	if (rc == 0)
		*answer = json_true();
	return rc;
}

static int generate(const json_t *request, json_t **answer, struct error *err)
{
	return jose_jwk_generate(json_object_get(request, "template"), answer, err);
}

static int serve(const json_t *request, json_t **answer, struct error *err)
{
	static const struct {
		const char *name;
		int (*run)(const json_t *request, json_t **answer, struct error *err);
	} actions[] = {{"seal", seal},
		       {"open", open_jwe},
		       {"sign", sign},
		       {"verify", verify},
		       {"generate", generate}};
	const char *name = json_string_value(json_object_get(request, "do"));

	for (size_t i = 0; name && i < sizeof(actions) / sizeof(*actions); i++)
		if (strcmp(actions[i].name, name) == 0)
			return actions[i].run(request, answer, err);
	return error_set(err, -EINVAL, "no such request");
}

int main(void)
{
	FREE_AUTO char *line = NULL;
	size_t room = 0;
	ssize_t length;

	while ((length = getline(&line, &room, stdin)) > 0) {
		struct error err = {0};
		JSON_AUTO json_t *request = NULL;
		JSON_AUTO json_t *answer = NULL;
		JSON_AUTO json_t *reply = NULL;
		FREE_AUTO char *text = NULL;
		int rc = json_parse(line, (size_t)length, "request", &request, &err);

		if (rc == 0)
			rc = serve(request, &answer, &err);
		reply = rc == 0 ? json_pack("{s:O}", "answer", answer)
				: json_pack("{s:s}", "error", err.text);
		text = reply ? json_dump_public(reply) : NULL;
		if (!text || puts(text) < 0 || fflush(stdout) != 0)
			return EXIT_FAILURE;
	}
	return EXIT_SUCCESS;
}
