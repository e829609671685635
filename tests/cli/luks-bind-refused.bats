#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# clevis luks bind, when it fails: one clear line, `Error adding new binding to DEV`, exit 1, and the disk as it was.
# shellcheck disable=SC2154,SC2030,SC2031 # what common.bash and bats set; each test is a shell of its own

load ../lib/common

setup_file() {
	command -v cryptsetup >/dev/null || return 0
	serve_file
	make_template
}

prepare() {
	needs cryptsetup
	make_disk
	config=$(tang_config "$url")
	before=$(sha "$disk")
}

# refuses_to_bind TEXT ARGUMENT…: -d and the disk are given.
refuses_to_bind() {
	call clevis_alone luks bind -d "$disk" "${@:2}"
	fails 1 "$1" "Error adding new binding to $disk"
	[ "$(sha "$disk")" = "$before" ]
}

usage_of_bind() { # TEXT ARGUMENT…
	call clevis_alone luks bind "${@:2}"
	usage 2 "$1"
	[ "$(sha "$disk")" = "$before" ]
}

# --- Passphrases --------------------------------------------------------------------------------------------------------------

@test "a wrong passphrase" {
	printf wrong >wrong
	refuses_to_bind 'the passphrase opens no keyslot' -y -k wrong tang "$config"
	refuses_to_bind 'the passphrase opens no keyslot' -y -k - tang "$config" <<<wrong
	refuses_to_bind 'the passphrase opens no keyslot' -y tang "$config" <<<wrong
	refuses_to_bind 'the passphrase opens no keyslot' -y -k - tang "$config" <<<''
	: >wrong
	refuses_to_bind 'the passphrase opens no keyslot' -y -k wrong tang "$config"
}

@test "a wrong passphrase in a file fails also where a binding could help" {
	bind
	before=$(sha "$disk")
	printf wrong >wrong
	refuses_to_bind 'the passphrase opens no keyslot' -y -k wrong tang "$config"
}

@test "a wrong passphrase, and a binding whose server has gone" {
	local own=$url
	make_keys keys
	start_tangd keys
	bind
	stop "$tangd_pid"
	before=$(sha "$disk")
	url=$own
	refuses_to_bind 'the passphrase opens no keyslot' -y -k - tang "$(tang_config "$own")" <<<wrong
}

@test "a passphrase file that is not there, is a folder, or is too large" {
	refuses_to_bind "cannot open 'nope'" -y -k nope tang "$config"
	mkdir folder
	refuses_to_bind folder -y -k folder tang "$config"
	truncate -s 9M large
	refuses_to_bind 'larger than' -y -k large tang "$config"
}

@test "standard input at its end, or with a line without end" {
	refuses_to_bind 'no passphrase: standard input is at its end' -y -k - tang "$config" </dev/null
	refuses_to_bind 'no passphrase: standard input is at its end' -y tang "$config" </dev/null
	head -c 100000 /dev/zero | tr '\0' x >long
	refuses_to_bind 'longer than' -y -k - tang "$config" <long
}

@test "at the prompt: a wrong passphrase" {
	run on_terminal 'Enter existing LUKS password: =!wrong' -- "$CLEVIS" luks bind -y -d "$disk" tang "$config"
	[ "$status" = 1 ]
	grep -q 'the passphrase opens no keyslot' screen
	lacks wrong screen
	[ "$(sha "$disk")" = "$before" ]
}

# --- Slots and tokens ---------------------------------------------------------------------------------------------------------

@test "-s: a slot that is used, out of range, or no number" {
	refuses_to_bind 'keyslot 0 is in use' -y -k "$pass" -s 0 tang "$config"
	refuses_to_bind 'there is no keyslot 32' -y -k "$pass" -s 32 tang "$config"
	local bad
	for bad in '' x -1 1x 99999999999999999999 ' 1'; do
		refuses_to_bind 'is not a slot' -y -k "$pass" -s "$bad" tang "$config"
	done
}

@test "-t: a token that is used, out of range, or no number" {
	echo '{"type":"other","keyslots":[]}' | cryptsetup token import --token-id 3 "$disk"
	before=$(sha "$disk")
	refuses_to_bind 'token 3 is in use' -y -k "$pass" -t 3 tang "$config"
	refuses_to_bind 'there is no token 32' -y -k "$pass" -t 32 tang "$config"
	refuses_to_bind 'is not a token ID' -y -k "$pass" -t x tang "$config"
}

@test "all 32 keyslots used" {
	local n
	for ((n = 1; n < 32; n++)); do
		cryptsetup luksAddKey -q --pbkdf pbkdf2 --pbkdf-force-iterations 1000 --key-file "$pass" "$disk" "$pass"
	done
	before=$(sha "$disk")
	refuses_to_bind 'no free keyslot (32 of 32 used)' -y -k "$pass" tang "$config"
}

@test "no room in the keyslots area" {
	format_disk "$disk" --luks2-metadata-size 16k --luks2-keyslots-size 512k
	bind
	dump "$disk" >dumped
	call clevis luks bind -y -k "$pass" -d "$disk" tang "$config"
	fails 1 "$disk" "Error adding new binding to $disk"
	dump "$disk" | diff dumped -
	[ "$(clevis luks list -d "$disk" | wc -l)" = 1 ]
}

@test "no room for the token in the header" {
	local filler
	filler=$(printf 'x%.0s' {1..10400})
	echo "{\"type\":\"filler\",\"keyslots\":[],\"data\":\"$filler\"}" | cryptsetup token import --token-id 9 "$disk"
	before=$(sha "$disk")
	refuses_to_bind 'no room in the header' -y -k "$pass" tang "$config"
}

@test "room for the token to within a few bytes: bound, or refused before anything is written" {
	local size filler bound=0 refused=0
	for size in 9560 9620 9680 9740 9800 9860; do
		make_disk
		filler=$(head -c $size /dev/zero | tr '\0' x)
		echo "{\"type\":\"filler\",\"keyslots\":[],\"data\":\"$filler\"}" | cryptsetup token import --token-id 9 "$disk"
		before=$(sha "$disk")
		if clevis luks bind -y -k "$pass" -d "$disk" tang "$config" 2>err; then
			clevis luks unlock -d "$disk" -t 1
			bound=$((bound + 1))
		else
			grep -q 'no room in the header' err
			[ "$(sha "$disk")" = "$before" ]
			refused=$((refused + 1))
		fi
	done
	[ "$bound" -gt 0 ]
	[ "$refused" -gt 0 ]
}

@test "binding again and again ends with the same words, and all bindings still open" {
	local count=0
	while clevis luks bind -y -k "$pass" -d "$disk" tang "$config" 2>err; do
		count=$((count + 1))
		[ "$count" -lt 32 ]
	done
	[ "$count" -ge 3 ]
	before=$(sha "$disk")
	refuses_to_bind 'no room in the header' -y -k "$pass" tang "$config"
	[ "$(clevis luks list -d "$disk" | wc -l)" = "$count" ]
	clevis luks unlock -d "$disk" -t 1
	clevis luks unlock -d "$disk" -t "$count"
}

# --- Arguments ----------------------------------------------------------------------------------------------------------------

@test "what is missing: the usage, exit 2" {
	usage_of_bind 'Did not specify a device!' -y tang "$config"
	usage_of_bind 'Did not specify a pin!' -y -k "$pass" -d "$disk"
	usage_of_bind 'Did not specify a pin config!' -y -k "$pass" -d "$disk" tang
	usage_of_bind '' -y -k "$pass" -d "$disk" tang "$config" more
	usage_of_bind '' -Z -y -k "$pass" -d "$disk" tang "$config"
	usage_of_bind '' -y -d "$disk" tang "$config" -k
}

@test "a pin that nobody knows: the usage, exit 2" {
	usage_of_bind "'nope' is not a valid pin!" -y -k "$pass" -d "$disk" nope "$config"
	usage_of_bind 'is not a valid pin!' -y -k "$pass" -d "$disk" '' "$config"
	usage_of_bind 'is not a valid pin!' -y -k "$pass" -d "$disk" "$config" tang
}

@test "a malformed configuration" {
	local text
	for text in '' x '{' '[]' '"x"' 1 null; do
		refuses_to_bind 'Configuration is malformed; it should be valid JSON' -y -k "$pass" tang "$text"
	done
	refuses_to_bind "Missing the required 'url' property" -y -k "$pass" tang '{}'
}

# --- Devices ------------------------------------------------------------------------------------------------------------------

# refuses_device TEXT FILE
refuses_device() {
	disk=$2
	[ ! -f "$disk" ] || before=$(sha "$disk")
	call clevis luks bind -y -k "$pass" -d "$disk" tang "$config"
	fails 1 "$1" "Error adding new binding to $disk"
	[ ! -f "$disk" ] || [ "$(sha "$disk")" = "$before" ]
}

@test "not LUKS: zeros, noise, text, an empty file, LUKS of which the beginning is cut" {
	local file
	truncate -s 2M zeros
	head -c 2M /dev/urandom >noise
	echo 'LUKS' >text
	printf 'LUKS\xba\xbe\0\2' >magic
	: >empty
	tail -c +513 "$disk" >beheaded
	for file in zeros noise text magic empty; do
		refuses_device "$file" "$PWD/$file"
		[ "$file" = empty ] || refuses_device "is not a supported LUKS device" "$PWD/$file"
	done
	refuses_device 'is not a supported LUKS device' "$PWD/beheaded"
}

@test "a device that is not there, a folder, a character device" {
	refuses_device nope "$PWD/nope"
	[ ! -e nope ]
	mkdir folder
	refuses_device folder "$PWD/folder"
	refuses_device /dev/null /dev/null
	call clevis luks bind -y -k "$pass" -d '' tang "$config"
	[ "$status" = 1 ]
}

@test "a device that may not be written" {
	[ "$(id -u)" != 0 ] || skip "root may write everything"
	chmod 0444 "$disk"
	call clevis luks bind -y -k "$pass" -d "$disk" tang "$config"
	[ "$status" = 1 ]
	[ "$(sha "$disk")" = "$before" ]
}

@test "both copies of the header damaged" {
	dd if=/dev/zero of="$disk" bs=1 seek=4200 count=64 conv=notrunc status=none
	dd if=/dev/zero of="$disk" bs=1 seek=$((16384 + 4200)) count=64 conv=notrunc status=none
	before=$(sha "$disk")
	refuses_to_bind 'is not a supported LUKS device' -y -k "$pass" tang "$config"
}

# --- Servers (more in servers.bats) -------------------------------------------------------------------------------------------

@test "the server is down" {
	local gone
	gone=$(closed_port)
	refuses_to_bind "127.0.0.1:$gone: connection refused" -y -k "$pass" tang "$(tang_config "http://127.0.0.1:$gone")"
}

@test "keys that are not trusted" {
	refuses_to_bind "Trusted JWK" -k "$pass" tang "$(tang_config "$url" '"thp":"wrong"' "\"adv\":\"$adv\"")"
	call clevis_alone luks bind -k "$pass" -d "$disk" tang "$config"
	[ "$status" = 1 ]
	[ "${stderr_lines[-1]}" = "Error adding new binding to $disk" ]
	[[ ${stderr_lines[-2]} == *'not trusted'* ]]
	[ "$(sha "$disk")" = "$before" ]
}

@test "killed at any moment, it leaves a disk that opens, with no binding that does not" {
	local delay
	for delay in 0.005 0.01 0.02 0.03 0.05; do
		timeout -s KILL $delay "$CLEVIS" luks bind -y -k "$pass" -d "$disk" tang "$config" 2>/dev/null || true
	done
	opens "$disk" 0 "$pass"
	local slot
	for slot in $(clevis luks list -d "$disk" | cut -d : -f 1); do
		clevis luks unlock -d "$disk" -t "$slot"
	done
}
