/* SPDX-License-Identifier: Apache-2.0 */
/* tang-show-keys: the thumbprints of a server's signing keys, or of those in a folder. */
#include "base/deadline.h"
#include "base/file.h"
#include "base/json.h"
#include "base/log.h"
#include "cmd/tangctl/commands.h"
#include "jose/thumbprint.h"
#include "net/net.h"
#include "tang/advertisement.h"
#include "tang/folder.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { HTTP_OK = 200, PORT_MAX = 65535 };

struct options {
	const char *where;
	const char *endpoint;
	int64_t timeout_ms;
};

static const char usage_text[] =
	"Usage: tang-show-keys [--timeout=SECONDS] [PORT [ENDPOINT]]\n"
	"       tang-show-keys [--timeout=SECONDS] HOST[:PORT] | URL [ENDPOINT]\n"
	"       tang-show-keys DIR\n"
	"\n"
	"Prints the thumbprints of the signing keys that a Tang server advertises (default:\n"
	"port 80 of this machine), or of those advertised in the folder DIR:\n"
	"  --timeout=SECONDS  wait for the server no longer than this (at most 10, the default)\n"
	"  -h, --help         show this\n";

static bool is_port(const char *text)
{
	return *text && !text[strspn(text, "0123456789")];
}

static bool is_folder(const char *where)
{
	struct stat st;

	if (is_port(where) || strstr(where, "://"))
		return false;
	return *where == '/' || *where == '.' || (stat(where, &st) == 0 && S_ISDIR(st.st_mode));
}

/* The server's URL: of a port, a host with or without one, or as it is. */
static int make_base(const char *where, char **base, struct error *err)
{
	const char *colon = strchr(where, ':');
	unsigned long number = strtoul(where, NULL, 10); /* too large a one is the largest */
	int rc;

	if (is_port(where) && (number < 1 || number > PORT_MAX))
		return error_set(err, -EINVAL, "'%s' is not a port (1 … %d)", where, PORT_MAX);
	if (is_port(where))
		rc = asprintf(base, "http://localhost:%s", where);
	else if (strstr(where, "://"))
		rc = asprintf(base, "%s", where);
	else if (*where != '[' && colon && strchr(colon + 1, ':'))
		rc = asprintf(base, "http://[%s]", where); /* an IPv6 address alone */
	else
		rc = asprintf(base, "http://%s", where);
	if (rc < 0) {
		*base = NULL;
		return error_nomem(err);
	}
	return 0;
}

/* Length of a text without the slashes at its end. */
static int bare_length(const char *text)
{
	size_t length = strlen(text);

	while (length > 0 && text[length - 1] == '/')
		length--;
	return (int)length;
}

static int make_url(const struct options *options, char **url, struct error *err)
{
	const char *endpoint = options->endpoint ? options->endpoint : "";
	FREE_AUTO char *base = NULL;
	int rc = make_base(options->where, &base, err);

	if (rc < 0)
		return rc;
	endpoint += strspn(endpoint, "/");
	rc = asprintf(url, "%.*s%s%.*s/adv", bare_length(base), base, *endpoint ? "/" : "",
		      bare_length(endpoint), endpoint);
	if (rc < 0) {
		*url = NULL;
		return error_nomem(err);
	}
	return 0;
}

static void add_thumbprint(const char *thumbprint, void *list)
{
	(void)json_array_append_new(list, json_string(thumbprint));
}

static int verify(const struct net_reply *reply, const char *url, json_t *list, struct error *err)
{
	JSON_AUTO json_t *jws = NULL;
	JSON_AUTO json_t *key_set = NULL;
	int rc;

	if (reply->status != HTTP_OK)
		return error_set(err, -EBADMSG, "%s: the server answered %u", url, reply->status);
	rc = json_parse(reply->body, reply->body_size, url, &jws, err);
	if (rc < 0)
		return rc;
	rc = tang_advertisement_verify(jws, &key_set, err);
	if (rc < 0) {
		error_prefix(err, "%s: ", url);
		return rc;
	}
	tang_each_signing_thumbprint(key_set, add_thumbprint, list);
	return json_array_size(list) > 0 ? 0 : error_nomem(err);
}

static int ask_server(const struct options *options, json_t *list, struct error *err)
{
	FREE_AUTO char *url = NULL;
	FREE_AUTO char *body = NULL;
	struct net_request request = {.method = "GET", .reply_max = TANG_ADVERTISEMENT_MAX};
	struct net_reply reply = {0};
	int rc = make_url(options, &url, err);

	if (rc < 0)
		return rc;
	request.url = url;
	/* A proxy would ask itself. */
	if (is_port(options->where))
		(void)setenv("no_proxy", "localhost", 1);
	rc = net_http(NULL, &request, deadline_in_ms(options->timeout_ms), &reply, err);
	if (rc < 0) {
		error_prefix(err, "%s: ", url);
		return rc;
	}
	body = reply.body;
	return verify(&reply, url, list, err);
}

/* Adds the thumbprint of a key file if the server would sign with it. */
static int read_signing_key(int folder_fd, const char *name, json_t *list, struct error *err)
{
	JSON_AUTO json_t *jwk = NULL;
	char thumbprint[JOSE_THUMBPRINT_MAX];
	int rc = tang_folder_read(folder_fd, name, &jwk, err);

	if (rc < 0 || !tang_is_signing_key(jwk))
		return rc;
	rc = json_object_get(jwk, "d") ? tang_check_key(jwk, err)
				       : error_set(err, -EINVAL, "it has no private part");
	if (rc == 0)
		rc = jose_thumbprint(jwk, JOSE_S256, thumbprint, err);
	if (rc == 0)
		add_thumbprint(thumbprint, list);
	return rc;
}

static int read_folder(const char *path, json_t *list, struct error *err)
{
	FD_AUTO int folder_fd = tang_folder_open(path, err);
	TANG_NAMES_AUTO struct tang_names names = {0};
	struct error why = {0};
	int rc = folder_fd < 0 ? folder_fd : tang_folder_list(folder_fd, &names, err);

	if (rc < 0)
		return rc;
	for (size_t i = 0; i < names.count; i++) {
		if (!tang_is_hidden(names.name[i]) &&
		    read_signing_key(folder_fd, names.name[i], list, &why) < 0)
			log_warning("%s/%s is left out: %s", path, names.name[i], why.text);
	}
	if (json_array_size(list) == 0)
		return error_set(err, -ENOENT, "there is no signing key advertised in '%s'", path);
	return 0;
}

/* One alone stands without a newline: that is what scripts know. */
static void print(const json_t *list)
{
	const char *end = json_array_size(list) > 1 ? "\n" : "";
	const json_t *thumbprint;
	size_t i;

	json_array_foreach(list, i, thumbprint) {
		(void)printf("%s%s", json_string_value(thumbprint), end);
	}
}

static int usage_error(void)
{
	(void)fputs(usage_text, stderr);
	return -EINVAL;
}

/* Returns 0, 1 when an answer was printed and nothing is left to do, -EINVAL after a message. */
static int read_options(int argc, char *argv[], struct options *options)
{
	static const struct option names[] = {
		{"timeout", required_argument, NULL, 't'},
		{"help", no_argument, NULL, 'h'},
		{NULL, 0, NULL, 0},
	};
	int option;

	while ((option = getopt_long(argc, argv, "h", names, NULL)) != -1) {
		if (option == 'h') {
			(void)fputs(usage_text, stdout);
			return 1;
		}
		if (option != 't')
			return usage_error();
		if (deadline_parse_seconds(optarg, NET_REQUEST_MS / 1000, &options->timeout_ms) <
		    0) {
			log_error("--timeout '%s' is not a number of seconds from 0.001 to %d",
				  optarg, NET_REQUEST_MS / 1000);
			return usage_error();
		}
	}
	if (argc - optind > 2)
		return usage_error();
	if (optind < argc)
		options->where = argv[optind];
	options->endpoint = optind + 1 < argc ? argv[optind + 1] : NULL;
	return 0;
}

int show_keys_main(int argc, char *argv[])
{
	struct options options = {.where = "80", .timeout_ms = NET_REQUEST_MS};
	JSON_AUTO json_t *list = json_array();
	struct error err = {0};
	int rc = read_options(argc, argv, &options);

	if (rc != 0)
		return rc > 0 ? EXIT_SUCCESS : EXIT_FAILURE;
	if (!is_folder(options.where)) {
		rc = ask_server(&options, list, &err);
	} else if (options.endpoint) {
		(void)usage_error();
		return EXIT_FAILURE;
	} else {
		rc = read_folder(options.where, list, &err);
	}
	if (rc < 0) {
		log_error("%s", err.text);
		return net_is_unreachable(rc) ? EXIT_NO_SERVER : EXIT_FAILURE;
	}
	print(list);
	return EXIT_SUCCESS;
}
