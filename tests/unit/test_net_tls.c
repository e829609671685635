/* SPDX-License-Identifier: Apache-2.0 */
/* net/tls.c and the helper clevis-tls, which this program is too: https trusts whom it should, and nobody else. */
#include "certificates.h"

#include "cmd/clevis-tls/helper.h"
#include "net/net.h"
#include "net/tls.h"

#include <errno.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum { REPLY_MAX = 512 * 1024, BIG = 300 * 1024, DAY_S = 24 * 60 * 60 };

#define OK_REPLY "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"

static struct folder folder;
static struct tls_server *shared;
static struct server server;
static struct error err;

static const struct certificate certificates[] = {
	{"ca", NULL, NULL, -DAY_S, DAY_S, NULL},
	{"other-ca", NULL, NULL, -DAY_S, DAY_S, NULL},
	{"middle", "ca", NULL, -DAY_S, DAY_S, NULL},
	{"good", "ca", "DNS:localhost,IP:127.0.0.1", -DAY_S, DAY_S, NULL},
	{"below", "middle", "IP:127.0.0.1", -DAY_S, DAY_S, NULL},
	{"expired", "ca", "DNS:localhost,IP:127.0.0.1", -DAY_S, -60, NULL},
	{"early", "ca", "DNS:localhost,IP:127.0.0.1", 3600, DAY_S, NULL},
	{"self", NULL, "DNS:localhost,IP:127.0.0.1", -DAY_S, DAY_S, NULL},
	{"named", "ca", "DNS:tang.example", -DAY_S, DAY_S, NULL},
	{"addressed", "ca", "IP:192.0.2.1", -DAY_S, DAY_S, NULL},
	{"127.0.0.1", "ca", "", -DAY_S, DAY_S, NULL}, /* an address in the common name only */
	{"unknown", "other-ca", "DNS:localhost,IP:127.0.0.1", -DAY_S, DAY_S, NULL},
	{"client", "ca", "DNS:client", -DAY_S, DAY_S, NULL},
	{"stranger", "other-ca", "DNS:client", -DAY_S, DAY_S, NULL},
	{"locked", "ca", "DNS:client", -DAY_S, DAY_S, "passphrase"},
};

static int make_certificates(void **state)
{
	(void)state;
	folder_make(&folder);
	for (size_t i = 0; i < COUNT(certificates); i++)
		certificate_make(&folder, &certificates[i]);
	net_tls_set_helper("/proc/self/exe");
	(void)setenv("SSL_CERT_FILE", "/dev/null", 1);
	(void)setenv("SSL_CERT_DIR", "/dev/null", 1);
	return 0;
}

static int remove_certificates(void **state)
{
	(void)state;
	folder_remove(&folder);
	return 0;
}

/* The path of a file of the folder; NULL for NULL. A few at a time. */
static const char *path_of(const char *name)
{
	static char paths[8][128];
	static size_t next;
	char *path = paths[next++ % COUNT(paths)];

	if (!name)
		return NULL;
	(void)snprintf(path, sizeof(paths[0]), "%s/%s", folder.path, name);
	return path;
}

static int begin(void **state)
{
	(void)state;
	shared = unit_map(sizeof(*shared));
	shared->reply = OK_REPLY;
	server = (struct server){.port = 9};
	err = (struct error){0};
	return 0;
}

static int end(void **state)
{
	(void)state;
	server_stop(&server);
	unit_unmap(shared, sizeof(*shared));
	return 0;
}

static void serve(const char *certificate)
{
	char name[64];

	(void)snprintf(name, sizeof(name), "%s.pem", certificate);
	(void)snprintf(shared->certificate, sizeof(shared->certificate), "%s", path_of(name));
	(void)snprintf(name, sizeof(name), "%s.key", certificate);
	(void)snprintf(shared->key, sizeof(shared->key), "%s", path_of(name));
	server_start(&server, talk_tls, shared);
}

static void ask_clients_of(const char *authority)
{
	(void)snprintf(shared->ask, sizeof(shared->ask), "%s", path_of(authority));
}

/* Asks the server as https://HOST/. Returns the status or a code. */
static int ask_within(int ms, const char *host, const struct net_tls *tls,
		      struct net_session *session)
{
	char url[128];
	struct net_request request = {
		.method = "GET", .url = url, .tls = *tls, .reply_max = REPLY_MAX};
	struct net_reply reply = {0};
	int rc;

	(void)snprintf(url, sizeof(url), "https://%s:%d/", host, server.port);
	rc = net_http(session, &request, deadline_in_ms(ms), &reply, &err);
	free(reply.body);
	return rc < 0 ? rc : (int)reply.status;
}

static int ask(const char *host, const struct net_tls *tls, struct net_session *session)
{
	return ask_within(5000, host, tls, session);
}

static void test_only_whom_the_authority_vouches_for_is_trusted(void **state)
{
	static const struct {
		const char *certificate;
		const char *host;
		int rc;
		const char *why;
	} rows[] = {
		{"good", "127.0.0.1", 200, ""},
		{"good", "localhost", 200, ""},
		{"good", "LOCALHOST", 200, ""},
		{"expired", "127.0.0.1", -EKEYREJECTED, "certificate has expired"},
		{"early", "127.0.0.1", -EKEYREJECTED, "certificate is not yet valid"},
		{"self", "127.0.0.1", -EKEYREJECTED, "self-signed certificate"},
		{"unknown", "127.0.0.1", -EKEYREJECTED, "unable to get local issuer certificate"},
		{"below", "127.0.0.1", -EKEYREJECTED, "unable to get local issuer certificate"},
		{"named", "localhost", -EKEYREJECTED, "hostname mismatch"},
		{"named", "127.0.0.1", -EKEYREJECTED, "IP address mismatch"},
		{"addressed", "127.0.0.1", -EKEYREJECTED, "IP address mismatch"},
		{"addressed", "localhost", -EKEYREJECTED, "hostname mismatch"},
		{"127.0.0.1", "127.0.0.1", -EKEYREJECTED, "IP address mismatch"},
	};
	for (size_t i = 0; i < COUNT(rows); i++) {
		const struct net_tls tls = {.cacert = path_of("ca.pem")};
		char expected[200];
		int rc;

		(void)begin(state);
		serve(rows[i].certificate);
		rc = ask(rows[i].host, &tls, NULL);
		(void)snprintf(expected, sizeof(expected), ": certificate verify failed: %s",
			       rows[i].why);
		unit_check(rc == rows[i].rc, err.text);
		unit_check(rc > 0 || strstr(err.text, expected), err.text);
		unit_check(shared->requests == (rc > 0), rows[i].certificate);
		(void)snprintf(expected, sizeof(expected),
			       strcmp(rows[i].host, "localhost") == 0
				       ? "localhost:%d (127.0.0.1:%d): "
				       : "127.0.0.1:%d: ",
			       server.port, server.port);
		unit_check(rc > 0 || strncmp(err.text, expected, strlen(expected)) == 0, err.text);
		(void)end(state);
	}
	(void)begin(state);
}

static void test_authorities_of_the_pin_count_in_place_of_the_systems(void **state)
{
	const struct net_tls none = {0};
	const struct net_tls other = {.cacert = path_of("other-ca.pem")};

	(void)state;
	serve("good");
	assert_int_equal(ask("127.0.0.1", &none, NULL), -EKEYREJECTED);
	(void)setenv("SSL_CERT_FILE", path_of("ca.pem"), 1);
	assert_int_equal(ask("127.0.0.1", &none, NULL), 200);
	assert_int_equal(ask("127.0.0.1", &other, NULL), -EKEYREJECTED);
	(void)setenv("SSL_CERT_FILE", "/dev/null", 1);
}

static void test_an_authority_in_the_middle_is_enough(void **state)
{
	const struct net_tls tls = {.cacert = path_of("middle.pem")};

	(void)state;
	serve("below");
	assert_int_equal(ask("127.0.0.1", &tls, NULL), 200);
}

static void test_old_versions_of_tls_are_refused(void **state)
{
	const struct net_tls tls = {.cacert = path_of("ca.pem")};

	(void)state;
	shared->version = TLS1_1_VERSION;
	serve("good");
	assert_int_equal(ask("127.0.0.1", &tls, NULL), -EBADMSG);
	assert_int_equal(shared->handshakes, 0);
}

static void test_client_shows_its_certificate_when_asked(void **state)
{
	static const struct {
		const char *name;
		const char *cert;
		const char *key;
		int rc;
		const char *why;
	} rows[] = {
		{"key apart", "client.pem", "client.key", 200, ""},
		{"key inside", "client.both", NULL, 200, ""},
		{"none", NULL, NULL, -EKEYREJECTED, "the server asks for a client certificate"},
		{"another authority's", "stranger.both", NULL, -EKEYREJECTED,
		 "the server does not accept the client certificate"},
		{"no key", "client.pem", NULL, -EINVAL, "holds no private key"},
		{"other key", "client.pem", "stranger.key", -EINVAL, "private key"},
		{"encrypted key", "locked.both", NULL, -EINVAL, "is encrypted"},
		{"no such file", "nothing.pem", NULL, -ENOENT, "nothing.pem': No such file"},
		{"no such key", "client.pem", "nothing.key", -ENOENT, "nothing.key': No such file"},
		{"key without certificate", NULL, "client.key", -EINVAL, "without a certificate"},
	};
	static const int versions[] = {TLS1_2_VERSION, TLS1_3_VERSION};

	for (size_t i = 0; i < COUNT(rows); i++) {
		for (size_t j = 0; j < COUNT(versions); j++) {
			const struct net_tls tls = {path_of("ca.pem"), path_of(rows[i].cert),
						    path_of(rows[i].key)};
			int rc;

			(void)begin(state);
			shared->version = versions[j];
			ask_clients_of("ca.pem");
			serve("good");
			rc = ask("127.0.0.1", &tls, NULL);
			unit_check(rc == rows[i].rc, rows[i].name);
			unit_check(rc > 0 || strstr(err.text, rows[i].why), err.text);
			unit_check(shared->shown == (rc == 200), rows[i].name);
			(void)end(state);
		}
	}
	(void)begin(state);
}

static void test_authorities_that_cannot_be_read_are_named(void **state)
{
	static const struct {
		const char *file;
		int rc;
	} rows[] = {{"nothing.pem", -ENOENT}, {"good.key", -EINVAL}};

	(void)state;
	serve("good");
	for (size_t i = 0; i < COUNT(rows); i++) {
		const struct net_tls tls = {.cacert = path_of(rows[i].file)};

		unit_check(ask("127.0.0.1", &tls, NULL) == rows[i].rc, rows[i].file);
		unit_check(strstr(err.text, rows[i].file) != NULL, rows[i].file);
	}
	assert_int_equal(shared->handshakes, 0);
}

static void test_redirect_from_https_to_http_is_refused(void **state)
{
	const struct net_tls tls = {.cacert = path_of("ca.pem")};

	(void)state;
	shared->reply =
		"HTTP/1.1 302 X\r\nLocation: http://127.0.0.1:9/\r\nContent-Length: 0\r\n\r\n";
	serve("good");
	assert_int_equal(ask("127.0.0.1", &tls, NULL), -EBADMSG);
	assert_non_null(strstr(err.text, " redirects from https to http: refused"));
}

static void test_client_certificate_is_for_the_named_server_only(void **state)
{
	const struct net_tls tls = {path_of("ca.pem"), path_of("client.both"), NULL};
	struct tls_server *first = shared;
	struct tls_server *second = unit_map(sizeof(*second));
	SERVER_AUTO struct server there = {0};
	char *reply = unit_map(256);

	(void)state;
	ask_clients_of("ca.pem");
	shared->may_be_none = true;
	*second = *shared;
	shared = second;
	serve("good");
	there = server;
	shared = first;
	(void)snprintf(
		reply, 256,
		"HTTP/1.1 307 X\r\nLocation: https://127.0.0.1:%d/\r\nContent-Length: 0\r\n\r\n",
		there.port);
	shared->reply = reply;
	serve("good");
	assert_int_equal(ask("127.0.0.1", &tls, NULL), 200);
	assert_int_equal(first->shown, 1);
	assert_int_equal(second->requests, 1);
	assert_int_equal(second->shown, 0);
	unit_unmap(second, sizeof(*second));
	unit_unmap(reply, 256);
}

static void test_session_asks_twice_over_one_handshake(void **state)
{
	const struct net_tls tls = {.cacert = path_of("ca.pem")};
	struct net_session *session = net_session_new();

	(void)state;
	shared->stays = true;
	serve("good");
	assert_int_equal(ask("127.0.0.1", &tls, session), 200);
	assert_int_equal(ask("127.0.0.1", &tls, session), 200);
	assert_int_equal(shared->handshakes, 1);
	assert_int_equal(shared->requests, 2);
	net_session_free(&session);
	server_stop(&server);
	assert_int_equal(waitpid(-1, NULL, WNOHANG), -1); /* the helper is gone */
}

/* What was trusted for one is not reused for who trusts another. */
static void test_session_keeps_those_of_other_trust_apart(void **state)
{
	const struct net_tls tls = {.cacert = path_of("ca.pem")};
	const struct net_tls other = {.cacert = path_of("other-ca.pem")};
	struct net_session *session = net_session_new();

	(void)state;
	/* The server serves one at a time: who may not reuse the connection is not answered, as long as it waits. */
	shared->stays = true;
	serve("good");
	assert_int_equal(ask("127.0.0.1", &tls, session), 200);
	assert_true(ask_within(400, "127.0.0.1", &other, session) < 0);
	assert_int_equal(ask("127.0.0.1", &tls, session), 200);
	assert_int_equal(shared->handshakes, 1);
	net_session_free(&session);
}

static void test_connection_that_ended_while_it_waited_is_replaced(void **state)
{
	const struct net_tls tls = {.cacert = path_of("ca.pem")};
	struct net_session *session = net_session_new();

	(void)state;
	shared->cuts = true;
	serve("good");
	for (int i = 0; i < 3; i++) {
		assert_int_equal(ask("127.0.0.1", &tls, session), 200);
		(void)poll(NULL, 0, 20);
	}
	assert_int_equal(shared->handshakes, 3);
	net_session_free(&session);
}

static void test_reply_to_the_end_must_end_inside_tls(void **state)
{
	const struct net_tls tls = {.cacert = path_of("ca.pem")};

	(void)state;
	shared->reply = "HTTP/1.1 200 OK\r\n\r\nwhole";
	serve("good");
	assert_int_equal(ask("127.0.0.1", &tls, NULL), 200);
	server_stop(&server);
	shared->cuts = true;
	serve("good");
	assert_int_equal(ask("127.0.0.1", &tls, NULL), -ECONNRESET);
	assert_non_null(strstr(err.text, "without ending TLS"));
}

static void test_large_bodies_pass_both_ways(void **state)
{
	char *text = unit_map(BIG + 200);
	struct net_request request = {.method = "POST",
				      .tls = {.cacert = path_of("ca.pem")},
				      .content_type = "text/plain",
				      .body = text,
				      .body_size = BIG,
				      .reply_max = REPLY_MAX};
	struct net_reply reply = {0};
	char url[64];
	size_t head;

	(void)state;
	(void)snprintf(text, BIG + 200, "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n", BIG);
	head = strlen(text);
	memset(text + head, 'x', BIG);
	shared->reply = text;
	serve("good");
	(void)snprintf(url, sizeof(url), "https://127.0.0.1:%d/", server.port);
	request.url = url;
	assert_int_equal(net_http(NULL, &request, deadline_in_ms(9000), &reply, NULL), 0);
	assert_int_equal(reply.body_size, BIG);
	assert_memory_equal(reply.body, text + head, BIG);
	assert_true(shared->read > BIG);
	free(reply.body);
	unit_unmap(text, BIG + 200);
}

static void talk_nothing(int fd, void *arg)
{
	char byte;

	(void)arg;
	while (read(fd, &byte, 1) > 0)
		;
}

static void talk_plain(int fd, void *arg)
{
	(void)arg;
	talk_text(fd, "HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n");
}

static void test_silence_ends_at_the_deadline(void **state)
{
	struct net_request request = {.method = "GET", .reply_max = REPLY_MAX};
	struct net_reply reply = {0};
	int64_t start = unit_now_ms();
	char url[64];

	(void)state;
	server_start(&server, talk_nothing, NULL);
	(void)snprintf(url, sizeof(url), "https://127.0.0.1:%d/", server.port);
	request.url = url;
	assert_int_equal(net_http(NULL, &request, deadline_in_ms(300), &reply, &err), -ETIMEDOUT);
	assert_in_range(unit_now_ms() - start, 250, 2000);
	assert_non_null(strstr(err.text, "127.0.0.1:"));
	assert_non_null(strstr(err.text, "no answer in 0.3 s"));
}

static void test_who_speaks_no_tls_is_told_so(void **state)
{
	const struct net_tls tls = {.cacert = path_of("ca.pem")};

	(void)state;
	server_start(&server, talk_plain, NULL);
	assert_int_equal(ask("127.0.0.1", &tls, NULL), -EBADMSG);
	assert_non_null(strstr(err.text, "does not speak TLS"));
}

static void test_refused_connection_is_told_as_without_tls(void **state)
{
	const struct net_tls tls = {.cacert = path_of("ca.pem")};
	char url[64];
	int fd = -1;

	(void)state;
	server_refusing(&fd, url);
	server.port = (int)strtol(strrchr(url, ':') + 1, NULL, 10);
	assert_int_equal(ask("127.0.0.1", &tls, NULL), -ECONNREFUSED);
	assert_non_null(strstr(err.text, url + strlen("http://")));
	(void)close(fd);
}

/* Writes a script that stands in for the helper. */
static void script_helper(const char *text)
{
	folder_write(&folder, "helper", text);
	assert_int_equal(chmod(path_of("helper"), 0700), 0);
	net_tls_set_helper(path_of("helper"));
}

static void test_helper_that_fails_is_an_error(void **state)
{
	const struct net_tls none = {0};

	(void)state;
	net_tls_set_helper("/nonexistent/clevis-tls");
	assert_int_equal(ask("127.0.0.1", &none, NULL), -ENOEXEC);
	assert_non_null(strstr(err.text, "/nonexistent/clevis-tls: No such file"));
	script_helper("#!/bin/sh\nexit 0\n");
	assert_int_equal(ask("127.0.0.1", &none, NULL), -EIO);
	script_helper("#!/bin/sh\nprintf 'half a report' >&4\n");
	assert_int_equal(ask("127.0.0.1", &none, NULL), -EIO);
	net_tls_set_helper("/proc/self/exe");
}

static void test_helper_inherits_two_descriptors_only(void **state)
{
	const struct net_tls none = {0};
	char script[300];
	char seen[300] = "";
	FILE *file;

	(void)state;
	assert_int_equal(dup2(STDERR_FILENO, 77), 77);
	(void)snprintf(script, sizeof(script), "#!/bin/sh\ncd /proc/$$/fd && echo * >%s\n",
		       path_of("seen"));
	script_helper(script);
	(void)ask("127.0.0.1", &none, NULL);
	net_tls_set_helper("/proc/self/exe");
	(void)close(77);
	file = fopen(path_of("seen"), "re");
	assert_non_null(file);
	assert_non_null(fgets(seen, sizeof(seen), file));
	(void)fclose(file);
	assert_non_null(strstr(seen, " 3 4"));
	assert_null(strstr(seen, "77"));
}

static void test_helper_ends_with_its_parent(void **state)
{
	pid_t *helper = unit_map(sizeof(*helper));
	pid_t parent;

	(void)state;
	shared->stays = true;
	serve("good");
	assert_int_equal(prctl(PR_SET_CHILD_SUBREAPER, 1), 0);
	parent = fork();
	if (parent == 0) {
		const struct net_tls tls = {.cacert = path_of("ca.pem")};
		struct net_connection connection = NET_CONNECTION_NONE;
		struct net_url url = {.secure = true, .host = "127.0.0.1"};

		(void)snprintf(url.port, sizeof(url.port), "%d", server.port);
		if (net_tls_open(&url, &tls, deadline_in_ms(5000), &connection, NULL) < 0)
			_exit(EXIT_FAILURE);
		*helper = connection.helper;
		/* As long as somebody has the socket, its end is no reason to end. */
		(void)fork();
		(void)poll(NULL, 0, 2000);
		_exit(EXIT_SUCCESS);
	}
	for (int i = 0; i < 250 && *helper == 0; i++)
		(void)poll(NULL, 0, 20);
	assert_true(*helper > 0);
	(void)kill(parent, SIGKILL);
	(void)waitpid(parent, NULL, 0);
	for (int i = 0; i < 75; i++) {
		if (waitpid(*helper, NULL, WNOHANG) == *helper) {
			*helper = 0;
			break;
		}
		(void)poll(NULL, 0, 20);
	}
	assert_int_equal(*helper, 0);
	unit_unmap(helper, sizeof(*helper));
}

int main(int argc, char *argv[])
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_only_whom_the_authority_vouches_for_is_trusted,
						NULL, end),
		cmocka_unit_test_setup_teardown(
			test_authorities_of_the_pin_count_in_place_of_the_systems, begin, end),
		cmocka_unit_test_setup_teardown(test_an_authority_in_the_middle_is_enough, begin,
						end),
		cmocka_unit_test_setup_teardown(test_old_versions_of_tls_are_refused, begin, end),
		cmocka_unit_test_setup_teardown(test_client_shows_its_certificate_when_asked, NULL,
						end),
		cmocka_unit_test_setup_teardown(test_authorities_that_cannot_be_read_are_named,
						begin, end),
		cmocka_unit_test_setup_teardown(test_redirect_from_https_to_http_is_refused, begin,
						end),
		cmocka_unit_test_setup_teardown(
			test_client_certificate_is_for_the_named_server_only, begin, end),
		cmocka_unit_test_setup_teardown(test_session_asks_twice_over_one_handshake, begin,
						end),
		cmocka_unit_test_setup_teardown(test_session_keeps_those_of_other_trust_apart,
						begin, end),
		cmocka_unit_test_setup_teardown(
			test_connection_that_ended_while_it_waited_is_replaced, begin, end),
		cmocka_unit_test_setup_teardown(test_reply_to_the_end_must_end_inside_tls, begin,
						end),
		cmocka_unit_test_setup_teardown(test_large_bodies_pass_both_ways, begin, end),
		cmocka_unit_test_setup_teardown(test_silence_ends_at_the_deadline, begin, end),
		cmocka_unit_test_setup_teardown(test_who_speaks_no_tls_is_told_so, begin, end),
		cmocka_unit_test_setup_teardown(test_refused_connection_is_told_as_without_tls,
						begin, end),
		cmocka_unit_test_setup_teardown(test_helper_that_fails_is_an_error, begin, end),
		cmocka_unit_test_setup_teardown(test_helper_inherits_two_descriptors_only, begin,
						end),
		cmocka_unit_test_setup_teardown(test_helper_ends_with_its_parent, begin, end),
	};

	if (argc > 2)
		return tls_helper_main(argc, argv);
	unit_begin(argc, argv);
	return cmocka_run_group_tests_name("net/tls", tests, make_certificates,
					   remove_certificates);
}
