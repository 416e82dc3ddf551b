/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "journal/feeds.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/sys.h"

#define COPY_BYTES (1u << 20)

/* The hash is the name: digits only, as the order's reader has checked. */
static int feeds_path(const char *dir, const char *name, char dst[static PATH_MAX])
{
	int n = snprintf(dst, PATH_MAX, "%s/feeds%s%s", dir, name[0] ? "/" : "", name);
	return n < PATH_MAX ? 0 : -ENAMETOOLONG;
}

static int copy(int from, int to)
{
	char *b = malloc(COPY_BYTES);
	int r = b ? 0 : -ENOMEM;
	for (off_t at = 0; r == 0;) {
		ssize_t n = sys->pread(from, b, COPY_BYTES, at);
		if (n <= 0) {
			r = n < 0 ? -errno : 1;
			break;
		}
		for (ssize_t done = 0, k; r == 0 && done < n; done += k)
			if ((k = sys->write(to, b + done, (size_t)(n - done))) < 0) {
				r = errno == EINTR ? 0 : -errno;
				k = 0;
			}
		at += n;
	}
	free(b);
	return r < 0 ? r : 0;
}

static int sync_dir(const char *path)
{
	_cleanup_close_ int fd = sys->open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0);
	return fd < 0 || sys->fsync(fd) < 0 ? -errno : 0;
}

/* Whole under its name, or not at all. */
static int write_file(const char *folder, const char *path, int from)
{
	char temporary[PATH_MAX + 8];
	snprintf(temporary, sizeof temporary, "%s.new", path);
	int fd = sys->open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
	int r = fd < 0 ? -errno : copy(from, fd);
	if (r == 0 && sys->fsync(fd) < 0)
		r = -errno;
	if (fd >= 0)
		sys->close(fd);
	if (r == 0 && sys->rename(temporary, path) < 0)
		r = -errno;
	if (r < 0)
		sys->unlink(temporary);
	return r < 0 ? r : sync_dir(folder);
}

static int store_one(const char *dir, const struct feed *f, bool *ret_new, struct err *e)
{
	char folder[PATH_MAX], path[PATH_MAX];
	struct stat st;
	int r = feeds_path(dir, "", folder);
	if (r == 0)
		r = feeds_path(dir, f->sha256, path);
	if (r == 0 && stat(path, &st) == 0)
		return 0;
	if (r == 0)
		r = store_dir(folder, true, e);
	if (r == 0)
		r = write_file(folder, path, f->fd);
	*ret_new |= r == 0;
	return r < 0 ? err_set(e, r, "keeping the entries of %.100s in %s: %s", f->source, folder,
	                       strerror(-r))
	             : 0;
}

static bool names(const struct order *o, const char *sha256)
{
	for (size_t i = 0; i < o->n_feeds; i++)
		if (!strcmp(o->feeds[i].sha256, sha256))
			return true;
	return false;
}

static bool named_by_any(struct journal *j, const unsigned *ids, size_t n, const char *name)
{
	for (size_t i = 0; i < n; i++) {
		struct order o = {0};
		struct plan p = {0};
		/* What cannot be read may name it. */
		bool is = journal_get_order(j, ids[i], &o, &p, NULL, NULL) < 0 || names(&o, name);
		order_free(&o);
		plan_free(&p);
		if (is)
			return true;
	}
	return false;
}

/* That it fails is no harm: what stays costs room. */
static void sweep(struct journal *j, const char *dir, const struct order *now)
{
	char folder[PATH_MAX], path[PATH_MAX];
	unsigned *ids = NULL;
	size_t n = 0;
	if (feeds_path(dir, "", folder) < 0 ||
	    journal_list_orders(j, NULL, true, &ids, &n, NULL) < 0)
		return;
	DIR *d = opendir(folder);
	for (const struct dirent *x; d && (x = readdir(d));)
		if (x->d_name[0] != '.' && !names(now, x->d_name) &&
		    !named_by_any(j, ids, n, x->d_name) && feeds_path(dir, x->d_name, path) == 0)
			sys->unlink(path);
	if (d)
		closedir(d);
	free(ids);
}

static int store_all(const char *dir, const struct order *o, bool *ret_new, struct err *e)
{
	int r = 0;
	for (size_t i = 0; r == 0 && i < o->n_feeds; i++)
		if (o->feeds[i].fd >= 0)
			r = store_one(dir, &o->feeds[i], ret_new, e);
	return r;
}

int feeds_store(struct journal *j, const struct order *o, struct err *e)
{
	const char *dir = j->on_fallback ? j->run_dir : j->dir;
	struct err why = {0};
	bool fresh = false;
	int r = store_all(dir, o, &fresh, &why);
	/* A full disk must not stop a cut: memory takes the entries, and the next boot has none. */
	if (r < 0 && j->mode == JOURNAL_CUT && !j->on_fallback) {
		buf_addf(&j->notes, "%s; they are kept in memory, under %s\n", why.text,
		         j->run_dir);
		r = store_dir(STORE_RUN_DIR, true, &why);
		if (r == 0)
			r = store_dir(j->run_dir, true, &why);
		if (r == 0)
			r = store_all(j->run_dir, o, &fresh, &why);
	}
	if (r == 0 && fresh)
		sweep(j, dir, o);
	return r < 0 ? err_set(e, r, "%s", why.text) : 0;
}

void feeds_open(const struct journal *j, struct order *o)
{
	const char *const dirs[] = {j->dir, j->run_dir};
	char path[PATH_MAX];
	for (size_t i = 0; i < o->n_feeds; i++)
		for (size_t k = 0; o->feeds[i].fd < 0 && k < 2; k++)
			if (feeds_path(dirs[k], o->feeds[i].sha256, path) == 0)
				o->feeds[i].fd =
				    sys->open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW, 0);
}
