/* SPDX-License-Identifier: Apache-2.0 */
#include "tangd/rotate.h"

#include "base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

void rotation_free(struct rotation *rotation)
{
	tang_names_free(&rotation->hidden);
}

/* Takes the names that are hidden already out of the list. */
static void keep_advertised(struct tang_names *names)
{
	size_t kept = 0;

	for (size_t i = 0; i < names->count; i++) {
		if (tang_is_hidden(names->name[i]))
			free(names->name[i]);
		else
			names->name[kept++] = names->name[i];
	}
	names->count = kept;
}

static void hidden_name(const char *name, char hidden[static FILE_NAME_SIZE + 1])
{
	(void)snprintf(hidden, FILE_NAME_SIZE + 1, ".%s", name);
}

/* Whether both are names of one file, as a rotation by link and unlink leaves it that was cut between the two. */
static bool is_same_file(int folder_fd, const char *a, const char *b)
{
	struct stat one;
	struct stat two;

	return fstatat(folder_fd, a, &one, AT_SYMLINK_NOFOLLOW) == 0 &&
	       fstatat(folder_fd, b, &two, AT_SYMLINK_NOFOLLOW) == 0 && one.st_dev == two.st_dev &&
	       one.st_ino == two.st_ino;
}

static int check_name_is_free(int folder_fd, const char *name, struct error *err)
{
	char hidden[FILE_NAME_SIZE + 1];
	struct stat st;

	hidden_name(name, hidden);
	if (fstatat(folder_fd, hidden, &st, AT_SYMLINK_NOFOLLOW) != 0)
		return errno == ENOENT ? 0
				       : error_set(err, -errno, "cannot hide '%s' as '%s': %s",
						   name, hidden, strerror(errno));
	if (is_same_file(folder_fd, name, hidden))
		return 0;
	return error_set(err, -EEXIST,
			 "cannot hide '%s': '%s' is there already; nothing was changed", name,
			 hidden);
}

/* For file systems that cannot rename without overwriting, such as NFS: for a moment the file has both names. */
static int hide_by_link(int folder_fd, const char *name, const char *hidden)
{
	if (linkat(folder_fd, name, folder_fd, hidden, 0) != 0 &&
	    !(errno == EEXIST && is_same_file(folder_fd, name, hidden)))
		return -1;
	return unlinkat(folder_fd, name, 0);
}

static int hide(int folder_fd, const char *name, struct error *err)
{
	char hidden[FILE_NAME_SIZE + 1];

	hidden_name(name, hidden);
	if (renameat2(folder_fd, name, folder_fd, hidden, RENAME_NOREPLACE) == 0)
		return 0;
	if ((errno == EINVAL || errno == EEXIST) && hide_by_link(folder_fd, name, hidden) == 0)
		return 0;
	return error_set(err, -errno, "cannot hide '%s' as '%s': %s", name, hidden,
			 strerror(errno));
}

static int hide_all(int folder_fd, const struct tang_names *names, struct error *err)
{
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < names->count; i++)
		rc = hide(folder_fd, names->name[i], err);
	if (rc == 0 && names->count > 0)
		rc = file_sync_folder(folder_fd, names->name[0], err);
	if (rc < 0)
		error_prefix(err, "the new keys are in service, but not all old ones are hidden: ");
	return rc;
}

/* The pair, in service. One that the server may be unable to read must not take the place of those that it reads. */
static int make_pair(int folder_fd, const char *curve, struct pair *pair, struct error *err)
{
	const struct pair_wish wish = {.curve = curve};
	int rc = pair_draft(folder_fd, &wish, pair, err);

	if (rc < 0)
		return rc;
	if (pair->not_given.code < 0) {
		pair_drop(folder_fd, pair);
		return error_set(err, pair->not_given.code, "%s; nothing was changed",
				 pair->not_given.text);
	}
	return pair_publish(folder_fd, pair, err);
}

int rotate_keys(int folder_fd, const char *curve, struct rotation *rotation, struct error *err)
{
	struct rotation made = {0};
	int rc = tang_folder_list(folder_fd, &made.hidden, err);

	keep_advertised(&made.hidden);
	for (size_t i = 0; rc == 0 && i < made.hidden.count; i++)
		rc = check_name_is_free(folder_fd, made.hidden.name[i], err);
	if (rc == 0)
		rc = make_pair(folder_fd, curve, &made.pair, err);
	if (rc == 0)
		rc = hide_all(folder_fd, &made.hidden, err);
	if (rc < 0) {
		rotation_free(&made);
		return rc;
	}
	*rotation = made;
	return 0;
}

struct options {
	const char *folder;
	const char *curve;
	bool verbose;
};

static int usage(int status)
{
	(void)fprintf(stderr,
		      "Usage: tangd-rotate-keys [-d DIR] [-v] [--curve=CURVE]\n"
		      "\n"
		      "Makes a new pair of Tang keys and hides those that were advertised before:\n"
		      "  -d DIR         the folder of the keys (default: %s)\n"
		      "  -v             say what is done\n"
		      "  --curve=CURVE  make the new keys on P-256, P-384 or P-521 (default)\n"
		      "  -h, --help     show this\n",
		      TANG_FOLDER);
	return status;
}

/* Returns 0, or -1 when nothing is left to do but to exit with `*status`. */
static int read_options(int argc, char *argv[], struct options *options, int *status)
{
	static const struct option names[] = {
		{"curve", required_argument, NULL, 'c'},
		{"help", no_argument, NULL, 'h'},
		{NULL, 0, NULL, 0},
	};
	int option;

	*status = EXIT_FAILURE;
	while ((option = getopt_long(argc, argv, "d:vh", names, NULL)) != -1) {
		if (option == 'd') {
			options->folder = optarg;
		} else if (option == 'v') {
			options->verbose = true;
		} else if (option == 'c' && pair_knows_curve(optarg)) {
			options->curve = optarg;
		} else {
			if (option == 'c')
				log_error("no keys are made on the curve '%s'", optarg);
			*status = usage(option == 'h' ? EXIT_SUCCESS : EXIT_FAILURE);
			return -1;
		}
	}
	if (optind == argc)
		return 0;
	(void)usage(EXIT_FAILURE);
	return -1;
}

static void tell(const struct rotation *rotation)
{
	for (size_t i = 0; i < rotation->hidden.count; i++)
		log_info("Disabled advertisement of key %s -> .%s", rotation->hidden.name[i],
			 rotation->hidden.name[i]);
	log_info("Created new key %s", rotation->pair.signing.name);
	log_info("Created new key %s", rotation->pair.exchange.name);
	log_info("Keys rotated successfully");
}

static int rotate_folder(const struct options *options, struct rotation *rotation,
			 struct error *err)
{
	FD_AUTO int folder_fd = tang_folder_open(options->folder, err);
	int rc = folder_fd;

	if (rc < 0)
		return rc;
	rc = tang_folder_lock(folder_fd, deadline_in_ms(TANG_LOCK_MS), err);
	if (rc == 0)
		rc = rotate_keys(folder_fd, options->curve, rotation, err);
	if (rc < 0)
		error_prefix(err, "%s: ", options->folder);
	return rc;
}

int rotate_main(int argc, char *argv[])
{
	struct options options = {.folder = TANG_FOLDER};
	struct rotation rotation = {0};
	struct error err = {0};
	int status;

	if (read_options(argc, argv, &options, &status) < 0)
		return status;
	if (rotate_folder(&options, &rotation, &err) < 0) {
		log_error("%s", err.text);
		return EXIT_FAILURE;
	}
	if (options.verbose)
		tell(&rotation);
	rotation_free(&rotation);
	return EXIT_SUCCESS;
}
