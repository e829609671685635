#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# clevis luks unlock: testing a slot, of one device and of many, anywhere; mapping where there is a device-mapper, and a clear line where there is none.
# shellcheck disable=SC2154,SC2030,SC2031 # what common.bash and bats set; each test is a shell of its own

load ../lib/common

setup_file() {
	command -v cryptsetup >/dev/null || return 0
	serve_file
	make_template
	make_disk bound.img
	bind
	export bound=$disk
}

prepare() {
	needs cryptsetup
	disk=$PWD/disk.img
	cp --sparse=always "$bound" "$disk"
	name=nbde-test-$$
}

# Ends what a test has mapped, also when it fails.
teardown() {
	[ ! -e "/dev/mapper/${name:-}" ] || cryptsetup close "$name"
	stop "${started[@]}"
}

can_map() {
	[ "$(id -u)" = 0 ] && [ -e /dev/mapper/control ] && dmsetup version >/dev/null 2>&1 && losetup -f >/dev/null 2>&1
}

test_fails() { # TEXT SLOT
	call clevis luks unlock -d "$disk" -t "$2"
	fails 1 "$1" "Test for token slot $2 on device $disk failed."
}

@test "-t: a slot that opens: exit 0, nothing said, nothing changed" {
	local before
	before=$(sha "$disk")
	call clevis luks unlock -d "$disk" -t 1
	succeeds
	says ''
	[ "$(sha "$disk")" = "$before" ]
}

@test "-t: a slot without a binding, or none at all" {
	test_fails 'no Clevis binding in that slot' 0
	test_fails 'no Clevis binding in that slot' 5
	test_fails "'x' is not a slot" x
	test_fails "'-1' is not a slot" -1
}

@test "-t: the passphrase does not open the slot any more" {
	cryptsetup luksKillSlot -q "$disk" 1 --key-file "$pass"
	cryptsetup luksAddKey -q --pbkdf pbkdf2 --pbkdf-force-iterations 1000 --key-slot 1 --key-file "$pass" "$disk" "$keys.log"
	edit_token "$disk" 0 'j["keyslots"] = ["1"]'
	test_fails 'slot 1: the recovered passphrase does not open the keyslot' 1
}

@test "-t: only that slot is tried" {
	# The passphrase of slot 1 in a token that claims slot 2, of which the person knows the passphrase.
	cryptsetup luksAddKey -q --pbkdf pbkdf2 --pbkdf-force-iterations 1000 --key-slot 2 --key-file "$pass" "$disk" "$pass"
	edit_token "$disk" 0 'j["keyslots"] = ["2"]'
	test_fails 'slot 2: the recovered passphrase does not open the keyslot' 2
	test_fails 'no Clevis binding in that slot' 1
}

@test "-t: the server is down, and a token that was tampered with" {
	local gone
	gone=$(closed_port)
	clevis luks bind -k "$pass" -d "$disk" tang "$(tang_config "http://127.0.0.1:$gone" "\"adv\":\"$adv\"")" 2>/dev/null
	test_fails "slot 2: tang: Error communicating with server http://127.0.0.1:$gone: 127.0.0.1:$gone: connection refused" 2
	edit_token "$disk" 0 'j["jwe"]["tag"] = "A" * 22'
	test_fails 'slot 1: tang: with the answer of' 1
	edit_token "$disk" 0 'del j["jwe"]'
	test_fails 'token 0 is damaged: it holds no JWE' 1
}

@test "no binding, not LUKS, not there: could not be opened, exit 1" {
	make_disk
	call clevis luks unlock -d "$disk" -n "$name"
	fails 1 'no Clevis binding' "$disk could not be opened."
	echo text >text
	call clevis luks unlock -d text -n "$name"
	fails 1 'text is not a supported LUKS device' 'text could not be opened.'
	call clevis luks unlock -d nope
	fails 1 'nope is not a supported LUKS device: cannot open it: No such file or directory' 'nope could not be opened.'
}

@test "none of the bindings opens: each is told of, the last as the error" {
	local gone
	gone=http://127.0.0.1:$(closed_port)
	edit_token "$disk" 0 'j["jwe"]["tag"] = "A" * 22'
	clevis luks bind -k "$pass" -d "$disk" tang "$(tang_config "$gone" "\"adv\":\"$adv\"")" 2>/dev/null
	call clevis luks unlock -d "$disk" -n "$name"
	[ "$status" = 1 ]
	[ "${#stderr_lines[@]}" = 3 ]
	[[ ${stderr_lines[0]} == *'warning: '*'slot 1: '* ]]
	[[ ${stderr_lines[1]} == *'slot 2: '*"$gone"* ]]
	[ "${stderr_lines[2]}" = "$disk could not be opened." ]
	[ ! -e "/dev/mapper/$name" ]
}

# connections: how many were made to a server in the mode `kept`, by its log.
connections() { # LOG
	grep -c ' request 1$' "$1"
}

# bind_at FILE PIN CONFIG: a disk in the file with such a binding in slot 1.
bind_at() {
	cp --sparse=always "$template" "$1"
	clevis luks bind -y -k "$pass" -d "$1" "$2" "$3"
}

# repeat_d COUNT: sets `devices` to -d disk1.img … , copies of disk.img.
repeat_d() {
	local i
	devices=()
	for ((i = 1; i <= $1; i++)); do
		cp --sparse=always disk.img "disk$i.img"
		devices+=(-d "disk$i.img")
	done
}

@test "several devices, all open: exit 0, nothing said; one does not: exit 1, and it is named" {
	local devices
	repeat_d 3
	call clevis luks unlock "${devices[@]}" -t 1
	succeeds
	says ''
	edit_token disk2.img 0 'j["jwe"]["tag"] = "A" * 22'
	call clevis luks unlock "${devices[@]}" -t 1
	fails 1 'luks: disk2.img: slot 1: ' 'Test for token slot 1 on device disk2.img failed.'
	call clevis luks unlock "${devices[@]}" -o --test-passphrase
	fails 1 'luks: disk2.img: slot 1: ' 'disk2.img could not be opened.'
	call clevis luks unlock -d nope -d disk1.img -t 1
	fails 1 'nope is not a supported LUKS device' 'Test for token slot 1 on device nope failed.'
}

@test "sixteen devices, one server: one connection" {
	local devices
	start_badserver kept "$adv" "$url"
	bind_at disk.img tang "$(tang_config "$url")"
	: >"$helper_log"
	repeat_d 16
	call clevis luks unlock "${devices[@]}" -t 1
	succeeds
	[ "$(grep -c request "$helper_log")" = 16 ]
	[ "$(connections "$helper_log")" = 1 ]
}

@test "sixteen devices bound to two servers by sss: one connection to each" {
	local devices real=$url first second log
	start_badserver kept "$adv" "$real"
	first=$url log=$helper_log
	start_badserver kept "$adv" "$real"
	second=$url
	bind_at disk.img sss "{\"t\":2,\"pins\":{\"tang\":[$(tang_config "$first"),$(tang_config "$second")]}}"
	: >"$helper_log"
	: >"$log"
	repeat_d 16
	call clevis luks unlock "${devices[@]}" -t 1
	succeeds
	[ "$(grep -c request "$helper_log")" = 16 ]
	[ "$(connections "$helper_log")" = 1 ]
	[ "$(connections "$log")" = 1 ]
}

@test "a silent server holds up only the devices that are bound to it" {
	local start good=$disk
	start_badserver silent "$adv"
	CLEVIS_TIMEOUT=1 bind_at waits.img tang "$(tang_config "$url" "\"adv\":\"$adv\"")" 2>/dev/null
	start=$EPOCHREALTIME
	call clevis luks unlock -d waits.img -d "$good" -d waits.img -t 1 --timeout 2
	[ "$status" = 1 ]
	[ "${#stderr_lines[@]}" = 4 ]
	[[ $stderr != *"$good"* ]]
	[[ $stderr == *"luks: waits.img: slot 1: tang: Error communicating with server $url: "* ]]
	took_less_than 4 "$start"
}

@test "a silent server, and another binding of the same device: it opens, and nothing is said" {
	local start good
	good=$(tang_config "$url")
	start_badserver silent "$adv"
	CLEVIS_TIMEOUT=1 bind_at disk.img tang "$(tang_config "$url" "\"adv\":\"$adv\"")" 2>/dev/null
	clevis luks bind -y -k "$pass" -d disk.img tang "$good"
	start=$EPOCHREALTIME
	call clevis luks unlock -d disk.img -o --test-passphrase
	succeeds
	took_less_than 3 "$start"
}

@test "no process is left" {
	local devices before
	repeat_d 4
	call setsid -w "$CLEVIS" luks unlock "${devices[@]}" -t 1
	succeeds
	for _ in 1 2 3 4 5 6 7 8 9 10; do
		pgrep -f -- 'luks unlock -d disk1[.]img -d disk2[.]img' >/dev/null || return 0
		sleep 0.1
	done
	echo "left: $(pgrep -af -- 'luks unlock -d disk1[.]img')"
	return 1
}

@test "-o: what it takes, between spaces, repeated" {
	local before word
	before=$(sha "$disk")
	for word in --allow-discards --readonly -r --perf-same_cpu_crypt --perf-submit_from_crypt_cpus \
		--perf-no_read_workqueue --perf-no_write_workqueue --persistent; do
		call clevis luks unlock -d "$disk" -o --test-passphrase -o "$word"
		succeeds
	done
	call clevis luks unlock -d "$disk" -o ' --readonly  --persistent --test-passphrase '
	succeeds
	[ "$(sha "$disk")" = "$before" ]
}

@test "-o: all else is refused by name, before a server is asked" {
	local word
	start_badserver kept "$adv" "$url"
	bind_at disk.img tang "$(tang_config "$url")"
	: >"$helper_log"
	for word in --key-file=/k --token-only --allow-discardsx --headers x -q; do
		call clevis luks unlock -d disk.img -o "--test-passphrase $word"
		fails 1 "-o: '$word' is no option that can be used here"
	done
	call clevis luks unlock -d disk.img -o '--test-passphrase --header'
	fails 1 '-o: --header: which file?'
	call clevis luks unlock -d disk.img -o '--header= --test-passphrase'
	fails 1 '-o: --header: which file?'
	[ ! -s "$helper_log" ]
}

@test "--header, in each of its forms: the header is taken from there" {
	truncate -s 24M data
	never clevis luks unlock -d data -t 1
	call clevis luks unlock -d data --header "$disk" -t 1
	succeeds
	call clevis luks unlock -d data "--header=$disk" -o --test-passphrase
	succeeds
	cp --sparse=always "$disk" header
	call clevis luks unlock -d data -o '--header header --test-passphrase'
	succeeds
	call clevis luks unlock -d data -o '--header=header --test-passphrase'
	succeeds
	call clevis luks unlock -d nope --header header -t 1
	fails 1 'nope: No such file or directory' 'Test for token slot 1 on device nope failed.'
	call clevis luks unlock -d data --header nope -t 1
	fails 1 'nope is not a supported LUKS device' 'Test for token slot 1 on device data failed.'
}

@test "--header of LUKS1, where the bindings are beside the keyslots" {
	truncate -s 8M header data
	cryptsetup luksFormat -q --type luks1 --pbkdf-force-iterations 1000 header "$pass"
	if ! clevis luks bind -y -k "$pass" -d header tang "$(tang_config "$url")" 2>said; then
		grep -q libluksmeta said && skip "no libluksmeta"
		cat said
		return 1
	fi
	call clevis luks unlock -d data --header header -o --test-passphrase
	succeeds
	call clevis luks unlock -d header -n "$name" -o --persistent
	fails 1 'luks: header: cannot store options in its header: ' 'header could not be opened.'
	can_map || call clevis luks unlock -d data --header header -n "$name"
	can_map || fails 1 'luks: header: cannot map it: ' 'data could not be opened.'
}

@test "what only one device can have, and --all beside -d: usage" {
	local arguments
	for arguments in "-d $disk -d $disk -n x" "-d $disk -d $disk --header x" "--all -n x" "--all -o --header=x" \
		"--all -d $disk" "--all extra" "-d $disk extra" "--al1"; do
		# shellcheck disable=SC2086 # words
		call clevis luks unlock $arguments
		usage 2
	done
}

@test "without device-mapper: a clear line, exit 1" {
	can_map && skip "there is a device-mapper"
	local before
	before=$(sha "$disk")
	call clevis luks unlock -d "$disk" -n "$name"
	fails 1 "luks: $disk: cannot map it: " "$disk could not be opened."
	[ "$(sha "$disk")" = "$before" ]
	call clevis luks unlock -d "$disk"
	fails 1 'cannot map it: ' "$disk could not be opened."
}

@test "with device-mapper: mapped under the name, and not a second time" {
	can_map || skip "no device-mapper"
	call clevis luks unlock -d "$disk" -n "$name"
	succeeds
	[ -b "/dev/mapper/$name" ]
	call clevis luks unlock -d "$disk" -n "$name"
	fails 1 'already unlocked' "$disk could not be opened."
}

@test "with device-mapper: the default name is luks-UUID" {
	can_map || skip "no device-mapper"
	name=luks-$(cryptsetup luksUUID "$disk")
	call clevis luks unlock -d "$disk"
	succeeds
	[ -b "/dev/mapper/$name" ]
}
