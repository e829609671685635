/* SPDX-License-Identifier: Apache-2.0 */
/* clevis encrypt tang: standard input, sealed to a key server, as a compact JWE on standard output. */
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

static int usage(void)
{
	(void)fprintf(
		stderr,
		"Usage: clevis encrypt tang CONFIG [-y] < PLAINTEXT > JWE\n\n"
		"Encrypts using a Tang binding server policy\n\n"
		"  -y              Use this option for skipping the advertisement trust check\n\n"
		"This command uses the following configuration properties:\n\n"
		"  url: <string>   The base URL of the Tang server (REQUIRED)\n\n"
		"  thp: <string>   The thumbprint of a trusted signing key\n\n"
		"  adv: <string>   A filename containing a trusted advertisement\n"
		"  adv: <object>   A trusted advertisement (raw JSON)\n");
	return EXIT_USAGE;
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

static int encrypt(const char *pin, const char *config_text, bool yes, struct error *err)
{
	struct pin_context context = args_context(yes, err);
	SECRET_AUTO struct secret plain = {0};
	JSON_AUTO json_t *config = NULL;
	JSON_AUTO json_t *jwe = NULL;
	int rc = args_config(config_text, &config, err);

	if (rc == 0)
		rc = fd_read_secret(STDIN_FILENO, "standard input", PLAIN_MAX, &plain, err);
	/* Whatever standard input took to come is not the servers' time. */
	context.deadline = args_context(yes, err).deadline;
	if (rc == 0)
		rc = pin_seal(&context, pin, config, &plain, &jwe);
	return rc < 0 ? rc : write_compact(jwe, err);
}

int encrypt_tang_main(int argc, char *argv[])
{
	struct error err = {0};
	bool yes = argc == 3 && strcmp(argv[2], "-y") == 0;

	if (isatty(STDIN_FILENO) || argc < 2 || argv[1][0] == '-' || (argc > 2 && !yes))
		return usage();
	if (encrypt("tang", argv[1], yes, &err) < 0) {
		log_error("%s", err.text);
		return EXIT_FAILURE;
	}
	return EXIT_SUCCESS;
}
