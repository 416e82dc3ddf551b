/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Zstandard in its seekable form (contrib/seekable_format of zstd): one frame of 1 MiB a piece,
 * each with its checksum, and behind them the seek table in a skippable frame. zstd -d reads it. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <zstd.h>

#include "acquire/image.h"
#include "base/sys.h"

#define LEVEL       1
#define TABLE_MAGIC 0x184D2A5Eu
#define FOOT_MAGIC  0x8F92EAB1u
#define FRAMES_MAX  0x8000000u
#define PIECE_ROOM  (ZSTD_COMPRESSBOUND(PIECE_BYTES) + 64)

struct zstd {
	struct out_file file;
	ZSTD_CCtx *workers[PIPE_WORKERS];
	struct buf table;
	uint32_t frames;
	uint64_t reread_at;
};

static void le32(struct buf *b, uint32_t v)
{
	const uint8_t bytes[4] = {(uint8_t)v, (uint8_t)(v >> 8), (uint8_t)(v >> 16),
	                          (uint8_t)(v >> 24)};
	buf_add(b, bytes, sizeof bytes);
}

static void zstd_close(void *ctx)
{
	struct zstd *x = ctx;
	if (!x)
		return;
	out_drop(&x->file);
	for (size_t i = 0; i < PIPE_WORKERS; i++)
		ZSTD_freeCCtx(x->workers[i]);
	buf_free(&x->table);
	free(x);
}

static int zstd_open(const struct image_want *w, void **ret, struct err *e)
{
	struct zstd *x = calloc(1, sizeof *x);
	bool bad = !x;
	for (unsigned i = 0; x && i < w->workers; i++) {
		x->workers[i] = ZSTD_createCCtx();
		bad |= !x->workers[i] ||
		       ZSTD_isError(
		           ZSTD_CCtx_setParameter(x->workers[i], ZSTD_c_compressionLevel, LEVEL)) ||
		       ZSTD_isError(ZSTD_CCtx_setParameter(x->workers[i], ZSTD_c_checksumFlag, 1));
	}
	if (x) {
		x->table = BUF_INIT(8u * FRAMES_MAX);
		x->file.fd = -1;
	}
	int r = bad ? err_set(e, -ENOMEM, "out of memory")
	            : out_open(&x->file, w->sink, "disk.zst", w->resume, true, e);
	if (r)
		zstd_close(x);
	else
		*ret = x;
	return r;
}

static int zstd_pack(void *ctx, unsigned worker, struct piece *p)
{
	struct zstd *x = ctx;
	if (p->stored)
		return 0;
	p->out_n = ZSTD_compress2(x->workers[worker], p->out, p->out_cap, p->raw, p->n);
	return ZSTD_isError(p->out_n) ? -EIO : 0;
}

static int zstd_write(void *ctx, struct piece *p, struct err *e)
{
	struct zstd *x = ctx;
	if (++x->frames > FRAMES_MAX)
		return err_set(e, -EFBIG, "too large for one seekable zstd file");
	le32(&x->table, (uint32_t)p->out_n);
	le32(&x->table, (uint32_t)p->n);
	if (!p->stored)
		return out_write(&x->file, p->out, p->out_n, e);
	out_keep(&x->file, p->out, p->out_n);
	return 0;
}

/* The next frame of the file, and its content. */
static int zstd_reread(void *ctx, struct piece *p, struct err *e)
{
	struct zstd *x = ctx;
	ssize_t have = sys->pread(x->file.fd, p->out, p->out_cap, (off_t)x->reread_at);
	size_t n = have > 0 ? ZSTD_findFrameCompressedSize(p->out, (size_t)have) : 0;
	if (have <= 0 || ZSTD_isError(n) || ZSTD_decompress(p->raw, PIECE_BYTES, p->out, n) != p->n)
		return err_set(e, -EIO,
		               "what was written before cannot be read back at byte %llu; take the "
		               "evidence anew",
		               (unsigned long long)p->at);
	p->out_n = n;
	x->reread_at += n;
	return 0;
}

static int zstd_sync(void *ctx)
{
	struct zstd *x = ctx;
	return sys->fdatasync(x->file.fd) < 0 ? -errno : 0;
}

static int zstd_end(void *ctx, const struct image_end *end, struct err *e)
{
	struct zstd *x = ctx;
	struct buf head = BUF_INIT(64), foot = BUF_INIT(64);
	const uint8_t no_checksums = 0;
	le32(&head, TABLE_MAGIC);
	le32(&head, (uint32_t)(x->table.len + 9));
	le32(&foot, x->frames);
	buf_add(&foot, &no_checksums, 1);
	le32(&foot, FOOT_MAGIC);
	int r = head.error || foot.error || x->table.error
	            ? err_set(e, -ENOMEM, "out of memory")
	            : out_write(&x->file, head.data, head.len, e);
	if (!r)
		r = out_write(&x->file, x->table.data, x->table.len, e);
	if (!r)
		r = out_write(&x->file, foot.data, foot.len, e);
	buf_free(&head);
	buf_free(&foot);
	return r ? r : out_end(&x->file, NULL, e);
}

const struct image_format image_zstd = {
    .name = "zstd",
    .file = "disk.zst",
    .out_cap = PIECE_ROOM,
    .resumes = true,
    .open = zstd_open,
    .pack = zstd_pack,
    .write = zstd_write,
    .reread = zstd_reread,
    .sync = zstd_sync,
    .end = zstd_end,
    .close = zstd_close,
};
