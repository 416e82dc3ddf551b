/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What the configuration says of the network around this host: assets (hosts that may be contained)
 * and points (what carries orders out). Both are sections of settings; which settings a point takes
 * is its driver's table. Plain data: nothing here is connected, resolved or loaded, and no setting
 * holds a secret, only where one is to be found.
 */
#ifndef STANCH_MODEL_INVENTORY_H
#define STANCH_MODEL_INVENTORY_H

#include <stdbool.h>
#include <stddef.h>

#include "base/addr.h"
#include "base/buf.h"
#include "base/err.h"
#include "model/order.h"

#define ASSETS_MAX        4096
#define POINTS_MAX        64
#define ASSET_ADDRS_MAX   32
#define SECTION_NAME_MAX  64 /* as a step names its point */
#define SETTINGS_MAX      64 /* values in one section */
#define SETTING_VALUE_MAX 1024

/* One row of what a section takes. */
struct setting_key {
	const char *name;
	bool list, required;
	const char *value; /* placeholder: "FILE" */
	const char *help;
	/* -EINVAL with what is wrong about text; NULL: any text that is not empty. */
	int (*check)(const char *text, struct err *e);
};

struct setting {
	const struct setting_key *key; /* a static row */
	char *text;                    /* owned */
	unsigned line;                 /* in the configuration's file; 0: unknown */
};

struct section {
	char name[SECTION_NAME_MAX]; /* the title: "edge-asa" */
	unsigned line;
	struct setting v[SETTINGS_MAX];
	size_t n;
};

struct asset {
	struct section s;
	struct addr addrs[ASSET_ADDRS_MAX];
	size_t n_addrs;
};

struct inventory {
	struct asset **assets; /* owned, each */
	size_t n_assets;
	struct section **points; /* owned, each */
	size_t n_points;
};

enum section_kind { SECTION_ASSET, SECTION_POINT };

extern const struct setting_key asset_keys[]; /* ended by a NULL name */
extern const struct setting_key point_keys[]; /* what every point takes beside its driver's own */
const struct setting_key *setting_key_find(const struct setting_key *keys, const char *name);

/* The section of that name, made if absent. key is a static row, kept. -EINVAL, -E2BIG. */
int inventory_set(struct inventory *inv, enum section_kind kind, const char *title, unsigned line,
                  const struct setting_key *key, const char *text, struct err *e);
void inventory_free(struct inventory *inv); /* and inv itself; takes NULL */

/* What a section may hold: `common`, and `own` (NULL: nothing more). -EINVAL; *ret_line is where.
 */
int section_check(const struct section *s, const struct setting_key *common,
                  const struct setting_key *own, unsigned *ret_line, struct err *e);
/* The i-th value of key; NULL behind the last. */
const char *section_get(const struct section *s, const char *key, size_t i);
/* In canonical form: the keys of `common` in its order, then the others by name. */
void section_print(const struct section *s, const char *kind, const struct setting_key *common,
                   struct buf *out);

/* By name or by one of its addresses; NULL: none. inv may be NULL. */
const struct asset *inventory_asset(const struct inventory *inv, const char *name);
const struct section *inventory_point(const struct inventory *inv, const char *name);

/* The addresses that an order's host target stands for: the asset's, or the address itself where no
 * asset has it. -ENOENT with a sentence. */
int inventory_addrs(const struct inventory *inv, const struct target *t,
                    struct addr ret[static ASSET_ADDRS_MAX], size_t *ret_n, struct err *e);

#endif
