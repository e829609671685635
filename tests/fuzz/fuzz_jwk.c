/* SPDX-License-Identifier: Apache-2.0 */
/* JWKs: point, scalar, thumbprints, public part; a public part has no private member and the same thumbprint. */
#include "fuzz.h"

#include "base/json.h"
#include "jose/jose.h"

#include <string.h>

static void check_public(const json_t *jwk)
{
	JSON_AUTO json_t *public_jwk = NULL;
	char own[JOSE_THUMBPRINT_MAX];
	char of_public[JOSE_THUMBPRINT_MAX];
	struct jose_point point;

	if (jose_jwk_public(jwk, &public_jwk, NULL) < 0)
		return;
	if (jose_point_from_jwk(jwk, &point, NULL) < 0)
		return;
	FUZZ_CHECK(!json_object_get(public_jwk, "d"));
	FUZZ_CHECK(jose_thumbprint(jwk, JOSE_S256, own, NULL) == 0);
	FUZZ_CHECK(jose_thumbprint(public_jwk, JOSE_S256, of_public, NULL) == 0);
	FUZZ_CHECK(strcmp(own, of_public) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	JSON_AUTO json_t *jwk = NULL;
	SECRET_AUTO struct secret scalar = {0};

	if (json_parse((const char *)data, size, "input", &jwk, NULL) < 0)
		return 0;
	check_public(jwk);
	(void)jose_scalar_from_jwk(jwk, jose_curve(JOSE_P521), &scalar, NULL);
	(void)jose_jwk_allows(jwk, JOSE_DERIVE_KEY, true);
	return 0;
}
