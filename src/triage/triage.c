/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "triage/triage.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/sys.h"
#include "kern/proc.h"
#include "triage/procs.h"

int triage_area_parse(const char *name)
{
	for (int i = 0; triage_areas[i].name; i++)
		if (!strcmp(triage_areas[i].name, name))
			return i;
	return -EINVAL;
}

/* --- files beneath the root --- */

/* Before Linux 5.6 there is no openat2: part by part then, and no link is followed at all. */
static int open_by_parts(int dir, const char *path, int flags)
{
	int at = dir, fd = -EINVAL;

	while (*(path += strspn(path, "/"))) {
		char part[256];
		size_t n = strcspn(path, "/");
		bool last = !path[n + strspn(path + n, "/")];
		if (n >= sizeof(part))
			return -ENAMETOOLONG;
		snprintf(part, sizeof(part), "%.*s", (int)n, path);
		if (!strcmp(part, ".."))
			fd = -EXDEV;
		else
			fd = sys->openat(at, part,
			                 last ? flags | O_NOFOLLOW
			                      : O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC,
			                 0);
		if (fd == -1)
			fd = -errno;
		if (at != dir)
			sys->close(at);
		if (fd < 0 || last)
			return fd;
		at = fd;
		path += n;
	}
	return fd;
}

static int open_beneath(int dir, const char *path, int flags)
{
	struct open_how how = {.flags = (uint64_t)flags,
	                       .resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS};
	int fd;

	for (int tries = 0; tries < 8; tries++) {
		fd = (int)syscall(SYS_openat2, dir, path, &how, sizeof(how));
		if (fd >= 0)
			return fd;
		/* EAGAIN: something was renamed on the way; EPERM: not the file's owner. */
		if (errno == EPERM && how.flags & O_NOATIME)
			how.flags &= ~(uint64_t)O_NOATIME;
		else if (errno != EAGAIN && errno != EINTR)
			break;
	}
	if (errno == ENOSYS)
		return open_by_parts(dir, path, (int)how.flags & ~O_NOATIME);
	return -errno;
}

int triage_open_at(const struct triage *t, int dir, const char *path, int flags)
{
	(void)t;
	flags |= O_NONBLOCK | O_NOCTTY | O_CLOEXEC;
	if (!(flags & O_PATH))
		flags |= O_NOATIME;
	else
		flags &= O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
	return open_beneath(dir, path, flags);
}

int triage_open(const struct triage *t, const char *path, int flags)
{
	return triage_open_at(t, t->root, path, flags);
}

int triage_stat(const struct triage *t, const char *path, struct stat *ret)
{
	_cleanup_close_ int fd = triage_open(t, path, O_PATH | O_NOFOLLOW);

	if (fd < 0)
		return fd;
	return fstat(fd, ret) < 0 ? -errno : 0;
}

int triage_read_fd(int fd, struct buf *b)
{
	char part[16384];

	for (;;) {
		size_t room = b->max - b->len;
		ssize_t n = sys->read(fd, part, sizeof(part));
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? -errno : 0;
		if (buf_add(b, part, (size_t)n < room ? (size_t)n : room) < 0)
			return b->error;
		if ((size_t)n > room)
			return -EFBIG;
	}
}

int triage_read(const struct triage *t, const char *path, struct buf *b)
{
	_cleanup_close_ int fd = triage_open(t, path, O_RDONLY);
	struct stat st;

	if (fd < 0)
		return fd;
	if (fstat(fd, &st) < 0)
		return -errno;
	return S_ISREG(st.st_mode) ? triage_read_fd(fd, b) : -EINVAL;
}

struct entry {
	uint64_t ino;
	int64_t off;
	unsigned short len;
	unsigned char type;
	char name[];
};

/* The kernel's own answer: what a library that was loaded into us hides from readdir is in it. */
int triage_list_fd(int fd, triage_name_fn cb, void *arg)
{
	_Alignas(struct entry) char part[32768];

	for (;;) {
		long n = syscall(SYS_getdents64, fd, part, sizeof(part));
		if (n <= 0)
			return n < 0 ? -errno : 0;
		for (long at = 0; at < n;) {
			const struct entry *d = (const void *)(part + at);
			if (strcmp(d->name, ".") != 0 && strcmp(d->name, "..") != 0 &&
			    !cb(arg, fd, d->name, d->type))
				return 0;
			at += d->len;
		}
	}
}

int triage_list(const struct triage *t, const char *path, triage_name_fn cb, void *arg)
{
	_cleanup_close_ int fd = triage_open(t, path, O_RDONLY | O_DIRECTORY);

	return fd < 0 ? fd : triage_list_fd(fd, cb, arg);
}

/* --- what areas tell --- */

bool triage_over(struct triage *t)
{
	if (boot_now() < t->deadline)
		return false;
	t->stats->limit = true;
	return true;
}

void triage_unseen(struct triage *t, const char *fmt, ...)
{
	struct triage_stats *s = t->stats;
	char text[sizeof(s->unseen[0])], raw[sizeof(text)];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(raw, sizeof(raw), fmt, ap);
	va_end(ap);
	proc_clean(raw, strlen(raw), text, sizeof(text));
	for (size_t i = 0; i < s->n_unseen; i++)
		if (!strcmp(s->unseen[i], text))
			return;
	if (s->n_unseen < TRIAGE_UNSEEN_MAX)
		strcpy(s->unseen[s->n_unseen++], text);
	else
		s->limit = true;
}

void triage_begin(const struct triage *t, const char *rule, struct finding *ret)
{
	const struct triage_rule *r = t->area->rules;

	while (r->name && strcmp(r->name, rule) != 0)
		r++;
	if (!r->name)
		abort(); /* a mistake of ours, which the first test of that rule sees */
	*ret = (struct finding){.kind = r->kind, .score = r->score};
	snprintf(ret->rule, sizeof(ret->rule), "%s", r->name);
	snprintf(ret->technique, sizeof(ret->technique), "%s", r->technique);
	snprintf(ret->benign, sizeof(ret->benign), "%s", r->benign);
}

static void clean(char *text, size_t n)
{
	char raw[FINDING_REASON_MAX];

	snprintf(raw, sizeof(raw), "%s", text);
	proc_clean(raw, strlen(raw), text, n);
}

void triage_found(struct triage *t, struct finding *f)
{
	if (!f->last)
		f->last = wall_now();
	if (!f->first)
		f->first = f->last;
	/* Orders are about this host, where another may bear the name. */
	if (!t->live) {
		f->n_orders = 0;
		finding_reason(f, "in the system beneath %.120s, not on this host", t->beneath);
	}
	clean(f->subject, sizeof(f->subject));
	clean(f->selector, sizeof(f->selector));
	for (size_t i = 0; i < f->n_reasons; i++)
		clean(f->reasons[i], sizeof(f->reasons[i]));
	for (size_t i = 0; i < f->n_orders; i++)
		clean(f->orders[i], sizeof(f->orders[i]));
	t->stats->found++;
	t->found(t->arg, f);
}

/* --- running --- */

/* A procfs of our own: nobody has mounted anything over its folders. Needs CAP_SYS_ADMIN, and a
 * kernel that does not take it for a way around what a container hides. */
static int proc_of_our_own(void)
{
	int fs = (int)syscall(SYS_fsopen, "proc", FSOPEN_CLOEXEC), fd = -1;

	if (fs < 0)
		return -1;
	if (!syscall(SYS_fsconfig, fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0))
		fd = (int)syscall(SYS_fsmount, fs, FSMOUNT_CLOEXEC, MOUNT_ATTR_RDONLY);
	close(fs);
	return fd;
}

static int open_live(struct triage *t, struct err *e)
{
	t->live = true;
	t->proc = proc_of_our_own();
	t->own_proc = t->proc >= 0;
	if (t->proc < 0)
		t->proc = sys->open("/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0);
	return t->proc >= 0 ? 0 : err_set(e, -errno, "/proc: %s; is it mounted?", strerror(errno));
}

static int open_root(struct triage *t, const char *path, struct err *e)
{
	t->root = sys->open(path ? path : "/", O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0);
	if (t->root < 0)
		return err_set(e, -errno, "--root %.200s: %s", path ? path : "/", strerror(errno));
	return path ? 0 : open_live(t, e);
}

static void run_area(struct triage *t, const struct triage_config *c, const struct triage_area *a)
{
	struct triage_stats *s = t->stats;
	usec_t begin = boot_now();
	struct err e = {0};

	*s = (struct triage_stats){.area = a->name, .skipped = !t->live && !a->offline};
	t->area = a;
	t->deadline = begin + a->limit;
	if (!s->skipped && a->run(t, &e) < 0)
		snprintf(s->failed, sizeof(s->failed), "%.255s", e.text[0] ? e.text : "it failed");
	s->took = boot_now() - begin;
	c->done(c->arg, s);
}

int triage_run(const struct triage_config *c, struct err *e)
{
	struct triage_stats s = {0};
	struct triage t = {
	    .root = -1,
	    .proc = -1,
	    .since = c->since,
	    .beneath = c->root,
	    .stats = &s,
	    .found = c->found,
	    .arg = c->arg,
	};
	int r = open_root(&t, c->root, e);

	for (int i = 0; !r && triage_areas[i].name; i++)
		if (!c->areas || c->areas & UINT64_C(1) << i)
			run_area(&t, c, &triage_areas[i]);
	procs_free(t.procs);
	sys_closep(&t.proc);
	sys_closep(&t.root);
	return r;
}
