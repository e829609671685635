/* SPDX-License-Identifier: Apache-2.0 */
/* jose: finds the command that is meant, and says what it has to say. */
#include "base/error.h"
#include "base/file.h"
#include "base/json.h"
#include "base/log.h"
#include "base/secret.h"
#include "cmd/jose/command.h"

#include <openssl/crypto.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct command *const commands[] = {
	&alg_command,
	&b64_dec_command,
	&b64_enc_command,
	&fmt_command,
	&jwk_eql_command,
	&jwk_exc_command,
	&jwk_gen_command,
	&jwk_pub_command,
	&jwk_thp_command,
	&jwk_use_command,
	NULL,
};

static void print_commands(FILE *out)
{
	(void)fputs("Usage: jose COMMAND [OPTIONS]\n\nCommands:\n", out);
	for (size_t i = 0; commands[i]; i++)
		(void)fprintf(out, "  jose %-7s  %s\n", commands[i]->name, commands[i]->summary);
	(void)fputs(
		"\nOptions:\n"
		"  -h, --help     show this; behind a command, its options and examples\n"
		"  -v, --version  show the version\n"
		"\nWhere an option takes a FILE, '-' is standard input or output. Several options may\n"
		"read JSON from standard input, one after another.\n"
		"\nExamples:\n"
		"  jose jwk gen -i '{\"alg\":\"ES512\"}' -o key.jwk\n"
		"  jose jwk pub -i key.jwk -o public.jwk\n"
		"  jose fmt -j public.jwk -g kty -u -\n",
		out);
}

/* How many words of `argv` are the command's name; 0: it is another one. */
static int words_of(const struct command *command, int argc, char *argv[])
{
	const char *name = command->name;
	int words = 0;

	while (*name) {
		size_t length = strcspn(name, " ");

		if (words >= argc || strlen(argv[words]) != length ||
		    memcmp(argv[words], name, length) != 0)
			return 0;
		words++;
		name += length;
		name += *name == ' ';
	}
	return words;
}

/* Writes what went wrong. A complaint stands on a line of its own: scripts look for it. */
static void report(const struct call *call, const struct error *err)
{
	if (call->complaint[0])
		(void)fprintf(stderr, "%s\n", call->complaint);
	if (err->text[0])
		(void)fprintf(stderr, "%s\n", err->text);
	if (call->complaint[0])
		(void)fputs(call->command->usage, stderr);
}

static void print_asked(const struct call *call)
{
	(void)fputs(call->asked, stdout);
	if (call->asked == call->command->usage)
		(void)printf("  -h, --help     show this\n"
			     "  -v, --version  show the version\n"
			     "\nExamples:\n%s",
			     call->command->examples);
}

/* Names of algorithms and texts of errors, which take a third of OpenSSL's time to get ready, are nothing that we ask it for. */
static void prepare_openssl(void)
{
	(void)OPENSSL_init_crypto(OPENSSL_INIT_LOAD_CONFIG | OPENSSL_INIT_NO_ADD_ALL_CIPHERS |
					  OPENSSL_INIT_NO_ADD_ALL_DIGESTS |
					  OPENSSL_INIT_NO_LOAD_CRYPTO_STRINGS,
				  NULL);
}

static int run(const struct command *command, int argc, char *argv[])
{
	struct call call = {0};
	struct error err = {0};
	int rc = call_parse(&call, command, argc, argv, &err);

	if (command->has_crypto)
		prepare_openssl();
	if (rc == 0 && call.asked)
		print_asked(&call);
	else if (rc == 0)
		rc = command->run(&call, &err);
	report(&call, &err);
	if (rc < 0)
		rc = command->failure_status;
	call_free(&call);
	return rc;
}

static bool is_one_of(const char *text, const char *a, const char *b)
{
	return strcmp(text, a) == 0 || strcmp(text, b) == 0;
}

static int dispatch(int argc, char *argv[])
{
	bool help = argc > 1 && strcmp(argv[1], "help") == 0;

	argc -= help;
	argv += help;
	for (size_t i = 0; commands[i] && argc > 1; i++) {
		static char help_option[] = "--help";
		static char *help_only[] = {help_option, help_option, NULL};
		int words = words_of(commands[i], argc - 1, argv + 1);

		if (words > 0 && help)
			return run(commands[i], 2, help_only);
		if (words > 0)
			return run(commands[i], argc - words, argv + words);
	}
	if (argc == 2 && is_one_of(argv[1], "-v", "--version")) {
		(void)printf("jose (nbde) %s\n", NBDE_VERSION);
		return EXIT_SUCCESS;
	}
	if ((help && argc == 1) || (argc == 2 && is_one_of(argv[1], "-h", "--help"))) {
		print_commands(stdout);
		return EXIT_SUCCESS;
	}
	print_commands(stderr);
	return EXIT_FAILURE;
}

/* What stayed in the buffer of standard output may not fit on a full disk. */
static int finish(int status)
{
	if (fflush(stdout) == 0 && !ferror(stdout))
		return status;
	(void)fprintf(stderr, "cannot write standard output: %s\n", strerror(errno));
	return status == EXIT_SUCCESS ? EXIT_FAILURE : status;
}

int main(int argc, char *argv[])
{
	struct error err = {0};

	fd_take_standard();
	log_open("jose");
	json_wipe_on_free();
	(void)signal(SIGPIPE, SIG_IGN);
	if (secret_harden_process(&err) < 0)
		log_warning("%s", err.text);
	return finish(dispatch(argc, argv));
}
