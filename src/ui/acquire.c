/* SPDX-License-Identifier: GPL-3.0-or-later */
/* acquire: journal → bundle → capture → manifest → journal. The journal is open only before and
 * after, so that other commands can work while a disk is read. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "acquire/bundle.h"
#include "acquire/bundle_check.h"
#include "model/capture_ops.h"
#include "ui/evidence.h"
#include "ui/meter.h"
#include "ui/show.h"
#include "ui/verbs.h"

const struct opt acquire_opts[] = {
    {"to", 0, OPT_TEXT, "DIR", "where the bundle goes: DIR/INCIDENT/eN"},
    {"resume", 0, OPT_TEXT, "EVIDENCE", "go on with evidence that was left unfinished"},
    {"format", 0, OPT_TEXT, "raw|e01|zstd", "disk: the form of the image (default raw)"},
    {"split", 0, OPT_TEXT, "SIZE", "disk: files of SIZE (raw; e01 has 1500M by itself)"},
    {"hash", 0, OPT_TEXT, "LIST", "disk: md5, sha1, blake2b beside sha256"},
    {"rate", 0, OPT_TEXT, "SIZE", "disk: read at most SIZE bytes a second"},
    {"retries", 0, OPT_COUNT, "N", "disk: try a bad sector N times more (default 0)"},
    {"reserve", 0, OPT_TEXT, "SIZE", "disk: what stays free at the destination (default 64M)"},
    {"idle", 0, OPT_FLAG, NULL, "disk: read only while nobody else does (I/O class idle)"},
    {"examiner", 0, OPT_TEXT, "NAME", "who takes it; into the manifest, and the header of an E01"},
    {"case", 0, OPT_TEXT, "ID", "the number of the case; likewise"},
    {"source", 0, OPT_TEXT, "WAY", "memory: only by kcore, crash or mem"},
    {"lime", 0, OPT_TEXT, "FILE", "memory: by this module of LiME, loaded and unloaded"},
    {"pid", 0, OPT_COUNT, "PID", "memory: of one process, as an ELF core"},
    {"hold", 0, OPT_FLAG, NULL, "with --pid: its threads are stopped meanwhile (ptrace)"},
    {"max-size", 0, OPT_TEXT, "SIZE", "state: bytes of all items together (default 2G)"},
    {"item-limit", 0, OPT_DURATION, "DUR", "state: the time of one item (default 60s)"},
    {"time-limit", 0, OPT_DURATION, "DUR", "state: the time of all items (default 5m)"},
    {NULL},
};

static volatile bool stop_asked;
static void on_stop(int sig)
{
	stop_asked = true;
}

struct job {
	struct ctx *c;
	const struct args *a;
	const struct capture_ops *ops;
	struct capture_order order;
	char data[EVIDENCE_PATH_MAX + 8];
	struct evidence v;
	char incident[INCIDENT_ID_MAX], head[HASH_HEX_MAX];
	json_t *previous;
	struct seal_key *key;
	struct bundle *bundle;
	bool finished; /* it has its manifest; only the journal does not know */
	struct meter meter;
};

/* --- what is asked for --- */

static const struct capture_ops *find_kind(struct ctx *c, const struct args *a)
{
	for (size_t i = 0; capture_table[i]; i++)
		if (!strcmp(capture_table[i]->name, a->pos[0]))
			return capture_table[i];
	out_error(&c->out, "there is no evidence of kind \"%.40s\"; usage: stanch acquire %s",
	          a->pos[0], a->verb->synopsis);
	return NULL;
}

/* Those of the verb as such, which captures need not know. */
static bool own_option(const char *name)
{
	static const char *const own[] = {"to", "resume", "examiner", "case"};
	for (size_t i = 0; i < ARRAY_SIZE(own); i++)
		if (!strcmp(own[i], name))
			return true;
	return false;
}

static bool is_of_verb(const struct opt *o)
{
	for (const struct opt *p = acquire_opts; p->name; p++)
		if (p == o)
			return !own_option(o->name);
	return false;
}

static int take_options(struct job *j)
{
	for (size_t i = 0; i < j->a->n_values; i++) {
		const struct arg_value *v = &j->a->values[i];
		bool taken = false;
		if (!is_of_verb(v->opt))
			continue;
		for (const char *const *p = j->ops->options; *p; p++)
			taken |= !strcmp(*p, v->opt->name);
		if (!taken || j->order.n_options == CAPTURE_OPTIONS_MAX) {
			out_error(&j->c->out, "acquire %s does not take --%s", j->ops->name,
			          v->opt->name);
			return EXIT_USAGE;
		}
		j->order.options[j->order.n_options++] =
		    (struct capture_option){v->opt->name, v->text, v->number};
	}
	return EXIT_DONE;
}

static int check_words(struct job *j)
{
	const struct args *a = j->a;
	bool needs = j->ops->argument && !j->ops->argument_optional;
	const char *to = args_text(a, "to", NULL);
	j->order.source = a->n_pos > 1 ? a->pos[1] : NULL;
	if ((needs && a->n_pos < 2) || (!j->ops->argument && a->n_pos > 1)) {
		out_error(&j->c->out, "acquire %s takes %s; usage: stanch acquire %s", j->ops->name,
		          needs ? "what to read" : "nothing more", a->verb->synopsis);
		return EXIT_USAGE;
	}
	if (!to == !args_has(a, "resume")) {
		out_error(&j->c->out, "acquire needs --to DIR, the folder for the bundle, or "
		                      "--resume EVIDENCE, and not both");
		return EXIT_USAGE;
	}
	if (args_nth(a, "force", 0)) {
		out_error(&j->c->out, "acquire has no guard that --force could overrule");
		return EXIT_USAGE;
	}
	if (args_has(a, "resume") && !j->ops->resumable) {
		out_error(&j->c->out, "acquire %s cannot be resumed; take it anew", j->ops->name);
		return EXIT_USAGE;
	}
	return take_options(j);
}

static void describe(struct job *j)
{
	struct evidence *v = &j->v;
	const char *ssh = getenv("SSH_CONNECTION");
	char login[16] = "", from[128] = "";
	FILE *f = fopen("/proc/self/loginuid", "re");
	if (f && !fgets(login, sizeof login, f))
		login[0] = 0;
	if (f)
		fclose(f);
	login[strcspn(login, "\n")] = 0;
	if (ssh)
		snprintf(from, sizeof from, ", from %.*s", (int)strcspn(ssh, " "), ssh);
	snprintf(v->by, sizeof v->by, "uid %u, login uid %s%s", (unsigned)getuid(),
	         login[0] && strcmp(login, "4294967295") != 0 ? login : "not known", from);
	gethostname(v->host, sizeof v->host - 1);
	snprintf(v->kind, sizeof v->kind, "%s", j->ops->name);
	out_clean(j->order.source ? j->order.source : "this host", v->source, sizeof v->source);
	out_clean(args_text(j->a, "examiner", ""), v->examiner, sizeof v->examiner);
	out_clean(args_text(j->a, "case", ""), v->case_id, sizeof v->case_id);
	out_clean(args_text(j->a, "reason", ""), v->reason, sizeof v->reason);
	v->begun = wall_now();
}

/* --- before --- */

/* The folder, or where it does not exist yet the one that it will be made in. */
static int open_dest(const char *to)
{
	int fd = open(to, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	char up[PATH_MAX];
	if (fd >= 0 || errno != ENOENT || snprintf(up, sizeof up, "%s/..", to) >= (int)sizeof up)
		return fd;
	snprintf(up, sizeof up, "%s", to);
	size_t n = strlen(up);
	while (n > 1 && up[n - 1] == '/')
		up[--n] = 0;
	char *slash = strrchr(up, '/');
	if (slash)
		slash[slash == up] = 0;
	return open(slash ? up : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

static void show_preflight(struct job *j, json_t *found)
{
	json_t *notes = json_object_get(found, "notes"), *note;
	json_int_t bytes = json_integer_value(json_object_get(found, "bytes"));
	size_t i;
	char size[16];
	if (bytes)
		out_info(&j->c->out, "%s: %s", j->v.source, out_bytes((uint64_t)bytes, size));
	else
		out_info(&j->c->out, "%s", j->v.source);
	json_array_foreach(notes, i, note) show_lines(&j->c->out, "note", json_string_value(note));
	if (j->c->out.json) {
		json_object_set_new(found, "event_type", json_string("acquire_preflight"));
		out_json(&j->c->out, json_incref(found));
	}
}

static int preflight(struct job *j, const char *dest_path)
{
	struct err e = {0};
	json_t *found = NULL;
	int dest = open_dest(dest_path);
	if (dest < 0) {
		out_error(&j->c->out, "%s cannot be opened: %s", dest_path, strerror(errno));
		return EXIT_REFUSED;
	}
	int r = j->ops->preflight(&j->order, dest, &found, &e);
	close(dest);
	if (r < 0) {
		enum exit_code code = ctx_exit_of(r);
		return ctx_fail(j->c, code == EXIT_FAILED ? EXIT_REFUSED : code, &e);
	}
	show_preflight(j, found);
	json_decref(found);
	return EXIT_DONE;
}

/* The manifests of what was taken before in this incident: whoever removes a whole evidence is
 * found out by the ones that follow. */
static int gather_previous(struct job *j, struct journal *journal, struct err *e)
{
	unsigned *ids = NULL;
	size_t n = 0;
	struct evidence *v = malloc(sizeof *v);
	j->previous = json_array();
	int r = v && j->previous ? journal_list_evidence(journal, j->incident, &ids, &n, e)
	                         : err_set(e, -ENOMEM, "out of memory");
	for (size_t i = 0; i < n && !r; i++) {
		char id[16];
		r = journal_get_evidence(journal, ids[i], v, NULL, e);
		if (r || !v->manifest[0] || ids[i] == j->v.id)
			continue;
		snprintf(id, sizeof id, "e%u", ids[i]);
		json_array_append_new(j->previous,
		                      json_pack("{s:s, s:s, s:s}", "evidence", id, "manifest",
		                                v->manifest, "place", v->place));
	}
	free(ids);
	free(v);
	return r;
}

static int begin_new(struct job *j, struct journal *journal, struct err *e)
{
	const char *to = args_text(j->a, "to", NULL);
	describe(j);
	int r = journal_put_evidence(journal, &j->v, e);
	if (!r)
		r = journal_incident(journal, NULL, j->incident, e);
	if (!r)
		r = bundle_create(to, j->incident, j->v.id, &j->bundle, j->v.place, e);
	if (r && j->v.id) {
		j->v.state = EVIDENCE_FAILED;
		snprintf(j->v.problem, sizeof j->v.problem, "%s", e ? e->text : "");
	}
	int put = j->v.id ? journal_put_evidence(journal, &j->v, r ? NULL : e) : 0;
	return r ? r : put;
}

static int begin_again(struct job *j, struct journal *journal, struct err *e)
{
	unsigned id;
	const char *resume = args_text(j->a, "resume", NULL);
	int r = evidence_id_parse(resume, &id, e);
	if (!r)
		r = journal_get_evidence(journal, id, &j->v, j->incident, e);
	if (r)
		return r;
	char source[EVIDENCE_TEXT_MAX];
	out_clean(j->order.source ? j->order.source : "this host", source, sizeof source);
	if (j->v.state != EVIDENCE_BEGUN)
		return err_set(e, -EALREADY,
		               "%s is %s; only what was left unfinished can be "
		               "resumed",
		               resume, evidence_state_str(j->v.state));
	if (strcmp(j->v.kind, j->ops->name) != 0 || strcmp(j->v.source, source) != 0)
		return err_set(e, -EINVAL, "%s is of %s %s, not of %s %s", resume, j->v.kind,
		               j->v.source, j->ops->name, source);
	r = bundle_reopen(j->v.place, &j->bundle, e);
	j->finished = r == -EALREADY;
	return j->finished ? 0 : r;
}

static int begin(struct job *j, struct err *e)
{
	struct journal *journal = NULL;
	char in_use[INCIDENT_ID_MAX];
	int r = journal_open(j->c->state_dir, JOURNAL_WRITE, &journal, e);
	if (!r && j->c->incident)
		r = journal_incident(journal, j->c->incident, in_use, e);
	if (!r)
		r = args_has(j->a, "resume") ? begin_again(j, journal, e)
		                             : begin_new(j, journal, e);
	if (!r)
		r = gather_previous(j, journal, e);
	if (!r)
		r = journal_head(journal, j->head, e);
	journal_close(journal);
	if (!r)
		r = seal_key_open(j->c->state_dir, false, &j->key, e);
	return r;
}

/* --- the work --- */

static void on_progress(void *arg, const char *doing, uint64_t done, uint64_t total)
{
	meter_show(&((struct job *)arg)->meter, doing, done, total);
}

static int work(struct job *j, struct capture_report *rep, struct err *e)
{
	struct capture_sink *s = bundle_sink(j->bundle);
	struct sigaction on = {.sa_handler = on_stop}, was_int, was_term, was_hup;
	s->stop = &stop_asked;
	bundle_on_progress(j->bundle, on_progress, j);
	meter_begin(&j->meter, &j->c->out);
	sigaction(SIGINT, &on, &was_int);
	sigaction(SIGTERM, &on, &was_term);
	sigaction(SIGHUP, &on, &was_hup);
	char id[16];
	snprintf(id, sizeof id, "e%u", j->v.id);
	j->order.evidence = id;
	j->order.examiner = j->v.examiner;
	j->order.case_id = j->v.case_id;
	int r = s->ops->log(s, j->order.resume_dir ? "resumed" : "begun",
	                    json_pack("{s:s, s:s, s:s, s:i}", "kind", j->ops->name, "source",
	                              j->v.source, "by", j->v.by, "pid", (int)getpid()),
	                    e);
	if (!r)
		r = j->ops->run(&j->order, s, rep, e);
	if (!r)
		r = s->ops->log(s, "ended",
		                json_pack("{s:s, s:I, s:I}", "outcome",
		                          rep->outcome == CAPTURE_WHOLE ? "whole" : "partial",
		                          "bytes", (json_int_t)rep->bytes, "missing",
		                          (json_int_t)rep->missing),
		                e);
	sigaction(SIGINT, &was_int, NULL);
	sigaction(SIGTERM, &was_term, NULL);
	sigaction(SIGHUP, &was_hup, NULL);
	meter_end(&j->meter);
	return r;
}

static int finish(struct job *j, const struct capture_report *rep, struct err *e)
{
	struct evidence *v = &j->v;
	v->state = rep->outcome == CAPTURE_WHOLE ? EVIDENCE_WHOLE : EVIDENCE_PARTIAL;
	v->ended = wall_now();
	v->bytes = rep->bytes;
	v->missing = rep->missing;
	v->problem[0] = 0;
	memcpy(v->sha256, rep->sha256, sizeof v->sha256);
	const struct bundle_about about = {.evidence = v,
	                                   .incident = j->incident,
	                                   .version = "stanch " STANCH_VERSION,
	                                   .journal_head = j->head,
	                                   .previous = j->previous};
	return bundle_finish(j->bundle, &about, j->key, v->manifest, v->root, &v->files, e);
}

static void on_problem(void *arg, const char *file, const char *why)
{
	struct job *j = arg;
	out_error(&j->c->out, "%s: %s", file, why);
}

/* A run died between the manifest and the journal's entry: that is made from the bundle, if all of
 * it is as it was signed here. */
static int adopt(struct job *j, struct capture_report *rep, struct err *e)
{
	struct bundle_verdict v = {0};
	struct evidence *found = calloc(1, sizeof *found);
	char own[EVIDENCE_HEX_MAX];
	const struct bundle_wish w = {
	    .fingerprint = own, .problem = on_problem, .progress = on_progress, .arg = j};
	int r = found ? seal_fingerprint(j->key, own, e) : err_set(e, -ENOMEM, "out of memory");
	meter_begin(&j->meter, &j->c->out);
	if (!r)
		r = bundle_check(j->v.place, &w, &v, e);
	meter_end(&j->meter);
	if (!r && v.problems)
		r = err_set(e, -EBADMSG,
		            "e%u has its manifest and is not as that says: the journal does not "
		            "take it over",
		            j->v.id);
	if (!r)
		r = bundle_evidence(&v, j->v.id, j->incident, found, e);
	if (!r && (strcmp(found->kind, j->v.kind) != 0 || strcmp(found->source, j->v.source) != 0 ||
	           found->begun != j->v.begun))
		r = err_set(e, -EBADMSG, "the manifest is not of what the journal has as e%u",
		            j->v.id);
	if (!r) {
		memcpy(found->place, j->v.place, sizeof found->place);
		j->v = *found;
		rep->outcome = found->state == EVIDENCE_WHOLE ? CAPTURE_WHOLE : CAPTURE_PARTIAL;
		buf_addf(&rep->notes, "it was finished before; the journal has it now\n");
	}
	json_decref(v.about);
	free(found);
	return r;
}

static int store(struct job *j, struct err *e)
{
	struct journal *journal = NULL;
	char incident[INCIDENT_ID_MAX];
	int r = journal_open(j->c->state_dir, JOURNAL_WRITE, &journal, e);
	if (!r)
		r = journal_incident(journal, j->incident, incident, e);
	if (!r)
		r = journal_put_evidence(journal, &j->v, e);
	if (!r)
		r = journal_head(journal, j->head, e);
	journal_close(journal);
	return r;
}

/* --- after --- */

static int failed(struct job *j, int r, const struct err *why)
{
	struct err e = {0};
	bool again = j->ops->resumable && j->bundle;
	/* A resume that was refused says nothing of the evidence. */
	bool refused = args_has(j->a, "resume") && !j->bundle;
	snprintf(j->v.problem, sizeof j->v.problem, "%s", why->text);
	if (!again) {
		j->v.state = EVIDENCE_FAILED;
		j->v.ended = wall_now();
	}
	if (j->v.id && !refused && store(j, &e) < 0)
		out_error(&j->c->out, "the journal does not know of it: %s", e.text);
	out_error(&j->c->out, "%s", why->text);
	if (again)
		out_error(&j->c->out,
		          "what was read is kept in %s; go on with: stanch acquire %s %s "
		          "--resume e%u%s",
		          j->v.place, j->ops->name, j->order.source ? j->order.source : "", j->v.id,
		          j->c->typed);
	return r == -EINTR || j->bundle ? EXIT_FAILED : (int)ctx_exit_of(r);
}

static int told(struct job *j, const struct capture_report *rep)
{
	struct out *o = &j->c->out;
	bool whole = rep->outcome == CAPTURE_WHOLE;
	evidence_show(j->c, &j->v, j->incident);
	if (rep->notes.len)
		show_lines(o, "note", buf_str(&rep->notes));
	out_line(o,
	         "  check it here: stanch verify e%u%s; elsewhere: stanch verify %s, or "
	         "sha256sum -c manifest-sha256.txt in it",
	         j->v.id, j->c->typed, j->v.place);
	out_info(o, "  note this hash off this host: journal head %s", j->head);
	return whole ? EXIT_DONE : EXIT_PARTIAL;
}

static int run(struct job *j)
{
	struct err e = {0};
	struct capture_report rep = {.notes = BUF_INIT(64u << 10)};
	int r = begin(j, &e);
	if (!r && j->finished) {
		r = adopt(j, &rep, &e);
	} else if (!r) {
		r = work(j, &rep, &e);
		r = r ? r : finish(j, &rep, &e);
	}
	int code;
	if (r)
		code = failed(j, r, &e);
	else if (store(j, &e) < 0)
		code = ctx_fail(j->c, EXIT_FAILED, &e);
	else
		code = told(j, &rep);
	buf_free(&rep.notes);
	return code;
}

/* On --resume the place is known only to the journal. */
static int dest_of(struct job *j, char dst[static EVIDENCE_PATH_MAX], struct err *e)
{
	unsigned id;
	struct journal *journal = NULL;
	const char *resume = args_text(j->a, "resume", NULL);
	if (!resume) {
		snprintf(dst, EVIDENCE_PATH_MAX, "%s", args_text(j->a, "to", ""));
		return 0;
	}
	struct evidence *v = malloc(sizeof *v);
	int r = v ? evidence_id_parse(resume, &id, e) : err_set(e, -ENOMEM, "out of memory");
	if (!r)
		r = journal_open(j->c->state_dir, JOURNAL_READ, &journal, e);
	if (!r)
		r = journal_get_evidence(journal, id, v, NULL, e);
	if (!r && !v->place[0])
		r = err_set(e, -ENOENT, "of %s nothing was written yet; take it anew", resume);
	if (!r) {
		memcpy(dst, v->place, EVIDENCE_PATH_MAX);
		snprintf(j->data, sizeof j->data, "%s/data", v->place);
		j->order.resume_dir = j->data;
	}
	journal_close(journal);
	free(v);
	return r;
}

int verb_acquire(struct ctx *c, const struct args *a)
{
	struct err e = {0};
	char dest[EVIDENCE_PATH_MAX];
	struct job *j = calloc(1, sizeof *j);
	if (!j) {
		out_error(&c->out, "out of memory");
		return EXIT_FAILED;
	}
	j->c = c;
	j->a = a;
	j->ops = find_kind(c, a);
	int code = j->ops ? check_words(j) : EXIT_USAGE;
	if (code == EXIT_DONE && dest_of(j, dest, &e) < 0)
		code = ctx_fail(c, ctx_exit_of(e.code), &e);
	if (code == EXIT_DONE) {
		out_clean(j->order.source ? j->order.source : "this host", j->v.source,
		          sizeof j->v.source);
		code = preflight(j, dest);
	}
	if (code == EXIT_DONE && !args_has(a, "dry-run"))
		code = run(j);
	bundle_close(j->bundle);
	seal_key_free(j->key);
	json_decref(j->previous);
	free(j);
	return code;
}
