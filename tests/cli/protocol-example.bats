#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# The example of docs/protocol.md, which no code of ours made: a server with its keys, and a client, come to its numbers.
# shellcheck disable=SC2154,SC2030,SC2031 # what common.bash and bats set; each test is a shell of its own

load ../lib/common

setup_file() {
	cd "$BATS_FILE_TMPDIR" || return 1
	mkdir keys
	write_key signing '"alg": "ES256", "key_ops": ["sign", "verify"]' >keys/signing.jwk
	write_key rotated '"alg": "ES256", "key_ops": ["sign", "verify"]' >keys/.rotated.jwk
	write_key exchange '"alg": "ECMR", "key_ops": ["deriveKey"]' >keys/exchange.jwk
	start_tangd "$PWD/keys"
	export server=$url
	start_helper nameproxy.py "tang.test:80=$port"
	export proxy=$url
	share
}

# example SCRIPT: the script sees the example as j.
example() {
	json "$1" <"$top/tests/vectors/protocol.json"
}

write_key() { # NAME MEMBERS
	example "print(json.dumps({m: j['$1'][m] for m in ('crv', 'kty', 'x', 'y', 'd')} | {$2}))"
}

@test "the server answers the request byte by byte as the example says" {
	local kid
	kid=$(example 'print(j["exchange"]["thumbprint"])')
	example 'print(j["request"], end="")' >request
	example 'print(j["answer"], end="")' >answer
	call curl -sS -f --data-binary @request -o got "$server/rec/$kid"
	succeeds
	cmp got answer
}

@test "the server advertises the example's keys, signed by the rotated one too for those who ask by it" {
	curl -sS -f "$server/adv/$(example 'print(j["rotated"]["thumbprint"])')" >got
	[ "$(json 'print(len(j["signatures"]))' <got)" = 2 ]
	json 'print(sorted(json.dumps(k, sort_keys=True) for k in keys_of(j)))' <got >keys.got
	example 'print(sorted(json.dumps(k, sort_keys=True) for k in keys_of(j["adv"])))' >keys.example
	cmp keys.got keys.example
}

@test "a client opens the example with that server's help" {
	example 'print(".".join(j["jwe"][m] for m in ("protected", "encrypted_key", "iv", "ciphertext", "tag")), end="")' >example.jwe
	http_proxy=$proxy call clevis decrypt <example.jwe
	succeeds
	says "$(example 'print(j["plain"], end="")')"
}
