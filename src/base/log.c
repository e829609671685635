/* SPDX-License-Identifier: Apache-2.0 */
#include "base/log.h"

#include "base/error.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

/* A line, and what tells of lost ones before it. Together they fit into PIPE_BUF: a pipe takes them whole or not at all. */
enum { LINE_MAX_BYTES = 2000, NOTICE_MAX_BYTES = 200 };

/* How a line goes out. */
enum way { WRITE, WRITE_WITH_ROOM, SEND };

static const char *log_name = "nbde";
static bool log_to_journal;
static enum way log_way = WRITE;
static int log_fd = STDERR_FILENO;
static uint64_t lost;
static uint64_t lost_untold;
static bool is_torn; /* the last line went out in part */

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

/* Returns how many bytes of `line` (`size` bytes of room) are a line now, its newline included. */
__attribute__((format(printf, 4, 0))) static size_t
format_line(char *line, size_t size, enum log_level level, const char *format, va_list args)
{
	int head = write_head(line, size - 1, level);
	size_t length;

	if (head < 0 || (size_t)head >= size - 1)
		head = 0;
	(void)vsnprintf(line + head, size - 1 - (size_t)head, format, args);
	error_sanitise(line);
	length = strlen(line);
	line[length] = '\n';
	return length + 1;
}

__attribute__((format(printf, 4, 5))) static size_t
add_line(char *line, size_t size, enum log_level level, const char *format, ...)
{
	va_list args;
	size_t length;

	va_start(args, format);
	length = format_line(line, size, level, format, args);
	va_end(args);
	return length;
}

/* What is to be said before the next line: the end of a torn one, and how many were lost. */
static size_t write_notice(char *text)
{
	size_t length = 0;

	if (is_torn)
		text[length++] = '\n';
	if (lost_untold > 0)
		length += add_line(text + length, NOTICE_MAX_BYTES - length, LOG_LEVEL_WARNING,
				   "%llu log lines were lost", (unsigned long long)lost_untold);
	return length;
}

/* Returns how many bytes went out, or -1. */
static ssize_t put(const char *text, size_t length)
{
	struct pollfd room = {log_fd, POLLOUT, 0};

	if (log_way == SEND)
		return send(log_fd, text, length, MSG_DONTWAIT | MSG_NOSIGNAL);
	if (log_way == WRITE_WITH_ROOM && (poll(&room, 1, 0) != 1 || !(room.revents & POLLOUT)))
		return -1;
	return write(log_fd, text, length);
}

/* The first `notice` bytes are what was to be said before the line. */
static void put_line(const char *text, size_t notice, size_t length)
{
	ssize_t sent = put(text, length);

	if (sent >= (ssize_t)notice)
		lost_untold = 0;
	if (sent > 0)
		is_torn = text[sent - 1] != '\n';
	if (sent == (ssize_t)length)
		return;
	lost++;
	lost_untold++;
}

void log_message(enum log_level level, const char *format, ...)
{
	char text[NOTICE_MAX_BYTES + LINE_MAX_BYTES + 2];
	int saved_errno = errno;
	size_t notice = write_notice(text);
	size_t length;
	va_list args;

	va_start(args, format);
	length = format_line(text + notice, LINE_MAX_BYTES + 1, level, format, args);
	va_end(args);
	put_line(text, notice, notice + length);
	errno = saved_errno;
}

static void forget_lost(void)
{
	lost = lost_untold = 0;
}

void log_never_wait(void)
{
	struct stat st;
	int fd;

	(void)signal(SIGPIPE, SIG_IGN);
	(void)pthread_atfork(NULL, NULL, forget_lost);
	if (fstat(STDERR_FILENO, &st) != 0 || S_ISREG(st.st_mode))
		return;
	if (S_ISSOCK(st.st_mode)) {
		log_way = SEND;
		return;
	}
	/* The flag on the description that we were given would be that of the shell's, too. */
	fd = open("/proc/self/fd/2", O_WRONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	if (fd >= 0)
		log_fd = fd;
	else
		log_way = WRITE_WITH_ROOM;
}

uint64_t log_lost(void)
{
	return lost;
}
