/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Lists of addresses that somebody published, to be blocked or to be spared. One decoder for each
 * format, all with the same shape: bytes in, entries out, in the order they stand.
 *
 *   list       one address, prefix or range a line; comments begin with #, ; or //
 *   netset     FireHOL's: the same with a header that says how many there are
 *   csv        RFC 4180, also with ; or tabs; columns are known by their names
 *   nft        sets in nft's language (`nft list set`, "add element …"), with time-outs
 *   stix       a STIX 2.1 bundle: indicators with patterns of addresses or domain names
 *   misp       a MISP event or feed (JSON): attributes that are meant for detection (to_ids)
 *   warninglist  a MISP warning list: what is not to be blocked
 *
 * What cannot be read is counted, the first of it kept, and never guessed at: a prefix with host
 * bits set is an error, since nobody can tell what was meant.
 */
#ifndef STANCH_WIRE_BLOCKLIST_H
#define STANCH_WIRE_BLOCKLIST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/addr.h"
#include "base/err.h"
#include "base/table.h"

enum blocklist_format {
	BLOCKLIST_LIST,
	BLOCKLIST_NETSET,
	BLOCKLIST_CSV,
	BLOCKLIST_NFT,
	BLOCKLIST_STIX,
	BLOCKLIST_MISP,
	BLOCKLIST_WARNINGLIST,
	_BLOCKLIST_MAX,
	_BLOCKLIST_INVALID = -EINVAL
};
STRING_TABLE_DECLARE(blocklist_format, enum blocklist_format);

#define BLOCKLIST_NOTE_MAX  96           /* with NUL */
#define BLOCKLIST_BYTES_MAX (256u << 20) /* of text */
#define BLOCKLIST_JSON_MAX  (48u << 20)  /* of JSON, which takes many times its size in memory */
#define BLOCKLIST_TEXT_MAX  96

struct blocklist_entry {
	struct prefix prefix;
	uint32_t line;    /* from 1; 0 in JSON */
	uint32_t until;   /* wall seconds since the epoch; 0: no end is given */
	const char *note; /* where it comes from in the feed's own words; "" none; never a control
	                     character */
};

struct blocklist_sink {
	void (*entry)(void *arg, const struct blocklist_entry *x);
	/* May be NULL. */
	void (*domain)(void *arg, const char *name, uint32_t line);
	void *arg;
};

struct blocklist_stats {
	uint64_t rows;       /* lines, elements, indicators, attributes that were looked at */
	uint64_t entries;    /* rows that gave at least one prefix */
	uint64_t domains;    /* … a domain name */
	uint64_t ended;      /* … something that has run out or was revoked */
	uint64_t not_for_us; /* … what is not for blocking (to_ids false, hashes, file names, …) */
	uint64_t bad;        /* … what could not be read */
	uint64_t declared; /* rows that the header says there are; 0: it does not say */
	uint32_t bad_line; /* of the first bad one */
	char bad_text[BLOCKLIST_TEXT_MAX], bad_why[BLOCKLIST_TEXT_MAX];
	char title[BLOCKLIST_TEXT_MAX]; /* what it calls itself; "" */
};

/* What the bytes look like; BLOCKLIST_LIST when nothing else fits. */
enum blocklist_format blocklist_guess(const void *bytes, size_t n);
/* now: wall seconds. -EBADMSG: it is no such thing at all; -EFBIG; -ENOMEM. */
int blocklist_parse(enum blocklist_format f, const void *bytes, size_t n, uint64_t now,
                    const struct blocklist_sink *sink, struct blocklist_stats *ret, struct err *e);

#endif
