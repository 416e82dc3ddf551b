/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "kern/watchprog.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <linux/capability.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/sys.h"
#include "base/table.h"
#include "kern/bpf_why.h"
#include "kern/cgroup2.h"
#include "kern/proc.h"

/* Generated text: not written to our warnings. */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wcast-qual"
#pragma GCC diagnostic ignored "-Woverlength-strings"
#include "kern/bpf/watch.skel.h"
#pragma GCC diagnostic pop

#define BTF_PATH  "/sys/kernel/btf/vmlinux"
#define BATCH     1024u
#define LINKS_MAX 16
#define CPUS_MAX  4096

struct watchprog {
	struct watch_bpf *skel;
	struct bpf_link *links[LINKS_MAX], *pass;
	size_t n_links;
	struct ring_buffer *ring;
	bool whole;
	watchprog_event_fn on_event;
	void *on_event_arg;
	int cpus;
	struct watch_count *each_cpu;
	struct watch_key keys[BATCH];
	struct watch_flow flows[BATCH];
};

static int not_loaded(int code, struct err *e)
{
	if (code == -EPERM || code == -EACCES)
		return err_set(e, -EPERM,
		               "watching by BPF needs CAP_BPF, CAP_PERFMON and CAP_NET_ADMIN in "
		               "the first user namespace (%s)",
		               bpf_why(code));
	if (code == -ENOMEM)
		return err_set(e, code, "out of memory for the BPF programs");
	return err_set(e, -EOPNOTSUPP, "this kernel does not take the BPF programs: %s",
	               bpf_why(code));
}

/* Without CAP_PERFMON a program is refused as if it were wrong: better said before. */
static int check_rights(struct err *e)
{
	static const struct {
		unsigned cap;
		const char *name;
	} needed[] = {
	    {CAP_BPF, "CAP_BPF"}, {CAP_PERFMON, "CAP_PERFMON"}, {CAP_NET_ADMIN, "CAP_NET_ADMIN"}};
	struct __user_cap_header_struct head = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3] = {0};

	if (syscall(SYS_capget, &head, data) < 0)
		return 0;
	uint64_t have = (uint64_t)data[1].effective << 32 | data[0].effective;
	/* CAP_SYS_ADMIN includes all but the last. */
	uint64_t all =
	    have >> CAP_SYS_ADMIN & 1 ? UINT64_C(1) << CAP_BPF | UINT64_C(1) << CAP_PERFMON : 0;
	for (size_t i = 0; i < ARRAY_SIZE(needed); i++)
		if (!((have | all) >> needed[i].cap & 1))
			return err_set(
			    e, -EPERM,
			    "watching by BPF needs %s, which this process has not (root, "
			    "or CAP_BPF, CAP_PERFMON and CAP_NET_ADMIN)",
			    needed[i].name);
	return 0;
}

static int load(struct watchprog *w, uint32_t max_flows, uint64_t pause_nsec, bool pass)
{
	int r;

	if (!(w->skel = watch_bpf__open()))
		return -errno;
	w->skel->rodata->watch_pause = pause_nsec;
	bpf_map__set_max_entries(w->skel->maps.watch_flows, max_flows);
	bpf_program__set_autoload(w->skel->progs.watch_pass, pass);
	if ((r = watch_bpf__load(w->skel)) < 0) {
		watch_bpf__destroy(w->skel);
		w->skel = NULL;
	}
	return r;
}

static int attach_hooks(struct watchprog *w, int cgroup, struct err *e)
{
	struct bpf_program *p;

	bpf_object__for_each_program(p, w->skel->obj)
	{
		if (bpf_program__type(p) == BPF_PROG_TYPE_TRACING)
			continue;
		if (w->n_links == LINKS_MAX)
			return err_set(e, -E2BIG, "too many BPF programs");
		/* A link: beside those of others, gone with us. */
		struct bpf_link *link = bpf_program__attach_cgroup(p, cgroup);
		if (!link)
			return err_set(e, -errno == -EPERM ? -EPERM : -EOPNOTSUPP,
			               "attaching %s at the cgroup root: %s (a program of "
			               "another's that allows none beside it, or no CAP_NET_ADMIN)",
			               bpf_program__name(p), strerror(errno));
		w->links[w->n_links++] = link;
	}
	return 0;
}

static int attach(struct watchprog *w, struct err *e)
{
	_cleanup_close_ int cgroup = -1;
	int r = cgroup2_open(&cgroup, &w->whole, e);

	if (r < 0)
		return r;
	bpf_why_begin();
	r = attach_hooks(w, cgroup, e);
	if (r == 0 && bpf_program__autoload(w->skel->progs.watch_pass))
		w->pass = bpf_program__attach_iter(w->skel->progs.watch_pass, NULL);
	bpf_why_end();
	return r;
}

static int on_ring(void *arg, void *data, size_t n)
{
	const struct watchprog *w = arg;

	if (n >= sizeof(struct watch_event))
		w->on_event(w->on_event_arg, data);
	return 0;
}

static int open_reader(struct watchprog *w, struct err *e)
{
	w->cpus = libbpf_num_possible_cpus();
	if (w->cpus <= 0 || w->cpus > CPUS_MAX)
		return err_set(e, -EOPNOTSUPP, "the number of CPUs cannot be told");
	w->each_cpu = calloc((size_t)w->cpus, sizeof(*w->each_cpu));
	w->ring = ring_buffer__new(bpf_map__fd(w->skel->maps.watch_events), on_ring, w, NULL);
	if (!w->each_cpu || !w->ring)
		return err_set(e, -ENOMEM, "out of memory for reading BPF maps");
	return 0;
}

int watchprog_open(uint32_t max_flows, uint64_t pause_nsec, struct watchprog **ret, struct err *e)
{
	struct watchprog *w;
	int r;

	if ((r = check_rights(e)) < 0)
		return r;
	if (access(BTF_PATH, R_OK) < 0)
		return err_set(e, -EOPNOTSUPP,
		               "watching by BPF needs the kernel's types in " BTF_PATH
		               " (CONFIG_DEBUG_INFO_BTF): %s",
		               strerror(errno));
	if (!max_flows || max_flows > WATCH_FLOWS_MAX)
		max_flows = WATCH_FLOWS_MAX;
	if (!(w = calloc(1, sizeof(*w))))
		return err_set(e, -ENOMEM, "out of memory for the BPF programs");
	bpf_why_begin();
	r = load(w, max_flows, pause_nsec, true);
	if (r < 0 && r != -EPERM && r != -ENOMEM) {
		bpf_why_end();
		bpf_why_begin();
		r = load(w, max_flows, pause_nsec, false);
	}
	bpf_why_end();
	if (r < 0)
		r = not_loaded(r, e);
	if (r == 0)
		r = attach(w, e);
	if (r == 0)
		r = open_reader(w, e);
	if (r == 0 && w->pass)
		r = watchprog_pass(w, e);
	if (r < 0)
		watchprog_close(w);
	else
		*ret = w;
	return r;
}

void watchprog_close(struct watchprog *w)
{
	if (!w)
		return;
	for (size_t i = 0; i < w->n_links; i++)
		bpf_link__destroy(w->links[i]);
	bpf_link__destroy(w->pass);
	ring_buffer__free(w->ring);
	watch_bpf__destroy(w->skel);
	free(w->each_cpu);
	free(w);
}

bool watchprog_sees_all(const struct watchprog *w)
{
	return w->whole;
}

bool watchprog_has_pass(const struct watchprog *w)
{
	return w->pass;
}

int watchprog_pass(struct watchprog *w, struct err *e)
{
	_cleanup_close_ int fd = -1;
	char nothing[64];
	ssize_t n;

	if (!w->pass)
		return 0;
	if ((fd = bpf_iter_create(bpf_link__fd(w->pass))) < 0)
		return err_set(e, fd, "reading who holds which socket: %s", strerror(-fd));
	/* The program writes nothing; reading makes it run. */
	do
		n = sys->read(fd, nothing, sizeof(nothing));
	while (n > 0 || (n < 0 && (errno == EINTR || errno == EAGAIN)));
	return n < 0 ? err_set(e, -errno, "reading who holds which socket: %s", strerror(errno))
	             : 0;
}

int watchprog_each(struct watchprog *w, watchprog_flow_fn cb, void *arg, struct err *e)
{
	int fd = bpf_map__fd(w->skel->maps.watch_flows);
	uint64_t place = 0;
	void *from = NULL;

	for (int r = 0; !r; from = &place) {
		uint32_t n = BATCH;
		r = bpf_map_lookup_batch(fd, from, &place, w->keys, w->flows, &n, NULL);
		if (r < 0 && r != -ENOENT)
			return err_set(e, r, "reading the table of flows: %s", strerror(-r));
		for (uint32_t i = 0; i < n; i++)
			cb(arg, &w->keys[i], &w->flows[i]);
	}
	return 0;
}

int watchprog_take_all(struct watchprog *w, watchprog_flow_fn cb, void *arg, struct err *e)
{
	int fd = bpf_map__fd(w->skel->maps.watch_flows);
	uint64_t place = 0;
	void *from = NULL;

	for (int r = 0; !r; from = &place) {
		uint32_t n = BATCH;
		r = bpf_map_lookup_and_delete_batch(fd, from, &place, w->keys, w->flows, &n, NULL);
		if (r < 0 && r != -ENOENT)
			return err_set(e, r, "emptying the table of flows: %s", strerror(-r));
		for (uint32_t i = 0; i < n; i++)
			cb(arg, &w->keys[i], &w->flows[i]);
	}
	return 0;
}

int watchprog_events(struct watchprog *w, watchprog_event_fn cb, void *arg, struct err *e)
{
	int r;

	w->on_event = cb;
	w->on_event_arg = arg;
	r = ring_buffer__consume(w->ring);
	return r < 0 ? err_set(e, r, "reading what happened to flows: %s", strerror(-r)) : 0;
}

int watchprog_take(struct watchprog *w, const struct watch_key *k, struct watch_flow *ret)
{
	return bpf_map_lookup_and_delete_elem(bpf_map__fd(w->skel->maps.watch_flows), k, ret);
}

int watchprog_owner(struct watchprog *w, const struct watch_who *who, struct watch_owner *ret)
{
	int r = bpf_map_lookup_elem(bpf_map__fd(w->skel->maps.watch_owners), who, ret);
	return r < 0 ? r : ret->ready ? 0 : -EAGAIN;
}

int watchprog_rests(struct watchprog *w, struct watch_count ret[static WATCH_RESTS], struct err *e)
{
	int fd = bpf_map__fd(w->skel->maps.watch_rests);

	memset(ret, 0, WATCH_RESTS * sizeof(*ret));
	for (uint32_t i = 0; i < WATCH_RESTS; i++) {
		int r = bpf_map_lookup_elem(fd, &i, w->each_cpu);
		if (r < 0)
			return err_set(e, r, "reading counters: %s", strerror(-r));
		for (int cpu = 0; cpu < w->cpus; cpu++) {
			ret[i].packets += w->each_cpu[cpu].packets;
			ret[i].bytes += w->each_cpu[cpu].bytes;
		}
	}
	return 0;
}

void watchprog_path(const char *parts, size_t len, char *dst, size_t n)
{
	char path[WATCH_PATH_MAX + 1];
	size_t out = 0;

	if (len > WATCH_PATH_MAX || (len && parts[len - 1]))
		len = 0;
	for (size_t end = len; end;) {
		size_t begin =
		    end - 1; /* of the last component that is left; end is behind its NUL */
		while (begin && parts[begin - 1])
			begin--;
		path[out++] = '/';
		memcpy(path + out, parts + begin, end - 1 - begin);
		out += end - 1 - begin;
		end = begin;
	}
	proc_clean(path, out, dst, n);
}
