/* SPDX-License-Identifier: GPL-3.0-or-later */
/* verify of evidence: by its id, with what the journal knows, or by the path of a bundle or of an
 * incident's folder, on any machine. */
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "acquire/bundle_check.h"
#include "seal/key.h"
#include "ui/evidence.h"
#include "ui/meter.h"

struct look {
	struct ctx *c;
	const char *name; /* "e1", or the path */
	struct meter meter;
};

bool evidence_meant(const char *argument)
{
	unsigned id;
	return strchr(argument, '/') || !strcmp(argument, ".") || !strcmp(argument, "..") ||
	       evidence_id_parse(argument, &id, NULL) == 0;
}

static void on_problem(void *arg, const char *file, const char *why)
{
	struct look *l = arg;
	char clean[PATH_MAX];
	out_clean(file, clean, sizeof clean);
	meter_end(&l->meter);
	out_line(&l->c->out, "%s: %s%s%s: %s", l->name, out_on(&l->c->out, STYLE_BAD), clean,
	         out_off(&l->c->out, STYLE_BAD), why);
	out_json(&l->c->out, json_pack("{s:s, s:s, s:s, s:s}", "event_type", "verify_problem",
	                               "evidence", l->name, "file", clean, "problem", why));
}

static void on_progress(void *arg, const char *doing, uint64_t done, uint64_t total)
{
	meter_show(&((struct look *)arg)->meter, doing, done, total);
}

static void tell(struct look *l, const struct bundle_verdict *v, bool known_key)
{
	struct out *o = &l->c->out;
	const char *text = v->problems ? "does not match" : "good";
	enum out_style s = v->problems ? STYLE_BAD : STYLE_GOOD;
	char size[16];
	out_line(o, "%s: %s%s%s, %" PRIu64 " files, %s, manifest %s", l->name, out_on(o, s), text,
	         out_off(o, s), v->files, out_bytes(v->bytes, size), v->manifest);
	if (v->fingerprint[0])
		out_line(o, "  signed by the key %s%s", v->fingerprint,
		         known_key ? ""
		                   : "; compare that with what was noted when it was taken, or "
		                     "give it with --key");
	out_json(o,
	         json_pack("{s:s, s:s, s:b, s:i, s:I, s:I, s:s, s:s, s:s, s:b, s:O?}", "event_type",
	                   "verify_evidence", "evidence", l->name, "intact", !v->problems,
	                   "problems", (int)v->problems, "files", (json_int_t)v->files, "bytes",
	                   (json_int_t)v->bytes, "manifest", v->manifest, "merkle_root", v->root,
	                   "key", v->fingerprint, "key_known", known_key, "about", v->about));
}

static int check_bundle(struct ctx *c, const char *name, const char *path, const char *manifest,
                        const char *key, json_t **ret_about)
{
	struct err e = {0};
	struct bundle_verdict v = {0};
	struct look l = {.c = c, .name = name};
	meter_begin(&l.meter, &c->out);
	const struct bundle_wish w = {.manifest = manifest,
	                              .fingerprint = key,
	                              .problem = on_problem,
	                              .progress = on_progress,
	                              .arg = &l};
	int r = bundle_check(path, &w, &v, &e);
	meter_end(&l.meter);
	if (r == -ENOENT || r == -ENOTDIR) {
		on_problem(&l, ".", e.text);
		return EXIT_MISMATCH;
	}
	if (r < 0)
		return ctx_fail(c, ctx_exit_of(r), &e);
	tell(&l, &v, key != NULL);
	if (ret_about)
		*ret_about = v.about;
	else
		json_decref(v.about);
	return v.problems ? EXIT_MISMATCH : EXIT_DONE;
}

/* --- by its id --- */

static int own_fingerprint(struct ctx *c, char ret[static SHA256_HEX_MAX], struct err *e)
{
	struct seal_key *k = NULL;
	int r = seal_pub_open(c->state_dir, &k, e);
	if (!r)
		r = seal_fingerprint(k, ret, e);
	seal_key_free(k);
	return r;
}

static int by_id(struct ctx *c, const char *name, const char *key)
{
	struct err e = {0};
	struct journal *j = NULL;
	unsigned id;
	char own[SHA256_HEX_MAX] = "";
	struct evidence *v = calloc(1, sizeof *v);
	int r = v ? evidence_id_parse(name, &id, &e) : err_set(&e, -ENOMEM, "out of memory");
	if (!r)
		r = journal_open(c->state_dir, JOURNAL_READ, &j, &e);
	if (!r)
		r = journal_get_evidence(j, id, v, NULL, &e);
	if (!r && !key)
		r = own_fingerprint(c, own, &e);
	journal_close(j);
	int code;
	if (r < 0) {
		code = ctx_fail(c, ctx_exit_of(r), &e);
	} else if (!v->manifest[0]) {
		out_error(&c->out, "%s is %s and has no manifest yet%s%s", name,
		          evidence_state_str(v->state), v->problem[0] ? ": " : "", v->problem);
		code = EXIT_REFUSED;
	} else {
		code = check_bundle(c, name, v->place, v->manifest, key ? key : own, NULL);
	}
	free(v);
	return code;
}

/* --- by path --- */

static int is_evidence(const struct dirent *d)
{
	unsigned id;
	return evidence_id_parse(d->d_name, &id, NULL) == 0;
}

static size_t folder_len(const char *path)
{
	const char *slash = strrchr(path, '/');
	return slash ? (size_t)(slash - path) : 0;
}

/* What an evidence's manifest says of those before it, which lay beside it: are they still there,
 * and the same? */
static int check_previous(struct ctx *c, const char *folder, json_t *about)
{
	json_t *v, *previous = json_object_get(about, "previous");
	const char *own = json_string_value(json_object_get(about, "place"));
	int worst = EXIT_DONE;
	size_t i;
	json_array_foreach(previous, i, v)
	{
		char path[PATH_MAX];
		struct stat st;
		unsigned id;
		const char *name = json_string_value(json_object_get(v, "evidence"));
		const char *place = json_string_value(json_object_get(v, "place"));
		if (!name || !place || !own || evidence_id_parse(name, &id, NULL) ||
		    folder_len(place) != folder_len(own) ||
		    strncmp(place, own, folder_len(own)) != 0)
			continue;
		snprintf(path, sizeof path, "%s/%s", folder, name);
		if (stat(path, &st) == 0)
			continue;
		struct look l = {.c = c, .name = folder, .meter = {.out = &c->out}};
		on_problem(&l, name, "this evidence was here and is missing as a whole");
		worst = EXIT_MISMATCH;
	}
	return worst;
}

static int by_folder(struct ctx *c, const char *path, const char *key)
{
	struct dirent **found = NULL;
	int worst = EXIT_DONE, n = scandir(path, &found, is_evidence, versionsort);
	if (n <= 0)
		out_error(&c->out, "%s is no bundle and has none in it%s%s", path, n ? ": " : "",
		          n ? strerror(errno) : "");
	for (int i = 0; i < n; i++) {
		char bundle[PATH_MAX];
		json_t *about = NULL;
		snprintf(bundle, sizeof bundle, "%s/%s", path, found[i]->d_name);
		int code = check_bundle(c, bundle, bundle, NULL, key, &about);
		worst = code > worst ? code : worst;
		code = i == n - 1 ? check_previous(c, path, about) : EXIT_DONE;
		worst = code > worst ? code : worst;
		json_decref(about);
		free(found[i]);
	}
	free(found);
	return n > 0 ? worst : EXIT_REFUSED;
}

int evidence_verify(struct ctx *c, const char *argument, const char *key)
{
	char path[PATH_MAX], clean[SHA256_HEX_MAX];
	uint8_t raw[SHA256_LEN];
	if (key && hex_decode(key, raw, sizeof raw) < 0) {
		out_error(&c->out, "--key takes the 64 digits that were shown as the key");
		return EXIT_USAGE;
	}
	key = key ? hex_encode(raw, sizeof raw, clean) : NULL;
	if (argument[0] == 'e' && !strchr(argument, '/'))
		return by_id(c, argument, key);
	snprintf(path, sizeof path, "%s", argument);
	for (size_t n = strlen(path); n > 1 && path[n - 1] == '/'; n--)
		path[n - 1] = 0;
	return bundle_is(path) ? check_bundle(c, path, path, NULL, key, NULL)
	                       : by_folder(c, path, key);
}
