/* SPDX-License-Identifier: Apache-2.0 */
/* tangctl restore: the keys of a backup, back into a folder. */
#include "cmd/tangctl/restore.h"

#include "base/json.h"
#include "base/log.h"
#include "cmd/tangctl/archive.h"
#include "cmd/tangctl/commands.h"
#include "tang/advertisement.h"
#include "tang/folder.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { FOLDER_MODE = 0750 };

static const char usage_text[] =
	"Usage: tangctl restore [-d DIR] FILE\n"
	"\n"
	"Brings the Tang keys in FILE, a backup, back; keys that are there are never overwritten:\n"
	"  -d DIR      the folder of the keys (default: " TANG_FOLDER ")\n"
	"  -h, --help  show this\n";

/* Returns 1 when the file is there and holds that key, 0 when there is no such file, -EEXIST when it holds something else. */
static int look_for(int folder_fd, const char *name, const json_t *jwk, struct error *err)
{
	JSON_AUTO json_t *there = NULL;
	struct stat st;

	if (fstatat(folder_fd, name, &st, AT_SYMLINK_NOFOLLOW) != 0)
		return errno == ENOENT ? 0
				       : error_set(err, -errno, "cannot look at '%s': %s", name,
						   strerror(errno));
	if (tang_folder_read(folder_fd, name, &there, NULL) == 0 && json_equal(there, jwk))
		return 1;
	return error_set(
		err, -EEXIST,
		"'%s' is there already and is not the key of the backup; nothing was restored",
		name);
}

/* The name that the key has when it is rotated, or when it is not. */
static void toggled_name(const char *name, char toggled[static FILE_NAME_SIZE + 1])
{
	(void)snprintf(toggled, FILE_NAME_SIZE + 1, "%s%s", tang_is_hidden(name) ? "" : ".",
		       name + tang_is_hidden(name));
}

/* A key that was rotated after the backup must not be advertised again. */
static int find_key(int folder_fd, const json_t *archive, size_t i, enum restored *found,
		    struct error *err)
{
	char toggled[FILE_NAME_SIZE + 1];
	const char *name = archive_name(archive, i);
	int rc = look_for(folder_fd, name, archive_jwk(archive, i), err);

	if (rc < 0)
		return rc;
	toggled_name(name, toggled);
	*found = RESTORED;
	if (rc == 1)
		*found = RESTORE_THERE;
	else if (look_for(folder_fd, toggled, archive_jwk(archive, i), NULL) == 1)
		*found = RESTORE_TOGGLED;
	return 0;
}

static int write_draft(int folder_fd, const char *name, const json_t *jwk, struct file_draft *draft,
		       struct error *err)
{
	SECRET_AUTO struct secret text = {0};
	int rc = json_dump_secret(jwk, &text, err);

	if (rc == 0)
		rc = file_draft_write(folder_fd, name, TANG_KEY_MODE, text.data, text.size, draft,
				      err);
	if (rc == 0)
		rc = tang_folder_give_draft(folder_fd, draft, err);
	return rc;
}

/* A file that is there gets the mode and the owner that it should have. */
static int mend_file(int folder_fd, const char *name, struct error *err)
{
	struct stat st;

	if (fstatat(folder_fd, name, &st, AT_SYMLINK_NOFOLLOW) != 0 || !S_ISREG(st.st_mode))
		return 0; /* a link to a key, as in a Kubernetes Secret: not ours to change */
	if ((st.st_mode & 07777) != TANG_KEY_MODE &&
	    fchmodat(folder_fd, name, TANG_KEY_MODE, 0) != 0)
		return error_set(err, -errno, "cannot change the mode of '%s': %s", name,
				 strerror(errno));
	return tang_folder_give(folder_fd, name, name, err);
}

static int prepare_all(int folder_fd, const json_t *archive, const enum restored *found,
		       struct file_draft *drafts, struct error *err)
{
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < archive_count(archive); i++) {
		const char *name = archive_name(archive, i);

		if (found[i] == RESTORED)
			rc = write_draft(folder_fd, name, archive_jwk(archive, i), &drafts[i], err);
		else if (found[i] == RESTORE_THERE)
			rc = mend_file(folder_fd, name, err);
	}
	return rc;
}

/* A signing key makes a server advertise: what it is to advertise and to answer should be there by then. */
static int rank(const json_t *archive, size_t i)
{
	if (tang_is_hidden(archive_name(archive, i)))
		return 0;
	return tang_is_signing_key(archive_jwk(archive, i)) ? 2 : 1;
}

static int publish_all(int folder_fd, const json_t *archive, struct file_draft *drafts,
		       struct error *err)
{
	size_t published = 0;
	int rc = 0;

	for (int now = 0; now <= 2; now++) {
		for (size_t i = 0; rc == 0 && i < archive_count(archive); i++) {
			if (!drafts[i].temp[0] || rank(archive, i) != now)
				continue;
			rc = file_draft_publish(folder_fd, &drafts[i], FILE_NEW, err);
			published += rc == 0;
		}
	}
	if (rc == 0 && published > 0)
		rc = file_sync_folder(folder_fd, archive_name(archive, 0), err);
	if (rc < 0)
		error_prefix(err, "%zu keys were restored, then: ", published);
	return rc;
}

int restore_keys(int folder_fd, const json_t *archive, enum restored *done, struct error *err)
{
	size_t count = archive_count(archive);
	size_t more = 0;
	FREE_AUTO struct file_draft *drafts = calloc(count, sizeof(*drafts));
	int rc = drafts ? 0 : error_nomem(err);

	for (size_t i = 0; rc == 0 && i < count; i++) {
		rc = find_key(folder_fd, archive, i, &done[i], err);
		more += done[i] == RESTORED;
	}
	if (rc == 0)
		rc = tang_folder_check_room(folder_fd, more, err);
	if (rc == 0)
		rc = prepare_all(folder_fd, archive, done, drafts, err);
	if (rc == 0)
		rc = publish_all(folder_fd, archive, drafts, err);
	for (size_t i = 0; drafts && i < count; i++)
		file_draft_drop(folder_fd, &drafts[i]);
	return rc;
}

/* `*is_private`: others than the owner of the file cannot read it. */
static int read_archive(const char *path, json_t **archive, bool *is_private, struct error *err)
{
	FD_AUTO int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	SECRET_AUTO struct secret text = {0};
	JSON_AUTO json_t *read = NULL;
	struct stat st;
	int rc;

	if (fd < 0 || fstat(fd, &st) != 0)
		return error_set(err, -errno, "cannot open '%s': %s", path, strerror(errno));
	rc = fd_read_secret(fd, path, ARCHIVE_MAX, &text, err);
	if (rc == 0)
		rc = json_parse((const char *)text.data, text.size, path, &read, err);
	if (rc < 0)
		return rc;
	rc = archive_check(read, err);
	if (rc < 0) {
		error_prefix(err, "%s: ", path);
		return rc;
	}
	*is_private = !S_ISREG(st.st_mode) || !(st.st_mode & 077);
	*archive = read;
	read = NULL;
	return 0;
}

/* A folder that was lost is made anew, the server's user's. */
static int open_or_make(const char *path, struct error *err)
{
	struct error why = {0};
	int fd = tang_folder_open(path, err);
	int rc;

	if (fd != -ENOENT)
		return fd;
	if (mkdir(path, FOLDER_MODE) != 0)
		return error_set(err, -errno, "cannot make the folder '%s': %s", path,
				 strerror(errno));
	fd = tang_folder_open(path, err);
	if (fd < 0)
		return fd;
	rc = fchmod(fd, FOLDER_MODE) == 0 ? tang_folder_give(fd, ".", path, &why) : -errno;
	if (rc == 0)
		return fd;
	(void)close(fd);
	(void)rmdir(path);
	return error_set(err, rc, "cannot make the folder '%s': %s", path,
			 why.text[0] ? why.text : strerror(-rc));
}

static int restore_folder(const char *path, const json_t *archive, enum restored *done,
			  struct error *err)
{
	FD_AUTO int folder_fd = open_or_make(path, err);
	int rc = folder_fd;

	if (rc < 0)
		return rc;
	rc = tang_folder_lock(folder_fd, deadline_in_ms(TANG_LOCK_MS), err);
	if (rc == 0)
		rc = restore_keys(folder_fd, archive, done, err);
	if (rc < 0)
		error_prefix(err, "%s: ", path);
	return rc;
}

static void tell(const char *folder, const json_t *archive, const enum restored *done)
{
	size_t count = archive_count(archive);
	size_t there = 0;

	for (size_t i = 0; i < count; i++) {
		char toggled[FILE_NAME_SIZE + 1];
		const char *name = archive_name(archive, i);

		toggled_name(name, toggled);
		if (done[i] == RESTORED)
			(void)printf("%s: restored\n", name);
		else if (done[i] == RESTORE_THERE)
			(void)printf("%s: there already\n", name);
		else
			(void)printf("%s: there already as %s\n", name, toggled);
		there += done[i] != RESTORED;
	}
	(void)printf("%s: %zu keys restored, %zu were there already\n", folder, count - there,
		     there);
}

int restore_main(int argc, char *argv[])
{
	JSON_AUTO json_t *archive = NULL;
	enum restored done[TANG_KEY_FILES_MAX] = {RESTORED};
	struct key_options options;
	struct error err = {0};
	bool is_private = true;
	int status;
	int rc;

	if (!options_read(argc, argv, "d:h", usage_text, &options, &status))
		return status;
	rc = read_archive(options.file, &archive, &is_private, &err);
	if (rc == 0 && !is_private)
		log_warning("%s: others than its owner can read these keys", options.file);
	if (rc == 0)
		rc = restore_folder(options.folder, archive, done, &err);
	if (rc < 0) {
		log_error("%s", err.text);
		return EXIT_FAILURE;
	}
	tell(options.folder, archive, done);
	return EXIT_SUCCESS;
}
