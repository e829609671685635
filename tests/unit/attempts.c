/* SPDX-License-Identifier: Apache-2.0 */
#include "attempts.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/io_uring.h>
#include <netinet/in.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

/* What a process has when it is locked in, all of it made before. */
static struct {
	struct folder folder;	     /* with a file in it */
	struct sockaddr_in address;  /* of a listener on the loopback */
	struct sockaddr_un abstract; /* of a datagram socket */
	int listener;
	int receiver; /* the datagram socket */
	int tcp;      /* neither bound nor connected */
	int datagram;
	int channel[2];
	pid_t victim;
} given;

static int result(long returned)
{
	return returned < 0 ? -errno : 0;
}

int opens_a_file(void)
{
	return result(open("/etc/passwd", O_RDONLY | O_CLOEXEC));
}

static int opens_a_key_through_the_folder(void)
{
	return result(openat(given.folder.fd, "key.jwk", O_RDONLY | O_CLOEXEC));
}

static int opens_by_openat2(void)
{
	const uint64_t how[3] = {O_RDONLY, 0, 0};

	return result(syscall(SYS_openat2, given.folder.fd, "key.jwk", how, sizeof(how), 0, 0));
}

static int opens_its_memory(void)
{
	return result(open("/proc/self/mem", O_RDWR | O_CLOEXEC));
}

static int makes_a_file(void)
{
	return result(openat(given.folder.fd, "new", O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
}

static int removes_a_file(void)
{
	return result(unlinkat(given.folder.fd, "key.jwk", 0));
}

static int lists_the_folder(void)
{
	char entries[512];

	return result(syscall(SYS_getdents64, given.folder.fd, entries, sizeof(entries), 0, 0, 0));
}

int looks_at_a_file(void)
{
	struct stat status;

	return result(stat("/etc/passwd", &status));
}

int makes_a_socket(void)
{
	return result(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
}

static int makes_a_unix_socket(void)
{
	return result(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
}

static int makes_a_pair_of_sockets(void)
{
	int pair[2];

	return result(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair));
}

static int connects(void)
{
	return result(connect(given.tcp, (struct sockaddr *)&given.address, sizeof(given.address)));
}

static int connects_by_sending(void)
{
	return result(sendto(given.tcp, "x", 1, MSG_FASTOPEN, (struct sockaddr *)&given.address,
			     sizeof(given.address)));
}

static int connects_by_a_message(void)
{
	struct iovec text = {(void *)"x", 1};
	struct msghdr message = {.msg_name = &given.address,
				 .msg_namelen = sizeof(given.address),
				 .msg_iov = &text,
				 .msg_iovlen = 1};

	return result(sendmsg(given.tcp, &message, MSG_FASTOPEN));
}

static int binds(void)
{
	const struct sockaddr_in any = {.sin_family = AF_INET,
					.sin_addr = {htonl(INADDR_LOOPBACK)}};

	return result(bind(given.tcp, (const struct sockaddr *)&any, sizeof(any)));
}

static int sends_to_an_abstract_address(void)
{
	struct iovec text = {(void *)"x", 1};
	struct msghdr message = {.msg_name = &given.abstract,
				 .msg_namelen = sizeof(sa_family_t) + 1 +
						strlen(given.abstract.sun_path + 1),
				 .msg_iov = &text,
				 .msg_iovlen = 1};

	return result(sendmsg(given.datagram, &message, 0));
}

static int hands_a_descriptor_on(void)
{
	_Alignas(struct cmsghdr) char control[CMSG_SPACE(sizeof(int))] = {0};
	struct iovec text = {(void *)"x", 1};
	struct msghdr message = {.msg_iov = &text,
				 .msg_iovlen = 1,
				 .msg_control = control,
				 .msg_controllen = sizeof(control)};
	struct cmsghdr *part = CMSG_FIRSTHDR(&message);

	part->cmsg_level = SOL_SOCKET;
	part->cmsg_type = SCM_RIGHTS;
	part->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(part), &given.folder.fd, sizeof(int));
	return result(sendmsg(given.channel[1], &message, 0));
}

static int takes_a_descriptor(void)
{
	_Alignas(struct cmsghdr) char control[CMSG_SPACE(sizeof(int))];
	char byte;
	struct iovec text = {&byte, 1};
	struct msghdr message = {.msg_iov = &text,
				 .msg_iovlen = 1,
				 .msg_control = control,
				 .msg_controllen = sizeof(control)};

	if (send(given.channel[0], "x", 1, 0) != 1)
		return -EIO;
	return result(recvmsg(given.channel[1], &message, MSG_DONTWAIT));
}

static int accepts(void)
{
	int fd = accept4(given.listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

	/* Nobody asks: that it would have to wait says that it may. */
	return fd < 0 && errno == EAGAIN ? 0 : result(fd);
}

static int copies_a_descriptor(void)
{
	return result(fcntl(given.folder.fd, F_DUPFD_CLOEXEC, 0));
}

static int executes(void)
{
	char *const arguments[] = {(char *)"true", NULL};

	return result(execve("/bin/true", arguments, NULL));
}

static int forks(void)
{
	pid_t child = fork();

	if (child == 0)
		_exit(EXIT_SUCCESS);
	return result(child);
}

static int makes_a_thread(void)
{
	long child = syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0, 0);

	if (child == 0)
		_exit(EXIT_SUCCESS);
	return result(child);
}

static int traces(void)
{
	return result(ptrace(PTRACE_SEIZE, given.victim, NULL, NULL));
}

static int reads_the_memory_of_another(void)
{
	char byte;
	struct iovec here = {&byte, 1};
	struct iovec there = {&given, 1};

	return result(process_vm_readv(given.victim, &here, 1, &there, 1, 0));
}

static int signals_another(void)
{
	return result(kill(given.victim, SIGCONT));
}

static int signals_a_thread_of_another(void)
{
	return result(syscall(SYS_tgkill, given.victim, given.victim, SIGCONT, 0, 0, 0));
}

static int makes_executable_memory(void)
{
	/* cppcheck-suppress invalidFunctionArg ; anonymous memory has the descriptor -1 */
	void *memory = mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	return memory == MAP_FAILED ? -errno : munmap(memory, 4096);
}

static int makes_memory_executable(void)
{
	static _Alignas(65536) char memory[65536]; /* whatever a page is */

	return result(mprotect(memory, sizeof(memory), PROT_READ | PROT_EXEC));
}

static int makes_a_memory_file(void)
{
	return result(memfd_create("x", MFD_CLOEXEC));
}

static int uses_io_uring(void)
{
	struct io_uring_params parameters = {0};

	return result(syscall(SYS_io_uring_setup, 1, &parameters, 0, 0, 0, 0));
}

static int leaves_its_namespace(void)
{
	return result(unshare(CLONE_FS));
}

static int changes_the_user(void)
{
	return result(setuid(getuid()));
}

static int becomes_dumpable(void)
{
	return result(prctl(PR_SET_DUMPABLE, 1));
}

static int changes_the_folder(void)
{
	return result(chdir("/"));
}

static int raises_a_limit(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_FSIZE, &limit) != 0)
		return -errno;
	return result(setrlimit(RLIMIT_FSIZE, &limit));
}

static int controls_a_device(void)
{
	int waiting;

	return result(ioctl(given.channel[0], 0x541B /* FIONREAD */, &waiting));
}

static int sets_a_filter_on_a_socket(void)
{
	const int value = 1;

	return result(setsockopt(given.tcp, SOL_SOCKET, SO_REUSEPORT, &value, sizeof(value)));
}

const struct attempt attempts[] = {
	{"open a file", opens_a_file, ALL, 1},
	{"open a key through the folder's descriptor", opens_a_key_through_the_folder, ALL, 1},
	{"openat2", opens_by_openat2, ALL, 1},
	{"open its own memory", opens_its_memory, ALL, 1},
	{"make a file", makes_a_file, ALL, 1},
	{"remove a file", removes_a_file, ALL, 1},
	{"list the folder", lists_the_folder, ALL, 0},
	{"look at a file", looks_at_a_file, ALL, 0},
	{"make a socket", makes_a_socket, ALL, 0},
	{"make a UNIX socket", makes_a_unix_socket, ALL, 0},
	{"make a pair of sockets", makes_a_pair_of_sockets, ALL, 0},
	{"connect", connects, ALL, 4},
	{"connect by sending", connects_by_sending, ALL, 0},
	{"connect by a message", connects_by_a_message, ALL, 0},
	{"bind", binds, ALL, 4},
	{"send to an abstract address", sends_to_an_abstract_address, KEYS, 6},
	{"hand a descriptor on", hands_a_descriptor_on, KEYS, 0},
	{"take a descriptor", takes_a_descriptor, KEYS | ADMIN, 0},
	{"accept", accepts, KEYS, 0},
	{"copy a descriptor", copies_a_descriptor, ALL, 0},
	{"execute", executes, ALL, 1},
	{"fork", forks, ALL, 0},
	{"clone", makes_a_thread, ALL, 0},
	{"trace", traces, ALL, 1},
	{"read the memory of another", reads_the_memory_of_another, ALL, 1},
	{"signal another", signals_another, ALL, 6},
	{"signal a thread of another", signals_a_thread_of_another, ALL, 6},
	{"make executable memory", makes_executable_memory, ALL, 0},
	{"make memory executable", makes_memory_executable, ALL, 0},
	{"make a memory file", makes_a_memory_file, ALL, 0},
	{"use io_uring", uses_io_uring, ALL, 0},
	{"leave its namespace", leaves_its_namespace, ALL, 0},
	{"change the user", changes_the_user, ALL, 0},
	{"become dumpable", becomes_dumpable, ALL, 0},
	{"change the folder", changes_the_folder, ALL, 0},
	{"raise a limit", raises_a_limit, ALL, 0},
	{"control a device", controls_a_device, ALL, 0},
	{"set an option of a socket", sets_a_filter_on_a_socket, ALL, 0},
};

const size_t attempts_count = COUNT(attempts);

int makes_an_unknown_call(void)
{
	return result(syscall(SYS_getpriority, 0, 0, 0, 0, 0, 0));
}

int attempts_begin(void **state)
{
	socklen_t length = sizeof(given.address);

	(void)state;
	folder_make(&given.folder);
	given.listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	given.address = (struct sockaddr_in){.sin_family = AF_INET,
					     .sin_addr = {htonl(INADDR_LOOPBACK)}};
	assert_int_equal(bind(given.listener, (struct sockaddr *)&given.address, length), 0);
	assert_int_equal(listen(given.listener, 64), 0);
	assert_int_equal(getsockname(given.listener, (struct sockaddr *)&given.address, &length),
			 0);
	given.tcp = -1;
	given.receiver = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	given.datagram = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	given.abstract.sun_family = AF_UNIX;
	(void)snprintf(given.abstract.sun_path + 1, sizeof(given.abstract.sun_path) - 1, "nbde-%d",
		       (int)getpid());
	assert_int_equal(
		bind(given.receiver, (struct sockaddr *)&given.abstract,
		     (socklen_t)(sizeof(sa_family_t) + 1 + strlen(given.abstract.sun_path + 1))),
		0);
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, given.channel), 0);
	given.victim = fork();
	assert_true(given.victim >= 0);
	if (given.victim == 0) {
		(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
		for (;;)
			(void)pause();
	}
	return 0;
}

int attempts_end(void **state)
{
	const int fds[] = {given.listener, given.tcp,	     given.receiver,
			   given.datagram, given.channel[0], given.channel[1]};

	(void)state;
	(void)kill(given.victim, SIGKILL);
	(void)waitpid(given.victim, NULL, 0);
	for (size_t i = 0; i < COUNT(fds); i++)
		(void)close(fds[i]);
	folder_remove(&given.folder);
	return 0;
}

void attempts_refresh(void)
{
	folder_write(&given.folder, "key.jwk", "{}");
	if (given.tcp >= 0)
		(void)close(given.tcp);
	given.tcp = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_true(given.tcp >= 0);
}
