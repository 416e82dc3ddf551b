/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "io/https.h"

#include <curl/curl.h>
#include <errno.h>
#include <malloc.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/addr.h"
#include "base/sys.h"
#include "base/table.h"

#define TIMEOUT_DEFAULT (30 * USEC_PER_SEC)
#define ANSWER_DEFAULT  (8u << 20)

struct https {
	CURL *curl;
	char ca_file[1024];
	bool plain;
	long timeout_msec;
	size_t answer_max;
	const int *socket;
	struct curl_blob ca; /* data NULL: none */
	struct curl_slist *pinned;
	char why[CURL_ERROR_SIZE];
};

/* --- libcurl copies keys: what it gives back is wiped --- */

static void wipe_free(void *p)
{
	if (p)
		explicit_bzero(p, malloc_usable_size(p));
	free(p);
}

static void *wipe_realloc(void *p, size_t n)
{
	size_t had = p ? malloc_usable_size(p) : 0;
	void *q = malloc(n ? n : 1);
	if (q && p) {
		memcpy(q, p, had < n ? had : n);
		wipe_free(p);
	}
	return q;
}

static pthread_once_t once = PTHREAD_ONCE_INIT;
static bool ready;

static void init(void)
{
	ready = curl_global_init_mem(CURL_GLOBAL_DEFAULT, malloc, wipe_free, wipe_realloc, strdup,
	                             calloc) == CURLE_OK;
}

/* --- opening --- */

int https_open(const struct https_options *o, struct https **ret, struct err *e)
{
	pthread_once(&once, init);
	struct https *h = calloc(1, sizeof *h);
	if (h && ready)
		h->curl = curl_easy_init();
	if (!h || !h->curl) {
		free(h);
		return err_set(e, -ENOMEM, "out of memory for a connection");
	}
	if (o->ca_file && strlen(o->ca_file) >= sizeof h->ca_file) {
		https_close(h);
		return err_set(e, -EINVAL, "the CA file's path is too long");
	}
	strcpy(h->ca_file, o->ca_file ? o->ca_file : "");
	h->plain = o->plain;
	h->timeout_msec = (long)((o->timeout ? o->timeout : TIMEOUT_DEFAULT) / USEC_PER_MSEC);
	h->answer_max = o->answer_max ? o->answer_max : ANSWER_DEFAULT;
	h->socket = o->socket;
	h->ca = (struct curl_blob){(void *)(uintptr_t)o->ca, o->n_ca, CURL_BLOB_NOCOPY};
	*ret = h;
	return 0;
}

void https_close(struct https *h)
{
	if (!h)
		return;
	curl_easy_cleanup(h->curl);
	curl_slist_free_all(h->pinned);
	free(h);
}

/* --- where to --- */

static bool may_be_plain(const char *host)
{
	static const char *const metadata[] = {"169.254.169.254", "fd00:ec2::254"};
	char bare[ADDR_STR_MAX + 2];
	struct addr a;
	size_t n = strlen(host);
	if (n >= sizeof bare)
		return false;
	strcpy(bare, *host == '[' ? host + 1 : host);
	bare[strcspn(bare, "]")] = 0;
	if (addr_parse(bare, &a) < 0)
		return false;
	for (size_t i = 0; i < ARRAY_SIZE(metadata); i++)
		if (!strcmp(bare, metadata[i]))
			return true;
	return addr_is_loopback(&a);
}

static int check_parts(const struct https *h, CURLU *u, const char *url, struct err *e)
{
	char *scheme = NULL, *host = NULL, *user = NULL;
	int r = -EINVAL;
	if (curl_url_set(u, CURLUPART_URL, url, 0) != CURLUE_OK ||
	    curl_url_get(u, CURLUPART_SCHEME, &scheme, 0) != CURLUE_OK ||
	    curl_url_get(u, CURLUPART_HOST, &host, 0) != CURLUE_OK)
		err_set(e, r, "\"%.100s\" is no URL", url);
	else if (curl_url_get(u, CURLUPART_USER, &user, 0) == CURLUE_OK)
		err_set(e, r, "a URL with a user name in it is not used");
	else if (strcmp(scheme, "https") != 0 && strcmp(scheme, "http") != 0)
		err_set(e, r, "\"%.100s\" is not https", url);
	else if (strcmp(scheme, "https") != 0 && (!h->plain || !may_be_plain(host)))
		err_set(e, r,
		        "\"%.100s\" is not encrypted: plain http is only spoken to a loopback "
		        "address; use https",
		        url);
	else
		r = 0;
	curl_free(scheme);
	curl_free(host);
	curl_free(user);
	return r;
}

static int check_url(const struct https *h, const char *url, struct err *e)
{
	CURLU *u = curl_url();
	if (!u)
		return err_set(e, -ENOMEM, "out of memory for a connection");
	int r = check_parts(h, u, url, e);
	curl_url_cleanup(u);
	return r;
}

/* --- on a socket that is given --- */

static curl_socket_t hand_out(void *arg, curlsocktype purpose, struct curl_sockaddr *sa)
{
	const struct https *h = arg;
	return purpose == CURLSOCKTYPE_IPCXN ? dup(*h->socket) : CURL_SOCKET_BAD;
}

static int is_connected(void *arg, curl_socket_t fd, curlsocktype purpose)
{
	return CURL_SOCKOPT_ALREADY_CONNECTED;
}

/* libcurl wants an address though it need not connect: any will do, for whatever name. */
static void set_given(struct https *h)
{
	CURL *c = h->curl;
	if (!h->pinned)
		h->pinned = curl_slist_append(NULL, "::192.0.2.1:1");
	curl_easy_setopt(c, CURLOPT_CONNECT_TO, h->pinned);
	curl_easy_setopt(c, CURLOPT_OPENSOCKETFUNCTION, hand_out);
	curl_easy_setopt(c, CURLOPT_OPENSOCKETDATA, h);
	curl_easy_setopt(c, CURLOPT_SOCKOPTFUNCTION, is_connected);
}

/* --- one request --- */

static size_t take_body(char *p, size_t one, size_t n, void *to)
{
	return buf_add(to, p, one * n) == 0 ? one * n : 0;
}

static void set_fixed(struct https *h)
{
	CURL *c = h->curl;
	curl_easy_setopt(c, CURLOPT_PROTOCOLS_STR, h->plain ? "http,https" : "https");
	curl_easy_setopt(c, CURLOPT_PROXY, "");
	curl_easy_setopt(c, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(c, CURLOPT_FOLLOWLOCATION, 0L);
	curl_easy_setopt(c, CURLOPT_SSL_VERIFYPEER, 1L);
	curl_easy_setopt(c, CURLOPT_SSL_VERIFYHOST, 2L);
	curl_easy_setopt(c, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
	curl_easy_setopt(c, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
	curl_easy_setopt(c, CURLOPT_TIMEOUT_MS, h->timeout_msec);
	curl_easy_setopt(c, CURLOPT_CONNECTTIMEOUT_MS, h->timeout_msec);
	curl_easy_setopt(c, CURLOPT_ERRORBUFFER, h->why);
	if (h->ca_file[0]) {
		curl_easy_setopt(c, CURLOPT_CAINFO, h->ca_file);
		curl_easy_setopt(c, CURLOPT_CAPATH, NULL);
	}
	if (h->ca.data) {
		curl_easy_setopt(c, CURLOPT_CAINFO, NULL);
		curl_easy_setopt(c, CURLOPT_CAPATH, NULL);
		curl_easy_setopt(c, CURLOPT_CAINFO_BLOB, &h->ca);
	}
	if (h->socket)
		set_given(h);
}

static void set_request(struct https *h, const struct https_request *q, struct curl_slist *headers,
                        struct buf *body)
{
	CURL *c = h->curl;
	curl_easy_setopt(c, CURLOPT_URL, q->url);
	if (q->body) {
		curl_easy_setopt(c, CURLOPT_POSTFIELDSIZE, (long)q->n);
		curl_easy_setopt(c, CURLOPT_POSTFIELDS, q->body);
	}
	if (q->method)
		curl_easy_setopt(c, CURLOPT_CUSTOMREQUEST, q->method);
	if (q->sigv4) {
		curl_easy_setopt(c, CURLOPT_AWS_SIGV4, q->sigv4);
		curl_easy_setopt(c, CURLOPT_USERNAME, q->key);
		curl_easy_setopt(c, CURLOPT_PASSWORD, q->secret);
	}
	if (q->once) {
		curl_easy_setopt(c, CURLOPT_FRESH_CONNECT, 1L);
		curl_easy_setopt(c, CURLOPT_FORBID_REUSE, 1L);
	}
	curl_easy_setopt(c, CURLOPT_HTTPHEADER, headers);
	curl_easy_setopt(c, CURLOPT_WRITEFUNCTION, take_body);
	curl_easy_setopt(c, CURLOPT_WRITEDATA, body);
}

static const struct {
	CURLcode is;
	int code;
	const char *what;
} failures[] = {
    {CURLE_COULDNT_RESOLVE_HOST, -EHOSTUNREACH, "its name cannot be resolved"},
    {CURLE_COULDNT_CONNECT, -ECONNREFUSED, "it cannot be connected to"},
    {CURLE_OPERATION_TIMEDOUT, -ETIMEDOUT, "it did not answer in time"},
    {CURLE_PEER_FAILED_VERIFICATION, -EKEYREJECTED,
     "its certificate is not trusted: it may be somebody in between. Nothing was sent. Name the "
     "authority in ca_file"},
    {CURLE_SSL_CONNECT_ERROR, -EKEYREJECTED, "TLS could not be set up"},
    {CURLE_SSL_CACERT_BADFILE, -ENOENT, "the file of authorities cannot be read"},
    {CURLE_GOT_NOTHING, -ECONNRESET, "the connection was lost"},
    {CURLE_RECV_ERROR, -ECONNRESET, "the connection was lost"},
    {CURLE_SEND_ERROR, -ECONNRESET, "the connection was lost"},
    {CURLE_PARTIAL_FILE, -ECONNRESET, "the connection was lost"},
    {CURLE_WRITE_ERROR, -EMSGSIZE, "its answer is larger than may be"},
    {CURLE_OUT_OF_MEMORY, -ENOMEM, "out of memory"},
};

static int tell(const struct https *h, const struct https_request *q, CURLcode x, struct err *e)
{
	size_t i = 0;
	while (i < ARRAY_SIZE(failures) && failures[i].is != x)
		i++;
	bool known = i < ARRAY_SIZE(failures);
	return err_set(e, known ? failures[i].code : -EPROTO, "%.120s: %s (%s)", q->url,
	               known ? failures[i].what : "the request failed",
	               h->why[0] ? h->why : curl_easy_strerror(x));
}

bool https_was_not_sent(int code)
{
	return code == -EHOSTUNREACH || code == -ECONNREFUSED || code == -EKEYREJECTED ||
	       code == -EINVAL || code == -ENOENT;
}

/* Only what is sent may stand here: libcurl signs every one of them. */
static int add_headers(const struct https_request *q, struct curl_slist **list)
{
	for (const char *const *h = q->headers; h && *h; h++) {
		struct curl_slist *more = curl_slist_append(*list, *h);
		if (!more)
			return -ENOMEM;
		*list = more;
	}
	return 0;
}

int https_do(struct https *h, const struct https_request *q, struct https_answer *ret,
             struct err *e)
{
	struct curl_slist *headers = NULL;
	struct buf body = BUF_INIT(h->answer_max);
	long status = 0;
	int r = check_url(h, q->url, e);
	if (r == 0 && add_headers(q, &headers) < 0)
		r = err_set(e, -ENOMEM, "out of memory for a request");
	if (r == 0) {
		curl_easy_reset(h->curl);
		h->why[0] = 0;
		set_fixed(h);
		set_request(h, q, headers, &body);
		sys->mark("https:send");
		CURLcode x = curl_easy_perform(h->curl);
		sys->mark("https:answer");
		curl_easy_getinfo(h->curl, CURLINFO_RESPONSE_CODE, &status);
		if (x != CURLE_OK)
			r = tell(h, q, x, e);
		curl_easy_reset(h->curl); /* what it was given is gone with this call */
	}
	curl_slist_free_all(headers);
	if (r < 0)
		buf_free(&body);
	else
		*ret = (struct https_answer){(int)status, body};
	return r;
}

/* --- bodies --- */

static void percent(struct buf *out, const char *s)
{
	static const char plain[] =
	    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.~";
	for (; *s; s++)
		if (strchr(plain, *s))
			buf_add(out, s, 1);
		else
			buf_addf(out, "%%%02X", (unsigned char)*s);
}

int form_add(struct buf *out, const char *name, const char *value)
{
	if (out->len)
		buf_addf(out, "&");
	percent(out, name);
	buf_addf(out, "=");
	percent(out, value);
	return out->error;
}
