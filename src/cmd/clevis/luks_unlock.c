/* SPDX-License-Identifier: Apache-2.0 */
/* clevis luks unlock: maps a device by the first of its bindings that opens. */
#include "base/file.h"
#include "base/log.h"
#include "cmd/clevis/args.h"
#include "cmd/clevis/commands.h"
#include "luks/luks.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

struct options {
	const char *device;
	const char *name;
	const char *test_slot;
};

static int usage(void)
{
	(void)fprintf(stderr,
		      "Usage: clevis luks unlock -d DEV [-n NAME] [-t SLT] [--timeout SEC]\n\n"
		      "Unlocks a LUKS volume\n\n"
		      "  -d DEV  The LUKS device to unlock\n\n"
		      "  -n NAME The name of the unlocked device node (default: luks-UUID)\n\n"
		      "  -t SLT  Test the slot without unlocking the device\n\n"
		      "  --timeout SEC  Give up after SEC seconds (default: 30)\n");
	return EXIT_USAGE;
}

static int read_options(int argc, char *argv[], struct options *options)
{
	int option;

	while ((option = getopt(argc, argv, "hd:n:t:")) != -1) {
		if (option == 'd')
			options->device = optarg;
		else if (option == 'n')
			options->name = optarg;
		else if (option == 't')
			options->test_slot = optarg;
		else
			return usage();
	}
	if (options->device && optind == argc)
		return 0;
	if (options->device)
		return usage();
	(void)fprintf(stderr, "Did not specify a device!\n\n");
	return usage();
}

static void warn(const struct error *why)
{
	log_warning("%s", why->text);
}

static int unlock_open(struct luks_device *device, const struct options *options, int slot,
		       struct error *err)
{
	struct pin_context context = args_context(false, err);
	FREE_AUTO char *default_name = NULL;
	const char *name = options->name;

	if (options->test_slot)
		return luks_unlock(device, &context, NULL, slot, warn);
	if (!name) {
		if (asprintf(&default_name, "luks-%s", luks_uuid(device)) < 0) {
			default_name = NULL;
			return error_nomem(err);
		}
		name = default_name;
	}
	return luks_unlock(device, &context, name, -1, warn);
}

static int unlock(const struct options *options, struct error *err)
{
	struct luks_device *device = NULL;
	int slot = options->test_slot ? args_number(options->test_slot, "slot", err) : -1;
	int rc = err->code < 0 ? err->code : luks_open(options->device, &device, err);

	if (rc == 0)
		rc = unlock_open(device, options, slot, err);
	luks_close(&device);
	return rc;
}

int luks_unlock_main(int argc, char *argv[])
{
	struct options options = {0};
	struct error err = {0};
	int rc = read_options(argc, argv, &options);

	if (rc != 0)
		return rc;
	if (unlock(&options, &err) >= 0)
		return EXIT_SUCCESS;
	log_error("%s", err.text);
	if (options.test_slot)
		(void)fprintf(stderr, "Test for token slot %s on device %s failed.\n",
			      options.test_slot, options.device);
	else
		(void)fprintf(stderr, "%s could not be opened.\n", options.device);
	return EXIT_FAILURE;
}
