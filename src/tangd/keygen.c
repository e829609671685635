/* SPDX-License-Identifier: Apache-2.0 */
#include "tangd/keygen.h"

#include "base/file.h"
#include "base/json.h"
#include "base/log.h"
#include "jose/jwk.h"
#include "jose/thumbprint.h"

#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { KEY_MODE = 0440, KEY_NAME_MAX = 256 };

/* The server's user and group: `_tang` on Debian, `tang` elsewhere. */
static const char *const server_users[] = {"_tang", "tang"};

static int make_file_name(const json_t *jwk, const char *wanted, char name[static KEY_NAME_MAX],
			  struct error *err)
{
	char thumbprint[JOSE_THUMBPRINT_MAX];
	int length;
	int rc;

	if (!wanted) {
		rc = jose_thumbprint(jwk, JOSE_S256, thumbprint, err);
		if (rc < 0)
			return rc;
		wanted = thumbprint;
	}
	if (!*wanted || strchr(wanted, '/') || wanted[0] == '.')
		return error_set(err, -EINVAL, "'%s' cannot be the name of an advertised key",
				 wanted);
	length = snprintf(name, KEY_NAME_MAX, "%s.jwk", wanted);
	if (length < 0 || length >= KEY_NAME_MAX)
		return error_set(err, -ENAMETOOLONG, "the key name '%s' is too long", wanted);
	return 0;
}

static int write_key(int folder_fd, const char *alg, const char *wanted,
		     char name[static KEY_NAME_MAX], struct error *err)
{
	JSON_AUTO json_t *jwk_template = json_pack("{s:s}", "alg", alg);
	JSON_AUTO json_t *jwk = NULL;
	SECRET_AUTO struct secret text = {0};
	int rc;

	if (!jwk_template)
		return error_nomem(err);
	rc = jose_jwk_generate(jwk_template, &jwk, err);
	if (rc == 0)
		rc = make_file_name(jwk, wanted, name, err);
	if (rc == 0)
		rc = json_dump_secret(jwk, &text, err);
	if (rc == 0)
		rc = file_write_atomic(folder_fd, name, KEY_MODE, FILE_NEW, text.data, text.size,
				       err);
	return rc;
}

static const struct passwd *server_user(void)
{
	const struct passwd *user = NULL;

	for (size_t i = 0; !user && i < sizeof(server_users) / sizeof(*server_users); i++)
		user = getpwnam(server_users[i]);
	return user;
}

/* Files that root made belong to the folder's owner or, where that is root, to the server's user: it must read them. */
static int own_as_folder(int folder_fd, uid_t *uid, gid_t *gid)
{
	const struct passwd *user;
	struct stat st;

	if (fstat(folder_fd, &st) != 0)
		return -errno;
	*uid = st.st_uid;
	*gid = st.st_gid;
	user = st.st_uid == 0 ? server_user() : NULL;
	if (user) {
		*uid = user->pw_uid;
		*gid = user->pw_gid;
	}
	return 0;
}

static void give_to_server(int folder_fd, const char *name)
{
	uid_t uid = 0;
	gid_t gid = 0;

	if (own_as_folder(folder_fd, &uid, &gid) < 0 ||
	    fchownat(folder_fd, name, uid, gid, AT_SYMLINK_NOFOLLOW) != 0)
		log_warning("cannot give '%s' to the server's user: %s", name, strerror(errno));
}

int keygen_pair(int folder_fd, const char *signing_name, const char *exchange_name,
		struct error *err)
{
	char signing[KEY_NAME_MAX];
	char exchange[KEY_NAME_MAX];
	int rc = write_key(folder_fd, "ES512", signing_name, signing, err);

	if (rc < 0)
		return rc;
	rc = write_key(folder_fd, "ECMR", exchange_name, exchange, err);
	if (rc < 0) {
		(void)unlinkat(folder_fd, signing, 0);
		return rc;
	}
	give_to_server(folder_fd, signing);
	give_to_server(folder_fd, exchange);
	return 0;
}

static int usage(void)
{
	(void)fprintf(stderr,
		      "Usage: tangd-keygen DIR [SIG EXC]\n\n"
		      "Makes a pair of Tang keys in the folder DIR: SIG.jwk for signing and\n"
		      "EXC.jwk for the exchange; without names, they are the keys' thumbprints.\n");
	return EXIT_FAILURE;
}

static int generate_in(const char *path, const char *signing, const char *exchange)
{
	FD_AUTO int folder_fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct error err = {0};

	if (folder_fd < 0) {
		log_error("cannot open the folder '%s': %s", path, strerror(errno));
		return usage();
	}
	if (keygen_pair(folder_fd, signing, exchange, &err) < 0) {
		log_error("%s: %s", path, err.text);
		return EXIT_FAILURE;
	}
	return EXIT_SUCCESS;
}

int keygen_main(int argc, char *argv[])
{
	if (argc != 2 && argc != 4)
		return usage();
	return generate_in(argv[1], argc == 4 ? argv[2] : NULL, argc == 4 ? argv[3] : NULL);
}
