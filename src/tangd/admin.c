/* SPDX-License-Identifier: Apache-2.0 */
#include "tangd/admin.h"

#include "base/json.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static const char *const kinds[COUNTS_KINDS] = {"advertisement", "recovery", "other"};

/* All fronts' counts together. */
struct totals {
	uint64_t requests[COUNTS_KINDS][COUNTS_STATUSES];
	uint64_t latency[COUNTS_KINDS][COUNTS_BUCKETS + 1];
	uint64_t latency_us[COUNTS_KINDS];
	uint64_t gave_way;
	uint64_t lost_lines;
	uint64_t connections;
	uint64_t waiting;
};

static void add_kind(struct totals *totals, const struct front_counts *front, int kind)
{
	for (int i = 0; i < COUNTS_STATUSES; i++)
		totals->requests[kind][i] += atomic_load(&front->requests[kind][i]);
	for (int i = 0; i <= COUNTS_BUCKETS; i++)
		totals->latency[kind][i] += atomic_load(&front->latency[kind][i]);
	totals->latency_us[kind] += atomic_load(&front->latency_us[kind]);
}

static struct totals sum(const struct report *report, struct front_counts *const *fronts)
{
	struct totals totals = {0};

	for (int i = 0; i < report->fronts; i++) {
		for (int kind = 0; kind < COUNTS_KINDS; kind++)
			add_kind(&totals, fronts[i], kind);
		totals.gave_way += atomic_load(&fronts[i]->gave_way);
		totals.lost_lines += atomic_load(&fronts[i]->lost_lines);
		totals.connections += atomic_load(&fronts[i]->connections);
		totals.waiting += atomic_load(&fronts[i]->waiting);
	}
	return totals;
}

const char *admin_complaint(const struct report *report)
{
	if (!report->serving || report->workers_alive == 0)
		return "no keys are in service";
	if (report->fronts_alive == 0)
		return "no front is in service";
	return NULL;
}

static void head(FILE *out, const char *name, const char *type, const char *help)
{
	(void)fprintf(out, "# HELP tangd_%s %s\n# TYPE tangd_%s %s\n", name, help, name, type);
}

static void one(FILE *out, const char *name, const char *type, const char *help, uint64_t value)
{
	head(out, name, type, help);
	(void)fprintf(out, "tangd_%s %" PRIu64 "\n", name, value);
}

/* Every status is there from the start, so that a rate can be taken of the first one that goes wrong. */
static void print_requests(FILE *out, const struct totals *totals)
{
	head(out, "requests_total", "counter", "Requests answered, by kind and HTTP status.");
	for (int kind = 0; kind < COUNTS_KINDS; kind++) {
		for (int i = 0; i < COUNTS_STATUS_OTHER; i++)
			(void)fprintf(out,
				      "tangd_requests_total{kind=\"%s\",status=\"%u\"} %" PRIu64
				      "\n",
				      kinds[kind], counts_status[i], totals->requests[kind][i]);
		(void)fprintf(out,
			      "tangd_requests_total{kind=\"%s\",status=\"other\"} %" PRIu64 "\n",
			      kinds[kind], totals->requests[kind][COUNTS_STATUS_OTHER]);
	}
}

static void print_latency(FILE *out, const struct totals *totals)
{
	static const char name[] = "tangd_request_duration_seconds";

	head(out, "request_duration_seconds", "histogram",
	     "Time from a request's first line to its answer, by kind.");
	for (int kind = 0; kind < COUNTS_KINDS; kind++) {
		uint64_t count = 0;

		for (int i = 0; i < COUNTS_BUCKETS; i++) {
			count += totals->latency[kind][i];
			(void)fprintf(out, "%s_bucket{kind=\"%s\",le=\"%g\"} %" PRIu64 "\n", name,
				      kinds[kind], counts_bucket_us[i] / 1e6, count);
		}
		count += totals->latency[kind][COUNTS_BUCKETS];
		(void)fprintf(out, "%s_bucket{kind=\"%s\",le=\"+Inf\"} %" PRIu64 "\n", name,
			      kinds[kind], count);
		(void)fprintf(out, "%s_sum{kind=\"%s\"} %.6f\n", name, kinds[kind],
			      (double)totals->latency_us[kind] / 1e6);
		(void)fprintf(out, "%s_count{kind=\"%s\"} %" PRIu64 "\n", name, kinds[kind], count);
	}
}

static const char *use_of(const struct state_key *key)
{
	return key->is_exchange ? "exchange" : "signing";
}

static const char *state_of(const struct state_key *key)
{
	return key->is_advertised ? "active" : "rotated";
}

static void print_keys(FILE *out, const struct report *report)
{
	head(out, "key_uses_total", "counter",
	     "Uses of a key: recoveries of an exchange key, advertisements asked for by a signing "
	     "key's thumbprint.");
	for (size_t i = 0; i < report->keys; i++)
		(void)fprintf(out, "tangd_key_uses_total{key=\"%s\",use=\"%s\"} %" PRIu64 "\n",
			      report->key[i].thumbprint, use_of(&report->key[i]),
			      report->key[i].times);
	head(out, "key_last_use_timestamp_seconds", "gauge", "When a key was last used; 0: never.");
	for (size_t i = 0; i < report->keys; i++)
		(void)fprintf(
			out,
			"tangd_key_last_use_timestamp_seconds{key=\"%s\",use=\"%s\"} %" PRId64 "\n",
			report->key[i].thumbprint, use_of(&report->key[i]), report->key[i].last);
	head(out, "key_active", "gauge", "1: the key is advertised; 0: it is rotated.");
	for (size_t i = 0; i < report->keys; i++)
		(void)fprintf(out, "tangd_key_active{key=\"%s\",use=\"%s\"} %d\n",
			      report->key[i].thumbprint, use_of(&report->key[i]),
			      report->key[i].is_advertised);
}

static void print_processes(FILE *out, const struct report *report)
{
	one(out, "generations_total", "counter", "Sets of keys put into service.",
	    report->generations);
	head(out, "processes_died_total", "counter", "Processes that ended by themselves.");
	(void)fprintf(out,
		      "tangd_processes_died_total{process=\"front\"} %" PRIu64
		      "\ntangd_processes_died_total{process=\"keys\"} %" PRIu64
		      "\ntangd_processes_died_total{process=\"admin\"} %" PRIu64 "\n",
		      report->fronts_died, report->workers_died, report->admin_died);
	head(out, "processes", "gauge", "Processes that are there.");
	(void)fprintf(
		out,
		"tangd_processes{process=\"front\"} %d\ntangd_processes{process=\"keys\"} %d\n",
		report->fronts_alive, report->workers_alive);
	one(out, "up", "gauge", "1: keys are in service.", admin_complaint(report) == NULL);
	one(out, "keys_missing", "gauge",
	    "1: the key folder has lost its keys; the last ones stay in service.",
	    report->is_missing);
	one(out, "state_failed", "gauge", "1: the state folder could not be written.",
	    report->state_failed);
	one(out, "start_time_seconds", "gauge", "When the server was started.",
	    (uint64_t)report->started);
	head(out, "build_info", "gauge", "The version.");
	(void)fprintf(out, "tangd_build_info{version=\"%s\"} 1\n", NBDE_VERSION);
}

char *admin_metrics(const struct report *report, struct front_counts *const *fronts)
{
	const struct totals totals = sum(report, fronts);
	char *text = NULL;
	size_t size = 0;
	FILE *out = open_memstream(&text, &size);
	bool failed;

	if (!out)
		return NULL;
	print_requests(out, &totals);
	print_latency(out, &totals);
	one(out, "requests_waiting", "gauge", "Requests that wait for the private keys.",
	    totals.waiting);
	one(out, "connections", "gauge", "Connections that are open.", totals.connections);
	one(out, "connections_shed_total", "counter",
	    "Connections closed for others, since there were too many.", totals.gave_way);
	one(out, "log_lines_lost_total", "counter", "Lines of the log that nobody took in time.",
	    totals.lost_lines);
	print_keys(out, report);
	print_processes(out, report);
	failed = ferror(out) != 0;
	if (fclose(out) != 0 || failed) {
		free(text);
		return NULL;
	}
	return text;
}

/* What shared memory holds need not end, nor be text; and whoever wrote it may write on. */
static json_t *sandbox_to_json(const struct sandbox *sandbox)
{
	char text[SANDBOX_TEXT_MAX];
	char missing[SANDBOX_TEXT_MAX + 1] = "";

	memcpy(missing, sandbox->missing, SANDBOX_TEXT_MAX);
	error_sanitise(missing);
	sandbox_describe(sandbox, text);
	return json_pack("{s:s, s:s}", "in_force", text, "missing", missing);
}

/* A number that no process of ours counts up to stays one that a reader takes. */
static json_int_t number(uint64_t value)
{
	return value < INT64_MAX ? (json_int_t)value : INT64_MAX;
}

static json_t *requests_to_json(const struct totals *totals, int kind)
{
	json_t *statuses = json_object();

	for (int i = 0; i < COUNTS_STATUSES; i++) {
		char name[16] = "other";

		if (totals->requests[kind][i] == 0)
			continue;
		if (i < COUNTS_STATUS_OTHER)
			(void)snprintf(name, sizeof(name), "%u", counts_status[i]);
		(void)json_object_set_new(statuses, name,
					  json_integer(number(totals->requests[kind][i])));
	}
	return statuses;
}

static json_t *key_to_json(const struct state_key *key)
{
	return json_pack("{s:s, s:s, s:s, s:I, s:I}", "thumbprint", key->thumbprint, "use",
			 use_of(key), "state", state_of(key), "times", (json_int_t)key->times,
			 "last", (json_int_t)key->last);
}

static json_t *keys_to_json(const struct report *report)
{
	json_t *keys = json_array();

	for (size_t i = 0; i < report->keys; i++)
		(void)json_array_append_new(keys, key_to_json(&report->key[i]));
	return keys;
}

static json_t *processes_to_json(const struct report *report)
{
	return json_pack("{s:{s:i, s:I}, s:{s:i, s:I}, s:{s:I}, s:I}", "front", "there",
			 report->fronts_alive, "died", (json_int_t)report->fronts_died, "keys",
			 "there", report->workers_alive, "died", (json_int_t)report->workers_died,
			 "admin", "died", (json_int_t)report->admin_died, "generations",
			 (json_int_t)report->generations);
}

static const char *state_text(const struct report *report)
{
	if (!report->state_kept)
		return "none";
	return report->state_failed ? "failed" : "kept";
}

char *admin_status(const struct report *report, struct front_counts *const *fronts,
		   const struct sandbox *own)
{
	const struct totals totals = sum(report, fronts);
	const char *complaint = admin_complaint(report);
	JSON_AUTO json_t *json = json_pack(
		"{s:s, s:s, s:I, s:b, s:s*, s:b, s:s, s:o, s:{s:o, s:o, s:o}, s:I, s:I, s:I, s:I, "
		"s:{s:o, s:o, s:o}, s:o}",
		"version", NBDE_VERSION, "folder", report->folder, "started",
		(json_int_t)report->started, "serving", complaint == NULL, "complaint", complaint,
		"keys_missing", report->is_missing, "state", state_text(report), "processes",
		processes_to_json(report), "requests", kinds[COUNTS_ADVERTISEMENT],
		requests_to_json(&totals, COUNTS_ADVERTISEMENT), kinds[COUNTS_RECOVERY],
		requests_to_json(&totals, COUNTS_RECOVERY), kinds[COUNTS_OTHER],
		requests_to_json(&totals, COUNTS_OTHER), "waiting", number(totals.waiting),
		"connections", number(totals.connections), "shed", number(totals.gave_way),
		"log_lines_lost", number(totals.lost_lines), "sandbox", "front",
		sandbox_to_json(&fronts[0]->sandbox), "keys",
		sandbox_to_json(&report->keys_sandbox), "admin", sandbox_to_json(own), "keys",
		keys_to_json(report));

	return json ? json_dump_in_order(json) : NULL;
}
