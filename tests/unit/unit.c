/* SPDX-License-Identifier: Apache-2.0 */
#include "unit.h"

#include "base/file.h"
#include "jose/b64.h"

#include <dirent.h>
#include <fcntl.h>
#include <ftw.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* Most of a document that is read, bytes. */
enum { DOCUMENT_MAX = 1024 * 1024 };

void unit_begin(int argc, char *argv[])
{
	static const char *const proxies[] = {"http_proxy", "https_proxy", "HTTPS_PROXY",
					      "all_proxy", "ALL_PROXY"};

	/* The servers of the tests are here, whatever the person's way to others. */
	for (size_t i = 0; i < COUNT(proxies); i++)
		(void)unsetenv(proxies[i]);
	if (argc > 1)
		cmocka_set_test_filter(argv[1]);
}

void unit_skip(const char *why)
{
	(void)printf("# skipped: %s\n", why);
	(void)fflush(stdout);
	skip();
	abort(); /* skip() does not return, but does not say so */
}

void unit_check(bool holds, const char *row)
{
	if (holds)
		return;
	/* A row of several lines would break the TAP. */
	(void)printf("# row: ");
	for (; *row; row++)
		(void)putchar((unsigned char)*row < 0x20 ? '~' : *row);
	(void)putchar('\n');
	(void)fflush(stdout);
	fail();
}

json_t *json_of(const char *text)
{
	char *copy = strdup(text);
	json_error_t why;
	json_t *json;

	assert_non_null(copy);
	for (char *c = copy; *c; c++)
		if (*c == '\'')
			*c = '"';
	json = json_loads(copy, JSON_DECODE_ANY, &why);
	free(copy);
	if (!json)
		fail_msg("%s: %s", text, why.text);
	return json;
}

json_t *vector_read(const char *name)
{
	char path[4096];
	json_error_t why;
	json_t *json;

	(void)snprintf(path, sizeof(path), "%s/%s", UNIT_VECTORS, name);
	json = json_load_file(path, 0, &why);
	if (!json)
		fail_msg("%s: %s", path, why.text);
	return json;
}

char *document_read(const char *name)
{
	char path[4096];
	char *text = NULL;
	size_t size = 0;
	struct error why = {0};

	(void)snprintf(path, sizeof(path), "%s/../../docs/%s", UNIT_VECTORS, name);
	if (file_read(path, DOCUMENT_MAX, &text, &size, &why) < 0)
		fail_msg("%s: %s", path, why.text);
	return text;
}

json_t *json_at(const json_t *json, const char *path)
{
	const char *rest = path;
	char name[64];

	while (json && *rest) {
		size_t length = strcspn(rest, "/");

		assert_in_range(length, 1, sizeof(name) - 1);
		memcpy(name, rest, length);
		name[length] = '\0';
		json = json_is_array(json) ? json_array_get(json, strtoul(name, NULL, 10))
					   : json_object_get(json, name);
		rest += length + (rest[length] == '/');
	}
	if (!json)
		fail_msg("there is no '%s'", path);
	return (json_t *)json;
}

const char *text_at(const json_t *json, const char *path)
{
	const char *text = json_string_value(json_at(json, path));

	if (!text)
		fail_msg("'%s' is not a string", path);
	return text;
}

void secret_of_b64(const char *text, struct secret *secret)
{
	size_t length = strlen(text);

	assert_int_equal(secret_new(secret, JOSE_B64_SIZE(length), NULL), 0);
	assert_int_equal(jose_b64_decode(text, length, secret->data), 0);
}

void json_tamper(json_t *object, const char *member)
{
	char *copy = strdup(text_at(object, member));

	assert_non_null(copy);
	/* Not the last character, whose spare bits must be zero. */
	copy[0] = copy[0] == 'A' ? 'B' : 'A';
	assert_int_equal(json_object_set_new(object, member, json_string(copy)), 0);
	free(copy);
}

/* Folders of failed cases, whose scopes were left by a jump, go at the end. */
static struct {
	pid_t owner;
	size_t count;
	struct folder folder[64];
} left;

static void remove_left(void)
{
	if (left.owner != getpid())
		return;
	while (left.count > 0) {
		struct folder folder = left.folder[--left.count];

		folder_remove(&folder);
	}
}

static void remember(const struct folder *folder)
{
	if (left.owner == 0 && atexit(remove_left) == 0)
		left.owner = getpid();
	if (left.count < COUNT(left.folder))
		left.folder[left.count++] = *folder;
}

static void forget(const struct folder *folder)
{
	for (size_t i = 0; i < left.count; i++)
		if (strcmp(left.folder[i].path, folder->path) == 0)
			left.folder[i] = left.folder[--left.count];
}

void folder_make(struct folder *folder)
{
	const char *base = getenv("TMPDIR");

	(void)snprintf(folder->path, sizeof(folder->path), "%.32s/nbde-unit.XXXXXX",
		       base && strlen(base) < 32 ? base : "/tmp");
	assert_non_null(mkdtemp(folder->path));
	folder->fd = open(folder->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_true(folder->fd >= 0);
	remember(folder);
}

static int remove_entry(const char *path, const struct stat *st, int type, struct FTW *where)
{
	(void)st;
	(void)type;
	(void)where;
	return remove(path);
}

void folder_remove(struct folder *folder)
{
	if (!*folder->path)
		return;
	forget(folder);
	(void)fchmod(folder->fd, 0700);
	(void)close(folder->fd);
	(void)nftw(folder->path, remove_entry, 8, FTW_DEPTH | FTW_PHYS);
	folder->path[0] = '\0';
}

void folder_write(const struct folder *folder, const char *name, const char *text)
{
	int fd = openat(folder->fd, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	(void)close(fd);
}

size_t folder_count(const struct folder *folder)
{
	DIR *listing = opendir(folder->path);
	const struct dirent *entry;
	size_t count = 0;

	assert_non_null(listing);
	while ((entry = readdir(listing)))
		count += strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0;
	(void)closedir(listing);
	return count;
}

bool folder_has(const struct folder *folder, const char *name)
{
	return faccessat(folder->fd, name, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

void capture_begin(struct capture *capture)
{
	capture->file = memfd_create("stderr", MFD_CLOEXEC);
	capture->saved = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 3);
	assert_true(capture->file >= 0 && capture->saved >= 0);
	assert_true(dup2(capture->file, STDERR_FILENO) >= 0);
}

char *capture_end(struct capture *capture)
{
	struct stat st;
	char *text;

	assert_true(dup2(capture->saved, STDERR_FILENO) >= 0);
	assert_int_equal(fstat(capture->file, &st), 0);
	text = calloc(1, (size_t)st.st_size + 1);
	assert_non_null(text);
	assert_int_equal(pread(capture->file, text, (size_t)st.st_size, 0), st.st_size);
	(void)close(capture->file);
	(void)close(capture->saved);
	return text;
}

void unit_child_begin(pid_t parent)
{
	/* cmocka's handlers would jump into the parent's case. */
	static const int signals[] = {SIGFPE, SIGILL, SIGSEGV, SIGBUS, SIGSYS, SIGTERM, SIGINT};

	for (size_t i = 0; i < COUNT(signals); i++)
		(void)signal(signals[i], SIG_DFL);
	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(EXIT_FAILURE);
}

int unit_in_child(int (*run)(void *arg), void *arg)
{
	pid_t self = getpid();
	pid_t child = fork();
	int status = 0;

	assert_true(child >= 0);
	if (child == 0) {
		unit_child_begin(self);
		_exit(run(arg));
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

void *unit_map(size_t size)
{
	/* cppcheck-suppress invalidFunctionArg ; anonymous memory has the descriptor -1 */
	void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	assert_true(memory != MAP_FAILED);
	return memory;
}

void unit_unmap(void *memory, size_t size)
{
	assert_int_equal(munmap(memory, size), 0);
}

int64_t unit_now_ms(void)
{
	struct timespec now;

	assert_int_equal(clock_gettime(CLOCK_MONOTONIC, &now), 0);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}
