/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "kern/bulkprog.h"

#include <bpf/libbpf.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/pkt_cls.h>
#include <stdlib.h>
#include <string.h>

#include "base/sys.h"
#include "base/table.h"
#include "kern/bpf_why.h"

/* Generated text: not written to our warnings. */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wcast-qual"
#pragma GCC diagnostic ignored "-Woverlength-strings"
#include "kern/bpf/bulk.skel.h"
#pragma GCC diagnostic pop

#define MAPS_MAX  8
#define FRAME_MAX 65536
#define A_TURN    4096 /* entries of one call */
#define KEY_MAX   sizeof(struct bulk_key6)

static const char *const prog_names[_BULK_LAYER_MAX] = {BULKPROG_NAME, BULKPROG_NAME_IP};

void bulkprog_close(struct bulkprog *b)
{
	int *const fds[] = {&b->progs[0], &b->progs[1], &b->v4, &b->v6, &b->devices};
	for (size_t i = 0; i < ARRAY_SIZE(fds); i++) {
		if (*fds[i] >= 0)
			sys->close(*fds[i]);
		*fds[i] = -1;
	}
}

static int object_info(int fd, void *info, size_t n, struct err *e)
{
	union bpf_attr a = {0};
	a.info.bpf_fd = (uint32_t)fd;
	a.info.info_len = (uint32_t)n;
	a.info.info = (uintptr_t)info;
	if (sys->bpf(BPF_OBJ_GET_INFO_BY_FD, &a, sizeof a) < 0)
		return err_set(e, -errno, "asking about a BPF object: %s", strerror(errno));
	return 0;
}

/* ---- load, find again ---- */

/* Of the programs that this binary carries; learnt when they are first loaded. */
static uint8_t tags[_BULK_LAYER_MAX][BPF_TAG_SIZE];
static bool tags_known;

static int learn_tags(const struct bulkprog *b, struct err *e)
{
	for (size_t i = 0; !tags_known && i < _BULK_LAYER_MAX; i++) {
		struct bpf_prog_info info = {0};
		int r = object_info(b->progs[i], &info, sizeof info, e);
		if (r < 0)
			return r;
		memcpy(tags[i], info.tag, sizeof tags[i]);
	}
	tags_known = true;
	return 0;
}

static int not_loaded(int code, struct err *e)
{
	if (code == -EPERM || code == -EACCES)
		return err_set(e, -EPERM,
		               "a BPF program cannot be loaded: this needs root (CAP_BPF and "
		               "CAP_NET_ADMIN in the first user namespace)");
	if (code == -EINVAL || code == -ENOSYS || code == -ENOTSUP)
		return err_set(e, -EOPNOTSUPP, "this kernel does not take the bulk programs: %s",
		               bpf_why(code));
	return err_set(e, code, "loading the bulk programs: %s", bpf_why(code));
}

/* Descriptors of its own, so that libbpf's object can go. */
static int take_fds(const struct bulk_bpf *s, struct bulkprog *b)
{
	const struct {
		int from, *to;
	} fds[] = {
	    {bpf_program__fd(s->progs.stanch_bulk), &b->progs[BULK_ETHERNET]},
	    {bpf_program__fd(s->progs.stanch_bulk_ip), &b->progs[BULK_IP]},
	    {bpf_map__fd(s->maps.stanch_bulk4), &b->v4},
	    {bpf_map__fd(s->maps.stanch_bulk6), &b->v6},
	    {bpf_map__fd(s->maps.stanch_devices), &b->devices},
	};
	for (size_t i = 0; i < ARRAY_SIZE(fds); i++)
		if ((*fds[i].to = fcntl(fds[i].from, F_DUPFD_CLOEXEC, 3)) < 0)
			return -errno;
	return 0;
}

int bulkprog_load(struct bulkprog *ret, struct err *e)
{
	struct bulkprog b = BULKPROG_NONE;
	bpf_why_begin();
	struct bulk_bpf *s = bulk_bpf__open_and_load();
	int r = s ? 0 : -errno;
	bpf_why_end();
	if (r < 0)
		return not_loaded(r, e);
	r = take_fds(s, &b);
	bulk_bpf__destroy(s);
	r = r < 0 ? err_set(e, r, "loading the bulk programs: %s", strerror(-r))
	          : learn_tags(&b, e);
	if (r < 0)
		bulkprog_close(&b);
	else
		*ret = b;
	return r;
}

/* The kernel computes the tags, and not every kernel in the same way: ask it. */
static int need_tags(struct err *e)
{
	struct bulkprog b = BULKPROG_NONE;
	if (tags_known)
		return 0;
	int r = bulkprog_load(&b, e);
	if (r == 0)
		bulkprog_close(&b);
	return r;
}

static int kin_of(const struct bpf_prog_info *info, enum bulkprog_kin *ret,
                  enum bulk_layer *ret_layer, struct err *e)
{
	*ret = BULKPROG_FOREIGN;
	for (size_t i = 0; i < _BULK_LAYER_MAX; i++) {
		if (info->type != BPF_PROG_TYPE_SCHED_CLS || strcmp(info->name, prog_names[i]) != 0)
			continue;
		int r = need_tags(e);
		if (r < 0)
			return r;
		*ret = memcmp(tags[i], info->tag, sizeof tags[i]) ? BULKPROG_KIN : BULKPROG_OURS;
		*ret_layer = (enum bulk_layer)i;
	}
	return 0;
}

static int open_by_id(int cmd, uint32_t id, const char *what, struct err *e)
{
	union bpf_attr a = {0};
	a.prog_id = id;
	int fd = (int)sys->bpf(cmd, &a, sizeof a);
	return fd < 0 ? err_set(e, -errno, "opening BPF %s %u: %s", what, id, strerror(errno)) : fd;
}

static int open_map(uint32_t id, struct bulkprog *b, struct err *e)
{
	const struct {
		const char *name;
		int *fd;
	} slots[] = {
	    {"stanch_bulk4", &b->v4}, {"stanch_bulk6", &b->v6}, {"stanch_devices", &b->devices}};
	struct bpf_map_info info = {0};
	int fd = open_by_id(BPF_MAP_GET_FD_BY_ID, id, "map", e);
	if (fd < 0)
		return fd;
	int r = object_info(fd, &info, sizeof info, e);
	for (size_t i = 0; r == 0 && i < ARRAY_SIZE(slots); i++)
		if (!strcmp(info.name, slots[i].name) && *slots[i].fd < 0) {
			*slots[i].fd = fd;
			return 0;
		}
	sys->close(fd);
	return r;
}

static int open_maps(int prog, struct bulkprog *b, struct err *e)
{
	uint32_t ids[MAPS_MAX] = {0};
	struct bpf_prog_info info = {.nr_map_ids = MAPS_MAX, .map_ids = (uintptr_t)ids};
	int r = object_info(prog, &info, sizeof info, e);
	for (uint32_t i = 0; r == 0 && i < info.nr_map_ids && i < MAPS_MAX; i++)
		r = open_map(ids[i], b, e);
	if (r == 0 && (b->v4 < 0 || b->v6 < 0 || b->devices < 0))
		r = err_set(e, -ESTALE, "a tc program of our name has not our maps");
	return r;
}

int bulkprog_open(uint32_t prog_id, struct bulkprog *ret, struct err *e)
{
	struct bulkprog b = BULKPROG_NONE;
	struct bpf_prog_info info = {0};
	enum bulkprog_kin kin;
	enum bulk_layer layer = 0;
	int r, fd = open_by_id(BPF_PROG_GET_FD_BY_ID, prog_id, "program", e);
	if (fd < 0)
		return fd;
	r = object_info(fd, &info, sizeof info, e);
	if (r == 0)
		r = kin_of(&info, &kin, &layer, e);
	if (r == 0 && kin != BULKPROG_OURS)
		r = err_set(e, -ESTALE, "BPF program %u is not ours", prog_id);
	if (r < 0) {
		sys->close(fd);
		return r;
	}
	b.progs[layer] = fd;
	r = open_maps(fd, &b, e);
	if (r < 0)
		bulkprog_close(&b);
	else
		*ret = b;
	return r;
}

int bulkprog_id(const struct bulkprog *b, enum bulk_layer l, uint32_t *ret, struct err *e)
{
	struct bpf_prog_info info = {0};
	int r = object_info(b->progs[l], &info, sizeof info, e);
	if (r == 0)
		*ret = info.id;
	return r;
}

int bulkprog_maps(const struct bulkprog *b, uint32_t *ret, struct err *e)
{
	struct bpf_map_info info = {0};
	int r = object_info(b->v4, &info, sizeof info, e);
	if (r == 0)
		*ret = info.id;
	return r;
}

int bulkprog_whose(uint32_t prog_id, enum bulkprog_kin *ret, uint32_t *ret_maps, struct err *e)
{
	struct bulkprog b = BULKPROG_NONE;
	struct bpf_prog_info info = {0};
	enum bulk_layer layer;
	int fd = open_by_id(BPF_PROG_GET_FD_BY_ID, prog_id, "program", e);
	if (fd < 0)
		return fd;
	int r = object_info(fd, &info, sizeof info, e);
	sys->close(fd);
	if (r == 0)
		r = kin_of(&info, ret, &layer, e);
	if (r < 0 || !ret_maps)
		return r;
	*ret_maps = 0;
	if (*ret != BULKPROG_OURS || (r = bulkprog_open(prog_id, &b, e)) < 0)
		return r;
	r = bulkprog_maps(&b, ret_maps, e);
	bulkprog_close(&b);
	return r;
}

/* ---- tries ---- */

static const struct trie {
	size_t key, addr; /* bytes */
} tries[] = {[ADDR_V4] = {sizeof(struct bulk_key4), 4}, [ADDR_V6] = {sizeof(struct bulk_key6), 16}};

static int trie_fd(const struct bulkprog *b, enum addr_family f)
{
	return f == ADDR_V4 ? b->v4 : b->v6;
}

/* Both layouts begin alike: the length, then the address. */
static void pack(const struct trie *t, const struct bulk_entry *v, uint8_t *key)
{
	uint32_t len = v->len;
	memcpy(key, &len, sizeof len);
	memcpy(key + sizeof len, v->addr, t->addr);
}

static void unpack(const struct trie *t, const uint8_t *key, uint64_t until, struct bulk_entry *ret)
{
	uint32_t len;
	memcpy(&len, key, sizeof len);
	*ret = (struct bulk_entry){.len = (uint8_t)len, .until = until};
	memcpy(ret->addr, key + sizeof len, t->addr);
}

/* Keys and values of one call, side by side as the kernel wants them. */
struct turn {
	uint8_t keys[A_TURN * KEY_MAX];
	uint64_t values[A_TURN];
};

static bool no_batches(int code)
{
	return code == EINVAL || code == EOPNOTSUPP || code == 524 /* ENOTSUPP */;
}

static int one(int fd, bool put, const void *key, const uint64_t *value)
{
	union bpf_attr a = {.map_fd = (uint32_t)fd};
	a.key = (uintptr_t)key;
	a.value = put ? (uintptr_t)value : 0;
	if (sys->bpf(put ? BPF_MAP_UPDATE_ELEM : BPF_MAP_DELETE_ELEM, &a, sizeof a) == 0 ||
	    (!put && errno == ENOENT))
		return 0;
	return -errno;
}

/* Goes on behind what a batch left: a missing entry ends a batch of deletions. */
static int batch(int fd, const struct trie *t, bool put, struct turn *w, uint32_t n, uint32_t *done)
{
	union bpf_attr a = {0};
	*done = 0;
	a.batch.keys = (uintptr_t)w->keys;
	a.batch.values = put ? (uintptr_t)w->values : 0;
	a.batch.count = n;
	a.batch.map_fd = (uint32_t)fd;
	if (sys->bpf(put ? BPF_MAP_UPDATE_BATCH : BPF_MAP_DELETE_BATCH, &a, sizeof a) == 0) {
		*done = n;
		return 0;
	}
	if (!no_batches(errno) && a.batch.count <= n)
		*done = a.batch.count;
	int r = 0;
	while (r == 0 && *done < n) {
		r = one(fd, put, w->keys + *done * t->key, &w->values[*done]);
		*done += r == 0;
	}
	return r;
}

static int change(const struct bulkprog *b, enum addr_family f, bool put,
                  const struct bulk_entry *v, size_t n, size_t *ret_done, struct err *e)
{
	const struct trie *t = &tries[f];
	struct turn *w = malloc(sizeof *w);
	size_t at = 0;
	uint32_t done = 0;
	int r = w ? 0 : -ENOMEM;
	while (r == 0 && at < n) {
		uint32_t k = (uint32_t)(n - at < A_TURN ? n - at : A_TURN);
		for (uint32_t i = 0; i < k; i++) {
			pack(t, &v[at + i], w->keys + i * t->key);
			w->values[i] = v[at + i].until;
		}
		r = batch(trie_fd(b, f), t, put, w, k, &done);
		at += done;
	}
	free(w);
	*ret_done = at;
	if (r == -ENOSPC)
		return err_set(e, r, "the kernel's trie is full at %u prefixes", BULK_ENTRIES_MAX);
	return r < 0 ? err_set(e, r, "%s prefix %zu of %zu %s the kernel's trie: %s",
	                       put ? "putting" : "taking", at + 1, n, put ? "into" : "out of",
	                       strerror(-r))
	             : 0;
}

int bulkprog_put(const struct bulkprog *b, enum addr_family f, const struct bulk_entry *v, size_t n,
                 size_t *ret_done, struct err *e)
{
	return change(b, f, true, v, n, ret_done, e);
}

int bulkprog_del(const struct bulkprog *b, enum addr_family f, const struct bulk_entry *v, size_t n,
                 size_t *ret_done, struct err *e)
{
	return change(b, f, false, v, n, ret_done, e);
}

static int by_addr(const void *a, const void *b)
{
	const struct bulk_entry *x = a, *y = b;
	int d = memcmp(x->addr, y->addr, sizeof x->addr);
	return d ? d : (int)x->len - (int)y->len;
}

/* ---- reading all back ---- */

struct reading {
	int fd;
	const struct trie *t;
	bool batches;
	uint8_t cursor[KEY_MAX];
	bool begun;
	struct bulk_entry *v;
	size_t n, cap;
};

/* Up to A_TURN entries behind the cursor into w; *ret_n 0: that was all. */
static int next_batch(struct reading *g, struct turn *w, uint32_t *ret_n)
{
	union bpf_attr a = {0};
	a.batch.in_batch = g->begun ? (uintptr_t)g->cursor : 0;
	a.batch.out_batch = (uintptr_t)g->cursor;
	a.batch.keys = (uintptr_t)w->keys;
	a.batch.values = (uintptr_t)w->values;
	a.batch.count = A_TURN;
	a.batch.map_fd = (uint32_t)g->fd;
	int r = sys->bpf(BPF_MAP_LOOKUP_BATCH, &a, sizeof a) < 0 ? -errno : 0;
	if (r == 0 || r == -ENOENT) {
		*ret_n = a.batch.count <= A_TURN ? a.batch.count : 0;
		g->begun = true;
		return r;
	}
	return r == -EINTR ? -EAGAIN : r;
}

static int next_one(struct reading *g, struct turn *w, uint32_t *ret_n)
{
	union bpf_attr a = {.map_fd = (uint32_t)g->fd};
	a.key = g->begun ? (uintptr_t)g->cursor : 0;
	a.next_key = (uintptr_t)w->keys;
	*ret_n = 0;
	if (sys->bpf(BPF_MAP_GET_NEXT_KEY, &a, sizeof a) < 0)
		return -errno;
	memcpy(g->cursor, w->keys, g->t->key);
	g->begun = true;
	a = (union bpf_attr){.map_fd = (uint32_t)g->fd};
	a.key = (uintptr_t)w->keys;
	a.value = (uintptr_t)w->values;
	if (sys->bpf(BPF_MAP_LOOKUP_ELEM, &a, sizeof a) < 0)
		return errno == ENOENT ? -EAGAIN : -errno;
	*ret_n = 1;
	return 0;
}

static int keep(struct reading *g, const struct turn *w, uint32_t n)
{
	if (g->n + n > BULK_ENTRIES_MAX)
		return -EAGAIN; /* a key that went sends the walk back to the first */
	if (g->n + n > g->cap) {
		size_t cap = g->cap ? g->cap * 2 : A_TURN;
		struct bulk_entry *v = realloc(g->v, cap * sizeof *v);
		if (!v)
			return -ENOMEM;
		g->v = v;
		g->cap = cap;
	}
	for (uint32_t i = 0; i < n; i++)
		unpack(g->t, w->keys + i * g->t->key, w->values[i], &g->v[g->n++]);
	return 0;
}

static int read_all(struct reading *g, struct turn *w)
{
	int r = 0, kept = 0;
	while (r == 0 && kept == 0) {
		uint32_t n = 0;
		r = g->batches ? next_batch(g, w, &n) : next_one(g, w, &n);
		if (r < 0 && !g->begun && g->batches && no_batches(-r)) {
			g->batches = false;
			r = 0;
			continue;
		}
		if (n)
			kept = keep(g, w, n);
	}
	return kept < 0 ? kept : r == -ENOENT ? 0 : r;
}

static bool sorted_and_single(const struct reading *g)
{
	for (size_t i = 1; i < g->n; i++)
		if (by_addr(&g->v[i - 1], &g->v[i]) >= 0)
			return false;
	return true;
}

int bulkprog_read(const struct bulkprog *b, enum addr_family f, struct bulk_entry **ret,
                  size_t *ret_n, struct err *e)
{
	struct reading g = {.fd = trie_fd(b, f), .t = &tries[f], .batches = true};
	struct turn *w = calloc(1, sizeof *w); /* valgrind does not see what the kernel fills */
	int r = w ? read_all(&g, w) : -ENOMEM;
	free(w);
	if (r == 0 && !sorted_and_single(&g)) {
		qsort(g.v, g.n, sizeof *g.v, by_addr);
		r = sorted_and_single(&g) ? 0 : -EAGAIN;
	}
	if (r < 0) {
		free(g.v);
		return err_set(e, r, "reading the kernel's trie back: %s", strerror(-r));
	}
	*ret = g.v;
	*ret_n = g.n;
	return 0;
}

int bulkprog_find(const struct bulkprog *b, const struct addr *a, uint64_t *ret_until,
                  struct err *e)
{
	uint8_t key[KEY_MAX];
	struct bulk_entry v = {.len = (uint8_t)addr_bits(a)};
	union bpf_attr attr = {.map_fd = (uint32_t)trie_fd(b, (enum addr_family)a->family)};
	memcpy(v.addr, a->bytes, sizeof v.addr);
	pack(&tries[a->family], &v, key);
	attr.key = (uintptr_t)key;
	attr.value = (uintptr_t)ret_until;
	if (sys->bpf(BPF_MAP_LOOKUP_ELEM, &attr, sizeof attr) == 0)
		return 0;
	return errno == ENOENT
	           ? -ENOENT
	           : err_set(e, -errno, "asking the kernel's trie: %s", strerror(errno));
}

/* ---- the devices ---- */

static int device_call(const struct bulkprog *b, int cmd, int ifindex, const void *note,
                       struct err *e)
{
	uint32_t key = (uint32_t)ifindex;
	union bpf_attr a = {.map_fd = (uint32_t)b->devices};
	a.key = (uintptr_t)&key;
	a.value = (uintptr_t)note;
	if (sys->bpf(cmd, &a, sizeof a) < 0)
		return err_set(e, -errno, "the bulk programs' map of devices: %s", strerror(errno));
	return 0;
}

int bulkprog_set_device(const struct bulkprog *b, int ifindex, const struct bulk_device_note *n,
                        struct err *e)
{
	return device_call(b, BPF_MAP_UPDATE_ELEM, ifindex, n, e);
}

int bulkprog_get_device(const struct bulkprog *b, int ifindex, struct bulk_device_note *ret,
                        struct err *e)
{
	return device_call(b, BPF_MAP_LOOKUP_ELEM, ifindex, ret, e);
}

int bulkprog_try(const struct bulkprog *b, enum bulk_layer l, const void *frame, size_t n,
                 unsigned repeat, bool *ret_pass, uint32_t *ret_nsec, struct err *e)
{
	union bpf_attr a = {0};
	if (n > FRAME_MAX)
		return err_set(e, -EMSGSIZE, "a frame of %zu bytes is too long", n);
	a.test.prog_fd = (uint32_t)b->progs[l];
	a.test.data_in = (uintptr_t)frame;
	a.test.data_size_in = (uint32_t)n;
	a.test.repeat = repeat;
	if (sys->bpf(BPF_PROG_TEST_RUN, &a, sizeof a) < 0)
		return err_set(e, -errno, "trying the bulk program: %s", strerror(errno));
	*ret_pass = (int32_t)a.test.retval == TC_ACT_UNSPEC;
	if (ret_nsec)
		*ret_nsec = a.test.duration;
	return 0;
}
