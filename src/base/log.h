/* SPDX-License-Identifier: Apache-2.0 */
/* Messages to people on standard error: plain text at a terminal or a pipe, with priorities for the journal in a service. */
#pragma once

#include <stdint.h>

enum log_level { LOG_LEVEL_ERROR, LOG_LEVEL_WARNING, LOG_LEVEL_INFO };

/*
 * Sets the name that begins errors and warnings (`clevis: …`; information stands alone); it must stay valid. Looks once whether standard error is the journal
 * ($JOURNAL_STREAM, sd-daemon(3)); there each line begins with `<3>`, `<4>` or `<6>` in place of the name.
 */
void log_open(const char *name);

/*
 * From now on, here and in processes that are forked: no line is waited for, be its reader stopped, slow or gone (SIGPIPE is ignored). One that does not fit
 * is lost and counted, and the next one that fits is preceded by the warning `N log lines were lost`. A regular file is written to as ever. Where a pipe
 * cannot be opened anew (another user's), whether there is room is asked before each line: two processes that ask at once may find room for one.
 */
void log_never_wait(void);

/* How many lines this process has lost, those of its parent not counted. */
uint64_t log_lost(void);

/*
 * Writes one line, with one write(2) or send(2), the newline added. Control characters in it become '?'. Never pass a secret.
 * A line longer than 2000 bytes is cut. Leaves errno as it was.
 */
void log_message(enum log_level level, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

#define log_error(...) log_message(LOG_LEVEL_ERROR, __VA_ARGS__)
#define log_warning(...) log_message(LOG_LEVEL_WARNING, __VA_ARGS__)
#define log_info(...) log_message(LOG_LEVEL_INFO, __VA_ARGS__)
