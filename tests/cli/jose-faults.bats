#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# Each fault of tests/planted/jose_faults is noticed by the test that it names.
# shellcheck disable=SC2154 # what common.bash and bats set

load ../lib/common
load ../lib/jose

: "${JOSE_FAULTS:=$top/build/tests/planted}"

@test "every planted fault is noticed" {
	is_sanitized "$JOSE" && skip "the faults are in the plain build"
	local name file case line count=0 missed=0
	while IFS= read -r line; do
		case $line in
		'' | '#'* | '- '* | '+ '*) ;;
		'! '*)
			case=${line#! }
			count=$((count + 1))
			[ -x "$JOSE_FAULTS/jose-$name" ] || { missed=$((missed + 1)) && echo "$name was not built" && continue; }
			JOSE=$JOSE_FAULTS/jose-$name bats --tap -f "^${case//[^a-zA-Z0-9 ]/.}" "$top/tests/cli/$file.bats" >said 2>&1 || true
			grep -q '^not ok' said || { missed=$((missed + 1)) && echo "$name is not noticed" && cat said; }
			;;
		*) read -r name file _ <<<"$line" ;;
		esac
	done <"$top/tests/planted/jose_faults"
	[ "$missed" = 0 ]
	[ "$count" -gt 5 ]
}
