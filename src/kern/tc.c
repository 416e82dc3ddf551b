/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "kern/tc.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_ether.h>
#include <linux/pkt_cls.h>
#include <linux/pkt_sched.h>
#include <linux/rtnetlink.h>
#include <stdlib.h>
#include <string.h>

#include "kern/nl.h"

static uint32_t hook_parent(enum tc_hook hook)
{
	return TC_H_MAKE(TC_H_CLSACT, hook == TC_HOOK_EGRESS ? TC_H_MIN_EGRESS : TC_H_MIN_INGRESS);
}

static struct nlmsghdr *put_request(void *bytes, uint16_t type, uint16_t flags, int ifindex,
                                    uint32_t parent, uint32_t handle, uint32_t info)
{
	struct nlmsghdr *h = mnl_nlmsg_put_header(bytes);
	h->nlmsg_type = type;
	h->nlmsg_flags = NLM_F_REQUEST | flags;
	struct tcmsg *t = mnl_nlmsg_put_extra_header(h, sizeof *t);
	t->tcm_family = AF_UNSPEC;
	t->tcm_ifindex = ifindex;
	t->tcm_parent = parent;
	t->tcm_handle = handle;
	t->tcm_info = info;
	return h;
}

static int talk(struct nl *nl, struct nlmsghdr *h, mnl_cb_t cb, void *arg, struct err *e)
{
	struct nl own = {.fd = -1};
	int r = nl ? 0 : nl_open(&own, NETLINK_ROUTE, e);
	if (r == 0)
		r = nl_talk(nl ? nl : &own, h, cb, arg, e);
	nl_close(&own);
	return r;
}

/* Text of an attribute, cut to the room there is. */
static void copy_text(const struct nlattr *a, char *dst, size_t size)
{
	size_t n = mnl_attr_get_payload_len(a);
	if (n >= size)
		n = size - 1;
	memcpy(dst, mnl_attr_get_payload(a), n);
	dst[n] = '\0';
}

struct qdisc_search {
	int ifindex;
	bool found;
};

static int read_kind(const struct nlattr *a, void *arg)
{
	if (mnl_attr_get_type(a) == TCA_KIND)
		copy_text(a, arg, TC_KIND_MAX);
	return MNL_CB_OK;
}

static int on_qdisc(const struct nlmsghdr *h, void *arg)
{
	struct qdisc_search *s = arg;
	const struct tcmsg *t = mnl_nlmsg_get_payload(h);
	char kind[TC_KIND_MAX] = "";
	if (h->nlmsg_len < mnl_nlmsg_size(sizeof *t)) {
		errno = EBADMSG;
		return MNL_CB_ERROR;
	}
	mnl_attr_parse(h, sizeof *t, read_kind, kind);
	if (t->tcm_ifindex == s->ifindex && t->tcm_parent == TC_H_CLSACT && !strcmp(kind, "clsact"))
		s->found = true;
	return MNL_CB_OK;
}

int tc_clsact_present(struct nl *nl, int ifindex, bool *ret, struct err *e)
{
	char bytes[128] = {0};
	struct nlmsghdr *h = put_request(bytes, RTM_GETQDISC, NLM_F_DUMP, ifindex, 0, 0, 0);
	struct qdisc_search s = {.ifindex = ifindex};
	int r = talk(nl, h, on_qdisc, &s, e);
	if (r < 0)
		return err_prefix(e, r, "listing the queues of device %d", ifindex);
	*ret = s.found;
	return 0;
}

int tc_clsact_add(struct nl *nl, int ifindex, struct err *e)
{
	char bytes[256] = {0};
	struct nlmsghdr *h = put_request(bytes, RTM_NEWQDISC, NLM_F_CREATE | NLM_F_EXCL, ifindex,
	                                 TC_H_CLSACT, TC_H_MAKE(TC_H_CLSACT, 0), 0);
	mnl_attr_put_strz(h, TCA_KIND, "clsact");
	return talk(nl, h, NULL, NULL, e);
}

int tc_clsact_delete(struct nl *nl, int ifindex, struct err *e)
{
	char bytes[256] = {0};
	struct nlmsghdr *h =
	    put_request(bytes, RTM_DELQDISC, 0, ifindex, TC_H_CLSACT, TC_H_MAKE(TC_H_CLSACT, 0), 0);
	mnl_attr_put_strz(h, TCA_KIND, "clsact");
	int r = talk(nl, h, NULL, NULL, e);
	return r == -EINVAL ? -ENOENT : r;
}

struct filter_list {
	struct tc_filter *v;
	size_t n;
	int ifindex;
};

static int read_bpf(const struct nlattr *a, void *arg)
{
	struct tc_filter *f = arg;
	switch (mnl_attr_get_type(a)) {
	case TCA_BPF_NAME:
		copy_text(a, f->name, sizeof f->name);
		break;
	case TCA_BPF_ID:
		if (mnl_attr_get_payload_len(a) >= sizeof(uint32_t))
			f->prog_id = mnl_attr_get_u32(a);
		break;
	case TCA_BPF_FLAGS:
		if (mnl_attr_get_payload_len(a) >= sizeof(uint32_t))
			f->direct = mnl_attr_get_u32(a) & TCA_BPF_FLAG_ACT_DIRECT;
		break;
	default:
		break;
	}
	return MNL_CB_OK;
}

static int read_filter(const struct nlattr *a, void *arg)
{
	struct tc_filter *f = arg;
	switch (mnl_attr_get_type(a)) {
	case TCA_KIND:
		copy_text(a, f->kind, sizeof f->kind);
		break;
	case TCA_CHAIN:
		if (mnl_attr_get_payload_len(a) >= sizeof(uint32_t))
			f->chain = mnl_attr_get_u32(a);
		break;
	case TCA_OPTIONS:
		/* Only meaningful once the kind is known; the kernel puts the kind first. */
		if (!strcmp(f->kind, "bpf"))
			return mnl_attr_parse_nested(a, read_bpf, f);
		break;
	default:
		break;
	}
	return MNL_CB_OK;
}

static int on_filter(const struct nlmsghdr *h, void *arg)
{
	struct filter_list *l = arg;
	const struct tcmsg *t = mnl_nlmsg_get_payload(h);
	if (h->nlmsg_len < mnl_nlmsg_size(sizeof *t)) {
		errno = EBADMSG;
		return MNL_CB_ERROR;
	}
	struct tc_filter f = {
	    .prio = (uint16_t)(TC_H_MAJ(t->tcm_info) >> 16),
	    .protocol = ntohs((uint16_t)TC_H_MIN(t->tcm_info)),
	    .handle = t->tcm_handle,
	};
	mnl_attr_parse(h, sizeof *t, read_filter, &f);
	/* Each classifier is also listed once without an instance (handle 0). */
	if (t->tcm_ifindex != l->ifindex || f.handle == 0)
		return MNL_CB_OK;
	if (l->n >= TC_FILTERS_MAX) {
		errno = E2BIG;
		return MNL_CB_ERROR;
	}
	l->v[l->n++] = f;
	return MNL_CB_OK;
}

static bool runs_before(const struct tc_filter *a, const struct tc_filter *b)
{
	return a->chain != b->chain ? a->chain < b->chain : a->prio < b->prio;
}

/* Stable: within one prio the kernel lists filters as it runs them. */
static void sort_filters(struct tc_filter *v, size_t n)
{
	for (size_t i = 1; i < n; i++) {
		struct tc_filter f = v[i];
		size_t at = i;
		for (; at > 0 && runs_before(&f, &v[at - 1]); at--)
			v[at] = v[at - 1];
		v[at] = f;
	}
}

int tc_filters(struct nl *nl, int ifindex, enum tc_hook hook, struct tc_filter **ret, size_t *ret_n,
               struct err *e)
{
	char bytes[128] = {0};
	struct filter_list l = {.ifindex = ifindex};
	l.v = calloc(TC_FILTERS_MAX, sizeof *l.v);
	if (!l.v)
		return err_set(e, -ENOMEM, "out of memory for tc filters");
	struct nlmsghdr *h =
	    put_request(bytes, RTM_GETTFILTER, NLM_F_DUMP, ifindex, hook_parent(hook), 0, 0);
	struct err why = {0};
	int r = talk(nl, h, on_filter, &l, &why);
	if (r == -EINVAL || r == -ENOENT)
		r = 0; /* no clsact there: nothing is attached */
	if (r < 0) {
		free(l.v);
		return err_set(e, r, "listing the tc filters of device %d: %s", ifindex, why.text);
	}
	if (l.n == 0) {
		free(l.v);
		l.v = NULL;
	} else {
		sort_filters(l.v, l.n);
	}
	*ret = l.v;
	*ret_n = l.n;
	return 0;
}

int tc_bpf_add(struct nl *nl, int ifindex, enum tc_hook hook, uint16_t prio, int prog_fd,
               const char *name, struct err *e)
{
	char bytes[512] = {0};
	if (strlen(name) >= TC_NAME_MAX)
		return err_set(e, -EINVAL, "a tc filter's name is too long");
	struct nlmsghdr *h =
	    put_request(bytes, RTM_NEWTFILTER, NLM_F_CREATE | NLM_F_EXCL, ifindex,
	                hook_parent(hook), 0, TC_H_MAKE((uint32_t)prio << 16, htons(ETH_P_ALL)));
	mnl_attr_put_strz(h, TCA_KIND, "bpf");
	struct nlattr *nest = mnl_attr_nest_start(h, TCA_OPTIONS);
	mnl_attr_put_u32(h, TCA_BPF_FD, (uint32_t)prog_fd);
	mnl_attr_put_strz(h, TCA_BPF_NAME, name);
	mnl_attr_put_u32(h, TCA_BPF_FLAGS, TCA_BPF_FLAG_ACT_DIRECT);
	mnl_attr_nest_end(h, nest);
	return talk(nl, h, NULL, NULL, e);
}

int tc_filter_delete(struct nl *nl, int ifindex, enum tc_hook hook, const struct tc_filter *f,
                     struct err *e)
{
	char bytes[256] = {0};
	struct nlmsghdr *h =
	    put_request(bytes, RTM_DELTFILTER, 0, ifindex, hook_parent(hook), f->handle,
	                TC_H_MAKE((uint32_t)f->prio << 16, htons(f->protocol)));
	mnl_attr_put_strz(h, TCA_KIND, f->kind);
	if (f->chain)
		mnl_attr_put_u32(h, TCA_CHAIN, f->chain);
	int r = talk(nl, h, NULL, NULL, e);
	return r == -EINVAL ? -ENOENT : r;
}
