/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Invariants
 *  1. Entries are put in front of a list that is bound; a list is never bound, unbound or replaced:
 *     where none is bound, binding one would bring its implicit deny.
 *  2. What stands in a list already and is not an order's of ours is not taken for ours: the order
 * is refused. So what reads as ours was put there by us.
 *  3. Nothing is saved to the device's start-up configuration.
 */
#include "enforce/cli/cli.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/table.h"
#include "enforce/cli/cut.h"
#include "enforce/cli/sessions.h"
#include "enforce/cli/talk.h"
#include "enforce/point_payload.h"
#include "enforce/point_sessions.h"
#include "enforce/ssh_point.h"

#define KIND_ENTRIES  "cli.entries"
#define KIND_SESSIONS "cli.sessions"
#define SHOWN_MAX     (8u << 20)

struct cli {
	const struct point *point;
	struct ssh_point ssh;
	struct device *d;
};

/* --- opening --- */

static int read_description(const char *path, struct device **ret, struct err *e)
{
	char *text = calloc(1, DEVICE_TEXT_MAX + 1);
	struct stat st;
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	int r = !text    ? err_set(e, -ENOMEM, "out of memory")
	        : fd < 0 ? err_set(e, -errno, "%s cannot be opened: %s", path, strerror(errno))
	                 : 0;
	if (r == 0 && (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) || st.st_mode & S_IWOTH ||
	               st.st_size > DEVICE_TEXT_MAX))
		r = err_set(e, -EPERM,
		            "%s is no description that can be trusted: a regular file of at most "
		            "%u bytes that not anyone may write to",
		            path, DEVICE_TEXT_MAX);
	if (r == 0 && read(fd, text, DEVICE_TEXT_MAX) < 0)
		r = err_set(e, -errno, "%s cannot be read: %s", path, strerror(errno));
	if (r == 0)
		r = device_parse(path, text, ret, e);
	if (fd >= 0)
		close(fd);
	free(text);
	return r;
}

static void cli_close(void *ctx)
{
	struct cli *c = ctx;
	if (c)
		device_free(c->d);
	free(c);
}

static int cli_open(const struct point *p, void **ret_ctx, struct err *e)
{
	struct cli *c = calloc(1, sizeof *c);
	const char *file = section_get(p->config, "device_file", 0);
	const char *name = section_get(p->config, "device", 0);
	if (!c)
		return err_set(e, -ENOMEM, "out of memory");
	c->point = p;
	ssh_point_init(&c->ssh, p->config, 22);
	int r = file   ? read_description(file, &c->d, e)
	        : name ? device_builtin(name, &c->d, e)
	               : err_set(e, -EINVAL, "\"%s\" says neither device nor device_file", p->name);
	if (r < 0)
		cli_close(c);
	else
		*ret_ctx = c;
	return r;
}

static int connect_to(const struct cli *c, struct talk **ret, struct err *e)
{
	const struct section *s = c->point->config;
	const char *file = section_get(s, "enable_file", 0), *env = section_get(s, "enable_env", 0);
	struct secret login = {0}, enable = {0};
	struct ssh_target t;
	int r = ssh_point_target(&c->ssh, &t, &login, e);
	if (r == 0 && (file || env))
		r = file ? secret_from_file(file, &enable, e) : secret_from_env(env, &enable, e);
	if (r == 0)
		r = talk_open(&t, c->d, enable.text, ret, e);
	secret_free(&login);
	secret_free(&enable);
	return r;
}

/* --- reading the device --- */

static int show(struct talk *t, const char *key, const struct device_vars *v, struct buf *out,
                struct err *e)
{
	*out = BUF_INIT(SHOWN_MAX);
	return talk_all(t, key, v, out, e);
}

static int read_rows(const struct cli *c, struct talk *t, const char *list, struct cli_rows *ret,
                     struct err *e)
{
	struct buf shown;
	int r = show(t, "entries.show", &(struct device_vars){.list = list}, &shown, e);
	if (r == 0)
		r = cli_rows_parse(c->d, buf_str(&shown), ret, e);
	buf_free(&shown);
	return r;
}

static int read_bindings(const struct cli *c, struct talk *t, struct cli_binding **ret, size_t *n,
                         struct err *e)
{
	struct buf shown = {0};
	const char *fixed = device_get(c->d, "lists.fixed", 0);
	if (fixed) {
		*ret = calloc(1, sizeof **ret);
		if (!*ret)
			return err_set(e, -ENOMEM, "out of memory");
		snprintf((*ret)->list, CLI_NAME_MAX, "%s", fixed);
		*n = 1;
		return 0;
	}
	int r = show(t, "lists.show", &(struct device_vars){0}, &shown, e);
	if (r == 0)
		r = cli_bindings_parse(c->d, buf_str(&shown), ret, n, e);
	buf_free(&shown);
	return r;
}

/* --- other orders here --- */

/* Entries of every other order of ours in that list. */
static int others_in(const struct cli *c, const struct holds *holds, const char *list,
                     struct cli_texts *ret, struct err *e)
{
	int r = 0;
	for (size_t i = 0; holds && r == 0 && i < holds->n; i++) {
		struct cli_cut other = {0};
		struct cli_texts texts = {0};
		const struct step *s = holds->v[i].step;
		if (strcmp(s->kind, KIND_ENTRIES) != 0 || !s->forward ||
		    cli_cut_from_json(s->forward, &other, NULL) < 0)
			continue;
		bool there = false;
		for (size_t k = 0; k < other.n_lists; k++)
			there |= !strcmp(other.lists[k], list);
		if (there)
			r = cli_entries(c->d, &other, &texts, e);
		for (size_t k = 0; r == 0 && k < texts.n; k++)
			r = cli_texts_add(ret, texts.v[k], e);
		cli_texts_free(&texts);
		cli_cut_free(&other);
	}
	return r;
}

/* What is done with one list: its rows as they are, what ours are, what others' are. */
struct at_list {
	const char *name;
	struct cli_rows rows;
	struct cli_texts want, others;
};

static void at_list_free(struct at_list *l)
{
	cli_rows_free(&l->rows);
	cli_texts_free(&l->want);
	cli_texts_free(&l->others);
}

static int at_list_read(const struct cli *c, struct talk *t, const struct cli_cut *cut, size_t i,
                        const struct holds *holds, struct at_list *l, struct err *e)
{
	*l = (struct at_list){.name = cut->lists[i]};
	int r = read_rows(c, t, l->name, &l->rows, e);
	if (r == 0)
		r = cli_entries(c->d, cut, &l->want, e);
	if (r == 0)
		r = others_in(c, holds, l->name, &l->others, e);
	if (r < 0)
		at_list_free(l);
	return r;
}

/* --- probe --- */

static int cli_probe(void *ctx, struct capabilities *ret, struct err *e)
{
	const struct cli *c = ctx;
	struct talk *t = NULL;
	struct cli_binding *v = NULL;
	size_t n = 0;
	struct err why = {0};
	bool in = connect_to(c, &t, &why) == 0;
	point_can(ret, "login", in, why.text);
	bool read = in && read_bindings(c, t, &v, &n, &why) == 0;
	point_can(ret, "lists", read && n,
	          read ? "no access list is bound to any interface" : why.text);
	point_can(ret, "IPv6", cli_family_known(c->d, ADDR_V6),
	          "the description of this kind of device has none");
	point_can(ret, "permits", device_get(c->d, "entry.permit", 0) != NULL,
	          "the description of this kind of device has none: --keep is refused");
	point_can(ret, "session clear", device_get(c->d, "sessions.clear", 0) != NULL,
	          "lists of this kind of device are stateless: they cut what is established, too");
	talk_close(t);
	free(v);
	return 0;
}

/* --- plan --- */

static int fill_packets(const struct cli *c, const struct order *o, struct cli_cut *cut,
                        struct err *e)
{
	int r = point_order_prefixes(c->point, o, CLI_PREFIXES_MAX, &cut->prefixes,
	                             &cut->n_prefixes, e);
	if (r == 0)
		r = point_order_permits(o, &cut->permits, &cut->n_permits, e);
	if (r < 0)
		return r;
	for (size_t i = 0; i < cut->n_prefixes; i++)
		if (cli_family_known(c->d, cut->prefixes[i].addr.family))
			return 0;
	return err_set(e, -EOPNOTSUPP, "the description of this kind of device knows no IPv6");
}

static bool wants_interface(const struct cli *c, const struct order *o, const char *interface)
{
	const struct asset *a = o->verb == VERB_ISOLATE
	                            ? inventory_asset(c->point->inventory, o->targets[0].name)
	                            : NULL;
	const char *point = c->point->name, *text;
	size_t n = strlen(point);
	bool named = false;
	for (size_t i = 0; a && (text = section_get(&a->s, "interface", i)); i++) {
		if (strncmp(text, point, n) != 0 || text[n] != ':')
			continue;
		named = true;
		if (!strcmp(text + n + 1, interface))
			return true;
	}
	for (size_t i = 0; !named && (text = section_get(c->point->config, "interfaces", i)); i++) {
		named = true;
		if (!strcmp(text, interface))
			return true;
	}
	return !named;
}

static int fill_lists(const struct cli *c, const struct order *o, struct talk *t,
                      struct cli_cut *cut, struct err *e)
{
	struct cli_binding *v = NULL;
	size_t n = 0;
	int r = read_bindings(c, t, &v, &n, e);
	for (size_t i = 0; r == 0 && i < n; i++) {
		bool known = v[i].interface[0] && !wants_interface(c, o, v[i].interface);
		for (size_t k = 0; k < cut->n_lists; k++)
			known |= !strcmp(cut->lists[k], v[i].list);
		if (known)
			continue;
		if (cut->n_lists >= CLI_LISTS_MAX)
			r = err_set(e, -E2BIG, "more than %d lists are bound: name interfaces",
			            CLI_LISTS_MAX);
		else
			strcpy(cut->lists[cut->n_lists++], v[i].list);
	}
	if (r == 0 && !cut->n_lists)
		r = err_set(e, -EOPNOTSUPP,
		            "no access list is bound where it was looked for; binding one would "
		            "bring its implicit deny for everybody. Bind one that permits, then "
		            "order again");
	free(v);
	return r;
}

/* Numbers that are free in front of the first, where the device numbers its entries. */
static int check_room(const struct cli *c, const struct at_list *l, struct err *e)
{
	const char *line = device_get(c->d, "insert.line", 0);
	if (!device_get(c->d, "entries.number", 0) || !strstr(line, "{position}") || !l->rows.n ||
	    l->rows.v[0].number > (long)l->want.n)
		return 0;
	return err_set(
	    e, -ENOSPC,
	    "list %s begins with number %ld: %zu entries do not fit in front. Make room on "
	    "the device (resequence), then order again",
	    l->name, l->rows.v[0].number, l->want.n);
}

static int check_foreign(const struct at_list *l, struct err *e)
{
	for (size_t i = 0; i < l->rows.n; i++)
		if (cli_texts_has(&l->want, l->rows.v[i].text) &&
		    !cli_texts_has(&l->others, l->rows.v[i].text))
			return err_set(e, -EEXIST,
			               "list %s holds \"%.120s\" already, and no order of this "
			               "journal put it there; it could not be put in front, nor be "
			               "told from ours",
			               l->name, l->rows.v[i].text);
	return 0;
}

static bool has_prefix(const struct cli_cut *c, const struct prefix *p)
{
	for (size_t i = 0; i < c->n_prefixes; i++)
		if (c->prefixes[i].len == p->len && addr_equal(&c->prefixes[i].addr, &p->addr))
			return true;
	return false;
}

/* One other order cuts all of it already, and keeps as much. */
static bool is_done(const struct cli_cut *cut, const struct holds *holds)
{
	for (size_t i = 0; holds && i < holds->n; i++) {
		struct cli_cut other = {0};
		const struct step *s = holds->v[i].step;
		if (strcmp(s->kind, KIND_ENTRIES) != 0 || !s->forward ||
		    cli_cut_from_json(s->forward, &other, NULL) < 0)
			continue;
		size_t n = 0;
		for (size_t k = 0; k < cut->n_prefixes; k++)
			n += has_prefix(&other, &cut->prefixes[k]);
		bool done = n == cut->n_prefixes && other.n_permits == cut->n_permits;
		cli_cut_free(&other);
		if (done)
			return true;
	}
	return false;
}

static int check_lists(const struct cli *c, struct talk *t, const struct cli_cut *cut,
                       const struct holds *holds, struct err *e)
{
	int r = is_done(cut, holds)
	            ? err_set(e, -EALREADY, "an order of this journal does that here already")
	            : 0;
	for (size_t i = 0; r == 0 && i < cut->n_lists; i++) {
		struct at_list l;
		r = at_list_read(c, t, cut, i, holds, &l, e);
		if (r < 0)
			break;
		r = check_foreign(&l, e);
		if (r == 0)
			r = check_room(c, &l, e);
		at_list_free(&l);
	}
	return r;
}

static int add_step(const struct cli *c, struct cli_cut *cut, const char *kind, char *effect,
                    const char *undo, struct plan *p, struct err *e)
{
	struct step *s = plan_add_step(p, c->point->name, kind);
	bool inverse = !strcmp(kind, KIND_ENTRIES);
	if (!s || !effect) {
		free(effect);
		return err_set(e, -ENOMEM, "out of memory while planning");
	}
	s->effect = effect;
	if (inverse)
		snprintf(cut->tag, sizeof cut->tag, "stanch-%.12s", s->token);
	int r = cli_cut_to_json(cut, &s->forward, e);
	if (r < 0)
		return r;
	s->required = inverse;
	s->inverse = inverse ? strdup(s->forward) : NULL;
	*(inverse ? &s->undo_effect : &s->no_inverse) = strdup(undo);
	return s->inverse || !inverse ? 0 : err_set(e, -ENOMEM, "out of memory while planning");
}

static char *effect_text(const struct cli *c, const struct order *o, const struct cli_cut *cut)
{
	struct buf out = BUF_INIT(256u << 10);
	char text[PREFIX_STR_MAX];
	buf_addf(&out, "denies what comes from or goes to ");
	for (size_t i = 0, n = 0; i < cut->n_prefixes; i++)
		if (cli_family_known(c->d, cut->prefixes[i].addr.family))
			buf_addf(&out, "%s%s", n++ ? ", " : "",
			         prefix_str(&cut->prefixes[i], text));
	for (size_t i = 0, n = 0; i < o->n_permits; i++)
		if (o->permits[i].kind == PERMIT_FLOW) {
			buf_addf(&out, "%s", n++ ? "; " : ", except ");
			permit_describe(&o->permits[i], &out);
		}
	buf_addf(&out, "; first in ");
	for (size_t i = 0; i < cut->n_lists; i++)
		buf_addf(&out, "%s%s", i ? ", " : "", cut->lists[i]);
	char *s = buf_steal(&out);
	buf_free(&out);
	return s;
}

static int add_notes(const struct cli *c, const struct order *o, const struct cli_cut *cut,
                     struct plan *p, struct err *e)
{
	int r = 0;
	for (size_t i = 0; r == 0 && i < cut->n_prefixes; i++) {
		enum addr_family f = cut->prefixes[i].addr.family;
		bool known = cli_family_known(c->d, f);
		r = plan_set_dim(
		    p, f == ADDR_V4 ? DIM_V4 : DIM_V6, known ? DIM_CONTAINED : DIM_PARTIAL,
		    known ? NULL : "the description of this kind of device knows no IPv6");
	}
	if (r == 0)
		r = plan_note(p, "nothing is saved to the start-up configuration: a restart of the "
		                 "device lifts it");
	if (r == 0 && o->deadlines.confirm_by_wall)
		r = plan_note(
		    p,
		    "the device holds no deadline: when the time has passed stanch guard --points, "
		    "or the next stanch command that changes something, with this journal, "
		    "lifts this");
	return r < 0 ? err_set(e, r, "out of memory while planning") : 0;
}

static struct point_scope scope_of(const struct cli_cut *c)
{
	return (struct point_scope){c->prefixes, c->n_prefixes, c->permits, c->n_permits};
}

/* The table as it is now. Free it. */
static int read_sessions(const struct cli *c, struct talk *t, const struct cli_cut *cut,
                         struct point_sessions *ret, struct err *e)
{
	struct buf shown = BUF_INIT(SHOWN_MAX);
	int r = cli_sessions_each(c->d, t, cut, "sessions.show", &shown, &ret->not_asked, e);
	if (r == 0 && shown.len)
		r = point_sessions_err(
		    cli_sessions_parse(c->d, buf_str(&shown), point_sessions_add, ret),
		    c->point->name, e);
	buf_free(&shown);
	return r;
}

static int add_sessions(const struct cli *c, struct talk *t, struct cli_cut *cut, struct plan *p,
                        struct err *e)
{
	const struct point_scope scope = scope_of(cut);
	struct point_sessions table = {0};
	struct err why = {0};
	if (!device_get(c->d, "sessions.clear", 0))
		return 0;
	int r = add_step(c, cut, KIND_SESSIONS,
	                 strdup("clears the sessions of these addresses on the device"),
	                 "a session that was cleared cannot be opened again from here", p, e);
	if (r < 0 || !cli_sessions_readable(c->d))
		return r;
	r = read_sessions(c, t, cut, &table, &why) == 0
	        ? point_sessions_note(&table, &scope, p, e)
	        : plan_note(p, "who they talk to now could not be read: %s", why.text);
	point_sessions_free(&table);
	return r;
}

static int cli_plan(void *ctx, const struct order *o, const struct holds *others, struct plan *ret,
                    struct err *e)
{
	const struct cli *c = ctx;
	struct cli_cut cut = {.tag = "stanch-0"};
	struct talk *t = NULL;
	int r = fill_packets(c, o, &cut, e);
	if (r == 0)
		r = connect_to(c, &t, e);
	if (r == 0)
		r = fill_lists(c, o, t, &cut, e);
	if (r == 0)
		r = check_lists(c, t, &cut, others, e);
	if (r == 0)
		r = add_step(c, &cut, KIND_ENTRIES, effect_text(c, o, &cut),
		             "takes these entries out, and what was made for them", ret, e);
	if (r == 0)
		r = add_sessions(c, t, &cut, ret, e);
	if (r == 0)
		r = add_notes(c, o, &cut, ret, e);
	talk_close(t);
	cli_cut_free(&cut);
	return r;
}

/* --- changing lists --- */

static int each_object(const struct cli *c, struct talk *t, const struct cli_cut *cut,
                       const char *key, struct err *e)
{
	int r = 0;
	for (size_t i = 0; r == 0 && i < cut->n_prefixes; i++) {
		const struct prefix *p = &cut->prefixes[i];
		char object[64], address[ADDR_STR_MAX], mask[ADDR_STR_MAX];
		if (!cli_family_known(c->d, p->addr.family))
			continue;
		cli_object(cut, i, object);
		r = talk_all(t, key,
		             &(struct device_vars){.object = object,
		                                   .address = addr_str(&p->addr, address),
		                                   .mask = cli_mask(p, false, mask)},
		             NULL, e);
	}
	return r;
}

static long highest(const struct cli_rows *rows)
{
	long n = 0;
	for (size_t i = 0; i < rows->n; i++)
		n = rows->v[i].number > n ? rows->v[i].number : n;
	return n;
}

/* The i-th of k that are put in front. */
static int insert_one(const struct cli *c, struct talk *t, const struct at_list *l, size_t i,
                      size_t k, struct err *e)
{
	char position[24], number[24], first[24];
	bool numbered = device_get(c->d, "entries.number", 0) != NULL;
	long front = l->rows.n ? l->rows.v[0].number : (long)k + 1;
	snprintf(position, sizeof position, "%ld", numbered ? front - (long)(k - i) : (long)i + 1);
	snprintf(number, sizeof number, "%ld", highest(&l->rows) + 1 + (long)i);
	snprintf(first, sizeof first, "%ld", front);
	return talk_all(t, "insert.line",
	                &(struct device_vars){.list = l->name,
	                                      .entry = l->want.v[i],
	                                      .position = position,
	                                      .number = number,
	                                      .first = first},
	                NULL, e);
}

static int insert_all(const struct cli *c, struct talk *t, const struct at_list *l, struct err *e)
{
	struct device_vars v = {.list = l->name};
	int r = talk_all(t, "insert.before", &v, NULL, e);
	for (size_t i = 0; r == 0 && i < l->want.n; i++)
		if (!cli_texts_has(&l->others, l->want.v[i]))
			r = insert_one(c, t, l, i, l->want.n, e);
	return r < 0 ? r : talk_all(t, "insert.after", &v, NULL, e);
}

static int remove_all(struct talk *t, const struct at_list *l, struct err *e)
{
	struct device_vars v = {.list = l->name};
	size_t n = 0;
	int r = 0;
	for (size_t i = 0; r == 0 && i < l->rows.n; i++) {
		char number[24];
		const char *text = l->rows.v[i].text;
		if (!cli_texts_has(&l->want, text) || cli_texts_has(&l->others, text))
			continue;
		if (!n++)
			r = talk_all(t, "remove.before", &v, NULL, e);
		snprintf(number, sizeof number, "%ld", l->rows.v[i].number);
		if (r == 0)
			r = talk_all(
			    t, "remove.line",
			    &(struct device_vars){.list = l->name, .entry = text, .number = number},
			    NULL, e);
	}
	return r == 0 && n ? talk_all(t, "remove.after", &v, NULL, e) : r;
}

static int configure(struct talk *t, bool in, struct err *e)
{
	return talk_all(t, in ? "session.configure" : "session.leave", &(struct device_vars){0},
	                NULL, e);
}

static int change_list(const struct cli *c, struct talk *t, const struct cli_cut *cut, size_t i,
                       const struct holds *holds, bool insert, struct err *e)
{
	struct at_list l;
	int r = at_list_read(c, t, cut, i, holds, &l, e);
	if (r < 0)
		return r;
	if (insert)
		r = check_foreign(&l, e);
	if (r == 0 && insert)
		r = check_room(c, &l, e);
	if (r == 0 && device_get(c->d, "session.configure", 0))
		r = configure(t, true, e);
	if (r == 0)
		r = insert ? insert_all(c, t, &l, e) : remove_all(t, &l, e);
	if (device_get(c->d, "session.configure", 0)) {
		struct err why = {0};
		int x = configure(t, false, r < 0 ? &why : e);
		r = r < 0 ? r : x;
	}
	at_list_free(&l);
	return r;
}

static int remove_from_all(const struct cli *c, struct talk *t, const struct cli_cut *cut,
                           const struct holds *holds, struct err *e)
{
	int r = 0;
	for (size_t i = 0; r == 0 && i < cut->n_lists; i++)
		r = change_list(c, t, cut, i, holds, false, e);
	return r < 0 ? r : each_object(c, t, cut, "object.remove", e);
}

static int apply_entries(const struct cli *c, const struct cli_cut *cut, const struct holds *holds,
                         struct err *e)
{
	struct talk *t = NULL;
	struct err why = {0};
	int r = connect_to(c, &t, e);
	if (r < 0)
		return r;
	r = each_object(c, t, cut, "object.create", e);
	for (size_t i = 0; r == 0 && i < cut->n_lists; i++)
		r = change_list(c, t, cut, i, holds, true, e);
	/* On a conversation of its own: who knows where the first one stands. */
	if (r < 0) {
		talk_close(t);
		t = NULL;
		int x = connect_to(c, &t, &why);
		if (x == 0)
			x = remove_from_all(c, t, cut, holds, &why);
		if (x < 0)
			err_prefix(e, r, "some of it may stand (%.160s)", why.text);
	}
	talk_close(t);
	return r;
}

/* --- reading back --- */

static int read_back(const struct cli *c, const struct cli_cut *cut, const struct holds *holds,
                     size_t *there, size_t *wanted, struct buf *drift, struct err *e)
{
	struct talk *t = NULL;
	int r = connect_to(c, &t, e);
	*there = *wanted = 0;
	for (size_t i = 0; r == 0 && i < cut->n_lists; i++) {
		struct at_list l;
		struct cli_reading reading;
		r = at_list_read(c, t, cut, i, holds, &l, e);
		if (r < 0)
			break;
		cli_compare(&l.rows, &l.want, &l.others, &reading);
		*wanted += l.want.n;
		*there += reading.there;
		if (reading.there < l.want.n)
			buf_addf(drift, "list %s: %zu of %zu entries are not there\n", l.name,
			         l.want.n - reading.there, l.want.n);
		else if (reading.in_place < l.want.n)
			buf_addf(drift, "list %s: %zu of %zu entries do not stand in front\n",
			         l.name, l.want.n - reading.in_place, l.want.n);
		at_list_free(&l);
	}
	talk_close(t);
	return r;
}

/* What was cleared may be back, or was never gone. */
static int verify_sessions(const struct cli *c, const struct cli_cut *cut, struct readback *ret,
                           struct err *e)
{
	const struct point_scope scope = scope_of(cut);
	struct point_sessions table = {0};
	struct talk *t = NULL;
	if (!cli_sessions_readable(c->d)) {
		ret->verdict = VERDICT_UNKNOWN;
		ret->drift =
		    strdup("cleared; the description of this kind of device does not say how "
		           "its session table reads, so what is left is not known");
		return ret->drift ? 0 : err_set(e, -ENOMEM, "out of memory");
	}
	int r = connect_to(c, &t, e);
	if (r == 0)
		r = read_sessions(c, t, cut, &table, e);
	if (r == 0)
		r = point_sessions_verdict(&table, &scope, ret, e);
	talk_close(t);
	point_sessions_free(&table);
	return r;
}

static int cli_verify(void *ctx, const struct order *o, const struct step *s,
                      const struct holds *others, struct readback *ret, struct err *e)
{
	const struct cli *c = ctx;
	struct cli_cut cut = {0};
	struct buf drift = BUF_INIT(64u << 10);
	size_t there, wanted;
	int r = cli_cut_from_json(s->forward, &cut, e);
	if (r == 0 && !strcmp(s->kind, KIND_SESSIONS)) {
		r = verify_sessions(c, &cut, ret, e);
		cli_cut_free(&cut);
		return r;
	}
	if (r == 0)
		r = read_back(c, &cut, others, &there, &wanted, &drift, e);
	if (r == 0) {
		ret->verdict = !drift.len ? VERDICT_HOLDS
		               : there    ? VERDICT_DRIFTED
		                          : VERDICT_ABSENT;
		for (size_t i = 0; i < cut.n_prefixes; i++) {
			enum addr_family f = cut.prefixes[i].addr.family;
			ret->dims[f == ADDR_V4 ? DIM_V4 : DIM_V6] =
			    ret->verdict == VERDICT_HOLDS && !cli_family_known(c->d, f)
			        ? DIM_PARTIAL
			        : point_dim(ret->verdict);
		}
		ret->drift = drift.len ? buf_steal(&drift) : NULL;
	}
	buf_free(&drift);
	cli_cut_free(&cut);
	return r;
}

/* --- sessions, and the rest of the table --- */

static int each_session(const struct cli *c, const struct step *s, const char *key, struct buf *out,
                        struct err *e)
{
	struct cli_cut cut = {0};
	struct talk *t = NULL;
	size_t not_asked;
	int r = cli_cut_from_json(s->forward, &cut, e);
	if (r == 0)
		r = connect_to(c, &t, e);
	if (r == 0)
		r = cli_sessions_each(c->d, t, &cut, key, out, &not_asked, e);
	talk_close(t);
	cli_cut_free(&cut);
	return r;
}

static int cli_prepare(void *ctx, const struct order *o, struct step *s, struct err *e)
{
	struct buf out = BUF_INIT(SHOWN_MAX);
	if (strcmp(s->kind, KIND_SESSIONS) != 0)
		return 0;
	int r = each_session(ctx, s, "sessions.show", &out, e);
	if (r == 0)
		r = ssh_point_evidence(&out, "sessions", &s->evidence, e);
	buf_free(&out);
	return r;
}

static int cli_apply(void *ctx, const struct order *o, struct step *s, const struct holds *others,
                     struct err *e)
{
	struct cli_cut cut = {0};
	if (!strcmp(s->kind, KIND_SESSIONS))
		return each_session(ctx, s, "sessions.clear", NULL, e);
	int r = cli_cut_from_json(s->forward, &cut, e);
	if (r == 0)
		r = apply_entries(ctx, &cut, others, e);
	cli_cut_free(&cut);
	return r;
}

static int cli_undo(void *ctx, const struct order *o, struct step *s, const struct holds *others,
                    struct err *e)
{
	const struct cli *c = ctx;
	struct cli_cut cut = {0};
	struct buf drift = BUF_INIT(64u << 10);
	struct talk *t = NULL;
	size_t there = 0, wanted = 0;
	int r = cli_cut_from_json(s->inverse, &cut, e);
	if (r == 0)
		r = read_back(c, &cut, others, &there, &wanted, &drift, e);
	if (r == 0 && there)
		r = connect_to(c, &t, e);
	if (r == 0 && there)
		r = remove_from_all(c, t, &cut, others, e);
	talk_close(t);
	if (r == 0 && there && drift.len)
		r = err_set(e, -ESTALE, "removed, but others had changed it since: %.300s",
		            buf_str(&drift));
	buf_free(&drift);
	cli_cut_free(&cut);
	return r;
}

static int cli_rearm(void *ctx, const struct order *o, struct step *s, const struct holds *others,
                     struct err *e)
{
	return point_rearm(&cli_driver, ctx, o, s, others, "entries", e);
}

static int cli_describe(void *ctx, const struct order *o, const struct step *s, struct buf *out,
                        struct err *e)
{
	const struct cli *c = ctx;
	struct cli_cut cut = {0};
	struct cli_texts texts = {0};
	int r = cli_cut_from_json(s->forward, &cut, e);
	if (r == 0 && !strcmp(s->kind, KIND_SESSIONS))
		buf_addf(out, "%s   (for each address)\n", device_get(c->d, "sessions.clear", 0));
	else if (r == 0)
		r = cli_entries(c->d, &cut, &texts, e);
	for (size_t i = 0; r == 0 && i < cut.n_lists; i++)
		for (size_t k = 0; k < texts.n; k++)
			buf_addf(out, "list %s, %zu: %s\n", cut.lists[i], k + 1, texts.v[k]);
	cli_texts_free(&texts);
	cli_cut_free(&cut);
	return r < 0 ? r : out->error;
}

/* Entries of access lists carry no name of ours: nothing can be told from somebody's own. */
static int cli_strays(void *ctx, const struct holds *claims, bool remove, struct buf *out,
                      struct err *e)
{
	return 0;
}

static const struct setting_key cli_settings[] = {
    SSH_POINT_SETTINGS,
    {"device", false, false, "KIND", "What it is: asa, ios, fortios.", NULL},
    {"device_file", false, false, "FILE", "A description of one's own instead.", NULL},
    {"enable_file", false, false, "FILE", "A file that holds the password of enable.", NULL},
    {"enable_env", false, false, "NAME", "A variable of the environment that holds it.", NULL},
    {"interfaces", true, false, "IFACE",
     "Whose lists are used where the asset names none (default: every list that is bound).", NULL},
    {NULL},
};

const struct driver_ops cli_driver = {
    .name = "cli",
    .settings = cli_settings,
    .open = cli_open,
    .close = cli_close,
    .probe = cli_probe,
    .plan = cli_plan,
    .prepare = cli_prepare,
    .apply = cli_apply,
    .verify = cli_verify,
    .undo = cli_undo,
    .rearm = cli_rearm,
    .describe = cli_describe,
    .strays = cli_strays,
};
