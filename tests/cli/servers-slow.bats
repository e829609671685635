#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# Servers that take their time. All commands run side by side while the file is set up; the tests look at what came of them.
# shellcheck disable=SC2034,SC2154,SC2030,SC2031 # what common.bash and bats set; each test is a shell of its own

load ../lib/common

most=16 # seconds: the request's ten, and some for a machine that is busy

# later NAME COMMAND…: runs it in the background; its status, output and seconds are kept under that name.
later() {
	local name=$1
	shift
	{
		local start=$EPOCHREALTIME status=0
		"$@" >"$name.out" 2>"$name.err" 3>&- || status=$?
		echo "$status" >"$name.status"
		"$python" -c 'import sys; print(float(sys.argv[2]) - float(sys.argv[1]))' "$start" "$EPOCHREALTIME" >"$name.seconds"
	} <&0 &
	started+=("$!")
}

seal_for() { # MODE
	clevis encrypt tang "$(tang_config "$url/$1" "\"adv\":\"$adv\"")" <<<secret >"$1.jwe"
}

setup_file() {
	serve_file
	local real=$url mode
	start_badserver path "$adv" "$real"
	export bad=$url
	local silent
	silent=$(tang_config "$bad/silent")
	for mode in silent drip drip_body; do
		seal_for "$mode"
		later "decrypt-$mode" clevis decrypt <"$mode.jwe"
	done
	later encrypt-silent clevis encrypt tang "$silent" -y <<<secret
	later encrypt-drip clevis encrypt tang "$(tang_config "$bad/drip")" -y <<<secret
	if command -v cryptsetup >/dev/null; then
		make_template
		for disk in bind-silent bind-offline bound; do
			make_disk "$disk.img"
		done
		sha bind-silent.img >bind-silent.before
		later bind-silent clevis luks bind -y -k "$pass" -d bind-silent.img tang "$silent"
		later bind-offline clevis luks bind -k "$pass" -d bind-offline.img tang "$(tang_config "$bad/silent" "\"adv\":\"$adv\"")"
		url=$real bind
		edit_url_of_first_binding
		url=$real bind
		later pass clevis luks pass -d bound.img -s 1
		later unlock-test clevis luks unlock -d bound.img -t 1
		later unlock clevis luks unlock -d bound.img -n "nbde-test-$$"
		mkfifo fifo
		later pass-fifo clevis luks pass -d bound.img -s 1 -w fifo
		# Somebody reads: a byte that came would be kept.
		later reader timeout 14 cat fifo
	fi
	export folder=$PWD url=$bad
	local waited=("${started[@]:2}")
	wait "${waited[@]}"
	started=("${started[@]:0:2}")
	[ ! -e "/dev/mapper/nbde-test-$$" ] || cryptsetup close "nbde-test-$$"
	share
}

# The passphrase cannot be recovered any more; what counts here is that the server is asked and does not answer.
edit_url_of_first_binding() {
	edit_token "$disk" 0 "h = json.loads(unb64(j['jwe']['protected'])); h['clevis']['tang']['url'] = '$bad/silent'
j['jwe']['protected'] = b64(json.dumps(h).encode())"
}

prepare() {
	cd "$folder" || return 1
}

# result NAME: as if it had just run.
result() {
	[ -e "$1.status" ] || skip "no cryptsetup"
	status=$(<"$1.status") output=$(<"$1.out") stderr=$(<"$1.err")
	mapfile -t stderr_lines <"$1.err"
	seconds=$(<"$1.seconds")
	echo "$seconds s"
}

# in_time LEAST MOST
in_time() {
	"$python" -c 'import sys; least, seconds, most = map(float, sys.argv[1:]); sys.exit(not least <= seconds <= most)' \
		"$1" "$seconds" "$2"
}

@test "decrypt: silent after accept: no answer, after ten seconds" {
	result decrypt-silent
	fails 1 "Error communicating with server $bad/silent: "
	fails 1 'no answer in '
	in_time 8 $most
}

@test "decrypt: a byte a second does not stretch the ten seconds" {
	local mode
	for mode in drip drip_body; do
		result "decrypt-$mode"
		fails 1 "Error communicating with server $bad/$mode: "
		fails 1 'no answer in '
		in_time 8 $most
	done
}

@test "encrypt: silent after accept, and a byte a second" {
	local mode
	for mode in silent drip; do
		result "encrypt-$mode"
		fails 1 "Unable to fetch advertisement ($bad/$mode/adv/): "
		fails 1 'no answer in '
		in_time 8 $most
	done
}

@test "bind: silent: refused, and the disk is unchanged" {
	result bind-silent
	fails 1 'no answer in ' 'Error adding new binding to bind-silent.img'
	[ "$(sha bind-silent.img)" = "$(<bind-silent.before)" ]
	in_time 8 $most
}

@test "bind with adv: silent: one warning, and it is bound" {
	result bind-offline
	[ "$status" = 0 ]
	says ''
	[ "${#stderr_lines[@]}" = 2 ] # and that it is this machine
	[[ ${stderr_lines[0]} == *'warning: '*'no answer in '* ]]
	[ "$(clevis luks list -d bind-offline.img)" = "1: tang '{\"url\":\"$bad/silent\"}'" ]
}

@test "pass: silent" {
	result pass
	fails 1 'no answer in ' 'It was not possible to decrypt the passphrase associated to slot 1 in bound.img!'
	in_time 8 $most
}

@test "pass -w: a recovery that fails writes nothing, and does not even open the FIFO" {
	result pass-fifo
	fails 1 'no answer in ' 'It was not possible to decrypt the passphrase associated to slot 1 in bound.img!'
	result reader
	[ "$status" = 124 ]
	says ''
}

@test "unlock -t: silent" {
	result unlock-test
	fails 1 'no answer in ' 'Test for token slot 1 on device bound.img failed.'
	in_time 8 $most
}

@test "unlock: a binding whose server is silent does not hold up the next one" {
	result unlock
	# Where there is no device-mapper it ends there, when the second passphrase is at hand.
	[ "$status" = 0 ] || [[ ${stderr_lines[0]} == *'cannot map it'* ]]
	in_time 0 4
}
