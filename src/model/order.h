/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * An order: verb + targets + arguments, the shape of an OpenC2 command. What a person asked for,
 * nothing about how it is done. Plain data, owned by whoever holds the struct.
 */
#ifndef STANCH_MODEL_ORDER_H
#define STANCH_MODEL_ORDER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/addr.h"
#include "base/clock.h"
#include "base/table.h"
#include "model/feed.h"

enum verb {
	VERB_ISOLATE,
	VERB_BLOCK,
	/* Of processes, services and accounts of this host: one order, one or more of them. */
	VERB_FREEZE,  /* they stay as they are and run no more */
	VERB_KILL,    /* frozen, captured, ended */
	VERB_DISABLE, /* a service cannot start, an account cannot log in */
	_VERB_MAX,
	_VERB_INVALID = -EINVAL
};
STRING_TABLE_DECLARE(verb, enum verb);

enum target_kind {
	TARGET_HOST,
	TARGET_PREFIX,
	TARGET_DOMAIN,
	/* Groups of processes on a host; the name is as given. */
	TARGET_UNIT,      /* "nginx.service", or the path of a cgroup */
	TARGET_ACCOUNT,   /* a name or a uid */
	TARGET_PROCESS,   /* a pid: it and what descends from it */
	TARGET_CONTAINER, /* an id or its beginning, a name, or the path of a cgroup */
	_TARGET_MAX,
	_TARGET_INVALID = -EINVAL
};
STRING_TABLE_DECLARE(target_kind, enum target_kind);

#define TARGET_NAME_MAX 254

struct target {
	enum target_kind kind;
	char name[TARGET_NAME_MAX]; /* as given: "self", "203.0.113.5", "evil.example" */
	struct prefix prefix;       /* TARGET_PREFIX; an address is a full-length prefix */
	/* Set when this prefix was pinned by resolving a domain; "" otherwise. */
	char domain[TARGET_NAME_MAX];
};

/*
 * What a cut lets through. A permit is stateless: it names packets, not connections, so that it
 * means the same with and without connection tracking. Ports are host order, 0 is any.
 */
enum permit_kind {
	PERMIT_FLOW, /* peer, proto, local_port, peer_port; both directions */
	PERMIT_ARP,  /* ARP about the v4 address `peer` (a gateway or an on-link peer) */
	PERMIT_ND,   /* ICMPv6 neighbour solicitation/advertisement with hop limit 255 about `peer`,
	                and about our own addresses */
	PERMIT_RA,   /* router solicitation out, router advertisement in, hop limit 255 */
	PERMIT_DHCP4,  /* UDP 68 <-> 67 */
	PERMIT_DHCP6,  /* UDP 546 <-> 547, link-local */
	PERMIT_TOOBIG, /* in only: ICMP 3/4 and ICMPv6 type 2 */
	_PERMIT_MAX,
	_PERMIT_INVALID = -EINVAL
};
STRING_TABLE_DECLARE(permit_kind, enum permit_kind);

#define PERMIT_MAX     64 /* of one order */
#define PERMIT_WHY_MAX 64

struct permit {
	enum permit_kind kind;
	struct prefix peer; /* family ADDR_NONE where the kind needs none */
	uint8_t proto;      /* IPPROTO_*; 0: every protocol if no port is given, else TCP and UDP */
	uint16_t local_port;      /* our side */
	uint16_t peer_port;       /* the other side */
	bool breakglass;          /* takes effect only when a `widen` deadline has passed */
	char why[PERMIT_WHY_MAX]; /* "--keep", "own session", "gateway", … */
};

enum on_expiry { EXPIRY_OPEN, EXPIRY_WIDEN, _EXPIRY_MAX, _EXPIRY_INVALID = -EINVAL };
STRING_TABLE_DECLARE(on_expiry, enum on_expiry);

/* The life of an order, as a person sees it. */
enum order_state {
	ORDER_PLANNED,
	ORDER_APPLYING,    /* at least one INTENT is on disk, the result is not */
	ORDER_UNCONFIRMED, /* in force; the dead man's switch is running */
	ORDER_HELD,        /* in force, confirmed (or never had a deadline) */
	ORDER_PARTIAL,     /* in force, but something that was planned is not; says what */
	ORDER_EXPIRED, /* deadline or time-to-live has passed; lifted (or widened) by the kernel */
	ORDER_UNDONE,
	ORDER_FAILED, /* nothing of it is in force */
	_ORDER_STATE_MAX,
	_ORDER_STATE_INVALID = -EINVAL
};
STRING_TABLE_DECLARE(order_state, enum order_state);

/* Two clocks. Zero: no such clock. */
struct deadlines {
	usec_t confirm_by_boot; /* CLOCK_BOOTTIME of boot `boot`; unconfirmed then: on_expiry */
	usec_t confirm_by_wall; /* the same instant, for people */
	usec_t until_wall;      /* --for: time-to-live */
	usec_t until_boot;      /* the same instant on this boot's clock */
	char boot[BOOT_ID_MAX]; /* the boot these boot times belong to */
	enum on_expiry on_expiry;
};

#define ORDER_TARGETS_MAX 65536
#define ORDER_REASON_MAX  256

struct order {
	unsigned id; /* o7 → 7; 0 before the journal has given one */
	enum verb verb;
	struct target *targets; /* owned, n_targets; isolate has one */
	size_t n_targets;
	struct feed *feeds; /* owned; block: what it takes from lists, and what these spare */
	size_t n_feeds;
	struct permit *permits; /* owned; isolate: the whole allow-list, resolved and printed */
	size_t n_permits;
	struct deadlines deadlines;
	bool all_or_nothing;
	char reason[ORDER_REASON_MAX];
	enum order_state state;
};

void order_free(struct order *o); /* what it owns; takes NULL; leaves a zeroed struct */
int order_add_target(struct order *o, const struct target *t, struct err *e);
int order_add_permit(struct order *o, const struct permit *p, struct err *e); /* no duplicates */

/* Takes f->fd over, also when it fails. */
int order_add_feed(struct order *o, const struct feed *f, struct err *e);

/* "tcp 198.51.100.7 <-> :22 (own session)": one permit as a person reads it. */
struct buf;
int permit_describe(const struct permit *p, struct buf *out);
/* Does packet (dir out: dst=peer) with these properties fit the permit? The one definition of
 * PERMIT_FLOW; kernel programs and rules must agree with it, and tests hold them to it. */
bool permit_matches_flow(const struct permit *p, const struct addr *peer, uint8_t proto,
                         uint16_t local_port, uint16_t peer_port);

/* Orders to and from JSON text (one object), the form the journal keeps. Parsing checks every
 * field, refuses unknown ones, and never trusts that we wrote it. */
int order_to_json(const struct order *o, struct buf *out);
int order_from_json(const char *json, struct order *ret, struct err *e);

#endif
