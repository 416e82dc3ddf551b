/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Lines of /etc/passwd, shadow, group and gshadow as glibc reads them, each field a view into the
 * given bytes, so that an editor can replace one field and keep every other byte.
 *
 * glibc passes over blank lines, comments and blanks before a name, and takes lines that are short
 * of fields at their end. All of these are given as they are, too; what glibc would refuse is given
 * with usable false. Nothing here is fatal. Sources: passwd(5), shadow(5), group(5), gshadow(5),
 * glibc nss/nss_files/files-parse.c.
 */
#ifndef STANCH_WIRE_PASSWD_H
#define STANCH_WIRE_PASSWD_H

#include <errno.h>

#include "base/table.h"
#include "wire/lines.h"

enum passwd_file {
	PASSWD_PASSWD,
	PASSWD_SHADOW,
	PASSWD_GROUP,
	PASSWD_GSHADOW,
	_PASSWD_FILE_MAX,
	_PASSWD_FILE_INVALID = -EINVAL
};
STRING_TABLE_DECLARE(passwd_file, enum passwd_file); /* "passwd", "shadow", … */

/* Columns, by file. */
enum { PASSWD_NAME, PASSWD_SECRET };                                          /* of all four */
enum { PASSWD_UID = 2, PASSWD_GID, PASSWD_GECOS, PASSWD_HOME, PASSWD_SHELL }; /* passwd */
enum {
	SHADOW_CHANGED = 2, /* days since 1970-01-01; so is SHADOW_EXPIRE */
	SHADOW_MIN,
	SHADOW_MAX,
	SHADOW_WARN,
	SHADOW_INACTIVE,
	SHADOW_EXPIRE,
	SHADOW_FLAG
};
enum { GROUP_GID = 2, GROUP_MEMBERS }; /* members: separated by commas; gshadow: the same place */
enum { GSHADOW_ADMINS = 2 };

#define PASSWD_FIELDS_MAX 9

struct passwd_line {
	uint32_t number;   /* of the line, from 1 */
	size_t start, end; /* offsets into the bytes; end is at the newline or the end of all */
	/* Views without the colons. The last column holds what is left of the line, colons too, as
	 * glibc has it; the name stands without blanks before it. */
	struct cursor field[PASSWD_FIELDS_MAX];
	size_t n;        /* of fields; 0 for a blank line or a comment */
	bool usable;     /* glibc would take it for an entry */
	bool compat;     /* begins with + or -: a directory's entries are let in or shut out here */
	const char *odd; /* what is wrong with it, also where it is usable; NULL */
};

struct passwd_reader {
	struct lines lines;
	enum passwd_file file;
};

struct passwd_reader passwd_reader_of(enum passwd_file file, const void *bytes, size_t n);
/* Every line in turn, blank and broken ones, too; false at the end. */
bool passwd_next(struct passwd_reader *r, struct passwd_line *ret);
/* The first usable line with that name; false: none. */
bool passwd_find(enum passwd_file file, const void *bytes, size_t n, const char *name,
                 struct passwd_line *ret);
/* Column c as a number (uid, gid, days); false where it is absent, empty or none. */
bool passwd_number(const struct passwd_line *l, size_t c, uint64_t *ret);
/* Offset of column c in the bytes, and its length; false where the line is too short for it. */
bool passwd_where(const struct passwd_reader *r, const struct passwd_line *l, size_t c,
                  size_t *ret_at, size_t *ret_len);
/* Is `name` in the list (members, admins) of column c? */
bool passwd_member(const struct passwd_line *l, size_t c, struct cursor name);

/* What a password field lets in. */
enum passwd_secret {
	PASSWD_SECRET_NONE,   /* empty: nobody is asked for one */
	PASSWD_SECRET_SHADOW, /* "x": it stands in shadow */
	PASSWD_SECRET_LOCKED, /* no password fits: "*", "!" and what begins so */
	PASSWD_SECRET_SET,    /* a hash, whatever its kind */
	_PASSWD_SECRET_MAX,
	_PASSWD_SECRET_INVALID = -EINVAL
};
STRING_TABLE_DECLARE(passwd_secret, enum passwd_secret); /* "none", "shadow", "locked", "set" */
enum passwd_secret passwd_secret_of(struct cursor field);

#endif
