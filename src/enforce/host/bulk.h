/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The bulk tier of block: the prefixes of whole feeds, in two tries that programs at tc ingress and
 * egress of every device ask (kern/bulkprog.h). Four parts:
 *
 *   bulk_pieces.c   pure: from entries that overlap to the fewest disjoint prefixes
 *   bulk_hooks.c    the programs at the devices
 *   bulk_wants.c    what the orders in force want together
 *   bulk.c          steps of kind host.bulk
 */
#ifndef STANCH_ENFORCE_HOST_BULK_H
#define STANCH_ENFORCE_HOST_BULK_H

#include "enforce/host/parts.h"
#include "kern/bulkprog.h"

/* ---- bulk_pieces.c ---- */

struct bulk_want {
	struct prefix prefix;
	uint64_t until; /* CLOCK_BOOTTIME, ns; 0: for good */
};

enum bulk_trie { BULK_V4, BULK_V6, _BULK_TRIE_MAX };
/* ADDR_V4, ADDR_V6 */
enum addr_family bulk_family(enum bulk_trie t);

struct bulk_sets {
	struct bulk_entry *v[_BULK_TRIE_MAX]; /* owned; sorted by address, disjoint */
	size_t n[_BULK_TRIE_MAX];
};
void bulk_sets_free(struct bulk_sets *s); /* takes NULL; leaves a zeroed struct */

/* Pure: the fewest prefixes by which every address has the latest `until` that any of the n wants
 * gives it, and no address of an allowed prefix has one. Sorts v and allow in place. */
int bulk_desired(struct bulk_want *v, size_t n, struct prefix *allow, size_t n_allow,
                 struct bulk_sets *ret, struct err *e);
/* NULL: no entry holds this address. */
const struct bulk_entry *bulk_find(const struct bulk_sets *s, const struct addr *a);

/* What must be put into a trie (new, or with another time), and what taken out, so that it holds
 * `want`; times that differ by at most slack ns are the same. Both malloc'd. */
struct bulk_delta {
	struct bulk_entry *put, *del; /* owned */
	size_t n_put, n_del;
};
void bulk_delta_free(struct bulk_delta *d);
int bulk_diff(const struct bulk_entry *want, size_t n_want, const struct bulk_entry *have,
              size_t n_have, uint64_t slack, struct bulk_delta *ret, struct err *e);

/* ---- bulk_hooks.c ---- */

/* The programs as they hang on a device now. */
struct bulk_device {
	bool ingress, egress; /* ours, with these tries */
	bool kin;             /* one of our name that is not: another version's, or a forgery */
	bool foreign_ahead;   /* another program runs before ours on one of the hooks */
};

/* Opens the programs and tries that hang on any of these devices; -ENOENT: none is ours. */
int bulk_open(const struct link *v, size_t n, struct bulkprog *ret, struct err *e);
int bulk_device_read(const struct bulkprog *b, const struct link *dev, struct bulk_device *ret,
                     struct err *e);
/* Which of the programs reads this device's frames; -EOPNOTSUPP: none does. */
int bulk_layer_of(const struct link *dev, enum bulk_layer *ret, struct err *e);
/* Hangs the programs on both hooks where they are not yet, then takes away those of our name with
 * other tries: at no moment is there none. b has the program that the device needs. -EBUSY: an
 * ingress qdisc is in the way; -EOPNOTSUPP: its frames cannot be read. -ENODEV: the device has
 * gone. */
int bulk_attach(const struct bulkprog *b, const struct link *dev, struct err *e);
/* Takes every program of our name away, and the qdisc if it was made for them and nobody else uses
 * it. b NULL: who made the qdisc is not known, it stays. Absent is success. */
int bulk_detach(const struct bulkprog *b, const struct link *dev, struct err *e);
/* Programs of our name on any hook of the device. */
int bulk_named(const struct link *dev, unsigned *ret, struct err *e);

#define BULK_RAW_WHY                                                                               \
	"packet sockets that pass by queueing (PACKET_QDISC_BYPASS), AF_XDP sockets and XDP "      \
	"redirects pass behind tc: isolate stops the first, a feed none"

/* ---- bulk_wants.c ---- */

#define BULK_SLACK_NSEC (SLACK_MSEC * UINT64_C(1000000)) /* what reading back may take */
#define BULK_CACHED     2

/* What a command was asked for, for it asks several times; and when the tries were last read whole.
 */
struct bulk_cache {
	struct bulk_slot {
		char *key; /* owned; NULL: empty */
		struct bulk_sets sets;
	} v[BULK_CACHED];
	size_t next;
	struct bulk_reading {
		const struct bulk_sets *want; /* what it was held against; NULL: not read yet */
		uint32_t maps;
		usec_t at, took;
		size_t held;
		char hex[65];
	} seen;
};
void bulk_cache_free(struct bulk_cache *c); /* takes NULL */

/* Until when an order holds, on the boot clock in ns; 0: for good; -ETIME. Exact where the order is
 * of this boot, so that it reads the same each time. */
int bulk_order_until(const struct deadlines *d, uint64_t *ret);
/* What an order's feeds want blocked, less what its lists spare; nothing when its time is over.
 * *ret is h's, valid until the next two calls. -EBADMSG: stored entries are not those that the
 * order took. */
int bulk_of_order(struct host *h, const struct order *o, const struct bulk_sets **ret,
                  struct err *e);
/* What all of them want together. o may be NULL. *ret_orders: how many want anything. */
int bulk_wanted(struct host *h, const struct order *o, const struct holds *others,
                const struct bulk_sets **ret, size_t *ret_orders, struct err *e);

/* ---- bulk.c ---- */

/* A line for each device that carries programs of our name; `remove` takes them away. */
int bulk_strays(bool remove, struct buf *out, struct err *e);

#endif
