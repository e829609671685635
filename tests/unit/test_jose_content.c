/* SPDX-License-Identifier: Apache-2.0 */
/* Content encryption (jose/content.c, cbc.c, aead.c): RFC 7518 appendix B, round trips, and what must not open. */
#include "unit.h"

#include "jose/aead.h"

#include <errno.h>
#include <string.h>

static json_t *rfc7518;

static int load_vectors(void **state)
{
	(void)state;
	rfc7518 = vector_read("rfc7518-b.json");
	return 0;
}

static int drop_vectors(void **state)
{
	(void)state;
	json_decref(rfc7518);
	return 0;
}

static void read_item(const json_t *item, struct secret *key, struct jose_sealed *sealed)
{
	secret_of_b64(text_at(item, "key"), key);
	secret_of_b64(text_at(rfc7518, "iv"), &sealed->iv);
	secret_of_b64(text_at(item, "ciphertext"), &sealed->ciphertext);
	secret_of_b64(text_at(item, "tag"), &sealed->tag);
}

static int open_item(const json_t *item, const struct secret *key, const struct jose_sealed *sealed,
		     struct secret *plain, struct error *err)
{
	SECRET_AUTO struct secret aad = {0};
	int rc;

	secret_of_b64(text_at(rfc7518, "aad"), &aad);
	rc = jose_content_open(jose_alg_named(text_at(item, "enc"), JOSE_KIND_ENCR), key,
			       (struct jose_aad){aad.data, aad.size}, sealed, plain, err);
	assert_int_equal(plain->data != NULL, rc == 0);
	return rc;
}

static void test_opens_and_makes_appendix_b_of_rfc_7518(void **state)
{
	const json_t *item;
	size_t i;

	(void)state;
	json_array_foreach(json_at(rfc7518, "items"), i, item) {
		SECRET_AUTO struct secret key = {0};
		SECRET_AUTO struct secret aad = {0};
		SECRET_AUTO struct secret expected = {0};
		SECRET_AUTO struct secret plain = {0};
		SECRET_AUTO struct secret ciphertext = {0};
		SECRET_AUTO struct secret tag = {0};
		SEALED_AUTO struct jose_sealed sealed = {0};

		read_item(item, &key, &sealed);
		secret_of_b64(text_at(rfc7518, "aad"), &aad);
		secret_of_b64(text_at(rfc7518, "plain"), &expected);
		assert_int_equal(open_item(item, &key, &sealed, &plain, NULL), 0);
		assert_true(secret_equal(&plain, &expected));
		assert_int_equal(
			jose_cbc_encrypt(jose_alg_named(text_at(item, "enc"), JOSE_KIND_ENCR), &key,
					 sealed.iv.data, (struct jose_aad){aad.data, aad.size},
					 &expected, &ciphertext, &tag, NULL),
			0);
		assert_true(secret_equal(&ciphertext, &sealed.ciphertext));
		assert_true(secret_equal(&tag, &sealed.tag));
	}
	assert_int_equal(i, 3);
}

static void test_any_changed_byte_does_not_open(void **state)
{
	const json_t *item;
	size_t i;

	(void)state;
	json_array_foreach(json_at(rfc7518, "items"), i, item) {
		for (int part = 0; part < 4; part++)
			for (size_t at = 0;; at++) {
				SECRET_AUTO struct secret key = {0};
				SECRET_AUTO struct secret plain = {0};
				SEALED_AUTO struct jose_sealed sealed = {0};
				struct secret *parts[] = {&key, &sealed.iv, &sealed.ciphertext,
							  &sealed.tag};

				read_item(item, &key, &sealed);
				if (at >= parts[part]->size)
					break;
				parts[part]->data[at] ^= 1;
				/* the half of the key that encrypts is not covered by the tag */
				if (part == 0 && at >= key.size / 2)
					continue;
				assert_int_equal(open_item(item, &key, &sealed, &plain, NULL),
						 -EBADMSG);
			}
	}
}

static void test_any_other_size_does_not_open(void **state)
{
	const json_t *item;
	size_t i;

	(void)state;
	json_array_foreach(json_at(rfc7518, "items"), i, item) {
		for (int part = 0; part < 4; part++)
			for (int change = 0; change < 4; change++) {
				SECRET_AUTO struct secret key = {0};
				SECRET_AUTO struct secret plain = {0};
				SEALED_AUTO struct jose_sealed sealed = {0};
				struct secret *parts[] = {&key, &sealed.iv, &sealed.ciphertext,
							  &sealed.tag};
				size_t size;

				read_item(item, &key, &sealed);
				size = parts[part]->size;
				assert_int_equal(secret_resize(parts[part],
							       change == 0   ? 0
							       : change == 1 ? size - 1
							       : change == 2 ? size + 1
									     : size / 2,
							       NULL),
						 0);
				assert_int_equal(open_item(item, &key, &sealed, &plain, NULL),
						 -EBADMSG);
			}
	}
}

/* A wrong padding under a right tag, which only who has the key can make, says what a wrong tag says. */
static void test_wrong_padding_reads_as_a_wrong_tag(void **state)
{
	const json_t *item;
	size_t i;

	(void)state;
	json_array_foreach(json_at(rfc7518, "items"), i, item) {
		SECRET_AUTO struct secret key = {0};
		SECRET_AUTO struct secret plain = {0};
		SEALED_AUTO struct jose_sealed sealed = {0};
		struct error of_padding = {0};
		struct error of_tag = {0};

		read_item(item, &key, &sealed);
		secret_free(&sealed.ciphertext);
		secret_free(&sealed.tag);
		secret_of_b64(text_at(item, "badly_padded/ciphertext"), &sealed.ciphertext);
		secret_of_b64(text_at(item, "badly_padded/tag"), &sealed.tag);
		assert_int_equal(open_item(item, &key, &sealed, &plain, &of_padding), -EBADMSG);
		sealed.tag.data[0] ^= 1;
		assert_int_equal(open_item(item, &key, &sealed, &plain, &of_tag), -EBADMSG);
		assert_string_equal(of_padding.text, of_tag.text);
	}
}

static void test_every_algorithm_comes_back_at_every_size(void **state)
{
	static const size_t sizes[] = {0, 1, 15, 16, 17, 31, 32, 33, 100000};

	(void)state;
	for (size_t i = 0; jose_alg(i); i++) {
		const struct jose_alg *enc = jose_alg(i);

		for (size_t j = 0; enc->kind == JOSE_KIND_ENCR && j < COUNT(sizes); j++) {
			SECRET_AUTO struct secret key = {0};
			SECRET_AUTO struct secret plain = {0};
			SECRET_AUTO struct secret back = {0};
			SECRET_AUTO struct secret none = {0};
			SEALED_AUTO struct jose_sealed sealed = {0};

			assert_int_equal(secret_new(&key, enc->key_size, NULL), 0);
			assert_int_equal(secret_new(&plain, sizes[j], NULL), 0);
			unit_check(jose_content_seal(enc, &key, (struct jose_aad){"head", 4},
						     &plain, &sealed, NULL) == 0,
				   enc->name);
			unit_check(jose_content_open(enc, &key, (struct jose_aad){"head", 4},
						     &sealed, &back, NULL) == 0,
				   enc->name);
			assert_true(secret_equal(&plain, &back));
			unit_check(jose_content_open(enc, &key, (struct jose_aad){"heat", 4},
						     &sealed, &none, NULL) == -EBADMSG,
				   enc->name);
			assert_null(none.data);
		}
	}
}

static void test_key_must_have_the_algorithms_size(void **state)
{
	(void)state;
	for (size_t i = 0; jose_alg(i); i++)
		for (size_t size = 0; jose_alg(i)->kind == JOSE_KIND_ENCR && size <= 72;
		     size += 8) {
			SECRET_AUTO struct secret key = {0};
			SECRET_AUTO struct secret plain = {0};
			SEALED_AUTO struct jose_sealed sealed = {0};

			assert_int_equal(secret_new(&key, size, NULL), 0);
			assert_int_equal(secret_new(&plain, 3, NULL), 0);
			unit_check(jose_content_seal(jose_alg(i), &key, (struct jose_aad){"", 0},
						     &plain, &sealed, NULL) ==
					   (size == jose_alg(i)->key_size ? 0 : -EINVAL),
				   jose_alg(i)->name);
		}
}

int main(int argc, char *argv[])
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_opens_and_makes_appendix_b_of_rfc_7518),
		cmocka_unit_test(test_any_changed_byte_does_not_open),
		cmocka_unit_test(test_any_other_size_does_not_open),
		cmocka_unit_test(test_wrong_padding_reads_as_a_wrong_tag),
		cmocka_unit_test(test_every_algorithm_comes_back_at_every_size),
		cmocka_unit_test(test_key_must_have_the_algorithms_size),
	};

	unit_begin(argc, argv);
	return cmocka_run_group_tests_name("jose/content", tests, load_vectors, drop_vectors);
}
