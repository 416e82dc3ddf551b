/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "journal/journal.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <sqlite3.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/sys.h"
#include "journal/db.h"
#include "journal/store.h"

static char dir[64], run[64];

static const char *in_dir(const char *name)
{
	static char path[128];
	snprintf(path, sizeof path, "%s/%s", dir, name);
	return path;
}

static int shell(const char *fmt, ...)
{
	char cmd[512];
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(cmd, sizeof cmd, fmt, ap);
	va_end(ap);
	return system(cmd);
}

static int fresh(void **state)
{
	sys = &sys_kernel;
	strcpy(dir, "/tmp/journal-test-XXXXXX");
	return mkdtemp(dir) && !fallback_dir(dir, run, sizeof run, NULL) ? 0 : -1;
}

static int gone(void **state)
{
	sys = &sys_kernel;
	return shell("rm -rf %s %s %s.bad-*", dir, run, run);
}

/* --- a system-call table that fails --- */

static const char *fail_path; /* writes to descriptors of paths that contain this fail … */
static int fail_errno;        /* … with this */
static int fail_fsyncs;       /* this many more syncs fail */
static unsigned n_syncs;

static bool path_fails(int fd)
{
	char link[64], path[PATH_MAX];
	snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
	ssize_t n = readlink(link, path, sizeof path - 1);
	if (!fail_path || n < 0)
		return false;
	path[n] = '\0';
	errno = fail_errno;
	return strstr(path, fail_path) != NULL;
}

static ssize_t bad_pwrite(int fd, const void *p, size_t n, off_t at)
{
	return path_fails(fd) ? -1 : pwrite(fd, p, n, at);
}

static int bad_fdatasync(int fd)
{
	n_syncs++;
	if (fail_fsyncs > 0) {
		fail_fsyncs--;
		errno = EIO;
		return -1;
	}
	return fdatasync(fd);
}

static int counted_fsync(int fd)
{
	n_syncs++;
	return fsync(fd);
}

static struct sys_ops bad;

static void break_disk(const char *path, int code, int fsyncs)
{
	bad = sys_kernel;
	bad.pwrite = bad_pwrite;
	bad.fdatasync = bad_fdatasync;
	bad.fsync = counted_fsync;
	fail_path = path;
	fail_errno = code;
	fail_fsyncs = fsyncs;
	n_syncs = 0;
	sys = &bad;
}

/* --- something to store --- */

static void make_order(struct order *o, struct plan *p)
{
	struct target t = {.kind = TARGET_HOST, .name = "self"};
	memset(o, 0, sizeof *o);
	memset(p, 0, sizeof *p);
	o->verb = VERB_ISOLATE;
	o->state = ORDER_APPLYING;
	strcpy(o->reason, "test \"quoted\"");
	assert_int_equal(order_add_target(o, &t, NULL), 0);
	for (int i = 0; i < 2; i++) {
		struct step *s = plan_add_step(p, "self", i ? "host.sessions" : "host.cut");
		s->forward = strdup("{\"x\":1}");
		s->inverse = i ? NULL : strdup("{\"x\":0}");
		s->no_inverse = i ? strdup("sockets stay destroyed") : NULL;
		s->effect = strdup("cuts");
		s->required = !i;
		s->state = STEP_INTENT;
	}
	plan_note(p, "a note");
	plan_set_dim(p, DIM_RAW, DIM_PARTIAL, "no tc here");
}

static unsigned put(struct journal *j)
{
	struct order o;
	struct plan p;
	struct err e = {0};
	make_order(&o, &p);
	int r = journal_put_order(j, &o, &p, &e);
	unsigned id = o.id;
	if (r)
		print_message("%s\n", e.text);
	assert_int_equal(r, 0);
	order_free(&o);
	plan_free(&p);
	return id;
}

static struct journal *opened(enum journal_mode mode)
{
	struct journal *j = NULL;
	struct err e = {0};
	int r = journal_open(dir, mode, &j, &e);
	if (r)
		print_message("%s\n", e.text);
	assert_int_equal(r, 0);
	return j;
}

static void assert_intact(void)
{
	struct journal_check c;
	struct err e = {0};
	assert_int_equal(journal_verify(dir, NULL, &c, &e), 0);
	if (!c.intact)
		print_message("%s\n", c.problem);
	assert_true(c.intact);
}

static void assert_broken(const char *why)
{
	struct journal_check c;
	struct err e = {0};
	assert_int_equal(journal_verify(dir, NULL, &c, &e), 0);
	assert_false(c.intact);
	bool told = strstr(c.problem, why) != NULL;
	if (!told)
		print_message("\"%s\" is not in: %s\n", why, c.problem);
	assert_true(told);
}

/* --- tests --- */

static void stores_and_returns(void **state)
{
	struct journal *j;
	struct err e;
	struct order o;
	struct plan p;
	char incident[INCIDENT_ID_MAX], head[HASH_HEX_MAX];
	assert_int_equal(journal_open(dir, JOURNAL_READ, &j, &e), -ENOENT);
	j = opened(JOURNAL_WRITE);
	assert_int_equal(journal_head(j, head, &e), 0);
	assert_string_equal(head, "");
	assert_int_equal(put(j), 1);
	assert_int_equal(put(j), 2);
	journal_close(j);

	j = opened(JOURNAL_READ);
	assert_int_equal(journal_get_order(j, 2, &o, &p, incident, &e), 0);
	assert_int_equal(o.id, 2);
	assert_string_equal(o.reason, "test \"quoted\"");
	assert_int_equal(p.n_steps, 2);
	assert_int_equal(p.steps[1].seq, 2);
	assert_int_equal(p.steps[0].order_id, 2);
	assert_true(p.steps[0].required);
	assert_string_equal(p.steps[0].inverse, "{\"x\":0}");
	assert_null(p.steps[1].inverse);
	assert_string_equal(p.steps[1].no_inverse, "sockets stay destroyed");
	assert_string_equal(p.notes[0], "a note");
	assert_int_equal(p.dims[DIM_RAW], DIM_PARTIAL);
	assert_string_equal(p.dim_reasons[DIM_RAW], "no tc here");
	order_free(&o);
	plan_free(&p);
	assert_int_equal(journal_get_order(j, 3, &o, &p, NULL, &e), -ENOENT);
	assert_int_equal(journal_note(j, "x", "y", "{}", &e), -EROFS);
	assert_null(journal_degraded(j));
	journal_close(j);
	assert_intact();
}

static void changes_are_kept(void **state)
{
	struct err e;
	struct order o;
	struct plan p;
	unsigned *ids;
	size_t n;
	char pending[32];
	struct journal *j = opened(JOURNAL_WRITE);
	put(j);
	assert_int_equal(journal_get_order(j, 1, &o, &p, NULL, &e), 0);
	o.state = ORDER_HELD;
	o.deadlines.until_wall = 5;
	p.steps[0].state = STEP_VERIFIED;
	p.steps[1].state = STEP_FAILED;
	p.steps[1].problem = strdup("bad byte: \xff");
	assert_int_equal(journal_put_order(j, &o, &p, &e), 0);
	assert_int_equal(journal_put_pending(j, 1, "rearm", &e), 0);
	order_free(&o);
	plan_free(&p);
	journal_close(j);

	j = opened(JOURNAL_WRITE);
	assert_int_equal(journal_get_order(j, 1, &o, &p, NULL, &e), 0);
	assert_int_equal(o.state, ORDER_HELD);
	assert_int_equal(o.deadlines.until_wall, 5);
	assert_int_equal(o.n_targets, 1);
	assert_int_equal(p.steps[0].state, STEP_VERIFIED);
	assert_string_equal(p.steps[0].forward, "{\"x\":1}");
	assert_string_equal(p.steps[1].problem, "bad byte: ?");
	assert_int_equal(journal_get_pending(j, 1, pending, &e), 0);
	assert_string_equal(pending, "rearm");
	assert_int_equal(journal_list_orders(j, NULL, true, &ids, &n, &e), 0);
	assert_int_equal(n, 1);
	free(ids);

	o.state = ORDER_UNDONE;
	p.steps[0].state = STEP_UNDONE;
	assert_int_equal(journal_put_order(j, &o, &p, &e), 0);
	assert_int_equal(journal_list_orders(j, NULL, true, &ids, &n, &e), 0);
	assert_int_equal(n, 0);
	free(ids);
	assert_int_equal(journal_list_orders(j, NULL, false, &ids, &n, &e), 0);
	assert_int_equal(n, 1);
	free(ids);
	order_free(&o);
	plan_free(&p);
	journal_close(j);
	assert_intact();
}

static void rollback_leaves_nothing(void **state)
{
	struct err e;
	struct order o;
	struct plan p;
	char before[HASH_HEX_MAX], after[HASH_HEX_MAX];
	struct journal *j = opened(JOURNAL_WRITE);
	put(j);
	journal_head(j, before, &e);
	assert_int_equal(journal_begin(j, &e), 0);
	assert_int_equal(journal_begin(j, &e), -EALREADY);
	assert_int_equal(put(j), 2);
	journal_rollback(j);
	journal_head(j, after, &e);
	assert_string_equal(before, after);
	assert_int_equal(journal_get_order(j, 2, &o, &p, NULL, &e), -ENOENT);
	assert_int_equal(put(j), 2);
	journal_close(j);
	assert_intact();
}

static void incidents_open_and_close(void **state)
{
	struct err e;
	char name[INCIDENT_ID_MAX];
	struct incident *v;
	size_t n;
	struct journal *j = opened(JOURNAL_WRITE);
	put(j); /* opens one by itself */
	assert_int_equal(journal_incident_close(j, "nope", &e), -ENOENT);
	assert_int_equal(journal_incident(j, NULL, name, &e), 0);
	assert_int_equal(journal_incident_close(j, name, &e), -EBUSY);
	assert_int_equal(journal_incident_new(j, "../x", &e), -EINVAL);
	assert_int_equal(journal_incident_new(j, "breach-1", &e), 0);
	assert_int_equal(journal_incident_new(j, "breach-1", &e), -EEXIST);
	put(j);
	assert_int_equal(journal_incidents(j, &v, &n, &e), 0);
	assert_int_equal(n, 2);
	assert_string_equal(v[1].name, "breach-1");
	assert_int_equal(v[1].n_orders, 1);
	assert_true(v[1].in_use);
	assert_false(v[0].in_use);
	free(v);
	assert_int_equal(journal_incident_new(j, "empty", &e), 0);
	assert_int_equal(journal_incident_close(j, "empty", &e), 0);
	assert_int_equal(journal_incident_use(j, "empty", &e), -EINVAL);
	assert_int_equal(journal_incident_use(j, "breach-1", &e), 0);
	journal_close(j);
	j = opened(JOURNAL_WRITE);
	assert_int_equal(journal_incident(j, NULL, name, &e), 0);
	assert_string_equal(name, "breach-1");
	journal_close(j);
	assert_intact();
}

static void findings_and_notes(void **state)
{
	struct err e;
	struct finding f = {.score = 0.9,
	                    .proto = 6,
	                    .bytes_out = UINT64_C(1) << 40,
	                    .n_reasons = 1},
	               g;
	struct journal *j = opened(JOURNAL_WRITE);
	endpoint_parse("192.0.2.10:4000", &f.src, NULL);
	endpoint_parse("[2001:db8::5]:443", &f.dest, NULL);
	strcpy(f.reasons[0], "too much");
	strcpy(f.domain, "evil.example");
	f.kind = FINDING_BEACON;
	finding_order(&f, "block %s", "2001:db8::5");
	assert_int_equal(journal_put_finding(j, &f, &e), 0);
	assert_int_equal(f.id, 1);
	assert_int_equal(journal_get_finding(j, 1, &g, &e), 0);
	assert_memory_equal(&f, &g, sizeof f);
	/* To many: no address, perhaps a port. */
	f.id = 0;
	f.dest = (struct endpoint){.port = 445};
	f.src.port = 0;
	assert_int_equal(journal_put_finding(j, &f, &e), 0);
	assert_int_equal(journal_get_finding(j, 2, &g, &e), 0);
	assert_memory_equal(&f, &g, sizeof f);
	struct finding h = {.kind = FINDING_PROCESS,
	                    .score = 0.95,
	                    .rule = "reverse_shell",
	                    .technique = "T1059.004",
	                    .subject = "bash (pid 12)",
	                    .selector = "pid:12:345"};
	finding_order(&h, "kill %d", 12);
	assert_int_equal(journal_put_finding(j, &h, &e), 0);
	assert_int_equal(journal_get_finding(j, 3, &g, &e), 0);
	assert_memory_equal(g.rule, h.rule, sizeof(g.rule));
	assert_string_equal(g.technique, h.technique);
	assert_string_equal(g.subject, h.subject);
	assert_string_equal(g.selector, h.selector);
	assert_true(finding_same(&g, &h) && finding_of_host(&g));
	assert_int_equal(journal_get_finding(j, 4, &g, &e), -ENOENT);
	char incident[INCIDENT_ID_MAX];
	unsigned *ids = NULL;
	size_t n = 0;
	assert_int_equal(journal_incident(j, NULL, incident, &e), 0);
	assert_int_equal(journal_list_findings(j, incident, &ids, &n, &e), 0);
	assert_int_equal(n, 3);
	assert_int_equal(ids[2], 3);
	free(ids);
	ids = NULL;
	assert_int_equal(journal_list_findings(j, "another", &ids, &n, &e), 0);
	assert_int_equal(n, 0);
	free(ids);
	assert_int_equal(journal_note(j, "order", "o1", "{}", &e), -EINVAL);
	assert_int_equal(journal_note(j, "journal.fallback", "o1", "{}", &e), -EINVAL);
	assert_int_equal(journal_note(j, "drift", "o1", "{}", &e), 0);
	journal_close(j);
	assert_intact();
}

static void one_sync_per_commit(void **state)
{
	struct err e;
	struct journal *j = opened(JOURNAL_WRITE);
	put(j);
	journal_close(j);
	break_disk(NULL, 0, 0);
	j = opened(JOURNAL_CUT);
	assert_int_equal(n_syncs, 0);
	put(j);
	assert_int_equal(n_syncs, 1);
	journal_note(j, "a", "b", "{}", &e);
	assert_int_equal(n_syncs, 2);
	journal_close(j);
	assert_int_equal(n_syncs, 2);
}

static void readers_do_not_block(void **state)
{
	struct journal *w = opened(JOURNAL_WRITE), *r;
	struct err e;
	struct order o;
	struct plan p;
	put(w);
	assert_int_equal(journal_begin(w, &e), 0);
	put(w);
	r = opened(JOURNAL_READ);
	assert_int_equal(journal_get_order(r, 1, &o, &p, NULL, &e), 0);
	order_free(&o);
	plan_free(&p);
	assert_int_equal(journal_get_order(r, 2, &o, &p, NULL, &e), -ENOENT);
	journal_close(r);
	assert_int_equal(journal_commit(w, &e), 0);
	journal_close(w);
}

/* For a child: one order, then the end. */
static void write_one(void)
{
	struct journal *j;
	if (journal_open(dir, JOURNAL_WRITE, &j, NULL))
		_exit(1);
	unsigned id = put(j);
	journal_close(j);
	_exit(id ? 0 : 2);
}

static void writers_wait(void **state)
{
	pid_t pid = fork();
	if (!pid) {
		usleep(200000);
		write_one();
	}
	struct journal *j = opened(JOURNAL_WRITE);
	put(j);
	usleep(400000);
	journal_close(j);
	int status;
	waitpid(pid, &status, 0);
	assert_int_equal(status, 0);
	assert_intact();
}

static void tampering_is_found(void **state)
{
	static const struct {
		const char *sql, *why;
	} cases[] = {
	    {"UPDATE entries SET body=replace(body,'test','tost') WHERE kind='order'", "changed"},
	    {"DELETE FROM entries WHERE seq=3", "missing"},
	    {"DELETE FROM entries WHERE seq=(SELECT max(seq) FROM entries)", "cut off"},
	    {"UPDATE orders SET state='undone'", "orders"},
	    {"UPDATE steps SET inverse='{}'", "steps"},
	    {"DELETE FROM findings", "findings"},
	    {"UPDATE head SET signature=zeroblob(64)", "signature"},
	    {"DELETE FROM head", "no signed head"},
	    {"UPDATE entries SET wall=wall+1 WHERE seq=1", "changed"},
	    {"UPDATE entries SET hash=zeroblob(3) WHERE seq=1", "no whole hash"},
	};
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct journal *j = opened(JOURNAL_WRITE);
		struct finding f = {.score = 0.5};
		endpoint_parse("192.0.2.1", &f.src, NULL);
		endpoint_parse("192.0.2.2", &f.dest, NULL);
		put(j);
		assert_int_equal(journal_put_finding(j, &f, NULL), 0);
		journal_close(j);
		assert_intact();
		sqlite3 *db;
		assert_int_equal(sqlite3_open(in_dir("journal.db"), &db), 0);
		assert_int_equal(sqlite3_exec(db, cases[i].sql, NULL, NULL, NULL), 0);
		sqlite3_close(db);
		assert_broken(cases[i].why);
		gone(NULL);
		fresh(NULL);
	}
}

/* The whole chain made again and signed with the host's own key: only a hash kept elsewhere tells.
 */
static void rewriting_needs_the_head(void **state)
{
	struct journal_check c;
	char head[HASH_HEX_MAX];
	struct journal *j = opened(JOURNAL_WRITE);
	put(j);
	journal_head(j, head, NULL);
	put(j);
	journal_close(j);
	assert_int_equal(journal_verify(dir, head, &c, NULL), 0);
	assert_true(c.intact && c.head_known);
	assert_string_equal(c.problem, "");

	shell("cp %s/key %s/key.pub /tmp && rm %s/*", dir, dir, dir);
	shell("mv /tmp/key /tmp/key.pub %s", dir);
	j = opened(JOURNAL_WRITE);
	put(j);
	put(j);
	journal_close(j);
	assert_intact();
	assert_int_equal(journal_verify(dir, head, &c, NULL), 0);
	assert_true(c.intact);
	assert_false(c.head_known);
	assert_true(c.problem[0]);
	assert_int_equal(journal_verify(dir, "12", &c, NULL), -EINVAL);
}

static void a_copy_verifies(void **state)
{
	struct journal_check c;
	struct journal *j = opened(JOURNAL_WRITE);
	put(j);
	journal_close(j);
	char copy[80];
	snprintf(copy, sizeof copy, "%s/copy", dir);
	shell("mkdir %s && cp %s/journal.db %s/journal.db-wal %s/key.pub %s && chmod -R a-w %s",
	      copy, dir, dir, dir, copy, copy);
	assert_int_equal(journal_verify(copy, NULL, &c, NULL), 0);
	assert_true(c.intact);
	assert_true(c.entries > 3);
	shell("test $(ls %s | wc -l) = 3 || exit 1", copy);
}

static void malformed_is_refused(void **state)
{
	static const char *const cases[] = {
	    "UPDATE orders SET body='[]'",
	    "UPDATE orders SET body=json_set(body,'$.extra',1)",
	    "UPDATE orders SET body=json_set(body,'$.id',9)",
	    "UPDATE orders SET body=json_set(body,'$.verb','burn')",
	    "UPDATE plans SET body='{}'",
	    "UPDATE plans SET body=json_set(body,'$.dims.v9','contained')",
	    "UPDATE steps SET token='x'",
	    "UPDATE steps SET state='gone'",
	    "UPDATE steps SET kind=printf('%200d',1)",
	    "UPDATE steps SET forward=NULL",
	    "UPDATE steps SET inverse=NULL",
	    "UPDATE steps SET inverse='{}'",
	};
	struct journal *j = opened(JOURNAL_WRITE);
	put(j);
	journal_close(j);
	shell("cp -r %s %s-kept", dir, dir);
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		sqlite3 *db;
		struct order o;
		struct plan p;
		struct err e = {0};
		shell("rm -f %s/* && cp %s-kept/* %s", dir, dir, dir);
		assert_int_equal(sqlite3_open(in_dir("journal.db"), &db), 0);
		assert_int_equal(sqlite3_exec(db, cases[i], NULL, NULL, NULL), 0);
		sqlite3_close(db);
		j = opened(JOURNAL_WRITE);
		int r = journal_get_order(j, 1, &o, &p, NULL, &e);
		if (r != -EBADMSG)
			print_message("%s: %d\n", cases[i], r);
		assert_int_equal(r, -EBADMSG);
		assert_non_null(strstr(e.text, "o1"));
		journal_close(j);
	}
	shell("rm -rf %s-kept", dir);
}

static void assert_reads(enum journal_mode mode, unsigned id, bool degraded)
{
	struct journal *j = opened(mode);
	struct order o;
	struct plan p;
	assert_int_equal(journal_get_order(j, id, &o, &p, NULL, NULL), 0);
	order_free(&o);
	plan_free(&p);
	assert_int_equal(journal_degraded(j) != NULL, degraded);
	journal_close(j);
}

static void a_broken_file_never_blocks_a_cut(void **state)
{
	struct err e = {0};
	struct journal *j = opened(JOURNAL_WRITE);
	put(j);
	journal_close(j);
	shell("cp -r %s %s-kept", dir, dir);
	static const char *const cases[] = {
	    "printf garbage > %s/journal.db",
	    "dd if=/dev/urandom of=%s/journal.db bs=4096 seek=0 count=3 conv=notrunc 2>/dev/null",
	    "rm %s/key",
	    "chmod 644 %s/key",
	    "rm -rf %s && touch %s",
	    "rm %s/journal.db && mkdir %s/journal.db",
	    "chmod 777 %s",
	    "rm %s/lock && mkdir %s/lock",
	};
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		shell("rm -rf %s %s && cp -r %s-kept %s && rm -f %s/journal.db-wal", dir, run, dir,
		      dir, i == 1 ? dir : "/nonexistent");
		shell(cases[i], dir, dir);
		int r = journal_open(dir, JOURNAL_WRITE, &j, &e);
		if (!r)
			print_message("case %zu opened\n", i);
		assert_true(r < 0);
		assert_true(e.text[0]);
		j = opened(JOURNAL_CUT);
		assert_non_null(journal_degraded(j));
		assert_non_null(strstr(journal_degraded(j), run));
		unsigned id = put(j);
		journal_close(j);
		/* It is found by a later command, though the file is still broken … */
		assert_reads(JOURNAL_READ, id, true);
		assert_reads(JOURNAL_WRITE, id, true);
		/* … and taken over when it is whole again. */
		shell("rm -rf %s && cp -r %s-kept %s", dir, dir, dir);
		j = opened(JOURNAL_WRITE);
		assert_null(journal_degraded(j));
		assert_non_null(journal_notes(j));
		journal_close(j);
		assert_reads(JOURNAL_READ, id, false);
		assert_reads(JOURNAL_READ, 1, false);
		assert_intact();
		assert_int_not_equal(access(run, F_OK), 0);
	}
	shell("rm -rf %s-kept", dir);
}

/* What was noted while the journal stood under /run is found in the main one later. */
static void a_failing_commit_moves_and_comes_back(void **state)
{
	struct journal_check c;
	char head[HASH_HEX_MAX];
	for (int fsyncs = 0; fsyncs < 2; fsyncs++) {
		struct journal *j = opened(JOURNAL_WRITE);
		put(j);
		journal_close(j);

		j = opened(JOURNAL_CUT);
		break_disk(fsyncs ? NULL : dir, ENOSPC, fsyncs);
		assert_int_equal(put(j), 2);
		assert_non_null(journal_degraded(j));
		journal_head(j, head, NULL);
		journal_close(j);

		break_disk(fsyncs ? NULL : dir, ENOSPC, 0);
		assert_int_equal(journal_verify(dir, head, &c, NULL), 0);
		assert_true(c.intact && c.head_known);
		j = opened(JOURNAL_READ);
		struct order o;
		struct plan p;
		assert_int_equal(journal_get_order(j, 2, &o, &p, NULL, NULL), 0);
		order_free(&o);
		plan_free(&p);
		journal_close(j);

		sys = &sys_kernel;
		j = opened(JOURNAL_CUT);
		assert_null(journal_degraded(j));
		assert_int_equal(put(j), 3);
		journal_close(j);
		assert_intact();
		if (!fsyncs) { /* the same hashes: a write that failed left nothing behind */
			assert_int_equal(journal_verify(dir, head, &c, NULL), 0);
			assert_true(c.head_known);
		}
		gone(NULL);
		fresh(NULL);
	}
}

/* While one stood under /run, somebody wrote to the main journal: ids are given anew. */
static void forks_are_joined(void **state)
{
	struct journal *j = opened(JOURNAL_WRITE);
	struct order o;
	struct plan p;
	struct err e = {0};
	put(j);
	journal_close(j);
	j = opened(JOURNAL_CUT);
	break_disk(dir, EIO, 0);
	assert_int_equal(put(j), 2);
	journal_close(j);
	sys = &sys_kernel;
	shell("mv %s %s-away", run, run);
	j = opened(JOURNAL_WRITE);
	assert_int_equal(put(j), 2);
	journal_close(j);
	shell("mv %s-away %s", run, run);
	j = opened(JOURNAL_WRITE);
	assert_non_null(strstr(journal_notes(j), "o2 from the time under /run is now o3"));
	assert_int_equal(journal_get_order(j, 3, &o, &p, NULL, &e), 0);
	assert_int_equal(p.n_steps, 2);
	order_free(&o);
	plan_free(&p);
	journal_close(j);
	assert_intact();
}

static void a_full_disk_takes_orders(void **state)
{
	struct err e = {0};
	if (mount("none", dir, "tmpfs", 0, "size=8m,mode=700"))
		skip();
	struct journal *j = opened(JOURNAL_WRITE);
	put(j);
	journal_close(j);
	shell("dd if=/dev/zero of=%s/fill bs=4096 2>/dev/null", dir);
	int r = 0, n = 0;
	for (; n < 20 && !r; n++) {
		j = opened(JOURNAL_CUT);
		put(j);
		if (journal_degraded(j))
			print_message("degraded after %d: %s\n", n, journal_degraded(j));
		r = journal_degraded(j) != NULL;
		journal_close(j);
	}
	assert_int_equal(r, 0); /* preallocated: 20 orders fit though not one block is free */
	assert_intact();
	/* Until it really does not fit: then it goes under /run, and nothing is lost. */
	char *big = malloc(3 << 20);
	memset(big, 'x', (3 << 20) - 1);
	big[(3 << 20) - 1] = '\0';
	j = opened(JOURNAL_CUT);
	for (int i = 0; i < 4; i++)
		assert_int_equal(journal_note(j, "big", "x", big, &e), 0);
	assert_non_null(journal_degraded(j));
	put(j);
	journal_close(j);
	free(big);
	j = opened(JOURNAL_WRITE);
	assert_int_equal(put(j), n + 3);
	journal_close(j);
	umount(dir);
}

static void read_only_places(void **state)
{
	struct err e = {0};
	if (mount("none", dir, "tmpfs", 0, "size=8m,mode=700"))
		skip();
	struct journal *j = opened(JOURNAL_WRITE);
	put(j);
	journal_close(j);
	assert_int_equal(mount("none", dir, "tmpfs", MS_REMOUNT | MS_RDONLY, ""), 0);
	assert_true(journal_open(dir, JOURNAL_WRITE, &j, &e) < 0);
	j = opened(JOURNAL_READ);
	struct order o;
	struct plan p;
	assert_int_equal(journal_get_order(j, 1, &o, &p, NULL, &e), 0);
	order_free(&o);
	plan_free(&p);
	journal_close(j);
	assert_intact();
	j = opened(JOURNAL_CUT);
	assert_int_equal(put(j), 2); /* the chain of the main one goes on */
	journal_close(j);
	umount(dir);
}

/* Killed at every mark and every write of a commit: the chain is whole, the order there or not. */
static int die_at;

static ssize_t dying_pwrite(int fd, const void *p, size_t n, off_t at)
{
	if (--die_at == 0) {
		pwrite(fd, p, n / 2, at);
		kill(getpid(), SIGKILL);
	}
	return pwrite(fd, p, n, at);
}

static void killed_while_writing(void **state)
{
	struct journal *j = opened(JOURNAL_WRITE);
	put(j);
	journal_close(j);
	unsigned deaths = 0;
	for (int at = 1; at < 100; at++) {
		pid_t pid = fork();
		if (!pid) {
			bad = sys_kernel;
			bad.pwrite = dying_pwrite;
			die_at = at;
			sys = &bad;
			write_one();
		}
		int status;
		waitpid(pid, &status, 0);
		assert_intact();
		if (WIFEXITED(status)) {
			assert_int_equal(WEXITSTATUS(status), 0);
			break;
		}
		deaths++;
	}
	assert_true(deaths > 5);
}

/* The same for the first time of all. */
static void killed_while_made(void **state)
{
	unsigned deaths = 0;
	for (int at = 1; at < 200; at++) {
		gone(NULL);
		fresh(NULL);
		pid_t pid = fork();
		if (!pid) {
			bad = sys_kernel;
			bad.pwrite = dying_pwrite;
			die_at = at;
			sys = &bad;
			write_one();
		}
		int status;
		waitpid(pid, &status, 0);
		struct journal *j = opened(JOURNAL_WRITE);
		put(j);
		journal_close(j);
		assert_intact();
		if (WIFEXITED(status))
			break;
		deaths++;
	}
	assert_true(deaths > 10);
}

static void rename_back(const char *how)
{
	assert_int_equal(shell("cd %s && rm -f journal.db-wal journal.db-shm && mv journal.db "
	                       "journal.db.new && %s",
	                       dir, how),
	                 0);
}

static unsigned orders_now(void)
{
	unsigned *ids = NULL;
	size_t n = 0;
	struct journal *j = opened(JOURNAL_WRITE);
	assert_int_equal(journal_list_orders(j, NULL, false, &ids, &n, NULL), 0);
	free(ids);
	journal_close(j);
	return (unsigned)n;
}

/* The power goes after the first transaction was synced, and the journal's name is lost. What is
 * not whole is no journal, and never was one that anything was done after. */
static void a_lost_name_is_found(void **state)
{
	static const struct {
		const char *how;
		unsigned orders;
	} cases[] = {
	    {"true", 1},
	    {"truncate -s 0 journal.db.new", 0},
	    {"truncate -s 20480 journal.db.new", 0},
	    {"printf '\\1\\1' | dd of=journal.db.new bs=1 seek=18 conv=notrunc status=none", 0},
	    {"dd if=/dev/zero of=journal.db.new bs=4096 seek=1 count=1 conv=notrunc status=none",
	     0},
	};
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		gone(NULL);
		fresh(NULL);
		struct journal *j = opened(JOURNAL_WRITE);
		put(j);
		journal_close(j);
		rename_back(cases[i].how);
		assert_int_equal(orders_now(), cases[i].orders);
		j = opened(JOURNAL_WRITE);
		assert_int_equal(put(j), cases[i].orders + 1);
		journal_close(j);
		assert_intact();
	}
}

/* Opened and nothing said: nothing is left. A birth that fails is none either. */
static void nothing_is_born_of_nothing(void **state)
{
	journal_close(opened(JOURNAL_WRITE));
	assert_int_equal(shell("test \"$(ls %s | tr '\\n' ' ')\" = 'key key.pub lock '", dir), 0);

	struct journal *j = opened(JOURNAL_CUT);
	bad = sys_kernel;
	bad.fsync = bad_fdatasync;
	fail_fsyncs = 1;
	sys = &bad;
	assert_true(put(j) > 0);
	assert_non_null(journal_degraded(j));
	journal_close(j);
	sys = &sys_kernel;
	assert_int_equal(shell("test -e %s/journal.db -o -e %s/journal.db.new", dir, dir) == 0, 0);
	j = opened(JOURNAL_CUT);
	assert_null(journal_degraded(j));
	journal_close(j);
	assert_int_equal(orders_now(), 1);
	assert_intact();
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, fresh, gone)
	const struct CMUnitTest tests[] = {
	    T(stores_and_returns),
	    T(changes_are_kept),
	    T(rollback_leaves_nothing),
	    T(incidents_open_and_close),
	    T(findings_and_notes),
	    T(one_sync_per_commit),
	    T(a_lost_name_is_found),
	    T(nothing_is_born_of_nothing),
	    T(readers_do_not_block),
	    T(writers_wait),
	    T(tampering_is_found),
	    T(rewriting_needs_the_head),
	    T(a_copy_verifies),
	    T(malformed_is_refused),
	    T(a_broken_file_never_blocks_a_cut),
	    T(a_failing_commit_moves_and_comes_back),
	    T(forks_are_joined),
	    T(a_full_disk_takes_orders),
	    T(read_only_places),
	    T(killed_while_writing),
	    T(killed_while_made),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
