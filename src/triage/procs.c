/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "triage/procs.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/sys.h"
#include "base/table.h"
#include "kern/proc.h"
#include "triage/odd.h"

#define ENVIRON_MAX 65536

struct reading {
	struct triage *t;
	struct procs *p;
	size_t rows_cap, fds_cap;
	int r;
	/* of the process at hand */
	uint32_t row;
	int fd_dir;
};

/* Makes room for one more of a growing array. */
static void *room(void *v, size_t n, size_t *cap, size_t max, size_t size)
{
	size_t more = *cap ? *cap * 2 : 256;
	void *w;

	if (n < *cap)
		return v;
	if (n >= max || !(w = reallocarray(v, more, size)))
		return NULL;
	*cap = more;
	return w;
}

/* --- one process --- */

static void read_exe(int dir, struct proc_row *row)
{
	static const char gone[] = " (deleted)", memfd[] = "/memfd:";
	char path[4096];
	ssize_t n = readlinkat(dir, "exe", path, sizeof(path) - 1);
	struct stat st;

	row->exe_denied = n < 0 && errno != ENOENT && errno != ESRCH;
	if (n <= 0)
		return;
	path[n] = 0;
	if ((size_t)n > sizeof(gone) && !strcmp(path + n - (sizeof(gone) - 1), gone)) {
		row->exe_deleted = true;
		path[n - (ssize_t)(sizeof(gone) - 1)] = 0;
	}
	row->exe_memfd = row->exe_deleted && !strncmp(path, memfd, sizeof(memfd) - 1);
	snprintf(row->exe, sizeof(row->exe), "%.*s", PROCS_EXE - 1, path);
	/* Of what was deleted the file itself, not what may stand in its place. */
	if (row->exe_deleted && !fstatat(dir, "exe", &st, 0))
		row->exe_ino = st.st_ino;
}

static void read_cmdline(int dir, struct proc_row *row)
{
	char text[PROCS_CMDLINE];
	ssize_t n = sys_read_text_at(dir, "cmdline", text, sizeof(text));

	if (n > 0 && (row->cmdline = malloc((size_t)n + 2))) {
		memcpy(row->cmdline, text, (size_t)n);
		row->cmdline[n] = row->cmdline[n + 1] = 0;
		row->cmdline_len = (size_t)n;
	} else {
		row->cmdline = calloc(1, 2);
	}
}

static void read_environ(int dir, struct proc_row *row)
{
	static const char *const names[] = {"LD_PRELOAD=", "LD_AUDIT="};
	_cleanup_free_ char *text = malloc(ENVIRON_MAX);
	ssize_t n = text ? sys_read_text_at(dir, "environ", text, ENVIRON_MAX) : -1;

	for (ssize_t at = 0; at < n && !row->preload[0]; at += (ssize_t)strlen(text + at) + 1)
		for (size_t i = 0; i < ARRAY_SIZE(names); i++)
			if (!strncmp(text + at, names[i], strlen(names[i])))
				snprintf(row->preload, sizeof(row->preload), "%.127s",
				         text + at + strlen(names[i]));
}

static uint64_t read_ns(int dir, const char *name)
{
	char text[64];
	ssize_t n = readlinkat(dir, name, text, sizeof(text) - 1);
	const char *at;

	if (n <= 0)
		return 0;
	text[n] = 0;
	at = strchr(text, '[');
	return at ? strtoull(at + 1, NULL, 10) : 0;
}

static uint64_t tty_of(int fd_dir, const char *name)
{
	char path[32], text[512];
	uint64_t index = 0;
	ssize_t n;

	snprintf(path, sizeof(path), "../fdinfo/%.12s", name);
	n = sys_read_text_at(fd_dir, path, text, sizeof(text));
	return n > 0 && procfs_tty_index(text, (size_t)n, &index) ? index : UINT64_MAX;
}

static bool on_fd(void *arg, int dir, const char *name, unsigned char type)
{
	struct reading *g = arg;
	struct procs *p = g->p;
	char link[64]; /* what is longer is a file */
	struct proc_fd f = {.row = g->row, .fd = atoi(name)};
	struct stat st;
	ssize_t n = readlinkat(dir, name, link, sizeof(link));
	void *more;

	(void)type;
	if (n <= 0 || n == sizeof(link))
		return true;
	f.kind = procfs_fd(link, (size_t)n, &f.id);
	/* The link's own mode tells which end of the pipe it is. */
	if (f.kind == PROCFS_FD_PIPE)
		f.writes = !fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) && !(st.st_mode & S_IRUSR);
	if (f.kind == PROCFS_FD_PTMX)
		f.id = tty_of(dir, name);
	if (f.kind == PROCFS_FD_OTHER)
		return true;
	if (!(more = room(p->fds, p->n_fds, &g->fds_cap, PROCS_FDS_MAX, sizeof(*p->fds)))) {
		p->cut = true;
		return false;
	}
	p->fds = more;
	p->fds[p->n_fds++] = f;
	return true;
}

static void read_fds(struct reading *g, int dir, struct proc_row *row)
{
	_cleanup_close_ int fd = sys->openat(dir, "fd", O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0);
	size_t before = g->p->n_fds;

	row->first_fd = (uint32_t)before;
	if (fd < 0)
		g->p->denied += errno == EACCES || errno == EPERM;
	else
		triage_list_fd(fd, on_fd, g);
	row->n_fds = (uint32_t)(g->p->n_fds - before);
}

static bool read_row(struct reading *g, int dir, struct proc_row *row)
{
	char text[4096];
	ssize_t n = sys_read_text_at(dir, "stat", text, sizeof(text));

	if (n <= 0 || !procfs_stat(text, (size_t)n, &row->stat) ||
	    (n = sys_read_text_at(dir, "status", text, sizeof(text))) <= 0 ||
	    !procfs_status(text, (size_t)n, &row->status))
		return false;
	/* A kernel thread has nothing of the rest; that it says so itself is the point. */
	if (row->stat.flags & PROCFS_PF_KTHREAD) {
		row->cmdline = calloc(1, 2);
		return row->cmdline != NULL;
	}
	read_exe(dir, row);
	read_cmdline(dir, row);
	read_environ(dir, row);
	row->net = read_ns(dir, "ns/net");
	row->mnt = read_ns(dir, "ns/mnt");
	read_fds(g, dir, row);
	return row->cmdline != NULL;
}

static bool on_pid(void *arg, int proc, const char *name, unsigned char type)
{
	struct reading *g = arg;
	struct procs *p = g->p;
	_cleanup_close_ int dir = -1;
	struct proc_row row = {0};
	void *more;

	(void)type;
	/* Who looks is not looked at. */
	if (name[0] < '1' || name[0] > '9' || atoi(name) == getpid())
		return true;
	g->t->stats->looked++;
	dir = sys->openat(proc, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0);
	if (dir < 0)
		return true;
	more = room(p->rows, p->n, &g->rows_cap, PROCS_MAX, sizeof(*p->rows));
	if (!more) {
		p->cut = true;
		return false;
	}
	p->rows = more;
	g->row = (uint32_t)p->n;
	if (read_row(g, dir, &row))
		p->rows[p->n++] = row;
	else
		free(row.cmdline);
	return !triage_over(g->t);
}

/* --- order --- */

static int by_pid(const void *a, const void *b)
{
	const struct proc_row *x = a, *y = b;

	return (x->stat.pid > y->stat.pid) - (x->stat.pid < y->stat.pid);
}

static int by_kind_and_id(const void *a, const void *b, void *arg)
{
	const struct proc_fd *fds = arg;
	const struct proc_fd *x = &fds[*(const uint32_t *)a], *y = &fds[*(const uint32_t *)b];

	if (x->kind != y->kind)
		return x->kind < y->kind ? -1 : 1;
	if (x->id != y->id)
		return x->id < y->id ? -1 : 1;
	return (x->row > y->row) - (x->row < y->row);
}

static int by_inode(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

static int index_all(struct procs *p)
{
	/* The kernel lists by pid, so that this only makes sure; indices of rows must hold. */
	for (size_t i = 1; i < p->n; i++)
		if (p->rows[i].stat.pid <= p->rows[i - 1].stat.pid)
			return -EBADMSG;
	p->by_id = calloc(p->n_fds + 1, sizeof(*p->by_id));
	if (!p->by_id)
		return -ENOMEM;
	for (size_t i = 0; i < p->n_fds; i++)
		if (p->fds[i].kind != PROCFS_FD_BPF)
			p->by_id[p->n_by_id++] = (uint32_t)i;
	if (p->n_by_id)
		qsort_r(p->by_id, p->n_by_id, sizeof(*p->by_id), by_kind_and_id, p->fds);
	return 0;
}

static usec_t read_boot(const struct triage *t)
{
	struct buf b = BUF_INIT(1u << 20);
	_cleanup_close_ int fd = sys->openat(t->proc, "stat", O_RDONLY | O_CLOEXEC, 0);
	const char *at;
	usec_t boot = 0;

	if (fd >= 0 && triage_read_fd(fd, &b) == 0 && (at = strstr(buf_str(&b), "\nbtime ")))
		boot = strtoull(at + 7, NULL, 10) * USEC_PER_SEC;
	buf_free(&b);
	return boot;
}

struct procs *procs_get(struct triage *t, struct err *e)
{
	struct reading g = {.t = t};
	_cleanup_close_ int dir = -1;
	struct procs *p;

	if (t->procs)
		return t->procs;
	if (!(p = g.p = calloc(1, sizeof(*p)))) {
		err_set(e, -ENOMEM, "out of memory");
		return NULL;
	}
	dir = sys->openat(t->proc, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0);
	p->boot = read_boot(t);
	g.r = dir < 0 ? -errno : triage_list_fd(dir, on_pid, &g);
	if (g.r >= 0)
		g.r = index_all(p);
	if (g.r < 0) {
		err_set(e, g.r, "processes cannot be listed: %s", strerror(-g.r));
		procs_free(p);
		return NULL;
	}
	t->stats->limit = t->stats->limit || p->cut;
	procs_read_sockets(t, p);
	if (p->n_socks)
		qsort(p->socks, p->n_socks, sizeof(*p->socks), by_inode);
	if (p->n_peers)
		qsort(p->peers, p->n_peers, sizeof(*p->peers), by_inode);
	return t->procs = p;
}

void procs_free(struct procs *p)
{
	if (!p)
		return;
	for (size_t i = 0; i < p->n; i++)
		free(p->rows[i].cmdline);
	free(p->rows);
	free(p->fds);
	free(p->by_id);
	free(p->socks);
	free(p->peers);
	free(p);
}

/* --- asking --- */

const struct proc_row *procs_find(const struct procs *p, int pid)
{
	struct proc_row key = {.stat.pid = pid};

	return p->n ? bsearch(&key, p->rows, p->n, sizeof(*p->rows), by_pid) : NULL;
}

const struct proc_row *procs_parent(const struct procs *p, const struct proc_row *r)
{
	const struct proc_row *up = procs_find(p, r->stat.ppid);

	/* A younger one has only got the number of the parent. */
	return up && up != r && up->stat.start <= r->stat.start ? up : NULL;
}

const struct proc_fd *procs_fd(const struct procs *p, const struct proc_row *r, int fd)
{
	for (uint32_t i = 0; i < r->n_fds; i++)
		if (p->fds[r->first_fd + i].fd == fd)
			return &p->fds[r->first_fd + i];
	return NULL;
}

size_t procs_holders(const struct procs *p, enum procfs_fd kind, uint64_t id, size_t *ret_first)
{
	size_t low = 0, high = p->n_by_id, n = 0;

	while (low < high) {
		size_t mid = low + (high - low) / 2;
		const struct proc_fd *f = &p->fds[p->by_id[mid]];
		if (f->kind < kind || (f->kind == kind && f->id < id))
			low = mid + 1;
		else
			high = mid;
	}
	while (low + n < p->n_by_id && p->fds[p->by_id[low + n]].kind == kind &&
	       p->fds[p->by_id[low + n]].id == id)
		n++;
	*ret_first = low;
	return n;
}

const struct sock_row *procs_sock(const struct procs *p, uint64_t inode)
{
	return p->n_socks ? bsearch(&inode, p->socks, p->n_socks, sizeof(*p->socks), by_inode)
	                  : NULL;
}

uint64_t procs_peer(const struct procs *p, uint64_t inode)
{
	const struct unix_peer *u =
	    p->n_peers ? bsearch(&inode, p->peers, p->n_peers, sizeof(*p->peers), by_inode) : NULL;

	return u ? u->peer : 0;
}

const char *procs_arg(const struct proc_row *r, size_t i)
{
	const char *at = r->cmdline, *end = r->cmdline + r->cmdline_len;

	for (; at < end; at += strlen(at) + 1)
		if (!i--)
			return at;
	return NULL;
}

usec_t procs_started(const struct procs *p, const struct proc_row *r)
{
	uint64_t hz = (uint64_t)sysconf(_SC_CLK_TCK);

	return p->boot + r->stat.start / hz * USEC_PER_SEC +
	       r->stat.start % hz * (USEC_PER_SEC / hz);
}

const char *procs_unit(const struct triage *t, const struct proc_row *r, char *dst, size_t n)
{
	char path[32], text[4096], unit[PROC_UNIT_MAX];
	const char *line;

	dst[0] = 0;
	snprintf(path, sizeof(path), "%d/cgroup", r->stat.pid);
	if (sys_read_text_at(t->proc, path, text, sizeof(text)) <= 0)
		return dst;
	if ((line = strstr(text, "0::")) && (line == text || line[-1] == '\n')) {
		text[strcspn(line, "\n") + (size_t)(line - text)] = 0;
		snprintf(dst, n, "%s", proc_unit_of(line + 3, unit));
	}
	return dst;
}

/* --- findings --- */

/* Arguments as one line, blanks between them. */
static void add_cmdline(const struct proc_row *r, struct finding *f)
{
	char text[120] = "";
	size_t n = r->cmdline_len < sizeof(text) - 1 ? r->cmdline_len : sizeof(text) - 1;

	for (size_t i = 0; i < n; i++)
		text[i] = r->cmdline[i] ? r->cmdline[i] : ' ';
	while (n && text[n - 1] == ' ')
		n--;
	text[n] = 0;
	if (n)
		finding_reason(f, "arguments: %s%s", text,
		               r->cmdline_len > sizeof(text) ? "…" : "");
}

void procs_begin(const struct triage *t, const struct procs *p, const char *rule,
                 const struct proc_row *r, struct finding *f)
{
	const struct proc_row *up = procs_parent(p, r);

	triage_begin(t, rule, f);
	snprintf(f->subject, sizeof(f->subject), "%s (pid %d, uid %" PRIu32 ")", r->stat.comm,
	         r->stat.pid, r->status.uid);
	snprintf(f->selector, sizeof(f->selector), "pid:%d:%" PRIu64, r->stat.pid, r->stat.start);
	f->first = procs_started(p, r);
	if (r->exe[0])
		finding_reason(f, "program: %.120s%s", r->exe, r->exe_deleted ? " (deleted)" : "");
	add_cmdline(r, f);
	if (up)
		finding_reason(f, "started by %s (pid %d, %.100s)", up->stat.comm, up->stat.pid,
		               up->exe);
}

void procs_found(struct triage *t, const struct proc_row *r, struct finding *f)
{
	/* What ran before the breach is less likely of it; but who is surely here stays so. */
	if (t->since && f->first && f->first < t->since && f->score < FINDING_SCORE_ACT) {
		f->score -= f->score > 0.20 ? 0.15 : 0;
		finding_reason(f, "it was started before the time that --since names");
	}
	finding_order(f, f->score >= FINDING_SCORE_ACT ? "kill %d" : "freeze %d", r->stat.pid);
	triage_found(t, f);
}
