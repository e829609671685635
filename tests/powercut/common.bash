# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# Shared by the tests of power cuts: the disks to begin with, the commands, the scenarios, and a key server on loopback.

folder=$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")
[ ! -w /dev/shm ] || TMPDIR=/dev/shm # thousands of states, and nothing of them is to be kept
# shellcheck source=tests/tap.sh
. "$folder/../tap.sh"
: "${CLEVIS:?}" "${TANGD:?}" "${TANGD_KEYGEN:?}" "${SIMULATE:?}"
export LC_ALL=C PATH=$PATH:/usr/sbin:/sbin XDG_RUNTIME_DIR=$scratch/run
formats=(luks1 luks2)
good=${GOOD:-$CLEVIS}
command -v cryptsetup >/dev/null || skip_all "no cryptsetup"

disks=$scratch/disks
pass=$scratch/pass
server=''

clean_up() {
	# shellcheck disable=SC2046,SC2086 # ids
	kill $server $(jobs -p) 2>/dev/null
	rm -rf "$scratch"
}

start_server() {
	local _
	mkdir -m 700 "$scratch/keys" "$scratch/run" "$disks"
	"$TANGD_KEYGEN" "$scratch/keys" && printf 'a person' >"$pass"
	"$TANGD" -l -a 127.0.0.1 -p 0 "$scratch/keys" >/dev/null 2>"$scratch/tangd.log" </dev/null &
	server=$!
	for _ in {1..500}; do
		port=$(sed -n 's/^Listening on .*:\([0-9]*\)$/\1/p' "$scratch/tangd.log" 2>/dev/null)
		[ -z "$port" ] || break
		sleep 0.02
	done
	url=http://127.0.0.1:$port
	tang="{\"url\":\"$url\"}" sss="{\"t\":1,\"pins\":{\"tang\":[$tang,$tang]}}"
}

# ---- disks to begin with

cheap=(-q --pbkdf pbkdf2 --pbkdf-force-iterations 1000 --key-file "$pass")

format() { # FORMAT HEADER FILE
	local options=(--type luks2 --luks2-metadata-size 16k) size=3M
	case $1-$2 in
	luks2-default) options=(--type luks2) size=17M ;;
	luks2-middle) options+=(--luks2-keyslots-size 1M --key-size 256) ;;
	luks2-small) options+=(--luks2-keyslots-size 776k) ;;
	luks2-pair) options+=(--luks2-keyslots-size 520k) ;;
	luks1-*) options=(--type luks1) ;;
	esac
	truncate -s "$size" "$3" && cryptsetup luksFormat "${cheap[@]}" "${options[@]}" "$3"
}

add_person() { # FILE
	cryptsetup luksAddKey "${cheap[@]}" "$1" <(printf another)
}

add_strangers() { # FILE: tokens of another tool, where the format has any
	local token
	cryptsetup isLuks --type luks2 "$1" || return 0
	for token in 3 7; do
		cryptsetup token import --token-id "$token" "$1" <<<'{"type":"another","keyslots":["0"],"of":"somebody else"}' || return
	done
}

fill() { # FILE
	while add_person "$1"; do :; done 2>/dev/null
}

# The binding's token as a command cut short would have left it.
claim() { # FILE KEYSLOT TOKEN
	cryptsetup token export --token-id 0 "$1" |
		sed "s/\"keyslots\":\[\"1\"\]/\"keyslots\":[],\"nbde\":{\"intended\":$2}/" >"$1.token" &&
		grep -q intended "$1.token" && cryptsetup token import --token-id "$3" --json-file "$1.token" "$1"
}

bind() { # FILE PIN CONFIG
	"$good" luks bind -y -k "$pass" -d "$1" "$2" "$3"
}

add_bindings() { # START FILE
	case $1 in plain) return ;; esac
	bind "$2" tang "$tang" || return
	case $1 in
	two) bind "$2" sss "$sss" ;;
	beside | claimed) add_person "$2" && add_strangers "$2" ;;
	full) fill "$2" ;;
	half) claim "$2" 1 5 && cryptsetup token remove --token-id 0 "$2" ;;
	esac && case $1 in claimed) claim "$2" 2 5 ;; esac
}

# A disk on which a command was cut short behind so many epochs: START is OF-COMMAND-EPOCHS, OF being another start.
make_cut_disk() { # FORMAT HEADER START FILE
	local of command epochs
	IFS=- read -r of command epochs <<<"$3"
	make_disk "$1" "$2" "$of" && cp --sparse=always "$disks/$1-$2-$of" "$4" || return
	commands "$command" "$4"
	NBDE_RECORD=$4.record NBDE_RECORD_IMAGE=$4 LD_PRELOAD=$RECORD "$good" luks "${arguments[@]}" &&
		"$SIMULATE" --base "$disks/$1-$2-$of" --image "$4" --record "$4.record" --final "$4" --pass "$pass" --type "$1" \
			--leave "$epochs" -- "$good"
}

make_disk() { # FORMAT HEADER START
	local file=$disks/$1-$2-$3
	[ -e "$file" ] && return
	case $3 in *-*) make_cut_disk "$@" "$file" && return ;; esac
	format "$1" "$2" "$file.new" && add_bindings "$3" "$file.new" && mv "$file.new" "$file"
}

# ---- what is cut

# Leaves the arguments of clevis in `arguments`, how many bindings it adds in `more`, and what it may say in `refusal`.
# shellcheck disable=SC2034 # for whoever calls it
commands() { # COMMAND FILE
	more=0 refusal='^$'
	case $1 in
	bind) arguments=(bind -y -k "$pass" -d "$2" tang "$tang") more=1 refusal='no room' ;;
	bind-sss) arguments=(bind -y -k "$pass" -d "$2" sss "$sss") more=1 refusal='no room' ;;
	regen) arguments=(regen -q -d "$2" -s 1) ;;
	regen-sss) arguments=(regen -q -d "$2" -s 2) ;;
	edit) arguments=(edit -f -y -d "$2" -s 1 -c "{\"url\":\"$url/\"}") ;;
	edit-sss) arguments=(edit -f -y -d "$2" -s 2 -c "{\"t\":2,\"pins\":{\"tang\":[$tang,$tang]}}") ;;
	unbind) arguments=(unbind -f -d "$2" -s 1) more=-1 refusal='No clevis slot detected' ;;
	esac
}

chosen() { # [NAME…]: the lines of the table
	local name rest wanted=" $* "
	while read -r name rest; do
		[[ $name = '#'* || " ${formats[*]} " != *" ${rest%% *} "* ]] || { [ $# -gt 0 ] && [[ $wanted != *" $name "* ]]; } ||
			echo "$name $rest"
	done <"$folder/scenarios"
}

trap clean_up EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP
