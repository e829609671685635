/* SPDX-License-Identifier: Apache-2.0 */
/* The error record: why a call failed, in words for a person, written once where it is known. */
#pragma once

#include <errno.h>

/* Longest text of an error, bytes, the NUL included; longer ones are cut. */
#define ERROR_TEXT_MAX 1024

/* Zero-initialise it (`struct error err = {0}`); no function needs to free it. */
struct error {
	int code; /* negative errno-style code, 0 while nothing failed */
	char text[ERROR_TEXT_MAX];
};

/*
 * Records `code` (negative) and the formatted reason, replacing what was there, and has the value `code`, so that a failing
 * function can `return error_set(err, -EINVAL, "…")`; a macro, so that compiler and analyser see that too. Control characters
 * that came in with the arguments are replaced by '?': what a server sent cannot forge a second line or drive a terminal.
 * `err` may be NULL. Never pass a secret.
 */
#define error_set(err, code, ...)                              \
	__extension__({                                        \
		int error_code_ = (code);                      \
		error_record((err), error_code_, __VA_ARGS__); \
		error_code_;                                   \
	})
void error_record(struct error *err, int code, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/*
 * Puts the formatted text before the reason that is there: for a name only the caller knows (`/dev/sda5: slot 1: `).
 * `err` may be NULL.
 */
void error_prefix(struct error *err, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Records out of memory and returns -ENOMEM. `err` may be NULL. */
static inline int error_nomem(struct error *err)
{
	return error_set(err, -ENOMEM, "out of memory");
}

/* Replaces control characters of `text`, and bytes that are not UTF-8, by '?', in place. */
void error_sanitise(char *text);
