/* SPDX-License-Identifier: Apache-2.0 */
#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

enum { FIRST_READ = 4096 };

void fd_close(int *fd)
{
	if (*fd >= 0)
		(void)close(*fd);
	*fd = -1;
}

void free_pointer(void *pointer_to_pointer)
{
	void **pointer = pointer_to_pointer;

	free(*pointer);
	*pointer = NULL;
}

static ssize_t read_some(int fd, void *data, size_t size)
{
	ssize_t got;

	do
		got = read(fd, data, size);
	while (got < 0 && errno == EINTR);
	return got;
}

int fd_read_secret(int fd, const char *what, size_t max, struct secret *secret, struct error *err)
{
	SECRET_AUTO struct secret buffer = {0};
	size_t filled = 0;
	ssize_t got = 0;
	int rc;

	for (;;) {
		if (filled == buffer.size) {
			size_t next = filled == 0 ? FIRST_READ : filled * 2;

			/* One byte more than allowed, so that too much is noticed. */
			rc = secret_resize(&buffer, next < max + 1 ? next : max + 1, err);
			if (rc < 0)
				return rc;
		}
		got = read_some(fd, buffer.data + filled, buffer.size - filled);
		if (got < 0)
			return error_set(err, -errno, "cannot read %s: %s", what, strerror(errno));
		if (got == 0)
			break;
		filled += (size_t)got;
		if (filled > max)
			return error_set(err, -EFBIG, "%s is larger than %zu bytes", what, max);
	}
	rc = secret_resize(&buffer, filled, err);
	if (rc == 0)
		secret_move(secret, &buffer);
	return rc;
}

int fd_read_all(int fd, const char *what, size_t max, char **data, size_t *size, struct error *err)
{
	FREE_AUTO char *buffer = NULL;
	size_t capacity = 0;
	size_t filled = 0;
	ssize_t got;

	for (;;) {
		if (filled == capacity) {
			char *grown;

			capacity = capacity == 0 ? FIRST_READ : capacity * 2;
			if (capacity > max + 1)
				capacity = max + 1;
			grown = realloc(buffer, capacity + 1);
			if (!grown)
				return error_nomem(err);
			buffer = grown;
		}
		got = read_some(fd, buffer + filled, capacity - filled);
		if (got < 0)
			return error_set(err, -errno, "cannot read %s: %s", what, strerror(errno));
		if (got == 0)
			break;
		filled += (size_t)got;
		if (filled > max)
			return error_set(err, -EFBIG, "%s is larger than %zu bytes", what, max);
	}
	buffer[filled] = '\0';
	*data = buffer;
	*size = filled;
	buffer = NULL;
	return 0;
}

int fd_read_secret_line(int fd, const char *what, size_t max, struct secret *line,
			struct error *err)
{
	SECRET_AUTO struct secret buffer = {0};
	size_t filled = 0;
	ssize_t got;
	int rc = secret_new(&buffer, max, err);

	while (rc == 0) {
		unsigned char byte;

		got = read_some(fd, &byte, 1);
		if (got < 0)
			return error_set(err, -errno, "cannot read %s: %s", what, strerror(errno));
		if (got == 0 && filled == 0)
			return error_set(err, -ENODATA, "%s is at its end", what);
		if (got == 0 || byte == '\n')
			break;
		if (filled == max)
			return error_set(err, -EFBIG, "the line on %s is longer than %zu bytes",
					 what, max);
		buffer.data[filled++] = byte;
		secret_wipe(&byte, 1);
	}
	if (rc == 0)
		rc = secret_resize(&buffer, filled, err);
	if (rc == 0)
		secret_move(line, &buffer);
	return rc;
}

void fd_take_standard(void)
{
	for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++) {
		int mode = fd == STDIN_FILENO ? O_WRONLY : O_RDONLY;

		if (fcntl(fd, F_GETFD) < 0 && open("/dev/null", mode) != fd)
			_exit(EXIT_FAILURE);
	}
}

/* Returns whether there is room again, for a descriptor that does not wait by itself. */
static bool wait_for_room(int fd)
{
	struct pollfd polled = {fd, POLLOUT, 0};

	return errno == EAGAIN && (poll(&polled, 1, -1) > 0 || errno == EINTR);
}

int fd_write_all(int fd, const char *what, const void *data, size_t size, struct error *err)
{
	const char *next = data;

	while (size > 0) {
		ssize_t written = write(fd, next, size);

		if (written < 0 && (errno == EINTR || wait_for_room(fd)))
			continue;
		if (written < 0)
			return error_set(err, -errno, "cannot write %s: %s", what, strerror(errno));
		next += written;
		size -= (size_t)written;
	}
	return 0;
}

static int open_to_read(const char *path, struct error *err)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return error_set(err, -errno, "cannot open '%s': %s", path, strerror(errno));
	return fd;
}

int file_read(const char *path, size_t max, char **data, size_t *size, struct error *err)
{
	FD_AUTO int fd = open_to_read(path, err);

	return fd < 0 ? fd : fd_read_all(fd, path, max, data, size, err);
}

int file_read_secret(const char *path, size_t max, struct secret *secret, struct error *err)
{
	FD_AUTO int fd = open_to_read(path, err);

	return fd < 0 ? fd : fd_read_secret(fd, path, max, secret, err);
}

/* Never over a file that is there. By a link, which every file system of ours has; FAT, as on sticks, has the other way. */
static int give_new_name(int folder_fd, const char *temp, const char *name)
{
	if (linkat(folder_fd, temp, folder_fd, name, 0) == 0) {
		(void)unlinkat(folder_fd, temp, 0);
		return 0;
	}
	if (errno != EPERM && errno != EOPNOTSUPP)
		return -1;
	return renameat2(folder_fd, temp, folder_fd, name, RENAME_NOREPLACE);
}

int file_draft_publish(int folder_fd, struct file_draft *draft, enum file_write_flags flags,
		       struct error *err)
{
	int failed = flags & FILE_NEW ? give_new_name(folder_fd, draft->temp, draft->name)
				      : renameat(folder_fd, draft->temp, folder_fd, draft->name);

	if (failed != 0)
		return error_set(err, -errno, "cannot create '%s': %s", draft->name,
				 strerror(errno));
	draft->temp[0] = '\0';
	return 0;
}

int file_draft_give(int folder_fd, const struct file_draft *draft, uid_t uid, gid_t gid,
		    struct error *err)
{
	FD_AUTO int fd = openat(folder_fd, draft->temp, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	struct stat st = {0};
	int code = fd < 0 || fstat(fd, &st) != 0 ? -errno : 0;

	if (code == 0 && (st.st_dev != draft->device || st.st_ino != draft->inode))
		code = -ESTALE;
	if (code == 0 && fchownat(fd, "", uid, gid, AT_EMPTY_PATH) != 0)
		code = -errno;
	return code == 0 ? 0
			 : error_set(err, code, "cannot give '%s' away: %s", draft->name,
				     strerror(-code));
}

void file_draft_drop(int folder_fd, struct file_draft *draft)
{
	if (draft->temp[0])
		(void)unlinkat(folder_fd, draft->temp, 0);
	draft->temp[0] = '\0';
}

int file_sync_folder(int folder_fd, const char *name, struct error *err)
{
	if (fsync(folder_fd) == 0)
		return 0;
	return error_set(err, -errno, "cannot sync the folder of '%s': %s", name, strerror(errno));
}

static int name_draft(const char *name, struct file_draft *draft, struct error *err)
{
	uint64_t random = 0;
	size_t length = strlen(name);

	if (length >= sizeof(draft->name))
		return error_set(err, -ENAMETOOLONG, "the file name '%s' is too long", name);
	if (getrandom(&random, sizeof(random), 0) != (ssize_t)sizeof(random))
		return error_set(err, -EIO, "no random numbers to be had: %s", strerror(errno));
	memcpy(draft->name, name, length + 1);
	(void)snprintf(draft->temp, sizeof(draft->temp), ".%s.%016llx", draft->name,
		       (unsigned long long)random);
	return 0;
}

int file_draft_open(int folder_fd, const char *name, struct file_draft *draft, struct error *err)
{
	struct file_draft made = {0};
	struct stat st;
	int rc = name_draft(name, &made, err);
	int fd;

	if (rc < 0)
		return rc;
	fd = openat(folder_fd, made.temp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW,
		    0600);
	if (fd < 0)
		return error_set(err, -errno, "cannot create '%s': %s", name, strerror(errno));
	if (fstat(fd, &st) != 0) {
		rc = error_set(err, -errno, "cannot look at '%s': %s", name, strerror(errno));
		file_draft_drop(folder_fd, &made);
		(void)close(fd);
		return rc;
	}
	made.device = st.st_dev;
	made.inode = st.st_ino;
	*draft = made;
	return fd;
}

int file_draft_finish(int fd, const struct file_draft *draft, mode_t mode, struct error *err)
{
	if (fchmod(fd, mode) != 0 || fsync(fd) != 0)
		return error_set(err, -errno, "cannot write '%s': %s", draft->name,
				 strerror(errno));
	return 0;
}

int file_draft_write(int folder_fd, const char *name, mode_t mode, const void *data, size_t size,
		     struct file_draft *draft, struct error *err)
{
	struct file_draft made = {0};
	FD_AUTO int fd = file_draft_open(folder_fd, name, &made, err);
	int rc = fd < 0 ? fd : fd_write_all(fd, name, data, size, err);

	if (rc == 0)
		rc = file_draft_finish(fd, &made, mode, err);
	if (rc < 0)
		file_draft_drop(folder_fd, &made);
	else
		*draft = made;
	return rc;
}

int file_write_atomic(int folder_fd, const char *name, mode_t mode, enum file_write_flags flags,
		      const void *data, size_t size, struct error *err)
{
	struct file_draft draft = {0};
	int rc = file_draft_write(folder_fd, name, mode, data, size, &draft, err);

	if (rc < 0)
		return rc;
	rc = file_draft_publish(folder_fd, &draft, flags, err);
	if (rc < 0) {
		file_draft_drop(folder_fd, &draft);
		return rc;
	}
	rc = file_sync_folder(folder_fd, name, err);
	if (rc < 0 && flags & FILE_NEW)
		(void)unlinkat(folder_fd, name, 0);
	return rc;
}
