/* SPDX-License-Identifier: Apache-2.0 */
/* Pins that are programs on PATH: clevis-encrypt-NAME and clevis-decrypt-NAME. */
#include "base/file.h"
#include "base/json.h"
#include "base/program.h"
#include "jose/jose.h"
#include "pin/pins.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

enum { PROGRAM_NAME_MAX = PIN_NAME_MAX + 16 };

/* Largest plaintext that is taken back: as `clevis encrypt` takes. */
enum { PLAIN_MAX = 256 * 1024 * 1024 };

static bool find(const char *verb, const char *name, char program[static PROGRAM_NAME_MAX],
		 char path[static PROGRAM_PATH_MAX])
{
	(void)snprintf(program, PROGRAM_NAME_MAX, "clevis-%s-%s", verb, name);
	return pin_is_name(name) && program_find(program, path);
}

bool pin_exists(const char *name)
{
	char program[PROGRAM_NAME_MAX];
	char path[PROGRAM_PATH_MAX];

	return pin_find(name) || find("encrypt", name, program, path);
}

static int not_found(struct pin_context *context, const char *name, const char *program)
{
	return error_set(context->err, -ENOENT, "Unable to locate pin '%s' (no %s on PATH)", name,
			 program);
}

/* What comes back is to be a JWE that says which pin opens it: better told now than when it is to be opened. */
static int parse(const struct secret *text, const char *program, json_t **jwe, struct error *err)
{
	char pin[PIN_NAME_MAX];
	size_t size = text->size;
	int rc;

	while (size > 0 && text->data[size - 1] == '\n')
		size--;
	rc = jose_jwe_parse_compact((const char *)text->data, size, jwe, err);
	if (rc == 0) {
		rc = pin_name(*jwe, pin, err);
		if (rc < 0)
			json_drop(jwe);
	}
	if (rc < 0)
		error_prefix(err, "%s: its output: ", program);
	return rc;
}

int external_seal(struct pin_context *context, const char *name, const json_t *config,
		  const struct secret *plain, json_t **jwe)
{
	FREE_AUTO char *text = json_dump_public(config);
	SECRET_AUTO struct secret output = {0};
	char program[PROGRAM_NAME_MAX];
	char path[PROGRAM_PATH_MAX];
	const char *const argv[] = {program, text, context->trust == PIN_TRUST_YES ? "-y" : NULL,
				    NULL};
	int rc;

	if (!text)
		return error_nomem(context->err);
	if (!find("encrypt", name, program, path))
		return not_found(context, name, program);
	rc = program_run(path, argv, PROGRAM_STDERR_OURS, plain, PIN_JWE_MAX, context->deadline,
			 &output, context->err);
	return rc < 0 ? rc : parse(&output, program, jwe, context->err);
}

int external_open(struct pin_context *context, const char *name, const json_t *jwe,
		  struct secret *plain)
{
	FREE_AUTO char *text = NULL;
	SECRET_AUTO struct secret input = {0};
	char program[PROGRAM_NAME_MAX];
	char path[PROGRAM_PATH_MAX];
	const char *const argv[] = {program, NULL};
	int rc;

	if (!find("decrypt", name, program, path))
		return not_found(context, name, program);
	rc = jose_jwe_format_compact(jwe, &text, context->err);
	if (rc == 0)
		rc = secret_copy(&input, text, strlen(text), context->err);
	return rc < 0 ? rc
		      : program_run(path, argv, PROGRAM_STDERR_OURS, &input, PLAIN_MAX,
				    context->deadline, plain, context->err);
}
