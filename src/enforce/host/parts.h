/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What the files of the driver `host` share: the kinds of steps, their payloads, and the pure
 * functions from orders to nftables images. Not for other rooms.
 */
#ifndef STANCH_ENFORCE_HOST_PARTS_H
#define STANCH_ENFORCE_HOST_PARTS_H

#include "enforce/host/host.h"
#include "kern/link.h"
#include "kern/nft.h"
#include "kern/nl.h"

struct host {
	char point[STEP_POINT_MAX];
	struct nl nl;                  /* netfilter */
	struct cut_programs *programs; /* owned; for tc egress */
	bool loaded;                   /* one of them is there: this kernel takes it */
	struct cut_programs *inbound;  /* owned; for XDP */
	bool inbound_loaded;
	struct bulk_cache *bulk; /* owned; NULL: nothing was asked for yet */
	struct layers *layers;   /* owned; what the kernel takes, tried but now; NULL: not */
	bool owns;               /* tables are put as the netfilter socket's own */
	bool guards;             /* host_own was called: asks nobody for leave */
	int leave;               /* the guard's leave to change its tables (priv/seat.h); -1 */
};

/* own.c */
/* nft_commit. Where a table is held by the guard, its leave is asked for first, and kept until the
 * driver is closed. */
int host_commit(struct host *h, struct nft_batch *b, struct err *e);
/* Should hold as our own and does not. */
bool host_loose(const struct host *h, const struct nft_table *head);
uint32_t host_table_flags(const struct host *h);
int host_own(void *ctx, bool on, struct err *e);

/* One kind of step; the slots mean what those of driver_ops mean. NULL: nothing to do. */
struct step_kind {
	const char *kind;
	int (*prepare)(struct host *h, const struct order *o, struct step *s, struct err *e);
	int (*apply)(struct host *h, const struct order *o, struct step *s,
	             const struct holds *others, struct err *e);
	int (*verify)(struct host *h, const struct order *o, const struct step *s,
	              const struct holds *others, struct readback *ret, struct err *e);
	int (*undo)(struct host *h, const struct order *o, struct step *s,
	            const struct holds *others, struct err *e);
	int (*rearm)(struct host *h, const struct order *o, struct step *s,
	             const struct holds *others, struct err *e);
	int (*describe)(const struct order *o, const struct step *s, struct buf *out,
	                struct err *e);
};

extern const struct step_kind kind_cut, kind_raw, kind_inbound, kind_queues, kind_sessions,
    kind_block, kind_bulk;

/* ---- payloads (payload.c) ---- */

#define LAYERS_DEVICES_MAX 4096

/* Payload of host.cut and host.block: which layers the kernel takes. Devices are those that were
 * there when the plan was made, for people; apply covers those that are there then. */
struct layers {
	bool egress, ingress, bridge;
	struct layer_device {
		char name[IFNAMSIZ];
		int ifindex;
	} * devices; /* owned */
	size_t n_devices;
};

void layers_free(struct layers *l);
int layers_to_json(const struct layers *l, char **ret, struct err *e);
int layers_from_json(const char *json, struct layers *ret, struct err *e);
/* Inverse of host.cut, host.block and host.raw: "delete what reads as ours". */
int inverse_to_json(const char *kind, char **ret, struct err *e);
int inverse_check(const char *kind, const char *json, struct err *e);
/* Payload of host.sessions. */
int sessions_to_json(char **ret, struct err *e);
int sessions_check(const char *json, struct err *e);
int counts_to_json(const struct session_counts *c, char **ret, struct err *e);

/* What host.raw did, for its undo: per device whether the qdisc is ours. */
struct raw_device {
	char name[IFNAMSIZ];
	int ifindex;
	bool made_clsact;
};
int raw_result_to_json(const struct raw_device *v, size_t n, char **ret, struct err *e);
/* *ret is malloc'd. A NULL text is an empty list. */
int raw_result_from_json(const char *json, struct raw_device **ret, size_t *ret_n, struct err *e);

/* What host.inbound found when it came: programs of others, that keep their places as long as this
 * boot lasts. */
#define KEPT_MAX 4096
struct kept_program {
	int ifindex;
	uint32_t prog_id;
};
struct kept_list {
	char boot[BOOT_ID_MAX];
	struct kept_program *v; /* owned */
	size_t n;
};
int kept_to_json(const struct kept_list *l, char **ret, struct err *e);
/* A NULL text is an empty list. The caller frees v. */
int kept_from_json(const char *json, struct kept_list *ret, struct err *e);

/* ---- devices ---- */

/* All links but loopback; *ret is malloc'd. */
int host_devices(struct link **ret, size_t *ret_n, bool *ret_bridge, struct err *e);
/* "egress_eth0", bytes that nft could not show replaced, and then made unique by the ifindex. */
void device_chain(const struct link *l, bool egress, char name[static NFT_NAME_CAP]);

/* Does the netdev table have this device's chains? */
bool device_covered(const struct nft_table *have, const struct layers *l, const struct link *dev);
/* The devices that a netdev table may be expected to name: those of v that it covers, and those
 * that have gone and left a chain of ours. *ret is malloc'd. */
int devices_expected(const struct nft_table *have, const struct layers *l, const struct link *v,
                     size_t n, struct link **ret, size_t *ret_n, struct err *e);

/* ---- isolate (cut.c) ---- */

#define OUR_COMMENT    "stanch " /* every table of ours begins its comment like this */
#define CUT_TABLES_MAX 3
#define CUT_TABLE      "stanch_isolate"
#define CUT_PRIORITY   (-310) /* before raw (-300), conntrack (-200) and Docker's DNAT (-100) */
#define DRAIN_USEC     (15 * USEC_PER_SEC)
#define SLACK_MSEC     2000u /* what reading back may take */

struct images {
	struct nft_table v[CUT_TABLES_MAX];
	size_t n;
};
void images_free(struct images *m);

/* Pure: the tables of a cut. */
int cut_images(const struct order *o, const char *token, const struct layers *l,
               const struct link *devices, size_t n, const struct hold_time *t, struct images *ret,
               struct err *e);
/* ahead.c: waits for host_look_ahead and moves what it found into a driver that is being opened. */
void ahead_take(struct host *h);

/* Finds out by trial (nothing is changed) which layers this kernel takes. */
int layers_probe(struct host *h, struct layers *ret, struct err *e);

/* inbound_step.c: every device that frames come in by, or go out of, by itself: all but loopback
 * and what stands on another device of ours. */
typedef int (*device_fn)(void *arg, const struct link *dev, struct err *e);
int each_entrance(device_fn cb, void *arg, struct err *e);
/* inbound_step.c: moves the clocks of all XDP programs of ours. */
int inbound_time(const struct hold_time *t, struct err *e);

/* ---- block (block.c) ---- */

#define BLOCK_TABLE "stanch_block"
#define BLOCK_RAW_WHY                                                                              \
	"frames that a BPF or tc redirect puts on a device pass behind nftables: isolate stops "   \
	"them, block does not"
#define BLOCK_COMMENT "stanch block"

struct block_want {
	struct prefix prefix;
	uint64_t left; /* milliseconds; 0: for good */
};

enum block_set { BLOCK_HOT4, BLOCK_HOT6, BLOCK_NET4, BLOCK_NET6, _BLOCK_SET_MAX };

struct block_sets {
	struct nft_elem *v[_BLOCK_SET_MAX]; /* owned; sorted by key */
	size_t n[_BLOCK_SET_MAX];
};
void block_sets_free(struct block_sets *s);

/* Pure: what the sets must hold so that every address has the latest expiry that anybody wants for
 * it. Overlapping prefixes come out as disjoint intervals, split where the expiry changes. */
int block_desired(const struct block_want *v, size_t n, struct block_sets *ret, struct err *e);

/* Time left of a block order in milliseconds, 0: for good; -ETIME: over. */
int block_left(const struct deadlines *d, usec_t boot, uint64_t *ret);

/* ---- shared ---- */

uint64_t msec_left(usec_t left); /* rounded up; 0 stays 0 */
/* Is the time left in the kernel the wanted one, within what reading takes? */
bool left_agrees(uint64_t want_msec, const struct nft_elem *have);
bool time_agrees(usec_t want, usec_t have); /* the same of a program's clock */
/* Moves the text to where its verdict wants it; text is left empty. */
void readback_tell(struct readback *rb, struct buf *text);
/* Adds a sentence to what must be told of a step. */
void step_add_problem(struct step *s, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* May our own table be replaced? 0 when it is absent or ours by its comment ("stanch …"). */
int table_present(struct host *h, uint8_t family, const char *name, struct nft_table *ret_head,
                  bool *ret_present, struct err *e);
void rule_ip(struct nft_rule *r, uint8_t table_family, enum addr_family v);
void rule_jump(struct nft_chain *c, const char *to);
/* A base chain at CUT_PRIORITY whose one rule jumps to the chain `to`; dev NULL: the hook has no
 * device. 0 or -ENOMEM. */
int base_chain(struct nft_table *t, const char *name, uint32_t hook, const char *dev,
               const char *to);

/* ---- what nobody claims (strays.c) ---- */

int host_strays(void *ctx, const struct holds *claims, bool remove, struct buf *out, struct err *e);

/* ---- what stands against an isolation (snapshot.c) ---- */

/* Refuses (-EPERM) when the root file system comes over the network; notes a directory login. */
int snapshot_guards(struct plan *p, struct err *e);
/* The parts that read text, for tests. */
bool mountinfo_root_is_remote(const char *mountinfo, char why[static 128]);
bool nsswitch_asks_network(const char *nsswitch, char service[static 32]);

#endif
