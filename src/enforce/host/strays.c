/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What of ours stands in the kernel though no order claims it: an order whose record found no disk
 * and no memory, or whose journal is gone. Known by our names, and by the comment of a table.
 */
#include <errno.h>
#include <string.h>

#include "base/sys.h"
#include "enforce/host/bulk.h"
#include "enforce/host/group.h"
#include "enforce/host/holder.h"
#include "enforce/host/inbound.h"
#include "enforce/host/parts.h"

static const struct place {
	uint8_t family;
	const char *table;
	const struct step_kind *kind;
} places[] = {
    {NFPROTO_INET, CUT_TABLE, &kind_cut},       {NFPROTO_NETDEV, CUT_TABLE, &kind_cut},
    {NFPROTO_BRIDGE, CUT_TABLE, &kind_cut},     {NFPROTO_INET, BLOCK_TABLE, &kind_block},
    {NFPROTO_NETDEV, BLOCK_TABLE, &kind_block},
};

static bool by_token(const struct nft_table *head, const struct step *s)
{
	return !strcmp(head->comment + strlen(OUR_COMMENT), s->token);
}

/* Is there a step of this kind, and, where the table (NULL: none) names one, that very step? */
static bool claimed(const struct holds *claims, const struct step_kind *kind,
                    const struct nft_table *head)
{
	for (size_t i = 0; i < claims->n; i++) {
		const struct step *s = claims->v[i].step;
		if (!strcmp(s->kind, kind->kind) &&
		    (!head || kind == &kind_block || by_token(head, s)))
			return true;
	}
	return false;
}

static int stray_table(struct host *h, const struct place *p, const struct holds *claims,
                       struct nft_batch *b, struct buf *out, struct err *e)
{
	struct nft_table head;
	bool present;
	int r = table_present(h, p->family, p->table, &head, &present, e);
	if (r < 0 || !present || strncmp(head.comment, OUR_COMMENT, strlen(OUR_COMMENT)) != 0 ||
	    claimed(claims, p->kind, &head))
		return r;
	nft_del_table(b, p->family, p->table);
	return buf_addf(out, "nftables table %s %s, with its sets (\"%s\")\n",
	                nft_family_str(p->family), p->table, head.comment);
}

static int stray_xdp(const struct link *dev, bool remove, struct buf *out, struct err *e)
{
	struct inbound_report report = {0};
	int r = inbound_read(dev->ifindex, &report, e);
	if (r < 0 || !report.named)
		return r == -ENODEV ? 0 : r;
	r = buf_addf(out, "XDP program " CUTPROG_NAME_IN " on device %s\n", dev->name);
	return r == 0 && remove ? inbound_detach(dev->ifindex, e) : r;
}

static int stray_tc(const struct link *dev, bool remove, struct buf *out, struct err *e)
{
	struct raw_report report = {0};
	int r = raw_read(dev->ifindex, &report, e);
	if (r < 0 || !report.n_named)
		return r == -ENODEV ? 0 : r;
	r = buf_addf(out, "tc egress program " CUTPROG_NAME " on device %s\n", dev->name);
	return r == 0 && remove ? raw_detach(dev->ifindex, report.made_clsact, e) : r;
}

static int stray_programs(const struct holds *claims, bool remove, struct buf *out, struct err *e)
{
	_cleanup_free_ struct link *v = NULL;
	size_t n = 0;
	bool bridge;
	bool tc = !claimed(claims, &kind_raw, NULL), xdp = !claimed(claims, &kind_inbound, NULL);
	int r = tc || xdp ? host_devices(&v, &n, &bridge, e) : 0;
	for (size_t i = 0; r == 0 && i < n; i++) {
		r = tc ? stray_tc(&v[i], remove, out, e) : 0;
		if (r == 0 && xdp)
			r = stray_xdp(&v[i], remove, out, e);
	}
	return r;
}

static bool holds_for(const struct holds *claims, const char *token)
{
	for (size_t i = 0; i < claims->n; i++)
		if (!strcmp(claims->v[i].step->token, token))
			return true;
	return false;
}

static int stray_holders(const struct holds *claims, bool remove, struct buf *out, struct err *e)
{
	_cleanup_free_ struct holder_name *v = NULL;
	size_t n = 0;
	int r = holder_list(&v, &n, e);
	for (size_t i = 0; r == 0 && i < n; i++) {
		if (holds_for(claims, v[i].token))
			continue;
		r = buf_addf(out, "a process that holds AF_XDP queues (%s)\n", v[i].token);
		if (r == 0 && remove)
			r = holder_end(v[i].token, e);
	}
	return r;
}

int host_strays(void *ctx, const struct holds *claims, bool remove, struct buf *out, struct err *e)
{
	struct host *h = ctx;
	struct nft_batch b;
	int r = 0;
	nft_batch_begin(&b);
	for (size_t i = 0; r == 0 && i < ARRAY_SIZE(places); i++)
		r = stray_table(h, &places[i], claims, &b, out, e);
	if (r == 0 && remove)
		r = host_commit(h, &b, e);
	nft_batch_free(&b);
	if (r == 0)
		r = stray_programs(claims, remove, out, e);
	if (r == 0)
		r = stray_holders(claims, remove, out, e);
	if (r == 0 && !claimed(claims, &kind_bulk, NULL))
		r = bulk_strays(remove, out, e);
	return r < 0 ? r : group_strays(claims, remove, out, e);
}
