/* SPDX-License-Identifier: Apache-2.0 */
#include "luks/luks1.h"

#include "base/file.h"
#include "base/json.h"
#include "jose/jose.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

/* Where the header of LUKS1 has its keyslots, and in each of them the salt (On-Disk Format 1.2.3, figures 1 and 3). */
enum { KEYSLOTS_AT = 208, KEYSLOT_SIZE = 48, KEYSLOT_SALT_AT = 8 };

int luks1_salt(const struct luks_device *device, int keyslot, unsigned char salt[static SALT_SIZE],
	       struct error *err)
{
	FD_AUTO int fd = open(device->path, O_RDONLY | O_CLOEXEC);
	off_t at = KEYSLOTS_AT + (off_t)keyslot * KEYSLOT_SIZE + KEYSLOT_SALT_AT;

	if (fd < 0 || pread(fd, salt, SALT_SIZE, at) != SALT_SIZE)
		return error_set(err, -EIO, "luks: %s: cannot read the header", device->path);
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
	json = json_pack("{s:i, s:o, s:s}", "replaces", pending->replaces, "salt",
			 jose_b64_json(pending->salt, SALT_SIZE), "jwe", compact);
	return json ? json_dump_public(json) : NULL;
}

int pending_parse(const struct luks_device *device, const char *text, struct pending *pending,
		  struct error *err)
{
	JSON_AUTO json_t *json = NULL;
	const char *salt;
	const char *compact;
	const json_t *replaces;
	int rc = json_parse(text, strlen(text), "binding", &json, err);

	if (rc < 0)
		return rc;
	replaces = json_object_get(json, "replaces");
	salt = json_string_value(json_object_get(json, "salt"));
	compact = json_string_value(json_object_get(json, "jwe"));
	if (!json_is_integer(replaces) || json_integer_value(replaces) < 0 ||
	    json_integer_value(replaces) >= device_keyslots(device) || !compact || !salt ||
	    strlen(salt) != JOSE_B64_LENGTH(SALT_SIZE) ||
	    jose_b64_decode(salt, strlen(salt), pending->salt) < 0)
		return error_set(err, -EBADMSG, "a mark of a rebinding is damaged");
	pending->replaces = (int)json_integer_value(replaces);
	return jose_jwe_parse_compact(compact, strlen(compact), &pending->jwe, err);
}
