/* SPDX-License-Identifier: Apache-2.0 */
#include "tangd/tls.h"

#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>

static int read_text(const char *path, struct secret *text, mode_t *mode, struct error *err)
{
	FD_AUTO int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	struct stat st;
	int rc;

	if (fd < 0 || fstat(fd, &st) != 0)
		return error_set(err, -errno, "cannot open '%s': %s", path, strerror(errno));
	rc = fd_read_secret(fd, path, TLS_FILE_MAX - 1, text, err);
	if (rc == 0)
		rc = secret_resize(text, text->size + 1, err);
	*mode = st.st_mode & 07777;
	return rc;
}

int tls_read(const char *certificate, const char *key, struct tls *tls, struct error *err)
{
	struct tls found = {0};
	mode_t ignored = 0;
	int rc = read_text(certificate, &found.certificate, &ignored, err);

	if (rc == 0)
		rc = read_text(key, &found.key, &found.key_mode, err);
	if (rc < 0) {
		tls_free(&found);
		return rc;
	}
	*tls = found;
	return 0;
}

void tls_free(struct tls *tls)
{
	secret_free(&tls->certificate);
	secret_free(&tls->key);
}

static int send_text(const struct secret *text, int fd)
{
	return send(fd, text->data, text->size, MSG_NOSIGNAL) == (ssize_t)text->size ? 0 : -errno;
}

int tls_send(const struct tls *tls, int fd)
{
	int rc = send_text(&tls->certificate, fd);

	return rc < 0 ? rc : send_text(&tls->key, fd);
}

static int receive_text(int fd, struct secret *text, struct error *err)
{
	int rc = secret_new(text, TLS_FILE_MAX, err);
	ssize_t got;

	if (rc < 0)
		return rc;
	got = recv(fd, text->data, text->size, 0);
	if (got < 0)
		return error_set(err, -errno, "no certificate came: %s", strerror(errno));
	if (got == 0 || text->data[got - 1] != '\0')
		return error_set(err, -EBADMSG, "what came is no certificate");
	return secret_resize(text, (size_t)got, err);
}

int tls_receive(int fd, struct tls *tls, struct error *err)
{
	struct tls came = {0};
	int rc;

	secret_after_fork();
	rc = receive_text(fd, &came.certificate, err);
	if (rc == 0)
		rc = receive_text(fd, &came.key, err);
	if (rc < 0) {
		tls_free(&came);
		return rc;
	}
	*tls = came;
	return 0;
}
