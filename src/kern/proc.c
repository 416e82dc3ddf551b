/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * /proc, read through one directory handle a process: the handle pins the process, so that a pid
 * which is given to another one meanwhile gives ESRCH and never a mixture of two.
 */
#include "kern/proc.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/sys.h"
#include "base/table.h"

#define FILE_MAX 4096

/* Length of the UTF-8 sequence at p (n bytes left); 0 when it is none or a control character. */
static size_t utf8_len(const unsigned char *p, size_t n)
{
	static const struct {
		unsigned char mask, lead;
		size_t len;
		uint32_t least;
	} forms[] = {{0x80, 0x00, 1, 0x20},
	             {0xe0, 0xc0, 2, 0xa0}, /* C1 control characters are no text either */
	             {0xf0, 0xe0, 3, 0x800},
	             {0xf8, 0xf0, 4, 0x10000}};

	for (size_t i = 0; i < ARRAY_SIZE(forms); i++) {
		if ((p[0] & forms[i].mask) != forms[i].lead)
			continue;
		uint32_t c = p[0] & (unsigned char)~forms[i].mask;
		if (forms[i].len > n)
			return 0;
		for (size_t k = 1; k < forms[i].len; k++) {
			if ((p[k] & 0xc0) != 0x80)
				return 0;
			c = c << 6 | (p[k] & 0x3fu);
		}
		/* Surrogates, line separators and direction overrides forge what a person reads. */
		if (c < forms[i].least || c == 0x7f || c > 0x10ffff ||
		    (c >= 0xd800 && c <= 0xdfff) || (c >= 0x2028 && c <= 0x202e) ||
		    (c >= 0x2066 && c <= 0x2069))
			return 0;
		return forms[i].len;
	}
	return 0;
}

void proc_clean(const char *src, size_t len, char *dst, size_t n)
{
	size_t out = 0;

	for (size_t i = 0; i < len && src[i];) {
		const unsigned char *p = (const unsigned char *)src + i;
		size_t k = utf8_len(p, len - i);
		if (out + (k ? k : 1) >= n)
			break;
		if (k)
			memcpy(dst + out, p, k);
		else
			dst[out] = '?';
		out += k ? k : 1;
		i += k ? k : 1;
	}
	dst[out] = 0;
}

/* Reads at most n - 1 bytes of a small file; returns the length. */
static ssize_t read_at(int dir, const char *name, char *dst, size_t n)
{
	ssize_t r = sys_read_text_at(dir, name, dst, n);
	return r == -ENOENT ? -ESRCH : r;
}

static int proc_dir(int pid)
{
	char path[32];
	int fd;

	snprintf(path, sizeof(path), pid ? "/proc/%d" : "/proc/self", pid);
	fd = sys->open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0);
	return fd >= 0 ? fd : errno == ENOENT ? -ESRCH : -errno;
}

int proc_parse_stat(const char *line, struct proc_id *ret)
{
	const char *open = strchr(line, '('), *close = strrchr(line, ')');
	int pid, ppid;
	char state;
	uint64_t start;

	if (!open || !close || close < open || sscanf(line, "%d (", &pid) != 1 || pid <= 0)
		return -EBADMSG;
	if (sscanf(close + 1,
	           " %c %d %*d %*d %*d %*d %*u %*u %*u %*u %*u %*u %*u %*d %*d %*d %*d %*d %*d "
	           "%" SCNu64,
	           &state, &ppid, &start) != 3)
		return -EBADMSG;
	ret->pid = pid;
	ret->ppid = ppid;
	ret->state = state;
	ret->start_ticks = start;
	proc_clean(open + 1, (size_t)(close - open - 1), ret->comm, sizeof(ret->comm));
	return 0;
}

static int read_uid(int dir, uint32_t *ret)
{
	char text[FILE_MAX];
	const char *at;
	ssize_t n = read_at(dir, "status", text, sizeof(text));

	if (n < 0)
		return (int)n;
	/* The name in the first line is escaped by the kernel and cannot hold a newline. */
	at = strstr(text, "\nUid:\t");
	return at && sscanf(at, "\nUid:\t%" SCNu32, ret) == 1 ? 0 : -EBADMSG;
}

static void read_exe(int dir, struct proc_id *ret)
{
	static const char gone[] = " (deleted)";
	char path[FILE_MAX];
	ssize_t n = readlinkat(dir, "exe", path, sizeof(path) - 1);
	size_t tail = sizeof(gone) - 1;

	ret->exe[0] = 0;
	if (n <= 0)
		return;
	path[n] = 0;
	if ((size_t)n > tail && !strcmp(path + n - tail, gone)) {
		ret->exe_deleted = true;
		n -= (ssize_t)tail;
	}
	proc_clean(path, (size_t)n, ret->exe, sizeof(ret->exe));
}

/* The unified hierarchy's line; on a hybrid host systemd's own. */
static void read_cgroup(int dir, struct proc_id *ret)
{
	char text[FILE_MAX], *save = NULL;
	const char *best = "";

	if (read_at(dir, "cgroup", text, sizeof(text)) < 0)
		return;
	for (char *line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		const char *named = strstr(line, ":name=systemd:");
		if (!strncmp(line, "0::", 3) && strcmp(line, "0::/"))
			best = line + 3;
		else if (named && !*best)
			best = named + strlen(":name=systemd:");
	}
	proc_clean(best, strlen(best), ret->cgroup, sizeof(ret->cgroup));
	proc_unit_of(ret->cgroup, ret->unit);
}

int proc_read(int pid, struct proc_id *ret)
{
	char text[FILE_MAX];
	struct proc_id p = {0};
	_cleanup_close_ int dir = proc_dir(pid);
	int r;

	if (dir < 0)
		return dir;
	if ((r = (int)read_at(dir, "stat", text, sizeof(text))) < 0 ||
	    (r = proc_parse_stat(text, &p)) < 0 || (r = read_uid(dir, &p.uid)) < 0)
		return r;
	read_exe(dir, &p);
	read_cgroup(dir, &p);
	*ret = p;
	return 0;
}

bool proc_is(int pid, uint64_t start_ticks)
{
	char text[FILE_MAX];
	struct proc_id p = {0};
	_cleanup_close_ int dir = proc_dir(pid);

	return dir >= 0 && read_at(dir, "stat", text, sizeof(text)) > 0 &&
	       !proc_parse_stat(text, &p) && p.start_ticks == start_ticks;
}

int proc_chain(int pid, struct proc_id *ret, size_t max, size_t *ret_n)
{
	size_t n = 0;
	int r;

	while (n < max && (pid > 0 || !n)) {
		r = proc_read(pid, &ret[n]);
		if (r < 0 && !n)
			return r;
		/* A younger "parent" is another process that got the number meanwhile. */
		if (r < 0 || (n && ret[n].start_ticks > ret[n - 1].start_ticks))
			break;
		pid = ret[n++].ppid;
	}
	*ret_n = n;
	return 0;
}

/* How runtimes name their cgroups. */
static const struct {
	const char *prefix, *suffix, *kind;
	bool hex; /* what stands between is a long hexadecimal id, shown by its first 12 digits */
} containers[] = {
    {"docker-", ".scope", "docker", true},
    {"libpod-", ".scope", "podman", true},
    {"cri-containerd-", ".scope", "containerd", true},
    {"crio-", ".scope", "crio", true},
    {"nerdctl-", ".scope", "containerd", true},
    {"machine-", ".scope", "machine", false},
    {"systemd-nspawn@", ".service", "machine", false},
    {"lxc.payload.", "", "lxc", false},
    {"", "", "container", true}, /* the cgroupfs driver: nothing but the id */
};

static bool all_hex(const char *s, size_t n)
{
	return n >= 32 && strspn(s, "0123456789abcdef") >= n;
}

bool proc_container_of(const char *component, size_t len, struct proc_container *ret)
{
	for (size_t i = 0; i < ARRAY_SIZE(containers); i++) {
		size_t pre = strlen(containers[i].prefix), post = strlen(containers[i].suffix);
		if (len <= pre + post || strncmp(component, containers[i].prefix, pre) ||
		    strncmp(component + len - post, containers[i].suffix, post))
			continue;
		size_t n = len - pre - post;
		if (containers[i].hex && !all_hex(component + pre, n))
			continue;
		*ret = (struct proc_container){containers[i].kind, containers[i].hex, pre, n};
		return true;
	}
	return false;
}

static bool container_of(const char *part, size_t len, char dst[static PROC_UNIT_MAX])
{
	struct proc_container c;

	if (!proc_container_of(part, len, &c))
		return false;
	snprintf(dst, PROC_UNIT_MAX, "%s:%.*s", c.kind, (int)(c.hex ? 12 : c.len), part + c.at);
	return true;
}

static bool is_unit(const char *part, size_t len)
{
	static const char *const ends[] = {".service", ".scope", ".socket", ".mount", ".swap"};

	for (size_t i = 0; i < ARRAY_SIZE(ends); i++) {
		size_t n = strlen(ends[i]);
		if (len > n && !strncmp(part + len - n, ends[i], n))
			return true;
	}
	return false;
}

const char *proc_unit_of(const char *cgroup, char dst[static PROC_UNIT_MAX])
{
	dst[0] = 0;
	for (const char *part = cgroup; *part;) {
		size_t len = strcspn(part, "/");
		/* What runs in a container is named by it, whatever units it has inside. */
		if (container_of(part, len, dst))
			return dst;
		if (is_unit(part, len))
			snprintf(dst, PROC_UNIT_MAX, "%.*s", (int)len, part);
		part += len + (part[len] == '/');
	}
	return dst;
}

int proc_ns_inode(int pid, const char *ns, uint64_t *ret)
{
	char path[64], text[64];

	/* The link's text, "net:[4026531840]": following it would make the kernel open the
	 * namespace. */
	if (pid)
		snprintf(path, sizeof(path), "/proc/%d/ns/%s", pid, ns);
	else
		snprintf(path, sizeof(path), "/proc/self/ns/%s", ns);
	ssize_t n = readlink(path, text, sizeof(text) - 1);
	if (n < 0)
		return errno == ENOENT ? -ESRCH : -errno;
	text[n] = 0;
	const char *number = strchr(text, '[');
	return number && sscanf(number, "[%" SCNu64 "]", ret) == 1 ? 0 : -EBADMSG;
}

static int compare_pids(const void *a, const void *b)
{
	const int *x = a, *y = b;
	return (*x > *y) - (*x < *y);
}

static int pid_add(int **v, size_t *n, size_t *cap, int pid)
{
	if (*n == PROC_PIDS_MAX)
		return -E2BIG;
	if (*n == *cap) {
		size_t more = *cap ? *cap * 2 : 256;
		int *w = realloc(*v, more * sizeof(*w));
		if (!w)
			return -ENOMEM;
		*v = w;
		*cap = more;
	}
	(*v)[(*n)++] = pid;
	return 0;
}

int proc_pids(int **ret, size_t *ret_n, struct err *e)
{
	DIR *d = opendir("/proc");
	const struct dirent *entry;
	int *v = NULL, r = 0;
	size_t n = 0, cap = 0;

	if (!d)
		return err_set(e, -errno, "cannot read /proc: %s; is it mounted?", strerror(errno));
	while (!r && (entry = readdir(d))) {
		char *end;
		long pid = strtol(entry->d_name, &end, 10);
		if (!*end && pid > 0 && pid <= INT32_MAX)
			r = pid_add(&v, &n, &cap, (int)pid);
	}
	closedir(d);
	if (r < 0) {
		free(v);
		return err_set(e, r, "cannot list the processes: %s", strerror(-r));
	}
	if (n)
		qsort(v, n, sizeof(*v), compare_pids);
	*ret = v;
	*ret_n = n;
	return 0;
}

/* "socket:[123]" */
static bool socket_inode(int dir, const char *name, uint64_t *ret)
{
	char text[64];
	ssize_t n = readlinkat(dir, name, text, sizeof(text) - 1);

	if (n <= 0)
		return false;
	text[n] = 0;
	return sscanf(text, "socket:[%" SCNu64 "]", ret) == 1;
}

int proc_sockets(int pid, bool (*cb)(void *arg, int fd, uint64_t inode), void *arg)
{
	char path[40];
	const struct dirent *entry;
	DIR *d;

	snprintf(path, sizeof(path), pid ? "/proc/%d/fd" : "/proc/self/fd", pid);
	if (!(d = opendir(path)))
		return errno == ENOENT ? -ESRCH : -errno;
	while ((entry = readdir(d))) {
		uint64_t inode;
		if (entry->d_name[0] != '.' && socket_inode(dirfd(d), entry->d_name, &inode) &&
		    !cb(arg, atoi(entry->d_name), inode))
			break;
	}
	closedir(d);
	return 0;
}

/* What /proc/PID/fdinfo says of a program, or of a link that attaches one. */
static bool program_of(int dir, const char *name, int infos, uint32_t *ret)
{
	char text[FILE_MAX];
	ssize_t n = readlinkat(dir, name, text, sizeof(text) - 1);

	if (n <= 0)
		return false;
	text[n] = 0;
	if (strcmp(text, "anon_inode:bpf-prog") && strcmp(text, "anon_inode:bpf_link"))
		return false;
	if (read_at(infos, name, text, sizeof(text)) < 0)
		return false;
	const char *at = strstr(text, "\nprog_id:");
	return at && sscanf(at, "\nprog_id: %" SCNu32, ret) == 1;
}

int proc_programs(int pid, bool (*cb)(void *arg, uint32_t prog_id), void *arg)
{
	const struct dirent *entry;
	char path[40];
	DIR *d;

	snprintf(path, sizeof(path), "/proc/%d/fdinfo", pid);
	_cleanup_close_ int infos = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (infos < 0)
		return errno == ENOENT ? -ESRCH : -errno;
	snprintf(path, sizeof(path), "/proc/%d/fd", pid);
	if (!(d = opendir(path)))
		return errno == ENOENT ? -ESRCH : -errno;
	while ((entry = readdir(d))) {
		uint32_t id;
		if (entry->d_name[0] != '.' && program_of(dirfd(d), entry->d_name, infos, &id) &&
		    !cb(arg, id))
			break;
	}
	closedir(d);
	return 0;
}

struct inode_entry {
	uint64_t inode; /* 0: free */
	int pid, last;  /* best holder, and who was counted last */
	unsigned holders;
};

struct inode_map {
	struct inode_entry *v;
	size_t cap, n; /* cap is a power of two; at most 3/4 full */
	size_t lost;
	int scanning;
};

int inode_map_new(struct inode_map **ret)
{
	struct inode_map *m = calloc(1, sizeof(*m));

	if (!m)
		return -ENOMEM;
	m->cap = 1024;
	if (!(m->v = calloc(m->cap, sizeof(*m->v)))) {
		free(m);
		return -ENOMEM;
	}
	*ret = m;
	return 0;
}

void inode_map_free(struct inode_map *m)
{
	if (!m)
		return;
	free(m->v);
	free(m);
}

static struct inode_entry *slot(struct inode_entry *v, size_t cap, uint64_t inode)
{
	size_t i = (size_t)(inode * UINT64_C(0x9e3779b97f4a7c15) >> 20) & (cap - 1);

	while (v[i].inode && v[i].inode != inode)
		i = (i + 1) & (cap - 1);
	return &v[i];
}

static int inode_map_grow(struct inode_map *m)
{
	size_t cap = m->cap * 2;
	struct inode_entry *v;

	if (m->n >= INODE_MAP_MAX)
		return -E2BIG;
	if (!(v = calloc(cap, sizeof(*v))))
		return -ENOMEM;
	for (size_t i = 0; i < m->cap; i++)
		if (m->v[i].inode)
			*slot(v, cap, m->v[i].inode) = m->v[i];
	free(m->v);
	m->v = v;
	m->cap = cap;
	return 0;
}

int inode_map_add(struct inode_map *m, uint64_t inode, int pid)
{
	struct inode_entry *en;
	int r;

	if (!inode)
		return -EINVAL;
	if (m->n >= m->cap / 4 * 3 && (r = inode_map_grow(m)) < 0) {
		m->lost++;
		return r;
	}
	en = slot(m->v, m->cap, inode);
	if (!en->inode) {
		*en = (struct inode_entry){.inode = inode, .pid = pid, .last = pid, .holders = 1};
		m->n++;
		return 0;
	}
	if (en->last != pid)
		en->holders++;
	en->last = pid;
	if (en->pid == 1 || (pid != 1 && pid < en->pid))
		en->pid = pid;
	return 0;
}

static bool scan_cb(void *arg, int fd, uint64_t inode)
{
	struct inode_map *m = arg;

	(void)fd;
	inode_map_add(m, inode, m->scanning);
	return true;
}

int inode_map_scan(struct inode_map *m, struct inode_map_stats *ret, struct err *e)
{
	_cleanup_free_ int *pids = NULL;
	struct inode_map_stats s = {0};
	int r = proc_pids(&pids, &s.pids, e);

	if (r < 0)
		return r;
	memset(m->v, 0, m->cap * sizeof(*m->v));
	m->n = m->lost = 0;
	for (size_t i = 0; i < s.pids; i++) {
		m->scanning = pids[i];
		if (proc_sockets(pids[i], scan_cb, m) == -EACCES)
			s.pids_denied++;
	}
	s.entries = m->n;
	s.lost = m->lost;
	if (ret)
		*ret = s;
	return 0;
}

int inode_map_find(const struct inode_map *m, uint64_t inode, unsigned *ret_holders)
{
	const struct inode_entry *en = slot(m->v, m->cap, inode);

	if (!inode || !en->inode)
		return 0;
	if (ret_holders)
		*ret_holders = en->holders;
	return en->pid;
}
