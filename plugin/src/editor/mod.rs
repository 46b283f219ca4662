//! The editor.
use crate::link::Shared;
use crate::params::ContinuoParams;
use crate::responder::Status;
use parking_lot::Mutex;
use std::sync::Arc;
/// x
pub type ContinuoEditor = ();
/// x
#[must_use]
pub fn create(_: Arc<ContinuoParams>, _: Arc<Shared>, _: Arc<Mutex<Status>>) -> Option<ContinuoEditor> {
    None
}
