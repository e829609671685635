#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# Key servers behind TLS (socat in front of ours): who is trusted, what a person is told otherwise, proxies, the helper's places.
# shellcheck disable=SC2154,SC2030,SC2031 # what common.bash and bats set; each test is a shell of its own

load ../lib/common
load ../lib/certificates

# start_tls NAME PORT [SOCAT OPTION]: TLS with that certificate in front of a port. Sets tls, the URL.
start_tls() {
	local pid log
	log=$(mktemp tls.XXXXXX) # an earlier one's would name an earlier one's port
	socat -d -d "OPENSSL-LISTEN:0,bind=127.0.0.1,fork,cert=$1.pem,key=$1.key,${3:-verify=0}" "TCP:127.0.0.1:$2" \
		2>"$log" 3>&- </dev/null &
	pid=$!
	started+=("$pid")
	tls=https://127.0.0.1:$(wait_for_line "$log" 's/.*listening on .*:\([0-9]*\)$/\1/p' "$pid")
}

setup_file() {
	command -v openssl >/dev/null && command -v socat >/dev/null || return 0
	serve_file
	local real=$url real_port=$port name
	make_certificates
	for name in good expired self named; do
		start_tls "$name" "$real_port"
		export "tls_$name=$tls"
	done
	start_tls good "$real_port" verify=1,cafile=ca.pem
	export tls_asking=$tls
	start_badserver path "$adv" "$real"
	start_tls good "$port"
	export tls_bad=$tls plain=$real
	start_helper proxy.py
	export proxy=$url proxy_log=$helper_log
	start_helper proxy.py 403
	export proxy_refusing=$url folder=$PWD SSL_CERT_FILE=$PWD/ca.pem
	share
}

prepare() {
	needs openssl socat
	export https_proxy='' no_proxy=''
}

seal() { # URL [MEMBER…]
	clevis encrypt tang "$(tang_config "$@")" -y <<<secret
}

# opens_what_it_sealed URL [MEMBER…]
opens_what_it_sealed() {
	seal "$@" >jwe
	call clevis decrypt <jwe
	succeeds
	says secret
}

@test "a certificate that the system's authorities vouch for" {
	opens_what_it_sealed "$tls_good"
	opens_what_it_sealed "${tls_good/127.0.0.1/localhost}"
}

@test "certificates that are not to be trusted, and why" {
	call seal "$tls_expired"
	fails 1 "${tls_expired#https://}: certificate verify failed: certificate has expired"
	call seal "$tls_self"
	fails 1 "${tls_self#https://}: certificate verify failed: self-signed certificate"
	call seal "$tls_named"
	fails 1 "${tls_named#https://}: certificate verify failed: IP address mismatch"
	SSL_CERT_FILE=/dev/null SSL_CERT_DIR=/dev/null call seal "$tls_good"
	fails 1 "${tls_good#https://}: certificate verify failed: unable to get local issuer certificate"
}

@test "decrypt: a server that can no longer be trusted is not asked" {
	seal "$tls_good" >jwe
	SSL_CERT_FILE=$folder/self.pem call clevis decrypt <jwe
	fails 1 "Error communicating with server $tls_good: ${tls_good#https://}: certificate verify failed"
}

@test "the server asks for a client certificate, and there is none" {
	call seal "$tls_asking"
	fails 1 "${tls_asking#https://}: the server asks for a client certificate"
}

@test "a redirect from https to http is refused" {
	call seal "$tls_bad/redirect"
	fails 1 "${tls_bad#https://} redirects from https to http: refused"
}

@test "a port that does not speak TLS" {
	call seal "${plain/http:/https:}"
	fails 1 "${plain#http://}: the server "
	# What is no HTTP libmicrohttpd answers, or from 1.0 on hangs up on.
	[[ $stderr == *'does not speak TLS' || $stderr == *'closed the connection during the TLS handshake' ]]
}

@test "https_proxy: a way is opened to a name that only the proxy knows; the certificate must be of that name" {
	local port=${tls_good##*:}
	export https_proxy=$proxy
	opens_what_it_sealed "https://tang.example:$port"
	grep -qx "CONNECT tang.example:$port HTTP/1.1" "$proxy_log"
	call seal "https://other.example:$port"
	fails 1 "other.example:$port (proxy ${proxy#http://}): certificate verify failed: hostname mismatch"
	https_proxy=$proxy_refusing call seal "https://tang.example:$port"
	fails 1 "the proxy ${proxy_refusing#http://} does not open a way to tang.example:$port: it answered 403"
	no_proxy=127.0.0.0/8 https_proxy=$proxy_refusing opens_what_it_sealed "$tls_good"
}

@test "user names for proxies are refused, and not repeated" {
	https_proxy=http://user:sesame@127.0.0.1:1 call seal "$tls_good"
	fails 1 'https_proxy: user names for proxies are not supported'
	lacks sesame <<<"$stderr"
}

@test "the helper: not installed, or moved together with clevis" {
	[ ! -e /usr/libexec/clevis-tls ] && [ ! -e /usr/local/libexec/clevis-tls ] || skip "clevis-tls is installed"
	mkdir -p moved/bin moved/libexec
	cp "$CLEVIS" moved/bin/clevis
	CLEVIS=$PWD/moved/bin/clevis
	call seal "$tls_good"
	fails 1 'https needs the helper clevis-tls, which is not installed ('
	cp "$(dirname "$(realpath "$TANGD")")/clevis-tls" moved/libexec/
	opens_what_it_sealed "$tls_good"
}

@test "the helper does nothing by itself" {
	call "$(dirname "$(realpath "$TANGD")")/clevis-tls" localhost 443 1000 3>&- 4>&-
	fails 2 'this program speaks TLS for clevis'
}

@test "no helper is left behind" {
	opens_what_it_sealed "$tls_good"
	never pgrep -f "clevis-tls.* ${tls_good##*:} "
}

@test "cacert: the authorities of the pin in place of the system's" {
	export SSL_CERT_FILE=/dev/null SSL_CERT_DIR=/dev/null
	opens_what_it_sealed "$tls_good" "\"cacert\":\"$folder/ca.pem\""
	call seal "$tls_good" "\"cacert\":\"$folder/self.pem\""
	fails 1 'certificate verify failed'
	call seal "$tls_good" "\"cacert\":\"$folder/nothing.pem\""
	fails 1 "CA cert file '$folder/nothing.pem' not found!"
}

@test "cert and key: shown when the server asks" {
	cat "$folder/client.pem" "$folder/client.key" >both.pem
	opens_what_it_sealed "$tls_asking" "\"cert\":\"$folder/client.pem\"" "\"key\":\"$folder/client.key\""
	opens_what_it_sealed "$tls_asking" "\"cert\":\"$PWD/both.pem\""
	call seal "$tls_asking" "\"cert\":\"$folder/self.pem\"" "\"key\":\"$folder/self.key\""
	fails 1 'the server does not accept the client certificate'
}

@test "an encrypted key is an error, and nobody is asked" {
	openssl pkey -in "$folder/client.key" -aes128 -passout pass:sesame -out locked.key
	call seal "$tls_asking" "\"cert\":\"$folder/client.pem\"" "\"key\":\"$PWD/locked.key\""
	fails 1 "the private key in '$PWD/locked.key' is encrypted"
}
