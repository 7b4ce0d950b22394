//! Whatever happens to any file of the folder, the agent starts at once, takes events in, and what can still be read comes back.
//!
//! `TRENZA_MUTATIONS=1000` asks for more cases, `TRENZA_SEED` repeats one: case n of a run has the seed of the run plus n.

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::Range,
    time::Instant,
};

use trenza_shared::{
    event::EventType,
    store::{Direction, StoreError, View, rocks::wal},
    wire::entry::{Entry, Open, What},
};

use super::*;
use crate::{
    log::{NewEntry, next_frame},
    tables::LOG,
};

const CASES: u64 = 24;
const SEED: u64 = 20_260_314;
/// From start to the first event on stable storage.
const START_MAX: Duration = Duration::from_secs(2);
/// Times that a damage found while reading may send the agent to an empty store.
const TURNS_MAX: usize = 4;

/// A seeded source of chance (SplitMix64).
struct Chance(u64);

impl Chance {
    fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, end: usize) -> usize {
        (self.roll() % end.max(1) as u64) as usize
    }

    fn range(&mut self, end: usize) -> Range<usize> {
        let (one, other) = (self.below(end + 1), self.below(end + 1));
        one.min(other)..one.max(other)
    }
}

/// Ranges of files that hold the bytes of one row.
type Place = Vec<(PathBuf, Range<usize>)>;

/// A folder of an agent that was killed, and where everything in it lies.
struct Template {
    dir: tempfile::TempDir,
    config: Config,
    /// The texts of each row of the log, and every place where its bytes are.
    rows: Vec<(Vec<String>, Vec<Place>)>,
}

pub(super) fn new_entry(text: &str) -> NewEntry {
    let open = Open {
        what: What::Event(EventType::Track),
        captured_ms: NOW,
        boottime_ms: 1,
        boot: 0,
        offset_min: 60,
        key: "wk".into(),
        unverified: false,
        bot: None,
        sent_lag_ms: 0,
    };
    NewEntry {
        identity: None,
        entry: Entry::clear(&open, text),
    }
}

/// Ends an agent that was not served.
pub(super) async fn end(started: Started) {
    let Started {
        app,
        sender,
        rocks,
        log_thread,
        ..
    } = started;
    drop((app, sender));
    spawn_blocking(move || log_thread.join().unwrap())
        .await
        .unwrap();
    rocks.close().unwrap();
}

async fn template(chance: &mut Chance) -> Template {
    let (dir, mut config) = enrolled();
    config.store.write_buffer_bytes = 64 * 1024;
    let started = start(&config, dir.path()).await;
    for n in 0..240 {
        let lane = if chance.below(10) == 0 {
            Lane::Urgent
        } else {
            Lane::Visits
        };
        let entries = (0..1 + chance.below(20)).map(|m| {
            let noise: String = (0..chance.below(30))
                .map(|_| format!("{:x}", chance.roll()))
                .collect();
            new_entry(&format!("{n}-{m}-{noise}"))
        });
        let entries = entries.collect();
        started
            .app
            .log
            .append(Append { lane, entries })
            .await
            .unwrap();
        if n == 90 || n == 150 {
            started.rocks.flush().unwrap();
        }
    }
    let rows = started
        .rocks
        .scan(
            LOG.space(),
            trenza_shared::store::Range::ALL,
            Direction::Forward,
            usize::MAX,
        )
        .unwrap();
    let texts = |(epoch, lane, first): (u32, Lane, u64)| {
        let frame = LOG
            .get(&*started.rocks, &(epoch, lane, first))
            .unwrap()
            .unwrap()
            .0;
        let entries = frame.open().unwrap();
        entries
            .iter()
            .map(|entry| entry.text().unwrap().to_owned())
            .collect::<Vec<_>>()
    };
    let keys: Vec<_> = LOG
        .scan(&*started.rocks, None, None, Direction::Forward, usize::MAX)
        .unwrap()
        .into_iter()
        .map(|(key, _)| texts(key))
        .collect();
    end(started).await;
    let streams: Vec<Stream> = files_of(dir.path())
        .into_iter()
        .filter_map(|file| Stream::of(dir.path(), file))
        .collect();
    let rows: Vec<_> = keys
        .into_iter()
        .zip(rows)
        .map(|(texts, (_, value))| {
            let places: Vec<Place> = streams
                .iter()
                .flat_map(|stream| stream.places(&value))
                .collect();
            assert!(!places.is_empty(), "a row lies nowhere as it is: {texts:?}");
            (texts, places)
        })
        .collect();
    Template { dir, config, rows }
}

/// The bytes of a file in which rows are contiguous, and where each comes from.
struct Stream {
    file: PathBuf,
    bytes: Vec<u8>,
    /// Offset in `bytes` -> offset in the file, from there on.
    origins: BTreeMap<usize, usize>,
}

impl Stream {
    fn of(dir: &Path, file: PathBuf) -> Option<Self> {
        let name = file.file_name()?.to_string_lossy().into_owned();
        let raw = fs::read(dir.join(&file)).ok()?;
        if name.ends_with(".sst") {
            let origins = BTreeMap::from([(0, 0)]);
            return Some(Self {
                file,
                bytes: raw,
                origins,
            });
        }
        if !wal::is_log(&name) {
            return None;
        }
        let (mut bytes, mut origins) = (Vec::new(), BTreeMap::new());
        for (n, block) in raw.chunks(wal::BLOCK_BYTES).enumerate() {
            let mut at = 0;
            while let Some([_, _, _, _, low, high, kind]) = block
                .get(at..at + 7)
                .map(|header| <[u8; 7]>::try_from(header).unwrap())
            {
                if kind == 0 {
                    break;
                }
                let length = usize::from(u16::from_le_bytes([low, high]));
                origins.insert(bytes.len(), n * wal::BLOCK_BYTES + at + 7);
                bytes.extend_from_slice(&block[at + 7..at + 7 + length]);
                at += 7 + length;
            }
        }
        Some(Self {
            file,
            bytes,
            origins,
        })
    }

    fn places(&self, value: &[u8]) -> Vec<Place> {
        memchr::memmem::find_iter(&self.bytes, value)
            .map(|from| {
                let to = from + value.len();
                let (&before, _) = self.origins.range(..=from).next_back().unwrap();
                let pieces: Vec<_> = self.origins.range(before..to).collect();
                let ends = pieces.iter().skip(1).map(|(at, _)| **at).chain([to]);
                pieces
                    .iter()
                    .zip(ends)
                    .map(|((at, origin), end)| {
                        let begin = from.max(**at);
                        let origin = **origin + (begin - **at);
                        (self.file.clone(), origin..origin + (end - begin))
                    })
                    .collect()
            })
            .collect()
    }
}

fn files_of(dir: &Path) -> Vec<PathBuf> {
    let mut found = crate::salvage::files::files(dir).unwrap();
    found.retain(|file| !file.ends_with(files::CONFIG));
    found
        .iter()
        .map(|file| file.strip_prefix(dir).unwrap().to_owned())
        .collect()
}

fn copy(from: &Path, to: &Path) {
    for file in files_of(from) {
        fs::create_dir_all(to.join(&file).parent().unwrap()).unwrap();
        fs::copy(from.join(&file), to.join(&file)).unwrap();
    }
}

/// Harms one file; says what it did.
fn mutate(dir: &Path, chance: &mut Chance) -> String {
    let all = files_of(dir);
    if all.is_empty() {
        return "nothing is left".into();
    }
    let file = all[chance.below(all.len())].clone();
    let path = dir.join(&file);
    let mut bytes = fs::read(&path).unwrap();
    let length = bytes.len();
    let store = dir.join("store");
    let what = match chance.below(14) {
        0 | 1 if length > 0 => {
            for _ in 0..1 + chance.below(20) {
                bytes[chance.below(length)] ^= 1 + chance.below(255) as u8;
            }
            fs::write(&path, bytes).unwrap();
            "some bytes changed"
        }
        2 => {
            bytes[chance.range(length)].fill(0);
            fs::write(&path, bytes).unwrap();
            "a range zeroed"
        }
        3 | 4 => {
            bytes.truncate(chance.below(length + 1));
            fs::write(&path, bytes).unwrap();
            "cut"
        }
        5 => {
            fs::remove_file(&path).unwrap();
            "deleted"
        }
        6 => {
            let other = &all[chance.below(all.len())];
            fs::write(dir.join(other), bytes).unwrap();
            return format!("{} copied over {}", file.display(), other.display());
        }
        7 if !store.is_file() => {
            let name = ["000999.sst", "000999.log", "MANIFEST-000999", "copy"][chance.below(4)];
            fs::create_dir_all(&store).unwrap();
            fs::write(store.join(name), bytes).unwrap();
            return format!("{} copied to {name}", file.display());
        }
        8 => {
            fs::remove_file(&path).unwrap();
            fs::create_dir(&path).unwrap();
            "replaced by a folder"
        }
        9 => {
            bytes
                .iter_mut()
                .for_each(|byte| *byte = chance.roll() as u8);
            fs::write(&path, bytes).unwrap();
            "replaced by noise"
        }
        10 => {
            bytes.extend((0..chance.below(5000)).map(|_| chance.roll() as u8));
            fs::write(&path, bytes).unwrap();
            "noise appended"
        }
        11 if store.is_dir() => {
            let manifest = all
                .iter()
                .find(|file| file.to_string_lossy().contains("MANIFEST"));
            let Some(manifest) = manifest else {
                return "no manifest".into();
            };
            let bytes = fs::read(dir.join(manifest)).unwrap();
            fs::write(dir.join(manifest), &bytes[..chance.below(bytes.len() + 1)]).unwrap();
            return format!("{} half written", manifest.display());
        }
        12 if store.join("CURRENT").is_file() => {
            fs::write(store.join("CURRENT"), "MANIFEST-000777\n").unwrap();
            return "CURRENT names another manifest".into();
        }
        13 if store.is_dir() && chance.below(4) == 0 => {
            fs::remove_dir_all(&store).unwrap();
            fs::write(&store, "a file").unwrap();
            return "the store is a file".into();
        }
        _ => {
            fs::write(dir.join("store/LOCK"), "4711").unwrap_or_default();
            return "a stale LOCK".into();
        }
    };
    format!("{} {what}", file.display())
}

/// What of the log is still in the folder byte by byte, so has to come back.
fn readable(template: &Template, dir: &Path) -> BTreeSet<String> {
    let mut held: BTreeMap<PathBuf, (Vec<u8>, Vec<u8>)> = BTreeMap::new();
    let mut same = |(file, range): &(PathBuf, Range<usize>)| {
        let (was, is) = held.entry(file.clone()).or_insert_with(|| {
            let read = |dir: &Path| fs::read(dir.join(file)).unwrap_or_default();
            (read(template.dir.path()), read(dir))
        });
        is.get(range.clone()) == Some(&was[range.clone()])
    };
    let mut found = BTreeSet::new();
    for (texts, places) in &template.rows {
        if places.iter().any(|place| place.iter().all(&mut same)) {
            found.extend(texts.iter().cloned());
        }
    }
    found
}

/// Every text that sync would send.
fn sendable(app: &App) -> Result<BTreeSet<String>, StoreError> {
    let mut found = BTreeSet::new();
    for ((epoch, lane), head) in app.log.ends().iter() {
        let mut after = 0;
        while let Some(frame) = next_frame(&*app.store, *epoch, *lane, after, head.seq, head.seq)? {
            let entries = frame.open().expect("a frame with a good chain");
            found.extend(entries.iter().map(|entry| entry.text().unwrap().to_owned()));
            after = frame.last();
        }
    }
    Ok(found)
}

/// Does what the running agent does with a store that says it is damaged.
async fn mend_if_damaged(started: &Started) {
    if let Err(error) = started.rocks.health()
        && start::mend(&started.rocks, &error).unwrap().is_some()
    {
        start::renew(&started.app, &started.marker).await;
    }
}

/// Takes an event in, as somebody does who asks again when refused: a merge of files in the background may find damage at any time.
async fn take_in(started: &Started, text: &str, said: &str) {
    let (lane, begun) = (Lane::Visits, Instant::now());
    loop {
        let entries = vec![new_entry(text)];
        match started.app.log.append(Append { lane, entries }).await {
            Ok(_) => return,
            Err(why) if begun.elapsed() >= START_MAX => panic!("{said}: refuses {text:?}: {why}"),
            Err(_) => mend_if_damaged(started).await,
        }
    }
}

/// What came of a case, in events.
#[derive(Default)]
struct Outcome {
    /// Could be read.
    readable: usize,
    /// Of those, are in the log in the end.
    back: usize,
    /// Were brought back by the salvage.
    salvaged: u64,
    /// From start to the first event on stable storage.
    started: Duration,
}

async fn case(template: &Template, seed: u64) -> Outcome {
    let mut chance = Chance(seed);
    let dir = tempfile::tempdir().unwrap();
    copy(template.dir.path(), dir.path());
    let harms: Vec<String> = (0..1 + chance.below(3))
        .map(|_| mutate(dir.path(), &mut chance))
        .collect();
    let expected = readable(template, dir.path());
    let said = format!("TRENZA_SEED={seed}: {harms:?}");

    let begun = Instant::now();
    let clock = Arc::new(TestClock::at(NOW));
    let started = Started::new(template.config.clone(), dir.path(), clock).await;
    let started = started.unwrap_or_else(|error| panic!("{said}: does not start: {error}"));
    take_in(&started, "fresh", &said).await;
    let took = begun.elapsed();
    assert!(took < START_MAX, "{said}: took {took:?}");

    let salvager = salvager(&started.app, &started.rocks);
    let mut came_back = None;
    for _ in 0..TURNS_MAX {
        let read = sendable(&started.app);
        mend_if_damaged(&started).await;
        let worker = salvager.clone();
        let passed = spawn_blocking(move || worker.pass(NOW)).await.unwrap();
        mend_if_damaged(&started).await;
        if let (Ok(_), Ok(())) = (&read, &passed) {
            came_back =
                Some(sendable(&started.app).unwrap_or_else(|error| panic!("{said}: {error}")));
            break;
        }
    }
    let came_back = came_back.unwrap_or_else(|| panic!("{said}: it does not settle"));
    assert!(
        came_back.contains("fresh"),
        "{said}: lost what was taken in after the start"
    );
    take_in(&started, "late", &said).await;
    drop(salvager);
    let salvaged = started.app.salvage.progress().appended;
    end(started).await;
    let back = expected.intersection(&came_back).count();
    if back < expected.len() {
        println!("{said}: {back} of {} came back", expected.len());
    }
    Outcome {
        readable: expected.len(),
        back,
        salvaged,
        started: took,
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_happens_to_the_files_the_agent_starts_and_what_can_be_read_comes_back() {
    let number = |name: &str, default: u64| {
        let text = std::env::var(name).ok();
        text.and_then(|text| text.parse().ok()).unwrap_or(default)
    };
    let (seed, cases) = (
        number("TRENZA_SEED", SEED),
        number("TRENZA_MUTATIONS", CASES),
    );
    println!("TRENZA_SEED={seed} TRENZA_MUTATIONS={cases}");
    let template = template(&mut Chance(SEED)).await;
    let mut sum = Outcome::default();
    for n in 0..cases {
        let seed = seed.wrapping_add(n);
        let one = case(&template, seed).await;
        assert!(
            one.back * 100 >= one.readable * 99,
            "seed {seed}: {} of {} came back",
            one.back,
            one.readable
        );
        sum.readable += one.readable;
        sum.back += one.back;
        sum.salvaged += one.salvaged;
        sum.started = sum.started.max(one.started);
    }
    println!(
        "{} of {} readable events are there in {cases} cases, {} of them salvaged; the slowest start took {:?}",
        sum.back, sum.readable, sum.salvaged, sum.started
    );
    assert!(sum.readable > 0);
    assert!(
        sum.salvaged > 0 || cases < CASES,
        "the cases need no salvage"
    );
}
