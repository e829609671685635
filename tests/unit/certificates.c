/* SPDX-License-Identifier: Apache-2.0 */
#include "certificates.h"

#include <fcntl.h>
#include <openssl/ec.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { REQUEST_MAX = 1024 * 1024 };

static FILE *open_in(const struct folder *folder, const char *name, const char *ending,
		     const char *mode)
{
	char path[200];
	FILE *file;

	(void)snprintf(path, sizeof(path), "%s/%s%s", folder->path, name, ending);
	file = fopen(path, mode);
	assert_non_null(file);
	return file;
}

static void add_extension(X509 *certificate, int nid, const char *value)
{
	X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, NULL, nid, value);

	assert_non_null(extension);
	assert_int_equal(X509_add_ext(certificate, extension, -1), 1);
	X509_EXTENSION_free(extension);
}

static X509 *describe(const struct certificate *wanted, EVP_PKEY *key)
{
	static long serial;
	X509 *certificate = X509_new();
	X509_NAME *name = X509_get_subject_name(certificate);

	assert_int_equal(X509_set_version(certificate, X509_VERSION_3), 1);
	assert_int_equal(ASN1_INTEGER_set(X509_get_serialNumber(certificate), ++serial), 1);
	assert_non_null(X509_gmtime_adj(X509_getm_notBefore(certificate), wanted->from_s));
	assert_non_null(X509_gmtime_adj(X509_getm_notAfter(certificate), wanted->until_s));
	assert_int_equal(X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC,
						    (const unsigned char *)wanted->name, -1, -1, 0),
			 1);
	assert_int_equal(X509_set_pubkey(certificate, key), 1);
	add_extension(certificate, NID_basic_constraints,
		      wanted->names ? "CA:FALSE" : "critical,CA:TRUE");
	if (wanted->names && *wanted->names)
		add_extension(certificate, NID_subject_alt_name, wanted->names);
	return certificate;
}

static void sign(const struct folder *folder, const char *issuer, X509 *certificate, EVP_PKEY *own)
{
	EVP_PKEY *key = own;

	if (issuer) {
		FILE *file = open_in(folder, issuer, ".both", "re");
		X509 *above = PEM_read_X509(file, NULL, NULL, NULL);

		key = PEM_read_PrivateKey(file, NULL, NULL, NULL);
		assert_non_null(above);
		assert_non_null(key);
		assert_int_equal(X509_set_issuer_name(certificate, X509_get_subject_name(above)),
				 1);
		X509_free(above);
		(void)fclose(file);
	} else {
		assert_int_equal(
			X509_set_issuer_name(certificate, X509_get_subject_name(certificate)), 1);
	}
	assert_true(X509_sign(certificate, key, EVP_sha256()) > 0);
	if (issuer)
		EVP_PKEY_free(key);
}

static void write_key(FILE *file, EVP_PKEY *key, const char *passphrase)
{
	assert_int_equal(PEM_write_PrivateKey(file, key, passphrase ? EVP_aes_128_cbc() : NULL,
					      NULL, 0, NULL, (void *)passphrase),
			 1);
}

void certificate_make(const struct folder *folder, const struct certificate *wanted)
{
	EVP_PKEY *key = EVP_EC_gen("P-256");
	X509 *certificate = describe(wanted, key);
	FILE *file;

	sign(folder, wanted->issuer, certificate, key);
	file = open_in(folder, wanted->name, ".pem", "we");
	assert_int_equal(PEM_write_X509(file, certificate), 1);
	(void)fclose(file);
	file = open_in(folder, wanted->name, ".key", "we");
	write_key(file, key, wanted->passphrase);
	(void)fclose(file);
	file = open_in(folder, wanted->name, ".both", "we");
	assert_int_equal(PEM_write_X509(file, certificate), 1);
	write_key(file, key, wanted->passphrase);
	(void)fclose(file);
	X509_free(certificate);
	EVP_PKEY_free(key);
}

static SSL_CTX *make_context(const struct tls_server *server)
{
	SSL_CTX *context = SSL_CTX_new(TLS_server_method());

	if (SSL_CTX_use_certificate_chain_file(context, server->certificate) != 1 ||
	    SSL_CTX_use_PrivateKey_file(context, server->key, SSL_FILETYPE_PEM) != 1)
		_exit(EXIT_FAILURE);
	(void)SSL_CTX_set_max_proto_version(context, server->version);
	if (server->version != 0 && server->version < TLS1_2_VERSION)
		SSL_CTX_set_security_level(context, 0); /* else it cannot be that old */
	(void)SSL_CTX_set_num_tickets(context, 0);
	(void)SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
	if (*server->ask) {
		if (SSL_CTX_load_verify_file(context, server->ask) != 1)
			_exit(EXIT_FAILURE);
		SSL_CTX_set_verify(
			context,
			SSL_VERIFY_PEER |
				(server->may_be_none ? 0 : SSL_VERIFY_FAIL_IF_NO_PEER_CERT),
			NULL);
	}
	return context;
}

/* Reads a request whole into `text`. */
static size_t read_request(SSL *ssl, char *text)
{
	size_t filled = 0;

	while (filled < REQUEST_MAX - 1) {
		const char *end;
		const char *length;
		int got = SSL_read(ssl, text + filled, (int)(REQUEST_MAX - 1 - filled));

		if (got <= 0)
			return 0;
		filled += (size_t)got;
		text[filled] = '\0';
		end = strstr(text, "\r\n\r\n");
		length = strcasestr(text, "\r\nContent-Length:");
		if (end &&
		    filled >= (size_t)(end + 4 - text) +
				      (length ? strtoul(strchr(length, ':') + 1, NULL, 10) : 0))
			return filled;
	}
	return 0;
}

void talk_tls(int fd, void *arg)
{
	static char text[REQUEST_MAX];
	struct tls_server *server = arg;
	SSL_CTX *context = make_context(server);
	SSL *ssl = SSL_new(context);

	(void)SSL_set_fd(ssl, fd);
	if (SSL_accept(ssl) == 1) {
		size_t size;

		server->handshakes++;
		server->shown += SSL_get0_peer_certificate(ssl) != NULL;
		while ((size = read_request(ssl, text)) > 0) {
			server->requests++;
			server->read += size;
			(void)SSL_write(ssl, server->reply, (int)strlen(server->reply));
			if (!server->stays)
				break;
		}
		if (!server->cuts)
			(void)SSL_shutdown(ssl);
	}
	SSL_free(ssl);
	SSL_CTX_free(context);
}
