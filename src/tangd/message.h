/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What passes between the part that reads the network (front) and the part that holds private keys (keys): of fixed size, each a packet of
 * a SOCK_SEQPACKET socket.
 */
#pragma once

#include "jose/ec.h"

#include <stdint.h>

enum { MESSAGE_VERSION = 2 };

/* front → keys: multiply the point `x` by the private key number `key` of the public list that front was handed. */
struct key_request {
	uint32_t version; /* MESSAGE_VERSION */
	uint32_t key;
	uint64_t id; /* front's own, handed back */
	struct jose_point x;
};

/* keys → front. `y` counts only when `status` is 0. */
struct key_reply {
	uint32_t version; /* MESSAGE_VERSION */
	int32_t status; /* 0; -EINVAL: not a point on the key's curve; -ENOENT: no such exchange key; -EIO */
	uint64_t id;
	struct jose_point y;
};
