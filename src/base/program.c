/* SPDX-License-Identifier: Apache-2.0 */
#include "base/program.h"

#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { TRACKED_MAX = 256, FIRST_SIZE = 4096, TIMEOUT_TEXT_MAX = 32, EXIT_NO_PROGRAM = 127 };

static bool is_program(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0 && S_ISREG(st.st_mode) && access(path, X_OK) == 0;
}

bool program_find(const char *name, char path[static PROGRAM_PATH_MAX])
{
	const char *folders = getenv("PATH");

	while (folders && *folders) {
		int length = (int)strcspn(folders, ":");
		int written = snprintf(path, PROGRAM_PATH_MAX, "%.*s/%s", length, folders, name);

		/* A folder without a name would be the current one: nobody means that who binds a disk. */
		if (length > 0 && written < PROGRAM_PATH_MAX && is_program(path))
			return true;
		folders += length;
		folders += *folders == ':';
	}
	return false;
}

/* The groups that are to end with us; 0 is none. */
static volatile pid_t tracked[TRACKED_MAX];

static void end_tracked(void)
{
	for (size_t i = 0; i < TRACKED_MAX; i++)
		if (tracked[i] > 0)
			(void)kill(-tracked[i], SIGKILL);
}

static void end_tracked_and_die(int signal_number)
{
	end_tracked();
	(void)raise(signal_number); /* its default is back */
}

/* Signals that somebody wants ignored, or has a handler for, stay as they are. */
static void watch_signals(void)
{
	static const int fatal[] = {SIGHUP, SIGINT, SIGQUIT, SIGTERM};
	static bool watched;
	const struct sigaction action = {.sa_handler = end_tracked_and_die,
					 .sa_flags = (int)(SA_RESETHAND | SA_NODEFER)};
	struct sigaction old;

	for (size_t i = 0; !watched && i < sizeof(fatal) / sizeof(*fatal); i++)
		if (sigaction(fatal[i], NULL, &old) == 0 && old.sa_handler == SIG_DFL)
			(void)sigaction(fatal[i], &action, NULL);
	watched = true;
}

void program_track(pid_t pid)
{
	watch_signals();
	for (size_t i = 0; i < TRACKED_MAX; i++) {
		if (tracked[i] == 0) {
			tracked[i] = pid;
			return;
		}
	}
}

void program_untrack(pid_t pid)
{
	for (size_t i = 0; i < TRACKED_MAX; i++)
		if (tracked[i] == pid)
			tracked[i] = 0;
}

void program_die_with(pid_t parent)
{
	for (size_t i = 0; i < TRACKED_MAX; i++)
		tracked[i] = 0;
	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(EXIT_FAILURE);
}

/* What is to be run. */
struct program {
	const char *path;
	const char *const *argv;
	enum program_stderr standard_error;
	struct deadline deadline;
};

/* Whether this process, or one above it, leads a group that its programs stay in. */
static bool in_led_group;

/* A program that runs. */
struct running {
	pid_t pid;
	bool in_own_group;
	int in;	 /* we write; -1 once all is written */
	int out; /* we read */
};

/* Whether somebody sits there, whom the program may want to ask, and who can end it by ^C. */
static bool has_terminal(void)
{
	FD_AUTO int tty = open("/dev/tty", O_RDWR | O_CLOEXEC | O_NOCTTY);

	return tty >= 0;
}

void program_lead_group(void)
{
	if (!in_led_group && !has_terminal())
		in_led_group = setpgid(0, 0) == 0;
}

pid_t program_fork(void)
{
	pid_t parent = getpid();
	pid_t pid = fork();

	if (pid == 0) {
		program_die_with(parent);
		program_lead_group();
	} else if (pid > 0) {
		program_track(pid);
	}
	return pid;
}

int program_reap(pid_t pid)
{
	siginfo_t ended;
	int status = -1;

	/* Until it is waited for its id is nobody else's, as a process and as a group. */
	while (waitid(P_PID, (id_t)pid, &ended, WEXITED | WNOWAIT) < 0 && errno == EINTR)
		;
	(void)kill(-pid, SIGKILL);
	program_untrack(pid);
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return -1;
	return status;
}

/* It is to know how long we wait: it may start clevis itself. */
static void set_timeout(struct deadline deadline)
{
	char text[TIMEOUT_TEXT_MAX];
	int left = deadline_left_ms(deadline);

	left = left > 0 ? left : 1;
	(void)snprintf(text, sizeof(text), "%d.%03d", left / 1000, left % 1000);
	(void)setenv("CLEVIS_TIMEOUT", text, 1);
}

static void child_main(const struct program *program, int in, int out, bool in_own_group)
{
	int nothing = program->standard_error == PROGRAM_STDERR_NOWHERE
			      ? open("/dev/null", O_WRONLY | O_CLOEXEC)
			      : -1;

	if (in_own_group)
		(void)setpgid(0, 0);
	if (nothing >= 0)
		(void)dup2(nothing, STDERR_FILENO);
	(void)signal(SIGPIPE, SIG_DFL);
	set_timeout(program->deadline);
	if (dup2(in, STDIN_FILENO) < 0 || dup2(out, STDOUT_FILENO) < 0)
		_exit(EXIT_NO_PROGRAM);
	/* Libraries of ours hold descriptors, too, such as the device. */
	closefrom(STDERR_FILENO + 1);
	(void)execv(program->path, (char *const *)program->argv);
	_exit(EXIT_NO_PROGRAM);
}

/* Two pipes: [0] of each is read. All ends are closed by exec, and ours do not block. */
static int make_pipes(int to[2], int from[2], struct error *err)
{
	if (pipe2(to, O_CLOEXEC) != 0)
		return error_set(err, -errno, "no pipe to be had: %s", strerror(errno));
	if (pipe2(from, O_CLOEXEC) != 0) {
		int failed = -errno;

		(void)close(to[0]);
		(void)close(to[1]);
		return error_set(err, failed, "no pipe to be had: %s", strerror(-failed));
	}
	(void)fcntl(to[1], F_SETFL, O_NONBLOCK);
	(void)fcntl(from[0], F_SETFL, O_NONBLOCK);
	return 0;
}

static int start(const struct program *program, struct running *running, struct error *err)
{
	pid_t parent = getpid();
	int to[2] = {-1, -1};
	int from[2] = {-1, -1};
	int rc = make_pipes(to, from, err);

	if (rc < 0)
		return rc;
	running->in_own_group = !in_led_group && !has_terminal();
	running->pid = fork();
	if (running->pid == 0) {
		program_die_with(parent);
		child_main(program, to[0], from[1], running->in_own_group);
	}
	(void)close(to[0]);
	(void)close(from[1]);
	running->in = to[1];
	running->out = from[0];
	if (running->pid > 0) {
		if (running->in_own_group)
			program_track(running->pid);
		return 0;
	}
	rc = error_set(err, -errno, "cannot fork: %s", strerror(errno));
	fd_close(&running->in);
	fd_close(&running->out);
	return rc;
}

/* What is read so far: `text` grows, `size` bytes of it are filled. */
struct gathered {
	struct secret text;
	size_t size;
	size_t max;
};

/* Returns 1 when there may be more, 0 at the end; negative with `err` filled. */
static int gather(int fd, struct gathered *gathered, struct error *err)
{
	ssize_t got;
	int rc = 0;

	if (gathered->size == gathered->text.size)
		rc = secret_resize(&gathered->text,
				   gathered->size > 0 ? gathered->size * 2 : FIRST_SIZE, err);
	if (rc < 0)
		return rc;
	got = read(fd, gathered->text.data + gathered->size, gathered->text.size - gathered->size);
	if (got < 0)
		return errno == EAGAIN || errno == EINTR
			       ? 1
			       : error_set(err, -errno, "cannot read its output: %s",
					   strerror(errno));
	gathered->size += (size_t)got;
	if (gathered->size > gathered->max)
		return error_set(err, -EFBIG, "its output is larger than %zu bytes", gathered->max);
	return got > 0;
}

/* Writes what goes in. A program that does not want all of it is its own judge: its exit status tells. */
static void feed(struct running *running, const struct secret *input, size_t *written)
{
	ssize_t put = 0;

	if (*written < input->size)
		put = write(running->in, input->data + *written, input->size - *written);
	if (put > 0)
		*written += (size_t)put;
	if (*written == input->size || (put < 0 && errno != EAGAIN && errno != EINTR))
		fd_close(&running->in);
}

/* Passes bytes both ways until the output ends. */
static int talk(struct running *running, const struct secret *input, struct deadline deadline,
		struct gathered *gathered, struct error *err)
{
	size_t written = 0;
	int rc = 1;

	while (rc > 0) {
		struct pollfd polled[2] = {{running->out, POLLIN, 0}, {running->in, POLLOUT, 0}};
		int ready = poll(polled, 2, deadline_left_ms(deadline));

		if (ready < 0 && errno != EINTR)
			return error_set(err, -errno, "poll: %s", strerror(errno));
		if (deadline_passed(deadline))
			return error_set(err, -ETIMEDOUT, "it did not end in time");
		if (ready > 0 && polled[1].revents)
			feed(running, input, &written);
		if (ready > 0 && polled[0].revents)
			rc = gather(running->out, gathered, err);
	}
	return rc;
}

/* Ends it and what it started, as far as that is in its own group. */
static void end(const struct running *running)
{
	if (running->in_own_group)
		(void)kill(-running->pid, SIGKILL);
	(void)kill(running->pid, SIGKILL);
}

/* Takes its exit status. Until it is taken, its number is nobody else's, as a process and as a group. */
static int reap(const struct running *running, struct error *err)
{
	int status = 0;
	pid_t ended;

	end(running);
	program_untrack(running->pid);
	do
		ended = waitpid(running->pid, &status, 0);
	while (ended < 0 && errno == EINTR);
	if (ended < 0)
		return error_set(err, -errno, "how it ended is not known: %s", strerror(errno));
	if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
		return 0;
	if (WIFSIGNALED(status))
		return error_set(err, -ECHILD, "it was ended by signal %d", WTERMSIG(status));
	return error_set(err, -ECHILD, "it failed with exit status %d", WEXITSTATUS(status));
}

/* Waits for its exit, which comes by the deadline: it may have closed its output long before. */
static int wait_for_exit(const struct running *running, struct deadline deadline, struct error *err)
{
	const struct timespec nap = {0, 2000000};
	siginfo_t ended = {0};

	while (waitid(P_PID, (id_t)running->pid, &ended, WEXITED | WNOHANG | WNOWAIT) == 0 &&
	       ended.si_pid == 0) {
		if (deadline_passed(deadline))
			return error_set(err, -ETIMEDOUT, "it did not end in time");
		(void)nanosleep(&nap, NULL);
	}
	return 0;
}

int program_run(const char *path, const char *const argv[], enum program_stderr standard_error,
		const struct secret *input, size_t output_max, struct deadline deadline,
		struct secret *output, struct error *err)
{
	const struct program program = {path, argv, standard_error, deadline};
	struct running running = {.in = -1, .out = -1};
	struct gathered gathered = {.max = output_max};
	int ended;
	int rc;

	rc = start(&program, &running, err);
	if (rc == 0) {
		rc = talk(&running, input, deadline, &gathered, err);
		if (rc == 0)
			rc = wait_for_exit(&running, deadline, err);
		fd_close(&running.in);
		fd_close(&running.out);
		ended = reap(&running, rc < 0 ? NULL : err);
		rc = rc < 0 ? rc : ended;
	}
	if (rc == 0)
		rc = secret_resize(&gathered.text, gathered.size, err);
	if (rc == 0)
		secret_move(output, &gathered.text);
	else
		error_prefix(err, "%s: ", path);
	secret_free(&gathered.text);
	return rc;
}
