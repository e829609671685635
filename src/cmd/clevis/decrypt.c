/* SPDX-License-Identifier: Apache-2.0 */
/* clevis decrypt: a compact JWE on standard input, its plaintext on standard output. */
#include "base/file.h"
#include "base/json.h"
#include "base/log.h"
#include "cmd/clevis/args.h"
#include "cmd/clevis/commands.h"
#include "jose/jose.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Base64url makes a third more of the largest plaintext. */
enum { JWE_TEXT_MAX = 512 * 1024 * 1024 };

/* `pin`: the only one that is opened; NULL: any. */
static int usage(const struct command *command, const char *pin)
{
	(void)fprintf(stderr,
		      "Usage: clevis decrypt%s%s [--timeout SEC] < JWE > PLAINTEXT\n\n"
		      "Decrypts using the policy defined at encryption time\n\n"
		      "  --timeout SEC  Give up after SEC seconds (default: 30)\n",
		      pin ? " " : "", pin ? pin : "");
	return command->usage_status ? command->usage_status : EXIT_USAGE;
}

static int read_jwe(json_t **jwe, struct error *err)
{
	FREE_AUTO char *text = NULL;
	size_t size = 0;
	int rc = fd_read_all(STDIN_FILENO, "standard input", JWE_TEXT_MAX, &text, &size, err);

	if (rc < 0)
		return rc;
	/* A newline at the end, as editors and echo leave it, is no part of it. */
	while (size > 0 && text[size - 1] != '\0' && strchr(" \t\r\n", text[size - 1]))
		size--;
	if (size == 0)
		return error_set(err, -EBADMSG, "there is no JWE on standard input: it is empty");
	return jose_jwe_parse_compact(text, size, jwe, err);
}

static int check_pin(const json_t *jwe, const char *expected, struct error *err)
{
	char name[PIN_NAME_MAX];
	int rc = pin_name(jwe, name, err);

	if (rc < 0 || !expected || strcmp(name, expected) == 0)
		return rc;
	return error_set(err, -EINVAL, "JWE pin mismatch! (it is for '%s', not '%s')", name,
			 expected);
}

/* Decrypts a JWE of any pin, or of `expected` only. */
static int decrypt(const char *expected, struct error *err)
{
	SECRET_AUTO struct secret plain = {0};
	JSON_AUTO json_t *jwe = NULL;
	struct pin_context context;
	int rc = read_jwe(&jwe, err);

	if (rc == 0)
		rc = check_pin(jwe, expected, err);
	context = args_context(false, err);
	if (rc == 0)
		rc = pin_open(&context, jwe, &plain);
	return rc < 0 ? rc
		      : fd_write_all(STDOUT_FILENO, "standard output", plain.data, plain.size, err);
}

/* Other arguments are ignored: `clevis decrypt tang` is a habit of old scripts (contract of Clevis §1). */
static int run(int argc, char *argv[], const char *expected)
{
	struct error err = {0};
	bool asked = argc == 2 && (strcmp(argv[1], "-h") == 0 || strcmp(argv[1], "--help") == 0);

	if (asked || isatty(STDIN_FILENO))
		return usage(command_find(argv[0] + strlen("clevis-")), expected);
	if (decrypt(expected, &err) < 0) {
		log_error("%s", err.text);
		return EXIT_FAILURE;
	}
	return EXIT_SUCCESS;
}

int decrypt_main(int argc, char *argv[])
{
	return run(argc, argv, NULL);
}

/* clevis-decrypt-PIN: a JWE of that pin and no other. */
int decrypt_pin_main(int argc, char *argv[])
{
	return run(argc, argv, argv[0] + strlen("clevis-decrypt-"));
}
