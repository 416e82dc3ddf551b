/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Programs whose file is gone. After an upgrade half of a host's services are like that; so the
 * package database is asked: a list of files that dpkg wrote after the process was started and that
 * names the program clears it, and only if something stands in its place again. The database is on
 * the host's disk and may be forged; that leaves traces for the area persistence, and needs root.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/sys.h"
#include "base/table.h"
#include "triage/odd.h"
#include "triage/rules.h"

#define DPKG_INFO "/var/lib/dpkg/info"
#define LIST_MAX  (8u << 20)

struct asking {
	const struct triage *t;
	const char *path;
	usec_t started;
	bool found;
};

static usec_t time_of(const struct timespec *ts)
{
	return (usec_t)ts->tv_sec * USEC_PER_SEC + (usec_t)ts->tv_nsec / 1000;
}

/* Where /bin is a link to /usr/bin, packages may name either. */
static bool list_has(const struct buf *b, const char *path)
{
	const char *text = buf_str(b), *line;
	size_t left = b->len, n, len = strlen(path);
	const char *bare = !strncmp(path, "/usr/", 5) ? path + 4 : path;
	size_t bare_len = strlen(bare);

	while (procfs_line(&text, &left, &line, &n))
		if ((n == len && !memcmp(line, path, n)) ||
		    (n == bare_len && !memcmp(line, bare, n)))
			return true;
	return false;
}

static bool on_list(void *arg, int dir, const char *name, unsigned char type)
{
	struct asking *q = arg;
	size_t n = strlen(name);
	struct stat st;

	(void)type;
	if (n < 6 || strcmp(name + n - 5, ".list") != 0 ||
	    fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) < 0 || !S_ISREG(st.st_mode) ||
	    time_of(&st.st_ctim) + 2 * USEC_PER_SEC < q->started)
		return true;
	struct buf b = BUF_INIT(LIST_MAX);
	_cleanup_close_ int fd = triage_open_at(q->t, dir, name, O_RDONLY | O_NOFOLLOW);
	if (fd >= 0 && triage_read_fd(fd, &b) == 0)
		q->found = list_has(&b, q->path);
	buf_free(&b);
	return !q->found;
}

/* Half way through an upgrade new files stand there and the list does not yet. */
static bool dpkg_at_work(const struct triage *t)
{
	struct stat st;

	return triage_stat(t, "/var/lib/dpkg/tmp.ci/control", &st) == 0 ||
	       triage_stat(t, "/var/lib/dpkg/updates/0000", &st) == 0;
}

bool gone_by_upgrade(struct triage *t, const struct procs *p, const struct proc_row *r)
{
	struct asking q = {.t = t, .path = r->exe, .started = procs_started(p, r)};
	struct stat st;

	if (!odd_system_path(r->exe) || r->exe_memfd || triage_stat(t, r->exe, &st) < 0 ||
	    time_of(&st.st_ctim) + 2 * USEC_PER_SEC < q.started)
		return false;
	triage_list(t, DPKG_INFO, on_list, &q);
	return q.found || dpkg_at_work(t);
}

/* Packages came or went since it was started: what is gone may have gone with one of them. */
static bool packages_changed(const struct triage *t, const struct procs *p,
                             const struct proc_row *r)
{
	struct stat st;

	return strncmp(r->exe, "/usr/local/", 11) != 0 && triage_stat(t, DPKG_INFO, &st) == 0 &&
	       time_of(&st.st_mtim) > procs_started(p, r);
}

/* A container's files are not ours to look at. */
static bool elsewhere(const struct triage *t, const struct proc_row *r)
{
	struct stat own, other;
	char path[32];

	snprintf(path, sizeof(path), "%d/root", r->stat.pid);
	return fstat(t->root, &own) < 0 || fstatat(t->proc, path, &other, 0) < 0 ||
	       own.st_dev != other.st_dev || own.st_ino != other.st_ino;
}

static double gone_score(struct triage *t, const struct procs *p, const struct proc_row *r,
                         struct finding *f)
{
	struct stat st;

	if (odd_path(r->exe)) {
		finding_reason(f, "it was in a place that nothing is installed to");
		return 0.85;
	}
	if (elsewhere(t, r)) {
		finding_reason(f, "it runs in a container, whose files were not looked at");
		return 0.40;
	}
	if (triage_stat(t, r->exe, &st) == 0) {
		finding_reason(f, "another file stands in its place, of no package that was "
		                  "installed since it was started");
		return odd_system_path(r->exe) && strncmp(r->exe, "/usr/local/", 11) != 0 ? 0.50
		                                                                          : 0.40;
	}
	finding_reason(f, "nothing stands in its place");
	if (packages_changed(t, p, r))
		return 0.50;
	return odd_system_path(r->exe) ? 0.75 : 0.55;
}

/* runc and crun run from a copy of themselves in memory for a moment. */
static bool container_runtime(const struct procs *p, const struct proc_row *r)
{
	static const char *const parents[] = {"containerd-shim",
	                                      "containerd-shim-runc-v2",
	                                      "conmon",
	                                      "dockerd",
	                                      "podman",
	                                      "runc",
	                                      "crun",
	                                      "buildkitd",
	                                      NULL};
	const struct proc_row *up = procs_parent(p, r);

	return strstr(r->exe, "_cloned") && up && odd_system_path(up->exe) &&
	       odd_any(odd_base(up->exe), parents);
}

void look_gone(struct triage *t, const struct procs *p)
{
	for (size_t i = 0; i < p->n && !triage_over(t); i++) {
		const struct proc_row *r = &p->rows[i];
		struct finding f;
		if (!r->exe_deleted)
			continue;
		if (r->exe_memfd) {
			procs_begin(t, p, "memory_program", r, &f);
			if (container_runtime(p, r))
				f.score = 0.30;
			procs_found(t, r, &f);
		} else if (!gone_by_upgrade(t, p, r)) {
			procs_begin(t, p, "deleted_program", r, &f);
			f.score = gone_score(t, p, r, &f);
			procs_found(t, r, &f);
		}
	}
}
