/* SPDX-License-Identifier: Apache-2.0 */
#include "tangd/front.h"

#include "base/json.h"
#include "base/log.h"
#include "jose/jwk.h"
#include "tang/exchange.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum status {
	OK = 200,
	BAD_REQUEST = 400,
	FORBIDDEN = 403,
	NOT_FOUND = 404,
	METHOD_NOT_ALLOWED = 405,
	PAYLOAD_TOO_LARGE = 413,
	URI_TOO_LONG = 414,
	INTERNAL_ERROR = 500,
	SERVICE_UNAVAILABLE = 503,
};

/* How long a client is asked to wait when there is more to do than can be done. */
enum { RETRY_AFTER_S = 2 };

static const char base64url[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/* Takes one or more slashes and then `word` off the path. */
static const char *skip_segment(const char *path, const char *word)
{
	size_t slashes = strspn(path, "/");
	size_t length = strlen(word);

	if (slashes == 0 || strncmp(path + slashes, word, length) != 0)
		return NULL;
	path += slashes + length;
	return *path == '\0' || *path == '/' ? path : NULL;
}

/* What stands behind the last slashes: a thumbprint, "" for nothing, NULL when it is neither. */
static const char *last_segment(const char *path)
{
	const char *segment = path + strspn(path, "/");

	return segment[strspn(segment, base64url)] == '\0' ? segment : NULL;
}

static void answer_text(struct answer *answer, const char *content_type, char *body)
{
	answer->status = body ? OK : INTERNAL_ERROR;
	answer->content_type = body ? content_type : NULL;
	answer->body = body;
}

static bool has_thumbprint(const struct public_key *key, const char *thumbprint)
{
	for (int hash = 0; hash < JOSE_HASHES; hash++)
		if (strcmp(key->thumbprint[hash], thumbprint) == 0)
			return true;
	return false;
}

static const char *find_advertisement(const struct public_keys *keys, const char *thumbprint,
				      size_t *vouched_by)
{
	if (*thumbprint == '\0')
		return keys->advertisement;
	for (size_t i = 0; i < keys->count; i++) {
		if (!keys->key[i].advertisement || !has_thumbprint(&keys->key[i], thumbprint))
			continue;
		*vouched_by = i + 1;
		return keys->key[i].advertisement;
	}
	return NULL;
}

static void advertise(const struct public_keys *keys, const char *thumbprint, struct answer *answer)
{
	const char *found = find_advertisement(keys, thumbprint, &answer->vouched_by);

	if (!keys->advertisement) {
		log_error("the key folder holds no usable signing key: no advertisement");
		answer->status = INTERNAL_ERROR;
	} else if (!found) {
		answer->status = NOT_FOUND;
	} else {
		answer_text(answer, "application/jose+json", strdup(found));
	}
}

static bool is_text(const json_t *value, const char *text)
{
	return json_is_string(value) && strcmp(json_string_value(value), text) == 0;
}

/* The first half of the contract's order of errors: what the body alone decides. Returns OK or the status to answer. */
static enum status check_body(const json_t *jwk)
{
	const json_t *alg = json_object_get(jwk, "alg");

	if (!json_is_object(jwk))
		return BAD_REQUEST;
	if (!jose_jwk_allows(jwk, JOSE_DERIVE_KEY, false))
		return FORBIDDEN;
	if (!is_text(json_object_get(jwk, "kty"), "EC") || (alg && !is_text(alg, "ECMR")))
		return BAD_REQUEST;
	return OK;
}

/* A key of that thumbprint; where two files hold the same key, one that can do the exchange goes first. */
static size_t find_key(const struct public_keys *keys, const char *kid)
{
	size_t found = keys->count;

	for (size_t i = 0; i < keys->count; i++)
		if (has_thumbprint(&keys->key[i], kid) &&
		    (found == keys->count || keys->key[i].is_exchange))
			found = i;
	return found;
}

static void answer_point(const struct jose_point *point, struct answer *answer)
{
	JSON_AUTO json_t *jwk = tang_point_to_json(point);

	answer_text(answer, "application/jwk+json", jwk ? json_dump_public(jwk) : NULL);
}

static enum status status_of(int code)
{
	if (code == -EINVAL)
		return BAD_REQUEST;
	return code == -ENOENT ? FORBIDDEN : INTERNAL_ERROR;
}

/* Fills the key's number into the request to the private keys. Returns false, or true with the answer that there is none. */
static bool lacks_key(const struct public_keys *keys, const char *kid, struct answer *answer,
		      struct key_request *request)
{
	size_t key = find_key(keys, kid);

	answer->status = key == keys->count ? NOT_FOUND : FORBIDDEN;
	if (key == keys->count || !keys->key[key].is_exchange)
		return true;
	request->version = MESSAGE_VERSION;
	request->key = (uint32_t)key;
	return false;
}

/* Fills the request to the private keys, or the answer. Returns whether it was the answer. */
static bool begin_recovery(const struct public_keys *keys, const char *kid, const json_t *jwk,
			   struct answer *answer, struct key_request *request)
{
	answer->status = check_body(jwk);
	if (answer->status != OK || lacks_key(keys, kid, answer, request))
		return true;
	answer->status = BAD_REQUEST;
	return jose_point_from_jwk(jwk, &request->x, NULL) < 0;
}

void front_finish(const struct key_reply *reply, struct answer *answer)
{
	memset(answer, 0, sizeof(*answer));
	answer->kind = COUNTS_RECOVERY;
	if (reply->version != MESSAGE_VERSION || !jose_curve((int)reply->y.curve))
		answer->status = INTERNAL_ERROR;
	else if (reply->status != 0)
		answer->status = status_of(reply->status);
	else
		answer_point(&reply->y, answer);
}

void front_shed(struct answer *answer)
{
	memset(answer, 0, sizeof(*answer));
	answer->kind = COUNTS_RECOVERY;
	answer->status = SERVICE_UNAVAILABLE;
	answer->retry_after = RETRY_AFTER_S;
}

/* The two kinds of resource the server has. */
struct route {
	bool is_advertisement;
	const char *thumbprint;
};

static bool find_route(const struct front *front, const char *target, struct route *route)
{
	const char *path = *front->endpoint ? skip_segment(target, front->endpoint) : target;
	const char *rest = path ? skip_segment(path, "adv") : NULL;

	route->is_advertisement = rest != NULL;
	if (path && !rest)
		rest = skip_segment(path, "rec");
	route->thumbprint = rest ? last_segment(rest) : NULL;
	return route->thumbprint && (route->is_advertisement || *route->thumbprint);
}

static bool method_fits(const struct route *route, const char *method)
{
	if (route->is_advertisement)
		return strcmp(method, "GET") == 0 || strcmp(method, "HEAD") == 0;
	return strcmp(method, "POST") == 0;
}

/* What is wrong with the request's first line and size: the status, 0 for nothing. */
static enum status check_head(const struct front *front, const char *method, const char *target,
			      size_t body_size, struct route *route)
{
	if (strlen(target) > FRONT_TARGET_MAX)
		return URI_TOO_LONG;
	if (body_size > FRONT_BODY_MAX)
		return PAYLOAD_TOO_LARGE;
	if (!find_route(front, target, route))
		return NOT_FOUND;
	return method_fits(route, method) ? 0 : METHOD_NOT_ALLOWED;
}

/* Returns NULL with the answer filled while there are none. */
static const struct public_keys *current_keys(const struct front *front, struct answer *answer)
{
	const struct public_keys *keys = NULL;
	struct error err = {0};

	enum counts_kind kind = answer->kind;
	int rc = front->refresh(front->keys, &keys, &err);

	if (rc == 0)
		return keys;
	if (rc == -EAGAIN) {
		front_shed(answer);
		answer->kind = kind;
		return NULL;
	}
	log_error("%s", err.text);
	answer->status = INTERNAL_ERROR;
	return NULL;
}

bool front_begin(const struct front *front, const char *method, const char *target,
		 const char *body, size_t body_size, struct answer *answer,
		 struct key_request *request)
{
	const struct public_keys *keys;
	struct route route;
	JSON_AUTO json_t *jwk = NULL;

	memset(answer, 0, sizeof(*answer));
	memset(request, 0, sizeof(*request));
	answer->kind = COUNTS_OTHER;
	answer->status = check_head(front, method, target, body_size, &route);
	if (answer->status)
		return true;
	answer->kind = route.is_advertisement ? COUNTS_ADVERTISEMENT : COUNTS_RECOVERY;
	keys = current_keys(front, answer);
	if (!keys)
		return true;
	if (route.is_advertisement) {
		advertise(keys, route.thumbprint, answer);
		return true;
	}
	if (body && json_parse(body, body_size, "body", &jwk, NULL) < 0)
		jwk = NULL;
	return begin_recovery(keys, route.thumbprint, jwk, answer, request);
}

bool front_begin_again(const struct front *front, const char *target, struct answer *answer,
		       struct key_request *request)
{
	const struct public_keys *keys;
	struct route route;

	memset(answer, 0, sizeof(*answer));
	answer->kind = COUNTS_RECOVERY;
	answer->status = NOT_FOUND;
	if (!find_route(front, target, &route))
		return true;
	keys = current_keys(front, answer);
	return !keys || lacks_key(keys, route.thumbprint, answer, request);
}

void front_answer(const struct front *front, const char *method, const char *target,
		  const char *body, size_t body_size, struct answer *answer)
{
	struct key_request request;
	struct key_reply reply = {0};

	if (front_begin(front, method, target, body, body_size, answer, &request))
		return;
	front->exchange(front->keys, &request, &reply);
	front_finish(&reply, answer);
}
