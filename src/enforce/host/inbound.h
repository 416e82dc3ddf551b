/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The XDP layer of a cut, for one device. All idempotent. Whoever keeps a cut in force covers a new
 * device by inbound_attach, as raw_attach does it for tc egress.
 */
#ifndef STANCH_ENFORCE_HOST_INBOUND_H
#define STANCH_ENFORCE_HOST_INBOUND_H

#include "enforce/host/programs.h"
#include "kern/xdp.h"

struct inbound_report {
	bool attached;      /* our program is on this device and is ours by its tag */
	bool foreign;       /* somebody else's has the place; it is left there */
	bool named;         /* one of our name is there, perhaps of another version */
	uint32_t displaced; /* id of a program that was not spared; 0: none */
	bool card;          /* the card runs a program of its own before it */
	enum xdp_mode mode;
	uint32_t prog_id;               /* of whoever has the place; 0: nobody */
	usec_t armed_left, narrow_left; /* as read from the program's own map; 0: for good */
};

/* Attaches (native where that is safe, else generic) or brings what is there up to date. spare: the
 * id of somebody else's program that keeps the place if it has it, which is no failure (foreign);
 * any other goes (displaced). */
#define INBOUND_SPARE_ALL UINT32_MAX
int inbound_attach(struct cut_programs *ps, int ifindex, const struct permit *permits, size_t n,
                   const struct hold_time *t, uint32_t spare, struct inbound_report *ret,
                   struct err *e);
int inbound_read(int ifindex, struct inbound_report *ret, struct err *e);
/* inbound_read, and compares the permits in the program's map with these; *ret_same. */
int inbound_compare(int ifindex, const struct permit *permits, size_t n, struct inbound_report *ret,
                    bool *ret_same, struct err *e);
/* -ENOENT: no program of ours is there; -ETIME: its time is over. */
int inbound_rearm(int ifindex, const struct hold_time *t, struct err *e);
/* Takes ours away, of other versions, too; absent is success. */
int inbound_detach(int ifindex, struct err *e);

#endif
