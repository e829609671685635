#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# How clevis finds the command that is meant, and what the commands say of themselves.
# shellcheck disable=SC2154,SC2030,SC2031 # what common.bash and bats set; each test is a shell of its own

load ../lib/common

listed=(decrypt encrypt-tang luks-bind luks-list luks-pass luks-unbind luks-unlock)

@test "without arguments: the usage with every command on stderr, exit 2" {
	call clevis
	usage 2 'Usage: clevis COMMAND [OPTIONS]'
	local name
	for name in "${listed[@]}"; do
		grep -qE "^  clevis $name +[A-Z]" <<<"$stderr"
	done
}

@test "the list of commands does not show the hidden ones" {
	call clevis --help
	never grep -q decrypt-tang <<<"$output"
}

@test "--help: the same on stdout, exit 0" {
	call clevis --help
	succeeds
	[[ $output == 'Usage: clevis COMMAND [OPTIONS]'* ]]
	local help=$output
	call clevis -h
	succeeds
	says "$help"
	call clevis
	[ "$stderr" = "$help" ]
}

@test "--version: one line on stdout, exit 0" {
	call clevis --version
	succeeds
	[[ $output =~ ^clevis\ .*[0-9]+\.[0-9]+ ]]
	[ "${#lines[@]}" = 1 ]
}

@test "unknown commands are named and refused, exit 2" {
	call clevis foo
	usage 2 "Command 'clevis foo' is invalid"
	call clevis luks foo
	usage 2 "Command 'clevis luks foo' is invalid"
	call clevis luks
	usage 2 "Command 'clevis luks' is invalid"
	call clevis encrypt nope '{}'
	usage 2 "Command 'clevis encrypt nope"
	call clevis ''
	usage 2
}

@test "an unknown option is refused, exit 2" {
	call clevis --nope
	usage 2
	lacks 'is invalid' <<<"$stderr"
}

@test "a word that begins with - ends the search" {
	call clevis luks -x bind
	usage 2 "Command 'clevis luks' is invalid"
}

@test "a name far too long is refused, exit 2" {
	call clevis "$(printf 'x%.0s' {1..3000})"
	usage 2
	local many
	mapfile -t many < <(printf 'x\n%.0s' {1..500})
	call clevis "${many[@]}"
	usage 2
}

@test "--summary: each command answers with one line on stdout, exit 0" {
	local name summary
	for name in "${listed[@]}"; do
		call clevis "$name" --summary
		succeeds
		[ "${#lines[@]}" = 1 ]
		summary=$output
		# The list shows the same.
		"$CLEVIS" --help | grep -qE "^  clevis $name +$summary\$"
		# shellcheck disable=SC2086 # the words of the name
		call clevis ${name//-/ } --summary
		says "$summary"
	done
}

@test "--summary of a hidden command: nothing, exit 2" {
	call clevis decrypt-tang --summary
	[ "$status" = 2 ]
	says ''
}

@test "the program answers to the name it is called by" {
	local name
	for name in "${listed[@]}"; do
		ln -s "$CLEVIS" "clevis-$name"
		call "./clevis-$name" --summary
		succeeds
		says "$("$CLEVIS" "$name" --summary)"
	done
	ln -s "$CLEVIS" clevis-decrypt-tang
	call ./clevis-decrypt-tang --summary
	[ "$status" = 2 ]
	call ./clevis-luks-bind
	usage 2 'Did not specify a device!'
	call ./clevis-luks-list
	usage 1 'Did not specify a device!'
	# Then its words are no command of the dispatcher any more.
	call ./clevis-luks-list luks bind
	usage 1 'Usage: clevis luks list'
}

@test "called by a name that is no command, it is the dispatcher" {
	ln -s "$CLEVIS" clevis-nope
	call ./clevis-nope luks list
	usage 1 'Usage: clevis luks list'
	ln -s "$CLEVIS" something
	call ./something luks list
	usage 1 'Usage: clevis luks list'
}

@test "words are joined one after another, and the first command that is found runs" {
	call clevis luks bind
	usage 2 'Usage: clevis luks bind'
	call clevis luks-bind
	usage 2 'Usage: clevis luks bind'
	call clevis encrypt tang
	usage 2 'Usage: clevis encrypt tang'
	# clevis-decrypt, with an argument that is ignored, not clevis-decrypt-tang.
	call clevis decrypt tang <<<'not a JWE'
	fails 1 'clevis-decrypt: not a compact JWE'
	call clevis decrypt-tang <<<'not a JWE'
	fails 1 'clevis-decrypt-tang: not a compact JWE'
	call clevis decrypt whatever -x --why <<<'not a JWE'
	fails 1 'clevis-decrypt: not a compact JWE'
}

@test "usage errors of the luks commands: 2 for bind, unbind, unlock; 1 for list, pass" {
	local command
	for command in bind unbind unlock; do
		call clevis luks "$command" -h
		usage 2 "Usage: clevis luks $command"
		call clevis luks "$command" -Z
		usage 2 "Usage: clevis luks $command"
		call clevis luks "$command"
		usage 2 'Did not specify a device!'
		call clevis luks "$command" -d
		usage 2
	done
	for command in list pass; do
		call clevis luks "$command" -h
		usage 1 "Usage: clevis luks $command"
		call clevis luks "$command" -Z
		usage 1 "Usage: clevis luks $command"
		call clevis luks "$command"
		usage 1 'Did not specify a device!'
	done
	call clevis luks pass -d x
	usage 1 'Did not specify a slot!'
	call clevis luks unbind -d x
	usage 2 'Did not specify a slot!'
}

@test "what cannot be written is a failure, not a success" {
	[ -c /dev/full ] || skip "no /dev/full"
	run bash -c '"$CLEVIS" luks list --summary >/dev/full'
	[ "$status" != 0 ]
}
