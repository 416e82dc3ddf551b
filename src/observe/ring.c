/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "observe/ring.h"

#include <errno.h>
#include <linux/filter.h>
#include <arpa/inet.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <net/if_arp.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "base/sys.h"
#include "base/table.h"

#define RETIRE_MSEC 40 /* a block is handed over at the latest then, however empty */

#define LINKTYPE_ETHERNET 1
#define LINKTYPE_RAW      101
#define VLAN_SIZE         4

struct ring {
	int fd;
	uint8_t *map;
	unsigned block; /* next to read */
	unsigned left;  /* frames not yet handed out in it */
	const uint8_t *at;
	struct source_stats stats;
	uint8_t scratch[RING_WHOLE + VLAN_SIZE];
};

static int open_failed(int fd, const char *where, const char *what, struct err *e)
{
	int failed = errno;

	if (fd >= 0)
		sys->close(fd);
	if (failed == EPERM || failed == EACCES)
		return err_set(e, -EPERM,
		               "cannot watch %s: packet capture needs CAP_NET_RAW; run it as root, "
		               "or read a capture with --file",
		               where);
	return err_set(e, -failed, "cannot watch %s: %s: %s", where, what, strerror(failed));
}

/*
 * How much of a frame is taken. A classic filter's load beyond a frame's end ends it with 0, which
 * would hide the frame: but only frames over RING_SMALL get as far as a load, and no IP and TCP
 * header together is so long. Offsets are from the IP header, whatever the link.
 */
#define NET(k) ((uint32_t)(SKF_NET_OFF + (k)))
static struct sock_filter snap_program[] = {
    /*  0 */ BPF_STMT(BPF_LD | BPF_W | BPF_LEN, 0),
    /*  1 */ BPF_JUMP(BPF_JMP | BPF_JGT | BPF_K, RING_SMALL, 0, 26),
    /*  2 */ BPF_STMT(BPF_LD | BPF_H | BPF_ABS, (uint32_t)(SKF_AD_OFF + SKF_AD_PROTOCOL)),
    /*  3 */ BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, ETH_P_IP, 1, 0),
    /*  4 */ BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, ETH_P_IPV6, 6, 22),
    /*  5 IPv4: X is its header's length, A its protocol */
    BPF_STMT(BPF_LD | BPF_B | BPF_ABS, NET(0)),
    /*  6 */ BPF_STMT(BPF_ALU | BPF_AND | BPF_K, 0xf),
    /*  7 */ BPF_STMT(BPF_ALU | BPF_LSH | BPF_K, 2),
    /*  8 */ BPF_STMT(BPF_MISC | BPF_TAX, 0),
    /*  9 */ BPF_STMT(BPF_LD | BPF_B | BPF_ABS, NET(9)),
    /* 10 */ BPF_JUMP(BPF_JMP | BPF_JA, 2, 0, 0),
    /* 11 IPv6 */ BPF_STMT(BPF_LDX | BPF_W | BPF_IMM, 40),
    /* 12 */ BPF_STMT(BPF_LD | BPF_B | BPF_ABS, NET(6)),
    /* 13 */ BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, IPPROTO_TCP, 4, 0),
    /* 14 */ BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, IPPROTO_UDP, 0, 12),
    /* 15 UDP: the long header of QUIC */ BPF_STMT(BPF_LD | BPF_B | BPF_IND, NET(8)),
    /* 16 */ BPF_STMT(BPF_ALU | BPF_AND | BPF_K, 0xc0),
    /* 17 */ BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 0xc0, 10, 9),
    /* 18 TCP: the first two bytes behind its header */
    BPF_STMT(BPF_LD | BPF_B | BPF_IND, NET(12)),
    /* 19 */ BPF_STMT(BPF_ALU | BPF_AND | BPF_K, 0xf0),
    /* 20 */ BPF_STMT(BPF_ALU | BPF_RSH | BPF_K, 2),
    /* 21 */ BPF_STMT(BPF_ALU | BPF_ADD | BPF_X, 0),
    /* 22 */ BPF_STMT(BPF_MISC | BPF_TAX, 0),
    /* 23 */ BPF_STMT(BPF_LD | BPF_H | BPF_IND, NET(0)),
    /* 24 TLS handshake, GET, POST */ BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 0x1603, 3, 0),
    /* 25 */ BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 0x4745, 2, 0),
    /* 26 */ BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 0x504f, 1, 0),
    /* 27 */ BPF_STMT(BPF_RET | BPF_K, RING_SNAP_HEAD),
    /* 28 */ BPF_STMT(BPF_RET | BPF_K, RING_SNAP),
};

static int open_ring(const char *where, bool whole, int *ret_fd, struct err *e)
{
	const struct sock_fprog filter = {ARRAY_SIZE(snap_program), snap_program};
	const struct tpacket_req3 req = {
	    .tp_block_size = RING_BLOCK,
	    .tp_block_nr = RING_BLOCKS,
	    .tp_frame_size = TPACKET_ALIGNMENT << 7,
	    .tp_frame_nr = RING_BLOCK / (TPACKET_ALIGNMENT << 7) * RING_BLOCKS,
	    .tp_retire_blk_tov = RETIRE_MSEC,
	};
	const struct sockaddr_ll at = {.sll_family = AF_PACKET,
	                               .sll_protocol = htons(ETH_P_ALL),
	                               .sll_ifindex = (int)if_nametoindex(where)};
	int version = TPACKET_V3;
	int fd = sys->socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return open_failed(fd, where, "packet socket", e);
	if (!at.sll_ifindex)
		return open_failed(fd, where, "no such interface (see `ip link`)", e);
	if (sys->setsockopt(fd, SOL_PACKET, PACKET_VERSION, &version, sizeof(version)) < 0 ||
	    sys->setsockopt(fd, SOL_PACKET, PACKET_RX_RING, &req, sizeof(req)) < 0)
		return open_failed(fd, where, "TPACKET_V3 ring", e);
	if (!whole &&
	    sys->setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &filter, sizeof(filter)) < 0)
		return open_failed(fd, where, "snap length", e);
	if (sys->bind(fd, (const struct sockaddr *)&at, sizeof(at)) < 0)
		return open_failed(fd, where, "bind", e);
	*ret_fd = fd;
	return 0;
}

static int ring_open(const char *where, int *ret_fd, struct err *e)
{
	return open_ring(where, false, ret_fd, e);
}

static int ring_open_whole(const char *where, int *ret_fd, struct err *e)
{
	return open_ring(where, true, ret_fd, e);
}

static int ring_attach(int fd, void **ret_ctx, struct err *e)
{
	struct ring *r = calloc(1, sizeof(*r));

	if (!r)
		return err_set(e, -ENOMEM, "out of memory for a packet ring");
	r->map =
	    mmap(NULL, (size_t)RING_BLOCK * RING_BLOCKS, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (r->map == MAP_FAILED) {
		int failed = errno;
		free(r);
		return err_set(e, -failed, "cannot map the packet ring: %s", strerror(failed));
	}
	r->fd = fd;
	snprintf(r->stats.tier, sizeof(r->stats.tier), "tpacket_v3");
	*ret_ctx = r;
	return 0;
}

static struct tpacket_block_desc *block_of(const struct ring *r)
{
	return (struct tpacket_block_desc *)(void *)(r->map + (size_t)r->block * RING_BLOCK);
}

/* The tag goes back behind the two addresses, where it was on the wire. */
static const uint8_t *put_vlan(struct ring *r, const struct tpacket3_hdr *h, const uint8_t *data,
                               uint32_t *len)
{
	uint16_t tpid =
	    h->tp_status & TP_STATUS_VLAN_TPID_VALID ? h->hv1.tp_vlan_tpid : ETH_P_8021Q;
	uint16_t tci = (uint16_t)h->hv1.tp_vlan_tci;
	const uint8_t tag[VLAN_SIZE] = {(uint8_t)(tpid >> 8), (uint8_t)tpid, (uint8_t)(tci >> 8),
	                                (uint8_t)tci};

	memcpy(r->scratch, data, 12);
	memcpy(r->scratch + 12, tag, VLAN_SIZE);
	memcpy(r->scratch + 12 + VLAN_SIZE, data + 12, *len - 12);
	*len += VLAN_SIZE;
	return r->scratch;
}

static void settle(const struct packet_sink *sink)
{
	if (sink->settle)
		sink->settle(sink->arg);
}

static void hand_out(struct ring *r, const struct tpacket3_hdr *h, const struct packet_sink *sink)
{
	const uint8_t *base = (const uint8_t *)h, *data = base + h->tp_mac;
	struct sockaddr_ll from;
	uint32_t len = h->tp_snaplen, wire = h->tp_len;
	uint64_t nsec = (uint64_t)h->tp_sec * UINT64_C(1000000000) + h->tp_nsec;
	bool ether;

	memcpy(&from, base + TPACKET_ALIGN(sizeof(*h)), sizeof(from));
	if (from.sll_hatype == ARPHRD_LOOPBACK && from.sll_pkttype == PACKET_OUTGOING)
		return;
	ether = from.sll_hatype == ARPHRD_ETHER || from.sll_hatype == ARPHRD_LOOPBACK;
	if (ether && h->tp_status & TP_STATUS_VLAN_VALID && len >= 12 && len <= RING_WHOLE) {
		settle(sink); /* one scratch for all */
		data = put_vlan(r, h, data, &len);
		wire += VLAN_SIZE;
	}
	r->stats.packets++;
	r->stats.bytes += wire;
	if (!r->stats.first_nsec)
		r->stats.first_nsec = nsec;
	r->stats.last_nsec = nsec;
	sink->frame(sink->arg, nsec, ether ? LINKTYPE_ETHERNET : LINKTYPE_RAW, data, len, wire);
}

/* True: a block is at hand. */
static bool next_block(struct ring *r)
{
	struct tpacket_block_desc *b = block_of(r);

	if (r->left)
		return true;
	if (!(__atomic_load_n(&b->hdr.bh1.block_status, __ATOMIC_ACQUIRE) & TP_STATUS_USER))
		return false;
	r->left = b->hdr.bh1.num_pkts;
	r->at = (const uint8_t *)b + b->hdr.bh1.offset_to_first_pkt;
	return true;
}

static void give_back(struct ring *r)
{
	__atomic_store_n(&block_of(r)->hdr.bh1.block_status, TP_STATUS_KERNEL, __ATOMIC_RELEASE);
	r->block = (r->block + 1) % RING_BLOCKS;
}

static int ring_wait(struct ring *r, int timeout_ms)
{
	struct pollfd p = {.fd = r->fd, .events = POLLIN};
	int failed;
	socklen_t n = sizeof(failed);

	if (sys->poll(&p, 1, timeout_ms) < 0 && errno != EINTR)
		return -errno;
	/* A device that goes down leaves an error behind; it may come up again. */
	if (p.revents & POLLERR)
		getsockopt(r->fd, SOL_SOCKET, SO_ERROR, &failed, &n);
	return 0;
}

static int ring_pump(void *ctx, const struct packet_sink *sink, unsigned max, int timeout_ms,
                     struct err *e)
{
	struct ring *r = ctx;
	unsigned done = 0;
	int k;

	if (!next_block(r) && timeout_ms && (k = ring_wait(r, timeout_ms)) < 0)
		return err_set(e, k, "cannot wait for packets: %s", strerror(-k));
	while (done < max && next_block(r)) {
		for (; r->left && done < max; done++) {
			const struct tpacket3_hdr *h =
			    (const struct tpacket3_hdr *)(const void *)r->at;
			hand_out(r, h, sink);
			r->at += h->tp_next_offset;
			r->left--;
		}
		settle(sink);
		if (!r->left)
			give_back(r);
	}
	return 1;
}

static void ring_stats(void *ctx, struct source_stats *ret)
{
	struct ring *r = ctx;
	struct tpacket_stats_v3 s;
	socklen_t n = sizeof(s);

	/* The kernel's counts start again at each question. */
	if (!getsockopt(r->fd, SOL_PACKET, PACKET_STATISTICS, &s, &n))
		r->stats.dropped += s.tp_drops;
	*ret = r->stats;
}

static void ring_close(void *ctx)
{
	struct ring *r = ctx;

	if (!r)
		return;
	munmap(r->map, (size_t)RING_BLOCK * RING_BLOCKS);
	sys->close(r->fd);
	free(r);
}

const struct source_ops ring_source = {
    .name = "tpacket_v3",
    .open = ring_open,
    .attach = ring_attach,
    .pump = ring_pump,
    .stats = ring_stats,
    .close = ring_close,
};

const struct source_ops ring_whole_source = {
    .name = "tpacket_v3",
    .open = ring_open_whole,
    .attach = ring_attach,
    .pump = ring_pump,
    .stats = ring_stats,
    .close = ring_close,
};
