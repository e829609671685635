#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# How long a command may take: --timeout, wherever it stands, and CLEVIS_TIMEOUT; against a server that says nothing.
# shellcheck disable=SC2154,SC2030,SC2031 # what common.bash and bats set; each test is a shell of its own

load ../lib/common

setup_file() {
	serve_file
	export real=$url
	start_badserver path "$adv" "$real"
	silent=$(tang_config "$url/silent")
	silent_adv=$(tang_config "$url/silent" "\"adv\":\"$adv\"")
	export bad=$url silent silent_adv
	printf secret | clevis encrypt tang "$silent_adv" >silent.jwe
	printf secret | clevis encrypt tang "$(tang_config "$url/slow" "\"adv\":\"$adv\"")" >slow.jwe
	printf secret | clevis encrypt tang "$(tang_config "$real")" -y >jwe
	if command -v cryptsetup >/dev/null; then make_template; fi
	share
}

prepare() {
	cp "$BATS_FILE_TMPDIR"/*jwe .
}

# ends_in LEAST MOST COMMAND…: it takes that many seconds, and fails for no answer.
ends_in() {
	local least=$1 most=$2 start=$EPOCHREALTIME
	shift 2
	call "$@"
	took_less_than "$most" "$start"
	never took_less_than "$least" "$start"
	[ "$status" = 1 ]
	[[ ${stderr_lines[0]} == *'no answer in '* ]]
}

@test "decrypt: wherever the option stands" {
	ln -s "$CLEVIS" clevis-decrypt
	ends_in 0.25 5 clevis --timeout 0.3 decrypt <silent.jwe
	ends_in 0.25 5 clevis --timeout=0.3 decrypt <silent.jwe
	ends_in 0.25 5 clevis decrypt --timeout 0.3 <silent.jwe
	ends_in 0.25 5 clevis decrypt --timeout=0.3 <silent.jwe
	ends_in 0.25 5 clevis decrypt ignored --timeout .3 ignored <silent.jwe
	ends_in 0.25 5 ./clevis-decrypt --timeout 0.3 <silent.jwe
	ends_in 0.25 5 clevis decrypt-tang --timeout 0.3 <silent.jwe
	fails 1 "clevis-decrypt-tang: tang: Error communicating with server $bad/silent: "
}

@test "whole seconds, and the last of several" {
	ends_in 0.9 5 clevis decrypt --timeout 1 <silent.jwe
	ends_in 0.25 5 clevis --timeout 30 decrypt --timeout 20 --timeout=0.3 <silent.jwe
}

@test "encrypt: before the configuration, behind it, behind -y" {
	ends_in 0.25 5 clevis encrypt tang --timeout 0.3 "$silent" -y <<<secret
	ends_in 0.25 5 clevis encrypt tang "$silent" --timeout 0.3 -y <<<secret
	ends_in 0.25 5 clevis encrypt tang "$silent" -y --timeout 0.3 <<<secret
	fails 1 "Unable to fetch advertisement ($bad/silent/adv/): "
	ends_in 0.25 5 clevis encrypt sss "{\"pins\":{\"tang\":$silent}}" --timeout 0.3 <<<secret
	call clevis encrypt tang --timeout 0.5 <<<secret
	usage 2 'Usage: clevis encrypt tang'
}

@test "CLEVIS_TIMEOUT counts where no option is given" {
	export CLEVIS_TIMEOUT=0.3
	ends_in 0.25 5 clevis decrypt <silent.jwe
	ends_in 0.25 5 clevis encrypt tang "$silent" -y <<<secret
	ends_in 0.9 5 clevis decrypt --timeout 1 <silent.jwe
	ends_in 0.9 5 clevis --timeout 1 decrypt <silent.jwe
	CLEVIS_TIMEOUT=30
	ends_in 0.25 5 clevis decrypt --timeout 0.3 <silent.jwe
}

@test "CLEVIS_TIMEOUT without a value counts as none" {
	CLEVIS_TIMEOUT='' call clevis decrypt <slow.jwe
	succeeds
	says secret
}

@test "an answer that comes in time is taken, with the option as long as that" {
	export CLEVIS_TIMEOUT=0.3
	call clevis decrypt --timeout 20 <slow.jwe
	succeeds
	says secret
	call clevis decrypt <slow.jwe
	fails 1 'no answer in '
}

@test "what standard input takes to come does not count" {
	call clevis decrypt --timeout 0.5 < <(sleep 0.8 && cat jwe)
	succeeds
	says secret
	call clevis encrypt tang "$(tang_config "$real")" -y --timeout 0.5 < <(sleep 0.8 && echo secret)
	succeeds
}

@test "what is no number of seconds: one line, exit 2" {
	local bad_value
	for bad_value in '' 0 0.0 -1 x 1x 1.2.3 . 1e3 nan inf 0x10 ' 1' 1,5 86401 99999999999999999999; do
		echo "value: '$bad_value'"
		call clevis decrypt --timeout "$bad_value" <jwe
		fails 2 "clevis-decrypt: --timeout '$bad_value' is not a number of seconds"
		call clevis decrypt "--timeout=$bad_value" <jwe
		fails 2 "clevis-decrypt: --timeout '$bad_value' is not a number of seconds"
		call clevis --timeout "$bad_value" decrypt <jwe
		fails 2 "clevis: --timeout '$bad_value' is not a number of seconds"
		[ -n "$bad_value" ] || continue
		CLEVIS_TIMEOUT=$bad_value call clevis decrypt <jwe
		fails 2 "clevis-decrypt: CLEVIS_TIMEOUT '$bad_value' is not a number of seconds"
	done
	call clevis decrypt --timeout <jwe
	fails 2 'clevis-decrypt: --timeout: how many seconds?'
	call clevis --timeout
	fails 2 'clevis: --timeout: how many seconds?'
	call clevis encrypt tang '{}' --timeout 1 -y --timeout <<<secret
	fails 2 'clevis-encrypt-tang: --timeout: how many seconds?'
}

@test "the largest value, and behind -- it is no option" {
	call clevis decrypt --timeout 86400 <jwe
	succeeds
	says secret
	call clevis decrypt -- --timeout x <jwe
	succeeds
	says secret
}

@test "the option alone is no command" {
	call clevis --timeout 5
	usage 2 'Usage: clevis COMMAND'
	call clevis --timeout 5 nope
	usage 2 "Command 'clevis nope' is invalid"
	call clevis --timeout 5 --version
	succeeds
	call clevis --timeoutx 5 decrypt <jwe
	usage 2
}

@test "luks bind: refused in time, and the disk is unchanged" {
	needs cryptsetup
	make_disk
	local before
	before=$(sha "$disk")
	ends_in 0.25 5 clevis luks bind -y -k "$pass" -d "$disk" --timeout 0.3 tang "$silent"
	fails 1 "Unable to fetch advertisement ($bad/silent/adv/): " "Error adding new binding to $disk"
	ends_in 0.25 5 clevis luks bind --timeout=0.3 -y -k "$pass" -d "$disk" tang "$silent"
	ends_in 0.25 5 clevis --timeout 0.3 luks bind -y -k "$pass" -d "$disk" tang "$silent"
	CLEVIS_TIMEOUT=0.3 ends_in 0.25 5 clevis luks bind -y -k "$pass" -d "$disk" tang "$silent"
	call clevis luks bind -y -k "$pass" -d "$disk" tang "$(tang_config "$real")" --timeout x
	fails 2 "clevis-luks-bind: --timeout 'x' is not a number of seconds"
	[ "$(sha "$disk")" = "$before" ]
}

@test "luks pass and unlock: given up in time, the time being that of all bindings together" {
	needs cryptsetup
	make_disk
	local _
	for _ in 1 2 3; do
		call clevis luks bind -k "$pass" -d "$disk" --timeout 0.1 tang "$silent_adv"
		[ "$status" = 0 ]
	done
	ends_in 0.25 5 clevis luks pass --timeout 0.3 -d "$disk" -s 1
	fails 1 "Error communicating with server $bad/silent: " \
		"It was not possible to decrypt the passphrase associated to slot 1 in $disk!"
	ends_in 0.25 5 clevis luks pass -d "$disk" -s 1 --timeout=0.3
	CLEVIS_TIMEOUT=0.3 ends_in 0.25 5 clevis luks pass -d "$disk" -s 1
	ends_in 0.25 5 clevis luks unlock --timeout 0.3 -d "$disk" -t 2
	fails 1 "Error communicating with server $bad/silent: " "Test for token slot 2 on device $disk failed."
	ends_in 0.9 2.5 clevis luks unlock --timeout 1 -d "$disk" -n "nbde-test-$$"
}
