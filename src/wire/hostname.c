/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "wire/hostname.h"

#include <string.h>

#define LABEL_MAX 63

static bool is_digit(uint8_t c)
{
	return c >= '0' && c <= '9';
}

static uint8_t lower(uint8_t c)
{
	return c >= 'A' && c <= 'Z' ? c | 0x20 : c;
}

static bool may_stand(uint8_t c)
{
	return (c >= 'a' && c <= 'z') || is_digit(c) || c == '-' || c == '_';
}

bool hostname_of(const uint8_t *p, size_t n, char ret[static HOSTNAME_MAX])
{
	char name[HOSTNAME_MAX];
	size_t label = 0;
	bool number = true; /* so far the last label is one: of an address, as no top level is */

	if (n && p[n - 1] == '.')
		n--;
	if (!n || n >= sizeof name)
		return false;
	for (size_t i = 0; i < n; i++) {
		uint8_t c = lower(p[i]);
		if (c == '.') {
			if (!label)
				return false;
			label = 0;
			number = true;
		} else if (!may_stand(c) || ++label > LABEL_MAX) {
			return false;
		} else {
			number = number && is_digit(c);
		}
		name[i] = (char)c;
	}
	if (!label || number)
		return false;
	memcpy(ret, name, n);
	ret[n] = 0;
	return true;
}
