#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# What clevis 24 sealed (tests/vectors/README.md) opens here. The names of its servers are known to a proxy alone.
# shellcheck disable=SC2154,SC2030,SC2031 # what common.bash and bats set; each test is a shell of its own

load ../lib/common

setup_file() {
	cd "$BATS_FILE_TMPDIR" || return 1
	cp -r "$top/tests/vectors/clevis-24" vectors
	local ports=()
	start_tangd "$PWD/vectors/keys"
	export tang=$tangd_pid
	ports+=("tang.test:80=$port")
	if command -v socat >/dev/null; then
		start_tls "$port"
		ports+=("tang.test:443=$tls_port")
	fi
	start_tangd "$PWD/vectors/keys2"
	export tang2=$tangd_pid
	ports+=("tang2.test:80=$port")
	start_helper nameproxy.py "${ports[@]}"
	export proxy=$url vectors=$PWD/vectors
	share
}

# start_tls PORT: in front of it, for those who show the client's certificate. Sets tls_port.
start_tls() {
	local pid
	socat -d -d "OPENSSL-LISTEN:0,bind=127.0.0.1,fork,cert=vectors/server.pem,key=vectors/server.key,cafile=vectors/ca.pem,verify=1" \
		"TCP:127.0.0.1:$1" 2>tls.log 3>&- </dev/null &
	pid=$!
	started+=("$pid")
	tls_port=$(wait_for_line tls.log 's/.*listening on .*:\([0-9]*\)$/\1/p' "$pid")
}

# Elsewhere than where they were sealed, as names of files are relative.
prepare() {
	cp -r "$vectors/." .
	export http_proxy=$proxy https_proxy=$proxy
}

opens() { # NAME
	call clevis decrypt --timeout 10 <"$1.jwe"
	succeeds
	says "$(<"$1.txt")"
	[ "$output" = "sealed by clevis 24: $1" ]
}

without_network() {
	http_proxy=http://127.0.0.1:$(closed_port) https_proxy=$http_proxy
}

@test "null" {
	without_network
	opens null
	call clevis decrypt-null <null.jwe
	succeeds
	says "$(<null.txt)"
}

@test "null that was sealed to fail fails" {
	call clevis decrypt <null-fail.jwe
	fails 1 'null: '
}

@test "file" {
	without_network
	opens file
	call clevis decrypt-file <file.jwe
	succeeds
	rm -f secret.jwk
	call clevis decrypt <file.jwe
	fails 1 'Key file secret.jwk not found'
}

@test "sss of nulls" {
	without_network
	opens sss-null-array
	call clevis decrypt-sss <sss-null-array.jwe
	succeeds
}

@test "tang" {
	opens tang
	call clevis decrypt-tang <tang.jwe
	succeeds
	without_network
	call clevis decrypt <tang.jwe
	fails 1 'Error communicating with server http://tang.test: '
}

@test "sss of tang and null" {
	opens sss-tang-null
	without_network
	call clevis decrypt <sss-tang-null.jwe
	fails 1 'sss: 1 of 2 shares found: '
}

@test "sss inside sss: by null and file, by either and one of the servers" {
	without_network
	opens sss-nested
	rm -f nested.jwk
	call clevis decrypt <sss-nested.jwe
	fails 1 'sss: 1 of 2 shares found: '
	http_proxy=$proxy
	opens sss-nested
	local one
	for one in tang.test tang2.test; do
		no_proxy=$one opens sss-nested
	done
}

@test "tang behind TLS, with its own CA and a client's certificate" {
	needs socat
	opens tang-tls
}

@test "tang behind TLS: not with another CA, with none, or without the client's certificate" {
	needs socat
	cp other-ca.pem ca.pem
	call clevis decrypt --timeout 10 <tang-tls.jwe
	fails 1 'Error communicating with server https://tang.test: '
	lacks "$(<tang-tls.txt)" <<<"$stderr"
	rm ca.pem
	call clevis decrypt --timeout 10 <tang-tls.jwe
	fails 1 "mTLS CA cert 'ca.pem' not found"
	cp "$vectors/ca.pem" .
	mv client.pem away
	call clevis decrypt --timeout 10 <tang-tls.jwe
	fails 1 "mTLS client cert 'client.pem' not found"
	mv away client.pem
	mv client.key away
	call clevis decrypt --timeout 10 <tang-tls.jwe
	fails 1 "mTLS client key 'client.key' not found"
	# Somebody else's certificate.
	cp server.pem client.pem
	cp server.key client.key
	call clevis decrypt --timeout 10 <tang-tls.jwe
	fails 1 'Error communicating with server https://tang.test: '
}

@test "no vector was forgotten" {
	local jwe name
	for jwe in *.jwe; do
		name=${jwe%.jwe}
		[ -e "$name.txt" ]
		grep -qE "(opens|<)\"? ?$name(\.jwe)?\$" "$BATS_TEST_FILENAME" && continue
		echo "not opened here: $name"
		return 1
	done
}
