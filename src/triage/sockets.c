/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The area sockets: who hears all packets, sends what it likes, listens though it should not, or
 * holds BPF programs. */
#include <errno.h>
#include <linux/bpf.h>
#include <stdio.h>
#include <string.h>

#include "base/sys.h"
#include "base/table.h"
#include "triage/areas.h"
#include "triage/odd.h"
#include "triage/program.h"
#include "triage/rules.h"

const struct triage_rule socket_rules[] = {
    {"packet_socket", FINDING_SOCKET, 0.50, "T1040",
     "a DHCP client, a capture, an intrusion detection, a VPN or cluster service"},
    {"raw_socket", FINDING_SOCKET, 0.45, "T1205.002", "ping, a routing daemon, a monitoring probe"},
    {"xdp_socket", FINDING_SOCKET, 0.50, "T1205.002",
     "a packet processor (DPDK, OVS, Suricata); stanch itself holds queues while it isolates"},
    {"listener", FINDING_SOCKET, 0.50, "T1571",
     "a developer's server; a service that was replaced by hand"},
    {"ownerless_socket", FINDING_SOCKET, 0.50, "T1014",
     "the kernel's own; one whose process has just ended; one in another namespace"},
    {"bpf_owner", FINDING_SOCKET, 0.50, "T1205.002",
     "a tracer, a monitoring agent, a network plug-in of containers"},
    {"bpf_program", FINDING_SOCKET, 0.30, "T1014",
     "a program that its loader pinned or attached for good (systemd, agents, networks)"},
    {0},
};

/* Programs that have such sockets on hosts that nobody touched. */
static const char *const packet_users[] = {"dhclient",
                                           "dhcpcd",
                                           "udhcpc",
                                           "systemd-networkd",
                                           "systemd-network",
                                           "NetworkManager",
                                           "nm-dhcp-helper",
                                           "tcpdump",
                                           "dumpcap",
                                           "tshark",
                                           "wireshark",
                                           "wpa_supplicant",
                                           "hostapd",
                                           "lldpd",
                                           "lldpad",
                                           "arping",
                                           "keepalived",
                                           "suricata",
                                           "snort",
                                           "zeek",
                                           "dhcpd",
                                           "kea-dhcp4",
                                           "dnsmasq",
                                           "pppd",
                                           "pppoe",
                                           "iwd",
                                           "connmand",
                                           "arpwatch",
                                           "cilium-agent",
                                           "calico-node",
                                           "radvd",
                                           "ndppd",
                                           "bird",
                                           "zebra",
                                           "stanch",
                                           "busybox",
                                           "softflowd",
                                           "ntopng",
                                           "iftop",
                                           "nethogs",
                                           "vnstatd",
                                           "teamd",
                                           "ladvd",
                                           "mactelnetd",
                                           "qemu-system-x86_64",
                                           "passt",
                                           "slirp4netns",
                                           NULL};
static const char *const raw_users[] = {"ping",
                                        "ping6",
                                        "fping",
                                        "traceroute",
                                        "mtr",
                                        "mtr-packet",
                                        "nmap",
                                        "ospfd",
                                        "ospf6d",
                                        "bird",
                                        "zebra",
                                        "eigrpd",
                                        "pimd",
                                        "keepalived",
                                        "dhcpd",
                                        "dnsmasq",
                                        "radvd",
                                        "rtsold",
                                        "rdisc6",
                                        "ndisc6",
                                        "NetworkManager",
                                        "systemd-networkd",
                                        "systemd-network",
                                        "dhcpcd",
                                        "charon",
                                        "charon-systemd",
                                        "pluto",
                                        "racoon",
                                        "zabbix_server",
                                        "smokeping",
                                        "igmpproxy",
                                        "pimreg",
                                        "busybox",
                                        "dhclient",
                                        "strongswan",
                                        "prometheus-blackbox-exporter",
                                        NULL};

static bool upgraded(struct triage *t, const struct procs *p, const struct proc_row *r)
{
	return r->exe_deleted && gone_by_upgrade(t, p, r);
}

/* In memory only, in an odd place, gone and not by an upgrade, or code that no file has. */
static bool suspect(struct triage *t, const struct procs *p, const struct proc_row *r,
                    const struct program *g)
{
	bool code = (g->interpreter || g->shell) && (g->way != WAY_SCRIPT || g->odd_script);

	return g->odd || code || (r->exe_deleted && !upgraded(t, p, r) && odd_system_path(r->exe));
}

static void tell_socket(struct triage *t, const struct procs *p, const struct proc_row *r,
                        const char *rule, double score, const char *what)
{
	struct finding f;

	procs_begin(t, p, rule, r, &f);
	f.score = score;
	finding_reason(&f, "%s", what);
	procs_found(t, r, &f);
}

/* What is sent by such a socket passes every hook of netfilter and tc. */
static void judge_xdp(struct triage *t, const struct procs *p, const struct proc_row *r)
{
	static const char *const users[] = {"stanch",       "ovs-vswitchd", "suricata",
	                                    "dpdk-testpmd", "vpp",          NULL};
	struct program g = program_of(r);

	if (suspect(t, p, r, &g))
		tell_socket(t, p, r, "xdp_socket", 0.80, "an AF_XDP socket");
	else if (!odd_any(odd_base(r->exe), users))
		tell_socket(t, p, r, "xdp_socket", 0.50, "an AF_XDP socket");
}

static void judge_raw(struct triage *t, const struct procs *p, const struct proc_row *r,
                      const struct sock_row *s)
{
	bool packet = s->kind == ON_PACKET;
	const char *rule = packet ? "packet_socket" : "raw_socket";
	struct program g = program_of(r);
	char what[120];

	if (packet)
		snprintf(what, sizeof(what), "a packet socket: protocol 0x%04x, %s",
		         s->packet.protocol, s->packet.ifindex ? "one device" : "every device");
	else
		snprintf(what, sizeof(what), "a raw IP socket of protocol %u", s->inet.local.port);
	if (suspect(t, p, r, &g))
		tell_socket(t, p, r, rule, 0.80, what);
	else if (!odd_any(odd_base(r->exe), packet ? packet_users : raw_users) || !g.system)
		tell_socket(t, p, r, rule,
		            g.interpreter || g.shell ? 0.55
		            : packet                 ? 0.50
		                                     : 0.45,
		            what);
}

/* nc -e /bin/sh, socat … EXEC:/bin/sh */
static bool hands_out_a_shell(const struct proc_row *r)
{
	for (size_t i = 1; procs_arg(r, i); i++) {
		const char *a = procs_arg(r, i);
		if (!strncmp(a, "EXEC:", 5) || !strncmp(a, "SYSTEM:", 7) ||
		    !strncmp(a, "exec:", 5)) {
			char prog[64];
			a = strchr(a, ':') + 1;
			snprintf(prog, sizeof(prog), "%s", a + strspn(a, "\"'"));
			/* A script after it is a service; the bare shell is not. */
			bool bare =
			    !strchr(prog, ' ') || strstr(prog, " -i") || strstr(prog, " -l");
			prog[strcspn(prog, " ,\"'")] = 0;
			if (odd_is_shell(prog) && bare)
				return true;
		}
		if ((!strcmp(a, "-e") || !strcmp(a, "-c") || !strcmp(a, "--exec") ||
		     !strcmp(a, "--sh-exec")) &&
		    procs_arg(r, i + 1) && odd_is_shell(procs_arg(r, i + 1)))
			return true;
	}
	return false;
}

static double netcat_score(const struct proc_row *r)
{
	if (hands_out_a_shell(r))
		return 0.85;
	return !strcmp(odd_base(r->exe), "socat") ? 0.30 : 0.55;
}

static double code_score(const struct program *g, bool near)
{
	if (g->shell)
		return near ? 0 : 0.50;
	if (g->way == WAY_INLINE)
		return near ? 0.40 : 0.55;
	return g->odd_script ? 0.60 : 0;
}

/* near: it listens for this host alone. */
static double listener_score(struct triage *t, const struct procs *p, const struct proc_row *r,
                             bool near)
{
	struct program g = program_of(r);
	enum odd_place place = odd_place(r->exe);

	if (g.netcat && !g.interpreter)
		return netcat_score(r);
	if (r->exe_memfd || place == ODD_SHM || place == ODD_HIDDEN)
		return 0.85;
	if (g.odd)
		return near ? 0.50 : 0.65;
	if (g.shell || g.interpreter)
		return code_score(&g, near);
	return suspect(t, p, r, &g) ? 0.50 : 0;
}

static void judge_listener(struct triage *t, const struct procs *p, const struct proc_row *r,
                           const struct sock_row *s)
{
	double score = listener_score(t, p, r, addr_is_loopback(&s->inet.local.addr));
	char at[ENDPOINT_STR_MAX], what[120];

	if (score <= 0)
		return;
	snprintf(what, sizeof(what), "it listens at %s", endpoint_str(&s->inet.local, at));
	tell_socket(t, p, r, "listener", score, what);
}

/* One that is passed on is told once, of the process that had it first: who has it last of those
 * that it was given to does not matter. */
static const struct proc_row *owner(const struct procs *p, uint64_t inode)
{
	size_t first, n = procs_holders(p, PROCFS_FD_SOCKET, inode, &first);
	const struct proc_row *best = NULL;

	for (size_t i = 0; i < n; i++) {
		const struct proc_row *r = &p->rows[p->fds[p->by_id[first + i]].row];
		/* systemd holds the sockets of what it starts. */
		if (r->stat.pid == 1 && n > 1)
			continue;
		if (!best || r->stat.start < best->stat.start)
			best = r;
	}
	return best;
}

static void tell_ownerless(struct triage *t, const struct sock_row *s)
{
	struct finding f;

	triage_begin(t, "ownerless_socket", &f);
	finding_reason(&f, "no process that can be seen holds it; inode %llu",
	               (unsigned long long)s->inode);
	snprintf(f.subject, sizeof(f.subject), "a packet socket, protocol 0x%04x, without an owner",
	         s->packet.protocol);
	snprintf(f.selector, sizeof(f.selector), "socket:%llu", (unsigned long long)s->inode);
	triage_found(t, &f);
}

static void look_socket(struct triage *t, const struct procs *p, const struct sock_row *s)
{
	const struct proc_row *r = owner(p, s->inode);
	bool listens = s->kind == ON_TCP && s->inet.state == 10;

	t->stats->looked++;
	if (!r) {
		if (s->kind == ON_PACKET && !p->denied && !p->cut)
			tell_ownerless(t, s);
		return;
	}
	if (s->kind == ON_XDP)
		judge_xdp(t, p, r);
	else if (s->kind == ON_PACKET || s->kind == ON_RAW)
		judge_raw(t, p, r, s);
	else if (listens)
		judge_listener(t, p, r, s);
}

/* --- BPF --- */

static const char *const bpf_users[] = {"systemd",
                                        "systemd-executor",
                                        "bpftool",
                                        "bpftrace",
                                        "tcpdump",
                                        "cilium-agent",
                                        "cilium",
                                        "calico-node",
                                        "falco",
                                        "tetragon",
                                        "auditd",
                                        "stanch",
                                        "containerd",
                                        "runc",
                                        "crun",
                                        "dockerd",
                                        "podman",
                                        "suricata",
                                        "osqueryd",
                                        "systemd-networkd",
                                        "systemd-network",
                                        "systemd-oomd",
                                        "systemd-nsresourced",
                                        "snap-confine",
                                        "snapd",
                                        "parca-agent",
                                        "beyla",
                                        "datadog-agent",
                                        "system-probe",
                                        "perf",
                                        NULL};

static void look_bpf_owner(struct triage *t, const struct procs *p, const struct proc_row *r)
{
	struct program g = program_of(r);
	unsigned n = 0;
	char what[80];

	for (uint32_t i = 0; i < r->n_fds; i++)
		n += p->fds[r->first_fd + i].kind == PROCFS_FD_BPF;
	if (!n)
		return;
	snprintf(what, sizeof(what), "it holds %u BPF programs, maps or links", n);
	if (suspect(t, p, r, &g))
		tell_socket(t, p, r, "bpf_owner", 0.80, what);
	else if (!g.system || !odd_any(odd_base(r->exe), bpf_users))
		tell_socket(t, p, r, "bpf_owner", 0.50, what);
}

/* Kinds that see or change what others do, of which hosts as they are installed have none. */
static bool watches_calls(unsigned type)
{
	return type == BPF_PROG_TYPE_KPROBE || type == BPF_PROG_TYPE_TRACING ||
	       type == BPF_PROG_TYPE_TRACEPOINT || type == BPF_PROG_TYPE_RAW_TRACEPOINT ||
	       type == BPF_PROG_TYPE_XDP || type == BPF_PROG_TYPE_SCHED_CLS;
}

static void look_bpf_programs(struct triage *t)
{
	union bpf_attr a = {0};
	struct finding f;
	unsigned kept = 0;

	triage_begin(t, "bpf_program", &f);
	while (sys->bpf(BPF_PROG_GET_NEXT_ID, &a, sizeof(a)) == 0 && !triage_over(t)) {
		struct bpf_prog_info info = {0};
		union bpf_attr q = {.prog_id = a.next_id};
		int fd = (int)sys->bpf(BPF_PROG_GET_FD_BY_ID, &q, sizeof(q));
		a.start_id = a.next_id;
		if (fd < 0)
			continue;
		q = (union bpf_attr){.info = {.bpf_fd = (uint32_t)fd,
		                              .info_len = sizeof(info),
		                              .info = (uint64_t)(uintptr_t)&info}};
		t->stats->looked++;
		if (sys->bpf(BPF_OBJ_GET_INFO_BY_FD, &q, sizeof(q)) == 0 &&
		    watches_calls(info.type)) {
			kept++;
			finding_reason(&f, "program %u \"%.16s\" of type %u, by uid %u", info.id,
			               info.name, info.type, info.created_by_uid);
		}
		sys->close(fd);
	}
	if (errno != ENOENT)
		triage_unseen(t, "BPF programs: %s", strerror(errno));
	snprintf(f.subject, sizeof(f.subject), "%u BPF programs that watch calls or packets", kept);
	snprintf(f.selector, sizeof(f.selector), "kernel:bpf");
	if (kept)
		triage_found(t, &f);
}

int area_sockets(struct triage *t, struct err *e)
{
	struct procs *p = procs_get(t, e);

	if (!p)
		return e ? e->code : -1;
	for (size_t i = 0; i < p->n_socks && !triage_over(t); i++)
		look_socket(t, p, &p->socks[i]);
	for (size_t i = 0; i < p->n && !triage_over(t); i++)
		look_bpf_owner(t, p, &p->rows[i]);
	look_bpf_programs(t);
	if (p->denied)
		triage_unseen(t, "the owners of sockets among %u processes: that needs root",
		              p->denied);
	return 0;
}
