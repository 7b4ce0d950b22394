//! The network of a simulation: requests and answers that wait until the simulation decides what becomes of them.
//!
//! Owns what is on the way. Never decides: every loss, delay and repetition is asked for by name.

use std::{
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use bytes::Bytes;
use http::Request;
use tokio::sync::oneshot;
use trenza_shared::net::{
    client::{Carrier, ClientError, Response},
    pki::Owner,
};

/// Most calls on the way: of those that nobody waits for any more, the oldest are lost first.
const CALLS_MAX: usize = 64;

type Answer = Result<Response, ClientError>;

/// One request, and what came of it.
pub struct Call {
    /// Which device sent it.
    pub from: usize,
    /// The SHA-256 of the certificate that opened the connection.
    pub peer: [u8; 32],
    /// Whom that certificate names.
    pub owner: Arc<Owner>,
    /// The request.
    pub request: Request<Bytes>,
    /// The server's answer, on its way back.
    pub reply: Option<Response>,
    waits: Option<oneshot::Sender<Answer>>,
}

impl Call {
    /// Whether the device still waits for the answer.
    pub fn is_awaited(&self) -> bool {
        self.waits.as_ref().is_some_and(|waits| !waits.is_closed())
    }

    fn tell(&mut self, answer: Answer) {
        if let Some(waits) = self.waits.take() {
            // A device that went away does not hear it.
            let _gone = waits.send(answer);
        }
    }

    /// The answer arrives.
    pub fn answer(&mut self) {
        if let Some(reply) = self.reply.clone() {
            self.tell(Ok(reply));
        }
    }

    /// The device hears that the connection broke, or that nothing came in time. The request may still be on its way.
    pub fn fail(&mut self, late: bool) {
        let place = "https://simulated".to_owned();
        self.tell(Err(if late {
            ClientError::TimedOut { place, limit_s: 30 }
        } else {
            ClientError::Broken {
                place,
                cause: "connection reset".into(),
            }
        }));
    }
}

/// The wire; clones share it.
#[derive(Clone, Default)]
pub struct Net(Arc<Mutex<Vec<Call>>>);

impl Net {
    /// What is on the way.
    pub fn calls(&self) -> MutexGuard<'_, Vec<Call>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The line of one device.
    pub fn line(&self, from: usize, peer: [u8; 32], owner: Arc<Owner>) -> Arc<dyn Carrier> {
        Arc::new(Line {
            net: self.clone(),
            from,
            peer,
            owner,
        })
    }
}

struct Line {
    net: Net,
    from: usize,
    peer: [u8; 32],
    owner: Arc<Owner>,
}

impl Carrier for Line {
    fn carry(&self, request: Request<Bytes>) -> Pin<Box<dyn Future<Output = Answer> + Send>> {
        let (waits, answer) = oneshot::channel();
        let mut calls = self.net.calls();
        if calls.len() >= CALLS_MAX
            && let Some(oldest) = calls.iter().position(|call| !call.is_awaited())
        {
            calls.remove(oldest);
        }
        calls.push(Call {
            from: self.from,
            peer: self.peer,
            owner: self.owner.clone(),
            request,
            reply: None,
            waits: Some(waits),
        });
        Box::pin(async move {
            answer.await.unwrap_or_else(|_| {
                Err(ClientError::Broken {
                    place: "https://simulated".into(),
                    cause: "the simulation forgot it".into(),
                })
            })
        })
    }
}
