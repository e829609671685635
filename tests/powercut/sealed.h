/* SPDX-License-Identifier: Apache-2.0 */
/* The passphrases that JWEs hold, each asked for once: a state then costs no request to a server. */
#pragma once

#include "base/secret.h"

#include <jansson.h>

/* The passphrase of a JWE, valid for the process's life; NULL when it cannot be recovered. */
const struct secret *sealed_passphrase(const json_t *jwe);
