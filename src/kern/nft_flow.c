/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Flow tables: connections that pass a device without the rules behind its ingress hook. */
#include <endian.h>
#include <errno.h>
#include <libnftnl/common.h>
#include <linux/netfilter/nfnetlink.h>
#include <stdlib.h>
#include <string.h>

#include "kern/nft.h"

#define REQUEST_MAX 256

struct flowtables {
	struct nft_flowtable *v; /* owned */
	size_t n;
};

static void take_name(const struct nlattr *a, char *dst, size_t n)
{
	size_t len = strnlen(mnl_attr_get_payload(a), mnl_attr_get_payload_len(a));
	if (len >= n)
		len = n - 1;
	memcpy(dst, mnl_attr_get_payload(a), len);
	dst[len] = 0;
}

static void take_devices(const struct nlattr *hook, struct nft_flowtable *f)
{
	const struct nlattr *a, *dev;
	mnl_attr_for_each_nested(a, hook)
	{
		if (mnl_attr_get_type(a) != NFTA_FLOWTABLE_HOOK_DEVS)
			continue;
		mnl_attr_for_each_nested(dev, a)
		{
			if (mnl_attr_get_type(dev) != NFTA_DEVICE_NAME)
				continue;
			if (f->n_devices < NFT_FLOW_DEVICES)
				take_name(dev, f->devices[f->n_devices], IFNAMSIZ);
			f->n_devices++;
		}
	}
}

bool nft_flowtable_of(const struct nlmsghdr *h, struct nft_flowtable *ret)
{
	const struct nfgenmsg *g = mnl_nlmsg_get_payload(h);
	const struct nlattr *a;
	if (mnl_nlmsg_get_payload_len(h) < sizeof *g)
		return false;
	struct nft_flowtable f = {.family = g->nfgen_family};
	mnl_attr_for_each(a, h, sizeof *g)
	{
		switch (mnl_attr_get_type(a)) {
		case NFTA_FLOWTABLE_TABLE:
			take_name(a, f.table, sizeof f.table);
			break;
		case NFTA_FLOWTABLE_NAME:
			take_name(a, f.name, sizeof f.name);
			break;
		case NFTA_FLOWTABLE_HOOK:
			take_devices(a, &f);
			break;
		}
	}
	*ret = f;
	return true;
}

static int on_flowtable(const struct nlmsghdr *h, void *arg)
{
	struct flowtables *all = arg;
	struct nft_flowtable f;
	if (!nft_flowtable_of(h, &f))
		return MNL_CB_OK;
	struct nft_flowtable *v =
	    all->n < NFT_FLOWTABLES_MAX ? realloc(all->v, (all->n + 1) * sizeof f) : NULL;
	if (!v) {
		errno = all->n < NFT_FLOWTABLES_MAX ? ENOMEM : E2BIG;
		return MNL_CB_ERROR;
	}
	all->v = v;
	all->v[all->n++] = f;
	return MNL_CB_OK;
}

int nft_flowtables(struct nl *nl, struct nft_flowtable **ret, size_t *ret_n, struct err *e)
{
	char request[REQUEST_MAX] __attribute__((aligned(16)));
	struct flowtables all = {0};
	struct err why = {0};
	struct nlmsghdr *h =
	    nftnl_nlmsg_build_hdr(request, NFT_MSG_GETFLOWTABLE, NFPROTO_UNSPEC, NLM_F_DUMP, 0);
	int r = nl_talk(nl, h, on_flowtable, &all, &why);
	if (r < 0) {
		free(all.v);
		return err_set(e, r, "reading nftables flow tables: %s", why.text);
	}
	*ret = all.v;
	*ret_n = all.n;
	return 0;
}
