//! What any server costs that does the same with nothing on top: a bare HTTP server that appends each body to one file and
//! answers after `fdatasync`, concurrent requests sharing one. Every figure of capture stands beside it.

use std::{
    fs::File,
    io::{self, Write as _},
    net::SocketAddr,
    path::Path,
    process::{Child, Command, Stdio},
};

use anyhow::Context as _;
use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use trenza_shared::group_commit::{Committer, GroupCommit};

/// The argument by which this very program becomes the baseline.
pub const ARGUMENT: &str = "baseline";

struct Appender(File);

impl Committer for Appender {
    type Item = Bytes;
    type Done = ();
    type Error = String;

    fn commit(&mut self, bodies: Vec<Bytes>) -> Vec<Result<(), String>> {
        let written = self
            .0
            .write_all(&bodies.concat())
            .and_then(|()| self.0.sync_data())
            .map_err(|error| error.to_string());
        bodies.iter().map(|_| written.clone()).collect()
    }
}

/// Serves until it is killed; prints its address.
///
/// # Errors
/// No port or no file.
pub async fn serve(file: &Path) -> anyhow::Result<()> {
    let (commits, _thread) = GroupCommit::start("baseline", Appender(File::create(file)?))?;
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    println!("{}", listener.local_addr()?);
    loop {
        let (stream, _) = listener.accept().await?;
        tokio::spawn(connection(stream, commits.clone()));
    }
}

async fn connection(stream: TcpStream, commits: GroupCommit<Appender>) -> anyhow::Result<()> {
    stream.set_nodelay(true)?;
    let service = service_fn(move |request: Request<Incoming>| {
        let commits = commits.clone();
        async move {
            let body = request
                .into_body()
                .collect()
                .await
                .map_err(io::Error::other)?
                .to_bytes();
            let bytes = body.len();
            let status = match commits.submit(body, bytes).await {
                Ok(()) => StatusCode::OK,
                Err(_) => StatusCode::SERVICE_UNAVAILABLE,
            };
            let answer = Full::new(Bytes::from_static(br#"{"success":true}"#));
            let mut response = Response::new(answer);
            *response.status_mut() = status;
            Ok::<_, io::Error>(response)
        }
    });
    http1::Builder::new()
        .serve_connection(TokioIo::new(stream), service)
        .await?;
    Ok(())
}

/// The baseline as a process of its own.
pub struct Baseline {
    child: Child,
    /// Where it listens.
    pub url: String,
}

impl Baseline {
    /// Starts it over a new file.
    ///
    /// # Errors
    /// It did not come up.
    pub fn start(file: &Path) -> anyhow::Result<Self> {
        let mut child = Command::new(std::env::current_exe()?)
            .arg(ARGUMENT)
            .arg(file)
            .stdout(Stdio::piped())
            .spawn()?;
        let mut line = String::new();
        let stdout = child.stdout.take().context("stdout is piped")?;
        io::BufRead::read_line(&mut io::BufReader::new(stdout), &mut line)?;
        let addr: SocketAddr = line.trim().parse().context("the baseline's address")?;
        Ok(Self {
            child,
            url: format!("http://{addr}"),
        })
    }

    /// Its process.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Baseline {
    fn drop(&mut self) {
        let _gone = self.child.kill().and_then(|()| self.child.wait());
    }
}
