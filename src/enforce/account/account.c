/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Invariants
 *  1. Only the fields that the plan names change, under the locks of the account tools, and only
 *     where they still read as the plan saw them; undo the same way round.
 *  2. Nothing of the account's is copied or deleted: it is renamed, and renamed back.
 */
#include "enforce/account/account.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/sys.h"
#include "enforce/account/parts.h"
#include "enforce/account/pwlock.h"
#include "enforce/account/rewrite.h"
#include "kern/proc.h"

#define KIND_FIELDS "account.fields"
#define KIND_ASIDE  "account.aside"
#define TEXT_MAX    8192
#define SHOWN_MAX   8

static const char *const both[] = {"passwd", "shadow", NULL};
static const char *const left_open[] = {
    "root's own runuser, sudo -u and su, and units with User=, still run programs as it: "
    "neither lock nor expiry binds root",
    "nothing here reaches other hosts, or tokens that were handed out elsewhere",
};

struct account_ctx {
	char point[STEP_POINT_MAX];
	int root, etc;
};

static int no_memory(struct err *e)
{
	return err_set(e, -ENOMEM, "out of memory for an account's order");
}

static int account_open(const struct point *p, void **ret_ctx, struct err *e)
{
	struct account_ctx *c = calloc(1, sizeof *c);
	if (!c)
		return no_memory(e);
	snprintf(c->point, sizeof c->point, "%s", p->name);
	c->root = c->etc = -1;
	*ret_ctx = c;
	return 0;
}

static void account_close(void *ctx)
{
	struct account_ctx *c = ctx;
	if (!c)
		return;
	sys_closep(&c->root);
	sys_closep(&c->etc);
	free(c);
}

static int enter(struct account_ctx *c, struct err *e)
{
	if (c->root < 0)
		c->root = sys->open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0);
	if (c->root >= 0 && c->etc < 0)
		c->etc = path_open(c->root, "/etc", O_RDONLY | O_DIRECTORY);
	return c->etc < 0 ? err_set(e, -errno, "/etc cannot be opened: %s", strerror(errno)) : 0;
}

static int account_probe(void *ctx, struct capabilities *ret, struct err *e)
{
	struct err why = {0};
	struct capabilities k = {.n = 1};
	int r = enter(ctx, &why);
	if (r == 0)
		r = dir_writable(((struct account_ctx *)ctx)->etc, "/etc", &why);
	k.v[0].name = "account files";
	k.v[0].available = r == 0;
	snprintf(k.v[0].why_not, sizeof k.v[0].why_not, "%.150s", why.text);
	*ret = k;
	return 0;
}

/* --- plan --- */

static int read_file(struct account_ctx *c, enum passwd_file f, struct file_image *ret,
                     struct err *e)
{
	int r = file_read(c->etc, passwd_file_str(f), REWRITE_MAX, ret, e);
	return r < 0 ? err_prefix(e, r, "/etc") : 0;
}

static int note_before(const struct file_image *f, struct file_before *ret)
{
	uint8_t sum[SHA256_LEN];
	int r = sha256_of(f->bytes.data, f->bytes.len, sum);
	if (r == 0)
		hex_encode(sum, sizeof sum, ret->sha256);
	ret->sec = f->st.st_mtim.tv_sec;
	ret->nsec = f->st.st_mtim.tv_nsec;
	return r;
}

static int find_fields(struct account_ctx *c, const struct account *a, struct fields *ret,
                       struct err *e)
{
	struct file_image v[FIELD_FILES] = {0};
	int r = pwlock_look(c->etc, both, PWLOCK_PATIENCE, e);
	for (int i = 0; r == 0 && i < FIELD_FILES; i++) {
		r = read_file(c, (enum passwd_file)i, &v[i], e);
		if (r == 0 && note_before(&v[i], &ret->before[i]) < 0)
			r = no_memory(e);
	}
	if (r == 0)
		r = account_edits(a, &v[PASSWD_PASSWD].bytes, &v[PASSWD_SHADOW].bytes, &ret->edits,
		                  e);
	for (int i = 0; i < FIELD_FILES; i++)
		file_image_free(&v[i]);
	return r;
}

static void names_text(const struct account *a, struct buf *out)
{
	char clean[TARGET_NAME_MAX];
	for (size_t i = 0; i < a->n; i++) {
		proc_clean(a->v[i].name, strlen(a->v[i].name), clean, sizeof clean);
		buf_addf(out, "%s%s", i ? ", " : "", clean);
	}
}

static void places_text(const struct places *p, struct buf *out)
{
	char clean[PATHS_MAX];
	for (size_t i = 0; i < p->n && i < SHOWN_MAX; i++) {
		proc_clean(p->v[i].path, strlen(p->v[i].path), clean, sizeof clean);
		buf_addf(out, "%s%s (%s)", i ? ", " : "", clean, p->v[i].what);
	}
	if (p->n > SHOWN_MAX)
		buf_addf(out, " and %zu more", p->n - SHOWN_MAX);
}

static int fill(struct step *s, const char *effect, const char *undo, struct err *e)
{
	s->required = true;
	s->effect = strdup(effect);
	s->undo_effect = strdup(undo);
	s->inverse = s->forward ? strdup(s->forward) : NULL;
	return s->effect && s->undo_effect && s->inverse ? 0 : no_memory(e);
}

static int add_fields(struct account_ctx *c, const struct account *a, struct plan *p, struct err *e)
{
	struct fields *f = calloc(1, sizeof *f);
	struct buf text = BUF_INIT(TEXT_MAX);
	int r = f ? find_fields(c, a, f, e) : no_memory(e);
	if (r == 0 && f->edits.n) {
		struct step *s = plan_add_step(p, c->point, KIND_FIELDS);
		buf_addf(&text, "locks and expires ");
		names_text(a, &text);
		buf_addf(&text, " (uid %u): %zu fields of /etc/shadow and /etc/passwd", a->uid,
		         f->edits.n);
		r = s ? fields_to_json(f, &s->forward, e) : no_memory(e);
		if (r == 0)
			r = fill(s, buf_str(&text),
			         "each field gets back what stood there, where it still holds what "
			         "was written",
			         e);
	}
	if (f)
		edits_free(&f->edits);
	free(f);
	buf_free(&text);
	return r;
}

static int add_aside(struct account_ctx *c, const struct account *a, const struct mentions *m,
                     struct plan *p, struct err *e)
{
	struct places found = {0};
	struct buf text = BUF_INIT(TEXT_MAX);
	struct step *s = plan_add_step(p, c->point, KIND_ASIDE);
	int r = s ? places_find(c->root, a, m, s->token, &found, e) : no_memory(e);
	if (r == 0 && !found.n) {
		step_free(s);
		p->n_steps--;
	} else if (r == 0) {
		buf_addf(&text, "sets aside ");
		places_text(&found, &text);
		r = places_to_json(&found, &s->forward, e);
		if (r == 0)
			r = fill(s, buf_str(&text),
			         "each goes back to its place, as it was, unless something new is "
			         "there",
			         e);
	}
	places_free(&found);
	buf_free(&text);
	return r;
}

static int note_mentions(const struct mentions *m, struct plan *p, struct err *e)
{
	struct buf text = BUF_INIT(TEXT_MAX);
	int r = 0;
	for (int k = 0; r == 0 && k < _MENTION_MAX; k++) {
		buf_reset(&text);
		mentions_text(m, (enum mention_kind)k, &text);
		r = text.len ? plan_note(p, "%s", buf_str(&text)) : 0;
	}
	if (r == 0 && m->unread)
		r = plan_note(p,
		              "%zu files or folders of sudo, cron, systemd could not be read: what "
		              "names it there is not known",
		              m->unread);
	buf_free(&text);
	return r < 0 ? no_memory(e) : 0;
}

static int plan_one(struct account_ctx *c, const struct target *t, struct plan *p, struct err *e)
{
	struct account *a = calloc(1, sizeof *a);
	struct mentions m = {0};
	if (!a)
		return no_memory(e);
	int r = account_find(c->root, t->name, a, e);
	if (r == 0 && a->uid_known && a->uid == 0)
		r = err_set(e, -EPERM, "uid 0 is root, and is not disabled");
	if (r == 0 && !a->local)
		r = err_set(
		    e, -EOPNOTSUPP,
		    "%.100s comes from a directory and has no line here to lock: disable it "
		    "there, and freeze account here",
		    a->v[0].name);
	if (r == 0)
		r = add_fields(c, a, p, e);
	if (r == 0)
		r = mentions_find(c->root, a, &m, e);
	if (r == 0)
		r = add_aside(c, a, &m, p, e);
	if (r == 0)
		r = note_mentions(&m, p, e);
	mentions_free(&m);
	free(a);
	return r;
}

static int account_plan(void *ctx, const struct order *o, const struct holds *others,
                        struct plan *ret, struct err *e)
{
	struct account_ctx *c = ctx;
	struct plan p = {0};
	(void)others;
	int r = enter(c, e);
	if (r == 0)
		r = dir_writable(c->etc, "/etc", e);
	for (size_t i = 0; r == 0 && i < o->n_targets; i++)
		r = plan_one(c, &o->targets[i], &p, e);
	for (size_t i = 0; r == 0 && i < ARRAY_SIZE(left_open); i++)
		if (plan_note(&p, "%s", left_open[i]) < 0)
			r = no_memory(e);
	if (r == 0 && plan_set_dim(&p, DIM_LOGINS, DIM_CONTAINED, NULL) < 0)
		r = no_memory(e);
	if (r < 0)
		plan_free(&p);
	else
		*ret = p;
	return r;
}

static int account_prepare(void *ctx, const struct order *o, struct step *s, struct err *e)
{
	return 0; /* nothing is destroyed */
}

/* --- fields --- */

static bool reads_as_before(const struct buf *b, const struct file_before *before)
{
	uint8_t sum[SHA256_LEN];
	char hex[SHA256_HEX_MAX];
	return sha256_of(b->data, b->len, sum) == 0 &&
	       !strcmp(hex_encode(sum, sizeof sum, hex), before->sha256);
}

static int write_file(struct account_ctx *c, const struct fields *f, enum passwd_file file,
                      bool back, struct buf *told, struct err *e)
{
	struct file_image now = {0};
	struct buf out = BUF_INIT(REWRITE_MAX + EDITS_MAX * EDIT_VALUE_MAX);
	const struct timespec was = {f->before[file].sec, f->before[file].nsec};
	size_t changed = 0, had = told->len;
	int r = read_file(c, file, &now, e);
	if (r == 0 && edits_write(&f->edits, file, back, now.bytes.data, now.bytes.len, &out, told,
	                          &changed) < 0)
		r = no_memory(e);
	if (r == 0 && !back && told->len > had)
		r = err_set(e, -ESTALE, "%.*s", (int)strcspn(buf_str(told), "\n"), buf_str(told));
	bool same = back && reads_as_before(&out, &f->before[file]);
	if (r == 0 && changed)
		r = file_swap(c->etc, passwd_file_str(file), &now, out.data, out.len,
		              same ? &was : NULL, e);
	file_image_free(&now);
	buf_free(&out);
	return r;
}

static int write_fields(struct account_ctx *c, const struct fields *f, bool back, struct err *e)
{
	struct pwlock lock = {.pwd = -1};
	struct buf told = BUF_INIT(TEXT_MAX);
	int r = pwlock_take(c->etc, both, PWLOCK_PATIENCE, &lock, e);
	if (r < 0)
		return r;
	sys->mark("account:locked");
	for (size_t i = 0; both[i]; i++)
		file_clear(c->etc, both[i]);
	for (int i = 0; r == 0 && i < FIELD_FILES; i++)
		r = write_file(c, f, (enum passwd_file)(back ? i : FIELD_FILES - 1 - i), back,
		               &told, e);
	pwlock_drop(&lock);
	if (r == 0 && back && told.len) {
		for (size_t i = 0; i + 1 < told.len; i++)
			told.data[i] = told.data[i] == '\n' ? ';' : told.data[i];
		r = err_set(e, -ESTALE, "%.*s", (int)told.len - 1, buf_str(&told));
	}
	buf_free(&told);
	return r;
}

static int look_at_fields(struct account_ctx *c, const struct fields *f, struct readback *rb,
                          struct err *e)
{
	struct file_image v[FIELD_FILES] = {0};
	struct buf drift = BUF_INIT(TEXT_MAX);
	size_t done = 0, undone = 0;
	int r = 0;
	for (int i = 0; r == 0 && i < FIELD_FILES; i++)
		r = read_file(c, (enum passwd_file)i, &v[i], e);
	for (size_t i = 0; r == 0 && i < f->edits.n; i++) {
		const struct edit *x = &f->edits.v[i];
		const struct buf *b = &v[x->file].bytes;
		enum edit_state s = edit_look(x, b->data, b->len);
		done += s == EDIT_DONE;
		undone += s == EDIT_UNDONE;
		if (s != EDIT_DONE)
			buf_addf(&drift, "the %s of %s in /etc/%s is not as ordered\n",
			         edit_what(x), x->name, passwd_file_str(x->file));
	}
	if (r == 0) {
		rb->verdict = done == f->edits.n     ? VERDICT_HOLDS
		              : undone == f->edits.n ? VERDICT_ABSENT
		                                     : VERDICT_DRIFTED;
		if (rb->verdict == VERDICT_DRIFTED)
			rb->drift = buf_steal(&drift);
	}
	for (int i = 0; i < FIELD_FILES; i++)
		file_image_free(&v[i]);
	buf_free(&drift);
	return r;
}

/* --- places --- */

static bool stands(int root, const char *path)
{
	struct stat st;
	const char *name;
	_cleanup_close_ int dir = path_parent(root, path, &name);
	return dir >= 0 && fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) == 0;
}

static void look_at_places(struct account_ctx *c, const struct places *p, struct readback *rb)
{
	struct buf drift = BUF_INIT(TEXT_MAX);
	size_t done = 0, undone = 0;
	for (size_t i = 0; i < p->n; i++) {
		bool here = stands(c->root, p->v[i].path), there = stands(c->root, p->v[i].to);
		done += there && !here;
		undone += here && !there;
		if (here)
			buf_addf(&drift, "%s stands in its place%s\n", p->v[i].path,
			         there ? " again: it was made anew" : "");
		else if (!there)
			buf_addf(&drift, "%s, which was set aside as %s, is gone\n", p->v[i].path,
			         p->v[i].to);
	}
	rb->verdict = done == p->n     ? VERDICT_HOLDS
	              : undone == p->n ? VERDICT_ABSENT
	                               : VERDICT_DRIFTED;
	if (rb->verdict == VERDICT_DRIFTED)
		rb->drift = buf_steal(&drift);
	buf_free(&drift);
}

/* --- the table --- */

enum what { DO_APPLY, DO_UNDO, DO_LOOK };

static int on_fields(struct account_ctx *c, const char *json, enum what w, struct readback *rb,
                     struct err *e)
{
	struct fields *f = calloc(1, sizeof *f);
	int r = f ? fields_from_json(json, f, e) : no_memory(e);
	if (r == 0)
		r = w == DO_LOOK ? look_at_fields(c, f, rb, e)
		                 : write_fields(c, f, w == DO_UNDO, e);
	if (f)
		edits_free(&f->edits);
	free(f);
	return r;
}

static int on_places(struct account_ctx *c, const char *json, enum what w, struct readback *rb,
                     struct err *e)
{
	struct places p = {0};
	int r = places_from_json(json, &p, e);
	if (r == 0 && w == DO_LOOK)
		look_at_places(c, &p, rb);
	else if (r == 0)
		r = places_move(c->root, &p, w == DO_UNDO, e);
	places_free(&p);
	return r;
}

static int on_step(void *ctx, const struct step *s, const char *json, enum what w,
                   struct readback *rb, struct err *e)
{
	int r = enter(ctx, e);
	if (r < 0)
		return r;
	if (!strcmp(s->kind, KIND_FIELDS))
		return on_fields(ctx, json, w, rb, e);
	if (!strcmp(s->kind, KIND_ASIDE))
		return on_places(ctx, json, w, rb, e);
	return err_set(e, -EBADMSG, "\"%s\" is no kind of step of an account", s->kind);
}

static int account_apply(void *ctx, const struct order *o, struct step *s,
                         const struct holds *others, struct err *e)
{
	return on_step(ctx, s, s->forward, DO_APPLY, NULL, e);
}

static int account_undo(void *ctx, const struct order *o, struct step *s,
                        const struct holds *others, struct err *e)
{
	return on_step(ctx, s, s->inverse, DO_UNDO, NULL, e);
}

static int account_verify(void *ctx, const struct order *o, const struct step *s,
                          const struct holds *others, struct readback *ret, struct err *e)
{
	struct readback rb = {0};
	int r = on_step(ctx, s, s->forward, DO_LOOK, &rb, e);
	if (r < 0)
		return r;
	rb.dims[DIM_LOGINS] = rb.verdict == VERDICT_HOLDS    ? DIM_CONTAINED
	                      : rb.verdict == VERDICT_ABSENT ? DIM_RELEASED
	                                                     : DIM_PARTIAL;
	*ret = rb;
	return 0;
}

static int account_rearm(void *ctx, const struct order *o, struct step *s,
                         const struct holds *others, struct err *e)
{
	return 0; /* the clock is the journal's alone */
}

static int describe_fields(const char *json, struct buf *out, struct err *e)
{
	struct fields *f = calloc(1, sizeof *f);
	int r = f ? fields_from_json(json, f, e) : no_memory(e);
	for (size_t i = 0; r == 0 && i < f->edits.n; i++)
		buf_addf(out, "/etc/%s: the %s of %s\n", passwd_file_str(f->edits.v[i].file),
		         edit_what(&f->edits.v[i]), f->edits.v[i].name);
	if (f)
		edits_free(&f->edits);
	free(f);
	return r;
}

static int account_describe(void *ctx, const struct order *o, const struct step *s, struct buf *out,
                            struct err *e)
{
	struct places p = {0};
	if (!strcmp(s->kind, KIND_FIELDS))
		return describe_fields(s->forward, out, e);
	int r = places_from_json(s->forward, &p, e);
	for (size_t i = 0; r == 0 && i < p.n; i++)
		buf_addf(out, "mv %s %s (uid %u, gid %u, mode %04o%s%s)\n", p.v[i].path, p.v[i].to,
		         p.v[i].uid, p.v[i].gid, p.v[i].mode, *p.v[i].sha256 ? ", sha256 " : "",
		         p.v[i].sha256);
	places_free(&p);
	return r < 0 ? r : out->error;
}

static int account_strays(void *ctx, const struct holds *claims, bool remove, struct buf *out,
                          struct err *e)
{
	return 0; /* its marks are the fields themselves, which say nothing of who wrote them */
}

static const struct setting_key no_settings[] = {{NULL}};

const struct driver_ops account_driver = {
    .name = "account",
    .settings = no_settings,
    .open = account_open,
    .close = account_close,
    .probe = account_probe,
    .plan = account_plan,
    .prepare = account_prepare,
    .apply = account_apply,
    .verify = account_verify,
    .undo = account_undo,
    .rearm = account_rearm,
    .describe = account_describe,
    .strays = account_strays,
};
