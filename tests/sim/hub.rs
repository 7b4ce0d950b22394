//! The server of a simulation: the real routes over a simulated disk.

use std::{collections::BTreeMap, net::SocketAddr, path::Path, sync::Arc};

use axum::body::Body;
use bytes::Bytes;
use http::Request;
use http_body_util::BodyExt as _;
use tower::ServiceExt as _;
use trenza_agent::config::files;
use trenza_server::{
    app::App,
    config::Config,
    sync::{chain, segments},
    tables::{AgentRow, AgentState, CERTS, CertRow, EVENTS, Hop, LOG, META, MetaRow, SourceRow},
};
use trenza_shared::{
    clock::TestClock,
    id::{AgentId, Epoch, EventId, Lane, Seq},
    identity::Decisions,
    net::{
        client::Response,
        pki::{Ca, DeviceKey, Owner},
        serve::Peer,
    },
    store::{Batch, Durable, Fault, FaultyStore, Overlay, Store as _},
    wire::dropped::Dropped,
};

use crate::edge::{WRITE_KEY, report, text};

/// Records applied to the evidence at once.
const PAGE: usize = 64;

/// Every entry on the server: where it stands in its lane, and the text of an event.
pub type Held = BTreeMap<(AgentId, Epoch, Lane, Seq), Option<String>>;

/// The server.
pub struct Hub {
    /// Its disk.
    pub disk: Arc<FaultyStore>,
    /// Its clock.
    pub clock: Arc<TestClock>,
    config: Config,
    /// Its disk before any agent was enrolled.
    pub blank: FaultyStore,
    runtime: tokio::runtime::Runtime,
    up: Option<(App, axum::Router)>,
}

/// Agents that a simulated server knows from the first.
pub const AGENTS: u8 = 3;

/// Settings and certificates of all simulated servers and devices of this process.
pub struct Site {
    dir: tempfile::TempDir,
    agents: Vec<(AgentId, [u8; 32])>,
}

impl Site {
    /// Writes them.
    ///
    /// # Errors
    /// The temporary folder cannot be written.
    pub fn new() -> anyhow::Result<Self> {
        let dir = tempfile::tempdir()?;
        let ca = Ca::generate("Simulation", crate::START_MS)?;
        let config = Config::default();
        std::fs::write(dir.path().join(config.tls.ca_cert), ca.cert_pem())?;
        std::fs::write(dir.path().join(config.tls.ca_key), ca.key_pem())?;
        let mut agents = Vec::new();
        for number in 0..AGENTS {
            let (key, agent) = (DeviceKey::generate()?, AgentId([number + 1; 16]));
            let cert = ca.sign_agent(&key.csr_pem()?, agent, crate::START_MS, 365)?;
            let folder = dir.path().join(format!("agent-{number}"));
            std::fs::create_dir(&folder)?;
            std::fs::write(folder.join(files::KEY), key.to_pem())?;
            std::fs::write(folder.join(files::CERT), cert.pem)?;
            std::fs::write(folder.join(files::CA), ca.cert_pem())?;
            agents.push((agent, cert.fingerprint));
        }
        Ok(Self { dir, agents })
    }

    /// A new folder with the credentials of one agent.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn folder(&self, number: usize) -> anyhow::Result<tempfile::TempDir> {
        self.copy(&self.dir.path().join(format!("agent-{number}")))
    }

    /// A copy of such a folder.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn copy(&self, folder: &Path) -> anyhow::Result<tempfile::TempDir> {
        let copy = tempfile::tempdir_in(self.dir.path())?;
        for file in std::fs::read_dir(folder)? {
            let file = file?;
            std::fs::copy(file.path(), copy.path().join(file.file_name()))?;
        }
        Ok(copy)
    }
}

impl Hub {
    /// A running server that knows the agents of the site.
    ///
    /// # Errors
    /// It does not start.
    pub fn new(site: &Site, clock: Arc<TestClock>) -> anyhow::Result<Self> {
        let mut config = Config {
            dir: site.dir.path().to_path_buf(),
            ..Config::default()
        };
        config.identity.id_key = trenza_shared::id::to_hex(&[7; 32]);
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()?;
        let mut hub = Self {
            disk: Arc::new(FaultyStore::new(0, Fault::Refused)),
            clock,
            config,
            blank: FaultyStore::new(0, Fault::Refused),
            runtime,
            up: None,
        };
        hub.start()?;
        let Some((app, _)) = &hub.up else {
            anyhow::bail!("the server is not up");
        };
        hub.blank = hub.disk.image();
        let source = SourceRow {
            name: "Fair".into(),
            origins: Vec::new(),
            namespace: String::new(),
            country: "ES".into(),
            zone: "Europe/Madrid".into(),
            priority: 100,
            revoked: false,
        };
        app.registry.put_source(WRITE_KEY, &source)?;
        for (agent, peer) in &site.agents {
            let row = AgentRow {
                touchpoint: "Stand".into(),
                country: "ES".into(),
                zone: "Europe/Madrid".into(),
                venue: String::new(),
                copy_of: None,
                write_key: WRITE_KEY.into(),
                enrolled_ms: crate::START_MS,
                state: AgentState::Active,
            };
            let cert = CertRow {
                agent: *agent,
                not_after_ms: i64::MAX,
            };
            let mut batch = Batch::new();
            CERTS.put(&mut batch, peer, &cert)?;
            app.registry.put_agent(agent, &row, batch)?;
        }
        Ok(hub)
    }

    /// Starts it over its disk.
    ///
    /// # Errors
    /// It does not start.
    pub fn start(&mut self) -> anyhow::Result<()> {
        self.up = None;
        let _context = self.runtime.enter();
        let app = App::still(self.config.clone(), self.disk.clone(), self.clock.clone())?;
        let routes = trenza_server::http::agent_routes(app.clone());
        self.up = Some((app, routes));
        Ok(())
    }

    /// It is gone, wherever it was.
    pub fn stop(&mut self) {
        self.up = None;
    }

    /// Whether it runs.
    pub fn is_up(&self) -> bool {
        self.up.is_some()
    }

    /// Which of its histories this is.
    pub fn generation(&self) -> u64 {
        self.up.as_ref().map_or(0, |(app, _)| app.generation)
    }

    /// Does what a request asks; none when the server is down, or dies before it answers.
    ///
    /// # Errors
    /// The answer cannot be read, which no server may cause.
    pub fn handle(
        &mut self,
        peer: [u8; 32],
        owner: Arc<Owner>,
        request: Request<Bytes>,
    ) -> anyhow::Result<Option<Response>> {
        let Some((_, routes)) = &self.up else {
            return Ok(None);
        };
        let mut request = request.map(Body::from);
        request.extensions_mut().insert(Peer {
            addr: SocketAddr::from(([127, 0, 0, 1], 1)),
            tls: true,
            client_cert: Some(peer),
            client_cert_expires_ms: Some(i64::MAX),
            client_owner: Some(owner),
        });
        let routes = routes.clone();
        let answer = self.runtime.block_on(async move {
            let answer = routes.oneshot(request).await?;
            let (head, body) = answer.into_parts();
            anyhow::Ok(Response {
                status: head.status,
                headers: head.headers,
                body: body.collect().await?.to_bytes(),
            })
        })?;
        if self.disk.is_dead() {
            self.stop();
            return Ok(None);
        }
        Ok(Some(answer))
    }

    /// Puts another state of the disk in place of the present one, as `restore` does: under a new generation.
    ///
    /// # Errors
    /// The disk fails.
    pub fn restore(&mut self, image: &FaultyStore) -> anyhow::Result<()> {
        let generation = META
            .get(&*self.disk, &())?
            .map_or(0, |meta| meta.generation)
            + 1;
        self.disk = Arc::new(image.image());
        let mut batch = Batch::new();
        META.put(&mut batch, &(), &MetaRow { generation })?;
        self.disk.commit(batch, Durable::Yes)?;
        self.start()
    }

    /// All that it holds of agents; a number that stands there twice is an error.
    ///
    /// # Errors
    /// The disk fails, a record is damaged, or a number stands there twice.
    pub fn held(&self) -> anyhow::Result<Held> {
        let mut held = Held::new();
        for row in LOG.rows(&*self.disk) {
            let (number, record) = row?;
            let Hop::Agent {
                agent,
                epoch,
                lane,
                first,
            } = record.hop
            else {
                continue;
            };
            for (entry, seq) in record.run.unpack()?.iter().zip(first..) {
                let before = held.insert((agent, epoch, lane, seq), text(entry)?);
                anyhow::ensure!(
                    before.is_none(),
                    "record {number}: {agent} epoch {epoch} {lane:?} {seq} is stored twice"
                );
            }
        }
        Ok(held)
    }

    /// What agents told it that they gave up.
    ///
    /// # Errors
    /// The disk fails, or a record is damaged.
    pub fn reports(&self) -> anyhow::Result<Vec<Dropped>> {
        let mut reports = Vec::new();
        for row in LOG.rows(&*self.disk) {
            for entry in row?.1.run.unpack()? {
                reports.extend(report(&entry)?);
            }
        }
        Ok(reports)
    }

    /// The last number of a lane that is stored, gaps or not, of whichever agent: a copy of an agent counts what was stored under
    /// the id that it had.
    ///
    /// # Errors
    /// The disk fails.
    pub fn lane_last(&self, epoch: Epoch, lane: Lane) -> anyhow::Result<Seq> {
        let mut greatest = 0;
        for row in segments::all(&*self.disk) {
            let ((_, of, at), row) = row?;
            if (of, at) == (epoch, lane) {
                greatest = greatest.max(row.segments.last().map_or(0, |segment| segment.last));
            }
        }
        Ok(greatest)
    }

    /// Checks every link of every lane, and that each lane is what its row says.
    ///
    /// # Errors
    /// What is wrong, and where.
    pub fn verify_chains(&self, held: &Held) -> anyhow::Result<()> {
        let mut counted = 0;
        for row in segments::all(&*self.disk) {
            let (key, lane) = row?;
            for segment in &lane.segments {
                let links = chain::stored(&*self.disk, key, segment.first, segment.last)?;
                counted += links.len();
                anyhow::ensure!(
                    links.len() as u64 == segment.last - segment.first + 1
                        && links.get(&segment.last) == Some(&segment.head),
                    "{key:?}: {segment:?} does not verify"
                );
            }
        }
        anyhow::ensure!(
            counted == held.len(),
            "{counted} linked entries, {} stored",
            held.len()
        );
        Ok(())
    }

    /// Applies the whole log to empty derived tables: every event, and how often it came again.
    ///
    /// # Errors
    /// The disk fails, or the log cannot be applied.
    pub fn evidence(&self) -> anyhow::Result<BTreeMap<EventId, u64>> {
        let Some((app, _)) = &self.up else {
            anyhow::bail!("the server is not up");
        };
        let mut tables = Overlay::new(&*self.disk);
        let records: Vec<_> = LOG.rows(&*self.disk).collect::<Result<_, _>>()?;
        for page in records.chunks(PAGE) {
            app.applier
                .apply(&mut tables, &Decisions::default(), page)?;
        }
        EVENTS
            .rows(&tables)
            .map(|row| {
                let (id, row) = row?;
                Ok((id, u64::from(row.duplicates) + 1))
            })
            .collect()
    }
}
