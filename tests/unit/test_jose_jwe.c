/* SPDX-License-Identifier: Apache-2.0 */
/* jose/jwe.c and what it stands on: round trips, the reference's JWEs, the Concat KDF by hand, and all that must not open. */
#include "unit.h"

#include "base/json.h"
#include "jose/aead.h"
#include "jose/b64.h"
#include "jose/ec.h"
#include "jose/ecdh_es.h"
#include "jose/jwe.h"
#include "jose/jwk.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/sha.h>

static json_t *generate(const char *text)
{
	json_t *wanted = json_of(text);
	json_t *jwk = NULL;

	assert_int_equal(jose_jwk_generate(wanted, &jwk, NULL), 0);
	json_decref(wanted);
	return jwk;
}

static json_t *encrypt(const char *header, const json_t *jwk, const char *text)
{
	JSON_AUTO json_t *protected_part = header ? json_of(header) : NULL;
	SECRET_AUTO struct secret plain = {0};
	json_t *jwe = NULL;

	assert_int_equal(secret_copy(&plain, text, strlen(text), NULL), 0);
	assert_int_equal(jose_jwe_encrypt(protected_part, jwk, &plain, &jwe, NULL), 0);
	return jwe;
}

static void assert_opens(const json_t *jwe, const json_t *jwk, const void *text, size_t size)
{
	SECRET_AUTO struct secret plain = {0};

	assert_int_equal(jose_jwe_decrypt(jwe, jwk, &plain, NULL), 0);
	assert_int_equal(plain.size, size);
	assert_memory_equal(plain.data, text, size);
}

/* Decrypts what must not open; nothing may come out. */
static int refuse(const json_t *jwe, const json_t *jwk)
{
	SECRET_AUTO struct secret plain = {0};
	struct error err = {0};
	int rc = jose_jwe_decrypt(jwe, jwk, &plain, &err);

	assert_null(plain.data);
	assert_int_equal(err.code < 0, rc < 0);
	return rc;
}

/* Seals to an oct key under a header as it is, so that nothing but the header is wrong with the JWE. The caller's. */
static json_t *seal_under(const char *header, const json_t *jwk)
{
	static const unsigned char iv[JOSE_GCM_IV];
	JSON_AUTO json_t *json = json_of(header);
	char *dump = json_dump_public(json);
	JSON_AUTO json_t *protected_b64 = jose_b64_json(dump, strlen(dump));
	SECRET_AUTO struct secret key = {0};
	SECRET_AUTO struct secret plain = {0};
	SECRET_AUTO struct secret sealed = {0};
	unsigned char tag[JOSE_GCM_TAG];

	free(dump);
	secret_of_b64(text_at(jwk, "k"), &key);
	assert_int_equal(secret_copy(&plain, "text", 4, NULL), 0);
	assert_int_equal(jose_gcm_encrypt(&key, iv,
					  (struct jose_aad){json_string_value(protected_b64),
							    json_string_length(protected_b64)},
					  &plain, &sealed, tag, NULL),
			 0);
	return json_pack("{s:O, s:o, s:o, s:o}", "protected", protected_b64, "iv",
			 jose_b64_json(iv, sizeof(iv)), "ciphertext",
			 jose_b64_json(sealed.data, sealed.size), "tag",
			 jose_b64_json(tag, sizeof(tag)));
}

static void replace_header(json_t *jwe, const char *header)
{
	JSON_AUTO json_t *json = json_of(header);
	char *text = json_dump_public(json);

	assert_int_equal(json_object_set_new(jwe, "protected", jose_b64_json(text, strlen(text))),
			 0);
	free(text);
}

static void test_comes_back_by_every_kind_of_key(void **state)
{
	static const char *const keys[] = {
		"{'alg':'A256GCM'}",	      "{'kty':'oct','bytes':32}",
		"{'kty':'EC','crv':'P-256'}", "{'kty':'EC','crv':'P-384'}",
		"{'kty':'EC','crv':'P-521'}",
	};
	static const char *const texts[] = {"", "x",
					    "a passphrase of some length, sixteen bytes and more"};

	(void)state;
	for (size_t i = 0; i < COUNT(keys); i++) {
		JSON_AUTO json_t *jwk = generate(keys[i]);

		for (size_t j = 0; j < COUNT(texts); j++) {
			JSON_AUTO json_t *jwe = encrypt("{'kid':'k','clevis':{'pin':'x'}}", jwk,
							texts[j]);
			JSON_AUTO json_t *header = NULL;

			assert_opens(jwe, jwk, texts[j], strlen(texts[j]));
			assert_int_equal(jose_jwe_header(jwe, &header, NULL), 0);
			assert_string_equal(text_at(header, "enc"), "A256GCM");
			assert_string_equal(text_at(header, "kid"), "k");
			assert_string_equal(text_at(header, "clevis/pin"), "x");
		}
	}
}

/* In the flattened form `encrypted_key` is "" for dir and absent for ECDH-ES (contract of José). */
static void test_header_and_encrypted_key_are_those_of_the_algorithm(void **state)
{
	static const struct {
		const char *jwk;
		const char *alg;
		const char *encrypted_key;
		size_t header_size;
	} rows[] = {
		{"{'alg':'A256GCM'}", "dir", "", 2},
		{"{'kty':'EC'}", "ECDH-ES", NULL, 3},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		JSON_AUTO json_t *jwk = generate(rows[i].jwk);
		JSON_AUTO json_t *jwe = encrypt(NULL, jwk, "text");
		JSON_AUTO json_t *header = NULL;

		assert_int_equal(jose_jwe_header(jwe, &header, NULL), 0);
		assert_string_equal(text_at(header, "alg"), rows[i].alg);
		assert_int_equal(json_object_size(header), rows[i].header_size);
		if (rows[i].encrypted_key)
			assert_string_equal(text_at(jwe, "encrypted_key"), rows[i].encrypted_key);
		else
			assert_null(json_object_get(jwe, "encrypted_key"));
	}
}

static void test_large_plaintext_comes_back(void **state)
{
	enum { SIZE = 1024 * 1024 + 3 };
	JSON_AUTO json_t *jwk = generate("{'kty':'EC'}");
	JSON_AUTO json_t *jwe = NULL;
	SECRET_AUTO struct secret plain = {0};
	SECRET_AUTO struct secret back = {0};

	(void)state;
	assert_int_equal(secret_new(&plain, SIZE, NULL), 0);
	for (size_t i = 0; i < SIZE; i++)
		plain.data[i] = (unsigned char)(i * 31);
	assert_int_equal(jose_jwe_encrypt(NULL, jwk, &plain, &jwe, NULL), 0);
	assert_int_equal(jose_jwe_decrypt(jwe, jwk, &back, NULL), 0);
	assert_true(secret_equal(&plain, &back));
}

static void test_two_encryptions_share_nothing(void **state)
{
	static const char *const members[] = {"iv", "ciphertext", "tag", "protected"};
	JSON_AUTO json_t *jwk = generate("{'kty':'EC'}");
	JSON_AUTO json_t *first = encrypt(NULL, jwk, "same");
	JSON_AUTO json_t *second = encrypt(NULL, jwk, "same");

	(void)state;
	for (size_t i = 0; i < COUNT(members); i++)
		assert_string_not_equal(text_at(first, members[i]), text_at(second, members[i]));
}

static void test_opens_what_the_reference_sealed(void **state)
{
	JSON_AUTO json_t *vector = vector_read("jose-11-jwe.json");
	const json_t *item;
	size_t i;

	(void)state;
	json_array_foreach(json_at(vector, "items"), i, item) {
		const char *compact = json_string_value(json_object_get(item, "compact"));
		SECRET_AUTO struct secret plain = {0};
		JSON_AUTO json_t *jwe = NULL;

		secret_of_b64(text_at(item, "plain"), &plain);
		if (compact)
			assert_int_equal(
				jose_jwe_parse_compact(compact, strlen(compact), &jwe, NULL), 0);
		else
			jwe = json_incref(json_at(item, "jwe"));
		assert_opens(jwe, json_at(item, "jwk"), plain.data, plain.size);
	}
	assert_int_equal(i, 8);
}

static void test_opens_with_additional_authenticated_data(void **state)
{
	JSON_AUTO json_t *vector = vector_read("jwe-aad.json");
	const json_t *item;
	size_t i;

	(void)state;
	json_array_foreach(json_at(vector, "items"), i, item) {
		JSON_AUTO json_t *changed = json_deep_copy(json_at(item, "jwe"));
		SECRET_AUTO struct secret plain = {0};

		secret_of_b64(text_at(item, "plain"), &plain);
		assert_opens(json_at(item, "jwe"), json_at(item, "jwk"), plain.data, plain.size);
		assert_int_equal(json_object_set_new(changed, "aad", json_string("AAAA")), 0);
		assert_int_equal(refuse(changed, json_at(item, "jwk")), -EBADMSG);
	}
	assert_int_equal(i, 4);
}

/* RFC 7520 §5.5 (A128CBC-HS256) and §5.6 (A128GCM): good JWEs with good keys, by algorithms that are not ours. */
static void test_refuses_the_algorithms_of_rfc_7520(void **state)
{
	static const char *const sections[] = {"5.5", "5.6"};
	JSON_AUTO json_t *vector = vector_read("rfc7520.json");

	(void)state;
	for (size_t i = 0; i < COUNT(sections); i++) {
		const json_t *example = json_at(vector, sections[i]);
		const char *compact = text_at(example, "compact");
		JSON_AUTO json_t *jwe = NULL;

		assert_int_equal(jose_jwe_parse_compact(compact, strlen(compact), &jwe, NULL), 0);
		unit_check(refuse(jwe, json_at(example, "jwk")) == -EBADMSG, sections[i]);
	}
}

/* The Concat KDF of NIST SP 800-56A for up to 32 bytes: one round of SHA-256. */
static void concat_kdf(const struct secret *z, const char *alg, const char *apu, const char *apv,
		       size_t key_size, unsigned char digest[SHA256_DIGEST_LENGTH])
{
	const char *const infos[] = {alg, apu, apv};
	unsigned char input[512] = {0, 0, 0, 1};
	size_t filled = 4;

	memcpy(input + filled, z->data, z->size);
	filled += z->size;
	for (size_t i = 0; i < COUNT(infos); i++) {
		input[filled + 3] = (unsigned char)strlen(infos[i]);
		memcpy(input + filled + 4, infos[i], strlen(infos[i]));
		filled += 4 + strlen(infos[i]);
	}
	input[filled + 2] = (unsigned char)(key_size * 8 >> 8);
	input[filled + 3] = (unsigned char)(key_size * 8);
	(void)SHA256(input, filled + 4, digest);
}

/* First that the hand-made KDF is right, by appendix C; then that ours does the same with our algorithm. */
static void test_derives_keys_as_rfc_7518_appendix_c(void **state)
{
	JSON_AUTO json_t *vector = vector_read("rfc7518-c.json");
	SECRET_AUTO struct secret z = {0};
	SECRET_AUTO struct secret expected = {0};
	unsigned char digest[SHA256_DIGEST_LENGTH];
	static const struct {
		const char *header;
		const char *apu;
		const char *apv;
	} rows[] = {
		{"{'alg':'ECDH-ES','enc':'A256GCM'}", "", ""},
		{"{'alg':'ECDH-ES','enc':'A256GCM','apu':'QWxpY2U','apv':'Qm9i'}", "Alice", "Bob"},
		{"{'alg':'ECDH-ES','enc':'A256GCM','apv':'Qm9i'}", "", "Bob"},
		{"{'alg':'ECDH-ES','enc':'A256GCM','apu':''}", "", ""},
	};

	(void)state;
	secret_of_b64(text_at(vector, "z"), &z);
	secret_of_b64(text_at(vector, "derived"), &expected);
	concat_kdf(&z, "A128GCM", "Alice", "Bob", 16, digest);
	assert_memory_equal(digest, expected.data, 16);
	for (size_t i = 0; i < COUNT(rows); i++) {
		JSON_AUTO json_t *header = json_of(rows[i].header);
		SECRET_AUTO struct secret key = {0};

		concat_kdf(&z, "A256GCM", rows[i].apu, rows[i].apv, 32, digest);
		assert_int_equal(jose_ecdh_es_derive(&z, header, &key, NULL), 0);
		assert_int_equal(key.size, 32);
		assert_memory_equal(key.data, digest, 32);
	}
}

static void test_refuses_malformed_party_info(void **state)
{
	static const char *const rows[] = {"{'enc':'A256GCM','apu':'*'}",
					   "{'enc':'A256GCM','apv':1}",
					   "{'enc':'A256GCM','apu':'QWxpY2U='}"};
	SECRET_AUTO struct secret z = {0};

	(void)state;
	assert_int_equal(secret_new(&z, 32, NULL), 0);
	for (size_t i = 0; i < COUNT(rows); i++) {
		JSON_AUTO json_t *header = json_of(rows[i]);
		SECRET_AUTO struct secret key = {0};

		unit_check(jose_ecdh_es_derive(&z, header, &key, NULL) == -EINVAL, rows[i]);
		assert_null(key.data);
	}
}

static void test_opens_with_a_shared_secret_found_elsewhere(void **state)
{
	JSON_AUTO json_t *jwk = generate("{'kty':'EC','crv':'P-521'}");
	JSON_AUTO json_t *jwe = encrypt(NULL, jwk, "by another way");
	JSON_AUTO json_t *header = NULL;
	SECRET_AUTO struct secret scalar = {0};
	SECRET_AUTO struct secret z = {0};
	SECRET_AUTO struct secret plain = {0};
	struct jose_point point;

	(void)state;
	assert_int_equal(jose_jwe_header(jwe, &header, NULL), 0);
	assert_int_equal(jose_scalar_from_jwk(jwk, jose_curve(JOSE_P521), &scalar, NULL), 0);
	assert_int_equal(jose_point_from_jwk(json_at(header, "epk"), &point, NULL), 0);
	assert_int_equal(jose_point_multiply(&scalar, &point, &point, NULL), 0);
	assert_int_equal(jose_point_x(&point, &z, NULL), 0);
	assert_int_equal(jose_jwe_decrypt_shared(jwe, &z, &plain, NULL), 0);
	assert_memory_equal(plain.data, "by another way", plain.size);
	secret_free(&plain);
	z.data[0] ^= 1;
	assert_int_equal(jose_jwe_decrypt_shared(jwe, &z, &plain, NULL), -EBADMSG);
	assert_null(plain.data);
}

static void test_a_changed_character_anywhere_does_not_open(void **state)
{
	static const char *const members[] = {"protected", "iv", "ciphertext", "tag"};
	static const char *const keys[] = {"{'alg':'A256GCM'}", "{'kty':'EC'}"};

	(void)state;
	for (size_t i = 0; i < COUNT(keys); i++) {
		JSON_AUTO json_t *jwk = generate(keys[i]);

		for (size_t j = 0; j < COUNT(members); j++) {
			JSON_AUTO json_t *jwe = encrypt(NULL, jwk, "text");

			json_tamper(jwe, members[j]);
			unit_check(refuse(jwe, jwk) == -EBADMSG, members[j]);
		}
	}
}

static void test_another_key_does_not_open(void **state)
{
	static const char *const keys[] = {"{'alg':'A256GCM'}", "{'kty':'EC','crv':'P-256'}"};

	(void)state;
	for (size_t i = 0; i < COUNT(keys); i++) {
		JSON_AUTO json_t *jwk = generate(keys[i]);
		JSON_AUTO json_t *other = generate(keys[i]);
		JSON_AUTO json_t *crossed = generate(keys[1 - i]);
		JSON_AUTO json_t *jwe = encrypt(NULL, jwk, "text");

		assert_int_equal(refuse(jwe, other), -EBADMSG);
		assert_true(refuse(jwe, crossed) < 0);
	}
}

static void test_key_must_be_fit_to_decrypt(void **state)
{
	static const char *const rows[] = {
		"{'kty':'oct'}",
		"{'kty':'oct','k':'AAAA'}",
		"{'kty':'oct','k':'*'}",
		"{'kty':'oct','alg':'A128GCM','k':'AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA'}",
	};
	JSON_AUTO json_t *good = generate("{'alg':'A256GCM'}");
	JSON_AUTO json_t *jwe = encrypt(NULL, good, "text");

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		JSON_AUTO json_t *jwk = json_of(rows[i]);

		unit_check(refuse(jwe, jwk) == -EINVAL, rows[i]);
	}
}

static void test_public_key_and_other_curve_do_not_open(void **state)
{
	JSON_AUTO json_t *jwk = generate("{'kty':'EC','crv':'P-256'}");
	JSON_AUTO json_t *other = generate("{'kty':'EC','crv':'P-384'}");
	JSON_AUTO json_t *public_jwk = NULL;
	JSON_AUTO json_t *jwe = encrypt(NULL, jwk, "text");

	(void)state;
	assert_int_equal(jose_jwk_public(jwk, &public_jwk, NULL), 0);
	assert_int_equal(refuse(jwe, public_jwk), -EINVAL);
	assert_int_equal(refuse(jwe, other), -EBADMSG);
	assert_int_equal(json_object_set_new(jwk, "alg", json_string("ECDH-ES+A256KW")), 0);
	assert_int_equal(refuse(jwe, jwk), -EINVAL);
}

static void test_refuses_headers_that_are_not_ours(void **state)
{
	static const char *const rows[] = {
		"{}",
		"[]",
		"{'enc':'A256GCM'}",
		"{'alg':'dir'}",
		"{'alg':'dir','enc':'A128GCM'}",
		"{'alg':'dir','enc':'A256CBC-HS512'}",
		"{'alg':'A256KW','enc':'A256GCM'}",
		"{'alg':'ECDH-ES','enc':'A256GCM'}",
		"{'alg':1,'enc':'A256GCM'}",
		"{'alg':'dir','enc':'A256GCM','zip':'DEF'}",
		"{'alg':'dir','enc':'A256GCM','crit':['exp'],'exp':1}",
		"{'alg':'dir','enc':'A256GCM','crit':[]}",
	};
	JSON_AUTO json_t *jwk = generate("{'alg':'A256GCM'}");
	JSON_AUTO json_t *good = seal_under("{'alg':'dir','enc':'A256GCM'}", jwk);

	(void)state;
	assert_opens(good, jwk, "text", 4);
	for (size_t i = 0; i < COUNT(rows); i++) {
		JSON_AUTO json_t *jwe = seal_under(rows[i], jwk);

		unit_check(refuse(jwe, jwk) == -EBADMSG, rows[i]);
	}
}

static void test_refuses_malformed_members(void **state)
{
	static const struct {
		const char *member;
		const char *value; /* NULL: removed */
	} rows[] = {
		{"iv", NULL},
		{"iv", "''"},
		{"iv", "'AAAA'"},
		{"iv", "'AAAAAAAAAAAAAAAAAAAAAA'"},
		{"iv", "1"},
		{"tag", NULL},
		{"tag", "''"},
		{"tag", "'AAAA'"},
		{"tag", "'AAAAAAAAAAAAAAAA'"},
		{"ciphertext", NULL},
		{"ciphertext", "'*'"},
		{"protected", "'*'"},
		{"protected", "'aGVsbG8'"},
		{"protected", "1"},
		{"protected", NULL},
		{"encrypted_key", "'AAAA'"},
		{"encrypted_key", "1"},
		{"unprotected", "1"},
		{"header", "[]"},
		{"header", "{'alg':'dir'}"},
		{"unprotected", "{'enc':'A256GCM'}"},
		{"aad", "'AAAA'"},
	};
	JSON_AUTO json_t *jwk = generate("{'alg':'A256GCM'}");

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		JSON_AUTO json_t *jwe = encrypt(NULL, jwk, "text");

		if (rows[i].value)
			assert_int_equal(
				json_object_set_new(jwe, rows[i].member, json_of(rows[i].value)),
				0);
		else
			assert_int_equal(json_object_del(jwe, rows[i].member), 0);
		unit_check(refuse(jwe, jwk) == -EBADMSG, rows[i].member);
	}
}

static void test_refuses_an_ephemeral_key_that_is_no_point(void **state)
{
	static const char *const rows[] = {
		"{'alg':'ECDH-ES','enc':'A256GCM'}",
		"{'alg':'ECDH-ES','enc':'A256GCM','epk':1}",
		"{'alg':'ECDH-ES','enc':'A256GCM','epk':{}}",
		"{'alg':'ECDH-ES','enc':'A256GCM','epk':{'kty':'EC','crv':'P-256',"
		"'x':'f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU',"
		"'y':'A_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0'}}",
	};
	JSON_AUTO json_t *jwk = generate("{'kty':'EC'}");

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		JSON_AUTO json_t *jwe = encrypt(NULL, jwk, "text");

		replace_header(jwe, rows[i]);
		unit_check(refuse(jwe, jwk) == -EBADMSG, rows[i]);
	}
}

static void test_refuses_to_encrypt_what_it_cannot(void **state)
{
	static const struct {
		const char *jwk;
		const char *header;
	} rows[] = {
		{"{'kty':'oct','k':'AAAA'}", "{}"},
		{"{'kty':'oct','alg':'A128GCM','k':'AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA'}",
		 "{}"},
		{"{'kty':'oct','k':'AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA'}",
		 "{'enc':'A128GCM'}"},
		{"{'kty':'oct','k':'AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA'}",
		 "{'alg':'ECDH-ES'}"},
		{"{'kty':'oct','k':'AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA'}",
		 "{'zip':'DEF'}"},
		{"{'kty':'oct','k':'AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA'}",
		 "{'crit':['x']}"},
		{"{'kty':'RSA','n':'AA','e':'AQAB'}", "{}"},
		{"{'kty':'EC','crv':'P-256','x':'AA','y':'AA'}", "{}"},
		{"{}", "{}"},
	};
	SECRET_AUTO struct secret plain = {0};

	(void)state;
	assert_int_equal(secret_copy(&plain, "text", 4, NULL), 0);
	for (size_t i = 0; i < COUNT(rows); i++) {
		JSON_AUTO json_t *jwk = json_of(rows[i].jwk);
		JSON_AUTO json_t *header = json_of(rows[i].header);
		json_t *jwe = NULL;
		struct error err = {0};

		unit_check(jose_jwe_encrypt(header, jwk, &plain, &jwe, &err) == -EINVAL,
			   rows[i].jwk);
		unit_check(!jwe && err.code == -EINVAL, rows[i].header);
	}
}

static void test_compact_form_comes_back(void **state)
{
	static const char *const keys[] = {"{'alg':'A256GCM'}", "{'kty':'EC'}"};

	(void)state;
	for (size_t i = 0; i < COUNT(keys); i++) {
		JSON_AUTO json_t *jwk = generate(keys[i]);
		JSON_AUTO json_t *jwe = encrypt(NULL, jwk, "text");
		JSON_AUTO json_t *parsed = NULL;
		char *compact = NULL;
		char *again = NULL;

		assert_int_equal(jose_jwe_format_compact(jwe, &compact, NULL), 0);
		assert_int_equal(jose_jwe_parse_compact(compact, strlen(compact), &parsed, NULL),
				 0);
		assert_opens(parsed, jwk, "text", 4);
		assert_int_equal(jose_jwe_format_compact(parsed, &again, NULL), 0);
		assert_string_equal(again, compact);
		free(compact);
		free(again);
	}
}

static void test_compact_form_has_five_parts(void **state)
{
	static const struct {
		const char *text;
		int rc;
	} rows[] = {
		{"a.b.c.d.e", 0},      {"....", 0},
		{"", -EBADMSG},	       {"a", -EBADMSG},
		{"a.b.c.d", -EBADMSG}, {"a.b.c.d.e.f", -EBADMSG},
		{".....", -EBADMSG},   {"a.b.c.d.\xff", -EBADMSG},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		JSON_AUTO json_t *jwe = NULL;

		unit_check(jose_jwe_parse_compact(rows[i].text, strlen(rows[i].text), &jwe, NULL) ==
				   rows[i].rc,
			   rows[i].text);
		unit_check((jwe != NULL) == (rows[i].rc == 0), rows[i].text);
	}
}

static void test_compact_form_loses_nothing(void **state)
{
	static const struct {
		const char *jwe;
		int rc;
	} rows[] = {
		{"{'protected':'a','iv':'b','ciphertext':'c','tag':'d'}", 0},
		{"{'protected':'a','iv':'b','ciphertext':'c','tag':'d','encrypted_key':'e'}", 0},
		{"{'protected':'a','iv':'b','ciphertext':'c','tag':'d','header':{}}", -EINVAL},
		{"{'protected':'a','iv':'b','ciphertext':'c','tag':'d','unprotected':{}}", -EINVAL},
		{"{'protected':'a','iv':'b','ciphertext':'c','tag':'d','aad':'x'}", -EINVAL},
		{"{'protected':'a','iv':'b','ciphertext':'c','tag':'d','recipients':[]}", -EINVAL},
		{"{'iv':'b','ciphertext':'c','tag':'d'}", -EBADMSG},
		{"{'protected':'a','ciphertext':'c','tag':'d'}", -EBADMSG},
		{"{'protected':'a','iv':'b','tag':'d'}", -EBADMSG},
		{"{'protected':'a','iv':'b','ciphertext':'c'}", -EBADMSG},
		{"[]", -EBADMSG},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		JSON_AUTO json_t *jwe = json_of(rows[i].jwe);
		char *text = NULL;

		unit_check(jose_jwe_format_compact(jwe, &text, NULL) == rows[i].rc, rows[i].jwe);
		unit_check((text != NULL) == (rows[i].rc == 0), rows[i].jwe);
		free(text);
	}
}

static void test_header_parts_are_joined_and_none_may_come_twice(void **state)
{
	JSON_AUTO json_t *jwe = json_of("{'unprotected':{'b':2},'header':{'c':3}}");
	JSON_AUTO json_t *expected = json_of("{'a':1,'b':2,'c':3}");
	JSON_AUTO json_t *header = NULL;
	json_t *none = NULL;

	(void)state;
	replace_header(jwe, "{'a':1}");
	assert_int_equal(jose_jwe_header(jwe, &header, NULL), 0);
	assert_true(json_equal(header, expected));
	replace_header(jwe, "{'b':1}");
	assert_int_equal(jose_jwe_header(jwe, &none, NULL), -EBADMSG);
	assert_null(none);
}

/* RFC 7516 §4.1.13 and RFC 7515 §4.1.11: `crit` counts in the protected header, but is refused wherever it stands. */
static void test_refuses_crit_outside_the_protected_header(void **state)
{
	static const char *const places[] = {"unprotected", "header"};
	JSON_AUTO json_t *jwk = generate("{'alg':'A256GCM'}");

	(void)state;
	for (size_t i = 0; i < COUNT(places); i++) {
		JSON_AUTO json_t *jwe = encrypt(NULL, jwk, "text");

		assert_int_equal(json_object_set_new(jwe, places[i], json_of("{'crit':['x']}")), 0);
		unit_check(refuse(jwe, jwk) == -EBADMSG, places[i]);
	}
}

static void test_gcm_takes_its_sizes_only(void **state)
{
	static const unsigned char iv_bytes[JOSE_GCM_IV];
	unsigned char tag[JOSE_GCM_TAG];

	(void)state;
	for (size_t size = 0; size <= 64; size += 8) {
		bool is_one = size == 16 || size == 24 || size == 32;
		SECRET_AUTO struct secret key = {0};
		SECRET_AUTO struct secret plain = {0};
		SECRET_AUTO struct secret out = {0};

		assert_int_equal(secret_new(&key, size, NULL), 0);
		assert_int_equal(secret_new(&plain, 5, NULL), 0);
		assert_int_equal(jose_gcm_encrypt(&key, iv_bytes, (struct jose_aad){"x", 1}, &plain,
						  &out, tag, NULL),
				 is_one ? 0 : -EINVAL);
		assert_int_equal(out.data != NULL, is_one);
	}
}

int main(int argc, char *argv[])
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_comes_back_by_every_kind_of_key),
		cmocka_unit_test(test_header_and_encrypted_key_are_those_of_the_algorithm),
		cmocka_unit_test(test_large_plaintext_comes_back),
		cmocka_unit_test(test_two_encryptions_share_nothing),
		cmocka_unit_test(test_opens_what_the_reference_sealed),
		cmocka_unit_test(test_opens_with_additional_authenticated_data),
		cmocka_unit_test(test_refuses_the_algorithms_of_rfc_7520),
		cmocka_unit_test(test_derives_keys_as_rfc_7518_appendix_c),
		cmocka_unit_test(test_refuses_malformed_party_info),
		cmocka_unit_test(test_opens_with_a_shared_secret_found_elsewhere),
		cmocka_unit_test(test_a_changed_character_anywhere_does_not_open),
		cmocka_unit_test(test_another_key_does_not_open),
		cmocka_unit_test(test_key_must_be_fit_to_decrypt),
		cmocka_unit_test(test_public_key_and_other_curve_do_not_open),
		cmocka_unit_test(test_refuses_headers_that_are_not_ours),
		cmocka_unit_test(test_refuses_malformed_members),
		cmocka_unit_test(test_refuses_an_ephemeral_key_that_is_no_point),
		cmocka_unit_test(test_refuses_to_encrypt_what_it_cannot),
		cmocka_unit_test(test_compact_form_comes_back),
		cmocka_unit_test(test_compact_form_has_five_parts),
		cmocka_unit_test(test_compact_form_loses_nothing),
		cmocka_unit_test(test_header_parts_are_joined_and_none_may_come_twice),
		cmocka_unit_test(test_refuses_crit_outside_the_protected_header),
		cmocka_unit_test(test_gcm_takes_its_sizes_only),
	};

	unit_begin(argc, argv);
	return cmocka_run_group_tests_name("jose/jwe", tests, NULL, NULL);
}
