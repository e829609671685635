/* SPDX-License-Identifier: Apache-2.0 */
/* clevis: finds the command that is meant, by the program's own name or by its leading words. */
#include "base/file.h"
#include "base/json.h"
#include "base/log.h"
#include "base/program.h"
#include "base/secret.h"
#include "cmd/clevis/args.h"
#include "cmd/clevis/commands.h"

#include <errno.h>
#include <openssl/crypto.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { NAME_MAX_BYTES = 128 };

static void print_usage(FILE *out)
{
	(void)fprintf(out, "Usage: clevis COMMAND [OPTIONS]\n\n");
	command_print_all(out);
	(void)fprintf(
		out,
		"\nclevis COMMAND -h shows a command's options; --version this program's version.\n");
}

/* Becomes the program: a command that is none of ours. To those that seal, our options are the same. */
static int run_program(const char *path, char *name, int argc, char *argv[])
{
	struct error err = {0};

	argv[0] = name;
	if (strncmp(name, "clevis-encrypt-", strlen("clevis-encrypt-")) == 0 &&
	    args_take_timeout(&argc, argv, &err) < 0) {
		log_error("%s", err.text);
		return EXIT_USAGE;
	}
	(void)signal(SIGPIPE, SIG_DFL);
	(void)execv(path, argv);
	log_error("%s: %s", path, strerror(errno));
	return EXIT_FAILURE;
}

/* Writes the words as a person types them: `luks bind`. */
static void print_invalid(int argc, char *argv[])
{
	(void)fprintf(stderr, "\nCommand 'clevis");
	for (int i = 1; i < argc && argv[i][0] != '-'; i++)
		(void)fprintf(stderr, " %s", argv[i]);
	(void)fprintf(stderr, "' is invalid\n\n");
}

/*
 * Names of algorithms and texts of errors, which take a third of OpenSSL's time to get ready, are nothing that we ask it for;
 * libcryptsetup does, so not for commands on devices.
 */
static void prepare_openssl(const struct command *command)
{
	if (strncmp(command->name, "luks-", strlen("luks-")) != 0)
		(void)OPENSSL_init_crypto(OPENSSL_INIT_LOAD_CONFIG |
						  OPENSSL_INIT_NO_ADD_ALL_CIPHERS |
						  OPENSSL_INIT_NO_ADD_ALL_DIGESTS |
						  OPENSSL_INIT_NO_LOAD_CRYPTO_STRINGS,
					  NULL);
}

static int run(const struct command *command, int argc, char *argv[])
{
	static char name[NAME_MAX_BYTES];
	static char help[] = "-h";
	struct error err = {0};
	int status;

	if (argc == 2 && strcmp(argv[1], "--summary") == 0) {
		if (!command->summary)
			return command->hidden_status ? command->hidden_status : EXIT_USAGE;
		(void)printf("%s\n", command->summary);
		return EXIT_SUCCESS;
	}
	if (argc == 2 && strcmp(argv[1], "--help") == 0)
		argv[1] = help;
	(void)snprintf(name, sizeof(name), "clevis-%s", command->name);
	argv[0] = name;
	log_open(name);
	if (args_take_timeout(&argc, argv, &err) < 0) {
		log_error("%s", err.text);
		return EXIT_USAGE;
	}
	prepare_openssl(command);
	status = command->main(argc, argv);
	args_end();
	return status;
}

/*
 * Joins leading words with `-`, one after another, and runs the first command that is found, ours or another program's
 * (contract of Clevis §1). Returns its exit status; -1 when there is none.
 */
static int run_by_words(int argc, char *argv[])
{
	static const char prefix[] = "clevis-";
	char name[NAME_MAX_BYTES] = "clevis";
	char path[PROGRAM_PATH_MAX];

	for (int i = 1; i < argc && argv[i][0] != '-'; i++) {
		const struct command *command;
		size_t length = strlen(name);

		if (length + strlen(argv[i]) + 2 > sizeof(name) || strchr(argv[i], '/'))
			return -1;
		(void)snprintf(name + length, sizeof(name) - length, "-%s", argv[i]);
		command = command_find(name + strlen(prefix));
		if (command)
			return run(command, argc - i, argv + i);
		if (program_find(name, path))
			return run_program(path, name, argc - i, argv + i);
	}
	return -1;
}

static int dispatch(int argc, char *argv[])
{
	struct error err = {0};
	int status;

	if (argc > 1 && strncmp(argv[1], "--timeout", strlen("--timeout")) == 0 &&
	    args_take_timeout(&argc, argv, &err) < 0) {
		log_error("%s", err.text);
		return EXIT_USAGE;
	}
	if (argc == 2 && strcmp(argv[1], "--version") == 0) {
		(void)printf("clevis (nbde) %s\n", NBDE_VERSION);
		return EXIT_SUCCESS;
	}
	if (argc == 2 && (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0)) {
		print_usage(stdout);
		return EXIT_SUCCESS;
	}
	status = run_by_words(argc, argv);
	if (status >= 0)
		return status;
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

	fd_take_standard();
	log_open("clevis");
	json_wipe_on_free();
	(void)signal(SIGPIPE, SIG_IGN);
	(void)signal(SIGCHLD, SIG_DFL); /* were it ignored, nobody would learn how a child ended */
	if (secret_harden_process(&err) < 0)
		log_warning("%s", err.text);
	return finish(command ? run(command, argc, argv) : dispatch(argc, argv));
}
