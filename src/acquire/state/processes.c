/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "acquire/hostfile.h"
#include "acquire/state/state.h"
#include "base/sys.h"
#include "base/table.h"
#include "kern/proc.h"
#include "seal/sha256.h"

#define TEXT_MAX   (16u << 10)
#define FDS_MAX    4096
#define COPY_MAX   (UINT64_C(256) << 20)
#define PID_MAX    4194304
#define DIGEST_MAX 65536

/* What a process is asked for; those that read its memory (and may wait for it) come last, in rows
 * of their own, so that what was read before is not lost. */
static const char *const texts[] = {"stat",     "status", "cgroup",  "limits",
                                    "loginuid", "wchan",  "syscall", "oom_score_adj"};
static const char *const links[] = {"exe",    "cwd",     "root",   "ns/net", "ns/pid",
                                    "ns/mnt", "ns/user", "ns/uts", "ns/ipc", "ns/cgroup"};
static const char *const memory_texts[] = {"cmdline", "environ", "maps", "mountinfo"};

static int open_proc(int pid)
{
	char path[32];
	snprintf(path, sizeof(path), "/proc/%d", pid);
	return sys->open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0);
}

static void add_text(json_t *row, int dir, const char *name)
{
	struct buf b = BUF_INIT(TEXT_MAX);
	int r = hostfile_read(dir, name, &b);
	if (r == 0 || r == -EMSGSIZE)
		json_object_set_new(row, name, reading_text(b.data, b.len));
	buf_free(&b);
}

static void add_link(json_t *row, int dir, const char *name)
{
	char to[4096];
	ssize_t n = readlinkat(dir, name, to, sizeof(to));
	if (n >= 0)
		json_object_set_new(row, name, reading_text(to, (size_t)n));
}

static json_t *fds_of(int dir)
{
	int fd = sys->openat(dir, "fd", O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0);
	DIR *d = fd < 0 ? NULL : fdopendir(fd);
	json_t *v = json_object();
	if (!d) {
		sys_closep(&fd);
		return v;
	}
	unsigned n = 0;
	for (struct dirent *t; (t = readdir(d)) && n < FDS_MAX;) {
		char to[512];
		ssize_t len =
		    t->d_name[0] == '.' ? -1 : readlinkat(dirfd(d), t->d_name, to, sizeof(to));
		if (len >= 0) {
			json_object_set_new(v, t->d_name, reading_text(to, (size_t)len));
			n++;
		}
	}
	closedir(d);
	return v;
}

static void read_one(struct reading *r, int pid)
{
	_cleanup_close_ int dir = open_proc(pid);
	if (dir < 0)
		return;
	json_t *row = json_pack("{s:s, s:i}", "kind", "process", "pid", pid);
	for (size_t i = 0; i < ARRAY_SIZE(texts); i++)
		add_text(row, dir, texts[i]);
	for (size_t i = 0; i < ARRAY_SIZE(links); i++)
		add_link(row, dir, links[i]);
	reading_row(r, row);
	reading_row(r, json_pack("{s:s, s:i, s:o}", "kind", "fds", "pid", pid, "fds", fds_of(dir)));
	for (size_t i = 0; i < ARRAY_SIZE(memory_texts); i++) {
		row = json_pack("{s:s, s:i}", "kind", memory_texts[i], "pid", pid);
		add_text(row, dir, memory_texts[i]);
		reading_row(r, row);
	}
}

static void each_pid(struct reading *r, void (*read)(struct reading *, int))
{
	int *pids = NULL;
	size_t n = 0;
	struct err e = {0};
	if (proc_pids(&pids, &n, &e) < 0)
		reading_row(r, json_pack("{s:s, s:s}", "kind", "not_read", "why", e.text));
	for (size_t i = 0; i < n; i++) {
		char name[32];
		snprintf(name, sizeof(name), "process %d", pids[i]);
		if (reading_unit(r, (uint64_t)pids[i], name))
			read(r, pids[i]);
	}
	free(pids);
}

void read_processes(struct reading *r)
{
	each_pid(r, read_one);
}

/* --- hidden ones: who answers a signal of nothing, but is in no listing --- */

static int by_number(const void *a, const void *b)
{
	const int *x = a, *y = b;
	return (*x > *y) - (*x < *y);
}

static bool listed(int pid)
{
	int *pids = NULL;
	size_t n = 0;
	bool found = proc_pids(&pids, &n, NULL) == 0 &&
	             bsearch(&pid, pids, n, sizeof(*pids), by_number) != NULL;
	free(pids);
	return found;
}

/* The process that a thread is of; 0: /proc does not know the number. */
static int tgid_of(int tid)
{
	struct buf b = BUF_INIT(4096);
	_cleanup_close_ int dir = open_proc(tid);
	int tgid = 0;
	if (dir >= 0 && hostfile_read(dir, "status", &b) == 0) {
		const char *at = strstr(buf_str(&b), "\nTgid:\t");
		if (!at || sscanf(at, "\nTgid:\t%d", &tgid) != 1)
			tgid = 0;
	}
	buf_free(&b);
	return tgid;
}

/* Answers, is no thread of a process that is listed, and is not listed now either. */
static bool is_hidden(int pid, bool *ret_opens)
{
	if (kill(pid, 0) < 0 && errno == ESRCH)
		return false;
	int tgid = tgid_of(pid);
	*ret_opens = tgid == pid;
	return (!tgid || tgid == pid) && !listed(pid) && !(kill(pid, 0) < 0 && errno == ESRCH);
}

void read_hidden(struct reading *r)
{
	int *pids = NULL, max = PID_MAX;
	size_t n = 0, at = 0;
	struct buf b = BUF_INIT(32);
	if (!reading_unit(r, 0, "all numbers") || proc_pids(&pids, &n, NULL) < 0)
		return;
	if (hostfile_read(AT_FDCWD, "/proc/sys/kernel/pid_max", &b) == 0)
		max = atoi(buf_str(&b));
	buf_free(&b);
	for (int pid = 1; pid <= max && pid <= PID_MAX; pid++) {
		bool opens = false;
		while (at < n && pids[at] < pid)
			at++;
		if (!(at < n && pids[at] == pid) && is_hidden(pid, &opens))
			reading_row(r, json_pack("{s:s, s:i, s:b}", "kind", "hidden_process", "pid",
			                         pid, "proc_opens", opens));
	}
	free(pids);
}

/* --- executables --- */

static struct seen {
	dev_t dev;
	ino_t ino;
} seen[DIGEST_MAX];
static size_t n_seen;

static bool is_new(const struct stat *st)
{
	for (size_t i = 0; i < n_seen; i++)
		if (seen[i].dev == st->st_dev && seen[i].ino == st->st_ino)
			return false;
	if (n_seen < DIGEST_MAX)
		seen[n_seen++] = (struct seen){st->st_dev, st->st_ino};
	return true;
}

static bool hash_fd(int fd, char hex[static SHA256_HEX_MAX], uint64_t *ret_size)
{
	struct sha256 h;
	uint8_t block[65536], hash[SHA256_LEN];
	ssize_t n;
	sha256_begin(&h);
	*ret_size = 0;
	while ((n = sys->read(fd, block, sizeof(block))) > 0) {
		sha256_add(&h, block, (size_t)n);
		*ret_size += (uint64_t)n;
	}
	if (sha256_end(&h, hash) < 0 || n < 0)
		return false;
	hex_encode(hash, SHA256_LEN, hex);
	return true;
}

static void read_exe(struct reading *r, int pid)
{
	_cleanup_close_ int dir = open_proc(pid);
	char path[4096], hex[SHA256_HEX_MAX] = "", name[64];
	struct stat st;
	uint64_t size = 0;
	ssize_t n = dir < 0 ? -1 : readlinkat(dir, "exe", path, sizeof(path) - 1);
	if (n < 0)
		return;
	path[n] = 0;
	_cleanup_close_ int fd = hostfile_open(dir, "exe", true);
	if (fd < 0 || fstat(fd, &st) < 0 || !is_new(&st))
		return;
	bool nameless = st.st_nlink == 0;
	bool hashed = hash_fd(fd, hex, &size);
	reading_row(r, json_pack("{s:s, s:i, s:o, s:b, s:b, s:s, s:I, s:I, s:i}", "kind",
	                         "executable", "pid", pid, "path", reading_text(path, (size_t)n),
	                         "deleted", nameless, "memfd", !strncmp(path, "/memfd:", 7),
	                         "sha256", hashed ? hex : "", "size", (json_int_t)size, "inode",
	                         (json_int_t)st.st_ino, "mode", (int)st.st_mode));
	if (!nameless || lseek(fd, 0, SEEK_SET) != 0)
		return;
	struct hostfile done;
	snprintf(name, sizeof(name), "executables/%d", pid);
	hostfile_copy_fd(&r->sink, fd, name, COPY_MAX, &done, NULL);
}

void read_executables(struct reading *r)
{
	each_pid(r, read_exe);
}
