/* SPDX-License-Identifier: Apache-2.0 */
/* Whether a device is bound by a pin and configuration already, told without opening a binding. */
#include "luks/format.h"

#include <errno.h>

/* The keyslot of a binding that agrees: the wanted one, if it does, else the first; -1 for none. */
static int find_agreeing(const struct luks_bindings *all, const struct luks_bind *wanted)
{
	int found = -1;

	for (size_t i = 0; i < all->count; i++) {
		const struct luks_binding *binding = &all->binding[i];

		if ((found >= 0 && binding->keyslot != wanted->keyslot) ||
		    !pin_agrees(binding->jwe, wanted->pin, wanted->config))
			continue;
		found = binding->keyslot;
	}
	return found;
}

int luks_check_unbound(struct luks_device *device, const struct luks_bind *wanted,
		       struct error *err)
{
	LUKS_BINDINGS_AUTO struct luks_bindings all = {0};
	int found;

	/* A LUKS1 device that is not initialised has no bindings. */
	if (luks_list(device, &all, NULL) == -ENOMEM)
		return error_nomem(err);
	found = find_agreeing(&all, wanted);
	if (found < 0) /* what stands in the wanted slot is something else */
		return wanted->keyslot < 0
			       ? 0
			       : draft_find_keyslot(device, wanted->keyslot, &found, err);
	if (wanted->keyslot >= 0 && wanted->keyslot != found)
		return error_set(err, -EEXIST,
				 "%s is already bound by this configuration in slot %d, not %d",
				 device->path, found, wanted->keyslot);
	return error_set(err, -EALREADY, "%s is already bound by this configuration in slot %d",
			 device->path, found);
}
