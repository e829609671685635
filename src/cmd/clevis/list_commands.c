/* SPDX-License-Identifier: Apache-2.0 */
/* The list of commands: ours, and every clevis-… on PATH that says in a line what it does. */
#include "base/program.h"
#include "cmd/clevis/commands.h"

#include <dirent.h>
#include <stdlib.h>
#include <string.h>

enum { OTHERS_MAX = 64, NAME_MAX_BYTES = 128, SUMMARY_MAX = 512, SUMMARY_MS = 2000 };

struct others {
	size_t count;
	char name[OTHERS_MAX][NAME_MAX_BYTES];
};

static void print_command(FILE *out, const char *name, const char *summary)
{
	(void)fprintf(out, "  clevis %-16s %s\n", name, summary);
}

/* What the program answers to --summary: one line; anything else means that it is no command for people. */
static void print_other(FILE *out, const char *name, bool *headed)
{
	SECRET_AUTO struct secret nothing = {0};
	SECRET_AUTO struct secret said = {0};
	char path[PROGRAM_PATH_MAX];
	char program[NAME_MAX_BYTES + 8];
	char line[SUMMARY_MAX + 1];
	const char *const argv[] = {program, "--summary", NULL};
	size_t length;

	(void)snprintf(program, sizeof(program), "clevis-%s", name);
	if (!program_find(program, path) ||
	    program_run(path, argv, PROGRAM_STDERR_NOWHERE, &nothing, SUMMARY_MAX,
			deadline_in_ms(SUMMARY_MS), &said, NULL) < 0)
		return;
	length = said.size;
	if (length > 0 && said.data[length - 1] == '\n')
		length--;
	if (length == 0 || memchr(said.data, '\n', length))
		return;
	memcpy(line, said.data, length);
	line[length] = '\0';
	error_sanitise(line);
	if (!*headed)
		(void)fprintf(out, "\nOther programs on PATH:\n\n");
	*headed = true;
	print_command(out, name, line);
}

static int by_name(const void *a, const void *b)
{
	return strcmp(a, b);
}

static void add_other(struct others *others, const char *name)
{
	/* Those that open are called by us, not by people. */
	if (command_find(name) || strncmp(name, "decrypt-", strlen("decrypt-")) == 0 ||
	    strlen(name) >= NAME_MAX_BYTES || others->count == OTHERS_MAX)
		return;
	for (size_t i = 0; i < others->count; i++)
		if (strcmp(others->name[i], name) == 0)
			return;
	(void)snprintf(others->name[others->count++], NAME_MAX_BYTES, "%s", name);
}

static void find_others_in(const char *folder, struct others *others)
{
	DIR *dir = opendir(folder);
	const struct dirent *entry;

	while (dir && (entry = readdir(dir)))
		if (strncmp(entry->d_name, "clevis-", 7) == 0 && entry->d_name[7])
			add_other(others, entry->d_name + 7);
	if (dir)
		(void)closedir(dir);
}

static void find_others(struct others *others)
{
	const char *folders = getenv("PATH");

	while (folders && *folders) {
		char folder[PROGRAM_PATH_MAX];
		int length = (int)strcspn(folders, ":");

		(void)snprintf(folder, sizeof(folder), "%.*s", length, folders);
		find_others_in(folder, others);
		folders += length;
		folders += *folders == ':';
	}
	qsort(others->name, others->count, sizeof(others->name[0]), by_name);
}

void command_print_all(FILE *out)
{
	struct others others = {0};
	bool headed = false;

	for (const struct command *command = commands; command->name; command++)
		if (command->summary)
			print_command(out, command->name, command->summary);
	find_others(&others);
	for (size_t i = 0; i < others.count; i++)
		print_other(out, others.name[i], &headed);
}
