/* SPDX-License-Identifier: Apache-2.0 */
/* jose jwk use: says whether keys may be used for operations, or picks those that may. */
#include "base/json.h"
#include "cmd/jose/command.h"
#include "jose/jwk.h"

#include <string.h>

static const struct {
	const char *name;
	enum jose_operation operation;
} operations[] = {
	{"sign", JOSE_SIGN},
	{"verify", JOSE_VERIFY},
	{"encrypt", JOSE_ENCRYPT},
	{"decrypt", JOSE_DECRYPT},
	{"wrapKey", JOSE_WRAP_KEY},
	{"unwrapKey", JOSE_UNWRAP_KEY},
	{"deriveKey", JOSE_DERIVE_KEY},
	{"deriveBits", JOSE_DERIVE_BITS},
};

/* One that no standard names is granted by `key_ops` alone. */
static bool allows_other(const json_t *jwk, const char *name, bool stated)
{
	const json_t *granted;
	size_t i;

	json_array_foreach(json_object_get(jwk, "key_ops"), i, granted)
		if (json_is_string(granted) && strcmp(json_string_value(granted), name) == 0)
			return true;
	return jose_jwk_allows(jwk, 0, stated);
}

static bool allows(const json_t *jwk, const char *name, bool stated)
{
	for (size_t i = 0; i < sizeof(operations) / sizeof(*operations); i++)
		if (strcmp(operations[i].name, name) == 0)
			return jose_jwk_allows(jwk, operations[i].operation, stated);
	return allows_other(jwk, name, stated);
}

/* Any of the operations will do, with -a all must. */
static bool passes(const struct call *call, const json_t *jwk)
{
	bool all = call_has(call, 'a');
	bool stated = call_has(call, 'r');

	for (size_t i = 0; i < call->count; i++)
		if (call->given[i].letter == 'u' &&
		    allows(jwk, call->given[i].value, stated) != all)
			return !all;
	return all;
}

/* Takes those that do not pass out of the keys. Returns whether there are any left, and without -o: whether all are. */
static bool pick(const struct call *call, json_t *keys)
{
	size_t i = 0;

	while (i < json_array_size(keys)) {
		if (passes(call, json_array_get(keys, i)))
			i++;
		else if (!call_has(call, 'o') || json_array_remove(keys, i) < 0)
			return false;
	}
	return i > 0;
}

static int run(struct call *call, struct error *err)
{
	JSON_AUTO json_t *keys = NULL;
	int rc = call_keys(call, 'i', false, "No JWK specified!", &keys, err);

	if (rc < 0)
		return rc;
	if (!call_has(call, 'u'))
		return error_set(err, -EINVAL, "No uses specified!");
	if (!pick(call, keys))
		return 1;
	return call_has(call, 'o') ? write_keys(call, keys, err) : 0;
}

static const struct option options[] = {{"input", required_argument, NULL, 'i'},
					{"use", required_argument, NULL, 'u'},
					{"all", no_argument, NULL, 'a'},
					{"required", no_argument, NULL, 'r'},
					{"output", required_argument, NULL, 'o'},
					{"set", no_argument, NULL, 's'},
					{0}};

const struct command jwk_use_command = {
	.name = "jwk use",
	.summary = "Tells whether keys may be used for something",
	.run = run,
	.options = options,
	.usage =
		"Usage: jose jwk use -i FILE [-i ...] -u OPERATION [-u ...] [-a] [-r] [-o FILE [-s]]\n\n"
		"Exits 0 if \"use\" and \"key_ops\" of every key allow one of the operations: sign, verify,\n"
		"encrypt, decrypt, wrapKey, unwrapKey, deriveKey, deriveBits.\n\n"
		"  -i, --input FILE     a key, or a JWKSet\n"
		"  -u, --use OPERATION  one that is to be allowed\n"
		"  -a, --all            all of them must be allowed\n"
		"  -r, --required       a key that says nothing is allowed nothing\n"
		"  -o, --output FILE    write the keys that pass to it; exit 0 if there is one\n"
		"  -s, --set            write a JWKSet, also of one key\n",
	.examples = "  jose jwk use -i key.jwk -u sign\n"
		    "  jose jwk use -i keys.jwks -r -u deriveKey -o -\n",
	.failure_status = 1,
};
