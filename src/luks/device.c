/* SPDX-License-Identifier: Apache-2.0 */
#include "luks/device.h"

#include "luks/format.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static void keep_message(int level, const char *message, void *arg)
{
	struct luks_device *device = arg;

	if (level != CRYPT_LOG_ERROR)
		return;
	(void)snprintf(device->message, sizeof(device->message), "%s", message);
	device->message[strcspn(device->message, "\n")] = '\0';
}

static void drop_message(int level, const char *message, void *arg)
{
	(void)level;
	(void)message;
	(void)arg;
}

int device_error(struct luks_device *device, int code, const char *what, struct error *err)
{
	const char *why = *device->message ? device->message : strerror(-code);

	(void)error_set(err, code, "luks: %s: %s: %s", device->path, what, why);
	*device->message = '\0';
	return code;
}

static int load(struct luks_device *device, struct error *err)
{
	struct stat st = {0};
	int rc = access(device->path, R_OK) == 0 && stat(device->path, &st) == 0 ? 0 : -errno;

	/* The library would open it, and with a FIFO wait for ever. */
	if (rc == 0 && !S_ISREG(st.st_mode) && !S_ISBLK(st.st_mode))
		rc = -ENOTBLK;

	/* The library has one code for all reasons. */
	if (rc == 0)
		rc = crypt_init(&device->crypt, device->path);
	if (rc < 0)
		return error_set(err, rc, "%s is not a supported LUKS device: cannot open it: %s",
				 device->path, strerror(-rc));
	crypt_set_log_callback(device->crypt, keep_message, device);
	rc = crypt_load(device->crypt, CRYPT_LUKS, NULL);
	if (rc < 0)
		return error_set(err, rc, "%s is not a supported LUKS device: %s", device->path,
				 *device->message ? device->message : "no LUKS header found");
	device->format = strcmp(crypt_get_type(device->crypt), CRYPT_LUKS1) == 0 ? &luks1_format
										 : &luks2_format;
	return 0;
}

int luks_open(const char *path, struct luks_device **device, struct error *err)
{
	struct luks_device *made;
	int rc = cryptsetup_load(err);

	if (rc < 0)
		return rc;
	made = calloc(1, sizeof(*made));
	/* Messages of crypt_init() come before there is a device to tie them to. */
	crypt_set_log_callback(NULL, drop_message, NULL);
	if (!made || !(made->path = strdup(path))) {
		luks_close(&made);
		return error_nomem(err);
	}
	rc = load(made, err);
	if (rc < 0)
		luks_close(&made);
	else
		*device = made;
	return rc;
}

int luks_version(const struct luks_device *device)
{
	return device->format == &luks1_format ? 1 : 2;
}

int luks_reload(struct luks_device *device, struct error *err)
{
	struct crypt_device *before = device->crypt;
	int rc;

	device->crypt = NULL;
	*device->message = '\0';
	rc = load(device, err);
	if (rc == 0) {
		crypt_free(before);
		return 0;
	}
	if (device->crypt)
		crypt_free(device->crypt);
	device->crypt = before;
	return rc;
}

void luks_close(struct luks_device **device)
{
	if (!*device)
		return;
	if ((*device)->crypt)
		crypt_free((*device)->crypt);
	free((*device)->path);
	free(*device);
	*device = NULL;
}

const char *luks_path(const struct luks_device *device)
{
	return device->path;
}

const char *luks_uuid(const struct luks_device *device)
{
	return crypt_get_uuid(device->crypt);
}

int device_check_key(struct luks_device *device, const struct secret *volume_key, struct error *err)
{
	int rc = crypt_volume_key_verify(device->crypt, (const char *)volume_key->data,
					 volume_key->size);

	return rc < 0 ? device_error(device, rc, "not the volume key", err) : 0;
}

int device_keyslots(const struct luks_device *device)
{
	return crypt_keyslot_max(device->format->type);
}

bool device_keyslot_in_use(struct luks_device *device, int keyslot)
{
	crypt_keyslot_info info = crypt_keyslot_status(device->crypt, keyslot);

	return info == CRYPT_SLOT_ACTIVE || info == CRYPT_SLOT_ACTIVE_LAST ||
	       info == CRYPT_SLOT_UNBOUND;
}

/* -ENOENT comes when the slots tried last do not match: to the person that is a wrong passphrase like any other. */
static int passphrase_error(struct luks_device *device, int code, const char *what,
			    struct error *err)
{
	if (code != -EPERM && code != -ENOENT)
		return device_error(device, code, what, err);
	*device->message = '\0';
	return error_set(err, -EPERM, "luks: %s: the passphrase opens no keyslot", device->path);
}

int luks_test_passphrase(struct luks_device *device, int keyslot, const struct secret *passphrase,
			 struct error *err)
{
	int rc = crypt_activate_by_passphrase(device->crypt, NULL, keyslot,
					      (const char *)passphrase->data, passphrase->size, 0);

	return rc < 0 ? passphrase_error(device, rc, "cannot test the passphrase", err) : rc;
}

int luks_volume_key(struct luks_device *device, int keyslot, const struct secret *passphrase,
		    struct secret *key, struct error *err)
{
	SECRET_AUTO struct secret found = {0};
	size_t size = (size_t)crypt_get_volume_key_size(device->crypt);
	int rc = secret_new(&found, size, err);

	if (rc < 0)
		return rc;
	rc = crypt_volume_key_get(device->crypt, keyslot, (char *)found.data, &size,
				  (const char *)passphrase->data, passphrase->size);
	if (rc < 0)
		return passphrase_error(device, rc, "cannot read the volume key", err);
	secret_move(key, &found);
	return rc;
}
