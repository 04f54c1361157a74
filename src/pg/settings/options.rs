//! Options as a source gives them, read by their names.

use super::{
    misspelt::{is_never_empty, misspelt_protection, suggestion},
    session,
    stated::Stated,
    stated_tls::Ssl,
    table::{OPTIONS, Writer},
    tls::Roots,
    value::{OptionValue, Options},
};
use crate::pg::error::Error;

/// Options of `postgres` that change nothing here, and what its instances carry beside them.
const IGNORED: [&str; 12] = [
    "backoff",
    "debug",
    "fetch_types",
    "no_subscribe",
    "onclose",
    "onnotify",
    "onparameter",
    "parameters",
    "parsers",
    "publications",
    "serializers",
    "shared",
];

/// Whether an option of this name has a meaning here.
pub fn is_read(name: &str) -> bool {
    OPTIONS.iter().any(|option| option.name == name && option.writer != Writer::Text)
}

/// Reads an options object.
pub(super) fn read(options: &Options) -> Result<Stated, Error> {
    let is_known = |name: &str| IGNORED.contains(&name) || is_read(name);
    if let Some((name, _)) = options.iter().find(|(name, value)| !is_known(name) && !value.is_left_out()) {
        return Err(Error::invalid(format!("option `{name}` is not known{}", suggestion(name))));
    }
    apply(options, Writer::Text, |name| format!("option `{name}`"))
}

/// Reads texts by their names; `label` says where a name was found.
pub(super) fn read_texts(texts: &Options, label: impl Fn(&str) -> String) -> Result<Stated, Error> {
    for (name, _) in texts.iter().filter(|(name, _)| !OPTIONS.iter().any(|option| option.name == name)) {
        let advice = match misspelt_protection(name) {
            None => continue,
            Some("tls") => "write `sslmode`".to_owned(),
            Some("requiressl") => "write `sslmode=require`".to_owned(),
            Some(known) => format!("did you mean `{known}`?"),
        };
        return Err(Error::invalid(format!("{} is not known; {advice}", label(name))));
    }
    let mut stated = apply(texts, Writer::Program, label)?;
    for (name, value) in texts {
        let is_session_setting = session::is_known(name) && !OPTIONS.iter().any(|option| option.name == name);
        if let OptionValue::Text(value) = value
            && is_session_setting
            && !value.is_empty()
        {
            stated.set_session(name, value.replace('\0', ""));
        }
    }
    Ok(stated)
}

fn apply(values: &Options, except: Writer, label: impl Fn(&str) -> String) -> Result<Stated, Error> {
    let mut stated = Stated::default();
    for option in OPTIONS.iter().filter(|option| option.writer != except) {
        let last = values.iter().rev().find(|(name, _)| name == option.name);
        let Some((name, value)) = last else { continue };
        if *value == OptionValue::Text(String::new()) && is_never_empty(name) {
            return Err(Error::invalid(format!("{} is empty; leave it out, or say what is wanted", label(name))));
        }
        if value.is_left_out() || *value == OptionValue::Null && !option.takes_null {
            continue;
        }
        (option.set)(&mut stated, value).map_err(|problem| {
            let label = label(&format!("{name}{}", problem.member));
            let shown = match value {
                OptionValue::Text(_) => String::new(),
                value if problem.shows_kind => format!(", not {}", value.kind()),
                _ => String::new(),
            };
            Error::invalid(format!("{label} {}{shown}", problem.text))
        })?;
    }
    if stated.tls.ssl == Some(Ssl::Off) && matches!(stated.tls.roots, Some(Roots::System { .. })) {
        return Err(Error::invalid(format!(
            "{} asks for verification and {} switches TLS off; remove one",
            label("sslrootcert"),
            label("sslmode"),
        )));
    }
    stated.collect_ports();
    Ok(stated)
}

#[cfg(test)]
mod tests;
