/* SPDX-License-Identifier: Apache-2.0 */
#include "luks/lock.h"

#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <time.h>
#include <unistd.h>

/* How often a lock that is taken is tried again, nanoseconds. */
enum { RETRY_NS = 20000000 };

static void name_folder(char path[static PATH_MAX])
{
	const char *run = secure_getenv("XDG_RUNTIME_DIR");

	if (geteuid() == 0)
		(void)snprintf(path, PATH_MAX, "/run/nbde");
	else if (run && *run == '/')
		(void)snprintf(path, PATH_MAX, "%s/nbde", run);
	else
		(void)snprintf(path, PATH_MAX, "/tmp/nbde-%u", geteuid());
}

/* The folder, which nobody else may write to: who could hold our locks could keep us waiting. */
static int open_folder(struct error *err)
{
	char path[PATH_MAX];
	struct stat st;
	int fd;

	name_folder(path);
	(void)mkdir(path, 0700);
	fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return error_set(err, -errno, "luks: no lock to be had: %s: %s", path,
				 strerror(errno));
	if (fstat(fd, &st) == 0 && st.st_uid == geteuid() && (st.st_mode & 022) == 0)
		return fd;
	(void)close(fd);
	return error_set(err, -EPERM, "luks: no lock to be had: %s is somebody else's", path);
}

/* One name a device, by whatever path it is known: the number of a block device, or the file's. */
static int name_lock(const char *path, char name[static NAME_MAX], struct error *err)
{
	struct stat st;

	if (stat(path, &st) != 0)
		return error_set(err, -errno, "luks: %s: %s", path, strerror(errno));
	if (S_ISBLK(st.st_mode))
		(void)snprintf(name, NAME_MAX, "block-%u-%u", major(st.st_rdev), minor(st.st_rdev));
	else
		(void)snprintf(name, NAME_MAX, "file-%u-%u-%llu", major(st.st_dev),
			       minor(st.st_dev), (unsigned long long)st.st_ino);
	return 0;
}

int lock_device(const char *path, struct deadline deadline, struct error *err)
{
	const struct timespec nap = {0, RETRY_NS};
	char name[NAME_MAX];
	FD_AUTO int folder = open_folder(err);
	int fd;

	if (folder < 0)
		return folder;
	if (name_lock(path, name, err) < 0)
		return err ? err->code : -EIO;
	fd = openat(folder, name, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0)
		return error_set(err, -errno, "luks: no lock to be had: %s", strerror(errno));
	while (flock(fd, LOCK_EX | LOCK_NB) != 0) {
		if (deadline_passed(deadline)) {
			(void)close(fd);
			return error_set(err, -ETIMEDOUT,
					 "luks: %s: another command is at work on it", path);
		}
		(void)nanosleep(&nap, NULL);
	}
	return fd;
}
