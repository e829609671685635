/* SPDX-License-Identifier: Apache-2.0 */
/* JWEs, compact: parsed, written again, and opened by a key they are not for. */
#include "fuzz.h"

#include "base/file.h"
#include "base/json.h"
#include "jose/jose.h"

#include <string.h>

static const json_t *test_key(void)
{
	static json_t *key;

	if (!key)
		key = json_pack("{s:s, s:s}", "kty", "oct", "k",
				"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA");
	return key;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	SECRET_AUTO struct secret plain = {0};
	JSON_AUTO json_t *jwe = NULL;
	FREE_AUTO char *text = NULL;

	if (jose_jwe_parse_compact((const char *)data, size, &jwe, NULL) < 0)
		return 0;
	FUZZ_CHECK(jose_jwe_format_compact(jwe, &text, NULL) == 0);
	FUZZ_CHECK(strlen(text) == size && memcmp(text, data, size) == 0);
	(void)jose_jwe_decrypt(jwe, test_key(), &plain, NULL);
	return 0;
}
