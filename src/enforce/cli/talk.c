/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "enforce/cli/talk.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "wire/cli_text.h"

#define OUTPUT_MAX  (8u << 20)
#define COMMAND_MAX 4096
#define QUIET       (40 * 1000) /* µs: a prompt has nothing behind it */
#define TIMEOUT     (30 * USEC_PER_SEC)
#define PAGES_MAX   100000

struct talk {
	struct ssh_link *link;
	const struct device *d;
	usec_t timeout;
	struct cli_text text;
	char host[128];
};

static int feed(struct talk *t, usec_t wait, struct err *e)
{
	uint8_t in[8192];
	size_t n = 0;
	int r = ssh_link_read(t->link, in, sizeof in, wait, &n, e);
	if (r == 0 && !n)
		return err_set(e, -EPIPE, "%s has closed the connection", t->host);
	if (r == 0 && (r = cli_text_feed(&t->text, in, n)) < 0)
		err_set(e, r, "%s shows more than %u bytes at once", t->host, OUTPUT_MAX);
	return r;
}

static bool waits_with(struct talk *t, const char *key)
{
	const char *rest = cli_text_rest(&t->text);
	return *rest && device_fits(t->d, key, rest, NULL);
}

/* Until a line that waits fits `key`; pages are turned. */
static int wait_for(struct talk *t, const char *key, struct err *e)
{
	usec_t until = boot_now() + t->timeout;
	int r = 0, pages = 0;
	while (r == 0) {
		if (waits_with(t, "session.more") && pages++ < PAGES_MAX) {
			r = ssh_link_write(t->link, " ", 1, e);
		} else if (waits_with(t, key)) {
			struct err quiet = {0};
			if (feed(t, QUIET, &quiet) == -ETIMEDOUT)
				return 0;
			continue;
		}
		usec_t now = boot_now();
		if (r == 0 && now >= until)
			r = err_set(e, -ETIMEDOUT,
			            "%s shows no prompt within %llu s (last: \"%.60s\")", t->host,
			            (unsigned long long)(t->timeout / USEC_PER_SEC),
			            cli_text_rest(&t->text));
		if (r == 0)
			r = feed(t, until - now, e);
	}
	return r;
}

static void forget(struct talk *t)
{
	buf_reset(&t->text.lines);
	t->text.len = t->text.column = 0;
}

/* What the device showed: the first line is the command, echoed behind the prompt. */
static int sort_out(struct talk *t, const char *command, struct buf *out, struct err *e)
{
	const char *p = buf_str(&t->text.lines);
	int r = 0;
	for (bool first = true; *p; first = false) {
		size_t n = strcspn(p, "\n");
		char line[CLI_LINE_MAX];
		snprintf(line, sizeof line, "%.*s", (int)n, p);
		if (r == 0 && !first && device_fits(t->d, "session.error", line, NULL))
			r = err_set(e, -EIO, "%s refuses \"%.100s\": %.200s", t->host, command,
			            line);
		if (!first && out)
			buf_addf(out, "%s\n", line);
		p += n + (p[n] == '\n');
	}
	return r == 0 && out && out->error ? err_set(e, out->error, "out of memory") : r;
}

static int say(struct talk *t, const char *text, struct err *e)
{
	char line[COMMAND_MAX + 1];
	size_t n = strlen(text);
	for (size_t i = 0; i < n; i++)
		if ((unsigned char)text[i] < 0x20 || text[i] == 0x7f)
			return err_set(e, -EINVAL,
			               "a command with a control character is not sent");
	if (n >= COMMAND_MAX)
		return err_set(e, -EINVAL, "the command is too long");
	memcpy(line, text, n + 1);
	line[n] = '\n';
	forget(t);
	int r = ssh_link_write(t->link, line, n + 1, e);
	explicit_bzero(line, sizeof line);
	return r;
}

int talk_line(struct talk *t, const char *command, struct buf *out, struct err *e)
{
	int r = say(t, command, e);
	if (r == 0)
		r = wait_for(t, "session.prompt", e);
	return r < 0 ? r : sort_out(t, command, out, e);
}

int talk_all(struct talk *t, const char *key, const struct device_vars *v, struct buf *out,
             struct err *e)
{
	const char *template;
	int r = 0;
	for (size_t i = 0; r == 0 && (template = device_get(t->d, key, i)); i++) {
		struct buf text = BUF_INIT(64u << 10);
		r = device_expand(template, v, &text, e);
		for (char *p = r == 0 ? (char *)text.data : NULL; r == 0 && p && *p;) {
			char *end = strstr(p, "; ");
			if (end)
				*end = 0;
			r = talk_line(t, p, out, e);
			p = end ? end + 2 : p + strlen(p);
		}
		buf_free(&text);
	}
	return r;
}

/* The secret is typed where the device asks for it, and nowhere else. */
static int become_privileged(struct talk *t, const char *enable, struct err *e)
{
	const char *command = device_get(t->d, "session.enable", 0);
	if (!command || !waits_with(t, "session.unprivileged"))
		return 0;
	int r = say(t, command, e);
	usec_t until = boot_now() + t->timeout;
	while (r == 0 && !waits_with(t, "session.enable_prompt") &&
	       !waits_with(t, "session.prompt"))
		r = boot_now() < until
		        ? feed(t, until - boot_now(), e)
		        : err_set(e, -ETIMEDOUT, "%s does not answer \"%s\"", t->host, command);
	if (r == 0 && waits_with(t, "session.enable_prompt")) {
		r = enable ? say(t, enable, e)
		           : err_set(e, -EACCES,
		                     "%s asks for the password of \"%s\": name "
		                     "enable_file or enable_env",
		                     t->host, command);
		if (r == 0)
			r = wait_for(t, "session.prompt", e);
	}
	if (r == 0 && waits_with(t, "session.unprivileged"))
		r = err_set(e, -EACCES, "%s does not take the password of \"%s\"", t->host,
		            command);
	return r;
}

int talk_open(const struct ssh_target *target, const struct device *d, const char *enable,
              struct talk **ret, struct err *e)
{
	struct talk *t = calloc(1, sizeof *t);
	if (!t)
		return err_set(e, -ENOMEM, "out of memory");
	t->d = d;
	t->timeout = target->timeout ? target->timeout : TIMEOUT;
	snprintf(t->host, sizeof t->host, "%s", target->host);
	cli_text_init(&t->text, OUTPUT_MAX);
	int r = ssh_link_open(target, NULL, &t->link, e);
	if (r == 0)
		r = wait_for(t, "session.prompt", e);
	if (r == 0)
		r = become_privileged(t, enable, e);
	if (r == 0)
		r = talk_all(t, "session.setup", &(struct device_vars){0}, NULL, e);
	if (r < 0)
		talk_close(t);
	else
		*ret = t;
	return r;
}

void talk_close(struct talk *t)
{
	if (!t)
		return;
	ssh_link_close(t->link);
	cli_text_free(&t->text);
	free(t);
}
