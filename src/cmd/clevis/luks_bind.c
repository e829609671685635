/* SPDX-License-Identifier: Apache-2.0 */
/* clevis luks bind: adds a binding to a device. */
#include "base/file.h"
#include "base/json.h"
#include "base/log.h"
#include "cmd/clevis/args.h"
#include "cmd/clevis/commands.h"
#include "luks/luks.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct options {
	const char *device;
	const char *pin;
	const char *config;
	const char *key_file; /* NULL: prompt, or standard input */
	const char *keyslot;
	const char *token;
	bool yes;
	bool initialise;
};

static int usage(void)
{
	(void)fprintf(
		stderr,
		"Usage: clevis luks bind [-y] [-f] [-s SLT] [-k KEY] [-t TOKEN_ID] -d DEV PIN CFG\n"
		"                        [--timeout SEC]\n\n"
		"Binds a LUKS device using the specified policy:\n\n"
		"  -f           Do not prompt for LUKSMeta initialization (LUKS1)\n\n"
		"  -d DEV       The LUKS device on which to perform binding\n\n"
		"  -y           Automatically answer yes for all questions\n\n"
		"  -s SLT       The LUKS slot to use\n\n"
		"  -t TOKEN_ID  The LUKS token ID to use; only available for LUKS2\n\n"
		"  -k KEY       Non-interactively read LUKS password from KEY file\n"
		"  -k -         Non-interactively read LUKS password from standard input\n\n"
		"  --timeout SEC  Give up after SEC seconds (default: 30)\n\n"
		"  CFG          The pin's configuration: a JSON object\n"
		"  PIN          The pin to use:");
	for (const struct pin *const *pin = pin_all(); *pin; pin++)
		(void)fprintf(stderr, " %s", (*pin)->name);
	(void)fprintf(
		stderr,
		" (null is for tests: it protects nothing),\n               or one that is installed as clevis-encrypt-PIN\n");
	return EXIT_USAGE;
}

static int usage_error(const char *why)
{
	(void)fprintf(stderr, "%s\n\n", why);
	return usage();
}

static int read_options(int argc, char *argv[], struct options *options)
{
	int option;

	while ((option = getopt(argc, argv, "hfyd:s:k:t:")) != -1) {
		switch (option) {
		case 'f':
			options->initialise = true;
			break;
		case 'y':
			options->initialise = options->yes = true;
			break;
		case 'd':
			options->device = optarg;
			break;
		case 's':
			options->keyslot = optarg;
			break;
		case 'k':
			options->key_file = optarg;
			break;
		case 't':
			options->token = optarg;
			break;
		default:
			return usage();
		}
	}
	if (!options->device)
		return usage_error("Did not specify a device!");
	if (argc - optind != 2)
		return usage_error(argc == optind ? "Did not specify a pin!"
				   : argc - optind == 1
					   ? "Did not specify a pin config!"
					   : "There are arguments behind the configuration!");
	options->pin = argv[optind];
	options->config = argv[optind + 1];
	return 0;
}

static int get_volume_key(struct luks_device *device, const char *key_file, struct secret *key,
			  struct error *err)
{
	SECRET_AUTO struct secret passphrase = {0};
	struct error ignored = {0};
	struct pin_context context = args_context(false, &ignored);
	bool from_file = key_file && strcmp(key_file, "-") != 0;
	int rc = args_passphrase(key_file, &passphrase, err);

	if (rc == 0)
		rc = luks_volume_key(device, -1, &passphrase, key, err);
	if (rc == -EPERM && !from_file && luks_volume_key_by_binding(device, &context, key) >= 0)
		return 0;
	return rc < 0 ? rc : 0;
}

static int read_numbers(const struct options *options, struct luks_bind *wanted, struct error *err)
{
	wanted->keyslot = -1;
	wanted->token = -1;
	if (options->keyslot)
		wanted->keyslot = args_number(options->keyslot, "slot", err);
	if (options->token && err->code == 0)
		wanted->token = args_number(options->token, "token ID", err);
	return err->code;
}

/* Reads a line byte by byte, since a passphrase may follow. Returns its only character, NUL for another line; -ENODATA at the end. */
static int read_answer(void)
{
	SECRET_AUTO struct secret line = {0};

	if (fd_read_secret_line(STDIN_FILENO, "standard input", PASSPHRASE_LINE_MAX, &line, NULL) <
		    0 ||
	    line.size == 0)
		return -ENODATA;
	return line.size == 1 ? line.data[0] : '\0';
}

/* Returns 1 for a yes, 0 for a no; -ENODATA at the end of the input. */
static int ask_to_initialise(const char *device)
{
	int answer;

	(void)fprintf(stderr, "You are about to initialize a LUKS device for metadata storage.\n"
			      "Attempting to initialize it may result in data loss if data was\n"
			      "already written into the LUKS header gap in a different format.\n"
			      "A backup is advised before initialization is performed.\n\n");
	do {
		(void)fprintf(stderr, "Do you wish to initialize %s? [yn] ", device);
		answer = read_answer();
	} while (answer >= 0 && (answer == '\0' || !strchr("yYnN", answer)));
	return answer < 0 ? answer : answer == 'y' || answer == 'Y';
}

/* LUKS1 without the area of luksmeta: may we make it? Returns 0; EXIT_USAGE; negative with `err` filled. */
static int agree_to_initialise(struct options *options, struct luks_device *device,
			       struct error *err)
{
	int rc = luks_is_initialised(device, err);

	if (rc != 0 || options->initialise)
		return rc < 0 ? rc : 0;
	if (options->key_file && strcmp(options->key_file, "-") == 0)
		return usage_error(
			"Cannot use '-k-' without '-f' or '-y' unless already initialized!");
	rc = ask_to_initialise(options->device);
	if (rc < 0)
		return error_set(err, rc, "standard input is at its end: nobody said yes");
	options->initialise = rc > 0;
	return rc > 0 ? 0 : error_set(err, -ECANCELED, "nothing was changed");
}

static int bind_device(struct options *options, const json_t *config, struct error *err)
{
	SECRET_AUTO struct secret key = {0};
	struct luks_bind wanted = {.pin = options->pin, .config = config, .volume_key = &key};
	struct luks_device *device = NULL;
	struct pin_context context;
	struct error unproved = {0};
	int rc = read_numbers(options, &wanted, err);

	if (rc == 0)
		rc = luks_open(options->device, &device, err);
	if (rc == 0)
		rc = agree_to_initialise(options, device, err);
	wanted.initialise = options->initialise;
	if (rc == 0)
		rc = get_volume_key(device, options->key_file, &key, err);
	context = args_context(options->yes, err);
	if (rc == 0)
		rc = luks_bind(device, &context, &wanted, &unproved) < 0 ? err->code : 0;
	luks_close(&device);
	if (unproved.code < 0 && rc == 0)
		log_warning("bound without asking the server, as it does not answer: %s",
			    unproved.text);
	return rc;
}

int luks_bind_main(int argc, char *argv[])
{
	struct options options = {0};
	JSON_AUTO json_t *config = NULL;
	struct error err = {0};
	char why[128];
	int rc = read_options(argc, argv, &options);

	if (rc != 0)
		return rc;
	if (!pin_exists(options.pin)) {
		(void)snprintf(why, sizeof(why), "'%.64s' is not a valid pin!", options.pin);
		return usage_error(why);
	}
	rc = args_config(options.config, &config, &err);
	if (rc == 0)
		rc = bind_device(&options, config, &err);
	if (rc >= 0)
		return rc;
	log_error("%s", err.text);
	(void)fprintf(stderr, "Error adding new binding to %s\n", options.device);
	return EXIT_FAILURE;
}
