/* SPDX-License-Identifier: Apache-2.0 */
/* Configurations of pins, as people and scripts write them. */
#include "fuzz.h"

#include "base/json.h"
#include "pin/pins.h"
#include "pin/tang_config.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	JSON_AUTO json_t *json = NULL;
	struct tang_config tang = {0};
	const char *name = NULL;
	size_t threshold = 0;
	size_t total = 0;

	if (json_parse((const char *)data, size, "configuration", &json, NULL) < 0)
		return 0;
	if (tang_read_config(json, &tang, NULL) == 0)
		FUZZ_CHECK(tang.url && (!tang.tls.key || tang.tls.cert));
	if (sss_read_config(json, &threshold, &total, NULL) == 0)
		FUZZ_CHECK(threshold >= 1 && threshold <= total && total <= 255);
	if (file_read_config(json, &name, NULL) == 0)
		FUZZ_CHECK(*name);
	return 0;
}
