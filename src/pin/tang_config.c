/* SPDX-License-Identifier: Apache-2.0 */
/* The configuration of the pin `tang`, and the files that it names. */
#include "pin/tang_config.h"

#include <errno.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

/* Reads a member that is a string or not there. */
static int read_string(const json_t *json, const char *name, const char **text, struct error *err)
{
	const json_t *value = json_object_get(json, name);

	*text = json_string_value(value);
	if (value && !*text)
		return error_set(err, -EINVAL,
				 "tang: Configuration is malformed: '%s' is not a string", name);
	return 0;
}

int tang_check_url(const char *url, struct error *err)
{
	const char *scheme = strstr(url, "://");
	const char *authority = scheme ? scheme + 3 : url;

	if (memchr(authority, '@', strcspn(authority, "/?#")))
		return error_set(err, -EINVAL,
				 "user names and passwords in URLs are not supported");
	return 0;
}

bool tang_is_https(const char *url)
{
	return strncasecmp(url, "https://", strlen("https://")) == 0;
}

int tang_read_tls(const json_t *json, struct net_tls *tls, struct error *err)
{
	int rc = read_string(json, "cacert", &tls->cacert, err);

	if (rc == 0)
		rc = read_string(json, "cert", &tls->cert, err);
	return rc < 0 ? rc : read_string(json, "key", &tls->key, err);
}

static int check_tls(const struct tang_config *config, struct error *err)
{
	if (config->tls.key && !config->tls.cert)
		return error_set(err, -EINVAL, "tang: 'key' requires 'cert' to also be set!");
	if ((config->tls.cacert || config->tls.cert) && !tang_is_https(config->url))
		return error_set(err, -EINVAL,
				 "tang: TLS options (cacert/cert/key) require an https:// URL!");
	return 0;
}

int tang_read_config(const json_t *json, struct tang_config *config, struct error *err)
{
	int rc;

	config->adv = json_object_get(json, "adv");
	config->url = json_string_value(json_object_get(json, "url"));
	if (!config->url)
		return error_set(err, -EINVAL,
				 "tang: Missing the required 'url' property (a string)");
	rc = tang_check_url(config->url, err);
	if (rc < 0)
		error_prefix(err, "tang: ");
	if (rc == 0)
		rc = read_string(json, "thp", &config->thp, err);
	if (rc == 0 && config->thp && !*config->thp)
		rc = error_set(err, -EINVAL, "tang: 'thp' is empty");
	if (rc == 0 && config->adv && !json_is_string(config->adv) && !json_is_object(config->adv))
		rc = error_set(err, -EINVAL,
			       "tang: Configuration is malformed: 'adv' is neither a file "
			       "name nor an advertisement");
	config->trusted = json_object_get(json, "trusted");
	if (rc == 0 && config->trusted && !json_is_array(config->trusted))
		rc = error_set(
			err, -EINVAL,
			"tang: Configuration is malformed: 'trusted' is not an array of keys");
	if (rc == 0)
		rc = tang_read_tls(json, &config->tls, err);
	return rc < 0 ? rc : check_tls(config, err);
}

/* `what` begins the message, `where` ends it. */
static int check_file(const char *path, const char *what, const char *where, struct error *err)
{
	struct stat st;

	if (!path)
		return 0;
	/* Who names a device may mean to keep us waiting, or worse. */
	if (stat(path, &st) == 0 && !S_ISREG(st.st_mode))
		return error_set(err, -EBADMSG, "tang: %s '%s': not a regular file", what, path);
	if (access(path, R_OK) == 0)
		return 0;
	if (errno == ENOENT || errno == ENOTDIR)
		return error_set(err, -ENOENT, "tang: %s '%s' not found%s", what, path, where);
	return error_set(err, -errno, "tang: %s '%s': %s", what, path, strerror(errno));
}

int tang_check_files_to_seal(const struct net_tls *tls, struct error *err)
{
	int rc = check_file(tls->cacert, "CA cert file", "!", err);

	if (rc == 0)
		rc = check_file(tls->cert, "Client cert file", "!", err);
	return rc < 0 ? rc : check_file(tls->key, "Client key file", "!", err);
}

int tang_check_files_to_open(const struct net_tls *tls, struct error *err)
{
	static const char where[] = " (is it in the initramfs?)";
	int rc = check_file(tls->cacert, "mTLS CA cert", where, err);

	if (rc == 0)
		rc = check_file(tls->cert, "mTLS client cert", where, err);
	return rc < 0 ? rc : check_file(tls->key, "mTLS client key", where, err);
}
