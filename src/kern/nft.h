/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * nf_tables as values. A table image (sets with elements, chains, rules as short programs over one
 * register) is built in memory, written to the kernel in one batch, read back into the same shape,
 * and compared. No rule text goes to the kernel; text is only for people (nft_print).
 *
 * The programs use register 1 only: load a field, perhaps mask it, compare or look it up, give a
 * verdict. What the kernel holds beyond that reads as NFT_OP_OTHER and never compares equal.
 */
#ifndef STANCH_KERN_NFT_H
#define STANCH_KERN_NFT_H

#include <net/if.h>
#include <netinet/in.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "kern/nl.h"

#define NFT_NAME_CAP    64 /* of our own tables, chains and sets; longer foreign names are cut */
#define NFT_EXPRS_MAX   20 /* of one rule */
#define NFT_COMMENT_MAX 64
#define NFT_KEY_MAX     16

/* OWNER | PERSIST, by number since the headers may be older than the kernel: only the netlink
 * socket that made or adopted such a table may change it (others get -EPERM, `flush ruleset` leaves
 * it out), and it stays when that socket closes; then it is nobody's. PERSIST is known since
 * Linux 6.9; OWNER alone is never used: such a table goes with its owner. */
#define NFT_TABLE_HELD    0x6u
#define NFT_TABLE_PERSIST 0x4u

enum nft_op {
	NFT_OP_META,    /* key: NFT_META_* */
	NFT_OP_PAYLOAD, /* base: NFT_PAYLOAD_*, off, len (bytes) */
	NFT_OP_MASK,    /* data[len]: reg &= data */
	NFT_OP_CMP,     /* key: NFT_CMP_EQ or NFT_CMP_NEQ, data[len] */
	NFT_OP_LOOKUP,  /* name: the set; key: 0, or NFT_LOOKUP_F_INV */
	NFT_OP_VERDICT, /* key: NF_ACCEPT, NF_DROP, NFT_JUMP, NFT_RETURN; name: the chain jumped to
	                 */
	NFT_OP_OTHER,   /* read back only; name: the kernel's name of the expression */
};

struct nft_expr {
	uint8_t op, base, len;
	uint16_t off;
	uint32_t key;
	uint8_t data[NFT_KEY_MAX];
	char name[NFT_NAME_CAP];
};

struct nft_rule {
	struct nft_expr v[NFT_EXPRS_MAX];
	size_t n;
	uint64_t handle; /* read back only; not compared */
};

struct nft_chain {
	char name[NFT_NAME_CAP];
	bool base;     /* has a hook */
	uint32_t hook; /* NF_INET_*, NF_BR_*, NF_NETDEV_* */
	int32_t prio;
	uint32_t policy;        /* NF_ACCEPT, NF_DROP */
	char dev[IFNAMSIZ];     /* netdev; "" else. Read back: "*" when it hangs on several */
	struct nft_rule *rules; /* owned */
	size_t n_rules;
	int error; /* -ENOMEM: a rule is missing here; nft_put_table refuses the chain */
};

struct nft_elem {
	uint8_t key[NFT_KEY_MAX];
	bool interval_end; /* the first key behind an interval */
	uint64_t timeout;  /* milliseconds; 0: for good */
	uint64_t left;     /* milliseconds, read back only; 0 with a timeout: about to go */
};

enum nft_key { NFT_KEY_NFPROTO, NFT_KEY_IFINDEX, NFT_KEY_IP4, NFT_KEY_IP6, _NFT_KEY_MAX };

struct nft_set {
	char name[NFT_NAME_CAP];
	enum nft_key key;       /* read back: _NFT_KEY_MAX for one that is none of ours */
	uint32_t flags;         /* NFT_SET_TIMEOUT, NFT_SET_INTERVAL */
	struct nft_elem *elems; /* owned; sorted by key when read back */
	size_t n_elems;
};

struct nft_table {
	uint8_t family; /* NFPROTO_INET, NFPROTO_NETDEV, NFPROTO_BRIDGE */
	char name[NFT_NAME_CAP];
	char comment[NFT_COMMENT_MAX]; /* "": none */
	uint32_t flags;                /* NFT_TABLE_F_*; ours have none, or NFT_TABLE_HELD */
	uint32_t owner;                /* read back only: port of the owning socket; 0: nobody */
	struct nft_chain *chains;      /* owned */
	size_t n_chains;
	struct nft_set *sets; /* owned */
	size_t n_sets;
};

void nft_table_free(struct nft_table *t); /* what it owns; takes NULL; leaves a zeroed struct */
/* Each appends a zeroed element and returns it, valid until the next call; NULL: out of memory. */
struct nft_chain *nft_add_chain(struct nft_table *t, const char *name);
struct nft_set *nft_add_set(struct nft_table *t, const char *name, enum nft_key key,
                            uint32_t flags);
struct nft_rule *nft_add_rule(struct nft_chain *c);
struct nft_elem *nft_add_elem(struct nft_set *s);
struct nft_chain *nft_find_chain(const struct nft_table *t, const char *name); /* NULL: none */
struct nft_set *nft_find_set(const struct nft_table *t, const char *name);
size_t nft_key_len(enum nft_key key); /* bytes */

/* Append one step to a rule. A rule that is full stays full and is refused by nft_put_table. */
void nft_meta(struct nft_rule *r, uint32_t key);
void nft_payload(struct nft_rule *r, uint8_t base, uint16_t off, uint8_t len);
void nft_mask(struct nft_rule *r, const void *mask, uint8_t len);
void nft_cmp(struct nft_rule *r, uint32_t op, const void *data, uint8_t len);
void nft_lookup(struct nft_rule *r, const char *set, bool inverted);
void nft_verdict(struct nft_rule *r, uint32_t verdict, const char *chain);

/* A batch under construction. The first failure is kept; nft_commit returns it. */
struct nft_batch {
	struct buf bytes;
	size_t messages;
	size_t last; /* offset of the last message */
	int error;
};

#define NFT_BATCH_BYTES_MAX (256u << 20)

void nft_batch_begin(struct nft_batch *b);
void nft_batch_free(struct nft_batch *b);
/* Whole table: table, sets, chains, rules, elements. */
void nft_put_table(struct nft_batch *b, const struct nft_table *t);
void nft_put_chain(struct nft_batch *b, const struct nft_table *t, const struct nft_chain *c);
void nft_del_chain(struct nft_batch *b, const struct nft_table *t, const char *chain);
void nft_del_table(struct nft_batch *b, uint8_t family, const char *name);
/* Takes a table that has PERSIST and no owner for the socket that commits the batch. */
void nft_adopt_table(struct nft_batch *b, uint8_t family, const char *name);
/* Elements of an existing set: n of v are added or deleted; flush empties the set. Deleting a
 * missing element fails the batch with -ENOENT. */
void nft_put_elems(struct nft_batch *b, const struct nft_table *t, const struct nft_set *s,
                   const struct nft_elem *v, size_t n);
void nft_del_elems(struct nft_batch *b, const struct nft_table *t, const struct nft_set *s,
                   const struct nft_elem *v, size_t n);
void nft_flush_set(struct nft_batch *b, const struct nft_table *t, const struct nft_set *s);
/* All or nothing. A batch without messages is a success. */
int nft_commit(struct nl *nl, struct nft_batch *b, struct err *e);
/* Has the kernel check the whole batch and take none of it. */
int nft_try(struct nl *nl, struct nft_batch *b, struct err *e);

/* Reads a table back, rules in order. -ENOENT: there is none. elements: with set elements. A
 * ruleset that changes meanwhile is read again, at most 5 times (-EAGAIN). */
int nft_read_table(struct nl *nl, uint8_t family, const char *name, bool elements,
                   struct nft_table *ret, struct err *e);
/* Only the table itself: name, comment, flags. -ENOENT. */
int nft_read_head(struct nl *nl, uint8_t family, const char *name, struct nft_table *ret,
                  struct err *e);

/* Flow tables of every table: connections in them pass the forward hook no more. */
#define NFT_FLOW_DEVICES   8 /* of them kept; n_devices counts all */
#define NFT_FLOWTABLES_MAX 4096
struct nft_flowtable {
	uint8_t family;
	char table[NFT_NAME_CAP], name[NFT_NAME_CAP]; /* any bytes: clean them */
	char devices[NFT_FLOW_DEVICES][IFNAMSIZ];
	size_t n_devices;
};
/* One of the kernel's answers; false: too short for one. Names are cut. Pure. */
bool nft_flowtable_of(const struct nlmsghdr *h, struct nft_flowtable *ret);
/* malloc'd. */
int nft_flowtables(struct nl *nl, struct nft_flowtable **ret, size_t *ret_n, struct err *e);

/* Compares structure: comment, flags, sets (not their elements), chains, rules. One sentence for
 * each difference is appended to drift; the number of differences is returned. */
unsigned nft_compare(const struct nft_table *want, const struct nft_table *have, struct buf *drift);
bool nft_rule_equal(const struct nft_rule *a, const struct nft_rule *b);

const char *nft_family_str(uint8_t family); /* "inet", "netdev", "bridge" */
/* One rule in nft's language, for people: "meta l4proto tcp th sport 22 accept". */
int nft_print_rule(const struct nft_rule *r, struct buf *out);
/* The `nft` lines that make this table ("add table inet x", …). prefix is put before each. */
int nft_print_table(const struct nft_table *t, const char *prefix, struct buf *out);

#endif
