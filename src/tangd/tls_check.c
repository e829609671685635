/* SPDX-License-Identifier: Apache-2.0 */
#include "tangd/tls_check.h"

#include "base/file.h"
#include "tangd/http.h"
#include "tangd/passing.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <microhttpd.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

/* Asked for only where the key is encrypted. */
/* NOLINTNEXTLINE(readability-non-const-parameter): the type is OpenSSL's */
static int no_passphrase(char *buffer, int size, int writing, void *asked)
{
	(void)buffer;
	(void)size;
	(void)writing;
	*(bool *)asked = true;
	return -1;
}

static X509 *take_certificate(const struct tls *tls)
{
	BIO *bio = BIO_new_mem_buf(tls->certificate.data, (int)tls->certificate.size - 1);
	X509 *certificate = bio ? PEM_read_bio_X509(bio, NULL, NULL, NULL) : NULL;

	BIO_free(bio);
	return certificate;
}

static EVP_PKEY *take_key(const struct tls *tls, bool *encrypted)
{
	BIO *bio = BIO_new_mem_buf(tls->key.data, (int)tls->key.size - 1);
	EVP_PKEY *key = bio ? PEM_read_bio_PrivateKey(bio, NULL, no_passphrase, encrypted) : NULL;

	BIO_free(bio);
	return key;
}

static int check_pair(const struct tls *tls, const char *certificate_path, const char *key_path,
		      struct error *err)
{
	bool encrypted = false;
	X509 *certificate = take_certificate(tls);
	EVP_PKEY *key = take_key(tls, &encrypted);
	int rc = 0;

	if (!certificate)
		rc = error_set(err, -EINVAL, "'%s' holds no certificate in PEM", certificate_path);
	else if (encrypted)
		rc = error_set(err, -EINVAL,
			       "the key in '%s' is encrypted: a server has nobody to ask for its "
			       "passphrase",
			       key_path);
	else if (!key)
		rc = error_set(err, -EINVAL, "'%s' holds no private key in PEM", key_path);
	else if (X509_check_private_key(certificate, key) != 1)
		rc = error_set(err, -EINVAL,
			       "the key in '%s' does not belong to the certificate in '%s'",
			       key_path, certificate_path);
	X509_free(certificate);
	EVP_PKEY_free(key);
	return rc;
}

/* Another library will work with them, and may know fewer sorts of key. */
static int try_to_start(const struct tls *tls, const char *certificate, const char *key,
			struct error *err)
{
	const struct front front = {.endpoint = ""};
	struct http_server *server = NULL;

	if (http_server_new_tls(&front, -1, tls, &server, NULL) < 0)
		return error_set(
			err, -EINVAL,
			"the TLS library refuses the certificate in '%s' or the key in '%s'",
			certificate, key);
	http_server_free(&server);
	return 0;
}

static void check_in_child(int fd, const char *certificate, const char *key)
{
	struct error err = {0};
	struct tls tls = {0};
	int rc = tls_receive(fd, &tls, &err);

	if (rc == 0)
		rc = check_pair(&tls, certificate, key, &err);
	if (rc == 0)
		(void)try_to_start(&tls, certificate, key, &err);
	tls_free(&tls);
	(void)send(fd, &err, sizeof(err), MSG_NOSIGNAL);
	_exit(EXIT_SUCCESS);
}

static int take_verdict(int fd, struct error *err)
{
	struct pollfd polled = {fd, POLLIN, 0};
	struct error verdict;

	while (poll(&polled, 1, -1) < 0 && errno == EINTR)
		;
	if (recv(fd, &verdict, sizeof(verdict), 0) != (ssize_t)sizeof(verdict))
		return error_set(err, -ECHILD, "the certificate could not be checked");
	if (verdict.code == 0)
		return 0;
	return error_set(err, verdict.code, "%s", verdict.text);
}

int tls_check(const struct tls *tls, const char *certificate, const char *key, struct error *err)
{
	int pair[2] = {-1, -1};
	pid_t child = -1;
	int rc;

	if (MHD_is_feature_supported(MHD_FEATURE_TLS) != MHD_YES)
		return error_set(err, -ENOTSUP, "the HTTP library of this system has no TLS");
	rc = passing_pair(pair);
	if (rc == 0)
		rc = tls_send(tls, pair[0]);
	if (rc == 0) {
		child = fork();
		rc = child < 0 ? -errno : 0;
	}
	if (child == 0)
		check_in_child(pair[1], certificate, key);
	fd_close(&pair[1]);
	if (rc < 0)
		(void)error_set(err, rc, "the certificate cannot be checked: %s", strerror(-rc));
	else
		rc = take_verdict(pair[0], err);
	fd_close(&pair[0]);
	if (child > 0)
		(void)waitpid(child, NULL, 0);
	return rc;
}
