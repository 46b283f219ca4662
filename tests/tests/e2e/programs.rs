//! Program changes go through, too. VST3 has no way in for them.

use crate::scene::{at, bundle};
use crate::through::passed;
use continuo_tests::host::Settings;
use continuo_tests::message::Message;

#[test]
fn program_changes_pass() {
    let mut host = bundle().host(Settings::default(), at(120.0)).unwrap();
    let sent: Vec<_> = (0..16u8).map(|c| (u64::from(c) * 100, Message::program(c, 100 + c))).collect();
    sent.iter().for_each(|&(clock, message)| host.send(clock, message));
    host.run(4800).unwrap();
    assert_eq!(passed(&host), sent);
}
