/* SPDX-License-Identifier: Apache-2.0 */
#include "tangd/supervisor.h"

#include "base/deadline.h"
#include "base/file.h"
#include "base/log.h"
#include "tang/folder.h"
#include "tangd/front_process.h"
#include "tangd/keys.h"
#include "tangd/keys_process.h"
#include "tangd/manager.h"
#include "tangd/passing.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

enum { FRONTS_MAX = 16, WORKERS_MAX = 256 };

/* How often the folder is looked at where nothing tells of changes (a network file system), milliseconds. */
enum { LOOK_MS = 1000 };

/* A process that keeps dying is started again after 0.1 s, 0.2 s, … and not more seldom than every 5 s. */
enum { BACK_OFF_FIRST_MS = 100, BACK_OFF_MOST_MS = 5000, BACK_OFF_FORGET_MS = 10000 };

/* When a folder that changed while it was read is read anew, milliseconds. */
enum { ANEW_MS = 20 };

/* How long processes may take to end by themselves. */
enum { END_MS = 5000 };

/* How long to wait for whoever has hidden all keys, and not made new ones yet. */
enum { PATIENCE_MS = 10000 };

/* How long a generation may take to read the folder. */
enum { START_MS = 30000 };

struct front_slot {
	pid_t pid;
	int orders; /* our end of its socket */
};

/* A generation on its way: its processes have not all told what they have read. */
struct starting {
	int workers; /* 0: none is on its way */
	int reported;
	int reports; /* where they report */
	uint64_t set;
	int side;		  /* -1: the one that signs has not told yet */
	int channels[FRONTS_MAX]; /* the fronts' ends */
	struct deadline deadline;
};

struct supervisor {
	const struct supervisor_options *options;
	const int *listening;
	struct deadline when;	  /* when a wanted generation is to be started */
	struct deadline calm;	  /* when the back-off is forgotten */
	struct deadline patience; /* until when somebody may make the keys that are missing */
	struct deadline alive;	  /* when to tell the manager that we are */
	uint64_t fingerprint;	  /* of the folder when the newest generation was started */
	struct starting starting;
	int count; /* of listening sockets */
	int fronts;
	int workers;
	int back_off_ms;
	int watch; /* inotify, -1: none */
	int signals;
	int watchdog_ms; /* how often to tell the manager that we are alive; 0: it does not ask */
	struct front_slot front[FRONTS_MAX];
	pid_t worker
		[WORKERS_MAX]; /* of the newest generation, of the one on its way, and of those that drain */
	bool wanted;	       /* a generation is to be started */
	bool served;	       /* there was one */
	bool may_create; /* nobody has made the keys that are missing */
	bool missing;	 /* no key is advertised any more; the last generation stays in service */
	bool stopping;
};

/* A child keeps nothing of ours but what it was made for, and ends with us. */
static void become_child(struct supervisor *supervisor, const char *name)
{
	sigset_t none;

	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	(void)prctl(PR_SET_NAME, name);
	(void)signal(SIGTERM,
		     SIG_IGN); /* sent to the whole group, it is for the supervisor to act on */
	(void)signal(SIGINT, SIG_IGN);
	(void)sigemptyset(&none);
	(void)sigprocmask(SIG_SETMASK, &none, NULL);
	fd_close(&supervisor->signals);
	fd_close(&supervisor->watch);
	for (int i = 0; i < supervisor->fronts; i++)
		fd_close(&supervisor->front[i].orders);
}

static void close_listening(struct supervisor *supervisor)
{
	for (int i = 0; i < supervisor->count; i++)
		(void)close(supervisor->listening[i]);
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

/* Where the folder itself is a link, or is replaced, the watch is of what it was: the look every second finds the rest. */
static int open_watch(const struct supervisor *supervisor)
{
	const unsigned events = IN_CREATE | IN_MOVED_FROM | IN_MOVED_TO | IN_DELETE |
				IN_CLOSE_WRITE | IN_ATTRIB;
	int fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);

	if (fd >= 0 && inotify_add_watch(fd, supervisor->options->folder, events) < 0)
		fd_close(&fd);
	return fd;
}

static int start_front(struct supervisor *supervisor, int index)
{
	struct front_slot *slot = &supervisor->front[index];
	int pair[2];
	int rc = passing_pair(pair);

	if (rc < 0)
		return rc;
	if (supervisor->options->tls)
		rc = tls_send(supervisor->options->tls, pair[0]);
	slot->pid = rc < 0 ? -1 : fork();
	if (slot->pid == 0) {
		const struct front_process process = {supervisor->options->endpoint,
						      supervisor->listening,
						      supervisor->count,
						      pair[1],
						      open_watch(supervisor),
						      supervisor->options->privileges,
						      supervisor->options->tls != NULL};

		(void)close(pair[0]);
		become_child(supervisor, "tangd-front");
		_exit(front_process_run(&process));
	}
	(void)close(pair[1]);
	if (slot->pid < 0) {
		rc = rc < 0 ? rc : -errno;
		(void)close(pair[0]);
		slot->pid = 0;
		return rc;
	}
	slot->orders = pair[0];
	return 0;
}

/* Starts those that are not there. */
static void start_fronts(struct supervisor *supervisor)
{
	for (int i = 0; i < supervisor->fronts; i++) {
		int rc = supervisor->front[i].pid > 0 ? 0 : start_front(supervisor, i);

		if (rc < 0)
			log_error("cannot start a front: %s", strerror(-rc));
	}
}

static void forget_starting(struct supervisor *supervisor)
{
	struct starting *starting = &supervisor->starting;

	for (int i = 0; i < supervisor->fronts; i++)
		fd_close(&starting->channels[i]);
	fd_close(&starting->reports);
	fd_close(&starting->side);
	starting->workers = 0;
}

/* A first pair is made at once; one beside rotated keys only where nobody has made it for a while. */
static bool may_create(const struct supervisor *supervisor)
{
	return !supervisor->served || supervisor->may_create;
}

/* In the child: the fronts' ends are not its business. */
static int run_worker(struct supervisor *supervisor, const int *channels, int report, bool signs)
{
	const struct keys_process process = {
		.folder = supervisor->options->folder,
		.flags = (signs ? (unsigned)KEYS_SIGN : 0U) |
			 (may_create(supervisor) ? (unsigned)KEYS_CREATE : 0U) |
			 (supervisor->served ? (unsigned)KEYS_SERVED : 0U),
		.channels = channels,
		.count = (size_t)supervisor->fronts,
		.report = report,
		.privileges = supervisor->options->privileges,
	};

	become_child(supervisor, "tangd-keys");
	close_listening(supervisor);
	forget_starting(supervisor);
	return keys_process_run(&process);
}

static int fork_worker(struct supervisor *supervisor, const int *channels, int report, bool signs)
{
	pid_t pid = fork();

	if (pid == 0)
		_exit(run_worker(supervisor, channels, report, signs));
	if (pid < 0)
		return -errno;
	for (int i = 0; i < WORKERS_MAX; i++) {
		if (supervisor->worker[i] > 0)
			continue;
		supervisor->worker[i] = pid;
		break;
	}
	return 0;
}

/* Makes the channels: ours are the fronts' ends, `theirs` the keys processes'. */
static int make_channels(struct supervisor *supervisor, int theirs[static FRONTS_MAX])
{
	for (int i = 0; i < supervisor->fronts; i++) {
		int pair[2];
		int rc = passing_pair(pair);

		if (rc < 0)
			return rc;
		supervisor->starting.channels[i] = pair[0];
		theirs[i] = pair[1];
	}
	return 0;
}

static int count_workers(const struct supervisor *supervisor)
{
	int count = 0;

	for (int i = 0; i < WORKERS_MAX; i++)
		count += supervisor->worker[i] > 0;
	return count;
}

static uint64_t look_at_folder(const struct supervisor *supervisor)
{
	FD_AUTO int fd = tang_folder_open(supervisor->options->folder, NULL);
	uint64_t fingerprint = 0;

	if (fd >= 0)
		(void)keys_fingerprint(fd, supervisor->options->folder, &fingerprint, NULL);
	return fingerprint;
}

static void start_generation(struct supervisor *supervisor)
{
	struct starting *starting = &supervisor->starting;
	int theirs[FRONTS_MAX];
	int reports[2] = {-1, -1};
	int rc;

	/* Those of the last one that drain still have their places. */
	if (count_workers(supervisor) + supervisor->workers > WORKERS_MAX)
		return;
	memset(theirs, -1, sizeof(theirs));
	supervisor->wanted = false;
	/* Taken before anything is read: a change in between makes one more generation. */
	supervisor->fingerprint = look_at_folder(supervisor);
	starting->deadline = deadline_in_ms(START_MS);
	rc = passing_pair(reports);
	if (rc == 0)
		rc = make_channels(supervisor, theirs);
	starting->reports = reports[0];
	starting->reported = 0;
	for (int i = 0; rc == 0 && i < supervisor->workers; i++) {
		rc = fork_worker(supervisor, theirs, reports[1], i == 0);
		starting->workers += rc == 0;
	}
	fd_close(&reports[1]);
	for (int i = 0; i < supervisor->fronts; i++)
		fd_close(&theirs[i]);
	if (rc == 0)
		return;
	log_error("cannot start the keys processes: %s", strerror(-rc));
	forget_starting(supervisor);
	back_off(supervisor);
}

/* All have read the same: the fronts get it. */
static void hand_over(struct supervisor *supervisor)
{
	const struct front_order order = {FRONT_ORDER_VERSION};
	struct starting *starting = &supervisor->starting;

	for (int i = 0; i < supervisor->fronts; i++) {
		int fds[2] = {starting->side, starting->channels[i]};

		if (supervisor->front[i].pid > 0)
			(void)passing_send(supervisor->front[i].orders, &order, sizeof(order), fds,
					   2);
	}
	if (!supervisor->served)
		manager_tell("READY=1");
	supervisor->served = true;
	supervisor->missing = false;
	supervisor->may_create = false;
	forget_starting(supervisor);
}

/* Not to be used: the folder cannot be read. */
static void give_up_starting(struct supervisor *supervisor)
{
	forget_starting(supervisor);
	back_off(supervisor);
}

/* Not to be used: the folder changed while it was read. Nothing failed, so that nothing is gained by waiting longer each time. */
static void start_anew(struct supervisor *supervisor)
{
	forget_starting(supervisor);
	supervisor->wanted = true;
	supervisor->when = deadline_in_ms(ANEW_MS);
}

/* No failure of ours: whoever has hidden the keys is about to make new ones, and then the folder changes. */
static void wait_for_keys(struct supervisor *supervisor)
{
	forget_starting(supervisor);
	if (!supervisor->missing)
		supervisor->patience = deadline_in_ms(PATIENCE_MS);
	supervisor->missing = true;
}

static void take_report(struct supervisor *supervisor, const struct keys_report *report, int side)
{
	struct starting *starting = &supervisor->starting;

	bool differs = starting->reported > 0 && report->set != starting->set;

	if (report->version != KEYS_REPORT_VERSION || report->status < 0 || differs) {
		fd_close(&side);
		if (report->status == -ENOKEY)
			wait_for_keys(supervisor);
		else if (report->status == -EAGAIN || (report->status == 0 && differs))
			start_anew(supervisor);
		else
			give_up_starting(supervisor);
		return;
	}
	starting->set = report->set;
	starting->reported++;
	if (side >= 0)
		starting->side = side;
	if (starting->reported == starting->workers && starting->side >= 0)
		hand_over(supervisor);
}

static void take_reports(struct supervisor *supervisor)
{
	while (supervisor->starting.workers > 0) {
		struct keys_report report;
		int side = -1;
		int rc = passing_receive_some(supervisor->starting.reports, &report, sizeof(report),
					      &side);

		if (rc == -EAGAIN || rc == -EINTR)
			return;
		if (rc == 1)
			take_report(supervisor, &report, side);
		else
			give_up_starting(supervisor);
	}
}

static void bury_front(struct supervisor *supervisor, int index, int status)
{
	struct front_slot *slot = &supervisor->front[index];

	slot->pid = 0;
	fd_close(&slot->orders);
	if (supervisor->stopping)
		return;
	log_error("a front ended (%s %d); it is started again",
		  WIFSIGNALED(status) ? "signal" : "status",
		  WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
	/* A new front needs channels, which come with a new generation. */
	back_off(supervisor);
}

static void bury_worker(struct supervisor *supervisor, int index, int status)
{
	supervisor->worker[index] = 0;
	/* One that ends by itself has reported why. */
	if (supervisor->stopping || !WIFSIGNALED(status))
		return;
	log_error("a keys process ended (signal %d); a new generation is started",
		  WTERMSIG(status));
	if (supervisor->starting.workers > 0)
		forget_starting(supervisor);
	back_off(supervisor);
}

static void bury(struct supervisor *supervisor)
{
	int status = 0;
	pid_t pid;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
		for (int i = 0; i < supervisor->fronts; i++)
			if (supervisor->front[i].pid == pid)
				bury_front(supervisor, i, status);
		for (int i = 0; i < WORKERS_MAX; i++)
			if (supervisor->worker[i] == pid)
				bury_worker(supervisor, i, status);
	}
}

static void take_signals(struct supervisor *supervisor)
{
	struct signalfd_siginfo info;

	while (read(supervisor->signals, &info, sizeof(info)) == (ssize_t)sizeof(info))
		if (info.ssi_signo == SIGTERM || info.ssi_signo == SIGINT)
			supervisor->stopping = true;
	bury(supervisor);
}

static void watch_folder(struct supervisor *supervisor)
{
	fd_close(&supervisor->watch);
	supervisor->watch = open_watch(supervisor);
}

static void look_for_changes(struct supervisor *supervisor)
{
	char events[4096];

	while (supervisor->watch >= 0 && read(supervisor->watch, events, sizeof(events)) > 0)
		;
	if (supervisor->starting.workers > 0 || supervisor->wanted ||
	    look_at_folder(supervisor) == supervisor->fingerprint)
		return;
	supervisor->wanted = true;
	supervisor->when = deadline_in_ms(0);
	watch_folder(supervisor);
}

static void wait_for_work(const struct supervisor *supervisor)
{
	struct pollfd polled[3] = {{supervisor->signals, POLLIN, 0},
				   {supervisor->watch, POLLIN, 0},
				   {supervisor->starting.reports, POLLIN, 0}};
	int timeout = LOOK_MS;

	if (supervisor->wanted && deadline_left_ms(supervisor->when) < timeout)
		timeout = deadline_left_ms(supervisor->when);
	if (supervisor->watchdog_ms > 0 && deadline_left_ms(supervisor->alive) < timeout)
		timeout = deadline_left_ms(supervisor->alive);
	(void)poll(polled, 3, timeout);
}

/* The manager wants to know that we are not stuck. */
static void tell_alive(struct supervisor *supervisor)
{
	if (supervisor->watchdog_ms == 0 || !deadline_passed(supervisor->alive))
		return;
	manager_tell("WATCHDOG=1");
	supervisor->alive = deadline_in_ms(supervisor->watchdog_ms);
}

static void supervise(struct supervisor *supervisor)
{
	while (!supervisor->stopping) {
		tell_alive(supervisor);
		if (supervisor->wanted && deadline_passed(supervisor->when) &&
		    supervisor->starting.workers == 0) {
			start_fronts(supervisor);
			start_generation(supervisor);
		}
		wait_for_work(supervisor);
		take_signals(supervisor);
		take_reports(supervisor);
		if (supervisor->starting.workers > 0 &&
		    deadline_passed(supervisor->starting.deadline)) {
			log_error("the keys processes do not get ready");
			give_up_starting(supervisor);
		}
		look_for_changes(supervisor);
		if (supervisor->missing && deadline_passed(supervisor->patience)) {
			supervisor->patience = deadline_in_ms(PATIENCE_MS);
			supervisor->may_create = true;
			supervisor->wanted = true;
			supervisor->when = deadline_in_ms(0);
		}
	}
}

static bool all_ended(const struct supervisor *supervisor)
{
	for (int i = 0; i < supervisor->fronts; i++)
		if (supervisor->front[i].pid > 0)
			return false;
	return count_workers(supervisor) == 0;
}

static void kill_all(const struct supervisor *supervisor)
{
	for (int i = 0; i < supervisor->fronts; i++)
		if (supervisor->front[i].pid > 0)
			(void)kill(supervisor->front[i].pid, SIGKILL);
	for (int i = 0; i < WORKERS_MAX; i++)
		if (supervisor->worker[i] > 0)
			(void)kill(supervisor->worker[i], SIGKILL);
}

/* The end of its orders tells a front to finish; the end of their channels the keys processes. */
static void stop_all(struct supervisor *supervisor)
{
	const struct deadline deadline = deadline_in_ms(END_MS);
	struct pollfd polled = {supervisor->signals, POLLIN, 0};

	manager_tell("STOPPING=1");
	forget_starting(supervisor);
	close_listening(supervisor);
	for (int i = 0; i < supervisor->fronts; i++)
		fd_close(&supervisor->front[i].orders);
	while (!all_ended(supervisor) && !deadline_passed(deadline)) {
		(void)poll(&polled, 1, deadline_left_ms(deadline));
		take_signals(supervisor);
	}
	kill_all(supervisor);
	while (!all_ended(supervisor)) {
		(void)poll(&polled, 1, -1);
		take_signals(supervisor);
	}
}

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

int supervisor_run(const struct supervisor_options *options, const int *fds, int count,
		   struct error *err)
{
	struct supervisor supervisor = {.options = options,
					.listening = fds,
					.count = count,
					.fronts = bounded(options->fronts, 1, FRONTS_MAX),
					.watch = -1,
					.wanted = true,
					.when = deadline_in_ms(0),
					.calm = deadline_in_ms(0)};

	supervisor.workers = bounded(options->workers > 0 ? options->workers
							  : sysconf(_SC_NPROCESSORS_ONLN),
				     1, WORKERS_MAX / 4);
	supervisor.starting.reports = supervisor.starting.side = -1;
	for (int i = 0; i < FRONTS_MAX; i++)
		supervisor.front[i].orders = supervisor.starting.channels[i] = -1;
	supervisor.signals = open_signals(err);
	if (supervisor.signals < 0)
		return supervisor.signals;
	supervisor.watchdog_ms = manager_watchdog_ms();
	supervisor.alive = deadline_in_ms(0);
	raise_descriptors();
	watch_folder(&supervisor);
	supervise(&supervisor);
	stop_all(&supervisor);
	fd_close(&supervisor.watch);
	fd_close(&supervisor.signals);
	return 0;
}
