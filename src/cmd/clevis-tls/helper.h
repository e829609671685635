/* SPDX-License-Identifier: Apache-2.0 */
/* The helper of https: see net/tls.h, which starts it. */
#pragma once

/*
 * clevis-tls [--cacert FILE] [--cert FILE] [--key FILE] HOST PORT MILLISECONDS, with the descriptors NET_TLS_SOCKET and NET_TLS_REPORT open:
 * connects, verifies, reports, and passes bytes on. Returns the exit status.
 */
int tls_helper_main(int argc, char *argv[]);
