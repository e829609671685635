/* SPDX-License-Identifier: Apache-2.0 */
/* What passes between the part that reads the network (front) and the part that holds private keys (keys): of fixed size. */
#pragma once

#include "jose/ec.h"

#include <stdint.h>

enum { MESSAGE_VERSION = 1 };

/* front → keys: multiply the point `x` by the private key number `key` of the public list that front was handed. */
struct key_request {
	uint32_t version; /* MESSAGE_VERSION */
	uint32_t key;
	struct jose_point x;
};

/* keys → front. `y` counts only when `status` is 0. */
struct key_reply {
	uint32_t version; /* MESSAGE_VERSION */
	int32_t status; /* 0; -EINVAL: not a point on the key's curve; -ENOENT: no such exchange key; -EIO */
	struct jose_point y;
};
