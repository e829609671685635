#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# Servers that misbehave: each one clear line, exit 1, and soon. Those that take their time are in servers-slow.bats.
# shellcheck disable=SC2154,SC2030,SC2031 # what common.bash and bats set; each test is a shell of its own

load ../lib/common

setup_file() {
	serve_file
	export real=$url
	start_badserver path "$adv" "$real"
	share
}

config_for() { # MODE [MEMBER…]
	tang_config "$url/$1" "${@:2}"
}

# recovery_fails TEXT MODE…: what was sealed for a server that then misbehaves so does not open, and it is told why.
recovery_fails() {
	local mode start
	for mode in "${@:2}"; do
		echo "mode: $mode"
		clevis encrypt tang "$(config_for "$mode" "\"adv\":\"$adv\"")" <<<secret >jwe
		start=$EPOCHREALTIME
		call clevis decrypt <jwe
		fails 1 "Error communicating with server $url/$mode: "
		fails 1 "$1"
		took_less_than 8 "$start"
	done
}

# fetch_fails TEXT MODE…: so does asking such a server for its advertisement.
fetch_fails() {
	local mode start
	for mode in "${@:2}"; do
		echo "mode: $mode"
		start=$EPOCHREALTIME
		call clevis encrypt tang "$(config_for "$mode")" -y <<<secret
		fails 1 "$1"
		took_less_than 8 "$start"
	done
}

@test "down: connection refused" {
	local gone
	gone=http://127.0.0.1:$(closed_port)
	call clevis encrypt tang "$(tang_config "$gone")" -y <<<secret
	fails 1 "Unable to fetch advertisement ($gone/adv/): 127.0.0.1:${gone##*:}: connection refused"
}

@test "closes without an answer, resets, or stops half-way" {
	recovery_fails 'closed before the answer ended' close half
	fetch_fails 'Unable to fetch advertisement' close half reset
	recovery_fails '127.0.0.1:' reset
}

@test "error statuses are told by their number" {
	recovery_fails 'the server no longer has the key' 404
	recovery_fails 'the server answered 500' 500
	recovery_fails 'the server answered 403' 403
	recovery_fails 'the server answered 204' 204
	fetch_fails 'the server answered 404' 404
	fetch_fails 'the server answered 500' 500
}

@test "a redirect is followed, a body goes along" {
	clevis encrypt tang "$(config_for redirect)" -y <<<secret >jwe
	call clevis decrypt <jwe
	succeeds
	says secret
}

@test "redirects that end nowhere" {
	recovery_fails 'redirects again: given up after 5 redirects' redirect_loop
	recovery_fails 'redirects to a place that cannot be followed' redirect_nowhere
	fetch_fails 'redirects again: given up after 5 redirects' redirect_loop
	fetch_fails 'redirects to a place that cannot be followed' redirect_nowhere
}

@test "http_proxy is obeyed, but for no_proxy; in capitals it is not" {
	call env http_proxy="$(tang_gone)" "$CLEVIS" encrypt tang "$(tang_config "$real")" -y <<<secret
	fails 1 'the proxy 127.0.0.1:'
	call env http_proxy="$(tang_gone)" no_proxy=127.0.0.0/8 "$CLEVIS" encrypt tang "$(tang_config "$real")" -y <<<secret
	[ "$status" = 0 ]
	call env HTTP_PROXY="$(tang_gone)" "$CLEVIS" encrypt tang "$(tang_config "$real")" -y <<<secret
	[ "$status" = 0 ]
	call env http_proxy=socks5://127.0.0.1 "$CLEVIS" encrypt tang "$(tang_config "$real")" -y <<<secret
	fails 1 'http_proxy: only proxies http://HOST:PORT are supported'
}

tang_gone() {
	echo "http://127.0.0.1:$(closed_port)"
}

@test "not HTTP, or malformed" {
	recovery_fails 'not a valid HTTP answer' not_http nul bad_length two_lengths bad_chunk
	fetch_fails 'not a valid HTTP answer' not_http nul bad_length two_lengths bad_chunk
}

@test "answers without end are bounded" {
	recovery_fails 'larger than' endless_headers endless_body endless_chunks endless_interim huge_length
	recovery_fails 'longer than' endless_line
	fetch_fails 'larger than' endless_headers endless_body endless_chunks endless_interim huge_length
	fetch_fails 'longer than' endless_line
}

@test "an answer that is not JSON" {
	recovery_fails 'not valid JSON' garbage empty
	recovery_fails 'nested deeper' deep
	fetch_fails 'Advertisement is malformed' garbage empty deep array
}

@test "what a server sends cannot drive the terminal or forge a line" {
	recovery_fails '' escape
	lacks $'\x1b' <<<"$stderr"
	fetch_fails 'Advertisement is malformed' escape
	lacks $'\x1b' <<<"$stderr"
}

@test "an answer that is no point" {
	recovery_fails 'its answer' array zero empty_coordinates no_y off_curve beyond_field unknown_curve lying_curve
}

@test "a point on another curve, or a key for something else" {
	recovery_fails 'its answer is a point on another curve' other_curve
	recovery_fails 'its answer is not a key for ECMR' other_alg
}

@test "a wrong point opens nothing" {
	local mode
	for mode in wrong_point echo; do
		clevis encrypt tang "$(config_for "$mode" "\"adv\":\"$adv\"")" <<<secret >jwe
		call clevis decrypt <jwe
		fails 1 "tang: with the answer of $url/$mode: "
	done
}

@test "right answers in an odd form are taken" {
	local mode
	for mode in chunked to_end interim bytewise swapped; do
		echo "mode: $mode"
		clevis encrypt tang "$(config_for "$mode")" -y <<<secret >jwe
		call clevis decrypt <jwe
		succeeds
		says secret
	done
}

@test "binding to a server that cannot give the passphrase back: refused, and the disk is unchanged" {
	needs cryptsetup
	make_template
	make_disk
	local before mode
	before=$(sha "$disk")
	for mode in 404 500 close wrong_point echo zero off_curve garbage; do
		echo "mode: $mode"
		call clevis luks bind -y -k "$pass" -d "$disk" tang "$(config_for "$mode+adv")"
		fails 1 "$url/$mode+adv" "Error adding new binding to $disk"
		[ "$(sha "$disk")" = "$before" ]
		# An advertisement at hand helps a server that is away, not one that answers wrongly.
		[ "$mode" = close ] && continue
		call clevis luks bind -k "$pass" -d "$disk" tang "$(config_for "$mode" "\"adv\":\"$adv\"")"
		fails 1 "$url/$mode" "Error adding new binding to $disk"
		[ "$(sha "$disk")" = "$before" ]
	done
	# The same disk binds to the same keys behind a good server.
	call clevis luks bind -y -k "$pass" -d "$disk" tang "$(tang_config "$real")"
	binds
}
