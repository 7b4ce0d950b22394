//! `doctor`: what runs out, what is full and what is broken, whether the server runs or not. Changes nothing.

use std::{sync::Arc, time::Duration};

use serde::Serialize;
use trenza_shared::{
    clock::{SystemClock, format_ms},
    net::{
        client::{Client, ClientError, ClientLimits, Response, unix},
        pki::Validity,
        tls::{self, TlsTime, Trust},
    },
    probe::disk_free_bytes,
    store::{RocksStore, rocks::RocksOptions},
};

use crate::{
    app::reachable,
    certs::{self, Standing},
    config::Config,
    tables::{META, point_lookups, prefixes},
};

/// Longest wait for a server that runs.
const ASK_MAX: Duration = Duration::from_secs(10);
/// Longest answer about readiness. Unit: bytes.
const ANSWER_BYTES_MAX: usize = 64 * 1024;

/// One thing that was looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Check {
    /// authority, web_certificate, disk or store.
    pub name: &'static str,
    /// Nothing to do.
    pub ok: bool,
    /// What was found, and what to do.
    pub message: String,
}

/// Looks at everything.
pub async fn examine(config: &Config, now_ms: i64) -> Vec<Check> {
    let check = |name, found: anyhow::Result<(bool, String)>| match found {
        Ok((ok, message)) => Check { name, ok, message },
        Err(error) => Check {
            name,
            ok: false,
            message: format!("{error:#}"),
        },
    };
    vec![
        check("authority", authority(config, now_ms)),
        check("web_certificate", web_certificate(config, now_ms)),
        check("disk", Ok(disk(config))),
        check("store", store(config).await),
    ]
}

/// Free space against the floor below which nothing is taken in.
fn disk(config: &Config) -> (bool, String) {
    let store = config.path(&config.store.dir);
    let folder = if store.exists() { &store } else { &config.dir };
    room(disk_free_bytes(folder) >> 20, config.store.free_mib_min)
}

fn room(free_mib: u64, min_mib: u64) -> (bool, String) {
    let stands = format!("{free_mib} MiB free, {min_mib} must be (store.free_mib_min)");
    if free_mib >= min_mib {
        (true, stands)
    } else {
        let message = format!(
            "{stands}: nothing is taken in, agents keep what they have; free some space, it goes on by itself"
        );
        (false, message)
    }
}

/// By the running server's own word; where none runs, whether the store opens to be read.
async fn store(config: &Config) -> anyhow::Result<(bool, String)> {
    let silent = |_| {
        anyhow::anyhow!(
            "the server runs and does not answer within {ASK_MAX:?}; see its log, restart it if that stays"
        )
    };
    let asked = tokio::time::timeout(ASK_MAX, async {
        let answer = unix(config.socket()).get("/admin/ready").await?;
        answer.whole(ANSWER_BYTES_MAX).await
    });
    match asked.await.map_err(silent)? {
        Ok(answer) => return Ok(readiness(&answer)),
        Err(ClientError::NotRunning { .. } | ClientError::Broken { .. }) => {}
        Err(error) => return Err(error.into()),
    }
    // A server that waits for its disk has no socket yet, and answers there.
    if let Some(answer) = by_ops(config).await
        && answer.status.as_u16() == 503
    {
        return Ok(readiness(&answer));
    }
    let config = config.clone();
    let read = tokio::task::spawn_blocking(move || read(&config)).await?;
    Ok(read)
}

fn readiness(answer: &Response) -> (bool, String) {
    if answer.status.is_success() {
        return (true, "the server runs and takes events in".into());
    }
    let why = answer
        .error()
        .map_or_else(|| answer.status.to_string(), |error| error.message);
    (
        false,
        format!("the server runs and takes nothing in: {why}"),
    )
}

/// What answers at the ops address of the settings.
async fn by_ops(config: &Config) -> Option<Response> {
    let addr = config.listen.ops;
    if addr.port() == 0 {
        return None;
    }
    let time = TlsTime::new(Arc::new(SystemClock), 0);
    let (tls, _) = tls::client_config(Trust::default(), None, time).ok()?;
    let limits = ClientLimits {
        connect: ASK_MAX,
        request: ASK_MAX,
        ..ClientLimits::default()
    };
    let url = format!("http://{}/readyz", reachable(addr));
    let asked = Client::new(tls, limits).get(&url, Default::default()).await;
    asked.ok()
}

/// Opens the store of a server that does not run, to read it.
fn read(config: &Config) -> (bool, String) {
    let dir = config.path(&config.store.dir);
    if !dir.exists() {
        let message = format!(
            "there is none in {}; mount its disk, correct store.dir, or put a backup back with `trenza-server restore`",
            dir.display()
        );
        return (false, message);
    }
    let options = RocksOptions {
        point_lookups: point_lookups(),
        prefixes: prefixes(),
        ..RocksOptions::default()
    };
    let opened = RocksStore::open_to_read(dir, options);
    match opened.and_then(|store| META.get(&store, &())) {
        Ok(_) => (
            true,
            "the server does not run; its store can be read".into(),
        ),
        Err(error) => {
            let message = format!("the server does not run, and its store cannot be read: {error}");
            (false, message)
        }
    }
}

fn authority(config: &Config, now_ms: i64) -> anyhow::Result<(bool, String)> {
    let validity = Validity::of(certs::authority(config)?.cert_der());
    let until_ms = validity.map_or(0, |validity| validity.expires_ms);
    let until = format_ms(until_ms);
    Ok(if now_ms <= until_ms {
        (true, format!("valid until {until}"))
    } else {
        let message = format!(
            "it ran out at {until}, or the clock of this machine is wrong; agents go on taking events in and cannot send them"
        );
        (false, message)
    })
}

fn web_certificate(config: &Config, now_ms: i64) -> anyhow::Result<(bool, String)> {
    let leaf = certs::web_leaf(config)?;
    let Some(standing) = Standing::of(&leaf, &certs::authority(config)?) else {
        anyhow::bail!("it cannot be read; put another one in its place");
    };
    if let Some(problem) = standing.problem(now_ms) {
        return Ok((false, problem));
    }
    let until = format_ms(standing.validity.expires_ms);
    let how = match (standing.own, standing.is_due(now_ms)) {
        (true, false) => "; the server makes it anew in time",
        (true, true) => {
            "; the server makes it anew within seconds while it runs, or at its next start"
        }
        (false, _) => ", your own: replace it in time, the server reads the new one by itself",
    };
    Ok((true, format!("valid until {until}{how}")))
}

#[cfg(test)]
mod tests {
    use trenza_shared::{
        clock::TestClock,
        net::{pki::Ca, serve::serve_unix},
    };

    use super::*;
    use crate::{
        admin::{Link, init::init},
        http,
    };

    const NOW: i64 = 1_768_472_430_456;
    const DAY_MS: i64 = 24 * 3_600_000;

    #[tokio::test]
    async fn it_says_how_long_certificates_last_and_what_to_do() {
        let home = tempfile::tempdir().unwrap();
        let dir = home.path().join("server");
        let made = init(&dir, "ES", "Europe/Madrid", &TestClock::at(NOW)).unwrap();
        let config = without_ops(&made.config);
        let said = async |days: i64| {
            let checks = examine(&config, NOW + days * DAY_MS).await;
            assert_eq!(checks.len(), 4);
            checks
                .into_iter()
                .map(|one| (one.ok, one.message))
                .collect::<Vec<_>>()
        };
        let [(true, authority), (true, web), ..] = &said(0).await[..] else {
            panic!("{:?}", said(0).await);
        };
        assert!(
            authority.contains("until 2046-01-1") && web.contains("until 2027-02-1"),
            "{authority} {web}"
        );
        assert!(said(300).await[1].1.contains("within seconds"));
        assert!(!said(8_000).await[0].0);
        let own = Ca::generate("Somebody", NOW)
            .unwrap()
            .issue_server(&["a.example".into()], &[], NOW, 90)
            .unwrap();
        std::fs::write(dir.join("web.pem"), &own.chain_pem).unwrap();
        assert!(!said(0).await[1].0, "the key does not fit");
        std::fs::write(dir.join("web.key.pem"), &own.key_pem).unwrap();
        assert!(said(0).await[1].0 && said(0).await[1].1.contains("your own"));
        assert!(!said(61).await[1].0 && said(61).await[1].1.contains("in 28 days"));
        std::fs::remove_file(dir.join("ca.pem")).unwrap();
        assert!(said(0).await[0].1.contains("ca.pem"));
    }

    fn without_ops(file: &std::path::Path) -> Config {
        let mut config = Config::load(file).unwrap();
        config.listen.ops.set_port(0);
        config
    }

    #[test]
    fn a_disk_below_the_floor_is_told_with_what_to_do() {
        assert!(room(256, 256).0);
        let (ok, message) = room(255, 256);
        assert!(
            !ok && message.contains("255 MiB free, 256 must be") && message.contains("free some")
        );
    }

    #[tokio::test]
    async fn a_store_is_judged_by_the_server_that_runs_or_by_opening_it() {
        let home = tempfile::tempdir().unwrap();
        let dir = home.path().join("server");
        let made = init(&dir, "ES", "Europe/Madrid", &TestClock::at(NOW)).unwrap();
        let config = without_ops(&made.config);
        let (ok, said) = store(&config).await.unwrap();
        assert!(ok && said.contains("does not run"), "{said}");

        let link = Link::open(config.clone()).await.unwrap();
        let Link::Own(own) = &link else {
            panic!("nothing else runs")
        };
        let app = own.running.app.clone();
        let (socket, routes) = (config.socket(), http::admin_routes(app.clone()));
        let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
        let serving = tokio::spawn(async move {
            let stopped = async { drop(stopped.await) };
            serve_unix(&socket, routes, stopped).await
        });
        let listens = async {
            while !config.socket().exists() {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(ASK_MAX, listens).await.unwrap();
        assert_eq!(
            store(&config).await.unwrap(),
            (true, "the server runs and takes events in".into())
        );
        app.room.closed(Some(trenza_shared::store::StoreError::Io {
            doing: "commit",
            detail: "Input/output error".into(),
        }));
        let (ok, said) = store(&config).await.unwrap();
        assert!(
            !ok && said.contains("takes nothing in") && said.contains("Input/output"),
            "{said}"
        );
        drop(stop);
        serving.await.unwrap().unwrap();
        drop(app);
        link.close().await;

        let table = dir.join("store/CURRENT");
        std::fs::write(&table, "nothing\n").unwrap();
        let (ok, said) = store(&config).await.unwrap();
        assert!(!ok && said.contains("cannot be read"), "{said}");
        std::fs::remove_dir_all(dir.join("store")).unwrap();
        let (ok, said) = store(&config).await.unwrap();
        assert!(!ok && said.contains("trenza-server restore"), "{said}");
        // Nor does it start empty.
        for folder in [false, true] {
            if folder {
                std::fs::create_dir(dir.join("store")).unwrap();
            }
            let error = crate::app::App::open(config.clone()).err().unwrap();
            assert!(error.to_string().contains("no store"), "{error}");
        }
    }
}
