/* SPDX-License-Identifier: Apache-2.0 */
/* Faults in jose, one for each promise on its input and output; the tests of tests/cli/jose-input.bats must notice each. */
#include "base/file.h"
#include "base/json.h"
#include "cmd/jose/input.h"
#include "cmd/jose/output.h"

#include <fcntl.h>
#include <string.h>

/* NOLINTBEGIN(*-reserved-identifier,cert-dcl*,readability-identifier-naming): the names of the linker's --wrap */
int __wrap_json_parse(const char *text, size_t size, const char *what, json_t **json,
		      struct error *err);
bool __wrap_holds_private_key(json_t *json);
ssize_t __wrap_source_read(struct source *source, void *data, size_t size, struct error *err);
int __wrap_file_draft_open(int folder_fd, const char *name, struct file_draft *draft,
			   struct error *err);
int __wrap_file_draft_publish(int folder_fd, struct file_draft *draft, enum file_write_flags flags,
			      struct error *err);
void __wrap_file_draft_drop(int folder_fd, struct file_draft *draft);
ssize_t __real_source_read(struct source *source, void *data, size_t size, struct error *err);

/* The last of two members counts, and what follows is ignored. */
int __wrap_json_parse(const char *text, size_t size, const char *what, json_t **json,
		      struct error *err)
{
	*json = json_loadb(text, size, JSON_DECODE_ANY | JSON_DISABLE_EOF_CHECK, NULL);
	return *json ? 0 : error_set(err, -EBADMSG, "%s", what);
}

/* Everybody may read a key. */
bool __wrap_holds_private_key(json_t *json)
{
	(void)json;
	return false;
}

/* A byte is lost where JSON ended. */
ssize_t __wrap_source_read(struct source *source, void *data, size_t size, struct error *err)
{
	if (source->input && source->input->start > 0 && source->input->start < source->input->end)
		source->input->start++;
	return __real_source_read(source, data, size, err);
}

/* A file is written in place. */
int __wrap_file_draft_open(int folder_fd, const char *name, struct file_draft *draft,
			   struct error *err)
{
	(void)draft;
	(void)err;
	return openat(folder_fd, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
}

int __wrap_file_draft_publish(int folder_fd, struct file_draft *draft, enum file_write_flags flags,
			      struct error *err)
{
	(void)folder_fd;
	(void)draft;
	(void)flags;
	(void)err;
	return 0;
}

void __wrap_file_draft_drop(int folder_fd, struct file_draft *draft)
{
	(void)folder_fd;
	(void)draft;
}
/* NOLINTEND(*-reserved-identifier,cert-dcl*,readability-identifier-naming) */
