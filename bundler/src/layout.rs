//! How plugin bundles look on each system, and where hosts look for them. Pure:
//! no function here touches a file.

use std::path::{Path, PathBuf};

/// Which of the plugins: they have names and identities of their own, so that hosts can
/// have both.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Variant {
    /// The one for every machine.
    Usual,
    /// The one that NVIDIA's driver must be there for.
    Cuda,
}

impl Variant {
    /// What its bundles are called.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Usual => "Continuo",
            Self::Cuda => "Continuo CUDA",
        }
    }

    /// What stands in a macOS bundle's identifier.
    const fn identifier(self) -> &'static str {
        match self {
            Self::Usual => "continuo",
            Self::Cuda => "continuo-cuda",
        }
    }
}

/// An operating system with its own idea of a bundle.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum System {
    /// Linux and its like.
    Linux,
    /// macOS.
    MacOs,
    /// Windows.
    Windows,
}

impl System {
    /// The one this runs on.
    pub(crate) const fn here() -> Self {
        if cfg!(target_os = "macos") {
            Self::MacOs
        } else if cfg!(windows) {
            Self::Windows
        } else {
            Self::Linux
        }
    }
}

/// A plugin format.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    /// CLAP.
    Clap,
    /// VST 3.
    Vst3,
}

impl Format {
    /// Both.
    pub(crate) const ALL: [Self; 2] = [Self::Clap, Self::Vst3];

    /// The bundle's file name.
    pub(crate) fn file_name(self, variant: Variant) -> String {
        format!("{}.{}", variant.name(), self.suffix())
    }

    /// What its bundles' names end with.
    const fn suffix(self) -> &'static str {
        match self {
            Self::Clap => "clap",
            Self::Vst3 => "vst3",
        }
    }
}

/// Where in a bundle the dynamic library belongs; the empty path where the bundle
/// is the library itself. `arch` is Rust's name of the processor.
pub(crate) fn library_in(format: Format, variant: Variant, system: System, arch: &str) -> PathBuf {
    let name = variant.name();
    match (format, system) {
        (_, System::MacOs) => ["Contents", "MacOS", name].iter().collect(),
        (Format::Clap, _) => PathBuf::new(),
        (Format::Vst3, System::Linux) => {
            Path::new("Contents").join(format!("{arch}-linux")).join(format!("{name}.so"))
        }
        (Format::Vst3, System::Windows) => {
            let arch = if arch == "aarch64" { "arm64" } else { arch };
            Path::new("Contents").join(format!("{arch}-win")).join(format!("{name}.vst3"))
        }
    }
}

/// The folder where this user's hosts look for plugins of a format. `home` is the
/// user's home folder, on Windows the local application data.
pub(crate) fn user_folder(format: Format, system: System, home: &Path) -> PathBuf {
    let parts: &[&str] = match (system, format) {
        (System::Linux, Format::Clap) => &[".clap"],
        (System::Linux, Format::Vst3) => &[".vst3"],
        (System::MacOs, Format::Clap) => &["Library", "Audio", "Plug-Ins", "CLAP"],
        (System::MacOs, Format::Vst3) => &["Library", "Audio", "Plug-Ins", "VST3"],
        (System::Windows, Format::Clap) => &["Programs", "Common", "CLAP"],
        (System::Windows, Format::Vst3) => &["Programs", "Common", "VST3"],
    };
    parts.iter().fold(home.to_path_buf(), |folder, part| folder.join(part))
}

/// The two small files beside the library in a macOS bundle: their paths in it
/// and what they say.
pub(crate) fn mac_files(format: Format, variant: Variant, version: &str) -> [(PathBuf, String); 2] {
    let name = variant.name();
    let identifier = format!("org.continuo.{}.{}", variant.identifier(), format.suffix());
    let entries = [
        ("CFBundleExecutable", name),
        ("CFBundleIdentifier", identifier.as_str()),
        ("CFBundleInfoDictionaryVersion", "6.0"),
        ("CFBundleName", name),
        ("CFBundleDisplayName", name),
        ("CFBundlePackageType", "BNDL"),
        ("CFBundleSignature", "????"),
        ("CFBundleShortVersionString", version),
        ("CFBundleVersion", version),
    ];
    let entries: String = entries
        .iter()
        .map(|(key, value)| format!("  <key>{key}</key>\n  <string>{value}</string>\n"))
        .collect();
    let plist = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n\
         <!DOCTYPE plist PUBLIC \"-//Apple//DTD PLIST 1.0//EN\" \
         \"http://www.apple.com/DTDs/PropertyList-1.0.dtd\">\n\
         <plist version=\"1.0\">\n<dict>\n{entries}</dict>\n</plist>\n"
    );
    let contents = Path::new("Contents");
    [(contents.join("Info.plist"), plist), (contents.join("PkgInfo"), "BNDL????".to_owned())]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(path: &Path) -> Vec<&str> {
        path.iter().map(|part| part.to_str().unwrap()).collect()
    }

    #[test]
    fn libraries_lie_where_each_systems_hosts_expect_them() {
        let check = |format, system, arch, expected: &[&str]| {
            assert_eq!(parts(&library_in(format, Variant::Usual, system, arch)), expected);
        };
        check(Format::Clap, System::Linux, "x86_64", &[]);
        check(Format::Clap, System::Windows, "x86_64", &[]);
        check(Format::Clap, System::MacOs, "aarch64", &["Contents", "MacOS", "Continuo"]);
        check(Format::Vst3, System::MacOs, "x86_64", &["Contents", "MacOS", "Continuo"]);
        check(Format::Vst3, System::Linux, "x86_64", &["Contents", "x86_64-linux", "Continuo.so"]);
        check(Format::Vst3, System::Linux, "aarch64", &["Contents", "aarch64-linux", "Continuo.so"]);
        check(Format::Vst3, System::Windows, "x86_64", &["Contents", "x86_64-win", "Continuo.vst3"]);
        check(Format::Vst3, System::Windows, "aarch64", &["Contents", "arm64-win", "Continuo.vst3"]);
        let cuda = library_in(Format::Vst3, Variant::Cuda, System::Linux, "x86_64");
        assert_eq!(parts(&cuda), ["Contents", "x86_64-linux", "Continuo CUDA.so"]);
        assert_eq!(Format::Clap.file_name(Variant::Cuda), "Continuo CUDA.clap");
    }

    #[test]
    fn users_folders_are_those_of_the_formats_specifications() {
        let check = |format, system, expected: &[&str]| {
            assert_eq!(parts(&user_folder(format, system, Path::new("home"))), expected);
        };
        check(Format::Clap, System::Linux, &["home", ".clap"]);
        check(Format::Vst3, System::Linux, &["home", ".vst3"]);
        check(Format::Clap, System::MacOs, &["home", "Library", "Audio", "Plug-Ins", "CLAP"]);
        check(Format::Vst3, System::MacOs, &["home", "Library", "Audio", "Plug-Ins", "VST3"]);
        check(Format::Clap, System::Windows, &["home", "Programs", "Common", "CLAP"]);
        check(Format::Vst3, System::Windows, &["home", "Programs", "Common", "VST3"]);
    }

    #[test]
    fn a_mac_bundle_names_its_executable() {
        let [(path, plist), (_, package)] = mac_files(Format::Vst3, Variant::Usual, "1.2.3");
        assert_eq!(parts(&path), ["Contents", "Info.plist"]);
        let (_, rest) = plist.split_once("<key>CFBundleExecutable</key>").unwrap();
        assert!(rest.trim_start().starts_with("<string>Continuo</string>"), "{plist}");
        assert!(plist.contains("<string>1.2.3</string>"));
        assert_eq!(package, "BNDL????");
    }
}
