# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# Our jose, for the tests of the command: JOSE (default: build/), and JOSE_FAULTY, one with faults planted. To be loaded after common.bash.

# shellcheck disable=SC2154 # common.bash sets top
: "${JOSE:=$top/build/src/jose}" "${JOSE_FAULTY:=$top/build/tests/planted/jose-faulty}"
JOSE=$(realpath -s "$JOSE")
export JOSE

jose() {
	timeout -k 1 40 "$JOSE" "$@"
}

# misused STATUS COMPLAINT: that exit status, nothing on standard output; the complaint is the first line, and the usage follows.
# shellcheck disable=SC2154 # what bats's run sets
misused() {
	[ "$status" = "$1" ] && [ -z "$output" ] && [ "${stderr_lines[0]}" = "$2" ] && [[ $stderr == *$'\nUsage: jose '* ]] && return
	echo "expected: status $1, the usage on stderr after: $2"
	show_result
	return 1
}

# holds CHECK: the function returns 0, and does not where the faults are. Its steps are joined by &&: bash looks at no others there.
holds() {
	"$1" || return
	[ ! -x "$JOSE_FAULTY" ] && is_sanitized "$JOSE" && return
	[ -x "$JOSE_FAULTY" ] || { echo "no $JOSE_FAULTY" && return 1; }
	if (JOSE=$JOSE_FAULTY && "$1") >caught 2>&1; then
		echo "does not notice the fault: $1"
		return 1
	fi
}
