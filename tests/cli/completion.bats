#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# What bash offers while a command is typed.
# shellcheck disable=SC2154,SC2030,SC2031 # what common.bash and bats set; each test is a shell of its own

load ../lib/common

prepare() {
	mkdir bin
	# shellcheck source=completions/clevis
	. "$top/completions/clevis"
	# shellcheck source=completions/tangctl
	. "$top/completions/tangctl"
}

# alone COMMAND…: with a PATH on which is what the test put there, and nothing that happens to be installed.
alone() {
	local PATH=$PWD/bin
	"$@"
}

# typed WORD…: completes the last word; what is offered is in `offered`, sorted.
typed() {
	local function
	COMP_WORDS=("$@") COMP_CWORD=$(($# - 1)) COMPREPLY=()
	case $1 in
	tang*) function=_${1//-/_} ;;
	*) function=_clevis ;;
	esac
	alone "$function" || true
	offered=$(printf '%s\n' "${COMPREPLY[@]}" | sort | paste -sd ' ')
}

# offers WORDS -- WORD…: typing the words behind -- offers exactly those before it.
offers() {
	local wanted=$1
	typed "${@:3}"
	[ "$offered" = "$wanted" ] && return
	printf 'typed: %s\noffered: %s\nexpected: %s\n' "${*:3}" "$offered" "$wanted"
	return 1
}

program() { # NAME: there is one of that name on PATH
	printf '#!/bin/sh\nexit 1\n' >"bin/$1"
	chmod +x "bin/$1"
}

@test "the first word: what commands begin with" {
	offers 'decrypt encrypt luks' -- clevis ''
	offers 'decrypt' -- clevis d
	offers '' -- clevis x
	offers '--help --timeout --version' -- clevis -
}

@test "the words behind it" {
	offers 'bind edit list pass regen report unbind unlock' -- clevis luks ''
	offers 'unbind unlock' -- clevis luks un
	offers 'file sss tang' -- clevis encrypt ''
	offers '' -- clevis nope ''
	offers '' -- clevis -x ''
}

@test "commands in one word, and the programs of these names" {
	offers 'luks-unbind luks-unlock' -- clevis luks-un
	offers 'encrypt-sss' -- clevis encrypt-s
	offers '--timeout -d -h -s' -- clevis luks-list -
	offers '--timeout -d -h -s' -- clevis-luks-list -
	offers '--timeout -d -h -s' -- /usr/bin/clevis-luks-list -
	offers '--timeout -h' -- clevis-decrypt ''
}

@test "pins that are programs on PATH" {
	program clevis-encrypt-stick
	program clevis-encrypt-two-words
	program clevis-encrypt-null # for tests: it is not offered
	program clevis-decrypt-other
	offers 'file sss stick tang two-words' -- clevis encrypt ''
	offers 'encrypt-sss encrypt-stick' -- clevis encrypt-s
	offers 'sss stick' -- clevis luks bind -d disk.img s
	offers '--timeout -y' -- clevis encrypt two-words '{}' ''
	offers '--timeout -y' -- clevis encrypt null '{}' ''
}

@test "the options of a command, but for those that are there" {
	offers '--timeout -d -f -h -k -s -t -y' -- clevis luks bind -
	offers '--timeout -h -k -s -t' -- clevis luks bind -fyd disk.img -
	offers '-d -f -h -k -s -t -y' -- clevis luks bind --timeout 5 -
	offers '-d -f -h -k -s -t -y' -- clevis luks bind --timeout=5 -
	offers '-d -f -h -k -s -t -y' -- clevis luks bind --timeout = 5 -
	offers '--timeout -d -h -n' -- clevis luks unlock -t1 ''
	offers '' -- clevis luks unlock -n ''
	offers '' -- clevis luks bind --timeout ''
	offers '' -- clevis luks bind --timeout = ''
}

@test "-y of encrypt: behind the configuration" {
	offers '--timeout' -- clevis encrypt tang ''
	offers '--timeout -y' -- clevis encrypt tang '{"url":"http://server"}' ''
	offers '-y' -- clevis encrypt tang --timeout 5 '{}' -
	offers '--timeout' -- clevis encrypt tang '{}' -y ''
}

@test "bind: a pin, and nothing in place of its configuration" {
	offers 'file sss tang' -- clevis luks bind ''
	offers 'tang' -- clevis luks bind -y -d /dev/disk/by-path/pci-0000 : 00 : 1f.2 -k key t
	offers '' -- clevis luks bind -d disk.img tang ''
}

@test "-d: folders, files and devices" {
	mkdir folder
	touch disk.img 'disk of mine'
	mkfifo disk.fifo
	offers 'disk of mine disk.img' -- clevis luks list -d disk
	offers 'folder' -- clevis luks bind -yd f
	typed clevis luks unlock -d ''
	[[ " $offered " == *' disk.img '* ]]
	[[ " $offered " != *' bin/'* && " $offered " != *' disk.fifo '* ]]
	local path
	for path in /dev/*; do
		[ ! -b "$path" ] || [[ " $offered " == *" $path "* ]]
	done
	typed clevis luks unlock -d /dev/
	for path in /dev/*; do
		[ ! -b "$path" ] || [[ " $offered " == *" $path "* ]]
	done
	[[ " $offered " != *' /dev/null '* ]]
}

@test "-k, -w and redirections: files" {
	touch key
	mkfifo kiosk
	offers 'key kiosk' -- clevis luks bind -k k
	offers '-' -- clevis luks bind -k -
	offers 'key kiosk' -- clevis luks pass -w k
	offers 'key kiosk' -- clevis decrypt '<' k
	offers 'key' -- clevis encrypt tang '{}' '>' ke
}

@test "--timeout before the command" {
	offers '' -- clevis --timeout ''
	offers 'decrypt encrypt luks' -- clevis --timeout 5 ''
	offers 'list' -- clevis --timeout = 5 luks l
	offers 'list' -- clevis --timeout=5 luks l
	offers '' -- clevis --timeout = ''
}

@test "every command that is listed is completed, with the options of its usage text" {
	local name option count=0
	while read -r name; do
		count=$((count + 1))
		complete -p "clevis-$name"
		grep -q "'$name'" "$top/completions/meson.build"
		typed clevis "$name" -
		[[ $name != encrypt-* ]] || typed clevis "$name" '{}' -
		clevis "$name" -h </dev/null >said 2>&1 || true
		grep -oE '(^|[ [])--?[a-z]+' said | tr -d ' [' | sort -u >options
		while read -r option; do
			[[ " $offered " == *" $option "* ]] || { echo "$name: $option is not offered" && return 1; }
		done <options
		for option in $offered; do
			[[ $option == -h || $option == --timeout ]] || grep -qx -e "$option" options ||
				{ echo "$name: there is no $option" && return 1; }
		done
	done < <(alone "$CLEVIS" --help | sed -n 's/^  clevis \([a-z-]*\) .*/\1/p')
	[ "$count" -gt 5 ]
}

@test "no program is started" {
	program clevis-encrypt-stick
	command_not_found_handle() {
		echo "$*" >>started
	}
	typed clevis ''
	typed clevis encrypt ''
	typed clevis luks bind -d ''
	typed clevis encrypt stick '{}' ''
	[ ! -e started ]
	alone ls # it would have been seen
	[ -e started ]
}

@test "tangctl and tang-show-keys" {
	mkdir keys
	touch kept
	offers 'backup restore' -- tangctl ''
	offers '--help --version' -- tangctl -
	offers '-d -f -h' -- tangctl backup -
	offers '-d -h' -- tangctl restore -
	offers 'keys' -- tangctl backup -d k
	offers 'kept keys' -- tangctl restore k
	offers 'keys' -- tang-show-keys k
	offers '--help --timeout' -- tang-show-keys -
}
