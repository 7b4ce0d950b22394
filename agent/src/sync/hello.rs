//! The opening of a talk: who this is, what it holds, what the server has of it.
//!
//! Where nothing is new since the last hello, a pulse is said instead: see [`trenza_shared::wire::pulse`].

use trenza_shared::{
    id::Nonce,
    store::StoreError,
    wire::{
        pulse::{Digest, Heard, Pulse, Told, digest},
        sync::{CERTIFICATE_EXPIRED, CopyWord, Hello, Introduction, LANES_MAX, LaneHead, Welcome},
    },
};

use super::{Sender, blocking, plan::Talk, uplink::TalkError};
use crate::{
    link, log,
    tables::{BEGAN, STATE},
};

/// Most hellos in a row: asked for a proof, told to become an own agent, asked who it is, and once more.
const HELLO_TURNS_MAX: usize = 8;

/// What a hello says of this side.
fn spoken(hello: &Hello) -> Digest {
    digest(hello, None)
}

impl Sender {
    pub(super) async fn hello(&mut self) -> Result<(), TalkError> {
        self.be_oneself().await?;
        let (mut proof, mut introduction) = (None, None);
        for _ in 0..HELLO_TURNS_MAX {
            let again = introduction.take();
            let introduced = again.is_some();
            let (welcome, offset) = self.say_hello(proof, again).await?;
            match welcome.copy {
                None if welcome.introduce && !introduced => {
                    tracing::warn!(
                        "the server was restored from before this device enrolled: telling it again where it stands"
                    );
                    introduction = Some((*self.around.introduction).clone());
                }
                None => return self.welcomed(welcome, offset).await,
                Some(CopyWord::Prove(nonce)) => proof = Some(nonce),
                Some(CopyWord::BecomeOwn) => {
                    proof = None;
                    // What the server has of the log under the old id need not be sent under the new one.
                    self.remember(move |link| link.welcome(welcome, offset))
                        .await?;
                    self.become_own().await?;
                }
            }
        }
        Err(TalkError::Disagreement(
            "the server asks again and again who this is".into(),
        ))
    }

    /// One hello; under a certificate that has expired, once more with a new one.
    async fn say_hello(
        &mut self,
        proof: Option<Nonce>,
        introduction: Option<Introduction>,
    ) -> Result<(Welcome, Option<i64>), TalkError> {
        let clock = self.around.clock.clone();
        let mut hello = self.what_to_say().await?;
        (hello.proof, hello.introduction) = (proof, introduction);
        let mut sent_boot_ms = clock.boottime_ms();
        let nothing_new = match (proof, &hello.introduction) {
            (None, None) => self.pulse(&hello).await?,
            _ => None,
        };
        let welcome = match nothing_new {
            Some(welcome) => welcome,
            None => {
                sent_boot_ms = clock.boottime_ms();
                let welcome = match self.uplink.hello(&hello).await {
                    Err(error) if error.is_refused_as(CERTIFICATE_EXPIRED) => {
                        self.uplink.renew().await?;
                        tracing::info!("the certificate had expired and was renewed");
                        sent_boot_ms = clock.boottime_ms();
                        self.uplink.hello(&hello).await?
                    }
                    welcome => welcome?,
                };
                let settled = welcome.copy.is_none() && !welcome.introduce;
                self.said = settled.then(|| spoken(&hello));
                welcome
            }
        };
        let answered_boot_ms = clock.boottime_ms();
        self.hello_boot_ms = Some(answered_boot_ms);
        self.offsets.add(Talk {
            sent_boot_ms,
            answered_boot_ms,
            received_ms: welcome.received_ms,
            replied_ms: welcome.sent_ms,
        });
        let offset = self.offsets.offset_ms(clock.wall_ms(), clock.boottime_ms());
        self.uplink.time().saw_server_time_ms(welcome.sent_ms);
        Ok((welcome, offset))
    }

    /// Where nothing is new since the last hello, says only that; the welcome is then what is known of the server. None where a
    /// hello is due.
    async fn pulse(&mut self, hello: &Hello) -> Result<Option<Welcome>, TalkError> {
        if self.said != Some(spoken(hello)) {
            return Ok(None);
        }
        let told = self.link.told();
        let pulse = Pulse {
            digest: digest(
                hello,
                Some(Told {
                    generation: told.generation,
                    lanes: &told.lanes,
                    write_keys: &told.write_keys,
                    origins: &told.origins,
                    revoked: &told.revoked,
                }),
            ),
            boottime_ms: hello.boottime_ms,
            wall_ms: hello.wall_ms,
            clock_offset_ms: hello.clock_offset_ms,
            disk_free_bytes: hello.disk_free_bytes,
        };
        match self.uplink.pulse(&pulse).await {
            Ok(Heard::Same {
                received_ms,
                sent_ms,
            }) => Ok(Some(Welcome {
                generation: told.generation,
                received_ms,
                sent_ms,
                lanes: told.lanes.clone(),
                write_keys: told.write_keys.clone(),
                origins: told.origins.clone(),
                copy: None,
                introduce: false,
                program: told.program.clone(),
                revoked: told.revoked.clone(),
            })),
            // Whatever the server has against it, the hello hears it too: one of before pulses knows none.
            Ok(Heard::Hello) | Err(TalkError::Refused { .. } | TalkError::Wire(_)) => Ok(None),
            Err(error) => Err(error),
        }
    }

    async fn welcomed(&mut self, welcome: Welcome, offset: Option<i64>) -> Result<(), TalkError> {
        let clock = self.around.clock.clone();
        let server_ms = welcome.sent_ms;
        let before = self.link.now().told.generation;
        if before != 0 && before != welcome.generation {
            tracing::info!(
                server.generation = welcome.generation,
                "the server has another history than last time: believing it"
            );
        }
        self.remember(move |link| link.welcome(welcome, offset))
            .await?;
        if let Some(fact) = self.offsets.best(clock.boottime_ms()) {
            self.state_clock(fact).await?;
        }
        // Before anybody is told that all is well: what the server has under known numbers may be another copy's.
        self.leave_what_diverged().await?;
        self.trust_no_longer(self.link.told().generation).await?;
        self.link.up(self.now_ms());
        self.try_kept_again().await?;
        if self
            .uplink
            .validity()
            .is_some_and(|validity| validity.wants_renewal(server_ms))
        {
            // An agent whose renewal fails goes on with what it has.
            match self.uplink.renew().await {
                Ok(()) => tracing::info!("the certificate was renewed"),
                Err(error) => {
                    tracing::warn!(error = %error, "the certificate could not be renewed; trying again at the next hello")
                }
            }
        }
        self.keep_listener(server_ms).await;
        self.tidy(server_ms).await
    }

    async fn what_to_say(&self) -> Result<Hello, TalkError> {
        let told = self.link.now().told;
        let (store, heads) = (self.log.store().clone(), self.log.ends());
        let waiting = link::waiting(&heads, &told.lanes, &self.log.drops());
        let (_, kept) = self.kept().await?;
        let (lanes, lineage, began) = blocking(move || {
            let began = BEGAN.get(&*store, &())?.map(|row| row.0);
            let lineage = STATE.get(&*store, &())?.unwrap_or_default().lineage;
            let told = lineage.len().saturating_sub(LANES_MAX);
            let lanes = heads
                .iter()
                .rev()
                // Nobody is told of a lane that was never used: a server of before does not know of it.
                .filter(|((_, lane), head)| !lane.yields() || head.seq > 0)
                .take(LANES_MAX)
                .map(|((epoch, lane), head)| {
                    let oldest = log::oldest(&*store, *epoch, *lane)?;
                    Ok(LaneHead {
                        epoch: *epoch,
                        lane: *lane,
                        seq: head.seq,
                        hash: head.hash,
                        oldest,
                    })
                })
                .collect::<Result<Vec<_>, StoreError>>()?;
            Ok::<_, StoreError>((lanes, lineage[told..].to_vec(), began))
        })
        .await?;
        Ok(Hello {
            agent: self.log.agent(),
            program: env!("CARGO_PKG_VERSION").into(),
            epoch: self.log.epoch(),
            lanes,
            waiting,
            boot: self.around.boot,
            boottime_ms: self.around.clock.boottime_ms(),
            wall_ms: self.around.clock.wall_ms(),
            // As it stands now: somebody may have set the clock since the last talk.
            clock_offset_ms: self
                .offsets
                .offset_ms(self.around.clock.wall_ms(), self.around.clock.boottime_ms())
                .or(told.clock_offset_ms),
            disk_free_bytes: (self.around.disk_free)(),
            lineage,
            instance: Some(self.around.instance),
            proof: None,
            introduction: None,
            kept,
            began,
        })
    }
}
