/* SPDX-License-Identifier: Apache-2.0 */
#include "tangd/options.h"

#include "base/log.h"
#include "tang/admin.h"
#include "tangd/generation.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char usage_text[] =
	"Usage: tangd [-e ENDPOINT] DIR\n"
	"       tangd -l [-a ADDRESS]… [-p PORT] [-e ENDPOINT] [--user=NAME]\n"
	"             [--tls-cert=FILE --tls-key=FILE] [--admin=ADDRESS] [--state=FOLDER]\n"
	"             [--fronts=N] [--workers=N] DIR\n"
	"\n"
	"Serves the Tang keys in the folder DIR: one connection on standard input and output, or:\n"
	"  -l, --listen             stand alone and listen\n"
	"  -a, --address=ADDRESS    listen on this address only, a host or the path of a UNIX socket\n"
	"                           (several: -a again; default: all of IPv4 and IPv6)\n"
	"  -p, --port=PORT          listen on this port (default: 9090; 0: any free one)\n"
	"  -e, --endpoint=ENDPOINT  serve below the path /ENDPOINT\n"
	"  --admin=ADDRESS          tell how the server is on this address: /PATH or HOST:PORT\n"
	"  --state=FOLDER           keep in this folder what is to outlive the server\n"
	"  --fronts=N               processes that read the network (default: 1)\n"
	"  --workers=N              processes that hold the keys (default: one a processor)\n"
	"  --tls-cert=FILE          speak TLS with this certificate (PEM, with those above it) …\n"
	"  --tls-key=FILE           … and its key (PEM)\n"
	"  --user=NAME              started by root: become this user (default: the owner of DIR)\n"
	"  -v, --version            show the version\n"
	"  -h, --help               show this\n";

enum long_only {
	OPTION_ADMIN = 256,
	OPTION_STATE,
	OPTION_FRONTS,
	OPTION_WORKERS,
	OPTION_TLS_CERT,
	OPTION_TLS_KEY,
	OPTION_USER
};

static const struct option long_options[] = {
	{"listen", no_argument, NULL, 'l'},
	{"address", required_argument, NULL, 'a'},
	{"port", required_argument, NULL, 'p'},
	{"endpoint", required_argument, NULL, 'e'},
	{"admin", required_argument, NULL, OPTION_ADMIN},
	{"state", required_argument, NULL, OPTION_STATE},
	{"fronts", required_argument, NULL, OPTION_FRONTS},
	{"workers", required_argument, NULL, OPTION_WORKERS},
	{"tls-cert", required_argument, NULL, OPTION_TLS_CERT},
	{"tls-key", required_argument, NULL, OPTION_TLS_KEY},
	{"user", required_argument, NULL, OPTION_USER},
	{"version", no_argument, NULL, 'v'},
	{"help", no_argument, NULL, 'h'},
	{NULL, 0, NULL, 0},
};

static int usage_error(void)
{
	(void)fputs(usage_text, stderr);
	return -EINVAL;
}

static int take_address(const char *text, struct options *options)
{
	if (options->addresses == LISTEN_SOCKETS_MAX) {
		log_error("more than %d addresses", LISTEN_SOCKETS_MAX);
		return usage_error();
	}
	options->address[options->addresses++] = text;
	return 0;
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

static int take_number(const char *text, const char *of, int most, int *number)
{
	char *end = NULL;
	unsigned long read = strtoul(text, &end, 10);

	if (*text < '0' || *text > '9' || *end != '\0' || read < 1 || read > (unsigned long)most) {
		log_error("'%s' is no number of %s (1 … %d)", text, of, most);
		return usage_error();
	}
	*number = (int)read;
	return 0;
}

static int take_text(const char *text, char **place)
{
	free(*place);
	*place = strdup(text);
	return *place ? 0 : -ENOMEM;
}

static int take_admin(const char *text, struct options *options)
{
	int rc = take_text(text, &options->admin);

	if (rc == 0 && strcmp(text, "none") == 0) {
		free(options->admin);
		options->admin = NULL;
	}
	return rc;
}

/* The first of the folders, separated by colons, that the service manager has made for us; 0: none. */
static int first_folder(const char *variable, const char **folder)
{
	const char *text = getenv(variable);

	*folder = text;
	return text && *text == '/' ? (int)strcspn(text, ":") : 0;
}

static int take_environment(struct options *options)
{
	const char *folder;
	int length = first_folder("STATE_DIRECTORY", &folder);

	if (length > 0 && !(options->state = strndup(folder, (size_t)length)))
		return -ENOMEM;
	length = first_folder("RUNTIME_DIRECTORY", &folder);
	if (length > 0 && asprintf(&options->admin, "%.*s/" ADMIN_SOCKET, length, folder) < 0) {
		options->admin = NULL;
		return -ENOMEM;
	}
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
		return take_address(optarg, options);
	case 'p':
		return take_port(optarg, options);
	case 'e':
		return take_endpoint(optarg, options);
	case OPTION_ADMIN:
		return take_admin(optarg, options);
	case OPTION_STATE:
		return take_text(optarg, &options->state);
	case OPTION_FRONTS:
		return take_number(optarg, "fronts", FRONTS_MAX, &options->fronts);
	case OPTION_WORKERS:
		return take_number(optarg, "keys processes", GENERATION_WORKERS_MAX,
				   &options->workers);
	case OPTION_TLS_CERT:
		options->tls_certificate = optarg;
		return 0;
	case OPTION_TLS_KEY:
		options->tls_key = optarg;
		return 0;
	case OPTION_USER:
		options->user = optarg;
		return 0;
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

/*
 * The name of an option that is passed over without -l: nobody should believe that it counts. -p and -e are not among them, which the
 * peers take.
 */
static const char *only_listening(int option)
{
	if (option != 'a' && option < OPTION_ADMIN)
		return NULL;
	for (const struct option *known = long_options; known->name; known++)
		if (known->val == option)
			return known->name;
	return NULL;
}

/* All of them together; `listens` is the name of one that only_listening() told, or NULL. */
static int check(const struct options *options, int folders, const char *listens)
{
	if (folders != 1)
		log_error("%s", folders == 0 ? "the folder of the keys is missing"
					     : "there is one folder of keys only");
	else if (!options->tls_certificate != !options->tls_key)
		log_error("--tls-cert and --tls-key belong together");
	else if (listens && !options->listen)
		log_error("--%s is of use with -l only", listens);
	else
		return 0;
	return usage_error();
}

int options_read(int argc, char *argv[], struct options *options)
{
	const char *listens = NULL;
	int option;
	int rc;

	*options = (struct options){.port = "9090"};
	rc = take_environment(options);
	while (rc == 0 &&
	       (option = getopt_long(argc, argv, "la:p:e:vh", long_options, NULL)) != -1) {
		rc = take_option(option, options);
		if (!listens)
			listens = only_listening(option);
	}
	if (rc == 0)
		rc = check(options, argc - optind, listens);
	if (rc != 0)
		return rc;
	options->folder = argv[optind];
	return 0;
}

void options_free(struct options *options)
{
	free(options->endpoint);
	free(options->admin);
	free(options->state);
	*options = (struct options){0};
}
