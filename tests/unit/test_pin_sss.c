/* SPDX-License-Identifier: Apache-2.0 */
/* pin/: sss, null and file. Who is asked and how often, when it ends, and what is left: servers that count, and misbehave. */
#include "keyfile.h"
#include "server.h"

#include "base/json.h"
#include "jose/jose.h"
#include "pin/pin.h"
#include "tang/tang.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { SERVERS = 5, LATE_MS = 600 };

static const char plaintext[] = "the bound passphrase";

enum behaviour { GOOD, LATE, SILENT, WRONG_POINT, NOT_JSON, BUSY, HANG_UP };

/* A server; children of the test's process see the same memory. */
struct seen {
	enum behaviour behaviour; /* in recoveries */
	unsigned recoveries;	  /* how many were asked for */
	unsigned hung_up;	  /* of those, how many ended with the client's end */
};

static struct server servers[SERVERS];
static struct seen *seen;
static json_t *signing;
static json_t *exchange;
static char *advertisement;
static struct error err;

static void wait_for_the_end(int fd)
{
	char byte;

	while (read(fd, &byte, 1) > 0)
		;
}

/* The server's part of the exchange, as text; the caller's. */
static char *answer_to(const char *body, bool right)
{
	JSON_AUTO json_t *sent = json_loads(body, 0, NULL);
	JSON_AUTO json_t *answered = NULL;
	SECRET_AUTO struct secret s = {0};
	struct jose_point x;
	struct jose_point y;

	if (jose_point_from_jwk(sent, &x, NULL) < 0 ||
	    jose_scalar_from_jwk(exchange, jose_curve(x.curve), &s, NULL) < 0 ||
	    tang_recover(&s, &x, &y, NULL) < 0)
		return NULL;
	answered = tang_point_to_json(right ? &y : &x);
	return json_dump_public(answered);
}

static void talk(int fd, void *arg)
{
	static struct talk_request request;
	struct seen *own = arg;
	const struct timespec late = {0, LATE_MS * 1000000L};
	char *answer;

	if (!talk_read_request(fd, &request))
		return;
	if (strcmp(request.method, "GET") == 0) {
		talk_answer(fd, 200, advertisement);
		return;
	}
	__atomic_add_fetch(&own->recoveries, 1, __ATOMIC_SEQ_CST);
	if (own->behaviour == SILENT) {
		wait_for_the_end(fd);
		__atomic_add_fetch(&own->hung_up, 1, __ATOMIC_SEQ_CST);
	}
	if (own->behaviour == LATE)
		(void)nanosleep(&late, NULL);
	if (own->behaviour == SILENT || own->behaviour == HANG_UP)
		return;
	answer = answer_to(request.body, own->behaviour != WRONG_POINT);
	if (own->behaviour == BUSY)
		talk_text(fd, "HTTP/1.1 503 Busy\r\nRetry-After: 7\r\nContent-Length: 0\r\n\r\n");
	else
		talk_answer(fd, 200, own->behaviour == NOT_JSON || !answer ? "{" : answer);
	free(answer);
}

static int start_servers(void **state)
{
	JSON_AUTO json_t *keys = NULL;
	JSON_AUTO json_t *signers = NULL;
	JSON_AUTO json_t *jws = NULL;

	(void)state;
	seen = unit_map(SERVERS * sizeof(*seen));
	signing = key_generate("{'alg':'ES512'}");
	exchange = key_generate("{'alg':'ECMR'}");
	keys = json_pack("[O, O]", signing, exchange);
	signers = json_pack("[O]", signing);
	assert_int_equal(tang_advertisement_sign(keys, signers, &jws, NULL), 0);
	advertisement = json_dump_public(jws);
	for (size_t i = 0; i < SERVERS; i++)
		server_start(&servers[i], talk, &seen[i]);
	return 0;
}

static int end_servers(void **state)
{
	(void)state;
	for (size_t i = 0; i < SERVERS; i++)
		server_stop(&servers[i]);
	json_drop(&signing);
	json_drop(&exchange);
	free(advertisement);
	unit_unmap(seen, SERVERS * sizeof(*seen));
	return 0;
}

static int begin(void **state)
{
	(void)state;
	err = (struct error){0};
	memset(seen, 0, SERVERS * sizeof(*seen));
	return 0;
}

/* No test may leave a process behind; the servers are none of the client's. */
static int no_process_is_left(void **state)
{
	(void)state;
	for (pid_t pid; (pid = waitpid(-1, NULL, WNOHANG)) != 0;)
		if (pid < 0)
			return errno == ECHILD ? 0 : 1;
	return 0;
}

static unsigned asked(void)
{
	unsigned sum = 0;

	for (size_t i = 0; i < SERVERS; i++)
		sum += seen[i].recoveries;
	return sum;
}

static struct pin_context context_for(int ms)
{
	return (struct pin_context){
		.deadline = deadline_in_ms(ms), .trust = PIN_TRUST_YES, .err = &err};
}

/* Seals the plaintext; `config` is a literal. Returns what pin_seal() does. */
static int try_seal(const char *pin, const char *config_text, json_t **jwe)
{
	JSON_AUTO json_t *config = json_of(config_text);
	SECRET_AUTO struct secret plain = {0};
	struct pin_context context = context_for(10000);

	err = (struct error){0};
	assert_int_equal(secret_copy(&plain, plaintext, strlen(plaintext), NULL), 0);
	return pin_seal(&context, pin, config, &plain, jwe);
}

static json_t *seal(const char *pin, const char *config_text)
{
	json_t *jwe = NULL;

	if (try_seal(pin, config_text, &jwe) != 0)
		fail_msg("%s", err.text);
	return jwe;
}

/* sss of `count` servers of which `threshold` open it. */
static json_t *seal_to(size_t threshold, size_t count)
{
	char config[1024];
	int length = snprintf(config, sizeof(config), "{'t':%zu,'pins':{'tang':[", threshold);

	for (size_t i = 0; i < count; i++)
		length += snprintf(config + length, sizeof(config) - (size_t)length,
				   "%s{'url':'%s'}", i > 0 ? "," : "", servers[i].url);
	(void)snprintf(config + length, sizeof(config) - (size_t)length, "]}}");
	return seal("sss", config);
}

static int open_within(const json_t *jwe, int ms)
{
	struct pin_context context = context_for(ms);
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

static int open_it(const json_t *jwe)
{
	return open_within(jwe, 10000);
}

/* --- What is sealed -------------------------------------------------------------------------------------------------- */

static void test_header_is_the_contracts(void **state)
{
	JSON_AUTO json_t *jwe = seal("sss",
				     "{'pins':{'null':[{},{}],'sss':{'t':1,'pins':{'null':{}}}},"
				     "'t':2}");
	JSON_AUTO json_t *header = NULL;
	JSON_AUTO json_t *inside = NULL;
	SECRET_AUTO struct secret prime = {0};
	const char *inner;

	(void)state;
	assert_int_equal(jose_jwe_header(jwe, &header, &err), 0);
	assert_string_equal(text_at(header, "alg"), "dir");
	assert_string_equal(text_at(header, "enc"), "A256GCM");
	assert_string_equal(text_at(header, "clevis/pin"), "sss");
	assert_int_equal(json_integer_value(json_at(header, "clevis/sss/t")), 2);
	assert_int_equal(json_object_size(json_at(header, "clevis/sss")), 3);
	secret_of_b64(text_at(header, "clevis/sss/p"), &prime);
	assert_int_equal(prime.size, 32);
	assert_int_equal(json_array_size(json_at(header, "clevis/sss/jwe")), 3);
	/* in the order of the configuration: the sss inside is the last */
	inner = text_at(header, "clevis/sss/jwe/2");
	assert_int_equal(jose_jwe_parse_compact(inner, strlen(inner), &inside, &err), 0);
	json_drop(&header);
	assert_int_equal(jose_jwe_header(inside, &header, &err), 0);
	assert_string_equal(text_at(header, "clevis/pin"), "sss");
}

static void test_configuration_must_make_sense(void **state)
{
	static const struct {
		const char *config;
		const char *words;
	} rows[] = {
		{"[]", "Configuration is malformed"},
		{"{}", "Config missing 'pins' attribute!"},
		{"{'t':1}", "Config missing 'pins' attribute!"},
		{"{'t':1,'pins':[]}", "Config missing 'pins' attribute!"},
		{"{'t':'1','pins':{'null':{}}}", "Config missing 'pins' attribute!"},
		{"{'t':1.0,'pins':{'null':{}}}", "Config missing 'pins' attribute!"},
		{"{'t':null,'pins':{'null':{}}}", "Config missing 'pins' attribute!"},
		{"{'pins':{}}", "Invalid threshold (required: 1 <= 1 <= 0)!"},
		{"{'t':0,'pins':{'null':{}}}", "Invalid threshold (required: 1 <= 0 <= 1)!"},
		{"{'t':-1,'pins':{'null':{}}}", "Invalid threshold (required: 1 <= -1 <= 1)!"},
		{"{'t':3,'pins':{'null':[{},{}]}}", "Invalid threshold (required: 1 <= 3 <= 2)!"},
		/* what stands deeper is no leaf of this level */
		{"{'t':2,'pins':{'sss':{'t':1,'pins':{'null':[{},{}]}}}}", "1 <= 2 <= 1"},
		{"{'pins':{'null':1}}", "Error parsing config!"},
		{"{'pins':{'null':[{},1]}}", "Error parsing config!"},
		{"{'pins':{'null':{},'sss':{}}}", "Config missing 'pins' attribute!"},
		{"{'pins':{'null':{},'nope':{}}}", "Unable to locate pin 'nope'"},
		{"{'pins':{'null':{},'../x':{}}}", "Unable to locate pin '../x'"},
		{"{'pins':{'null':{},'tang':{}}}", "Missing the required 'url' property"},
		{"{'pins':{'file':{}}}", "Missing the required name property!"},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		json_t *jwe = NULL;

		unit_check(try_seal("sss", rows[i].config, &jwe) < 0, rows[i].config);
		unit_check(strstr(err.text, rows[i].words) != NULL, err.text);
		assert_null(jwe);
	}
}

/* `levels` of sss around a null. */
static char *nested(int levels)
{
	char *config = strdup("{}");

	for (int i = 0; i < levels; i++) {
		char *outer = NULL;

		assert_true(asprintf(&outer, "{'pins':{'%s':%s}}", i == 0 ? "null" : "sss",
				     config) > 0);
		free(config);
		config = outer;
	}
	return config;
}

static void test_pins_may_be_nested_to_a_depth_and_no_deeper(void **state)
{
	char *most = nested(PIN_DEPTH_MAX - 1);
	char *more = nested(PIN_DEPTH_MAX);
	JSON_AUTO json_t *jwe = seal("sss", most);
	json_t *none = NULL;

	(void)state;
	assert_int_equal(open_it(jwe), 0);
	assert_int_equal(try_seal("sss", more, &none), -EINVAL);
	assert_non_null(strstr(err.text, "nested deeper"));
	assert_null(none);
	free(most);
	free(more);
}

/* The JWE with a member of its header changed; the caller's. */
static json_t *changed(const json_t *jwe, const char *member, json_t *value)
{
	JSON_AUTO json_t *header = NULL;
	char *text;
	json_t *copy = json_copy((json_t *)jwe);

	assert_int_equal(jose_jwe_header(jwe, &header, NULL), 0);
	assert_int_equal(json_object_set_new(json_at(header, "clevis/sss"), member, value), 0);
	text = json_dump_public(header);
	assert_int_equal(json_object_set_new(copy, "protected", jose_b64_json(text, strlen(text))),
			 0);
	free(text);
	return copy;
}

static void test_header_that_makes_no_sense_is_refused(void **state)
{
	static const struct {
		const char *member;
		const char *value;
	} rows[] = {
		{"t", "[0]"},
		{"t", "[3]"},
		{"t", "['2']"},
		{"t", "[1.5]"},
		{"t", "[-1]"},
		{"p", "['AA']"},
		{"p", "[1]"},
		{"p", "['']"},
		{"jwe", "[[]]"},
		{"jwe", "['x']"},
		{"jwe", "[{}]"},
		{"jwe", "[[1,2]]"},
		{"jwe", "[['a..','b']]"},
		{"t", "[9223372036854775807]"},
	};
	JSON_AUTO json_t *jwe = seal("sss", "{'t':2,'pins':{'null':[{},{}]}}");

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		JSON_AUTO json_t *value = json_of(rows[i].value);
		JSON_AUTO json_t *wrong = changed(jwe, rows[i].member,
						  json_incref(json_array_get(value, 0)));
		JSON_AUTO json_t *config = NULL;

		unit_check(open_it(wrong) == -EBADMSG, rows[i].value);
		unit_check(pin_describe(wrong, &config, &err) < 0 || rows[i].member[0] == 'p',
			   rows[i].value);
	}
	assert_int_equal(open_it(jwe), 0);
}

/* A share that stands there twice is one share. */
static void test_same_share_twice_does_not_count_twice(void **state)
{
	JSON_AUTO json_t *jwe = seal("sss", "{'t':2,'pins':{'null':[{},{}]}}");
	JSON_AUTO json_t *header = NULL;
	JSON_AUTO json_t *twice = NULL;
	json_t *first;

	(void)state;
	assert_int_equal(jose_jwe_header(jwe, &header, NULL), 0);
	first = json_at(header, "clevis/sss/jwe/0");
	twice = changed(jwe, "jwe", json_pack("[O, O]", first, first));
	assert_int_equal(open_it(twice), -EBADMSG);
	assert_non_null(strstr(err.text, "sealed twice"));
}

static void test_what_is_sealed_inside_must_be_a_share(void **state)
{
	JSON_AUTO json_t *jwe = seal("sss", "{'t':2,'pins':{'null':[{},{}]}}");
	JSON_AUTO json_t *other = seal("null", "{}");
	JSON_AUTO json_t *header = NULL;
	JSON_AUTO json_t *wrong = NULL;
	char *text = NULL;

	(void)state;
	assert_int_equal(jose_jwe_header(jwe, &header, NULL), 0);
	assert_int_equal(jose_jwe_format_compact(other, &text, NULL), 0);
	wrong = changed(jwe, "jwe", json_pack("[O, s]", json_at(header, "clevis/sss/jwe/0"), text));
	assert_int_equal(open_it(wrong), -EBADMSG);
	assert_non_null(
		strstr(err.text, "1 of 2 shares found: sss: what is sealed inside is no share"));
	free(text);
}

/* Any t of n open it, whatever fails of the others. */
static void test_opens_with_any_enough_of_its_children(void **state)
{
	(void)state;
	for (unsigned failing = 0; failing < 8; failing++) {
		char config[256];
		int good = 3 - __builtin_popcount(failing);
		JSON_AUTO json_t *jwe = NULL;

		(void)snprintf(config, sizeof(config), "{'t':2,'pins':{'null':[%s,%s,%s]}}",
			       failing & 1 ? "{'fail':true}" : "{}",
			       failing & 2 ? "{'fail':true}" : "{}",
			       failing & 4 ? "{'fail':true}" : "{}");
		jwe = seal("sss", config);
		assert_int_equal(open_it(jwe), good >= 2 ? 0 : -EBADMSG);
		if (good < 2)
			assert_non_null(
				strstr(err.text, good == 1 ? "1 of 2 shares" : "0 of 2 shares"));
	}
}

static void test_descriptions_seal_again_and_are_listed(void **state)
{
	char text[512];
	JSON_AUTO json_t *jwe = NULL;
	JSON_AUTO json_t *config = NULL;
	JSON_AUTO json_t *listed = NULL;
	JSON_AUTO json_t *again = NULL;
	SECRET_AUTO struct secret plain = {0};
	struct pin_context context = context_for(5000);
	char thp[JOSE_THUMBPRINT_MAX];
	char *shown;

	(void)state;
	(void)snprintf(text, sizeof(text),
		       "{'t':2,'pins':{'sss':{'t':1,'pins':{'tang':{'url':'%s'},'null':{}}},"
		       "'null':[{},{'fail':true}]}}",
		       servers[0].url);
	jwe = seal("sss", text);
	assert_int_equal(pin_describe(jwe, &config, &err), 0);
	assert_int_equal(json_integer_value(json_at(config, "t")), 2);
	assert_int_equal(json_array_size(json_at(config, "pins/null")), 2);
	assert_true(json_is_true(json_at(config, "pins/null/1/fail")));
	assert_string_equal(text_at(config, "pins/sss/0/pins/tang/0/thp"),
			    key_thumbprint(signing, JOSE_S256, thp));
	context.trust = PIN_TRUST_PINNED;
	assert_int_equal(secret_copy(&plain, plaintext, strlen(plaintext), NULL), 0);
	assert_int_equal(pin_seal(&context, "sss", config, &plain, &again), 0);
	assert_int_equal(open_it(again), 0);
	/* kinds in the order of lists, trust left out */
	assert_int_equal(pin_list_config(jwe, &listed, &err), 0);
	shown = json_dump_in_order(listed);
	(void)snprintf(
		text, sizeof(text),
		"{\"t\":2,\"pins\":{\"null\":[{},{}],\"sss\":[{\"t\":1,\"pins\":{\"null\":[{}],"
		"\"tang\":[{\"url\":\"%s\"}]}}]}}",
		servers[0].url);
	assert_string_equal(shown, text);
	free(shown);
	assert_int_equal(pin_needs(jwe), PIN_NETWORK);
}

/* --- Who is asked ---------------------------------------------------------------------------------------------------- */

static void test_local_children_are_enough_so_no_server_is_asked(void **state)
{
	char config[256];
	JSON_AUTO json_t *jwe = NULL;

	(void)state;
	(void)snprintf(config, sizeof(config),
		       "{'t':2,'pins':{'tang':[{'url':'%s'},{'url':'%s'}],'null':[{},{}]}}",
		       servers[0].url, servers[1].url);
	jwe = seal("sss", config);
	for (int i = 0; i < 8; i++)
		assert_int_equal(open_it(jwe), 0);
	assert_int_equal(asked(), 0);
}

static void test_what_local_children_lack_the_network_gives(void **state)
{
	char config[256];
	JSON_AUTO json_t *jwe = NULL;

	(void)state;
	(void)snprintf(config, sizeof(config),
		       "{'t':2,'pins':{'tang':[{'url':'%s'},{'url':'%s'}],'null':{}}}",
		       servers[0].url, servers[1].url);
	jwe = seal("sss", config);
	assert_int_equal(open_it(jwe), 0);
	assert_int_equal(asked(), 1);
}

/* With all servers well, t of n asks t; on a machine that is busy a slow answer may bring one more now and then. */
static void test_no_more_servers_are_asked_than_are_needed(void **state)
{
	enum { TIMES = 20 };

	(void)state;
	for (size_t threshold = 1; threshold <= 3; threshold++) {
		JSON_AUTO json_t *jwe = seal_to(threshold, SERVERS);

		(void)begin(state);
		for (int i = 0; i < TIMES; i++)
			assert_int_equal(open_it(jwe), 0);
		assert_in_range(asked(), threshold * TIMES, threshold * TIMES * 11 / 10);
	}
}

static void test_load_is_spread_over_the_servers(void **state)
{
	JSON_AUTO json_t *jwe = seal_to(1, SERVERS);

	(void)state;
	for (int i = 0; i < 100; i++)
		assert_int_equal(open_it(jwe), 0);
	for (size_t i = 0; i < SERVERS; i++) /* below 5 of 20 expected: one time in 10,000 */
		assert_true(seen[i].recoveries >= 4);
}

/* One answer in twenty comes late: at most 1.2 · t are asked on average, and nobody waits for the late one. */
static void test_late_answers_are_hedged_and_cost_little(void **state)
{
	enum { TIMES = 40, NEEDED = 2 };
	JSON_AUTO json_t *jwe = seal_to(NEEDED, SERVERS);
	int64_t begun = unit_now_ms();

	(void)state;
	(void)begin(state);
	for (int i = 0; i < TIMES; i++) {
		/* A request in twenty goes to one that is late now: of 5, for a tenth of the time, two asked. */
		seen[i % SERVERS].behaviour = i % 10 == 0 ? LATE : GOOD;
		assert_int_equal(open_it(jwe), 0);
		seen[i % SERVERS].behaviour = GOOD;
	}
	assert_in_range(asked(), NEEDED * TIMES, NEEDED * TIMES * 12 / 10);
	assert_true(unit_now_ms() - begun < 10000);
}

static void test_each_kind_of_bad_server_is_made_up_for(void **state)
{
	static const enum behaviour kinds[] = {SILENT, LATE, WRONG_POINT, NOT_JSON, BUSY, HANG_UP};
	JSON_AUTO json_t *jwe = seal_to(2, 4);

	(void)state;
	for (size_t i = 0; i < COUNT(kinds); i++) {
		int64_t begun = unit_now_ms();

		seen[0].behaviour = kinds[i];
		seen[1].behaviour = kinds[i];
		for (int j = 0; j < 3; j++)
			assert_int_equal(open_it(jwe), 0);
		/* Two that are silent: 0.3 s for each, three times, and what a busy machine adds. */
		assert_true(unit_now_ms() - begun < 8000);
	}
}

static void test_too_few_good_servers_are_told_one_by_one(void **state)
{
	JSON_AUTO json_t *jwe = seal_to(2, 3);

	(void)state;
	seen[0].behaviour = WRONG_POINT;
	seen[1].behaviour = NOT_JSON;
	assert_int_equal(open_it(jwe), -EBADMSG);
	assert_non_null(strstr(err.text, " of 2 shares"));
	assert_non_null(strstr(err.text, servers[0].url));
	assert_non_null(strstr(err.text, servers[1].url));
}

/* sss of a server that refuses and of servers[0]; the caller's. */
static json_t *seal_beside_refusing(size_t threshold, const char *refusing)
{
	char *adv = strdup(advertisement);
	char *config = NULL;
	json_t *jwe;

	for (char *c = adv; *c; c++)
		if (*c == '"')
			*c = '\'';
	assert_true(asprintf(&config,
			     "{'t':%zu,'pins':{'tang':[{'url':'%s','adv':%s},{'url':'%s'}]}}",
			     threshold, refusing, adv, servers[0].url) > 0);
	jwe = seal("sss", config);
	free(config);
	free(adv);
	return jwe;
}

static void test_failure_is_unreachable_when_no_server_answered_wrongly(void **state)
{
	char refusing[64];
	int fd = -1;
	JSON_AUTO json_t *both = NULL;
	JSON_AUTO json_t *either = NULL;

	(void)state;
	server_refusing(&fd, refusing);
	both = seal_beside_refusing(2, refusing);
	either = seal_beside_refusing(1, refusing);
	assert_int_equal(open_it(both), -ECONNREFUSED);
	assert_int_equal(open_it(either), 0);
	seen[0].behaviour = NOT_JSON;
	assert_int_equal(open_it(either), -EBADMSG);
	assert_non_null(strstr(err.text, "connection refused"));
	assert_non_null(strstr(err.text, servers[0].url));
	(void)close(fd);
}

static void test_silent_servers_end_at_the_deadline(void **state)
{
	JSON_AUTO json_t *jwe = seal_to(2, 3);
	int64_t begun = unit_now_ms();

	(void)state;
	for (size_t i = 0; i < SERVERS; i++)
		seen[i].behaviour = SILENT;
	assert_int_equal(open_within(jwe, 700), -ETIMEDOUT);
	assert_in_range(unit_now_ms() - begun, 690, 5000);
}

/* The children that are no longer needed are ended at once: their servers see the end. */
static void test_those_that_lose_are_ended(void **state)
{
	JSON_AUTO json_t *jwe = seal_to(1, 2);

	(void)state;
	seen[0].behaviour = SILENT;
	for (int i = 0; i < 8 || (i < 64 && seen[0].recoveries == 0); i++)
		assert_int_equal(open_it(jwe), 0);
	/* It takes one after the other, and may not have come to the last yet. */
	for (int i = 0;
	     i < 100 && (seen[0].recoveries == 0 || seen[0].hung_up < seen[0].recoveries); i++)
		(void)poll(NULL, 0, 20);
	assert_true(seen[0].recoveries > 0);
	/* One more may be from the case before. */
	assert_true(seen[0].hung_up >= seen[0].recoveries);
}

static void test_nested_networks_open(void **state)
{
	char config[512];
	JSON_AUTO json_t *jwe = NULL;

	(void)state;
	(void)snprintf(config, sizeof(config),
		       "{'t':2,'pins':{'sss':[{'t':1,'pins':{'tang':[{'url':'%s'},{'url':'%s'}]}},"
		       "{'t':2,'pins':{'tang':[{'url':'%s'},{'url':'%s'}]}}]}}",
		       servers[0].url, servers[1].url, servers[2].url, servers[3].url);
	jwe = seal("sss", config);
	seen[1].behaviour = WRONG_POINT;
	assert_int_equal(open_it(jwe), 0);
	seen[3].behaviour = WRONG_POINT;
	assert_int_equal(open_it(jwe), -EBADMSG);
	assert_non_null(strstr(err.text, servers[3].url));
}

/* --- null and file --------------------------------------------------------------------------------------------------- */

static void test_null_holds_its_key_or_fails(void **state)
{
	JSON_AUTO json_t *jwe = seal("null", "{}");
	JSON_AUTO json_t *failing = seal("null", "{'fail':true}");
	JSON_AUTO json_t *header = NULL;

	(void)state;
	assert_int_equal(open_it(jwe), 0);
	assert_int_equal(jose_jwe_header(jwe, &header, NULL), 0);
	assert_string_equal(text_at(header, "alg"), "dir");
	assert_string_equal(text_at(header, "clevis/null/jwk/alg"), "A256GCM");
	assert_int_equal(open_it(failing), -EBADMSG);
}

/* Seals with the pin file to `key` in a folder; for "sss" it stands inside another one, beside `beside`. */
static int seal_to_file(const struct folder *folder, const char *beside, json_t **jwe)
{
	char config[512];

	if (beside)
		(void)snprintf(config, sizeof(config),
			       "{'pins':{'sss':{'pins':{'file':{'name':'%s/key'}}},%s}}",
			       folder->path, beside);
	else
		(void)snprintf(config, sizeof(config), "{'name':'%s/key'}", folder->path);
	return try_seal(beside ? "sss" : "file", config, jwe);
}

static void test_file_keeps_its_key_in_a_file_for_the_owner_alone(void **state)
{
	FOLDER_AUTO struct folder folder;
	JSON_AUTO json_t *jwe = NULL;
	JSON_AUTO json_t *config = NULL;
	json_t *second = NULL;
	struct stat st;

	(void)state;
	folder_make(&folder);
	assert_int_equal(seal_to_file(&folder, NULL, &jwe), 0);
	assert_int_equal(fstatat(folder.fd, "key", &st, 0), 0);
	assert_int_equal(st.st_mode & 07777, 0400);
	assert_int_equal(open_it(jwe), 0);
	assert_int_equal(pin_needs(jwe), PIN_FILE);
	assert_int_equal(pin_describe(jwe, &config, &err), 0);
	assert_non_null(strstr(text_at(config, "name"), "/key"));
	assert_int_equal(pin_list_config(jwe, &second, &err), -ENOENT);

	assert_int_equal(seal_to_file(&folder, NULL, &second), -EEXIST);
	assert_non_null(strstr(err.text, "already exists"));
	assert_null(second);
	assert_int_equal(open_it(jwe), 0); /* the key is as it was */

	assert_int_equal(renameat(folder.fd, "key", folder.fd, "other"), 0);
	assert_int_equal(open_it(jwe), -ENOENT);
	assert_non_null(strstr(err.text, "not found"));
	folder_write(&folder, "key", "{]");
	assert_int_equal(open_it(jwe), -EBADMSG);
	assert_non_null(strstr(err.text, "is malformed"));
	assert_int_equal(unlinkat(folder.fd, "key", 0), 0);
	assert_int_equal(mkfifoat(folder.fd, "key", 0600), 0); /* nobody writes: it must not wait */
	assert_int_equal(open_it(jwe), -EBADMSG);
}

static void test_key_file_goes_when_the_sealing_fails(void **state)
{
	FOLDER_AUTO struct folder folder;
	JSON_AUTO json_t *jwe = NULL;

	(void)state;
	folder_make(&folder);
	assert_int_equal(seal_to_file(&folder, "'nope':{}", &jwe), -ENOENT);
	assert_false(folder_has(&folder, "key"));
	assert_int_equal(seal_to_file(&folder, "'null':{}", &jwe), 0);
	assert_true(folder_has(&folder, "key"));
	pin_discard(jwe);
	assert_false(folder_has(&folder, "key"));
}

/* One that stood there before is not ours to take away. */
static void test_foreign_file_stays_when_the_sealing_fails(void **state)
{
	FOLDER_AUTO struct folder folder;
	JSON_AUTO json_t *jwe = NULL;

	(void)state;
	folder_make(&folder);
	folder_write(&folder, "key", "somebody's");
	assert_int_equal(seal_to_file(&folder, "'null':{}", &jwe), -EEXIST);
	assert_true(folder_has(&folder, "key"));
}

#define CASE(test) cmocka_unit_test_setup_teardown(test, begin, no_process_is_left)

int main(int argc, char *argv[])
{
	static const struct CMUnitTest tests[] = {
		CASE(test_header_is_the_contracts),
		CASE(test_configuration_must_make_sense),
		CASE(test_pins_may_be_nested_to_a_depth_and_no_deeper),
		CASE(test_header_that_makes_no_sense_is_refused),
		CASE(test_same_share_twice_does_not_count_twice),
		CASE(test_what_is_sealed_inside_must_be_a_share),
		CASE(test_opens_with_any_enough_of_its_children),
		CASE(test_descriptions_seal_again_and_are_listed),
		CASE(test_local_children_are_enough_so_no_server_is_asked),
		CASE(test_what_local_children_lack_the_network_gives),
		CASE(test_no_more_servers_are_asked_than_are_needed),
		CASE(test_load_is_spread_over_the_servers),
		CASE(test_late_answers_are_hedged_and_cost_little),
		CASE(test_each_kind_of_bad_server_is_made_up_for),
		CASE(test_too_few_good_servers_are_told_one_by_one),
		CASE(test_failure_is_unreachable_when_no_server_answered_wrongly),
		CASE(test_silent_servers_end_at_the_deadline),
		CASE(test_those_that_lose_are_ended),
		CASE(test_nested_networks_open),
		CASE(test_null_holds_its_key_or_fails),
		CASE(test_file_keeps_its_key_in_a_file_for_the_owner_alone),
		CASE(test_key_file_goes_when_the_sealing_fails),
		CASE(test_foreign_file_stays_when_the_sealing_fails),
	};

	unit_begin(argc, argv);
	return cmocka_run_group_tests_name("pin_sss", tests, start_servers, end_servers);
}
