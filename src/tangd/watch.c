/* SPDX-License-Identifier: Apache-2.0 */
#include "tangd/watch.h"

#include "base/file.h"
#include "tang/folder.h"
#include "tangd/keys.h"

#include <sys/inotify.h>
#include <unistd.h>

int watch_open(const char *folder)
{
	const unsigned events = IN_CREATE | IN_MOVED_FROM | IN_MOVED_TO | IN_DELETE |
				IN_CLOSE_WRITE | IN_ATTRIB;
	int fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);

	if (fd >= 0 && inotify_add_watch(fd, folder, events) < 0)
		fd_close(&fd);
	return fd;
}

static uint64_t look(const struct watch *watch)
{
	FD_AUTO int fd = tang_folder_open(watch->folder, NULL);
	uint64_t fingerprint = 0;

	if (fd >= 0)
		(void)keys_fingerprint(fd, watch->folder, &fingerprint, NULL);
	return fingerprint;
}

void watch_begin(struct watch *watch, const char *folder)
{
	*watch = (struct watch){.folder = folder, .fd = watch_open(folder)};
}

void watch_end(struct watch *watch)
{
	fd_close(&watch->fd);
}

void watch_note(struct watch *watch)
{
	watch->fingerprint = look(watch);
}

bool watch_sees_change(struct watch *watch)
{
	char events[4096];

	while (watch->fd >= 0 && read(watch->fd, events, sizeof(events)) > 0)
		;
	if (look(watch) == watch->fingerprint)
		return false;
	/* Where the folder itself is a link, or was replaced, the watch is of what it was. */
	fd_close(&watch->fd);
	watch->fd = watch_open(watch->folder);
	return true;
}
