// What the catalog says of the tables, as one statement, so that it works through any pooler and needs no right beyond
// that to connect.

/** Of the relation whose oid is `t.oid`. */
const table = `
  json_build_object(
    'kind', relkind,
    'name', format('%I.%I', nspname, relname),
    'rowSecurity', row_security_active(t.oid),
    'denied', (SELECT coalesce(json_agg(p), '[]') FROM unnest(ARRAY['SELECT', 'INSERT', 'UPDATE', 'DELETE']) p
      WHERE NOT has_table_privilege(t.oid, p)),
    'columns', (
      SELECT coalesce(json_agg(json_build_object(
        'name', attname,
        'type', format_type(atttypid, atttypmod),
        'base', (WITH RECURSIVE base AS (
          SELECT oid, typbasetype FROM pg_type WHERE oid = atttypid
          UNION ALL
          SELECT b.oid, b.typbasetype FROM pg_type b JOIN base ON b.oid = base.typbasetype
        ) SELECT format_type(oid, NULL) FROM base WHERE typbasetype = 0),
        'length', CASE WHEN atttypid IN ('varchar'::regtype, 'bpchar'::regtype) AND atttypmod > 4 THEN atttypmod - 4 END,
        'isNotNull', attnotnull,
        'hasDefault', atthasdef OR attidentity <> ''
      ) ORDER BY attnum), '[]')
      FROM pg_attribute WHERE attrelid = t.oid AND attnum > 0 AND NOT attisdropped
    ),
    'indexes', (
      SELECT coalesce(json_agg(json_build_object(
        'isUnique', indisunique,
        'isWhole', indisvalid AND indpred IS NULL,
        'columns', (
          SELECT json_agg(attname ORDER BY position)
          FROM unnest(indkey[0 : indnkeyatts - 1]) WITH ORDINALITY AS keys (attnum, position)
          LEFT JOIN pg_attribute ON attrelid = t.oid AND pg_attribute.attnum = keys.attnum
        )
      )), '[]')
      FROM pg_index WHERE indrelid = t.oid
    ),
    'foreignKeys', (
      SELECT coalesce(json_agg(json_build_object(
        'name', conname,
        'columns', (SELECT json_agg(attname) FROM pg_attribute WHERE attrelid = conrelid AND attnum = ANY (conkey)),
        'target', (SELECT format('%I.%I', n.nspname, c.relname) FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace
          WHERE c.oid = confrelid),
        'targetColumns', (SELECT json_agg(attname) FROM pg_attribute WHERE attrelid = confrelid AND attnum = ANY (confkey)),
        'isValid', convalidated
      )), '[]')
      FROM pg_constraint WHERE conrelid = t.oid AND contype = 'f'
    )
  )`;

/** Gives JSON. The parameter is JSON: for each table its quoted name, and the last part without quotes. */
export const factsSql = `
  SELECT json_build_object(
    'version', current_setting('server_version'),
    'number', current_setting('server_version_num')::int,
    'database', current_database(),
    'user', current_user,
    'searchPath', current_setting('search_path'),
    'isReadOnly', pg_is_in_recovery() OR current_setting('transaction_read_only') = 'on',
    'isStandby', pg_is_in_recovery(),
    'isEncrypted', (SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()),
    'tables', (
      SELECT json_agg(json_build_object(
        'found', (SELECT ${table} FROM (SELECT to_regclass(pair ->> 0)::oid AS oid) t
          JOIN pg_class ON pg_class.oid = t.oid JOIN pg_namespace ON pg_namespace.oid = relnamespace),
        'elsewhere', (SELECT coalesce(json_agg(format('%I.%I', nspname, relname) ORDER BY nspname), '[]')
          FROM pg_class JOIN pg_namespace ON pg_namespace.oid = relnamespace
          WHERE relname = pair ->> 1 AND relkind IN ('r', 'p', 'v', 'f', 'm') AND nspname !~ '^pg_')
      ) ORDER BY position)
      FROM json_array_elements($1::text::json) WITH ORDINALITY AS names (pair, position)
    )
  )::text AS facts`;
