//! A copy of an agent becomes an agent of its own.
//!
//! A folder that was copied runs twice under one id. The server tells all but one of them so, and each of these gets a new key,
//! made on its device, and a new id with a certificate for it. Then it goes on under that id in a new epoch and appends there
//! again what the server does not have, so that nothing is lost; and since equal events are recognised by their content, nothing
//! is doubled.
//!
//! Whoever cuts the power in between finds a state from which the same steps lead on: the key is on the disk before it is sent
//! (the server gives one key one id), the certificate is on the disk before either is used, and which entries have yet to move is
//! read from the log itself. The certificate says who the agent is, and nothing else does once there is one.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};
use trenza_shared::{
    id::{AgentId, Epoch, InstanceId, Seq},
    net::pki::{self, DeviceKey, write_secret},
    store::{Batch, Durable, StoreError, View},
    wire::{WireError, sync::LaneHave},
};

use super::{
    Sender, blocking,
    diverge::Divergence,
    uplink::{CredentialsError, TalkError, replace},
};
use crate::{
    config::files,
    log::{self, Heads},
    tables::{BEGAN, LOG},
};

/// Who this device is: the subject of its certificate; none where it cannot be read.
pub fn own_id(dir: &Path) -> Option<AgentId> {
    let text = fs::read_to_string(dir.join(files::CERT)).ok()?;
    let chain = pki::read_chain(&text).ok()?;
    Some(pki::cert_owner(chain.first()?)?.agent)
}

/// Finishes a change of identity that has begun: with the new certificate on the disk, the new key and the certificate take the
/// places of the old ones. Does nothing when none has begun.
///
/// # Errors
/// What the system says; asked again, it goes on from there.
pub fn finish(dir: &Path) -> io::Result<()> {
    let (key, cert) = (dir.join(files::COPY_KEY), dir.join(files::COPY_CERT));
    if !cert.exists() {
        return Ok(());
    }
    let synced = || fs::File::open(dir)?.sync_all();
    // The certificate goes last: while it has its first name, the key may have either.
    if key.exists() {
        fs::rename(&key, dir.join(files::KEY))?;
        synced()?;
    }
    fs::rename(&cert, dir.join(files::CERT))?;
    synced()
}

/// The key of an identity that is being asked for; the same until it is granted.
fn new_key(dir: &Path) -> Result<DeviceKey, CredentialsError> {
    let path = dir.join(files::COPY_KEY);
    let unwritable = |path: PathBuf| move |cause| CredentialsError::Unwritable { path, cause };
    match fs::read_to_string(&path) {
        Ok(text) => match DeviceKey::from_pem(&text) {
            Ok(key) => return Ok(key),
            // Half written by a power cut, so never sent.
            Err(_) => fs::remove_file(&path).map_err(unwritable(path.clone()))?,
        },
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(cause) => return Err(CredentialsError::Unreadable { path, cause }),
    }
    let key = DeviceKey::generate()?;
    write_secret(&path, key.to_pem().as_bytes()).map_err(unwritable(path))?;
    Ok(key)
}

/// Lanes that were written under another id, and up to where the server has each of them.
///
/// # Errors
/// The store cannot be read.
pub fn foreign(
    view: &dyn View,
    heads: &Heads,
    told: &[LaneHave],
    own: AgentId,
) -> Result<Vec<(Divergence, Seq)>, StoreError> {
    let mut found = Vec::new();
    for (epoch, lane) in heads.keys().copied() {
        let Some((_, last)) = LOG.last(view, &(epoch, lane))? else {
            continue;
        };
        if last.0.agent == own {
            continue;
        }
        let have = told
            .iter()
            .find(|have| have.epoch == epoch && have.lane == lane);
        // Only what the server has of this very history counts.
        let after = match have {
            Some(have) if log::hash_at(view, epoch, lane, have.acked)? == Some(have.hash) => {
                have.acked
            }
            _ => 0,
        };
        found.push((Divergence { epoch, lane }, after));
    }
    Ok(found)
}

#[derive(Serialize)]
struct CopyRequest<'a> {
    csr: &'a str,
    instance: InstanceId,
    epoch: Epoch,
}

#[derive(Deserialize)]
struct CopyAnswer {
    agent: AgentId,
    certificate: String,
}

impl Sender {
    /// Gets an identity of its own, and goes on under it.
    pub(super) async fn become_own(&mut self) -> Result<(), TalkError> {
        let dir = self.uplink.dir().to_owned();
        let unwritable = |cause| {
            TalkError::from(CredentialsError::Unwritable {
                path: dir.clone(),
                cause,
            })
        };
        let key = new_key(&dir)?;
        let csr = key.csr_pem().map_err(CredentialsError::from)?;
        let request = CopyRequest {
            csr: &csr,
            instance: self.around.instance,
            epoch: self.log.epoch(),
        };
        let body = serde_json::to_vec(&request).map_err(|e| TalkError::Local(e.to_string()))?;
        let answer = self.uplink.post_json("copy", body).await?;
        let granted: CopyAnswer = serde_json::from_slice(&answer.body)
            .map_err(|error| WireError::malformed("identity of a copy", error))?;
        let chain = pki::read_chain(&granted.certificate).map_err(CredentialsError::from)?;
        let owner = chain.first().and_then(|leaf| pki::cert_owner(leaf));
        if owner.map(|owner| owner.agent) != Some(granted.agent) {
            return Err(WireError::malformed(
                "identity of a copy",
                "its certificate names another agent",
            )
            .into());
        }
        replace(&dir.join(files::COPY_CERT), granted.certificate.as_bytes()).map_err(unwritable)?;
        finish(&dir).map_err(unwritable)?;
        tracing::warn!(agent.id = %granted.agent, agent.copy_of = %self.log.agent(), "another copy of this agent runs; this one goes on as an agent of its own");
        self.uplink.reload()?;
        if let Some(listener) = &self.around.listener {
            listener
                .forget()
                .map_err(|error| TalkError::Local(error.to_string()))?;
        }
        self.be_oneself().await
    }

    /// Writes the log under the id of the certificate, and moves there what was written under another one.
    pub(super) async fn be_oneself(&mut self) -> Result<(), TalkError> {
        let local = |error: &dyn std::fmt::Display| TalkError::Local(error.to_string());
        // Left where a change was cut off after its certificate was there.
        finish(self.uplink.dir()).map_err(|error| local(&error))?;
        let Some(own) = own_id(self.uplink.dir()) else {
            return Ok(());
        };
        if own != self.log.agent() {
            let next = self.around.next_epoch.clone();
            let used = self.log.epoch();
            let (epoch, salt_root) = blocking(move || next(used)).await?;
            self.log
                .rename(own, epoch, salt_root)
                .await
                .map_err(|error| local(&error))?;
            // What was lost was lost under the other id, and is told by who keeps that one.
            let store = self.log.store().clone();
            blocking(move || {
                let mut batch = Batch::new();
                BEGAN.delete(&mut batch, &());
                store.commit(batch, Durable::Later)
            })
            .await?;
        }
        let (store, heads, told) = (
            self.log.store().clone(),
            self.log.ends(),
            self.link.now().told,
        );
        let found = blocking(move || foreign(&*store, &heads, &told.lanes, own)).await?;
        if found.is_empty() {
            return Ok(());
        }
        for (lane, after) in found {
            self.leave(lane, after, false).await?;
        }
        // What was told is of the other id's log.
        self.remember(|link| link.forget_lanes()).await
    }
}

#[cfg(test)]
mod tests {
    use trenza_shared::net::pki::Ca;

    use super::*;

    const NOW: i64 = 1_773_480_000_000;

    fn certificate(key: &DeviceKey, agent: u8) -> String {
        let ca = Ca::generate("test", NOW).unwrap();
        ca.sign_agent(&key.csr_pem().unwrap(), AgentId([agent; 16]), NOW, 30)
            .unwrap()
            .pem
    }

    /// Every state that a power cut may leave, and what the next start makes of it.
    #[test]
    fn a_change_of_identity_that_was_cut_off_is_taken_up_again() {
        let (old, new) = (
            DeviceKey::generate().unwrap(),
            DeviceKey::generate().unwrap(),
        );
        let (old_cert, new_cert) = (certificate(&old, 1), certificate(&new, 2));
        let new_name: [&[(&str, &str)]; 5] = [
            &[],
            &[(files::COPY_KEY, "half")],
            &[(files::COPY_KEY, "new key")],
            &[(files::COPY_KEY, "new key"), (files::COPY_CERT, "new cert")],
            &[(files::KEY, "new key"), (files::COPY_CERT, "new cert")],
        ];
        for (step, written) in new_name.iter().enumerate() {
            let dir = tempfile::tempdir().unwrap();
            fs::write(dir.path().join(files::KEY), old.to_pem()).unwrap();
            fs::write(dir.path().join(files::CERT), &old_cert).unwrap();
            for (name, what) in *written {
                let text = match *what {
                    "new key" => new.to_pem(),
                    "new cert" => new_cert.clone(),
                    half => half.to_owned(),
                };
                fs::write(dir.path().join(name), text).unwrap();
            }
            finish(dir.path()).unwrap();
            let granted = step >= 3;
            let (id, key) = if granted { (2, &new) } else { (1, &old) };
            assert_eq!(own_id(dir.path()), Some(AgentId([id; 16])), "step {step}");
            let stands = fs::read_to_string(dir.path().join(files::KEY)).unwrap();
            assert_eq!(stands, key.to_pem(), "step {step}");
            assert!(!dir.path().join(files::COPY_CERT).exists());
            // Asked for again with the same key, where one was whole.
            let again = new_key(dir.path()).unwrap();
            assert_eq!(again.to_pem() == new.to_pem(), step == 2, "step {step}");
            assert_eq!(new_key(dir.path()).unwrap().to_pem(), again.to_pem());
        }
    }
}
