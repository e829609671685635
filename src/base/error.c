/* SPDX-License-Identifier: Apache-2.0 */
#include "base/error.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

void error_sanitise(char *text)
{
	for (; *text; text++)
		if ((unsigned char)*text < 0x20 || *text == 0x7f)
			*text = '?';
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
