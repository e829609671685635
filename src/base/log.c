/* SPDX-License-Identifier: Apache-2.0 */
#include "base/log.h"

#include "base/error.h"

#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { LINE_MAX_BYTES = 2000 };

static const char *log_name = "nbde";
static bool log_to_journal;

static bool stderr_is_journal(void)
{
	const char *stream = getenv("JOURNAL_STREAM");
	char expected[64];
	struct stat st;

	if (!stream || fstat(STDERR_FILENO, &st) != 0)
		return false;
	(void)snprintf(expected, sizeof(expected), "%llu:%llu", (unsigned long long)st.st_dev,
		       (unsigned long long)st.st_ino);
	return strcmp(stream, expected) == 0;
}

void log_open(const char *name)
{
	log_name = name;
	log_to_journal = stderr_is_journal();
}

static int write_head(char *line, size_t size, enum log_level level)
{
	static const char *const priorities[] = {"<3>", "<4>", "<6>"};

	if (log_to_journal)
		return snprintf(line, size, "%s", priorities[level]);
	if (level == LOG_LEVEL_INFO)
		return 0;
	return snprintf(line, size, "%s: %s", log_name,
			level == LOG_LEVEL_WARNING ? "warning: " : "");
}

void log_message(enum log_level level, const char *format, ...)
{
	char line[LINE_MAX_BYTES + 2];
	int saved_errno = errno;
	size_t length;
	va_list args;
	int head = write_head(line, LINE_MAX_BYTES, level);

	if (head < 0 || head >= LINE_MAX_BYTES)
		head = 0;
	va_start(args, format);
	(void)vsnprintf(line + head, LINE_MAX_BYTES - (size_t)head, format, args);
	va_end(args);
	error_sanitise(line);
	length = strlen(line);
	line[length] = '\n';
	if (write(STDERR_FILENO, line, length + 1) < 0)
		errno = 0; /* nowhere left to report it to */
	errno = saved_errno;
}
