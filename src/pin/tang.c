/* SPDX-License-Identifier: Apache-2.0 */
/* The pin `tang`: sealed to a key server, opened by asking it (contract of Clevis §2). */
#include "base/file.h"
#include "base/json.h"
#include "jose/jose.h"
#include "net/net.h"
#include "pin/pins.h"
#include "pin/tang_adv.h"
#include "tang/tang.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { HTTP_NOT_FOUND = 404 };

/* The exchange key as the receiver of an ordinary ECDH-ES JWE, and its name. */
static int choose_receiver(struct pin_context *context, const json_t *key_set, json_t **receiver,
			   char kid[static JOSE_THUMBPRINT_MAX])
{
	JSON_AUTO json_t *jwk = NULL;
	JSON_AUTO json_t *copy = NULL;
	int rc = tang_find_exchange_key(key_set, NULL, &jwk, NULL, context->err);

	if (rc == 0)
		rc = jose_thumbprint(jwk, JOSE_S256, kid, context->err);
	if (rc < 0)
		return rc;
	copy = json_copy(jwk);
	if (!copy)
		return error_nomem(context->err);
	(void)json_object_del(copy, "alg");
	(void)json_object_del(copy, "key_ops");
	*receiver = copy;
	copy = NULL;
	return 0;
}

static int tang_seal(struct pin_context *context, const json_t *json, const struct secret *plain,
		     json_t **jwe)
{
	struct tang_config config = {0};
	JSON_AUTO json_t *key_set = NULL;
	JSON_AUTO json_t *receiver = NULL;
	JSON_AUTO json_t *header = NULL;
	char kid[JOSE_THUMBPRINT_MAX];
	int rc = tang_read_config(json, &config, context->err);

	if (rc == 0)
		rc = tang_check_files_to_seal(&config.tls, context->err);
	if (rc == 0)
		rc = tang_get_trusted_keys(context, &config, &key_set);
	if (rc == 0)
		rc = choose_receiver(context, key_set, &receiver, kid);
	if (rc < 0)
		return rc;
	header = json_pack("{s:s, s:s, s:s, s:{s:s, s:{s:s, s:O, s:s*, s:s*, s:s*}}}", "alg",
			   "ECDH-ES", "enc", "A256GCM", "kid", kid, "clevis", "pin", "tang", "tang",
			   "url", config.url, "adv", key_set, "cacert", config.tls.cacert, "cert",
			   config.tls.cert, "key", config.tls.key);
	if (!header)
		return error_nomem(context->err);
	if (config.adv)
		context->sealed_offline = true;
	return jose_jwe_encrypt(header, receiver, plain, jwe, context->err);
}

/* What opening needs of the header. */
struct sealed {
	json_t *header;
	json_t *server_jwk;
	const char *url;
	const char *kid;
	struct net_tls tls;
	enum jose_hash hash;	      /* of kid */
	struct jose_point c;	      /* epk */
	struct jose_point server_key; /* S */
};

static void sealed_free(struct sealed *sealed)
{
	json_drop(&sealed->header);
	json_drop(&sealed->server_jwk);
}

static int read_sealed(const json_t *jwe, struct sealed *sealed, struct error *err)
{
	const json_t *node = NULL;
	int rc = pin_read_node(jwe, "tang", &sealed->header, &node, err);

	if (rc < 0)
		return rc;
	sealed->url = json_string_value(json_object_get(node, "url"));
	sealed->kid = json_string_value(json_object_get(sealed->header, "kid"));
	if (!sealed->url || !sealed->kid)
		return error_set(err, -EBADMSG,
				 "JWE is missing the required 'url' or 'kid' property");
	rc = tang_check_url(sealed->url, err);
	if (rc == 0)
		rc = tang_read_tls(node, &sealed->tls, err);
	if (rc == 0)
		rc = tang_find_exchange_key(json_object_get(node, "adv"), sealed->kid,
					    &sealed->server_jwk, &sealed->hash, err);
	if (rc == 0)
		rc = jose_point_from_jwk(sealed->server_jwk, &sealed->server_key, err);
	if (rc == 0) {
		rc = jose_point_from_jwk(json_object_get(sealed->header, "epk"), &sealed->c, err);
		if (rc < 0)
			error_prefix(err, "the JWE's 'epk': ");
	}
	if (rc == 0 && sealed->c.curve != sealed->server_key.curve)
		rc = error_set(err, -EBADMSG, "the JWE's 'epk' is on another curve than its key");
	return rc < 0 ? -EBADMSG : 0;
}

static int read_reply(struct pin_context *context, const struct sealed *sealed,
		      const struct net_reply *reply, struct jose_point *y, struct error *err)
{
	int rc;

	if (reply->status == HTTP_NOT_FOUND)
		return error_set(err, -EBADMSG,
				 "the server no longer has the key %s (it answered %u)",
				 sealed->kid, reply->status);
	rc = tang_check_status(context, reply, err);
	return rc < 0 ? rc
		      : tang_read_answer(reply->body, reply->body_size, sealed->c.curve, y, err);
}

static int post_point(struct pin_context *context, const struct sealed *sealed,
		      const struct jose_point *x, struct jose_point *y, struct error *err)
{
	JSON_AUTO json_t *jwk = tang_point_to_json(x);
	FREE_AUTO char *body = jwk ? json_dump_public(jwk) : NULL;
	FREE_AUTO char *url = NULL;
	FREE_AUTO char *answer = NULL;
	struct net_request request = {
		.method = "POST", .reply_max = TANG_ANSWER_MAX, .tls = sealed->tls};
	struct net_reply reply = {0};
	int rc;

	if (!body)
		return error_nomem(err);
	if (asprintf(&url, "%s/rec/%s", sealed->url, sealed->kid) < 0) {
		url = NULL;
		return error_nomem(err);
	}
	request.url = url;
	request.content_type = "application/jwk+json";
	request.body = body;
	request.body_size = strlen(body);
	rc = net_http(context->session, &request, context->deadline, &reply, err);
	answer = reply.body;
	return rc < 0 ? rc : read_reply(context, sealed, &reply, y, err);
}

/* Finds the JWE's shared secret with the server's help. */
static int recover(struct pin_context *context, const struct sealed *sealed, struct secret *z)
{
	SECRET_AUTO struct secret blind = {0};
	struct jose_point x;
	struct jose_point y;
	struct error why = {0};
	int rc = tang_blind(&sealed->c, &blind, &x, &why);

	if (rc == 0)
		rc = post_point(context, sealed, &x, &y, &why);
	if (rc == 0)
		rc = tang_unblind(&y, &blind, &sealed->server_key, z, &why);
	if (rc == -EINVAL) /* the arithmetic refuses what the server sent */
		rc = -EBADMSG;
	if (rc < 0)
		return error_set(context->err, rc, "tang: Error communicating with server %s: %s",
				 sealed->url, why.text);
	return 0;
}

static int tang_open(struct pin_context *context, const json_t *jwe, struct secret *plain)
{
	__attribute__((cleanup(sealed_free))) struct sealed sealed = {0};
	SECRET_AUTO struct secret z = {0};
	int rc = read_sealed(jwe, &sealed, context->err);

	if (rc < 0) {
		error_prefix(context->err, "tang: ");
		return rc;
	}
	if (sealed.hash == JOSE_S1 && context->warn)
		context->warn("WARNING: tang using a deprecated hash for the JWK thumbprints");
	rc = tang_check_files_to_open(&sealed.tls, context->err);
	if (rc == 0)
		rc = recover(context, &sealed, &z);
	if (rc < 0)
		return rc;
	rc = jose_jwe_decrypt_shared(jwe, &z, plain, context->err);
	if (rc < 0)
		error_prefix(context->err, "tang: with the answer of %s: ", sealed.url);
	return rc;
}

struct first_thumbprint {
	char text[JOSE_THUMBPRINT_MAX];
};

static void keep_first(const char *thumbprint, void *arg)
{
	struct first_thumbprint *first = arg;

	if (!*first->text)
		(void)snprintf(first->text, sizeof(first->text), "%s", thumbprint);
}

/* The signing keys of a set: a new array. */
static json_t *signing_keys(const json_t *key_set)
{
	json_t *found = json_array();
	json_t *jwk;
	size_t i;

	json_array_foreach(json_object_get(key_set, "keys"), i, jwk) {
		if (tang_is_verifying_key(jwk))
			(void)json_array_append(found, jwk);
	}
	return found;
}

/*
 * What it was sealed with; as `trusted` the signing keys of the advertisement that was trusted then, and as `thp` the first
 * of them, by whose name the server is asked.
 */
static int tang_describe(const json_t *jwe, json_t **config, struct error *err)
{
	JSON_AUTO json_t *header = NULL;
	struct first_thumbprint first = {0};
	struct net_tls tls = {0};
	const json_t *node = NULL;
	const char *url;
	int rc = pin_read_node(jwe, "tang", &header, &node, err);

	if (rc == 0)
		rc = tang_read_tls(node, &tls, err);
	if (rc < 0)
		return rc == -EINVAL ? -EBADMSG : rc;
	url = json_string_value(json_object_get(node, "url"));
	if (!url)
		return error_set(err, -EBADMSG, "JWE is missing the required 'url' property");
	tang_each_signing_thumbprint(json_object_get(node, "adv"), keep_first, &first);
	*config = json_pack("{s:s, s:s*, s:s*, s:s*, s:s*, s:o}", "url", url, "thp",
			    *first.text ? first.text : NULL, "cacert", tls.cacert, "cert", tls.cert,
			    "key", tls.key, "trusted", signing_keys(json_object_get(node, "adv")));
	return *config ? 0 : error_nomem(err);
}

/* Whether a set has that key, whatever else stands beside its numbers. */
static bool has_key(const json_t *key_set, const char *thumbprint)
{
	const json_t *jwk;
	size_t i;

	json_array_foreach(json_object_get(key_set, "keys"), i, jwk) {
		if (jose_thumbprint_matches(jwk, thumbprint, NULL))
			return true;
	}
	return false;
}

static int add_missing(const json_t *sealed_to, const json_t *current, json_t *missing,
		       struct error *err)
{
	const json_t *jwk;
	size_t i;

	json_array_foreach(json_object_get(sealed_to, "keys"), i, jwk) {
		char thumbprint[JOSE_THUMBPRINT_MAX];

		if (jose_thumbprint(jwk, JOSE_S256, thumbprint, NULL) < 0 ||
		    has_key(current, thumbprint))
			continue;
		if (json_array_append_new(missing, json_string(thumbprint)) < 0)
			return error_nomem(err);
	}
	return 0;
}

static int tang_rotated(struct pin_context *context, const json_t *jwe, json_t *missing)
{
	JSON_AUTO json_t *header = NULL;
	JSON_AUTO json_t *current = NULL;
	struct tang_config config = {0};
	const json_t *node = NULL;
	int rc = pin_read_node(jwe, "tang", &header, &node, context->err);

	if (rc == 0)
		rc = tang_read_config(node, &config, context->err);
	if (rc == 0)
		rc = tang_check_files_to_open(&config.tls, context->err);
	if (rc == 0)
		rc = tang_get_current_keys(context, &config, &current);
	return rc < 0 ? rc
		      : add_missing(json_object_get(node, "adv"), current, missing, context->err);
}

static unsigned tang_needs(const json_t *jwe)
{
	JSON_AUTO json_t *header = NULL;
	const json_t *node = NULL;
	const char *url = NULL;

	if (pin_read_node(jwe, "tang", &header, &node, NULL) == 0)
		url = json_string_value(json_object_get(node, "url"));
	return PIN_NETWORK | (url && tang_is_https(url) ? (unsigned)PIN_TLS : 0U);
}

/* Whether each key of one set is in the other and the reverse. */
static bool are_same_keys(const json_t *a, const json_t *b)
{
	JSON_AUTO json_t *missing = json_array();

	return add_missing(a, b, missing, NULL) == 0 && add_missing(b, a, missing, NULL) == 0 &&
	       json_array_size(missing) == 0;
}

/* An advertisement that is given counts when it verifies and has the keys that it was sealed with, no more and no less. */
static bool adv_agrees(const struct tang_config *config, const json_t *sealed_with)
{
	JSON_AUTO json_t *jws = NULL;
	JSON_AUTO json_t *key_set = NULL;
	struct error ignored = {0};
	struct pin_context context = {.err = &ignored};

	return tang_get_given(&context, config, &jws) == 0 &&
	       tang_advertisement_verify(jws, &key_set, NULL) == 0 &&
	       are_same_keys(key_set, sealed_with);
}

static bool is_named_so(const char *given, const char *sealed)
{
	return !given || (sealed && strcmp(given, sealed) == 0);
}

/* What the configuration does not say, but for the server, is not compared. */
static bool tang_agrees(const json_t *jwe, const json_t *json)
{
	JSON_AUTO json_t *header = NULL;
	struct tang_config config = {0};
	struct tang_config sealed = {0};
	const json_t *node = NULL;

	if (tang_read_config(json, &config, NULL) < 0 || config.trusted ||
	    pin_read_node(jwe, "tang", &header, &node, NULL) < 0)
		return false;
	sealed.url = json_string_value(json_object_get(node, "url"));
	sealed.adv = json_object_get(node, "adv");
	return tang_read_tls(node, &sealed.tls, NULL) == 0 && is_named_so(config.url, sealed.url) &&
	       is_named_so(config.tls.cacert, sealed.tls.cacert) &&
	       is_named_so(config.tls.cert, sealed.tls.cert) &&
	       is_named_so(config.tls.key, sealed.tls.key) &&
	       (!config.thp || tang_advertisement_names(sealed.adv, config.thp)) &&
	       (!config.adv || adv_agrees(&config, sealed.adv));
}

/* A key as a thumbprint and what it is there for; NULL for one that has no thumbprint, or serves nothing here. */
static json_t *show_key(const json_t *jwk, const json_t *trusted, const char *kid)
{
	char thumbprint[JOSE_THUMBPRINT_MAX];

	if (jose_thumbprint(jwk, JOSE_S256, thumbprint, NULL) < 0)
		return NULL;
	if (tang_is_verifying_key(jwk))
		return json_pack("{s:s, s:s, s:b}", "thumbprint", thumbprint, "use", "signing",
				 "trusted", has_key(trusted, thumbprint));
	if (!tang_is_exchange_key(jwk))
		return NULL;
	return json_pack("{s:s, s:s, s:b}", "thumbprint", thumbprint, "use", "exchange",
			 "sealed_to", kid && jose_thumbprint_matches(jwk, kid, NULL));
}

static int tang_detail(const json_t *jwe, json_t *config, struct error *err)
{
	JSON_AUTO json_t *header = NULL;
	JSON_AUTO json_t *trusted = json_pack("{s:O?}", "keys", json_object_get(config, "trusted"));
	json_t *keys = json_array();
	const json_t *node = NULL;
	const json_t *jwk;
	size_t i;
	int rc = pin_read_node(jwe, "tang", &header, &node, err);

	json_array_foreach(json_object_get(json_object_get(node, "adv"), "keys"), i, jwk) {
		json_t *shown = show_key(jwk, trusted,
					 json_string_value(json_object_get(header, "kid")));

		if (shown)
			(void)json_array_append_new(keys, shown);
	}
	(void)json_object_del(config, "trusted");
	if (json_object_set_new(config, "keys", keys) < 0 && rc == 0)
		rc = error_nomem(err);
	return rc;
}

static const char *const tang_listed[] = {"url", NULL};
static const char *const tang_files[] = {"cacert", "cert", "key", NULL};

const struct pin pin_tang = {
	.name = "tang",
	.listed = tang_listed,
	.seal = tang_seal,
	.open = tang_open,
	.describe = tang_describe,
	.detail = tang_detail,
	.agrees = tang_agrees,
	.files = tang_files,
	.needs = tang_needs,
	.children = NULL,
	.rotated = tang_rotated,
};
