/* SPDX-License-Identifier: Apache-2.0 */
#include "net/reply.h"

#include "base/file.h"
#include "net/date.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

enum { STATUS_LINE_MIN = 12, DIGITS_MAX = 9 };

static int malformed(struct error *err, const char *why)
{
	return error_set(err, -EBADMSG, "not a valid HTTP answer (%s)", why);
}

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* "HTTP/1.1 200 OK" */
static int take_status_line(struct reply *reply, struct error *err)
{
	const char *line = reply->line;

	if (reply->line_length < STATUS_LINE_MIN || strncmp(line, "HTTP/1.", 7) != 0 ||
	    !is_digit(line[7]) || line[8] != ' ' || !is_digit(line[9]) || !is_digit(line[10]) ||
	    !is_digit(line[11]) || (line[12] != ' ' && line[12] != '\0'))
		return malformed(err, "status line");
	reply->status = (unsigned)((line[9] - '0') * 100 + (line[10] - '0') * 10 + line[11] - '0');
	reply->stays_open = line[7] != '0';
	return 0;
}

static int parse_number(const char *text, int base, size_t *number)
{
	const char *end = text;
	const char *rest;

	*number = 0;
	for (; *end && strchr(base == 16 ? "0123456789abcdefABCDEF" : "0123456789", *end); end++) {
		int digit = is_digit(*end) ? *end - '0' : (*end | 0x20) - 'a' + 10;

		*number = *number * (size_t)base + (size_t)digit;
		if (end - text >= DIGITS_MAX)
			return -EBADMSG;
	}
	/* White space may follow, and an extension after a chunk's size. */
	rest = end + strspn(end, " \t");
	return end == text || (*rest && !(base == 16 && *rest == ';')) ? -EBADMSG : 0;
}

static int take_length(struct reply *reply, const char *value, struct error *err)
{
	size_t length = 0;

	if (parse_number(value, 10, &length) < 0 || (reply->has_length && length != reply->left))
		return malformed(err, "Content-Length");
	reply->has_length = true;
	reply->left = length;
	return 0;
}

static int take_encoding(struct reply *reply, const char *value, struct error *err)
{
	if (strncasecmp(value, "chunked", 7) != 0 || value[7 + strspn(value + 7, " \t")])
		return malformed(err, "Transfer-Encoding");
	reply->chunked = true;
	return 0;
}

/* A list of words; `close` counts more than whatever else was said, before or after. */
static int take_connection(struct reply *reply, const char *value, struct error *err)
{
	(void)err;
	while (*(value += strspn(value, ", \t"))) {
		size_t length = strcspn(value, ", \t");

		if (length == 5 && strncasecmp(value, "close", length) == 0)
			reply->closes = true;
		else if (length == 10 && strncasecmp(value, "keep-alive", length) == 0)
			reply->stays_open = true;
		value += length;
	}
	return 0;
}

static int keep_value(char **kept, const char *value, struct error *err)
{
	size_t length = strlen(value);

	while (length > 0 && strchr(" \t", value[length - 1]))
		length--;
	free(*kept);
	*kept = strndup(value, length);
	return *kept ? 0 : error_nomem(err);
}

static int take_location(struct reply *reply, const char *value, struct error *err)
{
	return keep_value(&reply->location, value, err);
}

static int take_retry_after(struct reply *reply, const char *value, struct error *err)
{
	return keep_value(&reply->retry_after, value, err);
}

static int take_date(struct reply *reply, const char *value, struct error *err)
{
	return keep_value(&reply->date, value, err);
}

/* Those that mean something to us. */
static const struct {
	const char *name;
	int (*take)(struct reply *reply, const char *value, struct error *err);
} fields[] = {
	{"Content-Length", take_length},   {"Transfer-Encoding", take_encoding},
	{"Connection", take_connection},   {"Location", take_location},
	{"Retry-After", take_retry_after}, {"Date", take_date},
};

static int take_field(struct reply *reply, struct error *err)
{
	char *colon = strchr(reply->line, ':');
	const char *value;

	if (!colon || colon == reply->line)
		return malformed(err, "header field");
	*colon = '\0';
	value = colon + 1 + strspn(colon + 1, " \t");
	for (size_t i = 0; i < sizeof(fields) / sizeof(*fields); i++)
		if (strcasecmp(reply->line, fields[i].name) == 0)
			return fields[i].take(reply, value, err);
	return 0;
}

static bool has_no_body(unsigned status)
{
	return status == 204 || status == 304;
}

/* An interim answer, such as 100 Continue: the real one follows. */
static void forget_interim(struct reply *reply)
{
	reply->status = 0;
	reply->has_length = false;
	reply->chunked = false;
	reply->closes = false;
	free_pointer(&reply->location);
	free_pointer(&reply->retry_after);
	free_pointer(&reply->date);
}

/* A date counts from the server's own clock where it tells it: ours may be wrong at boot. */
static void take_wait(struct reply *reply)
{
	int64_t now = 0;

	if (!reply->retry_after)
		return;
	if (!reply->date || !http_date_read(reply->date, &now) || now <= 0)
		now = (int64_t)time(NULL);
	reply->retry_after_s = retry_after_read(reply->retry_after, now);
}

static enum reply_state state_after_head(const struct reply *reply)
{
	if (reply->head_only || has_no_body(reply->status))
		return REPLY_DONE;
	if (reply->chunked)
		return REPLY_CHUNK_SIZE;
	if (!reply->has_length)
		return REPLY_TO_END;
	return reply->left > 0 ? REPLY_LENGTH : REPLY_DONE;
}

static int end_head(struct reply *reply, struct error *err)
{
	if (reply->status >= 100 && reply->status < 200) {
		forget_interim(reply);
		return 0;
	}
	take_wait(reply);
	if (reply->chunked && reply->has_length)
		return malformed(err, "both Content-Length and Transfer-Encoding");
	reply->state = state_after_head(reply);
	if (reply->state == REPLY_TO_END)
		reply->closes = true;
	if (reply->state == REPLY_LENGTH && reply->left > reply->body_max)
		return error_set(err, -EFBIG, "the answer is larger than %zu bytes",
				 reply->body_max);
	return 0;
}

static int take_chunk_size(struct reply *reply, struct error *err)
{
	if (parse_number(reply->line, 16, &reply->left) < 0)
		return malformed(err, "chunk size");
	reply->state = reply->left > 0 ? REPLY_CHUNK : REPLY_TRAILER;
	return 0;
}

static int take_line(struct reply *reply, struct error *err)
{
	switch (reply->state) {
	case REPLY_HEAD:
		if (reply->status == 0)
			return take_status_line(reply, err);
		return reply->line_length == 0 ? end_head(reply, err) : take_field(reply, err);
	case REPLY_CHUNK_SIZE:
		return take_chunk_size(reply, err);
	case REPLY_CHUNK_END:
		reply->state = REPLY_CHUNK_SIZE;
		return reply->line_length == 0 ? 0 : malformed(err, "chunk end");
	default:
		if (reply->line_length == 0)
			reply->state = REPLY_DONE;
		return 0;
	}
}

static int feed_line_byte(struct reply *reply, char byte, struct error *err)
{
	int rc;

	if (++reply->head_size > REPLY_HEAD_MAX)
		return error_set(err, -EFBIG, "the answer's head is larger than %d bytes",
				 REPLY_HEAD_MAX);
	if (byte == '\0')
		return malformed(err, "NUL byte");
	if (byte != '\n') {
		if (reply->line_length + 1 >= sizeof(reply->line))
			return error_set(err, -EFBIG,
					 "a line of the answer is longer than %d bytes",
					 REPLY_LINE_MAX);
		reply->line[reply->line_length++] = byte;
		return 0;
	}
	if (reply->line_length > 0 && reply->line[reply->line_length - 1] == '\r')
		reply->line_length--;
	reply->line[reply->line_length] = '\0';
	rc = take_line(reply, err);
	reply->line_length = 0;
	return rc;
}

static int append(struct reply *reply, const char *data, size_t size, struct error *err)
{
	char *grown;

	if (size > reply->body_max - reply->body_size)
		return error_set(err, -EFBIG, "the answer is larger than %zu bytes",
				 reply->body_max);
	grown = realloc(reply->body, reply->body_size + size + 1);
	if (!grown)
		return error_nomem(err);
	memcpy(grown + reply->body_size, data, size);
	reply->body = grown;
	reply->body_size += size;
	reply->body[reply->body_size] = '\0';
	return 0;
}

static int feed_body(struct reply *reply, const char *data, size_t size, size_t *used,
		     struct error *err)
{
	int rc;

	*used = reply->state != REPLY_TO_END && size > reply->left ? reply->left : size;
	rc = append(reply, data, *used, err);
	if (reply->state == REPLY_TO_END)
		return rc;
	reply->left -= *used;
	if (reply->left == 0)
		reply->state = reply->state == REPLY_CHUNK ? REPLY_CHUNK_END : REPLY_DONE;
	return rc;
}

int reply_feed(struct reply *reply, const char *data, size_t size, struct error *err)
{
	int rc = 0;

	reply->begun = reply->begun || size > 0;
	while (rc == 0 && size > 0 && reply->state != REPLY_DONE) {
		size_t used = 1;

		if (reply->state == REPLY_LENGTH || reply->state == REPLY_TO_END ||
		    reply->state == REPLY_CHUNK)
			rc = feed_body(reply, data, size, &used, err);
		else
			rc = feed_line_byte(reply, *data, err);
		data += used;
		size -= used;
	}
	reply->excess = reply->excess || (rc == 0 && size > 0);
	return rc;
}

int reply_end(struct reply *reply, struct error *err)
{
	if (reply->state == REPLY_TO_END)
		reply->state = REPLY_DONE;
	if (reply->state != REPLY_DONE)
		return error_set(err, -EBADMSG,
				 "the connection was closed before the answer ended");
	return 0;
}

bool reply_allows_another(const struct reply *reply)
{
	return reply->state == REPLY_DONE && reply->stays_open && !reply->closes && !reply->excess;
}

void reply_free(struct reply *reply)
{
	free_pointer(&reply->body);
	free_pointer(&reply->location);
	free_pointer(&reply->retry_after);
	free_pointer(&reply->date);
	reply->body_size = 0;
}
