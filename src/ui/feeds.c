/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "ui/feeds.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/sys.h"
#include "base/table.h"
#include "enforce/feed/fetch.h"
#include "enforce/feed/role.h"
#include "kern/link.h"
#include "seal/sha256.h"
#include "ui/feeds_spare.h"
#include "ui/guard.h"
#include "ui/show.h"
#include "ui/via.h"

#define SHORTEST_V4 8
#define SHORTEST_V6 16

static int refuse(struct cut *k, const char *guard, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
static int refuse(struct cut *k, const char *guard, const char *fmt, ...)
{
	struct buf why = BUF_INIT(2048);
	char text[1024];
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	buf_addf(&why, "%s. Nothing was changed; what holds stays", text);
	if (guard)
		buf_addf(&why, "; --force %s overrules it", guard);
	out_error(&k->c->out, "%s", buf_str(&why));
	buf_free(&why);
	return EXIT_REFUSED;
}

/* ---- one feed ---- */

static int open_file(const char *source, int *ret, struct err *e)
{
	struct stat st;
	int fd = strcmp(source, "-") ? sys->open(source, O_RDONLY | O_CLOEXEC | O_NOCTTY, 0)
	                             : fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 3);
	if (fd < 0)
		return err_set(e, -errno, "cannot open it: %s", strerror(errno));
	if (fstat(fd, &st) == 0 && S_ISDIR(st.st_mode)) {
		sys->close(fd);
		return err_set(e, -EISDIR, "it is a directory, not a feed");
	}
	*ret = fd;
	return 0;
}

static int read_file(const char *source, int format, struct feed_builder *b,
                     struct feed_report *ret, struct err *e)
{
	int fd = -1, r = open_file(source, &fd, e);
	if (r < 0)
		return r;
	r = feed_read(fd, format, b, ret, e);
	sys->close(fd);
	return r;
}

/* Why it could not be fetched says more than what its beginning looked like. */
static int read_url(struct cut *k, const char *url, int format, struct feed_builder *b,
                    struct feed_report *ret, struct err *e)
{
	struct fetch f;
	struct err read = {0};
	int r = fetch_begin(url, args_text(k->a, "feed-ca", NULL), &f, e);
	if (r < 0)
		return r;
	r = feed_read(f.body, format, b, ret, &read);
	int fetched = fetch_end(&f, e);
	return fetched < 0 ? fetched : r < 0 ? err_set(e, r, "%s", read.text) : 0;
}

/* Prefixes that hold whole continents are left out of what is blocked, and named. */
static void leave_out_wide(struct cut *k, const char *source, struct feed_builder *b)
{
	size_t n = 0, wide = 0;
	char first[PREFIX_STR_MAX] = "";
	for (size_t i = 0; i < b->n; i++) {
		unsigned least = b->v[i].family == ADDR_V4 ? SHORTEST_V4 : SHORTEST_V6;
		if (b->v[i].len >= least) {
			b->v[n++] = b->v[i];
			continue;
		}
		struct prefix p = feed_prefix(&b->v[i]);
		if (!wide++)
			prefix_str(&p, first);
	}
	b->n = n;
	if (wide)
		buf_addf(&k->notes,
		         "%s: %zu prefixes wider than /%d (IPv6: /%d) are left out, %s the first; "
		         "--force everything takes them\n",
		         source, wide, SHORTEST_V4, SHORTEST_V6, first);
}

static int finish(struct cut *k, enum feed_role role, const char *source, const char *format,
                  struct feed_builder *b)
{
	struct err e = {0};
	struct feed f = {.role = role, .n = b->n, .read_at = wall_now(), .fd = -1};
	struct feed_view v;
	uint8_t hash[SHA256_LEN];
	snprintf(f.source, sizeof f.source, "%s", source);
	snprintf(f.format, sizeof f.format, "%s", format);
	int r = feed_build(b, &f.fd, &e);
	if (r == 0)
		r = feed_open(&f, &v, &e);
	if (r == 0) {
		r = sha256_of(v.bytes, v.n_bytes, hash);
		feed_close(&v);
		hex_encode(hash, sizeof hash, f.sha256);
	}
	if (r < 0 && f.fd >= 0)
		sys->close(f.fd);
	if (r == 0)
		r = order_add_feed(&k->order, &f, &e);
	return r < 0 ? ctx_fail(k->c, EXIT_FAILED, &e) : EXIT_DONE;
}

static void tell_read(struct cut *k, const char *source, const struct feed_report *rep)
{
	const struct blocklist_stats *s = &rep->stats;
	struct buf *n = &k->notes;
	buf_addf(n, "%s (%s%s%s): %" PRIu64 " rows with addresses", source,
	         blocklist_format_str(rep->format), s->title[0] ? ", " : "", s->title, s->entries);
	if (s->ended)
		buf_addf(n, ", %" PRIu64 " that have ended", s->ended);
	if (s->not_for_us)
		buf_addf(n, ", %" PRIu64 " that are not for blocking addresses", s->not_for_us);
	if (s->bad)
		buf_addf(n, ", %" PRIu64 " that cannot be read: the first, \"%s\"%s, %s", s->bad,
		         s->bad_text, s->bad_line ? "" : " (JSON)", s->bad_why);
	if (s->bad && s->bad_line)
		buf_addf(n, " (line %u)", s->bad_line);
	buf_addf(n, "\n");
	if (s->domains)
		buf_addf(n,
		         "%s: %" PRIu64 " domain names are not followed (%s%s%s, …): what they "
		         "resolve to changes; block single ones by name\n",
		         source, s->domains, rep->domains[0], rep->domains[1][0] ? ", " : "",
		         rep->domains[1]);
	if (rep->limits[0])
		buf_addf(n, "%s: it was read in a sandbox without one layer: %s\n", source,
		         rep->limits);
}

/* Entries of the same source in the newest order that took it; 0: none. */
static uint64_t entries_before(struct cut *k, const char *source, unsigned *ret_id)
{
	struct session s = {0};
	unsigned *ids = NULL;
	size_t n = 0;
	uint64_t before = 0;
	if (session_open_read(k->c, &s, NULL) < 0)
		return 0;
	if (s.journal)
		journal_list_orders(s.journal, NULL, true, &ids, &n, NULL);
	for (size_t i = 0; i < n; i++) {
		struct order o = {0};
		struct plan p = {0};
		if (journal_get_order(s.journal, ids[i], &o, &p, NULL, NULL) < 0)
			continue;
		for (size_t f = 0; f < o.n_feeds; f++)
			if (o.feeds[f].role == FEED_BLOCK && !strcmp(o.feeds[f].source, source)) {
				before = o.feeds[f].n;
				*ret_id = o.id;
			}
		order_free(&o);
		plan_free(&p);
	}
	free(ids);
	session_close(&s);
	return before;
}

static int check_whole(struct cut *k, const char *source, const struct feed_report *rep, size_t n)
{
	const struct blocklist_stats *s = &rep->stats;
	unsigned id = 0;
	if (n == 0)
		return refuse(k, NULL, "%.200s has no address in it%s%.100s", source,
		              s->bad ? "; the first row that cannot be read: " : "",
		              s->bad ? s->bad_text : "");
	if (s->bad * 100 > (s->bad + s->entries + s->domains) * FEED_BROKEN_PERCENT &&
	    !cut_forced(k, "feed-broken"))
		return refuse(k, "feed-broken",
		              "refused by guard feed-broken: of %.200s %" PRIu64 " rows cannot be "
		              "read (at most %d%% may be), the first in line %u: \"%s\": %s",
		              source, s->bad, FEED_BROKEN_PERCENT, s->bad_line, s->bad_text,
		              s->bad_why);
	if (s->declared > s->entries && !cut_forced(k, "feed-shrink"))
		return refuse(k, "feed-shrink",
		              "refused by guard feed-shrink: %.200s says that it has %" PRIu64
		              " entries, and has %" PRIu64 ": it was cut short",
		              source, s->declared, s->entries);
	uint64_t before = entries_before(k, source, &id);
	if (n * 100 < before * FEED_SHRINK_PERCENT && !cut_forced(k, "feed-shrink"))
		return refuse(
		    k, "feed-shrink",
		    "refused by guard feed-shrink: %.200s has %zu entries, and had %" PRIu64
		    " in o%u (at least %d%% of that are expected)",
		    source, n, before, id, FEED_SHRINK_PERCENT);
	return EXIT_DONE;
}

static int check_kind(struct cut *k, enum feed_role role, const char *source,
                      const struct feed_report *rep)
{
	if (role == FEED_ALLOW || rep->format != BLOCKLIST_WARNINGLIST)
		return EXIT_DONE;
	out_error(&k->c->out,
	          "%.200s is a MISP warning list, of what is not to be blocked: give it as --allow",
	          source);
	return EXIT_USAGE;
}

static int take(struct cut *k, enum feed_role role, const char *source, int format)
{
	struct err e = {0};
	struct feed_builder b = {0};
	struct feed_report rep = {0};
	if (strlen(source) >= FEED_SOURCE_MAX)
		return refuse(k, NULL, "%.60s…: the name of a feed is too long", source);
	int r = strstr(source, "://") ? read_url(k, source, format, &b, &rep, &e)
	                              : read_file(source, format, &b, &rep, &e);
	if (r < 0) {
		feed_builder_free(&b);
		bool named = !strncmp(e.text, source, strlen(source));
		return refuse(k, NULL, "%.200s%s%s", named ? "" : source, named ? "" : ": ",
		              e.text);
	}
	r = check_kind(k, role, source, &rep);
	if (r == EXIT_DONE) {
		tell_read(k, source, &rep);
		if (role == FEED_BLOCK && !cut_forced(k, "everything"))
			leave_out_wide(k, source, &b);
		r = check_whole(k, source, &rep, b.n);
	}
	if (r == EXIT_DONE)
		r = finish(k, role, source, blocklist_format_str(rep.format), &b);
	feed_builder_free(&b);
	return r;
}

/* ---- what is spared ---- */

/* --allow PREFIX joins what this host needs; --allow FILE is a list of its own. */
static int collect_allowed(struct cut *k)
{
	struct feed_builder own = {0};
	struct err e = {0};
	const struct arg_value *v;
	int r = spare_own(k, &own, &e) < 0 ? ctx_fail(k->c, EXIT_FAILED, &e) : EXIT_DONE;
	for (size_t i = 0; r == EXIT_DONE && (v = args_nth(k->a, "allow", i)); i++) {
		struct prefix p;
		if (prefix_parse(v->text, &p, NULL) == 0)
			feed_add(&own, &p, 0, 0, "--allow");
		else
			r = take(k, FEED_ALLOW, v->text, -1);
	}
	if (r == EXIT_DONE && own.n)
		r = finish(k, FEED_ALLOW, "this host", "spared", &own);
	feed_builder_free(&own);
	return r;
}

static int read_format(struct cut *k, int *ret)
{
	const char *text = args_text(k->a, "feed-format", NULL);
	*ret = text ? blocklist_format_parse(text) : -1;
	if (!text || *ret >= 0)
		return EXIT_DONE;
	struct buf names = BUF_INIT(256);
	for (int f = 0; f < _BLOCKLIST_MAX; f++)
		buf_addf(&names, "%s%s", f ? ", " : "",
		         blocklist_format_str((enum blocklist_format)f));
	out_error(&k->c->out, "--feed-format: \"%.40s\" is none of %s", text, buf_str(&names));
	buf_free(&names);
	return EXIT_USAGE;
}

int feeds_collect(struct cut *k)
{
	const struct arg_value *v;
	int format, r = read_format(k, &format);
	if (r == EXIT_DONE && !args_has(k->a, "feed") && args_has(k->a, "allow")) {
		out_error(&k->c->out, "--allow spares from feeds: it goes with --feed");
		return EXIT_USAGE;
	}
	if (r == EXIT_DONE && args_has(k->a, "feed") && !(k->at.n == 1 && via_has_self(&k->at))) {
		out_error(&k->c->out, "feeds are blocked by this host only: leave --via out");
		return EXIT_REFUSED;
	}
	for (size_t i = 0; r == EXIT_DONE && (v = args_nth(k->a, "feed", i)); i++)
		r = take(k, FEED_BLOCK, v->text, format);
	if (r != EXIT_DONE || !k->order.n_feeds)
		return r;
	r = collect_allowed(k);
	return r == EXIT_DONE ? spare_tell(k) : r;
}

/* ---- what holds already ---- */

static bool same_feeds(const struct order *a, const struct order *b)
{
	bool same = a->n_feeds == b->n_feeds;
	for (size_t i = 0; same && i < a->n_feeds; i++)
		same = a->feeds[i].role == b->feeds[i].role &&
		       !strcmp(a->feeds[i].source, b->feeds[i].source) &&
		       !strcmp(a->feeds[i].sha256, b->feeds[i].sha256);
	return same;
}

/* The order that holds for good and wants just this; 0: none does. */
static unsigned holds_already(struct cut *k)
{
	struct session s = {0};
	unsigned *ids = NULL, found = 0;
	size_t n = 0;
	if (session_open_read(k->c, &s, NULL) < 0)
		return 0;
	if (s.journal)
		journal_list_orders(s.journal, NULL, true, &ids, &n, NULL);
	for (size_t i = 0; i < n && !found; i++) {
		struct order o = {0};
		struct plan p = {0};
		struct report rep = {0};
		if (journal_get_order(s.journal, ids[i], &o, &p, NULL, NULL) < 0)
			continue;
		if (o.state == ORDER_HELD && !o.n_targets && !o.deadlines.until_wall &&
		    same_feeds(&o, &k->order) && engine_verify(s.engine, o.id, &rep, NULL) == 0 &&
		    rep.outcome == ENGINE_DONE)
			found = o.id;
		report_free(&rep);
		order_free(&o);
		plan_free(&p);
	}
	free(ids);
	session_close(&s);
	return found;
}

bool feeds_hold(struct cut *k)
{
	if (!k->order.n_feeds || k->order.n_targets || k->until || k->confirm_within ||
	    args_has(k->a, "dry-run"))
		return false;
	unsigned id = holds_already(k);
	if (!id)
		return false;
	out_line(&k->c->out, "o%u holds just this already, read back: nothing has changed", id);
	out_json(&k->c->out, json_pack("{s:s, s:i}", "event_type", "unchanged", "order", (int)id));
	return true;
}

/* ---- in place of earlier orders ---- */

static bool has_source(const struct order *o, const char *source)
{
	for (size_t i = 0; i < o->n_feeds; i++)
		if (o->feeds[i].role == FEED_BLOCK && !strcmp(o->feeds[i].source, source))
			return true;
	return false;
}

/* Ends no later than the new one, and has nothing that the new one lacks. */
static bool is_replaced(const struct order *old, const struct order *now)
{
	bool any = false;
	if (old->id == now->id || old->n_targets || now->deadlines.confirm_by_wall ||
	    (now->deadlines.until_wall &&
	     (!old->deadlines.until_wall || old->deadlines.until_wall > now->deadlines.until_wall)))
		return false;
	for (size_t i = 0; i < old->n_feeds; i++) {
		if (old->feeds[i].role != FEED_BLOCK)
			continue;
		if (!has_source(now, old->feeds[i].source))
			return false;
		any = true;
	}
	return any;
}

static void replace_one(struct cut *k, struct session *s, unsigned id)
{
	struct order o = {0};
	struct plan p = {0};
	struct report rep = {0};
	struct err e = {0};
	if (journal_get_order(s->journal, id, &o, &p, NULL, &e) < 0)
		return;
	if (is_replaced(&o, &k->order)) {
		if (engine_undo(s->engine, id, &rep, &e) < 0)
			out_error(&k->c->out, "o%u has the same feeds and could not be undone: %s",
			          id, e.text);
		else
			out_line(&k->c->out,
			         "o%u took the same feeds before: o%u has taken its place", id,
			         k->order.id);
		report_free(&rep);
	}
	order_free(&o);
	plan_free(&p);
}

void feeds_replace(struct cut *k)
{
	struct session s = {0};
	struct err e = {0};
	unsigned *ids = NULL;
	size_t n = 0;
	if (session_open(k->c, JOURNAL_WRITE, &s, &e) < 0) {
		out_error(&k->c->out, "earlier orders of the same feeds stay: %s", e.text);
		return;
	}
	if (journal_list_orders(s.journal, NULL, true, &ids, &n, &e) == 0)
		for (size_t i = 0; i < n; i++)
			replace_one(k, &s, ids[i]);
	free(ids);
	session_close(&s);
}
