//! Node's codes for errors of the operating system.

use std::io;

use crate::pg::error::code;

/// What `io::ErrorKind` has no kind for, or one kind for two names.
const UNIX: [(i32, &str); 3] = [(1, "EPERM"), (23, "ENFILE"), (24, "EMFILE")];

/// The numbers of Windows under the names that libuv gives them.
/// <https://learn.microsoft.com/windows/win32/winsock/windows-sockets-error-codes-2>
const WINDOWS: [(i32, &str); 24] = [
    (4, "EMFILE"),            // ERROR_TOO_MANY_OPEN_FILES
    (64, "ECONNRESET"),       // ERROR_NETNAME_DELETED
    (121, "ETIMEDOUT"),       // ERROR_SEM_TIMEOUT
    (1225, "ECONNREFUSED"),   // ERROR_CONNECTION_REFUSED
    (1231, "ENETUNREACH"),    // ERROR_NETWORK_UNREACHABLE
    (1232, "EHOSTUNREACH"),   // ERROR_HOST_UNREACHABLE
    (1236, "ECONNABORTED"),   // ERROR_CONNECTION_ABORTED
    (10013, "EACCES"),        // WSAEACCES
    (10024, "EMFILE"),        // WSAEMFILE
    (10035, "EAGAIN"),        // WSAEWOULDBLOCK
    (10048, "EADDRINUSE"),    // WSAEADDRINUSE
    (10049, "EADDRNOTAVAIL"), // WSAEADDRNOTAVAIL
    (10051, "ENETUNREACH"),   // WSAENETUNREACH
    (10053, "ECONNABORTED"),  // WSAECONNABORTED
    (10054, "ECONNRESET"),    // WSAECONNRESET
    (10055, "ENOBUFS"),       // WSAENOBUFS
    (10058, "EPIPE"),         // WSAESHUTDOWN
    (10060, "ETIMEDOUT"),     // WSAETIMEDOUT
    (10061, "ECONNREFUSED"),  // WSAECONNREFUSED
    (10065, "EHOSTUNREACH"),  // WSAEHOSTUNREACH
    (11001, "ENOTFOUND"),     // WSAHOST_NOT_FOUND
    (11002, "EAI_AGAIN"),     // WSATRY_AGAIN
    (11003, "EAI_FAIL"),      // WSANO_RECOVERY
    (11004, "ENOTFOUND"),     // WSANO_DATA
];

/// The code that Node has for `error`, by the system's number of it, else by its kind.
pub(in crate::pg) fn io_code(error: &io::Error) -> &'static str {
    let numbers: &[_] = if cfg!(windows) { &WINDOWS } else { &UNIX };
    error.raw_os_error().and_then(|number| by_number(numbers, number)).unwrap_or_else(|| by_kind(error))
}

fn by_number(numbers: &[(i32, &'static str)], number: i32) -> Option<&'static str> {
    numbers.iter().find_map(|(known, name)| (*known == number).then_some(*name))
}

fn by_kind(error: &io::Error) -> &'static str {
    use io::ErrorKind as Kind;
    match error.kind() {
        Kind::ConnectionRefused => "ECONNREFUSED",
        Kind::ConnectionReset => "ECONNRESET",
        Kind::ConnectionAborted => "ECONNABORTED",
        Kind::BrokenPipe => "EPIPE",
        Kind::TimedOut => "ETIMEDOUT",
        Kind::HostUnreachable => "EHOSTUNREACH",
        Kind::NetworkUnreachable => "ENETUNREACH",
        Kind::AddrInUse => "EADDRINUSE",
        Kind::AddrNotAvailable => "EADDRNOTAVAIL",
        Kind::WouldBlock => "EAGAIN",
        Kind::PermissionDenied => "EACCES",
        Kind::NotFound => "ENOENT",
        Kind::InvalidData => "TLS_FAILED",
        // The standard library keeps only the text of an error of `getaddrinfo` on Unix.
        _ if error.raw_os_error().is_none() && error.to_string().contains("lookup address") => "ENOTFOUND",
        _ => code::CONNECTION_CLOSED,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_number_has_one_name() {
        for numbers in [&UNIX[..], &WINDOWS[..]] {
            assert!(numbers.is_sorted_by(|(one, _), (next, _)| one < next));
        }
    }

    #[test]
    fn a_name_that_does_not_resolve_and_too_many_open_files_are_told_from_a_closed_connection() {
        assert_eq!(by_number(&WINDOWS, 11001), Some("ENOTFOUND"));
        let too_many_files = if cfg!(windows) { 10024 } else { 24 };
        assert_eq!(io_code(&io::Error::from_raw_os_error(too_many_files)), "EMFILE");
        assert_eq!(io_code(&io::ErrorKind::WouldBlock.into()), "EAGAIN");
        assert_eq!(io_code(&io::ErrorKind::UnexpectedEof.into()), code::CONNECTION_CLOSED);
    }
}
