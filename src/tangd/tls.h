/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The server's certificate and its key for TLS: read once, by the first process, and handed to each front when it starts. What a
 * parent has in secrets its children find empty, so that no keys process ever holds this key; the supervisor keeps it, to start a
 * front again, also when the file is out of its reach.
 */
#pragma once

#include "base/error.h"
#include "base/secret.h"

#include <stdbool.h>
#include <sys/types.h>

/* Most of a file, bytes. */
enum { TLS_FILE_MAX = 32 * 1024 };

/* Zero-initialise it. */
struct tls {
	struct secret
		certificate; /* PEM text with a NUL behind: the server's own, and those above it */
	struct secret key;   /* the same */
	mode_t key_mode;     /* permissions of the key's file */
};

/*
 * Reads both files, PEM; whether they are any good says tls_check(). Returns 0 with `tls`, to be freed by tls_free(); -EFBIG,
 * -errno, with `err` filled.
 */
int tls_read(const char *certificate, const char *key, struct tls *tls, struct error *err);

/* Wipes and frees. */
void tls_free(struct tls *tls);

/* Sends it through a packet socket, to tls_receive() in a child. What is sent waits in the socket. Returns 0, or -errno. */
int tls_send(const struct tls *tls, int fd);

/* In a child: takes what was sent before it was forked. Returns 0 with `tls`; -EBADMSG, -errno, -ENOMEM, with `err` filled. */
int tls_receive(int fd, struct tls *tls, struct error *err);
