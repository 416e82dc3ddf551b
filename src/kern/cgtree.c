/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "kern/cgtree.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/sys.h"

#define FILE_MAX 8192
#define PROCS    "cgroup.procs"
#define REMOVED  " (deleted)"
#define POLL_MS  5

static bool component_ok(const char *s, size_t n)
{
	return n && n <= NAME_MAX && !(n == 1 && s[0] == '.') &&
	       !(n == 2 && s[0] == '.' && s[1] == '.');
}

bool cgtree_path_ok(const char *path)
{
	if (path[0] != '/' || strlen(path) >= CGTREE_PATH_MAX)
		return false;
	for (const char *p = path; path[1] && *p;) {
		size_t n = strcspn(p + 1, "/");
		if (!component_ok(p + 1, n))
			return false;
		p += 1 + n;
	}
	return true;
}

bool cgtree_below(const char *path, const char *top)
{
	size_t n = strlen(top);
	if (!strcmp(top, "/"))
		return true;
	return !strncmp(path, top, n) && (!path[n] || path[n] == '/');
}

const char *cgtree_name(const char *path)
{
	const char *last = strrchr(path, '/');
	return last ? last + 1 : path;
}

/* What ends at once is an answer; -ENAMETOOLONG: there is more than fits. */
static ssize_t read_file(int fd, char *text, size_t n)
{
	size_t at = 0;
	while (at < n) {
		ssize_t got = sys->read(fd, text + at, n - at);
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return -errno;
		if (got == 0) {
			text[at] = 0;
			return (ssize_t)at;
		}
		at += (size_t)got;
	}
	return -ENAMETOOLONG;
}

int cgtree_path_of(int pid, char dst[static CGTREE_PATH_MAX])
{
	char name[40], text[FILE_MAX];
	snprintf(name, sizeof name, "/proc/%d/cgroup", pid);
	_cleanup_close_ int fd = sys->open(name, O_RDONLY | O_CLOEXEC, 0);
	if (fd < 0)
		return errno == ENOENT ? -ESRCH : -errno;
	ssize_t n = read_file(fd, text, sizeof text);
	if (n < 0)
		return (int)n;
	/* A name may hold a newline: the unified line comes last, and its path goes to the end. */
	char *line = !strncmp(text, "0::", 3) ? text : strstr(text, "\n0::");
	if (!line)
		return -ENOENT;
	line += line == text ? 3 : 4;
	size_t len = strlen(line);
	if (len && line[len - 1] == '\n')
		line[--len] = 0;
	if (len > strlen(REMOVED) && !strcmp(line + len - strlen(REMOVED), REMOVED))
		return -ENOENT;
	if (len >= CGTREE_PATH_MAX)
		return -ENAMETOOLONG;
	if (!cgtree_path_ok(line))
		return -ENOENT; /* above the root of our cgroup namespace: "/../…" */
	memcpy(dst, line, len + 1);
	return 0;
}

static int open_child(int fd, const char *name)
{
	int child = sys->openat(fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC, 0);
	return child < 0 ? -errno : child;
}

static int id_of(int fd, uint64_t *ret)
{
	struct stat st;
	if (fstat(fd, &st) < 0)
		return -errno;
	*ret = st.st_ino;
	return 0;
}

int cgtree_open(int root, const char *path, int *ret_fd, uint64_t *ret_id, struct err *e)
{
	char name[NAME_MAX + 1];
	uint64_t id = 0;
	if (!cgtree_path_ok(path))
		return err_set(e, -EINVAL, "\"%.80s\" is no path of a cgroup", path);
	int fd = open_child(root, ".");
	for (const char *p = path + 1; fd >= 0 && *p;) {
		size_t n = strcspn(p, "/");
		memcpy(name, p, n);
		name[n] = 0;
		int child = open_child(fd, name);
		sys->close(fd);
		fd = child;
		p += n + (p[n] == '/');
	}
	int r = fd < 0 ? fd : id_of(fd, &id);
	if (r < 0) {
		sys_closep(&fd);
		return err_set(e, r == -ENOTDIR ? -ENOENT : r, "cgroup %.120s: %s", path,
		               r == -ENOENT ? "there is none" : strerror(-r));
	}
	*ret_fd = fd;
	if (ret_id)
		*ret_id = id;
	return 0;
}

struct walk {
	cgtree_fn cb;
	void *arg;
	size_t seen;
	bool stopped;
	char path[CGTREE_PATH_MAX];
	struct err *e;
};

static int visit(struct walk *w, int fd, unsigned depth);

/* Puts "/name" behind the path, visits, and takes it away again. */
static int visit_child(struct walk *w, int fd, const char *name, unsigned depth)
{
	size_t at = strlen(w->path), n = strlen(name);
	size_t from = at == 1 ? 0 : at; /* "/" has its slash already */
	if (from + 1 + n >= sizeof w->path)
		return err_set(w->e, -E2BIG, "a cgroup's path is longer than %d bytes",
		               CGTREE_PATH_MAX);
	_cleanup_close_ int child = open_child(fd, name);
	if (child < 0)
		return child == -EMFILE ? err_set(w->e, child, "out of file descriptors") : 0;
	w->path[from] = '/';
	memcpy(w->path + from + 1, name, n + 1);
	int r = visit(w, child, depth + 1);
	w->path[at] = 0;
	return r;
}

static int visit_children(struct walk *w, int fd, unsigned depth)
{
	const struct dirent *entry;
	int copy = open_child(fd, "."), r = 0;
	DIR *d = copy < 0 ? NULL : fdopendir(copy);
	if (!d) {
		sys_closep(&copy);
		return copy < 0 && copy != -EMFILE ? 0 : err_set(w->e, -ENOMEM, "out of memory");
	}
	while (r == 0 && !w->stopped && (entry = readdir(d)))
		if (entry->d_type == DT_DIR && entry->d_name[0] != '.')
			r = visit_child(w, fd, entry->d_name, depth);
	closedir(d);
	return r;
}

static int visit(struct walk *w, int fd, unsigned depth)
{
	uint64_t id = 0;
	if (id_of(fd, &id) < 0)
		return 0;
	if (w->seen++ == CGTREE_MAX || depth > CGTREE_DEPTH_MAX)
		return err_set(w->e, -E2BIG,
		               "this host has more than %d cgroups, or nests them "
		               "deeper than %d",
		               CGTREE_MAX, CGTREE_DEPTH_MAX);
	enum cgtree_next next = w->cb(w->arg, fd, w->path, id);
	w->stopped = next == CGTREE_STOP;
	return next == CGTREE_DEEPER ? visit_children(w, fd, depth) : 0;
}

int cgtree_walk(int root, const char *from, cgtree_fn cb, void *arg, struct err *e)
{
	struct walk w = {.cb = cb, .arg = arg, .e = e};
	_cleanup_close_ int fd = -1;
	int r = cgtree_open(root, from, &fd, NULL, e);
	if (r < 0)
		return r;
	snprintf(w.path, sizeof w.path, "%s", from);
	return visit(&w, fd, 0);
}

static int add_pid(int **v, size_t *n, size_t *room, int pid)
{
	if (*n == CGTREE_PIDS_MAX)
		return -E2BIG;
	if (*n == *room) {
		size_t more = *room ? *room * 2 : 64;
		int *w = realloc(*v, more * sizeof *w);
		if (!w)
			return -ENOMEM;
		*v = w;
		*room = more;
	}
	(*v)[(*n)++] = pid;
	return 0;
}

int cgtree_pids(int fd, int **ret, size_t *ret_n, struct err *e)
{
	int *v = NULL, r = 0;
	size_t n = 0, room = 0;
	char line[32];
	int file = sys->openat(fd, PROCS, O_RDONLY | O_CLOEXEC, 0);
	FILE *f = file < 0 ? NULL : fdopen(file, "r");
	if (!f) {
		r = -errno;
		sys_closep(&file);
		return err_set(e, r, "reading the processes of a cgroup: %s", strerror(-r));
	}
	while (r == 0 && fgets(line, sizeof line, f)) {
		long pid = strtol(line, NULL, 10);
		if (pid > 0 && pid <= INT32_MAX) /* 0: of another pid namespace */
			r = add_pid(&v, &n, &room, (int)pid);
	}
	if (r == 0 && ferror(f))
		r = -errno;
	fclose(f);
	if (r < 0) {
		free(v);
		return err_set(e, r, "reading the processes of a cgroup: %s", strerror(-r));
	}
	*ret = v;
	*ret_n = n;
	return 0;
}

int cgtree_move(int fd, int pid, struct err *e)
{
	char text[16];
	int n = snprintf(text, sizeof text, "%d", pid);
	_cleanup_close_ int file = sys->openat(fd, PROCS, O_WRONLY | O_CLOEXEC, 0);
	if (file < 0 || sys->write(file, text, (size_t)n) != n)
		return err_set(e, -errno, "moving process %d to another cgroup: %s", pid,
		               strerror(errno));
	return 0;
}

int cgtree_make(int fd, const char *name, struct err *e)
{
	char path[64 + NAME_MAX];
	snprintf(path, sizeof path, "/proc/self/fd/%d/%s", fd, name);
	if (sys->mkdir(path, 0755) < 0 && errno != EEXIST)
		return err_set(e, -errno, "making cgroup %s: %s", name, strerror(errno));
	return 0;
}

static int put_file(int fd, const char *name, const char *text)
{
	_cleanup_close_ int file = sys->openat(fd, name, O_WRONLY | O_CLOEXEC, 0);
	size_t n = strlen(text);
	return file < 0 || sys->write(file, text, n) != (ssize_t)n ? -errno : 0;
}

/* Such a line of cgroup.events or cgroup.freeze says 1; -errno: it cannot be told. */
static int flag_of(int fd, const char *name, const char *key)
{
	char text[256];
	_cleanup_close_ int file = sys->openat(fd, name, O_RDONLY | O_CLOEXEC, 0);
	ssize_t n = file < 0 ? -errno : read_file(file, text, sizeof text);
	if (n < 0)
		return (int)n;
	const char *at = strstr(text, key);
	return at && at[strlen(key)] == '1';
}

/* Waits until the line says `want`; 0, -ETIME. */
static int wait_event(int fd, const char *key, int want, unsigned wait_ms)
{
	for (unsigned waited = 0;; waited += POLL_MS) {
		int is = flag_of(fd, "cgroup.events", key);
		if (is < 0 || is == want)
			return is < 0 ? is : 0;
		if (waited >= wait_ms)
			return -ETIME;
		(void)sys->poll(NULL, 0, POLL_MS);
	}
}

int cgtree_freeze(int fd, bool on, struct err *e)
{
	int r = put_file(fd, "cgroup.freeze", on ? "1" : "0");
	return r < 0 ? err_set(e, r, "%s a cgroup: %s", on ? "freezing" : "thawing", strerror(-r))
	             : 0;
}

int cgtree_frozen(int fd, unsigned wait_ms, struct err *e)
{
	int asked = flag_of(fd, "cgroup.freeze", "");
	int r = asked < 0 ? asked : asked ? wait_event(fd, "frozen ", 1, wait_ms) : -ENOENT;
	if (r == -ETIME)
		return err_set(e, -EINPROGRESS, "a process waits in the kernel and is not frozen");
	return r < 0 ? err_set(e, r, "a cgroup is not frozen: %s",
	                       r == -ENOENT ? "somebody thawed it" : strerror(-r))
	             : 0;
}

int cgtree_kill(int fd, unsigned wait_ms, struct err *e)
{
	int r = put_file(fd, "cgroup.kill", "1");
	if (r == -ENOENT)
		return err_set(e, -EOPNOTSUPP, "this kernel has no cgroup.kill (5.14 or newer)");
	if (r == 0)
		r = wait_event(fd, "populated ", 0, wait_ms);
	return r < 0 ? err_set(e, r, "ending the processes of a cgroup: %s",
	                       r == -ETIME ? "one waits in the kernel and is not gone yet"
	                                   : strerror(-r))
	             : 0;
}

int cgtree_remove(int fd, const char *name, struct err *e)
{
	if (unlinkat(fd, name, AT_REMOVEDIR) < 0 && errno != ENOENT)
		return err_set(e, -errno, "removing cgroup %s: %s", name, strerror(errno));
	return 0;
}
