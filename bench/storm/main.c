/* SPDX-License-Identifier: Apache-2.0 */
/* storm: loads a key server as a data centre does, and says what came of it. */
#include "multiply.h"
#include "questions.h"
#include "swarm.h"
#include "tally.h"
#include "usage.h"

#include "base/file.h"
#include "base/json.h"
#include "base/log.h"
#include "net/url.h"

#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { POOL = 256, ATTEMPT_MS = 10000, MULTIPLY_MS = 300, EXIT_USAGE = 2 };

struct options {
	const struct mode *mode;
	const char *url;
	unsigned nodes;
	unsigned seconds;
	unsigned attempt_s;
	pid_t server;
	bool fresh;
	bool advertisements;
};

struct mode {
	const char *name;
	enum swarm_goal goal;
	unsigned nodes;	  /* unless told otherwise */
	unsigned seconds; /* likewise */
};

static const struct mode modes[] = {
	{"load", SWARM_ASK_ON, 32, 5},
	{"boot", SWARM_ONE, 10000, 120},
	{"idle", SWARM_ONE_STAY, 10000, 120},
};

static const char usage_text[] =
	"Usage: storm load [-f] [-a] [-n NODES] [-s SECONDS] [-t SECONDS] [-p PID] URL\n"
	"       storm boot [-f] [-a] [-n NODES] [-s SECONDS] [-t SECONDS] [-p PID] URL\n"
	"       storm idle [-a] [-n NODES] [-s SECONDS] [-t SECONDS] [-p PID] URL\n"
	"       storm multiply\n"
	"\n"
	"load: each node asks one question after another. boot: all nodes at once, until each has its\n"
	"answer. idle: the same, and all stay connected. multiply: what one multiplication takes.\n"
	"  -f          a new connection for each question, not one a node\n"
	"  -a          asks for advertisements, not for recoveries\n"
	"  -n NODES    how many (load: 32; else 10000)\n"
	"  -s SECONDS  how long (load: 5), or when nodes without answer give up (120)\n"
	"  -t SECONDS  how long one attempt may take (10)\n"
	"  -p PID      of the server: what it and its children take is told, too\n"
	"URL is http://IPV4[:PORT][/PATH]. Recoveries are verified.\n";

static int usage_error(const char *why)
{
	(void)fprintf(stderr, "storm: %s\n%s", why, usage_text);
	return EXIT_USAGE;
}

static bool read_number(const char *text, unsigned most, unsigned *number)
{
	char *end;
	unsigned long read = strtoul(text, &end, 10);

	if (*end || end == text || *text == '-' || read < 1 || read > most)
		return false;
	*number = (unsigned)read;
	return true;
}

static bool take_option(int option, struct options *options)
{
	unsigned pid = 0;

	switch (option) {
	case 'f':
		options->fresh = true;
		return true;
	case 'a':
		options->advertisements = true;
		return true;
	case 'n':
		return read_number(optarg, SWARM_NODES_MAX, &options->nodes);
	case 's':
		return read_number(optarg, 3600, &options->seconds);
	case 't':
		return read_number(optarg, 3600, &options->attempt_s);
	case 'p':
		if (!read_number(optarg, INT32_MAX, &pid))
			return false;
		options->server = (pid_t)pid;
		return true;
	default:
		return false;
	}
}

static bool find_mode(const char *name, struct options *options)
{
	for (size_t i = 0; i < sizeof(modes) / sizeof(*modes); i++) {
		if (strcmp(name, modes[i].name) == 0) {
			options->mode = &modes[i];
			options->nodes = modes[i].nodes;
			options->seconds = modes[i].seconds;
		}
	}
	return options->mode;
}

static int read_arguments(int argc, char *argv[], struct options *options)
{
	int option;

	if (argc < 2 || !find_mode(argv[1], options))
		return usage_error("load, boot, idle or multiply?");
	optind = 2;
	while ((option = getopt(argc, argv, "fan:s:t:p:")) != -1)
		if (!take_option(option, options))
			return usage_error("not an option, or not its value");
	if (optind != argc - 1)
		return usage_error("one URL, please");
	options->url = argv[optind];
	return 0;
}

static int read_server(const char *text, struct sockaddr_in *server, struct error *err)
{
	struct net_url url;
	unsigned port = 0;
	int rc = net_url_parse(text, &url, err);

	if (rc < 0)
		return rc;
	*server = (struct sockaddr_in){.sin_family = AF_INET};
	if (url.secure || inet_pton(AF_INET, url.host, &server->sin_addr) != 1 ||
	    !read_number(url.port, UINT16_MAX, &port))
		return error_set(err, -EINVAL, "%s is not http://IPV4[:PORT][/PATH]", text);
	server->sin_port = htons((uint16_t)port);
	return 0;
}

static int multiply(enum jose_curve_id curve, struct error *err)
{
	double us = 0;
	int rc = multiply_cost(curve, MULTIPLY_MS, &us, err);

	if (rc == 0)
		(void)printf("multiplication_us %.2f\n", us);
	return rc;
}

/* What stays of the connections once all is said: only in `idle` any. */
static int print_open(struct swarm *swarm, const struct options *options, struct error *err)
{
	struct usage usage;
	int rc;

	if (options->mode->goal != SWARM_ONE_STAY)
		return 0;
	(void)printf("open %u\n", swarm_open(swarm));
	if (options->server <= 0)
		return 0;
	rc = usage_of(options->server, &usage, err);
	if (rc == 0)
		(void)printf("open_memory_kb %lld\nmemory_is_resident %d\nopen_processes %u\n",
			     (long long)usage.memory_kb, usage.is_resident, usage.processes);
	return rc;
}

static int run_swarm(const struct options *options, const struct swarm_plan *plan,
		     struct tally *tally, struct error *err)
{
	struct swarm *swarm = NULL;
	int rc = swarm_new(plan, &swarm, err);

	if (rc == 0)
		rc = swarm_run(swarm, tally, err);
	if (rc == 0)
		rc = print_open(swarm, options, err);
	swarm_free(&swarm);
	return rc;
}

/* The swarm between two looks at the server, and the yardstick before and after, for a machine's speed changes. */
static int measure(const struct options *options, const struct swarm_plan *plan,
		   struct tally *tally, struct error *err)
{
	struct usage before = {0};
	struct usage after = {0};
	int rc;

	if (options->server <= 0)
		return run_swarm(options, plan, tally, err);
	rc = multiply(plan->questions->curve, err);
	if (rc == 0)
		rc = usage_of(options->server, &before, err);
	if (rc == 0)
		rc = run_swarm(options, plan, tally, err);
	if (rc == 0)
		rc = usage_settled(options->server, &before, &after, err);
	if (rc == 0)
		rc = multiply(plan->questions->curve, err);
	if (rc == 0)
		(void)printf("cpu_ms %lld\nmemory_kb %lld\n",
			     (long long)(after.cpu_ms - before.cpu_ms), (long long)after.memory_kb);
	return rc;
}

static int run(const struct options *options, struct tally *tally, struct error *err)
{
	struct questions questions = {0};
	struct swarm_plan plan = {.questions = &questions,
				  .nodes = options->nodes,
				  .goal = options->mode->goal,
				  .fresh = options->fresh,
				  .limit_ms = (int64_t)options->seconds * 1000,
				  .attempt_ms = (int64_t)options->attempt_s * 1000};
	int rc = read_server(options->url, &plan.server, err);

	if (rc == 0)
		rc = questions_fetch(options->url, options->advertisements ? 0 : POOL, &questions,
				     err);
	if (rc == 0)
		rc = measure(options, &plan, tally, err);
	questions_free(&questions);
	return rc;
}

/* All were answered, or with `load` anybody; and nothing that was answered was wrong. */
static bool is_well(const struct tally *tally)
{
	return tally->count > 0 && tally->unanswered == 0 && tally->failure[TALLY_WRONG] == 0;
}

int main(int argc, char *argv[])
{
	struct options options = {.attempt_s = ATTEMPT_MS / 1000};
	struct tally tally = {0};
	struct error err = {0};
	int rc;

	fd_take_standard();
	log_open("storm");
	if (argc == 2 && strcmp(argv[1], "multiply") == 0) {
		rc = multiply(JOSE_P521, &err);
	} else {
		rc = read_arguments(argc, argv, &options);
		if (rc > 0)
			return rc;
		rc = run(&options, &tally, &err);
		if (rc == 0)
			tally_print(&tally);
		rc = rc == 0 && !is_well(&tally) ? 1 : rc;
	}
	tally_free(&tally);
	if (rc < 0)
		log_error("%s", err.text);
	return rc == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
