/* SPDX-License-Identifier: Apache-2.0 */
/* clevis luks unbind: removes a binding from a device, keyslot and token. */
#include "base/log.h"
#include "cmd/clevis/args.h"
#include "cmd/clevis/commands.h"
#include "luks/luks.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

struct options {
	const char *device;
	const char *slot;
	bool force;
};

static int usage(void)
{
	(void)fprintf(stderr, "Usage: clevis luks unbind [-f] -d DEV -s SLT\n\n"
			      "Unbinds a pin bound to a LUKS volume\n\n"
			      "  -d DEV  The bound LUKS device\n\n"
			      "  -s SLT  The LUKS slot number for the pin to unbind\n\n"
			      "  -f      Do not ask for confirmation\n");
	return EXIT_USAGE;
}

static int read_options(int argc, char *argv[], struct options *options)
{
	int option;

	while ((option = getopt(argc, argv, "hfd:s:")) != -1) {
		if (option == 'd')
			options->device = optarg;
		else if (option == 's')
			options->slot = optarg;
		else if (option == 'f')
			options->force = true;
		else
			return usage();
	}
	if (options->device && options->slot && optind == argc)
		return 0;
	if (options->device && options->slot)
		return usage();
	(void)fprintf(stderr, "Did not specify a %s!\n\n", options->device ? "slot" : "device");
	return usage();
}

static int check_bound(struct luks_device *device, int keyslot, struct error *err)
{
	struct error why = {0};
	int rc = luks_check_bound(device, keyslot, &why);

	return rc < 0 ? error_set(err, rc, "No clevis slot detected on device %s:%d! (%s)",
				  luks_path(device), keyslot, why.text)
		      : 0;
}

/* Returns 1 to go on, 0 when the person says no, negative with `err` filled. */
static int confirm(const struct options *options, int keyslot, struct error *err)
{
	char question[1024];
	int rc;

	if (options->force)
		return 1;
	(void)snprintf(question, sizeof(question),
		       "The unbind operation wipes keyslot %d of %.256s. This operation is "
		       "unrecoverable.\nDo you wish to erase LUKS slot %d on %.256s? [ynYN] ",
		       keyslot, options->device, keyslot, options->device);
	rc = args_confirm(question, err);
	if (rc < 0)
		error_prefix(err, "unbinding needs a confirmation, or -f: ");
	return rc;
}

static int unbind(const struct options *options, struct error *err)
{
	struct luks_device *device = NULL;
	int keyslot = args_number(options->slot, "slot", err);
	int rc = keyslot < 0 ? keyslot : luks_open(options->device, &device, err);

	if (rc == 0)
		rc = check_bound(device, keyslot, err);
	if (rc == 0)
		rc = confirm(options, keyslot, err);
	if (rc > 0)
		rc = luks_unbind(device, keyslot, err);
	luks_close(&device);
	return rc;
}

int luks_unbind_main(int argc, char *argv[])
{
	struct options options = {0};
	struct error err = {0};
	int rc = read_options(argc, argv, &options);

	if (rc != 0)
		return rc;
	if (unbind(&options, &err) == 0)
		return EXIT_SUCCESS;
	log_error("%s", err.text);
	return EXIT_FAILURE;
}
