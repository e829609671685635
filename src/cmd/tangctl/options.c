/* SPDX-License-Identifier: Apache-2.0 */
#include "cmd/tangctl/commands.h"

#include "tang/folder.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>

bool options_read(int argc, char *argv[], const char *letters, const char *usage,
		  struct key_options *options, int *status)
{
	static const struct option names[] = {
		{"help", no_argument, NULL, 'h'},
		{NULL, 0, NULL, 0},
	};
	bool wrong = false;
	int option;

	*options = (struct key_options){.folder = TANG_FOLDER};
	while (!wrong && (option = getopt_long(argc, argv, letters, names, NULL)) != -1) {
		if (option == 'h') {
			(void)fputs(usage, stdout);
			*status = EXIT_SUCCESS;
			return false;
		}
		if (option == 'd')
			options->folder = optarg;
		else if (option == 'f')
			options->force = true;
		else
			wrong = true;
	}
	if (wrong || optind != argc - 1) {
		(void)fputs(usage, stderr);
		*status = EXIT_FAILURE;
		return false;
	}
	options->file = argv[optind];
	return true;
}
