//! The option `ssl`, as `postgres` takes it: on or off, the name of a mode, or an object for Node's `tls.connect`.

use super::{
    password::Secret,
    stated_tls::{Ssl, StatedTls},
    tls::{Material, Revocation, Roots, Version},
    value::{OptionValue, Problem},
};

const MODES: &str = "must be true, false, disable, allow, prefer, require, verify-ca, verify-full or no-verify";

/// Members of the object without an effect on a client's connection, or on one of this client.
const HARMLESS: [&str; 14] = [
    "allowHalfOpen",
    "enableTrace",
    "highWaterMark",
    "honorCipherOrder",
    "host",
    "minDHSize",
    "port",
    "requestCert",
    "requestOCSP",
    // Node has no such member: it stands in Sequelize's documentation, and from there in many programs.
    "require",
    "session",
    "sessionIdContext",
    "sessionTimeout",
    "timeout",
];

/// Members whose wish cannot be granted, and what to do.
const REFUSED: [(&str, &str); 13] = [
    (
        "checkServerIdentity",
        "cannot be called; `ssl.servername` sets the name to find in the certificate, and sslmode=verify-ca in the \
         connection string accepts any name",
    ),
    ("ciphers", "cannot be chosen: only cipher suites without known weakness are offered"),
    ("clientCertEngine", "cannot be used: there is no OpenSSL here; give `ssl.cert` and `ssl.key`"),
    ("ecdhCurve", "cannot be chosen"),
    ("pfx", "is not supported; convert it to `ssl.cert` and `ssl.key`: openssl pkcs12 -nodes"),
    ("privateKeyEngine", "cannot be used: there is no OpenSSL here; give `ssl.key`"),
    ("privateKeyIdentifier", "cannot be used: there is no OpenSSL here; give `ssl.key`"),
    ("pskCallback", "is not supported"),
    ("secureContext", "cannot be used; give `ssl.ca`, `ssl.cert` and `ssl.key`"),
    ("secureOptions", "cannot be used: there is no OpenSSL here"),
    ("secureProtocol", "cannot be used; give `ssl.minVersion` and `ssl.maxVersion`"),
    ("sigalgs", "cannot be chosen"),
    ("socket", "cannot be used: the connection is made outside of JavaScript"),
];

const UNKNOWN: &str = "is not known; `ca`, `cert`, `key`, `passphrase`, `crl`, `servername`, `rejectUnauthorized`, \
                       `minVersion` and `maxVersion` are";

pub(super) fn read(stated: &mut StatedTls, value: &OptionValue) -> Result<(), Problem> {
    match value {
        OptionValue::Boolean(is_on) => stated.ssl = Some(if *is_on { Ssl::Node } else { Ssl::Off }),
        OptionValue::Text(name) => {
            stated.ssl = Some(Ssl::named(name.trim()).ok_or_else(|| Problem::refused(MODES))?);
        }
        OptionValue::Map(members) => {
            stated.ssl = Some(Ssl::Node);
            for (name, value) in members {
                if !value.is_left_out() && *value != OptionValue::Null {
                    member(stated, name, value).map_err(|problem| problem.of(name))?;
                }
            }
        }
        _ => return Err(Problem::expected(MODES)),
    }
    Ok(())
}

fn member(stated: &mut StatedTls, name: &str, value: &OptionValue) -> Result<(), Problem> {
    match name {
        "rejectUnauthorized" if !value.boolean()? => stated.ssl = Some(Ssl::NoVerify),
        "rejectUnauthorized" => {}
        "ca" => stated.roots = Some(Roots::Given(material(value)?)),
        "cert" => stated.certificate = Some(material(value)?),
        "key" => stated.key = Some(material(value)?),
        "passphrase" => stated.passphrase = Some(Secret(value.text()?)),
        "crl" => stated.revocation = Some(Revocation { lists: Some(material(value)?), directory: None }),
        "servername" => stated.server_name = Some(value.text()?),
        "minVersion" => stated.minimum = Some(version(value)?.unwrap_or(Version::Tls12)),
        "maxVersion" => {
            let version = version(value)?.ok_or_else(|| Problem::refused("must be TLSv1.2 or TLSv1.3"))?;
            stated.maximum = Some(version);
        }
        "ALPNProtocols" => {
            let only = match value {
                OptionValue::List(items) if items.len() == 1 => items.first(),
                value => Some(value),
            };
            if only != Some(&OptionValue::Text("postgresql".into())) {
                return Err(Problem::refused("can only be postgresql, which `sslnegotiation` direct sets by itself"));
            }
        }
        name if HARMLESS.contains(&name) => {}
        name => {
            let refused = REFUSED.iter().find(|(refused, _)| *refused == name);
            let text = refused.map_or(UNKNOWN, |(_, text)| text);
            return Err(Problem::refused(text));
        }
    }
    Ok(())
}

/// PEM, in a string, a buffer or a list of them.
fn material(value: &OptionValue) -> Result<Material, Problem> {
    let one = |value: &OptionValue| match value {
        OptionValue::Text(text) => Some(text.clone().into_bytes()),
        OptionValue::Bytes(bytes) => Some(bytes.clone()),
        _ => None,
    };
    let parts: Option<Vec<_>> = match value {
        OptionValue::List(items) => items.iter().map(one).collect(),
        value => one(value).map(|part| vec![part]),
    };
    let parts = parts.ok_or_else(|| Problem::expected("must be PEM, in a string, a buffer or a list of them"))?;
    Ok(Material::Text(parts.join(&b'\n')))
}

/// `None` for a version that is older than any that is spoken here.
pub(super) fn version(value: &OptionValue) -> Result<Option<Version>, Problem> {
    match value.text()?.as_str() {
        "TLSv1" | "TLSv1.1" => Ok(None),
        "TLSv1.2" => Ok(Some(Version::Tls12)),
        "TLSv1.3" => Ok(Some(Version::Tls13)),
        _ => Err(Problem::refused("must be TLSv1.2 or TLSv1.3")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(text: &str) -> OptionValue {
        OptionValue::Text(text.into())
    }

    fn object(name: &str, value: OptionValue) -> Result<StatedTls, Problem> {
        let mut stated = StatedTls::default();
        read(&mut stated, &OptionValue::Map(vec![(name.into(), value)])).map(|()| stated)
    }

    #[test]
    fn an_object_verifies_unless_it_says_otherwise() {
        let ssl = |name, value| object(name, value).unwrap().ssl;
        assert_eq!(ssl("rejectUnauthorized", OptionValue::Boolean(false)), Some(Ssl::NoVerify));
        assert_eq!(ssl("rejectUnauthorized", OptionValue::Boolean(true)), Some(Ssl::Node));
        assert_eq!(ssl("rejectUnauthorized", OptionValue::Undefined), Some(Ssl::Node));
        assert_eq!(ssl("require", OptionValue::Boolean(true)), Some(Ssl::Node));
    }

    #[test]
    fn certificates_may_be_strings_buffers_and_lists() {
        let roots = |value| object("ca", value).unwrap().roots;
        let expected = |text: &[u8]| Some(Roots::Given(Material::Text(text.to_vec())));
        assert_eq!(roots(text("a")), expected(b"a"));
        assert_eq!(roots(OptionValue::Bytes(b"a".to_vec())), expected(b"a"));
        assert_eq!(roots(OptionValue::List(vec![text("a"), OptionValue::Bytes(b"b".to_vec())])), expected(b"a\nb"));
        assert!(object("ca", OptionValue::Number(1.0)).is_err());
    }

    #[test]
    fn what_cannot_be_done_is_said() {
        for (name, _) in REFUSED {
            let problem = object(name, OptionValue::Function(1)).err().unwrap();
            assert_eq!(problem.member, format!(".{name}"));
        }
        assert!(object("rejectUnauthorised", OptionValue::Boolean(false)).is_err());
        assert!(object("ALPNProtocols", text("h2")).is_err());
        assert!(object("ALPNProtocols", OptionValue::List(vec![text("postgresql")])).is_ok());
        assert!(object("ALPNProtocols", OptionValue::List(vec![text("postgresql"), text("h2")])).is_err());
    }

    #[test]
    fn versions_are_bounded() {
        assert_eq!(object("minVersion", text("TLSv1")).unwrap().minimum, Some(Version::Tls12));
        assert_eq!(object("maxVersion", text("TLSv1.2")).unwrap().maximum, Some(Version::Tls12));
        assert!(object("maxVersion", text("TLSv1.1")).is_err());
    }

    #[test]
    fn the_modes_have_names() {
        for name in ["disable", "allow", "prefer", "require", "verify-ca", "verify-full", "no-verify", "true", "FALSE"]
        {
            assert!(read(&mut StatedTls::default(), &text(name)).is_ok(), "{name}");
        }
        assert!(read(&mut StatedTls::default(), &text("required")).is_err());
        assert!(read(&mut StatedTls::default(), &OptionValue::Number(1.0)).is_err());
    }
}
