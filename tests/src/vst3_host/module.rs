//! A bundle's library and the class it makes.

use super::said;
use anyhow::{Context, Result, bail};
use libloading::Library;
use std::ffi::c_void;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use vst3::Steinberg::Vst::IComponent;
use vst3::Steinberg::{IPluginFactory, IPluginFactoryTrait, PClassInfo};
use vst3::{ComPtr, Interface};

/// The library of a bundle, until nobody needs it.
pub(super) struct Module {
    // Given back before the library goes.
    factory: Option<ComPtr<IPluginFactory>>,
    library: Library,
}

impl Module {
    fn load(path: &Path) -> Result<Self> {
        // SAFETY: loading runs the file's own initialisers; it is the plugin that was
        // built from this workspace, which has none that misbehave.
        let library = unsafe { Library::new(path) }
            .with_context(|| format!("{} cannot be loaded as a VST3 plugin", path.display()))?;
        let enter = if cfg!(windows) {
            "InitDll"
        } else if cfg!(target_os = "macos") {
            "bundleEntry"
        } else {
            "ModuleEntry"
        };
        // SAFETY: these are the specification's functions with its signatures. What is
        // passed to the first, the system's own handle, the plugin has no use for.
        let factory = unsafe {
            let enter = library.get::<unsafe extern "C" fn(*mut c_void) -> bool>(enter.as_bytes())?;
            if !enter(std::ptr::null_mut()) {
                bail!("the plugin's library refuses to begin");
            }
            let factory = library.get::<unsafe extern "system" fn() -> *mut c_void>(b"GetPluginFactory")?;
            ComPtr::from_raw(factory().cast::<IPluginFactory>()).context("the library has no factory")?
        };
        Ok(Self { factory: Some(factory), library })
    }
}

impl Drop for Module {
    fn drop(&mut self) {
        self.factory = None;
        let leave = if cfg!(windows) {
            "ExitDll"
        } else if cfg!(target_os = "macos") {
            "bundleExit"
        } else {
            "ModuleExit"
        };
        // SAFETY: as on entering; nothing of the library's is in use any more.
        unsafe {
            if let Ok(leave) = self.library.get::<unsafe extern "C" fn() -> bool>(leave.as_bytes()) {
                leave();
            }
        }
    }
}

/// A loaded `.vst3` bundle.
pub(crate) struct Vst3File {
    pub(super) module: Arc<Module>,
    class: PClassInfo,
}

impl Vst3File {
    pub(crate) fn load(bundle: &Path) -> Result<Self> {
        let module = Arc::new(Module::load(&library_in(bundle)?)?);
        let factory = module.factory.as_ref().context("the library has no factory")?;
        // SAFETY: plain numbers and characters, for all of which zero is a value.
        let mut class: PClassInfo = unsafe { std::mem::zeroed() };
        // SAFETY: the pointer is to a class's description that is ours.
        said(unsafe { factory.getClassInfo(0, &raw mut class) }, "tell its class")?;
        Ok(Self { module, class })
    }

    pub(crate) fn name(&self) -> String {
        let bytes = self.class.name.iter().map(|c| c.to_ne_bytes()[0]).take_while(|&byte| byte != 0);
        String::from_utf8_lossy(&bytes.collect::<Vec<_>>()).into_owned()
    }

    /// A new component of the plugin's class.
    pub(super) fn component(&self) -> Result<ComPtr<IComponent>> {
        let factory = self.module.factory.as_ref().context("the library has no factory")?;
        let mut made = std::ptr::null_mut();
        // SAFETY: both ids are sixteen bytes that outlive the call; what comes back is
        // the interface that was asked for, and ours to release.
        unsafe {
            let (class, wanted) = (self.class.cid.as_ptr(), IComponent::IID.as_ptr().cast());
            said(factory.createInstance(class, wanted, &raw mut made), "be created")?;
            ComPtr::from_raw(made.cast::<IComponent>()).context("the plugin cannot be created")
        }
    }
}

/// The dynamic library in a bundle.
fn library_in(bundle: &Path) -> Result<PathBuf> {
    let suffix = if cfg!(windows) { ".vst3" } else { std::env::consts::DLL_SUFFIX };
    let contents = bundle.join("Contents");
    let folders =
        std::fs::read_dir(&contents).with_context(|| format!("{} is no bundle", bundle.display()))?;
    let files = folders.flatten().filter_map(|folder| std::fs::read_dir(folder.path()).ok()).flatten();
    let mut libraries = files.flatten().map(|file| file.path()).filter(|path| {
        let name = path.to_string_lossy();
        name.ends_with(suffix) || (cfg!(target_os = "macos") && path.extension().is_none())
    });
    libraries.next().with_context(|| format!("{} holds no library", bundle.display()))
}
