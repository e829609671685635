/* SPDX-License-Identifier: Apache-2.0 */
/* JWKs: checked, named, stripped; a public part has no private member and the same thumbprint. As templates too. */
#include "fuzz.h"

#include "base/json.h"
#include "jose/jose.h"

#include <string.h>

static bool is_of_type(const json_t *jwk, const char *type)
{
	const char *kty = json_string_value(json_object_get(jwk, "kty"));

	return kty && strcmp(kty, type) == 0;
}

static void check_public(const json_t *jwk)
{
	static const char *const private_members[] = {"d", "p", "q", "dp", "dq", "qi", "oth"};
	JSON_AUTO json_t *public_jwk = NULL;
	char own[JOSE_THUMBPRINT_MAX];
	char of_public[JOSE_THUMBPRINT_MAX];

	if (jose_jwk_public(jwk, &public_jwk, NULL) < 0 || is_of_type(jwk, "oct"))
		return;
	FUZZ_CHECK(!json_object_get(public_jwk, "d"));
	for (size_t i = 0; is_of_type(jwk, "RSA") && i < 7; i++)
		FUZZ_CHECK(!json_object_get(public_jwk, private_members[i]));
	if (jose_jwk_check(jwk, NULL) < 0)
		return;
	FUZZ_CHECK(jose_jwk_check(public_jwk, NULL) == 0);
	FUZZ_CHECK(jose_thumbprint(jwk, JOSE_S256, own, NULL) == 0);
	FUZZ_CHECK(jose_thumbprint(public_jwk, JOSE_S256, of_public, NULL) == 0);
	FUZZ_CHECK(strcmp(own, of_public) == 0);
}

/* RSA keys take too long to make. */
static void generate(const json_t *jwk_template)
{
	const struct jose_alg *alg = jose_alg_named(
		json_string_value(json_object_get(jwk_template, "alg")), JOSE_KINDS);
	JSON_AUTO json_t *jwk = NULL;

	if (is_of_type(jwk_template, "RSA") || (alg && alg->kty && strcmp(alg->kty, "RSA") == 0))
		return;
	if (jose_jwk_generate(jwk_template, &jwk, NULL) == 0)
		FUZZ_CHECK(jose_jwk_check(jwk, NULL) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	JSON_AUTO json_t *jwk = NULL;
	SECRET_AUTO struct secret scalar = {0};
	const struct jose_alg *wrap;

	if (json_parse((const char *)data, size, "input", &jwk, NULL) < 0)
		return 0;
	check_public(jwk);
	generate(jwk);
	(void)jose_scalar_from_jwk(jwk, jose_curve(JOSE_P521), &scalar, NULL);
	(void)jose_jwk_allows(jwk, JOSE_DERIVE_KEY, true);
	(void)jose_alg_to_sign(jwk);
	wrap = jose_alg_to_wrap(jwk);
	if (wrap)
		FUZZ_CHECK(jose_alg_to_encrypt(wrap, jwk)->kind == JOSE_KIND_ENCR);
	return 0;
}
