/* SPDX-License-Identifier: Apache-2.0 */
/* The pins, each in the file of its name, and what they share. Private to pin/. */
#pragma once

#include "pin/pin.h"

extern const struct pin pin_tang;

/*
 * The node of a JWE's header that holds pin `name`'s own data: `clevis.NAME`, an object. Returns 0 with `*node` inside
 * `*header` (the caller's reference); -EBADMSG with `err` filled.
 */
int pin_read_node(const json_t *jwe, const char *name, json_t **header, const json_t **node,
		  struct error *err);
