//! End-to-end tests through the real programs.

mod certs; // lives of certificates, of agents and of the server
mod clocks; // wrong clocks of devices
mod clones; // copies and restored images of an agent
mod crash; // kill -9 in the middle
mod damage; // damaged folders, files of other owners
mod fleet; // enrolment, revocation, restored images
mod full; // full, failing and hanging disks
mod full_start; // a start on one without room
mod herd; // many agents at once
mod hostile; // bad input on every listener
mod lan; // neighbours of one venue
mod lan_found; // neighbours that find each other on a network of their own
mod lan_signed; // what one of them brings for another
mod memory; // how much of it a backlog takes
mod network; // connections that say nothing any more
mod poison; // bad events among good ones, from the device to the customer
mod power; // power cuts under load
mod power_server; // a power cut at every fsync of the server's own tables
mod power_store; // the same of a plain store
mod quota; // the quota of a store, the server's floor of free space
mod reconcile; // the figures of both programs
mod rules; // other rules of identity
mod salvage;
mod server_log; // a damaged log of the server
mod sync; // restored servers, live visits before a backlog
mod tablets; // the agent's own TLS listener
mod taken; // ports that others have
