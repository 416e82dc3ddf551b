/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Sockets as the kernel lists them (sock_diag): TCP, UDP and raw sockets with their counters,
 * packet sockets, and the order to destroy a socket. Everything speaks of the network namespace
 * that the netlink socket was opened in.
 *
 * nl is a socket opened on NETLINK_SOCK_DIAG that is reused, or NULL to open one for the call.
 * A callback returns false to stop early; that is a success of the call.
 */
#ifndef STANCH_KERN_DIAG_H
#define STANCH_KERN_DIAG_H

#include <errno.h>
#include <linux/inet_diag.h>
#include <linux/sock_diag.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/addr.h"
#include "base/err.h"

struct nl;

/* The states of a socket, as the kernel numbers them (TCP_ESTABLISHED …); UDP uses two. */
enum diag_state {
	DIAG_ESTABLISHED = 1, /* UDP: connected */
	DIAG_SYN_SENT,
	DIAG_SYN_RECV,
	DIAG_FIN_WAIT1,
	DIAG_FIN_WAIT2,
	DIAG_TIME_WAIT,
	DIAG_CLOSE, /* UDP: not connected */
	DIAG_CLOSE_WAIT,
	DIAG_LAST_ACK,
	DIAG_LISTEN,
	DIAG_CLOSING,
	DIAG_NEW_SYN_RECV,
	_DIAG_STATE_MAX,
	_DIAG_STATE_INVALID = -EINVAL
};
const char *diag_state_str(unsigned state); /* "established", "time_wait", …; "invalid" */
int diag_state_parse(const char *s);        /* -EINVAL */

#define DIAG_ALL_STATES    UINT32_C(0xffff)
#define DIAG_STATE_BIT(st) (UINT32_C(1) << (st))

/* struct tcp_info as far as this kernel fills it; what it does not know is 0. */
struct diag_tcp {
	uint32_t rtt_usec, rttvar_usec, pmtu, snd_cwnd, total_retrans;
	uint32_t last_data_sent_msec, last_data_recv_msec, last_ack_recv_msec; /* ago */
	uint32_t segs_out, segs_in, data_segs_out, data_segs_in;
	uint64_t bytes_acked;               /* by the peer: what has left this host for sure */
	uint64_t bytes_received;            /* in order */
	uint64_t bytes_sent, bytes_retrans; /* with repeats; 0 before Linux 4.19 */
};

struct diag_sock {
	uint8_t family;    /* AF_INET or AF_INET6: of the socket; v4 on a v6 socket is AF_INET6 */
	uint8_t proto;     /* IPPROTO_TCP, _UDP, _RAW */
	uint8_t raw_proto; /* IPPROTO_RAW: the protocol it was opened for; else 0 */
	uint8_t state;     /* enum diag_state */
	bool v6only;
	struct endpoint local, peer; /* v4-mapped addresses come out as v4 */
	int ifindex;                 /* bound to; 0: none */
	uint64_t inode;              /* 0: no file (time_wait, orphan) */
	uint32_t uid;
	uint64_t cgroup;         /* cgroup v2 id (inode of its folder); 0: not told */
	uint32_t rqueue, wqueue; /* bytes */
	bool has_tcp;
	struct diag_tcp tcp;
	struct inet_diag_sockid id; /* the kernel's key, cookie included: for diag_destroy */
};

typedef bool (*diag_sock_fn)(void *arg, const struct diag_sock *s);

/* family AF_INET, AF_INET6 or AF_UNSPEC for both; proto IPPROTO_TCP, _UDP, _UDPLITE or _RAW;
 * states: DIAG_STATE_BIT()s. -EOPNOTSUPP: this kernel does not list that protocol. */
int diag_inet(struct nl *nl, int family, int proto, uint32_t states, diag_sock_fn cb, void *arg,
              struct err *e);

/* TCP sockets that are gone for good tell so from then on; nl becomes a socket of its own. -EPERM
 * without CAP_NET_ADMIN. */
int diag_ended_open(struct nl *nl, struct err *e);
/* Those since the last call, with their last tcp_info; inode and uid are not told. lost: see
 * nl_heard. */
int diag_ended_read(struct nl *nl, diag_sock_fn cb, void *arg, uint64_t *lost, struct err *e);

/* Closes the socket as if by an error: its holder gets ECONNABORTED, a TCP peer a RST (if that may
 * pass). -ENOENT: gone already; -EOPNOTSUPP: not offered by this kernel (CONFIG_INET_DIAG_DESTROY);
 * -EPERM. */
int diag_destroy(struct nl *nl, const struct diag_sock *s, struct err *e);

struct diag_packet {
	uint8_t type;      /* SOCK_RAW, SOCK_DGRAM */
	uint16_t protocol; /* ETH_P_*, host order; 0: receives nothing */
	int ifindex;       /* bound to; 0: every device */
	uint64_t inode;
	uint32_t uid;
	bool rx_ring, tx_ring, running;
};

typedef bool (*diag_packet_fn)(void *arg, const struct diag_packet *p);

/* Packet sockets (AF_PACKET). -EOPNOTSUPP: this kernel has no packet_diag. */
int diag_packet(struct nl *nl, diag_packet_fn cb, void *arg, struct err *e);

/* Inode of a connected unix socket and of the one that it is connected with. */
typedef bool (*diag_unix_fn)(void *arg, uint64_t inode, uint64_t peer);

/* Inodes of AF_XDP sockets. -EOPNOTSUPP: this kernel has none, or does not list them. */
typedef bool (*diag_xdp_fn)(void *arg, uint64_t inode);
int diag_xdp(struct nl *nl, diag_xdp_fn cb, void *arg, struct err *e);

/* Unix sockets that are connected. -EOPNOTSUPP: this kernel has no unix_diag. */
int diag_unix(struct nl *nl, diag_unix_fn cb, void *arg, struct err *e);

#endif
