/* SPDX-License-Identifier: Apache-2.0 */
#include "net/resolve.h"

#include "base/file.h"
#include "net/stream.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

/* What the child sends: the resolver's verdict and what it found. Smaller than PIPE_BUF, so it arrives whole. */
struct verdict {
	int gai_code;
	struct net_addresses addresses;
};

_Static_assert(sizeof(struct verdict) <= 4096, "a verdict must fit one write to a pipe");

static void look_up(const char *host, const char *port, int flags, struct verdict *verdict)
{
	const struct addrinfo hints = {
		.ai_family = AF_UNSPEC,
		.ai_socktype = SOCK_STREAM,
		.ai_flags = AI_NUMERICSERV | flags,
	};
	struct addrinfo *list = NULL;
	struct net_addresses *found = &verdict->addresses;

	memset(verdict, 0, sizeof(*verdict));
	verdict->gai_code = getaddrinfo(host, port, &hints, &list);
	if (verdict->gai_code != 0)
		return;
	for (const struct addrinfo *a = list; a && found->count < NET_ADDRESSES_MAX;
	     a = a->ai_next) {
		memcpy(&found->address[found->count].storage, a->ai_addr, a->ai_addrlen);
		found->address[found->count++].length = a->ai_addrlen;
	}
	freeaddrinfo(list);
}

/* Nobody waits for the answer once the parent is gone. AI_ADDRCONFIG saves questions for a family that the machine has no address of. */
static void child_main(int fd, pid_t parent, const char *host, const char *port)
{
	struct verdict verdict;

	if (prctl(PR_SET_PDEATHSIG, SIGKILL) != 0 || getppid() != parent)
		_exit(EXIT_FAILURE);
	look_up(host, port, AI_ADDRCONFIG, &verdict);
	(void)fd_write_all(fd, "pipe", &verdict, sizeof(verdict), NULL);
	_exit(EXIT_SUCCESS);
}

static int read_verdict(int fd, const char *host, struct deadline deadline, struct verdict *verdict,
			struct error *err)
{
	char seconds[NET_SECONDS_MAX];
	int rc;

	net_print_seconds(deadline_left_ms(deadline), seconds);
	rc = net_wait(fd, POLLIN, deadline);
	if (rc == -ETIMEDOUT)
		return error_set(err, rc, "%s: no answer from the name servers in %s s", host,
				 seconds);
	if (rc < 0 || read(fd, verdict, sizeof(*verdict)) != (ssize_t)sizeof(*verdict))
		return error_set(err, -EHOSTUNREACH, "%s: the name could not be looked up", host);
	return 0;
}

static int look_up_in_child(const char *host, const char *port, struct deadline deadline,
			    struct verdict *verdict, struct error *err)
{
	pid_t parent = getpid();
	int ends[2];
	pid_t child;
	int rc;

	if (pipe2(ends, O_CLOEXEC) != 0)
		return error_set(err, -errno, "no pipe to be had: %s", strerror(errno));
	child = fork();
	if (child == 0) {
		(void)close(ends[0]);
		child_main(ends[1], parent, host, port);
	}
	(void)close(ends[1]);
	if (child < 0)
		rc = error_set(err, -errno, "cannot fork: %s", strerror(errno));
	else
		rc = read_verdict(ends[0], host, deadline, verdict, err);
	(void)close(ends[0]);
	if (child > 0) {
		(void)kill(child, SIGKILL);
		while (waitpid(child, NULL, 0) < 0 && errno == EINTR)
			;
	}
	return rc;
}

int net_resolve(const char *host, const char *port, struct deadline deadline,
		struct net_addresses *addresses, struct error *err)
{
	struct verdict verdict;
	int rc = 0;

	look_up(host, port, AI_NUMERICHOST, &verdict);
	if (verdict.gai_code == EAI_NONAME)
		rc = look_up_in_child(host, port, deadline, &verdict, err);
	if (rc < 0)
		return rc;
	if (verdict.gai_code != 0 || verdict.addresses.count == 0 ||
	    verdict.addresses.count > NET_ADDRESSES_MAX)
		return error_set(err, -EHOSTUNREACH, "%s: %s", host,
				 gai_strerror(verdict.gai_code));
	*addresses = verdict.addresses;
	return 0;
}
