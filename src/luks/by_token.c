/* SPDX-License-Identifier: Apache-2.0 */
/* The volume key by a token that is there: ours, one that names a key of the kernel's keyrings, one of a plugin of libcryptsetup. */
#include "luks/luks2.h"

#include "base/json.h"

#include <errno.h>
#include <linux/keyctl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

/* The token as JSON. */
static int read_token(struct luks_device *device, int token, json_t **parsed, struct error *err)
{
	const char *text = NULL;

	if (crypt_token_json_get(device->crypt, token, &text) < 0)
		return device_error(device, -EBADMSG, "cannot read the token", err);
	return json_parse(text, strlen(text), "token", parsed, err);
}

static int by_ours(struct luks_device *device, int token, struct pin_context *context,
		   struct secret *key)
{
	LUKS_BINDING_AUTO struct luks_binding binding = LUKS_BINDING_NONE;
	SECRET_AUTO struct secret passphrase = {0};
	int rc = token_read(device, token, &binding, context->err);

	if (rc == 0 && binding.keyslot < 0)
		rc = error_set(context->err, -ENOENT, "luks: %s: token %d names no keyslot",
			       device->path, token);
	if (rc == 0)
		rc = luks_recover(&binding, context, &passphrase);
	return rc < 0 ? rc
		      : luks_volume_key(device, binding.keyslot, &passphrase, key, context->err);
}

/* A key of type `user` in a keyring that this process may search; the kernel asks nobody for one that is not there. */
static int read_kernel_key(const char *description, struct secret *value, struct error *err)
{
	long id = syscall(SYS_request_key, "user", description, NULL, 0);
	long size = id < 0 ? id : syscall(SYS_keyctl, KEYCTL_READ, id, NULL, 0);
	int rc;

	if (size < 0)
		return error_set(err, -errno, "the kernel's key '%s': %s", description,
				 strerror(errno));
	rc = secret_new(value, (size_t)size, err);
	if (rc == 0 && syscall(SYS_keyctl, KEYCTL_READ, id, value->data, value->size) != size) {
		secret_free(value);
		rc = error_set(err, -ENOKEY, "the kernel's key '%s' changed while it was read",
			       description);
	}
	return rc;
}

/* The token says which keyslots its key is for. */
static int try_keyslots(struct luks_device *device, const json_t *keyslots,
			const struct secret *passphrase, struct secret *key, struct error *err)
{
	const json_t *number;
	size_t i;
	int rc = error_set(err, -ENOENT, "it names no keyslot");

	json_array_foreach(keyslots, i, number) {
		const char *text = json_string_value(number);

		rc = text ? luks_volume_key(device, (int)strtol(text, NULL, 10), passphrase, key,
					    err)
			  : rc;
		if (rc >= 0)
			return rc;
	}
	return rc;
}

static int by_kernel_key(struct luks_device *device, int token, struct pin_context *context,
			 struct secret *key)
{
	SECRET_AUTO struct secret passphrase = {0};
	JSON_AUTO json_t *parsed = NULL;
	const char *description;
	int rc = read_token(device, token, &parsed, context->err);

	if (rc < 0)
		return rc;
	description = json_string_value(json_object_get(parsed, "key_description"));
	if (!description)
		return error_set(context->err, -EBADMSG, "it names no key");
	rc = read_kernel_key(description, &passphrase, context->err);
	return rc < 0 ? rc
		      : try_keyslots(device, json_object_get(parsed, "keyslots"), &passphrase, key,
				     context->err);
}

static int plugin_error(struct luks_device *device, int code, struct error *err)
{
	if (code == -ENOSYS)
		return error_set(err, code, "libcryptsetup 2.6 or newer is needed for this type");
	if (code == -ENOANO)
		return error_set(err, code, "it wants a PIN, which is not supported");
	if (code == -ENOENT && !*device->message)
		return error_set(err, code, "there is no plugin of libcryptsetup for this type");
	return device_error(device, code, "by a plugin of libcryptsetup", err);
}

static int by_plugin(struct luks_device *device, int token, struct pin_context *context,
		     struct secret *key)
{
	SECRET_AUTO struct secret found = {0};
	size_t size = (size_t)crypt_get_volume_key_size(device->crypt);
	int rc = secret_new(&found, size, context->err);

	if (rc < 0)
		return rc;
	rc = cryptsetup_volume_key_by_token(device->crypt, token, (char *)found.data, &size);
	if (rc < 0)
		return plugin_error(device, rc, context->err);
	secret_move(key, &found);
	return rc;
}

static const struct {
	const char *type; /* NULL: any other */
	int (*get)(struct luks_device *device, int token, struct pin_context *context,
		   struct secret *key);
} ways[] = {
	{"clevis", by_ours},
	{"luks2-keyring", by_kernel_key},
	{NULL, by_plugin},
};

int luks_volume_key_by_token(struct luks_device *device, int token, struct pin_context *context,
			     struct secret *key)
{
	const char *type = NULL;
	size_t way = 0;
	crypt_token_info info;
	int rc;

	if (luks_version(device) != 2)
		return error_set(context->err, -ENOTSUP, "luks: %s: only LUKS2 has tokens",
				 device->path);
	info = crypt_token_status(device->crypt, token, &type);
	if (info == CRYPT_TOKEN_INVALID || info == CRYPT_TOKEN_INACTIVE || !type)
		return error_set(context->err, -ENOENT, "luks: %s: there is no token %d",
				 device->path, token);
	while (ways[way].type && strcmp(ways[way].type, type) != 0)
		way++;
	rc = ways[way].get(device, token, context, key);
	if (rc < 0)
		error_prefix(context->err, "by token %d (%s): ", token, type);
	return rc;
}
