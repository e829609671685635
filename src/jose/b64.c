/* SPDX-License-Identifier: Apache-2.0 */
#include "jose/b64.h"

#include <errno.h>
#include <string.h>

enum { INVALID = 0x100 };

/* All ones when low <= value <= high, else 0; for values below 2^16. */
static unsigned in_range(unsigned value, unsigned low, unsigned high)
{
	return 0U - (((~(value - low) & ~(high - value)) >> 31) & 1U);
}

static char to_character(unsigned value)
{
	unsigned c = 0;

	c |= in_range(value, 0, 25) & (value + 'A');
	c |= in_range(value, 26, 51) & (value - 26 + 'a');
	c |= in_range(value, 52, 61) & (value - 52 + '0');
	c |= in_range(value, 62, 62) & '-';
	c |= in_range(value, 63, 63) & '_';
	return (char)c;
}

static unsigned to_value(unsigned c)
{
	unsigned known = in_range(c, 'A', 'Z') | in_range(c, 'a', 'z') | in_range(c, '0', '9') |
			 in_range(c, '-', '-') | in_range(c, '_', '_');
	unsigned value = 0;

	value |= in_range(c, 'A', 'Z') & (c - 'A');
	value |= in_range(c, 'a', 'z') & (c - 'a' + 26);
	value |= in_range(c, '0', '9') & (c - '0' + 52);
	value |= in_range(c, '-', '-') & 62;
	value |= in_range(c, '_', '_') & 63;
	return value | (~known & INVALID);
}

void jose_b64_encode(const void *data, size_t size, char *text)
{
	const unsigned char *bytes = data;
	unsigned bits = 0;
	unsigned count = 0;

	for (size_t i = 0; i < size; i++) {
		bits = (bits << 8 | bytes[i]) & 0xfff;
		for (count += 8; count >= 6; count -= 6)
			*text++ = to_character(bits >> (count - 6) & 63);
	}
	if (count > 0)
		*text = to_character(bits << (6 - count) & 63);
}

int jose_b64_decode(const char *text, size_t length, void *data)
{
	unsigned char *bytes = data;
	unsigned wrong = 0;
	unsigned bits = 0;
	unsigned count = 0;

	for (size_t i = 0; i < length; i++) {
		unsigned value = to_value((unsigned char)text[i]);

		wrong |= value & INVALID;
		bits = (bits << 6 | (value & 63)) & 0xfff;
		count += 6;
		if (count >= 8) {
			count -= 8;
			*bytes++ = (unsigned char)(bits >> count);
		}
	}
	if (wrong || count == 6 || (bits & ((1U << count) - 1)) != 0) {
		secret_wipe(data, JOSE_B64_SIZE(length));
		return -EINVAL;
	}
	return 0;
}

json_t *jose_b64_json(const void *data, size_t size)
{
	SECRET_AUTO struct secret text = {0};

	if (secret_new(&text, JOSE_B64_LENGTH(size), NULL) < 0)
		return NULL;
	jose_b64_encode(data, size, (char *)text.data);
	return json_stringn((const char *)text.data, text.size);
}

int jose_b64_member(const json_t *object, const char *name, struct secret *data, struct error *err)
{
	const json_t *member = json_object_get(object, name);
	size_t length = json_string_length(member);
	SECRET_AUTO struct secret bytes = {0};
	int rc;

	if (!json_is_string(member))
		return error_set(err, -EINVAL, "'%s' is missing or not a string", name);
	rc = secret_new(&bytes, JOSE_B64_SIZE(length), err);
	if (rc < 0)
		return rc;
	if (jose_b64_decode(json_string_value(member), length, bytes.data) < 0)
		return error_set(err, -EINVAL, "'%s' is not base64url", name);
	secret_move(data, &bytes);
	return 0;
}
