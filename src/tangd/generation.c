/* SPDX-License-Identifier: Apache-2.0 */
#include "tangd/generation.h"

#include "base/file.h"
#include "base/log.h"
#include "tangd/front_process.h"
#include "tangd/keys_process.h"
#include "tangd/passing.h"
#include "tangd/side.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* How long a generation may take to read the folder. */
enum { START_MS = 30000 };

static struct generation *make(const struct generation_plan *plan)
{
	struct generation *made = calloc(1, sizeof(*made));

	if (!made)
		return NULL;
	made->fronts = plan->fronts;
	made->reports = made->side = made->uses_fd = -1;
	for (int i = 0; i < FRONTS_MAX; i++)
		made->channels[i] = -1;
	made->deadline = deadline_in_ms(START_MS);
	return made;
}

static void close_all(struct generation *generation)
{
	for (int i = 0; i < generation->fronts; i++)
		fd_close(&generation->channels[i]);
	fd_close(&generation->reports);
	fd_close(&generation->side);
	fd_close(&generation->uses_fd);
}

void generation_free(struct generation **generation)
{
	struct generation *own = *generation;

	if (!own)
		return;
	close_all(own);
	side_free(&own->keys);
	counts_unshare(own->by_keys, sizeof(*own->by_keys));
	counts_unshare(own->by_fronts, sizeof(*own->by_fronts));
	free(own->added);
	free(own);
	*generation = NULL;
}

/* Makes the channels: ours are the fronts' ends, `theirs` the keys processes'. */
static int make_channels(struct generation *generation, int theirs[static FRONTS_MAX])
{
	for (int i = 0; i < generation->fronts; i++) {
		int pair[2];
		int rc = passing_pair(pair);

		if (rc < 0)
			return rc;
		generation->channels[i] = pair[0];
		theirs[i] = pair[1];
	}
	return 0;
}

static int make_uses(struct generation *generation, struct error *err)
{
	void *by_fronts = NULL;

	generation->by_keys = counts_share(sizeof(*generation->by_keys));
	if (!generation->by_keys)
		return error_nomem(err);
	generation->uses_fd = counts_share_file(sizeof(*generation->by_fronts), &by_fronts, err);
	generation->by_fronts = by_fronts;
	return generation->uses_fd < 0 ? generation->uses_fd : 0;
}

/* In the child: the fronts' ends, and what fronts count, are not its business. */
static int run_worker(const struct generation_plan *plan, struct generation *generation,
		      const int *theirs, int report, bool signs)
{
	const struct keys_process process = {
		.folder = plan->folder,
		.flags = plan->flags | (signs ? (unsigned)KEYS_SIGN : 0U),
		.channels = theirs,
		.count = (size_t)plan->fronts,
		.report = report,
		.uses = generation->by_keys,
		.privileges = plan->privileges,
	};

	plan->become(plan->arg);
	close_all(generation);
	counts_unshare(generation->by_fronts, sizeof(*generation->by_fronts));
	return keys_process_run(&process);
}

static int fork_workers(const struct generation_plan *plan, struct generation *generation,
			const int *theirs, int report)
{
	for (int i = 0; i < plan->workers; i++) {
		pid_t pid = fork();

		if (pid == 0)
			_exit(run_worker(plan, generation, theirs, report, i == 0));
		if (pid < 0)
			return -errno;
		generation->worker[generation->workers++] = pid;
	}
	return 0;
}

int generation_start(const struct generation_plan *plan, struct generation **generation,
		     struct error *err)
{
	struct generation *made = make(plan);
	int theirs[FRONTS_MAX];
	int reports[2] = {-1, -1};
	int rc;

	if (!made)
		return error_nomem(err);
	memset(theirs, -1, sizeof(theirs));
	rc = make_uses(made, err);
	if (rc == 0)
		rc = passing_pair(reports);
	made->reports = reports[0];
	if (rc == 0)
		rc = make_channels(made, theirs);
	if (rc == 0)
		rc = fork_workers(plan, made, theirs, reports[1]);
	fd_close(&reports[1]);
	for (int i = 0; i < plan->fronts; i++)
		fd_close(&theirs[i]);
	if (rc == 0) {
		*generation = made;
		return 0;
	}
	/* Those that were started find their channels closed. */
	generation_free(&made);
	return error_set(err, rc, "cannot start the keys processes: %s", strerror(-rc));
}

int generation_fd(const struct generation *generation)
{
	return generation->reports;
}

/* The public side is here: what the keys are called, for their uses. The advertisements are none of our business. */
static int take_side(struct generation *generation, int side)
{
	struct error err = {0};
	int rc = side_read(side, &generation->keys, &err);

	generation->side = side;
	if (rc == 0)
		generation->added = calloc(generation->keys.count + 1, sizeof(*generation->added));
	if (rc == 0 && !generation->added)
		rc = error_nomem(&err);
	if (rc < 0)
		log_error("%s", err.text);
	return rc;
}

static enum generation_news take_report(struct generation *generation,
					const struct keys_report *report, int side)
{
	bool differs = generation->reported > 0 && report->set != generation->set;

	if (side >= 0 && (generation->side >= 0 || take_side(generation, side) < 0)) {
		if (generation->side != side)
			(void)close(side);
		return GENERATION_FAILED;
	}
	if (report->version != KEYS_REPORT_VERSION)
		return GENERATION_FAILED;
	if (report->status == -ENOKEY)
		return GENERATION_KEYLESS;
	if (report->status == -EAGAIN || (report->status == 0 && differs))
		return GENERATION_CHANGED;
	if (report->status < 0)
		return GENERATION_FAILED;
	generation->set = report->set;
	generation->reported++;
	return generation->reported == generation->workers && generation->side >= 0
		       ? GENERATION_READY
		       : GENERATION_READING;
}

enum generation_news generation_listen(struct generation *generation)
{
	enum generation_news news = GENERATION_READING;

	while (news == GENERATION_READING) {
		struct keys_report report;
		int side = -1;
		int rc = passing_receive_some(generation->reports, &report, sizeof(report), &side);

		if (rc == -EAGAIN || rc == -EINTR)
			break;
		news = rc == 1 ? take_report(generation, &report, side) : GENERATION_FAILED;
	}
	if (news == GENERATION_READING && deadline_passed(generation->deadline)) {
		log_error("the keys processes do not get ready");
		news = GENERATION_FAILED;
	}
	return news;
}

int generation_hand_to(const struct generation *generation, int front, int orders)
{
	const struct front_order order = {FRONT_ORDER_VERSION};
	const int fds[FRONT_ORDER_FDS] = {generation->side, generation->channels[front],
					  generation->uses_fd};

	return passing_send(orders, &order, sizeof(order), fds, FRONT_ORDER_FDS);
}

void generation_let_go(struct generation *generation)
{
	close_all(generation);
}

bool generation_bury(struct generation *generation, pid_t pid)
{
	for (int i = 0; i < generation->workers; i++) {
		if (generation->worker[i] != pid)
			continue;
		generation->worker[i] = 0;
		return true;
	}
	return false;
}

int generation_alive(const struct generation *generation)
{
	int count = 0;

	for (int i = 0; i < generation->workers; i++)
		count += generation->worker[i] > 0;
	return count;
}

void generation_kill(const struct generation *generation)
{
	for (int i = 0; i < generation->workers; i++)
		if (generation->worker[i] > 0)
			(void)kill(generation->worker[i], SIGKILL);
}

/* A front that lies about its uses may make them more, never fewer, and none of tomorrow. */
void generation_add_uses(struct generation *generation, struct state *state)
{
	const int64_t now = time(NULL);

	for (size_t i = 0; generation->added && i < generation->keys.count; i++) {
		const struct public_key *key = &generation->keys.key[i];
		struct key_uses *uses = key->is_exchange ? generation->by_keys
							 : generation->by_fronts;
		uint64_t times = i < TANG_KEY_FILES_MAX ? atomic_load(&uses->key[i].times) : 0;
		int64_t last = times > 0 ? atomic_load(&uses->key[i].last) : 0;

		if (times <= generation->added[i])
			continue;
		state_add_uses(state, key->thumbprint[JOSE_S256], times - generation->added[i],
			       last < now ? last : now);
		generation->added[i] = times;
	}
}
