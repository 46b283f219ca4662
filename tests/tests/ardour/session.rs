//! A session of Ardour's in a folder of its own, with a home of its own, so that nobody's
//! settings are touched.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, SystemTime};

use midly::{MetaMessage, MidiMessage, Smf, Timing, TrackEventKind};
use tempfile::TempDir;

/// Ardour's ticks a beat.
const TICKS: f64 = 1920.0;
/// How long the region with the phrase is, in beats.
const REGION: u32 = 8;

/// What a track recorded.
#[derive(Debug, Default)]
pub(crate) struct Take {
    /// Onset, length in beats, key; in order.
    pub(crate) notes: Vec<(f64, f64, u8)>,
    /// Beat, controller, value.
    pub(crate) controls: Vec<(f64, u8, u8)>,
}

pub(crate) struct Session {
    home: TempDir,
}

impl Session {
    /// A session with a phrase; `None`, with a word about it, where it cannot be had.
    pub(crate) fn new(notes: &[(f64, f64, u8)], pedal: &[(f64, u8)]) -> Option<Self> {
        let bundle = std::env::var_os("CONTINUO_VST3").map(PathBuf::from);
        let lua = Command::new("ardour7-lua").arg("--version").stdin(Stdio::null()).output();
        let (Some(bundle), Ok(_)) = (bundle, lua) else {
            println!("note: Ardour 7 or the built VST3 (CONTINUO_VST3) is not here, so this was NOT checked");
            return None;
        };
        let session = Self { home: tempfile::tempdir().unwrap() };
        session.install(&bundle);
        session.lua("prepare.lua", include_str!("prepare.lua"), &[]);
        session.add_region(&smf(notes, pedal));
        Some(session)
    }

    fn folder(&self) -> PathBuf {
        self.home.path().join("session")
    }

    fn file(&self) -> PathBuf {
        self.folder().join("session.ardour")
    }

    /// Puts the plugin into Ardour's cache. It must be older than the cache, in whole seconds.
    fn install(&self, bundle: &Path) {
        let target = self.home.path().join(".vst3/Continuo.vst3");
        copy(bundle, &target);
        let scanner = fs::read_dir("/usr/lib/ardour7").unwrap().flatten().map(|entry| entry.path());
        let scanner = scanner.into_iter().find(|path| path.ends_with("ardour-vst3-scanner")).unwrap();
        let output =
            self.command(scanner.to_str().unwrap()).args(["-f", "-q"]).arg(&target).output().unwrap();
        assert!(output.status.success(), "{output:?}");
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command.env("HOME", self.home.path()).stdin(Stdio::null());
        command.env_remove("XDG_CONFIG_HOME").env_remove("XDG_CACHE_HOME").env_remove("DISPLAY");
        command.env("CONTINUO_HOME", self.home.path().join("continuo"));
        for (name, value) in [
            ("LD_LIBRARY_PATH", "/usr/lib/ardour7"),
            ("ARDOUR_DATA_PATH", "/usr/share/ardour7"),
            ("ARDOUR_CONFIG_PATH", "/etc/ardour7"),
            ("ARDOUR_DLL_PATH", "/usr/lib/ardour7"),
        ] {
            command.env(name, value);
        }
        command
    }

    fn lua(&self, name: &str, script: &str, args: &[&str]) {
        let file = self.home.path().join(name);
        fs::write(&file, script).unwrap();
        let mut command = self.command("ardour7-lua");
        command.env_remove("LD_LIBRARY_PATH").arg(&file).arg(self.folder()).args(args);
        let output = command.output().unwrap();
        let words = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success() && !words.contains("Error:"), "{name} {args:?}: {words}");
    }

    /// Puts a MIDI file as a region at the beginning of SRC.
    fn add_region(&self, midi: &[u8]) {
        let folder = self.folder().join("interchange/session/midifiles");
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join("phrase.mid"), midi).unwrap();
        let length = format!("b{}@b0", REGION * 1920);
        let region = |id: u32, whole: u32| {
            format!(
                r#"<Region name="phrase" muted="0" opaque="1" locked="0" video-locked="0" automatic="0" whole-file="{whole}" import="1" external="0" sync-marked="0" left-of-split="0" right-of-split="0" hidden="0" position-locked="0" valid-transients="0" start="b0" length="{length}" sync-position="b0" ancestral-start="b0" ancestral-length="{length}" stretch="1" shift="1" layering-index="0" tags="" contents="0" id="{id}" type="midi" first-edit="nothing" source-0="900001" master-source-0="900001"/>"#
            )
        };
        let source = r#"<Sources><Source name="phrase.mid" take-id="" type="midi" flags="" id="900001" captured-for="SRC"/></Sources>"#;
        let mut text = fs::read_to_string(self.file()).unwrap();
        let begin = text.find(r#"name="SRC" type="midi" orig-track-id"#).unwrap();
        let end = begin + text[begin..].find("/>").unwrap();
        text.replace_range(end..end + 2, &format!(">{}</Playlist>", region(900_003, 0)));
        for (old, new) in [
            ("<Sources/>", source.to_owned()),
            ("<Regions/>", format!("<Regions>{}</Regions>", region(900_002, 1))),
        ] {
            assert!(text.contains(old), "Ardour's session has another form");
            text = text.replacen(old, &new, 1);
        }
        let counter = text.find("id-counter=\"").unwrap() + 12;
        let end = counter + text[counter..].find('"').unwrap();
        text.replace_range(counter..end, "900100");
        fs::write(self.file(), text).unwrap();
    }

    /// Gives the session another tempo.
    pub(crate) fn set_tempo(&self, tempo: f64) {
        let text = fs::read_to_string(self.file()).unwrap();
        assert!(text.contains(r#"npm="120" enpm="120""#));
        let text = text.replace(r#"npm="120" enpm="120""#, &format!(r#"npm="{tempo}" enpm="{tempo}""#));
        fs::write(self.file(), text).unwrap();
    }

    /// Opens the session, rolls from its beginning for so many seconds of music, saves, and
    /// reads what was recorded.
    pub(crate) fn roll(&self, speed: &str, seconds: f64, params: &[&str]) -> Take {
        let before = SystemTime::now() - Duration::from_millis(20);
        let seconds = seconds.to_string();
        let args: Vec<&str> = [seconds.as_str(), speed].iter().chain(params).copied().collect();
        self.lua("roll.lua", include_str!("roll.lua"), &args);
        let folder = self.folder().join("interchange/session/midifiles");
        let takes = fs::read_dir(folder).unwrap().flatten().filter(|entry| {
            let new = entry.metadata().and_then(|known| known.modified()).is_ok_and(|at| at >= before);
            new && entry.file_name().to_string_lossy().contains("DST")
        });
        let newest = takes.max_by_key(|entry| entry.metadata().and_then(|known| known.modified()).ok());
        read(&fs::read(newest.expect("nothing was recorded").path()).unwrap())
    }
}

fn copy(from: &Path, to: &Path) {
    if from.is_dir() {
        fs::create_dir_all(to).unwrap();
        for entry in fs::read_dir(from).unwrap().flatten() {
            copy(&entry.path(), &to.join(entry.file_name()));
        }
        return;
    }
    fs::copy(from, to).unwrap();
    let old = SystemTime::now() - Duration::from_secs(600);
    fs::File::options().write(true).open(to).unwrap().set_modified(old).unwrap();
}

/// A MIDI file of notes and a pedal.
fn smf(notes: &[(f64, f64, u8)], pedal: &[(f64, u8)]) -> Vec<u8> {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "some thousand ticks")]
    let tick = |beat: f64| (beat * TICKS).round() as u32;
    let mut events: Vec<(u32, u8, [u8; 3])> = Vec::new();
    for (start, length, key) in notes {
        events.push((tick(*start), 2, [0x90, *key, 90]));
        events.push((tick(start + length), 1, [0x80, *key, 64]));
    }
    events.extend(pedal.iter().map(|(beat, value)| (tick(*beat), 0, [0xB0, 64, *value])));
    events.sort_unstable();
    let mut track = Vec::new();
    let mut at = 0;
    for (tick, _, bytes) in events {
        let delta = tick - at;
        at = tick;
        if delta >= 128 {
            track.push(0x80 | delta.to_be_bytes()[3] >> 7 | (delta >> 7).to_be_bytes()[3] & 0x7F);
        }
        track.push(delta.to_be_bytes()[3] & 0x7F);
        track.extend(bytes);
    }
    track.extend([0, 0xFF, 0x2F, 0]);
    let mut file = b"MThd\0\0\0\x06\0\0\0\x01\x07\x80MTrk".to_vec();
    file.extend(u32::try_from(track.len()).unwrap().to_be_bytes());
    file.extend(track);
    file
}

fn read(bytes: &[u8]) -> Take {
    let smf = Smf::parse(bytes).unwrap();
    let Timing::Metrical(resolution) = smf.header.timing else { panic!("no beats") };
    let (mut take, mut down) = (Take::default(), Vec::new());
    for track in &smf.tracks {
        let mut at = 0_u32;
        for event in track {
            at += event.delta.as_int();
            let beat = f64::from(at) / f64::from(resolution.as_int());
            let TrackEventKind::Midi { message, .. } = event.kind else {
                debug_assert!(!matches!(event.kind, TrackEventKind::Meta(MetaMessage::SmpteOffset(_))));
                continue;
            };
            match message {
                MidiMessage::NoteOn { key, vel } if vel > 0 => down.push((beat, key.as_int())),
                MidiMessage::NoteOn { key, .. } | MidiMessage::NoteOff { key, .. } => {
                    if let Some(index) = down.iter().position(|n| n.1 == key.as_int()) {
                        let (start, key) = down.remove(index);
                        take.notes.push((start, beat - start, key));
                    }
                }
                MidiMessage::Controller { controller, value } => {
                    take.controls.push((beat, controller.as_int(), value.as_int()));
                }
                _ => {}
            }
        }
    }
    assert!(down.is_empty(), "notes hang: {down:?}");
    take.notes.sort_by(|a, b| a.partial_cmp(b).unwrap());
    take
}
