/* SPDX-License-Identifier: Apache-2.0 */
#include "tangd/daemon.h"

#include "base/log.h"
#include "tangd/keys.h"
#include "tangd/listen.h"
#include "tangd/manager.h"
#include "tangd/privileges.h"
#include "tangd/supervisor.h"
#include "tangd/tls_check.h"

#include <stdlib.h>
#include <sys/stat.h>

struct sockets {
	struct listening clients;
	struct listening admin;
};

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

static int listen_to_clients(const struct options *options, struct listening *listening,
			     struct error *err)
{
	int rc;

	listening->count = manager_sockets(listening->fd, err);
	if (listening->count != 0)
		return listening->count < 0 ? listening->count : 0;
	rc = listen_open(options->address, options->addresses, options->port, listening, err);
	if (rc == 0)
		listen_announce(listening, "Listening on");
	return rc;
}

static int listen_to_admins(const struct options *options, struct listening *listening,
			    struct error *err)
{
	int rc = options->admin ? listen_open_admin(options->admin, listening, err) : 0;

	if (rc < 0 || !options->admin)
		return rc;
	listen_announce(listening, "Admin on");
	if (!listen_is_private(listening))
		log_warning("%s: whoever reaches that address learns how the server is",
			    options->admin);
	return 0;
}

static void remove_files(struct listening *listening)
{
	struct error why = {0};

	if (listen_remove_files(listening, &why) < 0)
		log_warning("%s; the next start replaces it", why.text);
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

static int serve(const struct options *options, const struct sockets *sockets,
		 const struct privileges *privileges, const struct tls *tls, struct error *err)
{
	const struct supervisor_options supervisor = {
		.folder = options->folder,
		.endpoint = options->endpoint ? options->endpoint : "",
		.state = options->state,
		.admin = sockets->admin.fd,
		.admins = sockets->admin.count,
		.privileges = privileges,
		.tls = tls->key.data ? tls : NULL,
		.fronts = options->fronts,
		.workers = options->workers,
	};
	int rc = leave_root(privileges, options->folder, err);

	if (rc == 0)
		rc = supervisor_run(&supervisor, sockets->clients.fd, sockets->clients.count, err);
	return rc;
}

int daemon_run(const struct options *options, struct error *err)
{
	struct privileges privileges = {0};
	struct sockets sockets = {0};
	struct tls tls = {0};
	int status = EXIT_FAILURE;
	int rc;

	manager_close_others();
	log_never_wait();
	rc = check_folder(options->folder, err);
	if (rc == 0)
		rc = privileges_find(options->user, options->folder, &privileges, err);
	if (rc == 0)
		rc = read_tls(options, &tls, err);
	if (rc == 0 && (listen_to_clients(options, &sockets.clients, err) < 0 ||
			listen_to_admins(options, &sockets.admin, err) < 0))
		status = EXIT_CANNOT_LISTEN;
	else if (rc == 0 && serve(options, &sockets, &privileges, &tls, err) == 0)
		status = EXIT_SUCCESS;
	remove_files(&sockets.clients);
	remove_files(&sockets.admin);
	tls_free(&tls);
	return status;
}
