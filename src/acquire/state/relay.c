/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "acquire/state/relay.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "acquire/hostfile.h"
#include "base/buf.h"
#include "kern/proc.h"
#include "priv/msg.h"

#define PIECE (MSG_BODY_MAX / 2)

static struct reading *reading_of(struct capture_sink *s)
{
	return (struct reading *)s;
}

/* A parent that does not listen any more has nothing to be told. */
static void tell(int channel, enum relay type, const void *body, size_t n)
{
	if (msg_send(channel, type, body, n) < 0)
		_exit(1);
}

/* The one file that is open; a reading writes one at a time. */
struct capture_file {
	int channel;
};
static struct capture_file the_file;

static int send_begin(struct capture_sink *s, const char *name, struct capture_file **ret,
                      struct err *e)
{
	the_file.channel = reading_of(s)->channel;
	tell(the_file.channel, RELAY_BEGIN, name, strlen(name));
	*ret = &the_file;
	return 0;
}

static int send_data(struct capture_file *f, const void *bytes, size_t n, struct err *e)
{
	const uint8_t *p = bytes;
	for (size_t k; n; p += k, n -= k) {
		k = n < PIECE ? n : PIECE;
		tell(f->channel, RELAY_DATA, p, k);
	}
	return 0;
}

static int send_zeros(struct capture_file *f, uint64_t n, struct err *e)
{
	static const uint8_t zeros[4096];
	for (uint64_t k; n; n -= k) {
		k = n < sizeof(zeros) ? n : sizeof(zeros);
		send_data(f, zeros, (size_t)k, e);
	}
	return 0;
}

static int send_end(struct capture_file *f, struct err *e)
{
	tell(f->channel, RELAY_END, NULL, 0);
	return 0;
}

static void send_drop(struct capture_file *f, bool keep)
{
	if (f)
		send_end(f, NULL);
}

static const struct capture_sink_ops sending = {
    .begin = send_begin,
    .write = send_data,
    .zeros = send_zeros,
    .end = send_end,
    .drop = send_drop,
};

void relay_child(const struct item *item, int channel, uint64_t from)
{
	struct reading r = {.sink = {.ops = &sending, .dir = -1}, .channel = channel, .from = from};
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	prctl(PR_SET_NAME, "stanch-state");
	item->read(&r);
	tell(channel, RELAY_DONE, NULL, 0);
	_exit(0);
}

bool reading_unit(struct reading *r, uint64_t id, const char *name)
{
	struct buf b = BUF_INIT(4096);
	if (id < r->from)
		return false;
	buf_add(&b, &id, sizeof(id));
	buf_add(&b, name, strnlen(name, 1024));
	tell(r->channel, RELAY_UNIT, b.data, b.len);
	buf_free(&b);
	return true;
}

void reading_row(struct reading *r, json_t *row)
{
	char *text = row ? json_dumps(row, JSON_COMPACT | JSON_SORT_KEYS) : NULL;
	size_t n = text ? strlen(text) : 0;
	if (n > MSG_BODY_MAX) {
		/* The longest text gives way: nothing else is long. */
		const char *key, *longest = NULL;
		size_t most = 0;
		json_t *v;
		json_object_foreach(row, key, v) if (json_string_length(v) > most)
		{
			most = json_string_length(v);
			longest = key;
		}
		if (longest)
			json_object_set_new(row, longest, json_string("(too long)"));
		free(text);
		text = longest ? json_dumps(row, JSON_COMPACT | JSON_SORT_KEYS) : NULL;
		n = text ? strlen(text) : 0;
	}
	if (n && n <= MSG_BODY_MAX)
		tell(r->channel, RELAY_ROW, text, n);
	free(text);
	json_decref(row);
}

json_t *reading_text(const void *bytes, size_t n)
{
	const char *p = bytes;
	struct buf b = BUF_INIT(64u << 10);
	for (size_t i = 0; i < n && !b.error;) {
		char clean[8];
		size_t k = 1;
		/* The longest sequence that comes out as it went in. */
		for (size_t len = 4; len >= 1; len--) {
			if (len > n - i)
				continue;
			proc_clean(p + i, len, clean, len + 1);
			if (strlen(clean) == len && !memcmp(clean, p + i, len)) {
				k = len;
				break;
			}
			k = 0;
		}
		if (k && p[i] != '\\')
			buf_add(&b, p + i, k);
		else
			buf_addf(&b, "\\x%02x", (unsigned)(uint8_t)p[i]);
		i += k && p[i] != '\\' ? k : 1;
	}
	json_t *j = json_string(b.error ? "(too long)" : buf_str(&b));
	buf_free(&b);
	return j;
}

/* A bundle's names begin no part with a dot and have no odd bytes: such become %XX. */
static bool bundle_name(const char *path, char *dst, size_t n)
{
	size_t at = (size_t)snprintf(dst, n, "files");
	for (const char *p = path; *p && at + 4 < n; p++) {
		bool odd = *p < 0x21 || *p > 0x7e || *p == '%' || (*p == '.' && p[-1] == '/');
		at += (size_t)snprintf(dst + at, n - at, odd ? "%%%02X" : "%c", (uint8_t)*p);
	}
	return at + 4 < n;
}

void reading_file(struct reading *r, const char *path, uint64_t max)
{
	char name[CAPTURE_NAME_MAX];
	struct hostfile done = {0};
	int k = bundle_name(path, name, sizeof(name))
	            ? hostfile_copy(&r->sink, AT_FDCWD, path, name, max, &done, NULL)
	            : -ENAMETOOLONG;
	if (k == -ENOENT)
		return;
	if (k < 0 || done.cut)
		reading_row(r, json_pack("{s:s, s:o, s:s}", "kind", k < 0 ? "not_copied" : "cut",
		                         "path", reading_text(path, strlen(path)), "why",
		                         strerror(k < 0        ? -k
		                                  : done.error ? -done.error
		                                               : EFBIG)));
}
