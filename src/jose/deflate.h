/* SPDX-License-Identifier: Apache-2.0 */
/* Compression of content, raw deflate (RFC 1951, RFC 7516 §4.1.3). Private to jose/. */
#pragma once

#include "base/error.h"
#include "base/secret.h"

/* Compresses. Returns 0; -EFBIG with `err` filled when more than `most` bytes come out, -ENOMEM. */
int jose_deflate(const struct secret *plain, size_t most, struct secret *compressed,
		 struct error *err);

/*
 * Decompresses one whole stream, with nothing behind it. Returns 0; -EFBIG with `err` filled when more than `most` bytes would
 * come out; -EBADMSG for what is no such stream, or is cut; -ENOMEM.
 */
int jose_inflate(const struct secret *compressed, size_t most, struct secret *plain,
		 struct error *err);
