/* SPDX-License-Identifier: Apache-2.0 */
/* The pin `file`: the key stands in a file, on a stick or another disk, say (contract of Clevis §2). */
#include "base/file.h"
#include "base/json.h"
#include "jose/jose.h"
#include "pin/pins.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/magic.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

enum { KEY_FILE_MODE = 0400 };

int file_read_config(const json_t *config, const char **name, struct error *err)
{
	const char *read = json_string_value(json_object_get(config, "name"));

	if (!read || !*read)
		return error_set(err, -EINVAL,
				 "file: Missing the required name property! (a file's name)");
	if (read[strlen(read) - 1] == '/')
		return error_set(err, -EINVAL, "file: '%s' is a folder's name", read);
	*name = read;
	return 0;
}

/* Opens the folder that `path` is in, and finds the name in it. */
static int open_folder(const char *path, const char **name, struct error *err)
{
	const char *slash = strrchr(path, '/');
	char folder[PATH_MAX];
	int fd;

	if (slash && slash - path + 1 >= PATH_MAX)
		return error_set(err, -ENAMETOOLONG, "file: the name %.64s… is too long", path);
	(void)snprintf(folder, sizeof(folder), "%.*s", slash ? (int)(slash - path) + 1 : 1,
		       slash ? path : ".");
	fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return error_set(err, -errno, "file: the folder of %s: %s", path, strerror(errno));
	*name = slash ? slash + 1 : path;
	return fd;
}

static int write_key(const char *path, const json_t *jwk, struct error *err)
{
	SECRET_AUTO struct secret text = {0};
	const char *name = NULL;
	FD_AUTO int folder = open_folder(path, &name, err);
	int rc = folder < 0 ? folder : json_dump_secret(jwk, &text, err);

	if (rc == 0)
		rc = file_write_atomic(folder, name, KEY_FILE_MODE, FILE_NEW, text.data, text.size,
				       err);
	if (rc == -EEXIST)
		return error_set(err, rc, "file: File %s already exists", path);
	return rc;
}

static int file_seal(struct pin_context *context, const json_t *config, const struct secret *plain,
		     json_t **jwe)
{
	JSON_AUTO json_t *jwk = NULL;
	JSON_AUTO json_t *header = NULL;
	JSON_AUTO json_t *sealed = NULL;
	const char *path = NULL;
	int rc = file_read_config(config, &path, context->err);

	if (rc == 0)
		rc = pin_new_key(&jwk, context->err);
	if (rc < 0)
		return rc;
	header = json_pack("{s:{s:s, s:{s:s}}}", "clevis", "pin", "file", "file", "name", path);
	rc = header ? jose_jwe_encrypt(header, jwk, plain, &sealed, context->err)
		    : error_nomem(context->err);
	if (rc == 0)
		rc = write_key(path, jwk, context->err);
	if (rc < 0)
		return rc;
	*jwe = sealed;
	sealed = NULL;
	return 0;
}

static int read_name(const json_t *jwe, json_t **header, const char **path, struct error *err)
{
	const json_t *node = NULL;
	int rc = pin_read_node(jwe, "file", header, &node, err);

	return rc < 0 ? rc : file_read_config(node, path, err);
}

/* A file that is there to be read, whoever wrote its name: nothing that keeps us waiting, as FIFOs, terminals and /proc do. */
static int open_key(const char *path, struct error *err)
{
	struct statfs fs;
	struct stat st;
	int fd = open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);

	if (fd < 0 && (errno == ENOENT || errno == ENOTDIR))
		return error_set(err, -ENOENT, "file: Key file %s not found", path);
	if (fd < 0 &&
	    errno != ENXIO) /* which is what a socket is, or a terminal that is not there */
		return error_set(err, -errno, "file: Key file %s: %s", path, strerror(errno));
	if (fd >= 0 && fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && fstatfs(fd, &fs) == 0 &&
	    fs.f_type != PROC_SUPER_MAGIC && fs.f_type != SYSFS_MAGIC)
		return fd;
	fd_close(&fd);
	return error_set(err, -EBADMSG, "file: Key file %s is malformed: not a regular file", path);
}

static int read_key(const char *path, json_t **jwk, struct error *err)
{
	SECRET_AUTO struct secret text = {0};
	FD_AUTO int fd = open_key(path, err);
	struct error why = {0};
	int rc = fd < 0 ? fd : fd_read_secret(fd, "it", JOSE_JWK_MAX, &text, &why);

	if (fd < 0)
		return rc;
	if (rc < 0)
		return error_set(err, rc, "file: Key file %s: %s", path, why.text);
	if (json_parse((const char *)text.data, text.size, path, jwk, &why) < 0)
		return error_set(err, -EBADMSG, "file: Key file %s is malformed: %s", path,
				 why.text);
	if (!json_is_object(*jwk))
		return error_set(err, -EBADMSG, "file: Key file %s is malformed: not a JWK", path);
	return 0;
}

static int file_open(struct pin_context *context, const json_t *jwe, struct secret *plain)
{
	JSON_AUTO json_t *header = NULL;
	JSON_AUTO json_t *jwk = NULL;
	const char *path = NULL;
	int rc = read_name(jwe, &header, &path, context->err);

	if (rc == 0)
		rc = read_key(path, &jwk, context->err);
	if (rc < 0)
		return rc == -EINVAL ? -EBADMSG : rc;
	rc = jose_jwe_decrypt(jwe, jwk, plain, context->err);
	if (rc < 0)
		error_prefix(context->err, "file: with the key in %s: ", path);
	return rc == -EINVAL ? -EBADMSG : rc;
}

static int file_describe(const json_t *jwe, json_t **config, struct error *err)
{
	JSON_AUTO json_t *header = NULL;
	const char *path = NULL;
	int rc = read_name(jwe, &header, &path, err);

	if (rc < 0)
		return rc;
	*config = json_pack("{s:s}", "name", path);
	return *config ? 0 : error_nomem(err);
}

/* Only a key that opens it is its own; a JWE that somebody else made may name any file. */
static void file_discard(const json_t *jwe)
{
	JSON_AUTO json_t *header = NULL;
	JSON_AUTO json_t *jwk = NULL;
	SECRET_AUTO struct secret plain = {0};
	const char *path = NULL;

	if (read_name(jwe, &header, &path, NULL) == 0 && read_key(path, &jwk, NULL) == 0 &&
	    jose_jwe_decrypt(jwe, jwk, &plain, NULL) == 0)
		(void)unlink(path);
}

static unsigned file_needs(const json_t *jwe)
{
	(void)jwe;
	return PIN_FILE;
}

static const char *const file_files[] = {"name", NULL};

const struct pin pin_file = {
	.name = "file",
	.listed = NULL,
	.seal = file_seal,
	.open = file_open,
	.describe = file_describe,
	.files = file_files,
	.needs = file_needs,
	.discard = file_discard,
};
