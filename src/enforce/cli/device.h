/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The description of a kind of device: [section] lines, then `key = value`; # in the first column
 * is a comment. Every key stands in one table with what it is; a key may come several times where
 * it is a list of lines. Values of templates hold {names}; expressions are POSIX extended.
 */
#ifndef STANCH_ENFORCE_CLI_DEVICE_H
#define STANCH_ENFORCE_CLI_DEVICE_H

#include <regex.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "base/err.h"

#define DEVICE_TEXT_MAX   (64u << 10)
#define DEVICE_VALUES_MAX 128
#define DEVICE_GROUPS_MAX 6

enum device_type {
	DEVICE_TEXT,
	DEVICE_LINE /* template, sent */,
	DEVICE_PART /* template */,
	DEVICE_REGEX,
	DEVICE_NUMBER
};

struct device_key {
	const char *name; /* "session.prompt" */
	enum device_type type;
	bool list, required;
};
extern const struct device_key device_keys[]; /* ended by a NULL name */

struct device_value {
	const struct device_key *key;
	char *text;     /* owned */
	regex_t *regex; /* owned; DEVICE_REGEX only */
};

struct device {
	struct device_value v[DEVICE_VALUES_MAX];
	size_t n;
};

/* text: what stands in the file; name: for errors ("asa", a path). -EINVAL with name and line. */
int device_parse(const char *name, const char *text, struct device **ret, struct err *e);
/* A built-in one by its name; -ENOENT names those there are. */
int device_builtin(const char *name, struct device **ret, struct err *e);
void device_free(struct device *d); /* takes NULL */

/* The i-th value; NULL behind the last. */
const char *device_get(const struct device *d, const char *key, size_t i);
long device_number(const struct device *d, const char *key); /* 0: not given */
/* Does line fit? Groups (may be NULL) as text in dst[1…]; false where the key is not given. */
struct device_match {
	char group[DEVICE_GROUPS_MAX][512];
};
bool device_fits(const struct device *d, const char *key, const char *line,
                 struct device_match *ret);

/* What {names} stand for; NULL: not known here. */
struct device_vars {
	const char *list, *entry, *position, *number, *first, *address, *last, *mask, *wildcard,
	    *length, *object, *tag, *n, *protocol, *source, *destination, *source_port,
	    *destination_port, *port;
};
/* -EINVAL: a name that has no value now. Values are written as they are: they are ours or checked.
 */
int device_expand(const char *template, const struct device_vars *v, struct buf *out,
                  struct err *e);

#endif
