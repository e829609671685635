/* SPDX-License-Identifier: Apache-2.0 */
#include "luks/luks1.h"

#include "base/file.h"
#include "base/json.h"
#include "jose/jose.h"

#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

/* Where the header of LUKS1 has its keyslots, and what stands in each of them (On-Disk Format 1.2.3, figures 1 and 3). */
enum { KEYSLOTS_AT = 208, KEYSLOT_SIZE = 48, ITERATIONS_AT = 4, SALT_AT = 8 };

int luks1_read_sign(const struct luks_device *device, int keyslot, struct keyslot_sign *sign,
		    struct error *err)
{
	FD_AUTO int fd = open(device->path, O_RDONLY | O_CLOEXEC);
	off_t at = KEYSLOTS_AT + (off_t)keyslot * KEYSLOT_SIZE;
	unsigned char read[SALT_AT + SALT_SIZE];
	uint32_t iterations;

	if (fd < 0 || pread(fd, read, sizeof(read), at) != (ssize_t)sizeof(read))
		return error_set(err, -EIO, "luks: %s: cannot read the header", device->path);
	memcpy(&iterations, read + ITERATIONS_AT, sizeof(iterations));
	sign->iterations = be32toh(iterations);
	memcpy(sign->salt, read + SALT_AT, SALT_SIZE);
	return 0;
}

void pending_free(struct pending *pending)
{
	json_drop(&pending->jwe);
}

char *pending_format(const struct pending *pending)
{
	JSON_AUTO json_t *json = NULL;
	FREE_AUTO char *compact = NULL;

	if (jose_jwe_format_compact(pending->jwe, &compact, NULL) < 0)
		return NULL;
	json = json_pack("{s:i, s:o, s:i, s:s}", "replaces", pending->replaces, "salt",
			 jose_b64_json(pending->salt, SALT_SIZE), "iterations",
			 (int)pending->iterations, "jwe", compact);
	return json ? json_dump_public(json) : NULL;
}

static json_int_t number_at(const json_t *object, const char *name)
{
	const json_t *number = json_object_get(object, name);

	return json_is_integer(number) ? json_integer_value(number) : -1;
}

int pending_parse(const struct luks_device *device, const char *text, struct pending *pending,
		  struct error *err)
{
	JSON_AUTO json_t *json = NULL;
	const char *salt;
	const char *compact;
	json_int_t replaces;
	json_int_t iterations;
	int rc = json_parse(text, strlen(text), "binding", &json, err);

	if (rc < 0)
		return rc;
	replaces = number_at(json, "replaces");
	iterations = number_at(json, "iterations");
	salt = json_string_value(json_object_get(json, "salt"));
	compact = json_string_value(json_object_get(json, "jwe"));
	if (replaces < 0 || replaces >= device_keyslots(device) || iterations < 0 ||
	    iterations > INT_MAX || !compact || !salt ||
	    strlen(salt) != JOSE_B64_LENGTH(SALT_SIZE) ||
	    jose_b64_decode(salt, strlen(salt), pending->salt) < 0)
		return error_set(err, -EBADMSG, "a mark of a rebinding is damaged");
	pending->replaces = (int)replaces;
	pending->iterations = (unsigned)iterations;
	return jose_jwe_parse_compact(compact, strlen(compact), &pending->jwe, err);
}
