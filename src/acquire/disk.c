/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "acquire/captures.h"
#include "base/sys.h"

#define PIECE (1u << 20)

static int open_source(const char *path, uint64_t *ret_size, struct err *e)
{
	struct stat st;
	int fd = sys->open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC, 0);
	if (fd < 0)
		return err_set(e, -errno, "%s cannot be opened for reading: %s%s", path,
		               strerror(errno),
		               errno == ELOOP ? "; it is a link: name what it leads to" : "");
	int r = fstat(fd, &st) < 0 ? -errno : 0;
	if (!r && S_ISBLK(st.st_mode))
		r = sys->ioctl(fd, BLKGETSIZE64, ret_size) < 0 ? -errno : 0;
	else if (!r && S_ISREG(st.st_mode))
		*ret_size = (uint64_t)st.st_size;
	else if (!r)
		r = -ENODEV;
	if (!r)
		return fd;
	sys->close(fd);
	return err_set(e, r, "%s is no disk and no file: %s", path, strerror(-r));
}

static int disk_preflight(const struct capture_order *o, int dest, json_t **ret, struct err *e)
{
	uint64_t size = 0;
	_cleanup_close_ int fd = open_source(o->source, &size, e);
	if (fd < 0)
		return fd;
	json_t *j =
	    json_pack("{s:s, s:I, s:[]}", "source", o->source, "bytes", (json_int_t)size, "notes");
	if (!j)
		return err_set(e, -ENOMEM, "out of memory");
	*ret = j;
	return 0;
}

static int copy(int fd, uint64_t size, struct capture_sink *s, struct capture_file *f,
                struct err *e)
{
	_cleanup_free_ uint8_t *b = malloc(PIECE);
	int r = b ? 0 : err_set(e, -ENOMEM, "out of memory");
	for (uint64_t at = 0; at < size && !r;) {
		uint64_t want = size - at < PIECE ? size - at : PIECE;
		ssize_t n = sys->pread(fd, b, want, (off_t)at);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return err_set(e, n ? -errno : -EIO, "reading at byte %llu failed: %s",
			               (unsigned long long)at, n ? strerror(errno) : "it ended");
		r = s->ops->write(f, b, (size_t)n, e);
		at += (uint64_t)n;
		s->ops->progress(s, "reading", at, size);
		if (!r && *s->stop)
			r = err_set(e, -EINTR, "stopped at byte %llu", (unsigned long long)at);
	}
	return r;
}

static int disk_run(const struct capture_order *o, struct capture_sink *s,
                    struct capture_report *ret, struct err *e)
{
	struct capture_file *f;
	uint64_t size;
	_cleanup_close_ int fd = open_source(o->source, &size, e);
	int r = fd < 0 ? fd : s->ops->begin(s, "disk.raw", &f, e);
	if (r < 0)
		return r;
	r = copy(fd, size, s, f, e);
	if (r < 0) {
		s->ops->drop(f, true);
		return r;
	}
	ret->outcome = CAPTURE_WHOLE;
	strcpy(ret->main_file, "disk.raw");
	ret->bytes = size;
	return s->ops->end(f, e);
}

static const char *const options[] = {NULL};

const struct capture_ops capture_disk = {
    .name = "disk",
    .argument = "DEV",
    .options = options,
    .preflight = disk_preflight,
    .run = disk_run,
};
