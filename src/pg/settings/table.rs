//! Every option by its name: where it may be written, and what it sets.

use std::time::Duration;

use postgres_protocol::escape::escape_identifier;

use super::{
    authentication::Methods,
    host,
    password::Secret,
    session,
    setters::{connections, password, set, set_probing, set_session, sets_something},
    ssl,
    stated::{Limit, Stated, Target},
    stated_tls::Showing,
    tls::{ChannelBinding, Material, Roots},
    value::{OptionValue, Problem},
};

type Setter = fn(&mut Stated, &OptionValue) -> Result<(), Problem>;

/// Who writes an option.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Writer {
    /// JavaScript, in an options object.
    Program,
    /// A connection string, a service file or the environment: texts only.
    Text,
    Both,
}

pub(super) struct Entry {
    pub(super) name: &'static str,
    pub(super) writer: Writer,
    pub(super) set: Setter,
    /// `null` says something: the limit is off.
    pub(super) takes_null: bool,
}

const fn option(name: &'static str, set: Setter) -> Entry {
    Entry { name, writer: Writer::Program, set, takes_null: false }
}

const fn text(name: &'static str, set: Setter) -> Entry {
    Entry { name, writer: Writer::Text, set, takes_null: false }
}

const fn both(name: &'static str, set: Setter) -> Entry {
    Entry { name, writer: Writer::Both, set, takes_null: false }
}

const fn limit(name: &'static str, writer: Writer, set: Setter) -> Entry {
    Entry { name, writer, set, takes_null: true }
}

/// Later ones are stronger: of two names for one thing the last that is given counts.
pub(super) const OPTIONS: &[Entry] = &[
    option("connection", connection),
    both("host", |stated, value| set(&mut stated.hosts, host::places(value))),
    option("hostname", |stated, value| set(&mut stated.hosts, host::places(value))),
    text("hostaddr", |stated, value| set(&mut stated.addresses, host::addresses(value))),
    both("port", |stated, value| set(&mut stated.ports, host::ports(value))),
    option("path", |stated, value| match value {
        OptionValue::Boolean(false) => Ok(()),
        value => set(&mut stated.socket, host::socket(value)),
    }),
    option("db", |stated, value| set(&mut stated.database, value.text())),
    option("database", |stated, value| set(&mut stated.database, value.text())),
    text("dbname", |stated, value| set(&mut stated.database, value.text())),
    both("username", |stated, value| set(&mut stated.user, value.text())),
    both("user", |stated, value| set(&mut stated.user, value.text())),
    both("password", password),
    option("pass", password),
    text("passfile", |stated, value| set(&mut stated.password_file, value.text().map(Into::into))),
    text("servicefile", |stated, value| set(&mut stated.service_file, value.text().map(Into::into))),
    text("service", |stated, value| set(&mut stated.service, value.text())),
    text("connection_limit", |stated, value| set(&mut stated.max, connections(value))),
    both("max", |stated, value| set(&mut stated.max, connections(value))),
    both("max_pipeline", |stated, value| set(&mut stated.max_pipeline, value.positive())),
    limit("timeout", Writer::Program, |stated, value| set(&mut stated.idle_timeout, value.seconds().map(Limit))),
    limit("idle_timeout", Writer::Both, |stated, value| set(&mut stated.idle_timeout, value.seconds().map(Limit))),
    limit("connect_timeout", Writer::Both, |stated, value| {
        set(&mut stated.connect_timeout, value.seconds().map(Limit))
    }),
    limit("max_lifetime", Writer::Both, |stated, value| match value {
        // An instance of `postgres` carries its default in this form.
        OptionValue::Function(_) => Ok(()),
        value => set(&mut stated.max_lifetime, value.seconds().map(Limit)),
    }),
    limit("keepalives_idle", Writer::Text, |stated, value| set(&mut stated.keep_alive, value.seconds().map(Limit))),
    limit("keep_alive", Writer::Both, |stated, value| set(&mut stated.keep_alive, value.seconds().map(Limit))),
    text("keepalives", |stated, value| {
        if !value.boolean()? {
            stated.keep_alive = Some(Limit(None));
        }
        Ok(())
    }),
    text("keepalives_interval", |stated, value| set_probing(&mut stated.probe_interval, value, Duration::from_secs)),
    text("keepalives_count", |stated, value| {
        // Linux takes no more.
        set_probing(&mut stated.probes, value, |count| u32::try_from(count).unwrap_or(u32::MAX).min(127))
    }),
    text("tcp_user_timeout", |stated, value| {
        set(&mut stated.tcp_user_timeout, value.seconds().map(|limit| Limit(limit.map(|thousand| thousand / 1000))))
    }),
    limit("socket_timeout", Writer::Text, |stated, value| set(&mut stated.query_timeout, value.seconds().map(Limit))),
    limit("query_timeout", Writer::Both, |stated, value| set(&mut stated.query_timeout, value.seconds().map(Limit))),
    text("pgbouncer", |stated, value| set(&mut stated.has_pooler, value.boolean())),
    text("statement_cache_size", |stated, value| {
        if *value == OptionValue::Text("0".into()) {
            stated.has_pooler = Some(true);
        }
        Ok(())
    }),
    text("prepared_statements", |stated, value| set(&mut stated.prepares, value.boolean())),
    option("share", |stated, value| set(&mut stated.shares, value.boolean())),
    both("prepare", |stated, value| set(&mut stated.prepares, value.boolean())),
    option("no_prepare", |stated, value| {
        if value.boolean()? {
            stated.prepares = Some(false);
        }
        Ok(())
    }),
    both("ssl", |stated, value| ssl::read(&mut stated.tls, value)),
    text("sslmode", |stated, value| ssl::read(&mut stated.tls, value)),
    text("sslaccept", |stated, value| match value.text()?.as_str() {
        "strict" => set(&mut stated.tls.is_strict, Ok(true)),
        "accept_invalid_certs" => set(&mut stated.tls.is_strict, Ok(false)),
        _ => Err(Problem::refused("must be strict or accept_invalid_certs")),
    }),
    // Prisma's too: the client's certificate, in a form that is not read here.
    text("sslidentity", |stated, _| {
        stated.tls.is_strict.get_or_insert(false);
        Ok(())
    }),
    text("sslrootcert", |stated, value| {
        let roots = value.text().map(|path| match path.as_str() {
            "system" => Roots::System { extra: None },
            path => Roots::Given(Material::File(path.into())),
        });
        set(&mut stated.tls.roots, roots)
    }),
    text("sslcert", |stated, value| {
        set(&mut stated.tls.certificate, value.text().map(|path| Material::File(path.into())))
    }),
    text("sslkey", |stated, value| set(&mut stated.tls.key, value.text().map(|path| Material::File(path.into())))),
    text("sslpassword", |stated, value| set(&mut stated.tls.passphrase, value.text().map(Secret))),
    text("sslcrl", |stated, value| {
        let lists = Some(Material::File(value.text()?.into()));
        stated.tls.revocation.get_or_insert_default().lists = lists;
        Ok(())
    }),
    text("sslcrldir", |stated, value| {
        stated.tls.revocation.get_or_insert_default().directory = Some(value.text()?.into());
        Ok(())
    }),
    text("sslsni", |stated, value| set(&mut stated.tls.sends_server_name, value.boolean())),
    text("sslcertmode", |stated, value| match value.text()?.as_str() {
        "disable" => set(&mut stated.tls.showing, Ok(Showing::Never)),
        "allow" => set(&mut stated.tls.showing, Ok(Showing::IfAsked)),
        "require" => set(&mut stated.tls.showing, Ok(Showing::Always)),
        _ => Err(Problem::refused("must be disable, allow or require")),
    }),
    text("ssl_min_protocol_version", |stated, value| {
        stated.tls.minimum = ssl::version(value)?.or(stated.tls.minimum);
        Ok(())
    }),
    text("ssl_max_protocol_version", |stated, value| match ssl::version(value)? {
        Some(version) => set(&mut stated.tls.maximum, Ok(version)),
        None => Err(Problem::refused("must be TLSv1.2 or TLSv1.3")),
    }),
    both("sslnegotiation", |stated, value| match value.text()?.as_str() {
        "direct" => set(&mut stated.tls.is_direct, Ok(true)),
        "postgres" => set(&mut stated.tls.is_direct, Ok(false)),
        _ => Err(Problem::refused("must be direct or postgres")),
    }),
    both("channel_binding", |stated, value| match value.text()?.as_str() {
        "disable" => set(&mut stated.tls.channel_binding, Ok(ChannelBinding::Disable)),
        "prefer" => set(&mut stated.tls.channel_binding, Ok(ChannelBinding::Prefer)),
        "require" => set(&mut stated.tls.channel_binding, Ok(ChannelBinding::Require)),
        _ => Err(Problem::refused("must be disable, prefer or require")),
    }),
    both("target_session_attrs", |stated, value| {
        let name = value.text()?;
        let target = Target::ALL.iter().find(|(known, _)| *known == name).map(|(_, target)| *target);
        let names = "must be any, read-write, read-only, primary, standby or prefer-standby";
        set(&mut stated.target, target.ok_or_else(|| Problem::refused(names)))
    }),
    both("load_balance_hosts", |stated, value| match value.text()?.as_str() {
        "random" => set(&mut stated.shuffles_hosts, Ok(true)),
        "disable" => set(&mut stated.shuffles_hosts, Ok(false)),
        _ => Err(Problem::refused("must be disable or random")),
    }),
    text("application_name", |stated, value| set_session(stated, "application_name", value)),
    text("fallback_application_name", |stated, value| set(&mut stated.fallback_application_name, value.text())),
    text("options", |stated, value| set_session(stated, "options", value)),
    text("schema", |stated, value| {
        set_session(stated, "search_path", &OptionValue::Text(escape_identifier(&value.text()?)))
    }),
    text("currentSchema", |stated, value| set_session(stated, "search_path", value)),
    text("search_path", |stated, value| set_session(stated, "search_path", value)),
    option("onnotice", |stated, value| match value {
        OptionValue::Function(handle) => set(&mut stated.onnotice, Ok(*handle)),
        OptionValue::Boolean(false) => Ok(()),
        _ => Err(Problem::expected("must be a function")),
    }),
    // Answers that come from the server are always UTF-8.
    text("client_encoding", |_, _| Ok(())),
    both("require_auth", |stated, value| set(&mut stated.authentication, Methods::named(&value.text()?))),
    both("requirepeer", |stated, value| set(&mut stated.server_account, value.text())),
    text("gssencmode", |_, value| match value.text()?.as_str() {
        "require" => Err(Problem::refused("is not supported: there is no GSSAPI encryption here")),
        _ => Ok(()),
    }),
    text("replication", |_, value| match value.text()?.as_str() {
        "false" | "off" | "no" | "0" => Ok(()),
        _ => Err(Problem::refused("is not supported: a connection for replication serves no lookups")),
    }),
    text("min_protocol_version", |_, value| match value.text()?.as_str() {
        "3.0" => Ok(()),
        _ => Err(Problem::refused("is not supported: version 3.0 of the protocol is spoken here")),
    }),
    text("max_protocol_version", |_, value| match value.text()?.as_str() {
        "3.0" | "3.2" | "latest" => Ok(()),
        _ => Err(Problem::refused("must be 3.0, 3.2 or latest")),
    }),
    text("scram_client_key", |_, _| Err(Problem::refused(ONLY_PASSWORDS))),
    text("scram_server_key", |_, _| Err(Problem::refused(ONLY_PASSWORDS))),
    text("oauth_issuer", |_, _| Err(Problem::refused("is not supported: there is no OAuth here"))),
    text("sslkeylogfile", |_, _| Err(Problem::refused("is not supported: the keys of a session are not written down"))),
    option("socket", |_, value| match value {
        OptionValue::Boolean(false) => Ok(()),
        _ => {
            Err(Problem::refused("cannot be used: connections are made outside of JavaScript; give `host` and `port`"))
        }
    }),
    option("transform", |_, value| {
        if sets_something(value) {
            let text = "cannot be honoured: rows keep the names and values that the server sends; leave it out";
            return Err(Problem::refused(text));
        }
        Ok(())
    }),
    option("types", |_, value| {
        if sets_something(value) {
            let text = "cannot be honoured: values are read as `postgres` reads them without it; leave it out";
            return Err(Problem::refused(text));
        }
        Ok(())
    }),
];

const ONLY_PASSWORDS: &str = "is not supported: a server that asks for SCRAM is answered with the password";

/// The startup parameters of `postgres`; it leaves there what it does not know of a connection string, so that the
/// members are read as a connection string's.
fn connection(stated: &mut Stated, value: &OptionValue) -> Result<(), Problem> {
    let OptionValue::Map(members) = value else {
        return Err(Problem::expected("must be an object: names and values of session settings"));
    };
    for (name, value) in members {
        let value = match value {
            OptionValue::Undefined | OptionValue::Null => continue,
            OptionValue::Number(number) => OptionValue::Text(number.to_string()),
            OptionValue::Boolean(boolean) => OptionValue::Text(boolean.to_string()),
            value => value.clone(),
        };
        let known = OPTIONS.iter().find(|option| option.name == name && option.writer != Writer::Program);
        let done = match known {
            Some(_) if value.is_left_out() && name != "application_name" => Ok(()),
            Some(option) => (option.set)(stated, &value),
            None if session::is_name(name) => set_session(stated, name, &value),
            None => Err(Problem::refused("is not the name of a session setting")),
        };
        done.map_err(|problem| problem.of(name))?;
    }
    Ok(())
}
