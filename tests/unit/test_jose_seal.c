/* SPDX-License-Identifier: Apache-2.0 */
/* jose/jwe_seal.c: every algorithm comes back, what is inferred, where it goes, and what is refused (contract of José, "jwe"). */
#include "unit.h"

#include "base/json.h"
#include "jose/alg.h"
#include "jose/b64.h"
#include "jose/jwe.h"
#include "jose/jwk.h"

#include <errno.h>
#include <string.h>

static json_t *keys;
static struct secret text;

static int load_vectors(void **state)
{
	(void)state;
	keys = vector_read("jose-keys.json");
	return secret_copy(&text, "what is to be kept", 18, NULL);
}

static int drop_vectors(void **state)
{
	(void)state;
	json_drop(&keys);
	secret_free(&text);
	return 0;
}

static int seal(const char *jwe_template, const json_t *jwk, bool compact, json_t **jwe)
{
	const struct jose_recipient recipient = {jwk, NULL, NULL};
	JSON_AUTO json_t *parsed = json_of(jwe_template);
	JSON_AUTO json_t *before = json_deep_copy(parsed);
	struct error err = {0};
	int rc = jose_jwe_seal(parsed, &recipient, 1, compact, &text, jwe, &err);

	assert_int_equal(err.code, rc);
	assert_true(json_equal(parsed, before));
	return rc;
}

static bool opens(const json_t *jwe, const json_t *jwk)
{
	const struct jose_recipient key = {jwk, NULL, NULL};
	SECRET_AUTO struct secret plain = {0};

	return jose_jwe_open(jwe, &key, 1, NULL, &plain, NULL) == 0 && secret_equal(&plain, &text);
}

/* Each algorithm with each key of the tests that it takes, and each content encryption; to the public part where there is one. */
static void test_every_algorithm_comes_back(void **state)
{
	size_t tried = 0;

	(void)state;
	for (size_t i = 0; jose_alg(i); i++)
		for (size_t j = 0; jose_alg(i)->kind == JOSE_KIND_WRAP && jose_alg(j); j++) {
			const char *name;
			json_t *jwk;

			if (jose_alg(j)->kind != JOSE_KIND_ENCR)
				continue;
			json_object_foreach(keys, name, jwk) {
				JSON_AUTO json_t *wanted = json_pack(
					"{s:{s:s, s:s, s:i}}", "protected", "alg",
					jose_alg(i)->name, "enc", jose_alg(j)->name, "p2c", 1000);
				JSON_AUTO json_t *public_jwk = NULL;
				JSON_AUTO json_t *jwe = NULL;
				struct jose_recipient recipient = {jwk, NULL, NULL};

				if (!jose_alg_takes(jose_alg(i), jwk))
					continue;
				assert_int_equal(jose_jwk_public(jwk, &public_jwk, NULL), 0);
				if (strncmp(name, "oct", 3) != 0)
					recipient.jwk = public_jwk;
				if (jose_jwe_seal(wanted, &recipient, 1, true, &text, &jwe, NULL) <
				    0)
					continue;
				unit_check(opens(jwe, jwk), jose_alg(i)->name);
				tried++;
			}
		}
	/* 4 of ECDH-ES on 5 keys, 6 of RSA on 2, 6 of wrapping on 1, 3 of PBES2 on 5; dir on 1 each */
	assert_int_equal(tried, 6 * (4 * 5 + 6 * 2 + 6 + 3 * 5 + 1));
}

static void test_infers_what_nobody_named(void **state)
{
	static const struct {
		const char *key;
		const char *alg_of_key; /* NULL: none */
		const char *wanted;
		const char *alg, *enc; /* NULL: refused */
	} rows[] = {
		{"P-256", NULL, "{}", "ECDH-ES+A128KW", "A128CBC-HS256"},
		{"P-384", NULL, "{}", "ECDH-ES+A192KW", "A192CBC-HS384"},
		{"P-521", NULL, "{}", "ECDH-ES+A256KW", "A256CBC-HS512"},
		{"P-521", "ECDH-ES", "{}", "ECDH-ES", "A256CBC-HS512"},
		{"P-256", "ECDH-ES", "{}", "ECDH-ES", "A128CBC-HS256"},
		{"X25519", NULL, "{}", "ECDH-ES+A128KW", "A128CBC-HS256"},
		{"RSA-2048", NULL, "{}", "RSA-OAEP", "A128CBC-HS256"},
		{"RSA-2048", "RSA1_5", "{}", "RSA1_5", "A128CBC-HS256"},
		{"oct-16", NULL, "{}", "A128KW", "A128CBC-HS256"},
		{"oct-24", NULL, "{}", "A192KW", "A192CBC-HS384"},
		{"oct-32", NULL, "{}", "A256KW", "A256CBC-HS512"},
		{"oct-16", "A128GCMKW", "{}", "A128GCMKW", "A128GCM"},
		{"oct-32", "A256GCMKW", "{}", "A256GCMKW", "A256GCM"},
		{"oct-32", "A256GCM", "{}", "dir", "A256GCM"},
		{"oct-64", "A256CBC-HS512", "{}", "dir", "A256CBC-HS512"},
		{"oct-16", "PBES2-HS256+A128KW", "{}", "PBES2-HS256+A128KW", "A128CBC-HS256"},
		{"oct-32", NULL, "{'protected':{'alg':'dir'}}", "dir", "A128CBC-HS256"},
		{"oct-64", NULL, "{'protected':{'alg':'dir'}}", "dir", "A256CBC-HS512"},
		{"P-256", NULL, "{'protected':{'alg':'ECDH-ES'}}", "ECDH-ES", "A128CBC-HS256"},
		{"P-256", NULL, "{'unprotected':{'enc':'A256GCM'}}", "ECDH-ES+A128KW", "A256GCM"},
		{"oct-48", NULL, "{}", NULL, NULL},
		{"oct-64", NULL, "{}", NULL, NULL},
		{"secp256k1", NULL, "{}", NULL, NULL},
		{"Ed25519", NULL, "{}", NULL, NULL},
		{"P-256", "ECMR", "{}", NULL, NULL},
		{"P-256", "ECDH", "{}", NULL, NULL},
		{"P-256", "ES256", "{}", NULL, NULL},
		{"oct-32", "HS256", "{}", NULL, NULL},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		JSON_AUTO json_t *jwk = json_deep_copy(json_at(keys, rows[i].key));
		JSON_AUTO json_t *jwe = NULL;
		JSON_AUTO json_t *header = NULL;

		if (rows[i].alg_of_key)
			(void)json_object_set_new(jwk, "alg", json_string(rows[i].alg_of_key));
		if (!rows[i].alg) {
			unit_check(seal(rows[i].wanted, jwk, false, &jwe) == -EINVAL && !jwe,
				   rows[i].key);
			continue;
		}
		unit_check(seal(rows[i].wanted, jwk, false, &jwe) == 0, rows[i].key);
		assert_int_equal(jose_jwe_header(jwe, &header, NULL), 0);
		unit_check(strcmp(text_at(header, "alg"), rows[i].alg) == 0, rows[i].alg);
		unit_check(strcmp(text_at(header, "enc"), rows[i].enc) == 0, rows[i].alg);
		unit_check(opens(jwe, jwk), rows[i].alg);
	}
}

static void assert_members(const json_t *object, const char *expected)
{
	JSON_AUTO json_t *names = json_of(expected);
	const json_t *name;
	size_t i;

	unit_check(json_object_size(object) == json_array_size(names), expected);
	json_array_foreach(names, i, name) {
		unit_check(json_object_get(object, json_string_value(name)) != NULL, expected);
	}
}

static json_t *protected_of(const json_t *jwe)
{
	SECRET_AUTO struct secret bytes = {0};
	json_t *header = NULL;

	assert_int_equal(jose_b64_member(jwe, "protected", &bytes, NULL), 0);
	assert_int_equal(json_parse((const char *)bytes.data, bytes.size, "header", &header, NULL),
			 0);
	return header;
}

/* `enc` protected; the rest in the recipient's header, or protected too in the compact form. */
static void test_members_go_where_the_contract_says(void **state)
{
	static const struct {
		const char *key;
		const char *wanted;
		const char *protected_json, *header_json, *protected_compact;
	} rows[] = {
		{"P-256", "{}", "['enc']", "['alg','epk']", "['alg','enc','epk']"},
		{"P-256", "{'protected':{'alg':'ECDH-ES'}}", "['alg','enc']", "['epk']",
		 "['alg','enc','epk']"},
		{"RSA-2048", "{'protected':{'cty':'x'}}", "['enc','cty']", "['alg']",
		 "['alg','enc','cty']"},
		{"oct-16", "{'protected':{'alg':'A128GCMKW'}}", "['alg','enc']", "['iv','tag']",
		 "['alg','enc','iv','tag']"},
		{"oct-16", "{'protected':{'alg':'PBES2-HS256+A128KW','p2c':1000}}",
		 "['alg','enc','p2c']", "['p2s']", "['alg','enc','p2c','p2s']"},
		{"oct-32", "{'protected':{'alg':'dir'}}", "['alg','enc']", NULL, "['alg','enc']"},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		JSON_AUTO json_t *json = NULL;
		JSON_AUTO json_t *compact = NULL;
		JSON_AUTO json_t *in_json = NULL;
		JSON_AUTO json_t *in_compact = NULL;

		assert_int_equal(seal(rows[i].wanted, json_at(keys, rows[i].key), false, &json), 0);
		assert_int_equal(seal(rows[i].wanted, json_at(keys, rows[i].key), true, &compact),
				 0);
		in_json = protected_of(json);
		in_compact = protected_of(compact);
		assert_members(in_json, rows[i].protected_json);
		assert_members(in_compact, rows[i].protected_compact);
		assert_null(json_object_get(compact, "header"));
		if (rows[i].header_json)
			assert_members(json_at(json, "header"), rows[i].header_json);
		else
			assert_null(json_object_get(json, "header"));
		assert_true(opens(json, json_at(keys, rows[i].key)));
		assert_true(opens(compact, json_at(keys, rows[i].key)));
	}
}

static void test_template_members_are_kept(void **state)
{
	JSON_AUTO json_t *jwe = NULL;
	JSON_AUTO json_t *changed = NULL;

	(void)state;
	assert_int_equal(seal("{'protected':{'apu':'QWxpY2U','alg':'ECDH-ES'},'aad':'AAAA',"
			      "'unprotected':{'apv':'Qm9i'},'header':{'kid':'k'},'x-note':[1]}",
			      json_at(keys, "P-384"), false, &jwe),
			 0);
	assert_string_equal(text_at(jwe, "aad"), "AAAA");
	assert_string_equal(text_at(jwe, "header/kid"), "k");
	assert_string_equal(text_at(jwe, "unprotected/apv"), "Qm9i");
	assert_int_equal(json_array_size(json_at(jwe, "x-note")), 1);
	assert_null(json_object_get(jwe, "encrypted_key"));
	assert_true(opens(jwe, json_at(keys, "P-384")));
	/* both parties' names take part in the key, `aad` in the tag */
	changed = json_deep_copy(jwe);
	(void)json_object_set_new(json_at(changed, "unprotected"), "apv", json_string("Qm9j"));
	assert_false(opens(changed, json_at(keys, "P-384")));
	json_tamper(jwe, "aad");
	assert_false(opens(jwe, json_at(keys, "P-384")));
}

static void test_refuses_what_cannot_be(void **state)
{
	static const struct {
		const char *key;
		const char *wanted;
		bool compact;
	} rows[] = {
		{"oct-16", "[]", false},
		{"oct-16", "{'protected':1}", false},
		{"oct-16", "{'protected':'*'}", false},
		{"oct-16", "{'protected':'W10'}", false},
		{"oct-16", "{'unprotected':1}", false},
		{"oct-16", "{'header':1}", false},
		{"oct-16", "{'protected':{'alg':'none'}}", false},
		{"oct-16", "{'protected':{'alg':1}}", false},
		{"oct-16", "{'protected':{'alg':'A256KW'}}", false},
		{"oct-16", "{'protected':{'alg':'RSA-OAEP'}}", false},
		{"oct-16", "{'protected':{'alg':'HS256'}}", false},
		{"oct-16", "{'protected':{'enc':'A128KW'}}", false},
		{"oct-16", "{'protected':{'enc':1}}", false},
		{"oct-16", "{'protected':{'alg':'dir','enc':'A256GCM'}}", false},
		{"oct-16", "{'protected':{'enc':'A128GCM'},'unprotected':{'enc':'A128GCM'}}",
		 false},
		{"oct-16", "{'protected':{'alg':'A128KW'},'header':{'alg':'A128KW'}}", false},
		{"oct-16", "{'header':{'enc':'A128GCM'}}", false},
		{"oct-16", "{'header':{'zip':'DEF'}}", false},
		{"oct-16", "{'unprotected':{'zip':'DEF'}}", false},
		{"oct-16", "{'protected':{'zip':'GZ'}}", false},
		{"oct-16", "{'protected':{'crit':['x'],'x':1}}", false},
		{"oct-16", "{'protected':{'alg':'A128GCMKW','iv':'AAAAAAAAAAAAAAAA'}}", false},
		{"oct-16", "{'protected':{'alg':'PBES2-HS256+A128KW','p2c':999}}", false},
		{"oct-16", "{'protected':{'alg':'PBES2-HS256+A128KW','p2c':32769}}", false},
		{"oct-16", "{'protected':{'alg':'PBES2-HS256+A128KW','p2c':'1000'}}", false},
		{"P-256", "{'protected':{'epk':{}}}", false},
		{"P-256", "{'protected':{'apu':'*'}}", false},
		{"P-256", "{'protected':{'alg':'ECDH-ES+A256GCMKW'}}", false},
		{"Ed25519", "{'protected':{'alg':'ECDH-ES'}}", false},
		{"secp256k1", "{'protected':{'alg':'ECDH-ES'}}", false},
		{"oct-16", "{'aad':'*'}", false},
		{"oct-16", "{'aad':1}", false},
		{"oct-16", "{'ciphertext':'AA'}", false},
		{"oct-16", "{'encrypted_key':'AA'}", false},
		{"oct-16", "{'recipients':[]}", false},
		{"oct-16", "{'header':{'kid':'k'}}", true},
		{"oct-16", "{'unprotected':{'kid':'k'}}", true},
		{"oct-16", "{'aad':'AA'}", true},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		json_t *jwe = NULL;

		unit_check(seal(rows[i].wanted, json_at(keys, rows[i].key), rows[i].compact, &jwe) <
					   0 &&
				   !jwe,
			   rows[i].wanted);
	}
}

static void test_key_must_be_fit_to_encrypt(void **state)
{
	static const struct {
		const char *wanted;
		const char *member;
		const char *value;
		int rc;
	} rows[] = {
		{"{}", "use", "'enc'", 0},
		{"{}", "use", "'sig'", -EINVAL},
		{"{}", "key_ops", "['wrapKey']", 0},
		{"{}", "key_ops", "['unwrapKey']", -EINVAL},
		{"{}", "key_ops", "['encrypt']", -EINVAL},
		{"{'protected':{'alg':'dir'}}", "key_ops", "['encrypt']", 0},
		{"{'protected':{'alg':'dir'}}", "key_ops", "['wrapKey']", -EINVAL},
		{"{'protected':{'alg':'A128KW'}}", "alg", "'A128GCMKW'", -EINVAL},
		{"{'protected':{'alg':'A128KW'}}", "alg", "'A128GCM'", -EINVAL},
		{"{'protected':{'enc':'A128CBC-HS256'}}", "alg", "'A128GCM'", -EINVAL},
		{"{'protected':{'alg':'dir','enc':'A128GCM'}}", "alg", "'dir'", 0},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		JSON_AUTO json_t *jwk = json_deep_copy(json_at(keys, "oct-16"));
		JSON_AUTO json_t *jwe = NULL;

		(void)json_object_set_new(jwk, rows[i].member, json_of(rows[i].value));
		unit_check(seal(rows[i].wanted, jwk, false, &jwe) == rows[i].rc, rows[i].value);
	}
}

static void test_password_is_one_recipient(void **state)
{
	SECRET_AUTO struct secret password = {0};
	SECRET_AUTO struct secret plain = {0};
	const struct jose_recipient recipient = {NULL, &password, NULL};
	JSON_AUTO json_t *fast = json_of("{'protected':{'p2c':1000}}");
	JSON_AUTO json_t *other = json_of("{'protected':{'alg':'A128KW'}}");
	JSON_AUTO json_t *jwe = NULL;
	JSON_AUTO json_t *header = NULL;
	json_t *none = NULL;

	(void)state;
	assert_int_equal(secret_copy(&password, "p\xc3\xa4ssw\xc3\xb6rter", 12, NULL), 0);
	assert_int_equal(jose_jwe_seal(fast, &recipient, 1, true, &text, &jwe, NULL), 0);
	assert_int_equal(jose_jwe_header(jwe, &header, NULL), 0);
	assert_string_equal(text_at(header, "alg"), "PBES2-HS256+A128KW");
	assert_int_equal(JOSE_B64_SIZE(strlen(text_at(header, "p2s"))), 16);
	assert_int_equal(jose_jwe_open(jwe, &recipient, 1, NULL, &plain, NULL), 0);
	assert_true(secret_equal(&plain, &text));
	assert_int_equal(jose_jwe_seal(other, &recipient, 1, true, &text, &none, NULL), -EINVAL);
}

static void test_nobody_names_the_iterations(void **state)
{
	JSON_AUTO json_t *jwe = NULL;

	(void)state;
	assert_int_equal(seal("{'protected':{'alg':'PBES2-HS512+A256KW'}}", json_at(keys, "oct-16"),
			      false, &jwe),
			 0);
	assert_int_equal(json_integer_value(json_at(jwe, "header/p2c")), 32768);
	assert_true(opens(jwe, json_at(keys, "oct-16")));
}

static void test_several_recipients_in_their_order(void **state)
{
	static const char *const names[] = {"oct-16", "P-256", "oct-32", "RSA-2048"};
	struct jose_recipient recipients[COUNT(names)] = {0};
	JSON_AUTO json_t *wanted = json_of("{'protected':{'enc':'A256GCM'}}");
	JSON_AUTO json_t *direct = json_of("{'header':{'alg':'dir','kid':'third'}}");
	JSON_AUTO json_t *jwe = NULL;
	json_t *none = NULL;

	(void)state;
	for (size_t i = 0; i < COUNT(names); i++)
		recipients[i].jwk = json_at(keys, names[i]);
	recipients[2].recipient_template = direct;
	assert_int_equal(jose_jwe_seal(wanted, recipients, 4, false, &text, &jwe, NULL), 0);
	assert_int_equal(json_array_size(json_at(jwe, "recipients")), 4);
	assert_null(json_object_get(jwe, "encrypted_key"));
	assert_string_equal(text_at(jwe, "recipients/0/header/alg"), "A128KW");
	assert_string_equal(text_at(jwe, "recipients/1/header/alg"), "ECDH-ES+A128KW");
	assert_string_equal(text_at(jwe, "recipients/2/header/kid"), "third");
	assert_string_equal(text_at(jwe, "recipients/2/encrypted_key"), "");
	assert_string_equal(text_at(jwe, "recipients/3/header/alg"), "RSA-OAEP");
	for (size_t i = 0; i < COUNT(names); i++)
		unit_check(opens(jwe, recipients[i].jwk), names[i]);
	assert_int_equal(jose_jwe_seal(wanted, recipients, 4, true, &text, &none, NULL), -EINVAL);
	assert_int_equal(jose_jwe_seal(wanted, recipients, 0, false, &text, &none, NULL), -EINVAL);
	assert_null(none);
}

static void test_one_key_at_most_decides(void **state)
{
	JSON_AUTO json_t *direct = json_of("{'header':{'alg':'dir'}}");
	JSON_AUTO json_t *agreed = json_of("{'header':{'alg':'ECDH-ES'}}");
	JSON_AUTO json_t *wanted = json_of("{'protected':{'enc':'A128GCM'}}");
	JSON_AUTO json_t *other = json_of("{'kty':'oct','k':'AAAAAAAAAAAAAAAAAAAAAA'}");
	const struct jose_recipient two_keys[] = {{json_at(keys, "oct-16"), NULL, direct},
						  {other, NULL, direct}};
	const struct jose_recipient same[] = {{json_at(keys, "oct-16"), NULL, direct},
					      {json_at(keys, "oct-16"), NULL, direct}};
	const struct jose_recipient mixed[] = {{json_at(keys, "oct-16"), NULL, direct},
					       {json_at(keys, "P-256"), NULL, agreed}};
	const struct jose_recipient with_agreed[] = {{json_at(keys, "oct-16"), NULL, NULL},
						     {json_at(keys, "P-256"), NULL, agreed}};
	JSON_AUTO json_t *jwe = NULL;
	JSON_AUTO json_t *both = NULL;
	json_t *none = NULL;

	(void)state;
	assert_int_equal(jose_jwe_seal(wanted, two_keys, 2, false, &text, &none, NULL), -EINVAL);
	assert_int_equal(jose_jwe_seal(wanted, mixed, 2, false, &text, &none, NULL), -EINVAL);
	assert_null(none);
	assert_int_equal(jose_jwe_seal(wanted, same, 2, false, &text, &jwe, NULL), 0);
	assert_int_equal(jose_jwe_seal(NULL, with_agreed, 2, false, &text, &both, NULL), 0);
	assert_true(opens(both, with_agreed[0].jwk));
	assert_true(opens(both, with_agreed[1].jwk));
	assert_null(json_object_get(json_at(both, "recipients/1"), "encrypted_key"));
}

static void test_compresses_and_comes_back(void **state)
{
	static const size_t sizes[] = {0, 1, 1000000};
	JSON_AUTO json_t *wanted = json_of("{'protected':{'zip':'DEF'}}");
	const struct jose_recipient recipient = {json_at(keys, "oct-16"), NULL, NULL};

	(void)state;
	for (size_t i = 0; i < COUNT(sizes); i++) {
		SECRET_AUTO struct secret plain = {0};
		SECRET_AUTO struct secret back = {0};
		JSON_AUTO json_t *jwe = NULL;

		assert_int_equal(secret_new(&plain, sizes[i], NULL), 0);
		assert_int_equal(jose_jwe_seal(wanted, &recipient, 1, false, &plain, &jwe, NULL),
				 0);
		assert_true(strlen(text_at(jwe, "ciphertext")) < 2000);
		assert_int_equal(jose_jwe_open(jwe, &recipient, 1, NULL, &back, NULL), 0);
		assert_true(secret_equal(&plain, &back));
	}
}

/* What would not be opened again is not made. */
static void test_too_large_content_is_not_compressed(void **state)
{
	enum { LARGE = 10 * 1024 * 1024 + 1, RANDOM = 300000 };
	JSON_AUTO json_t *wanted = json_of("{'protected':{'zip':'DEF'}}");
	const struct jose_recipient recipient = {json_at(keys, "oct-16"), NULL, NULL};
	SECRET_AUTO struct secret large = {0};
	SECRET_AUTO struct secret random = {0};
	uint32_t number = 1;
	json_t *none = NULL;

	(void)state;
	assert_int_equal(secret_new(&large, LARGE, NULL), 0);
	assert_int_equal(secret_new(&random, RANDOM, NULL), 0);
	for (size_t i = 0; i < RANDOM; i++) {
		number = number * 1664525 + 1013904223;
		random.data[i] = (unsigned char)(number >> 24);
	}
	assert_int_equal(jose_jwe_seal(wanted, &recipient, 1, false, &large, &none, NULL), -EFBIG);
	assert_int_equal(jose_jwe_seal(wanted, &recipient, 1, false, &random, &none, NULL), -EFBIG);
	assert_null(none);
}

static void test_two_encryptions_share_nothing(void **state)
{
	static const char *const names[] = {"oct-16", "P-256", "X448", "RSA-2048"};
	static const char *const members[] = {"iv", "ciphertext", "tag", "encrypted_key"};

	(void)state;
	for (size_t i = 0; i < COUNT(names); i++) {
		JSON_AUTO json_t *first = NULL;
		JSON_AUTO json_t *second = NULL;

		assert_int_equal(seal("{}", json_at(keys, names[i]), false, &first), 0);
		assert_int_equal(seal("{}", json_at(keys, names[i]), false, &second), 0);
		for (size_t j = 0; j < COUNT(members); j++)
			assert_string_not_equal(text_at(first, members[j]),
						text_at(second, members[j]));
	}
}

int main(int argc, char *argv[])
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_algorithm_comes_back),
		cmocka_unit_test(test_infers_what_nobody_named),
		cmocka_unit_test(test_members_go_where_the_contract_says),
		cmocka_unit_test(test_template_members_are_kept),
		cmocka_unit_test(test_refuses_what_cannot_be),
		cmocka_unit_test(test_key_must_be_fit_to_encrypt),
		cmocka_unit_test(test_password_is_one_recipient),
		cmocka_unit_test(test_nobody_names_the_iterations),
		cmocka_unit_test(test_several_recipients_in_their_order),
		cmocka_unit_test(test_one_key_at_most_decides),
		cmocka_unit_test(test_compresses_and_comes_back),
		cmocka_unit_test(test_too_large_content_is_not_compressed),
		cmocka_unit_test(test_two_encryptions_share_nothing),
	};

	unit_begin(argc, argv);
	return cmocka_run_group_tests_name("jose/seal", tests, load_vectors, drop_vectors);
}
