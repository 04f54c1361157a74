//! The server's half of SCRAM-SHA-256 (RFC 5802), with one iteration: who simulates many thousand sessions has no use for
//! a password that is hard to guess.

use base64::{Engine, prelude::BASE64_STANDARD};
use ring::{digest, hmac};

pub(super) const PASSWORD: &str = "secret";
const SALT: &[u8] = b"salt";

/// What is known after the client's first message.
pub(super) struct Challenge {
    /// Both first messages, as they are signed.
    said: String,
    nonce: String,
    pub(super) message: String,
}

/// `body` is that of `SASLInitialResponse`.
pub(super) fn challenge(body: &[u8]) -> Challenge {
    let body = str::from_utf8(body).unwrap();
    // What follows the header `n,,`, which says that no channel is bound.
    let (_, first) = body.split_once("n,,").unwrap();
    let (_, nonce) = first.split_once("r=").unwrap();
    let nonce = format!("{nonce}server");
    let message = format!("r={nonce},s={},i=1", BASE64_STANDARD.encode(SALT));
    Challenge { said: format!("{first},{message}"), nonce, message }
}

/// The server's last message, or `None` where the password is wrong. `body` is that of `SASLResponse`.
pub(super) fn finish(challenge: &Challenge, body: &[u8]) -> Option<String> {
    let (bare, proof) = str::from_utf8(body).unwrap().rsplit_once(",p=").unwrap();
    assert_eq!(bare, format!("c=biws,r={}", challenge.nonce));
    let said = format!("{},{bare}", challenge.said);
    let salted = sign(PASSWORD.as_bytes(), &[SALT, &1_u32.to_be_bytes()].concat());
    let client = sign(&salted, b"Client Key");
    let stored = digest::digest(&digest::SHA256, &client);
    let signature = sign(stored.as_ref(), said.as_bytes());
    let expected: Vec<u8> = client.iter().zip(&signature).map(|(key, signed)| key ^ signed).collect();
    let server = sign(&sign(&salted, b"Server Key"), said.as_bytes());
    (proof == BASE64_STANDARD.encode(expected)).then(|| format!("v={}", BASE64_STANDARD.encode(server)))
}

fn sign(key: &[u8], text: &[u8]) -> Vec<u8> {
    hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), text).as_ref().to_vec()
}
