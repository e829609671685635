/* SPDX-License-Identifier: Apache-2.0 */
/* tangctl: finds the command that is meant. Also answers to the name tang-show-keys. */
#include "base/error.h"
#include "base/file.h"
#include "base/json.h"
#include "base/log.h"
#include "base/secret.h"
#include "cmd/tangctl/commands.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct command {
	const char *name;
	int (*main)(int argc, char *argv[]);
	const char *summary;
} commands[] = {
	{"status", status_main, "Tells how a server is"},
	{"keys", keys_main, "Tells what a server's keys are used for"},
	{"backup", backup_main, "Writes all keys into a file"},
	{"restore", restore_main, "Brings the keys of a backup back"},
};

static void print_usage(FILE *out)
{
	(void)fprintf(out, "Usage: tangctl COMMAND [OPTIONS]\n\n");
	for (size_t i = 0; i < sizeof(commands) / sizeof(*commands); i++)
		(void)fprintf(out, "  %-8s  %s\n", commands[i].name, commands[i].summary);
	(void)fprintf(out, "\n  -h, --help  show this; behind a command, its options\n"
			   "  --version   show the version\n");
}

static bool is_one_of(const char *text, const char *a, const char *b)
{
	return strcmp(text, a) == 0 || strcmp(text, b) == 0;
}

static int dispatch(int argc, char *argv[])
{
	for (size_t i = 0; argc > 1 && i < sizeof(commands) / sizeof(*commands); i++) {
		if (strcmp(argv[1], commands[i].name) == 0)
			return commands[i].main(argc - 1, argv + 1);
	}
	if (argc == 2 && strcmp(argv[1], "--version") == 0) {
		(void)printf("tangctl (nbde) %s\n", NBDE_VERSION);
		return EXIT_SUCCESS;
	}
	if (argc == 2 && is_one_of(argv[1], "-h", "--help")) {
		print_usage(stdout);
		return EXIT_SUCCESS;
	}
	if (argc > 1)
		log_error("there is no command '%s'", argv[1]);
	print_usage(stderr);
	return EXIT_FAILURE;
}

static bool called_as(const char *path, const char *name)
{
	const char *slash = strrchr(path, '/');

	return strcmp(slash ? slash + 1 : path, name) == 0;
}

/* What stayed in the buffer of standard output may not fit on a full disk. */
static int finish(int status)
{
	if (fflush(stdout) == 0 && !ferror(stdout))
		return status;
	log_error("cannot write standard output: %s", strerror(errno));
	return status == EXIT_SUCCESS ? EXIT_FAILURE : status;
}

int main(int argc, char *argv[])
{
	bool show_keys = argc > 0 && called_as(argv[0], "tang-show-keys");
	struct error err = {0};

	fd_take_standard();
	log_open(show_keys ? "tang-show-keys" : "tangctl");
	json_wipe_on_free();
	(void)signal(SIGPIPE, SIG_IGN);
	(void)signal(SIGCHLD,
		     SIG_DFL); /* were it ignored, nobody would learn how the one for https ended */
	if (secret_harden_process(&err) < 0)
		log_warning("%s", err.text);
	return finish(show_keys ? show_keys_main(argc, argv) : dispatch(argc, argv));
}
