/* SPDX-License-Identifier: Apache-2.0 */
/* Backups of keys, as they come back from wherever they were kept. */
#include "fuzz.h"

#include "base/json.h"
#include "cmd/tangctl/archive.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	JSON_AUTO json_t *archive = NULL;

	if (json_parse((const char *)data, size, "backup", &archive, NULL) < 0 ||
	    archive_check(archive, NULL) < 0)
		return 0;
	FUZZ_CHECK(archive_count(archive) > 0);
	for (size_t i = 0; i < archive_count(archive); i++) {
		const char *name = archive_name(archive, i);

		FUZZ_CHECK(strlen(name) > 4 && strlen(name) < 256 && !strchr(name, '/'));
		FUZZ_CHECK(json_is_object(archive_jwk(archive, i)));
	}
	return 0;
}
