/* SPDX-License-Identifier: Apache-2.0 */
/* The pins, each in the file of its name, and what they share. Private to pin/. */
#pragma once

#include "pin/pin.h"

extern const struct pin pin_file;
extern const struct pin pin_null;
extern const struct pin pin_sss;
extern const struct pin pin_tang;

/*
 * The node of a JWE's header that holds pin `name`'s own data: `clevis.NAME`, an object. Returns 0 with `*node` inside
 * `*header` (the caller's reference); -EBADMSG with `err` filled.
 */
int pin_read_node(const json_t *jwe, const char *name, json_t **header, const json_t **node,
		  struct error *err);

/* A fresh key for A256GCM as a JWK. Returns 0 with `*jwk` (the caller's); -ENOMEM or -EIO with `err` filled. */
int pin_new_key(json_t **jwk, struct error *err);

/*
 * Seals and opens with the 32 bytes of `key` as the content key itself (`dir`, RFC 7518 §4.5). Return as jose_jwe_encrypt() and
 * jose_jwe_decrypt().
 */
int pin_seal_direct(const json_t *header, const struct secret *key, const struct secret *plain,
		    json_t **jwe, struct error *err);
int pin_open_direct(const json_t *jwe, const struct secret *key, struct secret *plain,
		    struct error *err);

/*
 * Check a configuration; files are not looked at. Return 0; -EINVAL with `err` filled. sss: `*threshold` shares of `*total` are
 * wanted; file: `*name` points into the JSON.
 */
int sss_read_config(const json_t *config, size_t *threshold, size_t *total, struct error *err);
int file_read_config(const json_t *config, const char **name, struct error *err);

/* The `agrees` of the pin sss. */
bool sss_agrees(const json_t *jwe, const json_t *config);

/*
 * Pins that are programs on PATH, `clevis-encrypt-NAME` and `clevis-decrypt-NAME` (clevis-pins(7)). Return as pin_seal() and
 * pin_open(); -ENOENT when there is no such program.
 */
int external_seal(struct pin_context *context, const char *name, const json_t *config,
		  const struct secret *plain, json_t **jwe);
int external_open(struct pin_context *context, const char *name, const json_t *jwe,
		  struct secret *plain);
