/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "wire/blocklist.h"

#include <errno.h>
#include <string.h>

#include "wire/blocklist_text.h"
#include "wire/fwlog_text.h"

#define LOOK_BYTES 8192 /* as much is looked at to guess */

static const struct {
	const char *name;
	size_t max;
	int (*parse)(struct blocklist_work *w, struct cursor text, struct err *e);
} formats[_BLOCKLIST_MAX] = {
    [BLOCKLIST_LIST] = {"list", BLOCKLIST_BYTES_MAX, blocklist_list},
    [BLOCKLIST_NETSET] = {"netset", BLOCKLIST_BYTES_MAX, blocklist_list},
    [BLOCKLIST_CSV] = {"csv", BLOCKLIST_BYTES_MAX, blocklist_csv},
    [BLOCKLIST_NFT] = {"nft", BLOCKLIST_BYTES_MAX, blocklist_nft},
    [BLOCKLIST_STIX] = {"stix", BLOCKLIST_JSON_MAX, blocklist_stix},
    [BLOCKLIST_MISP] = {"misp", BLOCKLIST_JSON_MAX, blocklist_misp},
    [BLOCKLIST_WARNINGLIST] = {"warninglist", BLOCKLIST_JSON_MAX, blocklist_warninglist},
};

const char *blocklist_format_str(enum blocklist_format f)
{
	return (unsigned)f < _BLOCKLIST_MAX ? formats[f].name : "invalid";
}

int blocklist_format_parse(const char *s)
{
	for (size_t i = 0; i < _BLOCKLIST_MAX; i++)
		if (!strcmp(formats[i].name, s))
			return (int)i;
	return -EINVAL;
}

static bool has(struct cursor c, const char *word)
{
	return text_find(&c, word);
}

/* By the names that only this kind has at its top. */
static enum blocklist_format guess_json(struct cursor c)
{
	if (has(c, "\"matching_attributes\"") || (has(c, "\"list\"") && !has(c, "\"objects\"")))
		return BLOCKLIST_WARNINGLIST;
	return has(c, "\"Event\"") || has(c, "\"Attribute\"") || has(c, "\"to_ids\"")
	           ? BLOCKLIST_MISP
	           : BLOCKLIST_STIX;
}

static enum blocklist_format guess_text(struct cursor c)
{
	struct cursor line, all = c;
	bool netset = has(c, "# Entries") && has(c, "ipset");
	while (blocklist_line(&c, &line)) {
		line = blocklist_trim(line);
		bool comment = line.p == line.end || *line.p == '#' || *line.p == ';';
		if (blocklist_is_csv_header(line))
			return BLOCKLIST_CSV;
		if (comment)
			continue;
		if (has(all, "elements") || has(all, "add element") || text_lit(&line, "table ") ||
		    text_lit(&line, "define "))
			return BLOCKLIST_NFT;
		if (memchr(line.p, ',', cursor_left(&line)))
			return BLOCKLIST_CSV;
		break;
	}
	return netset ? BLOCKLIST_NETSET : BLOCKLIST_LIST;
}

static struct cursor behind_bom(struct cursor c)
{
	text_lit(&c, "\xef\xbb\xbf");
	return c;
}

enum blocklist_format blocklist_guess(const void *bytes, size_t n)
{
	struct cursor c = behind_bom(cursor_of(bytes, n));
	while (c.p < c.end && *c.p <= ' ')
		c.p++;
	/* A warning list has its longest member before the ones that name it. */
	if (c.p < c.end && (*c.p == '{' || *c.p == '['))
		return guess_json(c);
	if (cursor_left(&c) > LOOK_BYTES)
		c.end = c.p + LOOK_BYTES;
	return guess_text(c);
}

int blocklist_parse(enum blocklist_format f, const void *bytes, size_t n, uint64_t now,
                    const struct blocklist_sink *sink, struct blocklist_stats *ret, struct err *e)
{
	struct blocklist_stats s = {0};
	struct blocklist_work w = {.sink = sink, .stats = &s, .now = now};
	if ((unsigned)f >= _BLOCKLIST_MAX)
		return err_set(e, -EINVAL, "there is no such format");
	if (n > formats[f].max)
		return err_set(e, -EFBIG, "it is larger than the %zu MiB that %s may have",
		               formats[f].max >> 20, formats[f].name);
	int r = formats[f].parse(&w, behind_bom(cursor_of(bytes, n)), e);
	if (r == 0)
		*ret = s;
	return r;
}
