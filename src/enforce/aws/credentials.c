/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Where the keys come from: only what the section names, one way of them. Sources: AWS SDKs' shared
 * credentials file; EC2 user guide, "Use IMDSv2" and "Retrieve security credentials"; STS
 * AssumeRole.
 */
#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/table.h"
#include "enforce/aws/parts.h"
#include "model/field.h"

#define METADATA      "http://169.254.169.254"
#define TOKEN_HEADER  "X-Amz-Security-Token: "
#define METADATA_MAX  (16u << 10)
#define METADATA_WAIT (2 * USEC_PER_SEC)

static void keys_free(struct aws_keys *k)
{
	secret_free(&k->id);
	secret_free(&k->key);
	secret_free(&k->token);
	*k = (struct aws_keys){.short_lived = false};
}

void aws_keys_drop(struct aws *a)
{
	keys_free(&a->keys);
	a->have_keys = false;
}

/* The header as a whole, so that no copy of the token is made later. */
static int set_token(struct aws_keys *k, const char *text, size_t n, struct err *e)
{
	struct secret s = {0};
	char line[8192];
	if (n + sizeof TOKEN_HEADER > sizeof line)
		return err_set(e, -E2BIG, "a session token of %zu bytes", n);
	memcpy(line, TOKEN_HEADER, sizeof TOKEN_HEADER - 1);
	memcpy(line + sizeof TOKEN_HEADER - 1, text, n);
	int r = secret_copy(line, sizeof TOKEN_HEADER - 1 + n, &s, e);
	explicit_bzero(line, sizeof line);
	if (r == 0)
		k->token = s;
	return r;
}

static int set_keys(struct aws_keys *k, const char *id, const char *key, const char *token,
                    struct err *e)
{
	int r = secret_copy(id, strlen(id), &k->id, e);
	if (r == 0)
		r = secret_copy(key, strlen(key), &k->key, e);
	if (r == 0 && *token)
		r = set_token(k, token, strlen(token), e);
	return r;
}

/* --- named one by one --- */

static int from_either(const char *file, const char *env, struct secret *ret, struct err *e)
{
	return file ? secret_from_file(file, ret, e) : secret_from_env(env, ret, e);
}

static int keys_single(struct aws *a, struct aws_keys *k, struct err *e)
{
	const struct aws_settings *s = &a->s;
	struct secret token = {0};
	int r = s->access_key
	            ? secret_copy(s->access_key, strlen(s->access_key), &k->id, e)
	            : secret_from_env(s->access_key_env ? s->access_key_env : "", &k->id, e);
	if (r == 0)
		r = from_either(s->secret_key_file, s->secret_key_env, &k->key, e);
	if (r == 0 && (s->session_token_file || s->session_token_env))
		r = from_either(s->session_token_file, s->session_token_env, &token, e);
	if (r == 0 && token.text)
		r = set_token(k, token.text, token.len, e);
	secret_free(&token);
	return r;
}

/* --- a shared credentials file --- */

static size_t trim(const char **p, size_t n)
{
	while (n && strchr(" \t\r", **p)) {
		(*p)++;
		n--;
	}
	while (n && strchr(" \t\r", (*p)[n - 1]))
		n--;
	return n;
}

static bool is_text(const char *p, size_t n, const char *text)
{
	return strlen(text) == n && !memcmp(p, text, n);
}

static int take_line(struct aws_keys *k, const char *p, size_t n, struct err *e)
{
	const char *equals = memchr(p, '=', n), *value = equals ? equals + 1 : p;
	size_t n_name = equals ? (size_t)(equals - p) : 0, n_value = n - (size_t)(value - p);
	n_name = trim(&p, n_name);
	n_value = trim(&value, n_value);
	if (!n_value)
		return 0;
	if (is_text(p, n_name, "aws_access_key_id") && !k->id.text)
		return secret_copy(value, n_value, &k->id, e);
	if (is_text(p, n_name, "aws_secret_access_key") && !k->key.text)
		return secret_copy(value, n_value, &k->key, e);
	if (is_text(p, n_name, "aws_session_token") && !k->token.text)
		return set_token(k, value, n_value, e);
	return 0;
}

static int keys_file(struct aws *a, struct aws_keys *k, struct err *e)
{
	const char *profile = a->s.profile ? a->s.profile : "default";
	struct secret file = {0};
	bool in = false;
	int r = secret_from_file(a->s.credentials_file, &file, e);
	for (const char *p = file.text; r == 0 && p && *p;) {
		const char *line = p;
		size_t n = strcspn(p, "\n");
		p += n + (p[n] == '\n');
		n = trim(&line, n);
		if (n > 1 && line[0] == '[' && line[n - 1] == ']')
			in = is_text(line + 1, n - 2, profile);
		else if (in && n && line[0] != '#' && line[0] != ';')
			r = take_line(k, line, n, e);
	}
	secret_free(&file);
	if (r == 0 && (!k->id.text || !k->key.text))
		r = err_set(e, -ENOENT, "%s has no keys for the profile \"%.60s\"",
		            a->s.credentials_file, profile);
	return r;
}

/* --- the role of the instance --- */

static int metadata_ask(struct aws *a, const char *method, const char *path, const char *header,
                        struct buf *ret, struct err *e)
{
	char url[512];
	const char *const headers[] = {header, NULL};
	const struct https_options o = {
	    .plain = true, .timeout = METADATA_WAIT, .answer_max = METADATA_MAX};
	struct https_answer w = {0};
	int r = a->metadata ? 0 : https_open(&o, &a->metadata, e);
	snprintf(url, sizeof url, "%.200s%.250s", a->s.metadata ? a->s.metadata : METADATA, path);
	const struct https_request q = {.method = method, .url = url, .headers = headers};
	if (r == 0)
		r = https_do(a->metadata, &q, &w, e);
	if (r == 0 && w.status != 200)
		r = err_set(e, -EREMOTEIO, "%s answers with HTTP status %d", url, w.status);
	if (r < 0)
		buf_free(&w.body);
	else
		*ret = w.body;
	return r < 0 ? err_prefix(e, r, "the instance metadata") : 0;
}

static int metadata_get(struct aws *a, const char *path, struct buf *ret, struct err *e)
{
	struct buf token = BUF_INIT(METADATA_MAX);
	char header[1024];
	int r = metadata_ask(a, "PUT", "/latest/api/token",
	                     "X-aws-ec2-metadata-token-ttl-seconds: 60", &token, e);
	if (r == 0 && token.len > 900)
		r = err_set(e, -EBADMSG, "the instance metadata: a token of %zu bytes", token.len);
	if (r == 0) {
		snprintf(header, sizeof header, "X-aws-ec2-metadata-token: %s", buf_str(&token));
		header[strcspn(header, "\r\n")] = 0;
		r = metadata_ask(a, NULL, path, header, ret, e);
	}
	buf_free(&token);
	return r;
}

int aws_own_instance(struct aws *a, char ret[static EC2_ID_MAX], struct err *e)
{
	struct buf id = BUF_INIT(METADATA_MAX);
	*ret = 0;
	if (!a->s.instance_role)
		return 0;
	int r = metadata_get(a, "/latest/meta-data/instance-id", &id, e);
	if (r == 0 && !ec2_id_ok(buf_str(&id)))
		r = err_set(e, -EBADMSG, "the instance metadata has no usable instance id");
	if (r == 0)
		strcpy(ret, buf_str(&id));
	buf_free(&id);
	return r;
}

static int take_lent(struct aws_keys *k, struct buf *text, struct err *e)
{
	json_t *j = NULL;
	const char *id = "", *key = "", *token = "";
	int r = field_load(buf_str(text), METADATA_MAX, "the instance metadata", &j, e);
	if (r == 0)
		r = field_unpack(j, "the instance metadata", e, "{s:s,s:s,s:s}", "AccessKeyId", &id,
		                 "SecretAccessKey", &key, "Token", &token);
	if (r == 0)
		r = set_keys(k, id, key, token, e);
	/* The reader's own copies. */
	if (*key)
		explicit_bzero((char *)(uintptr_t)key, strlen(key));
	if (*token)
		explicit_bzero((char *)(uintptr_t)token, strlen(token));
	json_decref(j);
	return r;
}

static int keys_instance(struct aws *a, struct aws_keys *k, struct err *e)
{
	static const char base[] = "/latest/meta-data/iam/security-credentials/";
	struct buf role = BUF_INIT(METADATA_MAX), keys = BUF_INIT(METADATA_MAX);
	char path[256];
	int r = metadata_get(a, base, &role, e);
	if (r == 0) {
		snprintf(path, sizeof path, "%s%.128s", base, buf_str(&role));
		path[strcspn(path, "\r\n?#")] = 0;
		r = metadata_get(a, path, &keys, e);
	}
	if (r == 0)
		r = take_lent(k, &keys, e);
	if (keys.data)
		explicit_bzero(keys.data, keys.len);
	buf_free(&keys);
	buf_free(&role);
	k->short_lived = true;
	return r;
}

/* --- another role on top --- */

static int assume(struct aws *a, struct err *e)
{
	struct aws_call c;
	struct aws_keys k = {.short_lived = true};
	struct xml_doc *d = NULL;
	aws_call_new(&c, AWS_STS, "AssumeRole");
	aws_arg(&c, "RoleArn", a->s.assume_role);
	aws_arg(&c, "RoleSessionName", "stanch");
	if (a->s.external_id)
		aws_arg(&c, "ExternalId", a->s.external_id);
	int r = aws_do(a, &c, &d, e);
	if (r < 0)
		return r;
	const struct xml_node *n = xml_at(xml_root(d), "AssumeRoleResult/Credentials");
	if (!n)
		r = err_set(e, -EBADMSG, "AssumeRole: the answer has no credentials");
	else
		r = set_keys(&k, xml_text_at(n, "AccessKeyId"), xml_text_at(n, "SecretAccessKey"),
		             xml_text_at(n, "SessionToken"), e);
	xml_free(d);
	if (r < 0) {
		keys_free(&k);
		return r;
	}
	keys_free(&a->keys);
	a->keys = k;
	return 0;
}

static int load(struct aws *a, struct err *e)
{
	const struct aws_settings *s = &a->s;
	const struct {
		bool given;
		int (*load)(struct aws *, struct aws_keys *, struct err *);
	} ways[] = {
	    {s->secret_key_file || s->secret_key_env, keys_single},
	    {s->credentials_file != NULL, keys_file},
	    {s->instance_role, keys_instance},
	};
	size_t n = 0, way = 0;
	for (size_t i = 0; i < ARRAY_SIZE(ways); i++)
		if (ways[i].given) {
			way = i;
			n++;
		}
	if (n != 1)
		return err_set(
		    e, -EINVAL,
		    "the section \"%s\" names %s credentials: it takes one of "
		    "secret_key_file, secret_key_env, credentials_file and instance_role",
		    a->point, n ? "more than one kind of" : "no");
	return ways[way].load(a, &a->keys, e);
}

int aws_keys_load(struct aws *a, struct err *e)
{
	if (a->have_keys)
		return 0;
	int r = load(a, e);
	a->have_keys = r == 0;
	if (r == 0 && a->s.assume_role)
		r = assume(a, e);
	if (r < 0)
		aws_keys_drop(a);
	return r;
}
