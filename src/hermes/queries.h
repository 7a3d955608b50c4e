/* Every SQL statement of Hermes. Tables: sql/0002_models.sql. */
#ifndef VX11_HERMES_QUERIES_H
#define VX11_HERMES_QUERIES_H

#define MODEL_COLUMNS                                                                                        \
    "id, name, CASE WHEN EXISTS (SELECT 1 FROM model_pulled WHERE model_id = model.id) THEN 'pulled' ELSE "  \
    "source END, status, reason, path, size_bytes, mtime_ns, sha256, architecture, title, licence, "         \
    "quantisation, parameters, context_length, embedding_length, layers, vocabulary, kv_bytes_per_token, "   \
    "has_chat_template, enabled, usage_count, last_used_at, created_at, updated_at, "                        \
    "EXISTS (SELECT 1 FROM model_pin p WHERE p.model_id = model.id), "                                       \
    "(SELECT engine FROM model_external x WHERE x.model_id = model.id)"

#define MODEL_LIST_SQL    "SELECT " MODEL_COLUMNS " FROM model ORDER BY name"
#define MODEL_BY_NAME_SQL "SELECT " MODEL_COLUMNS " FROM model WHERE name = ?1"
#define MODEL_BY_PATH_SQL "SELECT " MODEL_COLUMNS " FROM model WHERE path = ?1"
#define MODEL_NAMES_SQL   "SELECT name FROM model ORDER BY name"
#define MODEL_COUNT_SQL   "SELECT count(*) FROM model WHERE status = 'available' AND enabled = 1"
#define MODEL_TOTAL_SQL   "SELECT count(*) FROM model"
#define MODEL_VERSION_SQL "SELECT version FROM model_registry"
/* The next file to hash, small ones first. ?1: largest size; ?2, ?3: size and id of the one before. */
#define MODEL_UNHASHED_SQL                                                                                   \
    "SELECT " MODEL_COLUMNS                                                                                  \
    " FROM model WHERE sha256 IS NULL AND status = 'available' AND size_bytes <= ?1 "                        \
    "AND (size_bytes, id) > (?2, ?3) ORDER BY size_bytes, id LIMIT 1"

/* ?1 id ?2 name ?3 source, then the facts ?4… as in MODEL_UPDATE_SQL, ?20 now */
#define MODEL_INSERT_SQL                                                                                     \
    "INSERT INTO model (id, name, source, status, reason, path, size_bytes, mtime_ns, architecture, title, " \
    "licence, "                                                                                              \
    "quantisation, parameters, context_length, embedding_length, layers, vocabulary, kv_bytes_per_token, "   \
    "has_chat_template, created_at, updated_at) "                                                            \
    "VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20, "    \
    "?20)"
/* The hash goes with the old contents. */
#define MODEL_UPDATE_SQL                                                                                     \
    "UPDATE model SET source = ?3, status = ?4, reason = ?5, path = ?6, "                                    \
    "sha256 = CASE WHEN size_bytes IS ?7 AND mtime_ns IS ?8 THEN sha256 END, size_bytes = ?7, mtime_ns = "   \
    "?8, "                                                                                                   \
    "architecture = ?9, title = ?10, licence = ?11, quantisation = ?12, parameters = ?13, context_length = " \
    "?14, "                                                                                                  \
    "embedding_length = ?15, layers = ?16, vocabulary = ?17, kv_bytes_per_token = ?18, has_chat_template = " \
    "?19, "                                                                                                  \
    "updated_at = ?20 WHERE id = ?1 AND name = ?2"
#define MODEL_STATUS_SQL "UPDATE model SET status = ?2, reason = ?3, updated_at = ?4 WHERE id = ?1"
/* Only while the file is still the one that was hashed. */
#define MODEL_HASH_SQL                                                                                       \
    "UPDATE model SET sha256 = ?2, updated_at = ?5 WHERE id = ?1 AND size_bytes = ?3 AND mtime_ns = ?4"
#define MODEL_USED_SQL                                                                                       \
    "UPDATE model SET usage_count = usage_count + ?3, last_used_at = max(coalesce(last_used_at, 0), ?2) "    \
    "WHERE id = ?1"
/* ?2 now ?3 by whom */
#define MODEL_PIN_SQL                                                                                        \
    "INSERT INTO model_pin (model_id, pinned_at, pinned_by) VALUES (?1, ?2, ?3) "                            \
    "ON CONFLICT (model_id) DO NOTHING"
#define MODEL_UNPIN_SQL     "DELETE FROM model_pin WHERE model_id = ?1"
#define MODEL_DELETE_SQL    "DELETE FROM model WHERE id = ?1"
#define MODEL_FORGET_SQL    "INSERT OR REPLACE INTO model_forgotten (path, forgotten_at) VALUES (?1, ?2)"
#define MODEL_REMEMBER_SQL  "DELETE FROM model_forgotten WHERE path = ?1"
#define MODEL_FORGOTTEN_SQL "SELECT path FROM model_forgotten ORDER BY path"

#endif
