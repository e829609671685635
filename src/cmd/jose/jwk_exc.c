/* SPDX-License-Identifier: Apache-2.0 */
/* jose jwk exc: ECDH, and the McCallum-Relyea exchange in each of its steps. */
#include "base/json.h"
#include "cmd/jose/command.h"
#include "cmd/jose/output.h"
#include "jose/ec.h"
#include "jose/jwk.h"

#include <string.h>

static int check_use(const json_t *jwk, struct error *err)
{
	const json_t *alg = json_object_get(jwk, "alg");

	if (alg && !jose_jwk_fits(jwk, "ECDH") && !jose_jwk_fits(jwk, "ECMR"))
		return error_set(err, -EINVAL, "the key's 'alg' is no exchange");
	if (!jose_jwk_allows(jwk, JOSE_DERIVE_KEY, false))
		return error_set(err, -EINVAL, "the key may not be used for deriveKey");
	return 0;
}

/* Says whether it is ECMR: as one of the keys says. With neither, it is ECDH. */
static int find_algorithm(const json_t *local, const json_t *remote, bool *is_ecmr,
			  struct error *err)
{
	const json_t *own = json_object_get(local, "alg");
	const json_t *other = json_object_get(remote, "alg");

	if (own && other && !json_equal(own, other))
		return error_set(err, -EINVAL, "the keys are for different algorithms");
	*is_ecmr = (own && jose_jwk_fits(local, "ECMR")) ||
		   (other && jose_jwk_fits(remote, "ECMR"));
	return 0;
}

static int multiply(const json_t *jwk, const struct jose_point *with, struct jose_point *result,
		    struct error *err)
{
	SECRET_AUTO struct secret scalar = {0};
	struct jose_point own = {0};
	int rc = jose_point_from_jwk(jwk, &own, err);

	if (rc == 0 && own.curve != with->curve)
		rc = error_set(err, -EINVAL, "the keys are of different curves");
	if (rc == 0)
		rc = jose_scalar_from_jwk(jwk, jose_curve(with->curve), &scalar, err);
	return rc < 0 ? rc : jose_point_multiply(&scalar, with, result, err);
}

/* What is private decides what is done (contract of José); ECDH has the first way only. */
static int exchange(const json_t *local, const json_t *remote, bool is_ecmr,
		    struct jose_point *result, struct error *err)
{
	struct jose_point own = {0};
	struct jose_point other = {0};
	int rc = jose_point_from_jwk(local, &own, err);

	if (rc == 0)
		rc = jose_point_from_jwk(remote, &other, err);
	if (rc < 0)
		return rc;
	if (json_object_get(local, "d"))
		return multiply(local, &other, result, err);
	if (!is_ecmr)
		return error_set(err, -EINVAL, "the local key has no private part");
	if (json_object_get(remote, "d"))
		return jose_point_add(&own, &other, result, err);
	return jose_point_subtract(&own, &other, result, err);
}

static int exchange_keys(const json_t *local, const json_t *remote, json_t *into, struct error *err)
{
	SECRET_AUTO struct secret place = {0};
	JSON_AUTO json_t *jwk = NULL;
	struct jose_point *result = NULL;
	bool is_ecmr = false;
	int rc = find_algorithm(local, remote, &is_ecmr, err);

	if (rc == 0)
		rc = check_use(local, err);
	if (rc == 0)
		rc = check_use(remote, err);
	if (rc == 0)
		rc = jose_point_secret(&place, &result, err);
	if (rc == 0)
		rc = exchange(local, remote, is_ecmr, result, err);
	if (rc < 0)
		return rc;
	jwk = jose_point_to_jwk(result);
	return jwk && json_object_update(into, jwk) == 0 ? 0 : error_nomem(err);
}

/* The one key of that option. */
static int take_key(struct call *call, int letter, const char *none, json_t **key,
		    struct error *err)
{
	JSON_AUTO json_t *keys = NULL;
	int rc = call_keys(call, letter, false, none, &keys, err);

	if (rc == 0 && json_array_size(keys) != 1)
		rc = error_set(err, -EINVAL, "%s", none);
	if (rc == 0)
		*key = json_incref(json_array_get(keys, 0));
	return rc;
}

/* The members that the result gets beside its own. */
static int take_template(struct call *call, json_t **into, struct error *err)
{
	JSON_AUTO json_t *templates = NULL;
	int rc = 0;

	if (call_has(call, 'i'))
		rc = call_keys(call, 'i', true, "", &templates, err);
	if (rc < 0)
		return rc;
	*into = templates
			? json_deep_copy(json_array_get(templates, json_array_size(templates) - 1))
			: json_object();
	return *into ? 0 : error_nomem(err);
}

static int run(struct call *call, struct error *err)
{
	JSON_AUTO json_t *local = NULL;
	JSON_AUTO json_t *remote = NULL;
	JSON_AUTO json_t *into = NULL;
	int rc = take_template(call, &into, err);

	if (rc == 0)
		rc = take_key(call, 'l', "Local JWK must be specified exactly once!", &local, err);
	if (rc == 0)
		rc = take_key(call, 'r', "Remote JWK must be specified exactly once!", &remote,
			      err);
	if (rc < 0)
		return rc;
	rc = exchange_keys(local, remote, into, err);
	if (rc < 0)
		return error_set(err, rc, "%s: Error performing exchange!", err->text);
	return output_json(call_value(call, 'o', "-"), into, true, err);
}

static const struct option options[] = {{"input", required_argument, NULL, 'i'},
					{"output", required_argument, NULL, 'o'},
					{"local", required_argument, NULL, 'l'},
					{"remote", required_argument, NULL, 'r'},
					{0}};

const struct command jwk_exc_command = {
	.name = "jwk exc",
	.summary = "Exchanges keys (ECDH, ECMR)",
	.run = run,
	.options = options,
	.usage =
		"Usage: jose jwk exc -l FILE -r FILE [-i JSON|FILE] [-o FILE]\n\n"
		"Writes the point that two keys make: the local private with the remote public one;\n"
		"ECMR, where the local key has no private part: the sum of both, if the remote one has\n"
		"a private part, or their difference.\n\n"
		"  -l, --local FILE       the local key\n"
		"  -r, --remote FILE      the remote key\n"
		"  -i, --input JSON|FILE  members that the result has besides\n"
		"  -o, --output FILE      write the result to it, in place of standard output\n",
	.examples = "  jose jwk gen -i '{\"alg\":\"ECMR\"}' -o own.jwk\n"
		    "  jose jwk exc -l own.jwk -r server.jwk -o secret.jwk\n",
	.failure_status = 1,
	.has_crypto = true,
};
