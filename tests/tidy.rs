//! House rules as tests: file length, import order between steps, no sleeps in tests, nothing unfinished.

use std::{
    fs,
    path::{Path, PathBuf},
};

/// Longest source file. Unit: lines.
const LINES_MAX: usize = 500;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn sources(dir: &Path, out: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(dir).expect("a readable folder") {
        let path = entry.expect("a readable entry").path();
        let name = path
            .file_name()
            .expect("a name")
            .to_string_lossy()
            .into_owned();
        if path.is_dir() {
            if !["target", "node_modules", ".git", "dist"].contains(&name.as_str()) {
                sources(&path, out);
            }
        } else if [".rs", ".ts"].iter().any(|end| name.ends_with(end)) {
            out.push(path);
        }
    }
}

fn all() -> Vec<(String, String)> {
    let mut paths = Vec::new();
    sources(&root(), &mut paths);
    let name = |path: &Path| {
        path.strip_prefix(root())
            .expect("below the root")
            .to_string_lossy()
            .into_owned()
    };
    paths
        .iter()
        .map(|path| (name(path), fs::read_to_string(path).expect("UTF-8 source")))
        .collect()
}

#[test]
fn no_source_file_is_longer_than_500_lines() {
    let long: Vec<String> = all()
        .iter()
        .filter(|(_, text)| text.lines().count() > LINES_MAX)
        .map(|(name, text)| format!("{name}: {}", text.lines().count()))
        .collect();
    assert!(long.is_empty(), "split by noun: {long:#?}");
}

#[test]
fn agent_and_server_never_name_each_other() {
    for (name, text) in all() {
        for (here, there) in [
            ("agent/", "trenza_server"),
            ("server/", "trenza_agent"),
            ("shared/", "trenza_server"),
            ("shared/", "trenza_agent"),
        ] {
            assert!(
                !(name.starts_with(here) && text.contains(there)),
                "{name} names {there}"
            );
        }
    }
}

#[test]
fn nothing_is_unfinished_or_switched_off() {
    for (name, text) in all() {
        for word in ["todo!(", "unimplemented!(", "FIXME", "// XXX"] {
            assert!(
                name == "tests/tidy.rs" || !text.contains(word),
                "{name} has {word}"
            );
        }
    }
}

#[test]
fn no_test_sleeps() {
    for (name, text) in all() {
        let is_test = name.starts_with("tests/e2e")
            || name.starts_with("tests/stories")
            || name.ends_with("/tests.rs")
            || name.contains("/tests/");
        let naps = ["thread::sleep", "time::sleep("]
            .iter()
            .any(|nap| text.contains(nap));
        assert!(!(is_test && naps), "{name} sleeps: wait for a condition");
    }
}

#[test]
fn every_metric_says_what_it_counts() {
    let sources = all();
    let described = |name: &str| {
        sources
            .iter()
            .filter(|(path, _)| path.ends_with("src/metrics.rs"))
            .any(|(_, text)| text.contains(&format!("\"{name}\",\n")))
    };
    for (path, text) in &sources {
        let used = ["counter!(", "gauge!("]
            .iter()
            .flat_map(|kind| text.split(kind).skip(1));
        for rest in used {
            let name = rest.trim_start().trim_start_matches('"');
            let name = name.split('"').next().expect("a name");
            let ours = name.starts_with("trenza_") && !name.starts_with("trenza_test");
            assert!(
                !ours || described(name),
                "{path}: {name} has no line in metrics.rs"
            );
        }
    }
}

#[test]
fn a_step_of_the_server_never_calls_a_later_one() {
    let steps = ["sync", "evidence", "customer", "views"];
    for (name, text) in all() {
        let Some(rest) = name.strip_prefix("server/src/") else {
            continue;
        };
        let Some(at) = steps
            .iter()
            .position(|step| rest.starts_with(&format!("{step}/")))
        else {
            continue;
        };
        for later in &steps[at + 1..] {
            assert!(
                !text.contains(&format!("crate::{later}")),
                "{name} calls {later}"
            );
        }
    }
}
