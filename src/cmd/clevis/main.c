/* SPDX-License-Identifier: Apache-2.0 */
/* clevis: finds the command that is meant, by the program's own name or by its leading words. */
#include "base/json.h"
#include "base/log.h"
#include "base/secret.h"
#include "cmd/clevis/commands.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { EXIT_USAGE = 2, NAME_MAX_BYTES = 128 };

static void print_usage(FILE *out)
{
	(void)fprintf(out, "Usage: clevis COMMAND [OPTIONS]\n\n");
	for (const struct command *command = commands; command->name; command++)
		if (command->summary)
			(void)fprintf(out, "  clevis %-16s %s\n", command->name, command->summary);
	(void)fprintf(
		out,
		"\nclevis COMMAND -h shows a command's options; --version this program's version.\n");
}

/* Writes the words as a person types them: `luks bind`. */
static void print_invalid(int argc, char *argv[])
{
	(void)fprintf(stderr, "\nCommand 'clevis");
	for (int i = 1; i < argc && argv[i][0] != '-'; i++)
		(void)fprintf(stderr, " %s", argv[i]);
	(void)fprintf(stderr, "' is invalid\n\n");
}

static int run(const struct command *command, int argc, char *argv[])
{
	static char name[NAME_MAX_BYTES];
	static char help[] = "-h";

	if (argc == 2 && strcmp(argv[1], "--summary") == 0) {
		if (!command->summary)
			return EXIT_USAGE;
		(void)printf("%s\n", command->summary);
		return EXIT_SUCCESS;
	}
	if (argc == 2 && strcmp(argv[1], "--help") == 0)
		argv[1] = help;
	(void)snprintf(name, sizeof(name), "clevis-%s", command->name);
	argv[0] = name;
	log_open(name);
	return command->main(argc, argv);
}

/*
 * Joins leading words with `-`, one after another, and takes the first command that is found (contract of Clevis §1). `*used`
 * is how many words it took.
 */
static const struct command *find_by_words(int argc, char *argv[], int *used)
{
	char name[NAME_MAX_BYTES] = "";
	const struct command *command = NULL;

	for (*used = 1; !command && *used < argc && argv[*used][0] != '-'; ++*used) {
		size_t length = strlen(name);

		if (length + strlen(argv[*used]) + 2 > sizeof(name))
			return NULL;
		(void)snprintf(name + length, sizeof(name) - length, "%s%s", length > 0 ? "-" : "",
			       argv[*used]);
		command = command_find(name);
	}
	return command;
}

static int dispatch(int argc, char *argv[])
{
	int used = 0;
	const struct command *command;

	if (argc == 2 && strcmp(argv[1], "--version") == 0) {
		(void)printf("clevis (nbde) %s\n", NBDE_VERSION);
		return EXIT_SUCCESS;
	}
	if (argc == 2 && (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0)) {
		print_usage(stdout);
		return EXIT_SUCCESS;
	}
	command = find_by_words(argc, argv, &used);
	if (command)
		return run(command, argc - used + 1, argv + used - 1);
	if (argc > 1 && argv[1][0] != '-')
		print_invalid(argc, argv);
	print_usage(stderr);
	return EXIT_USAGE;
}

static const struct command *find_by_own_name(const char *path)
{
	const char *slash = strrchr(path, '/');
	const char *name = slash ? slash + 1 : path;

	return strncmp(name, "clevis-", 7) == 0 ? command_find(name + 7) : NULL;
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
	const struct command *command = argc > 0 ? find_by_own_name(argv[0]) : NULL;
	struct error err = {0};

	log_open("clevis");
	json_wipe_on_free();
	(void)signal(SIGPIPE, SIG_IGN);
	if (secret_harden_process(&err) < 0)
		log_warning("%s", err.text);
	return finish(command ? run(command, argc, argv) : dispatch(argc, argv));
}
