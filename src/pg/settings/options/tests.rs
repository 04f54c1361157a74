//! What an options object may hold.

use super::*;
use crate::pg::settings::{
    misspelt::{NEVER_EMPTY, PROTECTION, distance},
    password::{Password, Secret},
    tls::ChannelBinding,
};

fn text(text: &str) -> OptionValue {
    OptionValue::Text(text.into())
}

fn one(name: &str, value: OptionValue) -> Result<Stated, Error> {
    read(&vec![(name.into(), value)])
}

fn message(name: &str, value: OptionValue) -> String {
    one(name, value).err().map(|invalid| invalid.message().to_owned()).unwrap_or_default()
}

fn object(name: &str, value: OptionValue) -> OptionValue {
    OptionValue::Map(vec![(name.into(), value)])
}

#[test]
fn an_unknown_option_is_an_error_that_suggests_the_nearest() {
    let table = [
        ("hots", "option `hots` is not known; did you mean `host`?"),
        ("Max", "option `Max` is not known; did you mean `max`?"),
        ("idleTimeout", "option `idleTimeout` is not known; did you mean `idle_timeout`?"),
        ("usr", "option `usr` is not known; did you mean `user`?"),
        ("prepared", "option `prepared` is not known; did you mean `prepare`?"),
        ("idl_tmeout", "option `idl_tmeout` is not known; did you mean `idle_timeout`?"),
        ("idleTimeoutMillis", "option `idleTimeoutMillis` is not known; use `idle_timeout`, in seconds"),
        (
            "connectionString",
            "option `connectionString` is not known; give the connection string as `connection`, the first argument",
        ),
        (
            "statement_timeout",
            "option `statement_timeout` is not known; write `connection: { statement_timeout: ... }`",
        ),
        ("completely_different", "option `completely_different` is not known"),
    ];
    for (name, expected) in table {
        assert_eq!(message(name, OptionValue::Boolean(true)), expected);
    }
    assert!(one("hots", OptionValue::Undefined).is_ok());
}

#[test]
fn each_name_of_a_choice_is_that_choice() {
    let binding = |name| one("channel_binding", text(name)).map(|stated| stated.tls.channel_binding);
    for (name, expected) in
        [("disable", ChannelBinding::Disable), ("prefer", ChannelBinding::Prefer), ("require", ChannelBinding::Require)]
    {
        assert_eq!(binding(name).unwrap(), Some(expected), "{name}");
    }
    assert!(message("channel_binding", text("no")).ends_with("must be disable, prefer or require"));
}

#[test]
fn a_function_for_notices_is_known_by_its_handle_and_false_stands_for_no_function() {
    let function = |value| one("onnotice", value).map(|stated| stated.onnotice);
    assert_eq!(function(OptionValue::Function(7)).unwrap(), Some(7));
    assert_eq!(function(OptionValue::Boolean(false)).unwrap(), None);
    assert!(one("socket", OptionValue::Boolean(false)).is_ok());
}

#[test]
fn every_option_is_checked_and_named() {
    let wrong = [
        ("max", OptionValue::Number(0.0), "option `max` must be a positive integer, not 0"),
        ("max", OptionValue::Number(1.5), "option `max` must be a positive integer, not 1.5"),
        ("max", text("many"), "option `max` must be a positive integer"),
        (
            "max",
            OptionValue::Number(1e9),
            "option `max` must be a positive integer up to 262143, which no server exceeds, not 1000000000",
        ),
        ("max_pipeline", OptionValue::Boolean(true), "option `max_pipeline` must be a positive integer, not true"),
        (
            "idle_timeout",
            OptionValue::Number(-1.0),
            "option `idle_timeout` must be a number of seconds, 0 or more, not -1",
        ),
        ("prepare", OptionValue::Number(1.0), "option `prepare` must be true or false, not 1"),
        ("port", OptionValue::Number(70000.0), "option `port` must be a port between 1 and 65535, not 70000"),
        ("host", OptionValue::Number(1.0), "option `host` must be a string, not 1"),
        ("user", object("a", text("b")), "option `user` must be a string, not an object"),
        (
            "password",
            OptionValue::Number(1.0),
            "option `password` must be a string, or a function that returns it or a promise of it",
        ),
        ("onnotice", text("log"), "option `onnotice` must be a function"),
        ("connection", text("a=b"), "option `connection` must be an object: names and values of session settings"),
    ];
    for (name, value, expected) in wrong {
        assert_eq!(message(name, value), expected);
    }
    assert_eq!(one("max", OptionValue::Number(262_143.0)).unwrap().max, Some(262_143));
}

#[test]
fn a_wrong_value_is_told_with_what_it_has_to_be() {
    let named = [
        ("path", text("/tmp"), "option `path` must be the absolute path"),
        ("password", OptionValue::Number(1.0), "option `password` must be a string, or a function"),
        ("target_session_attrs", text("master"), "option `target_session_attrs` must be any"),
        ("sslnegotiation", text("later"), "option `sslnegotiation` must be"),
        ("ssl", text("maybe"), "option `ssl` must be"),
        (
            "ssl",
            object("checkServerIdentity", OptionValue::Function(1)),
            "option `ssl.checkServerIdentity` cannot be called",
        ),
        ("ssl", object("ca", OptionValue::Number(1.0)), "option `ssl.ca` must be PEM"),
        ("connection", object("a b", text("c")), "option `connection.a b` is not the name"),
        ("socket", OptionValue::Function(1), "option `socket` cannot be used"),
    ];
    for (name, value, expected) in named {
        let message = message(name, value);
        assert!(message.starts_with(expected), "{message}");
    }
}

#[test]
fn a_wrong_value_is_never_shown() {
    for (name, value) in [("max", text("hunter2")), ("ssl", text("hunter2")), ("port", text("hunter2"))] {
        assert!(!message(name, value).contains("hunter2"));
    }
}

#[test]
fn options_shared_with_postgres_are_accepted_unless_they_would_change_rows() {
    let unset = object("column", object("from", OptionValue::Undefined));
    let harmless = [
        ("debug", OptionValue::Boolean(true)),
        ("backoff", OptionValue::Function(1)),
        ("fetch_types", OptionValue::Boolean(false)),
        ("publications", text("alltables")),
        ("onnotify", OptionValue::Function(1)),
        ("onclose", OptionValue::Function(1)),
        ("onparameter", OptionValue::Function(1)),
        ("parameters", OptionValue::Map(vec![])),
        ("shared", OptionValue::Map(vec![])),
        ("types", OptionValue::Map(vec![])),
        ("transform", unset),
        ("socket", OptionValue::Undefined),
        ("path", OptionValue::Boolean(false)),
        ("max_lifetime", OptionValue::Function(1)),
        ("sslnegotiation", OptionValue::Null),
        ("target_session_attrs", OptionValue::Null),
    ];
    for (name, value) in harmless {
        assert_eq!(message(name, value), "", "{name}");
    }
    assert!(message("transform", object("column", object("from", OptionValue::Function(1)))).contains("honoured"));
    assert!(message("transform", object("undefined", OptionValue::Null)).contains("honoured"));
    assert!(
        message("types", object("bigint", OptionValue::Map(vec![("to".into(), OptionValue::Number(20.0))])))
            .contains("honoured")
    );
}

#[test]
fn of_two_names_for_one_thing_the_same_counts_as_in_postgres() {
    let options = |pairs: &[(&str, &str)]| {
        let options = pairs.iter().map(|(name, value)| ((*name).to_owned(), text(value))).collect();
        read(&options).unwrap()
    };
    let stated = options(&[("user", "a"), ("username", "b"), ("database", "c"), ("db", "d")]);
    assert_eq!((stated.user.as_deref(), stated.database.as_deref()), (Some("a"), Some("c")));
    let stated = options(&[("pass", "a"), ("password", "b"), ("hostname", "c"), ("host", "d")]);
    assert_eq!(stated.password, Some(Password::Text(Secret("a".into()))));
    assert_eq!(stated.hosts.unwrap()[0].name, "c");
}

#[test]
fn hosts_and_ports_may_be_lists() {
    let numbers = OptionValue::List(vec![OptionValue::Number(1.0), OptionValue::Number(2.0)]);
    let stated = read(&vec![("host".into(), OptionValue::List(vec![text("a"), text("b")])), ("port".into(), numbers)]);
    assert_eq!(stated.unwrap().ports, Some(vec![Some(1), Some(2)]));
    let stated = read(&vec![("host".into(), text("a:1,b")), ("port".into(), OptionValue::Number(9.0))]);
    assert_eq!(stated.unwrap().ports, Some(vec![Some(1), Some(9)]));
}

#[test]
fn startup_parameters_are_read_as_in_a_connection_string() {
    let members = vec![
        ("statement_timeout".into(), OptionValue::Number(5000.0)),
        ("jit".into(), OptionValue::Boolean(false)),
        ("application_name".into(), text("app")),
        ("an_extension_setting".into(), text("x")),
        ("left_out".into(), OptionValue::Undefined),
        ("schema".into(), text("auth")),
        ("pgbouncer".into(), text("true")),
        ("client_encoding".into(), text("LATIN1")),
    ];
    let stated = one("connection", OptionValue::Map(members)).unwrap();
    let session: Vec<_> = stated.session.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let expected = [
        ("statement_timeout", "5000"),
        ("jit", "false"),
        ("application_name", "app"),
        ("an_extension_setting", "x"),
        ("search_path", "\"auth\""),
    ];
    assert_eq!(session, expected);
    assert_eq!(stated.has_pooler, Some(true));
}

#[test]
fn an_empty_startup_parameter_is_left_out_but_for_a_name_that_is_to_be_empty() {
    let members = vec![("search_path".into(), text("")), ("application_name".into(), text(""))];
    let stated = one("connection", OptionValue::Map(members)).unwrap();
    assert_eq!(stated.session, [("application_name".to_owned(), String::new())]);
}

#[test]
fn the_distance_of_words_counts_letters() {
    for (from, to, expected) in [("", "", 0), ("a", "", 1), ("", "ab", 2), ("hots", "host", 2), ("max", "max", 0)] {
        assert_eq!(distance(from, to), expected, "{from} {to}");
    }
}

#[test]
fn what_decides_over_protection_is_neither_misspelt_nor_empty() {
    let read = |name: &str, value: &str| read_texts(&vec![(name.into(), text(value))], |name| format!("`{name}`"));
    let message = |name, value| read(name, value).err().map(|invalid| invalid.message().to_owned()).unwrap_or_default();
    let misspelt = [
        ("sslMode", "sslmode"),
        ("ssl_mode", "sslmode"),
        ("SSL-MODE", "sslmode"),
        ("sslmod", "sslmode"),
        ("sslmodee", "sslmode"),
        ("SSL", "ssl"),
        ("channelBinding", "channel_binding"),
        ("channel_bindings", "channel_binding"),
        ("ssl_root_cert", "sslrootcert"),
        ("sslRootCert", "sslrootcert"),
        ("requireAuth", "require_auth"),
        ("sslNegotiation", "sslnegotiation"),
    ];
    for (name, meant) in misspelt {
        assert_eq!(message(name, "x"), format!("`{name}` is not known; did you mean `{meant}`?"));
    }
    assert_eq!(message("tls", "true"), "`tls` is not known; write `sslmode`");
    assert_eq!(message("requiressl", "1"), "`requiressl` is not known; write `sslmode=require`");
    for name in &PROTECTION[..NEVER_EMPTY - 1] {
        assert_eq!(message(name, ""), format!("`{name}` is empty; leave it out, or say what is wanted"));
    }
    // What only providers know is passed over, and a file that is not named is none.
    for name in ["supa", "sql", "workaround", "uselibpqcompat", "sslcompression", "sslfactory", "sslrootcert", "lsl"] {
        assert!(read(name, "").is_ok(), "{name}");
    }
}
