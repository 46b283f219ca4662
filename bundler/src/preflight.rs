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

/// What some tests need beyond that; without it they say that they checked nothing.
const WISHED: [Requirement; 3] = [
    Requirement { package: "xvfb libgl1-mesa-dri", probe: &["Xvfb", "-help"] },
    Requirement { package: "imagemagick", probe: &["import", "-version"] },
    Requirement { package: "ardour", probe: &["ardour7-lua", "--version"] },
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

/// Fetches what is wished for where that may be done, and else says how. Nothing fails for
/// the lack of it.
pub(crate) fn wish() {
    if System::here() != System::Linux {
        return;
    }
    let missing = absent(&WISHED, succeeds);
    if missing.is_empty() {
        return;
    }
    if succeeds(&["apt-get", "--version"]) && is_root() {
        println!("for the tests in Ardour and of the editor: {}; installing", missing.join(" "));
        let shell = format!("export DEBIAN_FRONTEND=noninteractive; {}", install_line(&missing));
        if run(Command::new("sh").args(["-c", &shell])).is_ok() && absent(&WISHED, succeeds).is_empty() {
            return;
        }
    }
    println!("note: without {} some tests check nothing; they say so", absent(&WISHED, succeeds).join(" "));
    println!("  sudo {}", install_line(&missing));
}

fn missing(need: Need, works: impl Fn(&[&str]) -> bool) -> Vec<&'static str> {
    absent(need.requirements(), works)
}

fn absent(requirements: &[Requirement], works: impl Fn(&[&str]) -> bool) -> Vec<&'static str> {
    requirements.iter().filter(|it| !works(it.probe)).map(|it| it.package).collect()
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
    fn only_what_is_missing_is_asked_for() {
        let works = |words: &[&str]| words[0] == "cc" || words.contains(&"alsa");
        let missing = missing(Need::Standalone, works);
        assert_eq!(missing, ["pkg-config", "libjack-jackd2-dev"]);
        let line = install_line(&missing);
        assert!(line.ends_with("install -y --no-install-recommends pkg-config libjack-jackd2-dev'"));
    }
}
