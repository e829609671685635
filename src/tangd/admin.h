/* SPDX-License-Identifier: Apache-2.0 */
/* What the server tells of itself: as metrics for Prometheus, as JSON for tangctl, and in a word for whoever only wants to know. */
#pragma once

#include "tangd/board.h"

/*
 * Text in Prometheus' format 0.0.4, and JSON (see tangctl(8)). `fronts` points to what each of `report->fronts` fronts counts;
 * `own` is the sandbox of the process that tells. Malloc'd, the caller's; NULL when out of memory.
 */
char *admin_metrics(const struct report *report, struct front_counts *const *fronts);
char *admin_status(const struct report *report, struct front_counts *const *fronts,
		   const struct sandbox *own);

/* Says whether the server serves keys: NULL, or what is wrong. */
const char *admin_complaint(const struct report *report);
