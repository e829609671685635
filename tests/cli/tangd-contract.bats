#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# The contract of Tang, line by line, against each form of our server: contract.py has the cases and names the lines; here are those
# of real clients and of the commands.
# shellcheck disable=SC2154,SC2030,SC2031 # what common.bash and bats set; each test is a shell of its own

load ../lib/common
load ../lib/references

# in_each_form SECTION: of contract.py, each form in a folder of its own, side by side.
in_each_form() {
	local form pids=() status failed=0 skipped=''
	for form in pipes stdin standalone daemon; do
		mkdir "$form"
		(cd "$form" && timeout -k 1 100 "$python" "$lib/contract.py" "$form" "$@") >"$form.out" 2>&1 3>&- &
		pids+=("$!")
	done
	for form in pipes stdin standalone daemon; do
		status=0
		wait "${pids[0]}" || status=$?
		pids=("${pids[@]:1}")
		case $status in
		0) ;;
		77) skipped=$form ;;
		*) failed=1 && cat "$form.out" ;;
		esac
	done
	[ "$failed" = 0 ]
	[ -z "$skipped" ] || skip "cannot be tried here"
}

# start_form FORM FOLDER: one that clients can connect to. Sets url.
start_form() {
	case $1 in
	stdin) start_helper inetd.py "$TANGD" "$2" ;;
	standalone) start_tangd "$2" ;;
	daemon) start_helper tangserver.py "$2" ;;
	esac
}

# --- The wire -------------------------------------------------------------------------------------------------------------------

@test "the path grammar: repeated slashes, nothing decoded, nothing behind, everything else 404" { in_each_form paths; }
@test "-e: all of it below the endpoint, slashes around it or not" { in_each_form endpoint; }
@test "GET /adv, GET /adv/THP in five hashes, of rotated keys too, HEAD" { in_each_form advertisement; }
@test "known path, other method: 405; other path: 404" { in_each_form methods; }
@test "POST /rec/KID in five hashes, of rotated keys too: s·X, compact and sorted" { in_each_form recovery; }
@test "the errors of rec, each of them and in their order" { in_each_form errors; }
@test "keys that are known and not for the exchange: 403" { in_each_form forbidden_keys; }
@test "exchange keys on other curves" { in_each_form curves; }
@test "too long a path, too large a body, headers without end: 414, 413, 431; the connection stays usable" { in_each_form sizes; }
@test "malformed HTTP and unknown methods: 400 and the end; a bare LF is a line end" { in_each_form malformed; }
@test "keep-alive, pipelined, chunked, 100-continue, HTTP/1.0 and Connection: close, half-closed" { in_each_form wire; }
@test "the log: a line a request, as it came, and none that was forged" { in_each_form log; }
@test "the log: the address in REMOTE_ADDR" { in_each_form remote_address; }
@test "no private part leaves the server" { in_each_form no_private_part; }

# --- The folder of keys -----------------------------------------------------------------------------------------------------------

@test "several signing keys: all of them sign" { in_each_form several; }
@test "keys of no use here are left out, those that cannot be read by name" { in_each_form left_out; }
@test "a folder with a broken file only: 500, and nothing is made" { in_each_form only_broken; }
@test "a key without use, key_ops and alg is for both" { in_each_form for_both; }
@test "no key at all: one pair, whoever asks first, and however many at once" { in_each_form first_pair; }
@test "only rotated keys: a new pair, and the old ones still work" { in_each_form only_rotated; }
@test "one key of either sort: nothing is made" { in_each_form only_one; }
@test "a folder that cannot be read or written" {
	[ "$(id -u)" != 0 ] || chmod a+x "$BATS_RUN_TMPDIR" "$BATS_FILE_TMPDIR" .. . 2>/dev/null
	in_each_form unusable_folder
}
@test "changes take effect on the next request" { in_each_form changes; }

# --- Clients ----------------------------------------------------------------------------------------------------------------------

# try_clevis SEAL OPEN: before and after a rotation, the server running.
try_clevis() {
	local form kid
	for form in stdin standalone daemon; do
		make_keys "$form-keys"
		start_form "$form" "$form-keys"
		"$1" encrypt tang "$(tang_config "$url")" -y <<<plain >old.jwe
		[ "$("$2" decrypt <old.jwe)" = plain ]
		tangd_rotate_keys -d "$form-keys"
		kid=$(keys_of_alg "$form-keys" ECMR | sed 's/\.jwk$//')
		"$1" encrypt tang "$(tang_config "$url")" -y <<<plain >new.jwe
		# Sealed to the new key, and both open.
		header_of new.jwe | json 'assert j["kid"] == sys.argv[2], j' "$kid"
		[ "$("$2" decrypt <new.jwe)" = plain ]
		[ "$("$2" decrypt <old.jwe)" = plain ]
	done
}

@test "our clevis: seals and opens, before and after a rotation" {
	try_clevis clevis clevis
}

@test "the distribution's clevis: seals and opens, before and after a rotation" {
	needs_their /usr/bin/clevis /usr/bin/clevis-decrypt-tang /usr/bin/jose
	try_clevis their_clevis their_clevis
}

@test "curl: keep-alive, chunked, 100-continue, HTTP/1.0, HEAD" {
	make_keys keys
	local form kid
	for form in stdin standalone daemon; do
		start_form "$form" keys
		[ "$(fetch -o /dev/null -o /dev/null -o /dev/null -w '%{http_code}%{num_connects} ' "$url/adv" "$url/nope" "$url/adv")" = '2001 4040 2000 ' ]
		fetch "$url/adv" >adv
		kid=$(exchange_thumbprint <adv)
		json 'print(json.dumps({m: k[m] for k in keys_of(j) if is_exchange(k) for m in ("kty", "crv", "x", "y")}))' <adv >point
		[ "$(status_of --data-binary @point "$url/rec/$kid")" = 200 ]
		[ "$(status_of -H 'Transfer-Encoding: chunked' --data-binary @point "$url/rec/$kid")" = 200 ]
		local start=$EPOCHREALTIME
		[ "$(status_of -H 'Expect: 100-continue' --expect100-timeout 15 --data-binary @point "$url/rec/$kid")" = 200 ]
		took_less_than 10 "$start"
		[ "$(status_of -0 "$url/adv")$(status_of -0 --data-binary @point "$url/rec/$kid")$(status_of -I "$url/adv")" = 200200200 ]
		head -c 65536 /dev/zero | tr '\0' ' ' >exceeds
		[ "$(fetch -o /dev/null -w '%{http_code}%{num_connects} ' --data-binary @exceeds "$url/rec/$kid" \
			--next -s -o /dev/null -w '%{http_code}%{num_connects}' "$url/adv")" = '4131 2000' ]
	done
}

# --- The commands: what tangd.bats and those of the other programs do not have ------------------------------------------------------------

# in_a_network COMMAND…: with a loopback of its own, where every port is free.
in_a_network() {
	# shellcheck disable=SC2016
	unshare -n bash -c 'ip link set lo up && exec "$@"' bash "$@"
}

@test "-l listens on port 9090 of every address, tang-show-keys asks port 80 of localhost" {
	needs unshare ip
	[ "$(id -u)" = 0 ] || skip "not root: no network of its own"
	in_a_network true 2>/dev/null || skip "no network of its own"
	make_keys keys
	# > `-l/--listen`: stand alone on PORT (default 9090) on 0.0.0.0 and [::] > `tang-show-keys [PORT [ENDPOINT]]` (… default port 80 …)
	serve_and_show() { # "OPTION… KEYS" "ARGUMENT…"
		local server client
		read -ra server <<<"$1"
		read -ra client <<<"$2"
		: >log # of an earlier one: it is not this one that listens
		"$TANGD" "${server[@]}" >/dev/null 2>>log 3>&- &
		local pid=$!
		wait_for_line log '/^Listening on /p' "$pid" >/dev/null
		"$TANG_SHOW_KEYS" "${client[@]}"
		kill "$pid" && wait "$pid"
	}
	export -f serve_and_show wait_for_line
	call in_a_network bash -c 'serve_and_show "-l keys" 9090'
	succeeds
	says "$(keys_of_alg keys ES512 | sed 's/\.jwk$//')"
	grep -qx 'Listening on 0.0.0.0:9090' log
	[ ! -e /proc/net/if_inet6 ] || grep -qxF 'Listening on [::]:9090' log
	call in_a_network bash -c 'serve_and_show "-l --port 80 keys" ""'
	succeeds
	says "$(keys_of_alg keys ES512 | sed 's/\.jwk$//')"
}
