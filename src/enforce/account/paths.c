/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "enforce/account/paths.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/sys.h"
#include "enforce/account/rewrite.h"

#define LINKS_MAX 16

bool path_ok(const char *path)
{
	size_t n = strlen(path);
	if (*path != '/' || n < 2 || n >= PATHS_MAX)
		return false;
	for (const char *p = path; *p;) {
		size_t len = strcspn(++p, "/");
		if (len == 0 || (len == 1 && p[0] == '.') || (len == 2 && !strncmp(p, "..", 2)))
			return false;
		p += len;
	}
	return true;
}

int path_open(int root, const char *path, int flags)
{
	/* openat2 refuses what O_PATH has no use for. */
	const int more = flags & O_PATH ? O_CLOEXEC : O_CLOEXEC | O_NONBLOCK | O_NOCTTY;
	const struct open_how how = {.flags = (uint64_t)(flags | more),
	                             .resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS |
	                                        RESOLVE_NO_MAGICLINKS};
	while (*path == '/')
		path++;
	return (int)syscall(SYS_openat2, root, *path ? path : ".", &how, sizeof how);
}

int path_parent(int root, const char *path, const char **ret_name)
{
	char dir[PATHS_MAX];
	const char *slash = strrchr(path, '/');
	snprintf(dir, sizeof dir, "%.*s", (int)(slash - path), path);
	*ret_name = slash + 1;
	return path_open(root, dir, O_RDONLY | O_DIRECTORY);
}

/* --- resolving --- */

struct walk {
	int root;
	char done[PATHS_MAX]; /* without links */
	char left[PATHS_MAX]; /* still to go */
	unsigned links;
};

/* "a/b" in front of what is left; an absolute one starts anew. */
static int put_link(struct walk *w, const char *to)
{
	char next[PATHS_MAX];
	if ((size_t)snprintf(next, sizeof next, "%s/%s", to, w->left) >= sizeof next)
		return -ENAMETOOLONG;
	if (*to == '/')
		w->done[0] = '\0';
	strcpy(w->left, next);
	return ++w->links > LINKS_MAX ? -ELOOP : 0;
}

static int follow(struct walk *w, int dir, const char *name)
{
	char to[PATHS_MAX];
	ssize_t n = readlinkat(dir, name, to, sizeof to - 1);
	if (n < 0)
		return -errno;
	to[n] = '\0';
	return put_link(w, to);
}

static int append(struct walk *w, const char *name)
{
	size_t n = strlen(w->done);
	return (size_t)snprintf(w->done + n, sizeof w->done - n, "/%s", name) < sizeof w->done - n
	           ? 0
	           : -ENAMETOOLONG;
}

static void take(struct walk *w, char name[static PATHS_MAX])
{
	char *p = w->left + strspn(w->left, "/");
	size_t n = strcspn(p, "/");
	memcpy(name, p, n);
	name[n] = '\0';
	memmove(w->left, p + n, strlen(p + n) + 1);
}

/* One component. 1: that is where it ends. */
static int step(struct walk *w, const char *name)
{
	struct stat st, in;
	if (!*name || !strcmp(name, "."))
		return 0;
	if (!strcmp(name, "..")) {
		char *slash = strrchr(w->done, '/');
		if (slash)
			*slash = '\0';
		return 0;
	}
	_cleanup_close_ int dir = path_open(w->root, w->done, O_RDONLY | O_DIRECTORY);
	if (dir < 0 || fstat(dir, &in) < 0 || fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return -errno;
	bool last = !w->left[strspn(w->left, "/")];
	if (S_ISLNK(st.st_mode) && !last && st.st_uid == 0 && in.st_uid == 0)
		return follow(w, dir, name);
	int r = append(w, name);
	return r < 0 ? r : S_ISLNK(st.st_mode) ? 1 : 0;
}

int path_resolve(int root, const char *path, char ret[static PATHS_MAX], struct err *e)
{
	struct walk w = {.root = root};
	char name[PATHS_MAX];
	int r = strlen(path) < sizeof w.left ? 0 : -ENAMETOOLONG;
	if (r == 0)
		strcpy(w.left, path);
	while (r == 0 && w.left[strspn(w.left, "/")]) {
		take(&w, name);
		r = step(&w, name);
	}
	if (r == -ENOTDIR)
		r = -ENOENT;
	if (r < 0)
		return err_set(e, r, "%.200s cannot be looked up: %s", path, strerror(-r));
	strcpy(ret, w.done);
	return path_ok(ret) ? 0 : err_set(e, -ENOENT, "%.200s names no file", path);
}

/* --- mounts --- */

static int mount_of(int root, const char *dir, uint64_t *ret)
{
	struct statx x;
	_cleanup_close_ int fd = path_open(root, dir, O_PATH | O_DIRECTORY);
	if (fd < 0 || statx(fd, "", AT_EMPTY_PATH, STATX_MNT_ID, &x) < 0)
		return -errno;
	*ret = x.stx_mask & STATX_MNT_ID ? x.stx_mnt_id
	                                 : (uint64_t)x.stx_dev_major << 32 | x.stx_dev_minor;
	return 0;
}

static void cut_last(char *path)
{
	char *slash = strrchr(path, '/');
	if (slash)
		*slash = '\0';
}

int path_mount_top(int root, const char *path, char ret[static PATHS_MAX], struct err *e)
{
	char dir[PATHS_MAX], top[PATHS_MAX];
	uint64_t mount = 0, other = 0;
	snprintf(dir, sizeof dir, "%s", path);
	cut_last(dir);
	int r = mount_of(root, dir, &mount);
	if (r < 0)
		return err_set(e, r, "the mount of %.200s cannot be read: %s", path, strerror(-r));
	strcpy(top, dir);
	while (*dir) {
		cut_last(dir);
		if (mount_of(root, dir, &other) < 0 || other != mount)
			break;
		strcpy(top, dir);
	}
	strcpy(ret, top);
	return 0;
}

bool path_same_mount(int root, const char *a, const char *b)
{
	char da[PATHS_MAX], db[PATHS_MAX];
	uint64_t x = 0, y = 0;
	snprintf(da, sizeof da, "%s", a);
	snprintf(db, sizeof db, "%s", b);
	cut_last(da);
	cut_last(db);
	return mount_of(root, da, &x) == 0 && mount_of(root, db, &y) == 0 && x == y;
}

/* --- reading --- */

int path_list(int root, const char *path, size_t max,
              bool (*cb)(void *arg, int dir, const char *name), void *arg, struct err *e)
{
	int fd = path_open(root, path, O_RDONLY | O_DIRECTORY);
	if (fd < 0 && (errno == ENOENT || errno == ENOTDIR))
		return 0;
	DIR *d = fd < 0 ? NULL : fdopendir(fd);
	if (!d) {
		int code = -errno;
		if (fd >= 0)
			sys->close(fd);
		return err_set(e, code, "%.200s cannot be read: %s", path, strerror(-code));
	}
	size_t n = 0;
	bool on = true;
	for (struct dirent *x; on && (x = readdir(d));) {
		if (!strcmp(x->d_name, ".") || !strcmp(x->d_name, ".."))
			continue;
		if (n++ == max)
			break;
		on = cb(arg, dirfd(d), x->d_name);
	}
	closedir(d);
	return n <= max ? 0 : err_set(e, -E2BIG, "%.200s holds more than %zu names", path, max);
}

int path_read(int root, const char *path, size_t max, struct buf *ret, struct err *e)
{
	struct file_image f = {0};
	const char *name;
	_cleanup_close_ int dir = path_parent(root, path, &name);
	if (dir < 0)
		return err_set(e, -errno, "%.200s cannot be opened: %s", path, strerror(errno));
	int r = file_read(dir, name, max, &f, e);
	if (r == 0)
		*ret = f.bytes;
	return r;
}
