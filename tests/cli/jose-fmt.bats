#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# jose fmt: what each option does to the stack, and the exit status that tells which one failed.
# shellcheck disable=SC2154,SC2030,SC2031 # what common.bash and bats set; each test is a shell of its own

load ../lib/common
load ../lib/jose

# gives STATUS OUTPUT ARGUMENT…: fmt with these arguments exits so and prints that, and nothing on standard error.
gives() {
	call jose fmt "${@:3}"
	[ "$status" = "$1" ] && [ "$output" = "$2" ] && [ -z "$stderr" ] && return
	echo "arguments: ${*:3}"
	echo "expected: status $1, output: $2"
	show_result
	return 1
}

@test "nothing to do is done" {
	gives 0 ''
	gives 0 '' operand
}

@test "-j, -q, -o: values keep their form" {
	local value
	for value in 1 -1 0 9223372036854775807 -9223372036854775808 1.0 1.5 -0.0 1e22 true false null '""' '"é"' '"a\tb\u0001\"\\/"' \
		'[]' '{}' '[1,"x",null,{"a":[]}]' '{"a":2,"b":1}'; do
		gives 0 "$value" -j "$value" -o -
	done
	gives 0 '{"a":2,"b":1}' -j ' { "b" : 1, "a" : 2 } ' -o -
	gives 0 '100000.0' -j 1E+5 -o -
	gives 0 '0.10000000000000001' -j 0.1 -o -
	gives 0 '"é😀"' -j '"\u00e9\ud83d\ude00"' -o -
	gives 0 '{"a":2}' -j '{"a":1,"a":2}' -o -
	gives 0 '1' -j '1 2' -o -
	gives 0 '"a\"b"' -q 'a"b' -o -
	gives 0 '""' -q '' -o -
	gives 0 '11' --json=1 --output=- --output -
}

@test "arguments are read first: nothing is done if one is wrong" {
	local value
	for value in '{' '' '[1,2' 01 tru truex 1e400 9223372036854775808 '"\u0000"' '"\ud83d"' $'"a\tb"' $'"\xff"' nowhere; do
		call jose fmt -j 1 -o - -o out -j "$value"
		misused 255 'Invalid json!'
	done
	call jose fmt -j 1 -o - -q $'\xff'
	misused 255 'Invalid quote!'
	call jose fmt -j 1 -o - -t x
	misused 255 'Invalid truncate!'
	call jose fmt -j 1 -o - -M ''
	misused 255 'Invalid move!'
	call jose fmt -j 1 -o - -i -
	misused 255 'Invalid insert!'
	call jose fmt -j 1 -o - -Z
	misused 255 'Unknown option: -Z!'
	call jose fmt -j 1 -o - -g
	misused 255 'Option -g needs an argument!'
	[ ! -e out ]
}

@test "-j: a file, and standard input, value by value" {
	printf '{"a":1} and more' >file
	gives 0 '{"a":1}' -j file -o -
	printf 5 >./1
	gives 0 1 -j 1 -o -
	local in
	while IFS='|' read -r in out; do
		[ "$(printf '%b' "$in" | jose fmt -j - -j - -Q -o -)" = "$out" ] || { echo "$in" && return 1; }
	done <<-'END'
		1 2|[2,1]
		{"a":1}[2]|[[2],{"a":1}]
		"x""y"|["y","x"]
		 {} \n {} |[{},{}]
		12[3]|[[3],12]
		1"x"|["x",1]
		"\\"]""}"|["}","\"]"]
		true false|[false,true]
	END
	for in in 1 '' ' ' '{}' '{}x' truefalse '{} }'; do
		call jose fmt -j - -j - -o - < <(printf '%s' "$in")
		misused 255 'Invalid json!'
	done
	[ "$(printf '{}x' | jose fmt -j - -o -)" = '{}' ]
}

@test "the exit status is the number of the option that failed; what came before is written" {
	gives 1 '' -U
	gives 3 '' -j 1 -UU
	gives 4 1 -j 1 -o - -U -U
	gives 7 '' -j '{"keys":[]}' -Og keys -AUUo-
	gives 4 1 -j 1 -o - -j 2 -T -o -
	gives 2 '' -j 1 -u -
	# Modulo 256.
	local many
	many=$(printf -- '-j1 %.0s' {1..256})
	# shellcheck disable=SC2086 # words
	gives 1 '' $many -T
	# shellcheck disable=SC2086 # words
	gives 2 '' $many -UT
}

@test "assertions" {
	local value letter holding
	while read -r value holding; do
		for letter in O A S I R N T F B 0; do
			if [[ $holding == *$letter* ]]; then
				gives 0 '' -j "$value" -$letter
				gives 3 '' -j "$value" -X$letter
			else
				gives 2 '' -j "$value" -$letter
				gives 0 '' -j "$value" -X$letter
			fi
			gives 1 '' -$letter
			gives 0 '' -X$letter
		done
	done <<-'END'
		{} O
		[] A
		"" S
		1 IN
		1.0 RN
		true TB
		false FB
		null 0
	END
	gives 0 '' -j '{}' --object --not --array
	gives 0 '' -j '{"a":[1,2.5],"b":null}' -j '{"b":null,"a":[1,2.5]}' -E
	gives 3 '' -j 1 -j 1.0 -E
	gives 2 '' -j 1 -E
	gives 0 '' -XE
}

@test "-X wants an assertion behind it" {
	gives 1 '' -X
	gives 2 '' -j 1 -X
	gives 2 '' -j 1 -XX
	gives 2 '' -j 1 -XXO
	gives 2 '' -j 1 -Xo-
	gives 1 '' -Xj 1 -N
}

@test "-c, -Q, -M, -U: the stack" {
	gives 0 '{"a":1}' -j '{"a":1}' -c -j 3 -s a -UUo-
	gives 1 '' -c
	gives 0 '[3,2,1]' -j 1 -j 2 -j 3 -Qo-
	gives 0 '[]' -Qo-
	gives 0 '[[1],1]' -j 1 -QQo-
	gives 0 '{}' -j '{}' -Q -g0 -j 1 -sa -UUUo-
	gives 0 '[3,2,1]' -j 1 -j 2 -j 3 -M 0 -Qo-
	gives 0 '[2,3,1]' -j 1 -j 2 -j 3 -M 1 -Qo-
	gives 0 '[2,1,3]' -j 1 -j 2 -j 3 -M 2 -Qo-
	gives 4 '' -j 1 -j 2 -j 3 -M 3 -Qo-
	gives 3 '' -j 1 -j 2 -M -1
	gives 2 '' -j 1 -M 4294967296
	gives 1 '' -M 0
}

@test "-u and -f" {
	gives 0 x -q x -u -
	[ "$(jose fmt -q x -u - | od -An -tx1)" = ' 78 0a' ]
	gives 2 '' -j 1 -u -
	gives 1 '' -u -
	gives 0 $'b=1\na=[1,{"y":2,"z":1}]' -j '{"b":1,"a":[1,{"z":1,"y":2}]}' -f -
	gives 0 $'1\n"x"\nnull' -j '[1,"x",null]' -f -
	gives 0 '' -j '[]' -f -
	gives 2 '' -j '"x"' -f -
	jose fmt -j '[1,2]' -f out
	[ "$(od -An -tx1 out)" = ' 31 0a 32 0a' ]
	call jose fmt -j 1 -o nowhere/out -o -
	fails 2 nowhere/out
}

@test "-g, -s, -d: members and items" {
	gives 0 1 -j '{"a":1}' -g a -o -
	gives 0 '{"a":1}' -j '{"a":1}' -g a -Uo-
	gives 0 1 -j '{"1":1}' -g 1 -o -
	gives 0 1 -j '{"":1}' -g '' -o -
	gives 2 '' -j '{"a":1}' -g b
	local index
	for index in 0:1 1:2 -1:3 -3:1 1x:2 +1:2 ' 2:3' -0:1; do
		gives 0 "${index#*:}" -j '[1,2,3]' -g "${index%:*}" -o -
	done
	for index in 3 -4 x '' - 4294967296 18446744073709551616 -18446744073709551615 9223372036854775808; do
		gives 2 '' -j '[1,2,3]' -g "$index"
		gives 2 '' -j '[1,2,3]' -d "$index"
		gives 3 '' -j '[1,2,3]' -j 9 -s "$index"
	done
	gives 2 '' -j 1 -g 0
	gives 0 '3{"a":3}' -j '{}' -j 3 -s a -o- -Uo-
	gives 0 '[1,2,9]' -j '[1,2,3]' -j 9 -s -1 -Uo-
	gives 3 '' -j 1 -j 1 -s a
	gives 2 '' -j 1 -s a
	gives 0 '{"b":2}' -j '{"a":1,"b":2}' -d a -o -
	gives 0 '[1,3]' -j '[1,2,3]' -d 1 -o -
	gives 2 '' -j '{}' -d a
	gives 2 '' -j 1 -d a
}

@test "-i, -a, -x, -t, -e, -l" {
	gives 0 '[9,1,2]' -j '[1,2]' -j 9 -i 0 -Uo-
	gives 0 '[1,2,9]' -j '[1,2]' -j 9 -i 2 -Uo-
	local index
	for index in 3 -1 4294967296 99999999999999999999; do
		gives 3 '' -j '[1,2]' -j 9 -i $index
	done
	gives 3 '' -j '{}' -j 9 -i 0
	gives 0 '2[1,2]' -j '[1]' -j 2 -a -o- -Uo-
	gives 0 '[1,[2]]' -j '[1]' -j '[2]' -a -Uo-
	gives 0 '{"a":1,"b":3}' -j '{"a":1}' -j '{"a":2,"b":3}' -a -Uo-
	gives 3 '' -j '{"a":1}' -j 2 -a
	gives 0 '[1,2,3]' -j '[1]' -j '[2,3]' -x -Uo-
	gives 0 '{"a":2,"b":3}' -j '{"a":1}' -j '{"a":2,"b":3}' -x -Uo-
	gives 3 '' -j '[1]' -j 2 -x
	gives 3 '' -j '{}' -j '[]' -x
	gives 2 '' -j '[1]' -a
	gives 2 '' -j '[1]' -x
	for index in '2:[1,2]' '0:[]' '3:[1,2,3]' '9:[1,2,3]' '-1:[1,2]' '-3:[]' '-9:[]' '4294967296:[1,2,3]'; do
		gives 0 "${index#*:}" -j '[1,2,3]' -t "${index%%:*}" -o -
	done
	gives 0 '[]{}' -j '[1]' -eo- -j '{"a":1}' -eo-
	gives 2 '' -j '"x"' -e
	gives 0 '212' -j '[1,2]' -lo- -j '{"a":1}' -lo- -j '"é"' -lo-
	gives 2 '' -j 1 -l
}

@test "what is got out of another is the same value there" {
	gives 0 '{"a":{"b":2}}' -j '{"a":{"b":1}}' -g a -j 2 -s b -UUo-
	gives 0 '{"a":{"b":1}}' -j '{}' -j '{}' -s a -j 1 -s b -UUo-
	gives 0 '[{"b":1}]' -j '[]' -j '[{}]' -x -g0 -j 1 -sb -UUUo-
}

@test "-y and -Y" {
	gives 0 '{"a":1}' -j '"eyJhIjoxfQ"' -y -o -
	gives 0 '"eyJhIjoxfQ"' -j '"eyJhIjoxfQ"' -y -Uo-
	gives 0 '{"a":1}' -q IHsiYSI6MX0g -y -o -
	gives 0 1 -q MQ -y -o -
	local text
	for text in '!!' YWI MSAx MQ== '' MR M; do
		gives 2 '' -q "$text" -y
	done
	gives 2 '' -j 1 -y
	gives 0 '"eyJhIjoyLCJiIjoxfQ"' -j '{"b":1,"a":2}' -Y -o -
	gives 0 '"W10"' -j '[]' -Y -o -
	gives 2 '' -j 1 -Y
	gives 2 '' -q x -Y
}

@test "nothing comes to stand in itself" {
	gives 4 '' -j '[[]]' -g 0 -M 1 -a -o -
	gives 4 '' -j '{"a":{}}' -g a -M 1 -s z -o -
	gives 4 '' -j '[[]]' -g 0 -M 1 -i 0 -o -
	gives 6 '' -j '{"a":{"c":{}}}' -g a -g c -M 2 -U -x
}

@test "values that would be without end are refused" {
	"$python" -c 'print("[" * 2000 + "]" * 2000)' >deep
	jose fmt -j deep -c -E -Y -y -M 1 -U -E -o out
	cmp out <(tr -d '\n' <deep)
	"$python" -c 'print("[" * 3000 + "]" * 3000)' >deep
	call jose fmt -j deep
	misused 255 'Invalid json!'
	# Doubled with each letter.
	call jose fmt -j '"0123456789"' "-$(printf 'Q%.0s' {1..60})"
	[ "$status" -gt 1 ]
	[ "$status" -lt 62 ]
	# An array that gets its own items, again and again.
	call jose fmt -j '[[1]]' -g 0 -M 1 -g 0 -M 1 -U "-$(printf 'x%.0s' {1..60})"
	[ "$status" -gt 7 ]
	[ "$status" -lt 67 ]
	# Five times the last one, all of them the same.
	# shellcheck disable=SC2046 # words
	call jose fmt -j '[]' $(printf -- '-j [] -M 1 -aaaaa -U %.0s' {1..25}) -o /dev/null
	[ "$status" -gt 1 ]
	[ "$status" -lt 202 ]
	# One in the one before, 3,000 times.
	"$python" - "$JOSE" <<-'END'
		import subprocess, sys
		run = subprocess.run([sys.argv[1], "fmt", "-j[]"] + ["-j[]", "-a"] * 3000 + ["-o-"], stdout=subprocess.PIPE, timeout=40)
		assert run.returncode > 0 and not run.stdout
	END
}
