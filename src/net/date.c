/* SPDX-License-Identifier: Apache-2.0 */
#include "net/date.h"

#include <ctype.h>
#include <stddef.h>
#include <string.h>
#include <time.h>

/* What each character of the form must be: 9 a digit, a a letter, any other itself. */
static const char form[] = "aaa, 99 aaa 9999 99:99:99 GMT";

static bool has_form(const char *text)
{
	for (size_t i = 0; form[i]; i++) {
		int c = (unsigned char)text[i];
		int wanted = (unsigned char)form[i];

		if (wanted == '9' ? !isdigit(c) : wanted == 'a' ? !isalpha(c) : c != wanted)
			return false;
	}
	return text[sizeof(form) - 1 + strspn(text + sizeof(form) - 1, " \t")] == '\0';
}

static int number_at(const char *digits, int count)
{
	int number = 0;

	for (int i = 0; i < count; i++)
		number = number * 10 + (digits[i] - '0');
	return number;
}

/* 0 to 11; negative: no month. The locale must not matter, so strptime(3) will not do. */
static int month_at(const char *name)
{
	static const char names[] = "JanFebMarAprMayJunJulAugSepOctNovDec";

	for (int i = 0; i < 12; i++)
		if (strncmp(names + (ptrdiff_t)3 * i, name, 3) == 0)
			return i;
	return -1;
}

bool http_date_read(const char *text, int64_t *seconds)
{
	struct tm tm = {0};

	if (!has_form(text))
		return false;
	tm.tm_mday = number_at(text + 5, 2);
	tm.tm_mon = month_at(text + 8);
	tm.tm_year = number_at(text + 12, 4) - 1900;
	tm.tm_hour = number_at(text + 17, 2);
	tm.tm_min = number_at(text + 20, 2);
	tm.tm_sec = number_at(text + 23, 2);
	if (tm.tm_mon < 0 || tm.tm_mday < 1 || tm.tm_mday > 31 || tm.tm_hour > 23 ||
	    tm.tm_min > 59 || tm.tm_sec > 60)
		return false;
	*seconds = timegm(&tm);
	return true;
}

static unsigned clamp(int64_t seconds)
{
	if (seconds < 0)
		return 0;
	return seconds < RETRY_AFTER_MAX_S ? (unsigned)seconds : RETRY_AFTER_MAX_S;
}

unsigned retry_after_read(const char *value, int64_t now)
{
	int64_t number = 0;
	const char *end = value;

	if (http_date_read(value, &number))
		return clamp(number - now);
	for (; isdigit((unsigned char)*end); end++)
		if (number <= RETRY_AFTER_MAX_S)
			number = number * 10 + (*end - '0');
	return end == value || end[strspn(end, " \t")] ? 0 : clamp(number);
}
