/* SPDX-License-Identifier: Apache-2.0 */
#include "questions.h"

#include "base/deadline.h"
#include "base/file.h"
#include "base/json.h"
#include "base/secret.h"
#include "jose/b64.h"
#include "jose/thumbprint.h"
#include "net/net.h"
#include "net/url.h"
#include "tang/advertisement.h"
#include "tang/exchange.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { HTTP_OK = 200 };

/* The request as curl sends it, for clevis does. */
static int write_request(const char *url, const char *method, const char *path, const char *body,
			 struct question *question, struct error *err)
{
	struct net_url parsed;
	const char *prefix = parsed.target;
	char host[NET_ORIGIN_MAX];
	char fields[128] = "";
	int size;

	if (net_url_parse(url, &parsed, err) < 0)
		return -EINVAL;
	if (strcmp(prefix, "/") == 0)
		prefix = "";
	net_print_origin(parsed.host, parsed.port, host);
	if (*body)
		(void)snprintf(fields, sizeof(fields),
			       "Content-Type: application/jwk+json\r\nContent-Length: %zu\r\n",
			       strlen(body));
	size = asprintf(&question->request,
			"%s %s%s HTTP/1.1\r\nHost: %s\r\nAccept: */*\r\n%s\r\n%s", method, prefix,
			path, host, fields, body);
	if (size < 0) {
		question->request = NULL;
		return error_nomem(err);
	}
	question->request_size = (size_t)size;
	return 0;
}

/* A member that is text, in quotes as it stands in the answer. */
static int expect(const json_t *object, const char *member, char **expected, struct error *err)
{
	const char *text = json_string_value(json_object_get(object, member));

	if (!text)
		return error_set(err, -EINVAL, "no text '%s'", member);
	if (asprintf(expected, "\"%s\"", text) < 0) {
		*expected = NULL;
		return error_nomem(err);
	}
	return 0;
}

static int expect_point(struct question *question, struct error *err)
{
	JSON_AUTO json_t *jwk = jose_point_to_jwk(&question->answer);
	int rc;

	if (!jwk)
		return error_nomem(err);
	rc = expect(jwk, "x", &question->expected[0], err);
	return rc < 0 ? rc : expect(jwk, "y", &question->expected[1], err);
}

/* Draws r; asks for X = r·G; the server s must answer s·X = r·S. */
static int make_recovery(const char *url, const char *path, const struct jose_point *server_key,
			 struct question *question, struct error *err)
{
	SECRET_AUTO struct secret r = {0};
	JSON_AUTO json_t *jwk = NULL;
	FREE_AUTO char *body = NULL;
	struct jose_point x;
	int rc = jose_point_generate(jose_curve((int)server_key->curve), &r, &x, err);

	if (rc == 0)
		rc = jose_point_multiply(&r, server_key, &question->answer, err);
	if (rc == 0)
		rc = expect_point(question, err);
	if (rc < 0)
		return rc;
	jwk = tang_point_to_json(&x);
	body = jwk ? json_dump_public(jwk) : NULL;
	return body ? write_request(url, "POST", path, body, question, err) : error_nomem(err);
}

static int make_room(struct questions *questions, size_t count, struct error *err)
{
	questions->question = calloc(count, sizeof(*questions->question));
	if (!questions->question)
		return error_nomem(err);
	questions->count = count;
	return 0;
}

int questions_recoveries(const char *url, const json_t *key, size_t count,
			 struct questions *questions, struct error *err)
{
	char path[sizeof("/rec/") + JOSE_THUMBPRINT_MAX] = "/rec/";
	struct questions made = {.recoveries = true};
	struct jose_point point;
	int rc = jose_point_from_jwk(key, &point, err);

	if (rc == 0)
		rc = jose_thumbprint(key, JOSE_S256, path + strlen(path), err);
	if (rc == 0)
		rc = make_room(&made, count, err);
	for (size_t i = 0; rc == 0 && i < count; i++)
		rc = make_recovery(url, path, &point, &made.question[i], err);
	if (rc < 0) {
		questions_free(&made);
		return rc;
	}
	made.curve = point.curve;
	*questions = made;
	return 0;
}

int questions_advertisement(const char *url, const json_t *jws, struct questions *questions,
			    struct error *err)
{
	struct questions made = {.curve = JOSE_P521};
	int rc = make_room(&made, 1, err);

	if (rc == 0)
		rc = expect(jws, "payload", &made.question[0].expected[0], err);
	if (rc == 0)
		rc = write_request(url, "GET", "/adv", "", &made.question[0], err);
	if (rc < 0) {
		questions_free(&made);
		return rc;
	}
	*questions = made;
	return 0;
}

static int fetch_advertisement(const char *url, json_t **jws, struct error *err)
{
	FREE_AUTO char *address = NULL;
	struct net_request request = {.method = "GET", .reply_max = TANG_ADVERTISEMENT_MAX};
	struct net_reply reply = {0};
	int rc;

	if (asprintf(&address, "%s/adv", url) < 0) {
		address = NULL;
		return error_nomem(err);
	}
	request.url = address;
	rc = net_http(NULL, &request, deadline_in_ms(NET_REQUEST_MS), &reply, err);
	if (rc < 0)
		return rc;
	if (reply.status == HTTP_OK)
		rc = json_parse(reply.body, reply.body_size, address, jws, err);
	else
		rc = error_set(err, -EBADMSG, "%s answers %u", address, reply.status);
	free(reply.body);
	return rc;
}

int questions_fetch(const char *url, size_t count, struct questions *questions, struct error *err)
{
	JSON_AUTO json_t *jws = NULL;
	JSON_AUTO json_t *key_set = NULL;
	JSON_AUTO json_t *key = NULL;
	int rc = fetch_advertisement(url, &jws, err);

	if (rc == 0)
		rc = tang_advertisement_verify(jws, &key_set, err);
	if (rc < 0)
		return rc;
	if (count == 0)
		return questions_advertisement(url, jws, questions, err);
	rc = tang_find_exchange_key(key_set, NULL, &key, NULL, err);
	return rc < 0 ? rc : questions_recoveries(url, key, count, questions, err);
}

void questions_free(struct questions *questions)
{
	for (size_t i = 0; i < questions->count; i++) {
		free(questions->question[i].request);
		free(questions->question[i].expected[0]);
		free(questions->question[i].expected[1]);
	}
	free(questions->question);
	*questions = (struct questions){0};
}

static bool is_the_point(const struct jose_point *expected, const char *body, size_t size)
{
	struct jose_point point;

	return tang_read_answer(body, size, expected->curve, &point, NULL) == 0 &&
	       memcmp(point.x, expected->x, sizeof(point.x)) == 0 &&
	       memcmp(point.y, expected->y, sizeof(point.y)) == 0;
}

bool question_accepts(const struct questions *questions, struct question *question,
		      const char *body, size_t size)
{
	for (size_t i = 0; i < sizeof(question->expected) / sizeof(*question->expected); i++)
		if (question->expected[i] && (!body || !strstr(body, question->expected[i])))
			return false;
	if (!questions->recoveries || question->read_whole)
		return true;
	question->read_whole = is_the_point(&question->answer, body, size);
	return question->read_whole;
}
