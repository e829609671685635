/* SPDX-License-Identifier: Apache-2.0 */
/* tangd/sandbox.c: what each process of the server still can do when it is locked in, because it must. */
#include "certificates.h"

#include "base/file.h"
#include "base/json.h"
#include "jose/ec.h"
#include "jose/jose.h"
#include "tangd/sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <microhttpd.h>
#include <openssl/ssl.h>

enum { LARGE = 64 * 1024 * 1024, PATIENCE_MS = 10000 };

/* Each step of a process that is locked in; what it returns says which one failed. */
#define STEP(condition)                  \
	do {                             \
		if (!(condition))        \
			return __LINE__; \
	} while (0)

/* Ends the child with what it found. The number of a line does not fit into an exit status: it is told. */
static void finish(int line)
{
	if (line != 0)
		(void)fprintf(stderr, "%s:%d: fails inside: %s\n", __FILE__, line, strerror(errno));
	_exit(line != 0 ? EXIT_FAILURE : EXIT_SUCCESS);
}

static int multiplies(void)
{
	SECRET_AUTO struct secret scalar = {0};
	struct jose_point point;
	struct jose_point product;

	STEP(jose_point_generate(jose_curve_named("P-521"), &scalar, &point, NULL) == 0);
	STEP(jose_point_multiply(&scalar, &point, &product, NULL) == 0);
	return 0;
}

/* As malloc(3) and realloc(3) of much do. */
static int takes_memory(void)
{
	/* cppcheck-suppress invalidFunctionArg ; anonymous memory has the descriptor -1 */
	void *memory = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	STEP(memory != MAP_FAILED);
	memory = mremap(memory, 4096, LARGE, MREMAP_MAYMOVE);
	STEP(memory != MAP_FAILED);
	memset(memory, 1, LARGE);
	STEP(munmap(memory, LARGE) == 0);
	memory = malloc(LARGE);
	STEP(memory);
	free(memory);
	return 0;
}

/* What all three need. */
static int lives(void)
{
	char bytes[16];
	struct timespec now;

	STEP(getrandom(bytes, sizeof(bytes), 0) == sizeof(bytes));
	STEP(clock_gettime(CLOCK_MONOTONIC, &now) == 0 && time(NULL) > 0);
	STEP(write(STDERR_FILENO, "", 0) == 0);
	STEP(signal(SIGTERM, SIG_IGN) != SIG_ERR);
	STEP(takes_memory() == 0);
	return multiplies();
}

static int answers_as_keys(int channel)
{
	struct pollfd polled = {channel, POLLIN, 0};
	char message[64];

	STEP(lives() == 0);
	STEP(poll(&polled, 1, PATIENCE_MS) == 1);
	STEP(recv(channel, message, sizeof(message), 0) == 7);
	STEP(send(channel, "product", 7, MSG_NOSIGNAL) == 7);
	return 0;
}

static int take_descriptor(int channel, int *fd)
{
	_Alignas(struct cmsghdr) char control[CMSG_SPACE(sizeof(int))];
	char byte;
	struct iovec text = {&byte, 1};
	struct msghdr message = {.msg_iov = &text,
				 .msg_iovlen = 1,
				 .msg_control = control,
				 .msg_controllen = sizeof(control)};
	struct cmsghdr *part;

	STEP(recvmsg(channel, &message, MSG_CMSG_CLOEXEC) == 1);
	part = CMSG_FIRSTHDR(&message);
	STEP(part && part->cmsg_type == SCM_RIGHTS);
	memcpy(fd, CMSG_DATA(part), sizeof(*fd));
	return 0;
}

/* A new generation arrives: sealed memory of a size that is not told, mapped and read. */
static int takes_a_generation(int channel)
{
	int fd = -1;
	off_t size;
	const char *text;

	STEP(take_descriptor(channel, &fd) == 0);
	STEP(fcntl(fd, F_GET_SEALS) & F_SEAL_WRITE);
	size = lseek(fd, 0, SEEK_END);
	STEP(size == 4096);
	text = mmap(NULL, (size_t)size, PROT_READ, MAP_SHARED, fd, 0);
	STEP(text != MAP_FAILED && strcmp(text, "public") == 0);
	STEP(munmap((void *)(uintptr_t)text, (size_t)size) == 0 && close(fd) == 0);
	STEP(send(channel, "product", 7, MSG_NOSIGNAL) == 7);
	return 0;
}

static int waits_by_epoll(void)
{
	int epoll = epoll_create1(EPOLL_CLOEXEC);
	int timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	int event = eventfd(1, EFD_CLOEXEC | EFD_NONBLOCK);
	const struct itimerspec soon = {.it_value = {.tv_nsec = 1000000}};
	struct epoll_event wanted = {.events = EPOLLIN};
	struct epoll_event got;

	STEP(epoll >= 0 && timer >= 0 && event >= 0);
	STEP(timerfd_settime(timer, 0, &soon, NULL) == 0);
	STEP(epoll_ctl(epoll, EPOLL_CTL_ADD, timer, &wanted) == 0);
	STEP(epoll_wait(epoll, &got, 1, PATIENCE_MS) == 1);
	return 0;
}

static int answers_as_front(int channel)
{
	JSON_AUTO json_t *jwk = json_pack("{s:s}", "kty", "EC");
	FREE_AUTO char *text = json_dumps(jwk, JSON_SORT_KEYS);

	STEP(text);
	STEP(lives() == 0);
	STEP(waits_by_epoll() == 0);
	return takes_a_generation(channel);
}

/* A child that is locked in and does what `answer` says on its end of the channel. */
static pid_t start(int (*lock_in)(struct sandbox *, struct error *), int (*answer)(int),
		   int channel[2])
{
	pid_t self = getpid();
	pid_t child;

	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, channel), 0);
	child = fork();
	assert_true(child >= 0);
	if (child == 0) {
		struct sandbox sandbox;

		unit_child_begin(self);
		(void)close(channel[0]);
		finish(lock_in(&sandbox, NULL) < 0 ? __LINE__ : answer(channel[1]));
	}
	(void)close(channel[1]);
	return child;
}

static void expect_end(pid_t child, int wanted)
{
	int status = 0;

	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, wanted);
}

static void test_keys_multiply_and_answer(void **state)
{
	int channel[2];
	pid_t child = start(keys_sandbox, answers_as_keys, channel);
	char message[64];

	(void)state;
	assert_int_equal(send(channel[0], "request", 7, MSG_NOSIGNAL), 7);
	assert_int_equal(recv(channel[0], message, sizeof(message), 0), 7);
	(void)close(channel[0]);
	expect_end(child, 0);
}

static void send_descriptor(int channel, int fd)
{
	_Alignas(struct cmsghdr) char control[CMSG_SPACE(sizeof(int))] = {0};
	struct iovec text = {(void *)(uintptr_t) "x", 1};
	struct msghdr message = {.msg_iov = &text,
				 .msg_iovlen = 1,
				 .msg_control = control,
				 .msg_controllen = sizeof(control)};
	struct cmsghdr *part = CMSG_FIRSTHDR(&message);

	part->cmsg_level = SOL_SOCKET;
	part->cmsg_type = SCM_RIGHTS;
	part->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(part), &fd, sizeof(int));
	assert_int_equal(sendmsg(channel, &message, MSG_NOSIGNAL), 1);
}

static void test_front_takes_a_new_generation(void **state)
{
	int channel[2];
	pid_t child = start(front_sandbox, answers_as_front, channel);
	int fd = memfd_create("generation", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	char message[64];

	(void)state;
	assert_int_equal(write(fd, "public", 7), 7);
	assert_int_equal(ftruncate(fd, 4096), 0);
	assert_int_equal(fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW), 0);
	send_descriptor(channel[0], fd);
	(void)close(fd);
	assert_int_equal(recv(channel[0], message, sizeof(message), 0), 7);
	(void)close(channel[0]);
	expect_end(child, 0);
}

static int aborts(int channel)
{
	(void)channel;
	abort();
}

static void test_failed_assertion_ends_the_process_as_it_should(void **state)
{
	int channel[2];

	(void)state;
	expect_end(start(keys_sandbox, aborts, channel), SIGABRT);
	(void)close(channel[0]);
	expect_end(start(front_sandbox, aborts, channel), SIGABRT);
	(void)close(channel[0]);
}

/* The HTTP library inside, with and without TLS; a request that is suspended and resumed, as those for keys are. */
struct site {
	int (*lock_in)(struct sandbox *, struct error *);
	struct folder folder;
	bool has_tls;
	bool gone_on;
	struct MHD_Daemon *daemon;
	struct MHD_Connection *waiting;
};

static enum MHD_Result answer(void *arg, struct MHD_Connection *connection, const char *url,
			      const char *method, const char *version, const char *data,
			      size_t *size, void **context)
{
	static char body[] = "answer";
	struct site *site = arg;
	struct MHD_Response *response;
	enum MHD_Result result;

	(void)url;
	(void)method;
	(void)version;
	(void)data;
	if (*size > 0 || !*context) {
		*context = site;
		*size = 0;
		return MHD_YES;
	}
	if (!site->gone_on) {
		site->gone_on = true;
		site->waiting = connection;
		MHD_suspend_connection(connection);
		return MHD_YES;
	}
	response = MHD_create_response_from_buffer(strlen(body), body, MHD_RESPMEM_PERSISTENT);
	result = MHD_queue_response(connection, MHD_HTTP_OK, response);
	MHD_destroy_response(response);
	site->gone_on = false;
	return result;
}

static char *read_from(const struct site *site, const char *name)
{
	char *text = calloc(1, 8192);
	int fd = openat(site->folder.fd, name, O_RDONLY | O_CLOEXEC);

	if (!text || read(fd, text, 8191) <= 0)
		finish(__LINE__);
	(void)close(fd);
	return text;
}

static struct MHD_Daemon *start_site(struct site *site, int listener)
{
	unsigned flags = MHD_USE_EPOLL | MHD_ALLOW_SUSPEND_RESUME |
			 (site->has_tls ? MHD_USE_TLS : 0);
	struct MHD_OptionItem tls[] = {
		{MHD_OPTION_END, 0, NULL}, {MHD_OPTION_END, 0, NULL}, {MHD_OPTION_END, 0, NULL}};

	if (site->has_tls) {
		tls[0] = (struct MHD_OptionItem){MHD_OPTION_HTTPS_MEM_KEY, 0,
						 read_from(site, "site.key")};
		tls[1] = (struct MHD_OptionItem){MHD_OPTION_HTTPS_MEM_CERT, 0,
						 read_from(site, "site.pem")};
	}
	return MHD_start_daemon(flags, 0, NULL, NULL, answer, site, MHD_OPTION_LISTEN_SOCKET,
				listener, MHD_OPTION_CONNECTION_TIMEOUT, 60, MHD_OPTION_ARRAY, tls,
				MHD_OPTION_END);
}

static int turn(struct site *site, struct pollfd *polled)
{
	STEP(poll(polled, 1, 5) >= 0);
	STEP(MHD_run(site->daemon) == MHD_YES);
	if (site->waiting) {
		MHD_resume_connection(site->waiting);
		site->waiting = NULL;
		STEP(MHD_run(site->daemon) == MHD_YES);
	}
	return 0;
}

static int serve_site(struct site *site, int listener)
{
	struct sandbox sandbox;
	struct pollfd polled = {-1, POLLIN, 0};
	int line = 0;

	site->daemon = start_site(site, listener);
	STEP(site->daemon);
	polled.fd = MHD_get_daemon_info(site->daemon, MHD_DAEMON_INFO_EPOLL_FD)->epoll_fd;
	STEP(site->lock_in(&sandbox, NULL) == 0);
	while (line == 0)
		line = turn(site, &polled);
	return line;
}

static BIO *connect_to(int port, SSL_CTX *context)
{
	char address[32];
	BIO *bio;

	(void)snprintf(address, sizeof(address), "127.0.0.1:%d", port);
	if (!context)
		bio = BIO_new_connect(address);
	else
		bio = BIO_new_ssl_connect(context);
	assert_non_null(bio);
	(void)BIO_set_conn_hostname(bio, address);
	return bio;
}

/* Asks twice on each of several connections. */
static void ask_site(int port, bool has_tls)
{
	static const char request[] =
		"POST /rec/x HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\n\r\nbody";
	SSL_CTX *context = has_tls ? SSL_CTX_new(TLS_client_method()) : NULL;

	for (int i = 0; i < 6; i++) {
		BIO *bio = connect_to(port, context);
		char text[1024];
		size_t got = 0;

		for (int again = 0; again < 2; again++) {
			got = 0;
			assert_int_equal(BIO_write(bio, request, sizeof(request) - 1),
					 sizeof(request) - 1);
			do {
				int more = BIO_read(bio, text + got, (int)(sizeof(text) - 1 - got));

				assert_true(more > 0);
				got += (size_t)more;
				text[got] = '\0';
			} while (!strstr(text, "answer"));
			assert_non_null(strstr(text, "200 OK"));
		}
		BIO_free_all(bio);
	}
	SSL_CTX_free(context);
}

static void check_site(int (*lock_in)(struct sandbox *, struct error *), bool has_tls)
{
	const struct certificate certificate = {"site", NULL, "IP:127.0.0.1", -60, 3600, NULL};
	struct site site = {.lock_in = lock_in, .has_tls = has_tls};
	pid_t self = getpid();
	int port = 0;
	int listener = server_listen(&port);
	pid_t child;

	folder_make(&site.folder);
	certificate_make(&site.folder, &certificate);
	child = fork();
	assert_true(child >= 0);
	if (child == 0) {
		unit_child_begin(self);
		finish(serve_site(&site, listener));
	}
	(void)close(listener);
	ask_site(port, has_tls);
	(void)kill(child, SIGTERM);
	expect_end(child, SIGTERM);
	folder_remove(&site.folder);
}

static void test_front_serves_http(void **state)
{
	(void)state;
	check_site(front_sandbox, false);
}

static void test_front_serves_https(void **state)
{
	(void)state;
	if (MHD_is_feature_supported(MHD_FEATURE_TLS) != MHD_YES)
		unit_skip("the HTTP library has no TLS");
	check_site(front_sandbox, true);
}

static void test_admin_serves_http(void **state)
{
	(void)state;
	check_site(admin_sandbox, false);
}

int main(int argc, char *argv[])
{
	const struct CMUnitTest cases[] = {
		cmocka_unit_test(test_keys_multiply_and_answer),
		cmocka_unit_test(test_front_takes_a_new_generation),
		cmocka_unit_test(test_failed_assertion_ends_the_process_as_it_should),
		cmocka_unit_test(test_front_serves_http),
		cmocka_unit_test(test_front_serves_https),
		cmocka_unit_test(test_admin_serves_http),
	};

	unit_begin(argc, argv);
	(void)signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests_name("tangd_sandboxed", cases, NULL, NULL);
}
