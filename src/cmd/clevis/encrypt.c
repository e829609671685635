/* SPDX-License-Identifier: Apache-2.0 */
/* clevis encrypt PIN: standard input, sealed to a pin, as a compact JWE on standard output. */
#include "base/file.h"
#include "base/json.h"
#include "base/log.h"
#include "cmd/clevis/args.h"
#include "cmd/clevis/commands.h"
#include "jose/jose.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Plaintexts are keys and passphrases; A256GCM would go to 64 GiB. */
enum { PLAIN_MAX = 256 * 1024 * 1024 };

/* What to say about a pin: what its configuration is made of, and what begins the complaint when it is no JSON at all. */
struct help {
	const char *pin;
	const char *malformed;
	const char *properties;
};

static const struct help helps[] = {
	{"tang", "",
	 "  url: <string>     The base URL of the Tang server (REQUIRED)\n\n"
	 "  thp: <string>     The thumbprint of a trusted signing key\n\n"
	 "  adv: <string>     A filename containing a trusted advertisement\n"
	 "  adv: <object>     A trusted advertisement (raw JSON)\n\n"
	 "  cacert: <string>  A file of CA certificates, for an https:// URL\n"
	 "  cert: <string>    A file of this client's certificate\n"
	 "  key: <string>     A file of its private key, when it is not in cert\n"},
	{"sss", "Error parsing config! ",
	 "  t: <integer>      Number of pins required for decryption (default: 1)\n\n"
	 "  pins: <object>    Pins used for encryption (REQUIRED): names, each with a\n"
	 "                    configuration or an array of configurations\n"},
	{"file", "",
	 "  name: <string>    The file to write the key to (REQUIRED); it must not exist\n"},
	{"null", "",
	 "  fail: <boolean>   Make decryption fail (for tests; this pin protects nothing)\n"},
	{NULL, "", "  see its manual page\n"},
};

static const char *pin_of_command(const struct command *command)
{
	return command->name + strlen("encrypt-");
}

static const struct help *help_for(const struct command *command)
{
	const struct help *help = helps;

	while (help->pin && strcmp(help->pin, pin_of_command(command)) != 0)
		help++;
	return help;
}

static int usage(const struct command *command)
{
	const struct help *help = help_for(command);

	(void)fprintf(stderr,
		      "Usage: clevis encrypt %s CONFIG [-y] < PLAINTEXT > JWE\n\n%s%s"
		      "  -y                Use this option for skipping the advertisement trust "
		      "check\n"
		      "  --timeout SEC     Give up after SEC seconds (default: 30)\n\n"
		      "This command uses the following configuration properties:\n\n%s",
		      pin_of_command(command), command->summary ? command->summary : "",
		      command->summary ? "\n\n" : "", help->properties);
	return command->usage_status ? command->usage_status : EXIT_USAGE;
}

static int write_compact(const json_t *jwe, struct error *err)
{
	FREE_AUTO char *text = NULL;
	int rc = jose_jwe_format_compact(jwe, &text, err);

	if (rc == 0)
		rc = fd_write_all(STDOUT_FILENO, "standard output", text, strlen(text), err);
	if (rc == 0 && isatty(STDOUT_FILENO))
		rc = fd_write_all(STDOUT_FILENO, "standard output", "\n", 1, err);
	return rc;
}

static int encrypt(const struct command *command, const char *config_text, bool yes,
		   struct error *err)
{
	SECRET_AUTO struct secret plain = {0};
	JSON_AUTO json_t *config = NULL;
	JSON_AUTO json_t *jwe = NULL;
	struct pin_context context;
	int rc = args_config(config_text, &config, err);

	if (rc < 0)
		error_prefix(err, "%s", help_for(command)->malformed);
	else
		rc = fd_read_secret(STDIN_FILENO, "standard input", PLAIN_MAX, &plain, err);
	if (rc < 0)
		return rc;
	/* Only now: whatever standard input took to come is not the servers' time. */
	context = args_context(yes, err);
	rc = pin_seal(&context, pin_of_command(command), config, &plain, &jwe);
	if (rc < 0)
		return rc;
	rc = write_compact(jwe, err);
	if (rc < 0)
		pin_discard(jwe);
	return rc;
}

int encrypt_main(int argc, char *argv[])
{
	const struct command *command = command_find(argv[0] + strlen("clevis-"));
	struct error err = {0};
	bool yes = argc == 3 && strcmp(argv[2], "-y") == 0;

	if (isatty(STDIN_FILENO) || argc < 2 || argv[1][0] == '-' || (argc > 2 && !yes))
		return usage(command);
	if (encrypt(command, argv[1], yes, &err) < 0) {
		log_error("%s", err.text);
		return EXIT_FAILURE;
	}
	return EXIT_SUCCESS;
}
