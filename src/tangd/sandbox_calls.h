/* SPDX-License-Identifier: Apache-2.0 */
/* Private to the sandbox: which system calls each process may make. */
#pragma once

enum sandbox_role { SANDBOX_FRONT = 1, SANDBOX_KEYS = 2, SANDBOX_ADMIN = 4 };

/*
 * Loads the role's filter into the kernel; no_new_privs must be set. A call that is not in its list fails with ENOSYS, so that
 * a newer library falls back on an older call; built with the option seccomp_kill it ends the process, so that a test run
 * finds it. Returns 0 or a negative errno code.
 */
int sandbox_filter_calls(enum sandbox_role role);

/* Loads one that refuses, with EPERM, to shut down these sockets and to change their flags and options; nothing else. Returns as above. */
int sandbox_filter_sockets(const int *sockets, int count);
