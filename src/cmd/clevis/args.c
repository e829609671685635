/* SPDX-License-Identifier: Apache-2.0 */
#include "cmd/clevis/args.h"

#include "base/file.h"
#include "base/json.h"
#include "base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

/* How long a whole operation may take when nothing else is said, and at most. */
enum { OPERATION_MS = 30000, OPERATION_MOST_S = 24 * 60 * 60 };

static int64_t operation_ms = OPERATION_MS;
static struct net_session *session;

/* They hold for the programs that we start, too. */
static int read_seconds(const char *text, const char *what, struct error *err)
{
	if (deadline_parse_seconds(text, OPERATION_MOST_S, &operation_ms) == 0) {
		(void)setenv("CLEVIS_TIMEOUT", text, 1);
		return 0;
	}
	return error_set(err, -EINVAL, "%s '%s' is not a number of seconds from 0.001 to %d", what,
			 text, OPERATION_MOST_S);
}

static void remove_arguments(int *argc, char *argv[], int first, int count)
{
	memmove(&argv[first], &argv[first + count],
		(size_t)(*argc - first - count + 1) * sizeof(*argv));
	*argc -= count;
}

/* The option at argv[i], if it is ours: how many arguments it takes, 0 for none; negative with `err` filled. */
static int read_timeout_at(int argc, char *argv[], int i, struct error *err)
{
	static const char option[] = "--timeout";
	const char *text = NULL;
	int taken = 0;
	int rc;

	if (strncmp(argv[i], "--timeout=", sizeof(option)) == 0) {
		text = argv[i] + sizeof(option);
		taken = 1;
	} else if (strcmp(argv[i], option) == 0) {
		if (i + 1 == argc)
			return error_set(err, -EINVAL, "%s: how many seconds?", option);
		text = argv[i + 1];
		taken = 2;
	}
	rc = text ? read_seconds(text, option, err) : 0;
	return rc < 0 ? rc : taken;
}

int args_take_timeout(int *argc, char *argv[], struct error *err)
{
	static bool told;
	const char *text = getenv("CLEVIS_TIMEOUT");

	for (int i = 1; i < *argc && strcmp(argv[i], "--") != 0;) {
		int taken = read_timeout_at(*argc, argv, i, err);

		if (taken < 0)
			return taken;
		told = told || taken > 0;
		if (taken > 0)
			remove_arguments(argc, argv, i, taken);
		else
			i++;
	}
	return told || !text || !*text ? 0 : read_seconds(text, "CLEVIS_TIMEOUT", err);
}

int args_confirm(const char *question, struct error *err)
{
	FD_AUTO int tty = open("/dev/tty", O_RDWR | O_CLOEXEC);
	char answer[64];
	ssize_t got;

	if (tty < 0)
		return error_set(err, -ENOTTY, "there is no terminal to ask on");
	if (fd_write_all(tty, "/dev/tty", question, strlen(question), err) < 0)
		return -ENOTTY;
	got = read(tty, answer, sizeof(answer));
	return got > 0 && (answer[0] == 'y' || answer[0] == 'Y');
}

static void warn(const char *text)
{
	log_warning("%s", text);
}

static int ask_for_trust(void *arg, const char *const *thumbprints, size_t count, struct error *err)
{
	struct error why = {0};
	int rc;

	(void)arg;
	(void)fprintf(stderr, "The advertisement contains the following signing keys:\n\n");
	for (size_t i = 0; i < count; i++)
		(void)fprintf(stderr, "%s\n", thumbprints[i]);
	(void)fprintf(stderr, "\n");
	rc = args_confirm("Do you wish to trust these keys? [ynYN] ", &why);
	if (rc < 0)
		return error_set(
			err, -EACCES,
			"the server's keys are not trusted and there is no terminal to ask "
			"on; pin one with 'thp' or trust them with -y");
	return rc > 0 ? 0 : error_set(err, -EACCES, "the server's keys were not trusted");
}

struct deadline args_deadline(void)
{
	return deadline_in_ms(operation_ms);
}

struct pin_context args_context(bool yes, struct error *err)
{
	if (!session)
		session = net_session_new();
	return (struct pin_context){
		.deadline = args_deadline(),
		.trust = yes ? PIN_TRUST_YES : PIN_TRUST_ASK,
		.ask = ask_for_trust,
		.warn = warn,
		.err = err,
		.session = session,
	};
}

void args_end(void)
{
	net_session_free(&session);
}

int args_config(const char *text, json_t **config, struct error *err)
{
	struct error why = {0};
	json_t *parsed = NULL;

	if (json_parse(text, strlen(text), "what came", &parsed, &why) < 0)
		return error_set(
			err, -EINVAL,
			"Configuration is malformed; it should be valid JSON (%s); between "
			"single quotes the shell leaves it as it is",
			why.text);
	if (!json_is_object(parsed)) {
		json_decref(parsed);
		return error_set(err, -EINVAL,
				 "Configuration is malformed; it should be valid JSON: an object");
	}
	*config = parsed;
	return 0;
}

int args_number(const char *text, const char *what, struct error *err)
{
	char *end = NULL;
	long number;

	errno = 0;
	number = strtol(text, &end, 10);
	if (*text < '0' || *text > '9' || *end != '\0' || errno != 0 || number > INT_MAX)
		return error_set(err, -EINVAL, "'%s' is not a %s (a number)", text, what);
	return (int)number;
}

/* How the terminal was before it was told to hide what is typed. */
static struct termios terminal_before;

static const int fatal_signals[] = {SIGHUP, SIGINT, SIGQUIT, SIGTERM};

enum { FATAL_SIGNALS = sizeof(fatal_signals) / sizeof(*fatal_signals) };

/* Nobody wants a terminal that no longer shows what is typed: it is mended before the signal does its work. */
static void mend_terminal_and_die(int signal_number)
{
	(void)tcsetattr(STDIN_FILENO, TCSAFLUSH, &terminal_before);
	(void)signal(signal_number, SIG_DFL);
	(void)raise(signal_number);
}

static void on_fatal_signals(void (*handler)(int))
{
	for (size_t i = 0; i < FATAL_SIGNALS; i++)
		(void)signal(fatal_signals[i], handler);
}

static int read_line_hidden(const char *prompt, struct secret *line, struct error *err)
{
	struct termios hidden;
	int rc;

	if (tcgetattr(STDIN_FILENO, &terminal_before) != 0)
		return error_set(err, -errno, "cannot hide what is typed: %s", strerror(errno));
	hidden = terminal_before;
	hidden.c_lflag &= ~(tcflag_t)ECHO;
	on_fatal_signals(mend_terminal_and_die);
	if (tcsetattr(STDIN_FILENO, TCSAFLUSH, &hidden) != 0) {
		rc = error_set(err, -errno, "cannot hide what is typed: %s", strerror(errno));
	} else {
		(void)fputs(prompt, stderr);
		rc = fd_read_secret_line(STDIN_FILENO, "the terminal", PASSPHRASE_LINE_MAX, line,
					 err);
	}
	(void)tcsetattr(STDIN_FILENO, TCSAFLUSH, &terminal_before);
	on_fatal_signals(SIG_DFL);
	(void)fputs("\n", stderr);
	return rc;
}

int args_passphrase(const char *path, struct secret *passphrase, struct error *err)
{
	int rc;

	if (path && strcmp(path, "-") != 0)
		return file_read_secret(path, PASSPHRASE_FILE_MAX, passphrase, err);
	if (isatty(STDIN_FILENO))
		return read_line_hidden("Enter existing LUKS password: ", passphrase, err);
	rc = fd_read_secret_line(STDIN_FILENO, "standard input", PASSPHRASE_LINE_MAX, passphrase,
				 err);
	if (rc < 0)
		error_prefix(err, "no passphrase: ");
	return rc;
}
