/* Every SQL statement of the queue. Tables: sql/0009_queue.sql. */
#ifndef VX11_SWITCH_QUEUE_QUERIES_H
#define VX11_SWITCH_QUEUE_QUERIES_H

#define JOB_COLUMNS                                                                                          \
    "id, state, priority, outside, source, task_type, payload, provider_hint, lease_owner, lease_token, "    \
    "result, error, error_class, error_status, idempotency_key, principal_id, principal_name, "              \
    "principal_scopes, trace, attempts, max_attempts, ran_again, run_timeout_ms, not_before, enqueued_at, "  \
    "lease_until, started_at, finished_at"
/* The same without what may be large. */
#define JOB_COLUMNS_LIGHT                                                                                    \
    "id, state, priority, outside, source, task_type, NULL, provider_hint, lease_owner, NULL, "              \
    "NULL, error, error_class, error_status, idempotency_key, principal_id, principal_name, "                \
    "principal_scopes, trace, attempts, max_attempts, ran_again, run_timeout_ms, not_before, enqueued_at, "  \
    "lease_until, started_at, finished_at"

#define JOB_INSERT_SQL                                                                                       \
    "INSERT INTO job (id, source, priority, task_type, payload, payload_bytes, provider_hint, outside, "     \
    "state, attempts, max_attempts, not_before, lease_until, lease_owner, lease_token, enqueued_at, "        \
    "started_at, run_timeout_ms, idempotency_key, body_hash, principal_id, principal_name, "                 \
    "principal_scopes, trace) "                                                                              \
    "VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20, "    \
    "?21, ?22, ?23, ?24)"
#define JOB_BY_KEY_SQL "SELECT id, body_hash FROM job WHERE principal_id = ?1 AND idempotency_key = ?2"
#define JOB_OPEN_SQL                                                                                         \
    "SELECT count(*), coalesce(sum(payload_bytes), 0) FROM job WHERE state IN ('queued', 'running')"
#define JOB_GET_SQL      "SELECT " JOB_COLUMNS " FROM job WHERE id = ?1"
#define JOB_BY_TOKEN_SQL "SELECT " JOB_COLUMNS " FROM job WHERE state = 'running' AND lease_token = ?1"

/* ?1 token ?2 owner ?3 lease until ?4 now ?5 task type or null */
#define JOB_CLAIM_SQL(which)                                                                                 \
    "UPDATE job SET state = 'running', attempts = attempts + 1, ran_again = ran_again + lost, lost = 0, "    \
    "lease_token = ?1, lease_owner = ?2, lease_until = ?3, started_at = ?4 "                                 \
    "WHERE id = (SELECT id FROM job WHERE state = 'queued' AND " which                                       \
    " AND not_before <= ?4 AND (?5 IS NULL OR task_type = ?5) "                                              \
    "ORDER BY priority, enqueued_at, id LIMIT 1) AND state = 'queued'"
#define JOB_CLAIM_OWN_SQL     JOB_CLAIM_SQL("outside = 0")
#define JOB_CLAIM_OUTSIDE_SQL JOB_CLAIM_SQL("outside = 1")
#define JOB_CLAIM_ANY_SQL     JOB_CLAIM_SQL("outside IN (0, 1)")
#define JOB_PEEK_SQL                                                                                         \
    "SELECT " JOB_COLUMNS " FROM job WHERE state = 'queued' AND outside = 0 AND not_before <= ?1 "           \
    "ORDER BY priority, enqueued_at, id LIMIT 1"

/* Each ends the lease, and works only for who holds it. ?1 id ?2 token */
#define JOB_HELD      "WHERE id = ?1 AND lease_token = ?2 AND state = 'running'"
#define JOB_RELEASE   "lease_until = NULL, lease_owner = NULL, lease_token = NULL"
#define JOB_RENEW_SQL "UPDATE job SET lease_until = ?3 " JOB_HELD
#define JOB_DONE_SQL                                                                                         \
    "UPDATE job SET state = 'done', finished_at = ?3, result = ?4, error = NULL, error_class = NULL, "       \
    "error_status = NULL, " JOB_RELEASE " " JOB_HELD
#define JOB_ATTEMPTS_SQL "SELECT attempts, max_attempts FROM job " JOB_HELD
/* ?3 now ?4 error ?5 class ?6 status ?7 state */
#define JOB_END_SQL                                                                                          \
    "UPDATE job SET state = ?7, finished_at = ?3, error = ?4, error_class = ?5, error_status = "             \
    "?6, " JOB_RELEASE " " JOB_HELD
/* ?3 not before ?4 error ?5 class ?6 status */
#define JOB_AGAIN_SQL                                                                                        \
    "UPDATE job SET state = 'queued', not_before = ?3, error = ?4, error_class = ?5, error_status = "        \
    "?6, " JOB_RELEASE " " JOB_HELD

#define JOB_EXPIRED_SQL                                                                                      \
    "SELECT id, attempts, max_attempts FROM job WHERE state = 'running' AND lease_until <= ?1 "              \
    "ORDER BY lease_until LIMIT 256"
/* ?1 id ?2 now */
#define JOB_LOST_SQL                                                                                         \
    "UPDATE job SET state = 'queued', lost = 1, not_before = ?2, error = 'its worker was not heard of in "   \
    "time', error_class = 'lease_expired', error_status = 504, " JOB_RELEASE                                 \
    " WHERE id = ?1 AND state = 'running'"
#define JOB_LOST_DEAD_SQL                                                                                    \
    "UPDATE job SET state = 'dead', finished_at = ?2, error = 'its worker was not heard of in time', "       \
    "error_class = 'lease_expired', error_status = 504, " JOB_RELEASE " WHERE id = ?1 AND state = 'running'"

#define JOB_CANCEL_SQL                                                                                       \
    "UPDATE job SET state = 'cancelled', finished_at = ?2, error = 'cancelled by request', "                 \
    "error_class = 'job_cancelled', error_status = 409, " JOB_RELEASE                                        \
    " WHERE id = ?1 AND state IN ('queued', 'running')"
#define JOB_RETRY_SQL                                                                                        \
    "UPDATE job SET state = 'queued', attempts = 0, lost = 0, finished_at = NULL, not_before = ?2, "         \
    "result = NULL WHERE id = ?1 AND state IN ('failed', 'dead', 'cancelled')"
#define JOB_STATE_SQL "SELECT state FROM job WHERE id = ?1"

/* ?1 state ?2 source ?3 task type ?4 before ?5 limit; null: any */
#define JOB_LIST_SQL                                                                                         \
    "SELECT " JOB_COLUMNS_LIGHT                                                                              \
    " FROM job WHERE (?1 IS NULL OR state = ?1) AND (?2 IS NULL OR source = ?2) "                            \
    "AND (?3 IS NULL OR task_type = ?3) AND (?4 IS NULL OR id < ?4) ORDER BY id DESC LIMIT ?5"
#define JOB_LINE_SQL                                                                                         \
    "SELECT " JOB_COLUMNS " FROM job WHERE state = 'queued' ORDER BY priority, enqueued_at, id LIMIT ?1"
#define JOB_BY_STATE_SQL    "SELECT state, count(*) FROM job GROUP BY state"
#define JOB_BY_PRIORITY_SQL "SELECT priority, count(*) FROM job WHERE state = 'queued' GROUP BY priority"
#define JOB_OLDEST_SQL      "SELECT min(enqueued_at) FROM job WHERE state = 'queued'"
#define JOB_DUE_SQL                                                                                          \
    "SELECT (SELECT min(not_before) FROM job WHERE state = 'queued' AND outside = 0), "                      \
    "(SELECT min(lease_until) FROM job WHERE state = 'running')"
#define BODY_INSERT_SQL                                                                                      \
    "INSERT INTO request_body (request_id, at, outcome, request, request_bytes, reply, reply_bytes) "        \
    "VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)"
#define BODY_GET_SQL                                                                                         \
    "SELECT at, request, request_bytes, reply, reply_bytes FROM request_body WHERE request_id = ?1 "         \
    "ORDER BY rowid DESC LIMIT 1"
#define JOB_KEEP_SQL "UPDATE retention SET max_age_ms = ?1, max_rows = ?2 WHERE table_name = 'job'"

#endif
