/* SPDX-License-Identifier: Apache-2.0 */
/* clevis luks pass: the passphrase of a binding, recovered by its pin. */
#include "base/file.h"
#include "base/log.h"
#include "cmd/clevis/args.h"
#include "cmd/clevis/commands.h"
#include "luks/luks.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { EXIT_PASS_USAGE = 1 };

static int usage(void)
{
	(void)fprintf(
		stderr,
		"Usage: clevis luks pass -d DEV -s SLT [-w FIFO] [--timeout SEC]\n\n"
		"Returns the LUKS passphrase used for binding a particular slot\n\n"
		"  -d DEV  The LUKS device to extract the LUKS passphrase used for binding\n\n"
		"  -s SLT  The slot number for which to get the passphrase\n\n"
		"  -w FIFO Write it into FIFO, where somebody reads, instead of standard\n"
		"          output; nothing is opened or written before it is recovered\n\n"
		"  --timeout SEC  Give up after SEC seconds (default: 30)\n");
	return EXIT_PASS_USAGE;
}

static int recover(const char *path, int keyslot, struct secret *passphrase, struct error *err)
{
	LUKS_BINDING_AUTO struct luks_binding binding = {0};
	struct pin_context context = args_context(false, err);
	struct luks_device *device = NULL;
	int rc = luks_open(path, &device, err);

	if (rc == 0)
		rc = luks_find(device, keyslot, &binding, err);
	if (rc == 0)
		rc = luks_recover(&binding, &context, passphrase);
	luks_close(&device);
	/* An empty answer to a prompt would count as a try of the person's. */
	if (rc == 0 && passphrase->size == 0)
		rc = error_set(err, -EBADMSG, "the binding holds an empty passphrase");
	return rc;
}

/* Not waiting for a reader: where nobody asks any more, somebody has typed it. Never into a file, where it would stay. */
static int open_fifo(const char *path, struct error *err)
{
	int fd = open(path, O_WRONLY | O_NONBLOCK | O_CLOEXEC);
	struct stat st;

	if (fd < 0)
		return error_set(err, -errno, "%s: nobody asks for a passphrase there: %s", path,
				 strerror(errno));
	if (fstat(fd, &st) == 0 && S_ISFIFO(st.st_mode))
		return fd;
	fd_close(&fd);
	return error_set(err, -EINVAL, "%s is not a FIFO", path);
}

static int write_passphrase(const char *fifo, const struct secret *passphrase, struct error *err)
{
	FD_AUTO int fd = fifo ? open_fifo(fifo, err) : -1;

	if (fifo && fd < 0)
		return fd;
	return fd_write_all(fifo ? fd : STDOUT_FILENO, fifo ? fifo : "standard output",
			    passphrase->data, passphrase->size, err);
}

static int pass(const char *device, const char *slot, const char *fifo)
{
	SECRET_AUTO struct secret passphrase = {0};
	struct error err = {0};
	int keyslot = args_number(slot, "slot", &err);
	int rc = keyslot < 0 ? keyslot : recover(device, keyslot, &passphrase, &err);

	if (rc < 0) {
		log_error("%s", err.text);
		(void)fprintf(stderr,
			      "It was not possible to decrypt the passphrase associated to slot %s "
			      "in %s!\n",
			      slot, device);
		return EXIT_FAILURE;
	}
	if (write_passphrase(fifo, &passphrase, &err) < 0) {
		log_error("%s", err.text);
		return EXIT_FAILURE;
	}
	return EXIT_SUCCESS;
}

int luks_pass_main(int argc, char *argv[])
{
	const char *device = NULL;
	const char *slot = NULL;
	const char *fifo = NULL;
	int option;

	while ((option = getopt(argc, argv, "hd:s:w:")) != -1) {
		if (option == 'd')
			device = optarg;
		else if (option == 's')
			slot = optarg;
		else if (option == 'w')
			fifo = optarg;
		else
			return usage();
	}
	if (device && slot && optind == argc)
		return pass(device, slot, fifo);
	if (!device || !slot)
		(void)fprintf(stderr, "Did not specify a %s!\n\n", device ? "slot" : "device");
	return usage();
}
