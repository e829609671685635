/* SPDX-License-Identifier: Apache-2.0 */
/* The pin `sss`: sealed to several pins, of which a number opens it (contract of Clevis §2). */
#include "base/file.h"
#include "base/json.h"
#include "jose/jose.h"
#include "net/net.h"
#include "pin/pins.h"
#include "pin/race.h"
#include "pin/shamir.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* --- The configuration ----------------------------------------------------------------------------------------------- */

/* Calls `visit` with each pin of `pins` and each of its configurations, in the order they stand; ends at the first failure. */
static int each_config(const json_t *pins,
		       int (*visit)(void *arg, const char *name, const json_t *config), void *arg)
{
	const char *name;
	const json_t *value;
	const json_t *config;
	size_t i;
	int rc = 0;

	json_object_foreach((json_t *)pins, name, value) {
		if (!json_is_array(value)) {
			rc = visit(arg, name, value);
		} else {
			json_array_foreach(value, i, config) {
				if (rc == 0)
					rc = visit(arg, name, config);
			}
		}
		if (rc < 0)
			return rc;
	}
	return 0;
}

struct count {
	size_t configs;
	struct error *err;
};

static int count_config(void *arg, const char *name, const json_t *config)
{
	struct count *count = arg;

	if (!json_is_object(config))
		return error_set(count->err, -EINVAL,
				 "Error parsing config! The configuration of '%s' is not an object",
				 name);
	count->configs++;
	return 0;
}

int sss_read_config(const json_t *config, size_t *threshold, size_t *total, struct error *err)
{
	const json_t *t = json_object_get(config, "t");
	const json_t *pins = json_object_get(config, "pins");
	struct count count = {.err = err};
	json_int_t wanted = t ? json_integer_value(t) : 1;
	int rc;

	if (!json_is_object(config))
		return error_set(err, -EINVAL, "Error parsing config! It is not a JSON object");
	if (!json_is_object(pins))
		return error_set(err, -EINVAL,
				 "Config missing 'pins' attribute! It names the pins and their "
				 "configurations: {\"tang\":[…]}");
	if (t && !json_is_integer(t))
		return error_set(err, -EINVAL,
				 "Config missing 'pins' attribute! ('t' is not an integer)");
	rc = each_config(pins, count_config, &count);
	if (rc < 0)
		return rc;
	if (wanted < 1 || (size_t)wanted > count.configs)
		return error_set(err, -EINVAL, "Invalid threshold (required: 1 <= %lld <= %zu)!",
				 (long long)wanted, count.configs);
	if (count.configs > SHAMIR_SHARES_MAX)
		return error_set(err, -EINVAL, "Error parsing config! %zu pins: %d are possible",
				 count.configs, SHAMIR_SHARES_MAX);
	*threshold = (size_t)wanted;
	*total = count.configs;
	return 0;
}

/* --- Sealing --------------------------------------------------------------------------------------------------------- */

struct sealing {
	struct pin_context *context;
	struct shamir *shamir;
	json_t *sealed; /* the children's JWEs */
};

static int seal_child(void *arg, const char *name, const json_t *config)
{
	const struct sealing *sealing = arg;
	SECRET_AUTO struct secret share = {0};
	json_t *jwe = NULL;
	int rc = shamir_share(sealing->shamir, &share, sealing->context->err);

	if (rc == 0)
		rc = pin_seal(sealing->context, name, config, &share, &jwe);
	if (rc == 0 && json_array_append_new(sealing->sealed, jwe) < 0)
		rc = error_nomem(sealing->context->err);
	return rc;
}

static int to_compact(const json_t *sealed, json_t *texts, struct error *err)
{
	const json_t *jwe;
	size_t i;

	json_array_foreach(sealed, i, jwe) {
		FREE_AUTO char *text = NULL;
		int rc = jose_jwe_format_compact(jwe, &text, err);

		if (rc < 0)
			return rc;
		if (json_array_append_new(texts, json_string(text)) < 0)
			return error_nomem(err);
	}
	return 0;
}

/* The JWE around the children's: its key is what the shares stand for. */
static int seal_around(const struct sealing *sealing, size_t threshold, const struct secret *plain,
		       json_t **jwe)
{
	SECRET_AUTO struct secret key = {0};
	JSON_AUTO json_t *texts = json_array();
	JSON_AUTO json_t *header = NULL;
	unsigned char prime[SHAMIR_NUMBER];
	struct error *err = sealing->context->err;
	int rc = to_compact(sealing->sealed, texts, err);

	if (rc == 0)
		rc = shamir_key(sealing->shamir, &key, err);
	if (rc < 0)
		return rc;
	shamir_prime(sealing->shamir, prime);
	header = json_pack("{s:{s:s, s:{s:I, s:o, s:O}}}", "clevis", "pin", "sss", "sss", "t",
			   (json_int_t)threshold, "p", jose_b64_json(prime, sizeof(prime)), "jwe",
			   texts);
	return header ? pin_seal_direct(header, &key, plain, jwe, err) : error_nomem(err);
}

static void discard_all(const json_t *sealed)
{
	const json_t *jwe;
	size_t i;

	json_array_foreach(sealed, i, jwe) {
		pin_discard(jwe);
	}
}

static int sss_seal(struct pin_context *context, const json_t *config, const struct secret *plain,
		    json_t **jwe)
{
	JSON_AUTO json_t *sealed = json_array();
	struct sealing sealing = {.context = context, .sealed = sealed};
	size_t threshold = 0;
	size_t total = 0;
	int rc = sss_read_config(config, &threshold, &total, context->err);

	if (rc == 0)
		rc = shamir_new(threshold, &sealing.shamir, context->err);
	if (rc == 0)
		rc = each_config(json_object_get(config, "pins"), seal_child, &sealing);
	if (rc == 0)
		rc = seal_around(&sealing, threshold, plain, jwe);
	if (rc < 0)
		discard_all(sealed);
	shamir_free(&sealing.shamir);
	return rc;
}

/* --- What a JWE says ------------------------------------------------------------------------------------------------- */

/* What the header holds of ours. */
struct sss {
	json_t *header;
	size_t threshold;
	size_t count;
	const json_t *texts; /* the children's JWEs, compact */
	unsigned char prime[SHAMIR_NUMBER];
};

static void sss_free(struct sss *sss)
{
	json_drop(&sss->header);
}

static int read_prime(const json_t *node, struct sss *sss, struct error *err)
{
	SECRET_AUTO struct secret prime = {0};

	if (jose_b64_member(node, "p", &prime, NULL) < 0 || prime.size != sizeof(sss->prime))
		return error_set(err, -EBADMSG, "sss: the JWE's 'p' is not a number of %d bytes",
				 SHAMIR_NUMBER);
	memcpy(sss->prime, prime.data, prime.size);
	return 0;
}

static int read_sss(const json_t *jwe, struct sss *sss, struct error *err)
{
	const json_t *node = NULL;
	json_int_t threshold;
	int rc = pin_read_node(jwe, "sss", &sss->header, &node, err);

	if (rc < 0)
		return rc;
	threshold = json_integer_value(json_object_get(node, "t"));
	sss->texts = json_object_get(node, "jwe");
	sss->count = json_array_size(sss->texts);
	if (threshold < 1 || (size_t)threshold > sss->count || sss->count > SHAMIR_SHARES_MAX)
		return error_set(err, -EBADMSG,
				 "sss: the JWE wants %lld shares and holds %zu (most: %d)",
				 (long long)threshold, sss->count, SHAMIR_SHARES_MAX);
	sss->threshold = (size_t)threshold;
	return read_prime(node, sss, err);
}

static int parse_children(const struct sss *sss, json_t **jwes, struct error *err)
{
	JSON_AUTO json_t *parsed = json_array();
	const json_t *text;
	size_t i;

	json_array_foreach(sss->texts, i, text) {
		json_t *jwe = NULL;
		int rc = json_is_string(text)
				 ? jose_jwe_parse_compact(json_string_value(text),
							  json_string_length(text), &jwe, err)
				 : error_set(err, -EBADMSG, "not a string");

		if (rc < 0) {
			error_prefix(err, "sss: JWE %zu inside: ", i + 1);
			return rc;
		}
		if (json_array_append_new(parsed, jwe) < 0)
			return error_nomem(err);
	}
	*jwes = parsed;
	parsed = NULL;
	return 0;
}

static int sss_children(const json_t *jwe, json_t **jwes, struct error *err)
{
	__attribute__((cleanup(sss_free))) struct sss sss = {0};
	int rc = read_sss(jwe, &sss, err);

	return rc < 0 ? rc : parse_children(&sss, jwes, err);
}

/* Adds a child's configuration to those of its kind. */
static int add_config(json_t *pins, const json_t *child, struct error *err)
{
	json_t *config = NULL;
	json_t *kind;
	char name[PIN_NAME_MAX];
	int rc = pin_name(child, name, err);

	if (rc == 0)
		rc = pin_describe(child, &config, err);
	if (rc < 0)
		return rc;
	kind = json_object_get(pins, name);
	if (!kind) {
		kind = json_array();
		if (json_object_set_new(pins, name, kind) < 0)
			kind = NULL;
	}
	return json_array_append_new(kind, config) < 0 ? error_nomem(err) : 0;
}

static int sss_describe(const json_t *jwe, json_t **config, struct error *err)
{
	__attribute__((cleanup(sss_free))) struct sss sss = {0};
	JSON_AUTO json_t *jwes = NULL;
	JSON_AUTO json_t *pins = json_object();
	const json_t *child;
	size_t i;
	int rc = read_sss(jwe, &sss, err);

	if (rc == 0)
		rc = parse_children(&sss, &jwes, err);
	json_array_foreach(jwes, i, child) {
		if (rc == 0)
			rc = add_config(pins, child, err);
	}
	if (rc < 0)
		return rc;
	*config = json_pack("{s:I, s:O}", "t", (json_int_t)sss.threshold, "pins", pins);
	return *config ? 0 : error_nomem(err);
}

static void sss_discard(const json_t *jwe)
{
	JSON_AUTO json_t *jwes = NULL;

	if (sss_children(jwe, &jwes, NULL) == 0)
		discard_all(jwes);
}

static unsigned sss_needs(const json_t *jwe)
{
	(void)jwe; /* what stands inside has needs; the pin itself has none */
	return 0;
}

/* --- Opening --------------------------------------------------------------------------------------------------------- */

struct opening {
	size_t wanted;
	size_t found;
	struct secret shares; /* one behind the other */
	struct error failures;
};

/* Takes a share, unless it is one that is here already. */
static int take_share(void *arg, size_t which, const struct secret *share, struct error *err)
{
	struct opening *opening = arg;

	(void)which;
	if (share->size != SHAMIR_SHARE)
		return error_set(err, -EBADMSG, "sss: what is sealed inside is no share");
	for (size_t i = 0; i < opening->found; i++)
		if (memcmp(opening->shares.data + i * SHAMIR_SHARE, share->data, SHAMIR_NUMBER) ==
		    0)
			return error_set(err, -EBADMSG, "sss: the same share is sealed twice");
	memcpy(opening->shares.data + opening->found * SHAMIR_SHARE, share->data, SHAMIR_SHARE);
	opening->found++;
	return 0;
}

static void open_here(struct pin_context *context, const json_t *jwe, struct opening *opening)
{
	SECRET_AUTO struct secret share = {0};
	struct error err = {0};
	struct pin_context own = *context;
	int rc;

	own.err = &err;
	rc = pin_open(&own, jwe, &share);
	context->retry_after_s = own.retry_after_s;
	if (rc == 0)
		rc = take_share(opening, 0, &share, &err);
	if (rc < 0)
		race_add_failure(&opening->failures, &err);
}

/* Local pins first: they cost nobody anything, and often they are enough. */
static int find_shares(struct pin_context *context, const json_t *jwes, struct opening *opening)
{
	const json_t *far[SHAMIR_SHARES_MAX];
	struct race_rules rules = {.take = take_share, .arg = opening};
	const json_t *jwe;
	struct error failures;
	size_t count = 0;
	size_t i;
	int rc;

	json_array_foreach(jwes, i, jwe) {
		if (pin_needs(jwe) & (PIN_NETWORK | PIN_EXTERNAL))
			far[count++] = jwe;
		else if (opening->found < opening->wanted)
			open_here(context, jwe, opening);
	}
	if (count == 1 && opening->found + 1 == opening->wanted) { /* nobody to race against */
		open_here(context, far[0], opening);
		count = 0;
	}
	if (opening->found == opening->wanted)
		return 0;
	if (opening->found + count < opening->wanted) {
		failures = opening->failures;
	} else {
		rules.needed = opening->wanted - opening->found;
		rc = race_run(context, far, count, &rules);
		if (rc == 0)
			return 0;
		failures = opening->failures;
		race_add_failure(&failures, context->err);
	}
	return error_set(context->err, failures.code, "sss: %zu of %zu shares found: %s",
			 opening->found, opening->wanted, failures.text);
}

static int open_with_shares(const json_t *jwe, const struct sss *sss, const struct secret *shares,
			    struct secret *plain, struct error *err)
{
	SECRET_AUTO struct secret key = {0};
	int rc = shamir_recover(sss->prime, shares, sss->threshold, &key, err);

	if (rc == 0)
		rc = pin_open_direct(jwe, &key, plain, err);
	if (rc < 0)
		error_prefix(err, "sss: with the shares found: ");
	return rc == -EINVAL ? -EBADMSG : rc;
}

static int sss_open(struct pin_context *context, const json_t *jwe, struct secret *plain)
{
	__attribute__((cleanup(sss_free))) struct sss sss = {0};
	JSON_AUTO json_t *jwes = NULL;
	struct opening opening = {0};
	int rc = read_sss(jwe, &sss, context->err);

	if (rc == 0)
		rc = parse_children(&sss, &jwes, context->err);
	if (rc == 0)
		rc = secret_new(&opening.shares, sss.threshold * SHAMIR_SHARE, context->err);
	opening.wanted = sss.threshold;
	if (rc == 0)
		rc = find_shares(context, jwes, &opening);
	if (rc == 0)
		rc = open_with_shares(jwe, &sss, &opening.shares, plain, context->err);
	secret_free(&opening.shares);
	return rc;
}

static const char *const sss_listed[] = {"t", "pins", NULL};

const struct pin pin_sss = {
	.name = "sss",
	.listed = sss_listed,
	.seal = sss_seal,
	.open = sss_open,
	.describe = sss_describe,
	.agrees = sss_agrees,
	.needs = sss_needs,
	.children = sss_children,
	.discard = sss_discard,
};
