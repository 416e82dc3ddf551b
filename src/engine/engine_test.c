/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The engine against a driver whose world is a directory: one file for each thing in force. */
#include "engine/engine.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "../../tests/faults/faults.h"
#include "base/sys.h"
#include "engine/life.h"
#include "journal/store.h"

static char dir[64], state[80], run_dir[64], world[80];

/* --- the driver --- */

static int way_in; /* what the check of the way in answers */
static bool fail_prepare, limit, refuse_plan_again;
static char fail_apply[16], fail_undo[16], fail_rearm[16];

static void thing_path(const struct step *s, char dst[static 128])
{
	snprintf(dst, 128, "%s/%s", world, s->kind);
}

static bool is(const struct step *s, const char *kind)
{
	return !strcmp(s->kind, kind);
}

static int fake_open(const struct point *p, void **ret, struct err *e)
{
	*ret = world;
	return 0;
}

static void fake_close(void *ctx)
{
}

static int fake_probe(void *ctx, struct capabilities *ret, struct err *e)
{
	ret->n = 0;
	return 0;
}

static int fake_plan(void *ctx, const struct order *o, const struct holds *others, struct plan *ret,
                     struct err *e)
{
	static const char *const kinds[] = {"cut", "raw", "kill"};
	if (refuse_plan_again && o->id)
		return err_set(e, -EALREADY, "is there already");
	for (size_t i = 0; i < 3; i++) {
		struct step *s = plan_add_step(ret, "self", kinds[i]);
		if (!s)
			return err_set(e, -ENOMEM, "out of memory");
		s->required = i == 0;
		s->forward = strdup("{}");
		if (i < 2)
			s->inverse = strdup("{}");
		else
			s->no_inverse = strdup("what is killed is dead");
		if (!s->forward || (!s->inverse && !s->no_inverse))
			return err_set(e, -ENOMEM, "out of memory");
	}
	return plan_set_dim(ret, DIM_V4, DIM_CONTAINED, NULL) ||
	               plan_set_dim(ret, DIM_RAW, DIM_CONTAINED, NULL)
	           ? err_set(e, -ENOMEM, "out of memory")
	           : 0;
}

static int fake_prepare(void *ctx, const struct order *o, struct step *s, struct err *e)
{
	if (is(s, "kill") && fail_prepare)
		return err_set(e, -EIO, "the evidence cannot be read");
	free(s->evidence);
	s->evidence = strdup("{\"seen\":1}");
	return s->evidence ? 0 : err_set(e, -ENOMEM, "out of memory");
}

static int thing_write(const struct order *o, const struct step *s, struct err *e)
{
	char path[128], tmp[140], text[64];
	thing_path(s, path);
	snprintf(tmp, sizeof tmp, "%s.new", path);
	int n = snprintf(text, sizeof text, "%s %llu", s->token,
	                 (unsigned long long)o->deadlines.confirm_by_boot);
	int fd = sys->open(tmp, O_WRONLY | O_CREAT | O_TRUNC, 0600);
	if (fd < 0 || sys->write(fd, text, (size_t)n) != n) {
		if (fd >= 0)
			sys->close(fd);
		return err_set(e, -EIO, "the world does not take %s", s->kind);
	}
	sys->close(fd);
	return sys->rename(tmp, path) ? err_set(e, -EIO, "the world does not take %s", s->kind) : 0;
}

static int fake_apply(void *ctx, const struct order *o, struct step *s, const struct holds *others,
                      struct err *e)
{
	if (is(s, fail_apply))
		return err_set(e, -EIO, "%s was told to fail", s->kind);
	if (limit && is(s, "raw"))
		s->problem = strdup("not on every device");
	return thing_write(o, s, e);
}

static int fake_verify(void *ctx, const struct order *o, const struct step *s,
                       const struct holds *others, struct readback *ret, struct err *e)
{
	char path[128], text[64] = "", want[64];
	thing_path(s, path);
	int fd = sys->open(path, O_RDONLY, 0);
	if (fd < 0 && errno != ENOENT)
		return err_set(e, -errno, "the world does not show %s", s->kind);
	ssize_t n = fd < 0 ? 0 : sys->read(fd, text, sizeof text - 1);
	if (fd >= 0)
		sys->close(fd);
	if (n < 0)
		return err_set(e, -EIO, "the world does not show %s", s->kind);
	snprintf(want, sizeof want, "%s %llu", s->token,
	         (unsigned long long)o->deadlines.confirm_by_boot);
	ret->verdict = fd < 0                ? VERDICT_ABSENT
	               : !strcmp(text, want) ? VERDICT_HOLDS
	                                     : VERDICT_DRIFTED;
	enum dimension d = is(s, "raw") ? DIM_RAW : DIM_V4;
	ret->dims[d] = is(s, "kill") ? DIM_NONE : fd < 0 ? DIM_RELEASED : DIM_CONTAINED;
	if (ret->verdict == VERDICT_DRIFTED)
		ret->drift = strdup("the clock differs");
	return 0;
}

static int fake_undo(void *ctx, const struct order *o, struct step *s, const struct holds *others,
                     struct err *e)
{
	char path[128];
	if (is(s, fail_undo))
		return err_set(e, -EIO, "%s was told to stay", s->kind);
	thing_path(s, path);
	return sys->unlink(path) && errno != ENOENT
	           ? err_set(e, -EIO, "the world keeps %s", s->kind)
	           : 0;
}

static int fake_rearm(void *ctx, const struct order *o, struct step *s, const struct holds *others,
                      struct err *e)
{
	char path[128];
	if (is(s, fail_rearm))
		return err_set(e, -EIO, "the clock of %s is stuck", s->kind);
	thing_path(s, path);
	if (access(path, F_OK))
		return err_set(e, -ENOENT, "%s is in force no more", s->kind);
	return thing_write(o, s, e);
}

static int fake_describe(void *ctx, const struct order *o, const struct step *s, struct buf *out,
                         struct err *e)
{
	return buf_addf(out, "touch %s\n", s->kind);
}

/* A thing in the world that is no step's. */
static int fake_strays(void *ctx, const struct holds *claims, bool remove, struct buf *out,
                       struct err *e)
{
	static const char *const kinds[] = {"cut", "raw"};
	for (size_t i = 0; i < 2; i++) {
		char path[128];
		bool known = false;
		struct step s = {0};
		snprintf(s.kind, sizeof s.kind, "%s", kinds[i]);
		for (size_t k = 0; k < claims->n; k++)
			known |= !strcmp(claims->v[k].step->kind, kinds[i]);
		thing_path(&s, path);
		if (known || access(path, F_OK))
			continue;
		buf_addf(out, "%s\n", kinds[i]);
		if (remove && sys->unlink(path))
			return err_set(e, -EIO, "the world keeps %s", kinds[i]);
	}
	return 0;
}

static int fake_own(void *ctx, bool on, struct err *e)
{
	return 0;
}

static const struct driver_ops fake = {
    .name = "fake",
    .open = fake_open,
    .close = fake_close,
    .probe = fake_probe,
    .plan = fake_plan,
    .prepare = fake_prepare,
    .apply = fake_apply,
    .verify = fake_verify,
    .undo = fake_undo,
    .rearm = fake_rearm,
    .describe = fake_describe,
    .strays = fake_strays,
    .own = fake_own,
};

static const struct point points[] = {{"self", &fake}};
static const struct point_names self = {{"self"}, 1};

/* --- helpers --- */

static bool there(const char *kind)
{
	char path[128];
	snprintf(path, sizeof path, "%s/%s", world, kind);
	return access(path, F_OK) == 0;
}

static int shell(const char *cmd)
{
	char text[256];
	snprintf(text, sizeof text, "%s %s %s", cmd, dir, run_dir);
	return system(text);
}

static int fresh(void **unused)
{
	fail_prepare = limit = refuse_plan_again = false;
	way_in = 0;
	fail_apply[0] = fail_undo[0] = fail_rearm[0] = '\0';
	strcpy(dir, "/tmp/engine-test-XXXXXX");
	if (!mkdtemp(dir))
		return -1;
	snprintf(state, sizeof state, "%s/state", dir);
	snprintf(world, sizeof world, "%s/world", dir);
	mkdir(world, 0700);
	return fallback_dir(state, run_dir, sizeof run_dir, NULL);
}

static int gone(void **unused)
{
	fault_disarm();
	return shell("rm -rf");
}

struct with {
	struct journal *j;
	struct engine *g;
	struct report recovered;
};

static int with_open(struct with *w, struct err *e)
{
	memset(w, 0, sizeof *w);
	int r = journal_open(state, JOURNAL_CUT, &w->j, e);
	if (!r)
		r = engine_new(w->j, points, 1, &w->g, e);
	return r ? r : engine_recover(w->g, &w->recovered, e);
}

static void with_close(struct with *w)
{
	report_free(&w->recovered);
	engine_free(w->g);
	journal_close(w->j);
}

static void set_clock(struct order *o, int seconds)
{
	usec_t left = (usec_t)seconds * USEC_PER_SEC;
	memset(&o->deadlines, 0, sizeof o->deadlines);
	strcpy(o->deadlines.boot, boot_id());
	if (!seconds)
		return;
	o->deadlines.confirm_by_boot = boot_now() + left;
	o->deadlines.confirm_by_wall = wall_now() + left;
}

static int check(void *arg, const struct order *o, struct err *e)
{
	/* It is tried while the cut is in force and before anything that cannot be taken back. */
	if (!there("cut") || there("kill"))
		way_in = -EPROTO;
	return way_in ? err_set(e, way_in, "no answer from 192.0.2.1:22") : 0;
}

static int isolate(struct with *w, int seconds, bool all, struct report *ret, struct err *e)
{
	struct order o = {.verb = VERB_ISOLATE, .all_or_nothing = all};
	struct target t = {.kind = TARGET_HOST, .name = "self"};
	struct plan p = {0};
	char path[128];
	snprintf(path, sizeof path, "%s/kill", world);
	unlink(path);
	set_clock(&o, seconds);
	int r = order_add_target(&o, &t, e);
	if (!r)
		r = engine_plan(w->g, &self, &o, &p, e);
	if (!r)
		r = engine_apply(w->g, &o, &p, check, NULL, ret, e);
	order_free(&o);
	plan_free(&p);
	return r;
}

static void opened(struct with *w)
{
	struct err e = {0};
	int r = with_open(w, &e);
	if (r)
		print_message("%s\n", e.text);
	assert_int_equal(r, 0);
}

static enum engine_outcome applied(struct with *w, int seconds)
{
	struct report rep = {0};
	struct err e = {0};
	int r = isolate(w, seconds, false, &rep, &e);
	if (r)
		print_message("%s\n", e.text);
	assert_int_equal(r, 0);
	enum engine_outcome outcome = rep.outcome;
	assert_true(rep.head[0]);
	report_free(&rep);
	return outcome;
}

static enum order_state state_of(struct with *w, unsigned id)
{
	struct order o;
	struct plan p;
	if (journal_get_order(w->j, id, &o, &p, NULL, NULL))
		return _ORDER_STATE_MAX;
	enum order_state s = o.state;
	order_free(&o);
	plan_free(&p);
	return s;
}

/* --- tests --- */

static void every_state_is_left(void **unused)
{
	for (int s = 0; s < _STEP_STATE_MAX; s++) {
		bool any = false;
		for (int ev = 0; ev < _EVENT_MAX; ev++) {
			enum step_state next = (enum step_state)s;
			int action = life_move(&next, (enum event)ev);
			if (action < 0)
				assert_int_equal(next, s);
			any |= action >= 0;
		}
		assert_int_equal(any, s != STEP_UNDONE);
	}
	for (int ev = 0; ev < _EVENT_MAX; ev++)
		assert_int_equal(event_parse(event_str((enum event)ev)), ev);
	assert_int_equal(event_parse("x"), -EINVAL);
}

static void applies_confirms_undoes(void **unused)
{
	struct with w;
	struct report rep;
	struct deadlines none = {0};
	struct err e;
	way_in = 0;
	opened(&w);
	assert_int_equal(applied(&w, 600), ENGINE_DONE);
	assert_int_equal(state_of(&w, 1), ORDER_UNCONFIRMED);
	assert_true(there("cut") && there("raw") && there("kill"));
	assert_int_equal(engine_verify(w.g, 1, &rep, &e), 0);
	assert_int_equal(rep.outcome, ENGINE_DONE);
	assert_int_equal(rep.dims[DIM_V4], DIM_CONTAINED);
	assert_int_equal(rep.dims[DIM_SESSIONS], DIM_NONE);
	report_free(&rep);

	strcpy(none.boot, boot_id());
	assert_int_equal(engine_rearm(w.g, 1, &none, &rep, &e), 0);
	assert_int_equal(rep.outcome, ENGINE_DONE);
	report_free(&rep);
	assert_int_equal(state_of(&w, 1), ORDER_HELD);

	assert_int_equal(engine_undo(w.g, 1, &rep, &e), 0);
	assert_int_equal(rep.outcome, ENGINE_DONE);
	assert_non_null(strstr(rep.text, "what is killed is dead"));
	assert_int_equal(rep.dims[DIM_V4], DIM_RELEASED);
	report_free(&rep);
	assert_int_equal(state_of(&w, 1), ORDER_UNDONE);
	assert_false(there("cut") || there("raw"));
	assert_int_equal(engine_undo(w.g, 1, &rep, &e), 0);
	report_free(&rep);
	assert_int_equal(engine_undo(w.g, 2, &rep, &e), -ENOENT);
	assert_int_equal(engine_rearm(w.g, 1, &none, &rep, &e), -ENOENT);
	with_close(&w);
}

static unsigned n_syncs;
static int counted(int fd)
{
	n_syncs++;
	return 0;
}

static void at_most_three_syncs(void **unused)
{
	struct with w;
	struct sys_ops ops = sys_kernel;
	ops.fsync = ops.fdatasync = counted;
	sys = &ops;
	for (unsigned used = 0; used < 2; used++) { /* the first makes journal and key */
		n_syncs = 0;
		opened(&w);
		applied(&w, 600);
		with_close(&w);
		assert_int_equal(n_syncs, used ? 2 : 3);
	}
	sys = &sys_kernel;
}

static void failures_are_taken_back(void **unused)
{
	static const struct {
		const char *apply, *undo;
		bool all, prepare, limit;
		int way_in;
		enum engine_outcome outcome;
		enum order_state state;
		bool cut, kill;
		const char *says;
	} cases[] = {
	    {"cut", "", 0, 0, 0, 0, ENGINE_REVERTED, ORDER_FAILED, 0, 0, "told to fail"},
	    {"raw", "", 0, 0, 0, 0, ENGINE_PARTIAL, ORDER_HELD, 1, 1, "told to fail"},
	    {"raw", "", 1, 0, 0, 0, ENGINE_REVERTED, ORDER_FAILED, 0, 0, "told to fail"},
	    {"kill", "", 1, 0, 0, 0, ENGINE_REVERTED, ORDER_FAILED, 0, 0, "told to fail"},
	    {"", "", 0, 1, 0, 0, ENGINE_PARTIAL, ORDER_HELD, 1, 0, "evidence"},
	    {"", "", 0, 0, 1, 0, ENGINE_PARTIAL, ORDER_HELD, 1, 1, "not on every device"},
	    {"", "", 1, 0, 1, 0, ENGINE_REVERTED, ORDER_FAILED, 0, 0, "not on every device"},
	    {"", "", 0, 0, 0, -EIO, ENGINE_REVERTED, ORDER_FAILED, 0, 0, "way in"},
	    {"", "raw", 0, 0, 0, -EIO, ENGINE_REVERT_PARTIAL, ORDER_PARTIAL, 0, 0, "told to stay"},
	};
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct with w;
		struct report rep = {0};
		struct err e = {0};
		strcpy(fail_apply, cases[i].apply);
		strcpy(fail_undo, cases[i].undo);
		fail_prepare = cases[i].prepare;
		limit = cases[i].limit;
		way_in = cases[i].way_in;
		opened(&w);
		assert_int_equal(isolate(&w, 0, cases[i].all, &rep, &e), 0);
		if (rep.outcome != cases[i].outcome)
			print_message("case %zu: %s\n", i, rep.text);
		assert_int_equal(rep.outcome, cases[i].outcome);
		assert_non_null(strstr(rep.text, cases[i].says));
		assert_int_equal(state_of(&w, 1), cases[i].state);
		assert_int_equal(there("cut"), cases[i].cut);
		assert_int_equal(there("kill"), cases[i].kill);
		report_free(&rep);
		with_close(&w);
		if (cases[i].state == ORDER_PARTIAL) { /* the next command tries again */
			fail_undo[0] = '\0';
			opened(&w);
			assert_non_null(w.recovered.text);
			assert_int_equal(state_of(&w, 1), ORDER_UNDONE);
			assert_false(there("raw"));
			with_close(&w);
		}
		gone(NULL);
		fresh(NULL);
	}
	way_in = 0;
}

static void drift_is_told(void **unused)
{
	struct with w;
	struct report rep;
	struct err e;
	char path[128];
	opened(&w);
	applied(&w, 0);
	snprintf(path, sizeof path, "%s/raw", world);
	unlink(path);
	assert_int_equal(engine_verify(w.g, 1, &rep, &e), 0);
	assert_int_equal(rep.outcome, ENGINE_DRIFTED);
	assert_non_null(strstr(rep.text, "raw is not there"));
	assert_int_equal(rep.dims[DIM_RAW], DIM_RELEASED);
	report_free(&rep);
	/* reassert brings it back, by new steps or by the stored ones */
	for (int again = 0; again < 2; again++) {
		unlink(path);
		refuse_plan_again = again;
		assert_int_equal(engine_reassert(w.g, &rep, &e), 0);
		assert_int_equal(rep.outcome, ENGINE_DONE);
		assert_non_null(strstr(rep.text, "applied again"));
		report_free(&rep);
		assert_true(there("raw"));
		assert_int_equal(engine_verify(w.g, 1, &rep, &e), 0);
		assert_int_equal(rep.outcome, ENGINE_DONE);
		report_free(&rep);
	}
	assert_int_equal(engine_reassert(w.g, &rep, &e), 0);
	assert_null(rep.text);
	report_free(&rep);
	with_close(&w);
}

static void strays_are_what_no_order_claims(void **unused)
{
	struct with w;
	struct report rep;
	struct err e;
	char path[128], *text;
	opened(&w);
	assert_int_equal(engine_strays(w.g, false, &text, &e), 0);
	assert_null(text);
	applied(&w, 0);
	assert_int_equal(engine_strays(w.g, true, &text, &e), 0);
	assert_null(text);
	assert_true(there("cut") && there("raw"));
	assert_int_equal(engine_undo(w.g, 1, &rep, &e), 0);
	report_free(&rep);
	snprintf(path, sizeof path, "touch %s/raw", world);
	assert_int_equal(system(path), 0);
	for (int remove = 0; remove < 2; remove++) {
		assert_int_equal(engine_strays(w.g, remove, &text, &e), 0);
		assert_string_equal(text, "raw\n");
		free(text);
	}
	assert_false(there("raw"));
	assert_int_equal(engine_strays(w.g, false, &text, &e), 0);
	assert_null(text);
	with_close(&w);
}

static void rearm_fails_whole(void **unused)
{
	struct with w;
	struct report rep;
	struct err e;
	struct deadlines none = {0};
	opened(&w);
	applied(&w, 600);
	strcpy(none.boot, boot_id());
	strcpy(fail_rearm, "cut");
	assert_true(engine_rearm(w.g, 1, &none, &rep, &e) < 0);
	assert_int_equal(state_of(&w, 1), ORDER_UNCONFIRMED);
	strcpy(fail_rearm, "raw"); /* not required: told */
	assert_int_equal(engine_rearm(w.g, 1, &none, &rep, &e), 0);
	assert_int_equal(rep.outcome, ENGINE_PARTIAL);
	assert_non_null(strstr(rep.text, "stuck"));
	report_free(&rep);
	with_close(&w);
}

static void set_order(struct with *w, unsigned id, void (*f)(struct order *))
{
	struct order o;
	struct plan p;
	assert_int_equal(journal_get_order(w->j, id, &o, &p, NULL, NULL), 0);
	f(&o);
	assert_int_equal(journal_put_order_state(w->j, &o, NULL), 0);
	order_free(&o);
	plan_free(&p);
}

static void run_out(struct order *o)
{
	o->deadlines.confirm_by_boot = 1;
	o->deadlines.confirm_by_wall = 1;
}

static void run_out_widen(struct order *o)
{
	run_out(o);
	o->deadlines.on_expiry = EXPIRY_WIDEN;
}

static void restarted(struct order *o)
{
	strcpy(o->deadlines.boot, "00000000-0000-0000-0000-000000000000");
}

static void time_ends_orders(void **unused)
{
	struct with w;
	struct report rep;
	struct err e;
	opened(&w);
	applied(&w, 600);
	set_order(&w, 1, run_out_widen);
	with_close(&w);
	opened(&w);
	assert_non_null(strstr(w.recovered.text, "widened"));
	assert_int_equal(state_of(&w, 1), ORDER_EXPIRED);
	assert_true(there("cut"));
	with_close(&w);
	opened(&w);
	assert_null(w.recovered.text); /* once */
	set_order(&w, 1, run_out);
	set_order(&w, 1, restarted);
	assert_int_equal(engine_reassert(w.g, &rep, &e), 0);
	assert_non_null(strstr(rep.text, "not confirmed before the restart"));
	report_free(&rep);
	assert_false(there("cut"));
	applied(&w, 600);
	with_close(&w);

	opened(&w);
	set_order(&w, 2, run_out);
	with_close(&w);
	opened(&w);
	assert_non_null(strstr(w.recovered.text, "o2 has run out at 1970-01-01T00:00:00.000001Z"));
	assert_int_equal(state_of(&w, 2), ORDER_EXPIRED);
	assert_false(there("cut"));

	/* What a first command of the next boot says: its time is not over, its boot is. */
	applied(&w, 600);
	set_order(&w, 3, restarted);
	with_close(&w);
	opened(&w);
	assert_non_null(strstr(w.recovered.text, "o3 was not confirmed before the restart"));
	assert_int_equal(state_of(&w, 3), ORDER_EXPIRED);
	assert_false(there("cut"));

	applied(&w, 0); /* confirmed ones are applied again after a restart */
	set_order(&w, 4, restarted);
	char path[128];
	snprintf(path, sizeof path, "%s/cut", world);
	unlink(path);
	assert_int_equal(engine_reassert(w.g, &rep, &e), 0);
	report_free(&rep);
	assert_true(there("cut"));
	assert_int_equal(state_of(&w, 4), ORDER_HELD);
	with_close(&w);
}

static void unreadable_orders_are_told(void **unused)
{
	struct with w;
	sqlite3 *db;
	char path[128];
	opened(&w);
	applied(&w, 0);
	with_close(&w);
	snprintf(path, sizeof path, "%s/journal.db", state);
	assert_int_equal(sqlite3_open(path, &db), 0);
	assert_int_equal(sqlite3_exec(db, "UPDATE orders SET body='{}'", NULL, NULL, NULL), 0);
	sqlite3_close(db);
	opened(&w);
	assert_int_equal(w.recovered.outcome, ENGINE_DONE); /* read anew from the entries */
	assert_non_null(journal_degraded(w.j));
	assert_int_equal(state_of(&w, 1), ORDER_HELD);
	assert_int_equal(applied(&w, 600), ENGINE_DONE);
	with_close(&w);
}

/* --- death and faults --- */

enum job { JOB_APPLY, JOB_CONFIRM, JOB_UNDO, JOB_APPLY_BAD, _JOB_MAX };

/* What a command does; its exit code. */
static int do_job(enum job job)
{
	struct with w;
	struct report rep = {0};
	struct err e = {0};
	struct deadlines none = {0};
	int r = with_open(&w, &e);
	strcpy(none.boot, boot_id());
	way_in = job == JOB_APPLY_BAD ? -EIO : 0;
	if (!r && (job == JOB_APPLY || job == JOB_APPLY_BAD))
		r = isolate(&w, 600, false, &rep, &e);
	else if (!r && job == JOB_CONFIRM)
		r = engine_rearm(w.g, 1, &none, &rep, &e);
	else if (!r)
		r = engine_undo(w.g, 1, &rep, &e);
	static const int codes[_ENGINE_OUTCOME_MAX] = {
	    [ENGINE_DONE] = 0,           [ENGINE_PARTIAL] = 5, [ENGINE_REVERTED] = 4,
	    [ENGINE_REVERT_PARTIAL] = 5, [ENGINE_DRIFTED] = 1,
	};
	int code = r ? 3 : codes[rep.outcome];
	report_free(&rep);
	with_close(&w);
	return code;
}

static void start(enum job job)
{
	gone(NULL);
	fresh(NULL);
	if (job == JOB_CONFIRM || job == JOB_UNDO)
		assert_int_equal(do_job(JOB_APPLY), 0);
}

/* Does the world show what the journal says about order id? Tells what does not fit. */
static bool agree(struct with *w, unsigned id, const char *spec, enum job job)
{
	enum order_state s = state_of(w, id);
	bool in_force = s == ORDER_UNCONFIRMED || s == ORDER_HELD;
	bool settled = in_force || s == ORDER_FAILED || s == ORDER_UNDONE || s == _ORDER_STATE_MAX;
	bool lost = (job == JOB_CONFIRM && !in_force) || (job == JOB_APPLY_BAD && s == ORDER_HELD);
	bool fits = in_force == there("cut") && (in_force || !there("raw"));
	if (settled && fits && !lost)
		return true;
	const char *notes = journal_notes(w->j);
	print_message("job %d, %s: state %d, cut %d, raw %d\nrecovered: %s\nnotes: %s\n", job, spec,
	              s, there("cut"), there("raw"), w->recovered.text ? w->recovered.text : "",
	              notes ? notes : "");
	return false;
}

/* Whatever happened: after one more command the journal and the world say the same, whole. */
static void assert_agreed(const char *spec, enum job job)
{
	struct with w;
	struct journal_check c;
	struct err e = {0};
	fault_disarm();
	opened(&w);
	/* A new journal that failed while it was made cannot be read: that order is o1001. */
	unsigned id = state_of(&w, STORE_STRANDED_ID) == _ORDER_STATE_MAX ? 1 : STORE_STRANDED_ID;
	assert_true(agree(&w, id, spec, job));
	if (there("cut")) {
		struct report rep;
		assert_int_equal(engine_verify(w.g, id, &rep, &e), 0);
		assert_true(rep.outcome == ENGINE_DONE || !strcmp(spec, "partial"));
		report_free(&rep);
	}
	with_close(&w);
	int x = journal_verify(state, NULL, &c, &e);
	if (x == -ENOENT) { /* nothing was ever ordered */
		assert_false(there("cut"));
		return;
	}
	assert_int_equal(x, 0);
	if (!c.intact)
		print_message("%s: %s\n", spec, c.problem);
	assert_true(c.intact);
}

static int in_child(enum job job, const char *spec)
{
	pid_t pid = fork();
	if (!pid) {
		fault_arm(spec);
		int code = do_job(job);
		_exit(fault_counts.hit ? 64 + code : code);
	}
	int status;
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return WIFSIGNALED(status) ? -WTERMSIG(status) : WEXITSTATUS(status);
}

static void killed_everywhere(const char *kind)
{
	char spec[32];
	for (int job = 0; job < _JOB_MAX; job++) {
		int n = 1, code = -SIGKILL;
		for (; n < 2000 && code == -SIGKILL; n++) {
			start((enum job)job);
			snprintf(spec, sizeof spec, "%s:%d", kind, n);
			code = in_child((enum job)job, spec);
			assert_true(code >= 0 || code == -SIGKILL);
			assert_agreed(spec, (enum job)job);
		}
		print_message("job %d: %d places to die at\n", job, n - 2);
		assert_true(n > 10 && n < 2000);
	}
}

static void killed_at_every_mark(void **unused)
{
	killed_everywhere("mark:*");
}

static void killed_at_every_call(void **unused)
{
	killed_everywhere("die");
}

/* The exit code tells the world as it is, without any further command. */
static void assert_told(const char *spec, enum job job, int code)
{
	bool cut = there("cut");
	bool told = code == 0   ? cut == (job != JOB_UNDO && job != JOB_APPLY_BAD)
	            : code == 4 ? !cut
	            : code == 3 ? cut == (job == JOB_CONFIRM || job == JOB_UNDO)
	                        : code == 5;
	if (!told)
		print_message("job %d, %s: exit %d, cut %d\n", job, spec, code, cut);
	assert_true(told);
}

static void fails_everywhere(const char *kind, int stride)
{
	char spec[32];
	for (int job = 0; job < _JOB_MAX; job++) {
		int n = 1, code = 64, whole = 0;
		for (; n < 100000 && code >= 64; n += stride) {
			start((enum job)job);
			snprintf(spec, sizeof spec, "%s:%d", kind, n);
			code = in_child((enum job)job, spec);
			assert_true(code >= 0);
			assert_told(spec, (enum job)job, code & 63);
			whole += (code & 63) == (job == JOB_APPLY_BAD ? 4 : 0);
			/* A step that is not required may fail: partial is what was told. */
			assert_agreed((code & 63) == 5 ? "partial" : spec, (enum job)job);
		}
		print_message("job %d: %d places to fail, %d tried, %d without effect\n", job,
		              n - stride - 1, (n - 1) / stride - 1, whole - 1);
		assert_true(n > 10 && n < 100000);
	}
}

static void every_allocation_fails_once(void **unused)
{
	fails_everywhere("malloc", 23);
}

static void failed_at_every_call(void **unused)
{
	fails_everywhere("fail", 1);
}

static void the_disk_fills_up(void **unused)
{
	/* The fake world is on that disk, too; only journal and order must survive it. */
	char spec[32];
	for (int n = 1; n < 40; n += 3) {
		start(JOB_APPLY);
		snprintf(spec, sizeof spec, "full:%d", n);
		int code = in_child(JOB_APPLY, spec) & 63;
		assert_told(spec, JOB_APPLY, code);
		assert_agreed(code == 5 ? "partial" : spec, JOB_APPLY);
	}
}

/* --- what the guard does --- */

struct guard_log {
	unsigned asked, mended, failed, released, left;
	bool refuse;
	struct with *undo_meanwhile; /* another process undoes the order while it is being mended */
};

static bool log_may(void *arg, const struct drift *d)
{
	struct guard_log *l = arg;
	l->asked++;
	if (l->undo_meanwhile) {
		struct report rep = {0};
		assert_int_equal(engine_undo(l->undo_meanwhile->g, d->order_id, &rep, NULL), 0);
		report_free(&rep);
	}
	return !l->refuse;
}

static void log_tell(void *arg, const struct drift *d)
{
	struct guard_log *l = arg;
	unsigned *const counts[_DRIFT_END_MAX] = {
	    [DRIFT_LEFT] = &l->left,
	    [DRIFT_MENDED] = &l->mended,
	    [DRIFT_FAILED] = &l->failed,
	    [DRIFT_RELEASED] = &l->released,
	};
	++*counts[d->end];
}

/* The guard's own journal and engine, beside the command's. */
static struct sustained guarded(struct with *guard, struct guard_log *l)
{
	const struct watchman man = {log_may, log_tell, l};
	struct sustained s = {0};
	assert_int_equal(engine_sustain(guard->g, &man, &s, NULL), 0);
	return s;
}

static void guard_opened(struct with *w)
{
	memset(w, 0, sizeof *w);
	assert_int_equal(journal_open(state, JOURNAL_READ, &w->j, NULL), 0);
	assert_int_equal(engine_new(w->j, points, 1, &w->g, NULL), 0);
}

static void lose(const char *kind)
{
	char path[128];
	snprintf(path, sizeof path, "%s/%s", world, kind);
	assert_int_equal(unlink(path), 0);
}

static void guard_puts_back_what_went(void **unused)
{
	struct with w, g;
	struct guard_log l = {0};
	char head[HASH_HEX_MAX], after[HASH_HEX_MAX];
	opened(&w);
	assert_int_equal(applied(&w, 0), ENGINE_DONE);
	guard_opened(&g);
	assert_int_equal(guarded(&g, &l).orders, 1);
	assert_int_equal(l.asked, 0);
	lose("cut");
	lose("raw");
	lose("kill"); /* has no inverse: nothing of it is in force */
	assert_int_equal(journal_head(w.j, head, NULL), 0);
	assert_int_equal(guarded(&g, &l).drifted, 2);
	assert_int_equal(l.mended, 2);
	assert_true(there("cut") && there("raw") && !there("kill"));
	assert_int_equal(journal_head(w.j, after, NULL), 0);
	assert_string_equal(head, after);
	l.refuse = true;
	lose("raw");
	assert_int_equal(guarded(&g, &l).drifted, 1);
	assert_int_equal(l.left, 1);
	assert_false(there("raw"));
	with_close(&g);
	with_close(&w);
}

static void guard_tells_what_it_cannot_put_back(void **unused)
{
	struct with w, g;
	struct guard_log l = {0};
	opened(&w);
	assert_int_equal(applied(&w, 0), ENGINE_DONE);
	guard_opened(&g);
	lose("raw");
	strcpy(fail_apply, "raw");
	assert_int_equal(guarded(&g, &l).drifted, 1);
	fail_apply[0] = 0;
	assert_int_equal(l.failed, 1);
	with_close(&g);
	with_close(&w);
}

static void guard_brings_back_nothing_that_was_undone(void **unused)
{
	struct with w, g;
	struct guard_log l = {0};
	struct report rep = {0};
	opened(&w);
	assert_int_equal(applied(&w, 0), ENGINE_DONE);
	guard_opened(&g);
	assert_int_equal(guarded(&g, &l).orders, 1);
	assert_int_equal(engine_undo(w.g, 1, &rep, NULL), 0);
	report_free(&rep);
	struct sustained s = guarded(&g, &l);
	assert_int_equal(s.orders + s.drifted + s.due + s.unsettled, 0);
	assert_false(there("cut"));
	/* And in the middle of it: drift is seen, the order is undone, then it is put back. */
	assert_int_equal(applied(&w, 0), ENGINE_DONE);
	assert_int_equal(guarded(&g, &l).orders, 1);
	lose("cut");
	l.undo_meanwhile = &w;
	guarded(&g, &l);
	assert_int_equal(l.released, 1);
	assert_false(there("cut"));
	assert_false(there("raw"));
	assert_int_equal(state_of(&w, 2), ORDER_UNDONE);
	with_close(&g);
	with_close(&w);
}

static void guard_leaves_what_is_over_to_recovery(void **unused)
{
	struct with w, g;
	struct guard_log l = {0};
	opened(&w);
	assert_int_equal(applied(&w, 1), ENGINE_DONE);
	guard_opened(&g);
	assert_int_equal(guarded(&g, &l).due, 0);
	usleep(1100 * 1000);
	lose("cut");
	struct sustained s = guarded(&g, &l);
	assert_int_equal(s.due, 1);
	assert_int_equal(s.orders + s.drifted, 0);
	assert_false(there("cut"));
	with_close(&w);
	opened(&w); /* recovers */
	assert_int_equal(state_of(&w, 1), ORDER_EXPIRED);
	assert_int_equal(guarded(&g, &l).due, 0);
	with_close(&g);
	with_close(&w);
}

/* Whoever breaks the journal does not open the host. */
static void guard_goes_on_without_the_journal(void **unused)
{
	struct with w, g;
	struct guard_log l = {0};
	struct sustained s;
	const struct watchman man = {log_may, log_tell, &l};
	opened(&w);
	assert_int_equal(applied(&w, 0), ENGINE_DONE);
	guard_opened(&g);
	assert_int_equal(guarded(&g, &l).orders, 1);
	engine_use_journal(g.g, NULL);
	lose("cut");
	assert_int_equal(engine_sustain(g.g, &man, &s, NULL), -ENOENT);
	assert_int_equal(l.mended, 1);
	assert_true(there("cut"));
	with_close(&g);
	with_close(&w);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, fresh, gone)
	/* Built a second time with its allocators wrapped (tests/faults). */
	const struct CMUnitTest malloc_tests[] = {T(every_allocation_fails_once)};
	const struct CMUnitTest all_tests[] = {
	    T(every_state_is_left),
	    T(applies_confirms_undoes),
	    T(at_most_three_syncs),
	    T(failures_are_taken_back),
	    T(drift_is_told),
	    T(strays_are_what_no_order_claims),
	    T(rearm_fails_whole),
	    T(time_ends_orders),
	    T(unreadable_orders_are_told),
	    T(guard_puts_back_what_went),
	    T(guard_tells_what_it_cannot_put_back),
	    T(guard_brings_back_nothing_that_was_undone),
	    T(guard_leaves_what_is_over_to_recovery),
	    T(guard_goes_on_without_the_journal),
	    T(killed_at_every_mark),
	    T(killed_at_every_call),
	    T(failed_at_every_call),
	    T(the_disk_fills_up),
	};
#ifdef ENGINE_TEST_MALLOC
	bool only_malloc = true;
#else
	bool only_malloc = false;
#endif
	/* Under valgrind the matrices would take half an hour. */
	if (getenv("STANCH_TEST_BRIEF"))
		cmocka_set_skip_filter("*_at_every_*");
	return only_malloc ? cmocka_run_group_tests(malloc_tests, NULL, NULL)
	                   : cmocka_run_group_tests(all_tests, NULL, NULL);
}
