//! End-to-end tests through the real programs.

mod crash; // kill -9 in the middle
mod fleet; // enrolment, revocation, restored images
mod hostile; // bad input on every listener
