# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# The distribution's programs, by absolute path and with a PATH on which none of ours can be. To be loaded after common.bash.

their_path=/usr/bin:/bin:/usr/sbin:/sbin

is_ours() { # PROGRAM
	case $(realpath "$1") in
	"$(realpath "$CLEVIS")" | "$(realpath "$TANGD")") return 0 ;;
	esac
	"$1" --version 2>&1 </dev/null | grep -q nbde
}

# needs_their PROGRAM…: skips where one is not installed, or is one of ours.
needs_their() {
	local program
	for program in "$@"; do
		[ -x "$program" ] || skip "no $program"
		if is_ours "$program"; then skip "$program is ours"; fi
	done
}

# Scripts of theirs may ask for ever where ours do not: every call has its time.
their_clevis() {
	PATH=$their_path timeout -k 1 60 /usr/bin/clevis "$@"
}
their_clevis_alone() {
	PATH=$their_path setsid -w timeout -k 1 60 /usr/bin/clevis "$@"
}
jose() {
	PATH=$their_path timeout -k 1 60 /usr/bin/jose "$@"
}

# start_their_tangd FOLDER: on a free loopback port, a process a connection. Sets port and url.
start_their_tangd() {
	start_helper inetd.py --remote-addr /usr/libexec/tangd "$1"
}

make_their_keys() { # FOLDER
	mkdir -p "$1"
	PATH=$their_path /usr/libexec/tangd-keygen "$1" >/dev/null 2>&1
}
