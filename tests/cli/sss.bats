#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# The pin sss at the command line: its names, its words, disks bound to it, and opening while servers misbehave.
# shellcheck disable=SC2154,SC2030,SC2031 # what common.bash and bats set; each test is a shell of its own

load ../lib/common

setup_file() {
	serve_file
	export real=$url REQUESTS=$BATS_FILE_TMPDIR/requests
	: >"$REQUESTS"
	start_badserver path "$adv" "$real"
	export bad=$url
	url=$real
	if command -v cryptsetup >/dev/null; then make_template; fi
	share
}

prepare() {
	cp "$adv" adv
	ln -s "$CLEVIS" clevis-encrypt-sss
	ln -s "$CLEVIS" clevis-decrypt-sss
	gone=http://127.0.0.1:$(closed_port)
}

by_name() { # encrypt|decrypt ARGUMENT…
	setsid -w timeout -k 1 40 "./clevis-$1-sss" "${@:2}"
}

# sss T URL…: the configuration for T of these key servers, whose keys are trusted.
sss() {
	local each servers=()
	for each in "${@:2}"; do
		servers+=("$(tang_config "$each" '"adv":"adv"')")
	done
	(
		IFS=,
		echo "{\"t\":$1,\"pins\":{\"tang\":[${servers[*]}]}}"
	)
}

# seal CONFIG [-y]: into the file `jwe`, without a word.
seal() {
	printf secret | clevis_alone encrypt sss "$@" >jwe 2>err || { cat err && return 1; }
	[ ! -s err ]
}

opens_to_secret() {
	call clevis decrypt <jwe
	succeeds
	says secret
}

refuses_to_seal() { # TEXT CONFIG…
	local config
	for config in "${@:2}"; do
		echo "with: $config"
		call clevis_alone encrypt sss "$config" <<<secret
		fails 1 "$1"
	done
}

# --- The commands -------------------------------------------------------------------------------------------------------------

@test "sealed and opened through the dispatcher and through the commands' own names" {
	seal '{"t":2,"pins":{"null":[{},{},{}]}}'
	opens_to_secret
	call clevis decrypt-sss <jwe
	succeeds
	says secret
	call by_name decrypt <jwe
	succeeds
	says secret
	by_name encrypt '{"pins":{"null":{}}}' <<<more >jwe
	call clevis decrypt <jwe
	succeeds
	says more
}

@test "any bytes, many and none" {
	head -c 300001 /dev/urandom >plain
	local config='{"t":2,"pins":{"null":[{},{}]}}'
	clevis encrypt sss "$config" <plain >jwe
	clevis decrypt <jwe | cmp - plain
	clevis encrypt sss "$config" </dev/null >jwe
	call clevis decrypt <jwe
	succeeds
	says ''
}

@test "a newline after the JWE is no part of it" {
	seal '{"pins":{"null":{}}}'
	call by_name decrypt < <(cat jwe && echo)
	succeeds
	says secret
}

@test "usage: no arguments, unknown ones, or a terminal on stdin: exit 1" {
	call by_name encrypt <<<x
	usage 1 'Usage: clevis encrypt sss'
	call by_name encrypt '{"pins":{"null":{}}}' --why <<<x
	usage 1 'Usage: clevis encrypt sss'
	run on_terminal -- ./clevis-encrypt-sss '{"pins":{"null":{}}}'
	[ "$status" = 1 ]
	grep -q 'Usage: clevis encrypt sss' screen
	run on_terminal -- ./clevis-decrypt-sss
	[ "$status" = 1 ]
	grep -q 'Usage: clevis decrypt sss' screen
}

@test "clevis-decrypt-sss refuses a JWE of another pin" {
	clevis encrypt tang "$(tang_config "$url")" -y <<<secret >jwe
	call by_name decrypt <jwe
	fails 1 'JWE pin mismatch!'
	clevis encrypt null '{}' <<<secret >jwe
	call by_name decrypt <jwe
	fails 1 'JWE pin mismatch!'
}

# --- Configurations -----------------------------------------------------------------------------------------------------------

@test "a configuration that is no JSON object" {
	refuses_to_seal 'Error parsing config!' '' x '{' '"x"' 1 null '{} {}' '[]' '{"t":99999999999999999999,"pins":{"null":{}}}' \
		'{"pins":{"null":1}}' '{"pins":{"null":[[]]}}'
}

@test "a configuration without pins, or with a threshold that is no integer" {
	refuses_to_seal "Config missing 'pins' attribute!" '{}' '{"t":1}' '{"pins":1}' '{"pins":[]}' '{"t":"1","pins":{"null":{}}}' \
		'{"t":1.0,"pins":{"null":{}}}' '{"t":null,"pins":{"null":{}}}' '{"pins":{"sss":{"t":1}}}'
}

@test "a threshold that cannot be met" {
	refuses_to_seal 'Invalid threshold (required: 1 <= 3 <= 2)!' '{"t":3,"pins":{"null":[{},{}]}}'
	refuses_to_seal 'Invalid threshold (required: 1 <= 0 <= 1)!' '{"t":0,"pins":{"null":{}}}'
	refuses_to_seal 'Invalid threshold (required: 1 <= -1 <= 1)!' '{"t":-1,"pins":{"null":{}}}'
	refuses_to_seal 'Invalid threshold (required: 1 <= 1 <= 0)!' '{"pins":{}}' '{"pins":{"null":[]}}'
	# An sss inside is one, whatever it holds.
	refuses_to_seal 'Invalid threshold (required: 1 <= 2 <= 1)!' '{"t":2,"pins":{"sss":{"pins":{"null":[{},{}]}}}}' \
		'{"pins":{"sss":{"t":2,"pins":{"null":{}}}}}'
}

@test "one that cannot seal: the whole fails, nothing comes out, and no key file is left" {
	refuses_to_seal "Unable to fetch advertisement ($gone/adv/)" "{\"pins\":{\"null\":[{},{}],\"tang\":{\"url\":\"$gone\"}}}"
	refuses_to_seal "Missing the required 'url' property" '{"pins":{"null":{},"tang":{}}}'
	refuses_to_seal "Unable to locate pin 'nope'" '{"pins":{"null":{},"nope":{}}}'
	refuses_to_seal 'File adv already exists' '{"pins":{"file":[{"name":"key"},{"name":"adv"}]}}'
	refuses_to_seal "Unable to locate pin 'nope'" '{"pins":{"sss":{"pins":{"file":{"name":"key"}}},"nope":{}}}'
	[ ! -e key ]
	cmp adv "$BATS_FILE_TMPDIR/adv"
}

# --- Trust --------------------------------------------------------------------------------------------------------------------

@test "-y is handed down, to those inside those inside too" {
	seal "{\"t\":2,\"pins\":{\"tang\":{\"url\":\"$url\"},\"sss\":{\"pins\":{\"tang\":{\"url\":\"$url\"}}}}}" -y
	opens_to_secret
}

@test "without -y and without a terminal to ask on: refused, nothing comes out" {
	call clevis_alone encrypt sss "{\"pins\":{\"null\":{},\"tang\":{\"url\":\"$url\"}}}" <<<secret
	[ "$status" = 1 ]
	says ''
	[[ $stderr == *'The advertisement contains the following signing keys:'*"$(signing_thumbprints <adv)"* ]]
	[[ ${stderr_lines[-1]} == "clevis-encrypt-sss: "*"$url: "*"the server's keys are not trusted"* ]]
}

@test "the question is asked for each server, and no to one of them is no to all" {
	local config question='Do you wish to trust these keys? [ynYN] '
	config="{\"pins\":{\"tang\":[{\"url\":\"$url\"},{\"url\":\"$bad/swapped\"}]}}"
	run --separate-stderr on_terminal --files "$question=y" "$question=y" -- "$CLEVIS" encrypt sss "$config" < <(printf secret)
	[ "$status" = 0 ]
	printf '%s' "$output" >jwe
	opens_to_secret
	run --separate-stderr on_terminal --files "$question=y" "$question=n" -- "$CLEVIS" encrypt sss "$config" < <(printf secret)
	[ "$status" = 1 ]
	says ''
}

# --- Disks --------------------------------------------------------------------------------------------------------------------

bind_sss() { # CONFIG [OPTION…]
	needs cryptsetup
	make_disk
	call clevis luks bind -k "$pass" "${@:2}" -d "$disk" sss "$1"
	binds
}

@test "luks: bound, listed in the order that upstream has, passed, tested" {
	bind_sss "{\"pins\":{\"sss\":{\"pins\":{\"null\":{}}},\"tang\":[{\"url\":\"$url\"},{\"url\":\"$bad/swapped\"}],\"null\":{}},\"t\":3}" -y
	call clevis luks list -d "$disk"
	succeeds
	says "1: sss '{\"t\":3,\"pins\":{\"null\":[{}],\"tang\":[{\"url\":\"$url\"},{\"url\":\"$bad/swapped\"}],\"sss\":[{\"t\":1,\"pins\":{\"null\":[{}]}}]}}'"
	clevis luks pass -d "$disk" -s 1 >passphrase
	opens "$disk" 1 passphrase
	call clevis luks unlock -d "$disk" -t 1
	succeeds
}

@test "luks: with one of two servers stopped it opens all the same, with both stopped it says so" {
	start_tangd "$keys"
	local one=$url one_pid=$tangd_pid
	start_tangd "$keys"
	bind_sss "{\"pins\":{\"tang\":[{\"url\":\"$one\"},{\"url\":\"$url\"}]}}" -y
	clevis luks pass -d "$disk" -s 1 >before
	stop "$one_pid"
	local _
	for _ in 1 2 3; do
		call clevis luks pass -d "$disk" -s 1
		succeeds
		says "$(<before)"
	done
	call clevis luks unlock -d "$disk" -t 1
	succeeds
	stop "$tangd_pid"
	call clevis luks unlock -d "$disk" -t 1
	fails 1 'sss: 0 of 1 shares found: ' "Test for token slot 1 on device $disk failed."
	[[ $stderr == *"$one: "*'connection refused'* && $stderr == *"$url: "*'connection refused'* ]]
}

@test "luks: a binding that cannot be opened again is refused, and the disk is unchanged" {
	needs cryptsetup
	make_disk
	local before
	before=$(sha "$disk")
	call clevis luks bind -k "$pass" -d "$disk" sss "$(sss 2 "$bad/wrong_point" "$bad/404" "$url")"
	fails 1 ' of 2 shares found: ' "Error adding new binding to $disk"
	[ "$(sha "$disk")" = "$before" ]
	call clevis luks bind -k "$pass" -d "$disk" sss '{"t":2,"pins":{"null":[{},{"fail":true}],"file":{"name":"adv"}}}'
	fails 1 'File adv already exists' "Error adding new binding to $disk"
	call clevis luks bind -k "$pass" -d "$disk" sss '{"t":3,"pins":{"null":[{},{"fail":true}],"file":{"name":"key"}}}'
	fails 1 'sss: 2 of 3 shares found: null: ' "Error adding new binding to $disk"
	[ ! -e key ]
	[ "$(sha "$disk")" = "$before" ]
}

# --- Servers that misbehave -----------------------------------------------------------------------------------------------------

# made_up_for URL: two of three open while the third is that. Who is asked first is a matter of chance: three times.
made_up_for() {
	local start _
	seal "$(sss 2 "$url" "$1" "$real/")"
	for _ in 1 2 3; do
		start=$EPOCHREALTIME
		opens_to_secret
		took_less_than 5 "$start"
	done
}

# none_is_right TEXT URL: three of them, and no other, are a failure that says TEXT, in time.
none_is_right() {
	local start
	seal "$(sss 2 "$2" "$2/" "$2//")"
	start=$EPOCHREALTIME
	call clevis decrypt --timeout 1 <jwe
	fails 1 'clevis-decrypt: sss: 0 of 2 shares found: '
	fails 1 "$1"
	took_less_than 4 "$start"
}

@test "a server that is down" {
	made_up_for "$gone"
	none_is_right "127.0.0.1:${gone##*:}: connection refused" "$gone"
}

@test "a server behind a wall that swallows everything" {
	local hole
	start_badserver black_hole || skip "no black hole here"
	hole=$url url=$real
	made_up_for "$hole"
	none_is_right 'no answer in ' "$hole"
}

@test "a server that takes the connection and says nothing" {
	made_up_for "$bad/silent"
	none_is_right 'no answer in ' "$bad/silent"
}

@test "a server that sends a byte a second" {
	made_up_for "$bad/drip"
	none_is_right 'no answer in ' "$bad/drip"
}

@test "a server that lies" {
	made_up_for "$bad/wrong_point"
	none_is_right "tang: with the answer of $bad/wrong_point" "$bad/wrong_point"
}

@test "a server that has lost the key" {
	made_up_for "$bad/404"
	none_is_right 'the server no longer has the key' "$bad/404"
}

@test "a server that talks nonsense" {
	made_up_for "$bad/garbage"
	none_is_right 'not valid JSON' "$bad/garbage"
}

@test "a server that never stops talking, in the body or before it" {
	made_up_for "$bad/endless_body"
	none_is_right 'larger than' "$bad/endless_body"
	made_up_for "$bad/endless_headers"
	none_is_right 'larger than' "$bad/endless_headers"
}

@test "slow servers are not waited for where others are quick, and are where there are none" {
	made_up_for "$bad/slow"
	seal "$(sss 2 "$bad/slow" "$bad/slow/" "$bad/slow//")"
	local start=$EPOCHREALTIME
	opens_to_secret
	took_less_than 5 "$start"
	call clevis decrypt --timeout 1 <jwe
	fails 1 'sss: 0 of 2 shares found: '
}

@test "all kinds of them at once, and two good ones" {
	seal "$(sss 2 "$gone" "$bad/silent" "$bad/404" "$bad/wrong_point" "$url" "$bad/garbage" "$bad/drip" "$real/" "$bad/500")"
	local start=$EPOCHREALTIME
	opens_to_secret
	took_less_than 5 "$start"
}

@test "a site that is down is made up for by the other site" {
	local site
	site=$(sss 2 "$gone" "$bad/silent" "$bad/404")
	seal "{\"t\":1,\"pins\":{\"sss\":[$site,$(sss 2 "$url" "$real/" "$gone")]}}"
	local start=$EPOCHREALTIME
	opens_to_secret
	took_less_than 5 "$start"
	seal "{\"t\":2,\"pins\":{\"sss\":[$site,$(sss 2 "$url" "$real/" "$gone")]}}"
	call clevis decrypt --timeout 1 <jwe
	fails 1 ' of 2 shares found: sss: 0 of 2 shares found: '
}

@test "where all is well no more servers are asked than are needed" {
	seal "$(sss 2 "$bad/swapped" "$bad/swapped/" "$bad/swapped//" "$bad/swapped///")"
	local _ asked
	# On a machine that is busy a server may seem slow, and one more is asked: then once again.
	for _ in 1 2 3; do
		: >"$REQUESTS"
		for _ in {1..10}; do
			clevis decrypt <jwe >/dev/null
		done
		asked=$(wc -l <"$REQUESTS")
		echo "asked: $asked"
		[ "$asked" -ge 20 ]
		[ "$asked" -gt 22 ] || return 0
	done
	return 1
}
