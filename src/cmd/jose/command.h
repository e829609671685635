/* SPDX-License-Identifier: Apache-2.0 */
/* What a subcommand of jose is, and one call of it: its options as they were given, and its standard input. */
#pragma once

#include "base/error.h"
#include "cmd/jose/input.h"

#include <getopt.h>
#include <stdbool.h>
#include <stddef.h>

/* An option as it was given: `letter` is its short name, `value` its argument or NULL. */
struct given {
	int letter;
	const char *value;
};

enum { COMPLAINT_MAX = 128 };

struct call {
	const struct command *command;
	struct given *given; /* in the order in which they were given */
	size_t count;
	struct input input;
	char complaint
		[COMPLAINT_MAX]; /* not empty: it was called wrongly, and the usage is to follow */
	const char *asked; /* not NULL: help or the version, to be written in place of running it */
};

struct command {
	const char *name; /* its words: "jwk gen" */
	const char *summary;
	/*
	 * Runs it. Returns 0; a positive exit status, `err` filled if there is something to say; or a negative code with `err`
	 * filled, or a complaint in `call`.
	 */
	int (*run)(struct call *call, struct error *err);
	const struct option *options; /* `val` is the short name; ends with zeros */
	const char *usage;	      /* synopsis and options */
	const char *examples;
	int failure_status; /* exit status after a negative code */
	bool has_crypto;    /* OpenSSL is asked for something */
};

/*
 * Reads the options of argv[1] and following, all of them before anything is done. Operands are passed over, as scripts are used to.
 * Returns 0, with `call` to be given to call_free() (as after a failure); -EINVAL with a complaint; -ENOMEM.
 */
int call_parse(struct call *call, const struct command *command, int argc, char *argv[],
	       struct error *err);
void call_free(struct call *call);

/* Complains `Invalid NAME!` of the option of that letter; `err`, where the reason stands, is left as it is. Returns -EINVAL. */
int call_invalid(struct call *call, int letter);

/* The value of the last option of that letter; `otherwise` where there is none. */
const char *call_value(const struct call *call, int letter, const char *otherwise);

/* Says whether the option of that letter was given. */
bool call_has(const struct call *call, int letter);

/*
 * The keys of all options of that letter, which are files or "-", in a new array (the caller's); a JWKSet counts as its keys. With
 * `literal`, JSON on the command line is taken, too. No key at all: -EINVAL with `none` as the error.
 * Returns 0; -EINVAL and others with `err` and a complaint.
 */
int call_keys(struct call *call, int letter, bool literal, const char *none, json_t **keys,
	      struct error *err);

/* Writes to -o one key alone as an object, several, or with -s one too, as a JWKSet. Returns 0, or a negative code with `err`. */
int write_keys(struct call *call, json_t *keys, struct error *err);

extern const struct command alg_command, b64_enc_command, b64_dec_command, fmt_command,
	jwk_gen_command, jwk_pub_command, jwk_use_command, jwk_eql_command, jwk_thp_command,
	jwk_exc_command;
