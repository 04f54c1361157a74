//! Names of tables and columns, quoted so that any name works and none can be more than a name.

use std::fmt;

use crate::pg::escape_identifier;

/// A name as SQL: `schema.table` in two parts, each in quotes.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Name {
    sql: String,
    has_parts: bool,
}

impl Name {
    /// Quotes the name of a table or a column. A dot outside quotes parts the name, `schema.table`; a part in quotes is
    /// taken as it is. `None` when a part is empty.
    pub fn new(text: &str) -> Option<Self> {
        let mut sql = String::with_capacity(text.len() + 2);
        let mut has_parts = false;
        let mut rest = text;
        loop {
            let (part, after) = match quoted_length(rest) {
                Some(length) => rest.split_at(length),
                None => rest.split_at(rest.find('.').unwrap_or(rest.len())),
            };
            if part.is_empty() || part == "\"\"" {
                return None;
            }
            if quoted_length(part).is_some() {
                sql.push_str(part);
            } else {
                sql.push_str(&escape_identifier(part));
            }
            match after.strip_prefix('.') {
                Some(next) => {
                    sql.push('.');
                    has_parts = true;
                    rest = next;
                }
                None => return Some(Self { sql, has_parts }),
            }
        }
    }
}

impl Name {
    /// Whether the name has one part only, and that is `part`.
    pub fn is(&self, part: &str) -> bool {
        self.sql.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')) == Some(part)
    }

    /// Whether dots part the name: `schema.table`, or of a column `column.field`.
    pub fn has_parts(&self) -> bool {
        self.has_parts
    }
}

/// The length of the quoted part that `text` begins with, if that ends at a dot or with the text.
fn quoted_length(text: &str) -> Option<usize> {
    let bytes = text.as_bytes();
    if bytes.first() != Some(&b'"') {
        return None;
    }
    let mut at = 1;
    while let Some(&byte) = bytes.get(at) {
        match (byte, bytes.get(at + 1)) {
            (b'"', Some(b'"')) => at += 2,
            (b'"', None | Some(b'.')) => return Some(at + 1),
            (b'"', Some(_)) => return None,
            _ => at += 1,
        }
    }
    None
}

impl fmt::Display for Name {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.sql)
    }
}

#[cfg(test)]
mod tests {
    use super::Name;
    use proptest::prelude::*;

    fn quoted(text: &str) -> String {
        Name::new(text).map_or_else(|| "empty".to_owned(), |name| name.to_string())
    }

    #[test]
    fn every_part_is_quoted_once() {
        for (text, sql) in [
            ("auth_user", r#""auth_user""#),
            ("User Table", r#""User Table""#),
            (r#"we"ird"#, r#""we""ird""#),
            ("app.auth_user", r#""app"."auth_user""#),
            (r#""a.b".c"#, r#""a.b"."c""#),
            (r#""a""b""#, r#""a""b""#),
            (r#""ab""".c"#, r#""ab"""."c""#),
            (r#""open"#, r#""""open""#),
            (r#""a"b""#, r#""""a""b""""#),
            (r#"x"; DROP TABLE y; --"#, r#""x""; DROP TABLE y; --""#),
            ("größe", r#""größe""#),
        ] {
            assert_eq!(quoted(text), sql, "{text}");
        }
        for text in ["", ".", "a.", ".a", "a..b", r#""""#, r#"a."""#] {
            assert_eq!(quoted(text), "empty", "{text}");
        }
    }

    #[test]
    fn a_name_knows_its_parts() {
        let is = |text: &str| {
            let name = Name::new(text).unwrap();
            (name.is("id"), name.has_parts())
        };
        assert_eq!(is("id"), (true, false));
        assert_eq!(is(r#""id""#), (true, false));
        assert_eq!(is("idx"), (false, false));
        assert_eq!(is("a.id"), (false, true));
        assert_eq!(is(r#""a.id""#), (false, false));
    }

    proptest! {
        #[test]
        fn no_name_leaves_its_quotes(text in any::<String>()) {
            if let Some(name) = Name::new(&text) {
                let sql = name.to_string();
                let mut inside = false;
                for character in sql.chars() {
                    prop_assert!(inside || character == '"' || character == '.', "{sql}");
                    inside ^= character == '"';
                }
                prop_assert!(!inside, "{sql}");
            }
        }
    }
}
