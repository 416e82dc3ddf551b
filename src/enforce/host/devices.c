/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Which devices a table of ours must name, may name, and fails to name. */
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "enforce/host/parts.h"

int host_devices(struct link **ret, size_t *ret_n, bool *ret_bridge, struct err *e)
{
	struct link *v;
	size_t n, k = 0;
	int r = link_list(NULL, &v, &n, e);
	if (r < 0)
		return r;
	*ret_bridge = false;
	for (size_t i = 0; i < n; i++) {
		if (v[i].flags & IFF_LOOPBACK)
			continue;
		*ret_bridge |= !strcmp(v[i].kind, "bridge");
		v[k++] = v[i];
	}
	*ret = v;
	*ret_n = k;
	return 0;
}

void device_chain(const struct link *l, bool egress, char name[static NFT_NAME_CAP])
{
	char clean[IFNAMSIZ];
	bool plain = true;
	size_t i = 0;
	for (; i < IFNAMSIZ - 1 && l->name[i]; i++) {
		bool ok = isascii((unsigned char)l->name[i]) &&
		          (isalnum((unsigned char)l->name[i]) || strchr("_-", l->name[i]));
		clean[i] = ok ? l->name[i] : '_';
		plain &= ok;
	}
	clean[i] = 0;
	snprintf(name, NFT_NAME_CAP, plain ? "%s_%s" : "%s_%s_if%d", egress ? "egress" : "ingress",
	         clean, l->ifindex);
}

bool device_covered(const struct nft_table *have, const struct layers *l, const struct link *dev)
{
	char name[NFT_NAME_CAP];
	if (!l->egress && !l->ingress)
		return true;
	device_chain(dev, true, name);
	bool out = !l->egress || nft_find_chain(have, name);
	device_chain(dev, false, name);
	return out && (!l->ingress || nft_find_chain(have, name));
}

static bool among(const struct link *v, size_t n, const char *name)
{
	for (size_t i = 0; i < n; i++)
		if (!strcmp(v[i].name, name))
			return true;
	return false;
}

/* A chain of ours whose device has gone stays on some kernels and goes on others. */
static bool left_by_device(const struct nft_chain *c, const struct link *v, size_t n,
                           struct link *ret)
{
	char out[NFT_NAME_CAP], in[NFT_NAME_CAP];
	if (!c->base || !c->dev[0] || among(v, n, c->dev))
		return false;
	*ret = (struct link){0};
	memcpy(ret->name, c->dev, sizeof ret->name);
	device_chain(ret, true, out);
	device_chain(ret, false, in);
	return !strcmp(c->name, out) || !strcmp(c->name, in);
}

int devices_expected(const struct nft_table *have, const struct layers *l, const struct link *v,
                     size_t n, struct link **ret, size_t *ret_n, struct err *e)
{
	struct link *w = calloc(n + have->n_chains + 1, sizeof *w), gone;
	size_t k = 0;
	if (!w)
		return err_set(e, -ENOMEM, "out of memory for %zu devices", n);
	for (size_t i = 0; i < n; i++)
		if (device_covered(have, l, &v[i]))
			w[k++] = v[i];
	for (size_t i = 0; i < have->n_chains; i++)
		if (left_by_device(&have->chains[i], v, n, &gone) && !among(w, k, gone.name))
			w[k++] = gone;
	*ret = w;
	*ret_n = k;
	return 0;
}
