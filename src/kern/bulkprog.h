/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The programs of the bulk tier (bpf/bulk.bpf.c) and their two tries of prefixes: load them, find
 * them again by a program's id, put entries in, take them out, read all of them back. Nothing is
 * pinned: the filters that carry the programs keep them and the tries alive, and lead back to them.
 *
 * Which program is ours: by its name and its tag (a digest of its instructions).
 */
#ifndef STANCH_KERN_BULKPROG_H
#define STANCH_KERN_BULKPROG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/addr.h"
#include "base/err.h"
#include "kern/bpf/bulk.h"

#define BULKPROG_NAME    "stanch_bulk"
#define BULKPROG_NAME_IP "stanch_bulk_ip"

enum bulk_layer { BULK_ETHERNET, BULK_IP, _BULK_LAYER_MAX };
/* KIN: one of our names with another tag, of another version of stanch or a forgery. */
enum bulkprog_kin { BULKPROG_FOREIGN, BULKPROG_KIN, BULKPROG_OURS };

struct bulkprog {
	int progs[_BULK_LAYER_MAX]; /* file descriptors, -1: none */
	int v4, v6, devices;
};

#define BULKPROG_NONE ((struct bulkprog){{-1, -1}, -1, -1, -1})

/* One entry of a trie; which one is known from elsewhere. */
struct bulk_entry {
	uint8_t addr[16]; /* v4 in the first four, the rest zero */
	uint8_t len;
	uint64_t until; /* CLOCK_BOOTTIME, ns; 0: for good */
};

/* Fresh programs with empty tries. -EPERM, -EOPNOTSUPP: not possible here, with the reason. */
int bulkprog_load(struct bulkprog *ret, struct err *e);
/* Opens the maps of an attached program of ours; of progs only the one asked about is opened.
 * -ENOENT: gone; -ESTALE: not ours. */
int bulkprog_open(uint32_t prog_id, struct bulkprog *ret, struct err *e);
void bulkprog_close(struct bulkprog *b); /* takes a half-opened one */
/* -ENOENT: there is no such program. *ret_maps (may be NULL) gets the id of its IPv4 trie, by which
 * programs that share their tries are known; 0 when it is not ours. Loads a program once in the
 * life of this process, to learn our own tags. */
int bulkprog_whose(uint32_t prog_id, enum bulkprog_kin *ret, uint32_t *ret_maps, struct err *e);
int bulkprog_id(const struct bulkprog *b, enum bulk_layer l, uint32_t *ret, struct err *e);
/* The id of the IPv4 trie. */
int bulkprog_maps(const struct bulkprog *b, uint32_t *ret, struct err *e);

/* Puts n entries in (an entry that is there gets the new `until`) or takes them out (one that is
 * not there is no failure). In batches where the kernel has them (5.13), else one by one. On
 * failure *ret_done tells how many of v were done. */
int bulkprog_put(const struct bulkprog *b, enum addr_family f, const struct bulk_entry *v, size_t n,
                 size_t *ret_done, struct err *e);
int bulkprog_del(const struct bulkprog *b, enum addr_family f, const struct bulk_entry *v, size_t n,
                 size_t *ret_done, struct err *e);
/* Every entry, sorted by address; malloc'd. A trie that changes meanwhile: -EAGAIN. */
int bulkprog_read(const struct bulkprog *b, enum addr_family f, struct bulk_entry **ret,
                  size_t *ret_n, struct err *e);
/* What the kernel finds for one address: the longest match's until. -ENOENT: nothing (e stays). */
int bulkprog_find(const struct bulkprog *b, const struct addr *a, uint64_t *ret_until,
                  struct err *e);

/* A device's note; -ENOENT: there is none. */
int bulkprog_set_device(const struct bulkprog *b, int ifindex, const struct bulk_device_note *n,
                        struct err *e);
int bulkprog_get_device(const struct bulkprog *b, int ifindex, struct bulk_device_note *ret,
                        struct err *e);
/* Runs the program over one frame `repeat` times without sending it; *ret_nsec of one run. */
int bulkprog_try(const struct bulkprog *b, enum bulk_layer l, const void *frame, size_t n,
                 unsigned repeat, bool *ret_pass, uint32_t *ret_nsec, struct err *e);

#endif
