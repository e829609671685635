/* SPDX-License-Identifier: Apache-2.0 */
/* tangd/front.c: every row of the HTTP table in Tang's contract, in its order; and some of it again through real sockets. */
#include "keyfile.h"
#include "server.h"

#include "net/net.h"
#include "tang/tang.h"
#include "tangd/front.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <unistd.h>

/* The keys of the folder that most cases use. */
enum which {
	SIGNING,
	ROTATED_SIGNING,
	EXCHANGE,
	ROTATED_EXCHANGE,
	EXCHANGE_P256,
	OTHER_ALG,	 /* deriveKey, but by ECDH */
	WITHOUT_PRIVATE, /* an exchange key without d */
	VERIFY_ONLY,
	STRANGER, /* in no file */
	WHICH,
};

static const struct {
	const char *name; /* of the file; NULL: none */
	const char *wanted;
} made[WHICH] = {
	[SIGNING] = {"sig.jwk", "{'alg':'ES512'}"},
	[ROTATED_SIGNING] = {".sig.jwk", "{'alg':'ES256'}"},
	[EXCHANGE] = {"exc.jwk", "{'alg':'ECMR'}"},
	[ROTATED_EXCHANGE] = {".exc.jwk", "{'alg':'ECMR'}"},
	[EXCHANGE_P256] = {"p256.jwk", "{'alg':'ECMR','crv':'P-256'}"},
	[OTHER_ALG] = {"ecdh.jwk",
		       "{'kty':'EC','crv':'P-521','key_ops':['deriveKey'],'x-alg':'ECDH'}"},
	[WITHOUT_PRIVATE] = {"public.jwk", "{'alg':'ECMR','x-public':true}"},
	[VERIFY_ONLY] = {"verify.jwk", "{'alg':'ES512','key_ops':['verify']}"},
	[STRANGER] = {NULL, "{'alg':'ECMR'}"},
};

static struct folder folder;
static struct keys *keys;
static json_t *jwks[WHICH];
static struct front front;

static int refresh(void *arg, const struct public_keys **side, struct error *err)
{
	return keys_refresh(arg, side, err);
}

static void exchange(void *arg, const struct key_request *request, struct key_reply *reply)
{
	keys_answer(arg, request, reply);
}

static int open_empty(void **state)
{
	(void)state;
	folder_make(&folder);
	assert_int_equal(keys_open(folder.path, &keys, NULL), 0);
	front = (struct front){"", refresh, exchange, keys};
	return 0;
}

static int open_filled(void **state)
{
	(void)open_empty(state);
	for (int i = 0; i < WHICH; i++) {
		jwks[i] = key_generate(made[i].wanted);
		if (json_object_del(jwks[i], "x-alg") == 0)
			assert_int_equal(json_object_set_new(jwks[i], "alg", json_string("ECDH")),
					 0);
		if (json_object_del(jwks[i], "x-public") == 0)
			assert_int_equal(json_object_del(jwks[i], "d"), 0);
		if (made[i].name)
			key_write(&folder, made[i].name, jwks[i]);
	}
	return 0;
}

static int close_all(void **state)
{
	(void)state;
	for (int i = 0; i < WHICH; i++)
		json_drop(&jwks[i]);
	keys_free(&keys);
	folder_remove(&folder);
	return 0;
}

/* What is logged belongs to no case here. */
static void ask(const char *method, const char *target, const char *body, struct answer *answer)
{
	struct capture capture;
	char *said;

	capture_begin(&capture);
	front_answer(&front, method, target, body, body ? strlen(body) : 0, answer);
	said = capture_end(&capture);
	free(said);
}

static unsigned status_of(const char *method, const char *target, const char *body)
{
	struct answer answer;
	bool answered;

	ask(method, target, body, &answer);
	answered = answer.status == 200;
	assert_int_equal(answer.body != NULL, answered);
	assert_int_equal(answer.content_type != NULL, answered);
	free(answer.body);
	return answer.status;
}

/* A target with the thumbprint of a key for %: "/rec/%". */
static const char *target_of(const char *pattern, enum which which, enum jose_hash hash)
{
	static char target[512];
	char thumbprint[JOSE_THUMBPRINT_MAX];
	const char *place = strchr(pattern, '%');

	if (!place)
		return pattern;
	(void)snprintf(target, sizeof(target), "%.*s%s%s", (int)(place - pattern), pattern,
		       key_thumbprint(jwks[which], hash, thumbprint), place + 1);
	return target;
}

/* A good body for a key on `crv`: the caller's. */
static char *good_body(const char *crv)
{
	SECRET_AUTO struct secret scalar = {0};
	JSON_AUTO json_t *jwk = NULL;
	struct jose_point point;

	assert_int_equal(jose_point_generate(jose_curve_named(crv), &scalar, &point, NULL), 0);
	jwk = tang_point_to_json(&point);
	return json_dump_public(jwk);
}

static void test_advertisement_is_a_signed_set_of_public_keys(void **state)
{
	struct answer answer;
	JSON_AUTO json_t *jws = NULL;
	JSON_AUTO json_t *set = NULL;
	const json_t *jwk;
	size_t i;

	(void)state;
	ask("GET", "/adv", NULL, &answer);
	assert_int_equal(answer.status, 200);
	assert_string_equal(answer.content_type, "application/jose+json");
	jws = json_loads(answer.body, 0, NULL);
	free(answer.body);
	assert_int_equal(tang_advertisement_verify(jws, &set, NULL), 0);
	json_array_foreach(json_at(set, "keys"), i, jwk) {
		assert_null(json_object_get(jwk, "d"));
	}
	{
		char thp[JOSE_THUMBPRINT_MAX];
		static const enum which there[] = {EXCHANGE, EXCHANGE_P256};
		static const enum which away[] = {ROTATED_EXCHANGE, STRANGER, OTHER_ALG};

		assert_true(tang_advertisement_names(
			set, key_thumbprint(jwks[SIGNING], JOSE_S256, thp)));
		assert_false(tang_advertisement_names(
			set, key_thumbprint(jwks[ROTATED_SIGNING], JOSE_S256, thp)));
		assert_false(tang_advertisement_names(
			set, key_thumbprint(jwks[VERIFY_ONLY], JOSE_S256, thp)));
		for (i = 0; i < COUNT(there); i++) {
			json_t *found = NULL;

			assert_int_equal(tang_find_exchange_key(
						 set,
						 key_thumbprint(jwks[there[i]], JOSE_S256, thp),
						 &found, NULL, NULL),
					 0);
			json_decref(found);
		}
		for (i = 0; i < COUNT(away); i++) {
			json_t *found = NULL;

			assert_int_equal(tang_find_exchange_key(
						 set, key_thumbprint(jwks[away[i]], JOSE_S256, thp),
						 &found, NULL, NULL),
					 -ENOENT);
		}
	}
}

static void test_advertisement_by_thumbprint_is_signed_by_that_key_too(void **state)
{
	static const enum which signers[] = {SIGNING, ROTATED_SIGNING};

	(void)state;
	for (size_t i = 0; i < COUNT(signers); i++) {
		for (int hash = 0; hash < JOSE_HASHES; hash++) {
			struct answer answer;
			JSON_AUTO json_t *jws = NULL;

			ask("GET", target_of("/adv/%", signers[i], (enum jose_hash)hash), NULL,
			    &answer);
			assert_int_equal(answer.status, 200);
			assert_string_equal(answer.content_type, "application/jose+json");
			jws = json_loads(answer.body, 0, NULL);
			free(answer.body);
			assert_int_equal(jose_jws_verify(jws, jwks[signers[i]], NULL), 0);
			assert_int_equal(jose_jws_verify(jws, jwks[SIGNING], NULL), 0);
		}
	}
}

static void test_paths_and_methods_of_the_contract(void **state)
{
	static const struct {
		const char *method;
		const char *target;
		enum which which;
		unsigned status;
	} rows[] = {
		{"GET", "/adv", SIGNING, 200},
		{"GET", "/adv/", SIGNING, 200},
		{"GET", "//adv", SIGNING, 200},
		{"GET", "/adv///", SIGNING, 200},
		{"GET", "/adv/%", SIGNING, 200},
		{"GET", "//adv//%", SIGNING, 200},
		{"GET", "/adv/%", ROTATED_SIGNING, 200},
		{"HEAD", "/adv", SIGNING, 200},
		{"GET", "/adv/%", EXCHANGE, 404},
		{"GET", "/adv/%", ROTATED_EXCHANGE, 404},
		{"GET", "/adv/%", STRANGER, 404},
		{"GET", "/adv/unknown", SIGNING, 404},
		{"GET", "/adv/%/", SIGNING, 404},
		{"GET", "/adv/%/more", SIGNING, 404},
		{"GET", "/adv/%=", SIGNING, 404},
		{"GET", "/adv/a+b", SIGNING, 404},
		{"GET", "/adv/a%%2Fb", SIGNING, 404},
		{"GET", "/adv?x=1", SIGNING, 404},
		{"GET", "/adv/?x=1", SIGNING, 404},
		{"GET", "/advx", SIGNING, 404},
		{"GET", "/ADV", SIGNING, 404},
		{"GET", "adv", SIGNING, 404},
		{"GET", "", SIGNING, 404},
		{"GET", "/", SIGNING, 404},
		{"GET", "/%61dv", STRANGER, 404},
		{"GET", "http://h/adv", SIGNING, 404},
		{"GET", "*", SIGNING, 404},
		{"GET", "/other", SIGNING, 404},
		{"GET", "/../adv", SIGNING, 404},
		{"POST", "/adv", SIGNING, 405},
		{"PUT", "/adv/%", SIGNING, 405},
		{"OPTIONS", "/adv", SIGNING, 405},
		{"DELETE", "/adv/unknown", SIGNING, 405},
		{"get", "/adv", SIGNING, 405},
		{"GET", "/rec/%", EXCHANGE, 405},
		{"HEAD", "/rec/%", EXCHANGE, 405},
		{"OPTIONS", "/rec/%", EXCHANGE, 405},
		{"PUT", "/rec/unknown", EXCHANGE, 405},
		{"POST", "/rec", EXCHANGE, 404},
		{"POST", "/rec/", EXCHANGE, 404},
		{"GET", "/rec", EXCHANGE, 404},
		{"POST", "/rec/%/", EXCHANGE, 404},
		{"POST", "/rec/%/x", EXCHANGE, 404},
		{"POST", "/recx/%", EXCHANGE, 404},
		{"POST", "/other", EXCHANGE, 404},
	};
	char *body = good_body("P-521");

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++)
		unit_check(status_of(rows[i].method,
				     target_of(rows[i].target, rows[i].which, JOSE_S256),
				     body) == rows[i].status,
			   rows[i].target);
	free(body);
}

static void test_recovery_multiplies_the_point(void **state)
{
	static const struct {
		const char *target;
		enum which which;
	} rows[] = {{"/rec/%", EXCHANGE},
		    {"//rec//%", EXCHANGE},
		    {"/rec/%", ROTATED_EXCHANGE},
		    {"/rec/%", EXCHANGE_P256}};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		const struct jose_curve *curve = jose_curve_named(
			text_at(jwks[rows[i].which], "crv"));
		char *body = good_body(curve->name);

		for (int hash = 0; hash < JOSE_HASHES; hash++) {
			JSON_AUTO json_t *sent = json_loads(body, 0, NULL);
			JSON_AUTO json_t *expected = NULL;
			SECRET_AUTO struct secret d = {0};
			struct jose_point point;
			struct answer answer;
			char *text;

			ask("POST", target_of(rows[i].target, rows[i].which, (enum jose_hash)hash),
			    body, &answer);
			assert_int_equal(answer.status, 200);
			assert_string_equal(answer.content_type, "application/jwk+json");
			assert_int_equal(jose_scalar_from_jwk(jwks[rows[i].which], curve, &d, NULL),
					 0);
			assert_int_equal(jose_point_from_jwk(sent, &point, NULL), 0);
			assert_int_equal(jose_point_multiply(&d, &point, &point, NULL), 0);
			/* compact and sorted, with alg and key_ops: the whole text */
			expected = tang_point_to_json(&point);
			text = json_dump_public(expected);
			assert_string_equal(answer.body, text);
			free(text);
			free(answer.body);
		}
		free(body);
	}
}

/* A good body for EXCHANGE with members set (a value) or taken away (NULL). */
static char *body_with(const char *member, const char *value)
{
	char *text = good_body("P-521");
	JSON_AUTO json_t *jwk = json_loads(text, 0, NULL);

	free(text);
	if (value)
		assert_int_equal(json_object_set_new(jwk, member, json_of(value)), 0);
	else
		(void)json_object_del(jwk, member);
	return json_dump_public(jwk);
}

static void test_bodies_that_are_accepted(void **state)
{
	static const char *const rows[][2] = {
		{"alg", NULL},
		{"key_ops", NULL},
		{"d", "'AAAA'"},
		{"use", "'enc'"},
		{"kid", "'k'"},
		{"d", "1"},
		{"key_ops", "['deriveKey','sign']"},
	};
	char *good = good_body("P-521");
	char spaced[1024];

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		char *body = body_with(rows[i][0], rows[i][1]);

		unit_check(status_of("POST", target_of("/rec/%", EXCHANGE, JOSE_S256), body) == 200,
			   body);
		free(body);
	}
	(void)snprintf(spaced, sizeof(spaced), " \r\n\t%s \n", good);
	assert_int_equal(status_of("POST", target_of("/rec/%", EXCHANGE, JOSE_S256), spaced), 200);
	free(good);
}

/* The contract's order: body, permission, kind, key, key's permission, point. Each row has one fault and all later ones. */
static void test_errors_come_in_the_contracts_order(void **state)
{
#define POINT_OFF "'x':'AAAA','y':'AAAA'"
	static const struct {
		const char *body;
		enum which which;
		unsigned status;
	} rows[] = {
		/* body not a JSON object */
		{NULL, STRANGER, 400},
		{"", STRANGER, 400},
		{"garbage", STRANGER, 400},
		{"[]", STRANGER, 400},
		{"1", STRANGER, 400},
		{"{} x", STRANGER, 400},
		{"{'kty':'EC','kty':'EC'}", STRANGER, 400},
		/* key_ops or use that do not grant deriveKey, before the kind is looked at */
		{"{'key_ops':['sign']}", STRANGER, 403},
		{"{'key_ops':[]}", STRANGER, 403},
		{"{'use':'enc','kty':'oct'}", STRANGER, 403},
		{"{'use':'sig','alg':'ES512'}", STRANGER, 403},
		/* kind, before the key is looked for */
		{"{}", STRANGER, 400},
		{"{'kty':'RSA'}", STRANGER, 400},
		{"{'kty':'oct','k':'AA'}", STRANGER, 400},
		{"{'kty':1}", STRANGER, 400},
		{"{'kty':'EC','alg':'ECDH'}", STRANGER, 400},
		{"{'kty':'EC','alg':1}", STRANGER, 400},
		{"{'kty':'EC','alg':'ES512'}", SIGNING, 400},
		/* KID unknown, before the point is looked at */
		{"{'kty':'EC'}", STRANGER, 404},
		{"{'kty':'EC','alg':'ECMR','crv':'P-521'," POINT_OFF "}", STRANGER, 404},
		/* the key is not for it */
		{"{'kty':'EC'}", SIGNING, 403},
		{"{'kty':'EC'," POINT_OFF "}", ROTATED_SIGNING, 403},
		/* the point */
		{"{'kty':'EC'}", EXCHANGE, 400},
		{"{'kty':'EC','crv':'P-521'}", EXCHANGE, 400},
		{"{'kty':'EC','crv':'P-521'," POINT_OFF "}", EXCHANGE, 400},
		{"{'kty':'EC','crv':'P-256','x':'f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU',"
		 "'y':'x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0'}",
		 EXCHANGE, 400},
		{"{'kty':'EC','crv':'P-256','x':'f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU',"
		 "'y':'A_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0'}",
		 EXCHANGE_P256, 400},
		{"{'kty':'EC','crv':'P-256','x':'f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU',"
		 "'y':'x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0'}",
		 EXCHANGE_P256, 200},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		char *body = rows[i].body ? strdup(rows[i].body) : NULL;
		char row[200];

		for (char *c = body; c && *c; c++)
			if (*c == '\'')
				*c = '"';
		(void)snprintf(
			row, sizeof(row), "%zu: %.100s: %u", i,
			rows[i].body ? rows[i].body : "none",
			status_of("POST", target_of("/rec/%", rows[i].which, JOSE_S256), body));
		unit_check(status_of("POST", target_of("/rec/%", rows[i].which, JOSE_S256), body) ==
				   rows[i].status,
			   row);
		free(body);
	}
#undef POINT_OFF
}

/* "The key found is not for deriveKey, has another alg than ECMR, or no d: 403": there is such a key, so not 404. */
static void test_key_that_is_there_but_not_fit_answers_403(void **state)
{
	static const enum which rows[] = {VERIFY_ONLY, OTHER_ALG, WITHOUT_PRIVATE};
	char *body = good_body("P-521");

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++)
		unit_check(status_of("POST", target_of("/rec/%", rows[i], JOSE_S256), body) == 403,
			   made[rows[i]].name);
	free(body);
}

static void test_targets_and_bodies_are_bounded_to_the_byte(void **state)
{
	char *target = malloc(FRONT_TARGET_MAX + 2);
	char *body = malloc(FRONT_BODY_MAX + 2);

	(void)state;
	assert_true(target && body);
	memset(target, 'a', FRONT_TARGET_MAX + 2);
	memcpy(target, "/adv/", 5);
	target[FRONT_TARGET_MAX + 1] = '\0';
	assert_int_equal(status_of("GET", target, NULL), 414);
	assert_int_equal(status_of("PUT", target, NULL), 414);
	target[FRONT_TARGET_MAX] = '\0';
	assert_int_equal(status_of("GET", target, NULL), 404);
	memset(body, ' ', FRONT_BODY_MAX + 2);
	memcpy(body, "{}", 2);
	body[FRONT_BODY_MAX + 1] = '\0';
	assert_int_equal(status_of("POST", target_of("/rec/%", EXCHANGE, JOSE_S256), body), 413);
	body[FRONT_BODY_MAX] = '\0';
	assert_int_equal(status_of("POST", target_of("/rec/%", EXCHANGE, JOSE_S256), body), 400);
	free(target);
	free(body);
}

static void test_endpoint_stands_before_every_path(void **state)
{
	static const struct {
		const char *method;
		const char *target;
		unsigned status;
	} rows[] = {
		{"GET", "/api/tang/adv", 200},
		{"GET", "//api/tang//adv", 200},
		{"GET", "/api/tang/adv/", 200},
		{"GET", "/api/tang/adv/%", 200},
		{"GET", "/adv", 404},
		{"GET", "/api/tangadv", 404},
		{"GET", "/api/tang", 404},
		{"GET", "/api/adv", 404},
		{"GET", "/x/api/tang/adv", 404},
		{"POST", "/api/tang/adv", 405},
		{"GET", "api/tang/adv", 404},
	};

	(void)state;
	front.endpoint = "api/tang";
	for (size_t i = 0; i < COUNT(rows); i++)
		unit_check(status_of(rows[i].method, target_of(rows[i].target, SIGNING, JOSE_S256),
				     NULL) == rows[i].status,
			   rows[i].target);
}

static void test_folder_with_exchange_keys_alone_answers_500(void **state)
{
	JSON_AUTO json_t *jwk = key_make(&folder, "exc.jwk", "{'alg':'ECMR'}");
	char *body = good_body("P-521");
	char thumbprint[JOSE_THUMBPRINT_MAX];
	char target[128];

	(void)state;
	assert_int_equal(status_of("GET", "/adv", NULL), 500);
	assert_int_equal(folder_count(&folder), 1);
	/* but recovers */
	(void)snprintf(target, sizeof(target), "/rec/%s",
		       key_thumbprint(jwk, JOSE_S256, thumbprint));
	assert_int_equal(status_of("POST", target, body), 200);
	free(body);
}

static void test_folder_that_went_away_answers_500(void **state)
{
	char *body = good_body("P-521");

	(void)state;
	assert_int_equal(rmdir(folder.path), 0);
	assert_int_equal(status_of("GET", "/adv", NULL), 500);
	assert_int_equal(status_of("POST", "/rec/abc", body), 500);
	/* what needs no key is answered all the same */
	assert_int_equal(status_of("GET", "/other", NULL), 404);
	assert_int_equal(status_of("PUT", "/adv", NULL), 405);
	assert_int_equal(mkdir(folder.path, 0700), 0);
	free(body);
}

static void test_first_request_of_either_kind_makes_keys(void **state)
{
	char *body = good_body("P-521");

	(void)state;
	assert_int_equal(status_of("POST", "/rec/abc", body), 404);
	assert_int_equal(folder_count(&folder), 2);
	assert_int_equal(status_of("GET", "/adv", NULL), 200);
	assert_int_equal(folder_count(&folder), 2);
	free(body);
}

static void test_signing_key_alone_is_advertised_alone(void **state)
{
	struct answer answer;
	JSON_AUTO json_t *jws = NULL;
	JSON_AUTO json_t *set = NULL;

	(void)state;
	json_decref(key_make(&folder, "sig.jwk", "{'alg':'ES512'}"));
	ask("GET", "/adv", NULL, &answer);
	assert_int_equal(answer.status, 200);
	jws = json_loads(answer.body, 0, NULL);
	free(answer.body);
	assert_int_equal(tang_advertisement_verify(jws, &set, NULL), 0);
	assert_int_equal(json_array_size(json_at(set, "keys")), 1);
	assert_int_equal(folder_count(&folder), 1);
}

/* A reply of the part that holds the keys is checked too. */
static void reply_strangely(void *arg, const struct key_request *request, struct key_reply *reply)
{
	(void)request;
	*reply = *(const struct key_reply *)arg;
}

static int refresh_global(void *arg, const struct public_keys **side, struct error *err)
{
	(void)arg;
	return keys_refresh(keys, side, err);
}

static void test_failures_of_the_key_side_become_statuses(void **state)
{
	static const struct {
		uint32_t version;
		int32_t code;
		int curve;
		unsigned status;
	} rows[] = {
		{MESSAGE_VERSION, -EINVAL, 0, 400}, {MESSAGE_VERSION, -ENOENT, 0, 403},
		{MESSAGE_VERSION, -EIO, 0, 500},    {MESSAGE_VERSION, 1, 0, 500},
		{MESSAGE_VERSION + 1, 0, 0, 500},   {MESSAGE_VERSION, 0, JOSE_CURVES, 500},
		{MESSAGE_VERSION, 0, -1, 500},
	};
	char *body = good_body("P-521");

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct key_reply reply = {.version = rows[i].version,
					  .status = rows[i].code,
					  .y.curve = (enum jose_curve_id)rows[i].curve};

		front = (struct front){"", refresh_global, reply_strangely, &reply};
		assert_int_equal(status_of("POST", target_of("/rec/%", EXCHANGE, JOSE_S256), body),
				 rows[i].status);
	}
	free(body);
}

static int refresh_later(void *arg, const struct public_keys **side, struct error *err)
{
	(void)arg;
	(void)side;
	return error_set(err, -EAGAIN, "there are no keys for the moment");
}

/* A failure says that somebody must act; this passes by itself. */
static void test_keys_that_are_gone_for_a_moment_are_asked_for_again(void **state)
{
	struct answer answer;

	(void)state;
	front.refresh = refresh_later;
	ask("GET", "/adv", NULL, &answer);
	assert_int_equal(answer.status, 503);
	assert_true(answer.retry_after > 0);
	assert_null(answer.body);
	assert_int_equal(status_of("POST", "/rec/abc", "{}"), 503);
	assert_int_equal(status_of("GET", "/other", NULL), 404);
}

/* Sends `text` to a server and reads until it closes or 300 ms are quiet. */
static size_t converse(const struct server *server, const char *text, char *buffer, size_t size)
{
	struct sockaddr_in address = {.sin_family = AF_INET,
				      .sin_port = htons((uint16_t)server->port),
				      .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	const struct timeval quiet = {0, 300000};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	size_t filled = 0;
	ssize_t got;

	assert_true(fd >= 0);
	assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &quiet, sizeof(quiet)), 0);
	talk_text(fd, text);
	while (filled + 1 < size && (got = read(fd, buffer + filled, size - 1 - filled)) > 0)
		filled += (size_t)got;
	(void)close(fd);
	buffer[filled] = '\0';
	return filled;
}

static size_t count_of(const char *text, const char *part)
{
	size_t count = 0;

	for (const char *at = strstr(text, part); at; at = strstr(at + 1, part))
		count++;
	return count;
}

static void test_real_connections_are_answered_as_the_contract_says(void **state)
{
	static char long_path[6000];
	static char long_headers[100000];
	static char filling[90001];
	static const struct {
		const char *name;
		const char *text;
		const char *part;
		size_t count;
	} rows[] = {
		{"get", "GET /adv HTTP/1.1\r\nHost: h\r\n\r\n", "application/jose+json", 1},
		{"without host", "GET /adv HTTP/1.1\r\n\r\n", "HTTP/1.1 200", 1},
		{"http/1.0", "GET /adv HTTP/1.0\r\n\r\n", " 200 ", 1},
		{"bare lf", "GET /adv HTTP/1.1\nHost: h\n\n", "HTTP/1.1 200", 1},
		{"not found", "GET /x HTTP/1.1\r\nHost: h\r\n\r\n", "Content-Length: 0\r\n", 1},
		{"not found", "GET /x HTTP/1.1\r\nHost: h\r\n\r\n", "HTTP/1.1 404", 1},
		{"query", "GET /adv?a=b HTTP/1.1\r\nHost: h\r\n\r\n", "HTTP/1.1 404", 1},
		{"escape", "GET /%61dv HTTP/1.1\r\nHost: h\r\n\r\n", "HTTP/1.1 404", 1},
		{"method", "PUT /adv HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n",
		 "HTTP/1.1 405", 1},
		{"options", "OPTIONS /adv HTTP/1.1\r\nHost: h\r\n\r\n", "HTTP/1.1 405", 1},
		{"pipelined",
		 "GET /adv HTTP/1.1\r\nHost: h\r\n\r\nGET /x HTTP/1.1\r\nHost: h\r\n\r\n",
		 "HTTP/1.1 ", 2},
		{"chunked",
		 "POST /rec/x HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"
		 "2\r\n{}\r\n0\r\n\r\nGET /adv HTTP/1.1\r\nHost: h\r\n\r\n",
		 "HTTP/1.1 ", 2},
		{"expect",
		 "POST /rec/x HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n{}",
		 "HTTP/1.1 400", 1},
		{"malformed", "garbage\r\n\r\n", "HTTP/1.1 200", 0},
		{"target", long_path, "HTTP/1.1 414", 1},
		{"headers", long_headers, "HTTP/1.1 431", 1},
	};
	static char buffer[65536];
	SERVER_AUTO struct server server = {0};

	(void)state;
	memset(filling, 'a', sizeof(filling) - 1);
	(void)snprintf(long_path, sizeof(long_path), "GET /adv/%.5000s HTTP/1.1\r\nHost: h\r\n\r\n",
		       filling);
	(void)snprintf(long_headers, sizeof(long_headers),
		       "GET /adv HTTP/1.1\r\nHost: h\r\nX: %s\r\n\r\n", filling);
	server_start_tang(&server, folder.path);
	for (size_t i = 0; i < COUNT(rows); i++) {
		(void)converse(&server, rows[i].text, buffer, sizeof(buffer));
		unit_check(count_of(buffer, rows[i].part) == rows[i].count, rows[i].name);
	}
}

static void test_head_is_answered_without_body(void **state)
{
	static char buffer[65536];
	SERVER_AUTO struct server server = {0};

	(void)state;
	server_start_tang(&server, folder.path);
	(void)converse(&server, "HEAD /adv HTTP/1.1\r\nHost: h\r\n\r\n", buffer, sizeof(buffer));
	assert_non_null(strstr(buffer, "HTTP/1.1 200"));
	assert_non_null(strstr(buffer, "Content-Type: application/jose+json"));
	assert_string_equal(strstr(buffer, "\r\n\r\n"), "\r\n\r\n");
}

static void test_body_too_large_leaves_the_connection_usable(void **state)
{
	static char text[80000];
	static char buffer[65536];
	SERVER_AUTO struct server server = {0};

	(void)state;
	(void)snprintf(text, sizeof(text),
		       "POST /rec/x HTTP/1.1\r\nHost: h\r\nContent-Length: 65536\r\n\r\n"
		       "%65536sGET /adv HTTP/1.1\r\nHost: h\r\n\r\n",
		       "");
	server_start_tang(&server, folder.path);
	(void)converse(&server, text, buffer, sizeof(buffer));
	assert_non_null(strstr(buffer, "HTTP/1.1 413"));
	assert_non_null(strstr(buffer, "HTTP/1.1 200"));
}

/* It was on its way to private keys that are gone: those that are there now count from another end. */
static void test_lost_request_finds_its_key_anew(void **state)
{
	struct key_request request;
	struct key_request again;
	struct answer answer;
	char *body = good_body("P-521");
	const char *target = target_of("/rec/%", EXCHANGE, JOSE_S256);

	(void)state;
	assert_false(front_begin(&front, "POST", target, body, strlen(body), &answer, &request));
	again = request;
	again.key = UINT32_MAX;
	assert_false(front_begin_again(&front, target, &answer, &again));
	assert_memory_equal(&again, &request, sizeof(request));
	again.key = UINT32_MAX;
	assert_true(front_begin_again(&front, target_of("/rec/%", STRANGER, JOSE_S256), &answer,
				      &again));
	assert_int_equal(answer.status, 404);
	assert_true(front_begin_again(&front, target_of("/rec/%", SIGNING, JOSE_S256), &answer,
				      &again));
	assert_int_equal(answer.status, 403);
	assert_int_equal(again.key, UINT32_MAX);
	free(body);
}

#define CASE(test) cmocka_unit_test_setup_teardown(test, open_filled, close_all)
#define CASE_EMPTY(test) cmocka_unit_test_setup_teardown(test, open_empty, close_all)

int main(int argc, char *argv[])
{
	static const struct CMUnitTest tests[] = {
		CASE(test_advertisement_is_a_signed_set_of_public_keys),
		CASE(test_advertisement_by_thumbprint_is_signed_by_that_key_too),
		CASE(test_paths_and_methods_of_the_contract),
		CASE(test_recovery_multiplies_the_point),
		CASE(test_bodies_that_are_accepted),
		CASE(test_errors_come_in_the_contracts_order),
		CASE(test_key_that_is_there_but_not_fit_answers_403),
		CASE(test_targets_and_bodies_are_bounded_to_the_byte),
		CASE(test_endpoint_stands_before_every_path),
		CASE_EMPTY(test_folder_with_exchange_keys_alone_answers_500),
		CASE_EMPTY(test_folder_that_went_away_answers_500),
		CASE_EMPTY(test_keys_that_are_gone_for_a_moment_are_asked_for_again),
		CASE_EMPTY(test_first_request_of_either_kind_makes_keys),
		CASE_EMPTY(test_signing_key_alone_is_advertised_alone),
		CASE(test_failures_of_the_key_side_become_statuses),
		CASE(test_real_connections_are_answered_as_the_contract_says),
		CASE(test_head_is_answered_without_body),
		CASE(test_body_too_large_leaves_the_connection_usable),
		CASE(test_lost_request_finds_its_key_anew),
	};

	unit_begin(argc, argv);
	return cmocka_run_group_tests_name("tangd/front, http", tests, NULL, NULL);
}
