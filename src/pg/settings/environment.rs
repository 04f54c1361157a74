//! What the environment states: variables, the operating system's user, files in the home directory.

use std::{fs, path::PathBuf};

use super::{
    options,
    stated::Stated,
    stated_tls::HomeFiles,
    value::{OptionValue, Options},
};
use crate::pg::error::Error;

/// Looks up an environment variable.
pub(super) type Environment<'a> = &'a dyn Fn(&str) -> Option<String>;

/// libpq's variables, then `postgres`'s own, each with the setting that it gives.
/// <https://www.postgresql.org/docs/current/libpq-envars.html>
pub(super) const VARIABLES: [(&str, &str); 43] = [
    ("PGHOST", "host"),
    ("PGHOSTADDR", "hostaddr"),
    ("PGPORT", "port"),
    ("PGDATABASE", "dbname"),
    ("PGUSER", "user"),
    ("PGPASSWORD", "password"),
    ("PGPASSFILE", "passfile"),
    ("PGSERVICE", "service"),
    ("PGOPTIONS", "options"),
    ("PGAPPNAME", "application_name"),
    ("PGSSLMODE", "sslmode"),
    ("PGSSLNEGOTIATION", "sslnegotiation"),
    ("PGSSLROOTCERT", "sslrootcert"),
    ("PGSSLCERT", "sslcert"),
    ("PGSSLKEY", "sslkey"),
    ("PGSSLCERTMODE", "sslcertmode"),
    ("PGSSLSNI", "sslsni"),
    ("PGSSLMINPROTOCOLVERSION", "ssl_min_protocol_version"),
    ("PGSSLMAXPROTOCOLVERSION", "ssl_max_protocol_version"),
    ("PGSSLCRL", "sslcrl"),
    ("PGSSLCRLDIR", "sslcrldir"),
    ("PGREQUIREAUTH", "require_auth"),
    ("PGREQUIREPEER", "requirepeer"),
    ("PGGSSENCMODE", "gssencmode"),
    ("PGCHANNELBINDING", "channel_binding"),
    ("PGCONNECT_TIMEOUT", "connect_timeout"),
    ("PGTARGETSESSIONATTRS", "target_session_attrs"),
    ("PGLOADBALANCEHOSTS", "load_balance_hosts"),
    ("PGMINPROTOCOLVERSION", "min_protocol_version"),
    ("PGMAXPROTOCOLVERSION", "max_protocol_version"),
    ("PGTZ", "TimeZone"),
    ("PGDATESTYLE", "DateStyle"),
    ("PGGEQO", "geqo"),
    ("PGUSERNAME", "username"),
    ("PGMAX", "max"),
    ("PGSSL", "ssl"),
    ("PGIDLE_TIMEOUT", "idle_timeout"),
    ("PGMAX_LIFETIME", "max_lifetime"),
    ("PGMAX_PIPELINE", "max_pipeline"),
    ("PGKEEP_ALIVE", "keep_alive"),
    ("PGPREPARE", "prepare"),
    ("PGQUERY_TIMEOUT", "query_timeout"),
    ("PGCLIENTENCODING", "client_encoding"),
];

pub(super) fn read(environment: Environment) -> Result<Stated, Error> {
    let value = |(variable, name): &(&str, &str)| Some(((*name).to_owned(), OptionValue::Text(environment(variable)?)));
    let texts: Options = VARIABLES.iter().rev().filter_map(value).collect();
    options::read_texts(&texts, |name| {
        let variable = VARIABLES.iter().find(|(_, known)| *known == name).map_or(name, |(variable, _)| variable);
        format!("environment variable `{variable}`")
    })
}

fn folder(environment: Environment, name: &str) -> Option<PathBuf> {
    environment(name).filter(|folder| !folder.is_empty()).map(PathBuf::from)
}

/// A file of libpq's: in the home directory, or on Windows among the user's application data.
fn personal(environment: Environment, name: &str, windows_name: &str) -> Option<PathBuf> {
    if cfg!(windows) {
        folder(environment, "APPDATA").map(|folder| folder.join("postgresql").join(windows_name))
    } else {
        folder(environment, "HOME").map(|folder| folder.join(name))
    }
}

pub(super) fn password_file(environment: Environment) -> Option<PathBuf> {
    personal(environment, ".pgpass", "pgpass.conf")
}

pub(super) fn service_files(environment: Environment) -> Vec<PathBuf> {
    let own =
        folder(environment, "PGSERVICEFILE").or_else(|| personal(environment, ".pg_service.conf", ".pg_service.conf"));
    let shared = folder(environment, "PGSYSCONFDIR").map(|folder| folder.join("pg_service.conf"));
    own.into_iter().chain(shared).collect()
}

pub(super) fn certificates(environment: Environment) -> HomeFiles {
    let find = |name: &str| personal(environment, &format!(".postgresql/{name}"), name).filter(|path| path.is_file());
    HomeFiles {
        root: find("root.crt"),
        certificate: find("postgresql.crt"),
        key: find("postgresql.key"),
        revocation: find("root.crl"),
    }
}

/// Certificates that Node trusts beside its own.
pub(super) fn extra_roots(environment: Environment) -> Option<PathBuf> {
    folder(environment, "NODE_EXTRA_CA_CERTS")
}

/// The name of the user who runs this process: variables may still hold the name of who started the process under
/// another account.
pub(super) fn user(environment: Environment) -> Option<String> {
    let from_variables = || ["USER", "LOGNAME", "USERNAME"].iter().find_map(|name| environment(name));
    whoami::username().ok().or_else(from_variables).filter(|name| !name.is_empty())
}

/// The number of an account of this machine.
pub(super) fn account(name: &str) -> Result<u32, Error> {
    let accounts = fs::read_to_string("/etc/passwd").unwrap_or_default();
    account_number(&accounts, name)
        .ok_or_else(|| Error::invalid(format!("`requirepeer`: /etc/passwd has no account {name:?}")))
}

fn account_number(accounts: &str, name: &str) -> Option<u32> {
    accounts.lines().find_map(|line| {
        let mut fields = line.split(':');
        fields.next().filter(|known| *known == name)?;
        fields.nth(1)?.parse().ok()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_account_is_found_by_its_name() {
        let accounts = "root:x:0:0:root:/root:/bin/sh\n\nme:x:1000:1000::/home/me:/bin/sh\n";
        assert_eq!(account_number(accounts, "me"), Some(1000));
        assert_eq!(account_number(accounts, "root"), Some(0));
        assert_eq!(account_number(accounts, "you"), None);
        assert!(account("nobody of this name").is_err_and(|invalid| invalid.message().contains("`requirepeer`")));
    }

    #[cfg(unix)]
    #[test]
    fn the_user_is_the_account_of_this_process_whatever_variables_say() {
        let told = std::process::Command::new("id").arg("-un").output().unwrap();
        let name = String::from_utf8(told.stdout).unwrap();
        assert_eq!(user(&|_| Some("another".to_owned())).as_deref(), Some(name.trim_end()));
    }

    #[test]
    fn the_files_are_where_libpq_looks_for_them() {
        let environment = |name: &str| match name {
            "HOME" => Some("/home/me".to_owned()),
            "PGSYSCONFDIR" => Some("/etc/pg".to_owned()),
            _ => None,
        };
        if cfg!(not(windows)) {
            assert_eq!(password_file(&environment), Some(PathBuf::from("/home/me/.pgpass")));
            let expected = ["/home/me/.pg_service.conf", "/etc/pg/pg_service.conf"].map(PathBuf::from);
            assert_eq!(service_files(&environment), expected);
        }
        assert_eq!(password_file(&|_| None), None);
    }
}
