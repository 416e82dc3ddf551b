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
#pragma GCC diagnostic pop

#define MAPS_MAX  8
#define CPUS_MAX  4096
#define FRAME_MAX 65536

static const char *const map_names[] = {"stanch_config", "stanch_permits", "stanch_counts"};

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

/* Of the program that this binary carries; learnt when it is first loaded. */
static uint8_t tag[BPF_TAG_SIZE];
static bool tag_known;

static int learn_tag(const struct cutprog *c, struct err *e)
{
	struct bpf_prog_info info = {0};
	int r = tag_known ? 0 : object_info(c->prog, &info, sizeof info, e);
	if (r == 0 && !tag_known) {
		memcpy(tag, info.tag, sizeof tag);
		tag_known = true;
	}
	return r;
}

int cutprog_fill(const struct cutprog *c, const struct cut_config *config,
                 const struct cut_permit *p, struct err *e)
{
	int r = 0;
	if (config->n_permits > CUT_PERMITS_MAX)
		return err_set(e, -E2BIG, "the tc program takes at most %d permits",
		               CUT_PERMITS_MAX);
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

static int not_loaded(int code, struct err *e)
{
	if (code == -EPERM || code == -EACCES)
		return err_set(e, -EPERM,
		               "a BPF program cannot be loaded: this needs root (CAP_BPF and "
		               "CAP_NET_ADMIN in the first user namespace)");
	if (code == -EINVAL || code == -ENOSYS || code == -ENOTSUP)
		return err_set(e, -EOPNOTSUPP, "this kernel does not take the tc program: %s",
		               bpf_why(code));
	return err_set(e, code, "loading the tc program: %s", bpf_why(code));
}

int cutprog_load(const struct cut_config *config, const struct cut_permit *p, struct cutprog *ret,
                 struct err *e)
{
	struct cutprog c = {-1, -1, -1, -1};
	bpf_why_begin();
	struct cut_bpf *s = cut_bpf__open_and_load();
	int r = s ? 0 : -errno;
	bpf_why_end();
	if (r < 0)
		return not_loaded(r, e);
	r = take_fd(bpf_program__fd(s->progs.stanch_cut), &c.prog);
	if (r == 0)
		r = take_fd(bpf_map__fd(s->maps.stanch_config), &c.config);
	if (r == 0)
		r = take_fd(bpf_map__fd(s->maps.stanch_permits), &c.permits);
	if (r == 0)
		r = take_fd(bpf_map__fd(s->maps.stanch_counts), &c.counts);
	cut_bpf__destroy(s);
	r = r < 0 ? err_set(e, r, "loading the tc program: %s", strerror(-r))
	          : cutprog_fill(&c, config, p, e);
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
static int own_tag(uint8_t ret[static BPF_TAG_SIZE], struct err *e)
{
	if (!tag_known) {
		const struct cut_config none = {.version = CUT_VERSION};
		struct cutprog c;
		int r = cutprog_load(&none, NULL, &c, e);
		if (r < 0)
			return r;
		cutprog_close(&c);
	}
	memcpy(ret, tag, sizeof tag);
	return 0;
}

static int kin_of(const struct bpf_prog_info *info, enum cutprog_kin *ret, struct err *e)
{
	uint8_t own[BPF_TAG_SIZE];
	*ret = CUTPROG_FOREIGN;
	if (info->type != BPF_PROG_TYPE_SCHED_CLS || strcmp(info->name, CUTPROG_NAME) != 0)
		return 0;
	int r = own_tag(own, e);
	if (r == 0)
		*ret = memcmp(own, info->tag, sizeof own) ? CUTPROG_KIN : CUTPROG_OURS;
	return r;
}

int cutprog_whose(uint32_t prog_id, enum cutprog_kin *ret, struct err *e)
{
	struct bpf_prog_info info = {0};
	int fd;
	int r = program_info(prog_id, &fd, &info, e);
	if (r < 0)
		return r;
	sys->close(fd);
	return kin_of(&info, ret, e);
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
		r = err_set(e, -ESTALE, "a tc program of our name has not our maps");
	return r;
}

int cutprog_open(uint32_t prog_id, struct cutprog *ret, struct err *e)
{
	struct cutprog c = {-1, -1, -1, -1};
	struct bpf_prog_info info = {0};
	enum cutprog_kin kin;
	int r = program_info(prog_id, &c.prog, &info, e);
	if (r == 0)
		r = kin_of(&info, &kin, e);
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
		return err_set(e, -EBADMSG, "the tc program's map does not hold what we write");
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
		r = err_set(e, -EIO, "the tc program's timers did not move");
	return r;
}

int cutprog_counts(const struct cutprog *c, uint64_t ret[static CUT_COUNTERS], struct err *e)
{
	static uint64_t each[CPUS_MAX];
	int cpus = libbpf_num_possible_cpus();
	if (c->counts < 0 || cpus <= 0 || cpus > CPUS_MAX)
		return err_set(e, -EOPNOTSUPP, "the tc program's counters cannot be read");
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
		return err_set(e, -errno, "trying the tc program: %s", strerror(errno));
	*ret_pass = (int32_t)a.test.retval == TC_ACT_UNSPEC;
	return 0;
}
