#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# Pins that are programs on PATH, clevis-encrypt-NAME and clevis-decrypt-NAME: as good as ours where they behave, and no
# harm where they do not.
# shellcheck disable=SC2154,SC2030,SC2031 # what common.bash and bats set; each test is a shell of its own

load ../lib/common

setup_file() {
	if command -v cryptsetup >/dev/null; then make_template; fi
}

prepare() {
	mkdir bin
	PATH=$PWD/bin:$PATH
	export notes=$PWD
	program clevis-encrypt-toy <<-'END'
		[ "$1" != --summary ] || { echo 'Encrypts as a toy does'; exit; }
		tr '\0' '\n' <"/proc/$$/cmdline" >"$notes/encrypt.args"
		tr '\0' '\n' <"/proc/$$/environ" >"$notes/encrypt.environment"
		text() { base64 -w 0 | tr '+/' '-_' | tr -d =; }
		header=$(printf '{"alg":"dir","enc":"A256GCM","clevis":{"pin":"toy","toy":{}}}' | text)
		printf '%s..AAAAAAAAAAAAAAAA.%s.AAAAAAAAAAAAAAAAAAAAAA' "$header" "$(text)"
	END
	program clevis-decrypt-toy <<-'END'
		[ "$1" != --summary ] || exit 2
		tr '\0' '\n' <"/proc/$$/cmdline" >"$notes/decrypt.args"
		tr '\0' '\n' <"/proc/$$/environ" >"$notes/decrypt.environment"
		cat >"$notes/decrypt.stdin"
		text=$(cut -d . -f 4 "$notes/decrypt.stdin" | tr -- '-_' '+/')
		case $((${#text} % 4)) in 2) text=$text== ;; 3) text=$text= ;; esac
		printf %s "$text" | base64 -d
	END
}

# program NAME: a shell script on PATH, from standard input.
program() {
	{
		echo '#!/bin/sh'
		cat
	} >"bin/$1"
	chmod +x "bin/$1"
}

# seal [PIN CONFIG]: into the file `jwe`.
seal() {
	printf secret | clevis encrypt "${@-toy}" >jwe
}

opens_to_secret() {
	call clevis decrypt <jwe
	succeeds
	says secret
}

# has_ended FILE…: the processes whose ids are in the files are no more, or will not be in a moment.
has_ended() {
	local id ids _
	mapfile -t ids < <(cat "$@")
	for id in "${ids[@]}"; do
		for _ in {1..100}; do
			kill -0 "$id" 2>/dev/null || continue 2
			# One that nobody waits for any more has ended too.
			[ "$(sed 's/.*) //; s/ .*//' "/proc/$id/stat" 2>/dev/null)" != Z ] || continue 2
			sleep 0.02
		done
		echo "still runs: $id $(tr '\0' ' ' <"/proc/$id/cmdline")"
		kill "${ids[@]}" 2>/dev/null || true
		return 1
	done
	[ "${#ids[@]}" != 0 ]
}

# hangs NAME: a program that does, and its child; their ids are in NAME.id and NAME.child.
hangs() {
	program "$1" <<-END
		echo \$\$ >>"$PWD/$1.id"
		sleep 300 &
		echo \$! >>"$PWD/$1.child"
		wait
	END
}

# --- Programs that behave -----------------------------------------------------------------------------------------------------

@test "sealed and opened as by a pin of ours" {
	printf secret | clevis encrypt toy '{"a":1}' >jwe
	opens_to_secret
	call clevis decrypt-toy <jwe
	succeeds
	says secret
	call clevis decrypt < <(cat jwe && echo)
	succeeds
	says secret
}

@test "the program gets the arguments as they are when it is asked for by name" {
	clevis encrypt toy '{ "a" : 1 }' -y --more <<<secret >jwe
	[ "$(tail -n 3 encrypt.args)" = $'{ "a" : 1 }\n-y\n--more' ]
}

@test "inside sss: it gets its configuration, and -y when that was given" {
	seal sss '{"t":2,"pins":{"toy":{"a":{"b":[1,"x"]}},"null":{}}}'
	tail -n 1 encrypt.args | json 'assert j == {"a": {"b": [1, "x"]}}, j'
	opens_to_secret
	seal sss '{"t":1,"pins":{"sss":{"pins":{"toy":{}}}}}' -y
	[ "$(tail -n 2 encrypt.args)" = $'{}\n-y' ]
	opens_to_secret
}

@test "to open, it gets the JWE to the letter and no arguments" {
	printf secret | clevis encrypt toy '{}' >jwe
	clevis decrypt ignored <jwe >/dev/null
	cmp jwe decrypt.stdin
	[ "$(tail -n 1 decrypt.args)" = "$PWD/bin/clevis-decrypt-toy" ]
}

@test "any bytes, many of them, and none" {
	head -c 200001 /dev/urandom >plain
	clevis encrypt toy '{}' <plain >jwe
	clevis decrypt <jwe | cmp - plain
	clevis encrypt toy '{}' </dev/null >jwe
	call clevis decrypt <jwe
	succeeds
	says ''
}

@test "luks: bound, listed as unknown, passed, tested" {
	needs cryptsetup
	make_disk
	call clevis luks bind -k "$pass" -d "$disk" toy '{"a":1}'
	binds
	call clevis luks bind -k "$pass" -d "$disk" sss '{"t":2,"pins":{"toy":[{"a":1},{}],"null":{}}}'
	binds
	call clevis luks list -d "$disk"
	succeeds
	says "1: unknown pin 'toy'
2: sss '{\"t\":2,\"pins\":{\"null\":[{}],\"toy\":[{},{}]}}'"
	local slot
	for slot in 1 2; do
		clevis luks pass -d "$disk" -s $slot >passphrase
		opens "$disk" $slot passphrase
		call clevis luks unlock -d "$disk" -t $slot
		succeeds
	done
	rm bin/clevis-decrypt-toy
	call clevis luks unlock -d "$disk" -t 1
	fails 1 "Unable to locate pin 'toy'" "Test for token slot 1 on device $disk failed."
}

@test "what is sealed stands neither in arguments nor in environments" {
	local file
	printf 'the plaintext' | clevis encrypt toy '{}' >jwe
	clevis decrypt <jwe >/dev/null
	for file in {encrypt,decrypt}.{args,environment}; do
		[ -s "$file" ]
		lacks 'the plaintext' "$file"
	done
	needs cryptsetup
	make_disk
	clevis luks bind -k "$pass" -d "$disk" toy '{}'
	clevis luks pass -d "$disk" -s 1 >passphrase
	for file in {encrypt,decrypt}.{args,environment}; do
		lacks "$(<passphrase)" "$file"
		lacks "$passphrase" "$file"
	done
}

@test "it is told how long it may take" {
	program clevis-decrypt-toy <<-'END'
		echo "$CLEVIS_TIMEOUT"
	END
	printf secret | clevis encrypt toy '{}' >jwe
	call clevis decrypt <jwe
	succeeds
	"$python" -c 'import sys; sys.exit(not 28 < float(sys.argv[1]) <= 30)' "$output"
	call clevis decrypt --timeout 5 <jwe
	succeeds
	"$python" -c 'import sys; sys.exit(not 3 < float(sys.argv[1]) <= 5)' "$output"
	# Also where the dispatcher was told.
	program clevis-toy <<-'END'
		echo "$CLEVIS_TIMEOUT" "$@"
	END
	call clevis --timeout 5 toy -x
	succeeds
	says '5 -x'
	CLEVIS_TIMEOUT=7 call clevis toy
	says 7
	call clevis toy --timeout 5
	says ' --timeout 5'
}

@test "it may start clevis itself" {
	program clevis-decrypt-toy <<-'END'
		clevis decrypt <"$notes/inner"
	END
	ln -s "$CLEVIS" bin/clevis
	clevis encrypt null '{}' <<<secret >inner
	printf x | clevis encrypt toy '{}' >jwe
	opens_to_secret
}

@test "a pin of ours is not replaced by a program of its name" {
	program clevis-encrypt-null <<<'echo wrong'
	program clevis-decrypt-null <<<'echo wrong'
	seal null '{}'
	opens_to_secret
	seal sss '{"pins":{"null":{}}}'
	opens_to_secret
}

# --- Programs that do not ------------------------------------------------------------------------------------------------------

@test "one that fails: a line with its exit status, and nothing of what it wrote" {
	printf secret | clevis encrypt toy '{}' >jwe
	program clevis-decrypt-toy <<<'echo part; exit 3'
	call clevis decrypt <jwe
	fails 1 "$PWD/bin/clevis-decrypt-toy: it failed with exit status 3"
	seal sss '{"pins":{"toy":{}}}'
	call clevis decrypt <jwe
	fails 1 'clevis-decrypt-toy: it failed with exit status 3'
	program clevis-encrypt-toy <<<'echo part; exit 3'
	call clevis encrypt sss '{"pins":{"null":{},"toy":{}}}' <<<secret
	fails 1 "$PWD/bin/clevis-encrypt-toy: it failed with exit status 3"
	program clevis-encrypt-toy <<<'kill -9 $$'
	call clevis encrypt sss '{"pins":{"null":{},"toy":{}}}' <<<secret
	fails 1 "$PWD/bin/clevis-encrypt-toy: it was ended by signal 9"
}

@test "one that fails is made up for by another" {
	seal sss '{"t":1,"pins":{"toy":{},"null":{}}}'
	program clevis-decrypt-toy <<<'exit 3'
	opens_to_secret
}

@test "what it says on standard error is seen" {
	printf secret | clevis encrypt toy '{}' >jwe
	program clevis-decrypt-toy <<<'echo the reason >&2; exit 3'
	call clevis decrypt <jwe
	fails 1 'the reason' "clevis-decrypt: $PWD/bin/clevis-decrypt-toy: it failed with exit status 3"
}

@test "one that hangs is ended in time, and so is what it started" {
	printf secret | clevis encrypt toy '{}' >jwe
	hangs clevis-decrypt-toy
	local start=$EPOCHREALTIME
	call clevis_alone decrypt --timeout 1 <jwe
	fails 1 'clevis-decrypt-toy: it did not end in time'
	took_less_than 4 "$start"
	has_ended clevis-decrypt-toy.id clevis-decrypt-toy.child
	hangs clevis-encrypt-toy
	start=$EPOCHREALTIME
	call clevis_alone encrypt sss '{"pins":{"null":{},"toy":{}}}' --timeout 1 <<<secret
	fails 1 'clevis-encrypt-toy: it did not end in time'
	took_less_than 4 "$start"
	has_ended clevis-encrypt-toy.id clevis-encrypt-toy.child
}

@test "one that hangs inside sss is ended in time, and so is what it started" {
	seal sss '{"t":2,"pins":{"null":{},"toy":{}}}'
	hangs clevis-decrypt-toy
	local start=$EPOCHREALTIME
	call clevis_alone decrypt --timeout 1 <jwe
	fails 1 'sss: 1 of 2 shares found: '
	took_less_than 4 "$start"
	has_ended clevis-decrypt-toy.id clevis-decrypt-toy.child
	# Where several are asked side by side, one inside the other.
	seal sss '{"t":2,"pins":{"toy":{},"sss":[{"t":2,"pins":{"sss":[{"t":2,"pins":{"toy":[{},{}]}},{"pins":{"toy":{}}}]}},{"pins":{"toy":{}}}]}}'
	rm clevis-decrypt-toy.*
	call clevis_alone decrypt --timeout 1 <jwe
	fails 1 'sss: 0 of 2 shares found: '
	[ "$(wc -l <clevis-decrypt-toy.child)" -ge 3 ]
	has_ended clevis-decrypt-toy.id clevis-decrypt-toy.child
}

@test "one that is too late inside sss is ended when another was quick, and so is what it started" {
	program clevis-encrypt-late <"bin/clevis-encrypt-toy"
	sed -i 's/"toy"/"late"/g; s/"toy":/"late":/' bin/clevis-encrypt-late
	seal sss '{"t":1,"pins":{"toy":{},"late":{}}}'
	hangs clevis-decrypt-late
	local _
	for _ in {1..20}; do # until chance asks it
		opens_to_secret
		[ ! -s clevis-decrypt-late.child ] || break
	done
	has_ended clevis-decrypt-late.id clevis-decrypt-late.child
}

@test "it ends when we are ended" {
	printf secret | clevis encrypt toy '{}' >jwe
	hangs clevis-decrypt-toy
	setsid -w "$CLEVIS" decrypt <jwe 3>&- &
	started+=("$!")
	wait_for_line clevis-decrypt-toy.child p "$!"
	kill -9 "$(ps -o ppid= -p "$(<clevis-decrypt-toy.id)")"
	has_ended clevis-decrypt-toy.id
	stop "$(<clevis-decrypt-toy.child)"
}

@test "one that writes garbage" {
	local garbage
	for garbage in 'echo hello' ':' 'echo a.b.c.d.e' 'head -c 10000 /dev/urandom' 'echo; echo'; do
		program clevis-encrypt-toy <<<"$garbage"
		call clevis encrypt sss '{"pins":{"toy":{}}}' <<<secret
		fails 1 'clevis-encrypt-toy: its output: '
	done
	program clevis-encrypt-toy <<<'yes'
	call clevis encrypt sss '{"pins":{"toy":{}}}' <<<secret
	fails 1 'clevis-encrypt-toy: its output is larger than '
}

@test "one that gives back what is no share" {
	seal sss '{"pins":{"toy":{}}}'
	local garbage
	for garbage in 'echo hello' ':' 'head -c 63 /dev/zero' 'head -c 65 /dev/zero' 'head -c 100000 /dev/zero' \
		'head -c 64 /dev/urandom'; do
		program clevis-decrypt-toy <<<"$garbage"
		call clevis decrypt <jwe
		fails 1 'clevis-decrypt: sss: '
	done
}

@test "one that does not read what it is given" {
	head -c 1000000 /dev/zero | clevis encrypt toy '{}' >jwe
	program clevis-decrypt-toy <<<'printf secret'
	opens_to_secret
	program clevis-decrypt-toy <<<'exec <&-; sleep 0.2; printf secret'
	opens_to_secret
}

@test "one that cannot be executed" {
	printf secret | clevis encrypt toy '{}' >jwe
	printf '#!/nowhere/interpreter\n' >bin/clevis-decrypt-toy
	call clevis decrypt <jwe
	fails 1 "$PWD/bin/clevis-decrypt-toy: "
	chmod -x bin/clevis-decrypt-toy
	call clevis decrypt <jwe
	fails 1 "Unable to locate pin 'toy'"
}

# --- Where it is looked for -----------------------------------------------------------------------------------------------------

@test "a pin that nobody has" {
	printf secret | clevis encrypt toy '{}' >jwe
	edit_header jwe 'j["clevis"]["pin"] = "x"' >changed
	call clevis decrypt <changed
	fails 1 "Unable to locate pin 'x'"
	call clevis encrypt x '{}' <<<secret
	usage 2 "Command 'clevis encrypt x"
	call clevis encrypt sss '{"pins":{"x":{}}}' <<<secret
	fails 1 "Unable to locate pin 'x'"
	needs cryptsetup
	make_disk
	call clevis luks bind -k "$pass" -d "$disk" x '{}'
	usage 2 "'x' is not a valid pin!"
}

@test "a pin's name is no path" {
	printf secret | clevis encrypt toy '{}' >jwe
	program evil <<<"touch $PWD/harm"
	mkdir bin/clevis-decrypt-x
	local name
	for name in x/../evil ../evil '' . 'toy ' $'toy\n' "$(printf 'x%.0s' {1..300})"; do
		edit_header jwe "j['clevis']['pin'] = sys.argv[2]" "$name" >changed
		call clevis decrypt <changed
		fails 1 'clevis-decrypt: '
		call clevis encrypt sss "{\"pins\":{\"${name/$'\n'/\\n}\":{}}}" <<<secret
		fails 1 'Unable to locate pin '
	done
	[ ! -e harm ]
}

@test "an empty element of PATH is not the current folder" {
	printf secret | clevis encrypt toy '{}' >jwe
	mv bin/clevis-decrypt-toy .
	program clevis-toy <<<'echo found'
	mv bin/clevis-toy .
	local path
	for path in ":$PATH" "$PATH:" "/nowhere::$PATH"; do
		PATH=$path call clevis decrypt <jwe
		fails 1 "Unable to locate pin 'toy'"
		PATH=$path call clevis toy
		usage 2 "Command 'clevis toy' is invalid"
	done
	# Who says so means it.
	PATH=.:$PATH opens_to_secret
}

# --- The list of commands ----------------------------------------------------------------------------------------------------------

# shows NAME SUMMARY: so does the list.
shows() {
	[ "$(sed -n "s/^  clevis $1  *//p" list)" = "$2" ] && return
	cat list
	return 1
}

@test "the list shows it with its summary, once" {
	mkdir more
	cp bin/clevis-encrypt-toy more
	PATH=$PATH:$PWD/more clevis --help >list
	shows encrypt-toy 'Encrypts as a toy does'
	lacks decrypt-toy list
	clevis 2>list || true
	shows encrypt-toy 'Encrypts as a toy does'
}

@test "the list leaves out what has no summary, and what it says instead" {
	program clevis-silent <<<':'
	program clevis-empty-line <<<'echo'
	program clevis-fails <<<'echo "No such option"; exit 1'
	program clevis-complains <<<'echo "No such option" >&2'
	program clevis-explains <<<'echo "Usage: clevis explains"; echo "  --more"'
	program clevis-endless <<<'yes'
	mkdir bin/clevis-folder
	ln -s nowhere bin/clevis-link
	echo 'echo no program' >bin/clevis-text
	call clevis --help
	succeeds
	printf '%s\n' "$output" >list
	local name
	for name in silent empty-line fails complains explains endless folder link text; do
		lacks "clevis $name" list
	done
	shows encrypt-toy 'Encrypts as a toy does'
}

@test "a summary cannot drive the terminal" {
	program clevis-bad <<<'printf "a\033[2Jb\n"'
	clevis --help >list
	lacks $'\x1b' list
	shows bad 'a?[2Jb'
}

@test "a program that hangs does not keep the list" {
	program clevis-hanging <<<"echo \$\$ >$PWD/id; exec sleep 300"
	local start=$EPOCHREALTIME
	clevis_alone --help >list
	took_less_than 5 "$start"
	lacks hanging list
	shows encrypt-toy 'Encrypts as a toy does'
	has_ended id
}
