/* SPDX-License-Identifier: Apache-2.0 */
/* clevis luks regen: binds a slot anew, by the same configuration and to the keys that its servers have now. */
#include "base/log.h"
#include "cmd/clevis/args.h"
#include "cmd/clevis/commands.h"
#include "cmd/clevis/rebind.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>

static int usage(bool asked)
{
	(void)fprintf(
		stderr,
		"Usage: clevis luks regen [-q] [-y] [--unproved] -d DEV -s SLT [--timeout SEC]\n\n"
		"Regenerate clevis binding\n\n"
		"  -d DEV  The LUKS device on which to perform rebinding\n\n"
		"  -s SLT  The LUKS slot to use\n\n"
		"  -q      Do not prompt for confirmation, nor for trust\n\n"
		"  -y      Trust the servers' new keys though none that was trusted signed them\n\n"
		"  --unproved     Go on though the servers do not answer\n"
		"  --timeout SEC  Give up after SEC seconds (default: 30)\n");
	return asked ? EXIT_SUCCESS : EXIT_FAILURE;
}

static int read_options(int argc, char *argv[], struct rebinding *rebinding, struct error *err)
{
	static const struct option long_options[] = {{"unproved", no_argument, NULL, 'U'}, {0}};
	const char *slot = NULL;
	int option;

	while ((option = getopt_long(argc, argv, "hqyd:s:", long_options, NULL)) != -1) {
		if (option == 'd')
			rebinding->device = optarg;
		else if (option == 's')
			slot = optarg;
		else if (option == 'q')
			rebinding->quiet = true;
		else if (option == 'y')
			rebinding->yes = true;
		else if (option == 'U')
			rebinding->unproved = true;
		else
			return usage(option == 'h') + 1;
	}
	if (rebinding->device && slot && optind == argc) {
		rebinding->slot = args_number(slot, "slot", err);
		return rebinding->slot < 0 ? rebinding->slot : 0;
	}
	if (!rebinding->device || !slot)
		(void)fprintf(stderr, "Did not specify a %s!\n\n",
			      rebinding->device ? "slot" : "device");
	return usage(false) + 1;
}

int luks_regen(const struct rebinding *rebinding, struct error *err)
{
	__attribute__((cleanup(bound_free))) struct bound bound = {0};
	int rc = rebind_read(rebinding, &bound, err);

	if (rc < 0)
		return rc;
	(void)printf("Regenerating binding (device %s, slot %d):\n", rebinding->device,
		     rebinding->slot);
	rebind_print(&bound);
	if (!rebinding->quiet) {
		rc = rebind_ask("Do you want to proceed? [ynYN] ");
		if (rc < 0)
			return error_set(err, rc,
					 "standard input is at its end: nobody said yes; -q does "
					 "not ask");
		if (rc == 0)
			return 0;
	}
	rc = rebind_apply(rebinding, &bound, bound.config, err);
	if (rc == 0)
		(void)printf("Binding regenerated successfully\n");
	return rc;
}

int luks_regen_main(int argc, char *argv[])
{
	struct rebinding rebinding = {.slot = -1};
	struct error err = {0};
	int rc = read_options(argc, argv, &rebinding, &err);

	if (rc > 0)
		return rc - 1;
	if (rc == 0)
		rc = luks_regen(&rebinding, &err);
	if (rc == 0)
		return EXIT_SUCCESS;
	(void)fflush(stdout);
	log_error("%s", err.text);
	if (rebinding.slot >= 0)
		(void)fprintf(stderr, "Unable to regenerate binding in %s:%d\n", rebinding.device,
			      rebinding.slot);
	return EXIT_FAILURE;
}
