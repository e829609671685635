/* SPDX-License-Identifier: Apache-2.0 */
/* A connection with TLS on it: who the other side must be, and why it failed in words for a person. Private to clevis-tls. */
#pragma once

#include "base/deadline.h"
#include "base/error.h"
#include "net/net.h"
#include "net/stream.h"
#include "net/url.h"

#include <openssl/ssl.h>
#include <stdbool.h>

struct tls_link {
	struct net_connection connection;
	SSL_CTX *context;
	SSL *ssl;
	bool asked;    /* the server wants to see a certificate of ours */
	bool shown;    /* we have one */
	bool open;     /* the handshake is done */
	bool received; /* bytes for the client came */
};

#define TLS_LINK_NONE ((struct tls_link){.connection = NET_CONNECTION_NONE})

/*
 * Reads the certificates and the key: `tls->cacert` in place of the system's authorities, `tls->cert` and `tls->key` to show when asked.
 * Nobody is asked for a passphrase. Returns 0; -EINVAL, -ENOENT, -EACCES, … with `err` filled, which names the file.
 */
int tls_prepare(struct tls_link *link, const struct net_tls *tls, struct error *err);

/*
 * Does the handshake over link->connection by the deadline: TLS 1.2 at least, and the other side must prove to be `host`, a name or
 * an address (RFC 6125; no wildcard for a part of a label).
 * Returns 0; -EKEYREJECTED with `err` filled when it does not, or does not accept us; -ETIMEDOUT, -ECONNRESET, -EBADMSG.
 */
int tls_handshake(struct tls_link *link, const char *host, struct deadline deadline,
		  struct error *err);

/* Records why a call of OpenSSL on the link failed, with SSL_get_error()'s verdict. Returns the code as tls_handshake(). */
int tls_explain(const struct tls_link *link, int verdict, struct error *err);

/* Closes and frees all. */
void tls_close(struct tls_link *link);
