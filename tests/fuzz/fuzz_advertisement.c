/* SPDX-License-Identifier: Apache-2.0 */
/* Advertisements, as any server may send them. What verifies has a signing key that can be named. */
#include "fuzz.h"

#include "base/json.h"
#include "tang/tang.h"

static void count(const char *thumbprint, void *arg)
{
	size_t *counted = arg;

	FUZZ_CHECK(*thumbprint);
	++*counted;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	JSON_AUTO json_t *jws = NULL;
	JSON_AUTO json_t *key_set = NULL;
	JSON_AUTO json_t *exchange_key = NULL;
	size_t named = 0;

	if (json_parse((const char *)data, size, "input", &jws, NULL) < 0 ||
	    tang_advertisement_verify(jws, &key_set, NULL) < 0)
		return 0;
	tang_each_signing_thumbprint(key_set, count, &named);
	FUZZ_CHECK(named > 0);
	(void)tang_find_exchange_key(key_set, NULL, &exchange_key, NULL, NULL);
	return 0;
}
