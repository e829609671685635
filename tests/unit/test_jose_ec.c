/* SPDX-License-Identifier: Apache-2.0 */
/* jose/ec.c: point arithmetic against multiples computed elsewhere, and everything that is no point refused. */
#include "unit.h"

#include "base/json.h"
#include "jose/b64.h"
#include "jose/ec.h"

#include <errno.h>
#include <string.h>

/* Indices of tests/vectors/ec-multiples.json: k = 1, 2, 3, 5, …, order − 2, order − 1. */
enum { K1, K2, K3, K5, K_MORE, K_ORDER_LESS_1 = 7, MULTIPLES };

static json_t *vectors;

static int load_vectors(void **state)
{
	(void)state;
	vectors = vector_read("ec-multiples.json");
	return 0;
}

static int drop_vectors(void **state)
{
	(void)state;
	json_drop(&vectors);
	return 0;
}

static const json_t *vector_of(int curve)
{
	return json_at(json_at(vectors, "curves"), jose_curve(curve)->name);
}

static const char *text_of(int curve, size_t index, const char *member)
{
	return text_at(json_array_get(json_at(vector_of(curve), "multiples"), index), member);
}

static void load_scalar(int curve, size_t index, struct secret *scalar)
{
	secret_of_b64(text_of(curve, index, "k"), scalar);
}

/* Without the code under test. */
static void load_point(int curve, size_t index, struct jose_point *point)
{
	memset(point, 0, sizeof(*point));
	point->curve = (enum jose_curve_id)curve;
	assert_int_equal(jose_b64_decode(text_of(curve, index, "x"),
					 strlen(text_of(curve, index, "x")), point->x),
			 0);
	assert_int_equal(jose_b64_decode(text_of(curve, index, "y"),
					 strlen(text_of(curve, index, "y")), point->y),
			 0);
}

static void assert_point(const struct jose_point *point, int curve, size_t index)
{
	struct jose_point expected;

	load_point(curve, index, &expected);
	assert_memory_equal(point, &expected, sizeof(expected));
}

static void test_curves_have_their_names_and_sizes(void **state)
{
	static const struct {
		const char *name;
		size_t size;
	} rows[JOSE_CURVES] = {{"P-256", 32}, {"P-384", 48}, {"P-521", 66}};
	static const char *const unknown[] = {"",	"P-192",     "p-256",
					      "P-256 ", "secp256k1", "Ed25519"};

	(void)state;
	for (int id = 0; id < JOSE_CURVES; id++) {
		assert_string_equal(jose_curve(id)->name, rows[id].name);
		assert_int_equal(jose_curve(id)->coordinate_size, rows[id].size);
		assert_int_equal(jose_curve(id)->id, id);
		assert_ptr_equal(jose_curve_named(rows[id].name), jose_curve(id));
	}
	assert_null(jose_curve(-1));
	assert_null(jose_curve(JOSE_CURVES));
	assert_null(jose_curve_named(NULL));
	for (size_t i = 0; i < COUNT(unknown); i++)
		assert_null(jose_curve_named(unknown[i]));
}

static void test_multiplies_the_generator_as_the_vectors_say(void **state)
{
	(void)state;
	for (int curve = 0; curve < JOSE_CURVES; curve++) {
		struct jose_point generator;

		load_point(curve, K1, &generator);
		for (size_t i = 0; i < MULTIPLES; i++) {
			SECRET_AUTO struct secret scalar = {0};
			struct jose_point result;

			load_scalar(curve, i, &scalar);
			assert_int_equal(jose_point_multiply(&scalar, &generator, &result, NULL),
					 0);
			assert_point(&result, curve, i);
		}
	}
}

static void test_adds_and_subtracts_as_the_vectors_say(void **state)
{
	(void)state;
	for (int curve = 0; curve < JOSE_CURVES; curve++) {
		struct jose_point g;
		struct jose_point g2;
		struct jose_point g3;
		struct jose_point result;

		load_point(curve, K1, &g);
		load_point(curve, K2, &g2);
		load_point(curve, K3, &g3);
		assert_int_equal(jose_point_add(&g, &g, &result, NULL), 0);
		assert_point(&result, curve, K2);
		assert_int_equal(jose_point_add(&g2, &g, &result, NULL), 0);
		assert_point(&result, curve, K3);
		assert_int_equal(jose_point_add(&g2, &g3, &result, NULL), 0);
		assert_point(&result, curve, K5);
		assert_int_equal(jose_point_subtract(&g3, &g, &result, NULL), 0);
		assert_point(&result, curve, K2);
		/* 2G − 3G = −G = (order − 1)G */
		assert_int_equal(jose_point_subtract(&g2, &g3, &result, NULL), 0);
		assert_point(&result, curve, K_ORDER_LESS_1);
	}
}

static void test_result_may_be_an_operand(void **state)
{
	SECRET_AUTO struct secret two = {0};
	struct jose_point point;
	struct jose_point other;

	(void)state;
	load_scalar(JOSE_P521, K2, &two);
	load_point(JOSE_P521, K1, &point);
	assert_int_equal(jose_point_multiply(&two, &point, &point, NULL), 0);
	assert_point(&point, JOSE_P521, K2);
	load_point(JOSE_P521, K1, &other);
	assert_int_equal(jose_point_add(&point, &other, &other, NULL), 0);
	assert_point(&other, JOSE_P521, K3);
	assert_int_equal(jose_point_subtract(&other, &point, &other, NULL), 0);
	assert_point(&other, JOSE_P521, K1);
}

static void test_shared_secret_of_rfc_7518_appendix_c(void **state)
{
	JSON_AUTO json_t *vector = vector_read("rfc7518-c.json");
	static const char *const pairs[2][2] = {{"alice", "bob"}, {"bob", "alice"}};

	(void)state;
	for (size_t i = 0; i < COUNT(pairs); i++) {
		SECRET_AUTO struct secret scalar = {0};
		SECRET_AUTO struct secret z = {0};
		SECRET_AUTO struct secret expected = {0};
		struct jose_point point;

		secret_of_b64(text_at(vector, "z"), &expected);
		assert_int_equal(jose_scalar_from_jwk(json_at(vector, pairs[i][0]),
						      jose_curve(JOSE_P256), &scalar, NULL),
				 0);
		assert_int_equal(jose_point_from_jwk(json_at(vector, pairs[i][1]), &point, NULL),
				 0);
		assert_int_equal(jose_point_multiply(&scalar, &point, &point, NULL), 0);
		assert_int_equal(jose_point_x(&point, &z, NULL), 0);
		assert_true(secret_equal(&z, &expected));
	}
}

static void test_refuses_the_identity_as_a_result(void **state)
{
	(void)state;
	for (int curve = 0; curve < JOSE_CURVES; curve++) {
		SECRET_AUTO struct secret order = {0};
		struct jose_point g;
		struct jose_point minus_g;
		struct jose_point result = {0};
		struct error err = {0};

		load_point(curve, K1, &g);
		load_point(curve, K_ORDER_LESS_1, &minus_g);
		secret_of_b64(text_at(vector_of(curve), "order"), &order);
		assert_int_equal(jose_point_subtract(&g, &g, &result, &err), -EINVAL);
		assert_non_null(strstr(err.text, "infinity"));
		assert_int_equal(jose_point_add(&g, &minus_g, &result, NULL), -EINVAL);
		assert_int_equal(jose_point_multiply(&order, &g, &result, NULL), -EINVAL);
		memset(order.data, 0, order.size);
		assert_int_equal(jose_point_multiply(&order, &g, &result, NULL), -EINVAL);
	}
}

static void test_rejects_point_off_curve(void **state)
{
	SECRET_AUTO struct secret two = {0};

	(void)state;
	load_scalar(JOSE_P256, K2, &two);
	for (int curve = 0; curve < JOSE_CURVES; curve++) {
		size_t last = jose_curve(curve)->coordinate_size - 1;
		struct jose_point good;
		struct jose_point bad;
		struct jose_point zero = {.curve = (enum jose_curve_id)curve};
		struct jose_point result;

		load_point(curve, K2, &good);
		bad = good;
		bad.y[last] ^= 1;
		assert_int_equal(jose_point_check(&good, NULL), 0);
		assert_int_equal(jose_point_check(&bad, NULL), -EINVAL);
		assert_int_equal(jose_point_check(&zero, NULL), -EINVAL);
		assert_int_equal(jose_point_multiply(&two, &bad, &result, NULL), -EINVAL);
		assert_int_equal(jose_point_add(&bad, &good, &result, NULL), -EINVAL);
		assert_int_equal(jose_point_add(&good, &bad, &result, NULL), -EINVAL);
		assert_int_equal(jose_point_subtract(&bad, &good, &result, NULL), -EINVAL);
		assert_int_equal(jose_point_subtract(&good, &bad, &result, NULL), -EINVAL);
	}
}

static void test_rejects_coordinate_out_of_range(void **state)
{
	(void)state;
	for (int curve = 0; curve < JOSE_CURVES; curve++) {
		size_t size = jose_curve(curve)->coordinate_size;
		SECRET_AUTO struct secret prime = {0};
		struct jose_point point;

		secret_of_b64(text_at(vector_of(curve), "prime"), &prime);
		load_point(curve, K1, &point);
		memcpy(point.x, prime.data, size);
		assert_int_equal(jose_point_check(&point, NULL), -EINVAL);
		load_point(curve, K1, &point);
		memset(point.y, 0xff, size);
		assert_int_equal(jose_point_check(&point, NULL), -EINVAL);
	}
}

/* x + p is congruent to x, but no valid coordinate: two writings of one point would be two thumbprints of one key. */
static void test_rejects_x_plus_the_prime(void **state)
{
	(void)state;
	for (int curve = 0; curve < JOSE_CURVES; curve++) {
		const json_t *small = json_at(vector_of(curve), "small_x");
		JSON_AUTO json_t *jwk = json_pack("{s:s, s:s, s:O, s:O}", "kty", "EC", "crv",
						  jose_curve(curve)->name, "x", json_at(small, "x"),
						  "y", json_at(small, "y"));
		struct jose_point point;

		assert_int_equal(jose_point_from_jwk(jwk, &point, NULL), 0);
		assert_int_equal(json_object_set(jwk, "x", json_at(small, "x_plus_prime")), 0);
		unit_check(jose_point_from_jwk(jwk, &point, NULL) == -EINVAL,
			   jose_curve(curve)->name);
	}
}

static void test_rejects_points_on_different_curves(void **state)
{
	struct jose_point a;
	struct jose_point b;
	struct jose_point result;
	struct error err = {0};

	(void)state;
	load_point(JOSE_P256, K1, &a);
	load_point(JOSE_P384, K1, &b);
	assert_int_equal(jose_point_add(&a, &b, &result, &err), -EINVAL);
	assert_non_null(strstr(err.text, "different curves"));
	assert_int_equal(jose_point_subtract(&b, &a, &result, &err), -EINVAL);
	assert_non_null(strstr(err.text, "different curves"));
}

static void test_rejects_a_curve_number_that_is_none(void **state)
{
	static const int numbers[] = {JOSE_CURVES, 77, -1, INT32_MIN};
	SECRET_AUTO struct secret two = {0};

	(void)state;
	load_scalar(JOSE_P256, K2, &two);
	for (size_t i = 0; i < COUNT(numbers); i++) {
		struct jose_point point;
		struct jose_point result;

		load_point(JOSE_P256, K1, &point);
		memcpy(&point.curve, &numbers[i], sizeof(point.curve));
		assert_int_equal(jose_point_check(&point, NULL), -EINVAL);
		assert_int_equal(jose_point_multiply(&two, &point, &result, NULL), -EINVAL);
		assert_int_equal(jose_point_add(&point, &point, &result, NULL), -EINVAL);
	}
}

static void test_jwk_of_a_point_reads_back(void **state)
{
	(void)state;
	for (int curve = 0; curve < JOSE_CURVES; curve++) {
		struct jose_point point;
		struct jose_point back = {0};

		for (size_t i = 0; i < MULTIPLES; i++) {
			JSON_AUTO json_t *jwk = NULL;

			load_point(curve, i, &point);
			jwk = jose_point_to_jwk(&point);
			assert_string_equal(text_at(jwk, "kty"), "EC");
			assert_string_equal(text_at(jwk, "crv"), jose_curve(curve)->name);
			assert_string_equal(text_at(jwk, "x"), text_of(curve, i, "x"));
			assert_string_equal(text_at(jwk, "y"), text_of(curve, i, "y"));
			assert_int_equal(json_object_size(jwk), 4);
			assert_int_equal(jose_point_from_jwk(jwk, &back, NULL), 0);
			assert_memory_equal(&back, &point, sizeof(point));
		}
	}
}

static void test_rejects_jwk_that_is_no_point(void **state)
{
#define X "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU"
#define Y "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"
	static const char *const rows[] = {
		"{}",
		"[]",
		"null",
		"{'kty':'EC','crv':'P-256','x':'" X "'}",
		"{'kty':'EC','crv':'P-256','y':'" Y "'}",
		"{'kty':'EC','x':'" X "','y':'" Y "'}",
		"{'crv':'P-256','x':'" X "','y':'" Y "'}",
		"{'kty':'RSA','crv':'P-256','x':'" X "','y':'" Y "'}",
		"{'kty':1,'crv':'P-256','x':'" X "','y':'" Y "'}",
		"{'kty':'EC','crv':1,'x':'" X "','y':'" Y "'}",
		"{'kty':'EC','crv':'P-384','x':'" X "','y':'" Y "'}",
		"{'kty':'EC','crv':'secp256k1','x':'" X "','y':'" Y "'}",
		"{'kty':'EC','crv':'P-256','x':1,'y':'" Y "'}",
		"{'kty':'EC','crv':'P-256','x':'','y':''}",
		/* the coordinates changed over: not on the curve */
		"{'kty':'EC','crv':'P-256','x':'" Y "','y':'" X "'}",
		/* a byte too few, and a zero byte too many in front (RFC 7518 §6.2.1.2) */
		"{'kty':'EC','crv':'P-256','x':'zc4ncPbEXUGDy-5v20t7WAczNXvp7xO6z248e9FURQ','y':'" Y
		"'}",
		"{'kty':'EC','crv':'P-256','x':'AH_NzidwdsRdQYPL7m_bS3tYBzM1e-nvE7rPbjx70VRF','y':'" Y
		"'}",
		"{'kty':'EC','crv':'P-256','x':'" X "=','y':'" Y "'}",
	};
	JSON_AUTO json_t *good = json_of("{'kty':'EC','crv':'P-256','x':'" X "','y':'" Y "'}");
	struct jose_point point;
	struct jose_point untouched;

	(void)state;
	memset(&point, 0xee, sizeof(point));
	memset(&untouched, 0xee, sizeof(untouched));
	for (size_t i = 0; i < COUNT(rows); i++) {
		JSON_AUTO json_t *jwk = json_of(rows[i]);
		struct error err = {0};

		unit_check(jose_point_from_jwk(jwk, &point, &err) == -EINVAL, rows[i]);
		unit_check(err.code == -EINVAL && *err.text, rows[i]);
		assert_memory_equal(&point, &untouched, sizeof(point));
	}
	assert_int_equal(jose_point_from_jwk(good, &point, NULL), 0);
#undef X
#undef Y
}

/* Puts `bytes` as `d` into a JWK and reads it. */
static int read_scalar(int curve, const struct secret *bytes)
{
	JSON_AUTO json_t *jwk = json_object();
	SECRET_AUTO struct secret scalar = {0};
	int rc;

	assert_int_equal(json_object_set_new(jwk, "d", jose_b64_json(bytes->data, bytes->size)), 0);
	rc = jose_scalar_from_jwk(jwk, jose_curve(curve), &scalar, NULL);
	assert_int_equal(scalar.data != NULL, rc == 0);
	if (rc == 0)
		assert_true(secret_equal(&scalar, bytes));
	return rc;
}

static void test_rejects_scalar_out_of_range(void **state)
{
	(void)state;
	for (int curve = 0; curve < JOSE_CURVES; curve++) {
		SECRET_AUTO struct secret d = {0};

		secret_of_b64(text_at(vector_of(curve), "order"), &d);
		assert_int_equal(read_scalar(curve, &d), -EINVAL); /* d = order */
		d.data[d.size - 1]--;
		assert_int_equal(read_scalar(curve, &d), 0); /* d = order − 1 */
		d.data[d.size - 1] += 2;
		assert_int_equal(read_scalar(curve, &d), -EINVAL);
		memset(d.data, 0xff, d.size);
		assert_int_equal(read_scalar(curve, &d), -EINVAL);
		memset(d.data, 0, d.size);
		assert_int_equal(read_scalar(curve, &d), -EINVAL); /* d = 0 */
		d.data[d.size - 1] = 1;
		assert_int_equal(read_scalar(curve, &d), 0);
	}
}

static void test_rejects_scalar_of_the_wrong_size(void **state)
{
	(void)state;
	for (int curve = 0; curve < JOSE_CURVES; curve++) {
		for (int off = -1; off <= 1; off++) {
			SECRET_AUTO struct secret d = {0};
			size_t size = jose_curve(curve)->coordinate_size + (size_t)off;

			assert_int_equal(secret_new(&d, size, NULL), 0);
			d.data[size - 1] = 7;
			assert_int_equal(read_scalar(curve, &d), off == 0 ? 0 : -EINVAL);
		}
	}
}

static void test_generates_pairs_that_fit_and_differ(void **state)
{
	(void)state;
	for (int curve = 0; curve < JOSE_CURVES; curve++) {
		SECRET_AUTO struct secret first = {0};
		SECRET_AUTO struct secret second = {0};
		struct jose_point generator;
		struct jose_point made;
		struct jose_point computed;

		load_point(curve, K1, &generator);
		assert_int_equal(jose_point_generate(jose_curve(curve), &first, &made, NULL), 0);
		assert_int_equal(first.size, jose_curve(curve)->coordinate_size);
		assert_int_equal(jose_point_multiply(&first, &generator, &computed, NULL), 0);
		assert_memory_equal(&made, &computed, sizeof(made));
		assert_int_equal(jose_point_generate(jose_curve(curve), &second, &made, NULL), 0);
		assert_false(secret_equal(&first, &second));
	}
}

static void test_secret_point_stands_in_a_secret(void **state)
{
	SECRET_AUTO struct secret place = {0};
	SECRET_AUTO struct secret x = {0};
	SECRET_AUTO struct secret expected = {0};
	struct jose_point *point = NULL;

	(void)state;
	assert_int_equal(jose_point_secret(&place, &point, NULL), 0);
	assert_ptr_equal(point, place.data);
	assert_true(place.size >= sizeof(*point));
	load_point(JOSE_P384, K2, point);
	assert_int_equal(jose_point_x(point, &x, NULL), 0);
	secret_of_b64(text_of(JOSE_P384, K2, "x"), &expected);
	assert_true(secret_equal(&x, &expected));
}

int main(int argc, char *argv[])
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_curves_have_their_names_and_sizes),
		cmocka_unit_test(test_multiplies_the_generator_as_the_vectors_say),
		cmocka_unit_test(test_adds_and_subtracts_as_the_vectors_say),
		cmocka_unit_test(test_result_may_be_an_operand),
		cmocka_unit_test(test_shared_secret_of_rfc_7518_appendix_c),
		cmocka_unit_test(test_refuses_the_identity_as_a_result),
		cmocka_unit_test(test_rejects_point_off_curve),
		cmocka_unit_test(test_rejects_coordinate_out_of_range),
		cmocka_unit_test(test_rejects_x_plus_the_prime),
		cmocka_unit_test(test_rejects_points_on_different_curves),
		cmocka_unit_test(test_rejects_a_curve_number_that_is_none),
		cmocka_unit_test(test_jwk_of_a_point_reads_back),
		cmocka_unit_test(test_rejects_jwk_that_is_no_point),
		cmocka_unit_test(test_rejects_scalar_out_of_range),
		cmocka_unit_test(test_rejects_scalar_of_the_wrong_size),
		cmocka_unit_test(test_generates_pairs_that_fit_and_differ),
		cmocka_unit_test(test_secret_point_stands_in_a_secret),
	};

	unit_begin(argc, argv);
	return cmocka_run_group_tests_name("jose/ec", tests, load_vectors, drop_vectors);
}
