/* SPDX-License-Identifier: Apache-2.0 */
/*
 * activate: a process a connection, as systemd does for `Accept=yes` and inetd for `nowait`: less work than either, for no unit
 * is made. The children are waited for, so that their processor time shows in ours.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { CONNECTIONS_MAX = 64, BURST_MS = 2000, LOOK_MS = 20, BACKLOG = 4096 };

/* systemd's defaults for Accept=yes (systemd.socket(5)): MaxConnections always, and in 2 s: */
static const struct limits {
	const char *name;
	unsigned burst;
	bool fails; /* TriggerLimitBurst: for good; else PollLimitBurst, which is met earlier: until the 2 s are over */
} all_limits[] = {
	{"fail", 200, true},   /* before version 255 */
	{"pause", 150, false}, /* since then */
};

struct activator {
	int listener;
	const struct limits *limits; /* NULL: none */
	char **command;
	unsigned running;
	unsigned burst;
	int64_t burst_began_ms;
};

static int64_t now_ms(void)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static int open_listener(void)
{
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
	socklen_t size = sizeof(address);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd < 0 || bind(fd, (struct sockaddr *)&address, size) != 0 ||
	    listen(fd, BACKLOG) != 0 || getsockname(fd, (struct sockaddr *)&address, &size) != 0)
		return -1;
	(void)fprintf(stderr, "Listening on 127.0.0.1:%u\n", ntohs(address.sin_port));
	return fd;
}

static void serve(const struct activator *activator, int fd, const struct sockaddr_in *peer)
{
	char text[INET_ADDRSTRLEN] = "";

	(void)inet_ntop(AF_INET, &peer->sin_addr, text, sizeof(text));
	if (setenv("REMOTE_ADDR", text, 1) == 0 && dup2(fd, STDIN_FILENO) >= 0 &&
	    dup2(fd, STDOUT_FILENO) >= 0)
		(void)execv(activator->command[0], activator->command);
	_exit(EXIT_FAILURE);
}

/* Says whether one more connection may be taken now. Past a limit that fails, the socket is closed. */
static bool may_accept(struct activator *activator)
{
	int64_t now = now_ms();

	if (now - activator->burst_began_ms > BURST_MS) {
		activator->burst_began_ms = now;
		activator->burst = 0;
	}
	if (!activator->limits || activator->burst < activator->limits->burst)
		return true;
	if (activator->limits->fails) {
		(void)fprintf(stderr, "activate: more than %u connections in %d ms: failed\n",
			      activator->limits->burst, BURST_MS);
		(void)close(activator->listener);
		activator->listener = -1;
	}
	return false;
}

static void accept_one(struct activator *activator)
{
	struct sockaddr_in peer = {0};
	socklen_t size = sizeof(peer);
	int fd = accept4(activator->listener, (struct sockaddr *)&peer, &size, SOCK_CLOEXEC);
	pid_t child;

	if (fd < 0)
		return;
	activator->burst++;
	if (!activator->limits || activator->running < CONNECTIONS_MAX) {
		child = fork();
		if (child == 0)
			serve(activator, fd, &peer);
		activator->running += child > 0;
	}
	(void)close(fd);
}

static void reap(struct activator *activator)
{
	while (waitpid(-1, NULL, WNOHANG) > 0)
		activator->running--;
}

static int usage(void)
{
	(void)fputs(
		"Usage: activate [-l fail | -l pause] PROGRAM [ARGUMENT…]\n"
		"Runs the program for each connection to a free port of 127.0.0.1.\n"
		"  -l  with systemd's limits for Accept=yes: 64 connections at once; fail: more than 200\n"
		"      in 2 s end it (before version 255); pause: it takes no more than 150 in 2 s\n",
		stderr);
	return EXIT_FAILURE;
}

static bool read_arguments(int argc, char *argv[], struct activator *activator)
{
	bool limited = argc > 2 && strcmp(argv[1], "-l") == 0;

	for (size_t i = 0; limited && i < sizeof(all_limits) / sizeof(*all_limits); i++)
		if (strcmp(argv[2], all_limits[i].name) == 0)
			activator->limits = &all_limits[i];
	activator->command = argv + (limited ? 3 : 1);
	return argc > 0 && *activator->command && **activator->command != '-' &&
	       (!limited || activator->limits);
}

int main(int argc, char *argv[])
{
	struct activator activator = {0};

	if (!read_arguments(argc, argv, &activator))
		return usage();
	activator.listener = open_listener();
	if (activator.listener < 0) {
		(void)fprintf(stderr, "activate: %s\n", strerror(errno));
		return EXIT_FAILURE;
	}
	for (;;) {
		bool takes = may_accept(&activator);
		struct pollfd polled = {takes ? activator.listener : -1, POLLIN, 0};

		(void)poll(&polled, 1, LOOK_MS);
		reap(&activator);
		if (polled.revents)
			accept_one(&activator);
	}
}
