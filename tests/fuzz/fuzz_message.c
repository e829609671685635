/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What passes between the part of the server that reads the network and the part that holds private keys, in both directions, should either
 * be in a stranger's hands. The first byte says what the rest is: a request to the keys (q), a packet from them (r), their public
 * side (s).
 */
#include "fuzz.h"

#include "jose/jose.h"
#include "tangd/channels.h"
#include "tangd/front.h"
#include "tangd/passing.h"
#include "tangd/side.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

/* The folder: an exchange key that is rotated, one that is not, a signing key. In this order they are numbered. */
static const struct {
	const char *name;
	const char *d;
	const char *rest;
} files[] = {
	{".old.jwk",
	 "AJlVjTExFyJBxCf8-mpo9vAARrQF_ec4JRwBWu5VnH7VUhi4uqrcoVuameQMxnqgWMSTKk1Ah1mdqVj8wHQM3aCT",
	 "\"alg\":\"ECMR\",\"crv\":\"P-521\",\"key_ops\":[\"deriveKey\"],\"kty\":\"EC\","
	 "\"x\":\"AOywQF38NF8BXb5E1J_uzej8PoQwui8Jch1KZJri4Tc0Ayct2DruIM6kl9PeHRwyuVPa5aOM-vXEnkdUxfhe_ek1\","
	 "\"y\":\"AU5eOjKUfFltV1J8y0eEZ6l4vChQKsM_lKu_Or3f2_hNOketU1ykznxMiSgXNCsTbMZeI3fJ9S9dPbHWD5dMxjDG\""},
	{"exc.jwk", "53IhJz8K7qG4oVmB5DNjqRILAyc9ae88rxvYq6ccXGE",
	 "\"alg\":\"ECMR\",\"crv\":\"P-256\",\"key_ops\":[\"deriveKey\"],\"kty\":\"EC\","
	 "\"x\":\"KDMZgJ6OiFEnoiF6hLyoRLeJyGNtDnwkmECQTrMNV48\","
	 "\"y\":\"cc_4o_GN9cv3sk7XbXLnIFtz-lNRxDPl1vjqJ5ExUBI\""},
	{"sig.jwk", "cE0ODH0SoYSX8jB9nUjjJwpujOx6heco2jIUT-U4TOY",
	 "\"alg\":\"ES256\",\"crv\":\"P-256\",\"key_ops\":[\"sign\",\"verify\"],\"kty\":\"EC\","
	 "\"x\":\"6XmlNc0bhTmq5aWwgUo_r4hlD4t5CuCgitYqBU8Gd9Q\","
	 "\"y\":\"p8pcgU2Zvw8nViwBoxGwlu3H51N-eAOas3dfR4UOIuA\""},
};

enum { FILES = sizeof(files) / sizeof(*files), EXCHANGES = 2 };

static struct keys *keys;
static const struct public_keys *real_side;
static int side_fd;

static void load_keys(void)
{
	char folder[] = "/tmp/fuzz_message.XXXXXX";
	uint64_t set;
	int fd;

	FUZZ_CHECK(mkdtemp(folder) && (fd = open(folder, O_RDONLY | O_DIRECTORY)) >= 0);
	for (int i = 0; i < FILES; i++) {
		int file = openat(fd, files[i].name, O_WRONLY | O_CREAT | O_EXCL, 0400);

		FUZZ_CHECK(file >= 0 &&
			   dprintf(file, "{\"d\":\"%s\",%s}", files[i].d, files[i].rest) > 0);
		(void)close(file);
	}
	FUZZ_CHECK(keys_open(folder, &keys, NULL) == 0);
	FUZZ_CHECK(keys_load(keys, KEYS_SIGN, &real_side, &set, NULL) == 0);
	FUZZ_CHECK(real_side->count == FILES && real_side->advertisement);
	side_fd = side_write(real_side, NULL);
	FUZZ_CHECK(side_fd >= 0);
	for (int i = 0; i < FILES; i++)
		(void)unlinkat(fd, files[i].name, 0);
	(void)close(fd);
	(void)rmdir(folder);
}

/* Whether a scalar of the folder is in there: as it is, the other way round, as text. */
static bool has_scalar(const void *data, size_t size)
{
	for (int i = 0; i < FILES; i++) {
		unsigned char scalar[JOSE_COORDINATE_MAX];
		unsigned char reversed[JOSE_COORDINATE_MAX];
		size_t length = JOSE_B64_SIZE(strlen(files[i].d));

		FUZZ_CHECK(jose_b64_decode(files[i].d, strlen(files[i].d), scalar) == 0);
		for (size_t at = 0; at < length; at++)
			reversed[at] = scalar[length - 1 - at];
		/* Half of it is as bad. */
		if (memmem(data, size, scalar + length / 2, length / 2) ||
		    memmem(data, size, reversed, length / 2) ||
		    memmem(data, size, files[i].d + 8, 24))
			return true;
	}
	return false;
}

/* What the contract of the message says of a request. */
static int expected_status(const struct key_request *request)
{
	if (request->version != MESSAGE_VERSION || request->key >= EXCHANGES)
		return -ENOENT;
	if (request->x.curve != (request->key == 0 ? JOSE_P521 : JOSE_P256) ||
	    jose_point_check(&request->x, NULL) != 0)
		return -EINVAL;
	return 0;
}

static void ask_keys(const uint8_t *data, size_t size)
{
	struct key_request request = {0};
	struct key_reply reply;
	static const struct jose_point nothing;

	memcpy(&request, data, size < sizeof(request) ? size : sizeof(request));
	memset(&reply, 0x5a, sizeof(reply));
	keys_answer(keys, &request, &reply);
	FUZZ_CHECK(reply.version == MESSAGE_VERSION && reply.id == request.id);
	FUZZ_CHECK(reply.status == expected_status(&request));
	FUZZ_CHECK(!has_scalar(&reply, sizeof(reply)));
	if (reply.status == 0) {
		size_t used = jose_curve((int)reply.y.curve)->coordinate_size;

		FUZZ_CHECK(reply.y.curve == request.x.curve &&
			   jose_point_check(&reply.y, NULL) == 0);
		FUZZ_CHECK(memcmp(reply.y.x + used, nothing.x, sizeof(nothing.x) - used) == 0);
		FUZZ_CHECK(memcmp(reply.y.y + used, nothing.y, sizeof(nothing.y) - used) == 0);
	} else {
		FUZZ_CHECK(memcmp(&reply.y, &nothing, sizeof(nothing)) == 0);
	}
}

/* A request that waits in front: answered once, whatever comes. */
struct waiting {
	int answered;
	struct answer answer;
};

static void take_answer(void *request, const struct key_reply *reply)
{
	struct waiting *waiting = request;

	waiting->answered++;
	if (reply)
		front_finish(reply, &waiting->answer);
}

/* Where the uses of a generation's keys are counted; the channel's. */
static int count_uses(void)
{
	void *memory = NULL;
	int fd = counts_share_file(sizeof(struct key_uses), &memory, NULL);

	counts_unshare(memory, sizeof(struct key_uses));
	FUZZ_CHECK(fd >= 0);
	return fd;
}

static void answer_front(const uint8_t *data, size_t size)
{
	struct channels *channels = channels_new(take_answer);
	struct key_request request = {.version = MESSAGE_VERSION, .key = 1};
	struct waiting waiting = {0};
	const struct answer *answer = &waiting.answer;
	int pair[2];

	FUZZ_CHECK(channels && passing_pair(pair) == 0);
	FUZZ_CHECK(channels_add(channels, dup(side_fd), pair[0], count_uses(), NULL) == 0);
	FUZZ_CHECK(channels_send(channels, &request, &waiting) == 0);
	(void)send(pair[1], data, size, MSG_NOSIGNAL);
	channels_run(channels);
	FUZZ_CHECK(waiting.answered == 0 || size == 0 || size == sizeof(struct key_reply));
	channels_run(channels);
	channels_free(&channels);
	(void)close(pair[1]);
	FUZZ_CHECK(waiting.answered == 1);
	FUZZ_CHECK(answer->status == 0 || answer->status == 200 || answer->status == 400 ||
		   answer->status == 403 || answer->status == 500);
	FUZZ_CHECK((answer->status == 200) == (answer->body != NULL));
	free(answer->body);
}

static int refresh(void *channels, const struct public_keys **side, struct error *err)
{
	(void)err;
	*side = channels_side(channels);
	return *side ? 0 : -ENOENT;
}

static void never_answered(void *request, const struct key_reply *reply)
{
	(void)request;
	(void)reply;
}

/* Whatever the public side is: a request that goes to the keys names one that is there. */
static void serve_side(struct channels *channels)
{
	static const char body[] = "{\"alg\":\"ECMR\",\"crv\":\"P-256\",\"kty\":\"EC\","
				   "\"x\":\"KDMZgJ6OiFEnoiF6hLyoRLeJyGNtDnwkmECQTrMNV48\","
				   "\"y\":\"cc_4o_GN9cv3sk7XbXLnIFtz-lNRxDPl1vjqJ5ExUBI\"}";
	const struct front front = {.endpoint = "", .refresh = refresh, .keys = channels};
	const struct public_keys *side = channels_side(channels);

	for (size_t i = 0; i < side->count; i++) {
		FUZZ_CHECK(!side->key[i].is_exchange || jose_curve((int)side->key[i].curve));
		for (int kind = 0; kind < 2; kind++) {
			char target[JOSE_THUMBPRINT_MAX + 8];
			struct answer answer;
			struct key_request request;

			(void)snprintf(target, sizeof(target), "/%s/%s", kind == 0 ? "adv" : "rec",
				       side->key[i].thumbprint[JOSE_S256]);
			if (front_begin(&front, kind == 0 ? "GET" : "POST", target, body,
					strlen(body), &answer, &request))
				free(answer.body);
			else
				FUZZ_CHECK(request.key < side->count);
		}
	}
}

static void hand_side(const uint8_t *data, size_t size)
{
	struct channels *channels = channels_new(never_answered);
	int fd = memfd_create("fuzz", MFD_CLOEXEC);
	int pair[2];

	FUZZ_CHECK(channels && fd >= 0 && passing_pair(pair) == 0);
	FUZZ_CHECK(write(fd, data, size) == (ssize_t)size);
	if (channels_add(channels, fd, pair[0], count_uses(), NULL) == 0)
		serve_side(channels);
	else
		FUZZ_CHECK(!channels_side(channels));
	(void)close(pair[1]);
	channels_free(&channels);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (!keys)
		load_keys();
	if (size == 0)
		return 0;
	switch (data[0]) {
	case 'q':
		ask_keys(data + 1, size - 1);
		break;
	case 'r':
		answer_front(data + 1, size - 1);
		break;
	case 's':
		hand_side(data + 1, size - 1);
		break;
	default:
		break;
	}
	return 0;
}
