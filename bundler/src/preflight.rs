//! Looks for what a build needs from the system, and on Debian's kin fetches it.

use crate::layout::System;
use crate::workspace::run;
use anyhow::{Result, bail};
use std::process::{Command, Stdio};

/// What is about to be built.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Need {
    /// The plugins: a C toolchain to link with. Their editor loads X11 and OpenGL
    /// when it opens, and needs no headers.
    Plugin,
    /// The standalone too: it links ALSA and JACK.
    Standalone,
}

/// A thing needed, how to see whether it is there, and Debian's package for it.
struct Requirement {
    package: &'static str,
    probe: &'static [&'static str],
}

const COMPILER: Requirement = Requirement { package: "gcc libc6-dev", probe: &["cc", "--version"] };
const PKG_CONFIG: Requirement = Requirement { package: "pkg-config", probe: &["pkg-config", "--version"] };
const ALSA: Requirement =
    Requirement { package: "libasound2-dev", probe: &["pkg-config", "--exists", "alsa"] };
const JACK: Requirement =
    Requirement { package: "libjack-jackd2-dev", probe: &["pkg-config", "--exists", "jack"] };

/// A program that some tests work with. Without it they check nothing, and say so.
pub(crate) struct Companion {
    /// Debian's package.
    pub(crate) package: &'static str,
    /// What is tested with it.
    pub(crate) what: &'static str,
    probe: &'static [&'static str],
}

/// All of them; only Linux has them.
const COMPANIONS: [Companion; 5] = [
    Companion {
        package: "ardour",
        what: "the VST3 in a real sequencer (version 7)",
        probe: &["sh", "-c", "command -v ardour7-lua"],
    },
    Companion {
        package: "jackd2",
        what: "the standalone on a JACK server",
        probe: &["sh", "-c", "command -v jackd"],
    },
    Companion {
        package: "xvfb libgl1-mesa-dri",
        what: "the editor, and the standalone on a JACK server, on a screen that nobody sees",
        probe: &["sh", "-c", "command -v Xvfb"],
    },
    Companion {
        package: "imagemagick",
        what: "pictures of the editor",
        probe: &["sh", "-c", "command -v import"],
    },
    Companion {
        package: "xdotool",
        what: "the standalone on a JACK server, with a key that nobody presses",
        probe: &["sh", "-c", "command -v xdotool"],
    },
];

impl Need {
    const fn requirements(self) -> &'static [Requirement] {
        match self {
            Self::Plugin => &[COMPILER],
            Self::Standalone => &[COMPILER, PKG_CONFIG, ALSA, JACK],
        }
    }
}

/// Makes sure that what is needed is there. As root on a system with `apt-get` it
/// installs what is missing; else it says what to do.
///
/// # Errors
/// When something is missing and cannot be installed.
pub(crate) fn check(need: Need) -> Result<()> {
    if System::here() != System::Linux {
        return Ok(());
    }
    let missing = missing(need, succeeds);
    if missing.is_empty() {
        return Ok(());
    }
    if !succeeds(&["apt-get", "--version"]) {
        bail!("missing: {}; install them (these are Debian's names) and try again", missing.join(" "));
    }
    if !is_root() {
        bail!("missing: {}; run this and try again:\n  sudo {}", missing.join(" "), install_line(&missing));
    }
    println!("missing: {}; installing", missing.join(" "));
    let shell = format!("export DEBIAN_FRONTEND=noninteractive; {}", install_line(&missing));
    run(Command::new("sh").args(["-c", &shell]))
}

/// Looks for what some tests work with, and as root on a system with `apt-get` fetches
/// what is missing; tells what is missing still.
pub(crate) fn companions() -> Vec<&'static Companion> {
    let absent = |it: &&Companion| System::here() != System::Linux || !succeeds(it.probe);
    let missing: Vec<_> = COMPANIONS.iter().filter(absent).collect();
    if missing.is_empty() || System::here() != System::Linux || !succeeds(&["apt-get", "--version"]) {
        return missing;
    }
    let line =
        |packages: &[&Companion]| install_line(&packages.iter().map(|it| it.package).collect::<Vec<_>>());
    if !is_root() {
        println!("for all tests to run:\n  sudo {}", line(&missing));
        return missing;
    }
    let install = |packages: &[&Companion]| {
        let shell = format!("export DEBIAN_FRONTEND=noninteractive; {}", line(packages));
        if let Err(error) = run(Command::new("sh").args(["-c", &shell])) {
            println!("note: {error:#}");
        }
    };
    println!(
        "missing for some tests: {}; installing",
        missing.iter().map(|it| it.package).collect::<Vec<_>>().join(" ")
    );
    install(&missing);
    // That one cannot be had is no reason to do without the others.
    for it in missing.iter().filter(|it| absent(it)) {
        install(&[it]);
    }
    missing.into_iter().filter(absent).collect()
}

fn missing(need: Need, works: impl Fn(&[&str]) -> bool) -> Vec<&'static str> {
    need.requirements().iter().filter(|it| !works(it.probe)).map(|it| it.package).collect()
}

fn install_line(packages: &[&str]) -> String {
    let packages = packages.join(" ");
    format!("sh -c 'apt-get update && apt-get install -y --no-install-recommends {packages}'")
}

fn succeeds(words: &[&str]) -> bool {
    let [program, args @ ..] = words else { return false };
    let mut command = Command::new(program);
    command.args(args).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}

fn is_root() -> bool {
    Command::new("id").arg("-u").output().is_ok_and(|output| output.stdout.trim_ascii() == b"0")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plugin_needs_no_audio_headers() {
        assert_eq!(missing(Need::Plugin, |_| false), ["gcc libc6-dev"]);
        assert!(missing(Need::Plugin, |_| true).is_empty());
    }

    #[test]
    fn companions_are_packages_of_their_own() {
        let packages: std::collections::HashSet<_> = COMPANIONS.iter().map(|it| it.package).collect();
        assert_eq!(packages.len(), COMPANIONS.len());
    }

    #[test]
    fn only_what_is_missing_is_asked_for() {
        let works = |words: &[&str]| words[0] == "cc" || words.contains(&"alsa");
        let missing = missing(Need::Standalone, works);
        assert_eq!(missing, ["pkg-config", "libjack-jackd2-dev"]);
        let line = install_line(&missing);
        assert!(line.ends_with("install -y --no-install-recommends pkg-config libjack-jackd2-dev'"));
    }
}
