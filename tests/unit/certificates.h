/* SPDX-License-Identifier: Apache-2.0 */
/* Certificates made for a test, and a TLS server that shows them. */
#pragma once

#include "server.h"

struct certificate {
	const char *name;	/* of the files: NAME.pem, NAME.key; and its common name */
	const char *issuer;	/* an earlier one's name; NULL: signs itself */
	const char *names;	/* `DNS:…,IP:…`; NULL for an authority */
	long from_s;		/* valid from so many seconds after now … */
	long until_s;		/* … to so many */
	const char *passphrase; /* of the key; NULL: in clear */
};

/* Makes a key on P-256 and a certificate for it, and writes both into the folder; NAME.both has them in one file. */
void certificate_make(const struct folder *folder, const struct certificate *wanted);

/* How the server shows itself, and what it says: shared with it. */
struct tls_server {
	char certificate[128]; /* files */
	char key[128];
	char ask[128];	   /* the authority whose clients it asks for; "" for none */
	bool may_be_none;  /* a client without a certificate is served all the same */
	int version;	   /* the highest; 0: any */
	const char *reply; /* to each request */
	bool stays;	   /* for the next request */
	bool cuts;	   /* closes without ending TLS */
	int handshakes;
	int requests;
	int shown;   /* how many clients had a certificate */
	size_t read; /* bytes of requests */
};

/* For server_start(), with a struct tls_server of unit_map(). */
void talk_tls(int fd, void *arg);
