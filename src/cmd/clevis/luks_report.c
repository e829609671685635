/* SPDX-License-Identifier: Apache-2.0 */
/* clevis luks report: which keys that a slot was bound to are no longer advertised by their servers. */
#include "base/file.h"
#include "base/json.h"
#include "base/log.h"
#include "cmd/clevis/args.h"
#include "cmd/clevis/commands.h"
#include "cmd/clevis/rebind.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>

struct options {
	struct rebinding rebinding;
	bool regenerate;
	bool json;
};

static int usage(bool asked)
{
	(void)fprintf(
		stderr,
		"Usage: clevis luks report [-q] [-r] [-y] [--json] -d DEV -s SLT [--timeout SEC]\n\n"
		"Report tang keys' rotations\n\n"
		"  -d DEV  The LUKS device to check for key rotations\n\n"
		"  -s SLT  The LUKS slot to use\n\n"
		"  -q      Quiet mode; do not prompt for using 'clevis luks regen'\n\n"
		"  -r      Regenerate binding with 'clevis luks regen -q -d DEV -s SLT'\n\n"
		"  -y      With -r: trust new keys though none that was trusted signed them\n\n"
		"  --json         Print what was found as JSON, and regenerate nothing\n"
		"  --timeout SEC  Give up after SEC seconds (default: 30)\n");
	return asked ? EXIT_SUCCESS : EXIT_FAILURE;
}

static int read_options(int argc, char *argv[], struct options *options, struct error *err)
{
	static const struct option long_options[] = {{"json", no_argument, NULL, 'j'}, {0}};
	const char *slot = NULL;
	int option;

	while ((option = getopt_long(argc, argv, "hqryd:s:", long_options, NULL)) != -1) {
		if (option == 'd')
			options->rebinding.device = optarg;
		else if (option == 's')
			slot = optarg;
		else if (option == 'q')
			options->rebinding.quiet = true;
		else if (option == 'r')
			options->regenerate = true;
		else if (option == 'y')
			options->rebinding.yes = true;
		else if (option == 'j')
			options->json = true;
		else
			return usage(option == 'h') + 1;
	}
	if (options->rebinding.device && slot && optind == argc) {
		options->rebinding.slot = args_number(slot, "slot", err);
		return options->rebinding.slot < 0 ? options->rebinding.slot : 0;
	}
	if (!options->rebinding.device || !slot)
		(void)fprintf(stderr, "Did not specify a %s!\n\n",
			      options->rebinding.device ? "slot" : "device");
	return usage(false) + 1;
}

/* Prints what is missing, of each server. Returns how many keys. */
static size_t print_missing(const json_t *leaves)
{
	const json_t *leaf;
	const json_t *thumbprint;
	size_t count = 0;
	size_t i;
	size_t j;

	json_array_foreach(leaves, i, leaf) {
		const json_t *missing = json_object_get(leaf, "missing");

		if (json_array_size(missing) > 0)
			(void)printf(
				"The following keys are not in the current advertisement and were "
				"probably rotated:\n");
		json_array_foreach(missing, j, thumbprint) {
			(void)printf("  %s\n", json_string_value(thumbprint));
			count++;
		}
	}
	return count;
}

static size_t print_json(const json_t *leaves)
{
	FREE_AUTO char *text = json_dump_in_order(leaves);
	const json_t *leaf;
	size_t count = 0;
	size_t i;

	(void)printf("%s\n", text ? text : "[]");
	json_array_foreach(leaves, i, leaf) {
		count += json_array_size(json_object_get(leaf, "missing"));
	}
	return count;
}

/* Returns 0 when all is well or is again; 1 when keys are missing; negative with `err` filled. */
static int report(struct options *options, struct error *err)
{
	__attribute__((cleanup(bound_free))) struct bound bound = {0};
	JSON_AUTO json_t *leaves = NULL;
	struct pin_context context = args_context(false, err);
	bool regenerate = options->regenerate;
	int rc = rebind_read(&options->rebinding, &bound, err);

	if (rc == 0)
		rc = pin_rotated(&context, bound.jwe, &leaves);
	if (rc < 0)
		return rc;
	if ((options->json ? print_json(leaves) : print_missing(leaves)) == 0)
		return 0;
	if (!regenerate && !options->rebinding.quiet && !options->json)
		regenerate =
			rebind_ask(
				"Do you want to regenerate the binding with 'clevis luks regen'? "
				"[ynYN] ") > 0;
	if (!regenerate || options->json)
		return 1;
	options->rebinding.quiet = true;
	return luks_regen(&options->rebinding, err);
}

int luks_report_main(int argc, char *argv[])
{
	struct options options = {.rebinding.slot = -1};
	struct error err = {0};
	int rc = read_options(argc, argv, &options, &err);

	if (rc > 0)
		return rc - 1;
	if (rc == 0)
		rc = report(&options, &err);
	if (rc >= 0)
		return rc == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
	(void)fflush(stdout);
	log_error("%s", err.text);
	if (options.rebinding.slot >= 0)
		(void)fprintf(stderr, "Unable to verify whether there are rotated keys\n");
	return EXIT_FAILURE;
}
