/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The daemon: a supervisor, which starts and watches the other processes and holds neither a key nor a connection; fronts, which
 * read the network and know public data; generations of keys processes, which hold the private keys and nothing else.
 */
#pragma once

#include "base/error.h"
#include "tangd/privileges.h"
#include "tangd/tls.h"

struct supervisor_options {
	const char *folder;		     /* of the keys */
	const char *endpoint;		     /* "" for none */
	const struct privileges *privileges; /* what its children give up; NULL: nothing */
	const struct tls *tls;		     /* for connections by TCP; NULL: none */
	int fronts;			     /* how many; 0: one */
	int workers; /* keys processes of a generation; 0: one a processor */
};

/*
 * Serves `count` listening sockets, which it owns, until SIGTERM or SIGINT: then requests that were begun are finished. A folder that
 * changes takes effect by a new generation. Returns 0, or -errno with `err` filled.
 */
int supervisor_run(const struct supervisor_options *options, const int *fds, int count,
		   struct error *err);
