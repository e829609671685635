/* SPDX-License-Identifier: Apache-2.0 */
/* A fault in tangd: the front, which reads the network, has read the folder of the keys and kept them. */
#include "tangd/front_process.h"
#include "tangd/keys.h"
#include "tangd/supervisor.h"

#include <stdlib.h>

static const char *folder;
static struct keys *kept;

/* NOLINTBEGIN(*-reserved-identifier,cert-dcl*,readability-identifier-naming): the names of the linker's --wrap */
int __wrap_supervisor_run(const struct supervisor_options *options, const int *fds, int count,
			  struct error *err);
int __real_supervisor_run(const struct supervisor_options *options, const int *fds, int count,
			  struct error *err);
int __wrap_front_process_run(const struct front_process *process);
int __real_front_process_run(const struct front_process *process);

int __wrap_supervisor_run(const struct supervisor_options *options, const int *fds, int count,
			  struct error *err)
{
	folder = options->folder;
	return __real_supervisor_run(options, fds, count, err);
}

int __wrap_front_process_run(const struct front_process *process)
{
	const struct public_keys *side;

	if (keys_open(folder, &kept, NULL) < 0 || keys_refresh(kept, &side, NULL) < 0)
		abort();
	return __real_front_process_run(process);
}
/* NOLINTEND(*-reserved-identifier,cert-dcl*,readability-identifier-naming) */
