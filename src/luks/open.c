/* SPDX-License-Identifier: Apache-2.0 */
/* Opening by a binding: any of a device's bindings, side by side. */
#include "base/file.h"
#include "luks/device.h"
#include "luks/lock.h"

#include <errno.h>
#include <openssl/crypto.h>

/* What luks_mapping can ask for, and what the library calls it. */
static const struct {
	unsigned flag;
	uint32_t activation;
} activations[] = {
	{LUKS_MAP_DISCARDS, CRYPT_ACTIVATE_ALLOW_DISCARDS},
	{LUKS_MAP_READONLY, CRYPT_ACTIVATE_READONLY},
	{LUKS_MAP_SAME_CPU, CRYPT_ACTIVATE_SAME_CPU_CRYPT},
	{LUKS_MAP_SUBMIT_FROM_CPUS, CRYPT_ACTIVATE_SUBMIT_FROM_CRYPT_CPUS},
	{LUKS_MAP_NO_READ_WORKQUEUE, CRYPT_ACTIVATE_NO_READ_WORKQUEUE},
	{LUKS_MAP_NO_WRITE_WORKQUEUE, CRYPT_ACTIVATE_NO_WRITE_WORKQUEUE},
};

void luks_prepare(void)
{
	(void)cryptsetup_load(NULL);
	(void)OPENSSL_init_crypto(OPENSSL_INIT_LOAD_CONFIG, NULL);
}

int luks_recover(const struct luks_binding *binding, struct pin_context *context,
		 struct secret *passphrase)
{
	return pin_open(context, binding->jwe, passphrase);
}

/* A device that is being opened, and what is to be done with a passphrase that was recovered. */
struct opening {
	struct luks_device *device;
	struct pin_context *context;
	const struct luks_mapping *mapping; /* NULL: only test */
	struct secret *key;		    /* where the volume key goes */
	int (*use)(struct opening *opening, int keyslot, const struct secret *passphrase,
		   struct error *err);
	void (*report)(const struct error *why);
	struct luks_bindings all;
	struct error last; /* the last binding's failure, not yet reported */
	struct error stop; /* what is the matter with the device, so that no binding can help */
	int keyslot;	   /* of the one that opened */
};

static uint32_t activation_flags(const struct luks_mapping *mapping)
{
	uint32_t flags = 0;

	for (size_t i = 0; i < sizeof(activations) / sizeof(*activations); i++)
		if (mapping->flags & activations[i].flag)
			flags |= activations[i].activation;
	return flags;
}

static int explain_mapping(struct luks_device *device, int code, struct error *err)
{
	if (code == -ENOTSUP || code == -ENODEV)
		return error_set(
			err, code,
			"luks: %s: cannot map it: this kernel has no device-mapper (dm_mod, "
			"dm_crypt)",
			device->path);
	if (code == -EEXIST || code == -EBUSY)
		return device_error(device, code, "cannot map it: it is already unlocked", err);
	return device_error(device, code, "cannot map it", err);
}

/* Maps the device, or tests the keyslot when it is not to be mapped. */
static int use_to_map(struct opening *opening, int keyslot, const struct secret *passphrase,
		      struct error *err)
{
	struct luks_device *device = opening->device;
	int rc;

	if (!opening->mapping)
		return luks_test_passphrase(device, keyslot, passphrase, err);
	rc = crypt_activate_by_passphrase(device->crypt, opening->mapping->name, keyslot,
					  (const char *)passphrase->data, passphrase->size,
					  activation_flags(opening->mapping));
	if (rc == -EPERM || rc == -ENOENT) {
		*device->message = '\0';
		return error_set(err, -EPERM, "the passphrase opens no keyslot");
	}
	return rc < 0 ? explain_mapping(device, rc, err) : rc;
}

static int use_for_key(struct opening *opening, int keyslot, const struct secret *passphrase,
		       struct error *err)
{
	return luks_volume_key(opening->device, keyslot, passphrase, opening->key, err);
}

/* A passphrase that does not open its keyslot is this binding's fault, and another may do better; all else is the device's. */
static int take(void *arg, size_t which, const struct secret *passphrase, struct error *err)
{
	struct opening *opening = arg;
	int keyslot = opening->all.binding[which].keyslot;
	int rc = opening->use(opening, keyslot, passphrase, err);

	if (rc == -EPERM)
		return error_set(err, rc, "the recovered passphrase does not open the keyslot");
	if (rc < 0)
		opening->stop = *err;
	else
		opening->keyslot = keyslot;
	return 0;
}

/* The one before is reported: there is another to tell of as the error. */
static void note_failure(void *arg, size_t which, const struct error *why)
{
	struct opening *opening = arg;

	if (opening->last.code < 0 && opening->report)
		opening->report(&opening->last);
	opening->last = *why;
	error_prefix(&opening->last, "luks: %s: slot %d: ", opening->device->path,
		     opening->all.binding[which].keyslot);
}

/* Keeps only the binding of that keyslot, if there is one. */
static void keep_only(struct luks_bindings *bindings, int keyslot)
{
	size_t kept = 0;

	for (size_t i = 0; i < bindings->count; i++) {
		if (bindings->binding[i].keyslot == keyslot)
			bindings->binding[kept++] = bindings->binding[i];
		else
			luks_binding_free(&bindings->binding[i]);
	}
	bindings->count = kept;
}

/* Finds the bindings that may open the device: all, or that of the keyslot `only`. */
static int find_bindings(struct opening *opening, int only)
{
	struct error *err = opening->context->err;
	struct error why = {0};
	int rc = luks_list(opening->device, &opening->all, &why);

	if (rc < 0)
		return error_set(err, rc, "%s", why.text);
	if (only >= 0)
		keep_only(&opening->all, only);
	if (opening->all.count > 0)
		return 0;
	if (why.code < 0)
		return error_set(err, -ENOENT, "%s", why.text);
	return error_set(err, -ENOENT, "luks: %s: no Clevis binding%s", opening->device->path,
			 only >= 0 ? " in that slot" : "");
}

/* Tries the bindings until one is of use. Returns its keyslot. */
static int open_by_any(struct opening *opening)
{
	const struct pin_choice choice = {.take = take, .fail = note_failure, .arg = opening};
	const struct luks_bindings *all = &opening->all;
	const json_t *jwes[PIN_CHOICE_MAX];
	int rc;

	for (size_t i = 0; i < all->count && i < PIN_CHOICE_MAX; i++)
		jwes[i] = all->binding[i].jwe;
	rc = pin_open_any(opening->context, jwes, all->count, &choice);
	if (rc < 0) {
		if (opening->last.code < 0)
			*opening->context->err = opening->last;
		opening->context->err->code = rc;
		return rc;
	}
	if (opening->last.code < 0 && opening->report)
		opening->report(&opening->last);
	if (opening->stop.code < 0) {
		*opening->context->err = opening->stop;
		return opening->stop.code;
	}
	return opening->keyslot;
}

/* Said before a server is asked, not after the device is mapped. */
static int check_persistent(struct luks_device *device, const struct luks_mapping *mapping,
			    struct error *err)
{
	uint32_t flags;
	int rc = 0;

	if (mapping && mapping->persistent)
		rc = crypt_persistent_flags_get(device->crypt, CRYPT_FLAGS_ACTIVATION, &flags);
	return rc < 0 ? device_error(device, rc, "cannot store options in its header", err) : 0;
}

/* To be done when the bindings are known: libluksmeta would look for them there. */
static int attach_data(struct luks_device *device, const struct luks_mapping *mapping,
		       struct error *err)
{
	int rc = 0;

	if (mapping && mapping->device)
		rc = crypt_set_data_device(device->crypt, mapping->device);
	return rc < 0 ? device_error(device, rc, mapping->device, err) : 0;
}

/* What is in the header already is replaced, as `cryptsetup open --persistent` does. */
static int store_flags(struct luks_device *device, const struct luks_mapping *mapping,
		       struct deadline deadline, struct error *err)
{
	FD_AUTO int lock = lock_device(device->path, deadline, err);
	int rc = lock < 0 ? lock : luks_reload(device, err);

	if (rc < 0)
		return rc;
	rc = crypt_persistent_flags_set(device->crypt, CRYPT_FLAGS_ACTIVATION,
					activation_flags(mapping));
	return rc < 0 ? device_error(device, rc,
				     "mapped, but the options cannot be stored in its header", err)
		      : 0;
}

int luks_unlock(struct luks_device *device, struct pin_context *context,
		const struct luks_mapping *mapping, int only, void (*report)(const struct error *))
{
	struct opening opening = {.device = device,
				  .context = context,
				  .mapping = mapping,
				  .use = use_to_map,
				  .report = report};
	int rc = check_persistent(device, mapping, context->err);

	if (rc == 0)
		rc = find_bindings(&opening, only);
	if (rc == 0)
		rc = attach_data(device, mapping, context->err);
	if (rc == 0)
		rc = open_by_any(&opening);
	if (rc >= 0 && mapping && mapping->persistent &&
	    store_flags(device, mapping, context->deadline, context->err) < 0)
		rc = context->err->code;
	luks_bindings_free(&opening.all);
	return rc;
}

int luks_volume_key_by_binding(struct luks_device *device, struct pin_context *context,
			       struct secret *key)
{
	struct opening opening = {
		.device = device, .context = context, .key = key, .use = use_for_key};
	int rc = find_bindings(&opening, -1);

	if (rc == 0)
		rc = open_by_any(&opening);
	luks_bindings_free(&opening.all);
	return rc;
}
