#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# clevis luks bind --idempotent: a device that is bound already is left alone. And what bind warns of: bindings that work now,
# and would not at boot.
# shellcheck disable=SC2154,SC2030,SC2031 # what common.bash and bats set; each test is a shell of its own

load ../lib/common

setup_file() {
	command -v cryptsetup >/dev/null || return 0
	serve_file
	make_template
	make_disk bound.img
	bind
	export bound=$disk
	thp=$(signing_thumbprints <"$adv")
	export thp
}

prepare() {
	needs cryptsetup
	disk=$PWD/disk.img
	cp --sparse=always "$bound" "$disk"
	config=$(tang_config "$url")
	before=$(sha "$disk")
}

# again ARGUMENT…: bind --idempotent, with nobody to ask and no passphrase.
again() {
	call clevis_alone luks bind --idempotent -d "$disk" "$@"
}

# is_left_alone SLOT ARGUMENT…
is_left_alone() {
	again "${@:2}"
	succeeds
	says "$disk is already bound by this configuration in slot $1"
	[ "$(sha "$disk")" = "$before" ]
}

# is_bound_anew SLOT ARGUMENT…
is_bound_anew() {
	call clevis_alone luks bind --idempotent -y -k "$pass" -d "$disk" "${@:2}"
	binds
	clevis luks unlock -d "$disk" -t "$1"
	before=$(sha "$disk")
}

@test "bound already: said in one line, nothing changed, exit 0; no passphrase and no server needed" {
	is_left_alone 1 tang "$config"
	is_left_alone 1 -y -k nowhere tang "$config"
	is_left_alone 1 -k - tang "$config"
	is_left_alone 1 -e 7 tang "$config"
	# Nobody serves this one any more.
	make_keys gone
	start_tangd gone
	clevis luks bind -y -k "$pass" -d "$disk" tang "$(tang_config "$url")"
	stop "$tangd_pid"
	before=$(sha "$disk")
	is_left_alone 2 tang "$(tang_config "$url")"
}

@test "it is no writer: a device that may only be read, another command at work" {
	local file
	if [ "$(id -u)" = 0 ]; then file=/run/nbde; else file=${XDG_RUNTIME_DIR:-/tmp}/nbde; fi
	[ -d "$file" ] || skip "no run-time folder here"
	exec {lock}>"$file/file-$(stat -c '%Hd-%Ld-%i' "$disk")"
	flock "$lock"
	chmod 0444 "$disk"
	is_left_alone 1 tang "$config"
}

@test "not bound yet: bound, and the second time not again" {
	make_disk
	is_bound_anew 1 tang "$config"
	is_left_alone 1 tang "$config"
	[ "$(clevis luks list -d "$disk" | wc -l)" = 1 ]
}

@test "without the option a second binding is made" {
	bind
	[ "$(clevis luks list -d "$disk" | wc -l)" = 2 ]
}

@test "thp and adv: when they name keys of the binding, else it is another configuration" {
	make_keys others
	local own=$url
	start_tangd others
	fetch "$url/adv" >others.adv
	url=$own
	is_left_alone 1 tang "$(tang_config "$url" "\"thp\":\"$thp\"")"
	is_left_alone 1 tang "$(tang_config "$url" "\"adv\":\"$adv\"")"
	is_left_alone 1 tang "$(tang_config "$url" "\"adv\":$(<"$adv")")"
	again -k "$pass" tang "$(tang_config "$url" "\"thp\":\"$(signing_thumbprints <others.adv)\"")"
	[ "$status" = 1 ]
	[ "$(sha "$disk")" = "$before" ]
	again -k "$pass" tang "$(tang_config "$url" '"adv":"others.adv"')"
	[ "$status" = 1 ] # the server does not have these keys, which the proof shows
	[ "$(sha "$disk")" = "$before" ]
	again -k "$pass" tang "$(tang_config "$url" '"adv":"nowhere"')"
	fails 1 "Advertisement file 'nowhere' not found" "Error adding new binding to $disk"
}

@test "what list --json shows is the same configuration" {
	local shown
	shown=$(clevis luks list --json -d "$disk" | json 'json.dump(j["bindings"][0]["config"], sys.stdout)')
	is_left_alone 1 tang "$shown"
}

@test "sss: in whatever order, alone or in an array" {
	is_bound_anew 2 sss "{\"t\":2,\"pins\":{\"null\":{},\"tang\":[$config],\"sss\":{\"pins\":{\"null\":{}}}}}"
	is_left_alone 2 sss "{\"pins\":{\"sss\":[{\"pins\":{\"null\":[{}]},\"t\":1}],\"null\":[{}],\"tang\":$config},\"t\":2}"
	is_bound_anew 3 sss "{\"t\":1,\"pins\":{\"null\":{},\"tang\":[$config],\"sss\":{\"pins\":{\"null\":{}}}}}"
	[ "$(clevis luks list -d "$disk" | wc -l)" = 3 ]
}

@test "a pin that is a program: by the members that it left in the header" {
	printf '%s\n' '#!/bin/sh' 'key=$(cat | base64 -w 0)' \
		'header=$(printf "{\"alg\":\"dir\",\"enc\":\"A256GCM\",\"clevis\":{\"pin\":\"toy\",\"toy\":{\"at\":\"here\",\"key\":\"%s\"}}}" "$key" | base64 -w 0 | tr /+ _- | tr -d =)' \
		'printf "%s..AAAAAAAAAAAAAAAA.AA.AAAAAAAAAAAAAAAAAAAAAA" "$header"' >clevis-encrypt-toy
	printf '%s\n' '#!/bin/sh' \
		"$python -c 'import base64, json, sys; h = sys.stdin.read().split(\".\")[0]; h += \"=\" * (-len(h) % 4)" \
		'sys.stdout.buffer.write(base64.b64decode(json.loads(base64.urlsafe_b64decode(h))["clevis"]["toy"]["key"]))'"'" >clevis-decrypt-toy
	chmod +x clevis-encrypt-toy clevis-decrypt-toy
	PATH=$PWD:$PATH
	is_bound_anew 2 toy '{"at":"here"}'
	is_left_alone 2 toy '{"at":"here"}'
	is_bound_anew 3 toy '{"at":"there"}'
}

@test "-s: only when the binding is in that slot" {
	is_left_alone 1 -s 1 tang "$config"
	again -s 5 -k "$pass" tang "$config"
	fails 1 "$disk is already bound by this configuration in slot 1, not 5" "Error adding new binding to $disk"
	[ "$(sha "$disk")" = "$before" ]
	bind -s 5
	before=$(sha "$disk")
	is_left_alone 1 tang "$config"
	is_left_alone 5 -s 5 tang "$config"
}

@test "a damaged token is no binding" {
	edit_token "$disk" 0 'j["jwe"] = 1'
	is_bound_anew 2 tang "$config"
}

@test "started eight times at once: bound once" {
	local pids=() n
	make_disk
	for n in {1..8}; do
		clevis luks bind --idempotent -y -k "$pass" -d "$disk" tang "$config" >"said.$n" 2>&1 3>&- &
		pids+=($!)
	done
	for n in "${pids[@]}"; do
		wait "$n"
	done
	[ "$(clevis luks list -d "$disk" | wc -l)" = 1 ]
	[ "$(cat said.* | grep -cx "$disk is already bound by this configuration in slot 1")" = 7 ]
	clevis luks unlock -d "$disk" -t 1
}

# --- Warnings -----------------------------------------------------------------------------------------------------------------

# warns LINE…: bound, and these are the warnings, without their beginning.
warns() {
	[ "$status" = 0 ]
	says ''
	diff <(printf 'clevis-luks-bind: warning: %s\n' "$@") <(printf '%s\n' "$stderr")
}

here="is this very machine: at boot it would wait for itself"

@test "a server that is this very machine: one line, by address and by name, also inside sss" {
	call clevis luks bind -y -k "$pass" -d "$disk" tang "$config"
	warns "$url $here"
	call clevis luks bind -y -k "$pass" -d "$disk" sss "{\"pins\":{\"sss\":{\"pins\":{\"tang\":[$config,$config]}}}}"
	warns "$url $here"
	getent hosts localhost >/dev/null || return 0
	call clevis luks bind -y -k "$pass" -d "$disk" tang "$(tang_config "${url/127.0.0.1/localhost}")"
	warns "${url/127.0.0.1/localhost} $here"
}

@test "a relative path: one line that names it" {
	call clevis luks bind -y -k "$pass" -d "$disk" file '{"name":"key"}'
	warns "'name' is a relative path, key: at boot it is looked for from another folder"
	call clevis luks bind -y -k "$pass" -d "$disk" file "{\"name\":\"$PWD/absolute\"}"
	succeeds
}

@test "a binding that fails is not warned of" {
	call clevis luks bind -y -k "$pass" -d "$disk" tang "$(tang_config "http://127.0.0.1:$(closed_port)")"
	fails 1 'connection refused' "Error adding new binding to $disk"
}
