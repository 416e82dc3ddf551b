/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Evidence as the journal knows it: what was taken, of what, by whom, why, where it went, and the
 * hash of the manifest that lists its files. Plain data. */
#ifndef STANCH_MODEL_EVIDENCE_H
#define STANCH_MODEL_EVIDENCE_H

#include <stdint.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/table.h"

enum evidence_state {
	EVIDENCE_BEGUN,   /* running, or left unfinished by a process that died */
	EVIDENCE_WHOLE,   /* all of the source, manifest signed */
	EVIDENCE_PARTIAL, /* manifest signed; what is missing stands in it */
	EVIDENCE_FAILED,  /* ended without a manifest; `problem` says why */
	_EVIDENCE_MAX,
	_EVIDENCE_INVALID = -EINVAL
};
STRING_TABLE_DECLARE(evidence_state, enum evidence_state);

#define EVIDENCE_HASH_LEN 32 /* SHA-256 */
#define EVIDENCE_HEX_MAX  65
#define EVIDENCE_TEXT_MAX 256
#define EVIDENCE_PATH_MAX 4096

struct evidence {
	unsigned id; /* e1 → 1; 0 before one is given */
	enum evidence_state state;
	char kind[32];                    /* "disk" */
	char source[EVIDENCE_TEXT_MAX];   /* "/dev/sda", "this host" */
	char place[EVIDENCE_PATH_MAX];    /* the bundle's folder, absolute, or an ssh:// URL */
	char host[EVIDENCE_TEXT_MAX];     /* where it was taken */
	char by[EVIDENCE_TEXT_MAX];       /* "uid 0, login uid 1000, from 192.0.2.5" */
	char examiner[EVIDENCE_TEXT_MAX]; /* as told; "" */
	char case_id[EVIDENCE_TEXT_MAX], reason[EVIDENCE_TEXT_MAX];
	usec_t begun, ended; /* wall; ended 0: not yet */
	uint64_t bytes, missing, files;
	char sha256[EVIDENCE_HEX_MAX];   /* of the content; "" */
	char manifest[EVIDENCE_HEX_MAX]; /* SHA-256 of manifest.json; "" */
	char root[EVIDENCE_HEX_MAX];     /* Merkle root over the files; "" */
	char problem[ERR_TEXT_MAX];      /* FAILED: why; "" */
};

/* malloc'd JSON with sorted keys, NULL when out of memory; and back, every field checked (-EBADMSG,
 * -ENOMEM). The id is not in it: it is the entry's subject. */
char *evidence_json(const struct evidence *v);
int evidence_parse(const char *json, struct evidence *ret, struct err *e);
/* "e7" → 7; -EINVAL. */
int evidence_id_parse(const char *s, unsigned *ret, struct err *e);

#endif
