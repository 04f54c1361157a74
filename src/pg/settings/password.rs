//! Where the password comes from, and the password file.

use std::{fmt, fs, path::Path};

use super::host::Host;

/// A text that shows itself to nobody who prints it.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Secret(pub String);

impl Secret {
    pub(in crate::pg) fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("***")
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Password {
    /// None was given; the password file may hold one.
    None,
    Text(Secret),
    /// The handle of a JavaScript function, to be asked for every new connection.
    Asked(u32),
}

/// Where servers put their unix socket if nobody says otherwise; password files call it `localhost`.
const DEFAULT_DIRECTORIES: [&str; 3] = ["/tmp", "/var/run/postgresql", "/run/postgresql"];

/// The password that the file holds for this host, database and user. As libpq does, an unreadable file, one that others
/// may read, and what is no plain file, counts as empty.
/// <https://www.postgresql.org/docs/current/libpq-pgpass.html>
pub(super) fn from_file(path: &Path, host: &Host, database: &str, user: &str) -> Option<Secret> {
    if is_exposed(path) || !fs::metadata(path).is_ok_and(|data| data.is_file()) {
        return None;
    }
    // A line in another encoding is no reason to pass over the others.
    let bytes = fs::read(path).ok()?;
    find(&String::from_utf8_lossy(&bytes), host, database, user)
}

/// Others than the owner may read the file.
#[cfg(unix)]
pub(super) fn is_exposed(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    fs::metadata(path).is_ok_and(|data| data.permissions().mode() & 0o077 != 0)
}

#[cfg(not(unix))]
pub(super) fn is_exposed(_: &Path) -> bool {
    false
}

pub(super) fn find(text: &str, host: &Host, database: &str, user: &str) -> Option<Secret> {
    let port = host.port().to_string();
    let names = match host {
        Host::Tcp { name, .. } => vec![name.clone()],
        Host::Unix { directory, .. } => {
            let directory = directory.to_string_lossy().into_owned();
            let is_default = DEFAULT_DIRECTORIES.contains(&directory.as_str());
            let mut names = vec![directory];
            names.extend(is_default.then(|| "localhost".to_owned()));
            names
        }
    };
    text.lines().filter(|line| !line.starts_with('#')).find_map(|line| {
        let fields = fields(line);
        let [host, its_port, its_database, its_user, password] = fields.as_slice() else {
            return None;
        };
        let matches = names.iter().any(|name| host.matches(name))
            && its_port.matches(&port)
            && its_database.matches(database)
            && its_user.matches(user);
        matches.then(|| Secret(password.text.clone())).filter(|password| !password.0.is_empty())
    })
}

#[derive(Default)]
struct Field {
    text: String,
    is_wildcard: bool,
}

impl Field {
    fn matches(&self, value: &str) -> bool {
        self.is_wildcard || self.text == value
    }
}

/// The first five fields of a line; a backslash takes the next character as it is.
fn fields(line: &str) -> Vec<Field> {
    let mut fields = vec![Field::default()];
    let mut letters = line.chars();
    while let Some(letter) = letters.next() {
        if letter == ':' {
            if fields.len() == 5 {
                break;
            }
            fields.push(Field::default());
        } else if let Some(field) = fields.last_mut() {
            field.is_wildcard = letter == '*' && field.text.is_empty();
            field.text.push(if letter == '\\' { letters.next().unwrap_or('\\') } else { letter });
        }
    }
    fields
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tcp(name: &str, port: u16) -> Host {
        Host::Tcp { name: name.into(), port, address: None }
    }

    fn found(text: &str, host: &Host) -> Option<String> {
        find(text, host, "app", "me").map(|secret| secret.0)
    }

    #[test]
    fn the_first_line_that_matches_gives_the_password() {
        let text = "# a comment\n\nother:*:*:*:no\ndb:5433:*:*:no\ndb:5432:app:me:first\n*:*:*:*:rest\n";
        assert_eq!(found(text, &tcp("db", 5432)).as_deref(), Some("first"));
        assert_eq!(found(text, &tcp("elsewhere", 1)).as_deref(), Some("rest"));
        assert_eq!(found("db:5432:app:you:x\n", &tcp("db", 5432)), None);
    }

    #[test]
    fn a_backslash_takes_the_next_character_as_it_is() {
        assert_eq!(found(r"\:\:1:*:*:*:a\:b\\c", &tcp("::1", 1)).as_deref(), Some(r"a:b\c"));
        assert_eq!(found(r"\*:*:*:*:x", &tcp("db", 1)), None);
        assert_eq!(found("*:*:*:*:x:rest is not read\r\n", &tcp("db", 1)).as_deref(), Some("x"));
        for host in ["*x", "x*", "d*", "**", "*b"] {
            assert_eq!(found(&format!("{host}:*:*:*:y"), &tcp("db", 1)), None, "{host}");
        }
    }

    #[test]
    fn lines_that_are_no_entries_are_passed_over() {
        for text in ["", ":::", "db", "*:*:*:*:", "*:*:*:*"] {
            assert_eq!(found(text, &tcp("db", 1)), None, "{text:?}");
        }
    }

    #[test]
    fn the_default_socket_directory_is_called_localhost() {
        let socket = |directory: &str| Host::Unix { directory: directory.into(), port: 5432 };
        assert_eq!(found("localhost:*:*:*:x", &socket("/tmp")).as_deref(), Some("x"));
        assert_eq!(found("localhost:*:*:*:x", &socket("/srv")), None);
        assert_eq!(found("/srv:*:*:*:x", &socket("/srv")).as_deref(), Some("x"));
    }

    #[test]
    fn a_line_that_is_not_utf_8_leaves_the_others_readable() {
        let path = std::env::temp_dir().join(format!("pgpass-bytes-{}", std::process::id()));
        fs::write(&path, b"# caf\xe9\nother:*:*:*:\xe9\n*:*:*:*:x\n").unwrap();
        #[cfg(unix)]
        fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
        let found = from_file(&path, &tcp("db", 1), "app", "me");
        fs::remove_file(&path).unwrap();
        assert_eq!(found, Some(Secret("x".into())));
    }

    #[cfg(unix)]
    #[test]
    fn a_file_that_others_may_read_counts_as_empty() {
        use std::os::unix::fs::PermissionsExt;
        let path = std::env::temp_dir().join(format!("pgpass-{}", std::process::id()));
        fs::write(&path, "*:*:*:*:x\n").unwrap();
        let at_mode = |mode| {
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            from_file(&path, &tcp("db", 1), "app", "me")
        };
        let answers = [at_mode(0o644), at_mode(0o640), at_mode(0o600)];
        fs::remove_file(&path).unwrap();
        assert_eq!(answers.map(|secret| secret.is_some()), [false, false, true]);
    }

    #[test]
    fn a_secret_does_not_print() {
        assert_eq!(format!("{:?}", Password::Text(Secret("hunter2".into()))), "Text(***)");
    }
}
