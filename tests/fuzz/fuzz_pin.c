/* SPDX-License-Identifier: Apache-2.0 */
/* The headers of each pin's JWEs, as whoever can write a token could change them: described, listed, compared, walked, never opened. */
#include "fuzz.h"

#include "base/file.h"
#include "base/json.h"
#include "jose/jose.h"
#include "pin/pin.h"

#include <string.h>

static int visit(const struct pin *pin, const json_t *jwe, void *arg, struct error *err)
{
	(void)pin;
	(void)jwe;
	(void)err;
	++*(size_t *)arg;
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	JSON_AUTO json_t *jwe = json_pack("{s:o, s:s, s:s, s:s}", "protected",
					  jose_b64_json(data, size), "iv", "AAAAAAAAAAAAAAAA",
					  "ciphertext", "AA", "tag", "AAAAAAAAAAAAAAAAAAAAAA");
	JSON_AUTO json_t *config = NULL;
	JSON_AUTO json_t *listed = NULL;
	JSON_AUTO json_t *details = NULL;
	JSON_AUTO json_t *names = NULL;
	struct error err = {0};
	size_t visited = 0;
	int rc = pin_walk(jwe, visit, &visited, &err);

	FUZZ_CHECK((rc < 0) == (err.code < 0));
	FUZZ_CHECK(rc < 0 || visited > 0);
	(void)pin_needs(jwe);
	FUZZ_CHECK((pin_describe(jwe, &config, NULL) == 0) == (config != NULL));
	FUZZ_CHECK((pin_list_config(jwe, &listed, NULL) == 0) == (listed != NULL));
	FUZZ_CHECK((pin_details(jwe, &details, NULL) == 0) == (details != NULL));
	FUZZ_CHECK((pin_names(jwe, &names, NULL) == 0) == (rc == 0));
	for (const struct pin *const *pin = pin_all(); listed && *pin; pin++)
		(void)pin_agrees(jwe, (*pin)->name, listed);
	return 0;
}
