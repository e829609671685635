/* SPDX-License-Identifier: Apache-2.0 */
/* The algorithms of JOSE (RFC 7518, RFC 8037): one table, which everything asks that has to know one from another. */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

/* In the order in which `jose alg -k ?` lists them. */
enum jose_kind {
	JOSE_KIND_HASH,
	JOSE_KIND_SIGN,
	JOSE_KIND_WRAP,
	JOSE_KIND_ENCR,
	JOSE_KIND_COMP,
	JOSE_KIND_EXCH,
	JOSE_KINDS,
};

/* How it is done. */
enum jose_family {
	JOSE_DIGEST,
	JOSE_HMAC,
	JOSE_RSA_PKCS1,
	JOSE_RSA_PSS,
	JOSE_ECDSA,
	JOSE_EDDSA,
	JOSE_DIRECT,
	JOSE_AES_KW,
	JOSE_GCM_KW,
	JOSE_ECDH_ES,
	JOSE_RSA_1_5,
	JOSE_RSA_OAEP,
	JOSE_PBES2,
	JOSE_GCM,
	JOSE_CBC_HMAC,
	JOSE_DEFLATE,
	JOSE_ECDH,
	JOSE_ECMR,
};

struct jose_alg {
	const char *name;
	enum jose_kind kind;
	enum jose_family family;
	const char *kty; /* of its keys; NULL: it has none of its own */
	const char *crv; /* of the key that is made for it */
	/*
	 * Bytes. HMAC: the least a key may have, and what is made. encr: the content key. AES_KW, GCM_KW, ECDH_ES, PBES2: the
	 * key that wraps (0: none, ECDH-ES alone).
	 */
	size_t key_size;
	const char *hash; /* OpenSSL's name of the one that it uses */
	const char *enc;  /* wrap: the content encryption where nobody names one */
};

/* The algorithm at that place of the table, which is sorted without regard to case; NULL behind the last. */
const struct jose_alg *jose_alg(size_t index);

/* The algorithm of that name (case counts), if it is of that kind; JOSE_KINDS: of any. `name` may be NULL. */
const struct jose_alg *jose_alg_named(const char *name, enum jose_kind kind);

/* "sign" for JOSE_KIND_SIGN; NULL where the number is none. */
const char *jose_kind_name(int kind);

/* The two names of `key_ops` that a key made for an algorithm of that kind gets; NULL where there is none. */
const char *const *jose_kind_operations(enum jose_kind kind);

/*
 * What a key would sign with: its own `alg`, else by type, curve and size (contract of José). NULL: it does not sign.
 * The key's members need not be valid: who uses it finds out.
 */
const struct jose_alg *jose_alg_to_sign(const json_t *jwk);

/* What would wrap a content key to this key: its own `alg` (a content encryption's means `dir`), else by type and size. */
const struct jose_alg *jose_alg_to_wrap(const json_t *jwk);

/* The content encryption that goes with a key and the algorithm that wraps to it, where nobody names one. Never NULL. */
const struct jose_alg *jose_alg_to_encrypt(const struct jose_alg *wrap, const json_t *jwk);

/* Says whether the type and the curve of the key are such as the algorithm takes. Sizes are checked where it is used. */
bool jose_alg_takes(const struct jose_alg *alg, const json_t *jwk);
