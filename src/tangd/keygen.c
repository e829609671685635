/* SPDX-License-Identifier: Apache-2.0 */
#include "tangd/keygen.h"

#include "base/log.h"
#include "tang/folder.h"
#include "tangd/pair.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>

static int make_pair(int folder_fd, const struct pair_wish *wish, struct error *err)
{
	struct pair pair;
	int rc = pair_draft(folder_fd, wish, &pair, err);

	if (rc == 0)
		rc = pair_publish(folder_fd, &pair, err);
	if (rc == 0 && pair.not_given.code < 0)
		log_warning("%s", pair.not_given.text);
	return rc;
}

int keygen_pair(int folder_fd, const char *signing_name, const char *exchange_name,
		struct error *err)
{
	const struct pair_wish wish = {.signing_name = signing_name,
				       .exchange_name = exchange_name};

	return make_pair(folder_fd, &wish, err);
}

static int usage(int status)
{
	(void)fprintf(stderr,
		      "Usage: tangd-keygen [--curve=CURVE] DIR [SIG EXC]\n"
		      "\n"
		      "Makes a pair of Tang keys in the folder DIR: SIG.jwk for signing and\n"
		      "EXC.jwk for the exchange; without names, they are the keys' thumbprints.\n"
		      "  --curve=CURVE  make them on P-256, P-384 or P-521 (default)\n"
		      "  -h, --help     show this\n");
	return status;
}

static int make_in(const char *path, const struct pair_wish *wish)
{
	struct error err = {0};
	FD_AUTO int folder_fd = tang_folder_open(path, &err);

	if (folder_fd < 0) {
		log_error("%s", err.text);
		return usage(EXIT_FAILURE);
	}
	if (tang_folder_lock(folder_fd, deadline_in_ms(TANG_LOCK_MS), &err) < 0 ||
	    make_pair(folder_fd, wish, &err) < 0) {
		log_error("%s: %s", path, err.text);
		return EXIT_FAILURE;
	}
	return EXIT_SUCCESS;
}

int keygen_main(int argc, char *argv[])
{
	static const struct option names[] = {
		{"curve", required_argument, NULL, 'c'},
		{"help", no_argument, NULL, 'h'},
		{NULL, 0, NULL, 0},
	};
	struct pair_wish wish = {0};
	int option;

	/* Options stand before the folder only: the name of a key may begin with a hyphen. */
	while ((option = getopt_long(argc, argv, "+h", names, NULL)) != -1) {
		if (option == 'c' && pair_knows_curve(optarg)) {
			wish.curve = optarg;
			continue;
		}
		if (option == 'c')
			log_error("no keys are made on the curve '%s'", optarg);
		return usage(option == 'h' ? EXIT_SUCCESS : EXIT_FAILURE);
	}
	argc -= optind;
	argv += optind;
	if (argc != 1 && argc != 3)
		return usage(EXIT_FAILURE);
	if (argc == 3) {
		wish.signing_name = argv[1];
		wish.exchange_name = argv[2];
	}
	return make_in(argv[0], &wish);
}
