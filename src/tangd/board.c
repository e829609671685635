/* SPDX-License-Identifier: Apache-2.0 */
#include "tangd/board.h"

#include <poll.h>
#include <stddef.h>
#include <string.h>

enum { READINGS_MAX = 100 };

static size_t size_of(const struct report *report)
{
	size_t keys = report->keys < TANG_KEY_FILES_MAX ? report->keys : TANG_KEY_FILES_MAX;

	return offsetof(struct report, key) + keys * sizeof(report->key[0]);
}

void board_write(struct board *board, const struct report *report)
{
	uint32_t edition = atomic_load(&board->edition);

	atomic_store(&board->edition, edition + 1);
	atomic_thread_fence(memory_order_seq_cst);
	memcpy(&board->report, report, size_of(report));
	atomic_thread_fence(memory_order_seq_cst);
	atomic_store(&board->edition, edition + 2);
}

bool board_read(const struct board *board, struct report *report)
{
	for (int i = 0; i < READINGS_MAX; i++) {
		uint32_t before = atomic_load(&board->edition);

		atomic_thread_fence(memory_order_seq_cst);
		memcpy(report, &board->report, sizeof(*report));
		atomic_thread_fence(memory_order_seq_cst);
		if (before % 2 == 0 && atomic_load(&board->edition) == before)
			return report->keys <= TANG_KEY_FILES_MAX;
		(void)poll(NULL, 0, 1);
	}
	return false;
}
