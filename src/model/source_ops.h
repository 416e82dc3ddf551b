/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A source of flows. Runs in the unprivileged role; the privileged side only opens it. */
#ifndef STANCH_MODEL_SOURCE_OPS_H
#define STANCH_MODEL_SOURCE_OPS_H

#include "base/err.h"
#include "model/flow.h"

struct packet_sink {
	/* One frame. data: see settle; wire_len is its length on the wire. linktype is
	 * a LINKTYPE_ value of the pcap registry. */
	void (*frame)(void *arg, uint64_t nsec, unsigned linktype, const uint8_t *data,
	              uint32_t cap_len, uint32_t wire_len);
	/* Called before the memory of frames that were handed out is used again, and before pump
	 * returns: until then their data stays valid. May be NULL. */
	void (*settle)(void *arg);
	void *arg;
};

struct source_ops {
	const char *name;
	/* Privileged: opens what `where` names (an interface, a path, "-"); returns an fd to pass
	 * on. */
	int (*open)(const char *where, int *ret_fd, struct err *e);
	/* Unprivileged, takes the fd over. */
	int (*attach)(int fd, void **ret_ctx, struct err *e);
	/* Hands frames to the sink until none is ready or max were handed. 1: more may come, 0: end
	 * of the source, -errno. May block up to timeout_ms. */
	int (*pump)(void *ctx, const struct packet_sink *sink, unsigned max, int timeout_ms,
	            struct err *e);
	void (*stats)(void *ctx, struct source_stats *ret); /* packets, bytes, dropped, malformed */
	void (*close)(void *ctx);                           /* takes NULL */
};

#endif
