#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# What bash offers while a command is typed.
# shellcheck disable=SC2154,SC2030,SC2031 # what common.bash and bats set; each test is a shell of its own

load ../lib/common
load ../lib/jose

prepare() {
	mkdir bin
	# shellcheck source=completions/clevis
	. "$top/completions/clevis"
	# shellcheck source=completions/tangctl
	. "$top/completions/tangctl"
	# shellcheck source=completions/jose
	. "$top/completions/jose"
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
	tang* | jose) function=_${1//-/_} ;;
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
	offers '--json -d -h -p -s' -- clevis luks-list -
	offers '--json -d -h -p -s' -- clevis-luks-list -
	offers '--json -d -h -p -s' -- /usr/bin/clevis-luks-list -
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
	offers '--idempotent --timeout -d -e -f -h -k -s -t -y' -- clevis luks bind -
	offers '--idempotent --timeout -e -h -k -s -t' -- clevis luks bind -fyd disk.img -
	offers '--timeout -d -e -f -h -k -s -t -y' -- clevis luks bind --idempotent -
	offers '--idempotent -d -e -f -h -k -s -t -y' -- clevis luks bind --timeout 5 -
	offers '--idempotent -d -e -f -h -k -s -t -y' -- clevis luks bind --timeout=5 -
	offers '--idempotent -d -e -f -h -k -s -t -y' -- clevis luks bind --timeout = 5 -
	offers '--all --header --timeout -d -h -n -o' -- clevis luks unlock -t1 ''
	offers '--all --header --timeout -d -h -o -t' -- clevis luks unlock -d disk.img -o --readonly -n x -
	offers '--all --timeout -d -h -n -o -t' -- clevis luks unlock --header x ''
	offers '--header --timeout -d -h -n -o -t' -- clevis luks unlock --all ''
	offers '--perf-no_read_workqueue --perf-no_write_workqueue' -- clevis luks unlock -o --perf-n
	offers '--timeout -d -f -h -s -y' -- clevis luks edit -c '{}' --unproved ''
	offers '--timeout -d -h -q -r -s -y' -- clevis luks report --json -
	offers '' -- clevis luks unlock -n ''
	offers '' -- clevis luks bind --timeout ''
	offers '' -- clevis luks bind --timeout = ''
}

@test "a long option is one, and not the letters that it is made of" {
	offers '--timeout --unproved -c -d -f -h -s -y' -- clevis luks edit -
	offers '--timeout -c -d -f -h -s -y' -- clevis luks edit --unproved -
	offers '-d -h -p -s' -- clevis luks list --json -
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

@test "unlock --header: files" {
	touch header.img
	offers 'header.img' -- clevis luks unlock --header head
	offers 'header.img' -- clevis luks unlock --header = head
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

# lsblk that knows of two devices with LUKS among others, and a clevis that knows of two bindings on one disk.
programs_that_know() {
	ln -s "$(type -P sort)" bin/
	cat >bin/lsblk <<-'END'
		#!/bin/bash
		[ "$*" = "-rnpo FSTYPE,NAME" ] || exit 1
		printf '%s\n' ' /dev/sda' 'ext4 /dev/sda1' 'crypto_LUKS /dev/sda2' 'ext4 /dev/mapper/root' 'crypto_LUKS /dev/nvme0n1p3'
	END
	cat >bin/clevis <<-'END'
		#!/bin/bash
		echo "$*" >>started
		[[ "$1 $2 $3" = "luks list -d" && $4 == *disk* ]] || exit 1
		printf '%s\n' "1: tang '{\"url\":\"http://server\"}'" "12: sss '{\"t\":1}'"
	END
	chmod +x bin/lsblk bin/clevis
}

@test "-d: devices that hold LUKS come first" {
	programs_that_know
	touch a-file disk.img
	typed clevis luks bind -d ''
	[ "${COMPREPLY[*]:0:2}" = '/dev/sda2 /dev/nvme0n1p3' ]
	[[ " ${COMPREPLY[*]} " == *' a-file bin disk.img '* ]]
	[[ " ${COMPREPLY[*]} " != *' /dev/sda1 '* ]] # lsblk knows of it, but not this machine
	typed clevis luks list -d /dev/nv
	[ "${COMPREPLY[0]}" = /dev/nvme0n1p3 ]
	offers 'disk.img' -- clevis luks list -d disk
}

@test "-d: each device once, whatever lsblk knows" {
	local path='' other
	for other in /dev/*; do
		[ ! -b "$other" ] || path=$other
	done
	[ "$path" ] || skip "no block device"
	ln -s "$(type -P sort)" bin/
	printf '#!/bin/sh\necho crypto_LUKS %s\n' "$path" >bin/lsblk
	chmod +x bin/lsblk
	typed clevis luks list -d ''
	[ "${COMPREPLY[0]}" = "$path" ]
	[ "$(printf '%s\n' "${COMPREPLY[@]}" | grep -cx "$path")" = 1 ]
}

@test "-s, and unlock's -t: the keyslots of the bindings of the device that is there" {
	programs_that_know
	local command HOME=$PWD
	touch disk.img 'disk of mine' disk:x other.img
	for command in edit list pass regen report unbind; do
		offers '1 12' -- clevis luks $command -d disk.img -s ''
		offers '1 12' -- clevis-luks-$command -d disk.img -s ''
	done
	offers '1 12' -- clevis luks unlock -d disk.img -t ''
	offers '12' -- clevis luks pass -ddisk.img -s 12
	offers '1 12' -- clevis luks report -qd 'disk\ of\ mine' -q -s ''
	offers '1 12' -- clevis luks pass -d "'disk of mine'" --timeout = 5 -s ''
	offers '1 12' -- clevis luks pass -d '"disk of mine"' -s ''
	offers '1 12' -- clevis luks pass -d '~'/disk.img --timeout 5 -s ''
	offers '1 12' -- clevis luks pass -d disk : x -s ''
	grep -qx 'luks list -d disk of mine' started
	grep -qx 'luks list -d disk:x' started
	offers '' -- clevis luks pass -d other.img -s ''
}

@test "keyslots are not looked for without need" {
	programs_that_know
	touch disk.img
	mkfifo disk.fifo
	offers '' -- clevis luks pass -s ''
	offers '' -- clevis luks bind -d disk.img -s ''
	offers '' -- clevis luks bind -d disk.img -t ''
	offers '' -- clevis luks list -d disk.fifo -s ''
	offers '' -- clevis luks list -d disk.nowhere -s ''
	offers '' -- clevis luks list -d '$(touch${IFS}made)disk.img' -s ''
	[ ! -e started ]
	[ ! -e made ]
}

@test "with the real clevis: the keyslots of a real disk" {
	needs cryptsetup
	serve_file
	make_template
	cd "$BATS_TEST_TMPDIR" || return
	make_disk
	bind
	bind -s 5
	ln -s "$CLEVIS" bin/clevis
	offers '1 5' -- clevis luks pass -d disk.img -s ''
	chmod 0 disk.img
	[ -r disk.img ] || offers '' -- clevis luks pass -d disk.img -s ''
}

@test "bash itself takes it: files and keyslots" {
	needs expect
	touch disk.img other.img
	programs_that_know
	cat >typist <<-'END'
		set timeout 10
		spawn -noecho env PATH=bin INPUTRC=/dev/null $env(BASH) --norc --noprofile
		send "bind 'set bell-style none'; source $env(COMPLETIONS)\r"
		send "clevis luks pass -d d\t"
		expect "disk.img " {} timeout {exit 1}
		send -- "-s 12\t"
		expect "12 " {} timeout {exit 2}
		send "\x15clevis luks list -d /dev/nv\t"
		expect -re "nvme0n1p3" {} timeout {exit 3}
		send "\x15exit\r"
		expect eof
	END
	BASH=$(type -P bash) COMPLETIONS=$top/completions/clevis expect -f typist </dev/null
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

@test "no program is started where none is needed, or none is there" {
	program clevis-encrypt-stick
	command_not_found_handle() {
		echo "$*" >>started
	}
	typed clevis ''
	typed clevis encrypt ''
	typed clevis luks bind -d ''
	touch disk.img
	typed clevis luks pass -d disk.img -s ''
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

@test "jose: commands, files, words" {
	touch key.jwk
	offers 'alg b64 fmt help jwk' -- jose ''
	offers '--help --version' -- jose -
	offers 'eql exc gen pub thp use' -- jose jwk ''
	offers 'dec enc' -- jose b64 ''
	offers 'key.jwk' -- jose jwk pub -i k
	offers '-' -- jose jwk pub -i -
	offers 'key.jwk' -- jose jwk pub --input = k
	offers 'deriveBits deriveKey' -- jose jwk use -i key.jwk -u der
	offers 'S224 S256' -- jose jwk thp -a S2
	offers 'sign' -- jose alg --kind = s
	offers '' -- jose fmt -g k
	offers '' -- jose nothing -
}

@test "jose: the options of every command are those of its help" {
	local command option count=0
	while read -r command; do
		count=$((count + 1))
		# shellcheck disable=SC2086 # words
		typed jose $command -
		# shellcheck disable=SC2086 # words
		jose $command --help | sed -n 's/^  \(-[[:alnum:]]\), \(--[a-z0-9]*\) .*/\1\n\2/p' | sort -u | paste -sd ' ' >options
		[ "$offered" = "$(<options)" ] || { echo "$command: $offered" && return 1; }
	done < <(jose --help | sed -n 's/^  jose \([a-z0-9]*\( [a-z]*\)\{0,1\}\)   *[A-Z].*/\1/p')
	[ "$count" -ge 10 ]
}
