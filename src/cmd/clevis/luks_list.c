/* SPDX-License-Identifier: Apache-2.0 */
/* clevis luks list: a line for each binding of a device. */
#include "base/file.h"
#include "base/json.h"
#include "base/log.h"
#include "cmd/clevis/args.h"
#include "cmd/clevis/commands.h"
#include "luks/luks.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { EXIT_LIST_USAGE = 1 };

static int usage(void)
{
	(void)fprintf(stderr, "Usage: clevis luks list -d DEV [-s SLT]\n\n"
			      "Lists pins bound to a LUKS device\n\n"
			      "  -d DEV  The bound LUKS device\n\n"
			      "  -s SLT  List only the specified slot\n");
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

static void print_binding(const struct luks_binding *binding)
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
	if (text) {
		(void)printf("%d: %s ", binding->keyslot, name);
		print_quoted(text);
	} else {
		(void)printf("%d: unknown pin\n", binding->keyslot);
		log_warning("slot %d: %s", binding->keyslot, err.text);
	}
}

/* Returns how many bindings were listed, or negative with `err` filled. */
static int list(const char *path, int only, struct error *err)
{
	LUKS_BINDINGS_AUTO struct luks_bindings all = {0};
	struct luks_device *device = NULL;
	struct error damaged = {0};
	int listed = 0;
	int rc = luks_open(path, &device, err);

	if (rc == 0)
		rc = luks_list(device, &all, &damaged);
	for (size_t i = 0; rc == 0 && i < all.count; i++) {
		if (only >= 0 && all.binding[i].keyslot != only)
			continue;
		print_binding(&all.binding[i]);
		listed++;
	}
	if (damaged.code < 0)
		log_warning("%s", damaged.text);
	luks_close(&device);
	return rc < 0 ? rc : listed;
}

int luks_list_main(int argc, char *argv[])
{
	const char *device = NULL;
	const char *slot = NULL;
	struct error err = {0};
	int only = -1;
	int listed;
	int option;

	while ((option = getopt(argc, argv, "hd:s:")) != -1) {
		if (option == 'd')
			device = optarg;
		else if (option == 's')
			slot = optarg;
		else
			return usage();
	}
	if (!device) {
		(void)fprintf(stderr, "Did not specify a device!\n\n");
		return usage();
	}
	if (optind != argc)
		return usage();
	if (slot)
		only = args_number(slot, "slot", &err);
	listed = err.code < 0 ? err.code : list(device, only, &err);
	if (err.code < 0)
		log_error("%s", err.text);
	return listed < 0 || (slot && listed == 0) ? EXIT_FAILURE : EXIT_SUCCESS;
}
