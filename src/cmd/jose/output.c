/* SPDX-License-Identifier: Apache-2.0 */
#include "cmd/jose/output.h"

#include "base/json.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { MODE_PRIVATE = 0600, MODE_ANYBODY = 0666, MODE_BITS = 07777 };

static mode_t mode_by_umask(void)
{
	mode_t mask = umask(0);

	(void)umask(mask);
	return MODE_ANYBODY & ~mask;
}

/* /dev/stdout is a link, too, but to a file that is not to be replaced. */
static bool is_device_path(const char *path)
{
	return strncmp(path, "/dev/", 5) == 0 || strncmp(path, "/proc/", 6) == 0;
}

static int open_directly(const char *path, struct output *output, struct error *err)
{
	output->fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOCTTY, output->mode);
	if (output->fd >= 0)
		return 0;
	return error_set(err, -errno, "cannot create '%s': %s", path, strerror(errno));
}

static int open_draft(const char *path, struct output *output, struct error *err)
{
	const char *slash = strrchr(path, '/');
	size_t length = slash ? (size_t)(slash - path) : 0;
	char folder[PATH_MAX] = ".";

	if (length + 1 >= sizeof(folder))
		return error_set(err, -ENAMETOOLONG, "the path '%s' is too long", path);
	if (slash)
		(void)snprintf(folder, sizeof(folder), "%.*s/", (int)length, path);
	output->folder_fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (output->folder_fd < 0)
		return error_set(err, -errno, "cannot create '%s': %s", path, strerror(errno));
	output->fd = file_draft_open(output->folder_fd, slash ? slash + 1 : path, &output->draft,
				     err);
	return output->fd < 0 ? output->fd : 0;
}

int output_open(const char *path, bool is_private, struct output *output, struct error *err)
{
	FREE_AUTO char *target = NULL;
	struct stat st = {0};
	bool exists;
	int rc;

	*output = (struct output){.name = path, .fd = STDOUT_FILENO, .folder_fd = -1};
	if (strcmp(path, "-") == 0) {
		output->name = "standard output";
		return 0;
	}
	exists = stat(path, &st) == 0;
	output->mode = exists ? st.st_mode & MODE_BITS : mode_by_umask();
	if (is_private)
		output->mode &= MODE_PRIVATE;
	if (is_device_path(path) || (exists && !S_ISREG(st.st_mode)))
		return open_directly(path, output, err);
	/* Replacing would get round that. */
	if (exists && access(path, W_OK) != 0)
		return error_set(err, -errno, "cannot write '%s': %s", path, strerror(errno));
	/* A link stays one. */
	target = exists ? realpath(path, NULL) : NULL;
	rc = open_draft(target ? target : path, output, err);
	if (rc < 0 && output->folder_fd >= 0)
		fd_close(&output->folder_fd);
	return rc;
}

int output_write(struct output *output, const void *data, size_t size, struct error *err)
{
	return fd_write_all(output->fd, output->name, data, size, err);
}

int output_end_line(struct output *output, struct error *err)
{
	return isatty(output->fd) ? output_write(output, "\n", 1, err) : 0;
}

static int publish(struct output *output, struct error *err)
{
	int rc = file_draft_finish(output->fd, &output->draft, output->mode, err);

	if (rc == 0)
		rc = file_draft_publish(output->folder_fd, &output->draft, FILE_REPLACE, err);
	return rc;
}

int output_close(struct output *output, int rc, struct error *err)
{
	if (output->folder_fd >= 0) {
		if (rc == 0)
			rc = publish(output, err);
		if (rc == 0)
			rc = file_sync_folder(output->folder_fd, output->name, err);
		file_draft_drop(output->folder_fd, &output->draft);
		fd_close(&output->folder_fd);
	}
	if (output->fd != STDOUT_FILENO)
		fd_close(&output->fd);
	return rc;
}

int output_bytes(const char *path, const void *data, size_t size, bool is_text, bool is_private,
		 struct error *err)
{
	struct output output;
	int rc = output_open(path, is_private, &output, err);

	if (rc < 0)
		return rc;
	rc = output_write(&output, data, size, err);
	if (rc == 0 && is_text)
		rc = output_end_line(&output, err);
	return output_close(&output, rc, err);
}

int output_json(const char *path, json_t *json, bool is_private, struct error *err)
{
	SECRET_AUTO struct secret text = {0};
	int rc = json_dump_secret(json, &text, err);

	if (rc < 0)
		return rc;
	return output_bytes(path, text.data, text.size, true, is_private || holds_private_key(json),
			    err);
}

bool holds_private_key(json_t *json)
{
	const char *key;
	json_t *value;
	size_t i;

	json_array_foreach(json, i, value)
		if (holds_private_key(value))
			return true;
	if (json_object_get(json, "kty") &&
	    (json_object_get(json, "d") || json_object_get(json, "k")))
		return true;
	json_object_foreach(json, key, value)
		if (holds_private_key(value))
			return true;
	return false;
}
