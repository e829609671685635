#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# clevis luks report, regen and edit: what they say, what they trust, and what the disk is afterwards.
# shellcheck disable=SC2154,SC2153,SC2030,SC2031 # what common.bash and bats set; each test is a shell of its own

load ../lib/common

setup_file() {
	command -v cryptsetup >/dev/null || return 0
	make_template
}

prepare() {
	needs cryptsetup
	make_keys keys
	start_tangd keys
	make_disk disk.img
	bind
}

# rotate: new keys; the old ones are hidden, and still serve.
rotate() {
	local key
	for key in keys/[!.]*.jwk; do
		mv "$key" "keys/.${key#keys/}"
	done
	"$TANGD_KEYGEN" keys
}

# replace_keys: new keys, and the old ones are gone for good.
replace_keys() {
	rm keys/*.jwk
	"$TANGD_KEYGEN" keys
}

# opens_by_itself: slot 1 is bound to the server and opens; nothing else is in the header but the person's.
opens_by_itself() {
	[ "$(clevis luks list -d "$disk")" = "1: tang '{\"url\":\"$url\"}'" ]
	clevis luks unlock -d "$disk" -t 1
	[ "$(cryptsetup luksDump "$disk" | grep -cE '^  [0-9]+: (luks2|clevis)$')" = 3 ]
	lacks nbde <(cryptsetup token export --token-id 0 "$disk" 2>/dev/null || cryptsetup token export --token-id 1 "$disk")
}

thumbprints_of_token() {
	cryptsetup token export --token-id 0 "$disk" | json 'h = json.loads(unb64(j["jwe"]["protected"]))
for key in h["clevis"]["tang"]["adv"]["keys"]: print("  " + thumbprint(key))'
}

header="The following keys are not in the current advertisement and were probably rotated:"

@test "report: nothing rotated: silent, exit 0" {
	call clevis luks report -d "$disk" -s 1
	succeeds
	says ''
	call clevis luks report --json -d "$disk" -s 1
	succeeds
	says "[{\"url\":\"$url\",\"missing\":[]}]"
}

@test "report: each key that is gone; -q asks nothing and exits 1, and changes nothing" {
	local before wanted
	wanted=$(thumbprints_of_token)
	rotate
	before=$(sha "$disk")
	call clevis luks report -q -d "$disk" -s 1
	[ "$status" = 1 ]
	says "$header
$wanted"
	call clevis luks report --json -d "$disk" -s 1
	[ "$status" = 1 ]
	[ "$(json 'print(len(j[0]["missing"]))' <<<"$output")" = 2 ]
	call clevis luks report -d "$disk" -s 1 <<<n
	[ "$status" = 1 ]
	[ "$(sha "$disk")" = "$before" ]
}

@test "report -r: regenerated without a question; afterwards nothing is reported" {
	rotate
	call clevis_alone luks report -r -d "$disk" -s 1
	succeeds
	[[ $output == "$header"*"Binding regenerated successfully" ]]
	opens_by_itself
	call clevis luks report -q -d "$disk" -s 1
	succeeds
	says ''
}

@test "report: yes regenerates, too" {
	rotate
	call clevis luks report -d "$disk" -s 1 <<<y
	succeeds
	[[ $output == *"Binding regenerated successfully" ]]
}

@test "report: no server, no binding" {
	call clevis luks report -q -d "$disk" -s 2
	fails 1 'no Clevis binding in keyslot 2' 'Unable to verify whether there are rotated keys'
	stop "${started[@]}"
	call clevis luks report -q -d "$disk" -s 1
	fails 1 "Unable to fetch advertisement ($url/adv" 'Unable to verify whether there are rotated keys'
}

@test "regen: asks, and says what it does; no: exit 0, unchanged; the end of input: exit 1" {
	local before
	before=$(sha "$disk")
	call clevis luks regen -d "$disk" -s 1 <<<n
	succeeds
	says "Regenerating binding (device $disk, slot 1):
Pin: tang, Config: '{\"url\":\"$url\"}'"
	call clevis luks regen -d "$disk" -s 1 </dev/null
	[ "$status" = 1 ]
	[ "$(sha "$disk")" = "$before" ]
	call clevis luks regen -d "$disk" -s 1 <<<y
	succeeds
	[[ $output == *"
Binding regenerated successfully" ]]
	opens_by_itself
}

@test "regen: another passphrase, in the same keyslot; the old one opens nothing; the person's still does" {
	clevis luks pass -d "$disk" -s 1 >old
	call clevis_alone luks regen -q -d "$disk" -s 1
	succeeds
	clevis luks pass -d "$disk" -s 1 >new
	never cmp -s old new
	opens "$disk" 1 new
	never opens "$disk" 1 old
	opens "$disk" 0 "$pass"
	opens_by_itself
}

@test "regen: keys that the old ones signed are trusted without a question" {
	rotate
	call clevis_alone luks regen -q -d "$disk" -s 1
	succeeds
	opens_by_itself
}

@test "regen: keys that nothing vouches for are not, unless told; the disk is unchanged" {
	local before
	cp -r keys kept
	clevis luks pass -d "$disk" -s 1 >old
	bind # so that another binding opens: what counts is trust
	replace_keys
	before=$(sha "$disk")
	call clevis_alone luks regen -q -d "$disk" -s 1 <"$pass"
	[ "$status" = 1 ]
	[[ $stderr == *"the server's keys are not trusted"* && $stderr == *"Unable to regenerate binding in $disk:1" ]]
	[ "$(sha "$disk")" = "$before" ]
	call clevis_alone luks regen -q -y -d "$disk" -s 1 <"$pass"
	[ "$status" = 0 ]
	clevis luks unlock -d "$disk" -t 1
}

@test "regen: the server is down: unchanged, also with --unproved, for there are no keys to seal to" {
	local before
	before=$(sha "$disk")
	stop "${started[@]}"
	call clevis_alone luks regen -q --unproved -d "$disk" -s 1 <"$pass"
	[ "$status" = 1 ]
	[[ $stderr == *'connection refused'* ]]
	[ "$(sha "$disk")" = "$before" ]
}

@test "regen keeps every member, those that the list does not show included" {
	local config
	fetch "$url/adv" >adv
	config=$(tang_config "$url")
	clevis luks bind -y -k "$pass" -d "$disk" sss "{\"t\":1,\"pins\":{\"tang\":[$config,$config],\"file\":{\"name\":\"$PWD/key\"}}}"
	mv key key.old
	call clevis_alone luks regen -q -d "$disk" -s 2 <"$pass"
	succeeds
	[ -e key ]
	clevis luks list -d "$disk" -s 2 | grep -qF '"t":1'
	clevis luks unlock -d "$disk" -t 2
}

@test "edit -c: another configuration in the same slot" {
	local other=$url
	make_keys others
	start_tangd others
	call clevis_alone luks edit -d "$disk" -s 1 -c "$(tang_config "$url")"
	[ "$status" = 1 ] # nobody has trusted that one
	[[ $stderr == *"the server's keys are not trusted"* ]]
	call clevis_alone luks edit -d "$disk" -s 1 -c "$(tang_config "$url" "\"thp\":\"$(fetch "$url/adv" | signing_thumbprints)\"")"
	succeeds
	says $'Updating binding...\nBinding edited successfully'
	opens_by_itself
	[ "$url" != "$other" ]
}

@test "edit: unchanged, invalid, of a slot without a binding: exit 1, unchanged" {
	local before
	before=$(sha "$disk")
	call clevis luks edit -d "$disk" -s 1 -c "$(tang_config "$url")"
	fails 1 'No changes detected; exiting'
	call clevis luks edit -d "$disk" -s 1 -c '{bad'
	fails 1 'Invalid configuration given as parameter with -c: Configuration is malformed; it should be valid JSON (' "Unable to update binding in $disk:1. Operation cancelled."
	call clevis luks edit -d "$disk" -s 0 -c '{}'
	[ "$status" = 1 ]
	[ "$(sha "$disk")" = "$before" ]
	call clevis_alone luks edit -f -d "$disk" -s 1 -c "$(tang_config "$url")"
	succeeds
	opens_by_itself
}

@test "edit in an editor: shown without keys, asked, applied; what is no JSON changes nothing" {
	local before
	before=$(sha "$disk")
	printf '#!/bin/sh\ncp "$1" shown\nsed -i "s/127.0.0.1/localhost/" "$1"\n' >editor
	chmod +x editor
	EDITOR=$PWD/editor call clevis luks edit -d "$disk" -s 1 <<<n
	[ "$status" = 1 ]
	[ "$(json 'print(json.dumps(j))' <shown)" = "{\"url\": \"$url\"}" ]
	[ "$(sha "$disk")" = "$before" ]
	EDITOR=false call clevis luks edit -d "$disk" -s 1 <<<y
	fails 1 'the editor failed' "Unable to update binding in $disk:1. Operation cancelled."
	EDITOR='echo {bad >' call clevis luks edit -d "$disk" -s 1 <<<y
	[ "$status" = 1 ]
	[ "$(sha "$disk")" = "$before" ]
	EDITOR=$PWD/editor call clevis luks edit -y -d "$disk" -s 1 <<<y
	succeeds
	[ "$(clevis luks list -d "$disk")" = "1: tang '{\"url\":\"${url/127.0.0.1/localhost}\"}'" ]
	clevis luks unlock -d "$disk" -t 1
}

@test "two writers wait for each other" {
	exec {lock}>/dev/null
	local file
	if [ "$(id -u)" = 0 ]; then file=/run/nbde; else file=${XDG_RUNTIME_DIR:-/tmp}/nbde; fi
	[ -d "$file" ] || skip "no run-time folder here"
	exec {lock}>"$file/file-$(stat -c '%Hd-%Ld-%i' "$disk")"
	flock "$lock"
	call clevis luks bind --timeout 0.5 -y -k "$pass" -d "$disk" tang "$(tang_config "$url")"
	fails 1 'another command is at work on it' "Error adding new binding to $disk"
	flock -u "$lock"
	clevis luks bind -y -k "$pass" -d "$disk" tang "$(tang_config "$url")"
}

@test "usage" {
	local command
	for command in regen report edit; do
		call clevis luks $command -d "$disk"
		usage 1 'Did not specify a slot!'
		call clevis luks $command -s 1
		usage 1 'Did not specify a device!'
		call clevis luks $command -d "$disk" -s 1 surplus
		usage 1
	done
	for command in regen report; do
		call clevis luks $command -h
		usage 0
	done
}
