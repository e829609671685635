#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# What docs/operations.md tells operators to do, done.
# shellcheck disable=SC2154,SC2030,SC2031 # what common.bash and bats set; each test is a shell of its own

load ../lib/common

# Two servers with the same keys: url1, url2.
start_replicas() {
	make_keys one
	tangctl backup -d one keys.backup
	tangctl restore -d two keys.backup
	start_tangd "$PWD/one"
	url1=$url
	start_tangd "$PWD/two"
	url2=$url
}

# both_know_all: each exchange key that one of the two advertises is known to both.
both_know_all() {
	local from at kid
	for from in "$url1" "$url2"; do
		curl -sS -f "$from/adv" >adv || return 1
		for kid in $(json 'print(*(thumbprint(k) for k in keys_of(j) if is_exchange(k)))' <adv); do
			for at in "$url1" "$url2"; do
				[ "$(status_of --data-binary "@point" "$at/rec/$kid")" = 200 ] || return 1
			done
		done
	done
}

# take_point: into the file point, one that anybody may send, a server's own key.
take_point() {
	curl -sS -f "$url1/adv" |
		json 'print(json.dumps({m: k[m] for k in keys_of(j) if is_exchange(k) for m in ("kty", "crv", "x", "y")}))' >point
}

rotate_replica() { # FOLDER NEW…
	local key old
	mapfile -t old < <(advertised "$1")
	for key in "${@:2}"; do
		mv -n "$1/.$key" "$1/$key"
		both_know_all
	done
	for key in "${old[@]}"; do
		mv -n "$1/$key" "$1/.$key"
		both_know_all
	done
}

@test "servers with the same keys: rotated so that each knows what the other advertises, at every step" {
	local new
	start_replicas
	take_point
	both_know_all
	echo secret | clevis encrypt tang "{\"url\":\"$url2\"}" -y >sealed.jwe

	mkdir -m 0700 next
	make_keys next
	(cd next && for key in *.jwk; do mv -- "$key" ".$key"; done)
	tangctl backup -d next next.backup
	for folder in one two; do
		tangctl restore -d $folder next.backup >restored
		both_know_all
	done
	mapfile -t new < <(sed -n 's/^\.\(.*\.jwk\): restored$/\1/p' restored)
	[ "${#new[@]}" = 2 ]
	for folder in one two; do
		rotate_replica $folder "${new[@]}"
	done

	both_know_all
	[ "$(names one)" = "$(names two)" ]
	[ "$(advertised one)" = "$(printf '%s\n' "${new[@]}" | sort)" ]
	[ "$(clevis decrypt <sealed.jwe)" = secret ]
}

@test "that check finds a server that was rotated by itself" {
	start_replicas
	take_point
	tangd_rotate_keys -d one
	never both_know_all
}

@test "a stolen disk opens after the rotation, and not after its key was deleted" {
	local kid
	make_keys keys
	start_tangd "$PWD/keys"
	kid=$(exchange_thumbprint < <(fetch "$url/adv"))
	echo secret | clevis encrypt tang "{\"url\":\"$url\"}" -y >stolen.jwe
	tangd_rotate_keys -d keys
	[ "$(clevis decrypt <stolen.jwe)" = secret ]
	mkdir gone
	mv "keys/.$kid.jwk" gone
	call clevis decrypt <stolen.jwe
	fails 1 "the server no longer has the key $kid (it answered 404)"
	grep -q "POST /rec/$kid => 404" keys.log
	mv "gone/.$kid.jwk" keys
	[ "$(clevis decrypt <stolen.jwe)" = secret ]
}
