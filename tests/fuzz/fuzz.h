/* SPDX-License-Identifier: Apache-2.0 */
/* One fuzz target a parser of bytes from outside. Built with clang they are libFuzzer's; else replay.c feeds them files. */
#pragma once

#include <stddef.h>
#include <stdint.h>

/* NOLINTNEXTLINE(readability-identifier-naming): libFuzzer's name */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What must hold whatever comes in; a fuzzer takes the abort for a find. */
#define FUZZ_CHECK(condition) ((condition) ? (void)0 : __builtin_trap())
