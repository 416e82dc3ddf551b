/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "acquire/memory/phys.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/sys.h"

#define PAGE        4096u
#define HEADERS_MAX (8u << 20)
#define IOMEM_MAX   (4u << 20)

static const char *const kinds[] = {"kcore", "crash", "mem"};
STRING_TABLE_DEFINE(phys_kind, enum phys_kind, kinds)

static const char *const paths[_PHYS_MAX] = {"/proc/kcore", "/dev/crash", "/dev/mem"};

/* What keeps each from being read, for the sentence. */
static const char *const hints[_PHYS_MAX] = {
    "needs root (CAP_SYS_RAWIO) and a kernel that is not locked down to \"confidentiality\"",
    "is made by the module crash of Red Hat's kernels alone",
    "needs root, and a kernel that is not locked down"};

int phys_ranges(struct phys_range **ret, size_t *ret_n, struct buf *text, struct err *e)
{
	struct buf own = BUF_INIT(IOMEM_MAX);
	uint8_t block[16384];
	_cleanup_close_ int fd = sys->open("/proc/iomem", O_RDONLY | O_CLOEXEC, 0);
	ssize_t n = 0;
	if (fd < 0)
		return err_set(e, -errno, "/proc/iomem: %s", strerror(errno));
	while (!own.error && (n = sys->read(fd, block, sizeof(block))) > 0)
		buf_add(&own, block, (size_t)n);
	int r = n < 0       ? err_set(e, -errno, "/proc/iomem: %s", strerror(errno))
	        : own.error ? err_set(e, own.error, "/proc/iomem is too long")
	                    : iomem_ram(buf_str(&own), own.len, ret, ret_n, e);
	if (r == 0 && text)
		buf_add(text, own.data, own.len);
	buf_free(&own);
	return r;
}

static ssize_t read_at(int fd, void *dst, size_t n, uint64_t at)
{
	ssize_t r;
	if (at > INT64_MAX)
		return -EFBIG;
	do
		r = sys->pread(fd, dst, n, (off_t)at);
	while (r < 0 && errno == EINTR);
	return r < 0 ? -errno : r == 0 ? -ENODATA : r;
}

static int add_headers(int fd, struct buf *b, uint64_t upto, struct err *e)
{
	while (b->len < upto) {
		uint8_t block[PAGE];
		size_t n = upto - b->len < PAGE ? (size_t)(upto - b->len) : PAGE;
		ssize_t r = read_at(fd, block, n, b->len);
		if (r < 0)
			return err_set(e, (int)r, "/proc/kcore: its headers: %s",
			               strerror((int)-r));
		if (buf_add(b, block, (size_t)r) < 0)
			return err_set(e, b->error, "/proc/kcore: its headers are too long");
	}
	return 0;
}

static int open_kcore(struct phys *p, const struct phys_range *ram, size_t n_ram, struct err *e)
{
	struct elf_segment *s = NULL;
	uint64_t len = 0;
	size_t n = 0;
	int r = add_headers(p->fd, &p->headers, sizeof(Elf64_Ehdr), e);
	/* Twice, since the first time tells where the count of a long table stands. */
	for (int i = 0; i < 2 && r == 0; i++) {
		r = elf_core_head_len(p->headers.data, p->headers.len, &len, e);
		if (r == 0)
			r = add_headers(p->fd, &p->headers, len, e);
	}
	if (r == 0)
		r = elf_segments(p->headers.data, p->headers.len, &s, &n, e);
	if (r == 0)
		r = kcore_map_make(s, n, ram, n_ram, &p->map, e);
	free(s);
	return r;
}

int phys_open(enum phys_kind kind, const struct phys_range *ram, size_t n_ram, struct phys *ret,
              struct err *e)
{
	struct phys p = {.kind = kind, .headers = BUF_INIT(HEADERS_MAX)};
	uint8_t page[PAGE];
	p.fd = sys->open(paths[kind], O_RDONLY | O_CLOEXEC | O_NONBLOCK, 0);
	if (p.fd < 0)
		return err_set(e, -errno, "%s: %s; it %s", paths[kind], strerror(errno),
		               hints[kind]);
	int r = kind == PHYS_KCORE ? open_kcore(&p, ram, n_ram, e) : 0;
	if (r == 0) {
		ssize_t k = phys_read(&p, ram[n_ram - 1].first & ~(uint64_t)(PAGE - 1), page, PAGE);
		if (k < 0)
			r = err_set(e, (int)k, "%s can be opened but not read: %s; it %s",
			            paths[kind], strerror((int)-k), hints[kind]);
	}
	if (r < 0) {
		phys_close(&p);
		return r;
	}
	*ret = p;
	return 0;
}

void phys_close(struct phys *p)
{
	if (!p)
		return;
	sys_closep(&p->fd);
	p->fd = -1;
	kcore_map_free(&p->map);
	buf_free(&p->headers);
}

ssize_t phys_read(void *phys, uint64_t at, void *dst, size_t n)
{
	const struct phys *p = phys;
	uint64_t offset = at, len = n;
	if (p->kind == PHYS_KCORE && !kcore_map_find(&p->map, at, &offset, &len))
		return -ENXIO;
	return read_at(p->fd, dst, len < n ? (size_t)len : n, offset);
}
