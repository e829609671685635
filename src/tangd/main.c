/* SPDX-License-Identifier: Apache-2.0 */
/* tangd: the arguments, and which way to serve. Also answers to the names tangd-keygen and tangd-rotate-keys. */
#include "base/error.h"
#include "base/file.h"
#include "base/json.h"
#include "base/log.h"
#include "base/secret.h"
#include "tangd/daemon.h"
#include "tangd/keygen.h"
#include "tangd/options.h"
#include "tangd/rotate.h"
#include "tangd/serve.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int refresh(void *keys, const struct public_keys **public_keys, struct error *err)
{
	return keys_refresh(keys, public_keys, err);
}

static void exchange(void *keys, const struct key_request *request, struct key_reply *reply)
{
	keys_answer(keys, request, reply);
}

/* One connection: the keys are read by this process. */
static int serve_one(const struct options *options, struct error *err)
{
	struct keys *keys = NULL;
	struct front front = {.endpoint = options->endpoint ? options->endpoint : "",
			      .refresh = refresh,
			      .exchange = exchange};
	int rc = keys_open(options->folder, &keys, err);

	front.keys = keys;
	if (rc == 0)
		rc = serve_stdio(&front, err);
	keys_free(&keys);
	return rc == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

static int serve(const struct options *options, struct error *err)
{
	return options->listen ? daemon_run(options, err) : serve_one(options, err);
}

/* Programs that this one is, too, under their names. */
static const struct other {
	const char *name;
	int (*main)(int argc, char *argv[]);
} others[] = {
	{"tangd-keygen", keygen_main},
	{"tangd-rotate-keys", rotate_main},
};

static const struct other *called_as(const char *path)
{
	const char *slash = strrchr(path, '/');

	for (size_t i = 0; i < sizeof(others) / sizeof(*others); i++) {
		if (strcmp(slash ? slash + 1 : path, others[i].name) == 0)
			return &others[i];
	}
	return NULL;
}

int main(int argc, char *argv[])
{
	struct options options;
	struct error err = {0};
	const struct other *other = argc > 0 ? called_as(argv[0]) : NULL;
	int status = EXIT_SUCCESS;
	int rc;

	fd_take_standard();
	log_open(other ? other->name : "tangd");
	json_wipe_on_free();
	/* While there are random numbers: where the doors are closed, the library would take the time, which a client can guess. */
	json_object_seed(0);
	if (secret_harden_process(&err) < 0)
		log_warning("%s", err.text);
	if (other)
		return other->main(argc, argv);
	rc = options_read(argc, argv, &options);
	if (rc == 0) {
		err = (struct error){0};
		status = serve(&options, &err);
		if (err.code < 0)
			log_error("%s", err.text);
	} else if (rc < 0) {
		status = EXIT_FAILURE;
	}
	options_free(&options);
	return status;
}
