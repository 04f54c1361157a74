//! What JavaScript sees. The only code that names napi.

mod binding;

mod adapter;

mod inspect;

mod args;

mod instance;

mod delivery;

mod settle;

mod completions;

mod messages;

mod errors;

mod object;

mod rows;
