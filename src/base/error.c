/* SPDX-License-Identifier: Apache-2.0 */
#include "base/error.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

/* Line and paragraph separators, and the characters that turn the direction of text (U+200E…2069), make a line lie. */
static bool turns_text(const unsigned char *text)
{
	return (text[1] == 0x80 &&
		(text[2] == 0x8e || text[2] == 0x8f || (text[2] >= 0xa8 && text[2] <= 0xae))) ||
	       (text[1] == 0x81 && text[2] >= 0xa6 && text[2] <= 0xa9);
}

/* Length of the UTF-8 sequence that begins at `text`; 0 when it is none, or is a control character (C0, DEL, C1). */
static size_t shown_length(const unsigned char *text)
{
	size_t length = 1;

	if (*text < 0x80)
		return *text >= 0x20 && *text != 0x7f;
	if (*text < 0xc2 || *text > 0xf4 || (*text == 0xc2 && text[1] < 0xa0) ||
	    (*text == 0xe0 && text[1] < 0xa0) || (*text == 0xed && text[1] > 0x9f) ||
	    (*text == 0xf0 && text[1] < 0x90) || (*text == 0xf4 && text[1] > 0x8f) ||
	    (*text == 0xe2 && turns_text(text)))
		return 0;
	length += 1U + (*text >= 0xe0) + (*text >= 0xf0);
	for (size_t i = 1; i < length; i++)
		if ((text[i] & 0xc0) != 0x80)
			return 0;
	return length;
}

void error_sanitise(char *text)
{
	while (*text) {
		size_t length = shown_length((const unsigned char *)text);

		if (length == 0)
			*text = '?';
		text += length ? length : 1;
	}
}

void error_record(struct error *err, int code, const char *format, ...)
{
	va_list args;
	char text[ERROR_TEXT_MAX];

	if (!err)
		return;
	/* By way of a copy: an argument may be the text that is being replaced. */
	va_start(args, format);
	(void)vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	error_sanitise(text);
	memcpy(err->text, text, sizeof(text));
	err->code = code;
}

void error_prefix(struct error *err, const char *format, ...)
{
	va_list args;
	char prefix[ERROR_TEXT_MAX];

	if (!err)
		return;
	va_start(args, format);
	(void)vsnprintf(prefix, sizeof(prefix), format, args);
	va_end(args);
	error_record(err, err->code, "%s%s", prefix, err->text);
}
