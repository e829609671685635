/* SPDX-License-Identifier: Apache-2.0 */
/* Whether the folder of the keys has changed. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

/* How often to look where nothing tells of changes (a network file system), milliseconds. */
enum { WATCH_LOOK_MS = 1000 };

struct watch {
	const char *folder;
	int fd; /* inotify: polls readable when something happens there; -1: nothing tells */
	uint64_t fingerprint; /* of the folder when it was last noted */
};

/* An inotify descriptor on the folder, the caller's; -1 where there is none. */
int watch_open(const char *folder);

/* Begins to watch, to be ended by watch_end(); `folder` must outlive it. */
void watch_begin(struct watch *watch, const char *folder);
void watch_end(struct watch *watch);

/* Notes how the folder is now. */
void watch_note(struct watch *watch);

/* Takes what the descriptor tells, and says whether the folder differs from what was noted. */
bool watch_sees_change(struct watch *watch);
