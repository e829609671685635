/* SPDX-License-Identifier: Apache-2.0 */
/* tangd: the arguments, and which way to serve. Also answers to the names tangd-keygen and tangd-rotate-keys. */
#include "base/error.h"
#include "base/file.h"
#include "base/json.h"
#include "base/log.h"
#include "base/secret.h"
#include "tangd/keygen.h"
#include "tangd/listen.h"
#include "tangd/manager.h"
#include "tangd/options.h"
#include "tangd/privileges.h"
#include "tangd/rotate.h"
#include "tangd/serve.h"
#include "tangd/supervisor.h"
#include "tangd/tls_check.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { EXIT_CANNOT_LISTEN = 255 };

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

/* Only to see whether it is there, for who we are now. */
static int check_folder(const char *path, struct error *err)
{
	struct keys *keys = NULL;
	int rc = keys_open(path, &keys, err);

	keys_free(&keys);
	return rc;
}

/* From here on nobody is root, or only the supervisor, which reads nothing of the network. */
static int leave_root(const struct privileges *privileges, const char *folder, struct error *err)
{
	int rc;

	if (privileges->is_barred)
		log_warning(
			"%s is out of reach for its owner, the user %u: one process stays root to "
			"read it; see to the folders above",
			folder, (unsigned)privileges->uid);
	else if (privileges->keeps_root)
		log_warning("%s belongs to root: one process stays root to read it; give it to a "
			    "user of its own, such as _tang: chown -R _tang: '%s'",
			    folder, folder);
	if (privileges->keeps_root)
		return 0;
	rc = privileges_drop(privileges, err);
	if (rc == 0 && privileges->is_root) {
		rc = check_folder(folder, err);
		if (rc < 0)
			error_prefix(err, "as the user %u: ", (unsigned)privileges->uid);
	}
	return rc;
}

static int open_sockets(const struct options *options, struct listening *listening,
			struct error *err)
{
	listening->count = manager_sockets(listening->fd, err);
	if (listening->count != 0)
		return listening->count < 0 ? listening->count : 0;
	return listen_open(options->address, options->addresses, options->port, listening, err);
}

/* While we may still be root: the key is often nobody else's to read. */
static int read_tls(const struct options *options, struct tls *tls, struct error *err)
{
	int rc;

	if (!options->tls_key)
		return 0;
	rc = tls_read(options->tls_certificate, options->tls_key, tls, err);
	if (rc == 0)
		rc = tls_check(tls, options->tls_certificate, options->tls_key, err);
	if (rc == 0 && (tls->key_mode & (S_IROTH | S_IWOTH)))
		log_warning("the TLS key '%s' is open to everybody (mode %04o): chmod o-rwx '%s'",
			    options->tls_key, (unsigned)tls->key_mode, options->tls_key);
	return rc;
}

static int serve_sockets(const struct options *options, struct listening *listening,
			 const struct privileges *privileges, const struct tls *tls,
			 struct error *err)
{
	const struct supervisor_options daemon = {
		.folder = options->folder,
		.endpoint = options->endpoint ? options->endpoint : "",
		.privileges = privileges,
		.tls = tls->key.data ? tls : NULL,
	};
	struct error why = {0};
	int rc = leave_root(privileges, options->folder, err);

	if (rc == 0)
		rc = supervisor_run(&daemon, listening->fd, listening->count, err);
	if (listen_remove_files(listening, &why) < 0)
		log_warning("%s; the next start replaces it", why.text);
	return rc;
}

static int serve_all(const struct options *options, struct error *err)
{
	struct privileges privileges = {0};
	struct listening listening = {0};
	struct tls tls = {0};
	int status = EXIT_FAILURE;
	int rc = check_folder(options->folder, err);

	if (rc == 0)
		rc = privileges_find(options->user, options->folder, &privileges, err);
	if (rc == 0)
		rc = read_tls(options, &tls, err);
	if (rc == 0 && open_sockets(options, &listening, err) < 0)
		status = EXIT_CANNOT_LISTEN;
	else if (rc == 0 && serve_sockets(options, &listening, &privileges, &tls, err) == 0)
		status = EXIT_SUCCESS;
	tls_free(&tls);
	return status;
}

static int serve(const struct options *options, struct error *err)
{
	return options->listen ? serve_all(options, err) : serve_one(options, err);
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
