/* SPDX-License-Identifier: Apache-2.0 */
/* Feeds files, and each of them with a byte changed, cut short and doubled, to a fuzz target: the part that every compiler runs. */
#include "fuzz.h"

#include "base/file.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { INPUT_MAX = 1024 * 1024, STEPS = 400 };

/* The target gets memory of exactly that size, so that a sanitizer sees a read past the end. */
static void feed(const char *data, size_t size)
{
	uint8_t *copy = malloc(size ? size : 1);

	if (!copy)
		abort();
	memcpy(copy, data, size);
	(void)LLVMFuzzerTestOneInput(copy, size);
	free(copy);
}

static void feed_variants(char *data, size_t size)
{
	size_t step = size / STEPS + 1;

	feed(data, size);
	for (size_t i = 0; i < size; i += step) {
		char kept = data[i];

		feed(data, i);
		data[i] = (char)(kept ^ (char)(1U << (i % 8)));
		feed(data, size);
		data[i] = kept;
	}
}

int main(int argc, char *argv[])
{
	for (int i = 1; i < argc; i++) {
		FREE_AUTO char *data = NULL;
		struct error err = {0};
		size_t size = 0;

		if (file_read(argv[i], INPUT_MAX, &data, &size, &err) < 0) {
			(void)fprintf(stderr, "%s\n", err.text);
			return EXIT_FAILURE;
		}
		feed_variants(data, size);
	}
	(void)printf("%d inputs with variants\n", argc - 1);
	return argc > 1 ? EXIT_SUCCESS : EXIT_FAILURE;
}
