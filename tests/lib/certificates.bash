# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# Certificates for tests that speak TLS, made by openssl in the current folder.

# make_authority NAME
make_authority() {
	openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout "$1.key" -out "$1.pem" -days 2 \
		-subj "/CN=$1" -addext keyUsage=critical,keyCertSign,cRLSign 2>/dev/null
}

# make_certificate NAME SAN [START END]: signed by `ca`, which alone can set dates with OpenSSL 3.0; YYYYMMDDhhmmssZ.
make_certificate() {
	openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout "$1.key" -out "$1.csr" \
		-subj "/CN=$1" -addext "subjectAltName=$2" 2>/dev/null
	openssl ca -batch -config ca.cnf -cert ca.pem -keyfile ca.key -in "$1.csr" -out "$1.pem" -notext \
		-startdate "${3:-20200101000000Z}" -enddate "${4:-20991231000000Z}" 2>ca.err || { cat ca.err && return 1; }
}

make_certificates() {
	: >index.txt
	cat >ca.cnf <<-'END'
		[ca]
		default_ca = ours
		[ours]
		database = index.txt
		new_certs_dir = .
		rand_serial = yes
		default_md = sha256
		policy = any
		unique_subject = no
		copy_extensions = copy
		x509_extensions = of_ours
		[of_ours]
		authorityKeyIdentifier = keyid
		[any]
		commonName = supplied
	END
	make_authority ca
	make_authority self
	make_certificate good IP:127.0.0.1,DNS:localhost,DNS:tang.example
	make_certificate expired IP:127.0.0.1 20200101000000Z 20210101000000Z
	make_certificate named DNS:tang.example
	make_certificate client DNS:client
}
