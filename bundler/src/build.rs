//! Calls cargo to build, and learns from its messages where the products are.

use crate::cuda::Toolkit;
use crate::workspace::{Workspace, shown};
use anyhow::{Context, Result, bail};
use serde_json::Value;
use std::env::consts::DLL_SUFFIX;
use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Command, Stdio};

/// A cargo profile that this tool builds with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Profile {
    /// As shipped.
    Release,
    /// As tested.
    Dev,
}

impl Profile {
    /// As cargo calls it.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Release => "release",
            Self::Dev => "dev",
        }
    }
}

/// What a build produced.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Products {
    /// The plugin's dynamic library.
    pub(crate) plugin: Option<PathBuf>,
    /// The standalone program.
    pub(crate) standalone: Option<PathBuf>,
    /// The command line `continuo`.
    pub(crate) cli: Option<PathBuf>,
}

/// Runs `cargo build` with `args`, and a toolkit where one is needed; its progress is shown.
pub(crate) fn build(workspace: &Workspace, toolkit: Option<&Toolkit>, args: &[&str]) -> Result<Products> {
    let mut command = workspace.cargo();
    command.arg("build").args(args);
    if let Some(toolkit) = toolkit {
        toolkit.equip(&mut command);
    }
    let line = shown(&command);
    println!("$ {line}");
    command.args(["--message-format", "json-render-diagnostics"]).stdout(Stdio::piped());
    products(command).with_context(|| format!("`{line}` failed"))
}

fn products(mut command: Command) -> Result<Products> {
    let mut child = command.spawn().context("cargo cannot be run")?;
    let output = child.stdout.take().context("cargo has no output")?;
    let mut products = Products::default();
    for line in BufReader::new(output).lines() {
        products.note(&line?);
    }
    let status = child.wait()?;
    if !status.success() {
        bail!("{status}");
    }
    Ok(products)
}

impl Products {
    /// Takes in one line of cargo's messages.
    fn note(&mut self, line: &str) {
        let Ok(message) = serde_json::from_str::<Value>(line) else { return };
        if message["reason"] != "compiler-artifact" || message["profile"]["test"] == true {
            return;
        }
        let target = &message["target"];
        let kinds = target["kind"].as_array().map(Vec::as_slice).unwrap_or_default();
        let executable = || message["executable"].as_str().map(PathBuf::from);
        let files = message["filenames"].as_array().map(Vec::as_slice).unwrap_or_default();
        let library = || {
            files.iter().filter_map(Value::as_str).find(|file| file.ends_with(DLL_SUFFIX)).map(PathBuf::from)
        };
        let is = |kind: &str| kinds.iter().any(|found| found == kind);
        match target["name"].as_str() {
            Some("continuo_plugin") if is("cdylib") => self.plugin = library(),
            Some("continuo-standalone") if is("bin") => self.standalone = executable(),
            Some("continuo") if is("bin") => self.cli = executable(),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn products_are_read_from_cargos_messages() {
        let mut products = Products::default();
        products.note(&format!(
            r#"{{"reason":"compiler-artifact","target":{{"kind":["cdylib","lib"],"name":"continuo_plugin"}},
            "profile":{{"test":false}},"filenames":["/t/libcontinuo_plugin{DLL_SUFFIX}","/t/lib.rlib"]}}"#
        ));
        products.note(
            r#"{"reason":"compiler-artifact","target":{"kind":["bin"],"name":"continuo"},
            "profile":{"test":false},"filenames":["/t/continuo"],"executable":"/t/continuo"}"#,
        );
        products.note(
            r#"{"reason":"compiler-artifact","target":{"kind":["bin"],"name":"continuo"},
            "profile":{"test":true},"filenames":["/t/test"],"executable":"/t/test"}"#,
        );
        products.note("not a message");
        assert_eq!(products.plugin, Some(PathBuf::from(format!("/t/libcontinuo_plugin{DLL_SUFFIX}"))));
        assert_eq!(products.cli, Some(PathBuf::from("/t/continuo")));
        assert_eq!(products.standalone, None);
    }
}
