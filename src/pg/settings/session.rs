//! The settings of a session that a connection string may name.

/// What version 18 of the server lets every user set (`pg_settings.context = 'user'`, and `role`), in lower case and
/// sorted. Left out are what the driver decides, `client_encoding`, and what means something else to a client,
/// `tcp_user_timeout`.
#[rustfmt::skip]
const NAMES: [&str; 149] = [
    "array_nulls", "backend_flush_after", "backslash_quote", "bytea_output", "check_function_bodies",
    "client_connection_check_interval", "client_min_messages", "commit_siblings", "constraint_exclusion",
    "cpu_index_tuple_cost", "cpu_operator_cost", "cpu_tuple_cost", "createrole_self_grant", "cursor_tuple_fraction",
    "datestyle", "debug_logical_replication_streaming", "debug_parallel_query", "debug_pretty_print",
    "debug_print_parse", "debug_print_plan", "debug_print_rewritten", "default_statistics_target",
    "default_table_access_method", "default_tablespace", "default_text_search_config", "default_toast_compression",
    "default_transaction_deferrable", "default_transaction_isolation", "default_transaction_read_only",
    "effective_cache_size", "effective_io_concurrency", "enable_async_append", "enable_bitmapscan",
    "enable_distinct_reordering", "enable_gathermerge", "enable_group_by_reordering", "enable_hashagg",
    "enable_hashjoin", "enable_incremental_sort", "enable_indexonlyscan", "enable_indexscan", "enable_material",
    "enable_memoize", "enable_mergejoin", "enable_nestloop", "enable_parallel_append", "enable_parallel_hash",
    "enable_partition_pruning", "enable_partitionwise_aggregate", "enable_partitionwise_join",
    "enable_presorted_aggregate", "enable_self_join_elimination", "enable_seqscan", "enable_sort", "enable_tidscan",
    "escape_string_warning", "exit_on_error", "extra_float_digits", "file_copy_method", "from_collapse_limit", "geqo",
    "geqo_effort", "geqo_generations", "geqo_pool_size", "geqo_seed", "geqo_selection_bias", "geqo_threshold",
    "gin_fuzzy_search_limit", "gin_pending_list_limit", "hash_mem_multiplier", "icu_validation_level",
    "idle_in_transaction_session_timeout", "idle_session_timeout", "intervalstyle", "io_combine_limit", "jit",
    "jit_above_cost", "jit_expressions", "jit_inline_above_cost", "jit_optimize_above_cost", "jit_tuple_deforming",
    "join_collapse_limit", "lc_monetary", "lc_numeric", "lc_time", "local_preload_libraries", "lock_timeout",
    "log_parameter_max_length_on_error", "logical_decoding_work_mem", "maintenance_io_concurrency",
    "maintenance_work_mem", "max_parallel_maintenance_workers", "max_parallel_workers",
    "max_parallel_workers_per_gather", "md5_password_warnings", "min_parallel_index_scan_size",
    "min_parallel_table_scan_size", "parallel_leader_participation", "parallel_setup_cost", "parallel_tuple_cost",
    "password_encryption", "plan_cache_mode", "quote_all_identifiers", "random_page_cost",
    "recursive_worktable_factor", "restrict_nonsystem_relation_kind", "role", "row_security", "scram_iterations",
    "search_path", "seq_page_cost", "standard_conforming_strings", "statement_timeout", "stats_fetch_consistency",
    "synchronize_seqscans", "synchronous_commit", "tcp_keepalives_count", "tcp_keepalives_idle",
    "tcp_keepalives_interval", "temp_buffers", "temp_tablespaces", "timezone", "timezone_abbreviations",
    "trace_notify", "trace_sort", "transaction_deferrable", "transaction_isolation", "transaction_read_only",
    "transaction_timeout", "transform_null_equals", "vacuum_buffer_usage_limit", "vacuum_cost_delay",
    "vacuum_cost_limit", "vacuum_cost_page_dirty", "vacuum_cost_page_hit", "vacuum_cost_page_miss",
    "vacuum_failsafe_age", "vacuum_freeze_min_age", "vacuum_freeze_table_age",
    "vacuum_max_eager_freeze_failure_rate", "vacuum_multixact_failsafe_age", "vacuum_multixact_freeze_min_age",
    "vacuum_multixact_freeze_table_age", "vacuum_truncate", "wal_sender_timeout", "wal_skip_threshold", "work_mem",
    "xmlbinary", "xmloption",
];

/// The server knows the setting, or takes it for one of an extension or an application: `myapp.tenant`.
pub(super) fn is_known(name: &str) -> bool {
    NAMES.binary_search(&name.to_ascii_lowercase().as_str()).is_ok() || name.contains('.') && is_name(name)
}

/// The server can read it as the name of a setting.
pub(super) fn is_name(name: &str) -> bool {
    name.split('.').all(|part| {
        part.starts_with(|letter: char| letter.is_ascii_alphabetic() || letter == '_')
            && part.chars().all(|letter| letter.is_ascii_alphanumeric() || letter == '_' || letter == '$')
    })
}

/// The text of the startup parameter `options`: what was written there, and every setting as `-c name=value`. The
/// server splits it at white space; a backslash takes the next character as it is.
pub(super) fn command_line(written: Option<&str>, settings: &[(&str, &str)]) -> String {
    let mut line = written.unwrap_or_default().to_owned();
    for (name, value) in settings {
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str("-c ");
        line.push_str(name);
        line.push('=');
        for letter in value.chars() {
            if letter == '\\' || letter.is_ascii_whitespace() || letter == '\x0b' {
                line.push('\\');
            }
            line.push(letter);
        }
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_names_are_sorted_for_the_search() {
        assert!(NAMES.is_sorted());
        assert!(NAMES.iter().all(|name| *name == name.to_ascii_lowercase()));
    }

    #[test]
    fn settings_are_known_in_any_case_and_custom_ones_by_their_dot() {
        for known in ["search_path", "TimeZone", "DateStyle", "statement_timeout", "myapp.tenant", "a.b.c"] {
            assert!(is_known(known), "{known}");
        }
        for unknown in
            ["supa", "workaround", "client_encoding", "shared_buffers", "utm-source", ".", "a.", "1.2", "a.b c"]
        {
            assert!(!is_known(unknown), "{unknown}");
        }
    }

    #[test]
    fn values_are_escaped_as_the_server_splits_them() {
        let line = command_line(Some("-c geqo=off"), &[("search_path", r#""a b", c\d"#), ("work_mem", "")]);
        assert_eq!(line, r#"-c geqo=off -c search_path="a\ b",\ c\\d -c work_mem="#);
        assert_eq!(command_line(None, &[]), "");
    }
}
