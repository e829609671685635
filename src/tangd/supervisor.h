/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The daemon: a supervisor, which starts and watches the other processes and holds neither a key nor a connection; fronts, which
 * read the network and know public data; generations of keys processes, which hold the private keys and nothing else; and an admin
 * process, which tells how all of them are.
 */
#pragma once

#include "base/error.h"
#include "tangd/privileges.h"
#include "tangd/tls.h"

struct supervisor_options {
	const char *folder;   /* of the keys */
	const char *endpoint; /* "" for none */
	const char *state;    /* folder of what is to outlive the server; NULL: none */
	const int *admin;     /* listening sockets of the admin process; owned */
	int admins;	      /* how many; 0: there is no such process */
	const struct privileges *privileges; /* what its children give up; NULL: nothing */
	const struct tls *tls;		     /* for connections by TCP; NULL: none */
	int fronts;			     /* how many; 0: one */
	int workers; /* keys processes of a generation; 0: one a processor */
};

/*
 * Serves `count` listening sockets, which it owns, until SIGTERM or SIGINT: then requests that were begun are finished. A folder that
 * changes takes effect by a new generation. Returns 0; -ENOKEY when the folder has lost the keys that were served before the start, and
 * -errno, with `err` filled.
 */
int supervisor_run(const struct supervisor_options *options, const int *fds, int count,
		   struct error *err);
