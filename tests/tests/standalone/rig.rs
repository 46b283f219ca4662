//! A screen, a JACK server and the standalone, all of this test's own, and gone with it.

use crate::wires::Wires;
use anyhow::{Context, Result, bail};
use continuo_tests::message::Message;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// Debian's packages, and the programs of theirs that this needs.
pub(crate) const NEEDED: [(&str, &str); 3] = [("jackd2", "jackd"), ("xvfb", "Xvfb"), ("xdotool", "xdotool")];

/// How long anything may take to begin.
const PATIENCE: Duration = Duration::from_secs(20);

/// A program that ends with its guard.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        // Asked to, not killed: a JACK server that cannot clean up counts as one of the
        // eight that a system can have.
        let _ = Command::new("kill").arg(self.0.id().to_string()).status();
        let asked = Instant::now();
        while asked.elapsed() < Duration::from_secs(3) {
            if !matches!(self.0.try_wait(), Ok(None)) {
                return;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Everything that runs. The server goes first, and tells its clients: after one that
/// went without a word it would take long to find out.
pub(crate) struct Rig {
    _server: Running,
    wires: Wires,
    _standalone: Running,
    _screen: Running,
    display: String,
    _home: TempDir,
}

impl Rig {
    pub(crate) fn start(program: &Path) -> Result<Self> {
        let home = tempfile::Builder::new().prefix("continuo-jack-").tempdir()?;
        let (screen, display) = screen()?;
        let name = format!("continuo-{}", std::process::id());
        let server = server(&name)?;
        // SAFETY: this program has one test and one thread that cares; JACK's library,
        // which has no other way to be told, reads it when a client opens.
        unsafe { std::env::set_var("JACK_DEFAULT_SERVER", &name) };
        let mut wires = retried("the JACK server", Wires::new)?;
        let standalone = standalone(program, &display, home.path())?;
        retried("the standalone's ports", || wires.connect())?;
        Ok(Self { wires, _standalone: standalone, _server: server, _screen: screen, display, _home: home })
    }

    /// Rolls the transport from the beginning, and plays.
    pub(crate) fn roll(&mut self, phrase: &[(u64, Message)]) -> Result<()> {
        self.wires.roll(phrase)
    }

    /// Listens until `done` says so of everything heard since the transport began.
    pub(crate) fn listen(
        &mut self,
        done: impl FnMut(&[(u64, Message)]) -> bool,
    ) -> Result<Vec<(u64, Message)>> {
        self.wires.listen(PATIENCE, done)
    }

    /// Whether the server ran short of time so far: then it has left out periods, and
    /// what was to be heard in them.
    pub(crate) fn was_disturbed(&self) -> bool {
        self.wires.was_disturbed()
    }

    /// Presses the key that asks for an answer, in the standalone's window.
    pub(crate) fn press_space(&self) -> Result<()> {
        let mut command = Command::new("xdotool");
        command.args(["search", "--sync", "--onlyvisible", "--name", "^Continuo$"]);
        command.args(["windowfocus", "--sync", "key", "space"]);
        let status = command.env("DISPLAY", &self.display).status()?;
        if status.success() { Ok(()) } else { bail!("xdotool finds no window to press a key in") }
    }
}

/// A screen that nobody sees, on the first number that is free.
fn screen() -> Result<(Running, String)> {
    let mut command = Command::new("Xvfb");
    command.args(["-displayfd", "1", "-screen", "0", "1280x1024x24", "-nolisten", "tcp"]);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn()?;
    let output = child.stdout.take().context("Xvfb has an output")?;
    let screen = Running(child);
    let mut number = String::new();
    BufReader::new(output).read_line(&mut number)?;
    if number.trim().is_empty() {
        bail!("Xvfb does not start");
    }
    Ok((screen, format!(":{}", number.trim())))
}

/// A server that plays to nobody and needs no rights.
fn server(name: &str) -> Result<Running> {
    let mut command = Command::new("jackd");
    // Not in real time (`-r`); what follows the driver's name is the driver's.
    command.args(["-n", name, "-r", "-d", "dummy", "-r", "48000", "-p", "2048"]);
    Ok(Running(command.stdout(Stdio::null()).stderr(Stdio::null()).spawn()?))
}

/// The standalone, once its model is there.
fn standalone(program: &Path, display: &str, home: &Path) -> Result<Running> {
    let mut command = Command::new(program);
    command.args(["--backend", "jack", "--tempo", &crate::BPM.to_string()]);
    for variable in ["XDG_CONFIG_HOME", "XDG_CACHE_HOME", "XDG_DATA_HOME", "CONTINUO_MODEL"] {
        command.env_remove(variable);
    }
    command.env("HOME", home).env("DISPLAY", display).stderr(Stdio::piped());
    let mut child = command.spawn().context("the standalone cannot be run")?;
    let mut output = BufReader::new(child.stderr.take().context("the standalone has an output")?);
    let standalone = Running(child);
    let mut said = String::new();
    while !said.contains("Answering with") {
        if output.read_line(&mut said)? == 0 {
            bail!("the standalone ended:\n{said}");
        }
    }
    // Nobody reads on, but it must not find its output full.
    std::thread::spawn(move || output.read_to_end(&mut Vec::new()));
    Ok(standalone)
}

/// Tries until it works. JACK has no event for a server or a port that is about to be.
fn retried<T>(what: &str, mut attempt: impl FnMut() -> Result<T>) -> Result<T> {
    let start = Instant::now();
    loop {
        match attempt() {
            Err(error) if start.elapsed() > PATIENCE => {
                return Err(error).with_context(|| format!("{what} did not come"));
            }
            Err(_) => std::thread::sleep(Duration::from_millis(50)),
            done => return done,
        }
    }
}
