/* SPDX-License-Identifier: Apache-2.0 */
/* jose b64 enc, jose b64 dec: base64url, of any length in little memory. */
#include "jose/b64.h"

#include "cmd/jose/command.h"
#include "cmd/jose/output.h"

#include <ctype.h>
#include <string.h>

/* How much is coded at once: whole groups of 3 bytes, which are 4 characters. */
enum { GROUPS = 16384, BINARY_SIZE = 3 * GROUPS, TEXT_SIZE = 4 * GROUPS };

/* The data on its way, a secret as it may be a key. */
struct buffers {
	struct secret in, out;
};

#define BUFFERS_AUTO __attribute__((cleanup(free_buffers)))
static void free_buffers(struct buffers *buffers)
{
	secret_free(&buffers->in);
	secret_free(&buffers->out);
}

static int make_buffers(struct buffers *buffers, size_t in, size_t out, struct error *err)
{
	int rc = secret_new(&buffers->in, in, err);

	return rc < 0 ? rc : secret_new(&buffers->out, out, err);
}

/* Writes the characters of all bytes that are there, at the end, or of whole groups. Returns how many bytes stay, or a negative code. */
static ssize_t encode(const struct buffers *buffers, size_t filled, bool at_end,
		      struct output *output, struct error *err)
{
	size_t size = at_end ? filled : filled / 3 * 3;
	int rc;

	jose_b64_encode(buffers->in.data, size, (char *)buffers->out.data);
	rc = output_write(output, buffers->out.data, JOSE_B64_LENGTH(size), err);
	memmove(buffers->in.data, buffers->in.data + size, filled - size);
	return rc < 0 ? rc : (ssize_t)(filled - size);
}

/* The same backwards. */
static ssize_t decode(const struct buffers *buffers, size_t filled, bool at_end,
		      struct output *output, struct error *err)
{
	size_t length = at_end ? filled : filled / 4 * 4;
	int rc;

	if (jose_b64_decode((const char *)buffers->in.data, length, buffers->out.data) < 0)
		return error_set(err, -EINVAL, "the input is not base64url");
	rc = output_write(output, buffers->out.data, JOSE_B64_SIZE(length), err);
	memmove(buffers->in.data, buffers->in.data + length, filled - length);
	return rc < 0 ? rc : (ssize_t)(filled - length);
}

typedef ssize_t code_function(const struct buffers *buffers, size_t filled, bool at_end,
			      struct output *output, struct error *err);

static size_t without_spaces(unsigned char *text, size_t size)
{
	size_t kept = 0;

	for (size_t i = 0; i < size; i++)
		if (!isspace(text[i]))
			text[kept++] = text[i];
	return kept;
}

static int code_all(code_function *code, struct buffers *buffers, struct source *source,
		    struct output *output, struct error *err)
{
	ssize_t filled = 0;
	ssize_t got;

	do {
		unsigned char *next = buffers->in.data + filled;

		got = source_read(source, next, buffers->in.size - (size_t)filled, err);
		if (got < 0)
			return (int)got;
		filled += (ssize_t)(code == decode ? without_spaces(next, (size_t)got)
						   : (size_t)got);
		filled = code(buffers, (size_t)filled, got == 0, output, err);
		if (filled < 0)
			return (int)filled;
	} while (got > 0);
	return code == encode ? output_end_line(output, err) : 0;
}

static int run(struct call *call, int in, int out, code_function *code, struct error *err)
{
	BUFFERS_AUTO struct buffers buffers = {0};
	const char *from = call_value(call, in, NULL);
	struct source source;
	struct output output;
	int rc;

	if (!from)
		return error_set(err, -EINVAL, "Input not specified!");
	rc = code == encode ? make_buffers(&buffers, BINARY_SIZE, TEXT_SIZE, err)
			    : make_buffers(&buffers, TEXT_SIZE, BINARY_SIZE, err);
	if (rc < 0)
		return rc;
	if (source_open(&call->input, from, &source, err) < 0)
		return call_invalid(call, in);
	rc = output_open(call_value(call, out, "-"), false, &output, err);
	if (rc < 0)
		rc = call_invalid(call, out);
	else
		rc = output_close(&output, code_all(code, &buffers, &source, &output, err), err);
	source_close(&source);
	return rc;
}

static int run_enc(struct call *call, struct error *err)
{
	return run(call, 'I', 'o', encode, err);
}

static int run_dec(struct call *call, struct error *err)
{
	return run(call, 'i', 'O', decode, err);
}

static const struct option enc_options[] = {
	{"binary", required_argument, NULL, 'I'}, {"base64", required_argument, NULL, 'o'}, {0}};
static const struct option dec_options[] = {
	{"base64", required_argument, NULL, 'i'}, {"binary", required_argument, NULL, 'O'}, {0}};

const struct command b64_enc_command = {
	.name = "b64 enc",
	.summary = "Encodes binary data as base64url",
	.run = run_enc,
	.options = enc_options,
	.usage = "Usage: jose b64 enc -I FILE [-o FILE]\n\n"
		 "Encodes binary data as base64url, without padding and without a newline.\n\n"
		 "  -I, --binary FILE  read the data from it\n"
		 "  -o, --base64 FILE  write the text to it, in place of standard output\n",
	.examples = "  jose b64 enc -I picture.png\n"
		    "  printf hello | jose b64 enc -I -\n",
	.failure_status = 1,
};

const struct command b64_dec_command = {
	.name = "b64 dec",
	.summary = "Decodes base64url",
	.run = run_dec,
	.options = dec_options,
	.usage =
		"Usage: jose b64 dec -i FILE [-O FILE]\n\n"
		"Decodes base64url. White space is passed over; padding and '+' and '/' are refused.\n\n"
		"  -i, --base64 FILE  read the text from it\n"
		"  -O, --binary FILE  write the data to it, in place of standard output\n",
	.examples = "  jose b64 dec -i text -O picture.png\n"
		    "  printf aGVsbG8 | jose b64 dec -i -\n",
	.failure_status = 1,
};
