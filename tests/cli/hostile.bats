#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# Surroundings that somebody prepared, and JWEs that somebody wrote, to make a command do what it should not.
# shellcheck disable=SC2154,SC2153,SC2030,SC2031 # what common.bash and bats set; each test is a shell of its own

load ../lib/common

setup_file() {
	serve_file
	share
}

prepare() {
	mkdir bin
	PATH=$PWD/bin:$PATH
}

# pin NAME: standard input as bin/clevis-decrypt-NAME.
pin() {
	cat >"bin/clevis-decrypt-$1"
	chmod +x "bin/clevis-decrypt-$1"
}

# jwe_for HEADER: a compact JWE with that header and nothing in it that opens.
jwe_for() {
	printf '%s' "$1" | "$python" -c 'import base64, sys
print(base64.urlsafe_b64encode(sys.stdin.buffer.read()).rstrip(b"=").decode() + "..AAAAAAAAAAAAAAAA.AAAA.AAAAAAAAAAAAAAAAAAAAAA", end="")'
}

# with_ignored_children COMMAND…: as a caller that ignores SIGCHLD starts it.
with_ignored_children() {
	"$python" -c 'import os, signal, sys
signal.signal(signal.SIGCHLD, signal.SIG_IGN)
os.execvp(sys.argv[1], sys.argv[1:])' "$@"
}

@test "standard output closed: no plaintext and no JWE goes into a connection, and it is a failure" {
	start_badserver kept '' "$url"
	local config
	config=$(tang_config "http://127.0.0.1:$port")
	clevis encrypt tang "$config" -y <<<'the plaintext' >jwe
	: >"$helper_log"
	status=0
	timeout 40 "$CLEVIS" decrypt <jwe >&- 2>said || status=$?
	[ "$status" = 1 ]
	grep -q 'cannot write standard output' said
	status=0
	timeout 40 "$CLEVIS" encrypt tang "$config" -y <<<'the plaintext' >&- 2>said || status=$?
	[ "$status" = 1 ]
	grep -q 'cannot write standard output' said
	lacks plaintext "$helper_log"
	# With standard error closed, too, there is nobody to tell.
	if timeout 40 "$CLEVIS" decrypt <jwe >&- 2>&-; then return 1; fi
}

@test "standard input closed: an empty one is not made of it" {
	if timeout 40 "$CLEVIS" encrypt null '{}' <&- >jwe 2>said; then return 1; fi
	[ ! -s jwe ]
}

@test "a caller that ignores SIGCHLD: a program that fails has failed" {
	pin foo <<-'END'
		#!/bin/sh
		printf half
		exit 7
	END
	jwe_for '{"clevis":{"pin":"foo"}}' >jwe
	call with_ignored_children "$CLEVIS" decrypt <jwe
	fails 1 'exit status 7'
	clevis encrypt sss "{\"t\":1,\"pins\":{\"tang\":[$(tang_config "$url"),$(tang_config "$url")]}}" -y <<<secret >sss.jwe
	call with_ignored_children "$CLEVIS" decrypt <sss.jwe
	succeeds
	says secret
}

@test "a key file that would keep us waiting, or is a device, is refused at once" {
	local name
	mkfifo fifo
	for name in /proc/kmsg /dev/tty /dev/zero "$PWD/fifo" /proc/self/environ; do
		[ -e "$name" ] || continue
		jwe_for "{\"clevis\":{\"pin\":\"file\",\"file\":{\"name\":\"$name\"}}}" >jwe
		call timeout 5 "$CLEVIS" decrypt <jwe
		fails 1 "Key file $name"
	done
}

@test "certificates that are devices are refused at once" {
	local member
	for member in cacert cert; do
		call timeout 5 "$CLEVIS" encrypt tang "{\"url\":\"https://127.0.0.1:1\",\"$member\":\"/dev/zero\"}" -y <<<x
		fails 1 'not a regular file'
	done
}

@test "no network at all: told at once, not after the time for an answer" {
	needs unshare
	unshare -rn true 2>/dev/null || unshare -n true 2>/dev/null || skip "no namespaces to be had"
	local own=(unshare -rn)
	[ "$(id -u)" != 0 ] || own=(unshare -n)
	call timeout 5 "${own[@]}" "$CLEVIS" encrypt tang '{"url":"http://192.0.2.1"}' -y <<<x
	fails 1 '192.0.2.1:80: Network is unreachable'
}

@test "a program inside sss has no way to what the others found, nor one outside it to the disk" {
	pin spy <<-'END'
		#!/bin/sh
		ls /proc/self/fd >"$SEEN"
		exit 1
	END
	export SEEN=$PWD/seen
	clevis encrypt sss "{\"t\":2,\"pins\":{\"tang\":[$(tang_config "$url"),$(tang_config "$url")]}}" -y <<<secret >jwe
	edit_header jwe "j['clevis']['sss']['jwe'].append('$(jwe_for '{"clevis":{"pin":"spy"}}')')
j['clevis']['sss']['t'] = 3" >spied
	call clevis decrypt <spied
	[ "$status" = 1 ]
	# 0, 1, 2 and the one that ls itself opens
	[ "$(wc -l <seen)" -le 4 ]
}

@test "a JWE of more pins than anybody binds to is refused before one is started" {
	"$python" - >jwe <<-'END'
		import base64, json
		b64 = lambda data: base64.urlsafe_b64encode(data).rstrip(b"=").decode()
		def jwe(header): return b64(json.dumps(header).encode()) + "..AAAAAAAAAAAAAAAA.AAAA.AAAAAAAAAAAAAAAAAAAAAA"
		leaf = jwe({"clevis": {"pin": "foo"}})
		def sss(inside): return jwe({"clevis": {"pin": "sss", "sss": {"t": len(inside), "p": b64(b"\xff" * 32), "jwe": inside}}})
		print(sss([sss([leaf] * 20)] * 20), end="")
	END
	pin foo <<-'END'
		#!/bin/sh
		echo x >>"$SEEN"
		exit 1
	END
	export SEEN=$PWD/seen
	call clevis decrypt <jwe
	fails 1 'more than 256 pins inside one another'
	[ ! -e seen ]
}

@test "ended by a signal, it ends what the programs have started" {
	pin slow <<-'END'
		#!/bin/sh
		sleep 77.77
	END
	local header='{"clevis":{"pin":"slow"}}' kind
	jwe_for "$header" >alone
	clevis encrypt sss '{"t":2,"pins":{"null":[{},{},{}]}}' <<<secret >jwe
	edit_header jwe "j['clevis']['sss']['jwe'] = ['$(jwe_for "$header")'] * 3" >raced
	for kind in alone raced; do
		setsid "$CLEVIS" decrypt <"$kind" >/dev/null 2>&1 3>&- &
		local program=$!
		for _ in {1..100}; do
			! pgrep -f '^sleep 77.77' >/dev/null || break
			sleep 0.05
		done
		pgrep -f '^sleep 77.77' >/dev/null
		kill "$program"
		wait "$program" || true
		for _ in {1..40}; do
			pgrep -f '^sleep 77.77' >/dev/null || break
			sleep 0.05
		done
		never pgrep -f '^sleep 77.77'
	done
}

@test "a program that leaves something behind, leaves it for nobody" {
	pin leaves <<-'END'
		#!/bin/sh
		sleep 78.78 >/dev/null 2>&1 &
		cat >/dev/null
		printf secret
	END
	jwe_for '{"clevis":{"pin":"leaves"}}' >jwe
	call clevis_alone decrypt <jwe
	succeeds
	says secret
	never pgrep -f '^sleep 78.78'
}

@test "memory of the processes that ask for shares is locked, too" {
	start_badserver silent "$adv"
	is_sanitized "$CLEVIS" && skip "AddressSanitizer leaves mlock out"
	local config pid
	config=$(tang_config "http://127.0.0.1:$port" "\"adv\":\"$adv\"")
	clevis encrypt sss "{\"t\":1,\"pins\":{\"tang\":[$config,$config]}}" <<<secret >jwe
	"$CLEVIS" decrypt --timeout 5 <jwe >/dev/null 2>&1 3>&- &
	local parent=$!
	for _ in {1..100}; do
		pid=$(pgrep -P "$parent" | head -n 1)
		[ -z "$pid" ] || [ "$(pgrep -cP "$parent")" -lt 2 ] || break
		sleep 0.05
	done
	grep -qE '^VmLck:[[:space:]]+256 kB' "/proc/$parent/status" || skip "nothing can be locked here"
	grep -qE '^VmLck:[[:space:]]+256 kB' "/proc/$pid/status"
	kill "$parent"
	wait "$parent" || true
}

@test "a plaintext goes whole into a pipe that does not wait" {
	head -c 300000 /dev/zero | tr '\0' x >plain
	clevis encrypt null '{}' <plain >jwe
	"$python" -c 'import os, subprocess, sys, time
read, write = os.pipe()
os.set_blocking(write, False)
child = subprocess.Popen([sys.argv[1], "decrypt"], stdin=open("jwe"), stdout=write)
os.close(write)
time.sleep(0.3)
data = b""
while part := os.read(read, 65536): data += part
sys.exit(child.wait() or data != open("plain", "rb").read())' "$CLEVIS"
}
