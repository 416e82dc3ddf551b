/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "enforce/panos/api.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/table.h"

#define BODY_MAX    (1u << 20)
#define JOB_POLL_MS 200
#define JOB_WAIT    (600 * USEC_PER_SEC)

/* --- connecting --- */

static int load_key(struct panos *p, struct err *e)
{
	const struct section *s = p->point->config;
	const char *file = section_get(s, "key_file", 0), *env = section_get(s, "key_env", 0);
	struct secret key = {0};
	if (!file && !env)
		return err_set(e, -EINVAL,
		               "%s: neither key_file nor key_env says where the API "
		               "key is",
		               p->point->name);
	int r = file ? secret_from_file(file, &key, e) : secret_from_env(env, &key, e);
	if (r < 0)
		return r;
	char line[2048];
	int n = snprintf(line, sizeof line, "X-PAN-KEY: %s", secret_text(&key));
	r = n < (int)sizeof line ? secret_copy(line, (size_t)n, &p->header, e)
	                         : err_set(e, -E2BIG, "the API key is too long");
	explicit_bzero(line, sizeof line);
	secret_free(&key);
	return r;
}

static int connect_once(struct panos *p, struct err *e)
{
	const struct section *s = p->point->config;
	struct https_options o = {.ca_file = section_get(s, "ca_file", 0), .timeout = p->timeout};
	if (p->https)
		return 0;
	int r = load_key(p, e);
	return r < 0 ? r : https_open(&o, &p->https, e);
}

void panos_api_close(struct panos *p)
{
	https_close(p->https);
	secret_free(&p->header);
}

/* --- answers --- */

static void words(const struct xml_node *n, struct buf *out)
{
	if (*xml_text(n) && strspn(xml_text(n), " \t\n") != strlen(xml_text(n)))
		buf_addf(out, "%s%s", out->len ? " " : "", xml_text(n));
	for (n = xml_child(n, NULL); n; n = xml_next(n, NULL)) {
		const char *message = xml_attr(n, "message");
		if (message)
			buf_addf(out, "%s%s", out->len ? "; " : "", message);
		words(n, out);
	}
}

/* Codes of the XML API guide, "API error codes". */
static int code_of(const char *code)
{
	static const struct {
		const char *code;
		int error;
	} codes[] = {{"403", -EACCES}, {"16", -EACCES}, {"22", -EACCES}, {"7", -ENOENT}};
	for (size_t i = 0; i < ARRAY_SIZE(codes); i++)
		if (code && !strcmp(code, codes[i].code))
			return codes[i].error;
	return -EIO;
}

static int check_answer(const struct panos *p, int status, const struct xml_doc *d, struct err *e)
{
	const struct xml_node *root = xml_root(d);
	const char *word = xml_attr(root, "status");
	struct buf text = BUF_INIT(4096);
	if (!strcmp(root->name, "response") && word && !strcmp(word, "success") && status < 400)
		return 0;
	words(xml_child(root, "msg") ? xml_child(root, "msg") : xml_child(root, "result"), &text);
	int code = status == 403 ? -EACCES : code_of(xml_attr(root, "code"));
	err_set(e, code, "%s refuses: %.300s", p->point->name,
	        text.len ? buf_str(&text) : "no reason was given");
	buf_free(&text);
	return code;
}

int panos_call(struct panos *p, const char *type, const char *const *fields, struct xml_doc **ret,
               struct err *e)
{
	struct buf body = BUF_INIT(BODY_MAX);
	struct https_answer answer = {0};
	struct xml_doc *d = NULL;
	int r = connect_once(p, e);
	const char *headers[] = {secret_text(&p->header), NULL};
	form_add(&body, "type", type);
	for (; *fields; fields += 2)
		form_add(&body, fields[0], fields[1]);
	if (r == 0 && body.error)
		r = err_set(e, body.error, "out of memory for the request");
	if (r == 0)
		r = https_do(
		    p->https,
		    &(struct https_request){
		        .url = p->url, .headers = headers, .body = body.data, .n = body.len},
		    &answer, e);
	if (r == 0 && (r = xml_parse(answer.body.data, answer.body.len, &d, e)) < 0)
		err_prefix(e, r, "%s", p->point->name);
	if (r == 0)
		r = check_answer(p, answer.status, d, e);
	if (r == 0 && ret)
		*ret = d;
	else
		xml_free(d);
	buf_free(&answer.body);
	buf_free(&body);
	return r;
}

int panos_op(struct panos *p, const char *cmd, struct xml_doc **ret, struct err *e)
{
	return panos_call(p, "op", (const char *const[]){"cmd", cmd, NULL}, ret, e);
}

/* --- configuration --- */

const char *panos_xpath(const struct panos *p, const char *below, char *dst, size_t n)
{
	const char *vsys = section_get(p->point->config, "vsys", 0);
	snprintf(dst, n,
	         "/config/devices/entry[@name='localhost.localdomain']/vsys/entry[@name='%s']%s",
	         vsys ? vsys : "vsys1", below);
	return dst;
}

int panos_read(struct panos *p, const char *action, const char *xpath, struct xml_doc **ret,
               const struct xml_node **ret_at, struct err *e)
{
	const char *const fields[] = {"action", action, "xpath", xpath, NULL};
	struct xml_doc *d = NULL;
	*ret_at = NULL;
	int r = panos_call(p, "config", fields, &d, e);
	if (r == -ENOENT)
		return 0;
	if (r == 0) {
		*ret_at = xml_child(xml_child(xml_root(d), "result"), NULL);
		*ret = d;
	}
	return r;
}

/* --- jobs --- */

static int job_done(struct panos *p, const char *id, bool *done, struct err *e)
{
	char cmd[96];
	struct xml_doc *d = NULL;
	struct buf text = BUF_INIT(4096);
	snprintf(cmd, sizeof cmd, "<show><jobs><id>%.20s</id></jobs></show>", id);
	int r = panos_op(p, cmd, &d, e);
	const struct xml_node *job = r == 0 ? xml_at(xml_root(d), "result/job") : NULL;
	*done = job && !strcmp(xml_text_at(job, "status"), "FIN");
	if (*done && strcmp(xml_text_at(job, "result"), "OK") != 0) {
		words(xml_child(job, "details"), &text);
		r = err_set(e, -EIO, "%s: the commit (job %s) failed: %.300s", p->point->name, id,
		            text.len ? buf_str(&text) : "no reason was given");
	}
	buf_free(&text);
	xml_free(d);
	return r;
}

static int wait_job(struct panos *p, const char *id, struct err *e)
{
	usec_t until = boot_now() + JOB_WAIT;
	bool done = false;
	int r = 0;
	while (r == 0 && !done) {
		r = job_done(p, id, &done, e);
		if (r == 0 && !done && boot_now() > until)
			r = err_set(e, -ETIMEDOUT,
			            "%s: the commit (job %s) has not ended within 10 minutes; it "
			            "may still go through",
			            p->point->name, id);
		if (r == 0 && !done)
			nanosleep(&(struct timespec){.tv_nsec = JOB_POLL_MS * 1000000L}, NULL);
	}
	return r;
}

int panos_commit(struct panos *p, struct err *e)
{
	char cmd[256];
	struct xml_doc *d = NULL;
	struct buf admin = BUF_INIT(128);
	xml_add(&admin, section_get(p->point->config, "user", 0));
	snprintf(cmd, sizeof cmd,
	         "<commit><partial><admin><member>%s</member></admin></partial></commit>",
	         buf_str(&admin));
	buf_free(&admin);
	int r = panos_call(p, "commit",
	                   (const char *const[]){"action", "partial", "cmd", cmd, NULL}, &d, e);
	/* Nothing to commit is success without a job. */
	const char *id = r == 0 ? xml_text_at(xml_root(d), "result/job") : "";
	if (*id)
		r = wait_job(p, id, e);
	xml_free(d);
	return r;
}
