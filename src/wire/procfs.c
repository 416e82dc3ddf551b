/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "wire/procfs.h"

#include <limits.h>
#include <string.h>

#include "base/cursor.h"
#include "base/table.h"

static void skip_blanks(struct cursor *c)
{
	while (c->p < c->end && (*c->p == ' ' || *c->p == '\t'))
		c->p++;
}

static unsigned digit(uint8_t ch)
{
	if (ch >= '0' && ch <= '9')
		return ch - (unsigned)'0';
	if (ch >= 'A' && ch <= 'F')
		return ch - (unsigned)'A' + 10;
	return ch >= 'a' && ch <= 'f' ? ch - (unsigned)'a' + 10 : 99;
}

/* Digits of base 10 or 16 up to what is none; at least one, and no overflow. */
static bool take_number(struct cursor *c, unsigned base, uint64_t *ret)
{
	const uint8_t *start = c->p;
	uint64_t v = 0;

	for (; c->p < c->end; c->p++) {
		unsigned d = digit(*c->p);
		if (d >= base)
			break;
		if (v > (UINT64_MAX - d) / base) {
			c->p = start;
			return false;
		}
		v = v * base + d;
	}
	*ret = v;
	return c->p > start;
}

static bool take_int(struct cursor *c, int *ret)
{
	const uint8_t *start = c->p;
	bool minus;
	uint64_t v;

	skip_blanks(c);
	minus = c->p < c->end && *c->p == '-';
	c->p += minus;
	if (!take_number(c, 10, &v) || v > INT_MAX) {
		c->p = start;
		return false;
	}
	*ret = minus ? -(int)v : (int)v;
	return true;
}

/* The next word, between blanks. */
static bool take_word(struct cursor *c, struct cursor *ret)
{
	skip_blanks(c);
	ret->p = c->p;
	while (c->p < c->end && *c->p != ' ' && *c->p != '\t' && *c->p != '\n')
		c->p++;
	ret->end = c->p;
	return ret->p < ret->end;
}

static bool skip_words(struct cursor *c, unsigned n)
{
	struct cursor word;

	while (n--)
		if (!take_word(c, &word))
			return false;
	return true;
}

static bool word_number(struct cursor *c, unsigned base, uint64_t max, uint64_t *ret)
{
	struct cursor word;

	return take_word(c, &word) && take_number(&word, base, ret) && word.p == word.end &&
	       *ret <= max;
}

bool procfs_line(const char **text, size_t *left, const char **ret, size_t *ret_n)
{
	const char *nl;

	if (!*left)
		return false;
	nl = memchr(*text, '\n', *left);
	*ret = *text;
	*ret_n = nl ? (size_t)(nl - *text) : *left;
	*left -= *ret_n + (nl != NULL);
	*text += *ret_n + (nl != NULL);
	return true;
}

/* Behind the name: state ppid pgrp session tty tpgid flags, and starttime is the 22nd. */
static bool stat_fields(struct cursor c, struct procfs_stat *ret)
{
	struct cursor word;
	uint64_t flags;

	if (!take_word(&c, &word) || !take_int(&c, &ret->ppid) || !skip_words(&c, 1) ||
	    !take_int(&c, &ret->session) || !take_int(&c, &ret->tty) || !skip_words(&c, 1) ||
	    !word_number(&c, 10, UINT32_MAX, &flags) || !skip_words(&c, 12) ||
	    !word_number(&c, 10, UINT64_MAX, &ret->start))
		return false;
	ret->state = (char)*word.p;
	ret->flags = (uint32_t)flags;
	return true;
}

bool procfs_stat(const char *text, size_t n, struct procfs_stat *ret)
{
	const char *open = n ? memchr(text, '(', n) : NULL;
	const char *close = n ? memrchr(text, ')', n) : NULL;
	struct procfs_stat s = {0};
	struct cursor head;
	size_t len;

	if (!open || !close || close < open)
		return false;
	head = cursor_of(text, (size_t)(open - text));
	if (!take_int(&head, &s.pid) || s.pid <= 0 ||
	    !stat_fields(cursor_of(close + 1, n - (size_t)(close + 1 - text)), &s))
		return false;
	len = (size_t)(close - open - 1);
	if (len >= sizeof(s.comm))
		len = sizeof(s.comm) - 1;
	memcpy(s.comm, open + 1, len);
	*ret = s;
	return true;
}

static bool after(const char *line, size_t n, const char *key, struct cursor *ret)
{
	size_t k = strlen(key);

	if (n < k || memcmp(line, key, k) != 0)
		return false;
	*ret = cursor_of(line + k, n - k);
	return true;
}

bool procfs_status(const char *text, size_t n, struct procfs_status *ret)
{
	struct procfs_status s = {0};
	bool have_uid = false;
	const char *line;
	struct cursor c;
	size_t len;

	/* The name comes first, and the kernel escapes a newline in it. */
	while (procfs_line(&text, &n, &line, &len)) {
		uint64_t uid, euid;
		if (after(line, len, "Uid:", &c) && !have_uid) {
			if (!word_number(&c, 10, UINT32_MAX, &uid) ||
			    !word_number(&c, 10, UINT32_MAX, &euid))
				return false;
			s.uid = (uint32_t)uid;
			s.euid = (uint32_t)euid;
			have_uid = true;
		} else if (after(line, len, "TracerPid:", &c) && !take_int(&c, &s.tracer)) {
			return false;
		}
	}
	if (have_uid)
		*ret = s;
	return have_uid;
}

enum procfs_fd procfs_fd(const char *link, size_t n, uint64_t *ret_id)
{
	static const struct {
		const char *begin;
		enum procfs_fd kind;
		char end; /* behind the number; 0: nothing */
	} forms[] = {
	    {"socket:[", PROCFS_FD_SOCKET, ']'},
	    {"pipe:[", PROCFS_FD_PIPE, ']'},
	    {"/dev/pts/", PROCFS_FD_PTS, 0},
	};
	static const struct {
		const char *text;
		enum procfs_fd kind;
	} whole[] = {
	    {"/dev/ptmx", PROCFS_FD_PTMX},
	    {"/dev/pts/ptmx", PROCFS_FD_PTMX},
	    {"anon_inode:bpf-prog", PROCFS_FD_BPF},
	    {"anon_inode:bpf-map", PROCFS_FD_BPF},
	    {"anon_inode:bpf_link", PROCFS_FD_BPF},
	    {"anon_inode:bpf-link", PROCFS_FD_BPF},
	    {"anon_inode:[perf_event]", PROCFS_FD_OTHER},
	};
	struct cursor c;

	*ret_id = 0;
	for (size_t i = 0; i < ARRAY_SIZE(whole); i++)
		if (strlen(whole[i].text) == n && !memcmp(link, whole[i].text, n))
			return whole[i].kind;
	for (size_t i = 0; i < ARRAY_SIZE(forms); i++) {
		uint64_t id;
		if (!after(link, n, forms[i].begin, &c) || !take_number(&c, 10, &id))
			continue;
		if (forms[i].end ? cursor_left(&c) != 1 || (char)*c.p != forms[i].end
		                 : cursor_left(&c) != 0)
			continue;
		*ret_id = id;
		return forms[i].kind;
	}
	return PROCFS_FD_OTHER;
}

bool procfs_tty_index(const char *text, size_t n, uint64_t *ret)
{
	const char *line;
	struct cursor c;
	size_t len;

	while (procfs_line(&text, &n, &line, &len))
		if (after(line, len, "tty-index:", &c))
			return word_number(&c, 10, UINT32_MAX, ret);
	return false;
}

/* "0100007F:1F90", or with 32 digits: words of 32 bits, each as a number of this machine. */
static bool take_end(struct cursor *c, struct endpoint *ret)
{
	uint8_t bytes[16];
	struct cursor word;
	uint64_t v;
	size_t n;

	if (!take_word(c, &word))
		return false;
	for (n = 0; n < 4 && cursor_left(&word) >= 8 && *word.p != ':'; n++) {
		struct cursor part = cursor_of(word.p, 8);
		uint32_t w;
		if (!take_number(&part, 16, &v) || part.p != part.end)
			return false;
		w = (uint32_t)v;
		memcpy(bytes + 4 * n, &w, 4);
		word.p += 8;
	}
	if ((n != 1 && n != 4) || !cursor_left(&word) || *word.p++ != ':' ||
	    !take_number(&word, 16, &v) || word.p != word.end || v > UINT16_MAX)
		return false;
	ret->addr = n == 1 ? addr_v4(bytes) : addr_v6(bytes);
	ret->port = (uint16_t)v;
	return true;
}

bool procfs_inet(const char *line, size_t n, struct procfs_inet *ret)
{
	struct cursor c = cursor_of(line, n);
	struct procfs_inet s = {0};
	uint64_t state, uid;

	/* sl local rem st tx:rx tr:when retrnsmt uid timeout inode */
	if (!skip_words(&c, 1) || !take_end(&c, &s.local) || !take_end(&c, &s.peer) ||
	    !word_number(&c, 16, UINT8_MAX, &state) || !skip_words(&c, 3) ||
	    !word_number(&c, 10, UINT32_MAX, &uid) || !skip_words(&c, 1) ||
	    !word_number(&c, 10, UINT64_MAX, &s.inode))
		return false;
	s.state = (uint8_t)state;
	s.uid = (uint32_t)uid;
	*ret = s;
	return true;
}

bool procfs_packet(const char *line, size_t n, struct procfs_packet *ret)
{
	struct cursor c = cursor_of(line, n);
	struct procfs_packet s = {0};
	uint64_t type, protocol, iface;

	/* sk RefCnt Type Proto Iface R Rmem User Inode */
	if (!skip_words(&c, 2) || !word_number(&c, 10, UINT16_MAX, &type) ||
	    !word_number(&c, 16, UINT16_MAX, &protocol) || !word_number(&c, 10, INT_MAX, &iface) ||
	    !skip_words(&c, 3) || !word_number(&c, 10, UINT64_MAX, &s.inode))
		return false;
	s.type = (unsigned)type;
	s.protocol = (unsigned)protocol;
	s.ifindex = (int)iface;
	*ret = s;
	return true;
}

/* "\040" → ' ': three octal digits. */
static bool octal(const uint8_t *p, size_t n, char *ret)
{
	if (n < 4 || p[0] != '\\' || p[1] < '0' || p[1] > '3' || p[2] < '0' || p[2] > '7' ||
	    p[3] < '0' || p[3] > '7')
		return false;
	*ret = (char)((p[1] - '0') << 6 | (p[2] - '0') << 3 | (p[3] - '0'));
	return true;
}

bool procfs_mount_point(const char *line, size_t n, char ret[static PROCFS_POINT_MAX])
{
	struct cursor c = cursor_of(line, n), word;
	char point[PROCFS_POINT_MAX];
	size_t len = 0;

	/* id parent major:minor root point */
	if (!skip_words(&c, 4) || !take_word(&c, &word))
		return false;
	while (word.p < word.end) {
		char ch = (char)*word.p;
		size_t step = octal(word.p, cursor_left(&word), &ch) ? 4 : 1;
		if (!ch || len + 1 >= sizeof(point))
			return false;
		point[len++] = ch;
		word.p += step;
	}
	memcpy(ret, point, len);
	ret[len] = 0;
	return true;
}

bool procfs_mount_is(const char *line, size_t n, const char *type)
{
	struct cursor c = cursor_of(line, n), word;
	size_t len = strlen(type);

	/* id parent major:minor root point options, any number of fields, "-", type */
	if (!skip_words(&c, 6))
		return false;
	while (take_word(&c, &word))
		if (cursor_left(&word) == 1 && *word.p == '-')
			return take_word(&c, &word) && cursor_left(&word) == len &&
			       !memcmp(word.p, type, len);
	return false;
}
