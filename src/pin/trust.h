/* SPDX-License-Identifier: Apache-2.0 */
/* The decision whether an advertisement's keys are trusted. Private to pin/. */
#pragma once

#include "pin/pin.h"

/*
 * Decides about a verified advertisement's `key_set`. `thp` is the pinned thumbprint (NULL: none); `given` says that the
 * configuration brought the advertisement, which counts as trusted unless a `thp` says more.
 * Returns 0 for trusted; -EACCES with the context's error filled.
 */
int pin_decide_trust(struct pin_context *context, const json_t *key_set, const char *thp,
		     bool given);
