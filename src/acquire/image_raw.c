/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Raw, whole or split: disk.raw, or disk.001, disk.002, … Blocks of zeros become holes. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "acquire/image.h"
#include "base/sys.h"

#define HOLE 65536

bool all_zero(const void *p, size_t n)
{
	const uint8_t *b = p;
	return n == 0 || (b[0] == 0 && !memcmp(b, b + 1, n - 1));
}

int out_open(struct out_file *f, struct capture_sink *s, const char *name, bool resume, bool hashed,
             struct err *e)
{
	*f = (struct out_file){.sink = s, .hashed = hashed};
	snprintf(f->name, sizeof f->name, "%s", name);
	f->fd = sys->openat(
	    s->dir, name, O_RDWR | O_CREAT | (resume ? 0 : O_EXCL) | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (f->fd < 0)
		return err_set(e, -errno, "%s cannot be made: %s", name, strerror(errno));
	if (hashed)
		sha256_begin(&f->hash);
	return 0;
}

int out_write(struct out_file *f, const void *bytes, size_t n, struct err *e)
{
	const uint8_t *p = bytes;
	if (f->hashed)
		sha256_add(&f->hash, p, n);
	while (n) {
		ssize_t w = sys->pwrite(f->fd, p, n, (off_t)f->at);
		if (w < 0 && errno == EINTR)
			continue;
		if (w <= 0) {
			int r = w < 0 ? -errno : -EIO;
			return err_set(e, r, "writing %s at byte %llu failed: %s", f->name,
			               (unsigned long long)f->at, strerror(-r));
		}
		f->at += (uint64_t)w;
		p += w;
		n -= (size_t)w;
	}
	return 0;
}

void out_keep(struct out_file *f, const void *bytes, size_t n)
{
	if (f->hashed)
		sha256_add(&f->hash, bytes, n);
	f->at += n;
}

int out_end(struct out_file *f, const uint8_t *sha256, struct err *e)
{
	uint8_t own[SHA256_LEN];
	int r = sys->ftruncate(f->fd, (off_t)f->at) < 0 || sys->fsync(f->fd) < 0 ? -errno : 0;
	if (!r && f->hashed) {
		r = sha256_end(&f->hash, own);
		f->hashed = false;
		sha256 = own;
	}
	r = r ? err_set(e, r, "%s cannot be finished: %s", f->name, strerror(-r))
	      : f->sink->ops->list(f->sink, f->name, f->at, sha256, e);
	out_drop(f);
	return r;
}

void out_drop(struct out_file *f)
{
	if (f->hashed)
		sha256_drop(&f->hash);
	if (f->fd >= 0)
		sys->close(f->fd);
	f->fd = -1;
	f->hashed = false;
}

struct raw {
	struct image_want w;
	struct out_file file;
	uint64_t reread_at; /* begin of the file that is open for reading back */
	int back;
	unsigned number;
};

static void file_name(const struct raw *x, unsigned number, char dst[static 32])
{
	if (x->w.split)
		snprintf(dst, 32, "disk.%03u", number);
	else
		strcpy(dst, "disk.raw");
}

static int next_file(struct raw *x, struct err *e)
{
	char name[32];
	file_name(x, ++x->number, name);
	return out_open(&x->file, x->w.sink, name, x->w.resume, x->w.split != 0, e);
}

static int raw_open(const struct image_want *w, void **ret, struct err *e)
{
	struct raw *x = calloc(1, sizeof *x);
	if (!x)
		return err_set(e, -ENOMEM, "out of memory");
	x->w = *w;
	x->back = -1;
	x->w.split = w->split < w->size ? w->split : 0;
	int r = next_file(x, e);
	if (r)
		free(x);
	else
		*ret = x;
	return r;
}

static int put(struct raw *x, const uint8_t *p, size_t n, bool stored, struct err *e)
{
	int r = 0;
	for (size_t k; n && !r; p += k, n -= k) {
		k = n < HOLE - x->file.at % HOLE ? n : HOLE - x->file.at % HOLE;
		/* On what an earlier run has left, zeros are written: it may hold anything. */
		if (stored || (!x->w.resume && all_zero(p, k)))
			out_keep(&x->file, p, k);
		else
			r = out_write(&x->file, p, k, e);
	}
	return r;
}

static int raw_write(void *ctx, struct piece *p, struct err *e)
{
	struct raw *x = ctx;
	const uint8_t *b = p->raw;
	int r = 0;
	for (size_t n = p->n, k; n && !r; b += k, n -= k) {
		if (x->w.split && x->file.at == x->w.split) {
			r = out_end(&x->file, NULL, e);
			r = r ? r : next_file(x, e);
		}
		uint64_t room = x->w.split ? x->w.split - x->file.at : n;
		k = n < room ? n : (size_t)room;
		if (!r)
			r = put(x, b, k, p->stored, e);
	}
	return r;
}

/* From the files, whichever they are in. */
static int raw_reread(void *ctx, struct piece *p, struct err *e)
{
	struct raw *x = ctx;
	for (size_t done = 0; done < p->n;) {
		char name[32];
		uint64_t at = p->at + done, split = x->w.split ? x->w.split : UINT64_MAX;
		uint64_t from = at / split * split;
		if (x->back < 0 || x->reread_at != from) {
			if (x->back >= 0)
				sys->close(x->back);
			file_name(x, (unsigned)(at / split) + 1, name);
			x->back =
			    sys->openat(x->w.sink->dir, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC, 0);
			x->reread_at = from;
		}
		size_t want = p->n - done;
		if (want > split - (at - from))
			want = (size_t)(split - (at - from));
		ssize_t n =
		    x->back < 0 ? -1 : sys->pread(x->back, p->raw + done, want, (off_t)(at - from));
		if (n <= 0)
			return err_set(e, n < 0 ? -errno : -EIO,
			               "what was written before cannot be read back at byte %llu; "
			               "take the evidence anew",
			               (unsigned long long)at);
		done += (size_t)n;
	}
	return 0;
}

static int raw_sync(void *ctx)
{
	struct raw *x = ctx;
	/* A hole at the end must have its length, too, or it cannot be read back. */
	struct stat st;
	if (fstat(x->file.fd, &st) == 0 && (uint64_t)st.st_size < x->file.at &&
	    sys->ftruncate(x->file.fd, (off_t)x->file.at) < 0)
		return -errno;
	return sys->fdatasync(x->file.fd) < 0 ? -errno : 0;
}

static int raw_end(void *ctx, const struct image_end *end, struct err *e)
{
	struct raw *x = ctx;
	return out_end(&x->file, end->sha256, e);
}

static void raw_close(void *ctx)
{
	struct raw *x = ctx;
	if (!x)
		return;
	out_drop(&x->file);
	if (x->back >= 0)
		sys->close(x->back);
	free(x);
}

const struct image_format image_raw = {
    .name = "raw",
    .file = "disk.raw",
    .resumes = true,
    .open = raw_open,
    .write = raw_write,
    .reread = raw_reread,
    .sync = raw_sync,
    .end = raw_end,
    .close = raw_close,
};
