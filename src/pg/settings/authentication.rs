//! How the client may be asked to prove who it is, and who has to own the server: `require_auth`, `requirepeer`.
//! <https://www.postgresql.org/docs/current/libpq-connect.html#LIBPQ-CONNECT-REQUIRE-AUTH>

use super::value::Problem;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(in crate::pg) enum Method {
    /// A password in clear text.
    Password,
    Md5,
    Gss,
    Sspi,
    ScramSha256,
    OAuth,
    /// The server does not ask: it trusts, or it has asked the operating system or a certificate.
    None,
}

impl Method {
    const ALL: [(&str, Self); 7] = [
        ("password", Self::Password),
        ("md5", Self::Md5),
        ("gss", Self::Gss),
        ("sspi", Self::Sspi),
        ("scram-sha-256", Self::ScramSha256),
        ("oauth", Self::OAuth),
        ("none", Self::None),
    ];
}

/// The methods that a server may ask for.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(in crate::pg) struct Methods(Vec<Method>);

impl Default for Methods {
    fn default() -> Self {
        Self(Method::ALL.iter().map(|(_, method)| *method).collect())
    }
}

impl Methods {
    /// Whether the server may ask for the method.
    pub(in crate::pg) fn allow(&self, method: Method) -> bool {
        self.0.contains(&method)
    }

    /// Reads `require_auth`: `scram-sha-256,md5`, or `!password,!md5` for all methods but these. Rejects other names,
    /// and a list that mixes the two.
    pub(in crate::pg) fn named(text: &str) -> Result<Self, Problem> {
        let wrong = || {
            Problem::refused(
                "must be a list of password, md5, gss, sspi, scram-sha-256, oauth and none, each once, all or none of \
                 them with a ! before it",
            )
        };
        let mut listed = Vec::new();
        let excludes = text.trim_start().starts_with('!');
        for name in text.split(',').map(str::trim) {
            let name = if excludes { name.strip_prefix('!').ok_or_else(wrong)? } else { name };
            let (_, method) = Method::ALL.iter().find(|(known, _)| *known == name).ok_or_else(wrong)?;
            if listed.contains(method) {
                return Err(wrong());
            }
            listed.push(*method);
        }
        let methods = Method::ALL.iter().map(|(_, method)| *method);
        Ok(Self(methods.filter(|method| listed.contains(method) != excludes).collect()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn methods_are_listed_or_excluded() {
        let allowed = |text: &str| Methods::named(text).map(|methods| methods.0).ok();
        assert_eq!(allowed("scram-sha-256, none"), Some(vec![Method::ScramSha256, Method::None]));
        let excluded = allowed("!password,!md5").unwrap();
        assert!(!excluded.contains(&Method::Md5) && excluded.contains(&Method::None) && excluded.len() == 5);
        for wrong in ["", "md5,!password", "!md5,password", "md5,md5", "md5,", "MD5", "scram", "!!md5"] {
            assert_eq!(allowed(wrong), None, "{wrong}");
        }
        let scram = Methods::named("scram-sha-256").unwrap();
        assert!(scram.allow(Method::ScramSha256) && !scram.allow(Method::Md5));
    }
}
