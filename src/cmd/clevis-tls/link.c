/* SPDX-License-Identifier: Apache-2.0 */
#include "cmd/clevis-tls/link.h"

#include <arpa/inet.h>
#include <errno.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const char *reason(void)
{
	const char *text = ERR_reason_error_string(ERR_peek_last_error());

	return text ? text : "unknown reason";
}

/* OpenSSL would ask at the terminal: that is the person's who boots the machine. */
/* NOLINTNEXTLINE(readability-non-const-parameter): the type is OpenSSL's */
static int refuse_passphrase(char *buffer, int size, int writing, void *asked)
{
	(void)buffer;
	(void)size;
	(void)writing;
	*(bool *)asked = true;
	return -1;
}

static int check_readable(const char *path, struct error *err)
{
	struct stat st;

	if (stat(path, &st) == 0 && !S_ISREG(st.st_mode))
		return error_set(err, -EBADMSG, "'%s' is not a regular file", path);
	if (access(path, R_OK) == 0)
		return 0;
	return error_set(err, -errno, "cannot open '%s': %s", path, strerror(errno));
}

static int load_authorities(SSL_CTX *context, const char *path, struct error *err)
{
	int rc = path ? check_readable(path, err) : 0;

	if (rc < 0)
		return rc;
	if (path ? SSL_CTX_load_verify_file(context, path) != 1
		 : SSL_CTX_set_default_verify_paths(context) != 1)
		return error_set(err, -EINVAL, "'%s' holds no certificates of authorities: %s",
				 path ? path : X509_get_default_cert_file(), reason());
	/* Who names an intermediate authority means it; the root above need not be there. */
	if (path)
		(void)X509_STORE_set_flags(SSL_CTX_get_cert_store(context),
					   X509_V_FLAG_PARTIAL_CHAIN);
	return 0;
}

static int load_own(SSL_CTX *context, const struct net_tls *tls, struct error *err)
{
	const char *key = tls->key ? tls->key : tls->cert;
	bool encrypted = false;
	int rc = check_readable(tls->cert, err);

	if (rc == 0)
		rc = check_readable(key, err);
	if (rc < 0)
		return rc;
	SSL_CTX_set_default_passwd_cb(context, refuse_passphrase);
	SSL_CTX_set_default_passwd_cb_userdata(context, &encrypted);
	if (SSL_CTX_use_certificate_chain_file(context, tls->cert) != 1)
		rc = error_set(err, -EINVAL, "'%s' holds no certificate: %s", tls->cert, reason());
	else if (SSL_CTX_use_PrivateKey_file(context, key, SSL_FILETYPE_PEM) != 1)
		rc = encrypted
			     ? error_set(
				       err, -EINVAL,
				       "the private key in '%s' is encrypted; here it must not be",
				       key)
			     : error_set(err, -EINVAL,
					 "'%s' holds no private key of the certificate: %s", key,
					 reason());
	else if (SSL_CTX_check_private_key(context) != 1)
		rc = error_set(err, -EINVAL, "the private key in '%s' is not the certificate's",
			       key);
	SSL_CTX_set_default_passwd_cb_userdata(context, NULL);
	return rc;
}

int tls_prepare(struct tls_link *link, const struct net_tls *tls, struct error *err)
{
	SSL_CTX *context = SSL_CTX_new(TLS_client_method());
	int rc;

	link->context = context;
	if (!context || SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION) != 1)
		return error_set(err, -ENOMEM, "no TLS to be had: %s", reason());
	SSL_CTX_set_verify(context, SSL_VERIFY_PEER, NULL);
	(void)SSL_CTX_set_options(context, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
	(void)SSL_CTX_set_mode(context,
			       SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
	rc = load_authorities(context, tls->cacert, err);
	if (rc == 0 && tls->cert)
		rc = load_own(context, tls, err);
	else if (rc == 0 && tls->key)
		rc = error_set(err, -EINVAL, "a private key ('%s') without a certificate",
			       tls->key);
	link->shown = rc == 0 && tls->cert;
	return rc;
}

static int note_that_it_asks(SSL *ssl, void *arg)
{
	struct tls_link *link = arg;

	(void)ssl;
	link->asked = true;
	return 1;
}

/* Whom the certificate must name. Server Name Indication is for names only, RFC 6066 §3. */
static bool expect(SSL *ssl, const char *host)
{
	unsigned char address[sizeof(struct in6_addr)];
	char name[NET_HOST_MAX];
	size_t length;

	(void)snprintf(name, sizeof(name), "%.*s", (int)strcspn(host, "%"), host);
	if (inet_pton(AF_INET, name, address) == 1 || inet_pton(AF_INET6, name, address) == 1)
		return X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), name) == 1;
	length = strlen(name);
	if (length > 1 && name[length - 1] == '.')
		name[length - 1] = '\0';
	SSL_set_hostflags(ssl, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
	return SSL_set1_host(ssl, name) == 1 && SSL_set_tlsext_host_name(ssl, name) == 1;
}

int tls_handshake(struct tls_link *link, const char *host, struct deadline deadline,
		  struct error *err)
{
	int allowed = deadline_left_ms(deadline);

	link->ssl = SSL_new(link->context);
	if (!link->ssl || !expect(link->ssl, host) ||
	    SSL_set_fd(link->ssl, link->connection.fd) != 1)
		return error_set(err, -ENOMEM, "no TLS to be had: %s", reason());
	SSL_set_cert_cb(link->ssl, note_that_it_asks, link);
	for (;;) {
		int rc;
		int verdict;

		ERR_clear_error();
		rc = SSL_connect(link->ssl);
		if (rc == 1)
			break;
		verdict = SSL_get_error(link->ssl, rc);
		if (verdict != SSL_ERROR_WANT_READ && verdict != SSL_ERROR_WANT_WRITE)
			return tls_explain(link, verdict, err);
		rc = net_wait(link->connection.fd,
			      verdict == SSL_ERROR_WANT_READ ? POLLIN : POLLOUT, deadline);
		if (rc == -ETIMEDOUT) {
			char seconds[NET_SECONDS_MAX];

			net_print_seconds(allowed, seconds);
			return error_set(err, rc, "no answer in %s s", seconds);
		}
		if (rc < 0)
			return error_set(err, rc, "%s", strerror(-rc));
	}
	link->open = true;
	return 0;
}

/* With TLS 1.3 a server says only after the handshake that it wanted a certificate, or not this one. */
static int explain_asked(const struct tls_link *link, const char *why, struct error *err)
{
	if (link->shown)
		return error_set(err, -EKEYREJECTED,
				 "the server does not accept the client certificate: %s", why);
	return error_set(err, -EKEYREJECTED, "the server asks for a client certificate");
}

/* The connection ended below TLS. */
static int explain_cut(const struct tls_link *link, int code, struct error *err)
{
	const char *when = link->open ? "without ending TLS" : "during the TLS handshake";

	/* The alert that said so may have been lost with the connection. */
	if (link->asked && !link->shown && !link->received)
		return explain_asked(link, "", err);
	if (code == 0 || code == -ECONNRESET || code == -EPIPE)
		return error_set(err, -ECONNRESET, "the server closed the connection %s", when);
	return error_set(err, code, "%s", strerror(-code));
}

int tls_explain(const struct tls_link *link, int verdict, struct error *err)
{
	int failure = errno;
	unsigned long what = ERR_peek_error();
	int why = ERR_GET_LIB(what) == ERR_LIB_SSL ? ERR_GET_REASON(what) : 0;
	long verified = SSL_get_verify_result(link->ssl);

	if (verdict == SSL_ERROR_SYSCALL)
		return explain_cut(link, -failure, err);
	if (!link->open && verified != X509_V_OK)
		return error_set(err, -EKEYREJECTED, "certificate verify failed: %s%s",
				 X509_verify_cert_error_string(verified),
				 verified == X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY
					 ? " (is its authority the one that 'cacert' names?)"
					 : "");
	if (why == SSL_R_UNEXPECTED_EOF_WHILE_READING)
		return explain_cut(link, 0, err);
	if (why >= SSL_AD_REASON_OFFSET && link->asked)
		return explain_asked(link, reason(), err);
	if (why == SSL_R_WRONG_VERSION_NUMBER || why == SSL_R_PACKET_LENGTH_TOO_LONG)
		return error_set(err, -EBADMSG, "the server does not speak TLS");
	return error_set(err, -EBADMSG, "%s: %s", link->open ? "TLS failed" : "no TLS", reason());
}

void tls_close(struct tls_link *link)
{
	SSL_free(link->ssl);
	SSL_CTX_free(link->context);
	net_close(&link->connection);
	*link = TLS_LINK_NONE;
}
