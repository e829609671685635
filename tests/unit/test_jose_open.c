/* SPDX-License-Identifier: Apache-2.0 */
/* jose/jwe_open.c and the ways to wrap that it stands on: what others sealed, and what must not open. */
#include "unit.h"

#include "base/json.h"
#include "jose/aead.h"
#include "jose/b64.h"
#include "jose/deflate.h"
#include "jose/jwe.h"
#include "jose/wrap.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static json_t *keys;
static json_t *sealed_by_other;

static int load_vectors(void **state)
{
	(void)state;
	keys = vector_read("jose-keys.json");
	sealed_by_other = vector_read("jwcrypto-jwe.json");
	return 0;
}

static int drop_vectors(void **state)
{
	(void)state;
	json_drop(&keys);
	json_drop(&sealed_by_other);
	return 0;
}

static int open_with(const json_t *jwe, const json_t *jwk, struct secret *plain, struct error *err)
{
	const struct jose_recipient key = {jwk, NULL, NULL};
	int rc = jose_jwe_open(jwe, &key, 1, NULL, plain, err);

	assert_int_equal(plain->data != NULL, rc == 0);
	return rc;
}

static int refuse(const json_t *jwe, const json_t *jwk)
{
	SECRET_AUTO struct secret plain = {0};

	return open_with(jwe, jwk, &plain, NULL);
}

static json_t *parse(const char *compact)
{
	json_t *jwe = NULL;

	assert_int_equal(jose_jwe_parse_compact(compact, strlen(compact), &jwe, NULL), 0);
	return jwe;
}

/* `content` as it is, by `dir` with the key oct-16, under a header as it is. */
static json_t *seal_raw(const char *header, const struct secret *content)
{
	JSON_AUTO json_t *parsed = json_of(header);
	char *dump = json_dump_public(parsed);
	JSON_AUTO json_t *protected_b64 = jose_b64_json(dump, strlen(dump));
	struct jose_aad aad = {json_string_value(protected_b64), json_string_length(protected_b64)};
	SECRET_AUTO struct secret key = {0};
	SEALED_AUTO struct jose_sealed sealed = {0};

	free(dump);
	secret_of_b64(text_at(keys, "oct-16/k"), &key);
	assert_int_equal(jose_content_seal(jose_alg_named("A128GCM", JOSE_KIND_ENCR), &key, aad,
					   content, &sealed, NULL),
			 0);
	return json_pack("{s:O, s:o, s:o, s:o}", "protected", protected_b64, "iv",
			 jose_b64_json(sealed.iv.data, sealed.iv.size), "ciphertext",
			 jose_b64_json(sealed.ciphertext.data, sealed.ciphertext.size), "tag",
			 jose_b64_json(sealed.tag.data, sealed.tag.size));
}

static void test_opens_the_examples_of_the_rfcs(void **state)
{
	JSON_AUTO json_t *vector = vector_read("rfc-jwe.json");
	const json_t *item;
	const json_t *jwk;
	size_t i;
	size_t j;

	(void)state;
	json_array_foreach(json_at(vector, "items"), i, item) {
		json_array_foreach(json_at(item, "keys"), j, jwk) {
			SECRET_AUTO struct secret expected = {0};
			SECRET_AUTO struct secret plain = {0};

			secret_of_b64(text_at(item, "plain"), &expected);
			unit_check(open_with(json_at(item, "jwe"), jwk, &plain, NULL) == 0,
				   text_at(item, "source"));
			unit_check(secret_equal(&plain, &expected), text_at(item, "source"));
		}
	}
	assert_int_equal(i, 8);
}

/* The password of RFC 7520 §5.3 has characters beyond ASCII. */
static void test_opens_with_a_password(void **state)
{
	static const char text[] = "entrap_o\xe2\x80\x93peter_long\xe2\x80\x93"
				   "credit_tun";
	JSON_AUTO json_t *vector = vector_read("rfc-jwe.json");
	SECRET_AUTO struct secret password = {0};
	SECRET_AUTO struct secret plain = {0};
	SECRET_AUTO struct secret none = {0};
	struct jose_recipient key = {NULL, &password, NULL};

	(void)state;
	assert_int_equal(secret_copy(&password, text, strlen(text), NULL), 0);
	assert_int_equal(jose_jwe_open(json_at(vector, "items/0/jwe"), &key, 1, NULL, &plain, NULL),
			 0);
	password.data[0] ^= 1;
	assert_int_equal(jose_jwe_open(json_at(vector, "items/0/jwe"), &key, 1, NULL, &none, NULL),
			 -EBADMSG);
	assert_int_equal(jose_jwe_open(json_at(vector, "items/1/jwe"), &key, 1, NULL, &none, NULL),
			 -EBADMSG);
	assert_null(none.data);
}

static void test_opens_what_another_implementation_sealed(void **state)
{
	const char *text = text_at(sealed_by_other, "plain");
	const json_t *item;
	size_t i;

	(void)state;
	json_array_foreach(json_at(sealed_by_other, "items"), i, item) {
		JSON_AUTO json_t *jwe = parse(text_at(item, "compact"));
		SECRET_AUTO struct secret plain = {0};

		unit_check(open_with(jwe, json_at(keys, text_at(item, "key")), &plain, NULL) == 0,
			   text_at(item, "alg"));
		assert_int_equal(plain.size, strlen(text));
		assert_memory_equal(plain.data, text, plain.size);
	}
	assert_int_equal(i, 53);
}

static void test_opens_several_recipients_and_aad(void **state)
{
	const json_t *jwe = json_at(sealed_by_other, "general/jwe");
	const json_t *name;
	size_t i;

	(void)state;
	json_array_foreach(json_at(sealed_by_other, "general/keys"), i, name) {
		JSON_AUTO json_t *changed = json_deep_copy(jwe);
		SECRET_AUTO struct secret plain = {0};
		const json_t *jwk = json_at(keys, json_string_value(name));

		unit_check(open_with(jwe, jwk, &plain, NULL) == 0, json_string_value(name));
		json_tamper(changed, "aad");
		assert_int_equal(refuse(changed, jwk), -EBADMSG);
	}
	assert_int_equal(refuse(jwe, json_at(keys, "P-256")), -EBADMSG);
}

static void test_opens_compressed_content(void **state)
{
	const char *text = text_at(sealed_by_other, "plain");
	JSON_AUTO json_t *jwe = parse(text_at(sealed_by_other, "zip/compact"));
	SECRET_AUTO struct secret plain = {0};
	size_t repeated = (size_t)json_integer_value(json_at(sealed_by_other, "zip/repeated"));

	(void)state;
	assert_int_equal(open_with(jwe, json_at(keys, "oct-16"), &plain, NULL), 0);
	assert_int_equal(plain.size, repeated * strlen(text));
	assert_memory_equal(plain.data, text, strlen(text));
}

/* Every part of every algorithm's JWE, and the same words whatever was wrong inside. */
static void test_what_was_changed_does_not_open(void **state)
{
	static const char *const members[] = {"protected", "encrypted_key", "iv", "ciphertext",
					      "tag"};
	const json_t *item;
	size_t i;

	(void)state;
	json_array_foreach(json_at(sealed_by_other, "items"), i, item) {
		for (size_t j = 0; j < COUNT(members); j++) {
			JSON_AUTO json_t *jwe = parse(text_at(item, "compact"));
			SECRET_AUTO struct secret plain = {0};
			struct error err = {0};

			if (!*text_at(jwe, members[j]))
				continue;
			json_tamper(jwe, members[j]);
			unit_check(open_with(jwe, json_at(keys, text_at(item, "key")), &plain,
					     &err) == -EBADMSG,
				   text_at(item, "alg"));
			assert_int_equal(err.code, -EBADMSG);
			if (j > 0)
				assert_string_equal(
					err.text, "decryption failed: wrong key, or data changed");
		}
	}
}

/* Cut by a byte, longer by one, none: each part of the key's wrapping. */
static void test_wrapped_key_of_another_size_does_not_open(void **state)
{
	const json_t *item;
	size_t i;

	(void)state;
	json_array_foreach(json_at(sealed_by_other, "items"), i, item) {
		for (int how = 0; how < 4; how++) {
			JSON_AUTO json_t *jwe = parse(text_at(item, "compact"));
			SECRET_AUTO struct secret wrapped = {0};
			size_t size;

			secret_of_b64(text_at(jwe, "encrypted_key"), &wrapped);
			size = wrapped.size;
			if (size == 0 && how != 1)
				continue;
			assert_int_equal(secret_resize(&wrapped,
						       how == 0	  ? size - 1
						       : how == 1 ? size + 1
						       : how == 2 ? size - 8
								  : 0,
						       NULL),
					 0);
			(void)json_object_set_new(jwe, "encrypted_key",
						  jose_b64_json(wrapped.data, wrapped.size));
			unit_check(refuse(jwe, json_at(keys, text_at(item, "key"))) == -EBADMSG,
				   text_at(item, "alg"));
		}
	}
}

/* RFC 7516 §11.5: a wrong padding gives a key all the same, another one each time, and no reason. */
static void test_rsa1_5_does_not_tell_a_wrong_padding(void **state)
{
	const struct jose_alg *alg = jose_alg_named("RSA1_5", JOSE_KIND_WRAP);
	const json_t *jwk = json_at(keys, "RSA-2048");
	SECRET_AUTO struct secret cek = {0};
	SECRET_AUTO struct secret wrapped = {0};
	SECRET_AUTO struct secret first = {0};
	SECRET_AUTO struct secret second = {0};
	SECRET_AUTO struct secret longer = {0};

	(void)state;
	assert_int_equal(secret_copy(&cek, "0123456789abcdef", 16, NULL), 0);
	assert_int_equal(jose_rsa_wrap(alg, jwk, &cek, &wrapped, NULL), 0);
	/* well padded, but not of the size that is wanted */
	assert_int_equal(jose_rsa_unwrap(alg, jwk, &wrapped, 32, &longer, NULL), 0);
	assert_int_equal(longer.size, 32);
	assert_memory_not_equal(longer.data, cek.data, 16);
	/* always the same, as newer versions of OpenSSL make up a message of a size that comes from it */
	memset(wrapped.data, 1, wrapped.size);
	assert_int_equal(jose_rsa_unwrap(alg, jwk, &wrapped, 16, &first, NULL), 0);
	assert_int_equal(jose_rsa_unwrap(alg, jwk, &wrapped, 16, &second, NULL), 0);
	assert_int_equal(first.size, 16);
	assert_false(secret_equal(&first, &second));
	assert_false(secret_equal(&first, &cek));
}

/* The other implementation's first JWE to that key by that algorithm. */
static json_t *sealed_to(const char *key, const char *alg)
{
	const json_t *items = json_at(sealed_by_other, "items");

	for (size_t i = 0; i < json_array_size(items); i++) {
		const json_t *item = json_array_get(items, i);

		if (strcmp(text_at(item, "key"), key) == 0 &&
		    strcmp(text_at(item, "alg"), alg) == 0)
			return parse(text_at(item, "compact"));
	}
	fail_msg("there is no JWE to %s by %s", key, alg);
	return NULL;
}

static void test_key_must_be_fit_to_decrypt(void **state)
{
	static const struct {
		const char *key;
		const char *alg; /* of the JWE */
		const char *member;
		const char *value;
		bool opens;
	} rows[] = {
		{"oct-16", "A128KW", "alg", "'A128KW'", true},
		{"oct-16", "A128KW", "alg", "'A128GCMKW'", false},
		{"oct-16", "A128KW", "alg", "1", false},
		{"oct-16", "A128KW", "use", "'enc'", true},
		{"oct-16", "A128KW", "use", "'sig'", false},
		{"oct-16", "A128KW", "key_ops", "['unwrapKey']", true},
		{"oct-16", "A128KW", "key_ops", "['wrapKey']", false},
		{"oct-16", "A128KW", "key_ops", "['decrypt']", false},
		{"oct-16", "A128KW", "kty", "'else'", false},
		{"oct-16", "dir", "alg", "'A128GCM'", true},
		{"oct-16", "dir", "alg", "'dir'", true},
		{"oct-16", "dir", "alg", "'A128KW'", false},
		{"oct-16", "dir", "alg", "'A128CBC-HS256'", false},
		{"oct-16", "dir", "key_ops", "['decrypt']", true},
		{"oct-16", "dir", "key_ops", "['unwrapKey']", false},
		{"P-521", "ECDH-ES+A128KW", "key_ops", "['unwrapKey']", true},
		{"P-521", "ECDH-ES+A128KW", "key_ops", "['deriveKey']", true},
		{"P-521", "ECDH-ES+A128KW", "key_ops", "['sign']", false},
		{"P-521", "ECDH-ES+A128KW", "alg", "'ECDH-ES'", false},
		{"P-521", "ECDH-ES+A128KW", "alg", "'ECMR'", false},
		{"RSA-2048", "RSA-OAEP", "alg", "'RSA-OAEP'", true},
		{"RSA-2048", "RSA-OAEP", "alg", "'RSA-OAEP-256'", false},
		{"RSA-2048", "RSA-OAEP", "alg", "'RS256'", false},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		JSON_AUTO json_t *jwk = json_deep_copy(json_at(keys, rows[i].key));
		JSON_AUTO json_t *jwe = sealed_to(rows[i].key, rows[i].alg);

		assert_int_equal(json_object_set_new(jwk, rows[i].member, json_of(rows[i].value)),
				 0);
		unit_check(refuse(jwe, jwk) == (rows[i].opens ? 0 : -EBADMSG), rows[i].value);
	}
}

static void test_every_key_is_tried(void **state)
{
	const json_t *jwe = json_at(sealed_by_other, "general/jwe");
	const struct jose_recipient all[] = {{json_at(keys, "oct-24"), NULL, NULL},
					     {json_at(keys, "P-384"), NULL, NULL},
					     {json_at(keys, "RSA-3072"), NULL, NULL},
					     {json_at(keys, "P-521"), NULL, NULL}};
	SECRET_AUTO struct secret plain = {0};
	SECRET_AUTO struct secret none = {0};

	(void)state;
	assert_int_equal(jose_jwe_open(jwe, all, 4, NULL, &plain, NULL), 0);
	assert_int_equal(jose_jwe_open(jwe, all, 3, NULL, &none, NULL), -EBADMSG);
	assert_int_equal(jose_jwe_open(jwe, NULL, 0, NULL, &none, NULL), -EINVAL);
	assert_null(none.data);
}

/* One row: a change of the general JWE that makes it malformed. */
static void test_refuses_malformed_jwes(void **state)
{
	static const struct {
		const char *member;
		const char *value; /* NULL: taken away */
	} rows[] = {
		{"protected", "1"},
		{"protected", "''"},
		{"protected", "'*'"},
		{"protected", "'W10'"},
		{"protected", "'eyJlbmMiOiJBMTI4R0NNIiwiZW5jIjoiQTEyOEdDTSJ9'"},
		{"protected", "'eyJlbmMiOiJBMTI4R0NNIiwiY3JpdCI6WyJlbmMiXX0'"},
		{"unprotected", "1"},
		{"unprotected", "{'enc':'A128GCM'}"},
		{"unprotected", "{'crit':['x']}"},
		{"unprotected", "{'zip':'DEF'}"},
		{"unprotected", "{'alg':'A128KW'}"},
		{"iv", NULL},
		{"iv", "1"},
		{"iv", "''"},
		{"iv", "'AA=='"},
		{"ciphertext", NULL},
		{"ciphertext", "[]"},
		{"tag", NULL},
		{"tag", "'AAAA'"},
		{"aad", NULL},
		{"aad", "1"},
		{"aad", "'*'"},
		{"recipients", NULL},
		{"recipients", "[]"},
		{"recipients", "{}"},
		{"recipients", "'x'"},
		{"recipients", "[1]"},
		{"header", "{}"},
		{"encrypted_key", "''"},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		JSON_AUTO json_t *jwe = json_deep_copy(json_at(sealed_by_other, "general/jwe"));
		SECRET_AUTO struct secret plain = {0};
		struct error err = {0};

		if (rows[i].value)
			(void)json_object_set_new(jwe, rows[i].member, json_of(rows[i].value));
		else
			(void)json_object_del(jwe, rows[i].member);
		unit_check(open_with(jwe, json_at(keys, "oct-16"), &plain, &err) == -EBADMSG,
			   rows[i].member);
		unit_check(err.code == -EBADMSG, rows[i].member);
	}
}

/* Also in a recipient that is not the one whose key is there. */
static void test_refuses_malformed_recipients(void **state)
{
	static const char *const rows[] = {
		"1",
		"{'header':1}",
		"{'header':{'enc':'A128GCM'}}",
		"{'header':{'crit':['x']}}",
		"{'header':{'zip':'DEF'}}",
		"{'header':{'jku':'x'}}",
		"{'encrypted_key':1}",
		"{'encrypted_key':'*'}",
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		JSON_AUTO json_t *jwe = json_deep_copy(json_at(sealed_by_other, "general/jwe"));

		assert_int_equal(refuse(jwe, json_at(keys, "oct-16")), 0);
		(void)json_array_append_new(json_at(jwe, "recipients"), json_of(rows[i]));
		unit_check(refuse(jwe, json_at(keys, "oct-16")) == -EBADMSG, rows[i]);
	}
}

static void test_recipients_are_bounded(void **state)
{
	JSON_AUTO json_t *jwe = json_deep_copy(json_at(sealed_by_other, "general/jwe"));
	json_t *list = json_at(jwe, "recipients");

	(void)state;
	while (json_array_size(list) < JOSE_RECIPIENTS_MAX)
		(void)json_array_append_new(list, json_of("{'header':{'alg':'unknown'}}"));
	assert_int_equal(refuse(jwe, json_at(keys, "oct-16")), 0);
	(void)json_array_append_new(list, json_of("{}"));
	assert_int_equal(refuse(jwe, json_at(keys, "oct-16")), -EBADMSG);
}

static json_t *iterated(const char *p2c, int count)
{
	JSON_AUTO json_t *number = json_of(p2c);
	json_t *jwe = json_of("{'protected':'eyJlbmMiOiJBMTI4R0NNIn0','iv':'AAAA','ciphertext':'',"
			      "'tag':'','recipients':[]}");

	for (int i = 0; i < count; i++)
		(void)json_array_append_new(
			json_at(jwe, "recipients"),
			json_pack("{s:{s:s, s:s, s:O}, s:s}", "header", "alg", "PBES2-HS256+A128KW",
				  "p2s", "AAAAAAAAAAAAAAAAAAAAAA", "p2c", number, "encrypted_key",
				  "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"));
	return jwe;
}

static const char *reason_of(const json_t *jwe, const struct jose_jwe_limits *limits)
{
	static struct error err;
	SECRET_AUTO struct secret password = {0};
	SECRET_AUTO struct secret plain = {0};
	const struct jose_recipient key = {NULL, &password, NULL};

	err = (struct error){0};
	assert_int_equal(secret_copy(&password, "password", 8, NULL), 0);
	assert_int_equal(jose_jwe_open(jwe, &key, 1, limits, &plain, &err), -EBADMSG);
	return err.text;
}

/* For one recipient, for all together, and with limits that were raised; and what is no number of iterations. */
static void test_iterations_are_bounded(void **state)
{
	static const char *const bad[] = {"0",	  "-1", "'1000'",     "1000.0",
					  "null", "[]", "99999999999"};
	JSON_AUTO json_t *most = iterated("32768", 4);
	JSON_AUTO json_t *one_more = iterated("32768", 5);
	JSON_AUTO json_t *larger = iterated("32769", 1);
	struct jose_jwe_limits raised = jose_jwe_default_limits;

	(void)state;
	assert_null(strstr(reason_of(most, NULL), "iterations"));
	assert_non_null(strstr(reason_of(one_more, NULL), "iterations"));
	assert_non_null(strstr(reason_of(larger, NULL), "iterations"));
	raised.p2c = 32769;
	assert_null(strstr(reason_of(larger, &raised), "iterations"));
	raised.iterations = 100;
	assert_non_null(strstr(reason_of(larger, &raised), "iterations"));
	raised.p2c = raised.iterations = 99999999999;
	for (size_t i = 0; i < COUNT(bad); i++) {
		JSON_AUTO json_t *jwe = iterated(bad[i], 1);

		unit_check(strstr(reason_of(jwe, &raised), "iterations") != NULL, bad[i]);
	}
}

static void test_salt_has_eight_bytes_at_least(void **state)
{
	JSON_AUTO json_t *jwe = iterated("1000", 1);

	(void)state;
	(void)json_object_set_new(json_at(jwe, "recipients/0/header"), "p2s",
				  json_string("AAAAAAAAAA"));
	assert_non_null(strstr(reason_of(jwe, NULL), "p2s"));
}

static void test_inflated_content_is_bounded(void **state)
{
	enum { LARGE = 10 * 1024 * 1024 };
	struct jose_jwe_limits raised = jose_jwe_default_limits;
	const struct jose_recipient key = {json_at(keys, "oct-16"), NULL, NULL};

	(void)state;
	raised.inflated++;
	for (size_t more = 0; more < 2; more++) {
		SECRET_AUTO struct secret large = {0};
		SECRET_AUTO struct secret compressed = {0};
		SECRET_AUTO struct secret plain = {0};
		SECRET_AUTO struct secret again = {0};
		JSON_AUTO json_t *jwe = NULL;

		assert_int_equal(secret_new(&large, LARGE + more, NULL), 0);
		assert_int_equal(jose_deflate(&large, 100000, &compressed, NULL), 0);
		jwe = seal_raw("{'alg':'dir','enc':'A128GCM','zip':'DEF'}", &compressed);
		assert_int_equal(jose_jwe_open(jwe, &key, 1, NULL, &plain, NULL),
				 more ? -EFBIG : 0);
		assert_int_equal(jose_jwe_open(jwe, &key, 1, &raised, &again, NULL), 0);
		assert_int_equal(again.size, LARGE + more);
	}
}

static void test_compressed_content_is_bounded(void **state)
{
	SECRET_AUTO struct secret large = {0};
	JSON_AUTO json_t *jwe = NULL;

	(void)state;
	assert_int_equal(secret_new(&large, JOSE_COMPRESSED_MAX + 17, NULL), 0);
	jwe = seal_raw("{'alg':'dir','enc':'A128GCM','zip':'DEF'}", &large);
	assert_int_equal(refuse(jwe, json_at(keys, "oct-16")), -EFBIG);
}

/* Cut at every byte, with something behind, and no stream at all. */
static void test_broken_streams_are_refused(void **state)
{
	static const char *const header = "{'alg':'dir','enc':'A128GCM','zip':'DEF'}";
	SECRET_AUTO struct secret text = {0};
	SECRET_AUTO struct secret compressed = {0};

	(void)state;
	assert_int_equal(secret_copy(&text, "a text, a text, a text that is compressed", 41, NULL),
			 0);
	assert_int_equal(jose_deflate(&text, 100, &compressed, NULL), 0);
	for (size_t size = 0; size <= compressed.size + 1; size++) {
		SECRET_AUTO struct secret part = {0};
		JSON_AUTO json_t *jwe = NULL;

		assert_int_equal(secret_copy(&part, compressed.data, compressed.size, NULL), 0);
		assert_int_equal(secret_resize(&part, size, NULL), 0);
		jwe = seal_raw(header, &part);
		assert_int_equal(refuse(jwe, json_at(keys, "oct-16")),
				 size == compressed.size ? 0 : -EBADMSG);
	}
}

static void test_zip_is_def_or_nothing(void **state)
{
	static const char *const rows[] = {"{'alg':'dir','enc':'A128GCM','zip':'def'}",
					   "{'alg':'dir','enc':'A128GCM','zip':''}",
					   "{'alg':'dir','enc':'A128GCM','zip':1}",
					   "{'alg':'dir','enc':'A128GCM','zip':'S256'}"};
	SECRET_AUTO struct secret text = {0};

	(void)state;
	assert_int_equal(secret_copy(&text, "x", 1, NULL), 0);
	for (size_t i = 0; i < COUNT(rows); i++) {
		JSON_AUTO json_t *jwe = seal_raw(rows[i], &text);

		unit_check(refuse(jwe, json_at(keys, "oct-16")) == -EBADMSG, rows[i]);
	}
}

/* A point of small order makes a Z of zeros (RFC 8037 §3.2.1); and keys on other curves, or off theirs. */
static void test_refuses_ephemeral_keys_that_are_none(void **state)
{
	static const char *const rows[] = {
		"null",
		"1",
		"{}",
		"{'kty':'OKP','crv':'X25519','x':'AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA'}",
		"{'kty':'OKP','crv':'X25519','x':'AQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA'}",
		"{'kty':'OKP','crv':'X25519','x':'AQAA'}",
		"{'kty':'OKP','crv':'Ed25519','x':'11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo'}",
		"{'kty':'EC','crv':'P-256','x':'AQ','y':'AQ'}",
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		JSON_AUTO json_t *jwe = json_of(
			"{'protected':'eyJhbGciOiJFQ0RILUVTIiwiZW5jIjoiQTEyOEdDTSJ9','iv':'AAAA',"
			"'ciphertext':'','tag':'','header':{}}");
		SECRET_AUTO struct secret plain = {0};
		struct error err = {0};

		(void)json_object_set_new(json_at(jwe, "header"), "epk", json_of(rows[i]));
		unit_check(open_with(jwe, json_at(keys, "X25519"), &plain, &err) == -EBADMSG,
			   rows[i]);
		unit_check(strstr(err.text, "epk") || strstr(err.text, "curve"), err.text);
	}
}

int main(int argc, char *argv[])
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_opens_the_examples_of_the_rfcs),
		cmocka_unit_test(test_opens_with_a_password),
		cmocka_unit_test(test_opens_what_another_implementation_sealed),
		cmocka_unit_test(test_opens_several_recipients_and_aad),
		cmocka_unit_test(test_opens_compressed_content),
		cmocka_unit_test(test_what_was_changed_does_not_open),
		cmocka_unit_test(test_wrapped_key_of_another_size_does_not_open),
		cmocka_unit_test(test_rsa1_5_does_not_tell_a_wrong_padding),
		cmocka_unit_test(test_key_must_be_fit_to_decrypt),
		cmocka_unit_test(test_every_key_is_tried),
		cmocka_unit_test(test_refuses_malformed_jwes),
		cmocka_unit_test(test_refuses_malformed_recipients),
		cmocka_unit_test(test_recipients_are_bounded),
		cmocka_unit_test(test_iterations_are_bounded),
		cmocka_unit_test(test_salt_has_eight_bytes_at_least),
		cmocka_unit_test(test_inflated_content_is_bounded),
		cmocka_unit_test(test_compressed_content_is_bounded),
		cmocka_unit_test(test_broken_streams_are_refused),
		cmocka_unit_test(test_zip_is_def_or_nothing),
		cmocka_unit_test(test_refuses_ephemeral_keys_that_are_none),
	};

	unit_begin(argc, argv);
	return cmocka_run_group_tests_name("jose/open", tests, load_vectors, drop_vectors);
}
