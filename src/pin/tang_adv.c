/* SPDX-License-Identifier: Apache-2.0 */
/* Where the pin `tang` gets a server's keys from, and whether they are trusted. */
#include "pin/tang_adv.h"

#include "base/file.h"
#include "base/json.h"
#include "jose/jose.h"
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
int tang_check_status(struct pin_context *context, const struct net_reply *reply, struct error *err)
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

/* Fetches URL/adv/NAME; an empty name: what the server advertises now. */
static int fetch_adv(struct pin_context *context, const struct tang_config *config,
		     const char *name, json_t **jws)
{
	FREE_AUTO char *url = NULL;
	FREE_AUTO char *body = NULL;
	struct net_request request = {
		.method = "GET", .reply_max = TANG_ADVERTISEMENT_MAX, .tls = config->tls};
	struct net_reply reply = {0};
	struct error why = {0};
	int rc;

	if (asprintf(&url, "%s/adv/%s", config->url, name) < 0) {
		url = NULL;
		return error_nomem(context->err);
	}
	request.url = url;
	rc = net_http(context->session, &request, context->deadline, &reply, &why);
	if (rc < 0)
		return error_set(context->err, rc, "tang: Unable to fetch advertisement (%s): %s",
				 url, why.text);
	body = reply.body;
	rc = tang_check_status(context, &reply, &why);
	if (rc < 0)
		return error_set(context->err, rc, "tang: Unable to fetch advertisement (%s): %s%s",
				 url, why.text,
				 reply.status != HTTP_NOT_FOUND ? ""
				 : *name ? ": it has no signing key with that thumbprint"
					 : ": is that the base URL of a Tang server?");
	if (json_parse(body, reply.body_size, url, jws, &why) < 0)
		return error_set(context->err, -EBADMSG, "tang: Advertisement is malformed: %s",
				 why.text);
	return 0;
}

/*
 * Fetches by the thumbprint of a key that was trusted before: a Tang server signs with that one, too, also when it is rotated. A
 * server that does not know it is asked for what it has now, which then somebody must trust.
 */
static int fetch_for_trusted(struct pin_context *context, const struct tang_config *config,
			     json_t **jws)
{
	int rc = fetch_adv(context, config, config->thp ? config->thp : "", jws);

	return rc == -EBADMSG && config->thp ? fetch_adv(context, config, "", jws) : rc;
}

int tang_get_given(struct pin_context *context, const struct tang_config *config, json_t **jws)
{
	if (json_is_string(config->adv))
		return read_adv_file(context, json_string_value(config->adv), jws);
	*jws = json_incref((json_t *)config->adv);
	return 0;
}

static int get_adv(struct pin_context *context, const struct tang_config *config, json_t **jws)
{
	if (config->adv)
		return tang_get_given(context, config, jws);
	if (config->trusted)
		return fetch_for_trusted(context, config, jws);
	return fetch_adv(context, config, config->thp ? config->thp : "", jws);
}

/* Whether a key that was trusted before has signed it. */
static bool is_vouched_for(const json_t *jws, const json_t *trusted)
{
	const json_t *jwk;
	size_t i;

	json_array_foreach(trusted, i, jwk) {
		if (tang_is_verifying_key(jwk) && jose_jws_verify(jws, jwk, NULL) == 0)
			return true;
	}
	return false;
}

static int decide_trust(struct pin_context *context, const struct tang_config *config,
			const json_t *jws, const json_t *verified)
{
	if (config->trusted)
		return pin_decide_trust(context, verified, NULL,
					is_vouched_for(jws, config->trusted));
	return pin_decide_trust(context, verified, config->thp, config->adv != NULL);
}

int tang_get_trusted_keys(struct pin_context *context, const struct tang_config *config,
			  json_t **key_set)
{
	JSON_AUTO json_t *jws = NULL;
	JSON_AUTO json_t *verified = NULL;
	int rc = get_adv(context, config, &jws);

	if (rc < 0)
		return rc;
	rc = tang_advertisement_verify(jws, &verified, context->err);
	if (rc == 0)
		rc = decide_trust(context, config, jws, verified);
	if (rc < 0) {
		error_prefix(context->err, "tang: %s: ", config->url);
		return rc;
	}
	*key_set = verified;
	verified = NULL;
	return 0;
}

int tang_get_current_keys(struct pin_context *context, const struct tang_config *config,
			  json_t **key_set)
{
	JSON_AUTO json_t *jws = NULL;
	int rc = fetch_adv(context, config, "", &jws);

	if (rc < 0)
		return rc;
	rc = tang_advertisement_verify(jws, key_set, context->err);
	if (rc < 0)
		error_prefix(context->err, "tang: %s: ", config->url);
	return rc;
}
