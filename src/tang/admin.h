/* SPDX-License-Identifier: Apache-2.0 */
/* Where a server tells how it is, when nothing else is said: for the server, and for whoever asks it. */
#pragma once

/* The socket's name in the server's runtime folder, and that folder as the service manager makes it. */
#define ADMIN_SOCKET "admin.sock"
#define ADMIN_FOLDER "/run/tangd"
