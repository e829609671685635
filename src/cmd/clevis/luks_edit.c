/* SPDX-License-Identifier: Apache-2.0 */
/* clevis luks edit: binds a slot anew, by a configuration that a person or a script has changed. */
#include "base/file.h"
#include "base/json.h"
#include "base/log.h"
#include "cmd/clevis/args.h"
#include "cmd/clevis/commands.h"
#include "cmd/clevis/rebind.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { CONFIG_MAX = 4 * 1024 * 1024, NAME_SIZE = 256 };

struct options {
	struct rebinding rebinding;
	const char *config;
	bool force;
};

static int usage(void)
{
	(void)fprintf(
		stderr,
		"Usage: clevis luks edit [-f] [-y] [--unproved] -d DEV -s SLT [-c CONFIG] [--timeout SEC]\n\n"
		"Edit a binding from a clevis-bound slot in a LUKS device, with $EDITOR (vi) or by -c\n\n"
		"  -d DEV     The LUKS device to edit clevis-bound pins\n\n"
		"  -s SLT     The slot to use when editing the clevis binding\n\n"
		"  -f         Proceed with the edit operation even if the configuration is unchanged\n\n"
		"  -c CONFIG  The updated config to use\n\n"
		"  -y         Trust servers' keys that nothing vouches for\n\n"
		"  --unproved     Go on though the servers do not answer\n"
		"  --timeout SEC  Give up after SEC seconds (default: 30)\n");
	return EXIT_FAILURE;
}

static int read_options(int argc, char *argv[], struct options *options, struct error *err)
{
	static const struct option long_options[] = {{"unproved", no_argument, NULL, 'U'}, {0}};
	struct rebinding *rebinding = &options->rebinding;
	const char *slot = NULL;
	int option;

	while ((option = getopt_long(argc, argv, "hfyd:s:c:", long_options, NULL)) != -1) {
		if (option == 'd')
			rebinding->device = optarg;
		else if (option == 's')
			slot = optarg;
		else if (option == 'c')
			options->config = optarg;
		else if (option == 'f')
			options->force = true;
		else if (option == 'y')
			rebinding->yes = true;
		else if (option == 'U')
			rebinding->unproved = true;
		else
			return usage();
	}
	if (rebinding->device && slot && optind == argc) {
		rebinding->slot = args_number(slot, "slot", err);
		return rebinding->slot < 0 ? rebinding->slot : 0;
	}
	if (!rebinding->device || !slot)
		(void)fprintf(stderr, "Did not specify a %s!\n\n",
			      rebinding->device ? "slot" : "device");
	return usage();
}

static int run_editor(const char *path, struct error *err)
{
	int status = 0;
	pid_t child = fork();

	if (child == 0) {
		(void)execl("/bin/sh", "sh", "-c", "exec ${EDITOR:-vi} \"$1\"", "sh", path,
			    (char *)NULL);
		_exit(EXIT_FAILURE);
	}
	if (child < 0)
		return error_set(err, -errno, "cannot fork: %s", strerror(errno));
	while (waitpid(child, &status, 0) < 0 && errno == EINTR)
		;
	return WIFEXITED(status) && WEXITSTATUS(status) == 0
		       ? 0
		       : error_set(err, -ECHILD, "the editor failed; nothing was changed");
}

/* The text in a file that only its owner reads, changed by the editor. */
static int edit_text(const char *text, char **edited, struct error *err)
{
	const char *folder = getenv("TMPDIR");
	char path[NAME_SIZE];
	size_t size = 0;
	FD_AUTO int fd = -1;
	int rc;

	(void)snprintf(path, sizeof(path), "%.200s/clevis-edit-XXXXXX",
		       folder && *folder ? folder : "/tmp");
	fd = mkostemp(path, O_CLOEXEC);
	if (fd < 0)
		return error_set(err, -errno, "cannot make a file to edit: %s", strerror(errno));
	rc = fd_write_all(fd, path, text, strlen(text), err);
	if (rc == 0)
		rc = fd_write_all(fd, path, "\n", 1, err);
	if (rc == 0)
		rc = run_editor(path, err);
	if (rc == 0)
		rc = file_read(path, CONFIG_MAX, edited, &size, err);
	(void)unlink(path);
	return rc;
}

/* The configuration as the person left it; what is not JSON is refused, with nothing changed. */
static int ask_editor(const json_t *shown, json_t **config, struct error *err)
{
	FREE_AUTO char *text = json_dumps(shown, JSON_INDENT(2));
	FREE_AUTO char *edited = NULL;
	int rc = text ? edit_text(text, &edited, err) : error_nomem(err);

	return rc < 0 ? rc : args_config(edited, config, err);
}

static bool is_unchanged(const struct bound *bound, const json_t *shown, const json_t *config)
{
	JSON_AUTO json_t *listed = NULL;

	return json_equal(config, shown) ||
	       (pin_list_config(bound->jwe, &listed, NULL) == 0 && json_equal(config, listed));
}

/* Returns 1 to go on, 0 for a no. */
static int confirm(const struct options *options, const json_t *config, struct error *err)
{
	FREE_AUTO char *text = json_dumps(config, JSON_INDENT(2));
	int rc;

	if (options->config)
		return 1;
	(void)printf("%s\n", text ? text : "");
	rc = rebind_ask("Do you want to proceed with these changes? [ynYN] ");
	return rc < 0 ? error_set(err, rc, "standard input is at its end: nobody said yes") : rc;
}

static int edit(const struct options *options, struct error *err)
{
	__attribute__((cleanup(bound_free))) struct bound bound = {0};
	JSON_AUTO json_t *shown = NULL;
	JSON_AUTO json_t *config = NULL;
	int rc = rebind_read(&options->rebinding, &bound, err);

	if (rc < 0)
		return rc;
	shown = pin_without_trust(bound.config);
	if (options->config)
		rc = args_config(options->config, &config, err);
	if (rc < 0)
		error_prefix(err, "Invalid configuration given as parameter with -c: ");
	if (!options->config)
		rc = ask_editor(shown, &config, err);
	if (rc < 0)
		return rc;
	if (is_unchanged(&bound, shown, config) && !options->force)
		return error_set(err, -EALREADY, "No changes detected; exiting");
	rc = confirm(options, config, err);
	if (rc <= 0)
		return rc < 0 ? rc : error_set(err, -ECANCELED, "nothing was changed");
	(void)printf("Updating binding...\n");
	rc = rebind_apply(&options->rebinding, &bound, config, err);
	if (rc == 0)
		(void)printf("Binding edited successfully\n");
	return rc;
}

int luks_edit_main(int argc, char *argv[])
{
	struct options options = {.rebinding.slot = -1};
	struct error err = {0};
	int rc = read_options(argc, argv, &options, &err);

	if (rc > 0)
		return rc;
	if (rc == 0)
		rc = edit(&options, &err);
	if (rc == 0)
		return EXIT_SUCCESS;
	(void)fflush(stdout);
	log_error("%s", err.text);
	if (options.rebinding.slot >= 0 && rc != -EALREADY)
		(void)fprintf(stderr, "Unable to update binding in %s:%d. Operation cancelled.\n",
			      options.rebinding.device, options.rebinding.slot);
	return EXIT_FAILURE;
}
