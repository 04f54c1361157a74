//! What JavaScript sees. The only code that names napi.

mod adapter;

mod inspect;

mod environment;

mod args;

mod promise;

mod errors;

mod rows;
