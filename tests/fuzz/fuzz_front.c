/* SPDX-License-Identifier: Apache-2.0 */
/* The server's answers: the input is a method, a target and a body, a line each for the first two. */
#include "fuzz.h"

#include "jose/jose.h"
#include "tangd/front.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static char advertisement[] = "{}";

/* One exchange key and one signing key, named by letters instead of thumbprints. */
static int refresh(void *keys, const struct public_keys **public_keys, struct error *err)
{
	static struct public_key key[2] = {
		{.thumbprint = {"E"}, .is_exchange = true, .curve = JOSE_P256},
		{.thumbprint = {"S"}, .advertisement = advertisement},
	};
	static const struct public_keys all = {2, key, advertisement};

	(void)keys;
	(void)err;
	*public_keys = &all;
	return 0;
}

static void exchange(void *keys, const struct key_request *request, struct key_reply *reply)
{
	(void)keys;
	FUZZ_CHECK(request->key == 0 && jose_point_check(&request->x, NULL) == 0);
	*reply = (struct key_reply){.version = MESSAGE_VERSION, .y = request->x};
	reply->status = request->x.curve == JOSE_P256 ? 0 : -EINVAL;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct front front = {"", refresh, exchange, NULL};
	struct answer answer;
	char *text = malloc(size + 1);
	char *target;
	char *body;

	if (!text)
		return 0;
	memcpy(text, data, size);
	text[size] = '\0';
	target = memchr(text, '\n', size);
	body = target ? memchr(target + 1, '\n', size - (size_t)(target + 1 - text)) : NULL;
	if (body) {
		*target++ = '\0';
		*body++ = '\0';
		front_answer(&front, text, target, body, size - (size_t)(body - text), &answer);
		FUZZ_CHECK(answer.status >= 200 && answer.status < 600);
		FUZZ_CHECK((answer.status == 200) == (answer.body != NULL));
		free(answer.body);
	}
	free(text);
	return 0;
}
