/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Tables that are one process's own. Only the guard owns; everybody else asks it for leave when the
 * kernel refuses. Without a guard tables are plain: what owns and is gone would be in the way.
 */
#include <errno.h>
#include <string.h>

#include "base/sys.h"
#include "enforce/host/parts.h"
#include "priv/seat.h"

static const struct {
	uint8_t family;
	const char *name;
} tables[] = {
    {NFPROTO_INET, CUT_TABLE},   {NFPROTO_NETDEV, CUT_TABLE},   {NFPROTO_BRIDGE, CUT_TABLE},
    {NFPROTO_INET, BLOCK_TABLE}, {NFPROTO_NETDEV, BLOCK_TABLE},
};

uint32_t host_table_flags(const struct host *h)
{
	return h->owns ? NFT_TABLE_HELD : 0;
}

bool host_loose(const struct host *h, const struct nft_table *head)
{
	return h->owns && head->owner != h->nl.portid;
}

int host_commit(struct host *h, struct nft_batch *b, struct err *e)
{
	struct err why = {0}, no = {0};
	int r = nft_commit(&h->nl, b, &why);
	if (r != -EPERM || h->guards || h->leave >= 0)
		return r < 0 ? err_set(e, r, "%s", why.text) : 0;
	int asked = seat_ask(&h->leave, &no);
	if (asked == 0)
		return nft_commit(&h->nl, b, e);
	return asked == -ENOENT ? err_set(e, r, "%s", why.text)
	                        : err_set(e, r, "%s; %s", why.text, no.text);
}

/* Does this kernel keep a table when its owner goes? Nothing is changed. */
static int probe_held(struct host *h, struct err *e)
{
	const struct nft_table t = {
	    .family = NFPROTO_INET, .name = "stanch_probe", .flags = NFT_TABLE_HELD};
	struct nft_batch b;
	struct err why = {0};
	nft_batch_begin(&b);
	nft_put_table(&b, &t);
	int r = nft_try(&h->nl, &b, &why);
	nft_batch_free(&b);
	return r < 0 ? err_set(e, -EOPNOTSUPP,
	                       "this kernel does not keep a table whose owner dies (6.9 or newer "
	                       "needed), so that any root process can change ours until the guard "
	                       "puts them back: %s",
	                       why.text)
	             : 0;
}

/* Tables that an earlier guard has left are taken over as they stand. */
static void adopt_all(struct host *h)
{
	for (size_t i = 0; i < ARRAY_SIZE(tables); i++) {
		struct nft_table head;
		struct nft_batch b;
		bool present = false;
		int r = table_present(h, tables[i].family, tables[i].name, &head, &present, NULL);
		if (r < 0 || !present || (head.flags & NFT_TABLE_HELD) != NFT_TABLE_PERSIST)
			continue;
		nft_batch_begin(&b);
		nft_adopt_table(&b, tables[i].family, tables[i].name);
		(void)nft_commit(&h->nl, &b, NULL); /* else it reads back as loose */
		nft_batch_free(&b);
	}
}

/* The kernel lets go of what a socket owns when that is closed. */
static int disown(struct host *h, struct err *e)
{
	struct nl fresh;
	int r = nl_open(&fresh, NETLINK_NETFILTER, e);
	if (r < 0)
		return r;
	nl_close(&h->nl);
	h->nl = fresh;
	h->owns = false;
	return 0;
}

int host_own(void *ctx, bool on, struct err *e)
{
	struct host *h = ctx;
	h->guards = true;
	if (!on)
		return h->owns ? disown(h, e) : 0;
	int r = probe_held(h, e);
	if (r < 0)
		return r;
	h->owns = true;
	adopt_all(h);
	return 0;
}
