/* SPDX-License-Identifier: Apache-2.0 */
/* The configuration of the pin `tang` (contract of Clevis §2), and the files that it names. Private to pin/. */
#pragma once

#include "net/net.h"
#include "pin/pin.h"

/* A configuration, checked; everything points into the JSON. */
struct tang_config {
	const char *url;
	const char *thp; /* NULL: none */
	const json_t *
		adv; /* NULL: to be fetched; a string: a file; an object: the advertisement itself */
	struct net_tls tls; /* file names as they were given */
	/* Signing keys that were trusted before: an advertisement that one of them has signed is, too. NULL: none */
	const json_t *trusted;
};

/* Checks a configuration; files are not looked at. Returns 0; -EINVAL with `err` filled. */
int tang_read_config(const json_t *json, struct tang_config *config, struct error *err);

/* Reads cacert, cert and key of a configuration or of a JWE's header. Returns 0; -EINVAL with `err` filled. */
int tang_read_tls(const json_t *json, struct net_tls *tls, struct error *err);

/*
 * Refuses a URL with a user name or password with -EINVAL and `err`, which does not repeat it: such a URL stands in headers that
 * everybody can read, and must not get into logs, too.
 */
int tang_check_url(const char *url, struct error *err);

/* Says whether a URL is one of https. */
bool tang_is_https(const char *url);

/* Says with 0 whether the files for https are there, in the words for each occasion; -ENOENT, -errno with `err` filled. */
int tang_check_files_to_seal(const struct net_tls *tls, struct error *err);
int tang_check_files_to_open(const struct net_tls *tls, struct error *err);
