use std::path::Path;

use trenza_shared::clock::TestClock;

use super::*;
use crate::admin::init::init;

const NOW: i64 = 1_768_472_430_456;

struct Site {
    _home: tempfile::TempDir,
    config: Arc<Config>,
    ca: Arc<Ca>,
}

impl Site {
    fn new() -> Self {
        let home = tempfile::tempdir().unwrap();
        let dir = home.path().join("server");
        let made = init(&dir, "ES", "Europe/Madrid", &TestClock::at(NOW)).unwrap();
        let config = Arc::new(Config::load(&made.config).unwrap());
        let of = |which: fn(&Tls) -> &PathBuf| read(&config, which).unwrap();
        let ca = Ca::from_pem(&of(|tls| &tls.ca_cert), &of(|tls| &tls.ca_key)).unwrap();
        Self {
            _home: home,
            ca: Arc::new(ca),
            config,
        }
    }

    fn certs(&self, now_ms: i64) -> Certs {
        Certs::open(self.config.clone(), self.ca.clone(), now_ms).unwrap()
    }

    fn put(&self, which: fn(&Tls) -> &PathBuf, text: &str) {
        std::fs::write(self.config.path(which(&self.config.tls)), text).unwrap();
    }

    fn file(&self) -> Vec<u8> {
        let text = read(&self.config, |tls| &tls.web_cert).unwrap();
        pki::read_chain(&text).unwrap()[0].to_vec()
    }
}

fn served(certs: &Certs) -> [Vec<u8>; 2] {
    [&certs.web, &certs.agents].map(|cell| cell.leaf().unwrap().to_vec())
}

#[test]
fn own_certificates_are_made_anew_at_two_thirds_of_their_life_and_the_file_with_them() {
    let site = Site::new();
    let mut certs = site.certs(NOW);
    let first = served(&certs);
    assert_eq!(first[0], site.file());
    certs.look(NOW + 263 * DAY_MS);
    assert_eq!(served(&certs), first, "not before");
    let key = read(&site.config, |tls| &tls.web_key).unwrap();
    certs.look(NOW + 266 * DAY_MS);
    let second = served(&certs);
    assert!(second[0] != first[0] && second[1] != first[1]);
    assert_eq!(second[0], site.file());
    assert_eq!(read(&site.config, |tls| &tls.web_key).unwrap(), key);
    let standing = Standing::of(&second[0], &site.ca).unwrap();
    assert_eq!(standing.problem(NOW + 266 * DAY_MS), None);
    assert!(standing.own && standing.validity.expires_ms > NOW + 660 * DAY_MS);
    assert_eq!(
        pki::cert_names(&second[0]),
        pki::cert_names(&first[0]),
        "under the same names"
    );
    certs.look(NOW + 267 * DAY_MS);
    assert_eq!(served(&certs), second);
    assert_eq!(certs.said, None);
    // The next start takes it as it is; one years later, or with a clock that was set back, does not.
    assert_eq!(served(&site.certs(NOW + 268 * DAY_MS))[0], second[0]);
    assert_ne!(served(&site.certs(NOW + 4_000 * DAY_MS))[0], second[0]);
    assert_eq!(served(&site.certs(NOW))[0], site.file());
    assert!(Standing::of(&site.file(), &site.ca).is_some_and(|now| now.validity.is_good(NOW)));
}

#[test]
fn a_certificate_that_cannot_be_written_is_used_and_told_about_once() {
    let site = Site::new();
    let mut certs = site.certs(NOW);
    let (first, folder) = (served(&certs), site.config.path(Path::new("web.next")));
    std::fs::create_dir(&folder).unwrap();
    let later = NOW + 300 * DAY_MS;
    certs.look(later);
    let second = served(&certs);
    assert_ne!(second[0], first[0]);
    assert_eq!(site.file(), first[0]);
    assert!(
        certs
            .said
            .as_ref()
            .is_some_and(|said| said.contains("web.pem"))
    );
    certs.look(later + DAY_MS);
    assert_eq!(served(&certs), second, "not made at every look");
}

#[test]
fn an_administrators_own_is_read_when_it_changes_told_about_and_never_replaced() {
    let site = Site::new();
    let mut certs = site.certs(NOW);
    let [first, _] = served(&certs);
    let other = Ca::generate("Somebody", NOW).unwrap();
    let names = ["trenza.example.org".to_owned()];
    let own = other.issue_server(&names, &[], NOW, 90).unwrap();
    // Copied one after the other: between the two they do not fit, and what was there is served on.
    site.put(|tls| &tls.web_cert, &own.chain_pem);
    certs.look(NOW);
    assert_eq!(served(&certs)[0], first);
    assert!(
        certs
            .said
            .as_ref()
            .is_some_and(|said| said.contains("its key"))
    );
    site.put(|tls| &tls.web_key, &own.key_pem);
    certs.look(NOW);
    assert_eq!(
        (served(&certs)[0].as_slice(), &certs.said),
        (&*own.cert.der, &None)
    );
    for (days, word) in [(59, None), (61, Some("in 28 days")), (91, Some("ran out"))] {
        certs.look(NOW + days * DAY_MS);
        let said = certs.said.as_deref();
        assert_eq!(said.is_some(), word.is_some(), "{days}: {said:?}");
        assert!(
            said.is_none_or(|said| word.is_some_and(|word| said.contains(word))),
            "{said:?}"
        );
        assert_eq!(site.file(), &*own.cert.der, "never replaced");
    }
    let renewed = other.renew_server(&own.key_pem, &names, &[], NOW + 91 * DAY_MS, 90);
    let renewed = renewed.unwrap();
    site.put(|tls| &tls.web_cert, &renewed.chain_pem);
    certs.look(NOW + 91 * DAY_MS);
    assert_eq!(
        (served(&certs)[0].as_slice(), &certs.said),
        (&*renewed.cert.der, &None)
    );
    std::fs::remove_file(site.config.path(&site.config.tls.web_cert)).unwrap();
    certs.look(NOW + 92 * DAY_MS);
    assert_eq!(served(&certs)[0].as_slice(), &*renewed.cert.der);
    assert!(
        certs
            .said
            .as_ref()
            .is_some_and(|said| said.contains("cannot read"))
    );
}

#[test]
fn files_that_cannot_be_used_stop_no_start_and_a_pair_that_can_is_taken_over() {
    let other = Ca::generate("Somebody", NOW).unwrap();
    let stranger = other
        .issue_server(&["a.example".into()], &[], NOW, 90)
        .unwrap();
    let (cert, key) = ("web.pem", "web.key.pem");
    for (name, text, says) in [
        (cert, None, &["cannot read", "web.pem"][..]),
        (key, None, &["cannot read", "web.key.pem"]),
        (cert, Some(""), &["web.pem cannot be used"]),
        (key, Some("no key"), &["web.key.pem cannot be used"]),
        (
            cert,
            Some(stranger.chain_pem.as_str()),
            &["web.pem", "do not fit"],
        ),
    ] {
        let site = Site::new();
        let path = site.config.path(Path::new(name));
        let (good, made) = (std::fs::read(&path).unwrap(), site.file());
        match text {
            Some(text) => std::fs::write(&path, text).unwrap(),
            None => std::fs::remove_file(&path).unwrap(),
        }
        let mut certs = site.certs(NOW);
        let [stands_in, _] = served(&certs);
        assert!(pki::is_issued_by(site.ca.cert_der(), &stands_in));
        assert_eq!(pki::cert_names(&stands_in), pki::cert_names(&made));
        let said = certs.said.clone().unwrap_or_default();
        assert!(says.iter().all(|word| said.contains(word)), "{said}");
        assert!(said.contains("takes them by itself"), "{said}");
        let doctor = web_leaf(&site.config).unwrap_err();
        assert_eq!(format!("{doctor:#}"), said, "the doctor says the same");
        certs.look(NOW + DAY_MS);
        assert_eq!(served(&certs)[0], stands_in);
        certs.look(NOW + 300 * DAY_MS);
        assert_ne!(served(&certs)[0], stands_in, "it is made anew in time too");
        assert_eq!(
            std::fs::read_to_string(&path).ok().as_deref(),
            text,
            "nothing is written"
        );
        std::fs::write(&path, good).unwrap();
        certs.look(NOW + DAY_MS);
        assert_eq!((&served(&certs)[0], &certs.said), (&made, &None));
    }
}
