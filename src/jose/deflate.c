/* SPDX-License-Identifier: Apache-2.0 */
#include "jose/deflate.h"

#include <errno.h>
#include <limits.h>
#include <malloc.h>
#include <stdlib.h>

#include <zlib.h>

/* Without zlib's own header and trailer. */
enum { RAW = -MAX_WBITS, MEMORY_LEVEL = 8, FIRST_SIZE = 4096 };

/* zlib's windows hold the plaintext. */
static void *allocate(void *opaque, unsigned items, unsigned size)
{
	(void)opaque;
	return calloc(items, size);
}

static void wipe_and_free(void *opaque, void *block)
{
	(void)opaque;
	if (block)
		secret_wipe(block, malloc_usable_size(block));
	free(block);
}

static int too_large(struct error *err, size_t most)
{
	return error_set(err, -EFBIG, "compression: more than %zu bytes would come out", most);
}

int jose_deflate(const struct secret *plain, size_t most, struct secret *compressed,
		 struct error *err)
{
	z_stream z = {.zalloc = allocate, .zfree = wipe_and_free};
	SECRET_AUTO struct secret out = {0};
	int rc;
	int end;

	if (plain->size > UINT_MAX || most > UINT_MAX)
		return too_large(err, most);
	rc = secret_new(&out, most, err);
	if (rc < 0)
		return rc;
	if (deflateInit2(&z, Z_DEFAULT_COMPRESSION, Z_DEFLATED, RAW, MEMORY_LEVEL,
			 Z_DEFAULT_STRATEGY) != Z_OK)
		return error_nomem(err);
	z.next_in = plain->data;
	z.avail_in = (unsigned)plain->size;
	z.next_out = out.data;
	z.avail_out = (unsigned)out.size;
	end = deflate(&z, Z_FINISH);
	(void)deflateEnd(&z);
	if (end != Z_STREAM_END)
		return too_large(err, most);
	rc = secret_resize(&out, out.size - z.avail_out, err);
	if (rc == 0)
		secret_move(compressed, &out);
	return rc;
}

/* Room for more: twice as much, up to the limit and one byte, which tells that it was passed. */
static int grow(struct secret *out, size_t most, z_stream *z, struct error *err)
{
	size_t used = out->size - z->avail_out;
	size_t wanted = out->size > most / 2 ? most + 1 : out->size * 2;
	int rc;

	if (out->size > most)
		return too_large(err, most);
	rc = secret_resize(out, wanted, err);
	if (rc < 0)
		return rc;
	z->next_out = out->data + used;
	z->avail_out = (unsigned)(out->size - used);
	return 0;
}

static int run(z_stream *z, size_t most, struct secret *out, struct error *err)
{
	int step = Z_OK;
	int rc = 0;

	while (rc == 0 && step != Z_STREAM_END) {
		step = inflate(z, Z_NO_FLUSH);
		if (step == Z_MEM_ERROR)
			rc = error_nomem(err);
		else if (step != Z_STREAM_END && z->avail_out == 0 &&
			 (step == Z_OK || step == Z_BUF_ERROR))
			rc = grow(out, most, z, err);
		else if (step != Z_STREAM_END)
			rc = error_set(err, -EBADMSG, "the compressed content is cut or broken");
	}
	if (rc == 0 && z->avail_in > 0)
		rc = error_set(err, -EBADMSG, "something follows the compressed content");
	if (rc == 0 && out->size - z->avail_out > most)
		rc = too_large(err, most);
	return rc;
}

int jose_inflate(const struct secret *compressed, size_t most, struct secret *plain,
		 struct error *err)
{
	z_stream z = {.zalloc = allocate, .zfree = wipe_and_free};
	SECRET_AUTO struct secret out = {0};
	int rc;

	if (compressed->size > UINT_MAX || most >= UINT_MAX)
		return too_large(err, most);
	rc = secret_new(&out, most < FIRST_SIZE ? most + 1 : FIRST_SIZE, err);
	if (rc < 0)
		return rc;
	if (inflateInit2(&z, RAW) != Z_OK)
		return error_nomem(err);
	z.next_in = compressed->data;
	z.avail_in = (unsigned)compressed->size;
	z.next_out = out.data;
	z.avail_out = (unsigned)out.size;
	rc = run(&z, most, &out, err);
	(void)inflateEnd(&z);
	if (rc == 0)
		rc = secret_resize(&out, out.size - z.avail_out, err);
	if (rc == 0)
		secret_move(plain, &out);
	return rc;
}
