/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Inside the driver: what its steps are about, and their payloads. */
#ifndef STANCH_ENFORCE_ACCOUNT_PARTS_H
#define STANCH_ENFORCE_ACCOUNT_PARTS_H

#include "enforce/account/edit.h"
#include "enforce/account/find.h"
#include "enforce/account/mentions.h"
#include "enforce/account/paths.h"
#include "seal/sha256.h"

#define FIELD_FILES 2 /* PASSWD_PASSWD, PASSWD_SHADOW: the files that are edited */

/* How a file was before: it gets its time back when it reads the same again. */
struct file_before {
	char sha256[SHA256_HEX_MAX];
	int64_t sec, nsec;
};

struct fields {
	struct edits edits;
	struct file_before before[FIELD_FILES];
};

struct place {
	char path[PATHS_MAX], to[PATHS_MAX]; /* path_ok, both */
	char what[32];
	char sha256[SHA256_HEX_MAX]; /* "" of a link */
	unsigned uid, gid, mode;
};

#define PLACES_MAX 256

struct places {
	struct place *v; /* owned */
	size_t n;
};

void places_free(struct places *p);

/* Payloads: what comes back may have been written by an enemy. ret is zeroed by the caller. */
int fields_to_json(const struct fields *f, char **ret, struct err *e);
int fields_from_json(const char *json, struct fields *ret, struct err *e);
int places_to_json(const struct places *p, char **ret, struct err *e);
int places_from_json(const char *json, struct places *ret, struct err *e);

/* Everything of the account's that starts programs or lets somebody in, as it lies there now; m:
 * what names it, of which goes what is about nobody else. */
int places_find(int root, const struct account *a, const struct mentions *m, const char *token,
                struct places *ret, struct err *e);
/* Moves all aside, or back; what is in the way is told in *e with -ESTALE when the rest is done. */
int places_move(int root, const struct places *p, bool back, struct err *e);

#endif
