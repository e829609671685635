/* SPDX-License-Identifier: Apache-2.0 */
#include "base/error.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* Length of the UTF-8 sequence that begins at `text`; 0 when it is none, or is a control character (C0, DEL, C1). */
static size_t shown_length(const unsigned char *text)
{
	size_t length = 1;

	if (*text < 0x80)
		return *text >= 0x20 && *text != 0x7f;
	if (*text < 0xc2 || *text > 0xf4 || (*text == 0xc2 && text[1] < 0xa0))
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

int error_prefix(struct error *err, const char *format, ...)
{
	va_list args;
	char prefix[ERROR_TEXT_MAX];

	if (!err)
		return 0;
	va_start(args, format);
	(void)vsnprintf(prefix, sizeof(prefix), format, args);
	va_end(args);
	return error_set(err, err->code, "%s%s", prefix, err->text);
}
