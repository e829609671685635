/* SPDX-License-Identifier: Apache-2.0 */
/* PBES2 (RFC 7518 §4.8): a key of a password. */
#include "jose/wrap.h"

#include "jose/b64.h"

#include <errno.h>
#include <limits.h>
#include <string.h>

#include <openssl/evp.h>
#include <openssl/rand.h>

enum { SALT_MADE = 16, SALT_MAX = 1024 };

/* The salt of PBKDF2: the algorithm's name, a zero, and p2s (§4.8.1.1). */
static int make_salt(const struct jose_alg *alg, const json_t *header, struct secret *salt,
		     struct error *err)
{
	SECRET_AUTO struct secret p2s = {0};
	size_t name = strlen(alg->name) + 1;
	int rc;

	if (jose_b64_member(header, "p2s", &p2s, err) < 0)
		return -EBADMSG;
	if (p2s.size < JOSE_P2S_MIN || p2s.size > SALT_MAX)
		return error_set(err, -EBADMSG, "'p2s' has %zu bytes: must be %d to %d", p2s.size,
				 JOSE_P2S_MIN, SALT_MAX);
	rc = secret_new(salt, name + p2s.size, err);
	if (rc < 0)
		return rc;
	memcpy(salt->data, alg->name, name);
	memcpy(salt->data + name, p2s.data, p2s.size);
	return 0;
}

int jose_pbes2_derive(const struct jose_alg *alg, const struct secret *password,
		      const json_t *header, struct secret *key, struct error *err)
{
	json_int_t p2c = json_integer_value(json_object_get(header, "p2c"));
	SECRET_AUTO struct secret salt = {0};
	SECRET_AUTO struct secret made = {0};
	EVP_MD *md;
	int derived;
	int rc = make_salt(alg, header, &salt, err);

	if (rc == 0 && (p2c < 1 || p2c > INT_MAX || password->size > INT_MAX))
		rc = error_set(err, -EBADMSG, "'p2c' is missing or not a number of iterations");
	if (rc == 0)
		rc = secret_new(&made, alg->key_size, err);
	if (rc < 0)
		return rc;
	md = EVP_MD_fetch(NULL, alg->hash, NULL);
	derived = md ? PKCS5_PBKDF2_HMAC((const char *)password->data, (int)password->size,
					 salt.data, (int)salt.size, (int)p2c, md, (int)made.size,
					 made.data)
		     : 0;
	EVP_MD_free(md);
	if (derived != 1)
		return error_set(err, -EIO, "key derivation failed");
	secret_move(key, &made);
	return 0;
}

int jose_pbes2_complete(const json_t *header, json_t *params, struct error *err)
{
	const json_t *p2c = json_object_get(header, "p2c");
	json_int_t wanted = p2c ? json_integer_value(p2c) : JOSE_P2C_MAX;
	unsigned char salt[SALT_MADE];

	if (wanted < JOSE_P2C_MIN || wanted > JOSE_P2C_MAX)
		return error_set(err, -EINVAL, "'p2c' must be %d to %d", JOSE_P2C_MIN,
				 JOSE_P2C_MAX);
	if (!p2c && json_object_set_new(params, "p2c", json_integer(wanted)) < 0)
		return error_nomem(err);
	if (json_object_get(header, "p2s"))
		return 0;
	if (RAND_bytes(salt, sizeof(salt)) != 1)
		return error_set(err, -EIO, "no random numbers to be had");
	return json_object_set_new(params, "p2s", jose_b64_json(salt, sizeof(salt))) < 0
		       ? error_nomem(err)
		       : 0;
}
