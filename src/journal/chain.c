/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "journal/chain.h"

#include <errno.h>
#include <string.h>

#include "journal/db.h"
#include "journal/schema.h"

static const char entry_tag[] = "stanch-entry-1", head_tag[] = "stanch-head-1";

#define HEAD_LEN (sizeof head_tag - 1 + 8 + SHA256_LEN)

int chain_hash(const struct row *r, uint8_t ret[static SHA256_LEN])
{
	struct sha256 h;
	sha256_begin(&h);
	sha256_add(&h, entry_tag, sizeof entry_tag - 1);
	sha256_add_be64(&h, r->seq);
	sha256_add_be64(&h, (uint64_t)r->wall);
	sha256_add_text(&h, r->incident);
	sha256_add_text(&h, r->kind);
	sha256_add_text(&h, r->subject);
	sha256_add_text(&h, r->body);
	sha256_add(&h, r->prev, SHA256_LEN);
	return sha256_end(&h, ret);
}

int chain_append(sqlite3 *db, struct tip *tip, struct row *r, struct err *e)
{
	r->seq = tip->seq + 1;
	memcpy(r->prev, tip->hash, sizeof r->prev);
	int x = chain_hash(r, r->hash);
	if (x)
		return err_set(e, x, "cannot hash an entry of the journal: %s", strerror(-x));
	x = db_run(db, e, "INSERT INTO entries VALUES(?1,?2,?3,?4,?5,?6,?7,?8)", "iittttbb",
	           (int64_t)r->seq, r->wall, r->incident, r->kind, r->subject, r->body,
	           (const void *)r->prev, sizeof r->prev, (const void *)r->hash, sizeof r->hash);
	if (!x)
		x = schema_derive(db, r->kind, r->incident, r->subject, r->body, r->wall, e);
	if (!x) {
		tip->seq = r->seq;
		memcpy(tip->hash, r->hash, sizeof tip->hash);
	}
	return x;
}

static int hash_column(sqlite3_stmt *s, int column, uint8_t ret[static SHA256_LEN])
{
	const void *p = sqlite3_column_blob(s, column);
	if (!p || sqlite3_column_bytes(s, column) != SHA256_LEN)
		return -EBADMSG;
	memcpy(ret, p, SHA256_LEN);
	return 0;
}

int chain_row(sqlite3_stmt *s, struct row *ret, struct err *e)
{
	ret->seq = (uint64_t)sqlite3_column_int64(s, 0);
	ret->wall = sqlite3_column_int64(s, 1);
	ret->incident = db_text(s, 2);
	ret->kind = db_text(s, 3);
	ret->subject = db_text(s, 4);
	ret->body = db_text(s, 5);
	for (int i = 2; i <= 5; i++)
		if ((size_t)sqlite3_column_bytes(s, i) != strlen(db_text(s, i)))
			return err_set(e, -EBADMSG, "entry %llu holds a NUL byte in its text",
			               (unsigned long long)ret->seq);
	if (hash_column(s, 6, ret->prev) || hash_column(s, 7, ret->hash))
		return err_set(e, -EBADMSG, "entry %llu has no whole hash",
		               (unsigned long long)ret->seq);
	return 0;
}

int chain_check(struct tip *tip, const struct row *r, struct err *e)
{
	uint8_t h[SHA256_LEN];
	unsigned long long seq = (unsigned long long)r->seq;
	if (r->seq != tip->seq + 1)
		return err_set(e, -EBADMSG,
		               "entry %llu is followed by entry %llu: some are missing",
		               (unsigned long long)tip->seq, seq);
	if (memcmp(r->prev, tip->hash, sizeof h) != 0)
		return err_set(e, -EBADMSG, "entry %llu does not follow the entry before it", seq);
	int x = chain_hash(r, h);
	if (x)
		return err_set(e, x, "cannot hash entry %llu: %s", seq, strerror(-x));
	if (memcmp(r->hash, h, sizeof h) != 0)
		return err_set(e, -EBADMSG,
		               "entry %llu (%s %s) is not what was hashed: it was changed", seq,
		               r->kind, r->subject);
	tip->seq = r->seq;
	memcpy(tip->hash, h, sizeof h);
	return 0;
}

static void head_bytes(const struct tip *t, uint8_t out[static HEAD_LEN])
{
	memcpy(out, head_tag, sizeof head_tag - 1);
	out += sizeof head_tag - 1;
	for (int i = 0; i < 8; i++)
		out[i] = (uint8_t)(t->seq >> (56 - 8 * i));
	memcpy(out + 8, t->hash, SHA256_LEN);
}

int head_write(sqlite3 *db, const struct tip *t, const struct seal_key *k, struct err *e)
{
	uint8_t bytes[HEAD_LEN], sig[SEAL_SIGNATURE_LEN];
	head_bytes(t, bytes);
	int r = seal_sign(k, bytes, sizeof bytes, sig, e);
	return r ? r
	         : db_run(db, e, "INSERT OR REPLACE INTO head VALUES(1, ?1, ?2, ?3)", "ibb",
	                  (int64_t)t->seq, (const void *)t->hash, sizeof t->hash, (const void *)sig,
	                  sizeof sig);
}

int head_check(sqlite3 *db, const struct tip *t, const struct seal_key *k, struct err *e)
{
	_cleanup_stmt_ sqlite3_stmt *s = NULL;
	int r = db_query(db, &s, e, "SELECT seq, hash, signature FROM main.head", "");
	if (!r)
		r = db_step(s, e);
	if (r < 0 || (r == 0 && t->seq == 0))
		return r;
	struct tip head;
	if (r == 0 || hash_column(s, 1, head.hash))
		return err_set(e, -EBADMSG, "the journal has entries and no signed head");
	head.seq = (uint64_t)sqlite3_column_int64(s, 0);
	if (head.seq != t->seq || memcmp(head.hash, t->hash, sizeof head.hash) != 0)
		return err_set(
		    e, -EBADMSG,
		    "the signed head is entry %llu, the last entry is %llu: entries were "
		    "added or cut off",
		    (unsigned long long)head.seq, (unsigned long long)t->seq);
	uint8_t bytes[HEAD_LEN];
	head_bytes(t, bytes);
	if (k && seal_verify(k, bytes, sizeof bytes, sqlite3_column_blob(s, 2),
	                     (size_t)sqlite3_column_bytes(s, 2)))
		return err_set(e, -EBADMSG,
		               "the signature of entry %llu is not by this state directory's key",
		               (unsigned long long)t->seq);
	return 0;
}

int chain_tip(sqlite3 *db, struct tip *ret, struct err *e)
{
	_cleanup_stmt_ sqlite3_stmt *s = NULL;
	struct row row;
	struct tip t;
	memset(&t, 0, sizeof t);
	int r = db_query(db, &s, e,
	                 "SELECT seq, wall, incident, kind, subject, body, prev, hash FROM entries "
	                 "ORDER BY seq DESC LIMIT 1",
	                 "");
	if (!r)
		r = db_step(s, e);
	if (r == 1 && !(r = chain_row(s, &row, e))) {
		t.seq = row.seq - 1;
		memcpy(t.hash, row.prev, sizeof t.hash);
		r = chain_check(&t, &row, e);
	}
	if (!r)
		*ret = t;
	return r;
}
