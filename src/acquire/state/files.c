/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "acquire/state/state.h"
#include "base/sys.h"
#include "base/table.h"

#define ENTRIES_MAX 200000u
#define DEPTH_MAX   24

struct walk {
	struct reading *r;
	const char *only; /* a name must end so; NULL: any */
	uint64_t max;     /* bytes of one file that is copied */
	unsigned n, max_n, depth;
	dev_t dev; /* nothing is entered that is mounted below */
	void (*each)(struct walk *w, int dir, const char *path, const char *name,
	             const struct statx *st);
};

static bool look(int dir, const char *name, struct statx *st)
{
	return statx(dir, name, AT_SYMLINK_NOFOLLOW | AT_STATX_DONT_SYNC | AT_NO_AUTOMOUNT,
	             STATX_BASIC_STATS | STATX_BTIME, st) == 0;
}

static void walk(struct walk *w, int at, const char *path, unsigned depth)
{
	int fd = sys->openat(
	    at, depth ? strrchr(path, '/') + 1 : path,
	    O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW | O_NOATIME | O_NONBLOCK, 0);
	DIR *d = fd < 0 ? NULL : fdopendir(fd);
	if (!d) {
		sys_closep(&fd);
		return;
	}
	for (struct dirent *t; w->n < w->max_n && (t = readdir(d));) {
		char full[4096];
		struct statx st;
		if (!strcmp(t->d_name, ".") || !strcmp(t->d_name, "..") ||
		    snprintf(full, sizeof(full), "%s/%s", strcmp(path, "/") ? path : "",
		             t->d_name) >= (int)sizeof(full) ||
		    !look(dirfd(d), t->d_name, &st))
			continue;
		w->n++;
		w->each(w, dirfd(d), full, t->d_name, &st);
		if (S_ISDIR(st.stx_mode) && depth < w->depth &&
		    makedev(st.stx_dev_major, st.stx_dev_minor) == w->dev)
			walk(w, dirfd(d), full, depth + 1);
	}
	closedir(d);
}

static void walk_from(struct walk *w, const char *path)
{
	struct statx st;
	if (!look(AT_FDCWD, path, &st) || !S_ISDIR(st.stx_mode))
		return;
	w->dev = makedev(st.stx_dev_major, st.stx_dev_minor);
	walk(w, AT_FDCWD, path, 0);
	if (w->n >= w->max_n)
		reading_row(w->r, json_pack("{s:s, s:s, s:i}", "kind", "cut", "path", path,
		                            "entries", (int)w->n));
}

static json_t *entry(const char *path, const struct statx *st)
{
	return json_pack(
	    "{s:s, s:o, s:i, s:i, s:i, s:I, s:I, s:I, s:I, s:I, s:I, s:i}", "kind", "entry", "path",
	    reading_text(path, strlen(path)), "mode", (int)st->stx_mode, "uid", (int)st->stx_uid,
	    "gid", (int)st->stx_gid, "size", (json_int_t)st->stx_size, "inode",
	    (json_int_t)st->stx_ino, "mtime", (json_int_t)st->stx_mtime.tv_sec, "ctime",
	    (json_int_t)st->stx_ctime.tv_sec, "atime", (json_int_t)st->stx_atime.tv_sec, "btime",
	    (json_int_t)st->stx_btime.tv_sec, "links", (int)st->stx_nlink);
}

static void list_one(struct walk *w, int dir, const char *path, const char *name,
                     const struct statx *st)
{
	json_t *row = entry(path, st);
	char to[4096];
	ssize_t n = S_ISLNK(st->stx_mode) ? readlinkat(dir, name, to, sizeof(to)) : -1;
	if (n >= 0)
		json_object_set_new(row, "target", reading_text(to, (size_t)n));
	reading_row(w->r, row);
}

void read_listings(struct reading *r)
{
	static const char *const places[] = {"/dev/shm", "/tmp", "/var/tmp", "/run", "/dev"};
	for (size_t i = 0; i < ARRAY_SIZE(places); i++) {
		struct walk w = {
		    .r = r, .max_n = ENTRIES_MAX, .depth = DEPTH_MAX, .each = list_one};
		if (reading_unit(r, i, places[i]))
			walk_from(&w, places[i]);
	}
}

static void list_privileged(struct walk *w, int dir, const char *path, const char *name,
                            const struct statx *st)
{
	uint8_t caps[64];
	char proc[64];
	if (!S_ISREG(st->stx_mode) ||
	    !(st->stx_mode & (S_ISUID | S_ISGID | S_IXUSR | S_IXGRP | S_IXOTH)))
		return;
	int fd = openat(dir, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	snprintf(proc, sizeof(proc), "/proc/self/fd/%d", fd);
	ssize_t n = fd < 0 ? -1 : getxattr(proc, "security.capability", caps, sizeof(caps));
	sys_closep(&fd);
	if (!(st->stx_mode & (S_ISUID | S_ISGID)) && n <= 0)
		return;
	json_t *row = entry(path, st);
	if (n > 0)
		json_object_set_new(row, "capability", reading_text(caps, (size_t)n));
	reading_row(w->r, row);
}

void read_privileged(struct reading *r)
{
	static const char *const places[] = {"/usr",       "/bin", "/sbin", "/opt",
	                                     "/usr/local", "/tmp", "/var",  "/home",
	                                     "/root",      "/srv", "/etc",  "/dev/shm"};
	for (size_t i = 0; i < ARRAY_SIZE(places); i++) {
		struct walk w = {
		    .r = r, .max_n = 2000000, .depth = DEPTH_MAX, .each = list_privileged};
		if (reading_unit(r, i, places[i]))
			walk_from(&w, places[i]);
	}
}

static void copy_one(struct walk *w, int dir, const char *path, const char *name,
                     const struct statx *st)
{
	size_t n = strlen(name), k = w->only ? strlen(w->only) : 0;
	if (n < k || (k && strcmp(name + n - k, w->only) != 0))
		return;
	if (S_ISREG(st->stx_mode))
		reading_file(w->r, path, w->max);
	else if (!S_ISDIR(st->stx_mode))
		list_one(w, dir, path, name, st);
}

#define SMALL (UINT64_C(4) << 20)
#define LARGE (UINT64_C(64) << 20)

struct place {
	const char *path;
	unsigned depth, max_n; /* max_n 0: a file */
	const char *only;
	uint64_t max;
};

static void read_places(struct reading *r, const struct place *v, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (!reading_unit(r, i, v[i].path))
			continue;
		struct walk w = {.r = r,
		                 .only = v[i].only,
		                 .max = v[i].max,
		                 .max_n = v[i].max_n,
		                 .depth = v[i].depth,
		                 .each = copy_one};
		if (v[i].max_n)
			walk_from(&w, v[i].path);
		else
			reading_file(r, v[i].path, v[i].max);
	}
}

void read_files(struct reading *r)
{
	static const struct place places[] = {
	    {"/run/utmp", 0, 0, NULL, LARGE},
	    {"/var/log/wtmp", 0, 0, NULL, LARGE},
	    {"/var/log/btmp", 0, 0, NULL, LARGE},
	    {"/var/log/lastlog", 0, 0, NULL, LARGE},
	    {"/run/systemd/sessions", 1, 1000, NULL, SMALL},
	    {"/run/systemd/users", 1, 1000, NULL, SMALL},
	    {"/etc/passwd", 0, 0, NULL, LARGE},
	    {"/etc/shadow", 0, 0, NULL, LARGE},
	    {"/etc/group", 0, 0, NULL, LARGE},
	    {"/etc/gshadow", 0, 0, NULL, LARGE},
	    {"/etc/sudoers", 0, 0, NULL, SMALL},
	    {"/etc/sudoers.d", 1, 500, NULL, SMALL},
	    {"/etc/crontab", 0, 0, NULL, SMALL},
	    {"/etc/cron.d", 1, 500, NULL, SMALL},
	    {"/etc/cron.hourly", 1, 500, NULL, SMALL},
	    {"/etc/cron.daily", 1, 500, NULL, SMALL},
	    {"/etc/cron.weekly", 1, 500, NULL, SMALL},
	    {"/etc/cron.monthly", 1, 500, NULL, SMALL},
	    {"/var/spool/cron", 3, 2000, NULL, SMALL},
	    {"/var/spool/at", 2, 2000, NULL, SMALL},
	    {"/etc/systemd/system", 4, 4000, NULL, SMALL},
	    {"/run/systemd/system", 4, 4000, NULL, SMALL},
	    {"/etc/systemd/user", 4, 1000, NULL, SMALL},
	    {"/etc/init.d", 1, 500, NULL, SMALL},
	    {"/etc/rc.local", 0, 0, NULL, SMALL},
	    {"/etc/profile", 0, 0, NULL, SMALL},
	    {"/etc/profile.d", 1, 500, NULL, SMALL},
	    {"/etc/bash.bashrc", 0, 0, NULL, SMALL},
	    {"/etc/ld.so.preload", 0, 0, NULL, SMALL},
	    {"/etc/ld.so.conf", 0, 0, NULL, SMALL},
	    {"/etc/ld.so.conf.d", 1, 500, NULL, SMALL},
	    {"/etc/pam.d", 1, 500, NULL, SMALL},
	    {"/etc/security", 2, 500, NULL, SMALL},
	    {"/etc/udev/rules.d", 1, 500, NULL, SMALL},
	    {"/run/udev/rules.d", 1, 500, NULL, SMALL},
	    {"/etc/modules", 0, 0, NULL, SMALL},
	    {"/etc/modules-load.d", 1, 500, NULL, SMALL},
	    {"/etc/modprobe.d", 1, 500, NULL, SMALL},
	    {"/etc/ssh", 2, 500, NULL, SMALL},
	    {"/etc/hosts", 0, 0, NULL, SMALL},
	    {"/etc/resolv.conf", 0, 0, NULL, SMALL},
	    {"/etc/nsswitch.conf", 0, 0, NULL, SMALL},
	    {"/root/.ssh", 1, 200, NULL, SMALL},
	    {"/home", 3, 20000, "authorized_keys", SMALL},
	    {"/home", 2, 20000, "_history", SMALL},
	    {"/root", 1, 2000, "_history", SMALL},
	};
	read_places(r, places, ARRAY_SIZE(places));
}

void read_logs(struct reading *r)
{
	static const struct place places[] = {
	    {"/var/log/auth.log", 0, 0, NULL, LARGE},
	    {"/var/log/secure", 0, 0, NULL, LARGE},
	    {"/var/log/syslog", 0, 0, NULL, LARGE},
	    {"/var/log/messages", 0, 0, NULL, LARGE},
	    {"/var/log/kern.log", 0, 0, NULL, LARGE},
	    {"/var/log/audit", 1, 20, NULL, LARGE},
	    {"/run/log/journal", 2, 200, ".journal", LARGE},
	    {"/var/log/journal", 2, 200, ".journal", LARGE},
	};
	read_places(r, places, ARRAY_SIZE(places));
}
