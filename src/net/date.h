/* SPDX-License-Identifier: Apache-2.0 */
/* Dates and waiting times in HTTP fields. Private to net/. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

/* Longest wait that a server may ask for: a day, in seconds. */
enum { RETRY_AFTER_MAX_S = 24 * 60 * 60 };

/*
 * Reads an IMF-fixdate, `Sun, 06 Nov 1994 08:49:37 GMT` (RFC 9110 §5.6.7; the two obsolete forms are not read), into seconds since
 * 1970. The name of the day is not compared with the date. Returns whether it is one.
 */
bool http_date_read(const char *text, int64_t *seconds);

/*
 * Reads the value of Retry-After (RFC 9110 §10.2.3), seconds or a date; a date counts from `now`, seconds since 1970.
 * Returns the seconds to wait, at most RETRY_AFTER_MAX_S; 0 for what cannot be read or has passed.
 */
unsigned retry_after_read(const char *value, int64_t now);
