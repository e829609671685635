/* SPDX-License-Identifier: Apache-2.0 */
#include "tangd/supervisor.h"

#include "base/deadline.h"
#include "base/file.h"
#include "base/log.h"
#include "tang/folder.h"
#include "tangd/admin_process.h"
#include "tangd/front_process.h"
#include "tangd/generation.h"
#include "tangd/manager.h"
#include "tangd/passing.h"
#include "tangd/watch.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
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

/* When a folder that changed while it was read is read anew, milliseconds. */
enum { ANEW_MS = 20 };

/* How long processes may take to end by themselves. */
enum { END_MS = 5000 };

/* How long to wait for whoever has hidden all keys, and not made new ones yet. */
enum { PATIENCE_MS = 10000 };

/* How often uses of keys are counted together, and written down. */
enum { COUNT_MS = 1000, WRITE_MS = 10000 };

/* A process that we talk to: its end of the socket closes with us. */
struct child {
	pid_t pid; /* 0: none */
	int orders;
};

struct supervisor {
	const struct supervisor_options *options;
	const int *listening;
	int count; /* of them */
	int fronts;
	int workers;
	int signals;
	struct watch watch;
	struct child front[FRONTS_MAX];
	struct front_counts *counts[FRONTS_MAX];
	struct child admin;
	struct generation *starting; /* on its way; NULL: none */
	struct generation
		*serving; /* the newest that the fronts have, and behind it those that drain */
	struct state *state;
	struct board *board;   /* for the admin process */
	struct report *report; /* what is to be written on it */
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

static void close_listening(const int *fds, int count)
{
	for (int i = 0; i < count; i++)
		(void)close(fds[i]);
}

/* A child keeps nothing of ours but what it was made for, and ends with us. */
static void become_child(struct supervisor *supervisor, const char *name)
{
	sigset_t none;

	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	(void)prctl(PR_SET_NAME, name);
	/* Sent to the whole group, they are for the supervisor to act on. */
	(void)signal(SIGTERM, SIG_IGN);
	(void)signal(SIGINT, SIG_IGN);
	(void)sigemptyset(&none);
	(void)sigprocmask(SIG_SETMASK, &none, NULL);
	fd_close(&supervisor->signals);
	watch_end(&supervisor->watch);
	for (int i = 0; i < supervisor->fronts; i++)
		fd_close(&supervisor->front[i].orders);
	fd_close(&supervisor->admin.orders);
	generation_free(&supervisor->starting);
	while (supervisor->serving) {
		struct generation *next = supervisor->serving->next;

		generation_free(&supervisor->serving);
		supervisor->serving = next;
	}
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

/* --- Fronts and the admin process ---------------------------------------------------------------------------------------------- */

/* In the child: `orders` is its end of the socket. */
static int run_front(struct supervisor *supervisor, int index, int orders)
{
	const struct front_process process = {.endpoint = supervisor->options->endpoint,
					      .listening = supervisor->listening,
					      .count = supervisor->count,
					      .orders = orders,
					      .counts = supervisor->counts[index],
					      .watch = watch_open(supervisor->options->folder)};

	become_child(supervisor, "tangd-front");
	close_listening(supervisor->options->admin, supervisor->options->admins);
	counts_unshare(supervisor->board, sizeof(*supervisor->board));
	for (int i = 0; i < supervisor->fronts; i++)
		if (i != index)
			counts_unshare(supervisor->counts[i], sizeof(*supervisor->counts[i]));
	return front_process_run(&process);
}

static int run_admin(struct supervisor *supervisor, int index, int orders)
{
	const struct admin_process process = {.listening = supervisor->options->admin,
					      .count = supervisor->options->admins,
					      .orders = orders,
					      .board = supervisor->board,
					      .fronts = supervisor->counts};

	(void)index;
	become_child(supervisor, "tangd-admin");
	close_listening(supervisor->listening, supervisor->count);
	return admin_process_run(&process);
}

/* Starts a process that is not there. */
static void start_child(struct supervisor *supervisor, struct child *child, int index,
			int (*run)(struct supervisor *supervisor, int index, int orders))
{
	int pair[2] = {-1, -1};
	int rc;

	if (child->pid > 0)
		return;
	rc = passing_pair(pair);
	if (rc == 0)
		child->pid = fork();
	if (rc == 0 && child->pid == 0) {
		(void)close(pair[0]);
		_exit(run(supervisor, index, pair[1]));
	}
	if (rc == 0 && child->pid < 0)
		rc = -errno;
	fd_close(&pair[1]);
	if (rc == 0) {
		child->orders = pair[0];
		return;
	}
	child->pid = 0;
	fd_close(&pair[0]);
	log_error("cannot start a process: %s", strerror(-rc));
}

static void start_children(struct supervisor *supervisor)
{
	for (int i = 0; i < supervisor->fronts; i++)
		start_child(supervisor, &supervisor->front[i], i, run_front);
	if (supervisor->options->admins > 0)
		start_child(supervisor, &supervisor->admin, 0, run_admin);
}

static int fronts_alive(const struct supervisor *supervisor)
{
	int count = 0;

	for (int i = 0; i < supervisor->fronts; i++)
		count += supervisor->front[i].pid > 0;
	return count;
}

/* --- Generations --------------------------------------------------------------------------------------------------------------- */

static void become_worker(void *arg)
{
	struct supervisor *supervisor = arg;

	become_child(supervisor, "tangd-keys");
	close_listening(supervisor->listening, supervisor->count);
	close_listening(supervisor->options->admin, supervisor->options->admins);
	counts_unshare(supervisor->board, sizeof(*supervisor->board));
	for (int i = 0; i < supervisor->fronts; i++)
		counts_unshare(supervisor->counts[i], sizeof(*supervisor->counts[i]));
}

static int workers_alive(const struct supervisor *supervisor)
{
	int count = 0;

	for (const struct generation *g = supervisor->serving; g; g = g->next)
		count += generation_alive(g);
	return count;
}

static bool ever_served(const struct supervisor *supervisor)
{
	return supervisor->serving || state_served(supervisor->state);
}

/* A first pair is made at once; one beside rotated keys only where nobody has made it for a while. */
static unsigned flags_of(const struct supervisor *supervisor)
{
	return (!supervisor->serving || supervisor->may_create ? (unsigned)KEYS_CREATE : 0U) |
	       (ever_served(supervisor) ? (unsigned)KEYS_SERVED : 0U) |
	       (supervisor->missing ? (unsigned)KEYS_TOLD : 0U);
}

static void start_generation(struct supervisor *supervisor)
{
	const struct generation_plan plan = {.folder = supervisor->options->folder,
					     .flags = flags_of(supervisor),
					     .fronts = supervisor->fronts,
					     .workers = supervisor->workers,
					     .become = become_worker,
					     .arg = supervisor};
	struct error err = {0};

	/* Those of the last ones that drain still have their places. */
	if (workers_alive(supervisor) + supervisor->workers > WORKERS_MAX)
		return;
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
	bool is_first = !supervisor->serving;

	for (int i = 0; i < supervisor->fronts; i++)
		if (supervisor->front[i].pid > 0)
			(void)generation_hand_to(generation, i, supervisor->front[i].orders);
	generation_let_go(generation);
	generation->next = supervisor->serving;
	supervisor->serving = generation;
	supervisor->starting = NULL;
	if (supervisor->missing)
		log_info("The keys are back in service");
	supervisor->missing = supervisor->may_create = false;
	supervisor->report->generations++;
	state_set_served(supervisor->state);
	if (state_set_keys(supervisor->state, &generation->keys) < 0)
		log_error("there are too many keys to count the uses of each");
	if (is_first)
		write_state(supervisor);
	if (is_first)
		manager_tell("READY=1");
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
		supervisor->when = deadline_in_ms(ANEW_MS);
	} else {
		back_off(supervisor);
	}
}

/* Those that have ended, but for the one that is to serve. */
static void drop_drained(struct supervisor *supervisor)
{
	struct generation **link = supervisor->serving ? &supervisor->serving->next : NULL;

	while (link && *link) {
		struct generation *generation = *link;

		if (generation_alive(generation) > 0) {
			link = &generation->next;
			continue;
		}
		generation_add_uses(generation, supervisor->state);
		*link = generation->next;
		generation_free(&generation);
	}
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
	const struct generation *serving = supervisor->serving;

	report->fronts_alive = fronts_alive(supervisor);
	report->workers_alive = serving ? generation_alive(serving) : 0;
	report->serving = serving != NULL;
	report->is_missing = supervisor->missing;
	if (serving)
		report->keys_sandbox = serving->by_keys->sandbox;
	report_keys(supervisor->state, report);
	board_write(supervisor->board, report);
}

static void count(struct supervisor *supervisor)
{
	for (struct generation *g = supervisor->serving; g; g = g->next)
		generation_add_uses(g, supervisor->state);
	report_all(supervisor);
	supervisor->counting = deadline_in_ms(COUNT_MS);
}

/* --- Processes that end -------------------------------------------------------------------------------------------------------- */

static void bury_child(struct supervisor *supervisor, struct child *child, const char *name,
		       int status)
{
	child->pid = 0;
	fd_close(&child->orders);
	if (supervisor->stopping)
		return;
	log_error("%s ended (%s %d); it is started again", name,
		  WIFSIGNALED(status) ? "signal" : "status",
		  WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
	/* A new front needs channels, which come with a new generation. */
	back_off(supervisor);
}

static void bury_worker(struct supervisor *supervisor, bool is_starting, int status)
{
	/* One that ends by itself has reported why. */
	if (supervisor->stopping || !WIFSIGNALED(status))
		return;
	supervisor->report->workers_died++;
	log_error("a keys process ended (signal %d); a new generation is started",
		  WTERMSIG(status));
	if (is_starting)
		generation_free(&supervisor->starting);
	back_off(supervisor);
}

static void bury_one(struct supervisor *supervisor, pid_t pid, int status)
{
	for (int i = 0; i < supervisor->fronts; i++) {
		if (supervisor->front[i].pid != pid)
			continue;
		supervisor->report->fronts_died += !supervisor->stopping;
		bury_child(supervisor, &supervisor->front[i], "a front", status);
		return;
	}
	if (supervisor->admin.pid == pid) {
		bury_child(supervisor, &supervisor->admin, "the admin process", status);
		return;
	}
	if (supervisor->starting && generation_bury(supervisor->starting, pid)) {
		/* What it has reported before it ended counts for more. */
		if (WIFSIGNALED(status))
			bury_worker(supervisor, true, status);
		return;
	}
	for (struct generation *g = supervisor->serving; g; g = g->next) {
		if (!generation_bury(g, pid))
			continue;
		bury_worker(supervisor, false, status);
		return;
	}
}

static void bury(struct supervisor *supervisor)
{
	int status = 0;
	pid_t pid;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
		bury_one(supervisor, pid, status);
	drop_drained(supervisor);
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
	supervisor->when = deadline_in_ms(0);
}

static void wait_for_work(const struct supervisor *supervisor)
{
	struct deadline until = deadline_earlier(deadline_in_ms(WATCH_LOOK_MS),
						 supervisor->counting);
	struct pollfd polled[3] = {
		{supervisor->signals, POLLIN, 0},
		{supervisor->watch.fd, POLLIN, 0},
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
		count(supervisor);
	if (deadline_passed(supervisor->writing))
		write_state(supervisor);
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
			start_children(supervisor);
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
	return fronts_alive(supervisor) == 0 && supervisor->admin.pid == 0 &&
	       workers_alive(supervisor) == 0 &&
	       (!supervisor->starting || generation_alive(supervisor->starting) == 0);
}

static void kill_all(const struct supervisor *supervisor)
{
	for (int i = 0; i < supervisor->fronts; i++)
		if (supervisor->front[i].pid > 0)
			(void)kill(supervisor->front[i].pid, SIGKILL);
	if (supervisor->admin.pid > 0)
		(void)kill(supervisor->admin.pid, SIGKILL);
	if (supervisor->starting)
		generation_kill(supervisor->starting);
	for (const struct generation *g = supervisor->serving; g; g = g->next)
		generation_kill(g);
}

/* The end of its orders tells a front to finish; the end of their channels the keys processes. */
static void stop_all(struct supervisor *supervisor)
{
	const struct deadline deadline = deadline_in_ms(END_MS);
	struct pollfd polled = {supervisor->signals, POLLIN, 0};

	manager_tell("STOPPING=1");
	if (supervisor->starting)
		generation_let_go(supervisor->starting);
	close_listening(supervisor->listening, supervisor->count);
	close_listening(supervisor->options->admin, supervisor->options->admins);
	for (int i = 0; i < supervisor->fronts; i++)
		fd_close(&supervisor->front[i].orders);
	fd_close(&supervisor->admin.orders);
	while (!all_ended(supervisor) && !deadline_passed(deadline)) {
		(void)poll(&polled, 1, deadline_left_ms(deadline));
		take_signals(supervisor);
	}
	kill_all(supervisor);
	while (!all_ended(supervisor)) {
		(void)poll(&polled, 1, -1);
		take_signals(supervisor);
	}
	count(supervisor);
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

static int share_memory(struct supervisor *supervisor, struct error *err)
{
	bool is_there = true;

	supervisor->report = calloc(1, sizeof(*supervisor->report));
	supervisor->board = counts_share(sizeof(*supervisor->board));
	for (int i = 0; i < supervisor->fronts; i++) {
		supervisor->counts[i] = counts_share(sizeof(*supervisor->counts[i]));
		is_there = is_there && supervisor->counts[i];
	}
	if (!supervisor->report || !supervisor->board || !is_there)
		return error_nomem(err);
	(void)strncpy(supervisor->report->folder, supervisor->options->folder,
		      sizeof(supervisor->report->folder) - 1);
	supervisor->report->started = time(NULL);
	supervisor->report->fronts = supervisor->fronts;
	supervisor->report->workers = supervisor->workers;
	supervisor->report->state_kept = supervisor->options->state != NULL;
	return 0;
}

static int prepare(struct supervisor *supervisor, struct error *err)
{
	int rc = state_open(supervisor->options->state, &supervisor->state, err);

	if (rc == 0)
		rc = check_folder(supervisor, err);
	if (rc == 0)
		rc = share_memory(supervisor, err);
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
	generation_free(&supervisor->starting);
	while (supervisor->serving) {
		struct generation *next = supervisor->serving->next;

		generation_free(&supervisor->serving);
		supervisor->serving = next;
	}
	state_free(&supervisor->state);
	counts_unshare(supervisor->board, sizeof(*supervisor->board));
	for (int i = 0; i < supervisor->fronts; i++)
		counts_unshare(supervisor->counts[i], sizeof(*supervisor->counts[i]));
	free(supervisor->report);
}

int supervisor_run(const struct supervisor_options *options, const int *fds, int count,
		   struct error *err)
{
	const struct deadline now = deadline_in_ms(0);
	struct supervisor supervisor = {.options = options,
					.listening = fds,
					.count = count,
					.fronts = bounded(options->fronts, 1, FRONTS_MAX),
					.signals = -1,
					.watch = {.fd = -1},
					.admin = {.orders = -1},
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
	for (int i = 0; i < FRONTS_MAX; i++)
		supervisor.front[i].orders = -1;
	rc = prepare(&supervisor, err);
	if (rc == 0) {
		supervise(&supervisor);
		stop_all(&supervisor);
	}
	release(&supervisor);
	return rc;
}
