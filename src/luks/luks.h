/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A device's bindings: each a JWE, in a LUKS2 token of type `clevis` or in a slot of luksmeta on LUKS1, and the keyslot whose
 * passphrase the JWE holds.
 */
#pragma once

#include "base/error.h"
#include "base/secret.h"
#include "pin/pin.h"

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

struct luks_device;

/*
 * Loads the LUKS header of a block device or an image file; nothing is written. Returns 0 with `*device` (to be closed by
 * luks_close()); -EINVAL with `err` filled when it is not LUKS (`DEV is not a supported LUKS device`), -ENOENT, -EACCES, ….
 */
int luks_open(const char *path, struct luks_device **device, struct error *err);

void luks_close(struct luks_device **device);

/*
 * Loads, before child processes are forked that open devices, what each of them would else load for itself. What fails here
 * fails again, and is told of, where a device is opened.
 */
void luks_prepare(void);

/*
 * Reads the header again, which somebody else may have written since. Returns as luks_open(); on failure the device
 * is as it was.
 */
int luks_reload(struct luks_device *device, struct error *err);

/* The version of its format: 1 or 2. */
int luks_version(const struct luks_device *device);

/*
 * Says whether the device has where bindings are kept: 1; 0 for a LUKS1 device without the area of luksmeta, which luks_bind()
 * makes when told to. Negative with `err` filled: damaged, or libluksmeta is not installed.
 */
int luks_is_initialised(struct luks_device *device, struct error *err);

/* The path the device was opened by, and the UUID of its header. Both valid until luks_close(). */
const char *luks_path(const struct luks_device *device);
const char *luks_uuid(const struct luks_device *device);

/*
 * A binding, and the marks that its token, or on LUKS1 its slot of luksmeta, carries while a command is at work on it, so that
 * after a power cut the next one can tell what it finds; each a keyslot, -1 for no mark. LUKS1 has `replaces` alone.
 */
struct luks_binding {
	int keyslot;
	int token;    /* LUKS1: -1 */
	json_t *jwe;  /* flattened */
	int intended; /* of a token without a keyslot: the one about to be added for it */
	int replaces; /* the one whose place it is to take */
	int left; /* the one it has left, with the same passphrase, about to be removed; named by the token, too */
};

/* A binding without keyslot, token, JWE and marks. */
#define LUKS_BINDING_NONE ((struct luks_binding){-1, -1, NULL, -1, -1, -1})

#define LUKS_BINDING_AUTO __attribute__((cleanup(luks_binding_free)))
void luks_binding_free(struct luks_binding *binding);

struct luks_bindings {
	size_t count;
	struct luks_binding *binding; /* by keyslot */
};

#define LUKS_BINDINGS_AUTO __attribute__((cleanup(luks_bindings_free)))
void luks_bindings_free(struct luks_bindings *bindings);

/*
 * Lists the device's bindings. Those that cannot be read are left out; why the last one was is in `err`.
 * Returns 0 with `bindings` (the caller's); with `err` filled -ENODATA for a LUKS1 device that is not initialised, -ENOMEM.
 */
int luks_list(struct luks_device *device, struct luks_bindings *bindings, struct error *err);

/* The binding of one keyslot. Returns 0 with `binding` (the caller's); -ENOENT with `err` filled, -ENOMEM. */
int luks_find(struct luks_device *device, int keyslot, struct luks_binding *binding,
	      struct error *err);

/*
 * The same; where the keyslot has no binding, the one that was about to take its place when a rebinding was cut short, which
 * stands in a keyslot of its own.
 */
int luks_find_for_rebind(struct luks_device *device, int keyslot, struct luks_binding *binding,
			 struct error *err);

/*
 * Tests whether a passphrase opens a keyslot (-1: any), without activating anything.
 * Returns the keyslot; -EPERM with `err` filled when it does not, -ENOMEM, ….
 */
int luks_test_passphrase(struct luks_device *device, int keyslot, const struct secret *passphrase,
			 struct error *err);

/*
 * Takes the volume key out of a keyslot (-1: any that the passphrase opens); the one costly key derivation of a command.
 * Returns the keyslot with `key` (the caller's); -EPERM with `err` filled when the passphrase opens none, -ENOMEM, ….
 */
int luks_volume_key(struct luks_device *device, int keyslot, const struct secret *passphrase,
		    struct secret *key, struct error *err);

struct luks_bind {
	const char *pin;
	const json_t *config;
	const struct secret *volume_key; /* of luks_volume_key(): it authorises */
	int keyslot;			 /* the new one; -1: the first free one */
	int token;			 /* LUKS2: its token; -1: the first free one */
	bool initialise;		 /* LUKS1: make the area of luksmeta where there is none */
	bool unless_bound;		 /* not again: see luks_check_unbound() */
};

/*
 * Finds out whether the device has a binding by the wanted pin and configuration already (pin_agrees()); nobody is
 * asked, nothing is written, and the volume key is not needed. Returns 0 when it has none; with `err` filled:
 * -EALREADY when it has (`DEV is already bound by this configuration in slot N`), -EEXIST when a keyslot is wanted
 * and the binding is in another, or something else is in that; -ENOMEM.
 */
int luks_check_unbound(struct luks_device *device, const struct luks_bind *wanted,
		       struct error *err);

/*
 * Adds a binding: seals a new random passphrase, proves that the servers give it back, finds room for keyslot and JWE, and
 * only then writes both, and reads them back. When a step fails, what was written is undone.
 * With a configuration that is sealed offline (`adv`), servers that do not answer are no failure: `*unproved` then tells why.
 * Returns the new keyslot; negative with the context's error filled: -ENOSPC for no room, -EEXIST for a slot or token in use,
 * the codes of pin_seal(), and with `unless_bound` those of luks_check_unbound().
 */
int luks_bind(struct luks_device *device, struct pin_context *context,
	      const struct luks_bind *wanted, struct error *unproved);

struct luks_rebind {
	int keyslot;	 /* the binding's; it keeps it */
	const char *pin; /* of the new configuration */
	const json_t *config;
	const struct secret *volume_key; /* of luks_volume_key(): it authorises */
	bool unproved;			 /* go on though the servers do not answer */
};

/* Returned by luks_rebind(): the passphrase was sealed anew and is the old one, since there was no room for a second binding. */
enum { LUKS_REWRAPPED = 1 };

/*
 * Binds a keyslot anew: a new passphrase, sealed by the new configuration, in the same keyslot. The old binding goes only when the
 * new one is proved, through the network (unless `unproved`, and then `*unproved` tells what did not answer) and on the disk; a power
 * cut at any moment leaves a device that opens by itself, and the next call finishes what was begun.
 * Returns 0 or LUKS_REWRAPPED; negative with the context's error filled: -ENOENT when the keyslot has no binding, -ENOSPC on
 * LUKS1 when no keyslot is free, -EBUSY when what was begun cannot be finished now, the codes of pin_seal(), pin_open() and net_is_unreachable().
 */
int luks_rebind(struct luks_device *device, struct pin_context *context,
		const struct luks_rebind *wanted, struct error *unproved);

/*
 * The volume key by a binding of the device: for when no passphrase is at hand. Returns the keyslot with `key` (the caller's);
 * -ENOENT with the context's error filled when none opens.
 */
int luks_volume_key_by_binding(struct luks_device *device, struct pin_context *context,
			       struct secret *key);

/*
 * Says with 0 whether there is something to unbind: a binding, or what is left of one whose keyslot is gone. -ENOENT with `err`
 * filled: there is not.
 */
int luks_check_bound(struct luks_device *device, int keyslot, struct error *err);

/*
 * The volume key by an existing token of LUKS2: one of ours, opened by its pin; one that names a key in the kernel's
 * keyrings (luks2-keyring); one of another type, by libcryptsetup's plugin for it. Returns the keyslot with `key`
 * (the caller's); with the context's error filled: -ENOENT when there is no such token, -ENOTSUP on LUKS1, -ENOSYS
 * when the library is too old for plugins, -ENOKEY, -EPERM, …, and the codes of pin_open().
 */
int luks_volume_key_by_token(struct luks_device *device, int token, struct pin_context *context,
			     struct secret *key);

/*
 * Removes the binding of a keyslot: kills the keyslot if it is active, then removes what bound it. Returns 0; -ENOENT
 * with `err` filled when there is no binding, -ETIMEDOUT when another command is at work on the device until the
 * deadline, -errno.
 */
int luks_unbind(struct luks_device *device, int keyslot, struct deadline deadline,
		struct error *err);

/* Says whether a keyslot is the only one that is left: without it nothing opens the device. */
bool luks_is_last_keyslot(struct luks_device *device, int keyslot);

/* Says whether a keyslot holds no key. */
bool luks_is_free_keyslot(struct luks_device *device, int keyslot);

/*
 * How many tokens are orphans: of type clevis, naming no keyslot since it was removed by other means. One that says
 * which keyslot it was meant for, where there is a keyslot, is none: it is needed to find out whose that is.
 */
int luks_count_orphans(struct luks_device *device);

/* Removes them. Returns how many, -ETIMEDOUT as luks_unbind(), -errno with `err` filled. */
int luks_remove_orphans(struct luks_device *device, struct deadline deadline, struct error *err);

/*
 * The bindings that cannot be read, as a new array of {"token":N,"reason":TEXT}, on LUKS1 {"slot":N,"reason":TEXT}; NULL when out
 * of memory.
 */
json_t *luks_list_damaged(struct luks_device *device);

/* Recovers the passphrase of a binding by its pin. Returns 0 or the codes of pin_open(), the context's error filled. */
int luks_recover(const struct luks_binding *binding, struct pin_context *context,
		 struct secret *passphrase);

/* How a device is to be mapped, as bits. */
enum luks_mapping_flag {
	LUKS_MAP_DISCARDS = 1 << 0,
	LUKS_MAP_READONLY = 1 << 1,
	LUKS_MAP_SAME_CPU = 1 << 2,
	LUKS_MAP_SUBMIT_FROM_CPUS = 1 << 3,
	LUKS_MAP_NO_READ_WORKQUEUE = 1 << 4,
	LUKS_MAP_NO_WRITE_WORKQUEUE = 1 << 5,
};

struct luks_mapping {
	const char *name;   /* of the mapped device */
	unsigned flags;	    /* of enum luks_mapping_flag */
	bool persistent;    /* LUKS2: store them in the header, in place of those there */
	const char *device; /* where the data is; NULL: where the header is */
};

/*
 * Unlocks by any of the device's bindings: local ones first, the others side by side as pin_open_any() does, in the order of keyslots;
 * each keyslot is named to libcryptsetup, so that no other is tried, and the first that opens ends the search. `mapping` NULL:
 * only test. `only` is the keyslot to use, -1 for any. `report` (may be NULL) is told why a binding failed while others are left.
 * Returns the keyslot; negative with the context's error filled: -ENOENT without a binding, net_is_unreachable()'s when that
 * is why all failed, -EINVAL when flags cannot be stored.
 */
int luks_unlock(struct luks_device *device, struct pin_context *context,
		const struct luks_mapping *mapping, int only, void (*report)(const struct error *));

/* Paths of devices; the caller's. */
struct luks_paths {
	size_t count;
	char **path;
};

#define LUKS_PATHS_AUTO __attribute__((cleanup(luks_paths_free)))
void luks_paths_free(struct luks_paths *paths);

/*
 * Finds the block devices that hold LUKS and are not open: they have no holder, and no mapped device has their UUID. In the order
 * of their names. `sysfs` and `dev` are where those are mounted: "/sys", "/dev".
 * Returns 0 with `paths`, and `err` filled when a device may not be read; -EACCES when none was found and one may not, -errno when there
 * is no list of devices, -ENOMEM, `err` filled.
 */
int luks_find_locked(const char *sysfs, const char *dev, struct luks_paths *paths,
		     struct error *err);
