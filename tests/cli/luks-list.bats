#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# clevis luks list: its exact lines, and what it makes of tokens that others wrote or changed.
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
	line="1: tang '{\"url\":\"$url\"}'"
}

# list_is TEXT: the list is that, without complaint.
list_is() {
	call clevis luks list -d "$disk"
	succeeds
	says "$1"
}

# Changes the header of the JWE in the token: `h`.
edit_sealed() { # SCRIPT
	edit_token "$disk" 0 "h = json.loads(unb64(j['jwe']['protected']))
$1
j['jwe']['protected'] = b64(json.dumps(h).encode())"
}

@test "one binding: one line" {
	list_is "$line"
	[ "$(clevis luks list -d "$disk" | wc -l)" = 1 ]
}

@test "no binding: nothing, exit 0" {
	make_disk
	list_is ''
}

@test "several bindings: in the order of keyslots, whatever the order of tokens" {
	bind -s 5
	bind -s 3 -t 7
	list_is "$line
3${line#1}
5${line#1}"
}

@test "-s: only that slot; none there: exit 1, no output" {
	bind -s 3
	call clevis luks list -d "$disk" -s 3
	succeeds
	says "3${line#1}"
	local slot
	for slot in 0 2 31 32 4000; do
		call clevis luks list -d "$disk" -s $slot
		[ "$status" = 1 ]
		says ''
		[ -z "$stderr" ]
	done
	call clevis luks list -d "$disk" -s x
	fails 1 "'x' is not a slot"
}

@test "only the url is shown, not thp, adv, or what others put there" {
	call clevis luks bind -k "$pass" -d "$disk" tang \
		"$(tang_config "$url" "\"adv\":\"$adv\"" "\"thp\":\"$(signing_thumbprints <"$adv")\"")"
	succeeds
	edit_sealed "h['clevis']['tang'].update(cacert='/etc/ca', more=[1])"
	list_is "$line
2${line#1}"
}

@test "the url is shown as it was given, as JSON, and does not end the quotes around it" {
	edit_sealed "h['clevis']['tang']['url'] = 'http://h/\"a\\\\b\\''"
	list_is "1: tang '{\"url\":\"http://h/\\\"a\\\\b\u0027\"}'"
}

@test "a url cannot drive the terminal or forge a line" {
	edit_sealed "h['clevis']['tang']['url'] = 'a\n2: tang\x1b[2J\x7f'"
	call clevis luks list -d "$disk"
	[ "${#lines[@]}" = 1 ]
	lacks $'\x1b' <<<"$output"
}

@test "pins that this version does not know are named" {
	local pin
	for pin in file third-party; do
		edit_sealed "h['clevis'] = {'pin': '$pin', '$pin': {}}"
		call clevis luks list -d "$disk"
		[ "$status" = 0 ]
		says "1: unknown pin '$pin'"
	done
}

@test "tokens of other types are not shown, and no matter" {
	echo '{"type":"other","keyslots":["0"],"jwe":{}}' | cryptsetup token import --token-id 3 "$disk"
	list_is "$line"
}

@test "an orphan is not shown" {
	cryptsetup luksKillSlot -q "$disk" 1 --key-file "$pass"
	list_is ''
}

@test "listing changes nothing, and needs no right to write" {
	local before
	before=$(sha "$disk")
	chmod 0444 "$disk"
	list_is "$line"
	[ "$(sha "$disk")" = "$before" ]
}

@test "the server is not asked" {
	local gone
	gone=http://127.0.0.1:$(closed_port)
	call clevis luks bind -k "$pass" -d "$disk" tang "$(tang_config "$gone" "\"adv\":\"$adv\"")"
	list_is "$line
2: tang '{\"url\":\"$gone\"}'"
}

@test "a token that is damaged: a warning that says which, and the rest is shown" {
	bind
	local script
	for script in 'j["jwe"] = 1' 'del j["jwe"]' 'j["jwe"] = "text"'; do
		edit_token "$disk" 0 "$script"
		call clevis luks list -d "$disk"
		[ "$status" = 0 ]
		says "2${line#1}"
		[ "${#stderr_lines[@]}" = 1 ]
		[[ $stderr == *'warning: '*'token 0 is damaged'* ]]
	done
}

@test "a JWE that is none: the slot is warned of, and nobody takes it for a binding of tang" {
	local script
	for script in 'j["jwe"] = {}' 'j["jwe"]["protected"] = "!"' 'j["jwe"]["protected"] = "AAAA"' 'j["jwe"]["protected"] = b64(b"{}")' \
		'j["jwe"]["protected"] = b64(b"{\"clevis\":{\"pin\":\"tang\"}}")'; do
		edit_token "$disk" 0 "$script"
		call clevis luks list -d "$disk"
		[ "$status" = 0 ]
		[[ -z $output || $output == "1: unknown pin"* ]]
		[ "${#stderr_lines[@]}" = 1 ]
		[[ $stderr == *'warning: slot 1: '* ]]
	done
}

@test "not LUKS, not there: one line, exit 1" {
	echo text >text
	call clevis luks list -d text
	fails 1 'text is not a supported LUKS device'
	call clevis luks list -d nope
	fails 1 'nope is not a supported LUKS device: cannot open it: No such file or directory'
}
