/* SPDX-License-Identifier: Apache-2.0 */
/*
 * needles JWE [SERVER_JWK]: what was secret when the JWE of that file was sealed or opened, a line of hexadecimal each, with a
 * name: of one to a key server the shared secret and the content key, found with the server's private key; of one of sss with
 * nulls inside the shares and the content key.
 */
#include "base/file.h"
#include "base/json.h"
#include "jose/ecdh_es.h"
#include "jose/jose.h"
#include "pin/pin.h"
#include "pin/shamir.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void check(int rc, const struct error *err)
{
	if (rc < 0) {
		(void)fprintf(stderr, "needles: %s\n", err->text);
		exit(EXIT_FAILURE);
	}
}

static void print(const char *name, const struct secret *secret)
{
	(void)printf("%s ", name);
	for (size_t i = 0; i < secret->size; i++)
		(void)printf("%02x", secret->data[i]);
	(void)printf("\n");
}

static void print_of_tang(const json_t *header, const char *jwk_path)
{
	SECRET_AUTO struct secret text = {0};
	SECRET_AUTO struct secret s = {0};
	SECRET_AUTO struct secret z = {0};
	SECRET_AUTO struct secret key = {0};
	JSON_AUTO json_t *jwk = NULL;
	struct jose_point c;
	struct jose_point k;
	struct error err = {0};

	check(file_read_secret(jwk_path, JOSE_JWK_MAX, &text, &err), &err);
	check(json_parse((const char *)text.data, text.size, jwk_path, &jwk, &err), &err);
	check(jose_point_from_jwk(json_object_get(header, "epk"), &c, &err), &err);
	check(jose_scalar_from_jwk(jwk, jose_curve(c.curve), &s, &err), &err);
	check(jose_point_multiply(&s, &c, &k, &err), &err);
	check(jose_point_x(&k, &z, &err), &err);
	check(jose_ecdh_es_derive(&z, header, &key, &err), &err);
	print("shared-secret", &z);
	print("content-key", &key);
}

static void print_of_sss(const json_t *jwe, const json_t *header)
{
	const json_t *node = json_object_get(json_object_get(header, "clevis"), "sss");
	size_t threshold = (size_t)json_integer_value(json_object_get(node, "t"));
	struct pin_context context = {.deadline = deadline_in_ms(1000)};
	SECRET_AUTO struct secret prime = {0};
	SECRET_AUTO struct secret shares = {0};
	SECRET_AUTO struct secret key = {0};
	JSON_AUTO json_t *inside = NULL;
	struct error err = {0};

	context.err = &err;
	check(pin_find("sss")->children(jwe, &inside, &err), &err);
	check(jose_b64_member(node, "p", &prime, &err), &err);
	check(secret_new(&shares, threshold * SHAMIR_SHARE, &err), &err);
	for (size_t i = 0; i < threshold; i++) {
		SECRET_AUTO struct secret share = {0};
		SECRET_AUTO struct secret y = {0};

		check(pin_open(&context, json_array_get(inside, i), &share), &err);
		memcpy(shares.data + i * SHAMIR_SHARE, share.data, SHAMIR_SHARE);
		check(secret_copy(&y, share.data + SHAMIR_NUMBER, SHAMIR_NUMBER, &err), &err);
		print("share", &y);
	}
	check(shamir_recover(prime.data, &shares, threshold, &key, &err), &err);
	print("content-key", &key);
}

int main(int argc, char *argv[])
{
	FREE_AUTO char *text = NULL;
	JSON_AUTO json_t *jwe = NULL;
	JSON_AUTO json_t *header = NULL;
	struct error err = {0};
	size_t size = 0;

	if (argc < 2)
		return EXIT_FAILURE;
	check(file_read(argv[1], PIN_JWE_MAX, &text, &size, &err), &err);
	check(jose_jwe_parse_compact(text, size, &jwe, &err), &err);
	check(jose_jwe_header(jwe, &header, &err), &err);
	if (argc > 2)
		print_of_tang(header, argv[2]);
	else
		print_of_sss(jwe, header);
	return EXIT_SUCCESS;
}
