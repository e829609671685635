/* SPDX-License-Identifier: Apache-2.0 */
/* JWEs: compact ones parsed, written again, and opened by a key they are not for; JSON ones opened by keys of every kind. */
#include "fuzz.h"

#include "base/file.h"
#include "base/json.h"
#include "jose/jose.h"

#include <string.h>

/* Those of RFC 7520 §5.6 and §5.9, RFC 8037 A.6 and RFC 7520 §5.5, for which the corpus has JWEs. */
static const char key_set[] =
	"[{\"kty\":\"oct\",\"k\":\"XctOhJAkA-pD9Lh7ZgW_2A\"},"
	"{\"kty\":\"oct\",\"k\":\"GZy6sIZ6wl9NJOKB-jnmVQ\"},"
	"{\"kty\":\"OKP\",\"crv\":\"X25519\",\"x\":\"3p7bfXt9wbTTW2HC7OQ1Nz-DQ8hbeGdNrfx-FG-IK08\","
	"\"d\":\"XasIfmJKikt54X-Lg4AO5m87sSkmGLb9HC-LJ_-I4Os\"},"
	"{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"Ze2loSV3wrroKUN_4zhwGhCqo3Xhu1td4QjeQ5wIVR0\","
	"\"y\":\"HlLtdXARY_f55A3fnzQbPcm6hgr34Mp8p-nuzQCE0Zw\","
	"\"d\":\"r_kHyZ-a06rmxM3yESK84r1otSg-aQcVStkRhA-iCM8\"}]";

enum { KEYS = 5 };

static const struct jose_recipient *test_keys(void)
{
	static struct jose_recipient keys[KEYS];
	static struct secret password;
	static json_t *set;

	if (keys[0].jwk)
		return keys;
	FUZZ_CHECK(json_parse(key_set, strlen(key_set), "keys", &set, NULL) == 0);
	FUZZ_CHECK(secret_copy(&password, "password", 8, NULL) == 0);
	for (size_t i = 0; i + 1 < KEYS; i++)
		keys[i].jwk = json_array_get(set, i);
	keys[KEYS - 1].password = &password;
	return keys;
}

static void open_json(const char *data, size_t size)
{
	static const struct jose_jwe_limits limits = {1000, 2000, 65536};
	SECRET_AUTO struct secret plain = {0};
	JSON_AUTO json_t *jwe = NULL;
	int rc;

	if (json_parse(data, size, "input", &jwe, NULL) < 0)
		return;
	rc = jose_jwe_open(jwe, test_keys(), KEYS, &limits, &plain, NULL);
	FUZZ_CHECK((rc == 0) == (plain.data != NULL));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	SECRET_AUTO struct secret plain = {0};
	JSON_AUTO json_t *jwe = NULL;
	FREE_AUTO char *text = NULL;

	open_json((const char *)data, size);
	if (jose_jwe_parse_compact((const char *)data, size, &jwe, NULL) < 0)
		return 0;
	FUZZ_CHECK(jose_jwe_format_compact(jwe, &text, NULL) == 0);
	FUZZ_CHECK(strlen(text) == size && memcmp(text, data, size) == 0);
	(void)jose_jwe_decrypt(jwe, test_keys()->jwk, &plain, NULL);
	return 0;
}
