/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Each network namespace: links, addresses, routes, neighbours, sockets with who holds them,
 * tracked connections, the ruleset as the kernel tells it. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <linux/netfilter/nfnetlink.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "acquire/hostfile.h"
#include "acquire/state/state.h"
#include "base/sys.h"
#include "base/table.h"
#include "kern/conntrack.h"
#include "kern/diag.h"
#include "kern/link.h"
#include "kern/nft.h"
#include "kern/nl.h"
#include "kern/proc.h"

#define SPACES_MAX 4096
#define FILE_MAX   (UINT64_C(16) << 20)

struct space {
	uint64_t inode;
	int fd;
	char by[64]; /* who it was found by: "pid 12", "/run/netns/x" */
};

struct spaces {
	struct space v[SPACES_MAX];
	size_t n;
};

struct here {
	struct reading *r;
	uint64_t space;
	struct inode_map *owners;
};

static void add_space(struct spaces *s, int fd, const char *by)
{
	struct stat st;
	struct statfs fs;
	if (fd < 0)
		return;
	if (s->n == SPACES_MAX || fstat(fd, &st) < 0 || fstatfs(fd, &fs) < 0 ||
	    fs.f_type != NSFS_MAGIC) {
		close(fd);
		return;
	}
	for (size_t i = 0; i < s->n; i++) {
		if (s->v[i].inode == st.st_ino) {
			close(fd);
			return;
		}
	}
	s->v[s->n] = (struct space){.inode = st.st_ino, .fd = fd};
	snprintf(s->v[s->n++].by, sizeof(s->v->by), "%s", by);
}

static int by_inode(const void *a, const void *b)
{
	const struct space *x = a, *y = b;
	return (x->inode > y->inode) - (x->inode < y->inode);
}

static void find_spaces(struct spaces *s)
{
	int *pids = NULL;
	size_t n = 0;
	char path[320], by[64];
	proc_pids(&pids, &n, NULL);
	for (size_t i = 0; i < n; i++) {
		snprintf(path, sizeof(path), "/proc/%d/ns/net", pids[i]);
		snprintf(by, sizeof(by), "pid %d", pids[i]);
		add_space(s, open(path, O_RDONLY | O_CLOEXEC), by);
	}
	free(pids);
	/* Some are held by a mount alone. */
	DIR *d = opendir("/run/netns");
	for (struct dirent *t; d && (t = readdir(d));) {
		snprintf(path, sizeof(path), "/run/netns/%s", t->d_name);
		if (t->d_name[0] != '.')
			add_space(s, open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK),
			          path);
	}
	if (d)
		closedir(d);
	qsort(s->v, s->n, sizeof(*s->v), by_inode);
}

static json_t *of_kind(const struct here *h, const char *kind)
{
	return json_pack("{s:s, s:I}", "kind", kind, "netns", (json_int_t)h->space);
}

static void put_addr(json_t *row, const char *key, const struct addr *a)
{
	char text[ADDR_STR_MAX];
	json_object_set_new(row, key, json_string(addr_str(a, text)));
}

static void put_int(json_t *row, const char *key, uint64_t v)
{
	json_object_set_new(row, key, json_integer((json_int_t)v));
}

static void read_links(struct here *h)
{
	struct link *l = NULL;
	struct link_addr *a = NULL;
	size_t n = 0;
	if (link_list(NULL, &l, &n, NULL) == 0)
		for (size_t i = 0; i < n; i++) {
			json_t *row = of_kind(h, "link");
			json_object_set_new(row, "name",
			                    reading_text(l[i].name, strlen(l[i].name)));
			json_object_set_new(row, "type",
			                    reading_text(l[i].kind, strlen(l[i].kind)));
			put_int(row, "index", (uint64_t)l[i].ifindex);
			put_int(row, "flags", l[i].flags);
			put_int(row, "master", (uint64_t)l[i].master);
			put_int(row, "rx_bytes", l[i].counters.rx_bytes);
			put_int(row, "tx_bytes", l[i].counters.tx_bytes);
			json_object_set_new(row, "mac", reading_text(l[i].mac, l[i].mac_len));
			reading_row(h->r, row);
		}
	if (link_addr_list(NULL, &a, &n, NULL) == 0)
		for (size_t i = 0; i < n; i++) {
			json_t *row = of_kind(h, "address");
			put_addr(row, "address", &a[i].addr);
			put_int(row, "prefix_len", a[i].prefix_len);
			put_int(row, "index", (uint64_t)a[i].ifindex);
			reading_row(h->r, row);
		}
	free(l);
	free(a);
}

static void read_routes(struct here *h)
{
	struct route *v = NULL;
	struct neigh *g = NULL;
	size_t n = 0;
	char text[PREFIX_STR_MAX];
	if (route_list(NULL, &v, &n, NULL) == 0)
		for (size_t i = 0; i < n; i++) {
			json_t *row = of_kind(h, "route");
			json_object_set_new(row, "to", json_string(prefix_str(&v[i].dst, text)));
			put_addr(row, "gateway", &v[i].gateway);
			put_int(row, "index", (uint64_t)v[i].ifindex);
			put_int(row, "table", v[i].table);
			put_int(row, "metric", v[i].metric);
			put_int(row, "protocol", v[i].protocol);
			put_int(row, "type", v[i].type);
			reading_row(h->r, row);
		}
	if (neigh_list(NULL, &g, &n, NULL) == 0)
		for (size_t i = 0; i < n; i++) {
			json_t *row = of_kind(h, "neighbour");
			put_addr(row, "address", &g[i].addr);
			put_int(row, "index", (uint64_t)g[i].ifindex);
			put_int(row, "state", g[i].state);
			json_object_set_new(row, "mac", reading_text(g[i].mac, g[i].mac_len));
			reading_row(h->r, row);
		}
	free(v);
	free(g);
}

static void put_owner(const struct here *h, json_t *row, uint64_t inode)
{
	unsigned holders = 0;
	int pid = inode && h->owners ? inode_map_find(h->owners, inode, &holders) : 0;
	put_int(row, "inode", inode);
	put_int(row, "pid", (uint64_t)pid);
	put_int(row, "holders", holders);
}

static bool on_socket(void *arg, const struct diag_sock *s)
{
	struct here *h = arg;
	char text[ENDPOINT_STR_MAX];
	json_t *row = of_kind(h, "socket");
	put_int(row, "protocol", s->proto);
	json_object_set_new(row, "state", json_string(diag_state_str(s->state)));
	json_object_set_new(row, "local", json_string(endpoint_str(&s->local, text)));
	json_object_set_new(row, "peer", json_string(endpoint_str(&s->peer, text)));
	put_int(row, "uid", s->uid);
	put_owner(h, row, s->inode);
	if (s->has_tcp) {
		put_int(row, "bytes_acked", s->tcp.bytes_acked);
		put_int(row, "bytes_received", s->tcp.bytes_received);
	}
	reading_row(h->r, row);
	return true;
}

static bool on_packet(void *arg, const struct diag_packet *p)
{
	struct here *h = arg;
	json_t *row = of_kind(h, "packet_socket");
	put_int(row, "protocol", p->protocol);
	put_int(row, "index", (uint64_t)p->ifindex);
	put_int(row, "uid", p->uid);
	put_owner(h, row, p->inode);
	reading_row(h->r, row);
	return true;
}

static void put_tuple(json_t *row, const char *key, const struct ct_tuple *t)
{
	char src[ENDPOINT_STR_MAX], dst[ENDPOINT_STR_MAX];
	json_object_set_new(
	    row, key, json_pack("[s, s]", endpoint_str(&t->src, src), endpoint_str(&t->dst, dst)));
}

static bool on_tracked(void *arg, const struct ct_flow *f)
{
	struct here *h = arg;
	json_t *row = of_kind(h, "tracked");
	put_int(row, "protocol", f->orig.proto);
	put_tuple(row, "original", &f->orig);
	put_tuple(row, "reply", &f->reply);
	put_int(row, "mark", f->mark);
	put_int(row, "status", f->status);
	reading_row(h->r, row);
	return true;
}

static int on_nft(const struct nlmsghdr *m, void *arg)
{
	return buf_add(arg, m, NLMSG_ALIGN(m->nlmsg_len)) < 0 ? MNL_CB_ERROR : MNL_CB_OK;
}

/* One dump of nf_tables as the kernel sends it, appended to *b. */
static int dump_nft(struct nl *nl, uint16_t type, struct buf *b, struct err *e)
{
	uint8_t space[256];
	struct nlmsghdr *m = mnl_nlmsg_put_header(space);
	m->nlmsg_type = (uint16_t)(NFNL_SUBSYS_NFTABLES << 8 | type);
	m->nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
	struct nfgenmsg *g = mnl_nlmsg_put_extra_header(m, sizeof(*g));
	*g = (struct nfgenmsg){.nfgen_family = NFPROTO_UNSPEC, .version = NFNETLINK_V0};
	return nl_talk(nl, m, on_nft, b, e);
}

/* The rules of a table in nft's language, as far as kern/nft.h knows it; the raw dump has all. */
static void print_table(struct here *h, struct nl *nl, uint8_t family, const char *name)
{
	struct nft_table t = {0};
	struct err e = {0};
	if (nft_read_table(nl, family, name, false, &t, &e) < 0) {
		json_t *row = of_kind(h, "nft_table_not_read");
		json_object_set_new(row, "table", reading_text(name, strlen(name)));
		json_object_set_new(row, "why", json_string(e.text));
		reading_row(h->r, row);
		return;
	}
	for (size_t i = 0; i < t.n_chains; i++) {
		const struct nft_chain *c = &t.chains[i];
		json_t *row = of_kind(h, "nft_chain"), *rules = json_array();
		for (size_t k = 0; k < c->n_rules; k++) {
			struct buf b = BUF_INIT(4096);
			nft_print_rule(&c->rules[k], &b);
			json_array_append_new(rules, reading_text(b.data, b.len));
			buf_free(&b);
		}
		json_object_set_new(row, "table", reading_text(name, strlen(name)));
		put_int(row, "family", family);
		json_object_set_new(row, "chain", reading_text(c->name, strlen(c->name)));
		if (c->base) {
			put_int(row, "hook", c->hook);
			json_object_set_new(row, "priority", json_integer(c->prio));
			put_int(row, "policy", c->policy);
		}
		json_object_set_new(row, "rules", rules);
		reading_row(h->r, row);
	}
	nft_table_free(&t);
}

static void print_tables(struct here *h, struct nl *nl, const struct buf *tables)
{
	int left = (int)tables->len;
	for (const struct nlmsghdr *m = (const void *)tables->data; mnl_nlmsg_ok(m, left);
	     m = mnl_nlmsg_next(m, &left)) {
		const struct nfgenmsg *g = mnl_nlmsg_get_payload(m);
		struct nlattr *a;
		if (m->nlmsg_len < NLMSG_HDRLEN + sizeof(*g))
			continue;
		mnl_attr_for_each(a, m, sizeof(*g))
		{
			if (mnl_attr_get_type(a) == NFTA_TABLE_NAME &&
			    mnl_attr_validate(a, MNL_TYPE_NUL_STRING) >= 0)
				print_table(h, nl, g->nfgen_family, mnl_attr_get_str(a));
		}
	}
}

static void put_file(struct here *h, const char *name, const struct buf *b)
{
	char to[CAPTURE_NAME_MAX];
	struct capture_file *f = NULL;
	struct capture_sink *s = &h->r->sink;
	snprintf(to, sizeof(to), "network/%llu/%s", (unsigned long long)h->space, name);
	if (b->len && s->ops->begin(s, to, &f, NULL) == 0) {
		s->ops->write(f, b->data, b->len, NULL);
		s->ops->end(f, NULL);
	}
}

static void read_rules(struct here *h)
{
	static const uint16_t types[] = {NFT_MSG_GETTABLE, NFT_MSG_GETCHAIN, NFT_MSG_GETRULE,
	                                 NFT_MSG_GETSET,   NFT_MSG_GETOBJ,   NFT_MSG_GETFLOWTABLE};
	struct buf all = BUF_INIT(64u << 20);
	struct err e = {0};
	struct nl nl;
	if (nl_open(&nl, NETLINK_NETFILTER, &e) < 0)
		return;
	for (size_t i = 0; i < ARRAY_SIZE(types); i++) {
		if (dump_nft(&nl, types[i], &all, &e) < 0) {
			json_t *row = of_kind(h, "not_read");
			json_object_set_new(row, "what", json_string("nf_tables"));
			json_object_set_new(row, "why", json_string(e.text));
			reading_row(h->r, row);
			break;
		}
		if (i == 0)
			print_tables(h, &nl, &all);
	}
	put_file(h, "nftables.nlmsg", &all);
	buf_free(&all);
	nl_close(&nl);
}

static void read_proc_net(struct here *h)
{
	static const char *const names[] = {"unix",
	                                    "netlink",
	                                    "raw",
	                                    "raw6",
	                                    "packet",
	                                    "igmp",
	                                    "igmp6",
	                                    "protocols",
	                                    "ptype",
	                                    "route",
	                                    "ipv6_route",
	                                    "arp",
	                                    "dev",
	                                    "snmp",
	                                    "netstat",
	                                    "sockstat",
	                                    "dev_mcast",
	                                    "ip_tables_names",
	                                    "ip6_tables_names",
	                                    "nf_conntrack",
	                                    "tcp",
	                                    "tcp6",
	                                    "udp",
	                                    "udp6"};
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		char from[64], to[CAPTURE_NAME_MAX];
		struct hostfile done;
		snprintf(from, sizeof(from), "/proc/thread-self/net/%s", names[i]);
		snprintf(to, sizeof(to), "network/%llu/%s", (unsigned long long)h->space, names[i]);
		hostfile_copy(&h->r->sink, AT_FDCWD, from, to, FILE_MAX, &done, NULL);
	}
}

static void read_space(struct here *h, const struct space *s)
{
	static const int protocols[] = {IPPROTO_TCP, IPPROTO_UDP, IPPROTO_RAW};
	json_t *row = of_kind(h, "netns");
	json_object_set_new(row, "found_by", reading_text(s->by, strlen(s->by)));
	reading_row(h->r, row);
	/* What fades first. */
	ct_list(NULL, on_tracked, h, NULL);
	for (size_t i = 0; i < ARRAY_SIZE(protocols); i++)
		diag_inet(NULL, AF_UNSPEC, protocols[i], DIAG_ALL_STATES, on_socket, h, NULL);
	diag_packet(NULL, on_packet, h, NULL);
	read_links(h);
	read_routes(h);
	read_rules(h);
	read_proc_net(h);
}

void read_network(struct reading *r)
{
	struct spaces *s = calloc(1, sizeof(*s));
	struct here h = {.r = r};
	struct inode_map_stats stats;
	if (!s)
		return;
	find_spaces(s);
	if (inode_map_new(&h.owners) == 0)
		inode_map_scan(h.owners, &stats, NULL);
	for (size_t i = 0; i < s->n; i++) {
		char name[96];
		snprintf(name, sizeof(name), "network namespace %llu",
		         (unsigned long long)s->v[i].inode);
		if (!reading_unit(r, s->v[i].inode, name))
			continue;
		h.space = s->v[i].inode;
		if (sys->setns(s->v[i].fd, CLONE_NEWNET) == 0)
			read_space(&h, &s->v[i]);
		else
			reading_row(r, json_pack("{s:s, s:I, s:s}", "kind", "netns_not_entered",
			                         "netns", (json_int_t)h.space, "why",
			                         strerror(errno)));
	}
	inode_map_free(h.owners);
	free(s);
}
