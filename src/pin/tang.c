/* SPDX-License-Identifier: Apache-2.0 */
/* The pin `tang`: sealed to a key server, opened by asking it (contract of Clevis §2). */
#include "base/file.h"
#include "base/json.h"
#include "jose/jose.h"
#include "net/net.h"
#include "pin/pins.h"
#include "pin/tang_config.h"
#include "pin/trust.h"
#include "tang/tang.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { HTTP_OK = 200, HTTP_NOT_FOUND = 404, HTTP_TOO_MANY = 429, HTTP_UNAVAILABLE = 503 };

static int read_adv_file(struct pin_context *context, const char *path, json_t **jws)
{
	FREE_AUTO char *text = NULL;
	struct error why = {0};
	size_t size = 0;
	int rc = file_read(path, TANG_ADVERTISEMENT_MAX, &text, &size, &why);

	if (rc == -ENOENT)
		return error_set(context->err, rc, "tang: Advertisement file '%s' not found", path);
	if (rc < 0)
		return error_set(context->err, rc, "tang: Advertisement file '%s': %s", path,
				 why.text);
	if (json_parse(text, size, path, jws, &why) < 0)
		return error_set(context->err, -EBADMSG, "tang: Advertisement is malformed: %s",
				 why.text);
	return 0;
}

/* A status that is no answer. A server that is too busy may have said for how long. */
static int check_status(struct pin_context *context, const struct net_reply *reply,
			struct error *err)
{
	bool busy = reply->status == HTTP_UNAVAILABLE || reply->status == HTTP_TOO_MANY;

	if (reply->status == HTTP_OK)
		return 0;
	if (!busy)
		return error_set(err, -EBADMSG, "the server answered %u", reply->status);
	if (reply->retry_after_s == 0)
		return error_set(err, -EAGAIN, "the server is too busy (it answered %u)",
				 reply->status);
	if (reply->retry_after_s > context->retry_after_s)
		context->retry_after_s = reply->retry_after_s;
	return error_set(err, -EAGAIN,
			 "the server is too busy (it answered %u) and asks to wait %u s",
			 reply->status, reply->retry_after_s);
}

static int fetch_adv(struct pin_context *context, const struct tang_config *config, json_t **jws)
{
	FREE_AUTO char *url = NULL;
	FREE_AUTO char *body = NULL;
	struct net_request request = {
		.method = "GET", .reply_max = TANG_ADVERTISEMENT_MAX, .tls = config->tls};
	struct net_reply reply = {0};
	struct error why = {0};
	int rc;

	if (asprintf(&url, "%s/adv/%s", config->url, config->thp ? config->thp : "") < 0) {
		url = NULL;
		return error_nomem(context->err);
	}
	request.url = url;
	rc = net_http(context->session, &request, context->deadline, &reply, &why);
	if (rc < 0)
		return error_set(context->err, rc, "tang: Unable to fetch advertisement (%s): %s",
				 url, why.text);
	body = reply.body;
	rc = check_status(context, &reply, &why);
	if (rc < 0)
		return error_set(context->err, rc, "tang: Unable to fetch advertisement (%s): %s%s",
				 url, why.text,
				 reply.status != HTTP_NOT_FOUND ? ""
				 : config->thp ? ": it has no signing key with that thumbprint"
					       : ": is that the base URL of a Tang server?");
	if (json_parse(body, reply.body_size, url, jws, &why) < 0)
		return error_set(context->err, -EBADMSG, "tang: Advertisement is malformed: %s",
				 why.text);
	return 0;
}

static int get_adv(struct pin_context *context, const struct tang_config *config, json_t **jws)
{
	if (json_is_string(config->adv))
		return read_adv_file(context, json_string_value(config->adv), jws);
	if (config->adv) {
		*jws = json_incref((json_t *)config->adv);
		return 0;
	}
	return fetch_adv(context, config, jws);
}

static int get_trusted_keys(struct pin_context *context, const struct tang_config *config,
			    json_t **key_set)
{
	JSON_AUTO json_t *jws = NULL;
	JSON_AUTO json_t *verified = NULL;
	int rc = get_adv(context, config, &jws);

	if (rc < 0)
		return rc;
	rc = tang_advertisement_verify(jws, &verified, context->err);
	if (rc == 0)
		rc = pin_decide_trust(context, verified, config->thp, config->adv != NULL);
	if (rc < 0) {
		error_prefix(context->err, "tang: %s: ", config->url);
		return rc;
	}
	*key_set = verified;
	verified = NULL;
	return 0;
}

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
		rc = get_trusted_keys(context, &config, &key_set);
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
	rc = check_status(context, reply, err);
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

/* What it was sealed with, and as `thp` a signing key of the advertisement that was trusted then. */
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
	*config = json_pack("{s:s, s:s*, s:s*, s:s*, s:s*}", "url", url, "thp",
			    *first.text ? first.text : NULL, "cacert", tls.cacert, "cert", tls.cert,
			    "key", tls.key);
	return *config ? 0 : error_nomem(err);
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

static const char *const tang_listed[] = {"url", NULL};

const struct pin pin_tang = {
	.name = "tang",
	.listed = tang_listed,
	.seal = tang_seal,
	.open = tang_open,
	.describe = tang_describe,
	.needs = tang_needs,
	.children = NULL,
};
