/* SPDX-License-Identifier: Apache-2.0 */
#include "cmd/clevis/commands.h"

#include <string.h>

const struct command commands[] = {
	{"decrypt", "Decrypts using the policy defined at encryption time", decrypt_main},
	{"decrypt-file", NULL, decrypt_pin_main, 1},
	{"decrypt-null", NULL, decrypt_pin_main},
	{"decrypt-sss", NULL, decrypt_pin_main, 1, 1},
	{"decrypt-tang", NULL, decrypt_pin_main},
	{"encrypt-file", "Encrypts using a jwk stored in a file policy", encrypt_main},
	{"encrypt-null", NULL, encrypt_main},
	{"encrypt-sss", "Encrypts using a Shamir's Secret Sharing policy", encrypt_main, 1},
	{"encrypt-tang", "Encrypts using a Tang binding server policy", encrypt_main},
	{"luks-bind", "Binds a LUKS device using the specified policy", luks_bind_main},
	{"luks-edit", "Edit a binding from a clevis-bound slot in a LUKS device", luks_edit_main,
	 1},
	{"luks-list", "Lists pins bound to a LUKS device", luks_list_main},
	{"luks-pass", "Returns the LUKS passphrase used for binding a particular slot",
	 luks_pass_main},
	{"luks-regen", "Regenerate clevis binding", luks_regen_main, 1},
	{"luks-report", "Report tang keys' rotations", luks_report_main, 1},
	{"luks-unbind", "Unbinds a pin bound to a LUKS volume", luks_unbind_main},
	{"luks-unlock", "Unlocks a LUKS volume", luks_unlock_main},
	{NULL, NULL, NULL},
};

const struct command *command_find(const char *name)
{
	for (const struct command *command = commands; command->name; command++)
		if (strcmp(command->name, name) == 0)
			return command;
	return NULL;
}
