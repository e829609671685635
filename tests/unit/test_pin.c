/* SPDX-License-Identifier: Apache-2.0 */
/* pin/: the tang pin against our server and against one that lies; what is trusted, and what opening accepts. */
#include "keyfile.h"
#include "server.h"

#include "net/net.h"
#include "pin/pin.h"
#include "pin/pins.h"
#include "tang/tang.h"
#include "tangd/front.h"

#include <errno.h>
#include <poll.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char plaintext[] = "the bound passphrase";

/* A person who is asked: says `answer`, and remembers what was shown. */
struct person {
	int answer;
	size_t asked;
	size_t count;
	char first[JOSE_THUMBPRINT_MAX];
};

static int ask_person(void *arg, const char *const *thumbprints, size_t count, struct error *err)
{
	struct person *person = arg;

	person->asked++;
	person->count = count;
	(void)snprintf(person->first, sizeof(person->first), "%s", count > 0 ? thumbprints[0] : "");
	return person->answer < 0 ? error_set(err, person->answer, "the person said no") : 0;
}

static struct folder folder;
static json_t *signing;
static json_t *exchange;
static struct server server;
static struct error err;

static int start_server(void **state)
{
	(void)state;
	folder_make(&folder);
	signing = key_make(&folder, "sig.jwk", "{'alg':'ES512'}");
	exchange = key_make(&folder, "exc.jwk", "{'alg':'ECMR'}");
	server_start_tang(&server, folder.path);
	err = (struct error){0};
	return 0;
}

static int end_server(void **state)
{
	(void)state;
	server_stop(&server);
	json_drop(&signing);
	json_drop(&exchange);
	folder_remove(&folder);
	return 0;
}

static struct pin_context context_of(enum pin_trust trust)
{
	return (struct pin_context){.deadline = deadline_in_ms(5000), .trust = trust, .err = &err};
}

static int seal_by(struct pin_context *context, const json_t *config, json_t **jwe)
{
	SECRET_AUTO struct secret plain = {0};

	err = (struct error){0};
	assert_int_equal(secret_copy(&plain, plaintext, strlen(plaintext), NULL), 0);
	return pin_seal(context, "tang", config, &plain, jwe);
}

static int open_by(const json_t *jwe)
{
	struct pin_context context = context_of(PIN_TRUST_PINNED);
	SECRET_AUTO struct secret plain = {0};
	int rc;

	err = (struct error){0};
	rc = pin_open(&context, jwe, &plain);
	assert_int_equal(plain.data != NULL, rc == 0);
	assert_int_equal(err.code < 0, rc < 0);
	if (rc == 0) {
		assert_int_equal(plain.size, strlen(plaintext));
		assert_memory_equal(plain.data, plaintext, plain.size);
	}
	return rc;
}

/* {"url": URL of `server`} */
static json_t *config_of(const struct server *one)
{
	return json_pack("{s:s}", "url", one->url);
}

/* The advertisement of the two keys; the caller's. */
static json_t *own_advertisement(void)
{
	JSON_AUTO json_t *keys = json_pack("[O, O]", signing, exchange);
	JSON_AUTO json_t *signers = json_pack("[O]", signing);
	json_t *jws = NULL;

	assert_int_equal(tang_advertisement_sign(keys, signers, &jws, NULL), 0);
	return jws;
}

/* A JWE for the running server; the caller's. */
static json_t *sealed(void)
{
	struct pin_context context = context_of(PIN_TRUST_YES);
	JSON_AUTO json_t *config = config_of(&server);
	json_t *jwe = NULL;

	assert_int_equal(seal_by(&context, config, &jwe), 0);
	return jwe;
}

static void test_seals_and_opens_through_a_server(void **state)
{
	JSON_AUTO json_t *jwe = sealed();

	(void)state;
	assert_int_equal(open_by(jwe), 0);
	/* rotated keys open what was sealed to them */
	assert_int_equal(renameat(folder.fd, "exc.jwk", folder.fd, ".exc.jwk"), 0);
	assert_int_equal(renameat(folder.fd, "sig.jwk", folder.fd, ".sig.jwk"), 0);
	assert_int_equal(open_by(jwe), 0);
}

static void test_opens_what_went_through_the_compact_form(void **state)
{
	JSON_AUTO json_t *jwe = sealed();
	JSON_AUTO json_t *parsed = NULL;
	char *compact = NULL;

	(void)state;
	assert_int_equal(jose_jwe_format_compact(jwe, &compact, NULL), 0);
	assert_int_equal(jose_jwe_parse_compact(compact, strlen(compact), &parsed, NULL), 0);
	free(compact);
	assert_int_equal(open_by(parsed), 0);
}

static void test_header_is_the_contracts(void **state)
{
	JSON_AUTO json_t *jwe = sealed();
	JSON_AUTO json_t *header = NULL;
	char kid[JOSE_THUMBPRINT_MAX];
	const json_t *jwk;
	size_t i;

	(void)state;
	assert_int_equal(jose_jwe_header(jwe, &header, NULL), 0);
	assert_int_equal(json_object_size(header), 5);
	assert_string_equal(text_at(header, "alg"), "ECDH-ES");
	assert_string_equal(text_at(header, "enc"), "A256GCM");
	assert_string_equal(text_at(header, "kid"), key_thumbprint(exchange, JOSE_S256, kid));
	assert_string_equal(text_at(header, "epk/crv"), "P-521");
	assert_null(json_object_get(json_at(header, "epk"), "d"));
	assert_int_equal(json_object_size(json_at(header, "clevis")), 2);
	assert_string_equal(text_at(header, "clevis/pin"), "tang");
	assert_int_equal(json_object_size(json_at(header, "clevis/tang")), 2);
	assert_string_equal(text_at(header, "clevis/tang/url"), server.url);
	assert_int_equal(json_array_size(json_at(header, "clevis/tang/adv/keys")), 2);
	json_array_foreach(json_at(header, "clevis/tang/adv/keys"), i, jwk) {
		assert_null(json_object_get(jwk, "d"));
	}
}

static void test_two_sealings_share_no_key(void **state)
{
	JSON_AUTO json_t *first = sealed();
	JSON_AUTO json_t *second = sealed();

	(void)state;
	assert_string_not_equal(text_at(first, "protected"), text_at(second, "protected"));
	assert_string_not_equal(text_at(first, "ciphertext"), text_at(second, "ciphertext"));
}

static void test_configuration_must_make_sense(void **state)
{
	static const struct {
		const char *config;
		int rc;
		const char *words;
	} rows[] = {
		{"{}", -EINVAL, "Missing the required 'url' property"},
		{"{'url':1}", -EINVAL, "Missing the required 'url' property"},
		{"[]", -EINVAL, "Configuration is malformed"},
		{"'text'", -EINVAL, "Configuration is malformed"},
		{"{'url':'http://127.0.0.1:1','thp':1}", -EINVAL, "'thp'"},
		{"{'url':'http://127.0.0.1:1','adv':1}", -EINVAL, "'adv'"},
		{"{'url':'http://127.0.0.1:1','adv':'/nonexistent/adv'}", -ENOENT,
		 "Advertisement file '/nonexistent/adv' not found"},
		{"{'url':'http://127.0.0.1:1','adv':{}}", -EBADMSG, "Advertisement is malformed"},
		{"{'url':'ftp://h'}", -ENOTSUP, "Unable to fetch advertisement"},
		{"{'url':'http://'}", -EINVAL, "Unable to fetch advertisement"},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct pin_context context = context_of(PIN_TRUST_YES);
		JSON_AUTO json_t *config = json_of(rows[i].config);
		json_t *jwe = NULL;

		unit_check(seal_by(&context, config, &jwe) == rows[i].rc && !jwe, rows[i].config);
		unit_check(strstr(err.text, rows[i].words) != NULL, rows[i].config);
	}
}

/* How trust is decided: what the person's switch is, what the configuration pins, and whether the advertisement is given. */
static void test_trust_is_decided_as_the_contract_says(void **state)
{
	enum thp { NO_THP, RIGHT, RIGHT_S1, WRONG, OF_EXCHANGE };
	static const struct {
		const char *name;
		enum pin_trust trust;
		enum thp thp;
		bool given;
		int person; /* 0 yes, -EACCES no, 1 nobody there */
		int rc;
		size_t asked;
	} rows[] = {
		{"yes", PIN_TRUST_YES, NO_THP, false, 1, 0, 0},
		{"yes beats a wrong thp in the advertisement given", PIN_TRUST_YES, WRONG, true, 1,
		 0, 0},
		{"asked, yes", PIN_TRUST_ASK, NO_THP, false, 0, 0, 1},
		{"asked, no", PIN_TRUST_ASK, NO_THP, false, -EACCES, -EACCES, 1},
		{"nobody to ask", PIN_TRUST_ASK, NO_THP, false, 1, -EACCES, 0},
		{"right thp", PIN_TRUST_ASK, RIGHT, false, 1, 0, 0},
		{"right thp by S1", PIN_TRUST_ASK, RIGHT_S1, false, 1, 0, 0},
		{"right thp, pinned", PIN_TRUST_PINNED, RIGHT, false, 1, 0, 0},
		{"pinned without thp", PIN_TRUST_PINNED, NO_THP, false, 0, -EACCES, 0},
		{"adv given", PIN_TRUST_ASK, NO_THP, true, 1, 0, 0},
		{"adv given, pinned", PIN_TRUST_PINNED, NO_THP, true, 1, 0, 0},
		{"adv given, right thp", PIN_TRUST_ASK, RIGHT, true, 1, 0, 0},
		{"adv given, wrong thp", PIN_TRUST_ASK, WRONG, true, 0, -EACCES, 0},
		{"adv given, wrong thp, pinned", PIN_TRUST_PINNED, WRONG, true, 1, -EACCES, 0},
		{"the exchange key's thp", PIN_TRUST_ASK, OF_EXCHANGE, true, 0, -EACCES, 0},
	};
	JSON_AUTO json_t *stranger = key_generate("{'alg':'ES512'}");
	JSON_AUTO json_t *adv = own_advertisement();

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct person person = {.answer = rows[i].person};
		struct pin_context context = context_of(rows[i].trust);
		JSON_AUTO json_t *config = config_of(&server);
		const json_t *const pinned[] = {NULL, signing, signing, stranger, exchange};
		char thp[JOSE_THUMBPRINT_MAX];
		JSON_AUTO json_t *jwe = NULL;

		if (rows[i].person <= 0) {
			context.ask = ask_person;
			context.ask_arg = &person;
		}
		if (rows[i].thp != NO_THP)
			assert_int_equal(
				json_object_set_new(
					config, "thp",
					json_string(key_thumbprint(
						pinned[rows[i].thp],
						rows[i].thp == RIGHT_S1 ? JOSE_S1 : JOSE_S256,
						thp))),
				0);
		if (rows[i].given)
			assert_int_equal(json_object_set(config, "adv", adv), 0);
		unit_check(seal_by(&context, config, &jwe) == rows[i].rc, rows[i].name);
		unit_check((jwe != NULL) == (rows[i].rc == 0), rows[i].name);
		unit_check(person.asked == rows[i].asked, rows[i].name);
		unit_check(context.sealed_offline == (rows[i].given && rows[i].rc == 0),
			   rows[i].name);
		if (rows[i].asked) {
			assert_int_equal(person.count, 1);
			assert_string_equal(person.first, key_thumbprint(signing, JOSE_S256, thp));
		}
		if (rows[i].thp == WRONG && rows[i].rc < 0) {
			assert_non_null(strstr(err.text, "Trusted JWK '"));
			assert_non_null(strstr(err.text, "' did not sign the advertisement"));
		}
	}
}

static void test_advertisement_comes_from_a_file(void **state)
{
	struct pin_context context = context_of(PIN_TRUST_PINNED);
	JSON_AUTO json_t *adv = own_advertisement();
	JSON_AUTO json_t *config = config_of(&server);
	JSON_AUTO json_t *jwe = NULL;
	char path[128];

	(void)state;
	assert_true(snprintf(path, sizeof(path), "%s/adv.json", folder.path) > 0);
	assert_int_equal(json_dump_file(adv, path, JSON_INDENT(2)), 0);
	assert_int_equal(json_object_set_new(config, "adv", json_string(path)), 0);
	assert_int_equal(seal_by(&context, config, &jwe), 0);
	assert_true(context.sealed_offline);
	assert_int_equal(open_by(jwe), 0);
}

static void test_bad_advertisement_files_are_refused(void **state)
{
	static const char *const contents[] = {"", "{", "[]", "{}", "{\"payload\":\"e30\"}"};
	JSON_AUTO json_t *config = config_of(&server);
	char path[128];

	(void)state;
	assert_true(snprintf(path, sizeof(path), "%s/adv.json", folder.path) > 0);
	assert_int_equal(json_object_set_new(config, "adv", json_string(path)), 0);
	for (size_t i = 0; i < COUNT(contents); i++) {
		struct pin_context context = context_of(PIN_TRUST_YES);
		json_t *jwe = NULL;

		folder_write(&folder, "adv.json", contents[i]);
		unit_check(seal_by(&context, config, &jwe) == -EBADMSG && !jwe, contents[i]);
		unit_check(strstr(err.text, "Advertisement is malformed") != NULL, contents[i]);
	}
}

static void test_forged_advertisement_is_refused_even_with_yes(void **state)
{
	JSON_AUTO json_t *stranger = key_generate("{'alg':'ES512'}");
	JSON_AUTO json_t *keys = json_pack("[O, O]", signing, exchange);
	JSON_AUTO json_t *signers = json_pack("[O]", stranger);
	JSON_AUTO json_t *adv = NULL;
	JSON_AUTO json_t *config = config_of(&server);
	struct pin_context context = context_of(PIN_TRUST_YES);
	json_t *jwe = NULL;

	(void)state;
	assert_int_equal(tang_advertisement_sign(keys, signers, &adv, NULL), 0);
	assert_int_equal(json_object_set(config, "adv", adv), 0);
	assert_int_equal(seal_by(&context, config, &jwe), -EBADMSG);
	assert_non_null(strstr(err.text, "Advertisement is missing signatures"));
	assert_null(jwe);
}

static void test_advertisement_without_exchange_key_seals_nothing(void **state)
{
	JSON_AUTO json_t *keys = json_pack("[O]", signing);
	JSON_AUTO json_t *adv = NULL;
	JSON_AUTO json_t *config = config_of(&server);
	struct pin_context context = context_of(PIN_TRUST_YES);
	json_t *jwe = NULL;

	(void)state;
	assert_int_equal(tang_advertisement_sign(keys, keys, &adv, NULL), 0);
	assert_int_equal(json_object_set(config, "adv", adv), 0);
	assert_true(seal_by(&context, config, &jwe) < 0);
	assert_non_null(strstr(err.text, "No exchange keys found"));
	assert_null(jwe);
}

static void test_server_that_is_down_is_told_by_name(void **state)
{
	JSON_AUTO json_t *jwe = sealed();
	JSON_AUTO json_t *config = config_of(&server);
	struct pin_context context = context_of(PIN_TRUST_YES);
	json_t *none = NULL;
	int rc;

	(void)state;
	server_stop(&server);
	rc = open_by(jwe);
	assert_true(net_is_unreachable(rc));
	assert_non_null(strstr(err.text, "Error communicating with server http://127.0.0.1:"));
	rc = seal_by(&context, config, &none);
	assert_true(net_is_unreachable(rc));
	assert_non_null(strstr(err.text, "Unable to fetch advertisement (http://127.0.0.1:"));
	assert_null(none);
}

static void test_key_that_is_gone_is_told(void **state)
{
	JSON_AUTO json_t *jwe = sealed();

	(void)state;
	assert_int_equal(unlinkat(folder.fd, "exc.jwk", 0), 0);
	/* The server takes it by itself, soon. */
	for (int ms = 0; open_by(jwe) == 0 && ms < 5000; ms += 20)
		(void)poll(NULL, 0, 20);
	assert_int_equal(open_by(jwe), -EBADMSG);
	assert_non_null(strstr(err.text, "no longer has the key"));
}

/* A server with the right keys that answers recoveries with something else. */
enum lie {
	NO_LIE,
	ANOTHER_POINT,
	SAME_POINT,
	TIMES_WRONG_KEY,
	OFF_THE_CURVE,
	OTHER_CURVE,
	THE_MASK, /* Y = e·S, which makes K the identity */
	MISSING_Y,
	WRONG_ALG,
	NOT_JSON,
	NOT_AN_OBJECT,
	EMPTY,
	NOT_FOUND,
	SERVER_ERROR,
	REDIRECT,
	LIES,
};

/* In memory that parent and child share. */
struct liar {
	const char *path;
	enum lie lie;
	struct jose_point
		c; /* of the JWE that is opened: a server that knows it can find e·G = X − C */
};

static int refresh(void *arg, const struct public_keys **side, struct error *why)
{
	return keys_refresh(arg, side, why);
}

static void do_exchange(void *arg, const struct key_request *request, struct key_reply *reply)
{
	keys_answer(arg, request, reply);
}

/* Sends a point as the answer. In the child: no assertions. */
static void send_point(int fd, const struct jose_point *point, const char *without, const char *alg)
{
	JSON_AUTO json_t *jwk = tang_point_to_json(point);
	char *body;

	if (without)
		(void)json_object_del(jwk, without);
	if (alg)
		(void)json_object_set_new(jwk, "alg", json_string(alg));
	body = json_dump_public(jwk);
	talk_answer(fd, 200, body);
	free(body);
}

static bool mask_of(const struct jose_point *c, const struct jose_point *x, struct jose_point *mask)
{
	SECRET_AUTO struct secret s = {0};

	return jose_point_subtract(x, c, mask, NULL) == 0 &&
	       jose_scalar_from_jwk(exchange, jose_curve(JOSE_P521), &s, NULL) == 0 &&
	       jose_point_multiply(&s, mask, mask, NULL) == 0;
}

static void lie_with_a_point(int fd, const struct liar *liar, const json_t *asked)
{
	enum lie lie = liar->lie;
	SECRET_AUTO struct secret scalar = {0};
	struct jose_point sent;
	struct jose_point made;
	const struct jose_curve *curve = jose_curve(lie == OTHER_CURVE ? JOSE_P256 : JOSE_P521);

	if (jose_point_from_jwk(asked, &sent, NULL) < 0 ||
	    jose_point_generate(curve, &scalar, &made, NULL) < 0)
		return;
	if (lie == SAME_POINT)
		made = sent;
	if (lie == TIMES_WRONG_KEY)
		(void)jose_point_multiply(&scalar, &sent, &made, NULL);
	if (lie == OFF_THE_CURVE)
		made.y[65] ^= 1;
	if (lie == THE_MASK && !mask_of(&liar->c, &sent, &made))
		return;
	send_point(fd, &made, lie == MISSING_Y ? "y" : NULL, lie == WRONG_ALG ? "ECDH" : NULL);
}

static void lie_about(int fd, const struct liar *liar, const struct talk_request *request)
{
	static const struct {
		enum lie lie;
		unsigned status;
		const char *body;
	} canned[] = {
		{NOT_JSON, 200, "<html>captive portal</html>"},
		{NOT_AN_OBJECT, 200, "[]"},
		{EMPTY, 200, ""},
		{NOT_FOUND, 404, ""},
		{SERVER_ERROR, 500, ""},
		{REDIRECT, 302, "elsewhere"},
	};
	JSON_AUTO json_t *asked = NULL;

	for (size_t i = 0; i < COUNT(canned); i++) {
		if (canned[i].lie == liar->lie) {
			talk_answer(fd, canned[i].status, canned[i].body);
			return;
		}
	}
	if (json_parse(request->body, request->body_size, "body", &asked, NULL) == 0)
		lie_with_a_point(fd, liar, asked);
}

static void talk_liar(int fd, void *arg)
{
	static struct keys *keys;
	const struct liar *liar = arg;
	static struct talk_request request;
	struct front front = {"", refresh, do_exchange, NULL};
	struct answer answer;

	if (!keys && keys_open(liar->path, &keys, NULL) < 0)
		return;
	front.keys = keys;
	if (!talk_read_request(fd, &request))
		return;
	if (strcmp(request.method, "POST") == 0 && liar->lie != NO_LIE) {
		lie_about(fd, liar, &request);
		return;
	}
	front_answer(&front, request.method, request.target, request.body, request.body_size,
		     &answer);
	talk_answer(fd, answer.status, answer.body ? answer.body : "");
	free(answer.body);
}

static void test_lying_answers_never_open_anything(void **state)
{
	static const struct {
		enum lie lie;
		const char *words;
	} rows[] = {
		{ANOTHER_POINT, "decryption failed"},
		{SAME_POINT, "decryption failed"},
		{TIMES_WRONG_KEY, "decryption failed"},
		{OFF_THE_CURVE, "not on curve"},
		{OTHER_CURVE, "another curve"},
		{MISSING_Y, "'y'"},
		{WRONG_ALG, "ECMR"},
		{NOT_JSON, "not valid JSON"},
		{NOT_AN_OBJECT, "its answer"},
		{EMPTY, "not valid JSON"},
		{NOT_FOUND, "no longer has the key"},
		{SERVER_ERROR, "answered 500"},
		{REDIRECT, "answered 302"},
		{THE_MASK, "point at infinity"},
	};
	struct liar *liar = unit_map(sizeof(*liar));
	SERVER_AUTO struct server lying = {0};
	struct pin_context context = context_of(PIN_TRUST_YES);
	JSON_AUTO json_t *config = NULL;
	JSON_AUTO json_t *jwe = NULL;
	JSON_AUTO json_t *header = NULL;

	(void)state;
	*liar = (struct liar){folder.path, NO_LIE, {0}};
	server_start(&lying, talk_liar, liar);
	config = config_of(&lying);
	assert_int_equal(seal_by(&context, config, &jwe), 0);
	assert_int_equal(jose_jwe_header(jwe, &header, NULL), 0);
	assert_int_equal(jose_point_from_jwk(json_at(header, "epk"), &liar->c, NULL), 0);
	/* First that this server opens while it does not lie, so that it is the lies that fail below. */
	assert_int_equal(open_by(jwe), 0);
	for (size_t i = 0; i < COUNT(rows); i++) {
		liar->lie = rows[i].lie;
		unit_check(open_by(jwe) == -EBADMSG, rows[i].words);
		unit_check(strstr(err.text, rows[i].words) != NULL, err.text);
		unit_check(strstr(err.text, lying.url) != NULL, err.text);
	}
	liar->lie = NO_LIE;
	assert_int_equal(open_by(jwe), 0);
	server_stop(&lying);
	unit_unmap(liar, sizeof(*liar));
}

/* A signed header cannot be changed, but one may be made: then nothing in it may be believed. */
static void test_jwe_that_makes_no_sense_is_refused_without_asking(void **state)
{
	static const struct {
		const char *path;  /* of the header's member */
		const char *value; /* NULL: removed */
	} rows[] = {
		{"clevis", NULL},
		{"clevis", "1"},
		{"clevis/pin", NULL},
		{"clevis/pin", "1"},
		{"clevis/tang", NULL},
		{"clevis/tang", "[]"},
		{"clevis/tang/url", NULL},
		{"clevis/tang/url", "1"},
		{"clevis/tang/adv", NULL},
		{"clevis/tang/adv", "{'keys':[]}"},
		{"clevis/tang/adv", "{'keys':{}}"},
		{"clevis/tang/adv/keys/0", "1"},
		{"kid", NULL},
		{"kid", "1"},
		{"kid", "'unknown'"},
		{"epk", NULL},
		{"epk", "{}"},
		{"epk",
		 "{'kty':'EC','crv':'P-256','x':'f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU',"
		 "'y':'x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0'}"},
		{"epk/x", "'AA'"},
	};
	JSON_AUTO json_t *jwe = sealed();
	JSON_AUTO json_t *header = NULL;

	(void)state;
	assert_int_equal(jose_jwe_header(jwe, &header, NULL), 0);
	server_stop(&server); /* so that being asked would be another error */
	for (size_t i = 0; i < COUNT(rows); i++) {
		JSON_AUTO json_t *changed = json_deep_copy(header);
		const char *slash = strrchr(rows[i].path, '/');
		const char *name = slash ? slash + 1 : rows[i].path;
		json_t *node = changed;
		char *dump;

		if (slash) {
			char parent[64];

			(void)snprintf(parent, sizeof(parent), "%.*s", (int)(slash - rows[i].path),
				       rows[i].path);
			node = json_at(changed, parent);
		}
		if (!rows[i].value)
			assert_int_equal(json_object_del(node, name), 0);
		else if (json_is_array(node))
			assert_int_equal(json_array_clear(node), 0);
		else
			assert_int_equal(json_object_set_new(node, name, json_of(rows[i].value)),
					 0);
		dump = json_dump_public(changed);
		assert_int_equal(
			json_object_set_new(jwe, "protected", jose_b64_json(dump, strlen(dump))),
			0);
		free(dump);
		unit_check(open_by(jwe) == -EBADMSG, rows[i].path);
	}
}

static void test_jwe_of_an_unknown_pin_names_it(void **state)
{
	JSON_AUTO json_t *oct = key_generate("{'alg':'A256GCM'}");
	JSON_AUTO json_t *header = json_of("{'clevis':{'pin':'nope'}}");
	JSON_AUTO json_t *jwe = NULL;
	SECRET_AUTO struct secret plain = {0};
	struct pin_context context = context_of(PIN_TRUST_YES);
	JSON_AUTO json_t *config = json_object();
	json_t *none = NULL;

	(void)state;
	assert_int_equal(secret_copy(&plain, "x", 1, NULL), 0);
	assert_int_equal(jose_jwe_encrypt(header, oct, &plain, &jwe, NULL), 0);
	assert_int_equal(open_by(jwe), -ENOENT);
	assert_non_null(strstr(err.text, "Unable to locate pin 'nope'"));
	assert_int_equal(pin_seal(&context, "nope", config, &plain, &none), -ENOENT);
	assert_non_null(strstr(err.text, "Unable to locate pin 'nope'"));
	json_drop(&jwe);
	assert_int_equal(jose_jwe_encrypt(NULL, oct, &plain, &jwe, NULL), 0);
	assert_int_equal(open_by(jwe), -EBADMSG);
	assert_non_null(
		strstr(err.text, "JWE is missing the required 'clevis.pin' header property"));
}

static void test_changed_jwe_does_not_open(void **state)
{
	static const char *const members[] = {"ciphertext", "iv", "tag"};
	JSON_AUTO json_t *jwe = sealed();

	(void)state;
	for (size_t i = 0; i < COUNT(members); i++) {
		JSON_AUTO json_t *changed = json_deep_copy(jwe);

		json_tamper(changed, members[i]);
		unit_check(open_by(changed) == -EBADMSG, members[i]);
	}
	assert_int_equal(open_by(jwe), 0);
}

/* Upstream before: a kid by S1. */
static void test_opens_a_kid_by_sha1(void **state)
{
	JSON_AUTO json_t *adv = json_pack("{s:[O, O]}", "keys", signing, exchange);
	JSON_AUTO json_t *header = NULL;
	JSON_AUTO json_t *jwe = NULL;
	JSON_AUTO json_t *receiver = json_deep_copy(exchange);
	SECRET_AUTO struct secret plain = {0};
	char kid[JOSE_THUMBPRINT_MAX];

	(void)state;
	header = json_pack("{s:s, s:{s:s, s:{s:s, s:O}}}", "kid",
			   key_thumbprint(exchange, JOSE_S1, kid), "clevis", "pin", "tang", "tang",
			   "url", server.url, "adv", adv);
	assert_int_equal(json_object_del(receiver, "alg"), 0);
	assert_int_equal(secret_copy(&plain, plaintext, strlen(plaintext), NULL), 0);
	assert_int_equal(jose_jwe_encrypt(header, receiver, &plain, &jwe, NULL), 0);
	assert_int_equal(open_by(jwe), 0);
}

static void test_url_with_a_path_and_slash_works(void **state)
{
	struct pin_context context = context_of(PIN_TRUST_YES);
	JSON_AUTO json_t *config = NULL;
	JSON_AUTO json_t *jwe = NULL;
	char url[80];

	(void)state;
	(void)snprintf(url, sizeof(url), "%s/", server.url);
	config = json_pack("{s:s}", "url", url);
	assert_int_equal(seal_by(&context, config, &jwe), 0);
	assert_int_equal(open_by(jwe), 0);
}

static void talk_silent(int fd, void *arg)
{
	char byte;

	(void)arg;
	while (read(fd, &byte, 1) > 0)
		;
}

static void test_silent_server_ends_at_the_operations_deadline(void **state)
{
	SERVER_AUTO struct server silent = {0};
	JSON_AUTO json_t *config = NULL;
	struct pin_context context = context_of(PIN_TRUST_YES);
	json_t *jwe = NULL;
	int64_t start = unit_now_ms();

	(void)state;
	server_start(&silent, talk_silent, NULL);
	config = config_of(&silent);
	context.deadline = deadline_in_ms(200);
	assert_int_equal(seal_by(&context, config, &jwe), -ETIMEDOUT);
	assert_in_range(unit_now_ms() - start, 190, 3000);
	assert_null(jwe);
}

static void test_description_seals_again_and_lists_the_url_alone(void **state)
{
	JSON_AUTO json_t *jwe = sealed();
	JSON_AUTO json_t *config = NULL;
	JSON_AUTO json_t *listed = NULL;
	JSON_AUTO json_t *again = NULL;
	JSON_AUTO json_t *expected = config_of(&server);
	struct pin_context context = context_of(PIN_TRUST_PINNED);
	const struct pin *pin = NULL;
	char thp[JOSE_THUMBPRINT_MAX];

	(void)state;
	assert_int_equal(pin_of(jwe, &pin, &err), 0);
	assert_string_equal(pin->name, "tang");
	assert_ptr_equal(pin, pin_find("tang"));
	assert_int_equal(pin->describe(jwe, &config, &err), 0);
	assert_string_equal(text_at(config, "url"), server.url);
	assert_string_equal(text_at(config, "thp"), key_thumbprint(signing, JOSE_S256, thp));
	assert_int_equal(seal_by(&context, config, &again), 0);
	assert_int_equal(pin_list_config(jwe, &listed, &err), 0);
	assert_true(json_equal(listed, expected));
}

static int count_visit(const struct pin *pin, const json_t *jwe, void *arg, struct error *why)
{
	size_t *count = arg;

	(void)jwe;
	(void)why;
	*count += pin == pin_find("tang");
	return 0;
}

static void test_walk_and_needs_see_the_leaf(void **state)
{
	JSON_AUTO json_t *jwe = sealed();
	JSON_AUTO json_t *garbage = json_of("{}");
	size_t count = 0;

	(void)state;
	assert_int_equal(pin_walk(jwe, count_visit, &count, &err), 0);
	assert_int_equal(count, 1);
	assert_int_equal(pin_needs(jwe), PIN_NETWORK);
	assert_int_equal(pin_walk(garbage, count_visit, &count, &err), -EBADMSG);
	assert_int_equal(count, 1);
}

static void test_table_of_pins_is_complete(void **state)
{
	(void)state;
	for (const struct pin *const *pin = pin_all(); *pin; pin++) {
		assert_ptr_equal(pin_find((*pin)->name), *pin);
		assert_non_null((*pin)->seal);
		assert_non_null((*pin)->open);
		assert_non_null((*pin)->describe);
		assert_non_null((*pin)->needs);
	}
	assert_null(pin_find(""));
	assert_null(pin_find("nope"));
}

#define CASE(test) cmocka_unit_test_setup_teardown(test, start_server, end_server)

int main(int argc, char *argv[])
{
	static const struct CMUnitTest tests[] = {
		CASE(test_seals_and_opens_through_a_server),
		CASE(test_opens_what_went_through_the_compact_form),
		CASE(test_header_is_the_contracts),
		CASE(test_two_sealings_share_no_key),
		CASE(test_configuration_must_make_sense),
		CASE(test_trust_is_decided_as_the_contract_says),
		CASE(test_advertisement_comes_from_a_file),
		CASE(test_bad_advertisement_files_are_refused),
		CASE(test_forged_advertisement_is_refused_even_with_yes),
		CASE(test_advertisement_without_exchange_key_seals_nothing),
		CASE(test_server_that_is_down_is_told_by_name),
		CASE(test_key_that_is_gone_is_told),
		CASE(test_lying_answers_never_open_anything),
		CASE(test_jwe_that_makes_no_sense_is_refused_without_asking),
		CASE(test_jwe_of_an_unknown_pin_names_it),
		CASE(test_changed_jwe_does_not_open),
		CASE(test_opens_a_kid_by_sha1),
		CASE(test_url_with_a_path_and_slash_works),
		CASE(test_silent_server_ends_at_the_operations_deadline),
		CASE(test_description_seals_again_and_lists_the_url_alone),
		CASE(test_walk_and_needs_see_the_leaf),
		cmocka_unit_test(test_table_of_pins_is_complete),
	};

	unit_begin(argc, argv);
	return cmocka_run_group_tests_name("pin", tests, NULL, NULL);
}
