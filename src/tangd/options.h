/* SPDX-License-Identifier: Apache-2.0 */
/* The arguments of tangd. */
#pragma once

#include "tangd/listen.h"

#include <stdbool.h>

struct options {
	bool listen;
	const char *address[LISTEN_SOCKETS_MAX];
	int addresses; /* how many; 0: all of IPv4 and IPv6 */
	const char *port;
	char *endpoint;	  /* owned; NULL: none */
	char *state;	  /* folder of what is to outlive the server, owned; NULL: none */
	char *admin;	  /* where the admin process listens, owned; NULL: nowhere */
	int fronts;	  /* 0: as many as the server thinks right */
	int workers;	  /* 0: the same */
	const char *user; /* NULL: not said */
	const char *tls_certificate; /* files; both or neither */
	const char *tls_key;
	const char *folder;
};

/*
 * Reads them; the strings stay the arguments'. Returns 0 with `options`, to be freed by options_free() whatever is returned; 1 when an
 * answer was printed and nothing is left to do; a negative code after a message and the usage on standard error.
 */
int options_read(int argc, char *argv[], struct options *options);

void options_free(struct options *options);
