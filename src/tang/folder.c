/* SPDX-License-Identifier: Apache-2.0 */
#include "tang/folder.h"

#include "base/file.h"
#include "base/json.h"
#include "jose/jose.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

enum { LOCK_EVERY_MS = 20 };

/* The server's user and group: `_tang` on Debian, `tang` elsewhere. */
static const char *const server_users[] = {"_tang", "tang"};

bool tang_is_key_file(const char *name)
{
	size_t length = strlen(name);

	return length > 4 && strcmp(name + length - 4, ".jwk") == 0;
}

bool tang_is_hidden(const char *name)
{
	return name[0] == '.';
}

int tang_folder_open(const char *path, struct error *err)
{
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0)
		return error_set(err, -errno, "cannot open the folder '%s': %s", path,
				 strerror(errno));
	return fd;
}

int tang_folder_lock(int folder_fd, struct deadline deadline, struct error *err)
{
	while (flock(folder_fd, LOCK_EX | LOCK_NB) != 0) {
		if (errno != EWOULDBLOCK && errno != EINTR)
			return 0;
		if (deadline_passed(deadline))
			return error_set(err, -EBUSY, "another program is changing the keys");
		(void)poll(NULL, 0, LOCK_EVERY_MS);
	}
	return 0;
}

void tang_names_free(struct tang_names *names)
{
	for (size_t i = 0; i < names->count; i++)
		free(names->name[i]);
	free(names->name);
	*names = (struct tang_names){0};
}

static int add_name(struct tang_names *names, const char *name, struct error *err)
{
	if (names->count == TANG_KEY_FILES_MAX)
		return error_set(err, -E2BIG, "there are more than %d key files",
				 TANG_KEY_FILES_MAX);
	names->name[names->count] = strdup(name);
	if (!names->name[names->count])
		return error_nomem(err);
	names->count++;
	return 0;
}

static int read_names(DIR *listing, struct tang_names *names, struct error *err)
{
	const struct dirent *entry;
	int rc = 0;

	while (rc == 0 && (errno = 0, entry = readdir(listing))) {
		if (tang_is_key_file(entry->d_name))
			rc = add_name(names, entry->d_name, err);
	}
	/* A folder that cannot be read to its end must not count as one with fewer keys. */
	if (rc == 0 && errno != 0)
		rc = error_set(err, -errno, "cannot read the folder: %s", strerror(errno));
	return rc;
}

static int compare_names(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

int tang_folder_list(int folder_fd, struct tang_names *names, struct error *err)
{
	struct tang_names found = {calloc(TANG_KEY_FILES_MAX, sizeof(char *)), 0};
	int fd = openat(folder_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *listing = fd < 0 ? NULL : fdopendir(fd);
	int rc;

	if (!listing)
		rc = error_set(err, -errno, "cannot read the folder: %s", strerror(errno));
	else
		rc = found.name ? read_names(listing, &found, err) : error_nomem(err);
	if (listing)
		(void)closedir(listing);
	else if (fd >= 0)
		(void)close(fd);
	if (rc < 0) {
		tang_names_free(&found);
		return rc;
	}
	qsort(found.name, found.count, sizeof(char *), compare_names);
	*names = found;
	return 0;
}

int tang_folder_check_room(int folder_fd, size_t more, struct error *err)
{
	TANG_NAMES_AUTO struct tang_names names = {0};
	int rc = tang_folder_list(folder_fd, &names, err);

	if (rc == 0 && names.count + more > TANG_KEY_FILES_MAX)
		rc = error_set(err, -E2BIG,
			       "there are %zu key files, and a server reads at most %d; remove "
			       "hidden ones that nothing is bound to",
			       names.count, TANG_KEY_FILES_MAX);
	return rc;
}

int tang_folder_read(int folder_fd, const char *name, json_t **jwk, struct error *err)
{
	/* Without waiting: a FIFO of such a name would keep us for ever. */
	FD_AUTO int fd = openat(folder_fd, name, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	SECRET_AUTO struct secret text = {0};
	struct stat st;
	int rc;

	if (fd < 0 || fstat(fd, &st) != 0)
		return error_set(err, -errno, "cannot open '%s': %s", name, strerror(errno));
	if (!S_ISREG(st.st_mode))
		return error_set(err, -EINVAL, "'%s' is not a regular file", name);
	rc = fd_read_secret(fd, name, JOSE_JWK_MAX, &text, err);
	return rc < 0 ? rc : json_parse((const char *)text.data, text.size, name, jwk, err);
}

const struct passwd *tang_server_user(void)
{
	const struct passwd *user = NULL;

	for (size_t i = 0; !user && i < sizeof(server_users) / sizeof(*server_users); i++)
		user = getpwnam(server_users[i]);
	return user;
}

static bool is_own_file(int folder_fd, const char *name, uid_t owner)
{
	struct stat st;

	return geteuid() != 0 && geteuid() == owner &&
	       fstatat(folder_fd, name, &st, AT_SYMLINK_NOFOLLOW) == 0 && st.st_uid == owner;
}

/* Who is to own what is in the folder: its owner; where that is root, the server's user. Returns 0 or -errno. */
static int find_owner(int folder_fd, uid_t *uid, gid_t *gid)
{
	const struct passwd *user;
	struct stat st;

	if (fstat(folder_fd, &st) != 0)
		return -errno;
	user = st.st_uid == 0 ? tang_server_user() : NULL;
	*uid = user ? user->pw_uid : st.st_uid;
	*gid = user ? user->pw_gid : st.st_gid;
	return 0;
}

static int cannot_give(const char *what, int code, struct error *err)
{
	return error_set(err, code, "cannot give '%s' to the server's user: %s", what,
			 strerror(-code));
}

int tang_folder_give(int folder_fd, const char *name, const char *what, struct error *err)
{
	uid_t uid = 0;
	gid_t gid = 0;
	int code = find_owner(folder_fd, &uid, &gid);

	if (code == 0 && fchownat(folder_fd, name, uid, gid, AT_SYMLINK_NOFOLLOW) != 0)
		code = -errno;
	if (code < 0 && !(code == -EPERM && is_own_file(folder_fd, name, uid)))
		return cannot_give(what, code, err);
	return 0;
}

int tang_folder_give_draft(int folder_fd, const struct file_draft *draft, struct error *err)
{
	uid_t uid = 0;
	gid_t gid = 0;
	int code = find_owner(folder_fd, &uid, &gid);

	if (code == 0)
		code = file_draft_give(folder_fd, draft, uid, gid, NULL);
	if (code < 0 && !(code == -EPERM && is_own_file(folder_fd, draft->temp, uid)))
		return cannot_give(draft->name, code, err);
	return 0;
}

/* Whether d·G is the point: both, times a point of our own, are the same. */
static int check_scalar(const json_t *jwk, const struct jose_point *point, struct error *err)
{
	const struct jose_curve *curve = jose_curve((int)point->curve);
	SECRET_AUTO struct secret d = {0};
	SECRET_AUTO struct secret e = {0};
	struct jose_point other;
	struct jose_point one = {0};
	struct jose_point two = {0};
	int rc = jose_scalar_from_jwk(jwk, curve, &d, err);

	if (rc == 0)
		rc = jose_point_generate(curve, &e, &other, err);
	if (rc == 0)
		rc = jose_point_multiply(&d, &other, &one, err);
	if (rc == 0)
		rc = jose_point_multiply(&e, point, &two, err);
	if (rc == 0 && memcmp(&one, &two, sizeof(one)) != 0)
		rc = error_set(err, -EINVAL, "its private part does not belong to its public one");
	return rc;
}

int tang_check_key(const json_t *jwk, struct error *err)
{
	const char *kty = json_string_value(json_object_get(jwk, "kty"));
	char thumbprint[JOSE_THUMBPRINT_MAX];
	struct jose_point point;
	int rc = jose_thumbprint(jwk, JOSE_S256, thumbprint, err);

	/* Of other sorts, which no server uses, we know no more. */
	if (rc < 0 || strcmp(kty ? kty : "", "EC") != 0 ||
	    !jose_curve_named(json_string_value(json_object_get(jwk, "crv"))))
		return rc;
	rc = jose_point_from_jwk(jwk, &point, err);
	if (rc == 0 && json_object_get(jwk, "d"))
		rc = check_scalar(jwk, &point, err);
	return rc;
}
