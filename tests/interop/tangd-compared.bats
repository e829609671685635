#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# Our tangd and theirs beside each other: the same folder, the same requests, the same statuses and points.
# shellcheck disable=SC2154,SC2030,SC2031 # what common.bash and bats set; each test is a shell of its own

load ../lib/common
load ../lib/references

setup_file() {
	[ -x /usr/libexec/tangd ] || return 0
	cd "$BATS_FILE_TMPDIR" || return 1
	make_their_keys keys
	for file in keys/*.jwk; do mv "$file" "keys/.$(basename "$file")"; done
	make_keys keys
	"$python" "$lib/compare.py" keys "$TANGD" /usr/libexec/tangd >compared 2>compare.err
	export folder=$PWD
}

prepare() {
	needs_their /usr/libexec/tangd
	cd "$folder" || return 1
	cat compare.err
}

@test "every request of the table was asked" {
	[ ! -s compare.err ]
	[ "$(grep -c . compared)" -ge 160 ]
}

@test "the table is no matter of chance: it has every status" {
	local status
	for status in 200 400 403 404 405 413 414; do
		grep -q "^same .* $status\$" compared
	done
}

@test "no difference but where the contract wants ours to be better, or has its own word" {
	grep '^differs ' compared | grep -vE '^differs (should: |strict: .* ours=400 |lax: .* ours=200 )' >different || true
	cat different
	[ ! -s different ]
}

@test "where ours should be better, it is" {
	grep ' should: ' compared
	grep -qE ' should: HEAD /adv (ours=)?200' compared
	grep -qE ' should: HEAD /adv/THP (ours=)?200' compared
	grep -qE ' should: HEAD /nope (ours=)?404' compared
	grep -qE ' should: HTTP/1.0 ends (ours=)?200( |$)' compared
	grep -qE ' should: Connection: close ends (ours=)?200( |$)' compared
	grep -qE ' should: Expect (ours=)?(100,)?200( |$)' compared # 100 may be left out where the body came along
	grep -qE ' should: headers without end (ours=)?431( |$)' compared
	grep -qE ' should: malformed (ours=)?(400|-)( |$)' compared
	grep -qE ' should: length no number (ours=)?400[ ,]' compared
}

@test "both serve the same keys in the advertisement, and sign for the same thumbprints" {
	local path
	start_tangd "$folder/keys"
	local ours=$url
	start_their_tangd "$folder/keys"
	fetch "$url/adv" >"$BATS_TEST_TMPDIR/adv"
	for path in "" "/$(signing_thumbprints <"$BATS_TEST_TMPDIR/adv")"; do
		diff <(fetch "$ours/adv$path" | json 'print(json.dumps(sorted(keys_of(j), key=thumbprint), sort_keys=True))') \
			<(fetch "$url/adv$path" | json 'print(json.dumps(sorted(keys_of(j), key=thumbprint), sort_keys=True))')
	done
}

@test "their log lines are ours, but for the source line" {
	start_tangd "$folder/keys"
	status_of "$url/adv"
	status_of "$url/nope"
	log_of "$folder/keys" | sed 1d >"$BATS_TEST_TMPDIR/ours"
	start_their_tangd "$folder/keys"
	status_of "$url/adv"
	status_of "$url/nope"
	wait_for_line "$BATS_TEST_TMPDIR"/helper.*.err '/nope/p' "$helper_pid"
	sed 's/ (.*)$//' "$BATS_TEST_TMPDIR"/helper.*.err | diff "$BATS_TEST_TMPDIR/ours" -
}
