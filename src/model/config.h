/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The configuration as a plain value. One table of keys says name, type, default and meaning; the
 * parser (ui/config_file.c), the canonical form and the man page are made from it.
 */
#ifndef STANCH_MODEL_CONFIG_H
#define STANCH_MODEL_CONFIG_H

#include <stdbool.h>
#include <stddef.h>

#include "base/addr.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/err.h"
#include "model/inventory.h"
#include "model/order.h"

#define CONFIG_PATH_DEFAULT "/etc/stanch/stanch.conf"
#define STATE_DIR_DEFAULT   "/var/lib/stanch"
#define CONFIG_LIST_MAX     64
#define CONFIG_STATE_MAX    256
#define CONFIG_KEYS_MAX     16

/* "--keep-in PREFIX[@LOCALPORT]" */
struct keep_in {
	struct prefix peer;
	uint16_t local_port; /* 0: any */
};

struct config {
	char state[CONFIG_STATE_MAX]; /* absolute path */
	struct endpoint keep[CONFIG_LIST_MAX];
	size_t n_keep;
	struct keep_in keep_in[CONFIG_LIST_MAX];
	size_t n_keep_in;
	struct endpoint keep_out[CONFIG_LIST_MAX];
	size_t n_keep_out;
	struct prefix break_glass[CONFIG_LIST_MAX];
	size_t n_break_glass;
	struct prefix protect[CONFIG_LIST_MAX]; /* never to be blocked */
	size_t n_protect;
	usec_t confirm_within;
	enum on_expiry on_expiry;
	struct inventory *inventory; /* owned by who loaded it; NULL: no section was read */
	char geo_country[CONFIG_STATE_MAX], geo_asn[CONFIG_STATE_MAX]; /* absolute; "" none */
	unsigned line[CONFIG_KEYS_MAX]; /* where the i-th key was set last; 0: nowhere */
	bool on_expiry_given;           /* else: widen when break_glass is set, open when not */
};

enum config_type { CONFIG_TEXT, CONFIG_DURATION, CONFIG_ENUM, CONFIG_LIST };

struct config_key {
	const char *name;
	enum config_type type;
	const char *value; /* placeholder: "PREFIX" */
	const char *help;
	/* Checks text and stores it (a list: appends it). -EINVAL, -E2BIG. */
	int (*set)(struct config *c, const char *text, struct err *e);
	/* The i-th value in canonical text in dst; false behind the last. */
	bool (*get)(const struct config *c, size_t i, char *dst, size_t n);
};

extern const struct config_key config_keys[]; /* ended by a NULL name */

void config_init(struct config *c); /* the defaults */
void config_free(struct config *c); /* what it owns */
const struct config_key *config_key_find(const char *name);
unsigned config_line(const struct config *c, const char *name); /* 0: not set in a file */
enum on_expiry config_on_expiry(const struct config *c);
/* The canonical form: every key, in the table's order, then assets and points. Parses back to the
 * same. */
int config_print(const struct config *c, struct buf *out);

int keep_in_parse(const char *s, struct keep_in *ret, struct err *e);
const char *keep_in_str(const struct keep_in *k, char dst[static PREFIX_STR_MAX + 8]);

#endif
