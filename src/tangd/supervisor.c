/* SPDX-License-Identifier: Apache-2.0 */
#include "tangd/supervisor.h"

#include "base/deadline.h"
#include "base/file.h"
#include "base/log.h"
#include "tang/folder.h"
#include "tangd/crew.h"
#include "tangd/generations.h"
#include "tangd/manager.h"
#include "tangd/watch.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* Processes of all generations together, those that drain included. */
enum { WORKERS_MAX = 4 * GENERATION_WORKERS_MAX };

/* A process that keeps dying is started again after 0.1 s, 0.2 s, … and not more seldom than every 5 s. */
enum { BACK_OFF_FIRST_MS = 100, BACK_OFF_MOST_MS = 5000, BACK_OFF_FORGET_MS = 10000 };

/*
 * How long after a change of the folder it is read, milliseconds: several files are moved one after another, and the state between
 * would be served. The fronts let requests wait meanwhile.
 */
enum { SETTLE_MS = 50 };

/* How long processes may take to end by themselves. */
enum { END_MS = 5000 };

/* How long to wait for whoever has hidden all keys, and not made new ones yet. */
enum { PATIENCE_MS = 10000 };

/* How often uses of keys are counted together, and written down. */
enum { COUNT_MS = 1000, WRITE_MS = 10000 };

struct supervisor {
	const struct supervisor_options *options;
	struct crew crew;
	int workers;
	int signals;
	struct watch watch;
	struct generation *starting; /* on its way; NULL: none */
	struct generations served;   /* that the fronts have got */
	struct state *state;
	struct report *report; /* what the admin process is told */
	struct deadline
		when; /* when a wanted generation, and processes that are not there, are to be started */
	struct deadline calm;	  /* when the back-off is forgotten */
	struct deadline patience; /* until when somebody may make the keys that are missing */
	struct deadline alive;	  /* when to tell the manager that we are */
	struct deadline counting;
	struct deadline writing;
	int back_off_ms;
	int watchdog_ms; /* how often to tell the manager that we are alive; 0: it does not ask */
	bool wanted;	 /* a generation is to be started */
	bool may_create; /* nobody has made the keys that are missing */
	bool missing;	 /* no key is advertised any more; the last generation stays in service */
	bool stopping;
};

static void forget_generations(struct supervisor *supervisor)
{
	generation_free(&supervisor->starting);
	generations_free(&supervisor->served);
}

/* A child keeps nothing of ours but what it was made for, and ends with us. */
static void become_child(void *arg)
{
	struct supervisor *supervisor = arg;
	sigset_t none;

	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	/* Sent to the whole group, they are for the supervisor to act on. */
	(void)signal(SIGTERM, SIG_IGN);
	(void)signal(SIGINT, SIG_IGN);
	(void)sigemptyset(&none);
	(void)sigprocmask(SIG_SETMASK, &none, NULL);
	fd_close(&supervisor->signals);
	watch_end(&supervisor->watch);
	forget_generations(supervisor);
	state_free(&supervisor->state);
}

/* Something died: the next start comes later, the more often it happens. */
static void back_off(struct supervisor *supervisor)
{
	if (deadline_passed(supervisor->calm))
		supervisor->back_off_ms = BACK_OFF_FIRST_MS;
	else if (supervisor->back_off_ms < BACK_OFF_MOST_MS)
		supervisor->back_off_ms *= 2;
	supervisor->when = deadline_in_ms(supervisor->back_off_ms);
	supervisor->calm = deadline_in_ms(supervisor->back_off_ms + BACK_OFF_FORGET_MS);
	supervisor->wanted = true;
}

/* --- What is known of it ------------------------------------------------------------------------------------------------------- */

static void report_keys(const struct state *state, struct report *report)
{
	report->keys = 0;
	for (size_t i = 0; i < state_count(state) && report->keys < TANG_KEY_FILES_MAX; i++)
		if (state_key(state, i)->is_there)
			report->key[report->keys++] = *state_key(state, i);
}

static void report_all(struct supervisor *supervisor)
{
	struct report *report = supervisor->report;
	const struct generation *serving = supervisor->served.newest;

	report->fronts_alive = crew_fronts_alive(&supervisor->crew);
	report->fronts_died = supervisor->crew.fronts_died;
	report->admin_died = supervisor->crew.admin_died;
	report->workers_alive = serving ? generation_alive(serving) : 0;
	report->serving = serving != NULL;
	report->is_missing = supervisor->missing;
	/* Those of a new generation lock themselves in when they have told that they are ready. */
	if (serving && serving->by_keys->sandbox.no_new_privs)
		report->keys_sandbox = serving->by_keys->sandbox;
	report_keys(supervisor->state, report);
	board_write(supervisor->crew.board, report);
}

static void take_stock(struct supervisor *supervisor)
{
	generations_add_uses(&supervisor->served, supervisor->state);
	report_all(supervisor);
	supervisor->counting = deadline_in_ms(COUNT_MS);
}

/* --- Generations --------------------------------------------------------------------------------------------------------------- */

static void become_worker(void *arg)
{
	struct supervisor *supervisor = arg;

	become_child(supervisor);
	(void)prctl(PR_SET_NAME, "tangd-keys");
	crew_let_go(&supervisor->crew);
}

static bool ever_served(const struct supervisor *supervisor)
{
	return supervisor->served.newest || state_served(supervisor->state);
}

/* A first pair is made at once; one beside rotated keys only where nobody has made it for a while. */
static unsigned flags_of(const struct supervisor *supervisor)
{
	return (!supervisor->served.newest || supervisor->may_create ? (unsigned)KEYS_CREATE : 0U) |
	       (ever_served(supervisor) ? (unsigned)KEYS_SERVED : 0U) |
	       (supervisor->missing ? (unsigned)KEYS_TOLD : 0U);
}

static void start_generation(struct supervisor *supervisor)
{
	const struct generation_plan plan = {.folder = supervisor->options->folder,
					     .flags = flags_of(supervisor),
					     .fronts = supervisor->crew.fronts,
					     .workers = supervisor->workers,
					     .privileges = supervisor->options->privileges,
					     .become = become_worker,
					     .arg = supervisor};
	struct error err = {0};

	/* Those of the last ones that drain still have their places. */
	if (generations_alive(&supervisor->served) + supervisor->workers > WORKERS_MAX) {
		generations_make_room(&supervisor->served);
		supervisor->when = deadline_in_ms(SETTLE_MS);
		return;
	}
	supervisor->wanted = false;
	/* Noted before anything is read: a change in between makes one more generation. */
	watch_note(&supervisor->watch);
	if (generation_start(&plan, &supervisor->starting, &err) == 0)
		return;
	log_error("%s", err.text);
	back_off(supervisor);
}

/* What the state says is to be on disk before anybody relies on it; if that cannot be, it is tried again. */
static void write_state(struct supervisor *supervisor)
{
	struct error err = {0};
	int rc = state_write(supervisor->state, &err);

	supervisor->writing = deadline_in_ms(WRITE_MS);
	if (rc < 0 && !supervisor->report->state_failed)
		log_error("cannot keep the state: %s", err.text);
	supervisor->report->state_failed = rc < 0;
}

/* All have read the same: the fronts get it. */
static void hand_over(struct supervisor *supervisor)
{
	struct generation *generation = supervisor->starting;
	bool is_first = !supervisor->served.newest;

	crew_hand_over(&supervisor->crew, generation);
	generation_let_go(generation);
	generations_add(&supervisor->served, generation);
	supervisor->starting = NULL;
	if (supervisor->missing)
		log_info("The keys are back in service");
	supervisor->missing = supervisor->may_create = false;
	supervisor->report->generations++;
	state_set_served(supervisor->state);
	if (state_set_keys(supervisor->state, &generation->keys) < 0)
		log_error("there are too many keys to count the uses of each");
	take_stock(supervisor);
	if (is_first) {
		write_state(supervisor);
		manager_tell("READY=1");
	}
}

/* No failure of ours: whoever has hidden the keys is about to make new ones, and then the folder changes. */
static void wait_for_keys(struct supervisor *supervisor)
{
	if (!supervisor->missing)
		supervisor->patience = deadline_in_ms(PATIENCE_MS);
	supervisor->missing = true;
}

static void listen_to_generation(struct supervisor *supervisor)
{
	enum generation_news news = supervisor->starting ? generation_listen(supervisor->starting)
							 : GENERATION_READING;

	if (news == GENERATION_READING)
		return;
	if (news == GENERATION_READY) {
		hand_over(supervisor);
		return;
	}
	generation_free(&supervisor->starting);
	if (news == GENERATION_KEYLESS) {
		wait_for_keys(supervisor);
	} else if (news == GENERATION_CHANGED) {
		/* Nothing failed, so that nothing is gained by waiting longer each time. */
		supervisor->wanted = true;
		supervisor->when = deadline_in_ms(SETTLE_MS);
	} else {
		back_off(supervisor);
	}
}

/* --- Processes that end -------------------------------------------------------------------------------------------------------- */

/* At our own end, too, a crash is told; that we had to kill it is none. */
static void tell_crash(const char *name, int status)
{
	if (WIFSIGNALED(status) && WTERMSIG(status) != SIGKILL)
		log_error("%s ended (signal %d)", name, WTERMSIG(status));
}

static void miss(struct supervisor *supervisor, const char *name, int status)
{
	if (supervisor->stopping) {
		tell_crash(name, status);
		return;
	}
	log_error("%s ended (%s %d); it is started again", name,
		  WIFSIGNALED(status) ? "signal" : "status",
		  WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
	take_stock(supervisor);
	/* A new front needs channels, which come with a new generation. */
	back_off(supervisor);
}

static void bury_worker(struct supervisor *supervisor, bool is_starting, int status)
{
	if (supervisor->stopping)
		tell_crash("a keys process", status);
	/* One that ends by itself has reported why. */
	if (supervisor->stopping || !WIFSIGNALED(status))
		return;
	supervisor->report->workers_died++;
	log_error("a keys process ended (signal %d); a new generation is started",
		  WTERMSIG(status));
	if (is_starting)
		generation_free(&supervisor->starting);
	take_stock(supervisor);
	back_off(supervisor);
}

static void bury_one(struct supervisor *supervisor, pid_t pid, int status)
{
	const char *name = crew_bury(&supervisor->crew, pid);
	const struct generation *generation;

	if (name) {
		miss(supervisor, name, status);
		return;
	}
	if (supervisor->starting && generation_bury(supervisor->starting, pid)) {
		/* What it has reported before it ended counts for more. */
		if (WIFSIGNALED(status))
			bury_worker(supervisor, true, status);
		return;
	}
	generation = generations_bury(&supervisor->served, pid);
	if (generation && !generation->dismissed)
		bury_worker(supervisor, false, status);
}

static void bury(struct supervisor *supervisor)
{
	int status = 0;
	pid_t pid;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
		bury_one(supervisor, pid, status);
	generations_drop_ended(&supervisor->served, supervisor->state);
}

static void take_signals(struct supervisor *supervisor)
{
	struct signalfd_siginfo info;

	while (read(supervisor->signals, &info, sizeof(info)) == (ssize_t)sizeof(info))
		if (info.ssi_signo == SIGTERM || info.ssi_signo == SIGINT)
			supervisor->stopping = true;
	bury(supervisor);
}

/* --- The loop ------------------------------------------------------------------------------------------------------------------ */

static void look_for_changes(struct supervisor *supervisor)
{
	if (supervisor->starting || supervisor->wanted || !watch_sees_change(&supervisor->watch))
		return;
	supervisor->wanted = true;
	supervisor->when = deadline_in_ms(SETTLE_MS);
}

static void wait_for_work(const struct supervisor *supervisor)
{
	struct deadline until = deadline_earlier(deadline_in_ms(WATCH_LOOK_MS),
						 supervisor->counting);
	/* What the watch has is not looked at before, and would wake us without end. */
	bool is_busy = supervisor->starting || supervisor->wanted;
	struct pollfd polled[3] = {
		{supervisor->signals, POLLIN, 0},
		{is_busy ? -1 : supervisor->watch.fd, POLLIN, 0},
		{supervisor->starting ? generation_fd(supervisor->starting) : -1, POLLIN, 0}};

	if (supervisor->wanted && !supervisor->starting)
		until = deadline_earlier(until, supervisor->when);
	if (supervisor->watchdog_ms > 0)
		until = deadline_earlier(until, supervisor->alive);
	(void)poll(polled, 3, deadline_left_ms(until));
}

/* What is to be done from time to time. */
static void keep_time(struct supervisor *supervisor)
{
	/* The manager wants to know that we are not stuck. */
	if (supervisor->watchdog_ms > 0 && deadline_passed(supervisor->alive)) {
		manager_tell("WATCHDOG=1");
		supervisor->alive = deadline_in_ms(supervisor->watchdog_ms);
	}
	if (deadline_passed(supervisor->counting))
		take_stock(supervisor);
	if (deadline_passed(supervisor->writing))
		write_state(supervisor);
	generations_end_late(&supervisor->served);
	if (supervisor->missing && deadline_passed(supervisor->patience)) {
		supervisor->patience = deadline_in_ms(PATIENCE_MS);
		supervisor->may_create = true;
		supervisor->wanted = true;
		supervisor->when = deadline_in_ms(0);
	}
}

static void supervise(struct supervisor *supervisor)
{
	while (!supervisor->stopping) {
		keep_time(supervisor);
		if (supervisor->wanted && deadline_passed(supervisor->when) &&
		    !supervisor->starting) {
			crew_start(&supervisor->crew);
			start_generation(supervisor);
		}
		wait_for_work(supervisor);
		take_signals(supervisor);
		listen_to_generation(supervisor);
		look_for_changes(supervisor);
	}
}

static bool all_ended(const struct supervisor *supervisor)
{
	return crew_is_gone(&supervisor->crew) && generations_alive(&supervisor->served) == 0 &&
	       (!supervisor->starting || generation_alive(supervisor->starting) == 0);
}

static void kill_all(const struct supervisor *supervisor)
{
	crew_kill(&supervisor->crew);
	if (supervisor->starting)
		generation_kill(supervisor->starting);
	generations_kill(&supervisor->served);
}

/* The end of its orders tells a front to finish; the end of their channels the keys processes. */
static void stop_all(struct supervisor *supervisor)
{
	const struct deadline deadline = deadline_in_ms(END_MS);
	struct pollfd polled = {supervisor->signals, POLLIN, 0};

	manager_tell("STOPPING=1");
	if (supervisor->starting)
		generation_let_go(supervisor->starting);
	crew_dismiss(&supervisor->crew);
	while (!all_ended(supervisor) && !deadline_passed(deadline)) {
		(void)poll(&polled, 1, deadline_left_ms(deadline));
		take_signals(supervisor);
	}
	kill_all(supervisor);
	while (!all_ended(supervisor)) {
		(void)poll(&polled, 1, -1);
		take_signals(supervisor);
	}
	take_stock(supervisor);
	write_state(supervisor);
}

/* --- Start and end ------------------------------------------------------------------------------------------------------------- */

static int open_signals(struct error *err)
{
	sigset_t wanted;
	int fd;

	(void)sigemptyset(&wanted);
	(void)sigaddset(&wanted, SIGTERM);
	(void)sigaddset(&wanted, SIGINT);
	(void)sigaddset(&wanted, SIGCHLD);
	(void)sigprocmask(SIG_BLOCK, &wanted, NULL);
	fd = signalfd(-1, &wanted, SFD_NONBLOCK | SFD_CLOEXEC);
	return fd < 0 ? error_set(err, -errno, "no signals to be had: %s", strerror(errno)) : fd;
}

static int bounded(long number, int least, int most)
{
	return number < least ? least : number > most ? most : (int)number;
}

/* As many connections as the system lets us have. */
static void raise_descriptors(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
		limit.rlim_cur = limit.rlim_max;
		(void)setrlimit(RLIMIT_NOFILE, &limit);
	}
}

/* A folder that has lost its keys, hidden ones included, must not become another server in silence. */
static int check_folder(const struct supervisor *supervisor, struct error *err)
{
	const char *folder = supervisor->options->folder;
	FD_AUTO int fd = tang_folder_open(folder, err);
	TANG_NAMES_AUTO struct tang_names names = {0};
	int rc = fd < 0 ? fd : 0;

	if (rc == 0 && state_served(supervisor->state))
		rc = tang_folder_list(fd, &names, err);
	if (rc == 0 && state_served(supervisor->state) && names.count == 0)
		rc = keys_are_lost(folder, err);
	return rc;
}

static int make_report(struct supervisor *supervisor, struct error *err)
{
	const char *folder = supervisor->options->folder;
	struct report *report = calloc(1, sizeof(*report));
	size_t length;

	if (!report)
		return error_nomem(err);
	if (*folder == '/' || !getcwd(report->folder, sizeof(report->folder)))
		report->folder[0] = '\0';
	length = strlen(report->folder);
	(void)snprintf(report->folder + length, sizeof(report->folder) - length, "%s%s",
		       length > 0 ? "/" : "", folder);
	report->started = time(NULL);
	report->fronts = supervisor->crew.fronts;
	report->workers = supervisor->workers;
	report->state_kept = supervisor->options->state != NULL;
	supervisor->report = report;
	return 0;
}

static int prepare(struct supervisor *supervisor, struct error *err)
{
	int rc = crew_prepare(&supervisor->crew, err);

	if (rc == 0)
		rc = state_open(supervisor->options->state, &supervisor->state, err);
	if (rc == 0)
		rc = check_folder(supervisor, err);
	if (rc == 0)
		rc = make_report(supervisor, err);
	if (rc < 0)
		return rc;
	supervisor->signals = open_signals(err);
	if (supervisor->signals < 0)
		return supervisor->signals;
	supervisor->watchdog_ms = manager_watchdog_ms();
	raise_descriptors();
	watch_begin(&supervisor->watch, supervisor->options->folder);
	report_all(supervisor);
	return 0;
}

static void release(struct supervisor *supervisor)
{
	watch_end(&supervisor->watch);
	fd_close(&supervisor->signals);
	forget_generations(supervisor);
	state_free(&supervisor->state);
	crew_release(&supervisor->crew);
	free(supervisor->report);
}

int supervisor_run(const struct supervisor_options *options, const int *fds, int count,
		   struct error *err)
{
	const struct deadline now = deadline_in_ms(0);
	struct supervisor supervisor = {.options = options,
					.crew = {.folder = options->folder,
						 .endpoint = options->endpoint,
						 .listening = fds,
						 .listening_count = count,
						 .admin_listening = options->admin,
						 .admin_count = options->admins,
						 .privileges = options->privileges,
						 .tls = options->tls,
						 .fronts = bounded(options->fronts, 1, FRONTS_MAX),
						 .become = become_child},
					.signals = -1,
					.watch = {.fd = -1},
					.wanted = true,
					.when = now,
					.calm = now,
					.alive = now,
					.counting = now,
					.writing = deadline_in_ms(WRITE_MS)};
	int rc;

	supervisor.workers = bounded(options->workers > 0 ? options->workers
							  : sysconf(_SC_NPROCESSORS_ONLN),
				     1, GENERATION_WORKERS_MAX);
	supervisor.crew.arg = &supervisor;
	rc = prepare(&supervisor, err);
	if (rc == 0) {
		supervise(&supervisor);
		stop_all(&supervisor);
	}
	release(&supervisor);
	return rc;
}
