/* SPDX-License-Identifier: Apache-2.0 */
/* Pins: the ways to seal a secret so that it opens by itself in the right place. The only door to this folder. */
#pragma once

#include "base/deadline.h"
#include "base/error.h"
#include "base/secret.h"
#include "net/net.h"

#include <jansson.h>
#include <stdbool.h>

/* What opening needs, as a set of bits. */
enum pin_need {
	PIN_NETWORK = 1 << 0,
	PIN_TPM = 1 << 1,
	PIN_TOKEN = 1 << 2,
	PIN_FILE = 1 << 3,
	PIN_TLS = 1 << 4,      /* https: the helper clevis-tls, and certificates */
	PIN_EXTERNAL = 1 << 5, /* a program clevis-decrypt-NAME, and whatever that needs */
};

/* How deep pins may stand inside pins. */
enum { PIN_DEPTH_MAX = 8 };

/* How many pins a JWE may hold, those inside counted at every level. */
enum { PIN_TREE_MAX = 256 };

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
	struct net_session *session; /* connections that are kept; NULL: none are */
	/* Raised by seal and open: how long a server that is too busy asks us to wait, seconds; 0: none did. */
	unsigned retry_after_s;
	unsigned depth; /* of pins inside pins; private to pin/ */
};

struct pin {
	const char *name;
	/* The members of its configuration that `clevis luks list` shows, NULL-terminated; NULL: it is shown as unknown. */
	const char *const *listed;
	/* Seals `plain`; `*jwe` is flattened. */
	int (*seal)(struct pin_context *, const json_t *config, const struct secret *plain,
		    json_t **jwe);
	/* Opens a JWE of this pin. */
	int (*open)(struct pin_context *, const json_t *jwe, struct secret *plain);
	/* Its configuration back, trust included: good for sealing again. Of one that asks a server, `url` is where. */
	int (*describe)(const json_t *jwe, json_t **config, struct error *);
	/*
	 * Makes of that what a person or a script wants to see: in place of keys, their thumbprints. Returns 0 or a negative
	 * code with the error filled. NULL: it is shown as it is.
	 */
	int (*detail)(const json_t *jwe, json_t *config, struct error *);
	/*
	 * Says whether sealing by `config` again would come to the same: servers, files, thresholds, and, as far as `config`
	 * names any, trusted keys. Nobody is asked. NULL: when `config` is what `describe` says.
	 */
	bool (*agrees)(const json_t *jwe, const json_t *config);
	/* The members of its configuration that name files which opening needs, NULL-terminated; NULL: none do. */
	const char *const *files;
	/* Bits of enum pin_need. */
	unsigned (*needs)(const json_t *jwe);
	/* The JWEs that are sealed inside (an array); NULL for a leaf. */
	int (*children)(const json_t *jwe, json_t **jwes, struct error *);
	/*
	 * Adds to `missing`, an array, the S256 thumbprints of the keys it was sealed with that its server no longer
	 * advertises; NULL: a pin without such keys.
	 */
	int (*rotated)(struct pin_context *, const json_t *jwe, json_t *missing);
	/* Takes away what sealing left outside the JWE, when the JWE itself comes to nothing; NULL: nothing is left. */
	void (*discard)(const json_t *jwe);
};

/* Longest JWE that is read from a token, a file or standard input's header part, bytes. */
enum { PIN_JWE_MAX = 8 * 1024 * 1024 };

/* The pin of that name, NULL where it is none of ours. */
const struct pin *pin_find(const char *name);

/* All pins there are, in the order of lists; ends with NULL. */
const struct pin *const *pin_all(void);

/* Longest name of a pin, bytes, the NUL included. */
enum { PIN_NAME_MAX = 64 };

/* Says whether the text could be a pin's name: letters, digits, '-', '_'. */
bool pin_is_name(const char *text);

/* Says whether there is a pin of that name to seal with: one of ours, or a program `clevis-encrypt-NAME` on PATH. */
bool pin_exists(const char *name);

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
 * Seals and opens by name; a name that is none of ours is looked up on PATH (clevis-pins(7)). Configuration: a JSON object. Return 0 with `*jwe` or `plain` (the caller's); a negative code, with
 * the reason in the context's error: -EINVAL for a bad configuration, -EBADMSG for a bad JWE or answer, -EACCES when trust
 * was refused, -ENOENT, -ENOMEM, -ECHILD for a program that failed, -EAGAIN for a server that is too busy (see retry_after_s), and
 * the codes of net_is_unreachable().
 */
int pin_seal(struct pin_context *context, const char *name, const json_t *config,
	     const struct secret *plain, json_t **jwe);
int pin_open(struct pin_context *context, const json_t *jwe, struct secret *plain);

struct pin_choice {
	/* Takes what number `which` holds. Returns 0 to end the search; a negative code with `err` filled when it is as bad as none. */
	int (*take)(void *arg, size_t which, const struct secret *plain, struct error *err);
	/* Told why number `which` was not taken; NULL: nobody is. */
	void (*fail)(void *arg, size_t which, const struct error *why);
	void *arg;
};

/* Most JWEs of which one is chosen. */
enum { PIN_CHOICE_MAX = 255 };

/*
 * Opens one of `count` JWEs (1 … PIN_CHOICE_MAX): first those that need neither network nor another program, one after another; then the
 * others side by side, each in a child process, in the order in which they stand: the next one is started when one fails, or has
 * not answered for 300 ms. The deadline is one for all.
 * Returns 0 when one was taken; a negative code with the context's error filled, which tells why each one was not.
 */
int pin_open_any(struct pin_context *context, const json_t *const jwes[], size_t count,
		 const struct pin_choice *choice);

/* The configuration it was sealed with, trust included. Returns as pin_of(), and -ENOMEM. */
int pin_describe(const json_t *jwe, json_t **config, struct error *err);

/* Takes away what pin_seal() left outside the JWE (a key file), when the JWE is not to be used. */
void pin_discard(const json_t *jwe);

/*
 * Configuration as `clevis luks list` shows it: a new object, the caller's, its members in the order in which they are shown.
 * Returns as pin_of(), with -ENOENT also for a pin that is not listed; -ENOMEM.
 */
int pin_list_config(const json_t *jwe, json_t **config, struct error *err);

/*
 * All that can be known of the configuration without opening anything: as pin_describe(), but public keys stand as thumbprints,
 * and what is sealed inside by a pin that only its own program knows is null. Returns as pin_describe(); a new object.
 */
int pin_details(const json_t *jwe, json_t **config, struct error *err);

/*
 * The names of the pin and of all that are sealed inside: a new array of strings, sorted, each once. Returns 0, -EBADMSG or -ENOMEM
 * with `err` filled.
 */
int pin_names(const json_t *jwe, json_t **names, struct error *err);

/*
 * Says whether sealing by pin `name` and `config` would come to the same as the JWE: same pin, same servers, files and threshold,
 * in whatever order; every member that `config` names is equal; `thp` and `adv`, where `config` has them, name keys that the JWE
 * trusts. Nobody is asked, an `adv` that is a file is read. Of a pin that is a program, the members that `config` names are
 * compared with what the program left under its name in the header.
 */
bool pin_agrees(const json_t *jwe, const char *name, const json_t *config);

/*
 * Tells the context's `warn` what may keep a new JWE from opening at boot though it opens now: a server that is this very machine
 * (net_is_this_machine()), a file named by a path that is not absolute. A line for each, the same one once.
 */
void pin_advise(const struct pin_context *context, const json_t *jwe);

/*
 * For sealing again by a configuration that a person has written: where it names a server that `described`, the configuration of
 * pin_describe(), names, too, and says nothing of trust itself, the trust is kept. Returns 0 or -ENOMEM.
 */
int pin_keep_trust(const json_t *described, json_t *config);

/* The described configuration without what only pin_keep_trust() needs: for people. A new object, the caller's, or NULL. */
json_t *pin_without_trust(const json_t *described);

/*
 * Finds out, of everything sealed inside too, which keys it was sealed with are no longer advertised by their servers: `*leaves`
 * gets an array, the caller's, of one object for each pin that has such keys: its listed configuration and
 * `missing`, an array of thumbprints, empty when all is well. Nothing is trusted or changed. Returns 0; with the context's error filled the code of the first server that gave
 * no advertisement, -EBADMSG, -ENOMEM.
 */
int pin_rotated(struct pin_context *context, const json_t *jwe, json_t **leaves);

/*
 * Visits the JWE and all that is sealed inside it, from the outside in. `visit` returns 0 to go on, else what pin_walk() is
 * to return. `pin` is NULL where the name is none of ours.
 */
typedef int (*pin_visitor)(const struct pin *pin, const json_t *jwe, void *arg, struct error *err);
int pin_walk(const json_t *jwe, pin_visitor visit, void *arg, struct error *err);

/* Bits of enum pin_need that opening the JWE takes, those inside included. */
unsigned pin_needs(const json_t *jwe);
