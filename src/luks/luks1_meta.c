/* SPDX-License-Identifier: Apache-2.0 */
/* luksmeta's slots, by libluksmeta, which is loaded when the first LUKS1 device asks for it. */
#include "luks/luks1.h"

#include "base/file.h"

#include <luksmeta.h>

#include <dlfcn.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

static const char library[] = "libluksmeta.so.0";

/* The largest there can be is smaller than the gap between keyslots and data, which is of that order. */
enum { METADATA_MAX = 4 * 1024 * 1024 };

/* Who wrote a slot: Clevis (cb6e8904-81ff-40da-a84a-07ab9ab5715e), or a rebinding of ours that is under way. */
static const luksmeta_uuid_t clevis_uuid = {0xcb, 0x6e, 0x89, 0x04, 0x81, 0xff, 0x40, 0xda,
					    0xa8, 0x4a, 0x07, 0xab, 0x9a, 0xb5, 0x71, 0x5e};
static const luksmeta_uuid_t pending_uuid = {0xf1, 0x9d, 0x6d, 0x99, 0x1f, 0x90, 0x42, 0x6f,
					     0x9e, 0xdc, 0xd8, 0xed, 0x57, 0x60, 0x9c, 0x2c};

static struct {
	__typeof__(luksmeta_test) *test;
	__typeof__(luksmeta_init) *init;
	__typeof__(luksmeta_load) *load;
	__typeof__(luksmeta_save) *save;
	__typeof__(luksmeta_wipe) *wipe;
} meta;

static int load_library(struct error *err)
{
	static const char *const names[] = {"luksmeta_test", "luksmeta_init", "luksmeta_load",
					    "luksmeta_save", "luksmeta_wipe"};
	void **const places[] = {(void **)&meta.test, (void **)&meta.init, (void **)&meta.load,
				 (void **)&meta.save, (void **)&meta.wipe};
	static void *handle;

	if (handle)
		return 0;
	handle = dlopen(library, RTLD_NOW | RTLD_LOCAL);
	for (size_t i = 0; handle && i < sizeof(names) / sizeof(*names); i++) {
		*places[i] = dlsym(handle, names[i]);
		if (!*places[i])
			handle = NULL;
	}
	return handle ? 0
		      : error_set(err, -ENOPKG,
				  "luks: libluksmeta, which LUKS1 devices need, is not installed: "
				  "%s",
				  dlerror());
}

static int meta_error(const struct luks_device *device, int code, const char *what,
		      struct error *err)
{
	const char *why = code == -EINVAL   ? "the area of luksmeta is damaged"
			  : code == -ENOENT ? "there is no area of luksmeta"
			  : code == -ENOSPC ? "there is no room for it behind the keyslots; remove "
					      "a binding with 'clevis luks unbind'"
					    : strerror(-code);

	if (code == -EINVAL)
		code = -EBADMSG;
	return error_set(err, code, "luks: %s: %s: %s", device->path, what, why);
}

void metadata_free(struct metadata *metadata)
{
	free(metadata->text);
	metadata->text = NULL;
}

int metadata_exists(struct luks_device *device, struct error *err)
{
	int rc = load_library(err);

	if (rc < 0)
		return rc;
	rc = meta.test(device->crypt);
	if (rc == -ENOENT || rc == -ENOSPC)
		return 0;
	return rc < 0 ? meta_error(device, rc, "cannot read the bindings", err) : 1;
}

int metadata_init(struct luks_device *device, struct error *err)
{
	int rc = load_library(err);

	if (rc == 0)
		rc = meta.init(device->crypt);
	if (rc == 0 || rc == -EALREADY)
		return 0;
	return err && err->code < 0
		       ? err->code
		       : meta_error(device, rc, "cannot make the area of luksmeta", err);
}

static enum metadata_kind kind_of(const luksmeta_uuid_t uuid)
{
	if (memcmp(uuid, clevis_uuid, sizeof(clevis_uuid)) == 0)
		return METADATA_BOUND;
	return memcmp(uuid, pending_uuid, sizeof(pending_uuid)) == 0 ? METADATA_PENDING
								     : METADATA_FOREIGN;
}

int metadata_read(struct luks_device *device, int slot, struct metadata *metadata,
		  struct error *err)
{
	luksmeta_uuid_t uuid = {0};
	struct metadata found = {0};
	int rc = load_library(err);
	int size;

	if (rc < 0)
		return rc;
	size = meta.load(device->crypt, slot, uuid, NULL, 0);
	if (size == -ENODATA) {
		*metadata = found;
		return 0;
	}
	if (size < 0)
		return meta_error(device, size, "cannot read the bindings", err);
	found.kind = kind_of(uuid);
	if (found.kind != METADATA_FOREIGN) {
		found.damaged = size > METADATA_MAX;
		found.text = found.damaged ? NULL : calloc(1, (size_t)size + 1);
		if (!found.text && !found.damaged)
			return error_nomem(err);
	}
	if (found.text && meta.load(device->crypt, slot, uuid, found.text, (size_t)size) != size) {
		found.damaged = true;
		metadata_free(&found);
	}
	*metadata = found;
	return 0;
}

int metadata_write(struct luks_device *device, int slot, enum metadata_kind kind, const char *text,
		   struct error *err)
{
	const unsigned char *uuid = kind == METADATA_PENDING ? pending_uuid : clevis_uuid;
	int rc = load_library(err);

	if (rc < 0)
		return rc;
	rc = meta.save(device->crypt, slot, uuid, text, strlen(text));
	return rc < 0 ? meta_error(device, rc, "cannot write the binding", err) : 0;
}

int metadata_wipe(struct luks_device *device, int slot, struct error *err)
{
	METADATA_AUTO struct metadata found = {0};
	int rc = metadata_read(device, slot, &found, err);

	if (rc < 0 || found.kind == METADATA_NONE || found.kind == METADATA_FOREIGN)
		return rc;
	rc = meta.wipe(device->crypt, slot,
		       found.kind == METADATA_PENDING ? pending_uuid : clevis_uuid);
	return rc < 0 ? meta_error(device, rc, "cannot remove the binding", err) : 0;
}
