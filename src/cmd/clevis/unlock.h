/* SPDX-License-Identifier: Apache-2.0 */
/* What unlocking one device and unlocking many share. Private to cmd/clevis/. */
#pragma once

#include "base/error.h"
#include "pin/pin.h"

#include <stdbool.h>
#include <stddef.h>

/* What the command line asks for. */
struct unlocking {
	const char *name;   /* of the mapped device; NULL: luks-UUID */
	const char *header; /* where it is, when not on the device; NULL: there */
	const char *slot;   /* as it was given: test only the binding of that keyslot; NULL: any */
	int keyslot;	    /* the same; -1: any */
	bool test;	    /* map nothing */
	unsigned flags;	    /* of enum luks_mapping_flag */
	bool persistent;    /* store them in the header */
};

/*
 * Reads the value of an `-o`: options of `cryptsetup open`, between spaces; changes the text, which must stay valid. Returns 0; -EINVAL
 * with `err` filled for one that is none of ours.
 */
int unlock_read_options(char *text, struct unlocking *unlocking, struct error *err);

/*
 * Unlocks a device, or tests it. With `unbound` a device without a binding is no failure: then that is set. Returns 0; negative with
 * the context's error filled.
 */
int unlock_device(const struct unlocking *unlocking, const char *path, struct pin_context *context,
		  bool *unbound);

/* Prints why a device was not opened, and the last line of that. */
void unlock_complain(const struct unlocking *unlocking, const char *path, const struct error *why);

/*
 * Unlocks devices side by side, each in a process of its own, which says what it has to say. With `unbound` those without a binding
 * are left out, and counted there. Returns how many were not opened.
 */
size_t unlock_many(const struct unlocking *unlocking, const char *const paths[], size_t count,
		   struct pin_context *context, size_t *unbound);
