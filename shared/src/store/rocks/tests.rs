mod ladder; // what is put aside

use std::{
    fs,
    io::{BufRead, BufReader, Write},
    process::{Command, Stdio},
};

use tempfile::TempDir;

use super::{
    super::{contract, snapshot},
    *,
};

const SPACES: [Space; 2] = contract::SPACES;
const CHILD_FOLDER: &str = "TRENZA_STORE_TEST_FOLDER";

fn store_in(folder: &TempDir) -> RocksStore {
    RocksStore::open(
        folder.path().join("store"),
        &SPACES,
        RocksOptions::default(),
    )
    .unwrap()
}

fn put(store: &RocksStore, key: &[u8], value: &[u8], durable: Durable) -> Result<(), StoreError> {
    let mut batch = Batch::new();
    batch.put(SPACES[0], key, value);
    batch.put(SPACES[1], key, value);
    store.commit(batch, durable)
}

fn count(store: &RocksStore) -> usize {
    store
        .scan(SPACES[0], Range::ALL, Direction::Forward, usize::MAX)
        .unwrap()
        .len()
}

/// A store that takes its folder with it.
struct Temporary(RocksStore, #[allow(dead_code)] TempDir);

impl View for Temporary {
    fn get(&self, space: Space, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        self.0.get(space, key)
    }

    fn get_many(&self, space: Space, keys: &[Vec<u8>]) -> Result<Vec<Option<Vec<u8>>>, StoreError> {
        self.0.get_many(space, keys)
    }

    fn scan(
        &self,
        space: Space,
        range: Range<'_>,
        direction: Direction,
        max: usize,
    ) -> Result<Vec<Entry>, StoreError> {
        self.0.scan(space, range, direction, max)
    }
}

impl Store for Temporary {
    fn commit(&self, batch: Batch, durable: Durable) -> Result<(), StoreError> {
        self.0.commit(batch, durable)
    }

    fn with_snapshot(&self, job: &mut dyn FnMut(&dyn View)) -> Result<(), StoreError> {
        self.0.with_snapshot(job)
    }
}

#[test]
fn the_rocksdb_engine_keeps_the_contract() {
    contract::check(|| {
        let folder = TempDir::new().unwrap();
        Temporary(store_in(&folder), folder)
    });
}

/// With filters of keys and of prefixes, which must never hide a row.
#[test]
fn the_rocksdb_engine_keeps_the_contract_with_filters() {
    for bytes in [1, 2] {
        contract::check(|| {
            let folder = TempDir::new().unwrap();
            let options = RocksOptions {
                point_lookups: SPACES.to_vec(),
                prefixes: vec![(SPACES[1], bytes)],
                ..RocksOptions::default()
            };
            let store = RocksStore::open(folder.path().join("store"), &SPACES, options).unwrap();
            Temporary(store, folder)
        });
    }
}

#[test]
fn what_was_written_is_there_after_reopening() {
    let folder = TempDir::new().unwrap();
    let store = store_in(&folder);
    put(&store, b"a", b"1", Durable::Later).unwrap();
    store.flush().unwrap();
    put(&store, b"b", b"2", Durable::Yes).unwrap();
    store.reopen().unwrap();
    assert_eq!(count(&store), 2);
    store.close().unwrap();
    assert_eq!(store.get(SPACES[0], b"a"), Err(StoreError::Closed));
    store.close().unwrap();
    drop(store);
    let store = store_in(&folder);
    assert_eq!(store.get(SPACES[1], b"b").unwrap(), Some(b"2".to_vec()));
    assert!(store.health().is_ok());
    assert_eq!(store.sizes().unwrap().len(), 2);
    assert!(store.memory().unwrap().write_buffer_bytes > 0);
    assert!(matches!(
        store.get(Space("other"), b"b"),
        Err(StoreError::UnknownSpace { space: "other" })
    ));
}

#[test]
fn a_second_opener_is_told_that_the_store_is_busy_and_harms_nothing() {
    let folder = TempDir::new().unwrap();
    let store = store_in(&folder);
    put(&store, b"a", b"1", Durable::Yes).unwrap();
    let path = store.path().to_path_buf();
    let refused = open_or_set_aside(&path, &SPACES, RocksOptions::default())
        .err()
        .unwrap();
    assert_eq!(refused, StoreError::Busy { path });
    assert!(refused.to_string().contains("another trenza program"));
    assert_eq!(count(&store), 1);
}

#[test]
fn an_older_program_leaves_unknown_tables_alone() {
    let folder = TempDir::new().unwrap();
    let store = store_in(&folder);
    put(&store, b"a", b"1", Durable::Yes).unwrap();
    let path = store.path().to_path_buf();
    drop(store);
    let older = RocksStore::open(&path, &SPACES[..1], RocksOptions::default()).unwrap();
    put(&older, b"b", b"1", Durable::Yes).unwrap();
    drop(older);
    assert_eq!(count(&store_in(&folder)), 2);
}

#[test]
fn a_look_into_a_store_changes_no_file() {
    let folder = TempDir::new().unwrap();
    let path = closed_store(&folder);
    let contents = || -> Vec<_> {
        let rows = |name: &str| files(&path, name).into_iter();
        rows(".sst")
            .chain(rows(".log"))
            .chain(rows("MANIFEST"))
            .map(|file| (file.clone(), fs::read(file).unwrap()))
            .collect()
    };
    let before = contents();
    let store = RocksStore::open_to_read(&path, RocksOptions::default()).unwrap();
    assert_eq!(count(&store), 2);
    assert!(put(&store, b"c", b"1", Durable::Yes).is_err());
    drop(store);
    assert!(before == contents());
}

#[test]
fn a_snapshot_job_that_is_slow_stops_at_its_next_read_when_the_store_reopens() {
    let folder = TempDir::new().unwrap();
    let store = store_in(&folder);
    put(&store, b"a", b"1", Durable::Yes).unwrap();
    let (started, begin) = mpsc::channel();
    std::thread::scope(|threads| {
        let reader = threads.spawn(|| {
            snapshot(&store, |view| {
                started.send(()).unwrap();
                loop {
                    if let Err(error) = view.get(SPACES[0], b"a") {
                        return error;
                    }
                }
            })
        });
        begin.recv().unwrap();
        store.reopen().unwrap();
        assert_eq!(reader.join().unwrap(), Ok(StoreError::Closed));
    });
    put(&store, b"b", b"1", Durable::Yes).unwrap();
}

#[test]
fn a_checkpoint_is_a_store_of_its_own() {
    let folder = TempDir::new().unwrap();
    let store = store_in(&folder);
    put(&store, b"a", b"1", Durable::Later).unwrap();
    let copy = folder.path().join("copy");
    store.checkpoint(&copy).unwrap();
    put(&store, b"b", b"1", Durable::Yes).unwrap();
    assert!(store.checkpoint(&copy).is_err(), "it never overwrites");
    let copy = RocksStore::open(&copy, &SPACES, RocksOptions::default()).unwrap();
    assert_eq!((count(&copy), count(&store)), (1, 2));
    assert!(store.health().is_ok());
}

fn files(path: &Path, part: &str) -> Vec<PathBuf> {
    let mut found: Vec<_> = fs::read_dir(path)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|file| file.file_name().unwrap().to_string_lossy().contains(part))
        .collect();
    found.sort();
    found
}

/// A closed store with one row in a table file and one in the log.
fn closed_store(folder: &TempDir) -> PathBuf {
    let store = store_in(folder);
    put(&store, b"a", b"1", Durable::Yes).unwrap();
    store.flush().unwrap();
    put(&store, b"b", b"1", Durable::Yes).unwrap();
    store.path().to_path_buf()
}

fn ladder(path: &Path) -> (RocksStore, Option<Damage>) {
    let opened = open_or_set_aside(path, &SPACES, RocksOptions::default()).unwrap();
    assert!(opened.unkept.is_none(), "{:?}", opened.unkept);
    (opened.store, opened.damage)
}

/// Kinds and file names of what was put aside.
fn aside_files(path: &Path) -> Vec<(Kind, Vec<String>)> {
    let names = |kept: &Kept| {
        let names = files(&kept.path, "").into_iter();
        names
            .map(|file| file.file_name().unwrap().to_string_lossy().into_owned())
            .collect()
    };
    kept(path)
        .unwrap()
        .iter()
        .map(|kept| (kept.kind, names(kept)))
        .collect()
}

#[test]
fn a_log_written_by_rocksdb_reads_as_sound() {
    let folder = TempDir::new().unwrap();
    let store = store_in(&folder);
    let value = vec![0xAB; 100_000]; // over several blocks
    put(&store, b"a", &value, Durable::Yes).unwrap();
    put(&store, b"b", b"1", Durable::Yes).unwrap();
    let log = fs::read(files(store.path(), ".log").pop().unwrap()).unwrap();
    let mut out = Vec::new();
    let seen: Vec<_> = log
        .chunks(wal::BLOCK_BYTES)
        .map(|block| wal::strip(block, &mut out))
        .collect();
    assert!(seen.iter().all(|block| block.sound), "{seen:?}");
    assert!(!seen.last().unwrap().unfinished);
    assert!(out.windows(value.len()).any(|window| window == value));
}

#[test]
fn a_store_in_which_damage_was_read_goes_on_empty() {
    let folder = TempDir::new().unwrap();
    let path = closed_store(&folder);
    for table in files(&path, ".sst") {
        let mut bytes = fs::read(&table).unwrap();
        bytes[3] ^= 0x55;
        fs::write(&table, bytes).unwrap();
    }
    let (store, damage) = ladder(&path);
    assert!(damage.is_none() && store.health().is_ok());
    assert!(store.get(SPACES[0], b"a").is_err());
    assert!(matches!(store.health(), Err(StoreError::Corrupt { .. })));
    let aside = store.start_empty().unwrap();
    assert!(!files(&aside, ".sst").is_empty());
    assert_eq!((count(&store), store.health()), (0, Ok(())));
    put(&store, b"z", b"1", Durable::Yes).unwrap();
}

#[test]
fn a_damaged_block_is_reported_and_not_taken_for_the_end_of_the_table() {
    let folder = TempDir::new().unwrap();
    let path = closed_store(&folder);
    for table in files(&path, ".sst") {
        let mut bytes = fs::read(&table).unwrap();
        bytes[3] ^= 0x55;
        fs::write(&table, bytes).unwrap();
    }
    let store = store_in(&folder);
    let scan = store.scan(SPACES[0], Range::ALL, Direction::Forward, 9);
    assert!(
        matches!(&scan, Err(StoreError::Corrupt { space, .. }) if space == SPACES[0].0),
        "{scan:?}"
    );
    assert!(matches!(
        store.get(SPACES[0], b"a"),
        Err(StoreError::Corrupt { .. })
    ));
}

/// Not a test of its own: the process that the next one kills.
#[test]
#[ignore = "started by the test below"]
fn child_that_writes_until_it_is_killed() {
    let Some(folder) = std::env::var_os(CHILD_FOLDER) else {
        return;
    };
    let store = RocksStore::open(PathBuf::from(folder), &SPACES, RocksOptions::default()).unwrap();
    let first = count(&store) as u64;
    for n in first.. {
        let durable = if n % 3 == 0 {
            Durable::Yes
        } else {
            Durable::Later
        };
        put(&store, &n.to_be_bytes(), &[n as u8; 2000], durable).unwrap();
        let mut out = std::io::stdout().lock();
        writeln!(out, "\nsaved {n}").unwrap();
        out.flush().unwrap();
    }
}

#[test]
fn a_killed_process_loses_nothing_that_it_reported_as_saved() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("store");
    let mut saved = None;
    for round in 1..=4_u64 {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args([
                "--exact",
                "store::rocks::tests::child_that_writes_until_it_is_killed",
                "--ignored",
                "--nocapture",
            ])
            .env(CHILD_FOLDER, &path)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut killed = false;
        let mut seen = 0;
        for line in lines.map_while(Result::ok) {
            let Some(n) = line.strip_prefix("saved ") else {
                continue;
            };
            saved = Some(n.parse::<u64>().unwrap());
            seen += 1;
            if seen > round * 777 && !killed {
                child.kill().unwrap(); // and read on: what it reported before it died counts too
                killed = true;
            }
        }
        assert!(killed, "the child ended by itself");
        child.wait().unwrap();
        let (store, damage) = ladder(&path);
        assert_eq!(damage, None);
        let rows = store
            .scan(SPACES[0], Range::ALL, Direction::Forward, usize::MAX)
            .unwrap();
        assert!(
            rows.len() as u64 > saved.unwrap(),
            "{} rows, {saved:?} saved",
            rows.len()
        );
        assert!(
            rows.iter()
                .enumerate()
                .all(|(n, (key, _))| *key == (n as u64).to_be_bytes()),
            "no gaps"
        );
        assert!(
            rows == store
                .scan(SPACES[1], Range::ALL, Direction::Forward, usize::MAX)
                .unwrap(),
            "no half batch"
        );
    }
}

/// A salvage that ended between the removal of a folder and that of its report leaves the report behind.
#[test]
fn what_is_put_aside_never_takes_the_name_of_something_that_a_report_is_left_of() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("store");
    fs::write(dir.path().join("store.damaged-1.salvaged"), "{}").unwrap();
    fs::create_dir(&path).unwrap();
    let aside = move_aside(&path).unwrap();
    assert_eq!(aside, dir.path().join("store.damaged-2"));
    let kept = kept(&path).unwrap();
    assert_eq!(kept.len(), 1);
    assert_eq!((kept[0].number, &kept[0].path), (2, &aside));
}
