/* SPDX-License-Identifier: Apache-2.0 */
/* tangctl backup: all keys of a folder into one file that its owner alone can read. */
#include "base/file.h"
#include "base/json.h"
#include "base/log.h"
#include "cmd/tangctl/archive.h"
#include "cmd/tangctl/commands.h"
#include "tang/folder.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { BACKUP_MODE = 0600 };

static const char usage_text[] =
	"Usage: tangctl backup [-d DIR] [-f] FILE\n"
	"\n"
	"Writes all Tang keys, rotated ones too, into FILE, which its owner alone can read:\n"
	"  -d DIR      the folder of the keys (default: " TANG_FOLDER ")\n"
	"  -f          replace FILE\n"
	"  -h, --help  show this\n";

static int read_folder(const char *path, json_t **archive, struct error *err)
{
	FD_AUTO int folder_fd = tang_folder_open(path, err);
	int rc = folder_fd;

	if (rc < 0)
		return rc;
	rc = tang_folder_lock(folder_fd, deadline_in_ms(TANG_LOCK_MS), err);
	if (rc == 0)
		rc = archive_make(folder_fd, archive, err);
	if (rc < 0)
		error_prefix(err, "%s: ", path);
	return rc;
}

/* Opens the folder that the file is in, and finds its name there. */
static int open_parent(const char *path, const char **name, struct error *err)
{
	const char *slash = strrchr(path, '/');
	char parent[PATH_MAX];
	int length = slash ? (int)(slash - path) : 0;

	*name = slash ? slash + 1 : path;
	if (!**name)
		return error_set(err, -EISDIR, "'%s' is not the name of a file", path);
	if (length >= PATH_MAX)
		return error_set(err, -ENAMETOOLONG, "the path '%s' is too long", path);
	(void)snprintf(parent, sizeof(parent), "%.*s", length, path);
	return tang_folder_open(!slash ? "." : slash == path ? "/" : parent, err);
}

/* What is there may be replaced if it is a file, and only when told so. */
static int check_place(int parent_fd, const char *name, const struct key_options *options,
		       struct error *err)
{
	struct stat st;

	if (fstatat(parent_fd, name, &st, AT_SYMLINK_NOFOLLOW) != 0)
		return errno == ENOENT ? 0
				       : error_set(err, -errno, "cannot write '%s': %s",
						   options->file, strerror(errno));
	if (!S_ISREG(st.st_mode))
		return error_set(err, -EEXIST, "'%s' is there already, and not a regular file",
				 options->file);
	return options->force ? 0
			      : error_set(err, -EEXIST, "'%s' is there already; -f replaces it",
					  options->file);
}

static int write_archive(const json_t *archive, const struct key_options *options,
			 struct error *err)
{
	SECRET_AUTO struct secret text = {0};
	const char *name = NULL;
	FD_AUTO int parent_fd = open_parent(options->file, &name, err);
	int rc = parent_fd;

	if (rc < 0)
		return rc;
	rc = check_place(parent_fd, name, options, err);
	if (rc == 0)
		rc = json_dump_secret(archive, &text, err);
	if (rc == 0 && text.size > ARCHIVE_MAX)
		rc = error_set(err, -E2BIG, "all keys together are larger than %d bytes",
			       ARCHIVE_MAX);
	if (rc == 0)
		rc = file_write_atomic(parent_fd, name, BACKUP_MODE,
				       options->force ? FILE_REPLACE : FILE_NEW, text.data,
				       text.size, err);
	return rc;
}

static void tell(const json_t *archive, const char *file)
{
	size_t hidden = 0;

	for (size_t i = 0; i < archive_count(archive); i++)
		hidden += tang_is_hidden(archive_name(archive, i));
	(void)printf("%s: %zu keys, %zu of them rotated\n", file, archive_count(archive), hidden);
}

int backup_main(int argc, char *argv[])
{
	JSON_AUTO json_t *archive = NULL;
	struct key_options options;
	struct error err = {0};
	int status;

	if (!options_read(argc, argv, "d:fh", usage_text, &options, &status))
		return status;
	if (read_folder(options.folder, &archive, &err) < 0 ||
	    write_archive(archive, &options, &err) < 0) {
		log_error("%s", err.text);
		return EXIT_FAILURE;
	}
	tell(archive, options.file);
	return EXIT_SUCCESS;
}
