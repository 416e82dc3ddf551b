/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "kern/groupprog.h"

#include <bpf/libbpf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "base/sys.h"
#include "base/table.h"
#include "kern/bpf_why.h"

/* Generated text: not written to our warnings. */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wcast-qual"
#pragma GCC diagnostic ignored "-Woverlength-strings"
#include "kern/bpf/group.skel.h"
#pragma GCC diagnostic pop

#define MAPS_MAX  12
#define AT_MAX    64 /* programs of one kind at one cgroup: the kernel's own bound */
#define CPUS_MAX  4096
#define FRAME_MAX 65536

static const struct {
	const char *prog, *kernel;
	uint32_t type; /* enum bpf_attach_type */
} hooks[_GROUP_HOOK_MAX] = {
    [GROUP_OUT] = {"stanch_g_out", "cgroup_inet_egress", BPF_CGROUP_INET_EGRESS},
    [GROUP_IN] = {"stanch_g_in", "cgroup_inet_ingress", BPF_CGROUP_INET_INGRESS},
    [GROUP_SOCK] = {"stanch_g_sock", "cgroup_inet_sock_create", BPF_CGROUP_INET_SOCK_CREATE},
    [GROUP_CON4] = {"stanch_g_con4", "cgroup_inet4_connect", BPF_CGROUP_INET4_CONNECT},
    [GROUP_CON6] = {"stanch_g_con6", "cgroup_inet6_connect", BPF_CGROUP_INET6_CONNECT},
};

static const struct groupprog nothing_open = {{-1, -1, -1, -1, -1}, -1, -1, -1, -1, -1};

const char *group_hook_str(enum group_hook h)
{
	return (unsigned)h < _GROUP_HOOK_MAX ? hooks[h].kernel : "invalid";
}

void groupprog_close(struct groupprog *g)
{
	int *const maps[] = {&g->config, &g->permits, &g->own, &g->cookies, &g->counts};
	for (size_t i = 0; i < _GROUP_HOOK_MAX; i++) {
		sys_closep(&g->progs[i]);
		g->progs[i] = -1;
	}
	for (size_t i = 0; i < ARRAY_SIZE(maps); i++) {
		sys_closep(maps[i]);
		*maps[i] = -1;
	}
}

static int map_get(int fd, const void *key, void *value, struct err *e)
{
	union bpf_attr a = {.map_fd = (uint32_t)fd};
	a.key = (uintptr_t)key;
	a.value = (uintptr_t)value;
	if (sys->bpf(BPF_MAP_LOOKUP_ELEM, &a, sizeof a) < 0)
		return err_set(e, -errno, "reading a BPF map: %s", strerror(errno));
	return 0;
}

static int map_set(int fd, const void *key, const void *value, struct err *e)
{
	union bpf_attr a = {.map_fd = (uint32_t)fd};
	a.key = (uintptr_t)key;
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

/* ---- load ---- */

/* Of the programs that this binary carries; learnt when they are first loaded. */
static uint8_t tags[_GROUP_HOOK_MAX][BPF_TAG_SIZE];
static bool tags_known;

static int learn_tags(const struct groupprog *g, struct err *e)
{
	for (size_t i = 0; !tags_known && i < _GROUP_HOOK_MAX; i++) {
		struct bpf_prog_info info = {0};
		int r = object_info(g->progs[i], &info, sizeof info, e);
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
		               "BPF programs for a cgroup cannot be loaded: this needs root "
		               "(CAP_BPF, CAP_PERFMON and CAP_NET_ADMIN in the first user "
		               "namespace)");
	if (code == -EINVAL || code == -ENOSYS || code == -ENOTSUP || code == -ESRCH ||
	    code == -ENOENT)
		return err_set(e, -EOPNOTSUPP,
		               "this kernel does not take the programs for a cgroup: %s",
		               bpf_why(code));
	return err_set(e, code, "loading the programs for a cgroup: %s", bpf_why(code));
}

/* Descriptors of its own, so that libbpf's object can go. */
static int take_fds(const struct group_bpf *s, struct groupprog *g)
{
	const struct {
		int from, *to;
	} fds[] = {
	    {bpf_program__fd(s->progs.stanch_g_out), &g->progs[GROUP_OUT]},
	    {bpf_program__fd(s->progs.stanch_g_in), &g->progs[GROUP_IN]},
	    {bpf_program__fd(s->progs.stanch_g_sock), &g->progs[GROUP_SOCK]},
	    {bpf_program__fd(s->progs.stanch_g_con4), &g->progs[GROUP_CON4]},
	    {bpf_program__fd(s->progs.stanch_g_con6), &g->progs[GROUP_CON6]},
	    {bpf_map__fd(s->maps.group_config), &g->config},
	    {bpf_map__fd(s->maps.group_permits), &g->permits},
	    {bpf_map__fd(s->maps.group_own), &g->own},
	    {bpf_map__fd(s->maps.group_cookies), &g->cookies},
	    {bpf_map__fd(s->maps.group_counts), &g->counts},
	};
	for (size_t i = 0; i < ARRAY_SIZE(fds); i++)
		if ((*fds[i].to = fcntl(fds[i].from, F_DUPFD_CLOEXEC, 3)) < 0)
			return -errno;
	return 0;
}

static int fill(const struct groupprog *g, const struct group_config *c, const struct cut_permit *p,
                struct err *e)
{
	uint32_t zero = 0;
	int r = 0;
	for (uint32_t i = 0; r == 0 && i < c->n_permits; i++)
		r = map_set(g->permits, &i, &p[i], e);
	return r < 0 ? r : map_set(g->config, &zero, c, e);
}

static struct group_bpf *load(uint32_t match)
{
	struct group_bpf *s = group_bpf__open();
	if (!s)
		return NULL;
	s->rodata->group_match = match;
	int r = group_bpf__load(s);
	if (r == 0)
		return s;
	group_bpf__destroy(s);
	errno = -r;
	return NULL;
}

int groupprog_load(const struct group_config *c, const struct cut_permit *p, struct groupprog *ret,
                   struct err *e)
{
	struct groupprog g = nothing_open;
	if (c->n_permits > CUT_PERMITS_MAX)
		return err_set(e, -E2BIG, "the programs take at most %d permits", CUT_PERMITS_MAX);
	bpf_why_begin();
	struct group_bpf *s = load(c->match);
	int r = s ? 0 : -errno;
	bpf_why_end();
	if (r < 0)
		return not_loaded(r, e);
	r = take_fds(s, &g);
	group_bpf__destroy(s);
	r = r < 0 ? err_set(e, r, "loading the programs for a cgroup: %s", strerror(-r))
	          : fill(&g, c, p, e);
	if (r == 0)
		r = learn_tags(&g, e);
	if (r < 0)
		groupprog_close(&g);
	else
		*ret = g;
	return r;
}

/* ---- attach, find again ---- */

static int attach_one(int cgroup, enum group_hook h, int prog, struct err *e)
{
	union bpf_attr a = {0};
	a.target_fd = (uint32_t)cgroup;
	a.attach_bpf_fd = (uint32_t)prog;
	a.attach_type = hooks[h].type;
	a.attach_flags = BPF_F_ALLOW_MULTI;
	if (sys->bpf(BPF_PROG_ATTACH, &a, sizeof a) == 0)
		return 0;
	if (errno == EPERM)
		return err_set(e, -EPERM,
		               "attaching at %s is refused: a program of another's at this cgroup "
		               "or above allows none beside it (look: bpftool cgroup tree)",
		               hooks[h].kernel);
	return err_set(e, -errno, "attaching at %s: %s", hooks[h].kernel, strerror(errno));
}

static int detach_one(int cgroup, enum group_hook h, int prog, struct err *e)
{
	union bpf_attr a = {0};
	a.target_fd = (uint32_t)cgroup;
	a.attach_bpf_fd = (uint32_t)prog;
	a.attach_type = hooks[h].type;
	if (sys->bpf(BPF_PROG_DETACH, &a, sizeof a) < 0 && errno != ENOENT)
		return err_set(e, -errno, "detaching from %s: %s", hooks[h].kernel,
		               strerror(errno));
	return 0;
}

int groupprog_attach(const struct groupprog *g, int cgroup, struct err *e)
{
	int r = 0;
	size_t i = 0;
	/* The packet hooks come first, and hold by themselves. */
	for (; r == 0 && i < _GROUP_HOOK_MAX; i++)
		r = attach_one(cgroup, (enum group_hook)i, g->progs[i], e);
	for (; r < 0 && i-- > 0;)
		(void)detach_one(cgroup, (enum group_hook)i, g->progs[i], NULL);
	return r;
}

/* The programs of one kind at a cgroup; -ENOSYS where the kernel cannot tell. */
static int query(int cgroup, enum group_hook h, uint32_t ids[static AT_MAX], uint32_t *ret_n,
                 struct err *e)
{
	union bpf_attr a = {0};
	a.query.target_fd = (uint32_t)cgroup;
	a.query.attach_type = hooks[h].type;
	a.query.prog_ids = (uintptr_t)ids;
	a.query.prog_cnt = AT_MAX;
	if (sys->bpf(BPF_PROG_QUERY, &a, sizeof a) < 0)
		return err_set(e, -errno, "asking which programs a cgroup has: %s",
		               strerror(errno));
	*ret_n = a.query.prog_cnt < AT_MAX ? a.query.prog_cnt : AT_MAX;
	return 0;
}

static int prog_by_id(uint32_t id)
{
	union bpf_attr a = {0};
	a.prog_id = id;
	int fd = (int)sys->bpf(BPF_PROG_GET_FD_BY_ID, &a, sizeof a);
	return fd < 0 ? -errno : fd;
}

static int *map_slot(struct groupprog *g, const char *name)
{
	const struct {
		const char *name;
		int *fd;
	} slots[] = {
	    {"group_config", &g->config},   {"group_permits", &g->permits}, {"group_own", &g->own},
	    {"group_cookies", &g->cookies}, {"group_counts", &g->counts},
	};
	for (size_t i = 0; i < ARRAY_SIZE(slots); i++)
		if (!strcmp(slots[i].name, name))
			return slots[i].fd;
	return NULL;
}

/* A map of another size would be written past its end, or past ours. */
static bool layout_is_ours(const struct bpf_map_info *m)
{
	return strcmp(m->name, "group_config") != 0 ||
	       (m->key_size == sizeof(uint32_t) && m->value_size == sizeof(struct group_config));
}

static void open_map(uint32_t id, struct groupprog *g)
{
	struct bpf_map_info info = {0};
	union bpf_attr a = {0};
	a.map_id = id;
	int fd = (int)sys->bpf(BPF_MAP_GET_FD_BY_ID, &a, sizeof a);
	if (fd < 0)
		return;
	int *slot = NULL;
	if (object_info(fd, &info, sizeof info, NULL) == 0 && layout_is_ours(&info))
		slot = map_slot(g, info.name);
	if (slot && *slot < 0)
		*slot = fd;
	else
		sys->close(fd);
}

/* Opens a program of our name and its maps. -ENOENT: gone, or another's. */
static int open_set(uint32_t id, enum group_hook h, struct groupprog *ret,
                    uint8_t tag[static BPF_TAG_SIZE])
{
	struct groupprog g = nothing_open;
	uint32_t ids[MAPS_MAX] = {0};
	struct bpf_prog_info info = {.nr_map_ids = MAPS_MAX, .map_ids = (uintptr_t)ids};
	int fd = prog_by_id(id);
	if (fd < 0)
		return fd;
	int r = object_info(fd, &info, sizeof info, NULL);
	if (r == 0 && strcmp(info.name, hooks[h].prog) != 0)
		r = -ENOENT;
	if (r < 0) {
		sys->close(fd);
		return r;
	}
	g.progs[h] = fd;
	for (uint32_t i = 0; i < info.nr_map_ids && i < MAPS_MAX; i++)
		open_map(ids[i], &g);
	memcpy(tag, info.tag, BPF_TAG_SIZE);
	*ret = g;
	return 0;
}

int groupprog_read(const struct groupprog *g, struct group_config *ret, struct cut_permit *permits,
                   struct err *e)
{
	struct group_config c = {0};
	uint32_t zero = 0;
	int r = g->config < 0 ? err_set(e, -EBADMSG, "a program of our name has not our maps")
	                      : map_get(g->config, &zero, &c, e);
	if (r < 0)
		return r;
	if (c.version != GROUP_VERSION || c.n_permits > CUT_PERMITS_MAX)
		return err_set(e, -EBADMSG, "the programs' map does not hold what we write");
	for (uint32_t i = 0; permits && r == 0 && i < c.n_permits; i++)
		r = map_get(g->permits, &i, &permits[i], e);
	if (r == 0)
		*ret = c;
	return r;
}

static int own_tags(struct err *e)
{
	const struct group_config none = {.version = GROUP_VERSION};
	struct groupprog g;
	if (tags_known)
		return 0;
	int r = groupprog_load(&none, NULL, &g, e);
	if (r == 0)
		groupprog_close(&g);
	return r;
}

bool groupprog_is_ours(uint32_t prog_id)
{
	struct bpf_prog_info info = {0};
	bool ours = false;
	int fd = prog_by_id(prog_id);
	if (fd < 0)
		return false;
	int r = object_info(fd, &info, sizeof info, NULL);
	sys->close(fd);
	for (size_t i = 0; r == 0 && i < _GROUP_HOOK_MAX; i++)
		if (!strcmp(info.name, hooks[i].prog) && own_tags(NULL) == 0)
			ours = !memcmp(info.tag, tags[i], BPF_TAG_SIZE);
	return ours;
}

/* Visits every program of our name at a cgroup; cb takes *g over, or leaves it to be closed. */
struct visit {
	const uint8_t *token; /* of the set: in *config */
	const struct group_config *config;
	enum group_hook hook;
	const uint8_t *tag;
	struct groupprog *g;
};
typedef int (*visit_fn)(void *arg, const struct visit *v, struct err *e);

static int visit_hook(int cgroup, enum group_hook h, visit_fn cb, void *arg, struct err *e)
{
	uint32_t ids[AT_MAX] = {0}, n = 0;
	int r = query(cgroup, h, ids, &n, e);
	for (uint32_t i = 0; r == 0 && i < n; i++) {
		struct groupprog g;
		struct group_config c = {0};
		uint8_t tag[BPF_TAG_SIZE];
		if (open_set(ids[i], h, &g, tag) < 0)
			continue;
		if (groupprog_read(&g, &c, NULL, NULL) < 0)
			memset(&c, 0, sizeof c);
		r = cb(arg, &(struct visit){c.token, &c, h, tag, &g}, e);
		groupprog_close(&g);
	}
	return r;
}

static int visit_all(int cgroup, visit_fn cb, void *arg, struct err *e)
{
	int r = 0;
	for (size_t i = 0; r == 0 && i < _GROUP_HOOK_MAX; i++)
		r = visit_hook(cgroup, (enum group_hook)i, cb, arg, e);
	return r;
}

struct finding_set {
	const uint8_t *token;
	struct groupprog g;
	unsigned hooks;
	bool same;
};

static int keep_found(void *arg, const struct visit *v, struct err *e)
{
	struct finding_set *f = arg;
	if (memcmp(v->token, f->token, GROUP_TOKEN) != 0)
		return 0;
	f->same = f->same && !memcmp(v->tag, tags[v->hook], BPF_TAG_SIZE);
	f->hooks |= 1u << v->hook;
	if (f->hooks == 1u << v->hook) { /* the first one brings the maps */
		f->g = *v->g;
		*v->g = nothing_open;
	} else if (f->g.progs[v->hook] < 0) {
		f->g.progs[v->hook] = v->g->progs[v->hook];
		v->g->progs[v->hook] = -1;
	}
	return 0;
}

int groupprog_find(int cgroup, const uint8_t token[static GROUP_TOKEN], struct groupprog *ret,
                   unsigned *ret_hooks, bool *ret_same, struct err *e)
{
	struct finding_set f = {.token = token, .g = nothing_open, .same = true};
	int r = own_tags(e);
	if (r == 0)
		r = visit_all(cgroup, keep_found, &f, e);
	if (r == 0 && !f.hooks)
		r = err_set(e, -ENOENT, "this cgroup has no programs of that order");
	if (r < 0) {
		groupprog_close(&f.g);
		return r;
	}
	*ret = f.g;
	*ret_hooks = f.hooks;
	*ret_same = f.same;
	return 0;
}

int groupprog_detach_set(const struct groupprog *g, int cgroup, struct err *e)
{
	int r = 0;
	for (size_t i = 0; r == 0 && i < _GROUP_HOOK_MAX; i++)
		if (g->progs[i] >= 0)
			r = detach_one(cgroup, (enum group_hook)i, g->progs[i], e);
	return r;
}

struct detaching {
	int cgroup;
	const uint8_t *token;
};

static int detach_found(void *arg, const struct visit *v, struct err *e)
{
	const struct detaching *d = arg;
	if (memcmp(v->token, d->token, GROUP_TOKEN) != 0)
		return 0;
	return detach_one(d->cgroup, v->hook, v->g->progs[v->hook], e);
}

int groupprog_detach(int cgroup, const uint8_t token[static GROUP_TOKEN], struct err *e)
{
	return visit_all(cgroup, detach_found, &(struct detaching){cgroup, token}, e);
}

struct telling {
	groupprog_fn cb;
	void *arg;
	uint8_t told[AT_MAX][GROUP_TOKEN];
	size_t n;
	bool stopped;
};

static int tell_token(void *arg, const struct visit *v, struct err *e)
{
	struct telling *t = arg;
	for (size_t i = 0; i < t->n; i++)
		if (!memcmp(t->told[i], v->token, GROUP_TOKEN))
			return 0;
	if (t->stopped || t->n == AT_MAX)
		return 0;
	memcpy(t->told[t->n++], v->token, GROUP_TOKEN);
	t->stopped = !t->cb(t->arg, v->config);
	return 0;
}

int groupprog_each(int cgroup, groupprog_fn cb, void *arg, struct err *e)
{
	struct telling t = {.cb = cb, .arg = arg};
	return visit_all(cgroup, tell_token, &t, e);
}

/* ---- maps ---- */

int groupprog_set_timers(const struct groupprog *g, uint64_t armed_until, uint64_t narrow_until,
                         uint64_t drain_until, struct err *e)
{
	struct group_config c, after;
	uint32_t zero = 0;
	int r = groupprog_read(g, &c, NULL, e);
	if (r < 0)
		return r;
	c.armed_until = armed_until;
	c.narrow_until = narrow_until;
	c.drain_until = drain_until;
	r = map_set(g->config, &zero, &c, e);
	if (r == 0)
		r = groupprog_read(g, &after, NULL, e);
	if (r == 0 && memcmp(&c, &after, sizeof c) != 0)
		r = err_set(e, -EIO, "the programs' timers did not move");
	return r;
}

int groupprog_add_own(const struct groupprog *g, const struct addr *a, struct err *e)
{
	struct group_addr key = {0};
	uint8_t one = 1;
	memcpy(key.addr, a->bytes, a->family == ADDR_V4 ? 4 : 16);
	return map_set(g->own, &key, &one, e);
}

int groupprog_add_cookie(const struct groupprog *g, uint64_t cookie, struct err *e)
{
	uint8_t one = 1;
	return map_set(g->cookies, &cookie, &one, e);
}

bool groupprog_has_cookie(const struct groupprog *g, uint64_t cookie)
{
	uint8_t one;
	return map_get(g->cookies, &cookie, &one, NULL) == 0;
}

int groupprog_counts(const struct groupprog *g, uint64_t ret[static GROUP_COUNTERS], struct err *e)
{
	static uint64_t each[CPUS_MAX];
	int cpus = libbpf_num_possible_cpus();
	if (g->counts < 0 || cpus <= 0 || cpus > CPUS_MAX)
		return err_set(e, -EOPNOTSUPP, "the programs' counters cannot be read");
	for (uint32_t i = 0; i < GROUP_COUNTERS; i++) {
		int r = map_get(g->counts, &i, each, e);
		if (r < 0)
			return r;
		ret[i] = 0;
		for (int cpu = 0; cpu < cpus; cpu++)
			ret[i] += each[cpu];
	}
	return 0;
}

int groupprog_try(const struct groupprog *g, enum group_hook h, int ifindex, const void *frame,
                  size_t n, bool *ret_pass, struct err *e)
{
	union bpf_attr a = {0};
	struct __sk_buff ctx = {.ifindex = (uint32_t)ifindex};
	if (n > FRAME_MAX)
		return err_set(e, -EMSGSIZE, "a frame of %zu bytes is too long", n);
	a.test.prog_fd = (uint32_t)g->progs[h];
	a.test.data_in = (uintptr_t)frame;
	a.test.data_size_in = (uint32_t)n;
	a.test.ctx_in = (uintptr_t)&ctx;
	a.test.ctx_size_in = sizeof ctx;
	a.test.repeat = 1;
	if (sys->bpf(BPF_PROG_TEST_RUN, &a, sizeof a) < 0)
		return err_set(e, -errno, "trying the programs: %s", strerror(errno));
	*ret_pass = a.test.retval & 1;
	return 0;
}
