/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "kern/xdp.h"

#include <errno.h>
#include <linux/bpf.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <string.h>

#include "base/sys.h"
#include "kern/nl.h"

static const struct {
	const char *name;
	uint32_t flag;
	uint16_t attr; /* that tells the id */
} modes[_XDP_MODE_MAX] = {
    [XDP_NATIVE] = {"native", XDP_FLAGS_DRV_MODE, IFLA_XDP_DRV_PROG_ID},
    [XDP_GENERIC] = {"generic", XDP_FLAGS_SKB_MODE, IFLA_XDP_SKB_PROG_ID},
    [XDP_CARD] = {"card", XDP_FLAGS_HW_MODE, IFLA_XDP_HW_PROG_ID},
};

const char *xdp_mode_str(enum xdp_mode m)
{
	return (unsigned)m < _XDP_MODE_MAX ? modes[m].name : "invalid";
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

static struct nlmsghdr *put_request(void *bytes, uint16_t type, int ifindex)
{
	struct nlmsghdr *h = mnl_nlmsg_put_header(bytes);
	h->nlmsg_type = type;
	h->nlmsg_flags = NLM_F_REQUEST;
	struct ifinfomsg *m = mnl_nlmsg_put_extra_header(h, sizeof *m);
	m->ifi_family = AF_UNSPEC;
	m->ifi_index = ifindex;
	return h;
}

static int read_xdp(const struct nlattr *a, void *arg)
{
	struct xdp_state *s = arg;
	for (size_t i = 0; i < _XDP_MODE_MAX; i++)
		if (mnl_attr_get_type(a) == modes[i].attr &&
		    mnl_attr_get_payload_len(a) >= sizeof(uint32_t))
			s->prog_id[i] = mnl_attr_get_u32(a);
	return MNL_CB_OK;
}

static int read_link(const struct nlattr *a, void *arg)
{
	return mnl_attr_get_type(a) == IFLA_XDP ? mnl_attr_parse_nested(a, read_xdp, arg)
	                                        : MNL_CB_OK;
}

static int on_link(const struct nlmsghdr *h, void *arg)
{
	if (h->nlmsg_len < mnl_nlmsg_size(sizeof(struct ifinfomsg))) {
		errno = EBADMSG;
		return MNL_CB_ERROR;
	}
	return mnl_attr_parse(h, sizeof(struct ifinfomsg), read_link, arg) < 0 ? MNL_CB_ERROR
	                                                                       : MNL_CB_OK;
}

int xdp_read(struct nl *nl, int ifindex, struct xdp_state *ret, struct err *e)
{
	char bytes[128] = {0};
	struct nlmsghdr *h = put_request(bytes, RTM_GETLINK, ifindex);
	struct xdp_state s = {0};
	int r = talk(nl, h, on_link, &s, e);
	if (r < 0)
		return err_prefix(e, r, "asking device %d for its XDP program", ifindex);
	*ret = s;
	return 0;
}

static int set(struct nl *nl, int ifindex, uint32_t flags, int fd, int expected, struct err *e)
{
	char bytes[256] = {0};
	struct nlmsghdr *h = put_request(bytes, RTM_SETLINK, ifindex);
	struct nlattr *nest = mnl_attr_nest_start(h, IFLA_XDP);
	mnl_attr_put_u32(h, IFLA_XDP_FD, (uint32_t)fd);
	mnl_attr_put_u32(h, IFLA_XDP_FLAGS, flags);
	if (expected >= 0)
		mnl_attr_put_u32(h, IFLA_XDP_EXPECTED_FD, (uint32_t)expected);
	mnl_attr_nest_end(h, nest);
	return talk(nl, h, NULL, NULL, e);
}

int xdp_attach(struct nl *nl, int ifindex, enum xdp_mode m, int prog_fd, int replaces,
               struct err *e)
{
	uint32_t how = replaces < 0 ? XDP_FLAGS_UPDATE_IF_NOEXIST : XDP_FLAGS_REPLACE;
	return set(nl, ifindex, modes[m].flag | how, prog_fd, replaces, e);
}

int xdp_detach(struct nl *nl, int ifindex, enum xdp_mode m, int prog_fd, struct err *e)
{
	return set(nl, ifindex, modes[m].flag | XDP_FLAGS_REPLACE, -1, prog_fd, e);
}

#define LINKS_MAX 65536

/* Opens the link with the next id after *id; -ENOENT: there is none. */
static int next_link(uint32_t *id)
{
	union bpf_attr a = {0};
	a.start_id = *id;
	if (sys->bpf(BPF_LINK_GET_NEXT_ID, &a, sizeof a) < 0)
		return -errno;
	*id = a.next_id;
	a = (union bpf_attr){0};
	a.link_id = *id;
	int fd = (int)sys->bpf(BPF_LINK_GET_FD_BY_ID, &a, sizeof a);
	return fd < 0 ? -errno : fd;
}

/* Devices of other namespaces have the same numbers, and perhaps the same program: that both agree
 * is as much as the kernel tells. */
static bool is_on(int link, int ifindex, uint32_t prog_id)
{
	struct bpf_link_info info = {0};
	union bpf_attr a = {0};
	a.info.bpf_fd = (uint32_t)link;
	a.info.info_len = sizeof info;
	a.info.info = (uintptr_t)&info;
	return sys->bpf(BPF_OBJ_GET_INFO_BY_FD, &a, sizeof a) == 0 &&
	       info.type == BPF_LINK_TYPE_XDP && info.prog_id == prog_id &&
	       info.xdp.ifindex == (uint32_t)ifindex;
}

int xdp_unlink(int ifindex, uint32_t prog_id, struct err *e)
{
	uint32_t id = 0;
	for (unsigned i = 0; i < LINKS_MAX; i++) {
		uint32_t before = id;
		_cleanup_close_ int fd = next_link(&id);
		if (fd == -ENOENT && id == before)
			break;
		if (fd < 0 || !is_on(fd, ifindex, prog_id))
			continue;
		union bpf_attr a = {0};
		a.link_detach.link_fd = (uint32_t)fd;
		if (sys->bpf(BPF_LINK_DETACH, &a, sizeof a) < 0)
			return err_set(e, -errno, "breaking BPF link %u: %s", id, strerror(errno));
		return 0;
	}
	return err_set(e, -ENOENT, "no BPF link carries the program of device %d", ifindex);
}
