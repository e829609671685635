/* SPDX-License-Identifier: Apache-2.0 */
/* Adding a binding: everything that can fail without writing comes first. */
#include "luks/format.h"

#include "base/file.h"
#include "luks/lock.h"

#include <errno.h>

static int bind_draft(struct luks_device *device, struct pin_context *context,
		      const struct luks_bind *wanted, struct draft *draft, struct error *unproved)
{
	int rc = device_check_key(device, wanted->volume_key, context->err);

	if (rc < 0)
		return rc;
	/* A rebinding that was cut short may have left its place empty: it is not ours to take. */
	device->format->tidy(device, context);
	rc = device->format->find_room(device, wanted, draft, context->err);
	if (rc == 0)
		rc = draft_passphrase(draft, context->err);
	if (rc == 0)
		rc = draft_seal(context, wanted->pin, wanted->config, draft, unproved);
	if (rc == 0)
		rc = draft_look_again(device, wanted->volume_key, context->err);
	if (rc == 0)
		rc = device->format->find_room(device, wanted, draft, context->err);
	return rc < 0 ? rc : device->format->write(device, wanted->volume_key, draft, context->err);
}

int luks_bind(struct luks_device *device, struct pin_context *context,
	      const struct luks_bind *wanted, struct error *unproved)
{
	DRAFT_AUTO struct draft draft = DRAFT_NONE;
	FD_AUTO int lock = lock_device(device->path, context->deadline, context->err);
	int rc = lock < 0 ? lock : luks_reload(device, context->err);

	if (rc == 0 && wanted->unless_bound)
		rc = luks_check_unbound(device, wanted, context->err);
	if (rc < 0)
		return rc;
	draft.initialise = wanted->initialise;
	rc = bind_draft(device, context, wanted, &draft, unproved);
	if (rc < 0 && draft.jwe)
		pin_discard(draft.jwe);
	return rc < 0 ? rc : draft.keyslot;
}
