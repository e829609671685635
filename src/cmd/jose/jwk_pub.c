/* SPDX-License-Identifier: Apache-2.0 */
/* jose jwk pub: takes what is private out of keys. */
#include "base/json.h"
#include "cmd/jose/command.h"
#include "jose/jwk.h"

static int add_public(const json_t *jwk, json_t *keys, struct error *err)
{
	json_t *public_jwk = NULL;
	int rc = jose_jwk_public(jwk, &public_jwk, err);

	if (rc < 0)
		error_prefix(err, "Error removing private keys: ");
	else if (json_array_append_new(keys, public_jwk) < 0)
		rc = error_nomem(err);
	return rc;
}

static int run(struct call *call, struct error *err)
{
	JSON_AUTO json_t *keys = NULL;
	JSON_AUTO json_t *public_keys = json_array();
	const json_t *jwk;
	size_t i;
	int rc;

	if (!public_keys)
		return error_nomem(err);
	rc = call_keys(call, 'i', false, "MUST specify at least one JWK(Set)!", &keys, err);
	json_array_foreach(keys, i, jwk)
		rc = rc < 0 ? rc : add_public(jwk, public_keys, err);
	if (rc == 0)
		rc = write_keys(call, public_keys, err);
	return rc;
}

static const struct option options[] = {{"input", required_argument, NULL, 'i'},
					{"output", required_argument, NULL, 'o'},
					{"set", no_argument, NULL, 's'},
					{0}};

const struct command jwk_pub_command = {
	.name = "jwk pub",
	.summary = "Takes what is private out of keys",
	.run = run,
	.options = options,
	.usage =
		"Usage: jose jwk pub -i FILE [-i ...] [-s] [-o FILE]\n\n"
		"Writes the keys without their private members and the operations that need them.\n\n"
		"  -i, --input FILE   a key, or a JWKSet\n"
		"  -o, --output FILE  write the public key to it, in place of standard output\n"
		"  -s, --set          write a JWKSet, also of one key\n",
	.examples = "  jose jwk pub -i key.jwk -o public.jwk\n"
		    "  jose jwk gen -i '{\"alg\":\"ES256\"}' | jose jwk pub -i -\n",
	.failure_status = 1,
};
