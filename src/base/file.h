/* SPDX-License-Identifier: Apache-2.0 */
/* Files and descriptors: reads with a bound, writes that are whole or not there. */
#pragma once

#include "base/error.h"
#include "base/secret.h"

#include <stddef.h>
#include <sys/types.h>

/* Closes a descriptor at the end of its scope; -1 is none. */
#define FD_AUTO __attribute__((cleanup(fd_close)))
void fd_close(int *fd);

/* Frees what malloc() gave at the end of its scope. */
#define FREE_AUTO __attribute__((cleanup(free_pointer)))
void free_pointer(void *pointer_to_pointer);

/*
 * Makes sure that descriptors 0 to 2 are taken, to be called first in main(): what we open would else get such a number, and what
 * is written to standard output would go there. Those that are closed stay of no use: writing to them fails.
 */
void fd_take_standard(void);

/*
 * Reads `fd` to its end, with read(2) alone. On success `*data` (malloc'd, the caller's; a NUL stands behind the end) and
 * `*size` (bytes, the NUL not counted). `what` names the source in messages.
 * Returns 0; -EFBIG when there are more than `max` bytes, -EIO and others of read(2), -ENOMEM, with `err` filled.
 */
int fd_read_all(int fd, const char *what, size_t max, char **data, size_t *size, struct error *err);

/* The same into a secret. */
int fd_read_secret(int fd, const char *what, size_t max, struct secret *secret, struct error *err);

/*
 * Reads one line of at most `max` bytes from `fd`, byte for byte, so that what follows is left for the next reader. The
 * newline is taken and not kept; the end of the input ends the line too.
 * Returns 0; -ENODATA at once at the end of the input; -EFBIG, -errno, with `err` filled.
 */
int fd_read_secret_line(int fd, const char *what, size_t max, struct secret *line,
			struct error *err);

/* Writes all `size` bytes, waiting where the descriptor does not. Returns 0, or -errno with `err` filled (EPIPE too: ignore SIGPIPE). */
int fd_write_all(int fd, const char *what, const void *data, size_t size, struct error *err);

/* fd_read_all() of the file at `path`, which must be readable. -ENOENT where there is none. */
int file_read(const char *path, size_t max, char **data, size_t *size, struct error *err);

/* fd_read_secret() of the file at `path`. */
int file_read_secret(const char *path, size_t max, struct secret *secret, struct error *err);

enum file_write_flags {
	FILE_REPLACE = 0, /* an existing file gives way */
	FILE_NEW = 1,	  /* an existing file is an error: -EEXIST */
};

/* A file that is written and synced, under a name that nobody looks for: it gets its own later, or goes. Zero-initialise it. */
enum { FILE_NAME_SIZE = 256, FILE_DRAFT_SIZE = FILE_NAME_SIZE + 32 };

struct file_draft {
	char name[FILE_NAME_SIZE]; /* the one it is to have */
	char temp
		[FILE_DRAFT_SIZE]; /* the one it has, beginning with a dot; "" once it has its own, or is gone */
	dev_t device;		   /* which file it is, whoever may give its name to another … */
	ino_t inode;
};

/*
 * Opens an empty draft of the file `name` (without slash) in the folder, for what comes bit by bit: to be written to, finished (its `mode`,
 * exact, and a sync), closed, and then published or dropped. Returns a descriptor, or -errno with `err` filled and nothing left behind.
 */
int file_draft_open(int folder_fd, const char *name, struct file_draft *draft, struct error *err);
int file_draft_finish(int fd, const struct file_draft *draft, mode_t mode, struct error *err);

/*
 * Writes a draft of the file `name` (without slash) into the folder, with `mode` (exact, the umask does not count), and syncs it.
 * On success `draft` is to be given to file_draft_publish() or file_draft_drop(). Returns 0, or -errno with `err` filled and
 * nothing left behind.
 */
int file_draft_write(int folder_fd, const char *name, mode_t mode, const void *data, size_t size,
		     struct file_draft *draft, struct error *err);

/*
 * Gives the draft its name. That lasts only once the folder is synced: file_sync_folder(). Returns 0; -EEXIST and others with
 * `err` filled and the draft as it was.
 */
int file_draft_publish(int folder_fd, struct file_draft *draft, enum file_write_flags flags,
		       struct error *err);

/*
 * Gives the draft, which has not got its name yet, to another owner; no other file, should one have taken its place, as may happen in a
 * folder of somebody else. Returns 0, or -errno with `err` filled (-ESTALE for another file).
 */
int file_draft_give(int folder_fd, const struct file_draft *draft, uid_t uid, gid_t gid,
		    struct error *err);

/* Removes a draft that has not got its name. One that has, or was never written, is accepted. */
void file_draft_drop(int folder_fd, struct file_draft *draft);

/* Syncs a folder, in which the file `name` (for the message) has changed. Returns 0, or -errno with `err` filled. */
int file_sync_folder(int folder_fd, const char *name, struct error *err);

/*
 * Writes a file that is there whole or not at all, also after a power cut: a temporary file beside it with `mode` (exact,
 * the umask does not count), fsync, rename (or link, for FILE_NEW), fsync of the folder. On failure nothing is left behind.
 * `folder_fd` is the folder, `name` a name in it without slash. Returns 0, or -errno with `err` filled; when the last
 * step fails, the folder's fsync, an existing file has been replaced all the same.
 */
int file_write_atomic(int folder_fd, const char *name, mode_t mode, enum file_write_flags flags,
		      const void *data, size_t size, struct error *err);
