/* SPDX-License-Identifier: Apache-2.0 */
/* Plain bytes on one side, TLS on the other. Private to clevis-tls. */
#pragma once

#include "cmd/clevis-tls/link.h"

/*
 * Passes bytes on in both directions between the descriptor (not blocking) and the link, until the server has ended or the client
 * is gone. Returns 0; with `err` filled the codes of tls_explain().
 */
int tls_relay(struct tls_link *link, int client, struct error *err);
