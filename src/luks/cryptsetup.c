/* SPDX-License-Identifier: Apache-2.0 */
#include "luks/cryptsetup.h"

#include <dlfcn.h>
#include <errno.h>

/* The interface that we are compiled for; it has not changed since libcryptsetup 2.0. */
static const char library[] = "libcryptsetup.so.12";

/* NOLINTBEGIN(bugprone-macro-parentheses,readability-inconsistent-declaration-parameter-name): the names are the library's */
/* Defines the function `name`, and where the library's own stands once it is loaded. */
#define PASS_ON(type, name, parameters, arguments)        \
	static __typeof__(type)(*real_##name) parameters; \
	type name parameters                              \
	{                                                 \
		return real_##name arguments;             \
	}

PASS_ON(int, crypt_init, (struct crypt_device * *cd, const char *device), (cd, device))
PASS_ON(int, crypt_load, (struct crypt_device * cd, const char *type, void *parameters),
	(cd, type, parameters))
PASS_ON(void, crypt_free, (struct crypt_device * cd), (cd))
PASS_ON(void, crypt_set_log_callback,
	(struct crypt_device * cd, void (*log)(int level, const char *message, void *arg),
	 void *arg),
	(cd, log, arg))
PASS_ON(const char *, crypt_get_type, (struct crypt_device * cd), (cd))
PASS_ON(const char *, crypt_get_uuid, (struct crypt_device * cd), (cd))
PASS_ON(int, crypt_get_volume_key_size, (struct crypt_device * cd), (cd))
PASS_ON(uint64_t, crypt_get_data_offset, (struct crypt_device * cd), (cd))
PASS_ON(int, crypt_keyslot_area,
	(struct crypt_device * cd, int keyslot, uint64_t *offset, uint64_t *length),
	(cd, keyslot, offset, length))
PASS_ON(int, crypt_dump_json, (struct crypt_device * cd, const char **json, uint32_t flags),
	(cd, json, flags))
PASS_ON(int, crypt_set_pbkdf_type, (struct crypt_device * cd, const struct crypt_pbkdf_type *pbkdf),
	(cd, pbkdf))
PASS_ON(int, crypt_volume_key_get,
	(struct crypt_device * cd, int keyslot, char *key, size_t *key_size, const char *passphrase,
	 size_t passphrase_size),
	(cd, keyslot, key, key_size, passphrase, passphrase_size))
PASS_ON(int, crypt_volume_key_verify, (struct crypt_device * cd, const char *key, size_t key_size),
	(cd, key, key_size))
PASS_ON(int, crypt_activate_by_passphrase,
	(struct crypt_device * cd, const char *name, int keyslot, const char *passphrase,
	 size_t passphrase_size, uint32_t flags),
	(cd, name, keyslot, passphrase, passphrase_size, flags))
PASS_ON(int, crypt_keyslot_add_by_volume_key,
	(struct crypt_device * cd, int keyslot, const char *key, size_t key_size,
	 const char *passphrase, size_t passphrase_size),
	(cd, keyslot, key, key_size, passphrase, passphrase_size))
PASS_ON(int, crypt_keyslot_destroy, (struct crypt_device * cd, int keyslot), (cd, keyslot))
PASS_ON(int, crypt_keyslot_get_pbkdf,
	(struct crypt_device * cd, int keyslot, struct crypt_pbkdf_type *pbkdf),
	(cd, keyslot, pbkdf))
PASS_ON(int, crypt_keyslot_max, (const char *type), (type))
PASS_ON(int, crypt_keyslot_set_priority,
	(struct crypt_device * cd, int keyslot, crypt_keyslot_priority priority),
	(cd, keyslot, priority))
PASS_ON(crypt_keyslot_info, crypt_keyslot_status, (struct crypt_device * cd, int keyslot),
	(cd, keyslot))
PASS_ON(int, crypt_token_is_assigned, (struct crypt_device * cd, int token, int keyslot),
	(cd, token, keyslot))
PASS_ON(int, crypt_token_json_get, (struct crypt_device * cd, int token, const char **json),
	(cd, token, json))
PASS_ON(int, crypt_token_json_set, (struct crypt_device * cd, int token, const char *json),
	(cd, token, json))
PASS_ON(int, crypt_token_max, (const char *type), (type))
PASS_ON(crypt_token_info, crypt_token_status,
	(struct crypt_device * cd, int token, const char **type), (cd, token, type))

PASS_ON(int, crypt_set_data_device, (struct crypt_device * cd, const char *device), (cd, device))
PASS_ON(int, crypt_persistent_flags_get,
	(struct crypt_device * cd, crypt_flags_type type, uint32_t *flags), (cd, type, flags))
PASS_ON(int, crypt_persistent_flags_set,
	(struct crypt_device * cd, crypt_flags_type type, uint32_t flags), (cd, type, flags))

/* NOLINTEND(bugprone-macro-parentheses,readability-inconsistent-declaration-parameter-name) */

/*
 * What a token's plugin does for us came with libcryptsetup 2.6. These functions have no name of the library's here,
 * since the headers that we are compiled with may not know them.
 */
static struct {
	int (*init_by_token)(struct crypt_device *cd, int token, const char *type, const char *pin,
			     size_t pin_size, void *user, void **context);
	int (*get_key)(struct crypt_device *cd, int keyslot, char *key, size_t *key_size,
		       void *context);
	void (*free)(void *context);
} by_token;

int cryptsetup_volume_key_by_token(struct crypt_device *cd, int token, char *key, size_t *key_size)
{
	void *context = NULL;
	int rc;

	if (!by_token.init_by_token || !by_token.get_key || !by_token.free)
		return -ENOSYS;
	rc = by_token.init_by_token(cd, token, NULL, NULL, 0, NULL, &context);
	if (rc < 0)
		return rc;
	rc = by_token.get_key(cd, CRYPT_ANY_SLOT, key, key_size, context);
	by_token.free(context);
	return rc;
}

#define ENTRY(name)                          \
	{                                    \
		(void **)&real_##name, #name \
	}

static const struct {
	void **real;
	const char *name;
} functions[] = {
	ENTRY(crypt_init),
	ENTRY(crypt_load),
	ENTRY(crypt_free),
	ENTRY(crypt_set_log_callback),
	ENTRY(crypt_get_type),
	ENTRY(crypt_get_uuid),
	ENTRY(crypt_get_volume_key_size),
	ENTRY(crypt_get_data_offset),
	ENTRY(crypt_keyslot_area),
	ENTRY(crypt_dump_json),
	ENTRY(crypt_set_pbkdf_type),
	ENTRY(crypt_volume_key_get),
	ENTRY(crypt_volume_key_verify),
	ENTRY(crypt_activate_by_passphrase),
	ENTRY(crypt_keyslot_add_by_volume_key),
	ENTRY(crypt_keyslot_destroy),
	ENTRY(crypt_keyslot_get_pbkdf),
	ENTRY(crypt_keyslot_max),
	ENTRY(crypt_keyslot_set_priority),
	ENTRY(crypt_keyslot_status),
	ENTRY(crypt_token_is_assigned),
	ENTRY(crypt_token_json_get),
	ENTRY(crypt_token_json_set),
	ENTRY(crypt_token_max),
	ENTRY(crypt_token_status),
	ENTRY(crypt_set_data_device),
	ENTRY(crypt_persistent_flags_get),
	ENTRY(crypt_persistent_flags_set),
};

static const struct {
	void **real;
	const char *name;
} newer_functions[] = {
	{(void **)&by_token.init_by_token, "crypt_keyslot_context_init_by_token"},
	{(void **)&by_token.get_key, "crypt_volume_key_get_by_keyslot_context"},
	{(void **)&by_token.free, "crypt_keyslot_context_free"},
};

static void find_newer(void *handle)
{
	for (size_t i = 0; i < sizeof(newer_functions) / sizeof(*newer_functions); i++)
		*newer_functions[i].real = dlsym(handle, newer_functions[i].name);
}

int cryptsetup_load(struct error *err)
{
	static void *handle;

	if (handle)
		return 0;
	handle = dlopen(library, RTLD_NOW | RTLD_LOCAL);
	if (!handle)
		return error_set(err, -ENOPKG, "luks: libcryptsetup is not installed: %s",
				 dlerror());
	for (size_t i = 0; i < sizeof(functions) / sizeof(*functions); i++) {
		*functions[i].real = dlsym(handle, functions[i].name);
		if (!*functions[i].real) {
			handle = NULL;
			return error_set(err, -ENOPKG, "luks: libcryptsetup is too old: %s",
					 dlerror());
		}
	}
	find_newer(handle);
	return 0;
}
