/* SPDX-License-Identifier: Apache-2.0 */
#include "cmd/clevis-tls/relay.h"

#include <errno.h>
#include <openssl/err.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>

/* One record of TLS. */
enum { BUFFER_SIZE = 16 * 1024 };

/* What a step came to, but for failures, which are negative. */
enum { NOTHING, PROGRESS, ENDED };

struct buffer {
	size_t at;
	size_t end;
	unsigned char data[BUFFER_SIZE];
};

struct relay {
	struct tls_link *link;
	int client;
	bool client_ended; /* says no more; it may still listen */
	bool server_ended;
	bool write_waits; /* the socket has no room */
	struct buffer up;
	struct buffer down;
};

static bool is_empty(const struct buffer *buffer)
{
	return buffer->at == buffer->end;
}

static int from_client(struct relay *relay)
{
	ssize_t got;

	if (!is_empty(&relay->up) || relay->client_ended)
		return NOTHING;
	got = recv(relay->client, relay->up.data, sizeof(relay->up.data), 0);
	if (got < 0)
		return errno == EAGAIN || errno == EINTR ? NOTHING : ENDED;
	relay->up.at = 0;
	relay->up.end = (size_t)got;
	if (got == 0) {
		relay->client_ended = true;
		(void)SSL_shutdown(relay->link->ssl);
	}
	return PROGRESS;
}

static int to_client(struct relay *relay)
{
	struct buffer *down = &relay->down;
	ssize_t sent;

	if (is_empty(down))
		return relay->server_ended ? ENDED : NOTHING;
	sent = send(relay->client, down->data + down->at, down->end - down->at, MSG_NOSIGNAL);
	if (sent < 0)
		return errno == EAGAIN || errno == EINTR ? NOTHING : ENDED;
	down->at += (size_t)sent;
	return PROGRESS;
}

/* What a call on the link that did not succeed means. */
static int judge(struct relay *relay, int verdict, struct error *err)
{
	if (verdict == SSL_ERROR_WANT_READ || verdict == SSL_ERROR_WANT_WRITE)
		return NOTHING;
	if (verdict == SSL_ERROR_ZERO_RETURN) {
		relay->server_ended = true;
		return PROGRESS;
	}
	return tls_explain(relay->link, verdict, err);
}

static int to_server(struct relay *relay, struct error *err)
{
	struct buffer *up = &relay->up;
	SSL *ssl = relay->link->ssl;
	size_t sent = 0;
	int verdict;

	relay->write_waits = false;
	if (is_empty(up))
		return NOTHING;
	ERR_clear_error();
	if (SSL_write_ex(ssl, up->data + up->at, up->end - up->at, &sent) == 1) {
		up->at += sent;
		return PROGRESS;
	}
	verdict = SSL_get_error(ssl, 0);
	relay->write_waits = verdict == SSL_ERROR_WANT_WRITE;
	return judge(relay, verdict, err);
}

static int from_server(struct relay *relay, struct error *err)
{
	struct buffer *down = &relay->down;
	SSL *ssl = relay->link->ssl;

	if (!is_empty(down) || relay->server_ended)
		return NOTHING;
	down->at = 0;
	down->end = 0;
	ERR_clear_error();
	if (SSL_read_ex(ssl, down->data, sizeof(down->data), &down->end) != 1)
		return judge(relay, SSL_get_error(ssl, 0), err);
	relay->link->received = true;
	return PROGRESS;
}

/* What the server has to say is looked at before it is written to: the reason why that would fail may stand there. */
static int step(struct relay *relay, struct error *err)
{
	int progress = NOTHING;
	int rc = from_server(relay, err);

	if (rc >= 0 && rc != ENDED) {
		progress = rc;
		rc = to_client(relay);
	}
	if (rc >= 0 && rc != ENDED) {
		progress = rc == PROGRESS ? rc : progress;
		rc = from_client(relay);
	}
	if (rc >= 0 && rc != ENDED) {
		progress = rc == PROGRESS ? rc : progress;
		rc = to_server(relay, err);
	}
	return rc == NOTHING ? progress : rc;
}

/* Descriptors of which nothing is wanted are left out: that they hung up would wake us again and again. */
static int wait_for_either(const struct relay *relay, struct error *err)
{
	struct pollfd polled[2] = {{relay->client, 0, 0}, {-1, 0, 0}};
	int rc;

	if (is_empty(&relay->up) && !relay->client_ended)
		polled[0].events |= POLLIN;
	if (!is_empty(&relay->down))
		polled[0].events |= POLLOUT;
	if (is_empty(&relay->down) && !relay->server_ended)
		polled[1].events |= POLLIN;
	if (relay->write_waits)
		polled[1].events |= POLLOUT;
	if (polled[1].events != 0)
		polled[1].fd = relay->link->connection.fd;
	rc = poll(polled, 2, -1);
	if (rc < 0 && errno != EINTR)
		return error_set(err, -errno, "%s", strerror(errno));
	/* The client is gone, not only silent: nobody waits for what is under way. */
	return rc > 0 && (polled[0].revents & (POLLHUP | POLLERR)) ? ENDED : NOTHING;
}

int tls_relay(struct tls_link *link, int client, struct error *err)
{
	struct relay relay = {.link = link, .client = client};
	int rc = NOTHING;

	while (rc == NOTHING || rc == PROGRESS) {
		rc = step(&relay, err);
		if (rc == NOTHING)
			rc = wait_for_either(&relay, err);
	}
	return rc == ENDED ? 0 : rc;
}
