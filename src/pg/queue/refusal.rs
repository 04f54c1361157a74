//! Why no connection was opened, and what a call is told that no connection has taken.

use super::scheduler::{Ending, Refusal};
use crate::pg::{
    error::{Error, code},
    settings::Settings,
};

impl Refusal {
    pub(super) fn of(error: &Error) -> Self {
        match (error.is_full(), error.is_passing()) {
            (true, _) => Self::Full,
            (false, true) => Self::Passing,
            (false, false) => Self::Lasting,
        }
    }
}

pub(super) fn refusal(settings: &Settings, ending: Ending<Error>) -> Error {
    match ending {
        Ending::Failed(error) => error,
        Ending::Ended => Error::failure(code::CONNECTION_ENDED, "the adapter has ended"),
        Ending::TimedOut => timed_out(settings),
    }
}

fn timed_out(settings: &Settings) -> Error {
    let limit = settings.patience().unwrap_or_default();
    let each = if settings.connect_timeout == Some(limit) { "" } else { " for each host" };
    let message = format!(
        "waited {} s (connect_timeout{each}) for a connection: all {} (max) are busy or being opened",
        limit.as_secs_f64(),
        settings.max
    );
    Error::failure(code::CONNECT_TIMEOUT, message)
}
