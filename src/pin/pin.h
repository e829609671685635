/* SPDX-License-Identifier: Apache-2.0 */
/* Pins: the ways to seal a secret so that it opens by itself in the right place. The only door to this folder. */
#pragma once

#include "base/deadline.h"
#include "base/error.h"
#include "base/secret.h"

#include <jansson.h>
#include <stdbool.h>

/* What opening needs, as a set of bits. */
enum pin_need { PIN_NETWORK = 1 << 0, PIN_TPM = 1 << 1, PIN_TOKEN = 1 << 2, PIN_FILE = 1 << 3 };

/* What to do about a key server's keys that nothing vouches for. */
enum pin_trust {
	PIN_TRUST_ASK,	  /* ask the person, by `ask` */
	PIN_TRUST_YES,	  /* trust them, as told by `-y` */
	PIN_TRUST_PINNED, /* trust only what the configuration names by thumbprint or advertisement */
};

struct pin_context {
	struct deadline deadline; /* for the whole operation */
	enum pin_trust trust;
	/*
	 * Asks a person whether to trust `count` signing keys with these S256 thumbprints. Returns 0 for yes; negative with
	 * `err` filled. NULL: nobody can be asked.
	 */
	int (*ask)(void *arg, const char *const *thumbprints, size_t count, struct error *err);
	void *ask_arg;
	/* Told what a person should know though nothing failed. NULL: nobody is told. */
	void (*warn)(const char *text);
	struct error *err; /* where failures are explained; never NULL */
	/* Set by seal: some server was not asked, since its advertisement was given. */
	bool sealed_offline;
};

struct pin {
	const char *name;
	/* The members of its configuration that `clevis luks list` shows, NULL-terminated. */
	const char *const *listed;
	/* Seals `plain`; `*jwe` is flattened. */
	int (*seal)(struct pin_context *, const json_t *config, const struct secret *plain,
		    json_t **jwe);
	/* Opens a JWE of this pin. */
	int (*open)(struct pin_context *, const json_t *jwe, struct secret *plain);
	/* Its configuration back, trust included: good for sealing again. */
	int (*describe)(const json_t *jwe, json_t **config, struct error *);
	/* Bits of enum pin_need. */
	unsigned (*needs)(const json_t *jwe);
	/* The JWEs that are sealed inside (an array); NULL for a leaf. */
	int (*children)(const json_t *jwe, json_t **jwes, struct error *);
};

/* Longest JWE that is read from a token, a file or standard input's header part, bytes. */
enum { PIN_JWE_MAX = 8 * 1024 * 1024 };

/* The pin of that name, NULL where it is none of ours. */
const struct pin *pin_find(const char *name);

/* All pins there are, in the order of lists; ends with NULL. */
const struct pin *const *pin_all(void);

/* Longest name of a pin, bytes, the NUL included. */
enum { PIN_NAME_MAX = 64 };

/*
 * The name of the pin that sealed a JWE, known here or not: letters, digits, '-', '_'. Returns 0 with `name`; -EBADMSG with
 * `err` filled when the JWE or its `clevis.pin` is malformed or missing, -ENOMEM.
 */
int pin_name(const json_t *jwe, char name[static PIN_NAME_MAX], struct error *err);

/*
 * The pin that sealed a JWE, by `clevis.pin` of its protected header. Returns 0 with `*pin`; -EBADMSG when the JWE or that
 * member is malformed or missing; -ENOENT when the pin is not known here; `err` filled.
 */
int pin_of(const json_t *jwe, const struct pin **pin, struct error *err);

/*
 * Seals and opens by name. Configuration: a JSON object. Return 0 with `*jwe` or `plain` (the caller's); a negative code, with
 * the reason in the context's error: -EINVAL for a bad configuration, -EBADMSG for a bad JWE or answer, -EACCES when trust
 * was refused, -ENOENT, -ENOMEM, and the codes of net_is_unreachable().
 */
int pin_seal(struct pin_context *context, const char *name, const json_t *config,
	     const struct secret *plain, json_t **jwe);
int pin_open(struct pin_context *context, const json_t *jwe, struct secret *plain);

/* Configuration as `clevis luks list` shows it: a new object, the caller's. Returns as pin_of(), and -ENOMEM. */
int pin_list_config(const json_t *jwe, const struct pin **pin, json_t **config, struct error *err);

/*
 * Visits the JWE and all that is sealed inside it, from the outside in. `visit` returns 0 to go on, else what pin_walk() is
 * to return. `pin` is NULL where the name is none of ours.
 */
typedef int (*pin_visitor)(const struct pin *pin, const json_t *jwe, void *arg, struct error *err);
int pin_walk(const json_t *jwe, pin_visitor visit, void *arg, struct error *err);

/* Bits of enum pin_need that opening the JWE takes, those inside included. */
unsigned pin_needs(const json_t *jwe);
