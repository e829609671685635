/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Cuts the power in every way that the record of a command allows (see epochs.c for the disk that is modelled), or kills the
 * command itself at random moments; looks at what is left (check.c); and runs the command once more, after which nothing stray may be left.
 *
 * The command is run again on each state that behaves differently from those before, and on some of the others. Prints one line of
 * numbers; what was lost goes to standard error. Exit status: 0; 1 when something was lost or left behind; 2 for trouble.
 */
#include "again.h"
#include "check.h"
#include "epochs.h"

#include "base/error.h"

#include <errno.h>
#include <getopt.h>
#include <regex.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { EXIT_LOST = 1, SHOWN_MAX = 20, SAID_MAX = 200 };

/* Of states that behave alike, the first and then one of so many is run again. */
enum { AGAIN_EVERY = 1000 };

/* Killed and resumed a few times to learn how long the command takes. */
enum { TIMED_RUNS = 3 };

struct simulation {
	struct image image;
	struct checker checker;
	struct epochs_limits limits;
	const char *keep; /* folder for states that are bad; NULL: they are not kept */
	unsigned least;	  /* how many bindings must open in each state */
	int more;	  /* how many bindings the finished command adds */
	int kills;	  /* kill it so often instead */
	regex_t refusal;  /* what a run may say that finds its work done or impossible */
	char *const *command;
	struct table behaviours;
	unsigned resumed;
	unsigned
		midway; /* killed when the disk was not as before, nor as it is after the command */
	unsigned killed;
	unsigned losses;
	unsigned strays;
};

static void keep_image(const struct simulation *simulation, const char *kind, unsigned number)
{
	char path[4096];
	FILE *file;

	if (!simulation->keep)
		return;
	(void)snprintf(path, sizeof(path), "%s/%s-%u.img", simulation->keep, kind, number);
	file = fopen(path, "we");
	if (!file || fwrite(simulation->image.content, simulation->image.size, 1, file) != 1 ||
	    fclose(file) != 0)
		die("cannot write", path);
}

static void report(struct simulation *simulation, size_t epoch, const char *what, const char *when,
		   unsigned *counter)
{
	const char *kind = counter == &simulation->losses ? "loss" : "stray";

	if (++*counter > SHOWN_MAX)
		return;
	(void)fprintf(stderr, "# %s %u, epoch %zu, %s: %s\n", kind, *counter, epoch, when, what);
	keep_image(simulation, kind, *counter);
}

/* After the command has run again on a state that was fit to be found. */
static void judge_again(struct simulation *simulation, size_t epoch, const struct verdict *before,
			const struct again *again)
{
	struct verdict after = check_state(&simulation->checker, simulation->least);
	bool refused = again->status > 0 &&
		       regexec(&simulation->refusal, again->said, 0, NULL, 0) == 0;
	unsigned base = simulation->checker.base_opening;
	unsigned wanted = simulation->more > 0 ? before->bindings + 1
					       : base - (unsigned)-simulation->more;

	if (after.loss)
		report(simulation, epoch, after.loss, "after one more run", &simulation->losses);
	else if (again->status != 0 && !refused)
		report(simulation, epoch, again->said, "one more run fails", &simulation->strays);
	else if (after.stray)
		report(simulation, epoch, after.stray, "after one more run", &simulation->strays);
	else if (!refused && after.opening != wanted)
		report(simulation, epoch, "another number of bindings than the command makes",
		       "after one more run", &simulation->strays);
}

static void resume(struct simulation *simulation, size_t epoch, const struct verdict *before)
{
	struct again again;

	simulation->image.is_foreign = true;
	again = run_command(simulation->command, 0);
	simulation->resumed++;
	judge_again(simulation, epoch, before, &again);
}

static void renew_header(struct simulation *simulation)
{
	for (int i = 0; i < PARTS_MAX; i++)
		image_renew(&simulation->image, simulation->checker.parts[i].at,
			    simulation->checker.parts[i].size);
}

static void visit(void *arg, size_t epoch)
{
	struct simulation *simulation = arg;
	bool is_new = true;
	intptr_t *seen;
	struct verdict verdict;

	renew_header(simulation);
	verdict = check_state(&simulation->checker, simulation->least);
	if (verdict.loss) {
		report(simulation, epoch, verdict.loss, "at the cut", &simulation->losses);
		return;
	}
	seen = table_at(&simulation->behaviours, verdict.behaviour, &is_new);
	if ((*seen)++ % AGAIN_EVERY != 0)
		return;
	renew_header(simulation);
	resume(simulation, epoch, &verdict);
	image_renew_all(&simulation->image);
}

static void visit_nothing(void *arg, size_t epoch)
{
	(void)arg;
	(void)epoch;
}

/* Leaves the image as a cut behind so many epochs would. */
static void leave(struct simulation *simulation, const char *record, const char *epochs)
{
	struct epochs_counts counts = {0};

	simulation->limits.stop = strtoul(epochs, NULL, 10);
	simulation->limits.enumerated = simulation->limits.sampled = 0;
	epochs_visit(&simulation->image, record, &simulation->limits, visit_nothing, NULL, &counts);
}

static void simulate(struct simulation *simulation, const char *record, const char *final)
{
	struct epochs_counts counts = {0};
	size_t size = 0;
	unsigned char *left;

	epochs_visit(&simulation->image, record, &simulation->limits, visit, simulation, &counts);
	left = image_read_file(final, &size);
	errno = 0;
	if (size != simulation->image.size || memcmp(left, simulation->image.content, size) != 0)
		die("the record does not lead to what the command left", final);
	free(left);
	(void)printf("writes %zu, epochs %zu (%zu sampled, seed %llu), states %zu, resumed %u, "
		     "losses %u, strays %u\n",
		     counts.writes, counts.epochs, counts.sampled,
		     (unsigned long long)simulation->limits.seed, counts.states,
		     simulation->resumed, simulation->losses, simulation->strays);
}

static bool is_changed(const struct simulation *simulation)
{
	size_t size = 0;
	unsigned char *now = image_read_file(simulation->image.path, &size);
	bool changed = memcmp(now, simulation->image.content, simulation->image.size) != 0;

	free(now);
	return changed;
}

static int time_command(struct simulation *simulation)
{
	int longest = 1;

	for (int i = 0; i < TIMED_RUNS; i++) {
		struct again again = run_command(simulation->command, 0);

		if (again.status != 0)
			die("the command fails", again.said);
		if (again.microseconds > longest)
			longest = again.microseconds;
		image_renew_all(&simulation->image);
	}
	return longest;
}

static void kill_once(struct simulation *simulation, int after)
{
	struct again again;
	struct verdict verdict;

	simulation->image.is_foreign = true;
	again = run_command(simulation->command, after);
	simulation->killed += again.status < 0;
	simulation->midway += again.status < 0 && is_changed(simulation);
	verdict = check_state(&simulation->checker, simulation->least);
	if (verdict.loss)
		report(simulation, 0, verdict.loss, "killed", &simulation->losses);
	else
		resume(simulation, 0, &verdict);
	image_renew_all(&simulation->image);
}

static void kill_often(struct simulation *simulation)
{
	int longest = time_command(simulation);

	srand((unsigned)simulation->limits.seed);
	for (int i = 0; i < simulation->kills; i++)
		kill_once(simulation,
			  1 + rand() % longest); /* NOLINT(cert-msc30-c,cert-msc50-cpp) */
	(void)printf("runs %d, killed %u, of them midway %u (seed %llu), resumed %u, losses %u, "
		     "strays %u\n",
		     simulation->kills, simulation->killed, simulation->midway,
		     (unsigned long long)simulation->limits.seed, simulation->resumed,
		     simulation->losses, simulation->strays);
}

enum {
	BASE,
	FINAL,
	KEEP,
	KILLS,
	DROP,
	LEAVE,
	MORE,
	PASS,
	RECORD,
	REFUSAL,
	SAMPLES,
	SEED,
	IMAGE,
	TYPE,
	OPTIONS
};

static const struct option long_options[] = {
	{"base", required_argument, NULL, BASE},     /* the disk before the command */
	{"record", required_argument, NULL, RECORD}, /* of the command */
	{"final", required_argument, NULL, FINAL},   /* the disk after it */
	{"image", required_argument, NULL, IMAGE},   /* the disk that the command is told */
	{"pass", required_argument, NULL, PASS},     /* file with the person's passphrase */
	{"type", required_argument, NULL, TYPE},     /* luks1, luks2 */
	{"more", required_argument, NULL,
	 MORE}, /* bindings that the command adds; -1: takes away */
	{"refusal", required_argument, NULL, REFUSAL}, /* see struct simulation */
	{"kill", required_argument, NULL, KILLS},      /* so often, instead of cutting the power */
	{"samples", required_argument, NULL, SAMPLES},
	{"seed", required_argument, NULL, SEED},
	{"keep", required_argument, NULL, KEEP},
	{"leave", required_argument, NULL,
	 LEAVE}, /* no cut: only leave the image as it is behind so many epochs */
	{"drop-flushes", no_argument, NULL, DROP},
	{0}};

static void read_options(int argc, char *argv[], const char *values[static OPTIONS])
{
	int option;

	while ((option = getopt_long(argc, argv, "+", long_options, NULL)) >= 0) {
		if (option == '?')
			exit(EXIT_FAILURE + 1);
		values[option] = optarg ? optarg : "";
	}
	if (!values[BASE] || !values[IMAGE] || !values[PASS] || !values[TYPE] ||
	    (!values[KILLS] && (!values[RECORD] || !values[FINAL])) || optind == argc)
		die("an option or the command is missing", argv[0]);
}

static long number(const char *text, long otherwise)
{
	return text ? strtol(text, NULL, 10) : otherwise;
}

static void set_up(struct simulation *simulation, const char *const values[static OPTIONS])
{
	const struct format *format = format_find(values[TYPE]);

	simulation->limits = (struct epochs_limits){
		.enumerated = 4096,
		.sampled = (size_t)number(values[SAMPLES], 2000),
		.seed = (uint64_t)number(values[SEED], 12),
		.drop_flushes = values[DROP]};
	simulation->keep = values[KEEP];
	simulation->more = (int)number(values[MORE], 0);
	simulation->kills = (int)number(values[KILLS], 0);
	if (!format)
		die("a format that cannot be checked here", values[TYPE]);
	if (regcomp(&simulation->refusal, values[REFUSAL] ? values[REFUSAL] : "^$",
		    REG_EXTENDED | REG_NOSUB) != 0)
		die("no expression", values[REFUSAL]);
	image_open(&simulation->image, values[IMAGE], values[BASE]);
	check_base(&simulation->checker, format, &simulation->image, values[PASS]);
	simulation->least = simulation->checker.base_opening;
	if (simulation->more < 0)
		simulation->least -= (unsigned)-simulation->more;
}

int main(int argc, char *argv[])
{
	static struct simulation simulation;
	const char *values[OPTIONS] = {0};

	read_options(argc, argv, values);
	simulation.command = argv + optind;
	set_up(&simulation, values);
	if (simulation.kills > 0)
		kill_often(&simulation);
	else if (values[LEAVE])
		leave(&simulation, values[RECORD], values[LEAVE]);
	else
		simulate(&simulation, values[RECORD], values[FINAL]);
	return simulation.losses + simulation.strays > 0 ? EXIT_LOST : EXIT_SUCCESS;
}
