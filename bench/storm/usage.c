/* SPDX-License-Identifier: Apache-2.0 */
#include "usage.h"

#include "base/deadline.h"
#include "base/file.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { FILE_MAX = 64 * 1024, SETTLE_MS = 2000, SETTLE_STEP_MS = 20 };

/* Fields of /proc/PID/stat, counted from the one behind the name (proc(5)). */
enum { STAT_STATE, STAT_PARENT, STAT_UTIME = 11, STAT_CSTIME = 14, STAT_FIELDS };

struct process {
	pid_t pid;
	pid_t parent;
	int64_t ticks;
	bool counts;
};

struct processes {
	size_t count;
	size_t room;
	struct process *process;
};

/* A file of /proc/PID; NULL where the process is gone, or not ours to read. */
static char *read_of(pid_t pid, const char *name)
{
	char path[64];
	char *text = NULL;
	size_t size;

	(void)snprintf(path, sizeof(path), "/proc/%d/%s", pid, name);
	return file_read(path, FILE_MAX, &text, &size, NULL) == 0 ? text : NULL;
}

static bool read_stat(pid_t pid, struct process *process)
{
	FREE_AUTO char *text = read_of(pid, "stat");
	char *field = text ? strrchr(text, ')') : NULL; /* the name may hold anything */

	*process = (struct process){.pid = pid};
	if (!field || !field[1])
		return false;
	field += 2;
	for (int i = STAT_STATE; i < STAT_FIELDS && field; i++) {
		if (i == STAT_PARENT)
			process->parent = (pid_t)strtol(field, NULL, 10);
		if (i >= STAT_UTIME)
			process->ticks += strtoll(field, NULL, 10);
		field = strchr(field, ' ');
		field = field ? field + 1 : NULL;
	}
	return true;
}

static int add(struct processes *all, const struct process *process)
{
	if (all->count == all->room) {
		size_t room = all->room > 0 ? all->room * 2 : 1024;
		struct process *grown = realloc(all->process, room * sizeof(*grown));

		if (!grown)
			return -ENOMEM;
		all->process = grown;
		all->room = room;
	}
	all->process[all->count++] = *process;
	return 0;
}

static int list_processes(struct processes *all, struct error *err)
{
	DIR *folder = opendir("/proc");
	const struct dirent *entry;
	int rc = 0;

	if (!folder)
		return error_set(err, -errno, "/proc: %s", strerror(errno));
	while (rc == 0 && (entry = readdir(folder))) {
		struct process process;

		if (isdigit((unsigned char)*entry->d_name) &&
		    read_stat((pid_t)strtol(entry->d_name, NULL, 10), &process))
			rc = add(all, &process);
	}
	(void)closedir(folder);
	return rc < 0 ? error_nomem(err) : 0;
}

static const struct process *find(const struct processes *all, pid_t pid)
{
	for (size_t i = 0; i < all->count; i++)
		if (all->process[i].pid == pid)
			return &all->process[i];
	return NULL;
}

/* Marks the tree below `root`: once around for each of its floors. */
static void mark(struct processes *all, pid_t root)
{
	bool found = true;

	while (found) {
		found = false;
		for (size_t i = 0; i < all->count; i++) {
			struct process *process = &all->process[i];
			const struct process *parent;

			if (process->counts)
				continue;
			parent = process->pid == root ? NULL : find(all, process->parent);
			process->counts = process->pid == root || (parent && parent->counts);
			found = found || process->counts;
		}
	}
}

static int64_t number_after(const char *text, const char *name)
{
	const char *found = text ? strstr(text, name) : NULL;

	return found ? strtoll(found + strlen(name), NULL, 10) : -1;
}

static void add_memory(pid_t pid, struct usage *usage)
{
	FREE_AUTO char *exact = read_of(pid, "smaps_rollup");
	FREE_AUTO char *rough = NULL;
	int64_t kb = number_after(exact, "\nPss:");

	if (kb < 0) {
		rough = read_of(pid, "status");
		kb = number_after(rough, "\nVmRSS:");
		usage->is_resident = usage->is_resident || kb >= 0;
	}
	usage->memory_kb += kb > 0 ? kb : 0;
}

int usage_of(pid_t root, struct usage *usage, struct error *err)
{
	struct processes all = {0};
	int rc = list_processes(&all, err);

	*usage = (struct usage){0};
	if (rc == 0)
		mark(&all, root);
	for (size_t i = 0; rc == 0 && i < all.count; i++) {
		if (!all.process[i].counts)
			continue;
		usage->processes++;
		usage->cpu_ms += all.process[i].ticks * 1000 / sysconf(_SC_CLK_TCK);
		add_memory(all.process[i].pid, usage);
	}
	free(all.process);
	if (rc == 0 && usage->processes == 0)
		rc = error_set(err, -ESRCH, "no process %d", root);
	return rc;
}

int usage_settled(pid_t root, const struct usage *before, struct usage *usage, struct error *err)
{
	struct deadline deadline = deadline_in_ms(SETTLE_MS);
	int rc;

	do {
		(void)poll(NULL, 0, SETTLE_STEP_MS);
		rc = usage_of(root, usage, err);
	} while (rc == 0 && usage->processes > before->processes && !deadline_passed(deadline));
	return rc;
}
