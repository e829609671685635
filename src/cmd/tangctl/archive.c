/* SPDX-License-Identifier: Apache-2.0 */
#include "cmd/tangctl/archive.h"

#include "base/file.h"
#include "base/json.h"
#include "tang/folder.h"

#include <errno.h>
#include <string.h>

static const char format_name[] = "nbde-tang-backup";

enum { FORMAT_VERSION = 1 };

size_t archive_count(const json_t *archive)
{
	return json_array_size(json_object_get(archive, "keys"));
}

static json_t *entry_member(const json_t *archive, size_t i, const char *member)
{
	return json_object_get(json_array_get(json_object_get(archive, "keys"), i), member);
}

const char *archive_name(const json_t *archive, size_t i)
{
	return json_string_value(entry_member(archive, i, "name"));
}

json_t *archive_jwk(const json_t *archive, size_t i)
{
	return entry_member(archive, i, "jwk");
}

static int add_key(int folder_fd, const char *name, json_t *keys, struct error *err)
{
	json_t *jwk = NULL;
	int rc = tang_folder_read(folder_fd, name, &jwk, err);

	if (rc < 0)
		return rc;
	return json_array_append_new(keys, json_pack("{s:s, s:o}", "name", name, "jwk", jwk)) < 0
		       ? error_set(err, -EINVAL, "'%s' is a name that JSON cannot hold", name)
		       : 0;
}

int archive_make(int folder_fd, json_t **archive, struct error *err)
{
	JSON_AUTO json_t *made = json_pack("{s:s, s:i, s:[]}", "format", format_name, "version",
					   FORMAT_VERSION, "keys");
	TANG_NAMES_AUTO struct tang_names names = {0};
	int rc = made ? tang_folder_list(folder_fd, &names, err) : error_nomem(err);

	if (rc == 0 && names.count == 0)
		rc = error_set(err, -ENOENT, "there are no keys");
	for (size_t i = 0; rc == 0 && i < names.count; i++)
		rc = add_key(folder_fd, names.name[i], json_object_get(made, "keys"), err);
	if (rc == 0)
		rc = archive_check(made, err);
	if (rc < 0)
		return rc;
	*archive = made;
	made = NULL;
	return 0;
}

static int check_head(const json_t *archive, struct error *err)
{
	const char *format = json_string_value(json_object_get(archive, "format"));
	const json_t *version = json_object_get(archive, "version");
	size_t count = archive_count(archive);

	if (!format || strcmp(format, format_name) != 0)
		return error_set(err, -EBADMSG, "it is not a backup of Tang keys");
	if (json_integer_value(version) != FORMAT_VERSION)
		return error_set(err, -EBADMSG, "its version is not %d, the one that is known here",
				 FORMAT_VERSION);
	if (count == 0 || count > TANG_KEY_FILES_MAX)
		return error_set(err, -EBADMSG, "it holds %zu keys, not 1 to %d", count,
				 TANG_KEY_FILES_MAX);
	return 0;
}

static int check_name(const json_t *archive, size_t i, struct error *err)
{
	const char *name = archive_name(archive, i);

	if (!name)
		return error_set(err, -EBADMSG, "key %zu has no name", i + 1);
	if (!tang_is_key_file(name) || strchr(name, '/') || strlen(name) >= FILE_NAME_SIZE)
		return error_set(err, -EBADMSG, "'%s' is not the name of a key file", name);
	for (size_t before = 0; before < i; before++) {
		if (strcmp(archive_name(archive, before), name) == 0)
			return error_set(err, -EBADMSG, "the name '%s' is in it twice", name);
	}
	return 0;
}

int archive_check(const json_t *archive, struct error *err)
{
	struct error why = {0};
	int rc = check_head(archive, err);

	for (size_t i = 0; rc == 0 && i < archive_count(archive); i++) {
		rc = check_name(archive, i, err);
		if (rc < 0)
			return rc;
		rc = tang_check_key(archive_jwk(archive, i), &why);
		if (rc < 0)
			rc = error_set(err, rc == -ENOMEM ? rc : -EBADMSG, "'%s': %s",
				       archive_name(archive, i), why.text);
	}
	return rc;
}
