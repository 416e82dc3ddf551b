/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * sshd_config, line by line: keywords and their arguments, as OpenSSH takes them apart. Source:
 * sshd_config(5); of quotes and backslashes misc.c, argv_split.
 */
#ifndef STANCH_WIRE_SSHD_CONF_H
#define STANCH_WIRE_SSHD_CONF_H

#include "wire/lines.h"

struct sshd_line {
	uint32_t number;
	struct cursor keyword; /* compare by sshd_is: case does not matter */
	struct cursor rest;    /* take arguments off it by sshd_arg */
	bool in_match;         /* below a Match line, or one itself */
};

struct sshd_reader {
	struct lines lines;
	bool in_match;
};

struct sshd_reader sshd_reader_of(const void *bytes, size_t n);
/* Comments and blank lines are passed over. */
bool sshd_next(struct sshd_reader *r, struct sshd_line *ret);
bool sshd_is(const struct sshd_line *l, const char *keyword);
/* The next argument without its quotes, terminated; false at the end or at a comment, and where it
 * does not fit. */
bool sshd_arg(struct sshd_line *l, char *dst, size_t n);

#define SSHD_PATTERN_MAX 512
/* A pattern for DenyUsers that means this name: what would mean something else there ('*', '@',
 * '!', blanks, quotes, …) becomes '?', which is any one byte. *ret_exact: nothing had to.
 * -ENAMETOOLONG. */
int sshd_pattern(const char *name, char dst[static SSHD_PATTERN_MAX], bool *ret_exact);

#endif
