/* SPDX-License-Identifier: Apache-2.0 */
/* clevis luks unlock: maps devices, each by any of its bindings. */
#include "base/file.h"
#include "base/log.h"
#include "cmd/clevis/args.h"
#include "cmd/clevis/commands.h"
#include "cmd/clevis/unlock.h"
#include "luks/luks.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { OPTION_ALL = 256, OPTION_HEADER };

struct options {
	struct unlocking unlocking;
	bool all;
	size_t count;
	const char **devices;
};

static int usage(void)
{
	(void)fprintf(
		stderr,
		"Usage: clevis luks unlock -d DEV… | --all [-n NAME] [-t SLT] [-o OPTS] [--header FILE]\n"
		"       [--timeout SEC]\n\n"
		"Unlocks a LUKS volume\n\n"
		"  -d DEV  The LUKS device to unlock; may be repeated\n\n"
		"  --all   Every locked LUKS block device that has a binding\n\n"
		"  -n NAME The name of the unlocked device node (default: luks-UUID)\n\n"
		"  -t SLT  Test the slot without unlocking the device\n\n"
		"  -o OPTS Options of 'cryptsetup open', between spaces\n\n"
		"  --header FILE  Where the header is, when it is not on the device\n"
		"  --timeout SEC  Give up after SEC seconds (default: 30)\n");
	return EXIT_USAGE;
}

/* Only one device can have the name, or the header. */
static bool fits(const struct options *options)
{
	bool many = options->all || options->count > 1;

	return !(options->all && options->count > 0) &&
	       !(many && (options->unlocking.name || options->unlocking.header));
}

static int set_option(int option, struct options *options)
{
	struct error err = {0};

	switch (option) {
	case 'd':
		options->devices[options->count++] = optarg;
		return 0;
	case OPTION_ALL:
		options->all = true;
		return 0;
	case 'n':
		options->unlocking.name = optarg;
		return 0;
	case 't':
		options->unlocking.slot = optarg;
		options->unlocking.test = true;
		return 0;
	case OPTION_HEADER:
		options->unlocking.header = optarg;
		return 0;
	case 'o':
		if (unlock_read_options(optarg, &options->unlocking, &err) == 0)
			return 0;
		log_error("%s", err.text);
		return EXIT_FAILURE;
	default:
		return usage();
	}
}

/* Returns 0, or the status to exit with. */
static int read_options(int argc, char *argv[], struct options *options)
{
	static const struct option long_options[] = {
		{"all", no_argument, NULL, OPTION_ALL},
		{"header", required_argument, NULL, OPTION_HEADER},
		{0}};
	int status = 0;
	int option;

	while (status == 0 &&
	       (option = getopt_long(argc, argv, "hd:n:t:o:", long_options, NULL)) != -1)
		status = set_option(option, options);
	if (status != 0)
		return status;
	if (options->count == 0 && !options->all)
		(void)fprintf(stderr, "Did not specify a device!\n\n");
	else if (optind == argc && fits(options))
		return 0;
	return usage();
}

static void warn(const struct error *why)
{
	log_warning("%s", why->text);
}

void unlock_complain(const struct unlocking *unlocking, const char *path, const struct error *why)
{
	log_error("%s", why->text);
	if (unlocking->slot)
		(void)fprintf(stderr, "Test for token slot %s on device %s failed.\n",
			      unlocking->slot, path);
	else
		(void)fprintf(stderr, "%s could not be opened.\n", path);
}

static int map_or_test(const struct unlocking *unlocking, const char *path,
		       struct luks_device *device, struct pin_context *context)
{
	FREE_AUTO char *default_name = NULL;
	struct luks_mapping mapping = {.name = unlocking->name,
				       .flags = unlocking->flags,
				       .persistent = unlocking->persistent,
				       .device = unlocking->header ? path : NULL};

	if (unlocking->test)
		return luks_unlock(device, context, NULL, unlocking->keyslot, warn);
	if (!mapping.name) {
		if (asprintf(&default_name, "luks-%s", luks_uuid(device)) < 0) {
			default_name = NULL;
			return error_nomem(context->err);
		}
		mapping.name = default_name;
	}
	return luks_unlock(device, context, &mapping, -1, warn);
}

/* A damaged one is a binding, too. */
static bool has_binding(struct luks_device *device)
{
	LUKS_BINDINGS_AUTO struct luks_bindings all = {0};
	struct error why = {0};

	return luks_is_initialised(device, &why) != 0 &&
	       (luks_list(device, &all, &why) < 0 || all.count > 0 || why.code < 0);
}

int unlock_device(const struct unlocking *unlocking, const char *path, struct pin_context *context,
		  bool *unbound)
{
	struct luks_device *device = NULL;
	int rc = 0;

	/* Of no use for a test, but a name that is wrong must not pass one. */
	if (unlocking->header && access(path, R_OK) != 0)
		rc = error_set(context->err, -errno, "%s: %s", path, strerror(errno));
	if (rc == 0)
		rc = luks_open(unlocking->header ? unlocking->header : path, &device, context->err);
	if (rc == 0 && unbound)
		*unbound = !has_binding(device);
	if (rc == 0 && !(unbound && *unbound))
		rc = map_or_test(unlocking, path, device, context);
	luks_close(&device);
	return rc < 0 ? rc : 0;
}

static int unlock_all(const struct unlocking *unlocking)
{
	LUKS_PATHS_AUTO struct luks_paths paths = {0};
	struct error err = {0};
	struct pin_context context = args_context(false, &err);
	size_t unbound = 0;
	size_t failed;

	if (luks_find_locked("/sys", "/dev", &paths, &err) < 0) {
		log_error("%s", err.text);
		return EXIT_FAILURE;
	}
	if (err.code < 0)
		log_warning("%s", err.text);
	err = (struct error){0};
	failed = unlock_many(unlocking, (const char *const *)paths.path, paths.count, &context,
			     &unbound);
	if (unbound == paths.count)
		(void)printf("There is no locked LUKS device with a Clevis binding.\n");
	return failed > 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}

static int unlock_named(const struct options *options)
{
	struct error err = {0};
	struct pin_context context = args_context(false, &err);

	if (options->count > 1)
		return unlock_many(&options->unlocking, options->devices, options->count, &context,
				   NULL) > 0
			       ? EXIT_FAILURE
			       : EXIT_SUCCESS;
	if (unlock_device(&options->unlocking, options->devices[0], &context, NULL) == 0)
		return EXIT_SUCCESS;
	unlock_complain(&options->unlocking, options->devices[0], &err);
	return EXIT_FAILURE;
}

static int unlock(struct options *options)
{
	struct error err = {0};
	const char *slot = options->unlocking.slot;

	options->unlocking.keyslot = slot ? args_number(slot, "slot", &err) : -1;
	if (err.code == 0)
		return options->all ? unlock_all(&options->unlocking) : unlock_named(options);
	if (options->all)
		log_error("%s", err.text);
	for (size_t i = 0; i < options->count; i++)
		unlock_complain(&options->unlocking, options->devices[i], &err);
	return EXIT_FAILURE;
}

int luks_unlock_main(int argc, char *argv[])
{
	struct options options = {.devices = calloc((size_t)argc, sizeof(*options.devices))};
	struct error err = {0};
	int status;

	if (!options.devices) {
		(void)error_nomem(&err);
		log_error("%s", err.text);
		return EXIT_FAILURE;
	}
	status = read_options(argc, argv, &options);
	if (status == 0)
		status = unlock(&options);
	free(options.devices);
	return status;
}
