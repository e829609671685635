# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# Shared by the scripts beside it: which suite is meant, which build folder is its own, how to configure it.

top=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cd "$top" || exit 1
unset MAKEFLAGS MAKELEVEL MFLAGS # of the make that called us; not for one that a test may call

die() {
	echo "${0##*/}: $*" >&2
	exit 1
}

own_suite() {
	# shellcheck source=/dev/null
	(. /etc/os-release && echo "${VERSION_CODENAME:-${ID:-unknown}}")
}

# The suite this run is about: SUITE, or the machine's own.
chosen_suite() {
	local suite=${SUITE:-$(own_suite)}
	[[ $suite =~ ^[a-z][a-z0-9]*$ ]] || die "'$suite' is not the name of a suite, such as trixie"
	echo "$suite"
}

is_own() {
	[ "$1" = "$(own_suite)" ]
}

# The build folder of suite $1, relative to the checkout.
build_folder() {
	if [ -n "${BUILD:-}" ]; then
		echo "$BUILD"
	elif is_own "$1"; then
		echo build
	else
		echo "build-$1"
	fi
}

# The folder whose Meson runs the virtual machine tests of suite $1: one of this machine's own, for Meson cannot read
# a folder that another version of it made.
vm_runner() {
	if is_own "$1"; then
		build_folder "$1"
	else
		echo build
	fi
}

# in_suite SUITE CMD…: runs CMD here, or in the root of SUITE when that is another one.
in_suite() {
	local suite=$1
	shift
	if is_own "$suite"; then
		"$@"
	else
		tools/suite "$suite" "$@"
	fi
}

# configure FOLDER OPTION…: makes the build folder or gives it these options; starts over when it is of no use.
configure() {
	local folder=$1
	shift
	if [ ! -f "$folder/build.ninja" ]; then
		rm -rf "$folder"
		meson setup "$folder" "$@"
	elif [ $# -gt 0 ]; then
		meson configure "$folder" "$@" || meson setup --wipe "$folder" "$@"
	fi
}
