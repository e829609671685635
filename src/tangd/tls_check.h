/* SPDX-License-Identifier: Apache-2.0 */
/* Whether a certificate and a key are good enough to serve with: found out before anybody is served. */
#pragma once

#include "tangd/tls.h"

/*
 * Checks that both are PEM, the key without a passphrase, that it belongs to the certificate, and that the HTTP library takes
 * them. That is done by a child process: libraries leave traces of a key in memory, which every process forked later would have.
 * `certificate` and `key` name the files in messages. Returns 0; -EINVAL, -ENOTSUP when the HTTP library has no TLS, -errno, with
 * `err` filled.
 */
int tls_check(const struct tls *tls, const char *certificate, const char *key, struct error *err);
