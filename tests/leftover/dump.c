/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dump FOLDER PROGRAM ARGUMENT…: runs the program and stops it, and every process that it forks, at the point where it exits by
 * itself, its memory still whole; writes all of that memory to FOLDER/PID. Exits as the program does; 77 where it may not look.
 */
#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

enum { EXIT_SKIPPED = 77, PATH_SIZE = 4096, CHUNK = 65536 };

static void die(const char *what)
{
	(void)fprintf(stderr, "dump: %s: %s\n", what, strerror(errno));
	exit(EXIT_SKIPPED);
}

static void copy_region(int memory, uint64_t from, uint64_t to, FILE *out)
{
	static char chunk[CHUNK];

	while (from < to) {
		size_t wanted = to - from < CHUNK ? (size_t)(to - from) : CHUNK;
		ssize_t got = pread(memory, chunk, wanted, (off_t)from);

		if (got <= 0)
			return;
		(void)fwrite(chunk, 1, (size_t)got, out);
		from += (uint64_t)got;
	}
}

/* What the process can write is what it can have left something in. */
static void dump(const char *folder, pid_t pid)
{
	char path[PATH_SIZE];
	char line[PATH_SIZE];
	FD_AUTO int memory = -1;
	FILE *maps;
	FILE *out;

	(void)snprintf(path, sizeof(path), "/proc/%d/mem", pid);
	memory = open(path, O_RDONLY | O_CLOEXEC);
	(void)snprintf(path, sizeof(path), "/proc/%d/maps", pid);
	maps = fopen(path, "re");
	if (memory < 0 || !maps)
		die(path);
	(void)snprintf(path, sizeof(path), "%s/%d", folder, pid);
	out = fopen(path, "we");
	if (!out)
		die(path);
	while (fgets(line, sizeof(line), maps)) {
		char *next = NULL;
		uint64_t from = strtoull(line, &next, 16);
		uint64_t to = *next == '-' ? strtoull(next + 1, &next, 16) : 0;

		if (strncmp(next, " rw", 3) == 0)
			copy_region(memory, from, to, out);
	}
	(void)fclose(maps);
	if (ftell(out) <= 0 || fclose(out) != 0)
		die(path);
}

static void become(char *argv[])
{
	if (ptrace(PTRACE_TRACEME, 0, NULL, NULL) != 0)
		die("ptrace");
	(void)kill(getpid(), SIGSTOP);
	(void)execv(argv[0], argv);
	die(argv[0]);
}

/* One stop of one process. Returns the signal to go on with. */
static int handle(const char *folder, pid_t pid, int status)
{
	unsigned long exit_status = 0;

	if (status >> 8 == (SIGTRAP | (PTRACE_EVENT_EXIT << 8))) {
		(void)ptrace(PTRACE_GETEVENTMSG, pid, NULL, &exit_status);
		if (WIFEXITED((int)exit_status))
			dump(folder, pid);
		return 0;
	}
	if (status >> 16 != 0 || WSTOPSIG(status) == SIGTRAP || WSTOPSIG(status) == SIGSTOP)
		return 0;
	return WSTOPSIG(status);
}

int main(int argc, char *argv[])
{
	const long options = PTRACE_O_TRACEEXIT | PTRACE_O_TRACEFORK | PTRACE_O_TRACEVFORK |
			     PTRACE_O_TRACECLONE | PTRACE_O_TRACEEXEC | PTRACE_O_EXITKILL;
	int status = 0;
	pid_t first;
	pid_t pid;

	if (argc < 3)
		return EXIT_FAILURE;
	first = fork();
	if (first == 0)
		become(argv + 2);
	if (waitpid(first, &status, 0) != first || !WIFSTOPPED(status) ||
	    ptrace(PTRACE_SETOPTIONS, first, NULL, options) != 0)
		die("ptrace");
	(void)ptrace(PTRACE_CONT, first, NULL, 0);
	while ((pid = waitpid(-1, &status, __WALL)) > 0) {
		if (WIFSTOPPED(status))
			(void)ptrace(PTRACE_CONT, pid, NULL, (long)handle(argv[1], pid, status));
		else if (pid == first)
			return WIFEXITED(status) ? WEXITSTATUS(status) : EXIT_FAILURE;
	}
	return EXIT_FAILURE;
}
