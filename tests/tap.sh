# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# shellcheck disable=SC2317 # the conditions are called by ok
# Shared by the TAP tests in bash that watch a program from outside: cases, the program's run, conditions on what it said and left.

scratch=$(mktemp -d "${TMPDIR:-/tmp}/nbde-test.XXXXXX")
trap 'rm -rf "$scratch"' EXIT
mkdir "$scratch/tmp"
cases=0

# One case, passed when the condition holds. The first that does not shows the end of what the program printed.
ok() { # TEXT CONDITION…
	local text=$1
	shift
	cases=$((cases + 1))
	if "$@"; then
		echo "ok $cases - $text"
		return
	fi
	echo "not ok $cases - $text"
	[ -n "$shown" ] || tail -q -n 50 "$scratch/out" "$scratch/err" | sed 's/^/# /'
	shown=yes
}

skip_all() { # REASON
	echo "1..0 # SKIP $1"
	exit 0
}

finish() {
	echo "1..$cases"
	exit 0
}

# Runs a program with a folder of its own for temporary files; leaves its exit status in $status.
watch() { # COMMAND…
	status=0 shown=''
	env TMPDIR="$scratch/tmp" "$@" >"$scratch/out" 2>"$scratch/err" </dev/null || status=$?
}

has_status() { [ "$status" = "$1" ]; }
says() { grep -qE -- "$1" "$scratch/out"; }
never_says() { ! says "$1"; }
complains() { grep -qE -- "$1" "$scratch/err"; }
complains_once() { [ "$(wc -l <"$scratch/err")" = 1 ] && complains "$1"; }
complains_of_nothing() { ! [ -s "$scratch/err" ]; }
leaves_no_file() { [ -z "$(ls -A "$scratch/tmp")" ]; }
leaves_no_process() { ! pgrep -f -- "$scratch/tmp" >/dev/null; }

leaves_nothing() { # AFTER WHAT
	ok "after $1, no file is left" leaves_no_file
	ok "after $1, no process is left" leaves_no_process
}
