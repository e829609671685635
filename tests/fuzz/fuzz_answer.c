/* SPDX-License-Identifier: Apache-2.0 */
/* A server's answer to a recovery: whatever comes, what is taken is a point on the curve that was asked for. */
#include "fuzz.h"

#include "tang/tang.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	for (int curve = JOSE_P256; curve < JOSE_CURVES; curve++) {
		struct jose_point point = {0};

		if (tang_read_answer((const char *)data, size, (enum jose_curve_id)curve, &point,
				     NULL) < 0)
			continue;
		FUZZ_CHECK((int)point.curve == curve);
		FUZZ_CHECK(jose_point_check(&point, NULL) == 0);
	}
	return 0;
}
