/* SPDX-License-Identifier: Apache-2.0 */
#include "tangd/modes.h"

#include "base/log.h"
#include "tang/folder.h"

#include <sys/stat.h>

static unsigned permissions(const struct stat *st)
{
	return (unsigned)st->st_mode & 07777U;
}

void modes_warn(int folder_fd, const char *path)
{
	TANG_NAMES_AUTO struct tang_names names = {0};
	struct stat st;

	if (fstat(folder_fd, &st) == 0 && (st.st_mode & S_IWOTH))
		log_warning("everybody can write to the folder '%s' (mode %04o): chmod o-w '%s'",
			    path, permissions(&st), path);
	(void)tang_folder_list(folder_fd, &names, NULL);
	for (size_t i = 0; i < names.count; i++) {
		if (fstatat(folder_fd, names.name[i], &st, 0) == 0 &&
		    (st.st_mode & (S_IROTH | S_IWOTH)))
			log_warning("the key '%s/%s' is open to everybody (mode %04o): chmod o-rwx "
				    "'%s/%s'",
				    path, names.name[i], permissions(&st), path, names.name[i]);
	}
}
