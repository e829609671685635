#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# tang-show-keys: the thumbprints of a server's signing keys, or of a folder's.
# shellcheck disable=SC2154,SC2030,SC2031 # what common.bash and bats set; each test is a shell of its own

load ../lib/common

setup_file() {
	serve_file
	thumbprint=$(signing_thumbprints <"$adv")
	export thumbprint
}

# shows BYTES ARGUMENT…: it prints exactly that, and nothing else.
shows() {
	tang_show_keys "${@:2}" >shown 2>said && [ ! -s said ] && printf '%b' "$1" | cmp - shown && return
	cat shown said
	return 1
}

@test "a port: one key alone, without a newline" {
	shows "$thumbprint" "$port"
}

@test "a host with and without port, an address, a URL" {
	shows "$thumbprint" "localhost:$port"
	shows "$thumbprint" "127.0.0.1:$port"
	shows "$thumbprint" "$url"
	shows "$thumbprint" "$url/"
	call tang_show_keys 127.0.0.99
	[ "$status" = 7 ]
	[[ $stderr == *'http://127.0.0.99/adv: '*':80: '* ]]
}

@test "a proxy is asked for other machines only" {
	local http_proxy
	http_proxy=127.0.0.1:$(closed_port)
	export http_proxy
	shows "$thumbprint" "$port"
	call tang_show_keys "$url"
	fails 7 "the proxy $http_proxy: "
}

@test "an IPv6 address, in brackets or alone" {
	listen_on=::1 start_tangd "$keys" 2>/dev/null || skip "no IPv6"
	shows "$thumbprint" "[::1]:$port"
	call tang_show_keys ::1 --timeout 1
	[ "$status" = 7 ]
	[[ $stderr == *'[::1]:80: '* ]]
}

@test "an endpoint, slashes around it or not" {
	start_tangd "$keys" -e some/where
	shows "$thumbprint" "$port" some/where
	shows "$thumbprint" "$port" /some/where/
	shows "$thumbprint" "localhost:$port" some/where
	shows "$thumbprint" "$url/some/where"
	shows "$thumbprint" "$url/some/" /where
	call tang_show_keys "$port"
	fails 1 '/adv: the server answered 404'
}

@test "several keys: one a line, and no rotated one" {
	cp -r "$keys" two
	start_tangd "$PWD/two"
	tangd_rotate_keys -d two
	make_keys two
	fetch "$url/adv" | signing_thumbprints >expected
	[ "$(wc -l <expected)" = 2 ]
	tang_show_keys "$port" >shown
	diff <(sort expected) <(sort shown)
	never grep -q "$thumbprint" shown
}

@test "a folder: its advertised signing keys, no others" {
	shows "$thumbprint" "$keys"
	cp -r "$keys" two
	shows "$thumbprint" two
	shows "$thumbprint" ./two/
	tangd_rotate_keys -d two
	shows "$(keys_of_alg two ES512 | sed 's/\.jwk$//')" two
	tangd_keygen --curve P-256 two
	tang_show_keys two | sort | diff - <({ keys_of_alg two ES512 && keys_of_alg two ES256; } | sed 's/\.jwk$//' | sort)
}

@test "a folder: what the server would not sign with is left out, with a warning" {
	cp -r "$keys" two
	echo '{' >two/broken.jwk
	json 'del j["d"]; json.dump(j, sys.stdout)' <"two/$(keys_of_alg two ES512)" >public.jwk
	mv public.jwk two/public.jwk
	tang_show_keys two >shown 2>said
	[ "$(<shown)" = "$thumbprint" ]
	grep -q 'two/broken.jwk is left out: ' said
	grep -q 'two/public.jwk is left out: ' said
}

@test "a folder without signing keys, or none" {
	mkdir empty
	call tang_show_keys empty
	fails 1 "there is no signing key advertised in 'empty'"
	call tang_show_keys ./nope
	fails 1 "cannot open the folder './nope'"
}

@test "no server: one line, exit 7" {
	local closed
	closed=$(closed_port)
	call tang_show_keys "$closed"
	fails 7 "http://localhost:$closed/adv: "
	call tang_show_keys no-such-host.invalid
	fails 7 'http://no-such-host.invalid/adv: '
}

@test "a server that does not answer: bounded" {
	start_badserver silent
	local start=$EPOCHREALTIME
	call tang_show_keys --timeout 0.5 "$port"
	fails 7 "$port/adv: "
	took_less_than 4 "$start"
	start=$EPOCHREALTIME
	call tang_show_keys "$port"
	fails 7 "$port/adv: "
	took_less_than 14 "$start"
}

@test "what is not signed by all of its keys is not shown" {
	json 'j["signature"] = b64(bytes(132)); json.dump(j, sys.stdout)' <"$adv" >unsigned
	echo '{"payload":"e30"}' >malformed
	echo 'no JSON' >text
	local file
	for file in unsigned malformed text; do
		start_badserver silent "$file"
		call tang_show_keys "$port"
		case $file in
		unsigned) fails 1 'Advertisement is missing signatures' ;;
		malformed) fails 1 'Advertisement is malformed' ;;
		text) fails 1 'not valid JSON' ;;
		esac
	done
}

@test "a server that fails: exit 1" {
	start_badserver 500
	call tang_show_keys "$port"
	fails 1 'the server answered 500'
}

@test "more arguments, or wrong ones: the usage, exit 1" {
	call tang_show_keys "$port" a b
	usage 1 'Usage: tang-show-keys'
	call tang_show_keys --nope
	usage 1
	call tang_show_keys "$keys" endpoint
	usage 1
	call tang_show_keys --timeout 0 "$port"
	usage 1 "--timeout '0' is not a number of seconds"
	call tang_show_keys 65536
	fails 1 "'65536' is not a port"
	call tang_show_keys 0
	fails 1 "'0' is not a port"
	call tang_show_keys ftp://localhost
	fails 1 'ftp'
}

@test "-h: the usage on standard output" {
	call tang_show_keys -h
	succeeds
	[[ $output == 'Usage: tang-show-keys'* ]]
}

@test "what cannot be written is an error" {
	[ -e /dev/full ] || skip "no /dev/full"
	local status=0
	tang_show_keys "$port" >/dev/full 2>said || status=$?
	[ "$status" = 1 ]
	grep -q 'cannot write standard output' said
}
