/* SPDX-License-Identifier: Apache-2.0 */
/* The LUKS devices of this machine that wait to be opened, as the kernel lists them. */
#include "base/file.h"
#include "luks/luks.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Of both versions' headers: the magic at 0, the UUID as text at 168. */
enum { MAGIC_SIZE = 6, UUID_AT = 168, UUID_SIZE = 40, HEAD_SIZE = UUID_AT + UUID_SIZE };

static const unsigned char magic[MAGIC_SIZE] = {'L', 'U', 'K', 'S', 0xba, 0xbe};

/* What the kernel calls the UUID of a mapped device: CRYPT-LUKS2-(32 digits)-NAME. */
enum { DM_UUID_MAX = 160, DIGITS = 32 };

struct finding {
	const char *sysfs;
	const char *dev;
	struct dirent **names; /* of block devices */
	int count;
};

void luks_paths_free(struct luks_paths *paths)
{
	for (size_t i = 0; i < paths->count; i++)
		free(paths->path[i]);
	free(paths->path);
	*paths = (struct luks_paths){0};
}

static void finding_free(struct finding *finding)
{
	for (int i = 0; i < finding->count; i++)
		free(finding->names[i]);
	free(finding->names);
}

static int is_name(const struct dirent *entry)
{
	return entry->d_name[0] != '.';
}

/* Opens what stands below a device's folder; -1 when it is not there. */
static int open_attribute(const struct finding *finding, const char *name, const char *attribute,
			  int flags)
{
	char path[PATH_MAX];
	int printed = snprintf(path, sizeof(path), "%s/class/block/%s/%s", finding->sysfs, name,
			       attribute);

	return printed < (int)sizeof(path) ? open(path, flags | O_RDONLY | O_CLOEXEC) : -1;
}

static bool has_holder(const struct finding *finding, const char *name)
{
	int fd = open_attribute(finding, name, "holders", O_DIRECTORY);
	DIR *folder = fd >= 0 ? fdopendir(fd) : NULL;
	const struct dirent *entry = NULL;

	if (!folder) {
		fd_close(&fd);
		return false;
	}
	do
		entry = readdir(folder);
	while (entry && !is_name(entry));
	(void)closedir(folder);
	return entry != NULL;
}

/* The digits of a UUID, as the kernel's name of a mapped device has them. */
static void only_digits(const char *uuid, char digits[static DIGITS + 1])
{
	size_t count = 0;

	for (; *uuid && count < DIGITS; uuid++)
		if (*uuid != '-')
			digits[count++] = *uuid;
	digits[count] = '\0';
}

/* Whether the device `name` is what a LUKS device with these digits was mapped to. */
static bool is_mapped_from(const struct finding *finding, const char *name, const char *digits)
{
	static const char prefix[] = "CRYPT-LUKS";
	char text[DM_UUID_MAX] = "";
	FD_AUTO int fd = open_attribute(finding, name, "dm/uuid", 0);
	const char *dash;

	if (fd < 0 || read(fd, text, sizeof(text) - 1) <= 0 ||
	    strncmp(text, prefix, strlen(prefix)) != 0)
		return false;
	dash = strchr(text + strlen(prefix), '-');
	return dash && strlen(digits) == DIGITS && strncmp(dash + 1, digits, DIGITS) == 0;
}

static bool is_mapped(const struct finding *finding, const char *uuid)
{
	char digits[DIGITS + 1];

	only_digits(uuid, digits);
	for (int i = 0; i < finding->count; i++)
		if (is_mapped_from(finding, finding->names[i]->d_name, digits))
			return true;
	return false;
}

/* The device's node; in the kernel's names '!' stands for '/'. */
static int make_path(const struct finding *finding, const char *name, char **path,
		     struct error *err)
{
	if (asprintf(path, "%s/%s", finding->dev, name) < 0) {
		*path = NULL;
		return error_nomem(err);
	}
	for (char *c = *path + strlen(finding->dev); *c; c++)
		if (*c == '!')
			*c = '/';
	return 0;
}

/* Returns 1 with the header's UUID when it holds LUKS, 0 when not: a drive without a medium, too, holds none. */
static int read_uuid(const char *path, char uuid[static UUID_SIZE + 1], struct error *err)
{
	char head[HEAD_SIZE];
	FD_AUTO int fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);

	if (fd < 0 && (errno == EACCES || errno == EPERM))
		return error_set(err, -EACCES, "luks: %s cannot be read: %s", path,
				 strerror(errno));
	if (fd < 0 || read(fd, head, sizeof(head)) != (ssize_t)sizeof(head) ||
	    memcmp(head, magic, sizeof(magic)) != 0)
		return 0;
	memcpy(uuid, head + UUID_AT, UUID_SIZE);
	uuid[UUID_SIZE] = '\0';
	return 1;
}

static int add_if_locked(const struct finding *finding, const char *name, struct luks_paths *paths,
			 struct error *err)
{
	FREE_AUTO char *path = NULL;
	char uuid[UUID_SIZE + 1] = "";
	int rc;

	if (has_holder(finding, name))
		return 0;
	rc = make_path(finding, name, &path, err);
	if (rc == 0)
		rc = read_uuid(path, uuid, err);
	if (rc == -EACCES)
		return 0;
	if (rc <= 0 || is_mapped(finding, uuid))
		return rc < 0 ? rc : 0;
	paths->path[paths->count++] = path;
	path = NULL;
	return 0;
}

int luks_find_locked(const char *sysfs, const char *dev, struct luks_paths *paths,
		     struct error *err)
{
	__attribute__((cleanup(finding_free))) struct finding finding = {.sysfs = sysfs,
									 .dev = dev};
	struct luks_paths found = {0};
	struct error why = {0};
	char folder[PATH_MAX];
	int rc = 0;
	int count;

	(void)snprintf(folder, sizeof(folder), "%s/class/block", sysfs);
	count = scandir(folder, &finding.names, is_name, versionsort);
	if (count < 0)
		return error_set(err, -errno, "luks: no list of block devices: %s: %s", folder,
				 strerror(errno));
	finding.count = count;
	found.path = calloc((size_t)count + 1, sizeof(*found.path));
	if (!found.path)
		return error_nomem(err);
	for (int i = 0; rc == 0 && i < count; i++)
		rc = add_if_locked(&finding, finding.names[i]->d_name, &found, &why);
	if (why.code < 0)
		(void)error_set(err, why.code, "%s", why.text);
	/* What cannot be read may not be ours to open; but then there must be something that is. */
	if (rc == 0 && found.count == 0)
		rc = why.code;
	if (rc < 0)
		luks_paths_free(&found);
	else
		*paths = found;
	return rc;
}
