/* SPDX-License-Identifier: Apache-2.0 */
/* Base64url: what decodes encodes to the same text, so there is one spelling of each value. */
#include "fuzz.h"

#include "jose/b64.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	size_t decoded = JOSE_B64_SIZE(size);
	unsigned char *bytes = malloc(decoded + 1);
	char *text = malloc(size + 4);

	if (bytes && text && jose_b64_decode((const char *)data, size, bytes) == 0) {
		FUZZ_CHECK(JOSE_B64_LENGTH(decoded) == size);
		jose_b64_encode(bytes, decoded, text);
		FUZZ_CHECK(memcmp(text, data, size) == 0);
	}
	free(bytes);
	free(text);
	return 0;
}
