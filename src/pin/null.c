/* SPDX-License-Identifier: Apache-2.0 */
/* The pin `null`: the key stands beside what it seals. It protects nothing, and is there for tests (contract of Clevis §2). */
#include "base/json.h"
#include "jose/jose.h"
#include "pin/pins.h"

#include <errno.h>

static int null_seal(struct pin_context *context, const json_t *config, const struct secret *plain,
		     json_t **jwe)
{
	JSON_AUTO json_t *jwk = NULL;
	JSON_AUTO json_t *header = NULL;
	bool fail = json_is_true(json_object_get(config, "fail"));
	int rc = pin_new_key(&jwk, context->err);

	if (rc < 0)
		return rc;
	header = json_pack("{s:{s:s, s:{s:O*}}}", "clevis", "pin", "null", "null", "jwk",
			   fail ? NULL : jwk);
	return header ? jose_jwe_encrypt(header, jwk, plain, jwe, context->err)
		      : error_nomem(context->err);
}

static int null_open(struct pin_context *context, const json_t *jwe, struct secret *plain)
{
	JSON_AUTO json_t *header = NULL;
	const json_t *node = NULL;
	const json_t *jwk;
	int rc = pin_read_node(jwe, "null", &header, &node, context->err);

	if (rc < 0)
		return rc;
	jwk = json_object_get(node, "jwk");
	if (!jwk)
		return error_set(context->err, -EBADMSG,
				 "null: the JWE holds no key: it was sealed to fail");
	rc = jose_jwe_decrypt(jwe, jwk, plain, context->err);
	if (rc < 0)
		error_prefix(context->err, "null: ");
	return rc == -EINVAL ? -EBADMSG : rc;
}

static int null_describe(const json_t *jwe, json_t **config, struct error *err)
{
	JSON_AUTO json_t *header = NULL;
	const json_t *node = NULL;
	int rc = pin_read_node(jwe, "null", &header, &node, err);

	if (rc < 0)
		return rc;
	*config = json_object_get(node, "jwk") ? json_object() : json_pack("{s:b}", "fail", 1);
	return *config ? 0 : error_nomem(err);
}

static unsigned null_needs(const json_t *jwe)
{
	(void)jwe;
	return 0;
}

static const char *const null_listed[] = {NULL};

const struct pin pin_null = {
	.name = "null",
	.listed = null_listed,
	.seal = null_seal,
	.open = null_open,
	.describe = null_describe,
	.needs = null_needs,
};
