//! Talking to the hub. Everything here waits for the network: never call it on the audio
//! thread, nor on a thread that draws.
//!
//! - `listing`: what a repository holds; `choose`: what of it is wanted.
//! - `pull`: from there to here, and on from where it stopped.
//! - `push`: from here to there.

mod choose;
mod listing;
mod pull;
mod push;

use std::pin::pin;
use std::time::{Duration, Instant};

use hf_hub::repository::RepoTypeAny;
use hf_hub::{HFClient, HFError, HFRepository};

use crate::error::{Doing, HubError};
use crate::name::{Kind, RepoName};

pub use pull::Pulled;
pub use push::Pushed;

/// How often a wish to stop is looked for.
const TICK: Duration = Duration::from_millis(100);
/// The hub has gone when nothing comes for so long.
const SILENCE: Duration = Duration::from_secs(60);

/// How far it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// The file that is on its way.
    pub file: String,
    /// Bytes that are across, of all files.
    pub done: u64,
    /// Bytes that all files have.
    pub total: u64,
}

/// Looks on, and may stop it.
pub trait Watch: Sync {
    /// Some more has come or gone.
    fn progress(&self, progress: &Progress);
    /// Whether to stop. Asked ten times a second.
    fn is_cancelled(&self) -> bool;
}

/// The Hugging Face Hub, or what `HF_ENDPOINT` names in its place.
///
/// The token is taken from where everybody has it: `HF_TOKEN`, or the file that
/// `hf auth login` writes.
pub struct Hub {
    client: HFClient,
    runtime: tokio::runtime::Runtime,
}

impl Hub {
    /// The hub that the environment names.
    ///
    /// # Errors
    /// Where its address is none.
    pub fn from_environment() -> Result<Self, HubError> {
        Self::build(HFClient::builder())
    }

    /// A hub at an address, for who has a token (an empty one asks as nobody).
    ///
    /// # Errors
    /// Where the address is none.
    pub fn at(endpoint: &str, token: &str) -> Result<Self, HubError> {
        Self::build(HFClient::builder().endpoint(endpoint).token(token).retry_max_attempts(1))
    }

    fn build(client: hf_hub::HFClientBuilder) -> Result<Self, HubError> {
        let client = client.user_agent(concat!("continuo/", env!("CARGO_PKG_VERSION"))).build().map_err(|error| {
            HubError::Other(format!("{error}; correct or unset the variable HF_ENDPOINT, an address such as https://huggingface.co"))
        })?;
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|error| HubError::Other(format!("no network from here ({error})")))?;
        Ok(Self { client, runtime })
    }

    /// Where it is.
    #[must_use]
    pub fn endpoint(&self) -> &str {
        self.client.endpoint()
    }

    fn repository(&self, kind: Kind, name: &RepoName) -> HFRepository<RepoTypeAny> {
        let kind = match kind {
            Kind::Model => RepoTypeAny::Model,
            Kind::Dataset => RepoTypeAny::Dataset,
        };
        HFRepository::new(self.client.clone(), kind, name.owner(), name.name())
    }

    fn doing<'a>(&'a self, kind: Kind, name: &'a RepoName, what: &'static str) -> Doing<'a> {
        Doing { endpoint: self.endpoint(), kind, name, what }
    }
}

/// Waits for the hub, but neither longer than it has anything to say nor longer than the
/// user wants to.
async fn patiently<T>(
    work: impl Future<Output = Result<T, HFError>>,
    doing: &Doing<'_>,
    watch: &dyn Watch,
) -> Result<T, HubError> {
    let mut work = pin!(work);
    let begin = Instant::now();
    loop {
        match tokio::time::timeout(TICK, &mut work).await {
            Ok(outcome) => return outcome.map_err(|error| doing.failed(error)),
            Err(_) if watch.is_cancelled() => return Err(HubError::Cancelled),
            Err(_) if begin.elapsed() > SILENCE => return Err(doing.down("has gone silent", "")),
            Err(_) => {}
        }
    }
}
