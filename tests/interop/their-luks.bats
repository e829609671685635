#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# A disk that theirs bound, in our hands, and the reverse; with our server and with theirs.
# shellcheck disable=SC2154,SC2030,SC2031 # what common.bash and bats set; each test is a shell of its own

load ../lib/common
load ../lib/references

their_bind() {
	their_clevis_alone luks bind -f -k "$pass" -d "$disk" tang "$(tang_config "$url" "\"adv\":\"$adv\"")" 2>bind.err ||
		{ cat bind.err && return 1; }
}

setup_file() {
	command -v cryptsetup >/dev/null || return 0
	serve_file
	make_template
	[ -x /usr/bin/clevis-luks-bind ] || return 0
	make_disk bound-by-theirs.img
	their_bind
	make_disk bound-by-ours.img
	bind
	export folder=$BATS_FILE_TMPDIR
}

# bound_by theirs|ours: the disk is a copy of one that was bound.
bound_by() {
	cp --sparse=always "$folder/bound-by-$1.img" "$disk"
}

prepare() {
	needs_their /usr/bin/clevis /usr/bin/clevis-luks-bind /usr/bin/clevis-luks-list /usr/bin/clevis-luks-pass /usr/bin/jose
	needs cryptsetup
	make_disk
	line="1: tang '{\"url\":\"$url\"}'"
}

@test "theirs binds: ours lists the same text" {
	bound_by theirs
	call clevis luks list -d "$disk"
	succeeds
	says "$line"
	says "$(their_clevis luks list -d "$disk")"
}

@test "theirs binds: ours recovers the same bytes, and they open the keyslot" {
	bound_by theirs
	their_clevis luks pass -d "$disk" -s 1 >theirs
	clevis luks pass -d "$disk" -s 1 >ours
	cmp theirs ours
	[ -s ours ]
	opens "$disk" 1 ours
	clevis luks pass -d "$disk" -s 1 | cryptsetup open --test-passphrase --key-slot 1 "$disk"
	call clevis luks unlock -d "$disk" -t 1
	succeeds
}

@test "theirs binds: ours unbinds, and nothing is left" {
	dump "$template" >before
	bound_by theirs
	call clevis luks unbind -f -d "$disk" -s 1
	succeeds
	dump "$disk" | diff before -
	[ -z "$(their_clevis luks list -d "$disk")" ]
}

@test "ours binds: theirs lists the same text" {
	bound_by ours
	[ "$(their_clevis luks list -d "$disk")" = "$line" ]
	[ "$(their_clevis luks list -d "$disk" -s 1)" = "$line" ]
}

@test "ours binds: theirs recovers the same bytes" {
	bound_by ours
	their_clevis luks pass -d "$disk" -s 1 >theirs
	clevis luks pass -d "$disk" -s 1 | cmp - theirs
	opens "$disk" 1 theirs
}

@test "ours binds: theirs tests the slot" {
	needs_their /usr/bin/clevis-luks-unlock
	bound_by ours
	their_clevis luks unlock -d "$disk" -t 1
}

@test "ours binds: theirs unbinds, and nothing is left" {
	needs_their /usr/bin/clevis-luks-unbind
	dump "$template" >before
	bound_by ours
	their_clevis_alone luks unbind -f -d "$disk" -s 1
	dump "$disk" | diff before -
	[ -z "$(clevis luks list -d "$disk")" ]
}

@test "both on one disk: each lists both, opens both, in the same order" {
	bound_by theirs
	bind -s 2
	clevis luks list -d "$disk" >ours
	their_clevis luks list -d "$disk" | sort | diff - <(sort ours)
	[ "$(wc -l <ours)" = 2 ]
	local slot
	for slot in 1 2; do
		cmp <(clevis luks pass -d "$disk" -s $slot) <(their_clevis luks pass -d "$disk" -s $slot)
		clevis luks unlock -d "$disk" -t $slot
	done
}

@test "a wrong passphrase on stdin: ours obtains one from a binding of theirs" {
	bound_by theirs
	call clevis luks bind -y -k - -d "$disk" tang "$(tang_config "$url")" <<<wrong
	binds
	clevis luks unlock -d "$disk" -t 2
}

@test "their server: theirs binds, ours opens; ours binds, theirs opens" {
	needs_their /usr/libexec/tangd
	make_their_keys keys
	start_their_tangd "$PWD/keys"
	fetch "$url/adv" >their.adv
	adv=$PWD/their.adv
	their_bind
	bind
	clevis luks unlock -d "$disk" -t 1
	cmp <(clevis luks pass -d "$disk" -s 1) <(their_clevis luks pass -d "$disk" -s 1)
	cmp <(clevis luks pass -d "$disk" -s 2) <(their_clevis luks pass -d "$disk" -s 2)
	[ "$(clevis luks list -d "$disk")" = "$(their_clevis luks list -d "$disk")" ]
}

@test "their regen of our binding: ours opens the new one" {
	needs_their /usr/bin/clevis-luks-regen
	bound_by ours
	clevis luks pass -d "$disk" -s 1 >before
	their_clevis_alone luks regen -q -d "$disk" -s 1 >regen.out 2>&1 || { cat regen.out && skip "their regen fails here by itself"; }
	clevis luks pass -d "$disk" -s 1 >after
	never cmp -s before after
	clevis luks unlock -d "$disk" -t 1
}

@test "their binding of null and sss: ours lists them without harm, and leaves them alone" {
	needs_their /usr/bin/clevis-encrypt-sss
	their_clevis_alone luks bind -f -k "$pass" -d "$disk" sss "{\"t\":1,\"pins\":{\"tang\":[$(tang_config "$url" "\"adv\":\"$adv\"")]}}" 2>bind.err ||
		{ cat bind.err && return 1; }
	bind
	call clevis luks list -d "$disk"
	[ "$status" = 0 ]
	[ "${#lines[@]}" = 2 ]
	[ "${lines[1]}" = "2: tang '{\"url\":\"$url\"}'" ]
	clevis luks unbind -f -d "$disk" -s 2
	[[ $(their_clevis luks list -d "$disk") == '1: sss '* ]]
	their_clevis luks pass -d "$disk" -s 1 >passphrase
	opens "$disk" 1 passphrase
}

@test "the keyslots of both are made alike" {
	bound_by theirs
	bind
	local slot
	for slot in 1 2; do
		cryptsetup luksDump "$disk" | sed -n "/^  $slot: luks2/,/Digest ID/p" | grep -E '^\s+(Key|Cipher|Cipher key|PBKDF|Iterations|AF stripes|Digest ID):' >"slot.$slot"
	done
	diff slot.1 slot.2
}

# sss_config T: of our server twice, in the form that both take.
sss_config() {
	local server
	server=$(tang_config "$url" "\"adv\":\"$adv\"")
	echo "{\"t\":$1,\"pins\":{\"tang\":[$server,$server]}}"
}

# both_use_sss T: a binding of sss in slot 1 is listed alike by both, and gives both the same passphrase, which is right.
both_use_sss() {
	needs_their /usr/bin/clevis-luks-unlock
	local listed="1: sss '{\"t\":$1,\"pins\":{\"tang\":[{\"url\":\"$url\"},{\"url\":\"$url\"}]}}'"
	[ "$(their_clevis luks list -d "$disk")" = "$listed" ]
	call clevis luks list -d "$disk"
	succeeds
	says "$listed"
	their_clevis luks pass -d "$disk" -s 1 >theirs
	clevis luks pass -d "$disk" -s 1 | cmp - theirs
	opens "$disk" 1 theirs
	call clevis luks unlock -d "$disk" -t 1
	succeeds
	their_clevis luks unlock -d "$disk" -t 1
}

@test "theirs binds sss: both list, recover and test it" {
	needs_their /usr/bin/clevis-encrypt-sss
	their_clevis_alone luks bind -f -k "$pass" -d "$disk" sss "$(sss_config 2)" 2>bind.err || { cat bind.err && return 1; }
	both_use_sss 2
}

@test "ours binds sss: both list, recover and test it" {
	needs_their /usr/bin/clevis-decrypt-sss
	call clevis luks bind -k "$pass" -d "$disk" sss "$(sss_config 2)"
	binds
	both_use_sss 2
	call their_clevis_alone luks unbind -f -d "$disk" -s 1
	[ "$status" = 0 ]
	[ -z "$(clevis luks list -d "$disk")" ]
}

@test "sss inside sss, with null and tang: bound by either, opened by both" {
	needs_their /usr/bin/clevis-decrypt-sss /usr/bin/clevis-luks-unlock
	# There is no room for two of them with two servers.
	local config server
	server=$(tang_config "$url" "\"adv\":\"$adv\"")
	config="{\"t\":2,\"pins\":{\"null\":{},\"sss\":{\"t\":1,\"pins\":{\"tang\":$server}}}}"
	their_clevis_alone luks bind -f -k "$pass" -d "$disk" sss "$config" 2>bind.err || { cat bind.err && return 1; }
	call clevis luks bind -k "$pass" -d "$disk" sss "$config"
	binds
	local slot
	for slot in 1 2; do
		their_clevis luks pass -d "$disk" -s $slot >theirs
		clevis luks pass -d "$disk" -s $slot | cmp - theirs
		opens "$disk" $slot theirs
		their_clevis luks unlock -d "$disk" -t $slot
	done
	[ "$(clevis luks list -d "$disk" -s 1 | cut -c 2-)" = "$(clevis luks list -d "$disk" -s 2 | cut -c 2-)" ]
}

@test "theirs binds: ours regenerates and edits, theirs lists and opens" {
	bound_by theirs
	call clevis_alone luks regen -q -d "$disk" -s 1
	succeeds
	says "Regenerating binding (device $disk, slot 1):
Pin: tang, Config: '{\"url\":\"$url\"}'
Binding regenerated successfully"
	[ "$(their_clevis luks list -d "$disk")" = "$line" ]
	their_clevis luks pass -d "$disk" -s 1 >theirs
	opens "$disk" 1 theirs
	call clevis_alone luks edit -f -d "$disk" -s 1 -c "{\"url\":\"$url\"}"
	succeeds
	their_clevis luks pass -d "$disk" -s 1 >theirs
	opens "$disk" 1 theirs
}

@test "ours binds: theirs regenerates, ours reports nothing missing and opens" {
	[ -x /usr/bin/clevis-luks-regen ] || skip "no clevis-luks-regen"
	bound_by ours
	their_clevis luks regen -q -d "$disk" -s 1 </dev/null >/dev/null
	call clevis luks report -q -d "$disk" -s 1
	succeeds
	says ''
	call clevis luks unlock -d "$disk" -t 1
	succeeds
}

@test "ours binds: theirs edits, ours lists, reports nothing missing and opens" {
	needs_their /usr/bin/clevis-luks-edit
	bound_by ours
	clevis luks pass -d "$disk" -s 1 >before
	their_clevis_alone luks edit -f -d "$disk" -s 1 -c "{\"url\":\"$url/\"}" >edit.out 2>&1 || { cat edit.out && return 1; }
	call clevis luks list -d "$disk"
	succeeds
	says "1: tang '{\"url\":\"$url/\"}'"
	call clevis luks report -q -d "$disk" -s 1
	succeeds
	clevis luks pass -d "$disk" -s 1 >after
	opens "$disk" 1 after
	never cmp -s before after
}

@test "theirs binds: after our regen and our edit theirs reports nothing missing, and unbinds" {
	needs_their /usr/bin/clevis-luks-report /usr/bin/clevis-luks-unbind
	dump "$template" >before
	bound_by theirs
	clevis_alone luks regen -q -d "$disk" -s 1
	their_clevis luks report -q -d "$disk" -s 1 </dev/null
	clevis_alone luks edit -f -d "$disk" -s 1 -c "{\"url\":\"$url/\",\"adv\":\"$adv\"}"
	their_clevis luks report -q -d "$disk" -s 1 </dev/null
	[ "$(their_clevis luks list -d "$disk")" = "1: tang '{\"url\":\"$url/\"}'" ]
	their_clevis_alone luks unbind -f -d "$disk" -s 1
	dump "$disk" | diff before -
}

@test "report says what theirs says" {
	[ -x /usr/bin/clevis-luks-report ] || skip "no clevis-luks-report"
	local keys=$PWD/keys
	make_keys "$keys"
	start_tangd "$keys"
	bind
	rm "$keys"/*.jwk
	"$TANGD_KEYGEN" "$keys"
	run their_clevis luks report -q -d "$disk" -s 1 </dev/null
	local theirs=$output
	[ "$status" = 1 ]
	run clevis luks report -q -d "$disk" -s 1
	[ "$status" = 1 ]
	[ "$(sort <<<"$output")" = "$(sort <<<"$theirs")" ]
}
