#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# The trust question: on the terminal, whatever standard input and output are.
# shellcheck disable=SC2154,SC2030,SC2031 # what common.bash and bats set; each test is a shell of its own

load ../lib/common

question='Do you wish to trust these keys? [ynYN] '

setup_file() {
	serve_file
}

prepare() {
	config=$(tang_config "$url")
	thp=$(signing_thumbprints <"$adv")
}

# asked ANSWER: encrypts with a terminal at hand, where the question gets that answer.
asked() {
	run --separate-stderr on_terminal --files "$question=$1" -- "$CLEVIS" encrypt tang "$config" < <(printf secret)
}

@test "y and Y: trusted" {
	local answer
	for answer in y Y yes; do
		asked "$answer"
		[ "$status" = 0 ]
		printf '%s' "$output" >jwe
		[ "$(clevis decrypt <jwe)" = secret ]
	done
}

@test "the question comes with the thumbprints, on stderr, and is asked on the terminal" {
	asked y
	[[ $stderr == *'The advertisement contains the following signing keys:'* ]]
	[[ $stderr == *"$thp"* ]]
	lacks "$thp" <<<"$output"
	grep -qF "$question" screen
}

@test "every signing key is shown, and no exchange key" {
	cp -r "$keys" keys
	make_keys keys
	start_tangd keys
	config=$(tang_config "$url")
	fetch "$url/adv" >adv
	asked y
	[ "$(signing_thumbprints <adv | wc -l)" = 2 ]
	local each
	for each in $(signing_thumbprints <adv); do
		[[ $stderr == *"$each"* ]]
	done
	for each in $(exchange_thumbprint <adv); do
		[[ $stderr != *"$each"* ]]
	done
}

@test "anything else: refused, exit 1, no JWE" {
	local answer
	for answer in n N x '' ' y' 1; do
		asked "$answer"
		[ "$status" = 1 ]
		says ''
		[[ ${stderr_lines[-1]} == *"the server's keys were not trusted"* ]]
	done
}

@test "the end of input at the question is a no" {
	run --separate-stderr on_terminal --files "$question=" --end=hangup -- "$CLEVIS" encrypt tang "$config" < <(printf secret)
	[ "$status" = 1 ]
	says ''
}

@test "no terminal: refused, exit 1, and told what to do" {
	call clevis_alone encrypt tang "$config" <<<secret
	[ "$status" = 1 ]
	says ''
	[[ ${stderr_lines[-1]} == *"not trusted"*"thp"*"-y"* ]]
}

@test "an answer on standard input does not count" {
	call clevis_alone encrypt tang "$config" <<<y
	[ "$status" = 1 ]
	says ''
}

@test "-y, thp and adv: no question, even with a terminal" {
	cp "$adv" adv
	local each yes
	for each in "$config" "$(tang_config "$url" "\"thp\":\"$thp\"")" "$(tang_config "$url" '"adv":"adv"')"; do
		yes=()
		[ "$each" != "$config" ] || yes=(-y)
		run --separate-stderr on_terminal --files -- "$CLEVIS" encrypt tang "$each" "${yes[@]}" < <(printf x)
		[ "$status" = 0 ]
		[ -z "$stderr" ]
		[ ! -s screen ]
	done
}

@test "binding asks as well; no: refused, and the disk is unchanged" {
	needs cryptsetup
	make_template
	make_disk
	local before
	before=$(sha "$disk")
	run on_terminal --files "$question=n" -- "$CLEVIS" luks bind -k "$pass" -d "$disk" tang "$config"
	[ "$status" = 1 ]
	[ "$(sha "$disk")" = "$before" ]
	call clevis_alone luks bind -k "$pass" -d "$disk" tang "$config"
	[ "$status" = 1 ]
	[ "$(sha "$disk")" = "$before" ]
	run on_terminal --files "$question=y" -- "$CLEVIS" luks bind -k "$pass" -d "$disk" tang "$config"
	[ "$status" = 0 ]
	[ "$(clevis luks list -d "$disk")" = "1: tang '{\"url\":\"$url\"}'" ]
}
