/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A process as /proc shows it, for the journal, before it is ended. All of it is the enemy's own
 * text: what is not UTF-8 is kept as hexadecimal. Nothing here opens a file by a path that the
 * process chose: exe is opened through /proc and only read when it is a regular file.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/sys.h"
#include "enforce/process/process.h"
#include "kern/diag.h"
#include "model/field.h"
#include "seal/sha256.h"

#define BYTES_MAX ((size_t)STEP_PAYLOAD_MAX * 3 / 4)
#define TEXT_MAX  (64u << 10) /* of one file of /proc */
#define LINK_MAX  4096
#define FDS_MAX   1024
#define SOCKS_MAX 65536
#define HASH_MAX  (256ull << 20)
#define KEEP_MAX  (1u << 20) /* of an executable that is nowhere else any more */
#define KEEP_ALL  (4u << 20)
#define EXES_MAX  256

struct sock {
	uint64_t inode;
	struct endpoint local, peer;
	uint8_t proto, state;
};

/* Five hundred processes of one program are hashed once. */
struct exe {
	dev_t dev;
	ino_t ino;
	char sha256[SHA256_HEX_MAX];
};

struct capture {
	json_t *rows;
	size_t bytes, unlisted, kept;
	struct sock *socks; /* owned */
	size_t n_socks;
	struct exe exes[EXES_MAX];
	size_t n_exes;
};

/* ---- text that may be anything ---- */

static json_t *hex_json(const void *bytes, size_t n)
{
	char *hex = malloc(2 * n + 1);
	json_t *j = hex ? json_pack("{s:s}", "hex", hex_encode(bytes, n, hex)) : NULL;
	free(hex);
	return j;
}

static json_t *text_json(const char *text, size_t n)
{
	json_t *plain = json_stringn(text, n);
	return plain ? plain : hex_json(text, n);
}

/* NULL: it cannot be read. */
static char *read_proc(int dir, const char *name, size_t *ret_n)
{
	char *text = malloc(TEXT_MAX);
	_cleanup_close_ int fd = sys->openat(dir, name, O_RDONLY | O_CLOEXEC | O_NONBLOCK, 0);
	size_t at = 0;
	ssize_t n = fd < 0 || !text ? -1 : 0;
	while (n >= 0 && at < TEXT_MAX && (n = sys->read(fd, text + at, TEXT_MAX - at)) > 0)
		at += (size_t)n;
	if (n < 0 && !at) {
		free(text);
		return NULL;
	}
	*ret_n = at;
	return text;
}

static json_t *file_json(int dir, const char *name)
{
	size_t n = 0;
	_cleanup_free_ char *text = read_proc(dir, name, &n);
	return text ? text_json(text, n) : json_null();
}

static json_t *link_json(int dir, const char *name)
{
	char to[LINK_MAX];
	ssize_t n = readlinkat(dir, name, to, sizeof to);
	return n < 0 ? json_null() : text_json(to, (size_t)n);
}

/* What a program was called with: strings with a NUL behind each. */
static json_t *strings_json(int dir, const char *name)
{
	size_t n = 0;
	_cleanup_free_ char *text = read_proc(dir, name, &n);
	json_t *list = text ? json_array() : NULL;
	for (size_t at = 0; list && at < n;) {
		size_t len = strnlen(text + at, n - at);
		json_array_append_new(list, text_json(text + at, len));
		at += len + 1;
	}
	return list ? list : json_null();
}

/* ---- sockets ---- */

static bool add_sock(void *arg, const struct diag_sock *k)
{
	struct capture *c = arg;
	if (!c->socks)
		c->socks = calloc(SOCKS_MAX, sizeof *c->socks);
	if (c->socks && k->inode && c->n_socks < SOCKS_MAX)
		c->socks[c->n_socks++] =
		    (struct sock){k->inode, k->local, k->peer, k->proto, k->state};
	return c->socks && c->n_socks < SOCKS_MAX;
}

static void read_socks(struct capture *c)
{
	static const int protos[] = {IPPROTO_TCP, IPPROTO_UDP, IPPROTO_RAW};
	for (size_t i = 0; i < sizeof protos / sizeof *protos; i++)
		(void)diag_inet(NULL, AF_UNSPEC, protos[i], DIAG_ALL_STATES, add_sock, c, NULL);
}

static json_t *sock_json(const struct capture *c, const char *to)
{
	unsigned long long inode;
	char local[ENDPOINT_STR_MAX], peer[ENDPOINT_STR_MAX];
	if (sscanf(to, "socket:[%llu]", &inode) != 1)
		return NULL;
	for (size_t i = 0; i < c->n_socks; i++) {
		const struct sock *s = &c->socks[i];
		if (s->inode == inode)
			return json_pack("{s:i,s:s,s:s,s:s}", "proto", (int)s->proto, "state",
			                 diag_state_str(s->state), "local",
			                 endpoint_str(&s->local, local), "peer",
			                 endpoint_str(&s->peer, peer));
	}
	return NULL;
}

static json_t *fd_json(const struct capture *c, int dir, const char *name)
{
	char to[LINK_MAX];
	ssize_t n = readlinkat(dir, name, to, sizeof to - 1);
	if (n < 0)
		return NULL;
	to[n] = 0;
	json_t *row = json_pack("{s:i,s:o}", "fd", atoi(name), "to", text_json(to, (size_t)n));
	json_t *sock = sock_json(c, to);
	if (sock)
		json_object_set_new(row, "socket", sock);
	return row;
}

static json_t *fds_json(const struct capture *c, int dir)
{
	const struct dirent *entry;
	json_t *list = json_array();
	int fd = sys->openat(dir, "fd", O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0);
	DIR *d = fd < 0 ? NULL : fdopendir(fd);
	while (d && (entry = readdir(d)) && json_array_size(list) < FDS_MAX)
		if (entry->d_name[0] != '.') {
			json_t *row = fd_json(c, fd, entry->d_name);
			if (row)
				json_array_append_new(list, row);
		}
	if (d)
		closedir(d);
	else
		sys_closep(&fd);
	return list;
}

/* ---- the program ---- */

/* Its hash, and its bytes where no other name leads to it any more; *ret_keep is malloc'd. */
static int read_exe(int fd, bool keep, char dst[static SHA256_HEX_MAX], char **ret_keep,
                    size_t *ret_n)
{
	struct buf bytes = BUF_INIT(KEEP_MAX);
	uint8_t chunk[65536], sum[SHA256_LEN];
	struct sha256 h;
	uint64_t all = 0;
	ssize_t n = 0;
	sha256_begin(&h);
	while (all < HASH_MAX && (n = sys->read(fd, chunk, sizeof chunk)) > 0) {
		sha256_add(&h, chunk, (size_t)n);
		all += (uint64_t)n;
		if (keep)
			buf_add(&bytes, chunk, (size_t)n);
	}
	int r = sha256_end(&h, sum);
	if (n < 0 || all >= HASH_MAX)
		r = -EIO;
	if (r == 0)
		hex_encode(sum, sizeof sum, dst);
	if (r == 0 && keep && !bytes.error) {
		*ret_n = bytes.len;
		*ret_keep = buf_steal(&bytes);
	}
	buf_free(&bytes);
	return r;
}

static const char *known_exe(const struct capture *c, const struct stat *st)
{
	for (size_t i = 0; i < c->n_exes; i++)
		if (c->exes[i].dev == st->st_dev && c->exes[i].ino == st->st_ino)
			return c->exes[i].sha256;
	return NULL;
}

static json_t *exe_json(struct capture *c, int dir)
{
	struct stat st;
	char sum[SHA256_HEX_MAX] = "";
	_cleanup_free_ char *bytes = NULL;
	size_t n = 0;
	_cleanup_close_ int fd = sys->openat(dir, "exe", O_RDONLY | O_CLOEXEC | O_NONBLOCK, 0);
	json_t *row = json_pack("{s:o}", "path", link_json(dir, "exe"));
	if (!row || fd < 0 || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
		return row;
	const char *known = known_exe(c, &st);
	bool keep = !known && st.st_nlink == 0 && c->kept < KEEP_ALL;
	if (!known && read_exe(fd, keep, sum, &bytes, &n) == 0 && c->n_exes < EXES_MAX) {
		struct exe *x = &c->exes[c->n_exes++];
		*x = (struct exe){.dev = st.st_dev, .ino = st.st_ino};
		memcpy(x->sha256, sum, sizeof sum);
	}
	json_object_set_new(row, "sha256", json_string(known ? known : sum));
	json_object_set_new(row, "size", json_integer(st.st_size));
	json_object_set_new(row, "links", json_integer((json_int_t)st.st_nlink));
	if (bytes) {
		json_object_set_new(row, "bytes", hex_json(bytes, n));
		c->kept += n;
	}
	return row;
}

/* ---- a process ---- */

static json_t *process_json(struct capture *c, int pid)
{
	char path[32];
	struct proc_id p;
	snprintf(path, sizeof path, "/proc/%d", pid);
	_cleanup_close_ int dir = sys->open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0);
	if (dir < 0 || proc_read(pid, &p) < 0)
		return NULL;
	return json_pack("{s:i,s:i,s:I,s:I,s:s,s:o,s:o,s:o,s:o,s:o,s:o,s:o,s:o}", "pid", pid,
	                 "ppid", p.ppid, "uid", (json_int_t)p.uid, "start",
	                 (json_int_t)p.start_ticks, "comm", p.comm, "exe", exe_json(c, dir),
	                 "cmdline", strings_json(dir, "cmdline"), "environ",
	                 strings_json(dir, "environ"), "cwd", link_json(dir, "cwd"), "root",
	                 link_json(dir, "root"), "fds", fds_json(c, dir), "maps",
	                 file_json(dir, "maps"), "status", file_json(dir, "status"));
}

static void add_process(struct capture *c, int pid)
{
	json_t *row = process_json(c, pid);
	size_t n = row ? json_dumpb(row, NULL, 0, JSON_COMPACT) : 0;
	if (n && c->bytes + n <= BYTES_MAX && json_array_append(c->rows, row) == 0)
		c->bytes += n + 1;
	else
		c->unlisted++;
	json_decref(row);
}

int process_capture(const int *pids, size_t n, char **ret, struct err *e)
{
	struct capture *c = calloc(1, sizeof *c);
	json_t *all = NULL;
	if (c)
		c->rows = json_array();
	if (c && c->rows) {
		read_socks(c);
		for (size_t i = 0; i < n; i++)
			add_process(c, pids[i]);
		all = json_pack("{s:i,s:O,s:I}", "version", 1, "processes", c->rows, "unlisted",
		                (json_int_t)c->unlisted);
	}
	char *text = all ? field_dump(all) : NULL;
	json_decref(all);
	if (c) {
		json_decref(c->rows);
		free(c->socks);
	}
	free(c);
	if (!text)
		return err_set(e, -ENOMEM, "out of memory for what is captured of %zu processes",
		               n);
	*ret = text;
	return 0;
}
