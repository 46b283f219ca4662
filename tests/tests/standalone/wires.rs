//! Two JACK clients: one plays into the standalone, one hears what comes out of it.
//! One client would do both a period late, JACK having to cut the circle.

use anyhow::{Context, Result, bail};
use continuo_tests::message::Message;
use jack::{
    AsyncClient, Client, ClientOptions, Control, MidiIn, MidiOut, NotificationHandler, Port, ProcessHandler,
    ProcessScope, RawMidi, TransportState,
};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, Instant};

/// Where the transport stands as a period begins, while it rolls.
fn position(client: &Client) -> Option<u64> {
    let now = client.transport().query().ok()?;
    (now.state == TransportState::Rolling).then(|| u64::from(now.pos.frame()))
}

/// Plays what it is given when the transport gets there.
struct Player {
    port: Port<MidiOut>,
    given: Receiver<Vec<(u64, Message)>>,
    phrase: Vec<(u64, Message)>,
}

impl ProcessHandler for Player {
    fn process(&mut self, client: &Client, scope: &ProcessScope) -> Control {
        if let Ok(phrase) = self.given.try_recv() {
            self.phrase = phrase;
        }
        let mut writer = self.port.writer(scope);
        let Some(from) = position(client) else { return Control::Continue };
        let to = from + u64::from(scope.n_frames());
        for &(at, message) in self.phrase.iter().filter(|&&(at, _)| (from..to).contains(&at)) {
            let time = u32::try_from(at - from).unwrap_or(0);
            // What does not get through is missed by the listener.
            let _ = writer.write(&RawMidi { time, bytes: &message.to_midi() });
        }
        Control::Continue
    }
}

/// Tells what it hears, with the transport's samples.
struct Listener {
    port: Port<MidiIn>,
    heard: Sender<(u64, Message)>,
}

impl ProcessHandler for Listener {
    fn process(&mut self, client: &Client, scope: &ProcessScope) -> Control {
        let Some(from) = position(client) else { return Control::Continue };
        for event in self.port.iter(scope) {
            let mut bytes = [0; 3];
            for (to, from) in bytes.iter_mut().zip(event.bytes) {
                *to = *from;
            }
            let _ = self.heard.send((from + u64::from(event.time), Message::from_midi(bytes)));
        }
        Control::Continue
    }
}

/// Notes that the server ran short of time.
struct Shortage(Arc<AtomicBool>);

impl NotificationHandler for Shortage {
    fn xrun(&mut self, _client: &Client) -> Control {
        self.0.store(true, Ordering::Release);
        Control::Continue
    }
}

/// Both clients, running.
pub(crate) struct Wires {
    player: AsyncClient<(), Player>,
    _listener: AsyncClient<Shortage, Listener>,
    short: Arc<AtomicBool>,
    phrase: Sender<Vec<(u64, Message)>>,
    coming: Receiver<(u64, Message)>,
    heard: Vec<(u64, Message)>,
}

impl Wires {
    pub(crate) fn new() -> Result<Self> {
        let client = |name| Client::new(name, ClientOptions::NO_START_SERVER);
        let ((player, _), (listener, _)) = (client("player")?, client("listener")?);
        let (phrase, given) = channel();
        let (heard, coming) = channel();
        let port = player.register_port("out", MidiOut::default())?;
        let player = player.activate_async((), Player { port, given, phrase: Vec::new() })?;
        let port = listener.register_port("in", MidiIn::default())?;
        let short = Arc::new(AtomicBool::new(false));
        let notes = Shortage(Arc::clone(&short));
        let listener = listener.activate_async(notes, Listener { port, heard })?;
        Ok(Self { player, _listener: listener, short, phrase, coming, heard: Vec::new() })
    }

    /// Connects the standalone's ports with these.
    pub(crate) fn connect(&mut self) -> Result<()> {
        let client = self.player.as_client();
        for (from, to) in [("player:out", "continuo:midi_input"), ("continuo:midi_output", "listener:in")] {
            match client.connect_ports_by_name(from, to) {
                Ok(()) | Err(jack::Error::PortAlreadyConnected(..)) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    /// Rolls the transport from the beginning, and plays.
    pub(crate) fn roll(&mut self, phrase: &[(u64, Message)]) -> Result<()> {
        self.short.store(false, Ordering::Release);
        self.phrase.send(phrase.to_vec()).context("the player is gone")?;
        let transport = self.player.as_client().transport();
        transport.locate(0)?;
        Ok(transport.start()?)
    }

    /// Whether the server ran short of time since the transport began.
    pub(crate) fn was_disturbed(&self) -> bool {
        self.short.load(Ordering::Acquire)
    }

    /// Listens until `done` says so of everything heard so far.
    pub(crate) fn listen(
        &mut self,
        patience: Duration,
        mut done: impl FnMut(&[(u64, Message)]) -> bool,
    ) -> Result<Vec<(u64, Message)>> {
        let start = Instant::now();
        while !done(&self.heard) {
            let Ok(heard) = self.coming.recv_timeout(patience.saturating_sub(start.elapsed())) else {
                bail!("nothing more was heard than {:?}", self.heard);
            };
            self.heard.push(heard);
        }
        Ok(self.heard.clone())
    }
}
