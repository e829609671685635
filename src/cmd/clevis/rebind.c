/* SPDX-License-Identifier: Apache-2.0 */
#include "cmd/clevis/rebind.h"

#include "base/file.h"
#include "base/json.h"
#include "base/log.h"
#include "cmd/clevis/args.h"

#include <errno.h>
#include <stdio.h>
#include <unistd.h>

void bound_free(struct bound *bound)
{
	json_drop(&bound->jwe);
	json_drop(&bound->config);
}

int rebind_read(const struct rebinding *rebinding, struct bound *bound, struct error *err)
{
	LUKS_BINDING_AUTO struct luks_binding binding = {0};
	struct luks_device *device = NULL;
	int rc = luks_open(rebinding->device, &device, err);

	if (rc == 0)
		rc = luks_find_for_rebind(device, rebinding->slot, &binding, err);
	if (rc == 0)
		rc = pin_name(binding.jwe, bound->pin, err);
	if (rc == 0)
		rc = pin_describe(binding.jwe, &bound->config, err);
	if (rc == 0)
		bound->jwe = json_incref(binding.jwe);
	luks_close(&device);
	return rc;
}

void rebind_print(const struct bound *bound)
{
	JSON_AUTO json_t *config = NULL;
	FREE_AUTO char *text = NULL;

	if (pin_list_config(bound->jwe, &config, NULL) < 0)
		config = pin_without_trust(bound->config);
	text = json_dump_in_order(config);
	if (text)
		error_sanitise(text);
	(void)printf("Pin: %s, Config: '%s'\n", bound->pin, text ? text : "");
}

int rebind_ask(const char *question)
{
	char line[64];

	if (isatty(STDIN_FILENO)) {
		(void)fflush(stdout);
		(void)fputs(question, stderr);
	}
	if (!fgets(line, sizeof(line), stdin))
		return -ENODATA;
	return line[0] == 'y' || line[0] == 'Y';
}

static int get_volume_key(const struct rebinding *rebinding, struct luks_device *device,
			  struct secret *key, struct error *err)
{
	SECRET_AUTO struct secret passphrase = {0};
	struct error why = {0};
	struct pin_context context = args_context(false, &why);
	int rc = luks_volume_key_by_binding(device, &context, key);

	if (rc >= 0)
		return rc;
	if (rebinding->quiet && isatty(STDIN_FILENO))
		return error_set(err, rc, "%s", why.text);
	log_warning("no binding opens, so a passphrase is needed: %s", why.text);
	rc = args_passphrase(NULL, &passphrase, err);
	return rc < 0 ? rc : luks_volume_key(device, -1, &passphrase, key, err);
}

static int apply(const struct rebinding *rebinding, const struct bound *bound, const json_t *config,
		 struct luks_device *device, struct error *err)
{
	SECRET_AUTO struct secret key = {0};
	const struct luks_rebind wanted = {rebinding->slot, bound->pin, config, &key,
					   rebinding->unproved};
	struct error unproved = {0};
	struct pin_context context;
	int rc = get_volume_key(rebinding, device, &key, err);

	if (rc < 0)
		return rc;
	context = args_context(rebinding->yes, err);
	if (rebinding->quiet && !rebinding->yes)
		context.trust = PIN_TRUST_PINNED;
	rc = luks_rebind(device, &context, &wanted, &unproved);
	if (rc >= 0 && unproved.code < 0)
		log_warning("bound without asking the server, as it does not answer: %s",
			    unproved.text);
	if (rc == LUKS_REWRAPPED)
		log_warning(
			"%s: slot %d: there is no room for a second binding: the same passphrase "
			"was sealed anew, and not renewed",
			rebinding->device, rebinding->slot);
	return rc < 0 ? rc : 0;
}

int rebind_apply(const struct rebinding *rebinding, const struct bound *bound, json_t *config,
		 struct error *err)
{
	struct luks_device *device = NULL;
	int rc = pin_keep_trust(bound->config, config) < 0
			 ? error_nomem(err)
			 : luks_open(rebinding->device, &device, err);

	if (rc == 0)
		rc = apply(rebinding, bound, config, device, err);
	luks_close(&device);
	return rc;
}
