//! Which source counts, and what the settings make of a connection.

use std::fs;

use tokio_postgres::config::SslMode;

use super::*;
use crate::pg::settings::{Material, Roots, value::OptionValue};

fn text(text: &str) -> OptionValue {
    OptionValue::Text(text.into())
}

fn read(url: Option<&str>, options: &[(&str, OptionValue)], variables: &[(&str, &str)]) -> Result<Settings, Error> {
    let options = options.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
    let environment =
        |name: &str| variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned());
    Settings::read(url, &Vec::new(), &options, &environment)
}

fn host(settings: &Settings) -> (&str, u16) {
    match &settings.hosts[0] {
        Host::Tcp { name, port, .. } => (name, *port),
        Host::Unix { directory, port } => (directory.to_str().unwrap(), *port),
    }
}

#[test]
fn the_defaults_are_those_of_postgres() {
    let settings = read(None, &[], &[]).unwrap();
    assert_eq!(host(&settings), ("localhost", 5432));
    assert_eq!(settings.database, settings.user);
    assert_eq!(settings.tls.attempts(&settings.hosts[0]), [SslMode::Disable]);
    assert_eq!((settings.max, settings.max_pipeline, settings.prepare), (10, 100, Prepare::Detect));
    assert_eq!(settings.connect_timeout, Some(Duration::from_secs(30)));
    assert_eq!(settings.socket.keep_alive, Some(Duration::from_secs(60)));
    assert_eq!(settings.max_lifetime, Some(Duration::from_secs(1800)..Duration::from_secs(3600)));
    assert_eq!((settings.idle_timeout, settings.write_timeout), (None, None));
    assert_eq!(settings.lookup_timeout, Some(Duration::from_secs(30)));
    assert_eq!(settings.startup, [("application_name".to_owned(), APPLICATION_NAME.to_owned())]);
}

#[test]
fn options_win_over_the_connection_string_and_that_over_the_environment() {
    let url = Some("postgres://url:url@url:2/url?max=2&application_name=url&statement_timeout=2");
    let variables = [
        ("PGHOST", "env"),
        ("PGPORT", "3"),
        ("PGUSER", "env"),
        ("PGPASSWORD", "env"),
        ("PGDATABASE", "env"),
        ("PGMAX", "3"),
        ("PGAPPNAME", "env"),
        ("PGIDLE_TIMEOUT", "3"),
        ("PGTZ", "UTC"),
    ];
    let settings = read(url, &[("user", text("option")), ("max", OptionValue::Number(1.0))], &variables).unwrap();
    assert_eq!((settings.user.as_str(), settings.max), ("option", 1));
    assert_eq!((host(&settings), settings.database.as_str()), (("url", 2), "url"));
    assert_eq!(settings.idle_timeout, Some(Duration::from_secs(3)));
    let startup = settings.connection(&settings.hosts[0], None);
    assert_eq!(startup.get_application_name(), Some("url"));
    assert_eq!(startup.get_options(), Some("-c TimeZone=UTC -c statement_timeout=2"));
    assert_eq!(startup.get_password(), Some(b"url".as_slice()));

    let settings = read(None, &[], &variables).unwrap();
    assert_eq!((host(&settings), settings.user.as_str(), settings.max), (("env", 3), "env", 3));
}

#[test]
fn files_are_read_for_certificates_and_for_a_password_that_is_not_given() {
    let reads = |options: &[_], variables: &[_]| read(None, options, variables).unwrap().reads_files();
    let home = [("HOME", "/home/me")];
    assert!(!reads(&[], &[]));
    assert_eq!(reads(&[], &home), cfg!(not(windows)));
    assert!(!reads(&[("password", text("secret"))], &home));
    assert!(reads(&[("password", text("secret")), ("ssl", text("require"))], &[]));
}

#[test]
fn of_a_parameter_that_is_repeated_the_last_counts() {
    let settings = read(Some("postgres://h/d?max=2&application_name=a&max=3&application_name=b"), &[], &[]).unwrap();
    assert_eq!(settings.max, 3);
    assert_eq!(settings.connection(&settings.hosts[0], None).get_application_name(), Some("b"));
}

#[test]
fn several_hosts_without_names_are_ports_of_this_machine() {
    let settings = read(Some("postgres://:5433,:5434/d"), &[], &[("PGHOST", "env")]).unwrap();
    let ports: Vec<_> = settings
        .hosts
        .iter()
        .map(|host| match host {
            Host::Tcp { name, port, .. } => (name.clone(), *port),
            Host::Unix { directory, port } => (directory.display().to_string(), *port),
        })
        .collect();
    assert_eq!(ports, [("localhost".to_owned(), 5433), ("localhost".to_owned(), 5434)]);
}

#[test]
fn an_empty_part_leaves_it_to_the_next_source() {
    let variables = [("PGUSER", "env"), ("PGPASSWORD", "secret"), ("PGHOST", "env")];
    let settings = read(Some("postgres:///db?sslrootcert="), &[("password", text(""))], &variables).unwrap();
    assert_eq!((settings.user.as_str(), host(&settings)), ("env", ("env", 5432)));
    assert_eq!(settings.connection(&settings.hosts[0], None).get_password(), Some(b"secret".as_slice()));
    let settings = read(Some("postgres://:5433"), &[], &variables).unwrap();
    assert_eq!(host(&settings), ("env", 5433));
}

#[test]
fn ports_and_addresses_stay_with_their_hosts() {
    let hosts = |url, options: &[_], variables: &[_]| read(Some(url), options, variables).unwrap().hosts;
    let tcp = |name: &str, port, address: Option<&str>| Host::Tcp {
        name: name.into(),
        port,
        address: address.map(|address| address.parse().unwrap()),
    };
    assert_eq!(
        hosts("postgres://a:1,b:2/d", &[("port", OptionValue::Number(9.0))], &[]),
        [tcp("a", 9, None), tcp("b", 9, None)]
    );
    assert_eq!(hosts("postgres://a:1,b:2/d", &[("host", text("c"))], &[]), [tcp("c", 5432, None)]);
    assert_eq!(hosts("postgres://a:1/d", &[("host", text("c"))], &[]), [tcp("c", 1, None)]);
    assert_eq!(hosts("postgres://a/d", &[], &[("PGHOSTADDR", "10.0.0.1")]), [tcp("a", 5432, None)]);
    assert_eq!(
        hosts("postgres:///d", &[], &[("PGHOST", "a"), ("PGHOSTADDR", "10.0.0.1")]),
        [tcp("a", 5432, Some("10.0.0.1"))]
    );
    let twice = hosts("postgres://a,a/d?hostaddr=10.0.0.1,::1", &[], &[]);
    assert_eq!(twice, [tcp("a", 5432, Some("10.0.0.1")), tcp("a", 5432, Some("::1"))]);
    let second = hosts("postgres://a,b/d?hostaddr=,10.0.0.1", &[], &[]);
    assert_eq!(second, [tcp("a", 5432, None), tcp("b", 5432, Some("10.0.0.1"))]);
    assert!(read(Some("postgres://a,b/d?port=1,2,3"), &[], &[]).is_err());
}

#[test]
fn options_win_over_those_that_stand_in_place_of_the_connection_string_by_whatever_name() {
    let hosts = |names: &[&str]| OptionValue::List(names.iter().map(|name| text(name)).collect());
    let ports = |ports: &[f64]| OptionValue::List(ports.iter().map(|port| OptionValue::Number(*port)).collect());
    let merged = |known: &[(&str, OptionValue)], options: &[(&str, OptionValue)]| {
        let owned = |given: &[(&str, OptionValue)]| {
            given.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect::<Options>()
        };
        Settings::read(None, &owned(known), &owned(options), &|_| None).unwrap()
    };
    let known = [
        ("host", hosts(&["a", "b"])),
        ("port", ports(&[1.0, 2.0])),
        ("database", text("known")),
        ("username", text("known")),
        ("idle_timeout", OptionValue::Number(1.0)),
    ];
    let settings = merged(
        &known,
        &[
            ("hostname", text("c")),
            ("db", text("given")),
            ("user", text("given")),
            ("timeout", OptionValue::Number(2.0)),
        ],
    );
    assert_eq!((settings.hosts.len(), host(&settings)), (1, ("c", 5432)));
    assert_eq!((settings.database.as_str(), settings.user.as_str()), ("given", "given"));
    assert_eq!(settings.idle_timeout, Some(Duration::from_secs(2)));
    let unset = merged(&known, &[("host", OptionValue::Undefined), ("database", OptionValue::Null)]);
    assert_eq!((host(&unset), unset.database.as_str()), (("a", 1), "known"));
}

#[cfg(unix)]
#[test]
fn a_host_or_a_port_wins_over_a_lower_path() {
    let merged = |options: &[(&str, OptionValue)]| {
        let known = vec![("path".to_owned(), text("/tmp/.s.PGSQL.5433"))];
        let options = options.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
        Settings::read(None, &known, &options, &|_| None).unwrap().hosts
    };
    assert_eq!(merged(&[]), [Host::Unix { directory: "/tmp".into(), port: 5433 }]);
    assert_eq!(merged(&[("host", text("h"))]), [Host::Tcp { name: "h".into(), port: 5432, address: None }]);
    assert_eq!(merged(&[("port", OptionValue::Number(7.0))]), [Host::Unix { directory: "/tmp".into(), port: 7 }]);
}

#[cfg(unix)]
#[test]
fn sockets_are_found_by_directory_by_path_and_by_abstract_name() {
    let path = read(None, &[("path", text("/tmp/.s.PGSQL.5433")), ("host", text("h"))], &[]).unwrap();
    assert_eq!(path.hosts, [Host::Unix { directory: "/tmp".into(), port: 5433 }]);
    let directory = read(None, &[("host", text("/run/pg")), ("ssl", OptionValue::Boolean(true))], &[]).unwrap();
    assert_eq!(directory.hosts, [Host::Unix { directory: "/run/pg".into(), port: 5432 }]);
    assert_eq!(directory.tls.attempts(&directory.hosts[0]), [SslMode::Disable]);
    let hidden = read(Some("postgres:///d?host=@pg"), &[], &[]).unwrap();
    assert_eq!(hidden.hosts, [Host::Unix { directory: "@pg".into(), port: 5432 }]);
}

#[test]
fn a_pooler_is_taken_into_account_unless_prepare_is_given() {
    let prepare = |url, options: &[_]| read(Some(url), options, &[]).unwrap().prepare;
    assert_eq!(prepare("postgres://h:6543/d", &[]), Prepare::Never);
    assert_eq!(prepare("postgres://h/d?pgbouncer=true", &[]), Prepare::Never);
    assert_eq!(prepare("postgres://h/d?statement_cache_size=0", &[]), Prepare::Never);
    assert_eq!(prepare("postgres://h/d?pgbouncer=false", &[]), Prepare::Detect);
    assert_eq!(prepare("postgres://h:6543/d", &[("prepare", OptionValue::Boolean(true))]), Prepare::Always);
    assert_eq!(prepare("postgres://h:6543/d?prepare=true", &[]), Prepare::Always);
    assert_eq!(prepare("postgres://h/d", &[("no_prepare", OptionValue::Boolean(true))]), Prepare::Never);
}

#[test]
fn a_pooler_is_not_told_the_schema_that_it_searches_anyway() {
    let options = |url| {
        let settings = read(Some(url), &[], &[]).unwrap();
        settings.connection(&settings.hosts[0], None).get_options().map(str::to_owned)
    };
    let public = Some("-c search_path=\"public\"".to_owned());
    assert_eq!(options("postgres://h/d?schema=public"), public);
    assert_eq!(options("postgres://h/d?schema=public&pgbouncer=true"), None);
    assert_eq!(options("postgres://ep-1-pooler.eu.aws.neon.tech/d?schema=public"), None);
    assert_eq!(options("postgres://h:6543/d?schema=auth"), Some("-c search_path=\"auth\"".to_owned()));
}

#[test]
fn limits_can_be_switched_off_against_a_lower_source() {
    let url = Some("postgres://h/d?idle_timeout=5&connect_timeout=5&socket_timeout=2.5&keepalives=0&max_lifetime=10");
    let settings = read(url, &[], &[]).unwrap();
    assert_eq!(settings.idle_timeout, Some(Duration::from_secs(5)));
    assert_eq!(settings.write_timeout, Some(Duration::from_millis(2500)));
    assert_eq!(settings.lookup_timeout, settings.write_timeout);
    assert_eq!(settings.socket.keep_alive, None);
    assert_eq!(settings.max_lifetime, Some(Duration::from_secs(10)..Duration::from_secs(10)));
    let keep_alive = |seconds: &str| {
        let settings = read(Some(&format!("postgres://h/d?keep_alive={seconds}")), &[], &[]).unwrap();
        settings.socket.keep_alive
    };
    let user_timeout =
        |query: &str| read(Some(&format!("postgres://h/d{query}")), &[], &[]).unwrap().socket.user_timeout;
    assert_eq!(user_timeout(""), Some(Duration::from_secs(70)));
    assert_eq!(user_timeout("?keepalives=0"), None);
    assert_eq!(user_timeout("?keep_alive=5"), Some(Duration::from_secs(15)));
    assert_eq!(user_timeout("?keep_alive=5&tcp_user_timeout=2500"), Some(Duration::from_millis(2500)));
    assert_eq!(user_timeout("?tcp_user_timeout=0"), None);
    assert_eq!(user_timeout("?keep_alive=5&keepalives_interval=3&keepalives_count=2"), Some(Duration::from_secs(11)));
    assert_eq!(keep_alive("0.1"), Some(Duration::from_secs(1)));
    assert_eq!(keep_alive("99999999"), Some(Duration::from_secs(32_767)));
    let off = [
        ("idle_timeout", OptionValue::Null),
        ("connect_timeout", OptionValue::Number(0.0)),
        ("max_lifetime", OptionValue::Null),
        ("query_timeout", OptionValue::Undefined),
    ];
    let settings = read(url, &off, &[]).unwrap();
    assert_eq!((settings.idle_timeout, settings.connect_timeout, settings.max_lifetime), (None, None, None));
    assert_eq!(settings.write_timeout, Some(Duration::from_millis(2500)));
    assert_eq!(settings.lookup_timeout, settings.write_timeout);
}

#[test]
fn a_call_waits_for_as_long_as_all_hosts_may_take() {
    let patience = |url| read(Some(url), &[], &[]).unwrap().patience();
    assert_eq!(patience("postgres://a/d"), Some(Duration::from_secs(30)));
    assert_eq!(patience("postgres://a,b,c/d?connect_timeout=2"), Some(Duration::from_secs(6)));
    let prefer = "postgres://a,b/d?connect_timeout=2&target_session_attrs=prefer-standby";
    assert_eq!(patience(prefer), Some(Duration::from_secs(8)));
    assert_eq!(patience("postgres://a,b/d?connect_timeout=0"), None);
}

#[test]
fn ssl_false_wins_over_the_connection_string_and_an_undefined_ssl_does_not() {
    let attempts = |ssl| {
        let settings = read(Some("postgres://h/d?sslmode=require"), &[("ssl", ssl)], &[]).unwrap();
        settings.tls.attempts(&settings.hosts[0])
    };
    assert_eq!(attempts(OptionValue::Boolean(false)), [SslMode::Disable]);
    assert_eq!(attempts(OptionValue::Undefined), [SslMode::Require]);
    assert_eq!(attempts(OptionValue::Null), [SslMode::Require]);
    assert_eq!(attempts(text("prefer")), [SslMode::Prefer, SslMode::Disable]);
    assert_eq!(attempts(text("allow")), [SslMode::Disable, SslMode::Require]);
}

#[test]
fn a_service_stands_between_the_connection_string_and_the_environment() {
    let path = std::env::temp_dir().join(format!("pg-service-file-{}", std::process::id()));
    fs::write(&path, "[app]\nhost=service\ndbname=service\nuser=service\n").unwrap();
    let file = path.to_str().unwrap().to_owned();
    let variables = [("PGSERVICEFILE", file.as_str()), ("PGSERVICE", "app"), ("PGUSER", "env"), ("PGPORT", "7")];
    let settings = read(Some("postgres:///url"), &[], &variables);
    let missing = read(Some("postgres:///url?service=none"), &[], &variables);
    let named = read(Some(&format!("postgres:///url?service=app&servicefile={file}")), &[], &[]);
    fs::remove_file(&path).unwrap();
    assert_eq!(host(&named.unwrap()), ("service", 5432));
    let settings = settings.unwrap();
    assert_eq!((host(&settings), settings.database.as_str()), (("service", 7), "url"));
    assert_eq!(settings.user, "service");
    assert!(missing.unwrap_err().message().contains("`none`"));
}

#[cfg(unix)]
#[test]
fn the_password_file_is_asked_for_every_connection_and_every_host() {
    use std::os::unix::fs::PermissionsExt;
    let path = std::env::temp_dir().join(format!("pg-password-file-{}", std::process::id()));
    let file = path.to_str().unwrap().to_owned();
    let write = |text: &str, mode| {
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
    };
    write("a:*:*:*:one\nb:*:*:*:two\n", 0o600);
    let settings = read(Some("postgres://u@a,b/d"), &[], &[("PGPASSFILE", &file)]).unwrap();
    let passwords = || {
        let password = |host| settings.connection(host, None).get_password().map(<[u8]>::to_vec);
        settings.hosts.iter().map(password).collect::<Vec<_>>()
    };
    assert_eq!(passwords(), [Some(b"one".to_vec()), Some(b"two".to_vec())]);
    write("*:*:*:*:renewed\n", 0o600);
    assert_eq!(passwords(), [Some(b"renewed".to_vec()), Some(b"renewed".to_vec())]);
    write("*:*:*:*:renewed\n", 0o644);
    let exposed = read(Some("postgres://u@a/d"), &[], &[("PGPASSFILE", &file)]);
    let unneeded = read(Some("postgres://u:p@a/d"), &[], &[("PGPASSFILE", &file)]);
    fs::remove_file(&path).unwrap();
    assert!(exposed.unwrap_err().message().contains("chmod"));
    assert!(unneeded.is_ok());
}

#[test]
fn equal_settings_are_equal_and_show_no_secret() {
    let ssl = OptionValue::Map(vec![("key".into(), text("hunter2")), ("cert".into(), text("hunter2"))]);
    let settings = || read(Some("postgres://u:hunter2@h/d"), &[("ssl", ssl.clone())], &[]).unwrap();
    assert_eq!(settings(), settings());
    assert_ne!(settings(), read(Some("postgres://u:hunter3@h/d"), &[("ssl", ssl.clone())], &[]).unwrap());
    assert!(!format!("{:?}", settings()).contains("hunter2"));
    assert!(!format!("{:?}", settings().connection(&settings().hosts[0], None)).contains("hunter2"));
}

#[test]
fn what_the_function_answers_is_the_password_of_the_connection() {
    let settings = read(Some("postgres://u@h/d"), &[("password", OptionValue::Function(7))], &[]).unwrap();
    assert_eq!(settings.password, Password::Asked(7));
    assert_eq!(settings.connection(&settings.hosts[0], None).get_password(), None);
    assert_eq!(settings.connection(&settings.hosts[0], Some("now")).get_password(), Some(b"now".as_slice()));
}

#[test]
fn every_variable_changes_the_settings_or_says_why_not() {
    const BASE: [(&str, &str); 3] = [("PGSSL", "verify-full"), ("PGSSLCERT", "a"), ("PGSSLKEY", "a")];
    let settings = |variable: &str, value: &str| {
        let base = |name: &str| BASE.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned());
        let lookup = |name: &str| {
            if name == variable { Some(value.to_owned()) } else { base(name) }
        };
        Settings::read(None, &Vec::new(), &Vec::new(), &lookup)
    };
    let values = [
        ("PGHOSTADDR", "10.0.0.1"),
        ("PGPORT", "1"),
        ("PGSSLMODE", "require"),
        ("PGSSLNEGOTIATION", "direct"),
        ("PGSSLCERTMODE", "disable"),
        ("PGSSLSNI", "0"),
        ("PGSSLMINPROTOCOLVERSION", "TLSv1.3"),
        ("PGSSLMAXPROTOCOLVERSION", "TLSv1.2"),
        ("PGCHANNELBINDING", "require"),
        ("PGREQUIREAUTH", "scram-sha-256"),
        ("PGREQUIREPEER", "root"),
        ("PGCONNECT_TIMEOUT", "1"),
        ("PGTARGETSESSIONATTRS", "primary"),
        ("PGLOADBALANCEHOSTS", "random"),
        ("PGMAX", "1"),
        ("PGSSL", "require"),
        ("PGIDLE_TIMEOUT", "1"),
        ("PGMAX_LIFETIME", "1"),
        ("PGMAX_PIPELINE", "1"),
        ("PGKEEP_ALIVE", "1"),
        ("PGPREPARE", "false"),
        ("PGQUERY_TIMEOUT", "1"),
    ];
    let refused = ["PGGSSENCMODE", "PGMINPROTOCOLVERSION", "PGMAXPROTOCOLVERSION"];
    let unset = settings("", "").unwrap();
    for (variable, _) in environment::VARIABLES {
        let value = values.iter().find(|(name, _)| *name == variable).map_or("require", |(_, value)| *value);
        match settings(variable, value) {
            Ok(settings) if variable == "PGCLIENTENCODING" => assert_eq!(settings, unset),
            Ok(settings) => assert_ne!(settings, unset, "{variable}"),
            Err(invalid) if variable == "PGSERVICE" => {
                assert!(invalid.message().contains("`require`"));
            }
            Err(invalid) => {
                assert!(refused.contains(&variable) && invalid.message().contains(variable), "{invalid}");
            }
        }
    }
}

#[test]
fn what_is_told_of_a_connection_is_what_was_given() {
    let told = |url| {
        let settings = read(Some(url), &[], &[]).unwrap();
        (settings.addresses(), settings.port(), settings.database().to_owned())
    };
    assert_eq!(told("postgres://me@one:1,two:1/lucia"), ("one,two".to_owned(), Some(1), "lucia".to_owned()));
    assert_eq!(told("postgres://me@one:1,two:2/lucia").1, None);
}

#[test]
fn files_are_read_for_tls_and_for_a_password_that_is_not_given() {
    let reads = |url| read(Some(url), &[], &[("PGPASSFILE", "/passwords")]).unwrap().reads_files();
    assert!(reads("postgres://me@db/lucia?sslmode=disable"));
    assert!(!reads("postgres://me:secret@db/lucia?sslmode=disable"));
    assert!(reads("postgres://me:secret@db/lucia?sslmode=require"));
}

#[test]
fn hosts_are_tried_in_their_order_unless_it_is_to_be_drawn() {
    let shuffles = |query: &str| read(Some(&format!("postgres://a,b/d{query}")), &[], &[]).unwrap().shuffles_hosts;
    assert!(shuffles("?load_balance_hosts=random"));
    assert!(!shuffles("?load_balance_hosts=disable") && !shuffles(""));
}

#[test]
fn a_session_has_a_name_whatever_else_it_starts_with() {
    let name = |query: &str| {
        let settings = read(Some(&format!("postgres://h/d?jit=off{query}")), &[], &[]).unwrap();
        settings.connection(&settings.hosts[0], None).get_application_name().map(str::to_owned)
    };
    assert_eq!(name("").as_deref(), Some(APPLICATION_NAME));
    assert_eq!(name("&fallback_application_name=program").as_deref(), Some("program"));
    assert_eq!(name("&fallback_application_name=program&application_name=app").as_deref(), Some("app"));
}

#[test]
fn a_target_is_called_as_it_was_written() {
    for name in ["any", "read-write", "read-only", "primary", "standby", "prefer-standby"] {
        let url = format!("postgres://h/d?target_session_attrs={name}");
        assert_eq!(read(Some(&url), &[], &[]).unwrap().target.to_string(), name);
    }
}

#[cfg(not(windows))]
#[test]
fn certificates_of_the_home_directory_count_where_they_are() {
    let home = std::env::temp_dir().join(format!("pg-home-{}", std::process::id()));
    let folder = home.join(".postgresql");
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join("root.crt"), "").unwrap();
    let variables = [("HOME", home.to_str().unwrap()), ("NODE_EXTRA_CA_CERTS", "/extra.pem")];
    let roots = |query| read(Some(&format!("postgres://h/d?{query}")), &[], &variables).unwrap().tls.roots;
    let found = roots("sslmode=require");
    fs::remove_file(folder.join("root.crt")).unwrap();
    let missing = roots("sslmode=require");
    fs::remove_dir_all(&home).unwrap();
    assert_eq!(found, Roots::Given(Material::File(folder.join("root.crt"))));
    assert_eq!(missing, Roots::System { extra: Some("/extra.pem".into()) });
}
