/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Enums with names. An enum runs 0 … _X_MAX-1 with _X_INVALID = -EINVAL; its names stand in a
 * table of exactly _X_MAX strings. Each such table has a round-trip test.
 */
#ifndef STANCH_BASE_TABLE_H
#define STANCH_BASE_TABLE_H

#include <errno.h>
#include <stddef.h>
#include <string.h>

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

/* Declares `const char *NAME_str(enum TYPE)` and `int NAME_parse(const char *)` (-EINVAL). */
#define STRING_TABLE_DECLARE(name, type)                                                           \
	const char *name##_str(type v);                                                            \
	int name##_parse(const char *s)

#define STRING_TABLE_DEFINE(name, type, table)                                                     \
	const char *name##_str(type v)                                                             \
	{                                                                                          \
		size_t i = (size_t)v;                                                              \
		return i < ARRAY_SIZE(table) && (table)[i] ? (table)[i] : "invalid";               \
	}                                                                                          \
	int name##_parse(const char *s)                                                            \
	{                                                                                          \
		for (size_t i = 0; i < ARRAY_SIZE(table); i++)                                     \
			if ((table)[i] && !strcmp((table)[i], s))                                  \
				return (int)i;                                                     \
		return -EINVAL;                                                                    \
	}

#endif
