//! What both programs need of the network: TLS, listeners, bodies, errors, a client.
//!
//! Owns every socket of the product. Knows nothing of events, customers or pages.

pub mod body; // reading a body within limits
pub mod client; // calling servers and the local socket
mod connection; // one connection and its limits
pub mod descriptors; // how many sockets may be open
pub mod error; // the one form of error
pub mod extract; // extractors that refuse in that form
pub mod pki; // the own CA and devices' keys
pub mod serve; // listeners
#[cfg(test)]
mod tests;
pub mod tls; // whom we trust, by which time
