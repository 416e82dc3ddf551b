/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "journal/schema.h"

#include <string.h>

#include "journal/db.h"

const char schema_main[] =
    "CREATE TABLE entries(seq INTEGER PRIMARY KEY, wall INTEGER NOT NULL, incident TEXT NOT NULL,"
    " kind TEXT NOT NULL, subject TEXT NOT NULL, body TEXT NOT NULL, prev BLOB NOT NULL,"
    " hash BLOB NOT NULL) STRICT;"
    "CREATE TABLE head(id INTEGER PRIMARY KEY CHECK(id = 1), seq INTEGER NOT NULL,"
    " hash BLOB NOT NULL, signature BLOB NOT NULL) STRICT;";

const char schema_views[] =
    "CREATE TABLE incidents(name TEXT PRIMARY KEY, opened INTEGER NOT NULL,"
    " closed INTEGER NOT NULL, in_use INTEGER NOT NULL) STRICT, WITHOUT ROWID;"
    "CREATE TABLE orders(id INTEGER PRIMARY KEY, incident TEXT NOT NULL, state TEXT NOT NULL,"
    " pending TEXT NOT NULL, body TEXT NOT NULL) STRICT;"
    "CREATE TABLE plans(order_id INTEGER PRIMARY KEY, body TEXT NOT NULL) STRICT;"
    "CREATE TABLE steps(order_id INTEGER NOT NULL, seq INTEGER NOT NULL, token TEXT NOT NULL,"
    " point TEXT NOT NULL, kind TEXT NOT NULL, required INTEGER NOT NULL, state TEXT NOT NULL,"
    " forward TEXT, inverse TEXT, effect TEXT, undo_effect TEXT, no_inverse TEXT, evidence TEXT,"
    " result TEXT, problem TEXT, PRIMARY KEY(order_id, seq)) STRICT, WITHOUT ROWID;"
    "CREATE TABLE findings(id INTEGER PRIMARY KEY, incident TEXT NOT NULL, body TEXT NOT NULL)"
    " STRICT;";

const char *const schema_view_names[] = {"incidents", "orders", "plans", "steps", "findings"};
const size_t schema_n_views = ARRAY_SIZE(schema_view_names);

static const char *const entry_kind_names[_ENTRY_MAX] = {
    [ENTRY_INCIDENT_NEW] = "incident.new",
    [ENTRY_INCIDENT_USE] = "incident.use",
    [ENTRY_INCIDENT_CLOSE] = "incident.close",
    [ENTRY_ORDER] = "order",
    [ENTRY_ORDER_STATE] = "order.state",
    [ENTRY_ORDER_PENDING] = "order.pending",
    [ENTRY_PLAN] = "plan",
    [ENTRY_STEP] = "step",
    [ENTRY_STEP_CHANGE] = "step.change",
    [ENTRY_FINDING] = "finding",
};
STRING_TABLE_DEFINE(entry_kind, enum entry_kind, entry_kind_names)

/* ?1 wall, ?2 incident, ?3 subject, ?4 body. "o7" → 7, "o7.2" → 7 and 2. */
#define ORDER_ID "CAST(substr(?3, 2) AS INTEGER)"
#define STEP_SEQ "CAST(substr(?3, instr(?3, '.') + 1) AS INTEGER)"
#define FIELD(f) "json_extract(?4, '$." f "')"
/* Absent keeps what is there; null takes it away. */
#define CHANGED(f) f "=CASE WHEN json_type(?4, '$." f "') IS NULL THEN " f " ELSE " FIELD(f) " END"

static const char *const derivations[_ENTRY_MAX][3] = {
    [ENTRY_INCIDENT_NEW] = {"UPDATE incidents SET in_use=0",
                            "INSERT INTO incidents VALUES(?3, ?1, 0, 1)"},
    [ENTRY_INCIDENT_USE] = {"UPDATE incidents SET in_use=(name=?3)"},
    [ENTRY_INCIDENT_CLOSE] = {"UPDATE incidents SET in_use=0, closed=?1 WHERE name=?3"},
    [ENTRY_ORDER] = {"INSERT INTO orders VALUES(" ORDER_ID ", ?2, " FIELD("state") ", '', ?4)"},
    [ENTRY_ORDER_STATE] =
        {"UPDATE orders SET state=" FIELD("state") ", body=json_set(body, '$.state', " FIELD(
            "state") ", '$.deadlines', json(" FIELD("deadlines") ")) WHERE id=" ORDER_ID},
    [ENTRY_ORDER_PENDING] = {"UPDATE orders SET pending=" FIELD("pending") " WHERE id=" ORDER_ID},
    [ENTRY_PLAN] = {"DELETE FROM steps WHERE order_id=" ORDER_ID,
                    "INSERT OR REPLACE INTO plans VALUES(" ORDER_ID ", ?4)"},
    [ENTRY_STEP] =
        {
            "INSERT OR REPLACE INTO steps VALUES(" ORDER_ID ", " STEP_SEQ
            ", " FIELD("token") ", " FIELD("point") ", " FIELD("kind") ", " FIELD(
                "requi"
                "red") ", " FIELD("state") ", " FIELD("forward") ", " FIELD("inverse") ", " FIELD("effect") ", " FIELD("undo_effect") ", " FIELD("no_inverse") ","
                                                                                                                                                               " " FIELD("evidence") ", " FIELD(
                                                                                                                                                                   "result") ", " FIELD("problem") ")"},
    [ENTRY_STEP_CHANGE] =
        {
            "UPDATE steps SET " CHANGED("state") "," CHANGED("forward") "," CHANGED("inverse") "," CHANGED("effect") "," CHANGED("undo_effect") "," CHANGED(
                "no_inverse") "," CHANGED("evidence") "," CHANGED("resul"
                                                                  "t") "," CHANGED("problem") " WHE"
                                                                                              "RE "
                                                                                              "orde"
                                                                                              "r_"
                                                                                              "id"
                                                                                              "=" ORDER_ID
                                                                                              " AND"
                                                                                              " seq"
                                                                                              "=" STEP_SEQ},
    [ENTRY_FINDING] = {"INSERT OR REPLACE INTO findings VALUES(" ORDER_ID ", ?2, ?4)"},
};

static int derive_one(sqlite3 *db, const char *sql, const char *incident, const char *subject,
                      const char *body, int64_t wall, struct err *e)
{
	sqlite3_stmt *s = NULL;
	int rc = sqlite3_prepare_v2(db, sql, -1, &s, NULL);
	/* A statement binds only the parameters that it names; the rest are out of its range. */
	int n = rc == SQLITE_OK ? sqlite3_bind_parameter_count(s) : 0;
	if (n >= 1)
		rc = sqlite3_bind_int64(s, 1, wall);
	if (n >= 2 && rc == SQLITE_OK)
		rc = sqlite3_bind_text(s, 2, incident, -1, SQLITE_STATIC);
	if (n >= 3 && rc == SQLITE_OK)
		rc = sqlite3_bind_text(s, 3, subject, -1, SQLITE_STATIC);
	if (n >= 4 && rc == SQLITE_OK)
		rc = sqlite3_bind_text(s, 4, body, -1, SQLITE_STATIC);
	int r = rc == SQLITE_OK ? db_step(s, e) : db_error(db, rc, e);
	sqlite3_finalize(s);
	return r < 0 ? r : 0;
}

int schema_derive(sqlite3 *db, const char *kind, const char *incident, const char *subject,
                  const char *body, int64_t wall, struct err *e)
{
	int k = entry_kind_parse(kind), r = 0;
	if (k < 0)
		return 0;
	for (size_t i = 0; !r && i < ARRAY_SIZE(derivations[k]) && derivations[k][i]; i++)
		r = derive_one(db, derivations[k][i], incident, subject, body, wall, e);
	return r;
}
