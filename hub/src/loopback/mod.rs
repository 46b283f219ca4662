//! A small hub on this machine that speaks the protocol of the real one as far as models and
//! data sets are pulled and pushed: repository info, the paged file tree, `resolve` with
//! ranges, making repositories, `preupload`, and commits. It keeps everything in memory, and
//! can be told to misbehave. For tests only.
//!
//! - `http`: requests and responses.
//! - `repos`: what it holds, and what it answers.

mod http;
mod repos;

use std::collections::BTreeMap;
use std::io::{self, BufReader, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use http::{Request, Response};
use repos::Repo;

/// The token that may read and write everything.
pub const TOKEN: &str = "hf_loopback";

/// How a hub misbehaves with the contents of files.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Fault {
    /// Not at all.
    #[default]
    None,
    /// It breaks the connection after so many bytes of each answer.
    Cut(usize),
    /// It sends so many bytes of each answer, and then nothing more until the fault changes.
    Stall(usize),
    /// It answers with this status.
    Status(u16),
    /// It sends something else than it promised.
    Damage,
    /// It sends the whole file whatever part was asked for.
    Whole,
}

/// What all connections share.
struct Inner {
    repos: Mutex<BTreeMap<String, Repo>>,
    fault: Mutex<Fault>,
    changed: Condvar,
    /// Bytes of files that were sent.
    sent: Mutex<usize>,
    ended: AtomicBool,
}

/// A running hub; it ends when this is dropped.
pub struct Loopback {
    inner: Arc<Inner>,
    address: SocketAddr,
    thread: Option<JoinHandle<()>>,
}

impl Loopback {
    /// Starts one on a free port.
    ///
    /// # Errors
    /// Where this machine lets nobody listen.
    pub fn start() -> io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let address = listener.local_addr()?;
        let inner = Arc::new(Inner {
            repos: Mutex::default(),
            fault: Mutex::default(),
            changed: Condvar::new(),
            sent: Mutex::default(),
            ended: AtomicBool::new(false),
        });
        let shared = Arc::clone(&inner);
        let thread = std::thread::spawn(move || serve(&listener, &shared));
        Ok(Self { inner, address, thread: Some(thread) })
    }

    /// Its address, for `HF_ENDPOINT`.
    #[must_use]
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Puts files into a repository, as a new commit; `key` is `models/owner/name` or
    /// `datasets/owner/name`.
    pub fn put(&self, key: &str, files: &[(&str, &[u8])]) {
        let mut repos = lock(&self.inner.repos);
        repos
            .entry(key.to_owned())
            .or_default()
            .commit(files.iter().map(|(path, bytes)| (*path, bytes.to_vec())));
    }

    /// Makes a repository private: only who has [`TOKEN`] sees it.
    pub fn hide(&self, key: &str) {
        lock(&self.inner.repos).entry(key.to_owned()).or_default().private = true;
    }

    /// Whether a repository is private; `None` where there is none.
    #[must_use]
    pub fn is_private(&self, key: &str) -> Option<bool> {
        Some(lock(&self.inner.repos).get(key)?.private)
    }

    /// The names of a repository's files.
    #[must_use]
    pub fn files(&self, key: &str) -> Vec<String> {
        lock(&self.inner.repos).get(key).map_or_else(Vec::new, |repo| repo.files().keys().cloned().collect())
    }

    /// From here on it misbehaves like this.
    pub fn misbehave(&self, fault: Fault) {
        *lock(&self.inner.fault) = fault;
        self.inner.changed.notify_all();
    }

    /// How many bytes of files it has sent.
    #[must_use]
    pub fn sent(&self) -> usize {
        *lock(&self.inner.sent)
    }
}

impl Drop for Loopback {
    fn drop(&mut self) {
        self.inner.ended.store(true, Ordering::SeqCst);
        self.misbehave(Fault::None);
        // Wakes the listener.
        let _ = TcpStream::connect(self.address);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn serve(listener: &TcpListener, inner: &Arc<Inner>) {
    for stream in listener.incoming() {
        if inner.ended.load(Ordering::SeqCst) {
            return;
        }
        let inner = Arc::clone(inner);
        if let Ok(stream) = stream {
            std::thread::spawn(move || talk(&stream, &inner));
        }
    }
}

/// One connection; whatever goes wrong with it ends it.
fn talk(stream: &TcpStream, inner: &Inner) -> Option<()> {
    let mut reader = BufReader::new(stream);
    let mut out = stream;
    loop {
        let request = http::read(&mut reader)?;
        let fault = lock(&inner.fault).clone();
        let response = repos::answer(&mut lock(&inner.repos), &request, &fault);
        out.write_all(&response.head()).ok()?;
        send(out, &request, &response, inner, &fault).ok()?;
    }
}

/// Sends an answer's body, or what a fault makes of it.
fn send(
    mut out: &TcpStream,
    request: &Request,
    response: &Response,
    inner: &Inner,
    fault: &Fault,
) -> io::Result<()> {
    if request.method == "HEAD" {
        return Ok(());
    }
    let body = &response.body;
    let part = match fault {
        Fault::Cut(bytes) | Fault::Stall(bytes) if response.is_content => *bytes,
        _ => usize::MAX,
    };
    let first = &body[..part.min(body.len())];
    if response.is_content {
        *lock(&inner.sent) += first.len();
    }
    out.write_all(first)?;
    out.flush()?;
    if first.len() == body.len() {
        return Ok(());
    }
    if matches!(fault, Fault::Stall(_)) {
        let mut now = lock(&inner.fault);
        while *now == *fault {
            now = inner.changed.wait(now).unwrap_or_else(PoisonError::into_inner);
        }
    }
    Err(io::ErrorKind::ConnectionAborted.into())
}
