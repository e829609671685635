# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# What the command-line and interoperation tests share. Programs under test: CLEVIS, TANGD, TANGD_KEYGEN, TANGD_ROTATE_KEYS,
# TANG_SHOW_KEYS, TANGCTL (default: build/).
# A test works in its own folder, $BATS_TEST_TMPDIR; whatever it starts is ended by its id when it is over.

bats_require_minimum_version 1.5.0

lib=$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")
top=$(cd "$lib/../.." && pwd)
: "${CLEVIS:=$top/build/src/clevis}" "${TANGD:=$top/build/src/tangd}" "${TANGD_KEYGEN:=$top/build/src/tangd-keygen}"
: "${TANGD_ROTATE_KEYS:=$top/build/src/tangd-rotate-keys}" "${TANG_SHOW_KEYS:=$top/build/src/tang-show-keys}"
: "${TANGCTL:=$top/build/src/tangctl}"
for program in CLEVIS TANGD TANGD_KEYGEN TANGD_ROTATE_KEYS TANG_SHOW_KEYS TANGCTL; do
	export "$program=$(realpath -s "${!program}")"
done
unset program
export LC_ALL=C PATH=$PATH:/usr/sbin:/sbin
unset REMOTE_ADDR JOURNAL_STREAM http_proxy https_proxy HTTPS_PROXY all_proxy ALL_PROXY no_proxy NO_PROXY

# The distribution's, not the one of some version manager: those start slowly.
python=/usr/bin/python3
[ -x "$python" ] || python=$(command -v python3 || echo python3)

started=()

setup() {
	exec </dev/null
	cd "$BATS_TEST_TMPDIR" || return 1
	if declare -F prepare >/dev/null; then prepare; fi
}

teardown() {
	stop "${started[@]}"
}

# share: at the end of setup_file: what it started lives, under these names, for all tests of the file.
share() {
	export url port shared="${started[*]}"
}

teardown_file() {
	# shellcheck disable=SC2086 # ids
	stop ${shared:-}
}

# stop ID…: ends processes of ours, those that have ended already too.
stop() {
	local pid
	for pid in "$@"; do
		kill "$pid" 2>/dev/null || true
		wait "$pid" 2>/dev/null || true
	done
}

# needs PROGRAM…: skips the test where one is not installed.
needs() {
	local program
	for program in "$@"; do
		command -v "$program" >/dev/null || skip "no $program"
	done
}

is_sanitized() { # PROGRAM
	grep -q __asan_init "$1"
}

# The programs, so that one that hangs is a failure and not the end of the suite.
clevis() {
	timeout -k 1 40 "$CLEVIS" "$@"
}
tangd() {
	timeout -k 1 40 "$TANGD" "$@"
}
tangd_keygen() {
	timeout -k 1 40 "$TANGD_KEYGEN" "$@"
}
tangd_rotate_keys() {
	timeout -k 1 40 "$TANGD_ROTATE_KEYS" "$@"
}
tang_show_keys() {
	timeout -k 1 40 "$TANG_SHOW_KEYS" "$@"
}
tangctl() {
	timeout -k 1 40 "$TANGCTL" "$@"
}
# clevis without a controlling terminal: nobody can be asked.
clevis_alone() {
	setsid -w timeout -k 1 40 "$CLEVIS" "$@"
}

# --- What a command said. After `run --separate-stderr`: status, output and stderr are bats's. -------------------------------

# shellcheck disable=SC2154 # stderr and stderr_lines are set by run --separate-stderr
show_result() {
	printf 'status: %s\nstdout: %s\nstderr: %s\n' "$status" "$output" "$stderr"
}

# call COMMAND…: run --separate-stderr, under a shorter name.
call() {
	run --separate-stderr "$@"
}

# succeeds: exit 0 and nothing to complain of.
succeeds() {
	[ "$status" = 0 ] && [ -z "$stderr" ] && return
	show_result
	return 1
}

# binds: the same of `luks bind`, which may warn that the server is this very machine: in the tests each one is.
binds() {
	[ "$status" = 0 ] && [ -z "$output" ] && ! grep -v "warning: http.* is this very machine: " <<<"${stderr:-warning: http is this very machine: }" && return
	show_result
	return 1
}

# fails STATUS TEXT [LAST LINE]: that exit status, nothing on stdout, and one line on stderr that contains TEXT, then LAST LINE.
# shellcheck disable=SC2154
fails() {
	local lines=1
	[ $# -lt 3 ] || lines=2
	if [ "$status" = "$1" ] && [ -z "$output" ] && [[ ${stderr_lines[0]} == *"$2"* ]] &&
		[ "${#stderr_lines[@]}" = "$lines" ] && { [ $# -lt 3 ] || [ "${stderr_lines[1]}" = "$3" ]; }; then
		return
	fi
	echo "expected: status $1, lines on stderr: $lines, the first with: $2${3:+, the last: $3}"
	show_result
	return 1
}

# says TEXT: standard output is exactly that.
says() {
	[ "$output" = "$1" ] && return
	echo "expected: $1"
	show_result
	return 1
}

# usage STATUS [TEXT]: a usage error: that exit status, nothing on stdout, the usage on stderr and TEXT before it.
usage() {
	[ "$status" = "$1" ] && [ -z "$output" ] && [[ $stderr == *"Usage: "* ]] && [[ $stderr == *"${2:-}"* ]] && return
	echo "expected: status $1, the usage on stderr, with: ${2:-}"
	show_result
	return 1
}

# never COMMAND…: fails when the command succeeds (a `!` alone is not noticed by bats).
never() {
	if "$@"; then
		echo "should have failed: $*"
		return 1
	fi
}

# lacks TEXT [FILE…]: the text is nowhere in the files, or on standard input; that they cannot be read is a failure.
lacks() {
	local found=0
	grep -qaF -e "$1" -- "${@:2}" || found=$?
	[ "$found" = 1 ] && return
	echo "should not be there: $1"
	return 1
}

# took_less_than SECONDS START: since START, a value of EPOCHREALTIME.
took_less_than() {
	"$python" -c 'import sys; limit, start, end = map(float, sys.argv[1:]); print(end - start, "s"); sys.exit(end - start >= limit)' \
		"$1" "$2" "$EPOCHREALTIME"
}

# --- Servers ------------------------------------------------------------------------------------------------------------------

# eventually COMMAND…: it succeeds, within twenty seconds of a busy machine: a running server takes new keys by itself.
eventually() {
	local _
	for _ in {1..400}; do
		"$@" && return
		sleep 0.05
	done
	echo "never: $*"
	return 1
}

# wait_for_line FILE SED-SCRIPT PID: prints what the script takes out of the file, as soon as it takes something.
wait_for_line() {
	local i found
	for ((i = 0; i < 500; i++)); do
		found=$(sed -n "$2" "$1" 2>/dev/null | head -n 1)
		if [ -n "$found" ]; then
			echo "$found"
			return
		fi
		kill -0 "$3" 2>/dev/null || break
		sleep 0.02
	done
	echo "did not start: $(cat "$1")" >&2
	return 1
}

make_keys() { # FOLDER
	mkdir -p "$1"
	"$TANGD_KEYGEN" "$1"
}

# serve_file: for setup_file: keys and a server for all tests of the file, and its advertisement in the file $adv.
serve_file() {
	cd "$BATS_FILE_TMPDIR" || return 1
	make_keys "$BATS_FILE_TMPDIR/keys"
	start_tangd "$BATS_FILE_TMPDIR/keys"
	export keys=$BATS_FILE_TMPDIR/keys adv=$BATS_FILE_TMPDIR/adv
	fetch "$url/adv" >"$adv"
	share
}

# names FOLDER: every file in it, hidden ones too.
names() {
	find "$1" -mindepth 1 -printf '%f\n' | sort
}

# advertised FOLDER: the key files in it that are not hidden.
advertised() {
	names "$1" | grep -v '^\.' | grep '\.jwk$'
}

# keys_of_alg FOLDER ALG: the advertised key files whose keys have that algorithm.
keys_of_alg() {
	(cd "$1" && grep -l "\"alg\":\"$2\"" ./*.jwk | sed 's|^\./||')
}

# start_tangd FOLDER [OPTION…]: listens on a free port of loopback, or of the address $listen_on. Sets tangd_pid, port, url; the log is FOLDER.log.
start_tangd() {
	local folder=$1
	shift
	: >"$folder.log" # of an earlier one: its port is not ours
	"$TANGD" -l -a "${listen_on:-127.0.0.1}" -p 0 "$@" "$folder" >/dev/null 2>>"$folder.log" 3>&- </dev/null &
	tangd_pid=$!
	started+=("$tangd_pid")
	port=$(wait_for_line "$folder.log" 's/^Listening on .*:\([0-9]*\)$/\1/p' "$tangd_pid")
	url=http://127.0.0.1:$port
}

# log_of FOLDER: what the server of start_tangd has logged, but for the warning that only root can read the folder: that is so where root
# runs the tests.
log_of() {
	grep -v ' warning: .*: one process stays root to read it; ' "$1.log"
}

# children NAME: ids of the processes of that name, front, keys or admin, of the server whose id is $supervisor.
children() {
	local pid
	# shellcheck disable=SC2154 # set by those who ask
	for pid in $(pgrep -P "$supervisor"); do
		[ "$(cat "/proc/$pid/comm" 2>/dev/null)" != "tangd-$1" ] || echo "$pid"
	done
}

# start_helper SCRIPT ARGUMENT…: a Python helper of this folder that prints its port. Sets helper_pid, port, url; what it says on
# standard error is in $helper_log.
start_helper() {
	local script=$1 log
	shift
	log=$(mktemp "${BATS_TEST_TMPDIR:-$BATS_FILE_TMPDIR}/helper.XXXXXX")
	"$python" "$lib/$script" "$@" >"$log" 2>"$log.err" 3>&- </dev/null &
	helper_pid=$!
	started+=("$helper_pid")
	export helper_log=$log.err
	port=$(wait_for_line "$log" '/^[0-9]*$/p' "$helper_pid") || { cat "$log.err" && return 1; }
	url=http://127.0.0.1:$port
}

# A server that misbehaves on purpose: see badserver.py. With the mode `path`, $url/MODE misbehaves in that mode.
start_badserver() { # MODE [ADVERTISEMENT FILE [URL OF A REAL SERVER]]
	start_helper badserver.py "$@"
}

# A port where nobody listens: one that was free a moment ago.
closed_port() {
	"$python" -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'
}

tang_config() { # URL [MEMBER…]: {"url":URL, MEMBER…}
	local member config="{\"url\":\"$1\""
	for member in "${@:2}"; do
		config+=",$member"
	done
	echo "$config}"
}

# fetch PATH…: what the server at $url answers, as curl gets it without touching the path.
fetch() {
	curl -s --max-time 20 --path-as-is "$@"
}

# statuses METHOD PATH…: of all these paths, asked one after another on one connection.
statuses() {
	local path urls=()
	for path in "${@:2}"; do
		urls+=(-o /dev/null "$url$path")
	done
	fetch -X "$1" -w '%{http_code}\n' "${urls[@]}" | xargs
}

# statuses_in: of the answers on standard input, as they came from the wire. A body may end without a newline.
statuses_in() {
	grep -aoE 'HTTP/1\.[01] [0-9]{3}' | cut -d ' ' -f 2 | xargs
}

# status_of CURL ARGUMENT…: only the status of the answer.
status_of() {
	fetch -o /dev/null -w '%{http_code}' "$@"
}

# --- JSON, JWK, JWE -----------------------------------------------------------------------------------------------------------

# json SCRIPT [ARGUMENT…]: runs Python on the JSON of standard input, `j`; helpers b64(bytes) and unb64(text) are there.
json() {
	"$python" -c 'import base64, hashlib, json, sys
def b64(data): return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
def unb64(text): return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
def thumbprint(jwk, name="sha256"):
    wanted = {"EC": ("crv", "kty", "x", "y"), "oct": ("k", "kty"), "RSA": ("e", "kty", "n")}[jwk["kty"]]
    return b64(hashlib.new(name, json.dumps({n: jwk[n] for n in wanted}, separators=(",", ":"), sort_keys=True).encode()).digest())
def keys_of(jws): return json.loads(unb64(jws["payload"]))["keys"]
def is_exchange(jwk): return jwk.get("alg") == "ECMR"
j = json.load(sys.stdin)
exec(sys.argv[1])' "$@"
}

# header_of FILE: the protected header of a compact JWE.
header_of() {
	cut -d . -f 1 "$1" | "$python" -c 'import base64, sys
text = sys.stdin.read().strip(); sys.stdout.buffer.write(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))'
}

# edit_header FILE SCRIPT: the compact JWE with a header that the script has changed, `j`.
edit_header() {
	printf '%s.%s' "$(header_of "$1" | json "$2
print(b64(json.dumps(j, separators=(',', ':')).encode()), end='')")" "$(cut -d . -f 2- "$1")"
}

# damage FILE PART: the compact JWE with one character in the middle of a part changed (1: header … 5: tag).
damage() {
	"$python" -c 'import sys
parts = open(sys.argv[1]).read().strip().split("."); part = int(sys.argv[2]) - 1; text = parts[part]; middle = len(text) // 2
parts[part] = text[:middle] + ("A" if text[middle] != "A" else "B") + text[middle + 1:]
print(".".join(parts), end="")' "$1" "$2"
}

# make_toy: the two programs of a pin `toy` in this folder, which keeps the plaintext in the header, and nothing else of its configuration
# than "at": it is always "here".
make_toy() {
	printf '%s\n' '#!/bin/sh' 'key=$(cat | base64 -w 0)' \
		'header=$(printf "{\"alg\":\"dir\",\"enc\":\"A256GCM\",\"clevis\":{\"pin\":\"toy\",\"toy\":{\"at\":\"here\",\"key\":\"%s\"}}}" "$key" | base64 -w 0 | tr /+ _- | tr -d =)' \
		'printf "%s..AAAAAAAAAAAAAAAA.AA.AAAAAAAAAAAAAAAAAAAAAA" "$header"' >clevis-encrypt-toy
	printf '%s\n' '#!/bin/sh' \
		"$python -c 'import base64, json, sys; h = sys.stdin.read().split(\".\")[0]; h += \"=\" * (-len(h) % 4)" \
		'sys.stdout.buffer.write(base64.b64decode(json.loads(base64.urlsafe_b64decode(h))["clevis"]["toy"]["key"]))'"'" >clevis-decrypt-toy
	chmod +x clevis-encrypt-toy clevis-decrypt-toy
}

# signing_thumbprints [HASH]: of the advertisement on standard input, one a line.
signing_thumbprints() {
	json 'for key in keys_of(j):
    if not is_exchange(key): print(thumbprint(key, sys.argv[2]))' "${1:-sha256}"
}

exchange_thumbprint() { # [HASH]
	json 'for key in keys_of(j):
    if is_exchange(key): print(thumbprint(key, sys.argv[2]))' "${1:-sha256}"
}

# --- Disks --------------------------------------------------------------------------------------------------------------------

# make_template: for setup_file: the disk that make_disk copies. Passphrase: $passphrase, in the file $pass, without newline.
passphrase='a passphrase "with" $pace'
make_template() {
	pass=$BATS_FILE_TMPDIR/pass template=$BATS_FILE_TMPDIR/template.img
	export pass template
	printf '%s' "$passphrase" >"$pass"
	format_disk "$template" --luks2-metadata-size 16k --luks2-keyslots-size 8257536
}

# format_disk FILE OPTION…
format_disk() {
	local file=$1
	shift
	rm -f "$file"
	truncate -s 24M "$file"
	cryptsetup luksFormat -q --type luks2 --pbkdf pbkdf2 --pbkdf-force-iterations 1000 "$@" "$file" "$pass" \
		2>"$BATS_FILE_TMPDIR/format.err" || { cat "$BATS_FILE_TMPDIR/format.err" && return 1; }
}

make_disk() { # [FILE]
	disk=$PWD/${1:-disk.img}
	cp --sparse=always "$template" "$disk"
}

sha() { # FILE
	sha256sum <"$1"
}

# The header as a person sees it, without the number that counts how often it was written.
dump() { # DISK
	cryptsetup luksDump "$1" | grep -v '^Epoch:'
}

# is_in_use DISK KEYSLOT
is_in_use() {
	cryptsetup luksDump "$1" | grep -q "^  $2: luks2$"
}

# keyslots DISK: the numbers of those that are used, in one line.
keyslots() {
	cryptsetup luksDump "$1" | sed -n 's/^  \([0-9]*\): luks2$/\1/p; s/^Key Slot \([0-9]*\): ENABLED$/\1/p' | xargs
}

# is_sound DISK: every keyslot but the person's, 0, belongs to a binding that opens it; nothing is left of a command that was cut short.
is_sound() {
	local slot bound=0
	for slot in $(clevis luks list -d "$1" | cut -d : -f 1); do
		clevis luks unlock -d "$1" -t "$slot" || { echo "slot $slot does not open" && return 1; }
		bound="$bound $slot"
	done
	[ "$(keyslots "$1")" = "$bound" ] || { echo "keyslots $(keyslots "$1"), but bound: $bound" && return 1; }
	opens "$1" 0 "$pass"
	clevis luks list --json -d "$1" | json 'assert j["damaged"] == [], j'
	lacks nbde <(cryptsetup luksDump --dump-json-metadata "$1" 2>/dev/null)
}

# opens DISK KEYSLOT FILE: the passphrase in the file opens that keyslot.
opens() {
	cryptsetup open --test-passphrase --disable-external-tokens --key-slot "$2" --key-file "$3" "$1"
}

# bind [OPTION…]: binds $disk to $url with the person's passphrase; must work.
bind() {
	clevis luks bind -y -k "$pass" "$@" -d "$disk" tang "$(tang_config "$url")"
}

# edit_token DISK ID SCRIPT: changes a token as somebody with cryptsetup at hand could; the JSON is `j`.
edit_token() {
	cryptsetup token export --token-id "$2" "$1" | json "$3
json.dump(j, sys.stdout)" >token.json
	cryptsetup token remove --token-id "$2" "$1"
	cryptsetup token import --token-id "$2" --json-file token.json "$1"
}

# on_terminal ANSWER… -- COMMAND…: see terminal.py; what the terminal showed is in the file `screen`.
on_terminal() {
	timeout -k 1 60 "$python" "$lib/terminal.py" screen "$@"
}
