/* SPDX-License-Identifier: Apache-2.0 */
#include "tangd/pair.h"

#include "base/json.h"
#include "jose/jose.h"
#include "tang/folder.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static const struct {
	const char *curve;
	const char *signing_alg;
} curves[] = {
	{"P-521", "ES512"},
	{"P-384", "ES384"},
	{"P-256", "ES256"},
};

static const char *signing_alg(const char *curve)
{
	for (size_t i = 0; i < sizeof(curves) / sizeof(*curves); i++) {
		if (strcmp(curve, curves[i].curve) == 0)
			return curves[i].signing_alg;
	}
	return NULL;
}

bool pair_knows_curve(const char *curve)
{
	return signing_alg(curve) != NULL;
}

static int make_file_name(const json_t *jwk, const char *wanted, char name[static FILE_NAME_SIZE],
			  struct error *err)
{
	char thumbprint[JOSE_THUMBPRINT_MAX];
	int length;
	int rc;

	if (!wanted) {
		rc = jose_thumbprint(jwk, JOSE_S256, thumbprint, err);
		if (rc < 0)
			return rc;
		wanted = thumbprint;
	}
	if (!*wanted || strchr(wanted, '/') || tang_is_hidden(wanted))
		return error_set(err, -EINVAL, "'%s' cannot be the name of an advertised key",
				 wanted);
	length = snprintf(name, FILE_NAME_SIZE, "%s.jwk", wanted);
	if (length < 0 || length >= FILE_NAME_SIZE)
		return error_set(err, -ENAMETOOLONG, "the key name '%s' is too long", wanted);
	return 0;
}

static int draft_key(int folder_fd, const char *alg, const char *curve, const char *wanted,
		     struct file_draft *draft, struct error *err)
{
	JSON_AUTO json_t *jwk_template = json_pack("{s:s, s:s}", "alg", alg, "crv", curve);
	JSON_AUTO json_t *jwk = NULL;
	SECRET_AUTO struct secret text = {0};
	char name[FILE_NAME_SIZE];
	int rc;

	if (!jwk_template)
		return error_nomem(err);
	rc = jose_jwk_generate(jwk_template, &jwk, err);
	if (rc == 0)
		rc = make_file_name(jwk, wanted, name, err);
	if (rc == 0)
		rc = json_dump_secret(jwk, &text, err);
	if (rc == 0)
		rc = file_draft_write(folder_fd, name, TANG_KEY_MODE, text.data, text.size, draft,
				      err);
	return rc;
}

int pair_draft(int folder_fd, const struct pair_wish *wish, struct pair *pair, struct error *err)
{
	const char *curve = wish->curve ? wish->curve : curves[0].curve;
	const char *alg = signing_alg(curve);
	struct pair made = {0};
	int rc;

	if (!alg)
		return error_set(err, -EINVAL, "no keys are made on the curve '%s'", curve);
	if (wish->signing_name && wish->exchange_name &&
	    strcmp(wish->signing_name, wish->exchange_name) == 0)
		return error_set(err, -EINVAL, "'%s' cannot be the name of both keys",
				 wish->signing_name);
	rc = tang_folder_check_room(folder_fd, 2, err);
	if (rc == 0)
		rc = draft_key(folder_fd, alg, curve, wish->signing_name, &made.signing, err);
	if (rc == 0)
		rc = draft_key(folder_fd, "ECMR", curve, wish->exchange_name, &made.exchange, err);
	if (rc < 0) {
		pair_drop(folder_fd, &made);
		return rc;
	}
	/* Before they are in service: the server must be able to read them from the first moment on. */
	if (tang_folder_give_draft(folder_fd, &made.signing, &made.not_given) == 0)
		(void)tang_folder_give_draft(folder_fd, &made.exchange, &made.not_given);
	*pair = made;
	return 0;
}

int pair_publish(int folder_fd, struct pair *pair, struct error *err)
{
	int rc = file_draft_publish(folder_fd, &pair->exchange, FILE_NEW, err);

	if (rc == 0) {
		rc = file_draft_publish(folder_fd, &pair->signing, FILE_NEW, err);
		if (rc == 0) {
			rc = file_sync_folder(folder_fd, pair->signing.name, err);
			if (rc < 0)
				(void)unlinkat(folder_fd, pair->signing.name, 0);
		}
		if (rc < 0)
			(void)unlinkat(folder_fd, pair->exchange.name, 0);
	}
	pair_drop(folder_fd, pair);
	return rc;
}

void pair_drop(int folder_fd, struct pair *pair)
{
	file_draft_drop(folder_fd, &pair->signing);
	file_draft_drop(folder_fd, &pair->exchange);
}
