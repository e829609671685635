/* SPDX-License-Identifier: Apache-2.0 */
/* clevis luks bind: adds a binding to a device. */
#include "base/file.h"
#include "base/json.h"
#include "base/log.h"
#include "cmd/clevis/args.h"
#include "cmd/clevis/commands.h"
#include "luks/luks.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* How long it may take to find out what to advise, milliseconds. */
enum { ADVICE_MS = 2000 };

struct options {
	const char *device;
	const char *pin;
	const char *config;
	const char *key_file; /* NULL: prompt, or standard input */
	const char *keyslot;
	const char *token;
	const char *existing_token; /* it authorises; NULL: none */
	bool yes;
	bool initialise;
	bool idempotent;
};

static int usage(void)
{
	(void)fprintf(
		stderr,
		"Usage: clevis luks bind [-y] [-f] [-s SLT] [-k KEY] [-t TOKEN_ID]\n"
		"                        [-e EXISTING_TOKEN_ID] [--idempotent] [--timeout SEC]\n"
		"                        -d DEV PIN CFG\n\n"
		"Binds a LUKS device using the specified policy:\n\n"
		"  -f           Do not prompt for LUKSMeta initialization (LUKS1)\n\n"
		"  -d DEV       The LUKS device on which to perform binding\n\n"
		"  -y           Automatically answer yes for all questions\n\n"
		"  -s SLT       The LUKS slot to use\n\n"
		"  -t TOKEN_ID  The LUKS token ID to use; only available for LUKS2\n\n"
		"  -k KEY       Non-interactively read LUKS password from KEY file\n"
		"  -k -         Non-interactively read LUKS password from standard input\n\n"
		"  -e EXISTING_TOKEN_ID  Let an existing token of LUKS2 stand in for a passphrase\n\n"
		"  --idempotent   Do nothing if the device is bound by this configuration already\n"
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

/* `words`: how many arguments are no options. */
static int check_options(const struct options *options, int words)
{
	if (!options->device)
		return usage_error("Did not specify a device!");
	if (options->existing_token && options->key_file && strcmp(options->key_file, "-") != 0)
		return usage_error("Either a token (-e) or a key file (-k) authorises, not both!");
	if (words != 2)
		return usage_error(words == 0	? "Did not specify a pin!"
				   : words == 1 ? "Did not specify a pin config!"
						: "There are arguments behind the configuration!");
	return 0;
}

static int read_options(int argc, char *argv[], struct options *options)
{
	static const struct option long_options[] = {{"idempotent", no_argument, NULL, 'I'}, {0}};
	int option;

	while ((option = getopt_long(argc, argv, "hfyd:s:k:t:e:", long_options, NULL)) != -1) {
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
		case 'e':
			options->existing_token = optarg;
			break;
		case 'I':
			options->idempotent = true;
			break;
		default:
			return usage();
		}
	}
	if (argc - optind == 2) {
		options->pin = argv[optind];
		options->config = argv[optind + 1];
	}
	return check_options(options, argc - optind);
}

static int by_token(struct luks_device *device, const struct options *options, struct secret *key,
		    struct error *err)
{
	struct pin_context context = args_context(options->yes, err);
	int token = args_number(options->existing_token, "token ID", err);
	int rc = token < 0 ? token : luks_volume_key_by_token(device, token, &context, key);

	return rc < 0 ? rc : 0;
}

static int by_passphrase(struct luks_device *device, const char *key_file, struct secret *key,
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
	if (answer < 0)
		(void)fputs("\n", stderr); /* what went wrong gets a line of its own */
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
		return error_set(
			err, rc,
			"%s: standard input is at its end: nobody said yes; -f does not ask",
			options->device);
	options->initialise = rc > 0;
	return rc > 0 ? 0 : error_set(err, -ECANCELED, "nothing was changed");
}

/* What is worth knowing of a binding that works, but may not do so at boot. */
static void advise(struct luks_device *device, struct pin_context *context, int keyslot)
{
	LUKS_BINDING_AUTO struct luks_binding binding = {0};

	if (luks_find(device, keyslot, &binding, NULL) < 0)
		return;
	context->deadline = deadline_earlier(context->deadline, deadline_in_ms(ADVICE_MS));
	pin_advise(context, binding.jwe);
}

static int bind_to(struct luks_device *device, const struct options *options,
		   const struct luks_bind *wanted, struct error *err)
{
	struct pin_context context = args_context(options->yes, err);
	struct error unproved = {0};
	int rc = luks_bind(device, &context, wanted, &unproved);

	if (rc < 0)
		return rc;
	if (unproved.code < 0)
		log_warning("bound without asking the server, as it does not answer: %s",
			    unproved.text);
	advise(device, &context, rc);
	return 0;
}

static int bind_device(struct options *options, const json_t *config, struct error *err)
{
	SECRET_AUTO struct secret key = {0};
	struct luks_bind wanted = {.pin = options->pin,
				   .config = config,
				   .volume_key = &key,
				   .unless_bound = options->idempotent};
	struct luks_device *device = NULL;
	int rc = read_numbers(options, &wanted, err);

	if (rc == 0)
		rc = luks_open(options->device, &device, err);
	if (rc == 0 && options->idempotent)
		rc = luks_check_unbound(device, &wanted, err);
	if (rc == 0)
		rc = agree_to_initialise(options, device, err);
	wanted.initialise = options->initialise;
	if (rc == 0)
		rc = options->existing_token ? by_token(device, options, &key, err)
					     : by_passphrase(device, options->key_file, &key, err);
	if (rc == 0)
		rc = bind_to(device, options, &wanted, err);
	luks_close(&device);
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
	if (rc == -EALREADY && options.idempotent)
		(void)printf("%s\n", err.text);
	if (rc == EXIT_USAGE)
		return EXIT_USAGE;
	if (rc >= 0 || (rc == -EALREADY && options.idempotent))
		return EXIT_SUCCESS;
	log_error("%s", err.text);
	(void)fprintf(stderr, "Error adding new binding to %s\n", options.device);
	return EXIT_FAILURE;
}
