/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * badfile BACKING CONTROL MOUNTPOINT: a file system with one file, "disk", that reads as BACKING
 * but for what CONTROL lists, one a line, read anew at each read: "bad SECTOR", which gives EIO for
 * every read that touches that sector of 512 bytes; "end BYTES", from where reads find nothing.
 */
#define FUSE_USE_VERSION 31
#include <errno.h>
#include <fcntl.h>
#include <fuse.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define SECTOR 512

static int backing;
static const char *control;

static int bad_getattr(const char *path, struct stat *st, struct fuse_file_info *fi)
{
	memset(st, 0, sizeof *st);
	if (!strcmp(path, "/")) {
		st->st_mode = S_IFDIR | 0755;
		st->st_nlink = 2;
		return 0;
	}
	if (strcmp(path, "/disk") != 0)
		return -ENOENT;
	int r = fstat(backing, st);
	st->st_mode = S_IFREG | 0444;
	return r < 0 ? -errno : 0;
}

static int bad_open(const char *path, struct fuse_file_info *fi)
{
	fi->direct_io = 1;
	return strcmp(path, "/disk") ? -ENOENT : 0;
}

static int bad_read(const char *path, char *dst, size_t n, off_t at, struct fuse_file_info *fi)
{
	char line[64];
	long long v;
	int r = 0;
	FILE *f = fopen(control, "re");
	while (f && fgets(line, sizeof line, f)) {
		if (sscanf(line, "bad %lld", &v) == 1 && at < (v + 1) * SECTOR &&
		    at + (off_t)n > v * SECTOR)
			r = -EIO;
		if (sscanf(line, "end %lld", &v) == 1 && at + (off_t)n > v)
			n = at >= v ? 0 : (size_t)(v - at);
	}
	if (f)
		fclose(f);
	if (r)
		return r;
	ssize_t got = pread(backing, dst, n, at);
	return got < 0 ? -errno : (int)got;
}

static int bad_readdir(const char *path, void *b, fuse_fill_dir_t fill, off_t at,
                       struct fuse_file_info *fi, enum fuse_readdir_flags flags)
{
	fill(b, "disk", NULL, 0, 0);
	return 0;
}

static const struct fuse_operations ops = {
    .getattr = bad_getattr, .open = bad_open, .read = bad_read, .readdir = bad_readdir};

int main(int argc, char **argv)
{
	if (argc != 4)
		return 2;
	backing = open(argv[1], O_RDONLY | O_CLOEXEC);
	control = argv[2];
	if (backing < 0)
		return 1;
	char *args[] = {argv[0], argv[3], (char[]){"-f"}, (char[]){"-s"}, NULL};
	return fuse_main(4, args, &ops, NULL);
}
