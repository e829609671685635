/* SPDX-License-Identifier: Apache-2.0 */
/* clevis luks list: a line for each binding of a device. */
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

enum { EXIT_LIST_USAGE = 1 };

struct options {
	const char *device;
	const char *slot;
	int only; /* -1: all */
	bool names;
	bool json;
};

static int usage(void)
{
	(void)fprintf(stderr,
		      "Usage: clevis luks list -d DEV [-s SLT] [-p | --json]\n\n"
		      "Lists pins bound to a LUKS device\n\n"
		      "  -d DEV  The bound LUKS device\n\n"
		      "  -s SLT  List only the specified slot\n\n"
		      "  -p      List only the names of the pins, those inside others too\n\n"
		      "  --json  Print all that is known of the bindings, as JSON\n");
	return EXIT_LIST_USAGE;
}

/*
 * Prints a configuration between quotes. Whoever can write the token wrote it: it must not drive a terminal, nor end the quotes
 * in somebody's script.
 */
static void print_quoted(char *text)
{
	error_sanitise(text);
	(void)putchar('\'');
	for (; *text; text++) {
		if (*text == '\'')
			(void)fputs("\\u0027", stdout);
		else
			(void)putchar(*text);
	}
	(void)fputs("'\n", stdout);
}

/* Says that there is something in the slot that cannot be read. */
static void print_unknown(const struct luks_binding *binding, const struct error *why)
{
	(void)printf("%d: unknown pin\n", binding->keyslot);
	log_warning("slot %d: %s", binding->keyslot, why->text);
}

static void print_config(const struct luks_binding *binding)
{
	JSON_AUTO json_t *config = NULL;
	FREE_AUTO char *text = NULL;
	char name[PIN_NAME_MAX];
	struct error err = {0};
	int rc = pin_name(binding->jwe, name, &err);

	if (rc == 0)
		rc = pin_list_config(binding->jwe, &config, &err);
	if (rc == -ENOENT) {
		(void)printf("%d: unknown pin '%s'\n", binding->keyslot, name);
		return;
	}
	text = rc == 0 ? json_dump_in_order(config) : NULL;
	if (!text) {
		print_unknown(binding, &err);
		return;
	}
	(void)printf("%d: %s ", binding->keyslot, name);
	print_quoted(text);
}

static void print_names(const struct luks_binding *binding)
{
	JSON_AUTO json_t *names = NULL;
	const json_t *name;
	struct error err = {0};
	size_t i;

	if (pin_names(binding->jwe, &names, &err) < 0) {
		print_unknown(binding, &err);
		return;
	}
	(void)printf("%d:", binding->keyslot);
	json_array_foreach(names, i, name) {
		(void)printf(" %s", json_string_value(name));
	}
	(void)putchar('\n');
}

/* Prints the bindings that are asked for. Returns how many. */
static int print_lines(const struct luks_bindings *bindings, const struct options *options)
{
	int printed = 0;

	for (size_t i = 0; i < bindings->count; i++) {
		const struct luks_binding *binding = &bindings->binding[i];

		if (options->only >= 0 && binding->keyslot != options->only)
			continue;
		(options->names ? print_names : print_config)(binding);
		printed++;
	}
	return printed;
}

/* Adds what is known of a binding to `bindings`, or why nothing is to `damaged`. */
static void add_binding(const struct luks_binding *binding, json_t *bindings, json_t *damaged)
{
	json_t *config = NULL;
	char name[PIN_NAME_MAX];
	struct error err = {0};
	int rc = pin_name(binding->jwe, name, &err);

	if (rc == 0)
		rc = pin_details(binding->jwe, &config, &err);
	if (rc == 0 || rc == -ENOENT)
		(void)json_array_append_new(bindings,
					    json_pack("{s:i, s:i, s:s, s:o?}", "slot",
						      binding->keyslot, "token", binding->token,
						      "pin", name, "config", config));
	else
		(void)json_array_append_new(damaged,
					    json_pack("{s:i, s:i, s:s}", "slot", binding->keyslot,
						      "token", binding->token, "reason", err.text));
}

/* Prints JSON in ASCII, without anything that a terminal would obey: DEL is the one such character that JSON leaves as it is. */
static void print_safely(const json_t *json)
{
	FREE_AUTO char *text = json_dumps(json, JSON_COMPACT | JSON_ENSURE_ASCII);

	for (const char *c = text ? text : ""; *c; c++)
		if (*c == '\x7f')
			(void)fputs("\\u007f", stdout);
		else
			(void)putchar(*c);
	(void)putchar('\n');
}

/* Prints all as one object. Returns how many bindings that are asked for there are. */
static int print_json(struct luks_device *device, const struct luks_bindings *all,
		      const struct options *options, struct error *err)
{
	JSON_AUTO json_t *bindings = json_array();
	JSON_AUTO json_t *damaged = luks_list_damaged(device);
	JSON_AUTO json_t *whole = NULL;
	FREE_AUTO char *path = strdup(luks_path(device));
	size_t unreadable = json_array_size(damaged);
	int found;

	if (!path)
		return error_nomem(err);
	error_sanitise(path);
	for (size_t i = 0; i < all->count; i++)
		if (options->only < 0 || all->binding[i].keyslot == options->only)
			add_binding(&all->binding[i], bindings, damaged);
	found = (int)(json_array_size(bindings) + json_array_size(damaged) - unreadable);
	whole = json_pack("{s:s, s:s?, s:i, s:O, s:O}", "device", path, "uuid", luks_uuid(device),
			  "version", luks_version(device), "bindings", bindings, "damaged",
			  damaged);
	if (!whole)
		return error_nomem(err);
	if (found > 0 || options->only < 0)
		print_safely(whole);
	return found;
}

/* Returns how many bindings were listed, or negative with `err` filled. */
static int list(const struct options *options, struct error *err)
{
	LUKS_BINDINGS_AUTO struct luks_bindings all = {0};
	struct luks_device *device = NULL;
	struct error damaged = {0};
	int rc = luks_open(options->device, &device, err);

	if (rc == 0)
		rc = luks_list(device, &all, &damaged);
	if (rc == 0)
		rc = options->json ? print_json(device, &all, options, err)
				   : print_lines(&all, options);
	if (damaged.code < 0 && !options->json)
		log_warning("%s", damaged.text);
	luks_close(&device);
	return rc;
}

static int read_options(int argc, char *argv[], struct options *options)
{
	static const struct option long_options[] = {{"json", no_argument, NULL, 'j'}, {0}};
	int option;

	while ((option = getopt_long(argc, argv, "hd:s:p", long_options, NULL)) != -1) {
		if (option == 'd')
			options->device = optarg;
		else if (option == 's')
			options->slot = optarg;
		else if (option == 'p')
			options->names = true;
		else if (option == 'j')
			options->json = true;
		else
			return usage();
	}
	if (!options->device)
		(void)fprintf(stderr, "Did not specify a device!\n\n");
	return !options->device || optind != argc || (options->names && options->json) ? usage()
										       : 0;
}

int luks_list_main(int argc, char *argv[])
{
	struct options options = {.only = -1};
	struct error err = {0};
	int listed;

	if (read_options(argc, argv, &options) != 0)
		return EXIT_LIST_USAGE;
	if (options.slot)
		options.only = args_number(options.slot, "slot", &err);
	listed = err.code < 0 ? err.code : list(&options, &err);
	if (err.code < 0)
		log_error("%s", err.text);
	return listed < 0 || (options.slot && listed == 0) ? EXIT_FAILURE : EXIT_SUCCESS;
}
