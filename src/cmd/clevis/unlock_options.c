/* SPDX-License-Identifier: Apache-2.0 */
/* The options of `cryptsetup open` that `clevis luks unlock -o` takes. */
#include "cmd/clevis/unlock.h"
#include "luks/luks.h"

#include <errno.h>
#include <string.h>

/* Those that change how a device is mapped. */
static const struct {
	const char *name;
	unsigned flag;
} mapping_options[] = {
	{"--allow-discards", LUKS_MAP_DISCARDS},
	{"--readonly", LUKS_MAP_READONLY},
	{"-r", LUKS_MAP_READONLY},
	{"--perf-same_cpu_crypt", LUKS_MAP_SAME_CPU},
	{"--perf-submit_from_crypt_cpus", LUKS_MAP_SUBMIT_FROM_CPUS},
	{"--perf-no_read_workqueue", LUKS_MAP_NO_READ_WORKQUEUE},
	{"--perf-no_write_workqueue", LUKS_MAP_NO_WRITE_WORKQUEUE},
};

static const char header[] = "--header";

static unsigned find_flag(const char *word)
{
	for (size_t i = 0; i < sizeof(mapping_options) / sizeof(*mapping_options); i++)
		if (strcmp(word, mapping_options[i].name) == 0)
			return mapping_options[i].flag;
	return 0;
}

static int read_header(const char *value, struct unlocking *unlocking, struct error *err)
{
	if (!value || !*value)
		return error_set(err, -EINVAL, "-o: %s: which file?", header);
	unlocking->header = value;
	return 0;
}

/* `rest` are the words behind it. */
static int read_word(const char *word, char **rest, struct unlocking *unlocking, struct error *err)
{
	unsigned flag = find_flag(word);

	unlocking->flags |= flag;
	if (flag)
		return 0;
	if (strcmp(word, header) == 0)
		return read_header(strtok_r(NULL, " ", rest), unlocking, err);
	if (strncmp(word, header, strlen(header)) == 0 && word[strlen(header)] == '=')
		return read_header(word + sizeof(header), unlocking, err);
	if (strcmp(word, "--persistent") == 0)
		unlocking->persistent = true;
	else if (strcmp(word, "--test-passphrase") == 0)
		unlocking->test = true;
	else
		return error_set(err, -EINVAL, "-o: '%s' is no option that can be used here", word);
	return 0;
}

int unlock_read_options(char *text, struct unlocking *unlocking, struct error *err)
{
	char *rest = NULL;
	int rc = 0;

	for (const char *word = strtok_r(text, " ", &rest); rc == 0 && word;
	     word = strtok_r(NULL, " ", &rest))
		rc = read_word(word, &rest, unlocking, err);
	return rc;
}
