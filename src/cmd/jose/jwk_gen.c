/* SPDX-License-Identifier: Apache-2.0 */
/* jose jwk gen: makes keys by templates. */
#include "base/json.h"
#include "cmd/jose/command.h"
#include "jose/jwk.h"

static int generate(const json_t *jwk_template, json_t *keys, struct error *err)
{
	json_t *jwk = NULL;
	int rc = jose_jwk_generate(jwk_template, &jwk, err);

	if (rc == 0 && json_array_append_new(keys, jwk) < 0)
		rc = error_nomem(err);
	return rc;
}

static int run(struct call *call, struct error *err)
{
	JSON_AUTO json_t *templates = NULL;
	JSON_AUTO json_t *keys = json_array();
	const json_t *jwk_template;
	size_t i;
	int rc;

	if (!keys)
		return error_nomem(err);
	rc = call_keys(call, 'i', true, "At least one JWK template is required!", &templates, err);
	json_array_foreach(templates, i, jwk_template)
		rc = rc < 0 ? rc : generate(jwk_template, keys, err);
	if (rc == 0)
		rc = write_keys(call, keys, err);
	return rc;
}

static const struct option options[] = {{"input", required_argument, NULL, 'i'},
					{"output", required_argument, NULL, 'o'},
					{"set", no_argument, NULL, 's'},
					{0}};

const struct command jwk_gen_command = {
	.name = "jwk gen",
	.summary = "Makes a key for each template",
	.run = run,
	.options = options,
	.usage =
		"Usage: jose jwk gen -i JSON|FILE [-i ...] [-s] [-o FILE]\n\n"
		"Makes a key for each template, of \"alg\", or of \"kty\" and \"crv\" or \"bytes\".\n\n"
		"  -i, --input JSON|FILE  a template, or a JWKSet of some\n"
		"  -o, --output FILE      write the key to it, in place of standard output\n"
		"  -s, --set              write a JWKSet, also of one key\n",
	.examples = "  jose jwk gen -i '{\"alg\":\"ES512\"}' -o sign.jwk\n"
		    "  jose jwk gen -i '{\"alg\":\"ECMR\"}' -o exchange.jwk\n"
		    "  jose jwk gen -i '{\"kty\":\"oct\",\"bytes\":32}'\n",
	.failure_status = 1,
	.has_crypto = true,
};
