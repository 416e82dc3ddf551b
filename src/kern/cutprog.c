/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "kern/cutprog.h"

#include <bpf/libbpf.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/pkt_cls.h>
#include <stdio.h>
#include <string.h>

#include "base/sys.h"
#include "base/table.h"
#include "kern/bpf_why.h"

/* Generated text: not written to our warnings. */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wcast-qual"
#pragma GCC diagnostic ignored "-Woverlength-strings"
#include "kern/bpf/cut.skel.h"
#include "kern/bpf/cut_in.skel.h"
#pragma GCC diagnostic pop

#define MAPS_MAX  8
#define CPUS_MAX  4096
#define FRAME_MAX 65536

static const struct {
	const char *name, *text;
	uint32_t type, pass;
} ways[_CUTPROG_WAY_MAX] = {
    [CUTPROG_OUT] = {CUTPROG_NAME, "tc", BPF_PROG_TYPE_SCHED_CLS, (uint32_t)TC_ACT_UNSPEC},
    [CUTPROG_IN] = {CUTPROG_NAME_IN, "XDP", BPF_PROG_TYPE_XDP, XDP_PASS},
};

static const char *const map_names[] = {"stanch_config", "stanch_permits", "stanch_counts"};

struct cutprog cutprog_none(void)
{
	return (struct cutprog){.prog = -1, .config = -1, .permits = -1, .counts = -1};
}

void cutprog_close(struct cutprog *c)
{
	int *const fds[] = {&c->prog, &c->config, &c->permits, &c->counts};
	for (size_t i = 0; i < ARRAY_SIZE(fds); i++) {
		if (*fds[i] >= 0)
			sys->close(*fds[i]);
		*fds[i] = -1;
	}
}

static int map_get(int fd, uint32_t key, void *value, struct err *e)
{
	union bpf_attr a = {.map_fd = (uint32_t)fd};
	a.key = (uintptr_t)&key;
	a.value = (uintptr_t)value;
	if (sys->bpf(BPF_MAP_LOOKUP_ELEM, &a, sizeof a) < 0)
		return err_set(e, -errno, "reading a BPF map: %s", strerror(errno));
	return 0;
}

static int map_set(int fd, uint32_t key, const void *value, struct err *e)
{
	union bpf_attr a = {.map_fd = (uint32_t)fd};
	a.key = (uintptr_t)&key;
	a.value = (uintptr_t)value;
	if (sys->bpf(BPF_MAP_UPDATE_ELEM, &a, sizeof a) < 0)
		return err_set(e, -errno, "writing a BPF map: %s", strerror(errno));
	return 0;
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

/* Of the programs that this binary carries; learnt when one is first loaded. */
static struct own_tag {
	uint8_t v[BPF_TAG_SIZE];
	bool known;
} tags[_CUTPROG_WAY_MAX];

static int learn_tag(const struct cutprog *c, struct err *e)
{
	struct bpf_prog_info info = {0};
	struct own_tag *t = &tags[c->way];
	int r = t->known ? 0 : object_info(c->prog, &info, sizeof info, e);
	if (r == 0 && !t->known) {
		memcpy(t->v, info.tag, sizeof t->v);
		t->known = true;
	}
	return r;
}

int cutprog_fill(const struct cutprog *c, const struct cut_config *config,
                 const struct cut_permit *p, struct err *e)
{
	int r = 0;
	if (config->n_permits > CUT_PERMITS_MAX)
		return err_set(e, -E2BIG, "the %s program takes at most %d permits",
		               ways[c->way].text, CUT_PERMITS_MAX);
	for (uint32_t i = 0; r == 0 && i < config->n_permits; i++)
		r = map_set(c->permits, i, &p[i], e);
	return r < 0 ? r : map_set(c->config, 0, config, e);
}

/* Takes a descriptor of its own, so that libbpf's object can go. */
static int take_fd(int fd, int *ret)
{
	*ret = fcntl(fd, F_DUPFD_CLOEXEC, 3);
	return *ret < 0 ? -errno : 0;
}

static int not_loaded(enum cutprog_way way, int code, struct err *e)
{
	if (code == -EPERM || code == -EACCES)
		return err_set(e, -EPERM,
		               "a BPF program cannot be loaded: this needs root (CAP_BPF and "
		               "CAP_NET_ADMIN in the first user namespace)");
	if (code == -EINVAL || code == -ENOSYS || code == -ENOTSUP)
		return err_set(e, -EOPNOTSUPP, "this kernel does not take the %s program: %s",
		               ways[way].text, bpf_why(code));
	return err_set(e, code, "loading the %s program: %s", ways[way].text, bpf_why(code));
}

/* What a skeleton has loaded; its own descriptors go with it. */
static int take_fds(int prog, int config, int permits, int counts, struct cutprog *c)
{
	int r = take_fd(prog, &c->prog);
	if (r == 0)
		r = take_fd(config, &c->config);
	if (r == 0)
		r = take_fd(permits, &c->permits);
	return r < 0 ? r : take_fd(counts, &c->counts);
}

static int load_out(struct cutprog *c)
{
	struct cut_bpf *s = cut_bpf__open_and_load();
	if (!s)
		return -errno;
	int r =
	    take_fds(bpf_program__fd(s->progs.stanch_cut), bpf_map__fd(s->maps.stanch_config),
	             bpf_map__fd(s->maps.stanch_permits), bpf_map__fd(s->maps.stanch_counts), c);
	cut_bpf__destroy(s);
	return r;
}

static int load_in(struct cutprog *c)
{
	struct cut_in_bpf *s = cut_in_bpf__open_and_load();
	if (!s)
		return -errno;
	int r =
	    take_fds(bpf_program__fd(s->progs.stanch_cut_in), bpf_map__fd(s->maps.stanch_config),
	             bpf_map__fd(s->maps.stanch_permits), bpf_map__fd(s->maps.stanch_counts), c);
	cut_in_bpf__destroy(s);
	return r;
}

int cutprog_load(enum cutprog_way way, const struct cut_config *config, const struct cut_permit *p,
                 struct cutprog *ret, struct err *e)
{
	struct cutprog c = cutprog_none();
	c.way = way;
	bpf_why_begin();
	int r = way == CUTPROG_IN ? load_in(&c) : load_out(&c);
	bpf_why_end();
	r = r < 0 ? not_loaded(way, r, e) : cutprog_fill(&c, config, p, e);
	if (r == 0)
		r = learn_tag(&c, e);
	if (r < 0)
		cutprog_close(&c);
	else
		*ret = c;
	return r;
}

static int program_info(uint32_t id, int *ret_fd, struct bpf_prog_info *ret, struct err *e)
{
	union bpf_attr a = {0};
	a.prog_id = id;
	int fd = (int)sys->bpf(BPF_PROG_GET_FD_BY_ID, &a, sizeof a);
	if (fd < 0)
		return err_set(e, -errno, "opening BPF program %u: %s", id, strerror(errno));
	int r = object_info(fd, ret, sizeof *ret, e);
	if (r < 0)
		sys->close(fd);
	else
		*ret_fd = fd;
	return r;
}

/* The kernel computes the tag, and not every kernel in the same way: ask it. */
static int own_tag(enum cutprog_way way, uint8_t ret[static BPF_TAG_SIZE], struct err *e)
{
	if (!tags[way].known) {
		const struct cut_config none = {.version = CUT_VERSION};
		struct cutprog c;
		int r = cutprog_load(way, &none, NULL, &c, e);
		if (r < 0)
			return r;
		cutprog_close(&c);
	}
	memcpy(ret, tags[way].v, BPF_TAG_SIZE);
	return 0;
}

static int kin_of(enum cutprog_way way, const struct bpf_prog_info *info, enum cutprog_kin *ret,
                  struct err *e)
{
	uint8_t own[BPF_TAG_SIZE];
	*ret = CUTPROG_FOREIGN;
	if (info->type != ways[way].type || strcmp(info->name, ways[way].name) != 0)
		return 0;
	int r = own_tag(way, own, e);
	if (r == 0)
		*ret = memcmp(own, info->tag, sizeof own) ? CUTPROG_KIN : CUTPROG_OURS;
	return r;
}

int cutprog_whose(enum cutprog_way way, uint32_t prog_id, enum cutprog_kin *ret, struct err *e)
{
	struct bpf_prog_info info = {0};
	int fd;
	int r = program_info(prog_id, &fd, &info, e);
	if (r < 0)
		return r;
	sys->close(fd);
	return kin_of(way, &info, ret, e);
}

static int open_map(uint32_t id, struct cutprog *c, struct err *e)
{
	int *const slots[] = {&c->config, &c->permits, &c->counts};
	struct bpf_map_info info = {0};
	union bpf_attr a = {0};
	a.map_id = id;
	int fd = (int)sys->bpf(BPF_MAP_GET_FD_BY_ID, &a, sizeof a);
	if (fd < 0)
		return err_set(e, -errno, "opening BPF map %u: %s", id, strerror(errno));
	int r = object_info(fd, &info, sizeof info, e);
	for (size_t i = 0; r == 0 && i < ARRAY_SIZE(slots); i++)
		if (!strcmp(info.name, map_names[i]) && *slots[i] < 0) {
			*slots[i] = fd;
			return 0;
		}
	sys->close(fd);
	return r;
}

static int open_maps(int prog, struct cutprog *c, struct err *e)
{
	uint32_t ids[MAPS_MAX] = {0};
	struct bpf_prog_info info = {.nr_map_ids = MAPS_MAX, .map_ids = (uintptr_t)ids};
	int r = object_info(prog, &info, sizeof info, e);
	for (uint32_t i = 0; r == 0 && i < info.nr_map_ids && i < MAPS_MAX; i++)
		r = open_map(ids[i], c, e);
	if (r == 0 && (c->config < 0 || c->permits < 0))
		r = err_set(e, -ESTALE, "a %s program of our name has not our maps",
		            ways[c->way].text);
	return r;
}

int cutprog_open(enum cutprog_way way, uint32_t prog_id, struct cutprog *ret, struct err *e)
{
	struct cutprog c = cutprog_none();
	struct bpf_prog_info info = {0};
	enum cutprog_kin kin;
	c.way = way;
	int r = program_info(prog_id, &c.prog, &info, e);
	if (r == 0)
		r = kin_of(way, &info, &kin, e);
	if (r == 0 && kin != CUTPROG_OURS)
		r = err_set(e, -ESTALE, "BPF program %u is not ours", prog_id);
	if (r == 0)
		r = open_maps(c.prog, &c, e);
	if (r < 0)
		cutprog_close(&c);
	else
		*ret = c;
	return r;
}

int cutprog_fd(uint32_t prog_id, int *ret, struct err *e)
{
	struct bpf_prog_info info = {0};
	return program_info(prog_id, ret, &info, e);
}

const char *cutprog_text(uint32_t prog_id, char dst[static CUTPROG_TEXT_MAX])
{
	struct bpf_prog_info info = {0};
	char name[BPF_OBJ_NAME_LEN];
	int fd;
	if (program_info(prog_id, &fd, &info, NULL) < 0) {
		snprintf(dst, CUTPROG_TEXT_MAX, "%u", prog_id);
		return dst;
	}
	sys->close(fd);
	for (size_t i = 0; i < sizeof name; i++)
		name[i] = info.name[i] > 0x20 && info.name[i] < 0x7f ? info.name[i]
		          : info.name[i]                             ? '?'
		                                                     : 0;
	name[sizeof name - 1] = 0;
	snprintf(dst, CUTPROG_TEXT_MAX, "%u (%s)", prog_id, name);
	return dst;
}

int cutprog_id(const struct cutprog *c, uint32_t *ret, struct err *e)
{
	struct bpf_prog_info info = {0};
	int r = object_info(c->prog, &info, sizeof info, e);
	if (r == 0)
		*ret = info.id;
	return r;
}

int cutprog_read(const struct cutprog *c, struct cut_config *ret, struct cut_permit *permits,
                 struct err *e)
{
	struct cut_config k = {0};
	int r = map_get(c->config, 0, &k, e);
	if (r < 0)
		return r;
	if (k.version != CUT_VERSION || k.n_permits > CUT_PERMITS_MAX)
		return err_set(e, -EBADMSG, "the %s program's map does not hold what we write",
		               ways[c->way].text);
	for (uint32_t i = 0; permits && r == 0 && i < k.n_permits; i++)
		r = map_get(c->permits, i, &permits[i], e);
	if (r == 0)
		*ret = k;
	return r;
}

int cutprog_set_timers(const struct cutprog *c, uint64_t armed_until, uint64_t narrow_until,
                       uint64_t drain_until, struct err *e)
{
	struct cut_config k, after;
	int r = cutprog_read(c, &k, NULL, e);
	if (r < 0)
		return r;
	k.armed_until = armed_until;
	k.narrow_until = narrow_until;
	k.drain_until = drain_until;
	r = map_set(c->config, 0, &k, e);
	if (r == 0)
		r = cutprog_read(c, &after, NULL, e);
	if (r == 0 && memcmp(&k, &after, sizeof k) != 0)
		r = err_set(e, -EIO, "the %s program's timers did not move", ways[c->way].text);
	return r;
}

int cutprog_counts(const struct cutprog *c, uint64_t ret[static CUT_COUNTERS], struct err *e)
{
	static uint64_t each[CPUS_MAX];
	int cpus = libbpf_num_possible_cpus();
	if (c->counts < 0 || cpus <= 0 || cpus > CPUS_MAX)
		return err_set(e, -EOPNOTSUPP, "the %s program's counters cannot be read",
		               ways[c->way].text);
	for (uint32_t i = 0; i < CUT_COUNTERS; i++) {
		int r = map_get(c->counts, i, each, e);
		if (r < 0)
			return r;
		ret[i] = 0;
		for (int cpu = 0; cpu < cpus; cpu++)
			ret[i] += each[cpu];
	}
	return 0;
}

int cutprog_try(const struct cutprog *c, const void *frame, size_t n, bool *ret_pass, struct err *e)
{
	union bpf_attr a = {0};
	if (n > FRAME_MAX)
		return err_set(e, -EMSGSIZE, "a frame of %zu bytes is too long", n);
	a.test.prog_fd = (uint32_t)c->prog;
	a.test.data_in = (uintptr_t)frame;
	a.test.data_size_in = (uint32_t)n;
	a.test.repeat = 1;
	if (sys->bpf(BPF_PROG_TEST_RUN, &a, sizeof a) < 0)
		return err_set(e, -errno, "trying the %s program: %s", ways[c->way].text,
		               strerror(errno));
	*ret_pass = a.test.retval == ways[c->way].pass;
	return 0;
}
