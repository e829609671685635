/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A fault in tangd: a library that has been updated makes a system call that the sandbox does not know, for each request in front and for
 * each exchange in the processes that hold the keys.
 */
#include "tangd/front.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <unistd.h>

/* NOLINTBEGIN(*-reserved-identifier,cert-dcl*,readability-identifier-naming): the names of the linker's --wrap */
bool __wrap_front_begin(const struct front *front, const char *method, const char *target,
			const char *body, size_t body_size, struct answer *answer,
			struct key_request *request);
bool __real_front_begin(const struct front *front, const char *method, const char *target,
			const char *body, size_t body_size, struct answer *answer,
			struct key_request *request);
void __wrap_keys_answer(const struct keys *keys, const struct key_request *request,
			struct key_reply *reply);
void __real_keys_answer(const struct keys *keys, const struct key_request *request,
			struct key_reply *reply);

/* A library takes ENOSYS for an old kernel, and goes on. */
static void make_unknown_call(void)
{
	struct utsname name;

	if (syscall(SYS_uname, &name) != -1 || errno != ENOSYS)
		abort();
}

bool __wrap_front_begin(const struct front *front, const char *method, const char *target,
			const char *body, size_t body_size, struct answer *answer,
			struct key_request *request)
{
	make_unknown_call();
	return __real_front_begin(front, method, target, body, body_size, answer, request);
}

void __wrap_keys_answer(const struct keys *keys, const struct key_request *request,
			struct key_reply *reply)
{
	make_unknown_call();
	__real_keys_answer(keys, request, reply);
}
/* NOLINTEND(*-reserved-identifier,cert-dcl*,readability-identifier-naming) */
