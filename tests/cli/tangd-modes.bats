#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# tangd and keys that more people than it can read: told once for each reading of the folder, with what to type.
# shellcheck disable=SC2154,SC2030,SC2031 # what common.bash and bats set; each test is a shell of its own

load ../lib/common

prepare() {
	make_keys keys
	key=$(names keys | head -n 1)
	warning="tangd: warning: the key 'keys/$key' is open to everybody"
}

told() { # TIMES TEXT
	[ "$(grep -cF "$2" keys.log)" = "$1" ]
}

advertises() { # N: that many signing keys
	[ "$(fetch "$url/adv" | signing_thumbprints | wc -l)" = "$1" ]
}

@test "keys as our programs make them: nothing is told" {
	start_tangd keys
	eventually advertises 1
	lacks everybody keys.log
}

@test "a key that everybody can read: told once, and again when the folder is read again; what is to be typed helps" {
	chmod 0644 "keys/$key"
	start_tangd keys
	eventually advertises 1
	told 1 "$warning (mode 0644): chmod o-rwx 'keys/$key'"
	"$TANGD_KEYGEN" keys
	eventually advertises 2
	for _ in {1..10}; do advertises 2; done
	# Not for each request, and not by each process.
	[ "$(grep -cF "$warning" keys.log)" -ge 2 ]
	[ "$(grep -cF "$warning" keys.log)" -le 6 ]
	stop "$tangd_pid"
	eval "$(sed -n 's/.*: \(chmod .*\)/\1/p' keys.log | head -n 1)"
	start_tangd keys
	eventually advertises 2
	lacks everybody keys.log
}

@test "keys behind links, as a mounted Secret has them: the files count" {
	mkdir secret secret/..one
	cp keys/* secret/..one/
	chmod 0644 secret/..one/*
	ln -s ..one secret/..data
	for key in $(names keys); do ln -s "..data/$key" "secret/$key"; done
	start_tangd secret
	eventually advertises 1
	[ "$(grep -c "tangd: warning: the key 'secret/.*' is open to everybody (mode 0644): chmod o-rwx 'secret/" secret.log)" = 2 ]
	stop "$tangd_pid"
	chmod 0440 secret/..one/*
	start_tangd secret
	eventually advertises 1
	lacks everybody secret.log
}

@test "a folder that everybody can write to: told once" {
	chmod 0777 keys
	start_tangd keys
	eventually advertises 1
	told 1 "tangd: warning: everybody can write to the folder 'keys' (mode 0777): chmod o-w 'keys'"
	told 1 everybody
}

@test "one connection on standard input: told, too" {
	chmod 0604 "keys/$key"
	tangd keys <<<$'GET /adv HTTP/1.0\r\n\r' 2>keys.log >answer
	told 1 "$warning (mode 0604): chmod o-rwx 'keys/$key'"
}
