//! End-to-end tests through the real programs.

mod clones; // copies and restored images of an agent
mod crash; // kill -9 in the middle
mod damage; // damaged folders, files of other owners
mod fleet; // enrolment, revocation, restored images
mod full; // full, failing and hanging disks
mod herd; // many agents at once
mod hostile; // bad input on every listener
mod lan; // neighbours of one venue
mod network; // connections that say nothing any more
mod poison; // bad events among good ones, from the device to the customer
mod power; // power cuts under load
mod power_store; // a power cut at every fsync of the store
mod reconcile; // the figures of both programs
mod sync;
mod tablets; // the agent's own TLS listener // restored servers, live visits before a backlog
