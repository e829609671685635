/* SPDX-License-Identifier: Apache-2.0 */
/* tangd: the arguments, and which way to serve. Also answers to the names tangd-keygen and tangd-rotate-keys. */
#include "base/error.h"
#include "base/file.h"
#include "base/json.h"
#include "base/log.h"
#include "base/secret.h"
#include "tangd/keygen.h"
#include "tangd/listen.h"
#include "tangd/manager.h"
#include "tangd/rotate.h"
#include "tangd/serve.h"
#include "tangd/supervisor.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { EXIT_CANNOT_LISTEN = 255 };

struct options {
	bool listen;
	const char *address;
	const char *port;
	char *endpoint;
	const char *folder;
};

static const char usage_text[] =
	"Usage: tangd [-e ENDPOINT] DIR\n"
	"       tangd -l [-a ADDRESS] [-p PORT] [-e ENDPOINT] DIR\n"
	"\n"
	"Serves the Tang keys in the folder DIR: one connection on standard input and output, or:\n"
	"  -l, --listen             stand alone and listen\n"
	"  -a, --address=ADDRESS    listen on this address only (default: all of IPv4 and IPv6)\n"
	"  -p, --port=PORT          listen on this port (default: 9090; 0: any free one)\n"
	"  -e, --endpoint=ENDPOINT  serve below the path /ENDPOINT\n"
	"  -v, --version            show the version\n"
	"  -h, --help               show this\n";

static const struct option long_options[] = {
	{"listen", no_argument, NULL, 'l'},
	{"address", required_argument, NULL, 'a'},
	{"port", required_argument, NULL, 'p'},
	{"endpoint", required_argument, NULL, 'e'},
	{"version", no_argument, NULL, 'v'},
	{"help", no_argument, NULL, 'h'},
	{NULL, 0, NULL, 0},
};

static int usage_error(void)
{
	(void)fputs(usage_text, stderr);
	return -EINVAL;
}

static int take_port(const char *text, struct options *options)
{
	char *end = NULL;
	unsigned long number = strtoul(text, &end, 10);

	if (*text < '0' || *text > '9' || *end != '\0' || number > 65535) {
		log_error("'%s' is not a port (0 … 65535)", text);
		return usage_error();
	}
	options->port = text;
	return 0;
}

/* Slashes around the endpoint, given or not, mean nothing. */
static int take_endpoint(const char *text, struct options *options)
{
	size_t length;

	text += strspn(text, "/");
	length = strlen(text);
	while (length > 0 && text[length - 1] == '/')
		length--;
	free(options->endpoint);
	options->endpoint = strndup(text, length);
	return options->endpoint ? 0 : -ENOMEM;
}

/* Returns 0, 1 when an answer was printed and nothing is left to do, or a negative code after a message. */
static int take_option(int option, struct options *options)
{
	switch (option) {
	case 'l':
		options->listen = true;
		return 0;
	case 'a':
		options->address = optarg;
		return 0;
	case 'p':
		return take_port(optarg, options);
	case 'e':
		return take_endpoint(optarg, options);
	case 'v':
		(void)fprintf(stderr, "tangd %s\n", NBDE_VERSION);
		return 1;
	case 'h':
		(void)fputs(usage_text, stderr);
		return 1;
	default:
		return usage_error();
	}
}

static int read_arguments(int argc, char *argv[], struct options *options)
{
	int option;
	int rc = 0;

	while (rc == 0 && (option = getopt_long(argc, argv, "la:p:e:vh", long_options, NULL)) != -1)
		rc = take_option(option, options);
	if (rc != 0)
		return rc;
	if (optind != argc - 1)
		return usage_error();
	options->folder = argv[optind];
	return 0;
}

static int refresh(void *keys, const struct public_keys **public_keys, struct error *err)
{
	return keys_refresh(keys, public_keys, err);
}

static void exchange(void *keys, const struct key_request *request, struct key_reply *reply)
{
	keys_answer(keys, request, reply);
}

/* One connection: the keys are read by this process. */
static int serve_one(const struct options *options, struct error *err)
{
	struct keys *keys = NULL;
	struct front front = {.endpoint = options->endpoint ? options->endpoint : "",
			      .refresh = refresh,
			      .exchange = exchange};
	int rc = keys_open(options->folder, &keys, err);

	front.keys = keys;
	if (rc == 0)
		rc = serve_stdio(&front, err);
	keys_free(&keys);
	return rc == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

static int serve_all(const struct options *options, struct error *err)
{
	const struct supervisor_options daemon = {
		.folder = options->folder, .endpoint = options->endpoint ? options->endpoint : ""};
	struct keys *keys = NULL;
	int fds[LISTEN_SOCKETS_MAX];
	int count;

	/* Only to see whether it is there. */
	if (keys_open(options->folder, &keys, err) < 0)
		return EXIT_FAILURE;
	keys_free(&keys);
	count = manager_sockets(fds, err);
	if (count == 0)
		count = listen_open(options->address, options->port, fds, err);
	if (count < 0)
		return EXIT_CANNOT_LISTEN;
	return supervisor_run(&daemon, fds, count, err) == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

static int serve(const struct options *options, struct error *err)
{
	return options->listen ? serve_all(options, err) : serve_one(options, err);
}

/* Programs that this one is, too, under their names. */
static const struct other {
	const char *name;
	int (*main)(int argc, char *argv[]);
} others[] = {
	{"tangd-keygen", keygen_main},
	{"tangd-rotate-keys", rotate_main},
};

static const struct other *called_as(const char *path)
{
	const char *slash = strrchr(path, '/');

	for (size_t i = 0; i < sizeof(others) / sizeof(*others); i++) {
		if (strcmp(slash ? slash + 1 : path, others[i].name) == 0)
			return &others[i];
	}
	return NULL;
}

int main(int argc, char *argv[])
{
	struct options options = {.port = "9090"};
	struct error err = {0};
	const struct other *other = argc > 0 ? called_as(argv[0]) : NULL;
	int status = EXIT_SUCCESS;
	int rc;

	fd_take_standard();
	log_open(other ? other->name : "tangd");
	json_wipe_on_free();
	if (secret_harden_process(&err) < 0)
		log_warning("%s", err.text);
	if (other)
		return other->main(argc, argv);
	rc = read_arguments(argc, argv, &options);
	if (rc == 0) {
		err = (struct error){0};
		status = serve(&options, &err);
		if (err.code < 0)
			log_error("%s", err.text);
	} else if (rc < 0) {
		status = EXIT_FAILURE;
	}
	free(options.endpoint);
	return status;
}
