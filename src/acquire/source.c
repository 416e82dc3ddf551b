/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "acquire/source.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "base/sys.h"
#include "base/table.h"

#define ALIGNMENT   4096
#define SECTOR      512
#define CHAIN_MAX   64
#define CHAIN_DEPTH 16
#define LINE        1024

/* --- opening and reading --- */

/* Kind, size and sector of what is open. */
static int look(struct source *s)
{
	struct stat st;
	if (fstat(s->fd, &st) < 0)
		return -errno;
	s->block = S_ISBLK(st.st_mode);
	if (!s->block) {
		s->size = (uint64_t)st.st_size;
		return S_ISREG(st.st_mode) ? 0 : -ENODEV;
	}
	s->dev = st.st_rdev;
	if (sys->ioctl(s->fd, BLKGETSIZE64, &s->size) < 0 ||
	    sys->ioctl(s->fd, BLKSSZGET, &s->sector) < 0)
		return -errno;
	if (s->sector < SECTOR || s->sector > ALIGNMENT || (s->sector & (s->sector - 1)))
		s->sector = SECTOR;
	return 0;
}

int source_open(const char *path, struct source *ret, struct err *e)
{
	const int flags = O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC;
	struct source s = {.path = path, .sector = SECTOR, .direct = -1};
	s.fd = sys->open(path, flags, 0);
	if (s.fd < 0)
		return err_set(e, -errno, "%s cannot be opened for reading: %s%s", path,
		               strerror(errno),
		               errno == ELOOP ? "; it is a link: name what it leads to" : "");
	int r = look(&s);
	s.sector_room = aligned_alloc(ALIGNMENT, ALIGNMENT);
	if (r || !s.sector_room) {
		r = r ? r : -ENOMEM;
		source_close(&s);
		return err_set(e, r, "%s cannot be read as a disk: %s", path,
		               r == -ENODEV ? "it is neither a block device nor a file"
		                            : strerror(-r));
	}
	s.direct = sys->open(path, flags | O_DIRECT, 0);
	posix_fadvise(s.fd, 0, 0, POSIX_FADV_SEQUENTIAL);
	*ret = s;
	return 0;
}

void source_close(struct source *s)
{
	if (s->fd >= 0)
		sys->close(s->fd);
	if (s->direct >= 0)
		sys->close(s->direct);
	free(s->sector_room);
	ddmap_free(&s->map);
}

/* All n bytes, -EIO where it ends before them, -errno. */
static int read_whole(int fd, uint64_t at, uint8_t *dst, size_t n)
{
	while (n) {
		ssize_t k = sys->pread(fd, dst, n, (off_t)at);
		if (k < 0 && errno == EINTR)
			continue;
		if (k <= 0)
			return k < 0 ? -errno : -ENODATA;
		dst += k;
		at += (uint64_t)k;
		n -= (size_t)k;
	}
	return 0;
}

static int read_sector(struct source *s, uint64_t at, uint8_t *dst, size_t n)
{
	int r = -EIO;
	for (unsigned i = 0; i <= s->retries && r; i++) {
		if (s->direct >= 0 && n == s->sector) {
			r = read_whole(s->direct, at, s->sector_room, n);
			if (!r)
				memcpy(dst, s->sector_room, n);
		}
		if (r)
			r = read_whole(s->fd, at, dst, n);
	}
	return r;
}

static bool gone(int r)
{
	return r == -ENODEV || r == -ENXIO || r == -ENOMEDIUM || r == -ESHUTDOWN;
}

static bool behind_end(const struct source *s, uint64_t at)
{
	off_t end = lseek(s->fd, 0, SEEK_END);
	return end >= 0 && at >= (uint64_t)end;
}

/* Halves until it reads or is one sector. */
static int read_hard(struct source *s, uint64_t at, uint8_t *dst, size_t n)
{
	bool one = n <= s->sector;
	int r = one ? read_sector(s, at, dst, n) : read_whole(s->fd, at, dst, n);
	if (!r)
		return ddmap_add(&s->map, at, n, '+');
	if (gone(r))
		return r;
	/* What the device does not have any more needs no halving. */
	if (one || (r == -ENODATA && behind_end(s, at))) {
		memset(dst, 0, n);
		return ddmap_add(&s->map, at, n, '-');
	}
	size_t half = (n / 2 + s->sector - 1) / s->sector * s->sector;
	r = read_hard(s, at, dst, half);
	return r ? r : read_hard(s, at + half, dst + half, n - half);
}

int source_read(struct source *s, uint64_t at, uint8_t *dst, size_t n, struct err *e)
{
	int r = read_whole(s->fd, at, dst, n);
	r = r ? read_hard(s, at, dst, n) : ddmap_add(&s->map, at, n, '+');
	if (gone(r))
		return err_set(e, r, "%s has gone away at byte %llu: %s", s->path,
		               (unsigned long long)at, strerror(-r));
	return r ? err_set(e, r, "%s at byte %llu: %s", s->path, (unsigned long long)at,
	                   strerror(-r))
	         : 0;
}

/* --- sysfs --- */

/* The first line of /sys/dev/block/MAJ:MIN/NAME, cleaned of blanks around it. */
static bool sysfs_line(dev_t dev, const char *name, char dst[static LINE])
{
	char path[256];
	snprintf(path, sizeof path, "/sys/dev/block/%u:%u/%s", major(dev), minor(dev), name);
	FILE *f = fopen(path, "re");
	bool got = f && fgets(dst, LINE, f);
	if (f)
		fclose(f);
	if (!got)
		return false;
	size_t n = strlen(dst);
	while (n && (dst[n - 1] == '\n' || dst[n - 1] == ' '))
		dst[--n] = 0;
	size_t blanks = strspn(dst, " ");
	memmove(dst, dst + blanks, n - blanks + 1);
	return n > blanks;
}

static bool dev_parse(const char *s, dev_t *ret)
{
	unsigned a, b;
	if (sscanf(s, "%u:%u", &a, &b) != 2)
		return false;
	*ret = makedev(a, b);
	return true;
}

/* Calls cb for each device in a folder of links (slaves, holders) or of partitions. */
static void each_dev(dev_t dev, const char *folder, const char *need,
                     void (*cb)(void *arg, dev_t dev, const char *name), void *arg)
{
	char path[128], text[LINE], file[512];
	snprintf(path, sizeof path, "/sys/dev/block/%u:%u/%s", major(dev), minor(dev), folder);
	DIR *d = opendir(path);
	for (struct dirent *x; d && (x = readdir(d));) {
		dev_t other;
		if (x->d_name[0] == '.')
			continue;
		snprintf(file, sizeof file, "%s%s%.200s%s%s", folder, folder[0] ? "/" : "",
		         x->d_name, need ? "/" : "", need ? need : "");
		if (need && !sysfs_line(dev, file, text))
			continue;
		snprintf(file, sizeof file, "%s%s%.200s/dev", folder, folder[0] ? "/" : "",
		         x->d_name);
		if (sysfs_line(dev, file, text) && dev_parse(text, &other))
			cb(arg, other, x->d_name);
	}
	if (d)
		closedir(d);
}

/* The disk that a partition is part of; the device itself else. */
static dev_t whole_disk(dev_t dev)
{
	char text[LINE];
	dev_t up;
	return sysfs_line(dev, "partition", text) && sysfs_line(dev, "../dev", text) &&
	               dev_parse(text, &up)
	           ? up
	           : dev;
}

struct chain {
	dev_t v[CHAIN_MAX];
	size_t n;
	bool loops; /* go through the files behind loop devices */
	unsigned depth;
};

/* False: it is in already, or there is no room. After true, depth is to go down again. */
static bool chain_enter(struct chain *c, dev_t dev)
{
	for (size_t i = 0; i < c->n; i++)
		if (c->v[i] == dev)
			return false;
	if (c->n == CHAIN_MAX || c->depth == CHAIN_DEPTH)
		return false;
	c->v[c->n++] = dev;
	c->depth++;
	return true;
}

static void chain_add(void *arg, dev_t dev, const char *name)
{
	struct chain *c = arg;
	char text[LINE];
	struct stat st;
	if (!chain_enter(c, dev))
		return;
	chain_add(c, whole_disk(dev), NULL);
	each_dev(dev, "slaves", NULL, chain_add, c);
	if (c->loops && sysfs_line(dev, "loop/backing_file", text) && stat(text, &st) == 0)
		chain_add(c, st.st_dev, NULL);
	c->depth--;
}

int source_apart(const struct source *s, int dest, struct err *e)
{
	struct stat st;
	struct chain of = {0}, to = {.loops = true};
	if (!s->block || dest < 0)
		return 0;
	if (fstat(dest, &st) < 0)
		return err_set(e, -errno, "the destination cannot be looked at: %s",
		               strerror(errno));
	chain_add(&of, s->dev, NULL);
	chain_add(&to, st.st_dev, NULL);
	for (size_t i = 0; i < of.n; i++)
		for (size_t k = 0; k < to.n; k++)
			if (of.v[i] == to.v[k])
				return err_set(
				    e, -EBUSY,
				    "the destination lies on the disk that is to be read "
				    "(both on device %u:%u): writing there destroys "
				    "evidence; give --to a folder on another disk",
				    major(of.v[i]), minor(of.v[i]));
	return 0;
}

/* --- what it is --- */

static void add_part(void *arg, dev_t dev, const char *name)
{
	char start[LINE] = "", size[LINE] = "", ro[LINE] = "";
	sysfs_line(dev, "start", start);
	sysfs_line(dev, "size", size);
	sysfs_line(dev, "ro", ro);
	json_array_append_new(arg,
	                      json_pack("{s:s, s:I, s:I, s:b}", "name", name, "start_bytes",
	                                (json_int_t)(strtoull(start, NULL, 10) * 512), "size_bytes",
	                                (json_int_t)(strtoull(size, NULL, 10) * 512), "read_only",
	                                ro[0] == '1'));
}

json_t *source_facts(const struct source *s)
{
	static const char *const names[] = {
	    "device/model", "device/serial", "device/vendor", "device/wwid",
	    "wwid",         "dm/name",       "dm/uuid",       "loop/backing_file"};
	char text[LINE];
	json_t *j =
	    json_pack("{s:I, s:i, s:b, s:b}", "size_bytes", (json_int_t)s->size, "sector_bytes",
	              (int)s->sector, "block_device", s->block, "opened_read_only", 1);
	if (!j || !s->block)
		return j;
	int ro = 0;
	if (sys->ioctl(s->fd, BLKROGET, &ro) == 0)
		json_object_set_new(j, "device_read_only", json_boolean(ro));
	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		if (sysfs_line(whole_disk(s->dev), names[i], text))
			json_object_set_new(j, names[i], json_string(text));
	json_t *parts = json_array();
	each_dev(s->dev, "", "partition", add_part, parts);
	json_object_set_new(j, "partitions", parts);
	return j;
}

struct mounts {
	struct chain on; /* the device, its partitions, what stands on them */
	struct buf *out;
};

static void gather_on(void *arg, dev_t dev, const char *name)
{
	struct chain *c = arg;
	if (!chain_enter(c, dev))
		return;
	each_dev(dev, "", "partition", gather_on, c);
	each_dev(dev, "holders", NULL, gather_on, c);
	c->depth--;
}

void source_mounts(const struct source *s, struct buf *out)
{
	struct chain on = {0};
	char line[4096];
	unsigned a, b;
	FILE *f = s->block ? fopen("/proc/self/mountinfo", "re") : NULL;
	if (!f)
		return;
	gather_on(&on, s->dev, NULL);
	while (fgets(line, sizeof line, f)) {
		char at[1024], how[256];
		if (sscanf(line, "%*u %*u %u:%u %*s %1023s %255s", &a, &b, at, how) != 4)
			continue;
		for (size_t i = 0; i < on.n; i++)
			if (on.v[i] == makedev(a, b))
				buf_addf(out, "%s is mounted from it (%s)\n", at,
				         !strncmp(how, "rw", 2) ? "writable" : "read-only");
	}
	fclose(f);
}
