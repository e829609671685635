/* SPDX-License-Identifier: Apache-2.0 */
/* jose jwk eql: says whether keys are the same, as far as their thumbprints go. */
#include "base/json.h"
#include "cmd/jose/command.h"
#include "jose/thumbprint.h"

#include <string.h>

static bool is_same(const json_t *a, const json_t *b)
{
	char one[JOSE_THUMBPRINT_MAX];
	char other[JOSE_THUMBPRINT_MAX];

	return jose_thumbprint(a, JOSE_S512, one, NULL) == 0 &&
	       jose_thumbprint(b, JOSE_S512, other, NULL) == 0 && strcmp(one, other) == 0;
}

static int run(struct call *call, struct error *err)
{
	static const char too_few[] = "Must specify at least two JWKs!";
	JSON_AUTO json_t *keys = NULL;
	int rc = call_keys(call, 'i', false, too_few, &keys, err);

	if (rc < 0)
		return rc;
	if (json_array_size(keys) < 2)
		return error_set(err, -EINVAL, "%s", too_few);
	for (size_t i = 1; i < json_array_size(keys); i++)
		if (!is_same(json_array_get(keys, 0), json_array_get(keys, i)))
			return 1;
	return 0;
}

static const struct option options[] = {{"input", required_argument, NULL, 'i'}, {0}};

const struct command jwk_eql_command = {
	.name = "jwk eql",
	.summary = "Tells whether keys are the same",
	.run = run,
	.options = options,
	.usage = "Usage: jose jwk eql -i FILE -i FILE [-i ...]\n\n"
		 "Exits 0 if all keys are the same: public and private part of one key are.\n\n"
		 "  -i, --input FILE  a key, or a JWKSet\n",
	.examples = "  jose jwk eql -i key.jwk -i public.jwk && echo the same\n",
	.failure_status = 1,
	.has_crypto = true,
};
