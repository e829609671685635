/* SPDX-License-Identifier: Apache-2.0 */
#include "tangd/privileges.h"

#include "base/secret.h"
#include "tang/folder.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <linux/capability.h>

/* Where not even `nobody` has an entry. */
enum { NOBODY = 65534 };

static void take_user(const struct passwd *user, struct privileges *privileges)
{
	privileges->uid = user->pw_uid;
	privileges->gid = user->pw_gid;
	(void)snprintf(privileges->name, sizeof(privileges->name), "%s", user->pw_name);
}

static int find_named(const char *name, struct privileges *privileges, struct error *err)
{
	const struct passwd *user = getpwnam(name);

	if (!user)
		return error_set(err, -ENOENT, "there is no user '%s'", name);
	if (user->pw_uid == 0)
		return error_set(err, -EINVAL, "the user '%s' is root: name another one", name);
	take_user(user, privileges);
	return 0;
}

/* A group of root is not taken over with a folder: without an entry, a user's group has the user's number. */
static void find_owner(const struct stat *folder, struct privileges *privileges)
{
	const struct passwd *user = getpwuid(folder->st_uid);

	privileges->uid = folder->st_uid;
	privileges->gid = folder->st_gid != 0 ? folder->st_gid : (gid_t)folder->st_uid;
	if (user)
		take_user(user, privileges);
}

/* Those that have read what they need, or need nothing, have no groups but the one. */
static void find_beside_root(struct privileges *privileges)
{
	const struct passwd *user = tang_server_user();

	if (!user)
		user = getpwnam("nobody");
	privileges->keeps_root = true;
	privileges->uid = user && user->pw_uid != 0 ? user->pw_uid : NOBODY;
	privileges->gid = user && user->pw_gid != 0 ? user->pw_gid : NOBODY;
}

static int refuse(const struct privileges *privileges, int code, struct error *err)
{
	return error_set(err, code,
			 "cannot leave root for the user %u: %s; start the server as that user",
			 (unsigned)privileges->uid, strerror(-code));
}

/* Exit status of the child that tries; others are the code of why root cannot be left. */
enum { IS_OPEN = 0, IS_BARRED = 255 };

/* In a child: whether root can be left here, and the folder as it is then. */
static int try_to_leave(const struct privileges *privileges, const char *folder)
{
	int rc = privileges_drop(privileges, NULL);
	int fd;
	int inside;

	if (rc < 0)
		return -rc;
	fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	inside = fd < 0 ? -1 : openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return inside < 0 ? IS_BARRED : IS_OPEN;
}

/*
 * Finds out before anything is opened. A server that stayed in the dark because a folder above is closed would cost more than the one
 * process that stays root.
 */
static int look_ahead(struct privileges *privileges, const char *folder, struct error *err)
{
	pid_t child = fork();
	int status = 0;

	if (child == 0)
		_exit(try_to_leave(privileges, folder));
	if (child < 0 || waitpid(child, &status, 0) != child || !WIFEXITED(status))
		return error_set(err, -ECHILD, "cannot find out whether root can be left");
	status = WEXITSTATUS(status);
	if (status != IS_OPEN && status != IS_BARRED)
		return refuse(privileges, -status, err);
	privileges->is_barred = status == IS_BARRED && !privileges->keeps_root;
	privileges->keeps_root = privileges->keeps_root || privileges->is_barred;
	return 0;
}

int privileges_find(const char *user, const char *folder, struct privileges *privileges,
		    struct error *err)
{
	struct privileges found = {.is_root = geteuid() == 0};
	struct stat st;
	int rc = 0;

	if (user && !found.is_root)
		return error_set(err, -EPERM, "only root can become the user '%s'", user);
	if (stat(folder, &st) != 0)
		return error_set(err, -errno, "the folder '%s': %s", folder, strerror(errno));
	if (user)
		rc = find_named(user, &found, err);
	else if (st.st_uid != 0)
		find_owner(&st, &found);
	else
		find_beside_root(&found);
	if (rc == 0 && found.is_root && !user)
		rc = look_ahead(&found, folder, err);
	if (rc == 0)
		*privileges = found;
	return rc;
}

static int change_user(const struct privileges *privileges)
{
	int rc = *privileges->name ? initgroups(privileges->name, privileges->gid)
				   : setgroups(0, NULL);

	if (rc != 0 || setresgid(privileges->gid, privileges->gid, privileges->gid) != 0 ||
	    setresuid(privileges->uid, privileges->uid, privileges->uid) != 0)
		return -errno;
	return 0;
}

/* The change of the user took them, unless somebody has told the kernel to leave them (capabilities(7), securebits). */
static int drop_capabilities(void)
{
	struct __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
	const struct __user_cap_data_struct none[_LINUX_CAPABILITY_U32S_3] = {0};

	(void)prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
	if (syscall(SYS_capset, &header, none) != 0 || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
		return -errno;
	return 0;
}

static bool can_be_root(void)
{
	uid_t real = 0;
	uid_t effective = 0;
	uid_t saved = 0;

	return getresuid(&real, &effective, &saved) != 0 || real == 0 || effective == 0 ||
	       saved == 0 || setuid(0) == 0 || setresuid((uid_t)-1, 0, (uid_t)-1) == 0;
}

/* Again, now that the kernel has forgotten it. The parent may have died meanwhile. */
static int end_with_parent(int signal_number, pid_t parent)
{
	if (signal_number == 0)
		return 0;
	if (prctl(PR_SET_PDEATHSIG, signal_number) != 0)
		return -errno;
	return getppid() == parent ? 0 : -ESRCH;
}

int privileges_drop(const struct privileges *privileges, struct error *err)
{
	pid_t parent = getppid();
	int signal_number = 0;
	int rc;

	if (!privileges || !privileges->is_root || geteuid() != 0)
		return 0;
	(void)prctl(PR_GET_PDEATHSIG, &signal_number);
	rc = change_user(privileges);
	if (rc == 0)
		rc = drop_capabilities();
	if (rc == 0 && can_be_root())
		rc = -EPERM;
	if (rc == 0)
		rc = secret_harden_process(NULL);
	if (rc == 0)
		rc = end_with_parent(signal_number, parent);
	return rc < 0 ? refuse(privileges, rc, err) : 0;
}
