//! From here to the server: what neighbours captured and cannot send themselves.

use std::{sync::Arc, time::Duration};

use tokio::{sync::watch, task::spawn_blocking, time::sleep};
use trenza_shared::wire::{
    Shape,
    carried::{BAD_SIGNED, CarriedAsk, CarriedHave, CarriedLane, LaneName, ORIGIN_REVOKED, Signed},
    sync::{Ack, LaneHave},
};

use super::Lan;
use crate::{
    config::SyncSection,
    state::random_unit,
    sync::{
        plan::BackOff,
        uplink::{TalkError, Uplink},
    },
};

/// Shortest pause between two rounds, in which what neighbours capture gathers.
const PAUSE: Duration = Duration::from_millis(500);
/// Most frames of one lane in one round, so that every lane gets its turn.
const FRAMES_MAX: usize = 64;
const HOUR_MS: i64 = 3_600_000;

/// Brings what is carried to the server while it can be reached, until `stop` says true.
pub async fn run(
    lan: Arc<Lan>,
    open: impl Fn() -> Uplink,
    waits: SyncSection,
    mut stop: watch::Receiver<bool>,
) {
    let mut carrier = Carrier {
        lan: lan.clone(),
        uplink: None,
        asked_boot_ms: None,
        ask_every_ms: waits.hello_every_ms,
    };
    let mut failures: u32 = 0;
    let mut taken = lan.taken();
    let tick = Duration::from_millis(lan.settings.hello_every_ms);
    loop {
        taken.mark_unchanged();
        let done = tokio::select! {
            _ = stop.wait_for(|stop| *stop) => return,
            done = carrier.round(&open) => done,
        };
        let pause = match done {
            Ok(more) => {
                failures = 0;
                if !more {
                    tokio::select! {
                        _ = stop.wait_for(|stop| *stop) => return,
                        Ok(()) = taken.changed() => {}
                        () = sleep(tick) => {}
                    }
                }
                PAUSE
            }
            Err(error) => {
                failures = failures.saturating_add(1);
                (carrier.uplink, carrier.asked_boot_ms) = (None, None);
                if failures == 1 {
                    tracing::warn!(error = %error, "what neighbours captured cannot be brought to the server now");
                }
                metrics::counter!("trenza_agent_deliver_failures_total").increment(1);
                let wait = BackOff {
                    min_ms: waits.retry_wait_ms_min,
                    max_ms: waits.retry_wait_ms_max,
                };
                let asked_s = error.retry_after_s();
                PAUSE + Duration::from_millis(wait.wait_ms(failures, asked_s, random_unit()))
            }
        };
        tokio::select! {
            _ = stop.wait_for(|stop| *stop) => return,
            () = sleep(pause) => {}
        }
    }
}

struct Carrier {
    lan: Arc<Lan>,
    uplink: Option<Uplink>,
    /// When the server was asked about everything. Unit: ms since boot.
    asked_boot_ms: Option<u64>,
    ask_every_ms: u64,
}

impl Carrier {
    /// Asks what the server has, then brings what it lacks; whether there is more to bring at once.
    async fn round(&mut self, open: &impl Fn() -> Uplink) -> Result<bool, TalkError> {
        let lan = self.lan.clone();
        if !lan.link.now().up {
            // Whatever it had may be another server's state by the next time.
            (self.uplink, self.asked_boot_ms) = (None, None);
            return Ok(false);
        }
        let waiting = lan.carried.waiting();
        if waiting.is_empty() {
            return Ok(false);
        }
        let now_boot_ms = lan.clock.boottime_ms();
        let due = self
            .asked_boot_ms
            .is_none_or(|at| now_boot_ms.saturating_sub(at) >= self.ask_every_ms);
        let to_bring: Vec<LaneName> = waiting
            .iter()
            .filter(|(name, count)| *count > 0 && lan.brings(&name.agent))
            .map(|(name, _)| *name)
            .collect();
        if !due && to_bring.is_empty() {
            return Ok(false);
        }
        let mut uplink = match self.uplink.take() {
            Some(uplink) => uplink,
            None => open(),
        };
        let ask = if due {
            waiting.iter().map(|(name, _)| *name).collect()
        } else {
            to_bring.clone()
        };
        self.ask(&mut uplink, ask).await?;
        if due {
            self.asked_boot_ms = Some(now_boot_ms);
            tidy(&lan).await?;
        }
        let mut more = false;
        for name in to_bring {
            more |= bring(&lan, &mut uplink, &name).await?;
        }
        self.uplink = Some(uplink);
        Ok(more)
    }

    async fn ask(&self, uplink: &mut Uplink, lanes: Vec<LaneName>) -> Result<(), TalkError> {
        let ask = CarriedAsk { lanes };
        let answer = uplink.post("carried/have", &ask).await?;
        for lane in CarriedHave::from_bytes(&answer.body)?.lanes {
            self.lan.carried.heard_of_server(&lane);
            if !lane.refused {
                self.lan.note_delivered(&name_of(&lane), &lane.have);
            }
            self.lan
                .note_revoked(&lane.agent, lane.refused)
                .map_err(|error| TalkError::Local(error.to_string()))?;
        }
        Ok(())
    }
}

/// Brings what the server lacks of one lane; whether there is more.
async fn bring(lan: &Arc<Lan>, uplink: &mut Uplink, name: &LaneName) -> Result<bool, TalkError> {
    let Some(mut have) = lan.carried.on_server(name) else {
        return Ok(false);
    };
    let mut after = have.acked;
    for _ in 0..FRAMES_MAX {
        let Some(signed) = next(lan, *name, after).await? else {
            return Ok(false);
        };
        after = signed.frame.last();
        if have.missing(signed.frame.first, after).is_empty() {
            continue;
        }
        match uplink.post("carried/frame", &signed).await {
            Ok(answer) => have = settled(lan, name, &signed, Ack::from_bytes(&answer.body)?),
            Err(TalkError::Refused { code, message, .. })
                if code == BAD_SIGNED || code == ORIGIN_REVOKED =>
            {
                tracing::warn!(lan.origin = %name.agent, error = %message, "the server does not take what a neighbour captured");
                lan.carried.refuse(name);
                return Ok(false);
            }
            Err(error) => return Err(error),
        }
    }
    Ok(true)
}

fn settled(lan: &Lan, name: &LaneName, signed: &Signed, ack: Ack) -> LaneHave {
    let (have, stored) = match ack {
        Ack::Stored(have) => (have, true),
        Ack::Gap(have) => (have, false),
        Ack::Fork(have) => {
            // The server keeps another branch of this agent's history; its own next hello sorts it out.
            lan.carried.refuse(name);
            (have, false)
        }
    };
    if stored {
        metrics::counter!("trenza_agent_delivered_entries_total")
            .increment(u64::from(signed.frame.count));
    }
    let said = CarriedLane {
        agent: name.agent,
        have: have.clone(),
        refused: false,
    };
    if stored {
        lan.carried.heard_of_server(&said);
        lan.note_delivered(name, &have);
    }
    have
}

fn name_of(lane: &CarriedLane) -> LaneName {
    LaneName {
        agent: lane.agent,
        epoch: lane.have.epoch,
        lane: lane.have.lane,
    }
}

async fn next(lan: &Arc<Lan>, name: LaneName, after: u64) -> Result<Option<Signed>, TalkError> {
    let lan = lan.clone();
    local(move || lan.carried.next(&name, after)).await
}

async fn tidy(lan: &Arc<Lan>) -> Result<(), TalkError> {
    let lan = lan.clone();
    let hours = i64::try_from(lan.settings.retention_hours).unwrap_or(i64::MAX);
    let before_ms = lan.now_ms().saturating_sub(hours.saturating_mul(HOUR_MS));
    local(move || lan.carried.tidy(before_ms).map(drop)).await
}

async fn local<T: Send + 'static>(
    job: impl FnOnce() -> Result<T, trenza_shared::store::StoreError> + Send + 'static,
) -> Result<T, TalkError> {
    spawn_blocking(job)
        .await
        .map_err(|error| TalkError::Local(error.to_string()))?
        .map_err(|error| TalkError::Local(error.to_string()))
}
