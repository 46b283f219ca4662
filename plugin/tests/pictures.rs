//! Pictures of the editor in each of its states, from the real window under Xvfb, in
//! `target/screenshots/` for people to look at. Linux only; without Xvfb and ImageMagick's
//! `import` they are not made, and that is said.

#![cfg(target_os = "linux")]
#![expect(clippy::unwrap_used, reason = "a test that fails says where")]

use std::io::{BufRead as _, BufReader, Read as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use tiny_skia::Pixmap;

/// The window's size at a scale of 1.
const SIZE: (u32, u32) = (1000, 600);
/// Each state, and a colour that must be seen much in it: the phrase's, the answer's, that of
/// kept takes, of alarm; and how many points of it at least, at a scale of 1.
const SEEN: [(&str, (u8, u8, u8), usize); 6] = [
    ("listening", (0x62, 0xc7, 0xd4), 1500),
    ("takes", (0xf5, 0xb2, 0x5c), 6000),
    ("kept", (0xb7, 0x9c, 0xf2), 2500),
    ("trade", (0x62, 0xc7, 0xd4), 1500),
    ("download", (0xf5, 0xb2, 0x5c), 400),
    ("error", (0xf0, 0x71, 0x6b), 30),
];
/// So far a colour may be from another and still be it: notes are fainter when played softly.
const NEAR: i32 = 70;

/// A screen of its own for a window.
struct Screen {
    server: Child,
    display: String,
}

impl Screen {
    fn start(width: u32, height: u32) -> Self {
        let mut server = Command::new("Xvfb")
            .args(["-displayfd", "1", "-nolisten", "tcp", "-screen", "0", &format!("{width}x{height}x24")])
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut number = String::new();
        BufReader::new(server.stdout.as_mut().unwrap()).read_line(&mut number).unwrap();
        Self { server, display: format!(":{}", number.trim()) }
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}

fn program() -> PathBuf {
    let test = std::env::current_exe().unwrap();
    test.parent().unwrap().parent().unwrap().join("examples/states")
}

/// Where pictures go: beside the folder the test was built into.
fn folder() -> PathBuf {
    let folder = program().ancestors().nth(3).unwrap().join("screenshots");
    std::fs::create_dir_all(&folder).unwrap();
    folder
}

fn there(tool: &str, arg: &str) -> bool {
    Command::new(tool).arg(arg).stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok()
}

fn picture(state: &str, scale: u32, file: &Path) -> Pixmap {
    let screen = Screen::start(SIZE.0 * scale, SIZE.1 * scale);
    let mut window = Command::new(program())
        .arg(state)
        .env("DISPLAY", &screen.display)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(window.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
    if line.trim() != "painted" {
        let mut words = String::new();
        window.stderr.as_mut().unwrap().read_to_string(&mut words).unwrap();
        panic!("{state}: no picture: {words}");
    }
    let taken = Command::new("import")
        .args(["-display", &screen.display, "-window", "root"])
        .arg(format!("png32:{}", file.display()))
        .status();
    let _ = window.kill();
    let _ = window.wait();
    assert!(taken.unwrap().success(), "{state}: `import` failed");
    Pixmap::load_png(file).unwrap()
}

/// How many points have nearly a colour.
fn points(picture: &Pixmap, (red, green, blue): (u8, u8, u8)) -> usize {
    let near = |a: u8, b: u8| (i32::from(a) - i32::from(b)).abs();
    let distance = |p: &tiny_skia::PremultipliedColorU8| {
        near(p.red(), red) + near(p.green(), green) + near(p.blue(), blue)
    };
    picture.pixels().iter().filter(|p| distance(p) <= NEAR).count()
}

/// The margin around everything must stay empty: what is not did not fit.
fn assert_fits(state: &str, picture: &Pixmap, scale: u32) {
    let (width, height) = (picture.width(), picture.height());
    let margin = 12 * scale;
    let ground = picture.pixel(1, 1).unwrap();
    for y in 0..height {
        for x in (0..margin).chain(width - margin..width) {
            assert_eq!(picture.pixel(x, y), Some(ground), "{state}: something at {x}, {y}");
        }
    }
    for x in 0..width {
        for y in height - margin..height {
            assert_eq!(picture.pixel(x, y), Some(ground), "{state}: something at {x}, {y}");
        }
    }
}

#[test]
fn every_state_of_the_editor_has_its_picture() {
    if !there("Xvfb", "-help") || !there("import", "-version") {
        println!("note: Xvfb or ImageMagick's import is not here, so the editor's pictures were NOT made");
        return;
    }
    let states = Command::new(program()).output().unwrap().stdout;
    let states = String::from_utf8(states).unwrap();
    assert!(states.lines().count() >= 10);
    for state in states.lines() {
        let scale = if state == "scale-200" { 2 } else { 1 };
        let picture = picture(state, scale, &folder().join(format!("{state}.png")));
        assert_eq!((picture.width(), picture.height()), (SIZE.0 * scale, SIZE.1 * scale));
        let distinct: std::collections::HashSet<_> =
            picture.pixels().iter().map(|p| (p.red(), p.green(), p.blue())).collect();
        assert!(distinct.len() > 50, "{state}: hardly anything is painted");
        assert_fits(state, &picture, scale);
        if let Some((_, color, least)) = SEEN.iter().find(|seen| seen.0 == state) {
            let seen = points(&picture, *color);
            assert!(seen >= *least, "{state}: {seen} points of its colour");
        }
    }
}
