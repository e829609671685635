/* SPDX-License-Identifier: Apache-2.0 */
/* tangd/tls.c, tangd/tls_check.c and TLS in tangd/http.c: which certificates are served, and who holds a place. The clock is ours. */
#include "certificates.h"

#include "tangd/connections.h"
#include "tangd/http.h"
#include "tangd/passing.h"
#include "tangd/tls_check.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <microhttpd.h>

enum { PATIENCE_MS = 10000 };

static struct timespec passed;

/* NOLINTBEGIN(*-reserved-identifier,cert-dcl*,readability-identifier-naming): the names of the linker's --wrap */
int __real_clock_gettime(clockid_t clock, struct timespec *time);
int __wrap_clock_gettime(clockid_t clock, struct timespec *time);

int __wrap_clock_gettime(clockid_t clock, struct timespec *time)
{
	int rc = __real_clock_gettime(clock, time);

	time->tv_sec += passed.tv_sec;
	return rc;
}
/* NOLINTEND(*-reserved-identifier,cert-dcl*,readability-identifier-naming) */

static struct folder folder;

static const char *in_folder(const char *name, char path[128])
{
	(void)snprintf(path, 128, "%s/%s", folder.path, name);
	return path;
}

static int begin(void **state)
{
	const struct certificate made[] = {
		{"site", NULL, "IP:127.0.0.1", -60, 3600, NULL},
		{"other", NULL, "IP:127.0.0.1", -60, 3600, NULL},
		{"closed", NULL, "IP:127.0.0.1", -60, 3600, "open sesame"},
	};

	(void)state;
	passed.tv_sec = 0;
	if (MHD_is_feature_supported(MHD_FEATURE_TLS) != MHD_YES)
		unit_skip("the HTTP library has no TLS");
	folder_make(&folder);
	for (size_t i = 0; i < COUNT(made); i++)
		certificate_make(&folder, &made[i]);
	folder_write(&folder, "empty", "");
	folder_write(&folder, "text", "-----BEGIN NOTHING-----\n");
	return 0;
}

static int end(void **state)
{
	(void)state;
	folder_remove(&folder);
	return 0;
}

static int read_and_check(const char *certificate, const char *key, struct error *err)
{
	char certificate_path[128];
	char key_path[128];
	struct tls tls = {0};
	int rc = tls_read(in_folder(certificate, certificate_path), in_folder(key, key_path), &tls,
			  err);

	if (rc == 0)
		rc = tls_check(&tls, certificate_path, key_path, err);
	tls_free(&tls);
	return rc;
}

static void test_good_ones_are_taken(void **state)
{
	struct error err = {0};

	(void)state;
	assert_int_equal(read_and_check("site.pem", "site.key", &err), 0);
	assert_int_equal(read_and_check("site.both", "site.both", &err), 0);
}

static void test_what_cannot_serve_is_told(void **state)
{
	static const struct {
		const char *certificate;
		const char *key;
		int code;
		const char *file; /* that is named … */
		const char *text; /* … and what of it */
	} rows[] = {
		{"none", "site.key", -ENOENT, "none", "No such file"},
		{"site.pem", "none", -ENOENT, "none", "No such file"},
		{"empty", "site.key", -EINVAL, "empty", "holds no certificate in PEM"},
		{"text", "site.key", -EINVAL, "text", "holds no certificate in PEM"},
		{"site.key", "site.key", -EINVAL, "site.key", "holds no certificate in PEM"},
		{"site.pem", "empty", -EINVAL, "empty", "holds no private key in PEM"},
		{"site.pem", "text", -EINVAL, "text", "holds no private key in PEM"},
		{"site.pem", "site.pem", -EINVAL, "site.pem", "holds no private key in PEM"},
		{"site.pem", "other.key", -EINVAL, "other.key", "does not belong"},
		{"closed.pem", "closed.key", -EINVAL, "closed.key", "is encrypted"},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct error err = {0};

		unit_check(read_and_check(rows[i].certificate, rows[i].key, &err) == rows[i].code,
			   rows[i].text);
		unit_check(strstr(err.text, rows[i].file) && strstr(err.text, rows[i].text),
			   err.text);
	}
}

static void test_files_are_bounded(void **state)
{
	static char text[TLS_FILE_MAX + 1];
	struct error err = {0};

	(void)state;
	memset(text, 'x', TLS_FILE_MAX);
	folder_write(&folder, "large", text);
	assert_int_equal(read_and_check("large", "site.key", &err), -EFBIG);
	assert_int_equal(read_and_check("site.pem", "large", &err), -EFBIG);
}

static void test_permissions_of_the_key_are_known(void **state)
{
	char certificate[128];
	char key[128];
	struct tls tls = {0};

	(void)state;
	(void)in_folder("site.key", key);
	assert_int_equal(chmod(key, 0604), 0);
	assert_int_equal(tls_read(in_folder("site.pem", certificate), key, &tls, NULL), 0);
	assert_int_equal(tls.key_mode, 0604);
	tls_free(&tls);
}

/* What a child of the process that has read the key finds of it, and what it is sent. */
struct inheritance {
	const struct tls *tls;
	int fd;
};

static int inherit(void *arg)
{
	const struct inheritance *inheritance = arg;
	const struct tls *tls = inheritance->tls;
	struct tls came = {0};
	int found = 0;

	for (size_t i = 0; i < tls->key.size; i++)
		found |= tls->key.data[i];
	if (found)
		return 1;
	if (tls_receive(inheritance->fd, &came, NULL) < 0 || came.key.size != tls->key.size ||
	    came.certificate.size != tls->certificate.size)
		return 2;
	found = !strstr((const char *)came.key.data, "PRIVATE KEY") ||
		!strstr((const char *)came.certificate.data, "CERTIFICATE");
	tls_free(&came);
	return found ? 3 : 0;
}

static void test_a_child_has_the_key_only_if_it_is_sent(void **state)
{
	char certificate[128];
	char key[128];
	struct tls tls = {0};
	struct inheritance inheritance = {.tls = &tls};
	int pair[2];

	(void)state;
	assert_int_equal(tls_read(in_folder("site.pem", certificate), in_folder("site.key", key),
				  &tls, NULL),
			 0);
	assert_int_equal(passing_pair(pair), 0);
	assert_int_equal(tls_send(&tls, pair[0]), 0);
	inheritance.fd = pair[1];
	assert_int_equal(unit_in_child(inherit, &inheritance), 0);
	(void)close(pair[0]);
	(void)close(pair[1]);
	tls_free(&tls);
}

/* A server over TLS in this process. */
static struct http_server *start(const struct front *front, int *port)
{
	struct http_server *server = NULL;
	char certificate[128];
	char key[128];
	struct tls tls = {0};
	int fd = server_listen(port);

	assert_int_equal(fcntl(fd, F_SETFL, O_NONBLOCK), 0);
	assert_int_equal(tls_read(in_folder("site.pem", certificate), in_folder("site.key", key),
				  &tls, NULL),
			 0);
	assert_int_equal(http_server_new_tls(front, fd, &tls, &server, NULL), 0);
	tls_free(&tls);
	return server;
}

static int connect_to(int port)
{
	const struct sockaddr_in address = {.sin_family = AF_INET,
					    .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
					    .sin_port = htons((uint16_t)port)};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_int_equal(connect(fd, (const struct sockaddr *)&address, sizeof(address)), 0);
	return fd;
}

/* Runs the server until it has that many connections, or patience ends. */
static void run_until(struct http_server *server, unsigned connections)
{
	for (int i = 0; i < PATIENCE_MS / 10; i++) {
		struct pollfd polled = {http_server_fd(server), POLLIN, 0};

		http_server_run(server);
		if (http_server_connections(server) == connections)
			return;
		(void)poll(&polled, 1, 10);
	}
	assert_int_equal(http_server_connections(server), connections);
}

static bool is_at_its_end(int fd)
{
	struct pollfd polled = {fd, POLLIN, 0};
	char byte;

	return poll(&polled, 1, 0) == 1 && recv(fd, &byte, 1, MSG_DONTWAIT) <= 0;
}

/* One says nothing, one begins a handshake and leaves it at that, a byte now and then. */
static void test_who_does_not_end_the_handshake_holds_no_place(void **state)
{
	static const char hello[] = "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03";
	const struct front front = {.endpoint = ""};
	int port = 0;
	struct http_server *server = start(&front, &port);
	int silent = connect_to(port);
	int slow = connect_to(port);

	(void)state;
	run_until(server, 2);
	for (int i = 0; i < 9; i++) {
		passed.tv_sec += CONNECTIONS_IDLE_MS / 1000 / 10;
		assert_int_equal(send(slow, &hello[i], 1, MSG_NOSIGNAL), 1);
		http_server_run(server);
		http_server_run(server);
	}
	assert_int_equal(http_server_connections(server), 2);
	assert_false(is_at_its_end(silent));
	passed.tv_sec += CONNECTIONS_IDLE_MS / 1000 / 10 + 2;
	run_until(server, 0);
	assert_true(is_at_its_end(silent));
	(void)close(silent);
	(void)close(slow);
	http_server_free(&server);
}

static void test_plain_http_is_no_tls(void **state)
{
	static const char request[] = "GET /adv HTTP/1.1\r\nHost: x\r\n\r\n";
	const struct front front = {.endpoint = ""};
	int port = 0;
	struct http_server *server = start(&front, &port);
	int plain = connect_to(port);
	char answer[64] = "";

	(void)state;
	run_until(server, 1);
	assert_int_equal(send(plain, request, sizeof(request) - 1, MSG_NOSIGNAL),
			 sizeof(request) - 1);
	run_until(server, 0);
	(void)recv(plain, answer, sizeof(answer) - 1, MSG_DONTWAIT);
	assert_null(strstr(answer, "HTTP"));
	(void)close(plain);
	http_server_free(&server);
}

int main(int argc, char *argv[])
{
	const struct CMUnitTest cases[] = {
		cmocka_unit_test(test_good_ones_are_taken),
		cmocka_unit_test(test_what_cannot_serve_is_told),
		cmocka_unit_test(test_files_are_bounded),
		cmocka_unit_test(test_permissions_of_the_key_are_known),
		cmocka_unit_test(test_a_child_has_the_key_only_if_it_is_sent),
		cmocka_unit_test(test_who_does_not_end_the_handshake_holds_no_place),
		cmocka_unit_test(test_plain_http_is_no_tls),
	};

	unit_begin(argc, argv);
	(void)signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests_name("tangd_tls", cases, begin, end);
}
