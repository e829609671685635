/* SPDX-License-Identifier: Apache-2.0 */
/* pin/: whether a configuration says what a JWE was sealed by; what is shown of a JWE; what is advised. No server is asked. */
#include "keyfile.h"
#include "unit.h"

#include "base/file.h"
#include "base/json.h"
#include "pin/pin.h"
#include "tang/tang.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { KEY_SETS = 2, TEXT_SIZE = 16384, ADVICE_MAX = 8 };

static struct {
	char *adv; /* as JSON */
	char thp[JOSE_THUMBPRINT_MAX];
} sets[KEY_SETS];

static struct error err;

static int make_sets(void **state)
{
	(void)state;
	for (size_t i = 0; i < KEY_SETS; i++) {
		JSON_AUTO json_t *signing = key_generate("{'alg':'ES256'}");
		JSON_AUTO json_t *exchange = key_generate("{'alg':'ECMR'}");
		JSON_AUTO json_t *keys = json_pack("[O, O]", signing, exchange);
		JSON_AUTO json_t *signers = json_pack("[O]", signing);
		JSON_AUTO json_t *jws = NULL;

		if (tang_advertisement_sign(keys, signers, &jws, NULL) < 0)
			return -1;
		sets[i].adv = json_dump_public(jws);
		(void)key_thumbprint(signing, JOSE_S256, sets[i].thp);
	}
	return 0;
}

static int free_sets(void **state)
{
	(void)state;
	for (size_t i = 0; i < KEY_SETS; i++)
		free(sets[i].adv);
	return 0;
}

/* JSON of a literal in which ADV0, ADV1, THP0 and THP1 stand for the two sets of keys. */
static json_t *config_of(const char *text)
{
	char whole[TEXT_SIZE] = "";
	size_t length = 0;

	while (*text) {
		size_t set = strlen(text) > 3 && text[3] == '1';
		const char *put = strncmp(text, "ADV", 3) == 0	 ? sets[set].adv
				  : strncmp(text, "THP", 3) == 0 ? sets[set].thp
								 : NULL;

		length += (size_t)snprintf(whole + length, sizeof(whole) - length, "%.*s",
					   put ? (int)strlen(put) : 1, put ? put : text);
		assert_true(length < sizeof(whole));
		text += put ? 4 : 1;
	}
	return json_of(whole);
}

static json_t *seal(const char *pin, const char *text)
{
	JSON_AUTO json_t *config = config_of(text);
	SECRET_AUTO struct secret plain = {0};
	struct pin_context context = {.deadline = deadline_in_ms(5000), .err = &err};
	json_t *jwe = NULL;

	assert_int_equal(secret_copy(&plain, "x", 1, NULL), 0);
	if (pin_seal(&context, pin, config, &plain, &jwe) < 0)
		fail_msg("%s: %s", text, err.text);
	return jwe;
}

struct row {
	const char *pin;
	const char *config;
	bool agrees;
};

static void check_rows(const json_t *jwe, const struct row *rows, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		JSON_AUTO json_t *config = config_of(rows[i].config);

		unit_check(pin_agrees(jwe, rows[i].pin, config) == rows[i].agrees, rows[i].config);
	}
}

static void test_tang_agrees_by_server_files_and_trust(void **state)
{
	static const struct row rows[] = {
		{"tang", "{'url':'https://h'}", true},
		{"tang", "{'url':'https://h/'}", false},
		{"tang", "{'url':'https://g'}", false},
		{"tang", "{}", false},
		{"sss", "{'url':'https://h'}", false},
		{"tang", "{'cacert':'/dev/null','url':'https://h'}", false},
		{"tang", "{'url':'https://h','thp':'THP0'}", true},
		{"tang", "{'url':'https://h','thp':'THP1'}", false},
		{"tang", "{'url':'https://h','adv':ADV0}", true},
		{"tang", "{'url':'https://h','adv':ADV1}", false},
		{"tang", "{'url':'https://h','adv':ADV0,'thp':'THP0'}", true},
		{"tang", "{'url':'https://h','adv':ADV0,'thp':'THP1'}", false},
		{"tang", "{'url':'https://h','adv':'/nowhere'}", false},
		{"tang", "{'url':'https://h','adv':{}}", false},
		{"tang", "{'url':'https://h','adv':1}", false},
		{"tang", "{'url':'https://h','trusted':[]}", false},
		{"tang", "[]", false},
	};
	JSON_AUTO json_t *jwe = seal("tang", "{'url':'https://h','adv':ADV0}");

	(void)state;
	check_rows(jwe, rows, COUNT(rows));
}

static void test_tang_agrees_by_the_files_that_are_named(void **state)
{
	static const struct row rows[] = {
		{"tang", "{'url':'https://h'}", true},
		{"tang", "{'url':'https://h','cacert':'/etc/hosts'}", true},
		{"tang", "{'url':'https://h','cacert':'/etc/hosts','cert':'/etc/passwd'}", true},
		{"tang", "{'url':'https://h','cacert':'/etc/passwd'}", false},
		{"tang", "{'url':'https://h','cert':'/etc/hosts'}", false},
		{"tang", "{'url':'https://h','cert':'/etc/passwd','key':'/etc/passwd'}", false},
	};
	JSON_AUTO json_t *jwe = seal("tang", "{'url':'https://h','adv':ADV0,"
					     "'cacert':'/etc/hosts','cert':'/etc/passwd'}");

	(void)state;
	check_rows(jwe, rows, COUNT(rows));
}

/* A configuration with an advertisement of these keys, the first of which signs. */
static json_t *config_with(const json_t *keys)
{
	JSON_AUTO json_t *signers = json_pack("[O]", json_array_get(keys, 0));
	json_t *adv = NULL;

	assert_int_equal(tang_advertisement_sign(keys, signers, &adv, NULL), 0);
	return json_pack("{s:s, s:o}", "url", "http://h", "adv", adv);
}

static void test_an_advertisement_with_more_keys_or_fewer_does_not_agree(void **state)
{
	JSON_AUTO json_t *signing = key_generate("{'alg':'ES256'}");
	JSON_AUTO json_t *one = key_generate("{'alg':'ECMR'}");
	JSON_AUTO json_t *other = key_generate("{'alg':'ECMR'}");
	JSON_AUTO json_t *fewer = json_pack("[O, O]", signing, one);
	JSON_AUTO json_t *more = json_pack("[O, O, O]", signing, one, other);
	JSON_AUTO json_t *with_fewer = config_with(fewer);
	JSON_AUTO json_t *with_more = config_with(more);
	FREE_AUTO char *fewer_text = json_dump_public(with_fewer);
	FREE_AUTO char *more_text = json_dump_public(with_more);
	JSON_AUTO json_t *sealed_to_fewer = seal("tang", fewer_text);
	JSON_AUTO json_t *sealed_to_more = seal("tang", more_text);

	(void)state;
	assert_true(pin_agrees(sealed_to_fewer, "tang", with_fewer));
	assert_true(pin_agrees(sealed_to_more, "tang", with_more));
	assert_false(pin_agrees(sealed_to_fewer, "tang", with_more));
	assert_false(pin_agrees(sealed_to_more, "tang", with_fewer));
}

static void test_sss_agrees_in_any_order(void **state)
{
	static const struct row rows[] = {
		{"sss",
		 "{'t':2,'pins':{'null':{},'tang':[{'url':'http://a'},{'url':'http://b'}],"
		 "'sss':{'pins':{'null':{}}}}}",
		 true},
		{"sss",
		 "{'pins':{'sss':[{'t':1,'pins':{'null':[{}]}}],"
		 "'tang':[{'url':'http://b'},{'url':'http://a'}],'null':[{}]},'t':2}",
		 true},
		/* Another threshold, one missing, one more, another instead, other depths. */
		{"sss",
		 "{'t':1,'pins':{'null':{},'tang':[{'url':'http://a'},{'url':'http://b'}],"
		 "'sss':{'pins':{'null':{}}}}}",
		 false},
		{"sss",
		 "{'pins':{'null':{},'tang':[{'url':'http://a'},{'url':'http://b'}],"
		 "'sss':{'pins':{'null':{}}}}}",
		 false},
		{"sss",
		 "{'t':2,'pins':{'null':{},'tang':[{'url':'http://a'}],"
		 "'sss':{'pins':{'null':{}}}}}",
		 false},
		{"sss",
		 "{'t':2,'pins':{'null':[{},{}],'tang':[{'url':'http://a'},{'url':'http://b'}],"
		 "'sss':{'pins':{'null':{}}}}}",
		 false},
		{"sss",
		 "{'t':2,'pins':{'null':{},'tang':[{'url':'http://a'},{'url':'http://a'}],"
		 "'sss':{'pins':{'null':{}}}}}",
		 false},
		{"sss",
		 "{'t':2,'pins':{'null':{},'tang':[{'url':'http://a'},{'url':'http://b'}],"
		 "'sss':{'pins':{'null':[{},{}]}}}}",
		 false},
		{"sss",
		 "{'t':2,'pins':{'null':{},'tang':[{'url':'http://a'},{'url':'http://b'}],"
		 "'sss':{'pins':{'null':{'fail':true}}}}}",
		 false},
		{"sss", "{'t':2,'pins':[]}", false},
		{"sss", "{'t':'2','pins':{}}", false},
		{"sss", "{}", false},
	};
	JSON_AUTO json_t *jwe = seal(
		"sss", "{'t':2,'pins':{'null':{},'tang':[{'url':'http://a','adv':ADV0},"
		       "{'url':'http://b','adv':ADV1}],'sss':{'pins':{'null':{}}}}}");

	(void)state;
	check_rows(jwe, rows, COUNT(rows));
}

/* The first configuration could have either JWE, but must leave the one that the second needs. */
static void test_sss_gives_each_configuration_a_jwe_of_its_own(void **state)
{
	static const struct row rows[] = {
		{"sss", "{'pins':{'tang':[{'url':'http://a'},{'url':'http://a','thp':'THP0'}]}}",
		 true},
		{"sss", "{'pins':{'tang':[{'url':'http://a'},{'url':'http://a','thp':'THP1'}]}}",
		 true},
		{"sss", "{'pins':{'tang':[{'url':'http://a'},{'url':'http://a'}]}}", true},
		{"sss",
		 "{'pins':{'tang':[{'url':'http://a','thp':'THP0'},"
		 "{'url':'http://a','thp':'THP0'}]}}",
		 false},
	};
	JSON_AUTO json_t *jwe = seal("sss", "{'pins':{'tang':[{'url':'http://a','adv':ADV0},"
					    "{'url':'http://a','adv':ADV1}]}}");

	(void)state;
	check_rows(jwe, rows, COUNT(rows));
}

static void test_null_agrees_when_both_fail_or_neither(void **state)
{
	static const struct row rows[] = {
		{"null", "{}", true}, {"null", "{'fail':true}", false}, {"null", "{'x':1}", false}};
	static const struct row rows_of_failing[] = {{"null", "{}", false},
						     {"null", "{'fail':true}", true}};
	JSON_AUTO json_t *jwe = seal("null", "{}");
	JSON_AUTO json_t *failing = seal("null", "{'fail':true}");

	(void)state;
	check_rows(jwe, rows, COUNT(rows));
	check_rows(failing, rows_of_failing, COUNT(rows_of_failing));
}

static void test_what_is_no_jwe_agrees_with_nothing(void **state)
{
	static const struct row rows[] = {
		{"tang", "{'url':'http://h'}", false}, {"sss", "{}", false}, {"null", "{}", false}};
	JSON_AUTO json_t *empty = json_object();

	(void)state;
	check_rows(empty, rows, COUNT(rows));
}

static void test_details_show_thumbprints_in_place_of_keys(void **state)
{
	JSON_AUTO json_t *jwe = seal("sss", "{'pins':{'tang':{'url':'http://a','adv':ADV0}}}");
	JSON_AUTO json_t *details = NULL;
	FREE_AUTO char *text = NULL;

	(void)state;
	assert_int_equal(pin_details(jwe, &details, &err), 0);
	assert_string_equal(text_at(details, "pins/tang/0/keys/0/thumbprint"), sets[0].thp);
	assert_true(json_is_true(json_at(details, "pins/tang/0/keys/0/trusted")));
	assert_string_equal(text_at(details, "pins/tang/0/keys/1/use"), "exchange");
	assert_true(json_is_true(json_at(details, "pins/tang/0/keys/1/sealed_to")));
	text = json_dump_public(details);
	assert_null(strstr(text, "\"kty\""));
}

static char advice[ADVICE_MAX][ERROR_TEXT_MAX];
static size_t advised;

static void take(const char *text)
{
	assert_true(advised < ADVICE_MAX);
	(void)snprintf(advice[advised++], ERROR_TEXT_MAX, "%s", text);
}

static void advise(const json_t *jwe)
{
	const struct pin_context context = {
		.deadline = deadline_in_ms(1000), .warn = take, .err = &err};

	advised = 0;
	pin_advise(&context, jwe);
}

static void test_advice_is_given_once_for_each_server_and_file(void **state)
{
	JSON_AUTO json_t *jwe = seal("sss",
				     "{'pins':{'tang':[{'url':'http://127.0.0.1:1','adv':ADV0},"
				     "{'url':'http://127.0.0.1:1','adv':ADV0},"
				     "{'url':'http://192.0.2.1','adv':ADV0}],"
				     "'sss':{'pins':{'tang':{'url':'https://[::1]','adv':ADV0,"
				     "'cacert':'/etc/hosts'}}}}}");

	(void)state;
	advise(jwe);
	assert_int_equal(advised, 2);
	assert_non_null(strstr(advice[0], "http://127.0.0.1:1 is this very machine"));
	assert_non_null(strstr(advice[1], "https://[::1] is this very machine"));
}

static void test_relative_paths_are_advised_of(void **state)
{
	FOLDER_AUTO struct folder folder;
	JSON_AUTO json_t *jwe = NULL;

	(void)state;
	folder_make(&folder);
	folder_write(&folder, "ca.pem", "");
	assert_int_equal(chdir(folder.path), 0);
	jwe = seal("sss", "{'pins':{'tang':{'url':'https://192.0.2.1','adv':ADV0,"
			  "'cacert':'ca.pem'},'file':{'name':'key'}}}");
	advise(jwe);
	assert_int_equal(chdir("/"), 0);
	assert_int_equal(advised, 2);
	assert_non_null(strstr(advice[0], "'cacert' is a relative path, ca.pem"));
	assert_non_null(strstr(advice[1], "'name' is a relative path, key"));
}

int main(int argc, char *argv[])
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_tang_agrees_by_server_files_and_trust),
		cmocka_unit_test(test_tang_agrees_by_the_files_that_are_named),
		cmocka_unit_test(test_an_advertisement_with_more_keys_or_fewer_does_not_agree),
		cmocka_unit_test(test_sss_agrees_in_any_order),
		cmocka_unit_test(test_sss_gives_each_configuration_a_jwe_of_its_own),
		cmocka_unit_test(test_null_agrees_when_both_fail_or_neither),
		cmocka_unit_test(test_what_is_no_jwe_agrees_with_nothing),
		cmocka_unit_test(test_details_show_thumbprints_in_place_of_keys),
		cmocka_unit_test(test_advice_is_given_once_for_each_server_and_file),
		cmocka_unit_test(test_relative_paths_are_advised_of),
	};

	unit_begin(argc, argv);
	return cmocka_run_group_tests_name("pin/agree, listing, advise", tests, make_sets,
					   free_sets);
}
