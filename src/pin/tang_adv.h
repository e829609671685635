/* SPDX-License-Identifier: Apache-2.0 */
/* Where the pin `tang` gets a server's keys from, and whether they are trusted. Private to pin/. */
#pragma once

#include "pin/tang_config.h"

/*
 * Says with 0 whether the server answered; else what it said instead: -EBADMSG, -EAGAIN when it is too busy, with `err` filled
 * and the context's `retry_after_s` raised.
 */
int tang_check_status(struct pin_context *context, const struct net_reply *reply,
		      struct error *err);

/*
 * Gets the advertisement that the configuration means, checks its signatures and decides whether it is trusted (contract of
 * Clevis §2). Returns 0 with `*key_set`, {"keys":[…]} (the caller's); the codes of net_http(), -ENOENT, -EBADMSG, -EACCES.
 */
int tang_get_trusted_keys(struct pin_context *context, const struct tang_config *config,
			  json_t **key_set);

/* The advertisement that a configuration gives as `adv`, not looked at. Returns 0 with `*jws` (the caller's); -ENOENT, -EBADMSG, …. */
int tang_get_given(struct pin_context *context, const struct tang_config *config, json_t **jws);

/* What the server advertises now, its signatures checked and nothing trusted. Returns as tang_get_trusted_keys(). */
int tang_get_current_keys(struct pin_context *context, const struct tang_config *config,
			  json_t **key_set);
