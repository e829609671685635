/* SPDX-License-Identifier: Apache-2.0 */
/* What a command that was cut short has left behind. Private to luks/. */
#pragma once

#include "luks/device.h"

/*
 * Removes what is left: tokens without a keyslot; keyslots that a token's mark names and that can be proved to be of ours, since
 * the passphrase that the token's JWE gives opens them. What cannot be proved (a server that does not answer) is left alone
 * and told to the context's `warn`. The lock must be held. Never fails.
 */
void tidy(struct luks_device *device, struct pin_context *context);

/*
 * Reads the header again, when something was waited for: says whether the token of a binding is as it was. When it is
 * not, nothing that was found out about it counts.
 */
bool tidy_is_still_there(struct luks_device *device, const struct luks_binding *binding);
