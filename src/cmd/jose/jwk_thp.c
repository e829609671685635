/* SPDX-License-Identifier: Apache-2.0 */
/* jose jwk thp: thumbprints of keys, and keys by their thumbprints. */
#include "base/json.h"
#include "cmd/jose/command.h"
#include "cmd/jose/output.h"
#include "jose/thumbprint.h"

#include <stdio.h>
#include <string.h>

static const char *const hashes[JOSE_HASHES] = {
	[JOSE_S1] = "S1",     [JOSE_S224] = "S224", [JOSE_S256] = "S256",
	[JOSE_S384] = "S384", [JOSE_S512] = "S512",
};

static bool find_hash(const char *name, enum jose_hash *hash)
{
	for (size_t i = 0; i < JOSE_HASHES; i++) {
		if (strcmp(hashes[i], name) == 0) {
			*hash = (enum jose_hash)i;
			return true;
		}
	}
	return false;
}

/* One thumbprint has no newline behind it but on a terminal, several have one each. Nothing is written unless every key has one. */
static int write_all(const char *path, const json_t *keys, enum jose_hash hash, struct error *err)
{
	size_t count = json_array_size(keys);
	SECRET_AUTO struct secret text = {0};
	const json_t *jwk;
	size_t size = 0;
	size_t i;
	int rc = secret_new(&text, count * (JOSE_THUMBPRINT_MAX + 1), err);

	json_array_foreach(keys, i, jwk) {
		char *thumbprint = (char *)text.data + size;

		if (rc == 0)
			rc = jose_thumbprint(jwk, hash, thumbprint, err);
		if (rc < 0)
			return rc;
		size += strlen(thumbprint);
		if (count > 1)
			text.data[size++] = '\n';
	}
	return output_bytes(path, text.data, size, count == 1, false, err);
}

static int find(const char *path, const json_t *keys, enum jose_hash hash, const char *wanted,
		struct error *err)
{
	json_t *jwk;
	size_t i;

	json_array_foreach(keys, i, jwk) {
		char thumbprint[JOSE_THUMBPRINT_MAX];

		if (jose_thumbprint(jwk, hash, thumbprint, NULL) == 0 &&
		    strcmp(thumbprint, wanted) == 0)
			return output_json(path, jwk, false, err);
	}
	return 1;
}

static int run(struct call *call, struct error *err)
{
	const char *path = call_value(call, 'o', "-");
	const char *wanted = call_value(call, 'f', NULL);
	const char *name = call_value(call, 'a', "S256");
	JSON_AUTO json_t *keys = NULL;
	enum jose_hash hash = JOSE_S256;
	int rc;

	if (strcmp(name, "?") == 0) {
		for (size_t i = 0; i < JOSE_HASHES; i++)
			(void)puts(hashes[i]);
		return 0;
	}
	if (!find_hash(name, &hash))
		return call_invalid(call, 'a');
	rc = call_keys(call, 'i', false, "Must specify JWK(Set)!", &keys, err);
	if (rc < 0)
		return rc;
	rc = wanted ? find(path, keys, hash, wanted, err) : write_all(path, keys, hash, err);
	return rc;
}

static const struct option options[] = {{"input", required_argument, NULL, 'i'},
					{"algorithm", required_argument, NULL, 'a'},
					{"output", required_argument, NULL, 'o'},
					{"find", required_argument, NULL, 'f'},
					{0}};

const struct command jwk_thp_command = {
	.name = "jwk thp",
	.summary = "Calculates thumbprints, or finds a key by one",
	.run = run,
	.options = options,
	.usage = "Usage: jose jwk thp -i FILE [-i ...] [-a HASH] [-f THUMBPRINT] [-o FILE]\n\n"
		 "Writes the thumbprint of a key (RFC 7638); those of several keys, one a line.\n\n"
		 "  -i, --input FILE       a key, or a JWKSet\n"
		 "  -a, --algorithm HASH   S1, S224, S256 (the default), S384 or S512\n"
		 "  -a, --algorithm ?      list the hashes\n"
		 "  -f, --find THUMBPRINT  write the key that has it; exit 1 if none has\n"
		 "  -o, --output FILE      write to it, in place of standard output\n",
	.examples = "  jose jwk thp -i key.jwk\n"
		    "  jose jwk thp -i keys.jwks -f RLkBoDTjbYZaptGmRhkPH43Gnr95_HrzyP4KUe0Kusk\n",
	.failure_status = 1,
	.has_crypto = true,
};
