/* SPDX-License-Identifier: Apache-2.0 */
/* The algorithms that the library has, by name and kind: what `jose alg` lists and `jose jwk gen` knows. */
#pragma once

#include <stdbool.h>

/* Says whether there is an algorithm of that name (case counts). */
bool alg_is_known(const char *name);
