/* SPDX-License-Identifier: Apache-2.0 */
#include "cmd/jose/input.h"

#include "base/file.h"
#include "base/json.h"

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

enum { READ_SIZE = 4096 };

void input_free(struct input *input)
{
	secret_free(&input->buffer);
	*input = (struct input){0};
}

static ssize_t read_some(int fd, void *data, size_t size, const char *name, struct error *err)
{
	ssize_t got;

	do
		got = read(fd, data, size);
	while (got < 0 && errno == EINTR);
	return got < 0 ? error_set(err, -errno, "cannot read %s: %s", name, strerror(errno)) : got;
}

/* Finds the end of a JSON value while it comes in; whether it is one, the parser says. */
struct scan {
	enum { SCAN_BEFORE, SCAN_IN_SCALAR, SCAN_IN_CONTAINER, SCAN_ENDED } state;
	size_t depth;
	bool in_string, escaped;
};

static bool is_space(char c)
{
	return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

/* Those of numbers, true, false and null, and any letter, so that a misspelt word is one word. */
static bool is_scalar(char c)
{
	return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
	       c == '-' || c == '+' || c == '.';
}

static void scan_in_container(struct scan *scan, char c)
{
	if (scan->escaped)
		scan->escaped = false;
	else if (scan->in_string && c == '\\')
		scan->escaped = true;
	else if (c == '"')
		scan->in_string = !scan->in_string;
	else if (!scan->in_string && (c == '{' || c == '['))
		scan->depth++;
	else if (!scan->in_string && (c == '}' || c == ']'))
		scan->depth -= scan->depth > 0;
	if (scan->depth == 0 && !scan->in_string)
		scan->state = SCAN_ENDED;
}

/* Returns whether `c` is part of the value, or of the white space before it. */
static bool scan_byte(struct scan *scan, char c)
{
	if (scan->state == SCAN_BEFORE && is_space(c))
		return true;
	if (scan->state == SCAN_BEFORE)
		scan->state = is_scalar(c) ? SCAN_IN_SCALAR : SCAN_IN_CONTAINER;
	if (scan->state == SCAN_IN_CONTAINER) {
		scan_in_container(scan, c);
		return true;
	}
	if (is_scalar(c))
		return true;
	scan->state = SCAN_ENDED;
	return false;
}

/* Reads more of standard input behind what is left of it, of which there is at most `max`. */
static int read_more(struct input *input, size_t max, struct error *err)
{
	size_t left = input->end - input->start;
	ssize_t got;
	int rc = 0;

	if (left > max)
		return error_set(err, -EFBIG, "standard input: JSON larger than %zu bytes", max);
	if (input->start > 0 && left > 0)
		memmove(input->buffer.data, input->buffer.data + input->start, left);
	input->start = 0;
	input->end = left;
	if (input->buffer.size - left < READ_SIZE)
		rc = secret_resize(&input->buffer, left * 2 + READ_SIZE, err);
	if (rc < 0)
		return rc;
	got = read_some(STDIN_FILENO, input->buffer.data + left, input->buffer.size - left,
			"standard input", err);
	if (got < 0)
		return (int)got;
	input->at_end = got == 0;
	input->end += (size_t)got;
	return 0;
}

/* Has one value, with the white space before it, stand at input->start, `*size` bytes. */
static int await_value(struct input *input, size_t max, size_t *size, struct error *err)
{
	struct scan scan = {0};
	size_t seen = 0;

	while (scan.state != SCAN_ENDED) {
		int rc;

		while (input->start + seen < input->end && scan.state != SCAN_ENDED)
			seen += scan_byte(&scan, (char)input->buffer.data[input->start + seen]);
		if (scan.state == SCAN_ENDED || input->at_end)
			break;
		rc = read_more(input, max, err);
		if (rc < 0)
			return rc;
	}
	*size = seen;
	return 0;
}

static int parse(const char *text, size_t size, const char *what, enum input_kind kind,
		 json_t **json, struct error *err)
{
	JSON_AUTO json_t *value = NULL;
	int rc = 0;

	if (kind == INPUT_ANY)
		value = json_loadb(text, size, JSON_DECODE_ANY | JSON_DISABLE_EOF_CHECK, NULL);
	else
		rc = json_parse(text, size, what, &value, err);
	if (rc < 0)
		return rc;
	if (!value)
		return error_set(err, -EBADMSG, "%s: not valid JSON", what);
	if (kind != INPUT_ANY && !json_is_object(value))
		return error_set(err, -EBADMSG, "%s: not a JSON object", what);
	*json = value;
	value = NULL;
	return 0;
}

static size_t max_of(enum input_kind kind)
{
	return kind == INPUT_KEY ? INPUT_KEY_MAX : INPUT_JSON_MAX;
}

static int parse_standard_input(struct input *input, enum input_kind kind, json_t **json,
				struct error *err)
{
	size_t size = 0;
	int rc = await_value(input, max_of(kind), &size, err);

	if (rc == 0 && size > max_of(kind))
		rc = error_set(err, -EFBIG, "standard input: JSON larger than %zu bytes",
			       max_of(kind));
	if (rc == 0)
		rc = parse((const char *)input->buffer.data + input->start, size, "standard input",
			   kind, json, err);
	input->start += rc == 0 ? size : 0;
	return rc;
}

static int parse_file(const char *path, enum input_kind kind, json_t **json, struct error *err)
{
	SECRET_AUTO struct secret text = {0};
	int rc = file_read_secret(path, max_of(kind), &text, err);

	return rc < 0 ? rc : parse((const char *)text.data, text.size, path, kind, json, err);
}

/* Whether it is meant to be JSON, and no file's name that a message could show. */
static bool looks_like_json(const char *value)
{
	while (is_space(*value))
		value++;
	return *value == '{' || *value == '[' || *value == '"';
}

static int parse_argument(const char *text, enum input_kind kind, json_t **json, struct error *err)
{
	if (kind == INPUT_KEY)
		return error_set(err, -EBADMSG,
				 "a key is taken from a file or '-', not from the command line, "
				 "where others see it");
	return parse(text, strlen(text), "the argument", kind, json, err);
}

int input_json(struct input *input, const char *value, enum input_kind kind, json_t **json,
	       struct error *err)
{
	struct error why = {0};
	int rc;

	if (strcmp(value, "-") == 0)
		return parse_standard_input(input, kind, json, err);
	rc = parse_argument(value, kind, json, &why);
	if (rc == 0)
		return 0;
	if (looks_like_json(value) && access(value, F_OK) != 0)
		return error_set(err, rc, "%s", why.text);
	return parse_file(value, kind, json, err);
}

int source_open(struct input *input, const char *value, struct source *source, struct error *err)
{
	if (strcmp(value, "-") == 0) {
		*source = (struct source){"standard input", input, STDIN_FILENO};
		return 0;
	}
	*source = (struct source){value, NULL, open(value, O_RDONLY | O_CLOEXEC)};
	if (source->fd >= 0)
		return 0;
	return error_set(err, -errno, "cannot open '%s': %s", value, strerror(errno));
}

ssize_t source_read(struct source *source, void *data, size_t size, struct error *err)
{
	struct input *input = source->input;
	size_t left = input ? input->end - input->start : 0;

	if (left == 0)
		return read_some(source->fd, data, size, source->name, err);
	size = size < left ? size : left;
	memcpy(data, input->buffer.data + input->start, size);
	input->start += size;
	return (ssize_t)size;
}

void source_close(struct source *source)
{
	if (!source->input)
		fd_close(&source->fd);
}
