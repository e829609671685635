/* SPDX-License-Identifier: Apache-2.0 */
#include "again.h"

#include "image.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { EXIT_NOT_STARTED = 127 };

static int64_t now(void)
{
	struct timespec time;

	(void)clock_gettime(CLOCK_MONOTONIC, &time);
	return (int64_t)time.tv_sec * 1000000 + time.tv_nsec / 1000;
}

/* What it says goes through a pipe that holds more than it ever says. */
static void become(char *const command[], int error)
{
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	(void)dup2(null, STDIN_FILENO);
	(void)dup2(null, STDOUT_FILENO);
	(void)dup2(error, STDERR_FILENO);
	(void)execv(command[0], command);
	_exit(EXIT_NOT_STARTED);
}

static void await(pid_t child, int kill_after, int *status)
{
	const struct timespec nap = {0, (long)kill_after * 1000};

	if (kill_after > 0) {
		(void)nanosleep(&nap, NULL);
		(void)kill(child, SIGKILL);
	}
	while (waitpid(child, status, 0) < 0 && errno == EINTR)
		;
}

struct again run_command(char *const command[], int kill_after)
{
	struct again again = {0};
	int64_t start = now();
	int error[2];
	int status = 0;
	ssize_t size;
	pid_t child;

	if (pipe2(error, O_CLOEXEC) != 0 || (child = fork()) < 0)
		die("cannot start", command[0]);
	if (child == 0)
		become(command, error[1]);
	(void)close(error[1]);
	await(child, kill_after, &status);
	again.microseconds = (int)(now() - start);
	size = read(error[0], again.said, sizeof(again.said) - 1);
	again.said[size > 0 ? size : 0] = '\0';
	(void)close(error[0]);
	again.status = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
	if (again.status == EXIT_NOT_STARTED)
		die("cannot start", command[0]);
	return again;
}
