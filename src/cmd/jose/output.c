/* SPDX-License-Identifier: Apache-2.0 */
#include "cmd/jose/output.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { BUFFER_SIZE = 16384 };
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

static int flush(struct output *output, struct error *err)
{
	size_t size = output->filled;

	output->filled = 0;
	return fd_write_all(output->fd, output->name, output->buffer.data, size, err);
}

int output_write(struct output *output, const void *data, size_t size, struct error *err)
{
	int rc = 0;

	if (!output->buffer.data)
		rc = secret_new(&output->buffer, BUFFER_SIZE, err);
	if (rc == 0 && size > BUFFER_SIZE - output->filled)
		rc = flush(output, err);
	if (rc < 0)
		return rc;
	if (size > BUFFER_SIZE)
		return fd_write_all(output->fd, output->name, data, size, err);
	memcpy(output->buffer.data + output->filled, data, size);
	output->filled += size;
	return 0;
}

/* What Jansson's callback gets, which has no other way to say why it failed. */
struct dump {
	struct output *output;
	struct error *err;
	int rc;
};

static int dump_some(const char *text, size_t size, void *context)
{
	struct dump *dump = context;

	dump->rc = output_write(dump->output, text, size, dump->err);
	return dump->rc < 0 ? -1 : 0;
}

int output_write_json(struct output *output, const json_t *json, struct error *err)
{
	struct dump dump = {output, err, 0};

	if (json_dump_callback(json, dump_some, &dump,
			       JSON_COMPACT | JSON_SORT_KEYS | JSON_ENCODE_ANY) == 0)
		return 0;
	return dump.rc < 0 ? dump.rc : error_nomem(err);
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

/* What was written before something failed is not held back where it is seen at once. */
static int write_rest(struct output *output, int rc, struct error *err)
{
	if (rc == 0)
		rc = flush(output, err);
	else if (output->folder_fd < 0)
		(void)flush(output, NULL);
	secret_free(&output->buffer);
	return rc;
}

int output_close(struct output *output, int rc, struct error *err)
{
	rc = write_rest(output, rc, err);
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
	struct output output;
	int rc = output_open(path, is_private || holds_private_key(json), &output, err);

	if (rc < 0)
		return rc;
	rc = output_write_json(&output, json, err);
	if (rc == 0)
		rc = output_end_line(&output, err);
	return output_close(&output, rc, err);
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
