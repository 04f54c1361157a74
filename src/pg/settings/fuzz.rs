use super::{host::Host, options, password, service_file, url as connection_string};

pub(in crate::pg) fn url(bytes: &[u8]) {
    let Ok(text) = str::from_utf8(bytes) else { return };
    drop(connection_string::read(text));
    drop(connection_string::read(&format!("postgres://{text}")));
}

pub(in crate::pg) fn password_file(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    password::find(&text, &Host::Tcp { name: "db".into(), port: 5432, address: None }, "app", "me");
    password::find(&text, &Host::Unix { directory: "/tmp".into(), port: 5432 }, "app", "me");
}

pub(in crate::pg) fn service_file(bytes: &[u8]) {
    let Ok(text) = str::from_utf8(bytes) else { return };
    if let Some(settings) = service_file::section(text, "app") {
        drop(options::read_texts(&settings, |name| format!("`{name}`")));
    }
}
