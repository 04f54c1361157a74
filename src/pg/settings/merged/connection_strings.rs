//! What connection strings of all kinds mean.

use proptest::prelude::*;

use super::{Error, Host, Password, Settings, url};
use crate::pg::settings::password::Secret;

/// The settings under an empty environment, in one line.
fn summary(url: &str) -> Result<String, Error> {
    let environment = |name: &str| (name == "USER").then(|| "me".to_owned());
    let settings = Settings::read(Some(url), &Vec::new(), &Vec::new(), &environment)?;
    let hosts = settings.hosts.iter().map(|host| match host {
        Host::Tcp { name, port, address: None } => format!("{name} {port}"),
        Host::Tcp { name, port, address: Some(address) } => format!("{name}({address}) {port}"),
        Host::Unix { directory, port } => format!("unix:{} {port}", directory.display()),
    });
    let password = match &settings.password {
        Password::Text(secret) => secret.reveal().to_owned(),
        _ => "-".into(),
    };
    let startup = settings.startup.iter().filter(|(name, _)| name != "application_name");
    let startup: Vec<_> = startup.map(|(name, value)| format!("{name}={value}")).collect();
    Ok(format!(
        "{} | {} | {password} | {} | {:?} | {:?} | {}",
        hosts.collect::<Vec<_>>().join(", "),
        settings.user,
        settings.database,
        settings.tls.mode,
        settings.prepare,
        startup.join(" ")
    ))
}

/// Hosts | user | password | database | mode | prepare | session settings.
const TABLE: [(&str, &str); 71] = [
    // Plain.
    ("postgres://u:p@h:5433/d", "h 5433 | u | p | d | Disable | Detect | "),
    ("postgresql://u:p@h/d", "h 5432 | u | p | d | Disable | Detect | "),
    ("POSTGRES://u@h/d", "h 5432 | u | - | d | Disable | Detect | "),
    ("  postgres://u@h/d\n", "h 5432 | u | - | d | Disable | Detect | "),
    ("postgres://u:p@h", "h 5432 | u | p | u | Disable | Detect | "),
    ("postgres://u@h/", "h 5432 | u | - | u | Disable | Detect | "),
    ("postgres://u@h:/d", "h 5432 | u | - | d | Disable | Detect | "),
    ("postgres://u:@h/d", "h 5432 | u | - | d | Disable | Detect | "),
    ("postgres://u@/d", "localhost 5432 | u | - | d | Disable | Detect | "),
    ("postgres://u@:5433/d", "localhost 5433 | u | - | d | Disable | Detect | "),
    ("postgres://u@h?sslmode=disable", "h 5432 | u | - | u | Disable | Detect | "),
    ("postgres://u@h/d#part", "h 5432 | u | - | d | Disable | Detect | "),
    // Escapes, and what should have been one.
    ("postgres://us%65r:p%40%3A%2F@h/my%20db", "h 5432 | user | p@:/ | my db | Disable | Detect | "),
    ("postgres://u:p@ss@h/d", "h 5432 | u | p@ss | d | Disable | Detect | "),
    ("postgres://u:p:w@h/d", "h 5432 | u | p:w | d | Disable | Detect | "),
    ("postgres://u:p/w@h:1/d", "h 1 | u | p/w | d | Disable | Detect | "),
    ("postgres://u:p#w?x/y@z@h/d", "h 5432 | u | p#w?x/y@z | d | Disable | Detect | "),
    ("postgres://u:100%@h/d", "h 5432 | u | 100% | d | Disable | Detect | "),
    ("postgres://u:a+b c[d]^|{e}@h/d", "h 5432 | u | a+b c[d]^|{e} | d | Disable | Detect | "),
    ("postgres://u:ключ@h/база", "h 5432 | u | ключ | база | Disable | Detect | "),
    // Addresses, several hosts, sockets.
    ("postgres://u@127.0.0.1/d", "127.0.0.1 5432 | u | - | d | Disable | Detect | "),
    ("postgres://u@[::1]/d", "::1 5432 | u | - | d | Disable | Detect | "),
    ("postgres://u@[2001:db8::1]:5433/d", "2001:db8::1 5433 | u | - | d | Disable | Detect | "),
    ("postgres://u@[fe80::1%25eth0]/d", "fe80::1%eth0 5432 | u | - | d | Disable | Detect | "),
    ("postgres://u@a:1,b,[::1]:3/d", "a 1, b 5432, ::1 3 | u | - | d | Disable | Detect | "),
    ("postgres://u@a,b/d?port=5433", "a 5433, b 5433 | u | - | d | Disable | Detect | "),
    ("postgres://u@/d?host=a,b&port=1,2", "a 1, b 2 | u | - | d | Disable | Detect | "),
    (
        "postgres://u@a,b/d?hostaddr=10.0.0.1,10.0.0.2",
        "a(10.0.0.1) 5432, b(10.0.0.2) 5432 | u | - | d | Disable | Detect | ",
    ),
    ("postgres://u@/d?hostaddr=10.0.0.1", "10.0.0.1(10.0.0.1) 5432 | u | - | d | Disable | Detect | "),
    ("postgres://u@/d?host=/var/run/postgresql", "unix:/var/run/postgresql 5432 | u | - | d | Disable | Detect | "),
    ("postgres://u@localhost:5433/d?host=/tmp", "unix:/tmp 5433 | u | - | d | Disable | Detect | "),
    ("postgres://u@%2Fvar%2Frun%2Fpostgresql/d", "unix:/var/run/postgresql 5432 | u | - | d | Disable | Detect | "),
    ("postgres://u@%2Ftmp:5433/d", "unix:/tmp 5433 | u | - | d | Disable | Detect | "),
    ("postgres://u:p@/d?host=/cloudsql/a:b:c", "unix:/cloudsql/a:b:c 5432 | u | p | d | Disable | Detect | "),
    ("postgres://u@%40abstract/d", "unix:@abstract 5432 | u | - | d | Disable | Detect | "),
    ("postgres:///d?user=u&password=p", "localhost 5432 | u | p | d | Disable | Detect | "),
    ("postgresql://h?dbname=d&user=u", "h 5432 | u | - | d | Disable | Detect | "),
    // Encryption.
    ("postgres://u@h/d?sslmode=allow", "h 5432 | u | - | d | Allow | Detect | "),
    ("postgres://u@h/d?sslmode=prefer", "h 5432 | u | - | d | Prefer | Detect | "),
    ("postgres://u@h/d?sslmode=require", "h 5432 | u | - | d | Require | Detect | "),
    ("postgres://u@h/d?sslmode=no-verify", "h 5432 | u | - | d | Require | Detect | "),
    ("postgres://u@h/d?sslmode=verify-full", "h 5432 | u | - | d | VerifyFull | Detect | "),
    ("postgres://u@h/d?sslmode=verify-ca&sslrootcert=ca", "h 5432 | u | - | d | VerifyCa | Detect | "),
    ("postgres://u@h/d?sslmode=require&sslrootcert=Cargo.toml", "h 5432 | u | - | d | VerifyCa | Detect | "),
    ("postgres://u@h/d?sslmode=require&sslrootcert=not-there", "h 5432 | u | - | d | Require | Detect | "),
    ("postgres://u@h/d?sslrootcert=system", "h 5432 | u | - | d | VerifyFull | Detect | "),
    ("postgres://u@h/d?sslmode=require&uselibpqcompat=true", "h 5432 | u | - | d | Require | Detect | "),
    ("postgres://u@h/d?ssl=true", "h 5432 | u | - | d | VerifyFull | Detect | "),
    ("postgres://u@h/d?ssl=false", "h 5432 | u | - | d | Disable | Detect | "),
    ("postgres://u@h/d?ssl=no-verify", "h 5432 | u | - | d | Require | Detect | "),
    ("postgres://u@h/d?ssl=true&sslmode=require", "h 5432 | u | - | d | Require | Detect | "),
    // As hosts hand them out.
    (
        "postgresql://u:npg_1@ep-cool-1-pooler.eu-central-1.aws.neon.tech/neondb?sslmode=require&channel_binding=require",
        "ep-cool-1-pooler.eu-central-1.aws.neon.tech 5432 | u | npg_1 | neondb | Require | Detect | ",
    ),
    (
        "postgres://u:p@ep.neon.tech/d?options=endpoint%3Dep-cool-1&sslmode=require",
        "ep.neon.tech 5432 | u | p | d | Require | Detect | options=endpoint=ep-cool-1",
    ),
    (
        "postgresql://postgres.ref:p@aws-0-eu-central-1.pooler.supabase.com:6543/postgres?pgbouncer=true",
        "aws-0-eu-central-1.pooler.supabase.com 6543 | postgres.ref | p | postgres | Disable | Never | ",
    ),
    (
        "postgres://postgres.ref:p@aws-0-eu-central-1.pooler.supabase.com:6543/postgres?sslmode=require&supa=base-pooler.x",
        "aws-0-eu-central-1.pooler.supabase.com 6543 | postgres.ref | p | postgres | Require | Never | ",
    ),
    (
        "postgresql://postgres:p@db.ref.supabase.co:5432/postgres",
        "db.ref.supabase.co 5432 | postgres | p | postgres | Disable | Detect | ",
    ),
    (
        "postgres://default:p@ep-1-pooler.postgres.vercel-storage.com:5432/verceldb?pgbouncer=true&connect_timeout=15&workaround=supabase-pooler.vercel",
        "ep-1-pooler.postgres.vercel-storage.com 5432 | default | p | verceldb | Disable | Never | ",
    ),
    (
        "postgres://me%40server:p@server.postgres.database.azure.com/d?sslmode=require",
        "server.postgres.database.azure.com 5432 | me@server | p | d | Require | Detect | ",
    ),
    (
        "postgres://me@server:p@server.postgres.database.azure.com:5432/d?ssl=true",
        "server.postgres.database.azure.com 5432 | me@server | p | d | VerifyFull | Detect | ",
    ),
    (
        "postgres://abc:p0@ec2-1-2-3-4.compute-1.amazonaws.com:5432/d1?ssl=no-verify",
        "ec2-1-2-3-4.compute-1.amazonaws.com 5432 | abc | p0 | d1 | Require | Detect | ",
    ),
    (
        "postgresql://u:p@db.1.eu-west-1.rds.amazonaws.com/d?sslmode=verify-full&sslrootcert=/etc/rds.pem",
        "db.1.eu-west-1.rds.amazonaws.com 5432 | u | p | d | VerifyFull | Detect | ",
    ),
    (
        "postgresql://u:p@h:5432/d?schema=My%20Schema&connection_limit=5&pool_timeout=2&sslaccept=strict&sslmode=require",
        "h 5432 | u | p | d | VerifyFull | Detect | search_path=\"My Schema\"",
    ),
    (
        "postgresql://u:p@h/d?sslcert=../ca.pem&sslidentity=client.p12&sslpassword=x&sslmode=require",
        "h 5432 | u | p | d | Require | Detect | ",
    ),
    (
        "postgresql://u:p@h/d?sslcert=../ca.pem&sslidentity=client.p12&sslpassword=x&sslaccept=strict&sslmode=require",
        "h 5432 | u | p | d | VerifyFull | Detect | ",
    ),
    (
        "postgres://u:p@db.ref.supabase.co:6543/postgres?pgbouncer=true&connection_limit=1&schema=public",
        "db.ref.supabase.co 6543 | u | p | postgres | Disable | Never | ",
    ),
    (
        "postgres://u:p@h.supabase.com:6543/postgres?options=reference%3Dref",
        "h.supabase.com 6543 | u | p | postgres | Disable | Never | options=reference=ref",
    ),
    (
        "postgresql://u:p@ep-1.eu.aws.neon.tech/d?sslmode=verify-full&sslrootcert=system&sslnegotiation=direct",
        "ep-1.eu.aws.neon.tech 5432 | u | p | d | VerifyFull | Detect | ",
    ),
    (
        "postgresql://u:p@free.cockroachlabs.cloud:26257/d?sslmode=verify-full&options=--cluster%3Dname-1",
        "free.cockroachlabs.cloud 26257 | u | p | d | VerifyFull | Detect | options=--cluster=name-1",
    ),
    ("postgres://u:p@h/d?prepared_statements=false&pool=5", "h 5432 | u | p | d | Disable | Never | "),
    ("postgres://u@h/d?currentSchema=auth,public", "h 5432 | u | - | d | Disable | Detect | search_path=auth,public"),
    (
        "postgres://u@h/d?search_path=a,b&statement_timeout=5s&TimeZone=UTC&app.tenant=1&unknown=x&utm-source=y&=z",
        "h 5432 | u | - | d | Disable | Detect | search_path=a,b statement_timeout=5s TimeZone=UTC app.tenant=1",
    ),
];

#[test]
fn connection_strings_mean_what_their_writers_mean() {
    for (url, expected) in TABLE {
        assert_eq!(summary(url).as_deref(), Ok(expected), "{url}");
    }
}

#[test]
fn parameters_of_other_drivers_are_ignored() {
    let ignored = [
        // Prisma.
        "pool_timeout=0",
        "sslidentity=client.p12",
        "sslpassword=x",
        "statement_cache_size=500",
        "single_use_connections=true",
        "max_idle_connection_lifetime=60",
        // Supabase, Vercel, `pg`.
        "supa=base-pooler.x",
        "workaround=supabase-pooler.vercel",
        "uselibpqcompat=true",
        "encoding=utf8",
        "binary=true",
        // JDBC.
        "ApplicationName=x",
        "targetServerType=primary",
        "prepareThreshold=5",
        "reWriteBatchedInserts=true",
        "sslfactory=org.postgresql.ssl.NonValidatingFactory",
        "loginTimeout=5",
        "stringtype=unspecified",
        // Rails, Django, SQLAlchemy, Go.
        "pool=5",
        "timeout=5000",
        "reaping_frequency=10",
        "conn_max_age=600",
        "pool_max_conns=10",
        "sslinline=true",
        "default_query_exec_mode=simple_protocol",
        // libpq's, which change nothing here.
        "keepalives=1",
        "keepalives_interval=0",
        "keepalives_count=0",
        "load_balance_hosts=disable",
        "sslcompression=0",
        "gssencmode=prefer",
        "krbsrvname=postgres",
        "gssdelegation=1",
        "replication=false",
        "min_protocol_version=3.0",
        "max_protocol_version=latest",
        "client_encoding=LATIN1",
    ];
    let plain = summary("postgres://u:p@h/d");
    for parameter in ignored {
        assert_eq!(summary(&format!("postgres://u:p@h/d?{parameter}")), plain, "{parameter}");
    }
    assert_eq!(summary(&format!("postgres://u:p@h/d?{}", ignored.join("&"))), plain);
}

#[test]
fn what_is_no_connection_string_is_refused_in_the_name_of_the_first_argument() {
    let table = [
        ("", "empty"),
        ("   ", "empty"),
        ("mysql://u:hunter2@h/d", "mysql://"),
        ("http://h", "http://"),
        ("jdbc:postgresql://h/hunter2", "jdbc:postgresql://"),
        ("u:hunter2@h/d", "no scheme"),
        ("host=h password=hunter2", "no scheme"),
        ("hunter2 hunter2://h", "something else"),
        ("postgres://u:hunter2@h:port/d", "host:port"),
        ("postgres://u:p@hunter2@h:0/d", "host:port"),
        ("postgres://u:hunter2@a b/d", "host:port"),
        ("postgres://u:hunter2@[::1/d", "host:port"),
        ("postgres://u:hunter2@h:1,/d?port=1,2,3", "`port`"),
        ("postgres://u:p@hunter2/x@h/d", "%2F"),
        ("postgres://u:p@hunter2?x@h/d", "%3F"),
        ("postgres://u:p@hunter2#x@h/d", "%23"),
        ("postgres://u:hunter2%ff@h/d", "UTF-8"),
        ("postgres://u:hunter2%00@h/d", "NUL"),
        ("postgres://u:hunter2@h/d?max=0", "`max`"),
        ("postgres://u:hunter2@h/d?sslmode=required", "`sslmode`"),
        ("postgres://u:hunter2@h/d?target_session_attrs=master", "`target_session_attrs`"),
        ("postgres://u:hunter2@h/d?sslmode=disable&sslrootcert=system", "`sslrootcert`"),
        ("postgres://u:hunter2@h/d?load_balance_hosts=roundrobin", "`load_balance_hosts`"),
        ("postgres://u:hunter2@h/d?keepalives_count=few", "`keepalives_count`"),
        ("postgres://u:hunter2@h/d?replication=database", "`replication`"),
        ("postgres://u:hunter2@h/d?min_protocol_version=3.2", "`min_protocol_version`"),
        ("postgres://u:hunter2@h/d?max_protocol_version=2.0", "`max_protocol_version`"),
        ("postgres://u:hunter2@h/d?scram_client_key=a", "`scram_client_key`"),
        ("postgres://u:hunter2@h/d?scram_server_key=a", "`scram_server_key`"),
        ("postgres://u:hunter2@h/d?oauth_issuer=https://a", "`oauth_issuer`"),
        ("postgres://u:hunter2@h/d?sslkeylogfile=/tmp/keys", "`sslkeylogfile`"),
        ("postgres://u:hunter2@h/d?require_auth=md4", "`require_auth`"),
        ("postgres://u:hunter2@h/d?sslMode=require", "did you mean `sslmode`"),
        ("postgres://u:hunter2@h/d?sslmode=", "`sslmode` in the connection string is empty"),
        ("postgres://u:hunter2@h/d?connect_timeout=soon", "`connect_timeout`"),
    ];
    for (url, part) in table {
        let message = summary(url).unwrap_err().to_string();
        assert!(message.contains(part), "{url}: {message}");
        assert!(!message.contains("hunter2"), "{url}: {message}");
        if !part.starts_with("`port") {
            assert!(message.starts_with("connection: "), "{url}: {message}");
        }
    }
}

fn escaped(text: &str) -> String {
    percent_encoding::utf8_percent_encode(text, percent_encoding::NON_ALPHANUMERIC).to_string()
}

proptest! {
    #[test]
    fn no_text_makes_it_panic(text in any::<String>(), bytes in any::<Vec<u8>>()) {
        for text in [text.as_str(), &String::from_utf8_lossy(&bytes)] {
            let _ = url::read(text);
            let _ = summary(&format!("postgres://{text}"));
            let _ = summary(&format!("postgres://u:p@h/{text}"));
            let _ = summary(&format!("postgres://u:p@h/d?{text}"));
        }
    }

    #[test]
    fn no_text_of_the_language_of_urls_makes_it_panic(text in "[a-z0-9:/?#@%&=,.\\[\\]+ -]{0,60}") {
        let _ = summary(&format!("postgres://{text}"));
        let _ = summary(&format!("postgres://{text}?sslmode=require&host={text}&port={text}&hostaddr={text}"));
    }

    #[test]
    fn what_is_escaped_comes_back(
        user in "[^\\x00]{1,12}",
        password in "[^\\x00]{1,12}",
        database in "[^\\x00]{1,12}",
    ) {
        let text = format!("postgres://{}:{}@h:1/{}", escaped(&user), escaped(&password), escaped(&database));
        let stated = url::read(&text).unwrap();
        prop_assert_eq!(stated.user, Some(user));
        prop_assert_eq!(stated.password, Some(Password::Text(Secret(password))));
        prop_assert_eq!(stated.database, Some(database));
    }

    #[test]
    fn a_password_may_hold_almost_anything_unescaped(password in "[^\\x00%/?#]{1,16}") {
        let stated = url::read(&format!("postgres://user:{password}@h/d")).unwrap();
        prop_assert_eq!(stated.user.as_deref(), Some("user"));
        prop_assert_eq!(stated.password, Some(Password::Text(Secret(password))));
    }

    #[test]
    fn no_message_holds_the_password(host in "[a-z:,%/?#\\[\\]]{0,12}", query in "[a-z=&%,]{0,20}") {
        if let Err(invalid) = summary(&format!("postgres://u:HUNTER2@{host}?{query}&max=x")) {
            prop_assert!(!invalid.message().contains("HUNTER2"), "{}", invalid.message());
        }
    }
}
