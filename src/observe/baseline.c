/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The file: "STANCHBL", version (be32), flags (be32: 1 frozen), number of entries (be32), entries
 * of 48 bytes sorted by key, SHA-256 of all before. An entry: key (16), first day, last day, days
 * (be32 each, days since the epoch), 4 zero bytes, most bytes in a past day, bytes of the last day
 * (be64 each).
 */
#include "observe/baseline.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cursor.h"
#include "base/sys.h"
#include "seal/sha256.h"

#define MAGIC    "STANCHBL"
#define VERSION  1
#define KEY      16
#define ENTRY    48
#define DAY      (UINT64_C(86400) * USEC_PER_SEC)
#define PATH_LEN 4096

struct entry {
	uint8_t key[KEY];
	uint32_t first, last, days;
	uint64_t past, today;
};

/* Sorted by key: looked up by halving; few are added after the first days. */
struct baseline {
	struct entry *v;
	size_t n, max;
	bool frozen;
	uint64_t evicted;
};

int baseline_new(size_t max, struct baseline **ret)
{
	struct baseline *b = calloc(1, sizeof(*b));

	if (!b)
		return -ENOMEM;
	b->max = max && max < BASELINE_MAX ? max : BASELINE_MAX;
	if (!(b->v = calloc(b->max, sizeof(*b->v)))) {
		free(b);
		return -ENOMEM;
	}
	*ret = b;
	return 0;
}

void baseline_free(struct baseline *b)
{
	if (!b)
		return;
	free(b->v);
	free(b);
}

void baseline_freeze(struct baseline *b, bool frozen)
{
	b->frozen = frozen;
}

bool baseline_frozen(const struct baseline *b)
{
	return b->frozen;
}

size_t baseline_count(const struct baseline *b)
{
	return b->n;
}

uint64_t baseline_evicted(const struct baseline *b)
{
	return b->evicted;
}

static bool key_of(const char *exe, const char *where, uint8_t key[static KEY])
{
	uint8_t hash[SHA256_LEN];
	struct sha256 h;

	sha256_begin(&h);
	sha256_add_text(&h, exe);
	sha256_add_text(&h, where);
	if (sha256_end(&h, hash) < 0)
		return false;
	memcpy(key, hash, KEY);
	return true;
}

/* Where key is, or would be. */
static size_t place(const struct baseline *b, const uint8_t *key, bool *ret_there)
{
	size_t low = 0, high = b->n;

	while (low < high) {
		size_t mid = low + (high - low) / 2;
		if (memcmp(b->v[mid].key, key, KEY) < 0)
			low = mid + 1;
		else
			high = mid;
	}
	*ret_there = low < b->n && !memcmp(b->v[low].key, key, KEY);
	return low;
}

static void evict(struct baseline *b)
{
	size_t old = 0;

	for (size_t i = 1; i < b->n; i++)
		if (b->v[i].last < b->v[old].last ||
		    (b->v[i].last == b->v[old].last && b->v[i].days < b->v[old].days))
			old = i;
	memmove(b->v + old, b->v + old + 1, (b->n - old - 1) * sizeof(*b->v));
	b->n--;
	b->evicted++;
}

static void insert(struct baseline *b, const uint8_t *key, uint32_t day)
{
	bool there;
	size_t at;

	if (b->n == b->max)
		evict(b);
	at = place(b, key, &there);
	memmove(b->v + at + 1, b->v + at, (b->n - at) * sizeof(*b->v));
	b->v[at] = (struct entry){.first = day, .last = day, .days = 1};
	memcpy(b->v[at].key, key, KEY);
	b->n++;
}

void baseline_seen(struct baseline *b, const char *exe, const char *where, usec_t when,
                   uint64_t bytes)
{
	uint32_t day = (uint32_t)(when / DAY);
	uint8_t key[KEY];
	struct entry *e;
	bool there;
	size_t at;

	if (b->frozen || !key_of(exe, where, key))
		return;
	at = place(b, key, &there);
	if (!there) {
		insert(b, key, day);
		at = place(b, key, &there);
	}
	e = &b->v[at];
	if (day > e->last) {
		e->past = e->today > e->past ? e->today : e->past;
		e->today = 0;
		e->last = day;
		e->days += e->days < UINT32_MAX;
	}
	e->today = bytes > UINT64_MAX - e->today ? UINT64_MAX : e->today + bytes;
}

/* Today does not make itself usual: only days before it count. */
bool baseline_usual(const struct baseline *b, const char *exe, const char *where, usec_t when,
                    struct usual *ret)
{
	uint32_t day = (uint32_t)(when / DAY);
	const struct entry *e;
	uint8_t key[KEY];
	bool there, over;
	size_t at;

	if (!key_of(exe, where, key))
		return false;
	at = place(b, key, &there);
	if (!there || b->v[at].first >= day)
		return false;
	e = &b->v[at];
	over = e->last < day;
	*ret = (struct usual){.first = e->first * DAY,
	                      .last = e->last * DAY,
	                      .days = over ? e->days : e->days - 1,
	                      .day_bytes = over && e->today > e->past ? e->today : e->past};
	return true;
}

/* ---- the file ---- */

int baseline_encode(const struct baseline *b, struct buf *ret)
{
	uint8_t hash[SHA256_LEN];
	size_t from = ret->len;

	buf_add(ret, MAGIC, strlen(MAGIC));
	buf_add_be32(ret, VERSION);
	buf_add_be32(ret, b->frozen);
	buf_add_be32(ret, (uint32_t)b->n);
	for (size_t i = 0; i < b->n; i++) {
		const struct entry *e = &b->v[i];
		buf_add(ret, e->key, KEY);
		buf_add_be32(ret, e->first);
		buf_add_be32(ret, e->last);
		buf_add_be32(ret, e->days);
		buf_add_be32(ret, 0);
		buf_add_be64(ret, e->past);
		buf_add_be64(ret, e->today);
	}
	if (ret->error)
		return ret->error;
	if (sha256_of(ret->data + from, ret->len - from, hash) < 0)
		return -EIO;
	return buf_add(ret, hash, sizeof(hash));
}

static bool read_entry(struct cursor *c, struct entry *ret)
{
	const uint8_t *key;
	uint32_t zero;

	if (!cursor_take(c, KEY, &key) || !cursor_be32(c, &ret->first) ||
	    !cursor_be32(c, &ret->last) || !cursor_be32(c, &ret->days) || !cursor_be32(c, &zero) ||
	    !cursor_be64(c, &ret->past) || !cursor_be64(c, &ret->today))
		return false;
	memcpy(ret->key, key, KEY);
	return !zero && ret->first <= ret->last && ret->days >= 1 &&
	       ret->days - 1 <= ret->last - ret->first;
}

static int bad(struct err *e, const char *what)
{
	return err_set(e, -EBADMSG, "the baseline is not one that stanch wrote: %s", what);
}

static int read_head(struct cursor *c, size_t max, uint32_t *ret_flags, uint32_t *ret_n,
                     struct err *e)
{
	const uint8_t *magic;
	uint32_t version;

	if (!cursor_take(c, strlen(MAGIC), &magic) || memcmp(magic, MAGIC, strlen(MAGIC)) != 0 ||
	    !cursor_be32(c, &version) || !cursor_be32(c, ret_flags) || !cursor_be32(c, ret_n))
		return bad(e, "it does not begin as one");
	if (version != VERSION)
		return err_set(e, -EBADMSG, "the baseline is of version %u; this build reads %u",
		               version, VERSION);
	if (*ret_flags > 1 || *ret_n > max || cursor_left(c) != (size_t)*ret_n * ENTRY + SHA256_LEN)
		return bad(e, "its length is not what it says");
	return 0;
}

int baseline_decode(struct baseline *b, const void *bytes, size_t n, struct err *e)
{
	struct cursor c = cursor_of(bytes, n);
	uint8_t hash[SHA256_LEN];
	uint32_t flags = 0, count = 0;
	struct entry *v;
	int r = read_head(&c, b->max, &flags, &count, e);

	if (r < 0)
		return r;
	if ((r = sha256_of(bytes, n - SHA256_LEN, hash)) < 0)
		return err_set(e, r, "out of memory while reading the baseline");
	if (memcmp(hash, (const uint8_t *)bytes + n - SHA256_LEN, SHA256_LEN) != 0)
		return bad(e, "its checksum does not match");
	if (!(v = calloc(b->max, sizeof(*v))))
		return err_set(e, -ENOMEM, "out of memory while reading the baseline");
	for (uint32_t i = 0; i < count; i++)
		if (!read_entry(&c, &v[i]) || (i && memcmp(v[i - 1].key, v[i].key, KEY) >= 0)) {
			free(v);
			return bad(e, "an entry contradicts itself");
		}
	free(b->v);
	b->v = v;
	b->n = count;
	b->frozen = flags & 1;
	return 0;
}

static int read_all(int fd, uint8_t *dst, size_t size, size_t *ret_n)
{
	size_t have = 0;

	while (have < size) {
		ssize_t n = sys->read(fd, dst + have, size - have);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			break;
		have += (size_t)n;
	}
	*ret_n = have;
	return 0;
}

int baseline_load(struct baseline *b, const char *path, struct err *e)
{
	_cleanup_close_ int fd = sys->open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0);
	_cleanup_free_ uint8_t *bytes = NULL;
	size_t n = 0;
	int r;

	if (fd < 0)
		return err_set(e, -errno, "cannot open the baseline %.200s: %s", path,
		               strerror(errno));
	if (!(bytes = malloc(BASELINE_FILE_MAX + 1)))
		return err_set(e, -ENOMEM, "out of memory while reading the baseline");
	if ((r = read_all(fd, bytes, BASELINE_FILE_MAX + 1, &n)) < 0)
		return err_set(e, r, "cannot read the baseline %.200s: %s", path, strerror(-r));
	r = baseline_decode(b, bytes, n, e);
	return r < 0 ? err_prefix(e, r, "%.200s", path) : 0;
}

static int write_synced(int fd, const uint8_t *p, size_t n)
{
	int r = sys_write_all(fd, p, n);
	return r < 0 ? r : sys->fsync(fd) < 0 ? -errno : 0;
}

/* The new name is on disk only once its directory is. */
static int sync_directory(const char *path)
{
	char dir[PATH_LEN];
	const char *slash = strrchr(path, '/');
	int n = slash ? (int)(slash - path) + (slash == path) : 1;

	snprintf(dir, sizeof(dir), "%.*s", n, slash ? path : ".");
	_cleanup_close_ int fd = sys->open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0);
	return fd < 0 || sys->fsync(fd) < 0 ? -errno : 0;
}

static int write_file(const char *temporary, const struct buf *b)
{
	/* What lies there is left over from a writer that died, or put there by someone else. */
	sys->unlink(temporary);
	_cleanup_close_ int fd =
	    sys->open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	return fd < 0 ? -errno : write_synced(fd, b->data, b->len);
}

int baseline_save(const struct baseline *b, const char *path, struct err *e)
{
	struct buf bytes = BUF_INIT(BASELINE_FILE_MAX);
	char temporary[PATH_LEN];
	int r = baseline_encode(b, &bytes);

	if (!r &&
	    (size_t)snprintf(temporary, sizeof(temporary), "%s.tmp", path) >= sizeof(temporary))
		r = -ENAMETOOLONG;
	if (!r) {
		r = write_file(temporary, &bytes);
		if (!r && sys->rename(temporary, path) < 0)
			r = -errno;
		if (r)
			sys->unlink(temporary);
		else
			r = sync_directory(path);
	}
	buf_free(&bytes);
	return r < 0 ? err_set(e, r, "cannot write the baseline %.200s: %s", path, strerror(-r))
	             : 0;
}
