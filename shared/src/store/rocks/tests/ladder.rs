//! What is put aside where a store does not open, or opens with less than it had.

use std::{sync::mpsc, thread, time::Duration};

use super::*;

#[test]
fn a_sound_store_opens_without_a_report() {
    let folder = TempDir::new().unwrap();
    let (store, damage) = ladder(&closed_store(&folder));
    assert_eq!((count(&store), damage), (2, None));
}

#[test]
fn a_log_torn_by_a_power_loss_is_cut_there_and_the_store_opens() {
    let folder = TempDir::new().unwrap();
    let path = closed_store(&folder);
    let log = files(&path, ".log").pop().unwrap();
    let bytes = fs::read(&log).unwrap();
    fs::write(&log, &bytes[..bytes.len() - 3]).unwrap();
    let (store, damage) = ladder(&path);
    assert_eq!((count(&store), damage), (1, None));
}

#[test]
fn a_record_of_a_kind_that_rocksdb_never_ends_to_read_keeps_no_store_from_opening() {
    const WAIT_MAX: Duration = Duration::from_secs(30);
    for (name, aside) in [(".log", false), ("MANIFEST", true)] {
        let folder = TempDir::new().unwrap();
        let path = closed_store(&folder);
        let file = files(&path, name).pop().unwrap();
        let mut bytes = fs::read(&file).unwrap();
        let second = 7 + usize::from(u16::from_le_bytes([bytes[4], bytes[5]]));
        bytes[second + 6] = 6;
        if aside {
            bytes.extend([1; 70_000]);
        }
        fs::write(&file, bytes).unwrap();
        let (tell, told) = mpsc::channel();
        thread::spawn(move || {
            let read = RocksStore::open_to_read(&path, RocksOptions::default());
            let (store, damage) = ladder(&path);
            tell.send((read.is_err(), count(&store), damage.is_some()))
        });
        let told = told.recv_timeout(WAIT_MAX).expect("an answer");
        assert_eq!(told, (true, usize::from(!aside), aside), "{name}");
    }
}

#[test]
fn a_store_that_cannot_be_opened_is_set_aside_whole_and_an_empty_one_begins() {
    type Harm = fn(&Path);
    let harms: [Harm; 5] = [
        |path| fs::remove_file(path.join("CURRENT")).unwrap(),
        |path| fs::write(path.join("CURRENT"), []).unwrap(),
        |path| fs::remove_file(files(path, "MANIFEST").pop().unwrap()).unwrap(),
        |path| fs::remove_file(files(path, ".sst").pop().unwrap()).unwrap(),
        |path| {
            fs::remove_file(path.join("LOCK")).unwrap();
            fs::create_dir(path.join("LOCK")).unwrap();
        },
    ];
    for (n, harm) in harms.into_iter().enumerate() {
        let folder = TempDir::new().unwrap();
        let path = closed_store(&folder);
        harm(&path);
        let tables = files(&path, ".sst").len();
        let (store, damage) = ladder(&path);
        let damage = damage.expect("set aside");
        assert_eq!(count(&store), 0, "{n}");
        assert_eq!(files(&damage.folder, ".sst").len(), tables, "{n}");
        assert_eq!(kept(&path).unwrap().len(), 1, "{n}: no links are left over");
        put(&store, b"c", b"1", Durable::Yes).unwrap();
        drop(store);
        let (store, damage) = ladder(&path);
        assert_eq!((count(&store), damage), (1, None), "{n}");
    }
}

#[test]
fn a_file_in_the_place_of_the_folder_is_set_aside_too() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("store");
    fs::write(&path, "no folder").unwrap();
    let opened = open_or_set_aside(&path, &SPACES, RocksOptions::default()).unwrap();
    assert!(opened.damage.unwrap().folder.is_file());
    put(&opened.store, b"a", b"1", Durable::Yes).unwrap();
}

#[test]
fn tables_that_a_cut_manifest_does_not_name_are_kept() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("store");
    let store = store_in(&folder);
    let manifest = files(&path, "MANIFEST").pop().unwrap();
    let before = fs::metadata(&manifest).unwrap().len();
    put(&store, b"a", b"1", Durable::Yes).unwrap();
    store.flush().unwrap();
    drop(store);
    let tables = files(&path, ".sst").len();
    let cut = fs::OpenOptions::new().write(true).open(manifest).unwrap();
    cut.set_len(before).unwrap();
    let (store, damage) = ladder(&path);
    assert_eq!((count(&store), damage), (0, None), "it opens without them");
    let found = aside_files(&path);
    assert!(
        matches!(&found[..], [(Kind::Before, names)]
        if names.iter().filter(|name| name.ends_with(".sst")).count() == tables),
        "{found:?}"
    );
}

#[test]
fn a_log_that_was_read_only_up_to_a_hole_is_kept() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("store");
    let store = store_in(&folder);
    for n in 0..9 {
        put(&store, &[n], b"1", Durable::Yes).unwrap();
    }
    drop(store);
    let log = files(&path, ".log").pop().unwrap();
    let mut bytes = fs::read(&log).unwrap();
    let at = bytes.len() / 2;
    bytes[at] ^= 1;
    fs::write(&log, &bytes).unwrap();
    let (store, damage) = ladder(&path);
    assert!(damage.is_none() && count(&store) < 9);
    let kept = kept(&path).unwrap().pop().unwrap();
    let kept = fs::read(files(&kept.path, ".log").pop().unwrap()).unwrap();
    assert_eq!(kept, bytes, "what lies behind the hole is not lost");
    let mut out = Vec::new();
    let sound = bytes
        .chunks(wal::BLOCK_BYTES)
        .all(|block| wal::strip(block, &mut out).sound);
    assert!(!sound);
}

#[test]
fn a_log_that_was_cut_at_a_hole_is_kept_whole_where_the_store_cannot_be_opened_either() {
    let folder = TempDir::new().unwrap();
    let path = closed_store(&folder);
    let store = RocksStore::open(&path, &SPACES, RocksOptions::default()).unwrap();
    for n in 0..9 {
        put(&store, &[n], &[7; 9_000], Durable::Yes).unwrap();
    }
    drop(store);
    let log = files(&path, ".log").pop().unwrap();
    let mut bytes = fs::read(&log).unwrap();
    bytes[20_000..40_000].fill(0);
    fs::write(&log, &bytes).unwrap();
    fs::remove_file(files(&path, ".sst").pop().unwrap()).unwrap();
    let (store, damage) = ladder(&path);
    assert!(damage.is_some() && count(&store) == 0);
    let before = kept(&path).unwrap();
    let mut before = before.iter().filter(|kept| kept.kind == Kind::Before);
    let whole = before.next().expect("the log as it was");
    let kept = fs::read(files(&whole.path, ".log").pop().unwrap()).unwrap();
    assert_eq!(kept, bytes, "what lies behind the hole is not lost");
}
