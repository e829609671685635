/* SPDX-License-Identifier: Apache-2.0 */
/* tang/: the advertisement, and the McCallum–Relyea exchange in numbers. */
#include "unit.h"

#include "base/json.h"
#include "jose/jose.h"
#include "tang/tang.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static json_t *generate(const char *text)
{
	json_t *wanted = json_of(text);
	json_t *jwk = NULL;

	assert_int_equal(jose_jwk_generate(wanted, &jwk, NULL), 0);
	json_decref(wanted);
	return jwk;
}

/* A server's keys. */
struct identity {
	json_t *signing;
	json_t *exchange;
};

#define IDENTITY_AUTO __attribute__((cleanup(identity_free)))

static void identity_free(struct identity *identity)
{
	json_decref(identity->signing);
	json_decref(identity->exchange);
}

static struct identity identity_make(void)
{
	return (struct identity){generate("{'alg':'ES512'}"), generate("{'alg':'ECMR'}")};
}

/* The advertisement of `keys` (not taken over) signed by `signers` (the same). */
static json_t *advertise(json_t *keys, json_t *signers)
{
	json_t *jws = NULL;

	assert_int_equal(tang_advertisement_sign(keys, signers, &jws, NULL), 0);
	return jws;
}

static json_t *advertise_identity(const struct identity *identity)
{
	JSON_AUTO json_t *keys = json_pack("[O, O]", identity->signing, identity->exchange);
	JSON_AUTO json_t *signers = json_pack("[O]", identity->signing);

	return advertise(keys, signers);
}

/* Verifies; what was refused must say why in the contract's words. */
static int verify(const json_t *jws, json_t **key_set, const char *words)
{
	struct error err = {0};
	int rc = tang_advertisement_verify(jws, key_set, &err);

	if (rc < 0) {
		assert_null(*key_set);
		assert_non_null(strstr(err.text, words));
	}
	return rc;
}

static void test_advertisement_verifies_and_holds_public_keys_only(void **state)
{
	IDENTITY_AUTO struct identity server = identity_make();
	JSON_AUTO json_t *jws = advertise_identity(&server);
	JSON_AUTO json_t *set = NULL;
	const json_t *jwk;
	size_t i;

	(void)state;
	assert_int_equal(verify(jws, &set, ""), 0);
	assert_int_equal(json_array_size(json_at(set, "keys")), 2);
	json_array_foreach(json_at(set, "keys"), i, jwk) {
		assert_null(json_object_get(jwk, "d"));
		assert_non_null(json_object_get(jwk, "x"));
	}
}

static void test_each_signature_names_algorithm_and_content_type(void **state)
{
	static const char *const wanted[] = {"{'alg':'ES256'}", "{'alg':'ES384'}",
					     "{'alg':'ES512'}"};
	static const char *const headers[] = {"{'alg':'ES256','cty':'jwk-set+json'}",
					      "{'alg':'ES384','cty':'jwk-set+json'}",
					      "{'alg':'ES512','cty':'jwk-set+json'}"};
	JSON_AUTO json_t *keys = json_array();
	JSON_AUTO json_t *jws = NULL;

	(void)state;
	for (size_t i = 0; i < COUNT(wanted); i++)
		assert_int_equal(json_array_append_new(keys, generate(wanted[i])), 0);
	jws = advertise(keys, keys);
	for (size_t i = 0; i < COUNT(wanted); i++) {
		const json_t *signature = json_array_get(json_at(jws, "signatures"), i);
		SECRET_AUTO struct secret text = {0};
		JSON_AUTO json_t *header = NULL;
		JSON_AUTO json_t *expected = json_of(headers[i]);

		assert_int_equal(jose_b64_member(signature, "protected", &text, NULL), 0);
		assert_int_equal(
			json_parse((const char *)text.data, text.size, "header", &header, NULL), 0);
		assert_true(json_equal(header, expected));
	}
}

static void test_advertisement_needs_a_signer(void **state)
{
	IDENTITY_AUTO struct identity server = identity_make();
	JSON_AUTO json_t *keys = json_pack("[O]", server.exchange);
	JSON_AUTO json_t *signers = json_array();
	json_t *jws = NULL;

	(void)state;
	assert_int_equal(tang_advertisement_sign(keys, signers, &jws, NULL), -EINVAL);
	assert_int_equal(tang_advertisement_sign(keys, keys, &jws, NULL), -EINVAL);
	assert_null(jws);
}

static void test_every_signing_key_must_have_signed(void **state)
{
	JSON_AUTO json_t *first = generate("{'alg':'ES512'}");
	JSON_AUTO json_t *second = generate("{'alg':'ES256'}");
	JSON_AUTO json_t *keys = json_pack("[O, O]", first, second);
	JSON_AUTO json_t *one = json_pack("[O]", first);
	JSON_AUTO json_t *incomplete = advertise(keys, one);
	JSON_AUTO json_t *complete = advertise(keys, keys);
	JSON_AUTO json_t *set = NULL;

	(void)state;
	assert_int_equal(verify(incomplete, &set, "Advertisement is missing signatures"), -EBADMSG);
	assert_int_equal(verify(complete, &set, ""), 0);
}

static void test_a_stranger_may_sign_too_but_not_instead(void **state)
{
	IDENTITY_AUTO struct identity server = identity_make();
	JSON_AUTO json_t *stranger = generate("{'alg':'ES512'}");
	JSON_AUTO json_t *keys = json_pack("[O, O]", server.signing, server.exchange);
	JSON_AUTO json_t *both = json_pack("[O, O]", stranger, server.signing);
	JSON_AUTO json_t *alone = json_pack("[O]", stranger);
	JSON_AUTO json_t *good = advertise(keys, both);
	JSON_AUTO json_t *forged = advertise(keys, alone);
	JSON_AUTO json_t *set = NULL;
	json_t *none = NULL;

	(void)state;
	assert_int_equal(verify(good, &set, ""), 0);
	assert_int_equal(verify(forged, &none, "Advertisement is missing signatures"), -EBADMSG);
}

/* A key that may verify but cannot: it did not sign, so nobody vouches for it. */
static void test_keys_that_cannot_sign_but_verify_make_it_invalid(void **state)
{
	static const char *const rows[] = {
		"{'kty':'oct','k':'AAAA','alg':'HS256','key_ops':['sign','verify']}",
		"{'kty':'RSA','n':'AQAB','e':'AQAB','use':'sig'}",
		"{'kty':'EC','crv':'P-256','x':'AA','y':'AA','key_ops':['verify']}",
		"{'kty':'OKP','x':'AA'}",
		"{}",
	};
	JSON_AUTO json_t *signing = generate("{'alg':'ES512'}");

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		JSON_AUTO json_t *jws = json_object();
		JSON_AUTO json_t *set = json_pack("{s:[O, o]}", "keys", signing, json_of(rows[i]));
		char *text = json_dump_public(set);
		json_t *none = NULL;

		assert_int_equal(
			json_object_set_new(jws, "payload", jose_b64_json(text, strlen(text))), 0);
		free(text);
		assert_int_equal(jose_jws_sign(jws, NULL, signing, NULL), 0);
		unit_check(verify(jws, &none, "Advertisement is missing signatures") == -EBADMSG,
			   rows[i]);
	}
}

static void test_advertisement_without_signing_key_is_refused(void **state)
{
	JSON_AUTO json_t *exchange = generate("{'alg':'ECMR'}");
	JSON_AUTO json_t *stranger = generate("{'alg':'ES512'}");
	JSON_AUTO json_t *keys = json_pack("[O]", exchange);
	JSON_AUTO json_t *signers = json_pack("[O]", stranger);
	JSON_AUTO json_t *jws = advertise(keys, signers);
	json_t *set = NULL;

	(void)state;
	assert_int_equal(verify(jws, &set, "Advertisement is missing signatures"), -EBADMSG);
}

static void test_changed_advertisement_is_refused(void **state)
{
	static const char *const members[] = {"payload", "protected", "signature"};
	IDENTITY_AUTO struct identity server = identity_make();

	(void)state;
	for (size_t i = 0; i < COUNT(members); i++) {
		JSON_AUTO json_t *jws = advertise_identity(&server);
		json_t *set = NULL;

		json_tamper(jws, members[i]);
		unit_check(verify(jws, &set, "Advertisement is m") == -EBADMSG, members[i]);
	}
}

static void test_malformed_advertisement_is_refused(void **state)
{
	static const char *const rows[] = {
		"{}",
		"[]",
		"1",
		"{'payload':'*'}",
		"{'payload':'aGVsbG8'}",
		"{'payload':'e30'}",		  /* {} */
		"{'payload':'W10'}",		  /* [] */
		"{'payload':'eyJrZXlzIjp7fX0'}",  /* {"keys":{}} */
		"{'payload':'eyJrZXlzIjpbMV19'}", /* {"keys":[1]} */
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		JSON_AUTO json_t *jws = json_of(rows[i]);
		json_t *set = NULL;

		unit_check(verify(jws, &set, "Advertisement is malformed") == -EBADMSG, rows[i]);
	}
}

static void test_empty_key_set_is_refused(void **state)
{
	JSON_AUTO json_t *jws = json_of("{'payload':'eyJrZXlzIjpbXX0'}");
	json_t *set = NULL;

	(void)state;
	assert_int_equal(verify(jws, &set, "Advertisement is missing signatures"), -EBADMSG);
}

static void test_kinds_of_keys_are_told_apart(void **state)
{
	static const struct {
		const char *jwk;
		bool signing;
		bool exchange;
	} rows[] = {
		{"{'kty':'EC','crv':'P-521','alg':'ES512','key_ops':['sign','verify']}", true,
		 false},
		{"{'kty':'EC','crv':'P-256','alg':'ES256'}", true, false},
		{"{'kty':'EC','crv':'P-256','use':'sig'}", true, false},
		{"{'kty':'EC','crv':'P-256','alg':'ES512'}", false, false},
		{"{'kty':'EC','crv':'P-521','key_ops':['verify']}", false, false},
		{"{'kty':'EC','crv':'P-521','key_ops':['sign']}", false, false},
		{"{'kty':'EC','crv':'P-521','alg':'ECMR','key_ops':['deriveKey']}", false, true},
		{"{'kty':'EC','crv':'P-256','alg':'ECMR'}", false, true},
		{"{'kty':'EC','crv':'P-256','key_ops':['deriveKey']}", false, true},
		{"{'kty':'EC','crv':'P-256','use':'enc'}", false, false},
		{"{'kty':'EC','crv':'P-256','alg':'ECDH','key_ops':['deriveKey']}", false, false},
		/* A key without use, key_ops and alg counts as both. */
		{"{'kty':'EC','crv':'P-384'}", true, true},
		{"{'kty':'EC','crv':'secp256k1'}", false, false},
		{"{'kty':'oct','alg':'HS256','key_ops':['sign','verify']}", false, false},
		{"{'kty':'RSA','key_ops':['sign','verify']}", false, false},
		{"{}", false, false},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		JSON_AUTO json_t *jwk = json_of(rows[i].jwk);

		unit_check(tang_is_signing_key(jwk) == rows[i].signing, rows[i].jwk);
		unit_check(tang_is_exchange_key(jwk) == rows[i].exchange, rows[i].jwk);
	}
}

static void count_thumbprint(const char *thumbprint, void *arg)
{
	size_t *count = arg;

	assert_int_equal(strlen(thumbprint), 43);
	++*count;
}

static void test_set_is_named_by_its_signing_keys_in_any_hash(void **state)
{
	IDENTITY_AUTO struct identity server = identity_make();
	JSON_AUTO json_t *stranger = generate("{'alg':'ES512'}");
	JSON_AUTO json_t *jws = advertise_identity(&server);
	JSON_AUTO json_t *set = NULL;
	char thumbprint[JOSE_THUMBPRINT_MAX];
	size_t count = 0;

	(void)state;
	assert_int_equal(verify(jws, &set, ""), 0);
	for (int hash = 0; hash < JOSE_HASHES; hash++) {
		assert_int_equal(
			jose_thumbprint(server.signing, (enum jose_hash)hash, thumbprint, NULL), 0);
		assert_true(tang_advertisement_names(set, thumbprint));
		assert_int_equal(
			jose_thumbprint(server.exchange, (enum jose_hash)hash, thumbprint, NULL),
			0);
		assert_false(tang_advertisement_names(set, thumbprint));
		assert_int_equal(jose_thumbprint(stranger, (enum jose_hash)hash, thumbprint, NULL),
				 0);
		assert_false(tang_advertisement_names(set, thumbprint));
	}
	assert_false(tang_advertisement_names(set, ""));
	tang_each_signing_thumbprint(set, count_thumbprint, &count);
	assert_int_equal(count, 1);
}

static void test_exchange_key_is_the_first_or_the_one_named(void **state)
{
	JSON_AUTO json_t *first = generate("{'alg':'ECMR'}");
	JSON_AUTO json_t *second = generate("{'alg':'ECMR','crv':'P-256'}");
	JSON_AUTO json_t *signing = generate("{'alg':'ES512'}");
	JSON_AUTO json_t *set = json_pack("{s:[O, O, O]}", "keys", signing, first, second);
	char kid[JOSE_THUMBPRINT_MAX];
	enum jose_hash hash = JOSE_HASHES;
	JSON_AUTO json_t *found = NULL;
	json_t *none = NULL;

	(void)state;
	assert_int_equal(tang_find_exchange_key(set, NULL, &found, NULL, NULL), 0);
	assert_true(json_equal(found, first));
	json_drop(&found);
	assert_int_equal(jose_thumbprint(second, JOSE_S1, kid, NULL), 0);
	assert_int_equal(tang_find_exchange_key(set, kid, &found, &hash, NULL), 0);
	assert_true(json_equal(found, second));
	assert_int_equal(hash, JOSE_S1);
	assert_int_equal(jose_thumbprint(signing, JOSE_S256, kid, NULL), 0);
	assert_int_equal(tang_find_exchange_key(set, kid, &none, NULL, NULL), -ENOENT);
	assert_null(none);
}

static void test_no_exchange_key_is_told_in_the_contracts_words(void **state)
{
	JSON_AUTO json_t *signing = generate("{'alg':'ES512'}");
	JSON_AUTO json_t *set = json_pack("{s:[O]}", "keys", signing);
	JSON_AUTO json_t *empty = json_object();
	struct error err = {0};
	json_t *none = NULL;

	(void)state;
	assert_int_equal(tang_find_exchange_key(set, NULL, &none, NULL, &err), -ENOENT);
	assert_non_null(strstr(err.text, "No exchange keys found"));
	assert_int_equal(tang_find_exchange_key(empty, NULL, &none, NULL, NULL), -ENOENT);
	assert_null(none);
}

static void test_exchange_key_off_the_curve_is_refused(void **state)
{
	JSON_AUTO json_t *exchange = generate("{'alg':'ECMR'}");
	JSON_AUTO json_t *set = json_pack("{s:[O]}", "keys", exchange);
	json_t *none = NULL;

	(void)state;
	json_tamper(exchange, "x");
	assert_int_equal(tang_find_exchange_key(set, NULL, &none, NULL, NULL), -EINVAL);
	assert_null(none);
}

/* One run on a curve: what the client finds at recovery is what it had at sealing, c·S. */
static void run_exchange(const struct jose_curve *curve)
{
	SECRET_AUTO struct secret s = {0};
	SECRET_AUTO struct secret c = {0};
	SECRET_AUTO struct secret blind = {0};
	SECRET_AUTO struct secret z = {0};
	SECRET_AUTO struct secret sealed = {0};
	struct jose_point server;
	struct jose_point client;
	struct jose_point x;
	struct jose_point y;
	struct jose_point k;

	assert_int_equal(jose_point_generate(curve, &s, &server, NULL), 0);
	assert_int_equal(jose_point_generate(curve, &c, &client, NULL), 0);
	assert_int_equal(jose_point_multiply(&c, &server, &k, NULL), 0);
	assert_int_equal(jose_point_x(&k, &sealed, NULL), 0);
	assert_int_equal(tang_blind(&client, &blind, &x, NULL), 0);
	assert_int_equal(tang_recover(&s, &x, &y, NULL), 0);
	assert_int_equal(tang_unblind(&y, &blind, &server, &z, NULL), 0);
	assert_true(secret_equal(&z, &sealed));
	/* Neither what is sent nor what comes back is the key. */
	assert_memory_not_equal(x.x, sealed.data, sealed.size);
	assert_memory_not_equal(y.x, sealed.data, sealed.size);
}

static void test_exchange_gives_back_the_sealed_secret(void **state)
{
	(void)state;
	for (int id = 0; id < JOSE_CURVES; id++)
		run_exchange(jose_curve(id));
}

static void test_blinded_points_never_repeat(void **state)
{
	SECRET_AUTO struct secret c = {0};
	SECRET_AUTO struct secret first = {0};
	SECRET_AUTO struct secret second = {0};
	struct jose_point client;
	struct jose_point x1;
	struct jose_point x2;

	(void)state;
	assert_int_equal(jose_point_generate(jose_curve(JOSE_P521), &c, &client, NULL), 0);
	assert_int_equal(tang_blind(&client, &first, &x1, NULL), 0);
	assert_int_equal(tang_blind(&client, &second, &x2, NULL), 0);
	assert_memory_not_equal(&x1, &x2, sizeof(x1));
	assert_memory_not_equal(&x1, &client, sizeof(x1));
	assert_false(secret_equal(&first, &second));
}

static void test_each_step_refuses_points_off_the_curve(void **state)
{
	SECRET_AUTO struct secret s = {0};
	SECRET_AUTO struct secret out = {0};
	struct jose_point good;
	struct jose_point bad;
	struct jose_point result;

	(void)state;
	assert_int_equal(jose_point_generate(jose_curve(JOSE_P384), &s, &good, NULL), 0);
	bad = good;
	bad.x[0] ^= 1;
	assert_int_equal(tang_blind(&bad, &out, &result, NULL), -EINVAL);
	assert_int_equal(tang_recover(&s, &bad, &result, NULL), -EINVAL);
	assert_int_equal(tang_unblind(&bad, &s, &good, &out, NULL), -EINVAL);
	assert_int_equal(tang_unblind(&good, &s, &bad, &out, NULL), -EINVAL);
	assert_null(out.data);
}

static void test_unblinding_refuses_another_curve_and_the_identity(void **state)
{
	SECRET_AUTO struct secret e = {0};
	SECRET_AUTO struct secret other_scalar = {0};
	SECRET_AUTO struct secret z = {0};
	struct jose_point server;
	struct jose_point other;
	struct jose_point mask;

	(void)state;
	assert_int_equal(jose_point_generate(jose_curve(JOSE_P521), &e, &server, NULL), 0);
	assert_int_equal(jose_point_generate(jose_curve(JOSE_P256), &other_scalar, &other, NULL),
			 0);
	assert_int_equal(tang_unblind(&other, &e, &server, &z, NULL), -EINVAL);
	/* Y = e·S makes K the identity. */
	assert_int_equal(jose_point_multiply(&e, &server, &mask, NULL), 0);
	assert_int_equal(tang_unblind(&mask, &e, &server, &z, NULL), -EINVAL);
	assert_null(z.data);
}

static void test_point_travels_as_the_contract_says(void **state)
{
	SECRET_AUTO struct secret s = {0};
	JSON_AUTO json_t *jwk = NULL;
	struct jose_point point;
	struct jose_point back;
	static const char begin[] =
		"{\"alg\":\"ECMR\",\"crv\":\"P-521\",\"key_ops\":[\"deriveKey\"],"
		"\"kty\":\"EC\",\"x\":\"";
	char *text;

	(void)state;
	assert_int_equal(jose_point_generate(jose_curve(JOSE_P521), &s, &point, NULL), 0);
	jwk = tang_point_to_json(&point);
	text = json_dump_public(jwk);
	assert_int_equal(strncmp(text, begin, sizeof(begin) - 1), 0);
	free(text);
	assert_int_equal(json_object_size(jwk), 6);
	assert_int_equal(jose_point_from_jwk(jwk, &back, NULL), 0);
	assert_memory_equal(&point, &back, sizeof(point));
}

int main(int argc, char *argv[])
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_advertisement_verifies_and_holds_public_keys_only),
		cmocka_unit_test(test_each_signature_names_algorithm_and_content_type),
		cmocka_unit_test(test_advertisement_needs_a_signer),
		cmocka_unit_test(test_every_signing_key_must_have_signed),
		cmocka_unit_test(test_a_stranger_may_sign_too_but_not_instead),
		cmocka_unit_test(test_keys_that_cannot_sign_but_verify_make_it_invalid),
		cmocka_unit_test(test_advertisement_without_signing_key_is_refused),
		cmocka_unit_test(test_changed_advertisement_is_refused),
		cmocka_unit_test(test_malformed_advertisement_is_refused),
		cmocka_unit_test(test_empty_key_set_is_refused),
		cmocka_unit_test(test_kinds_of_keys_are_told_apart),
		cmocka_unit_test(test_set_is_named_by_its_signing_keys_in_any_hash),
		cmocka_unit_test(test_exchange_key_is_the_first_or_the_one_named),
		cmocka_unit_test(test_no_exchange_key_is_told_in_the_contracts_words),
		cmocka_unit_test(test_exchange_key_off_the_curve_is_refused),
		cmocka_unit_test(test_exchange_gives_back_the_sealed_secret),
		cmocka_unit_test(test_blinded_points_never_repeat),
		cmocka_unit_test(test_each_step_refuses_points_off_the_curve),
		cmocka_unit_test(test_unblinding_refuses_another_curve_and_the_identity),
		cmocka_unit_test(test_point_travels_as_the_contract_says),
	};

	unit_begin(argc, argv);
	return cmocka_run_group_tests_name("tang", tests, NULL, NULL);
}
