/* SPDX-License-Identifier: Apache-2.0 */
/* tangctl status and tangctl keys: what a server's admin process tells, for a person or for a program. */
#include "base/deadline.h"
#include "base/file.h"
#include "base/json.h"
#include "base/log.h"
#include "cmd/tangctl/commands.h"
#include "net/net.h"
#include "tang/admin.h"

#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { HTTP_OK = 200, STATUS_MAX = 4 * 1024 * 1024, ANSWER_MS = 5000 };

enum { MINUTE = 60, HOUR = 60 * MINUTE, DAY = 24 * HOUR };

/* Most characters of a moment or a time span. */
enum { TIME_MAX = 40 };

struct options {
	const char *admin;
	bool json;
};

static const char usage_text[] =
	"Usage: tangctl %s [--admin=ADDRESS] [--json]\n"
	"\n"
	"%s, as the server itself tells:\n"
	"  --admin=ADDRESS  the server's admin socket, a path or HOST:PORT\n"
	"                   (default: " ADMIN_FOLDER "/" ADMIN_SOCKET ")\n"
	"  --json           for a program\n"
	"  -h, --help       show this\n";

/* Returns 0, 1 when an answer was printed and nothing is left to do, -EINVAL after the usage. */
static int read_options(int argc, char *argv[], const char *summary, struct options *options)
{
	static const struct option names[] = {
		{"admin", required_argument, NULL, 'a'},
		{"json", no_argument, NULL, 'j'},
		{"help", no_argument, NULL, 'h'},
		{NULL, 0, NULL, 0},
	};
	int option;

	*options = (struct options){.admin = ADMIN_FOLDER "/" ADMIN_SOCKET};
	while ((option = getopt_long(argc, argv, "h", names, NULL)) != -1) {
		if (option == 'a') {
			options->admin = optarg;
		} else if (option == 'j') {
			options->json = true;
		} else {
			(void)fprintf(option == 'h' ? stdout : stderr, usage_text, argv[0],
				      summary);
			return option == 'h' ? 1 : -EINVAL;
		}
	}
	if (optind == argc)
		return 0;
	(void)fprintf(stderr, usage_text, argv[0], summary);
	return -EINVAL;
}

/* A path, be it with `unix:` before it; NULL: HOST:PORT. */
static const char *path_of(const char *admin)
{
	static const char prefix[] = "unix:";

	if (strncmp(admin, prefix, sizeof(prefix) - 1) == 0)
		return admin + sizeof(prefix) - 1;
	return *admin == '/' || *admin == '.' || !strchr(admin, ':') ? admin : NULL;
}

static int explain(int code, const char *admin, struct error *err)
{
	if (code == -ENOENT || code == -ECONNREFUSED)
		return error_set(
			err, code,
			"no server tells how it is on '%s': is tangd running, with --admin?",
			admin);
	error_prefix(err, "cannot ask the server: ");
	return code;
}

static bool is_clean(const char *text)
{
	FREE_AUTO char *copy = strdup(text);

	if (copy)
		error_sanitise(copy);
	return copy && strcmp(copy, text) == 0;
}

/*
 * Who answers may be somebody else than we think, and a front that somebody has taken over has words in it: what would do more on a terminal
 * than be read is taken out. As deep as json_parse() lets it be.
 */
static int clean(json_t *json)
{
	FREE_AUTO char *copy = json_is_string(json) ? strdup(json_string_value(json)) : NULL;
	const char *key;
	json_t *value;
	void *next;
	size_t i;
	int rc = json_is_string(json) && !copy ? -ENOMEM : 0;

	if (copy) {
		error_sanitise(copy);
		rc = json_string_set(json, copy);
	}
	json_array_foreach(json, i, value) {
		if (rc == 0)
			rc = clean(value);
	}
	json_object_foreach_safe(json, next, key, value) {
		if (rc == 0)
			rc = is_clean(key) ? clean(value) : json_object_del(json, key);
	}
	return rc;
}

/* Asks for `/status`. */
static int ask(const char *admin, json_t **status, struct error *err)
{
	FREE_AUTO char *url = NULL;
	FREE_AUTO char *body = NULL;
	struct net_request request = {
		.method = "GET", .reply_max = STATUS_MAX, .socket = path_of(admin)};
	struct net_reply reply = {0};
	int rc;

	if (asprintf(&url, "http://%s/status", request.socket ? "localhost" : admin) < 0) {
		url = NULL;
		return error_nomem(err);
	}
	request.url = url;
	rc = net_http(NULL, &request, deadline_in_ms(ANSWER_MS), &reply, err);
	if (rc < 0)
		return explain(rc, admin, err);
	body = reply.body;
	if (reply.status != HTTP_OK)
		return error_set(err, -EBADMSG, "%s: the server answered %u", admin, reply.status);
	rc = json_parse(reply.body, reply.body_size, admin, status, err);
	if (rc == 0 && !json_is_object(*status)) {
		json_drop(status);
		rc = error_set(err, -EBADMSG, "%s: this is no server of Tang keys", admin);
	}
	if (rc == 0 && clean(*status) < 0)
		rc = error_nomem(err);
	return rc;
}

static const json_t *at(const json_t *json, const char *first, const char *second)
{
	const json_t *found = json_object_get(json, first);

	return second ? json_object_get(found, second) : found;
}

static json_int_t number(const json_t *json, const char *first, const char *second)
{
	return json_integer_value(at(json, first, second));
}

static const char *text(const json_t *json, const char *first, const char *second)
{
	const char *value = json_string_value(at(json, first, second));

	return value ? value : "";
}

/* A time span in the two largest units that count. */
static void print_span(int64_t seconds, char out[static TIME_MAX])
{
	if (seconds < 0)
		seconds = 0;
	if (seconds < MINUTE)
		(void)snprintf(out, TIME_MAX, "%" PRId64 " s", seconds);
	else if (seconds < HOUR)
		(void)snprintf(out, TIME_MAX, "%" PRId64 " min", seconds / MINUTE);
	else if (seconds < DAY)
		(void)snprintf(out, TIME_MAX, "%" PRId64 " h %" PRId64 " min", seconds / HOUR,
			       seconds % HOUR / MINUTE);
	else
		(void)snprintf(out, TIME_MAX, "%" PRId64 " d %" PRId64 " h", seconds / DAY,
			       seconds % DAY / HOUR);
}

static void print_moment(int64_t seconds, char out[static TIME_MAX])
{
	const time_t moment = seconds;
	struct tm parts;

	if (seconds == 0 || !localtime_r(&moment, &parts) ||
	    strftime(out, TIME_MAX, "%Y-%m-%d %H:%M:%S", &parts) == 0)
		(void)snprintf(out, TIME_MAX, "never");
}

/* `12 × 200, 3 × 404`; `none`. */
static void tell_requests(const char *label, const json_t *statuses)
{
	const char *status;
	const json_t *count;
	const char *between = " ";

	(void)printf("  %-14s", label);
	json_object_foreach((json_t *)statuses, status, count) {
		(void)printf("%s%" JSON_INTEGER_FORMAT " × %s", between, json_integer_value(count),
			     status);
		between = ", ";
	}
	(void)printf("%s\n", json_object_size(statuses) > 0 ? "" : " none");
}

static void tell_sandbox(const json_t *status, const char *process)
{
	const json_t *sandbox = at(status, "sandbox", process);
	const char *missing = text(sandbox, "missing", NULL);

	(void)printf("  %-14s %s%s%s\n", process, text(sandbox, "in_force", NULL),
		     *missing ? "; missing: " : "", missing);
}

static void tell_processes(const json_t *status)
{
	const json_t *processes = at(status, "processes", NULL);

	(void)printf("processes\n"
		     "  front          %" JSON_INTEGER_FORMAT " (%" JSON_INTEGER_FORMAT " died)\n"
		     "  keys           %" JSON_INTEGER_FORMAT " (%" JSON_INTEGER_FORMAT
		     " died), set of keys number %" JSON_INTEGER_FORMAT "\n"
		     "  admin          1 (%" JSON_INTEGER_FORMAT " died)\n",
		     number(processes, "front", "there"), number(processes, "front", "died"),
		     number(processes, "keys", "there"), number(processes, "keys", "died"),
		     number(processes, "generations", NULL), number(processes, "admin", "died"));
}

static void tell_status(const json_t *status)
{
	int64_t started = number(status, "started", NULL);
	const char *complaint = text(status, "complaint", NULL);
	char since[TIME_MAX];
	char span[TIME_MAX];

	print_moment(started, since);
	print_span(started > 0 ? time(NULL) - started : 0, span);
	(void)printf("tangd %s, keys of %s, since %s (%s)\n", text(status, "version", NULL),
		     text(status, "folder", NULL), since, span);
	(void)printf("%s%s\n", *complaint ? "NOT SERVING: " : "serving", complaint);
	if (json_is_true(at(status, "keys_missing", NULL)))
		(void)printf(
			"WARNING: the folder has lost its keys; the last ones stay in service\n");
	if (strcmp(text(status, "state", NULL), "failed") == 0)
		(void)printf("WARNING: the state cannot be written (see the log)\n");
	tell_processes(status);
	(void)printf("requests\n");
	tell_requests("advertisement", at(status, "requests", "advertisement"));
	tell_requests("recovery", at(status, "requests", "recovery"));
	tell_requests("other", at(status, "requests", "other"));
	(void)printf("connections      %" JSON_INTEGER_FORMAT " open, %" JSON_INTEGER_FORMAT
		     " requests wait for the keys, %" JSON_INTEGER_FORMAT
		     " connections were closed for others\n",
		     number(status, "connections", NULL), number(status, "waiting", NULL),
		     number(status, "shed", NULL));
	(void)printf("log              %" JSON_INTEGER_FORMAT " lines lost\n",
		     number(status, "log_lines_lost", NULL));
	(void)printf("sandbox\n");
	tell_sandbox(status, "front");
	tell_sandbox(status, "keys");
	tell_sandbox(status, "admin");
}

static void tell_keys(const json_t *status)
{
	const json_t *key;
	size_t i;

	(void)printf("%-43s  %-8s  %-7s  %10s  %s\n", "KEY", "USE", "STATE", "TIMES", "LAST USED");
	json_array_foreach(at(status, "keys", NULL), i, key) {
		char last[TIME_MAX];

		print_moment(number(key, "last", NULL), last);
		(void)printf("%-43s  %-8s  %-7s  %10" JSON_INTEGER_FORMAT "  %s\n",
			     text(key, "thumbprint", NULL), text(key, "use", NULL),
			     text(key, "state", NULL), number(key, "times", NULL), last);
	}
}

static int print_json(const json_t *json, struct error *err)
{
	FREE_AUTO char *dumped = json ? json_dump_in_order(json) : NULL;

	if (!dumped)
		return json ? error_nomem(err)
			    : error_set(err, -EBADMSG, "the server's answer lacks what was asked");
	(void)printf("%s\n", dumped);
	return 0;
}

int status_main(int argc, char *argv[])
{
	struct options options;
	struct error err = {0};
	JSON_AUTO json_t *status = NULL;
	int rc = read_options(argc, argv, "Tells how a Tang server is", &options);

	if (rc != 0)
		return rc > 0 ? EXIT_SUCCESS : EXIT_FAILURE;
	rc = ask(options.admin, &status, &err);
	if (rc == 0 && options.json)
		rc = print_json(status, &err);
	else if (rc == 0)
		tell_status(status);
	if (rc < 0) {
		log_error("%s", err.text);
		return EXIT_FAILURE;
	}
	return json_is_true(at(status, "serving", NULL)) ? EXIT_SUCCESS : EXIT_FAILURE;
}

int keys_main(int argc, char *argv[])
{
	struct options options;
	struct error err = {0};
	JSON_AUTO json_t *status = NULL;
	int rc = read_options(argc, argv, "Tells how often each key of a Tang server was used",
			      &options);

	if (rc != 0)
		return rc > 0 ? EXIT_SUCCESS : EXIT_FAILURE;
	rc = ask(options.admin, &status, &err);
	if (rc == 0 && options.json)
		rc = print_json(at(status, "keys", NULL), &err);
	else if (rc == 0)
		tell_keys(status);
	if (rc < 0)
		log_error("%s", err.text);
	return rc == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
