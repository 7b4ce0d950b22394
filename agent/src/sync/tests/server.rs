//! A server in memory.

use super::*;

/// What a server has under one number.
pub struct Held {
    pub previous: ChainHash,
    pub hash: ChainHash,
    pub text: String,
    pub open: Open,
}

pub type HeldLane = BTreeMap<Seq, Held>;

/// A server in memory, which can be made to lose answers, refuse, or forget.
pub struct Fake {
    pub ca: Ca,
    pub clock: Arc<TestClock>,
    pub lanes: Mutex<BTreeMap<(Epoch, Lane), HeldLane>>,
    /// The first number of each lane that is still on the device.
    pub oldest: Mutex<BTreeMap<(Epoch, Lane), Seq>>,
    /// As the last hello told it.
    pub lineage: Mutex<Vec<Lineage>>,
    /// As the last hello told it.
    pub kept: Mutex<Vec<Kept>>,
    /// Frames with nothing but an entry that is refused.
    pub poisoned: AtomicU64,
    /// Most runs of a lane that it keeps.
    pub segments_max: AtomicU64,
    /// Its version; the later one refuses nothing.
    pub program: Mutex<String>,
    pub calls: AtomicU64,
    /// Every n-th answer is lost on the way; 0: none.
    pub lose_every: AtomicU64,
    pub revoked: AtomicBool,
    pub generation: AtomicU64,
    pub renewals: AtomicU64,
    /// How long the answer to the next renewal takes. Unit: ms.
    pub renewal_ms: AtomicU64,
    pub hellos: AtomicU64,
    /// It has no time for frames with this text, for so many seconds.
    pub no_time_for: Mutex<Option<(String, u32)>>,
    /// It had no time for a frame.
    pub refused: Notify,
}

impl Fake {
    pub fn texts(&self) -> Vec<String> {
        let lanes = self.lanes.lock().unwrap();
        let events = lanes.iter().filter(|((_, lane), _)| lane.has_events());
        let held = events.flat_map(|(_, held)| held.values());
        held.map(|held| held.text.clone()).collect()
    }

    pub fn have(&self, epoch: Epoch, lane: Lane) -> LaneHave {
        let lanes = self.lanes.lock().unwrap();
        let mut have = LaneHave::nothing(epoch, lane);
        let oldest = self
            .oldest
            .lock()
            .unwrap()
            .get(&(epoch, lane))
            .copied()
            .unwrap_or(0);
        let kept = self.kept.lock().unwrap();
        let never = |seq| {
            let mut runs = kept
                .iter()
                .filter(|run| (run.epoch, run.lane) == (epoch, lane));
            runs.any(|run| (run.first..=run.last).contains(&seq))
        };
        for (&last, held) in lanes.get(&(epoch, lane)).into_iter().flatten() {
            match have.beyond.last_mut() {
                Some(open) if open.last + 1 == last => (open.last, open.head) = (last, held.hash),
                None if (have.acked + 1..last).all(never) || last <= oldest => {
                    (have.acked, have.hash) = (last, held.hash)
                }
                _ => have.beyond.push(Segment {
                    first: last,
                    last,
                    previous: held.previous,
                    head: held.hash,
                }),
            }
        }
        have.archived = have.acked;
        have.beyond.truncate(SEGMENTS_MAX);
        have
    }

    /// Whether a frame would be one run too many.
    fn is_full(&self, frame: &Frame) -> bool {
        let lanes = self.lanes.lock().unwrap();
        let Some(held) = lanes.get(&(frame.epoch, frame.lane)) else {
            return false;
        };
        let begins = |seq: &&Seq| !held.contains_key(&(*seq - 1));
        let runs = held.keys().filter(begins).count() as u64;
        let alone =
            !held.contains_key(&(frame.first - 1)) && !held.contains_key(&(frame.last() + 1));
        alone && runs >= self.segments_max.load(Ordering::SeqCst)
    }

    /// The chain at a number and ever further before it.
    pub fn marks(&self, epoch: Epoch, lane: Lane, from: Seq) -> Vec<Mark> {
        let lanes = self.lanes.lock().unwrap();
        let distances = std::iter::once(0).chain((0..20).map(|power| 1 << power));
        let places = distances.filter_map(|distance| from.checked_sub(distance));
        let held = lanes.get(&(epoch, lane)).into_iter();
        held.flat_map(|held| {
            let mark = |seq| held.get(&seq).map(|held| (seq, held.hash));
            places.clone().filter_map(mark).collect::<Vec<_>>()
        })
        .map(|(seq, hash)| Mark { seq, hash })
        .collect()
    }

    /// Everything was done, the answer does not arrive; or a busy server that says when to come back.
    pub fn answer(&self, shape: &impl Shape) -> Response {
        let call = self.calls.fetch_add(1, Ordering::SeqCst);
        match self.lose_every.load(Ordering::SeqCst) {
            0 => shape.to_bytes().into_response(),
            every if call.is_multiple_of(2 * every) => {
                Body::from_stream(stream::iter([Err::<Bytes, _>(io::Error::other("lost"))]))
                    .into_response()
            }
            every if call.is_multiple_of(every) => {
                HttpError::unavailable("busy", "busy", 0).into_response()
            }
            _ => shape.to_bytes().into_response(),
        }
    }

    pub fn admit(&self, peer: &Peer) -> Result<(), HttpError> {
        let expires_ms = peer.client_cert_expires_ms.unwrap_or(0);
        if expires_ms < self.clock.wall_ms() {
            return Err(HttpError::new(
                http::StatusCode::FORBIDDEN,
                CERTIFICATE_EXPIRED,
                "expired",
            ));
        }
        if self.revoked.load(Ordering::SeqCst) {
            Err(HttpError::new(
                http::StatusCode::FORBIDDEN,
                "revoked",
                "revoked by an admin",
            ))
        } else {
            Ok(())
        }
    }
}

pub async fn hello(
    State(fake): State<Arc<Fake>>,
    Extension(peer): Extension<Peer>,
    body: Bytes,
) -> Result<Response, HttpError> {
    fake.admit(&peer)?;
    fake.hellos.fetch_add(1, Ordering::SeqCst);
    let hello = Hello::from_bytes(&body).unwrap();
    assert_eq!(hello.agent, AGENT);
    fake.kept.lock().unwrap().clone_from(&hello.kept);
    *fake.oldest.lock().unwrap() = hello
        .lanes
        .iter()
        .map(|head| ((head.epoch, head.lane), head.oldest))
        .collect();
    let lanes = hello.lanes.iter().map(|head| {
        let have = fake.have(head.epoch, head.lane);
        let marks = fake.marks(head.epoch, head.lane, head.seq);
        let equal = marks.first().is_none_or(|mark| mark.hash == head.hash);
        let marks = if equal && have.last() <= head.seq {
            Vec::new()
        } else {
            marks
        };
        LaneHave { marks, ..have }
    });
    let lanes = lanes.collect();
    fake.lineage.lock().unwrap().clone_from(&hello.lineage);
    let generation = fake.generation.load(Ordering::SeqCst);
    Ok(fake.answer(&Welcome {
        generation,
        received_ms: fake.clock.wall_ms(),
        sent_ms: fake.clock.wall_ms(),
        lanes,
        write_keys: vec!["wk_web".into()],
        origins: Origins::new(),
        copy: None,
        introduce: false,
        program: fake.program.lock().unwrap().clone(),
        revoked: Vec::new(),
    }))
}

pub async fn frame(
    State(fake): State<Arc<Fake>>,
    Extension(peer): Extension<Peer>,
    body: Bytes,
) -> Result<Response, HttpError> {
    fake.admit(&peer)?;
    let frame = Frame::from_bytes(&body).unwrap();
    let entries = frame.open().unwrap();
    let refuses = *fake.program.lock().unwrap() == "1.0.0";
    if refuses
        && entries
            .iter()
            .any(|entry| entry.personal.ends_with(b"poison"))
    {
        fake.poisoned
            .fetch_add(u64::from(entries.len() == 1), Ordering::SeqCst);
        return Err(HttpError::bad_request("bad_frame", "an entry is poisonous"));
    }
    let no_time = fake.no_time_for.lock().unwrap().clone();
    if let Some((text, seconds)) = no_time
        && entries
            .iter()
            .any(|entry| entry.personal.ends_with(text.as_bytes()))
    {
        fake.refused.notify_one();
        return Err(HttpError::unavailable("busy", "busy", seconds));
    }
    if fake.is_full(&frame) {
        return Ok(fake.answer(&Ack::Gap(fake.have(frame.epoch, frame.lane))));
    }
    let (mut hash, mut sent) = (frame.previous, Vec::new());
    for (seq, entry) in (frame.first..).zip(entries) {
        let previous = hash;
        hash = trenza_shared::wire::entry::chain(&hash, &frame.salt_key, seq, &entry);
        let text = entry.text().unwrap().to_owned();
        sent.push((
            seq,
            Held {
                previous,
                hash,
                text,
                open: Open::from_bytes(&entry.open).unwrap(),
            },
        ));
    }
    let forks = {
        let mut lanes = fake.lanes.lock().unwrap();
        let held = lanes.entry((frame.epoch, frame.lane)).or_default();
        let before = held.get(&(frame.first - 1));
        let after = held.get(&(frame.last() + 1));
        let forks = before.is_some_and(|held| held.hash != frame.previous)
            || after.is_some_and(|held| held.previous != frame.head)
            || sent
                .iter()
                .any(|(seq, one)| held.get(seq).is_some_and(|held| held.hash != one.hash));
        let common = sent
            .iter()
            .rev()
            .find(|(seq, one)| held.get(seq).is_some_and(|held| held.hash == one.hash));
        let common = match common {
            Some((seq, _)) => Some(*seq),
            None => before
                .filter(|held| held.hash == frame.previous)
                .map(|_| frame.first - 1),
        };
        if !forks {
            held.extend(sent);
        }
        forks.then_some(common)
    };
    let have = fake.have(frame.epoch, frame.lane);
    Ok(fake.answer(&match forks {
        None => Ack::Stored(have),
        Some(common) => {
            let mut marks = fake.marks(frame.epoch, frame.lane, common.unwrap_or(frame.first - 1));
            marks.truncate(if common.is_some() { 1 } else { usize::MAX });
            Ack::Fork(LaneHave { marks, ..have })
        }
    }))
}

pub async fn renew(State(fake): State<Arc<Fake>>, Json(asked): Json<Value>) -> Json<Value> {
    fake.renewals.fetch_add(1, Ordering::SeqCst);
    let issued = fake
        .ca
        .sign_agent(
            asked["csr"].as_str().unwrap(),
            AGENT,
            fake.clock.wall_ms(),
            30,
        )
        .unwrap();
    fake.clock
        .advance_ms(fake.renewal_ms.swap(0, Ordering::SeqCst));
    Json(json!({ "certificate": issued.pem }))
}
