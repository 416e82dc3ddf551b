/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "wire/authkeys.h"

#include "seal/sha256.h"

#define BLOB_MAX 16384

static bool is_type(struct cursor w)
{
	static const char *const starts[] = {"ssh-", "ecdsa-sha2-", "sk-ssh-", "sk-ecdsa-",
	                                     "rsa-sha2-"};
	for (size_t i = 0; i < sizeof starts / sizeof starts[0]; i++)
		if (span_starts(w, starts[i]))
			return true;
	return false;
}

/* Up to the first blank outside of quotes. */
static struct cursor options_of(struct cursor *c)
{
	const uint8_t *from = c->p;
	bool quoted = false;
	while (c->p < c->end && (quoted || (*c->p != ' ' && *c->p != '\t'))) {
		if (*c->p == '\\' && c->end - c->p > 1 && c->p[1] == '"')
			c->p++;
		else if (*c->p == '"')
			quoted = !quoted;
		c->p++;
	}
	return (struct cursor){from, c->p};
}

bool authkeys_next(struct lines *l, struct authkeys_line *ret)
{
	struct cursor line;
	while (lines_next(l, &line)) {
		line = span_trim(line);
		if (line.p == line.end || *line.p == '#')
			continue;
		struct authkeys_line k = {.number = l->number};
		struct cursor c = line, word = {0};
		span_word(&c, &word);
		if (!is_type(word)) {
			c = line;
			k.options = options_of(&c);
			word = (struct cursor){c.end, c.end};
			span_word(&c, &word);
		}
		k.type = word;
		k.bad = !is_type(word) || !span_word(&c, &k.blob);
		k.comment = span_trim(c);
		if (k.bad)
			k.type = line;
		*ret = k;
		return true;
	}
	return false;
}

/* The end of the first option; *ret_eq: where its value begins, or NULL. */
static const uint8_t *option_end(struct cursor c, const uint8_t **ret_eq)
{
	const uint8_t *p = c.p;
	bool quoted = false;
	*ret_eq = NULL;
	for (; p < c.end && (quoted || *p != ','); p++) {
		if (*p == '\\' && c.end - p > 1 && p[1] == '"')
			p++;
		else if (*p == '"')
			quoted = !quoted;
		else if (*p == '=' && !*ret_eq)
			*ret_eq = p;
	}
	return p;
}

bool authkeys_option(struct cursor *options, struct cursor *ret_name, struct cursor *ret_value)
{
	const uint8_t *eq;
	if (options->p == options->end)
		return false;
	const uint8_t *p = option_end(*options, &eq);
	struct cursor value = {eq ? eq + 1 : p, p};
	if (cursor_left(&value) >= 2 && *value.p == '"' && value.end[-1] == '"')
		value = (struct cursor){value.p + 1, value.end - 1};
	*ret_name = (struct cursor){options->p, eq ? eq : p};
	*ret_value = value;
	options->p = p < options->end ? p + 1 : p;
	return true;
}

static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

static bool decode(struct cursor c, uint8_t *dst, size_t *ret_n)
{
	uint32_t bits = 0;
	unsigned have = 0;
	size_t n = 0;
	while (c.p < c.end && c.end[-1] == '=')
		c.end--;
	for (; c.p < c.end; c.p++) {
		const char *at = *c.p ? strchr(letters, *c.p) : NULL;
		if (!at)
			return false;
		bits = bits << 6 | (uint32_t)(at - letters);
		have += 6;
		if (have >= 8) {
			have -= 8;
			dst[n++] = (uint8_t)(bits >> have);
		}
	}
	*ret_n = n;
	return n > 0;
}

bool authkeys_fingerprint(struct cursor blob, char dst[static AUTHKEYS_FINGERPRINT_MAX])
{
	uint8_t raw[BLOB_MAX], hash[SHA256_LEN];
	size_t n;
	if (cursor_left(&blob) > BLOB_MAX || !decode(blob, raw, &n) || sha256_of(raw, n, hash))
		return false;
	char *p = mempcpy(dst, "SHA256:", 7);
	uint32_t bits = 0;
	unsigned have = 0;
	for (size_t i = 0; i < SHA256_LEN; i++) {
		bits = bits << 8 | hash[i];
		for (have += 8; have >= 6; have -= 6)
			*p++ = letters[bits >> (have - 6) & 63];
	}
	*p++ = letters[bits << (6 - have) & 63];
	*p = 0;
	return true;
}
