/* SPDX-License-Identifier: Apache-2.0 */
/* clevis luks unbind: removes a binding from a device: its keyslot, and what bound it. */
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
	(void)fprintf(stderr,
		      "Usage: clevis luks unbind [-f] -d DEV -s SLT [--timeout SEC]\n\n"
		      "Unbinds a pin bound to a LUKS volume\n\n"
		      "  -d DEV  The bound LUKS device\n\n"
		      "  -s SLT  The LUKS slot number for the pin to unbind\n\n"
		      "  -f      Do not ask for confirmation\n\n"
		      "  --timeout SEC  How long to wait for another command that is at work\n"
		      "                 on the device (default: 30)\n");
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

/*
 * Says with 0 that the keyslot has a binding; with 1 that it has none and is free, but there are tokens whose keyslot
 * was removed by other means: one of them may have been its; or, on LUKS1, what was to take its place.
 */
static int find_bound(struct luks_device *device, int keyslot, struct error *err)
{
	struct error why = {0};
	int rc = luks_check_bound(device, keyslot, &why);

	if (rc == -ENOENT && luks_is_free_keyslot(device, keyslot) &&
	    luks_count_orphans(device) > 0)
		return 1;
	return rc < 0 ? error_set(err, rc, "No clevis slot detected on device %s:%d! (%s)",
				  luks_path(device), keyslot, why.text)
		      : 0;
}

/* Returns 1 to go on, 0 when the person says no, negative with `err` filled. */
static int confirm(const struct options *options, const char *question, struct error *err)
{
	int rc = options->force ? 1 : args_confirm(question, err);

	if (rc < 0)
		error_prefix(err, "unbinding needs a confirmation, or -f: ");
	return rc;
}

static int unbind_keyslot(const struct options *options, struct luks_device *device, int keyslot,
			  struct error *err)
{
	char question[1024];
	int rc;

	if (luks_is_last_keyslot(device, keyslot))
		(void)snprintf(question, sizeof(question),
			       "Keyslot %d is the last one of %.256s. Without it nothing opens the "
			       "device any more:\nALL DATA ON IT IS LOST FOR EVER.\nDo you wish to "
			       "erase LUKS slot %d on %.256s all the same? [ynYN] ",
			       keyslot, options->device, keyslot, options->device);
	else
		(void)snprintf(
			question, sizeof(question),
			"The unbind operation wipes keyslot %d of %.256s. This operation is "
			"unrecoverable.\nDo you wish to erase LUKS slot %d on %.256s? [ynYN] ",
			keyslot, options->device, keyslot, options->device);
	rc = confirm(options, question, err);
	return rc > 0 ? luks_unbind(device, keyslot, args_deadline(), err) : rc;
}

static int remove_orphans(const struct options *options, struct luks_device *device, int keyslot,
			  struct error *err)
{
	char question[1024];
	int count = luks_count_orphans(device);
	int rc;

	(void)snprintf(
		question, sizeof(question),
		"Slot %d of %.256s has no keyslot any more, but %d token%s of Clevis %s left "
		"behind, which open%s nothing.\nDo you wish to remove %s? [ynYN] ",
		keyslot, options->device, count, count == 1 ? "" : "s", count == 1 ? "is" : "are",
		count == 1 ? "s" : "", count == 1 ? "it" : "them");
	rc = confirm(options, question, err);
	if (rc > 0)
		rc = luks_remove_orphans(device, args_deadline(), err);
	return rc < 0 ? rc : 0;
}

static int unbind(const struct options *options, struct error *err)
{
	struct luks_device *device = NULL;
	int keyslot = args_number(options->slot, "slot", err);
	int rc = keyslot < 0 ? keyslot : luks_open(options->device, &device, err);

	if (rc == 0)
		rc = find_bound(device, keyslot, err);
	if (rc >= 0)
		rc = rc == 0 ? unbind_keyslot(options, device, keyslot, err)
			     : remove_orphans(options, device, keyslot, err);
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
