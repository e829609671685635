/* SPDX-License-Identifier: Apache-2.0 */
/* Servers for the tests, each in a child process on a loopback port that the kernel chose: canned ones, and our tangd. */
#pragma once

#include "unit.h"

struct server {
	pid_t pid;
	int port;
	char url[64];
};

#define SERVER_AUTO __attribute__((cleanup(server_stop)))

/* Talks to one client. Runs in the child: no cmocka assertions. The caller closes `fd`. */
typedef void (*server_talk)(int fd, void *arg);

/* Serves one connection after another with `talk`. */
void server_start(struct server *server, server_talk talk, void *arg);

/* Serves the key folder with the library of tangd, keys made as it likes. */
void server_start_tang(struct server *server, const char *folder);

/* Ends it. One that was not started or is stopped already is accepted. */
void server_stop(struct server *server);

/* A port that refuses connections as long as `*fd` is open. Writes its URL. */
void server_refusing(int *fd, char url[64]);

/* Binds to a loopback port and listens; for what serves by itself. */
int server_listen(int *port);

/* For `talk`: sends all, or reads until the text `until` came (false at the end of the connection). */
void talk_send(int fd, const void *data, size_t size);
void talk_text(int fd, const char *text);
bool talk_read_until(int fd, const char *until, char *buffer, size_t size);

/* For `talk`: reads a request whole, its body (by Content-Length) too. */
struct talk_request {
	char method[16];
	char target[4096];
	char *body; /* in `text` */
	size_t body_size;
	char text[16384];
};

bool talk_read_request(int fd, struct talk_request *request);

/* For `talk`: answers with a body. */
void talk_answer(int fd, unsigned status, const char *body);
