/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "model/feed.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "base/cursor.h"
#include "base/sys.h"

#define VERSION 1

static const char *const feed_role_names[_FEED_ROLE_MAX] = {
    [FEED_BLOCK] = "block",
    [FEED_ALLOW] = "allow",
};
STRING_TABLE_DEFINE(feed_role, enum feed_role, feed_role_names)

struct head {
	char magic[12];
	uint32_t version;
	uint64_t n, n_text;
};

static const char magic[12] = "stanch feed\n";

/* ---- building ---- */

static bool room(struct feed_builder *b, void **v, size_t size, size_t n, size_t *cap, size_t max)
{
	if (n <= *cap)
		return true;
	size_t more = *cap ? *cap * 2 : 4096;
	void *bigger = n > max ? NULL : realloc(*v, (more < n ? n : more) * size);
	if (!bigger) {
		b->error = n > max ? -E2BIG : -ENOMEM;
		return false;
	}
	*v = bigger;
	*cap = more < n ? n : more;
	return true;
}

static bool room_for_text(struct feed_builder *b, size_t n)
{
	void *p = b->text;
	bool ok = room(b, &p, 1, n, &b->cap_text, FEED_TEXT_MAX);
	b->text = p;
	return ok;
}

static uint32_t add_note(struct feed_builder *b, const char *note)
{
	size_t n = note ? strnlen(note, FEED_NOTE_MAX - 1) : 0;
	if (!b->n_text) {
		if (!room_for_text(b, 1))
			return 0;
		b->text[b->n_text++] = 0;
	}
	if (!n)
		return 0;
	const char *last = b->text + b->last_note;
	if (strlen(last) == n && !memcmp(last, note, n))
		return b->last_note;
	if (!room_for_text(b, b->n_text + n + 1))
		return 0;
	b->last_note = (uint32_t)b->n_text;
	memcpy(b->text + b->n_text, note, n);
	b->text[b->n_text + n] = 0;
	b->n_text += n + 1;
	return b->last_note;
}

void feed_add(struct feed_builder *b, const struct prefix *p, uint32_t line, uint32_t until,
              const char *note)
{
	void *v = b->v;
	uint32_t at = b->error ? 0 : add_note(b, note);
	if (b->error)
		return;
	bool ok = room(b, &v, sizeof *b->v, b->n + 1, &b->cap, FEED_ENTRIES_MAX);
	b->v = v;
	if (!ok)
		return;
	struct feed_entry *x = &b->v[b->n++];
	*x = (struct feed_entry){
	    .family = p->addr.family, .len = p->len, .line = line, .until = until, .note = at};
	memcpy(x->addr, p->addr.bytes, sizeof x->addr);
}

void feed_builder_free(struct feed_builder *b)
{
	if (!b)
		return;
	free(b->v);
	free(b->text);
	memset(b, 0, sizeof *b);
}

/* Millions are sorted: eight bytes at a time. */
static int by_entry(const void *a, const void *b)
{
	const struct feed_entry *x = a, *y = b;
	if (x->family != y->family)
		return (int)x->family - (int)y->family;
	for (unsigned i = 0; i < sizeof x->addr; i += 8) {
		uint64_t p = load_be64(x->addr + i), q = load_be64(y->addr + i);
		if (p != q)
			return p < q ? -1 : 1;
	}
	int d = (int)x->len - (int)y->len;
	return d ? d : x->line < y->line ? -1 : x->line > y->line;
}

int feed_build(struct feed_builder *b, int *ret_fd, struct err *e)
{
	struct head h = {.version = VERSION, .n = b->n, .n_text = b->n_text};
	if (b->error == -E2BIG)
		return err_set(e, b->error, "a feed takes at most %u entries and %u MiB of notes",
		               FEED_ENTRIES_MAX, FEED_TEXT_MAX >> 20);
	int fd = b->error ? -1 : memfd_create("stanch feed", MFD_CLOEXEC);
	int r = b->error ? b->error : fd < 0 ? -errno : 0;
	memcpy(h.magic, magic, sizeof h.magic);
	if (r == 0 && b->n)
		qsort(b->v, b->n, sizeof *b->v, by_entry);
	if (r == 0)
		r = sys_write_all(fd, &h, sizeof h);
	if (r == 0)
		r = sys_write_all(fd, b->v, b->n * sizeof *b->v);
	if (r == 0)
		r = sys_write_all(fd, b->text, b->n_text);
	if (r < 0) {
		if (fd >= 0)
			sys->close(fd);
		return err_set(e, r, "keeping %zu entries of a feed in memory: %s", b->n,
		               strerror(-r));
	}
	*ret_fd = fd;
	return 0;
}

/* ---- reading ---- */

struct prefix feed_prefix(const struct feed_entry *x)
{
	struct prefix p = {.addr = {.family = x->family}, .len = x->len};
	memcpy(p.addr.bytes, x->addr, sizeof p.addr.bytes);
	return p;
}

static bool is_entry(const struct feed_entry *x, size_t n_text)
{
	struct prefix p = feed_prefix(x), q;
	if ((x->family != ADDR_V4 && x->family != ADDR_V6) || x->len > addr_bits(&p.addr) ||
	    x->note >= n_text)
		return false;
	q = prefix_of(&p.addr, p.len);
	return addr_equal(&p.addr, &q.addr);
}

static bool is_feed(const struct feed_view *v, const struct head *h)
{
	if (memcmp(h->magic, magic, sizeof magic) != 0 || h->version != VERSION ||
	    h->n > FEED_ENTRIES_MAX || h->n_text > FEED_TEXT_MAX ||
	    v->n_bytes != sizeof *h + h->n * sizeof *v->v + h->n_text)
		return false;
	const struct feed_entry *x = (const void *)((const char *)v->bytes + sizeof *h);
	const char *text = (const char *)(x + h->n);
	if (h->n && (!h->n_text || text[0] || text[h->n_text - 1]))
		return false;
	for (size_t i = 0; i < h->n; i++)
		if (!is_entry(&x[i], h->n_text) || (i && by_entry(&x[i - 1], &x[i]) > 0))
			return false;
	return true;
}

int feed_open(const struct feed *f, struct feed_view *ret, struct err *e)
{
	struct stat st;
	if (f->fd < 0 || fstat(f->fd, &st) < 0)
		return err_set(e, -ENOENT, "the entries of %.200s are not at hand any more",
		               f->source);
	struct feed_view v = {.n_bytes = (size_t)st.st_size};
	if (v.n_bytes < sizeof(struct head))
		return err_set(e, -EBADMSG, "the stored entries of %.200s are cut short",
		               f->source);
	void *p = mmap(NULL, v.n_bytes, PROT_READ, MAP_PRIVATE, f->fd, 0);
	if (p == MAP_FAILED)
		return err_set(e, -errno, "the stored entries of %.200s: %s", f->source,
		               strerror(errno));
	const struct head *h = p;
	v.bytes = p;
	if (!is_feed(&v, h)) {
		munmap(p, v.n_bytes);
		return err_set(e, -EBADMSG, "the stored entries of %.200s are no feed", f->source);
	}
	v.v = (const void *)(h + 1);
	v.n = h->n;
	v.text = (const char *)(v.v + v.n);
	*ret = v;
	return 0;
}

size_t feed_lower(const struct feed_view *v, const struct addr *a)
{
	size_t low = 0, high = v->n;
	while (low < high) {
		size_t mid = low + (high - low) / 2;
		struct prefix x = feed_prefix(&v->v[mid]);
		if (addr_cmp(&x.addr, a) < 0)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

void feed_close(struct feed_view *v)
{
	if (v->bytes)
		munmap(v->bytes, v->n_bytes);
	memset(v, 0, sizeof *v);
}
