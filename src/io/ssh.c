/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "io/ssh.h"

#include <errno.h>
#include <libssh/libssh.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/table.h"

#define TIMEOUT_DEFAULT (30 * USEC_PER_SEC)
#define WAIT_MAX        (3600 * USEC_PER_SEC)
#define COLUMNS         511
#define FINGERPRINT_MAX 64
#define PROMPTS_MAX     8 /* of one keyboard-interactive round, and rounds */

struct ssh_link {
	ssh_session session;
	ssh_channel channel;
	char host[128];
	char host_key[FINGERPRINT_MAX];
	usec_t timeout;
	bool failed;
};

/* libssh's words are about libssh; what is added says where. */
static int fail(struct ssh_link *l, int code, const char *what, struct err *e)
{
	char why[200];
	snprintf(why, sizeof why, "%s", ssh_get_error(l->session));
	why[strcspn(why, "\r\n")] = 0;
	l->failed = true;
	return err_set(e, code, "%s: %s%s%s", l->host, what, why[0] ? ": " : "", why);
}

static void init_once(void)
{
	ssh_init();
}

static int set_text(struct ssh_link *l, enum ssh_options_e option, const char *name,
                    const char *text, struct err *e)
{
	if (!text || ssh_options_set(l->session, option, text) == SSH_OK)
		return 0;
	char what[96];
	snprintf(what, sizeof what, "\"%.60s\" is no %s that this build can speak", text, name);
	return fail(l, -EINVAL, what, e);
}

static int set_options(struct ssh_link *l, const struct ssh_target *t, struct err *e)
{
	const struct {
		enum ssh_options_e option;
		const char *name, *text;
	} texts[] = {
	    {SSH_OPTIONS_HOST, "host", t->host},
	    {SSH_OPTIONS_USER, "user", t->user},
	    {SSH_OPTIONS_KNOWNHOSTS, "known_hosts", t->known_hosts ? t->known_hosts : "/dev/null"},
	    {SSH_OPTIONS_GLOBAL_KNOWNHOSTS, "known_hosts", "/dev/null"},
	    {SSH_OPTIONS_IDENTITY_AGENT, "agent", t->agent},
	    {SSH_OPTIONS_KEY_EXCHANGE, "key exchange", t->kex},
	    {SSH_OPTIONS_HOSTKEYS, "host key type", t->host_key_types},
	    {SSH_OPTIONS_CIPHERS_C_S, "cipher", t->ciphers},
	    {SSH_OPTIONS_CIPHERS_S_C, "cipher", t->ciphers},
	    {SSH_OPTIONS_HMAC_C_S, "mac", t->macs},
	    {SSH_OPTIONS_HMAC_S_C, "mac", t->macs},
	};
	int no = 0, r = 0;
	unsigned port = t->port ? t->port : 22;
	long seconds = (long)((l->timeout + USEC_PER_SEC - 1) / USEC_PER_SEC);
	ssh_options_set(l->session, SSH_OPTIONS_PROCESS_CONFIG, &no);
	ssh_options_set(l->session, SSH_OPTIONS_PORT, &port);
	ssh_options_set(l->session, SSH_OPTIONS_TIMEOUT, &seconds);
	for (size_t i = 0; r == 0 && i < ARRAY_SIZE(texts); i++)
		r = set_text(l, texts[i].option, texts[i].name, texts[i].text, e);
	return r;
}

/* libssh tells failures by text alone; the socket's own error is the better word. */
static int connect_code(const char *text)
{
	static const struct {
		const char *word;
		int code;
	} codes[] = {{"refused", -ECONNREFUSED},     {"imeout", -ETIMEDOUT},
	             {"imed out", -ETIMEDOUT},       {"No route", -EHOSTUNREACH},
	             {"unreachable", -EHOSTUNREACH}, {"resolve", -EHOSTUNREACH}};
	for (size_t i = 0; i < ARRAY_SIZE(codes); i++)
		if (strstr(text, codes[i].word))
			return codes[i].code;
	return -EPROTO;
}

/* --- the server's key --- */

static int read_host_key(struct ssh_link *l, struct err *e)
{
	ssh_key key = NULL;
	unsigned char *hash = NULL;
	size_t n = 0;
	char *text = NULL;
	if (ssh_get_server_publickey(l->session, &key) == SSH_OK &&
	    ssh_get_publickey_hash(key, SSH_PUBLICKEY_HASH_SHA256, &hash, &n) == 0)
		text = ssh_get_fingerprint_hash(SSH_PUBLICKEY_HASH_SHA256, hash, n);
	if (text)
		snprintf(l->host_key, sizeof l->host_key, "%s", text);
	ssh_string_free_char(text);
	ssh_clean_pubkey_hash(&hash);
	ssh_key_free(key);
	return l->host_key[0] ? 0 : fail(l, -EPROTO, "the host's key cannot be read", e);
}

static int check_host_key(struct ssh_link *l, const struct ssh_target *t, struct err *e)
{
	int r = read_host_key(l, e);
	if (r < 0)
		return r;
	if (t->host_key && !strcmp(t->host_key, l->host_key))
		return 0;
	if (!t->host_key && t->known_hosts &&
	    ssh_session_is_known_server(l->session) == SSH_KNOWN_HOSTS_OK)
		return 0;
	l->failed = true;
	return err_set(
	    e, -EKEYREJECTED,
	    "%s shows the host key %s, which is not the one that is %s: it may be "
	    "somebody in between. Nothing was sent. If the device's key was changed, pin "
	    "the new one",
	    l->host, l->host_key, t->host_key ? "pinned" : "in the known-hosts file");
}

/* --- login --- */

static int by_key(struct ssh_link *l, const struct ssh_target *t, struct err *e)
{
	ssh_key key = NULL;
	if (ssh_pki_import_privkey_file(t->key_file, NULL, NULL, NULL, &key) != SSH_OK) {
		l->failed = true;
		return err_set(e, -EACCES, "%s: the key file %s cannot be read as a private key",
		               l->host, t->key_file);
	}
	int x = ssh_userauth_publickey(l->session, NULL, key);
	ssh_key_free(key);
	return x;
}

static int by_agent(struct ssh_link *l, const struct ssh_target *t, struct err *e)
{
	return ssh_userauth_agent(l->session, NULL);
}

static int by_password(struct ssh_link *l, const struct ssh_target *t, struct err *e)
{
	return ssh_userauth_password(l->session, NULL, t->password);
}

/* Every hidden prompt is answered with the password, a visible one with nothing. */
static int by_keyboard(struct ssh_link *l, const struct ssh_target *t, struct err *e)
{
	int x = ssh_userauth_kbdint(l->session, NULL, NULL);
	for (int round = 0; x == SSH_AUTH_INFO && round < PROMPTS_MAX; round++) {
		int n = ssh_userauth_kbdint_getnprompts(l->session);
		for (int i = 0; i < n && i < PROMPTS_MAX; i++) {
			char echo = 0;
			ssh_userauth_kbdint_getprompt(l->session, (unsigned)i, &echo);
			ssh_userauth_kbdint_setanswer(l->session, (unsigned)i,
			                              echo ? "" : t->password);
		}
		x = ssh_userauth_kbdint(l->session, NULL, NULL);
	}
	return x == SSH_AUTH_INFO ? SSH_AUTH_DENIED : x;
}

static int log_in(struct ssh_link *l, const struct ssh_target *t, struct err *e)
{
	const struct {
		int method;
		bool given;
		int (*try)(struct ssh_link *, const struct ssh_target *, struct err *);
	} ways[] = {
	    {SSH_AUTH_METHOD_PUBLICKEY, t->key_file != NULL, by_key},
	    {SSH_AUTH_METHOD_PUBLICKEY, t->agent != NULL, by_agent},
	    {SSH_AUTH_METHOD_PASSWORD, t->password != NULL, by_password},
	    {SSH_AUTH_METHOD_INTERACTIVE, t->password != NULL, by_keyboard},
	};
	int x = ssh_userauth_none(l->session, NULL);
	for (size_t i = 0; x != SSH_AUTH_SUCCESS && x != SSH_AUTH_ERROR && i < ARRAY_SIZE(ways);
	     i++) {
		if (!ways[i].given || !(ssh_userauth_list(l->session, NULL) & ways[i].method))
			continue;
		x = ways[i].try(l, t, e);
		if (x < 0 && l->failed)
			return x;
	}
	if (x == SSH_AUTH_SUCCESS)
		return 0;
	if (x == SSH_AUTH_ERROR)
		return fail(l, -EPROTO, "the login broke off", e);
	l->failed = true;
	return err_set(e, -EACCES, "%s does not let \"%.60s\" in with the %s it was given", l->host,
	               t->user,
	               t->key_file   ? "key"
	               : t->password ? "password"
	               : t->agent    ? "agent"
	                             : "nothing");
}

/* --- the channel --- */

static int open_channel(struct ssh_link *l, const char *what, struct err *e)
{
	l->channel = ssh_channel_new(l->session);
	if (!l->channel || ssh_channel_open_session(l->channel) != SSH_OK)
		return fail(l, -EPROTO, "no channel could be opened", e);
	if (what)
		return ssh_channel_request_subsystem(l->channel, what) == SSH_OK
		           ? 0
		           : fail(l, -EPROTO, "the subsystem was refused", e);
	if (ssh_channel_request_pty_size(l->channel, "vt100", COLUMNS, 0) != SSH_OK ||
	    ssh_channel_request_shell(l->channel) != SSH_OK)
		return fail(l, -EPROTO, "the shell was refused", e);
	return 0;
}

int ssh_link_open(const struct ssh_target *t, const char *what, struct ssh_link **ret,
                  struct err *e)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	if (!t->host_key && !t->known_hosts)
		return err_set(e, -EINVAL, "%s: neither host_key nor known_hosts says who it is",
		               t->host);
	pthread_once(&once, init_once);
	struct ssh_link *l = calloc(1, sizeof *l);
	if (l)
		l->session = ssh_new();
	if (!l || !l->session) {
		free(l);
		return err_set(e, -ENOMEM, "out of memory");
	}
	snprintf(l->host, sizeof l->host, "%s", t->host);
	l->timeout = t->timeout ? t->timeout : TIMEOUT_DEFAULT;
	int r = set_options(l, t, e);
	if (r == 0 && ssh_connect(l->session) != SSH_OK)
		r = fail(l, connect_code(ssh_get_error(l->session)), "no connection", e);
	if (r == 0)
		r = check_host_key(l, t, e);
	if (r == 0)
		r = log_in(l, t, e);
	if (r == 0)
		r = open_channel(l, what, e);
	if (r < 0)
		ssh_link_close(l);
	else
		*ret = l;
	return r;
}

void ssh_link_close(struct ssh_link *l)
{
	if (!l)
		return;
	if (l->channel && !l->failed)
		ssh_channel_close(l->channel);
	if (l->channel)
		ssh_channel_free(l->channel);
	if (l->failed)
		ssh_silent_disconnect(l->session);
	else
		ssh_disconnect(l->session);
	ssh_free(l->session);
	free(l);
}

int ssh_link_write(struct ssh_link *l, const void *bytes, size_t n, struct err *e)
{
	const char *p = bytes;
	while (n && !l->failed) {
		int x = ssh_channel_write(l->channel, p, n > UINT16_MAX ? UINT16_MAX : (uint32_t)n);
		if (x <= 0)
			return fail(l, -EPIPE, "the connection was lost while sending", e);
		p += x;
		n -= (size_t)x;
	}
	return l->failed ? err_set(e, -EPIPE, "%s: the connection was lost", l->host) : 0;
}

int ssh_link_read(struct ssh_link *l, void *dst, size_t size, usec_t wait, size_t *ret_n,
                  struct err *e)
{
	usec_t left = wait ? wait : l->timeout;
	if (l->failed)
		return err_set(e, -EPIPE, "%s: the connection was lost", l->host);
	if (left > WAIT_MAX)
		left = WAIT_MAX;
	int ms = (int)(left / 1000) + 1;
	int n = ssh_channel_read_timeout(l->channel, dst,
	                                 size > UINT16_MAX ? UINT16_MAX : (uint32_t)size, 0, ms);
	if (n == SSH_ERROR)
		return fail(l, -EPIPE, "the connection was lost while waiting for an answer", e);
	if (n <= 0 && !ssh_channel_is_eof(l->channel) && !ssh_channel_is_closed(l->channel))
		return err_set(e, -ETIMEDOUT, "%s does not answer within %llu s", l->host,
		               (unsigned long long)(left / USEC_PER_SEC));
	*ret_n = n > 0 ? (size_t)n : 0;
	return 0;
}

const char *ssh_link_host_key(const struct ssh_link *l)
{
	return l->host_key;
}
