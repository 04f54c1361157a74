//! Named connections in a file, as libpq knows them.
//! <https://www.postgresql.org/docs/current/libpq-pgservice.html>

use std::{fs, path::PathBuf};

use super::{
    options,
    stated::Stated,
    value::{OptionValue, Options},
};
use crate::pg::error::Error;

/// What the first of the files that knows the service states about it.
pub(super) fn read(service: &str, files: &[PathBuf]) -> Result<Stated, Error> {
    for file in files {
        let Some(settings) = fs::read_to_string(file).ok().and_then(|text| section(&text, service)) else {
            continue;
        };
        return options::read_texts(&settings, |name| format!("`{name}` of service `{service}` in {}", file.display()));
    }
    Err(Error::invalid(format!("service `{service}` is not defined; PGSERVICEFILE names the file with its [section]")))
}

pub(super) fn section(text: &str, service: &str) -> Option<Options> {
    let mut settings: Option<Options> = None;
    for line in text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#')) {
        if let Some(name) = line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            if settings.is_some() {
                break;
            }
            settings = (name == service).then(Vec::new);
        } else if let (Some(settings), Some((name, value))) = (&mut settings, line.split_once('=')) {
            settings.push((name.trim().to_owned(), OptionValue::Text(value.trim().to_owned())));
        }
    }
    settings
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str =
        "# comment\n[other]\nhost=no\n\n[app]\nhost=db\n# host=no\n port = 5433 \nnonsense\n[third]\nhost=no\n";

    #[test]
    fn a_section_is_read_up_to_the_next() {
        let text = |text: &str| OptionValue::Text(text.into());
        let expected = vec![("host".to_owned(), text("db")), ("port".to_owned(), text("5433"))];
        assert!(section(FILE, "app") == Some(expected));
        assert!(section(FILE, "none").is_none());
    }

    #[test]
    fn the_first_file_that_knows_the_service_counts() {
        let path = std::env::temp_dir().join(format!("pg-service-{}", std::process::id()));
        fs::write(&path, FILE).unwrap();
        let known = read("app", &["/does/not/exist".into(), path.clone()]);
        let unknown = read("none", std::slice::from_ref(&path));
        fs::remove_file(&path).unwrap();
        assert_eq!(known.unwrap().ports, Some(vec![Some(5433)]));
        assert!(unknown.is_err_and(|invalid| invalid.message().contains("`none`")));
    }
}
