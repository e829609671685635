/* SPDX-License-Identifier: Apache-2.0 */
/* HTTP replies: fed whole and byte by byte they give the same; no bound is passed. */
#include "fuzz.h"

#include "net/date.h"
#include "net/reply.h"

#include <string.h>

enum { BODY_MAX = 1000 };

static int feed(struct reply *reply, const uint8_t *data, size_t size, size_t piece)
{
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < size; i += piece)
		rc = reply_feed(reply, (const char *)data + i, piece < size - i ? piece : size - i,
				NULL);
	return rc == 0 ? reply_end(reply, NULL) : rc;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct reply whole = {.body_max = BODY_MAX};
	struct reply pieces = {.body_max = BODY_MAX};
	int rc = feed(&whole, data, size, size ? size : 1);

	FUZZ_CHECK(feed(&pieces, data, size, 1) == rc);
	FUZZ_CHECK(whole.body_size <= BODY_MAX);
	if (rc == 0) {
		FUZZ_CHECK(whole.status >= 200 || whole.status < 100);
		FUZZ_CHECK(whole.status == pieces.status && whole.body_size == pieces.body_size);
		FUZZ_CHECK(whole.body_size == 0 ||
			   memcmp(whole.body, pieces.body, whole.body_size) == 0);
		FUZZ_CHECK(reply_allows_another(&whole) == reply_allows_another(&pieces));
		FUZZ_CHECK(whole.retry_after_s <= RETRY_AFTER_MAX_S);
		FUZZ_CHECK(!whole.location == !pieces.location &&
			   (!whole.location || strcmp(whole.location, pieces.location) == 0));
	}
	reply_free(&whole);
	reply_free(&pieces);
	return 0;
}
