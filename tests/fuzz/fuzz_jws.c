/* SPDX-License-Identifier: Apache-2.0 */
/* JWSs in JSON, verified by keys of every kind; a signature added to one verifies. And templates of signatures. */
#include "fuzz.h"

#include "base/json.h"
#include "jose/jose.h"

#include <string.h>

/* Those of RFC 7515 A.1, A.2 and A.3, and of RFC 8037 A.1, for which the corpus has JWSs. */
static const char key_set[] =
	"[{\"kty\":\"oct\",\"k\":\"AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUu"
	"TwjAzZr1Z9CAow\"},"
	"{\"kty\":\"RSA\",\"e\":\"AQAB\",\"n\":\"ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHm"
	"fHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yRT-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7"
	"OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5Zw"
	"Kh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ\"},"
	"{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU\","
	"\"y\":\"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0\"},"
	"{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"x\":\"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo\"}]";

enum { KEYS = 4 };

static const json_t *const *test_keys(void)
{
	static const json_t *keys[KEYS];
	static json_t *set;

	if (keys[0])
		return keys;
	FUZZ_CHECK(json_parse(key_set, strlen(key_set), "keys", &set, NULL) == 0);
	for (size_t i = 0; i < KEYS; i++)
		keys[i] = json_array_get(set, i);
	return keys;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const json_t *const *keys = test_keys();
	JSON_AUTO json_t *input = NULL;
	JSON_AUTO json_t *made = json_pack("{s:s}", "payload", "aGVsbG8");

	if (json_parse((const char *)data, size, "input", &input, NULL) < 0)
		return 0;
	(void)jose_jws_verify_keys(input, keys, KEYS, true, NULL);
	if (jose_jws_sign_as(made, input, keys[0], NULL) == 0 &&
	    !json_object_get(json_object_get(input, "protected"), "crit"))
		(void)jose_jws_verify(made, keys[0], NULL);
	if (json_is_object(input) && jose_jws_sign(input, NULL, keys[0], NULL) == 0)
		FUZZ_CHECK(json_object_get(input, "signature") ||
			   json_object_get(input, "signatures"));
	return 0;
}
