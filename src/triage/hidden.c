/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Processes that the list of /proc does not have, and folders of /proc that something is mounted
 * over. A process that ends or starts meanwhile must never be taken for a hidden one: its pidfd is
 * held from before the second list to after it, so that one process was alive all that time, and
 * the list still did not have it.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/sys.h"
#include "triage/rules.h"

#define CANDIDATES_MAX 64
#define PID_LIMIT      (1u << 22)
#define CGROUPS_MAX    8192
#define CGROUP_DEPTH   16
#define MOUNTS_MAX     (4u << 20)

struct candidate {
	int pid, fd; /* fd: its pidfd */
	bool by_cgroup;
};

struct search {
	struct triage *t;
	uint8_t *listed; /* a bit for each pid */
	struct candidate v[CANDIDATES_MAX];
	size_t n, cgroups;
	unsigned depth;
};

static bool listed(const struct search *s, unsigned pid)
{
	return s->listed[pid / 8] & (1u << pid % 8);
}

static bool on_pid(void *arg, int dir, const char *name, unsigned char type)
{
	struct search *s = arg;
	unsigned long pid = strtoul(name, NULL, 10);

	(void)dir;
	(void)type;
	if (pid && pid < PID_LIMIT)
		s->listed[pid / 8] |= (uint8_t)(1u << pid % 8);
	return true;
}

static int list_pids(struct search *s)
{
	_cleanup_close_ int dir =
	    sys->openat(s->t->proc, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0);

	return dir < 0 ? -errno : triage_list_fd(dir, on_pid, s);
}

/* Threads that are no process of their own have no pidfd (EINVAL or ENOENT). */
static void try_pid(struct search *s, int pid, bool by_cgroup)
{
	int fd;

	for (size_t i = 0; i < s->n; i++)
		if (s->v[i].pid == pid)
			return;
	if (s->n == CANDIDATES_MAX)
		return;
	if ((fd = (int)syscall(SYS_pidfd_open, pid, 0)) < 0) {
		if (errno == ENOSYS)
			triage_unseen(s->t, "hidden processes: this kernel has no pidfd_open");
		return;
	}
	s->v[s->n++] = (struct candidate){pid, fd, by_cgroup};
}

/* Numbers are given in a ring; all up to the highest that may be in use are tried. */
static void probe(struct search *s, int highest)
{
	char text[128], *last;

	if (sys_read_text_at(s->t->proc, "loadavg", text, sizeof(text)) > 0 &&
	    (last = strrchr(text, ' ')) && atoi(last) > highest)
		highest = atoi(last);
	for (int pid = 2; pid <= highest && (unsigned)pid < PID_LIMIT; pid++) {
		if (!listed(s, (unsigned)pid))
			try_pid(s, pid, false);
		if (!(pid & 0xfff) && triage_over(s->t))
			return;
	}
}

static void read_cgroup(struct search *s, int dir)
{
	char text[65536], *at, *end;
	ssize_t n = sys_read_text_at(dir, "cgroup.procs", text, sizeof(text));

	for (at = text; n > 0 && *at; at = end + (*end == '\n')) {
		unsigned long pid = strtoul(at, &end, 10);
		if (end == at)
			return;
		if (pid && pid < PID_LIMIT && !listed(s, (unsigned)pid))
			try_pid(s, (int)pid, true);
	}
}

static bool on_cgroup(void *arg, int dir, const char *name, unsigned char type)
{
	struct search *s = arg;

	if (type != DT_DIR)
		return true;
	if (s->cgroups++ == CGROUPS_MAX || s->depth == CGROUP_DEPTH || triage_over(s->t)) {
		s->t->stats->limit = true;
		return false;
	}
	_cleanup_close_ int fd =
	    sys->openat(dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC, 0);
	if (fd < 0)
		return true;
	read_cgroup(s, fd);
	s->depth++;
	triage_list_fd(fd, on_cgroup, s);
	s->depth--;
	return true;
}

static bool alive(int pidfd)
{
	struct pollfd f = {.fd = pidfd, .events = POLLIN};

	return sys->poll(&f, 1, 0) == 0;
}

static void tell(struct triage *t, const struct candidate *c)
{
	char path[32], text[4096];
	struct procfs_stat st = {0};
	struct finding f;
	ssize_t n;

	triage_begin(t, "hidden_process", &f);
	finding_reason(&f, "pid %d lives, by its pidfd%s; two lists of /proc did not have it",
	               c->pid, c->by_cgroup ? " and cgroup.procs" : "");
	snprintf(path, sizeof(path), "%d/stat", c->pid);
	n = sys_read_text_at(t->proc, path, text, sizeof(text));
	if (n > 0 && procfs_stat(text, (size_t)n, &st))
		finding_reason(&f, "asked by its number, /proc knows it: %s, started at tick %llu",
		               st.comm, (unsigned long long)st.start);
	snprintf(f.subject, sizeof(f.subject), "%s (pid %d)", st.comm[0] ? st.comm : "a process",
	         c->pid);
	snprintf(f.selector, sizeof(f.selector), "pid:%d:%llu", c->pid,
	         (unsigned long long)st.start);
	finding_order(&f, "kill %d", c->pid);
	triage_found(t, &f);
}

/* With hidepid others' processes are left out for who lacks the right, and that is no hiding. */
static bool may_see_all(const struct triage *t)
{
	return t->own_proc || geteuid() == 0;
}

void look_hidden(struct triage *t, const struct procs *p)
{
	struct search s = {.t = t, .listed = calloc(PID_LIMIT / 8, 1)};
	int highest = p->n ? p->rows[p->n - 1].stat.pid : 0;

	if (!s.listed || !may_see_all(t) || list_pids(&s) < 0) {
		triage_unseen(t, "hidden processes: that needs root");
		free(s.listed);
		return;
	}
	probe(&s, highest);
	_cleanup_close_ int groups = triage_open(t, "/sys/fs/cgroup", O_RDONLY | O_DIRECTORY);
	if (groups >= 0)
		triage_list_fd(groups, on_cgroup, &s);
	/* The first list may be older than the process; the second is not. */
	bool again = s.n > 0 && list_pids(&s) == 0;
	for (size_t i = 0; i < s.n; i++) {
		if (again && !listed(&s, (unsigned)s.v[i].pid) && alive(s.v[i].fd))
			tell(t, &s.v[i]);
		close(s.v[i].fd);
	}
	free(s.listed);
}

/* --- mounts over /proc --- */

/* A part of /proc itself, or all of it by what is no /proc. */
static bool over_a_process(const char *point, bool is_proc)
{
	const char *at = point + 6;

	if (!strcmp(point, "/proc"))
		return !is_proc;
	if (!strcmp(point, "/proc/net") || !strncmp(point, "/proc/self", 10))
		return true;
	return !strncmp(point, "/proc/", 6) && *at >= '1' && *at <= '9' &&
	       (at[strspn(at, "0123456789")] == 0 || at[strspn(at, "0123456789")] == '/');
}

static void tell_mount(struct triage *t, const struct procs *p, const struct proc_row *in,
                       const char *point)
{
	const struct proc_row *r = point[5] ? procs_find(p, atoi(point + 6)) : NULL;
	struct finding f;

	if (r)
		procs_begin(t, p, "proc_mount", r, &f);
	else
		triage_begin(t, "proc_mount", &f);
	if (!r) {
		snprintf(f.subject, sizeof(f.subject), "%.100s", point);
		snprintf(f.selector, sizeof(f.selector), "path:%.100s", point);
	}
	finding_reason(&f, "something is mounted over %.60s, as %.20s (pid %d) sees it", point,
	               in->stat.comm, in->stat.pid);
	if (r)
		procs_found(t, r, &f);
	else
		triage_found(t, &f);
}

static void look_mountinfo(struct triage *t, const struct procs *p, const struct proc_row *r,
                           struct buf *b)
{
	char path[32], point[PROCFS_POINT_MAX];
	const char *text, *line;
	size_t left, n;

	snprintf(path, sizeof(path), "%d/mountinfo", r->stat.pid);
	_cleanup_close_ int fd = sys->openat(t->proc, path, O_RDONLY | O_CLOEXEC, 0);
	if (fd < 0)
		return;
	buf_reset(b);
	if (triage_read_fd(fd, b) == -EFBIG)
		t->stats->limit = true;
	text = buf_str(b);
	left = b->len;
	while (procfs_line(&text, &left, &line, &n))
		if (procfs_mount_point(line, n, point) &&
		    over_a_process(point, procfs_mount_is(line, n, "proc")))
			tell_mount(t, p, r, point);
}

void look_mounts(struct triage *t, const struct procs *p)
{
	uint64_t seen[PROCS_NAMESPACES];
	struct buf b = BUF_INIT(MOUNTS_MAX);
	size_t n = 0, k;

	for (size_t i = 0; i < p->n && !triage_over(t); i++) {
		const struct proc_row *r = &p->rows[i];
		for (k = 0; k < n && seen[k] != r->mnt; k++)
			;
		if (!r->mnt || k < n)
			continue;
		if (n == PROCS_NAMESPACES) {
			t->stats->limit = true;
			break;
		}
		seen[n++] = r->mnt;
		look_mountinfo(t, p, r, &b);
	}
	buf_free(&b);
}
