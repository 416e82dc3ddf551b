/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * One call of the Query API, from form to answer. Source: the AWS general reference (signing, error
 * responses, back-off), EC2 API reference, "Query requests" and "Error codes".
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

#include "base/table.h"
#include "enforce/aws/parts.h"

#define FORM_MAX    (64u << 10)
#define PAGES_MAX   1000
#define PAUSE_MIN   (100 * USEC_PER_MSEC)
#define PAUSE_MAX   (4 * USEC_PER_SEC)
#define REQUEST_MAX (20 * USEC_PER_SEC)

static const struct {
	const char *name, *version;
	bool global;
} services[_AWS_SERVICE_MAX] = {
    [AWS_EC2] = {"ec2", "2016-11-15", false},
    [AWS_SCALING] = {"autoscaling", "2011-01-01", false},
    [AWS_IAM] = {"iam", "2010-05-08", true},
    [AWS_STS] = {"sts", "2011-06-15", false},
};

/* --- forms --- */

void aws_call_new(struct aws_call *c, enum aws_service service, const char *action)
{
	*c = (struct aws_call){.service = service, .action = action, .form = BUF_INIT(FORM_MAX)};
	form_add(&c->form, "Action", action);
	form_add(&c->form, "Version", services[service].version);
}

void aws_arg(struct aws_call *c, const char *name, const char *value)
{
	form_add(&c->form, name, value);
}

void aws_arg_at(struct aws_call *c, const char *name, size_t i, const char *value)
{
	char field[AWS_FIELD_MAX];
	snprintf(field, sizeof field, "%s.%zu", name, i);
	form_add(&c->form, field, value);
}

void aws_filter(struct aws_call *c, const char *name, const char *value)
{
	char field[AWS_FIELD_MAX];
	c->filters++;
	snprintf(field, sizeof field, "Filter.%u.Name", c->filters);
	form_add(&c->form, field, name);
	snprintf(field, sizeof field, "Filter.%u.Value.1", c->filters);
	form_add(&c->form, field, value);
}

/* --- where to --- */

/* IAM is one service for a whole partition, and signs for one region of it. */
static const struct {
	const char *prefix, *domain, *iam_host, *iam_region;
} partitions[] = {
    {"cn-", "amazonaws.com.cn", "iam.cn-north-1.amazonaws.com.cn", "cn-north-1"},
    {"us-gov-", "amazonaws.com", "iam.us-gov.amazonaws.com", "us-gov-west-1"},
    {"", "amazonaws.com", "iam.amazonaws.com", "us-east-1"},
};

static void address(const struct aws *a, enum aws_service service, char url[static 256],
                    char scope[static 96])
{
	size_t p = 0;
	bool global = services[service].global;
	const char *name = services[service].name, *slash = "";
	while (strncmp(a->s.region, partitions[p].prefix, strlen(partitions[p].prefix)) != 0)
		p++;
	if (a->s.endpoint && a->s.endpoint[strlen(a->s.endpoint) - 1] != '/')
		slash = "/";
	if (a->s.endpoint)
		snprintf(url, 256, "%.250s%s", a->s.endpoint, slash);
	else if (global)
		snprintf(url, 256, "https://%s/", partitions[p].iam_host);
	else
		snprintf(url, 256, "https://%s.%s.%s/", name, a->s.region, partitions[p].domain);
	snprintf(scope, 96, "aws:amz:%s:%s", global ? partitions[p].iam_region : a->s.region, name);
}

static int connect_once(struct aws *a, struct err *e)
{
	usec_t most = a->s.timeout / 2;
	const struct https_options o = {.ca_file = a->s.ca_file,
	                                .plain = a->s.endpoint != NULL,
	                                .timeout = most < REQUEST_MAX ? most : REQUEST_MAX};
	return a->https ? 0 : https_open(&o, &a->https, e);
}

/* --- errors --- */

enum again { NO, LATER, NEW_KEYS };

/* The first that fits; '*' stands for anything. */
static const struct {
	const char *code;
	int is;
	enum again again;
	const char *advice;
} codes[] = {
    {"DryRunOperation", -ECANCELED, NO, ""},
    {"UnauthorizedOperation", -EACCES, NO, ": give this user or role the right"},
    {"AccessDenied*", -EACCES, NO, ": give this user or role the right"},
    {"AuthFailure", -EKEYREJECTED, NO, ": the credentials are not taken; check key and clock"},
    {"InvalidClientTokenId", -EKEYREJECTED, NO, ": the credentials are not taken"},
    {"InvalidAccessKeyId", -EKEYREJECTED, NO, ": the credentials are not taken"},
    {"UnrecognizedClientException", -EKEYREJECTED, NO, ": the credentials are not taken"},
    {"SignatureDoesNotMatch", -EKEYREJECTED, NO, ": the secret key is wrong, or the clock"},
    {"IncompleteSignature", -EKEYREJECTED, NO, ": the credentials are not taken"},
    {"MissingAuthenticationToken", -EKEYREJECTED, NO, ": the credentials are not taken"},
    {"RequestExpired", -EKEYREJECTED, NEW_KEYS, ": credentials or clock are out of date"},
    {"ExpiredToken*", -EKEYREJECTED, NEW_KEYS, ": the credentials have expired"},
    {"RequestLimitExceeded", -EAGAIN, LATER, ": AWS asks for fewer calls; try again later"},
    {"Throttling*", -EAGAIN, LATER, ": AWS asks for fewer calls; try again later"},
    {"EC2ThrottledException", -EAGAIN, LATER, ": AWS asks for fewer calls; try again later"},
    {"InternalError", -EAGAIN, LATER, ": a failure at AWS; try again later"},
    {"InternalFailure", -EAGAIN, LATER, ": a failure at AWS; try again later"},
    {"*Unavailable", -EAGAIN, LATER, ": a failure at AWS; try again later"},
    {"*NotFound", -ENOENT, NO, ""},
    {"NoSuchEntity", -ENOENT, NO, ""},
    {"*.Malformed", -ENOENT, NO, ""},
    {"*Duplicate", -EEXIST, NO, ""},
    {"*AlreadyExists", -EEXIST, NO, ""},
    {"DependencyViolation", -EBUSY, NO, ""},
    {"*.InUse", -EBUSY, NO, ""},
    {"*LimitExceeded", -ENOSPC, NO, ": a quota of the account"},
};

static bool fits(const char *pattern, const char *s)
{
	size_t n = strlen(pattern), len = strlen(s);
	if (*pattern == '*')
		return len >= n - 1 && !strcmp(s + len - (n - 1), pattern + 1);
	if (pattern[n - 1] == '*')
		return !strncmp(s, pattern, n - 1);
	return !strcmp(s, pattern);
}

static int api_error(const struct aws_call *c, const struct xml_node *root, int status,
                     enum again *again, struct err *e)
{
	char code[EC2_TEXT_MAX] = "", message[EC2_TEXT_MAX] = "";
	size_t i = 0;
	*again = NO;
	if (!root || !ec2_take_error(root, code, message)) {
		*again = status >= 500 || status == 429 ? LATER : NO;
		return err_set(e, -EREMOTEIO, "%s: the service answers with HTTP status %d",
		               c->action, status);
	}
	while (i < ARRAY_SIZE(codes) && !fits(codes[i].code, code))
		i++;
	bool known = i < ARRAY_SIZE(codes);
	*again = known ? codes[i].again : status >= 500 ? LATER : NO;
	if (known && codes[i].is == -ENOENT && c->fresh)
		*again = LATER;
	return err_set(e, known ? codes[i].is : -EREMOTEIO, "%s: %.80s (%.200s)%s", c->action, code,
	               message, known ? codes[i].advice : "");
}

/* --- sending --- */

void aws_pause(usec_t d)
{
	struct timespec t = {.tv_sec = (time_t)(d / USEC_PER_SEC),
	                     .tv_nsec = (long)(d % USEC_PER_SEC * 1000)};
	while (nanosleep(&t, &t) < 0 && errno == EINTR)
		;
}

/* Twice as long each time, and by chance up to half of it less. */
static usec_t next_pause(unsigned attempt)
{
	usec_t d = PAUSE_MIN << (attempt < 6 ? attempt : 6);
	uint16_t chance = 0;
	if (d > PAUSE_MAX)
		d = PAUSE_MAX;
	if (getrandom(&chance, sizeof chance, GRND_NONBLOCK) != sizeof chance)
		chance = 0;
	return d - d / 2 * chance / 65536;
}

static int read_answer(const struct aws_call *c, struct https_answer *w, struct xml_doc **ret,
                       enum again *again, struct err *e)
{
	struct xml_doc *d = NULL;
	bool good = w->status / 100 == 2;
	int r = xml_parse(w->body.data, w->body.len, &d, e);
	if (w->body.data)
		explicit_bzero(w->body.data, w->body.len); /* STS answers with keys */
	buf_free(&w->body);
	*again = NO;
	if (!good) {
		r = api_error(c, r == 0 ? xml_root(d) : NULL, w->status, again, e);
	} else if (r == 0) {
		*ret = d;
		return 0;
	} else {
		err_prefix(e, r, "%s", c->action);
	}
	xml_free(d);
	return r;
}

static int send_once(struct aws *a, const struct aws_call *c, struct xml_doc **ret,
                     enum again *again, struct err *e)
{
	char url[256], scope[96];
	address(a, c->service, url, scope);
	const char *const headers[] = {secret_text(&a->keys.token), NULL};
	const struct https_request q = {
	    .url = url,
	    .headers = a->keys.token.text ? headers : NULL,
	    .body = c->form.data,
	    .n = c->form.len,
	    .sigv4 = scope,
	    .key = secret_text(&a->keys.id),
	    .secret = secret_text(&a->keys.key),
	    .once = c->once,
	};
	struct https_answer w = {0};
	int r = https_do(a->https, &q, &w, e);
	if (r == 0)
		return read_answer(c, &w, ret, again, e);
	bool lasting = r == -EKEYREJECTED || r == -EINVAL || r == -ENOENT || r == -ENOMEM;
	*again = lasting || (c->once && !https_was_not_sent(r)) ? NO : LATER;
	return err_prefix(e, r, "%s", c->action);
}

static int send_until(struct aws *a, const struct aws_call *c, struct xml_doc **ret, struct err *e)
{
	usec_t end = boot_now() + a->s.timeout;
	bool renewed = c->service == AWS_STS;
	for (unsigned attempt = 0;; attempt++) {
		enum again again = NO;
		int r = send_once(a, c, ret, &again, e);
		usec_t pause = next_pause(attempt);
		if (r == 0 || again == NO || boot_now() + pause > end)
			return r;
		if (again == NEW_KEYS) {
			if (renewed || !a->keys.short_lived)
				return r;
			renewed = true;
			aws_keys_drop(a);
			if ((r = aws_keys_load(a, e)) < 0)
				return r;
			continue;
		}
		aws_pause(pause);
	}
}

int aws_do(struct aws *a, struct aws_call *c, struct xml_doc **ret, struct err *e)
{
	struct xml_doc *d = NULL;
	int r = c->form.error;
	if (r < 0)
		err_set(e, r, "%s: the request is larger than may be", c->action);
	if (r == 0)
		r = connect_once(a, e);
	if (r == 0)
		r = aws_keys_load(a, e);
	if (r == 0)
		r = send_until(a, c, &d, e);
	buf_free(&c->form);
	if (r == 0 && ret)
		*ret = d;
	else
		xml_free(d);
	return r;
}

int aws_dry(struct aws *a, struct aws_call *c, struct err *e)
{
	/* Rights are looked at first: another complaint is about what was made up for the try. */
	static const int told[] = {-ECANCELED, -ENOENT, -EEXIST, -EBUSY, -ENOSPC, -EREMOTEIO};
	aws_arg(c, "DryRun", "true");
	int r = aws_do(a, c, NULL, e);
	for (size_t i = 0; i < ARRAY_SIZE(told); i++)
		if (r == told[i])
			return 0;
	return r;
}

/* --- lists --- */

static int each_page(struct aws *a, const struct aws_call *c, const char *set, aws_item f,
                     void *arg, char token[static 4096], struct err *e)
{
	struct aws_call page = *c;
	struct xml_doc *d = NULL;
	page.form = BUF_INIT(FORM_MAX);
	buf_add(&page.form, c->form.data, c->form.len);
	if (*token)
		form_add(&page.form, "NextToken", token);
	int r = aws_do(a, &page, &d, e);
	if (r < 0)
		return r;
	const struct xml_node *item = xml_child(xml_at(xml_root(d), set), NULL);
	for (; r == 0 && item; item = xml_next(item, NULL))
		r = f(arg, item, e);
	const char *next = xml_text_at(xml_root(d), "nextToken");
	if (r == 0 && strlen(next) >= 4096)
		r = err_set(e, -EBADMSG, "%s: the answer's next page has no usable name",
		            c->action);
	if (r == 0)
		strcpy(token, next);
	xml_free(d);
	return r;
}

int aws_each(struct aws *a, struct aws_call *c, const char *set, aws_item f, void *arg,
             struct err *e)
{
	char token[4096] = "";
	usec_t end = boot_now() + 4 * a->s.timeout;
	int r = c->form.error;
	if (r < 0)
		err_set(e, r, "%s: the request is larger than may be", c->action);
	for (unsigned page = 0; r == 0; page++) {
		if (page == PAGES_MAX || boot_now() > end)
			r = err_set(e, -E2BIG, "%s: the answer does not end", c->action);
		else
			r = each_page(a, c, set, f, arg, token, e);
		if (!*token)
			break;
	}
	buf_free(&c->form);
	return r;
}
